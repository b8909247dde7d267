//! A configuration that comes over the air: applied between sales, kept when the machine sells with it, and given up by
//! the machine itself when it does not, or does not even start.

use std::path::PathBuf;

use kioskd_tests::machine::Setup;
use serde_json::{Value, json};

use crate::commands::Office;

const TRIAL: (&str, &str) = ("start_delay = \"0s\"", "trial = \"20s\"\nstart_delay = \"0s\"");

struct Fleet {
    office: Office,
    folder: tempfile::TempDir,
}

impl Fleet {
    fn start() -> Self {
        let config = vec![("qr_life = \"90s\"", "qr_life = \"20s\""), TRIAL];
        let office = Office::with(Setup { config, ..Setup::default() });
        Self { office, folder: tempfile::tempdir().unwrap() }
    }

    /// The file that the machine was started with.
    fn file(&self) -> PathBuf {
        let state = self.office.machine.state.parent().unwrap();
        let named = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "toml");
        let files = std::fs::read_dir(state).unwrap().map(|entry| entry.unwrap().path());
        files.into_iter().find(named).unwrap_or_else(|| panic!("no configuration in {}", state.display()))
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    fn sends(&self, verb: &str, argument: &str) -> (bool, Vec<String>) {
        let (key, kiosk) = (self.office.key("config.key"), self.office.key("kiosk.pem"));
        let options = ["--kiosk", "K0001", "--sign", &key, "--kiosk-key", &kiosk, "--timeout", "60"];
        let (well, lines, error) = self.office.send_with(&options, &[verb, argument]);
        assert!(!lines.is_empty(), "{error}");
        (well, lines)
    }

    fn applies(&self, text: &str) -> (bool, Vec<String>) {
        let file = self.folder.path().join("new.toml");
        std::fs::write(&file, text).unwrap();
        self.sends("apply-config", &format!("config=@{}", file.display()))
    }

    /// Its digest by another program.
    fn digest(&self, text: &str) -> String {
        let file = self.folder.path().join("digest.toml");
        std::fs::write(&file, text).unwrap();
        let told = kioskd_tests::child::command("sha256sum").arg(&file).output().unwrap();
        String::from_utf8(told.stdout).unwrap()[..64].to_owned()
    }

    fn config(&self) -> Value {
        self.office.state()["config"].clone()
    }

    /// The state follows what was answered.
    fn until_config(&self, what: &str, wanted: impl Fn(&Value) -> bool) {
        self.office.machine.wait(what, || wanted(&self.config()).then_some(()));
    }

    /// What the machine shows of a product that is sold now.
    fn offered(&self) -> i64 {
        let machine = &self.office.machine;
        machine.until("attract");
        let payload = machine.offer(&["cola"]);
        machine.wallet(&payload, "pay");
        machine.until_state("delivered")["amount"].as_i64().unwrap()
    }
}

fn trail(end: &str) -> Vec<String> {
    ["K0001 accepted", "K0001 executing", end].map(str::to_owned).to_vec()
}

