//! A configuration that is made of another: other prices, other goods, and what only the machine's own file may say. The
//! rest of the text stays as somebody wrote it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::DeValue;

use super::document::{Found, Node, place};
use super::media::BY_DIGEST;
use super::syntax;
use super::words::quote;
use crate::operation::{Assignment, MediaSlide, Medium};
use crate::vocabulary::{Minor, ProductId, SlotId};

/// What ties the machine to its ledger, its fleet and whose commands count. Whoever could change it from afar could shut
/// everybody out, himself too.
const LOCAL: [(&str, &str); 6] = [
    ("kiosk", "id"),
    ("kiosk", "fleet"),
    ("state", "directory"),
    ("fleet", "signing_key"),
    ("fleet", "root"),
    ("fleet", "keyset"),
];

/// The same configuration with other prices.
///
/// # Errors
/// Which products are not in it, a line each.
pub fn with_prices(text: &str, prices: &BTreeMap<ProductId, Minor>) -> Result<String, Vec<String>> {
    with(text, |file, edits| {
        for (product, price) in prices {
            match file.all("product").find(|known| is(*known, "id", product.as_str())) {
                Some(known) => edits.set(known, "price", price.to_string()),
                None => edits.wrong.push(format!("there is no product `{product}` in the configuration")),
            }
        }
    })
}

/// The same configuration with other goods in some slots.
///
/// # Errors
/// Which slots are not in it, a line each.
pub fn with_planogram(text: &str, slots: &BTreeMap<SlotId, Assignment>) -> Result<String, Vec<String>> {
    with(text, |file, edits| {
        for (slot, Assignment { product, stock, capacity }) in slots {
            let Some(known) = file.all("slot").find(|known| is(*known, "name", slot.as_str())) else {
                edits.wrong.push(format!("there is no slot `{slot}` in the configuration"));
                continue;
            };
            let new = !is(known, "product", product.as_str());
            edits.set(known, "product", serde_json::Value::from(product.as_str()).to_string());
            if let Some(stock) = stock.or_else(|| new.then_some(0)) {
                edits.set(known, "stock", stock.to_string());
            }
            if let Some(capacity) = capacity {
                edits.set(known, "capacity", capacity.to_string());
            }
        }
    })
}

/// The same configuration with other pictures.
///
/// # Errors
/// Which products are not in it, and where a picture can't be written, a line each.
pub fn with_media(
    text: &str,
    products: &BTreeMap<ProductId, Medium>,
    slides: Option<&[MediaSlide]>,
    logo: Option<&Medium>,
) -> Result<String, Vec<String>> {
    let named = |medium: &Medium| serde_json::Value::from(format!("{BY_DIGEST}{}", medium.sha256)).to_string();
    with(text, |file, edits| {
        for (product, medium) in products {
            match file.all("product").find(|known| is(*known, "id", product.as_str())) {
                Some(known) => edits.set_or_add(text, known, "id", "picture", named(medium)),
                None => edits.wrong.push(format!("there is no product `{product}` in the configuration")),
            }
        }
        let mut look = Vec::new();
        if let Some(logo) = logo {
            look.push(("logo", named(logo)));
        }
        if let Some(slides) = slides {
            let told = slides.iter().map(|MediaSlide { medium, hours }| {
                let hours = hours.as_ref();
                let hours = hours.map(|hours| format!(", from = \"{}\", until = \"{}\"", hours.from, hours.until));
                format!("{{ picture = {}{} }}", named(medium), hours.unwrap_or_default())
            });
            look.push(("slides", format!("[{}]", told.collect::<Vec<_>>().join(", "))));
            let there = file.get("glass").and_then(|glass| glass.get("slides"));
            // Each of several tables has its own heading, in whose place a list can't be written.
            if there.is_some_and(|there| !is_written_as_list(text, there)) {
                edits.wrong.push("write the slides of [glass] as a list, slides = [{ picture = \"…\" }]".into());
            }
        }
        if !look.is_empty() {
            edits.put(text, file, "glass", &look);
        }
    })
}

fn is_written_as_list(text: &str, node: Node<'_>) -> bool {
    let said = text.get(node.0.span()).unwrap_or_default();
    said.starts_with('[') && said.ends_with(']') && !said.starts_with("[[")
}

/// What makes a machine's configuration of a fleet's: who it is and where its fleet is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled<'a> {
    pub id: &'a str,
    pub fleet: &'a str,
    /// The keys of `[fleet]`, each with its text.
    pub link: Vec<(&'a str, String)>,
    /// The key and the file of the back end.
    pub back_end: Option<(&'a str, &'a str)>,
}

