//! A customer who touches everything: whatever is on the glass can be touched, in every language, and from everywhere there
//! is a way back to the first page. Only what the API says of the glass is known.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use kioskd_tests::machine::{Machine, Setup, wait_at_most};

/// More touches than a crawl of one language ever needed.
const MOST: usize = 1_500;

struct Crawl<'m> {
    machine: &'m Machine,
    language: &'static str,
    /// By page: what could be touched there, and how often it was.
    seen: BTreeMap<String, BTreeMap<String, u32>>,
    touches: usize,
    /// The first page is in the language that was chosen.
    fresh: bool,
    dice: u64,
}

fn page_of(state: &Value) -> String {
    state["page"].as_str().unwrap().to_owned()
}

impl Crawl<'_> {
    /// What can be touched now, noted.
    fn look(&mut self) -> (Value, String, Vec<String>) {
        let state = self.machine.get("/api/state");
        let page = page_of(&state);
        let enabled = state["targets"].as_array().unwrap().iter().filter(|target| target["enabled"] == true);
        let names: Vec<String> = enabled.map(|target| target["name"].as_str().unwrap().to_owned()).collect();
        let known = self.seen.entry(page.clone()).or_default();
        for name in &names {
            known.entry(name.clone()).or_default();
        }
        (state, page, names)
    }

    /// Touches it if it is still there, and waits until that has changed something or plainly has not.
    fn touch(&mut self, before: &Value, name: &str) {
        let page = page_of(before);
        let target = before["targets"].as_array().unwrap().iter().find(|target| target["name"] == name).unwrap();
        let middle = |at: &str, length: &str| target[at].as_i64().unwrap() + target[length].as_i64().unwrap() / 2;
        let (status, _) = self.machine.post("/api/touch", &json!({ "x": middle("x", "w"), "y": middle("y", "h") }));
        assert_eq!(status, 200);
        *self.seen.entry(page).or_default().entry(name.to_owned()).or_default() += 1;
        self.touches += 1;
        let changed = || (self.machine.get("/api/state") != *before).then_some(());
        wait_at_most(std::time::Duration::from_millis(100), changed);
    }

    fn chance(&mut self, ways: usize) -> usize {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) as usize % ways.max(1)
    }

    fn done_with(&self, pages: &[&str]) -> bool {
        pages.iter().all(|page| self.seen.get(*page).is_some_and(|targets| targets.values().all(|count| *count > 0)))
    }

    /// Until everything on these pages was touched.
    fn crawl(&mut self, pages: &[&str]) {
        let limit = self.touches + MOST;
        let speaks = format!("language:{}", self.language);
        while !self.done_with(pages) {
            assert!(self.touches < limit, "{}: stuck at {:#?}", self.language, self.seen);
            let (mut state, page, mut names) = self.look();
            if page == "attract" && !self.fresh {
                // Who came before has left the first page in the first language.
                self.touch(&state, &speaks);
                (state, _, names) = self.look();
            }
            self.fresh = page == "attract";
            if state["page"] != *page {
                continue;
            }
            let times = |name: &String| self.seen[&page][name];
            // What was never touched first, and of that what stays on the page; then what leads on.
            let stays = |name: &String| {
                let staying =
                    ["ease:", "language:", "key:", "category:", "page:", "rail:", "add", "more-time", "service"];
                staying.iter().any(|begin| name.starts_with(begin))
            };
            let all = names.iter().all(|name| times(name) > 0);
            let next = match all {
                false => names.iter().filter(|name| times(name) == 0).min_by_key(|name| !stays(name)),
                // By chance, or some ways would never be gone after some others.
                true => {
                    let ways: Vec<&String> = names.iter().filter(|name| !stays(name)).collect();
                    ways.get(self.chance(ways.len())).copied()
                }
            };
            match next.cloned() {
                _ if page == "pay" && all && pages.contains(&"expired") => self.leaves("pay"),
                _ if page == "pay" && all && self.done_with(&["cancelled"]) => {
                    if let Some(payload) = self.code() {
                        self.machine.post("/api/wallet", &json!({ "payload": payload, "action": "pay" }));
                        self.leaves("pay");
                    }
                }
                Some(name) => {
                    self.touch(&state, &name);
                    if name.starts_with("language:") && name != speaks {
                        // It is on every page, and so is the way back.
                        let (state, _, names) = self.look();
                        if names.contains(&speaks) {
                            self.touch(&state, &speaks);
                        }
                    }
                }
                None => self.leaves(&page),
            }
        }
    }

    /// A page with nothing to touch goes by itself.
    fn leaves(&self, page: &str) {
        self.machine.wait(&format!("the end of {page}"), || {
            let state = self.machine.get("/api/state");
            (page_of(&state) != page || !state["targets"].as_array().unwrap().is_empty()).then_some(())
        });
    }

    fn code(&self) -> Option<String> {
        let file = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
        std::fs::write(file.path(), self.machine.bytes("/api/screen.png")).unwrap();
        let read = kioskd_tests::child::command("zbarimg").args(["--raw", "-q"]).arg(file.path()).output().unwrap();
        let text = String::from_utf8(read.stdout).unwrap();
        text.lines().next().map(str::to_owned)
    }

    /// From wherever it is, by touches that lead back, or by leaving it alone.
    fn back_to_the_beginning(&mut self, first: &str) {
        self.machine.wait("the first page", || {
            let (state, page, names) = self.look();
            if page == first {
                return Some(());
            }
            let way = ["done", "cancel"].into_iter().find(|way| names.iter().any(|name| name == way))?;
            self.touch(&state, way);
            None
        });
    }
}