#[test]
fn a_price_changes_between_two_sales_and_outlives_a_power_cut() {
    let fleet = Fleet::start();
    let machine = &fleet.office.machine;
    let before = fleet.text();
    assert_eq!(fleet.config(), json!({ "digest": fleet.digest(&before), "origin": "file", "trial": false }));

    // In front of somebody who pays nothing changes.
    let payload = machine.offer(&["cola"]);
    let boot = fleet.office.state()["boot"].clone();
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| fleet.sends("set-prices", r#"prices={"cola": 375}"#));
        kioskd_tests::wait_for("its beginning", kioskd_tests::PATIENCE, || {
            let operations = machine.get("/api/operations")["operations"].clone();
            operations[0]["asked"]["do"].as_str().filter(|verb| *verb == "set-prices").map(drop)
        });
        machine.wallet(&payload, "pay");
        assert_eq!(machine.until_state("delivered")["amount"], 300, "what was on the glass is what is paid");
        let (well, lines) = sent.join().unwrap();
        assert_eq!((well, lines), (true, trail("K0001 successful: done")), "{}", machine.log());
    });
    assert_ne!(fleet.office.state()["boot"], boot, "it has started anew");
    let after = before.replace("price = 300", "price = 375");
    let wanted = json!({ "digest": fleet.digest(&after), "origin": "fleet", "trial": false });
    fleet.until_config("the new configuration", |config| *config == wanted);
    assert_eq!(fleet.offered(), 375);
    fleet.office.cut();
    assert_eq!((fleet.config(), fleet.offered()), (wanted, 375));
    assert_eq!(fleet.sends("set-prices", r#"prices={"cola": 375}"#).1, trail("K0001 successful: it was so already"));

    // Whoever changes the file on the machine has the last word.
    let file = fleet.file();
    std::fs::write(&file, before.replace("price = 300", "price = 310")).unwrap();
    fleet.office.cut();
    assert_eq!(
        (fleet.config()["origin"].clone(), fleet.config()["unused"].clone()),
        (json!("file"), json!(fleet.digest(&after)))
    );
    assert_eq!(fleet.offered(), 310);
    machine.books_agree();
    machine.verify();
}

#[test]
fn what_is_wrong_comes_back_with_line_and_column_and_changes_nothing() {
    let fleet = Fleet::start();
    let (boot, config) = (fleet.office.state()["boot"].clone(), fleet.config());
    let text = fleet.text();
    let line = |wanted: &str| text.lines().position(|line| line.starts_with(wanted)).unwrap() + 1;
    let rejected = |text: &str, says: &str| {
        let (well, lines) = fleet.applies(text);
        assert!(!well && lines.last().unwrap().contains(says) && lines.len() == 3, "{lines:?}: {says}");
        assert!(lines[2].starts_with(&format!("K0001 rejected: {}:", fleet.file().display())), "{lines:?}");
    };
    let place = format!(":{}:", line("qr_life"));
    rejected(&text.replace("qr_life = \"20s\"", "qr_life = \"20\""), &place);
    rejected("sells = all", ":1:9: a text needs straight quotes");
    rejected(&text.replace("id = \"K0001\"", "id = \"K0002\""), "`id` of [kiosk] is changed on the machine alone");
    let (well, lines) = fleet.sends("set-prices", r#"prices={"milk": 300}"#);
    let says = "K0001 rejected: there is no product `milk` in the configuration";
    assert_eq!((well, lines), (false, trail(says)));
    // Another role's key.
    let key = fleet.office.key("office.key");
    let (well, lines, _) =
        fleet.office.send_with(&["--kiosk", "K0001", "--sign", &key], &["set-prices", r#"prices={"cola": 1}"#]);
    assert!(!well && lines.last().unwrap().ends_with("who asks may not change the configuration"), "{lines:?}");
    assert_eq!((fleet.office.state()["boot"].clone(), fleet.config()), (boot, config));
    fleet.office.machine.verify();
}

/// There is no such board on the machine that runs this, which no check of a file can see.
fn on_another_board(text: &str) -> String {
    text.replacen("[board]\ndriver = \"simulated\"", "[board]\ndriver = \"gpiochip\"\ni2c = \"/dev/i2c-1\"", 1)
}

/// Other goods everywhere, and nothing of them is there.
fn with_nothing(text: &str) -> String {
    let mut changed = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().take(3).collect();
        let new = match words.as_slice() {
            ["id" | "product", "=", name]
                if line.starts_with(['i', 'p']) && name.starts_with('"') && !name.contains("K0001") =>
            {
                format!("{} = \"new-{}", words[0], &name[1..])
            }
            ["stock", "=", _] => "stock = 0".to_owned(),
            _ => line.to_owned(),
        };
        changed.push_str(&new);
        changed.push('\n');
    }
    changed
}

#[test]
fn with_what_it_can_not_sell_or_not_start_the_machine_goes_back_by_itself_and_says_why() {
    let fleet = Fleet::start();
    let machine = &fleet.office.machine;
    let before = fleet.text();
    let digest = fleet.digest(&before);
    let key = fleet.office.key("office.key");
    fleet.office.send_with(&["--kiosk", "K0001", "--sign", &key], &["set-stock", "slot=A1", "count=2"]);
    let sold_out = "K0001 failed: the kiosk could not sell with it: it is sold out";
    let bad = [
        (on_another_board(&before), "K0001 failed: the kiosk could not start with it: the board: ", "not-started"),
        (with_nothing(&before), sold_out, "cant-sell"),
    ];
    for (text, says, cause) in bad {
        let (well, lines) = fleet.applies(&text);
        assert!(!well && lines.last().unwrap().starts_with(says), "{lines:?}\n{}", machine.log());
        machine.until("attract");
        let config = fleet.config();
        assert_eq!((config["digest"].as_str(), config["origin"].as_str()), (Some(digest.as_str()), Some("file")));
        assert_eq!((&config["trial"], &config["rejected"]["cause"]), (&json!(false), &json!(cause)));
        assert_eq!(config["rejected"]["digest"], fleet.digest(&text));
        let stock = fleet.office.state()["stock"]["A1"].clone();
        assert_eq!((stock["product"].as_str(), stock["count"].as_u64()), (Some("cola"), Some(2)));
    }
    assert_eq!(fleet.offered(), 300);
    // And whoever sends a good one is heard.
    let good = before.replace("price = 300", "price = 310");
    assert_eq!(fleet.applies(&good), (true, trail("K0001 successful: done")), "{}", machine.log());
    fleet.until_config("no rejected configuration", |config| config["rejected"].is_null());
    machine.books_agree();
    machine.verify();
}

/// The plug is pulled three times while it is on trial: the fourth start is without it.
#[test]
fn a_trial_outlives_a_power_cut_and_not_three() {
    let fleet = Fleet::start();
    let machine = &fleet.office.machine;
    let nothing = with_nothing(&fleet.text()).replace("trial = \"20s\"", "trial = \"10min\"");
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| fleet.applies(&nothing));
        for _ in 0..3 {
            machine.wait("a trial", || (fleet.config()["trial"] == true).then_some(()));
            let boot = fleet.office.state()["boot"].clone();
            machine.world(json!({ "power": "cut" }));
            machine.wait("another run", || (fleet.office.state()["boot"] != boot).then_some(()));
        }
        let (well, lines) = sent.join().unwrap();
        let says = "K0001 failed: the kiosk could not start with it: it was started 3 times and did not stay up";
        assert!(!well && lines.last().unwrap() == says, "{lines:?}");
    });
    assert_eq!(fleet.offered(), 300);
    machine.verify();
}