/// The same configuration for one machine. What is not said in `[kiosk]` and `[fleet]` yet comes below their headings.
///
/// # Errors
/// Where that can't be written, a line each.
pub fn enrolled(text: &str, machine: &Enrolled<'_>) -> Result<String, Vec<String>> {
    let written = |text: &str| serde_json::Value::from(text).to_string();
    with(text, |file, edits| {
        let own = [("id", written(machine.id)), ("fleet", written(machine.fleet))];
        edits.put(text, file, "kiosk", &own);
        let mut link: Vec<(&str, String)> = machine.link.iter().map(|(key, value)| (*key, written(value))).collect();
        if let Some((kid, path)) = machine.back_end {
            if file.get("fleet").is_some_and(|fleet| fleet.get("back_end").is_some()) {
                edits.wrong.push("`back_end` of [fleet] is there already; leave it out of the template".into());
            }
            link.push(("back_end", format!("[{{ kid = {}, file = {} }}]", written(kid), written(path))));
        }
        edits.put(text, file, "fleet", &link);
    })
}

/// What a configuration that came from afar would change and may not, as the check of a file says it. `path` is told.
pub fn foreign_changes(path: &Path, now: &str, new: &str) -> Vec<String> {
    let (mut found, mut none) = (Found::default(), Found::default());
    let (Some(now_table), Some(new_table)) = (syntax::parse(now, &mut none), syntax::parse(new, &mut found)) else {
        return Vec::new();
    };
    let now_file = Spanned::new(now_table.span(), DeValue::Table(now_table.into_inner()));
    let new_file = Spanned::new(new_table.span(), DeValue::Table(new_table.into_inner()));
    let value = |file: &Spanned<DeValue<'_>>, text: &str, table, key| {
        Node(file).get(table).and_then(|table| table.get(key)).map(|node| text[node.0.span()].to_owned())
    };
    for (table, key) in LOCAL {
        let (is, wanted) = (value(&now_file, now, table, key), value(&new_file, new, table, key));
        if is == wanted {
            continue;
        }
        let there = Node(&new_file).get(table);
        let at = there.and_then(|table| table.get(key)).or(there).map_or(0, Node::at);
        let advice = match is {
            Some(is) => format!("write {key} = {is}"),
            None => "leave it out".to_owned(),
        };
        found.add(at, format!("{} of [{table}] is changed on the machine alone; {advice}", quote(key)));
    }
    let told = |(at, what)| {
        let (line, column) = place(new, at);
        format!("{}:{line}:{column}: {what}", path.display())
    };
    found.sorted().into_iter().map(told).collect()
}

fn is(table: Node<'_>, key: &str, value: &str) -> bool {
    table.get(key).and_then(Node::text) == Some(value)
}

/// What is written in the place of what.
#[derive(Default)]
struct Edits {
    all: Vec<(Range<usize>, String)>,
    wrong: Vec<String>,
}

impl Edits {
    fn set(&mut self, table: Node<'_>, key: &str, value: String) {
        match table.get(key) {
            Some(node) => self.all.push((node.0.span(), value)),
            None => self.wrong.push(format!("the configuration does not say {} here", quote(key))),
        }
    }

    /// Sets it, or writes it behind another key of the table, which is there.
    fn set_or_add(&mut self, text: &str, table: Node<'_>, behind: &str, key: &str, value: String) {
        let (there, behind) = (table.get(key), table.get(behind));
        match (there, behind) {
            (Some(node), _) => self.all.push((node.0.span(), value)),
            (None, None) => self.wrong.push(format!("the configuration does not say {} here", quote(key))),
            // On the same line as the others, in braces.
            (None, Some(behind)) if text[table.at()..].starts_with('{') => {
                let end = behind.0.span().end;
                self.all.push((end..end, format!(", {key} = {value}")));
            }
            (None, Some(behind)) => {
                let end = behind.0.span().end;
                let end = text[end..].find('\n').map_or(text.len(), |line| end + line);
                self.all.push((end..end, format!("\n{key} = {value}")));
            }
        }
    }

    /// Sets what `[name]` says, and writes below its heading what it does not.
    fn put(&mut self, text: &str, file: Node<'_>, name: &str, values: &[(&str, String)]) {
        let table = file.get(name);
        let mut missing = String::new();
        for (key, value) in values {
            match table.and_then(|table| table.get(key)) {
                Some(node) => self.all.push((node.0.span(), value.clone())),
                None => missing += &format!("{key} = {value}\n"),
            }
        }
        let Some(table) = table else {
            return self.all.push((text.len()..text.len(), format!("\n\n[{name}]\n{missing}")));
        };
        let rest = &text[table.at()..];
        if missing.is_empty() {
        } else if !rest.lines().next().is_some_and(|line| is_heading(line, name)) {
            self.wrong.push(format!("write [{name}] as a heading, with its keys in the lines below"));
        } else if let Some(end) = rest.find('\n') {
            let below = table.at() + end + 1;
            self.all.push((below..below, missing));
        } else {
            self.all.push((text.len()..text.len(), format!("\n{missing}")));
        }
    }
}