#[test]
fn everything_can_be_touched_in_every_language_and_nobody_gets_stuck() {
    let mut setup = Setup::fast();
    setup.config.extend([
        ("more_time = \"0s\"", "more_time = \"2s\""),
        ("browse_timeout = \"60s\"", "browse_timeout = \"9s\""),
        ("result_timeout = \"1s\"", "result_timeout = \"4s\""),
        ("# confirm_above = 5000", "confirm_above = 2000 #"),
        (
            "[[product]]\nid = \"cola\"",
            "[[category]]\nid = \"drinks\"\nname = { en = \"Drinks\", \"zh-Hant\" = \"飲料\" }\n\
            [[category]]\nid = \"food\"\nname = { en = \"Food\" }\n[[product]]\ncategory = \"drinks\"\nid = \"cola\"",
        ),
        ("id = \"chips\"", "category = \"food\"\nid = \"chips\""),
    ]);
    for (panel, languages) in [("1280x800", &["zh-Hant", "en"][..]), ("400x640", &["zh-Hans"])] {
        let machine = Machine::start(&Setup { panel, ..setup.clone() });
        let mut touches = 0;
        for language in languages {
            let mut crawl =
                Crawl { machine: &machine, language, seen: BTreeMap::new(), touches: 0, fresh: false, dice: 1 };
            machine.until("attract");
            machine.tap(&format!("language:{language}"));
            crawl.crawl(&["attract", "choose", "basket", "confirm", "lookup", "pay", "cancelled", "thanks"]);
            crawl.crawl(&["expired"]);
            let jam: Vec<_> = ["A1", "A2", "A3", "B1", "B2", "B3", "C1"].into_iter().collect();
            for motor in ["jam", "ok"] {
                for slot in &jam {
                    machine.world(json!({ "slot": { "name": slot, "motor": motor } }));
                }
                if motor == "jam" {
                    crawl.crawl(&["refunded"]);
                }
            }
            crawl.back_to_the_beginning("attract");
            machine.until_settled();
            // A slot that jammed is out of use until somebody has looked.
            machine.world(json!({ "door": "open" }));
            machine.until("out-of-service");
            crawl.crawl(&["out-of-service"]);
            machine.world(json!({ "door": "closed", "stock": "full" }));
            crawl.back_to_the_beginning("attract");
            touches += crawl.touches;
        }
        machine.until_settled();
        machine.books_agree();
        machine.verify();
        println!("{panel}: {touches} touches");
    }
}