/// Whether a line is the heading of a table of this name.
fn is_heading(line: &str, name: &str) -> bool {
    let inner = line.trim_start().strip_prefix('[').and_then(|rest| rest.split_once(']'));
    inner.is_some_and(|(inner, _)| inner.trim() == name)
}

fn with(text: &str, edit: impl FnOnce(Node<'_>, &mut Edits)) -> Result<String, Vec<String>> {
    let mut found = Found::default();
    let Some(table) = syntax::parse(text, &mut found) else {
        return Err(found.sorted().into_iter().map(|(_, what)| what).collect());
    };
    let file = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
    let mut edits = Edits::default();
    edit(Node(&file), &mut edits);
    if !edits.wrong.is_empty() {
        return Err(edits.wrong);
    }
    // From the end, so that what is before stays where it is.
    edits.all.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut changed = text.to_owned();
    for (range, value) in edits.all {
        changed.replace_range(range, &value);
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Digest, MediaUrl, SlideHours, TimeOfDay};

    const FILE: &str = "[kiosk]\nid = \"K1\"\nfleet = \"street\"\n[state]\ndirectory = \"state\"\n\
        [[product]]\nid = \"cola\"\nprice = 300 # since May\n[[product]]\nprice = 1_050\nid = \"tea\"\n\
        [[slot]]\nname = \"A1\"\nproduct = \"cola\"\nstock = 8\ncapacity = 8\n";

    fn product(id: &str) -> ProductId {
        ProductId::parse(id).unwrap()
    }

    fn slot(name: &str) -> SlotId {
        SlotId::parse(name).unwrap()
    }

    #[test]
    fn prices_change_and_every_other_character_stays() {
        let prices = [(product("cola"), 320), (product("tea"), 900)].into();
        let changed = with_prices(FILE, &prices).unwrap();
        assert_eq!(changed, FILE.replace("price = 300", "price = 320").replace("1_050", "900"));
        let wrong = with_prices(FILE, &[(product("cola"), 1), (product("milk"), 2)].into()).unwrap_err();
        assert_eq!(wrong, ["there is no product `milk` in the configuration"]);
    }

    #[test]
    fn other_goods_in_a_slot_begin_with_nothing_unless_somebody_says_so() {
        let assign = |product: &str, stock, capacity| {
            let new = Assignment { product: ProductId::parse(product).unwrap(), stock, capacity };
            with_planogram(FILE, &[(slot("A1"), new)].into()).unwrap()
        };
        let tea = FILE.replace("product = \"cola\"", "product = \"tea\"");
        assert_eq!(assign("tea", None, None), tea.replace("stock = 8", "stock = 0"));
        assert_eq!(assign("tea", Some(5), Some(6)), tea.replace("stock = 8", "stock = 5").replace("y = 8", "y = 6"));
        assert_eq!(assign("cola", None, Some(9)), FILE.replace("y = 8", "y = 9"), "the count is not asked for again");
        let wrong = with_planogram(
            FILE,
            &[(slot("B9"), Assignment { product: product("tea"), stock: None, capacity: None })].into(),
        );
        assert_eq!(wrong.unwrap_err(), ["there is no slot `B9` in the configuration"]);
    }

    fn medium(letter: &str) -> Medium {
        let url = MediaUrl::parse("https://media.example.com/x.png").unwrap();
        Medium { sha256: Digest::parse(&letter.repeat(64)).unwrap(), url }
    }

    fn named(letter: &str) -> String {
        format!("\"sha256:{}\"", letter.repeat(64))
    }

    #[test]
    fn a_picture_is_set_where_it_stands_and_written_where_none_stands() {
        let of = |text: &str, id: &str| with_media(text, &[(product(id), medium("a"))].into(), None, None);
        let (a, both) = (named("a"), format!("{FILE}[glass]\ndriver = \"simulated\"\n"));
        let new = FILE.replace("id = \"cola\"\n", &format!("id = \"cola\"\npicture = {a}\n"));
        assert_eq!(of(FILE, "cola").unwrap(), new);
        assert_eq!(of(&new.replace(&a, "'x.png' # mine"), "cola").unwrap(), new.replace(&a, &format!("{a} # mine")));
        let remark = FILE.replace("id = \"tea\"", "id = \"tea\" # green");
        let changed = of(&remark, "tea").unwrap();
        assert_eq!(changed, remark.replace("# green", &format!("# green\npicture = {a}")));
        let braces = "product = [{ id = \"cola\", price = 3 }]";
        assert_eq!(of(braces, "cola").unwrap(), format!("product = [{{ id = \"cola\", picture = {a}, price = 3 }}]"));
        assert_eq!(of(FILE, "milk").unwrap_err(), ["there is no product `milk` in the configuration"]);

        let hours =
            Some(SlideHours { from: TimeOfDay::parse("06:00").unwrap(), until: TimeOfDay::parse("10:30").unwrap() });
        let slides = [MediaSlide { medium: medium("b"), hours }, MediaSlide { medium: medium("c"), hours: None }];
        let look =
            |text: &str, slides: &[MediaSlide]| with_media(text, &BTreeMap::new(), Some(slides), Some(&medium("d")));
        let (b, c, d) = (named("b"), named("c"), named("d"));
        let list = format!("[{{ picture = {b}, from = \"06:00\", until = \"10:30\" }}, {{ picture = {c} }}]");
        let lines = format!("[glass]\nlogo = {d}\nslides = {list}\ndriver");
        let shown = look(&both, &slides).unwrap();
        assert_eq!(shown, both.replace("[glass]\ndriver", &lines));
        assert_eq!(look(&shown, &[]).unwrap(), shown.replace(&list, "[]"), "none at all");
        assert_eq!(look(&shown, &slides).unwrap(), shown);
        let headings = format!("{both}[[glass.slides]]\npicture = \"x.png\"\n[[glass.slides]]\npicture = \"y.png\"\n");
        for headings in [headings.as_str(), &headings[..headings.rfind("[[").unwrap()]] {
            let wrong = look(headings, &slides).unwrap_err();
            assert_eq!(wrong, ["write the slides of [glass] as a list, slides = [{ picture = \"…\" }]"]);
        }
    }

    #[test]
    fn a_machine_of_a_fleet_is_written_into_a_template() {
        let machine = |back_end| Enrolled {
            id: "K2",
            fleet: "lane",
            link: vec![("broker", "mqtts://b:8883".into()), ("ca", "ca.pem".into())],
            back_end,
        };
        let own = FILE.replace("\"K1\"", "\"K2\"").replace("\"street\"", "\"lane\"");
        let both = "broker = \"mqtts://b:8883\"\nca = \"ca.pem\"\n";
        assert_eq!(enrolled(FILE, &machine(None)).unwrap(), format!("{own}\n\n[fleet]\n{both}"));
        // What stands there stays where it stands.
        let fleet = "[fleet] # ours\nwindow = 3\nbroker = \"mqtt://x:1\" # old\n[fleet.gateway]\n";
        let more = "[fleet] # ours\nca = \"ca.pem\"\nback_end = [{ kid = \"b\", file = \"b.pem\" }]\nwindow = 3\n\
            broker = \"mqtts://b:8883\" # old\n[fleet.gateway]\n";
        let changed = enrolled(&format!("{fleet}{FILE}"), &machine(Some(("b", "b.pem")))).unwrap();
        assert_eq!(changed, format!("{more}{own}"));
        assert_eq!(
            enrolled("[kiosk]\n[fleet]", &machine(None)).unwrap(),
            format!("[kiosk]\nid = \"K2\"\nfleet = \"lane\"\n[fleet]\n{both}")
        );
        // Only a heading says where a key belongs.
        for odd in ["fleet = { window = 3 }\n", "fleet.window = 3\n", "[fleet.gateway]\n"] {
            let wrong = enrolled(&format!("{odd}{FILE}"), &machine(None)).unwrap_err();
            assert_eq!(wrong, ["write [fleet] as a heading, with its keys in the lines below"], "{odd}");
        }
        let twice = format!("{FILE}[fleet]\nback_end = []\n");
        let wrong = enrolled(&twice, &machine(Some(("b", "b.pem")))).unwrap_err();
        assert_eq!(wrong, ["`back_end` of [fleet] is there already; leave it out of the template"]);
        assert!(enrolled(&twice, &machine(None)).unwrap().contains("back_end = []"));
    }

    #[test]
    fn what_ties_the_machine_is_not_changed_from_afar() {
        let path = Path::new("kiosk.toml");
        assert!(foreign_changes(path, FILE, &FILE.replace("300", "310")).is_empty());
        assert_eq!(
            foreign_changes(path, FILE, &FILE.replace("K1", "K2")),
            ["kiosk.toml:2:6: `id` of [kiosk] is changed on the machine alone; write id = \"K1\""]
        );
        let more = FILE.replace("[state]", "[fleet]\nroot = \"mine.pem\"\n[state]");
        assert_eq!(
            foreign_changes(path, FILE, &more),
            ["kiosk.toml:5:8: `root` of [fleet] is changed on the machine alone; leave it out"]
        );
        let less = FILE.replace("directory = \"state\"\n", "");
        assert_eq!(
            foreign_changes(path, FILE, &less),
            ["kiosk.toml:4:1: `directory` of [state] is changed on the machine alone; write directory = \"state\""]
        );
    }
}
