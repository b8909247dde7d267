//! The machine's own bus, with the policy that ships, for people who have come in over ssh: who may call what, that a call
//! starts a kiosk, and the login banner.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Output;

use crate::guest::{OUTSIDE, Street, run, until};
use crate::ssh::by;
use crate::troubles::CONFIG;
use kioskd_tests::child::command;

const NAME: &str = "org.kioskd.Kiosk1";
const OBJECT: &str = "/org/kioskd/Kiosk1";
const INTERFACES: &str = "/usr/share/dbus-1/interfaces/org.kioskd.Kiosk1.xml";
pub const BANNER: &str = "/run/motd.d/kioskd";

/// Who calls: their user, and whether they may.
pub const CALLERS: [(&str, bool); 3] = [("root", true), ("technician", true), ("stranger", false)];

struct Method {
    interface: String,
    name: String,
    /// The types of its arguments, and values that ask for nothing that is there.
    signature: String,
    arguments: Vec<String>,
}

impl Street {
    pub fn bus(&mut self) {
        let sells = until("a banner", || fs::read_to_string(BANNER).ok().filter(|text| text.contains("K0001")));
        assert_eq!(sells.lines().count(), 5, "{sells}");
        // Polkit is asked, too. As it ships, a technician may move nothing and decide about no money.
        let right = fs::read_to_string(CONFIG).unwrap();
        fs::write(CONFIG, format!("{right}\n[dbus]\npolkit = true\n")).unwrap();
        run("systemctl", &["restart", "kioskd"]);
        until("a kiosk that asks polkit", || by("root", &["kioskctl", "status"]).status.success().then_some(()));
        let methods = methods(&fs::read_to_string(INTERFACES).unwrap());
        assert!(methods.len() > 10);
        let guarded = guarded();
        let mut table = String::from("| method | root | technician | stranger |\n|---|---|---|---|\n");
        for method in &methods {
            table += &format!("| `{}`", method.name);
            for (user, may) in CALLERS {
                // Whoever may do it does it.
                if method.name == "Reboot" && may {
                    table += " | not tried";
                    continue;
                }
                let told = call(user, method);
                let says = String::from_utf8_lossy(&told.stderr);
                let let_in = told.status.success() || !says.contains("Access denied");
                assert_eq!(let_in, may, "{} by {user}: {told:?}", method.name);
                let asked = says.contains("polkit wants somebody to authenticate for this");
                let asks = user == "technician" && guarded.contains(&method.name.as_str());
                assert_eq!(asked, asks, "{} by {user}: {told:?}", method.name);
                let answer =
                    if told.status.success() { "done" } else { says.trim().trim_start_matches("Call failed: ") };
                table += &format!(" | {answer}");
            }
            table += " |\n";
        }
        fs::write(Path::new(OUTSIDE).join("bus.md"), &table).unwrap();
        for (user, may) in CALLERS {
            let told = by(user, &["kioskctl", "status"]);
            assert_eq!(told.status.code() != Some(2), may, "kioskctl by {user}: {told:?}");
        }

        self.polkit();
        fs::write(CONFIG, right).unwrap();

        // Who calls a kiosk that was stopped starts it; until then the banner says that none runs.
        run("systemctl", &["stop", "kioskd"]);
        let banner = fs::read_to_string(BANNER).unwrap();
        assert!(banner.starts_with("kioskd does not run"), "{banner}");
        let totals = methods.iter().find(|method| method.name == "Totals").unwrap();
        let told = call("technician", totals);
        assert!(told.status.success(), "{told:?}");
        until("a kiosk that was called", || {
            let active = command("systemctl").args(["is-active", "--quiet", "kioskd"]).status().unwrap();
            active.success().then_some(())
        });
        until("a banner of a kiosk that runs", || {
            fs::read_to_string(BANNER).ok().filter(|text| text.contains("K0001")).map(drop)
        });
    }
}

/// The methods about which polkit is asked, as the paper has them.
fn guarded() -> Vec<&'static str> {
    let paper = include_str!("../../docs/dbus.md");
    let rows = paper.lines().filter(|line| line.starts_with("| `org.kioskd."));
    let methods: Vec<_> = rows.flat_map(|row| row.split('`').skip(3).step_by(2)).collect();
    assert!(methods.contains(&"Vend"), "{methods:?}");
    methods
}

/// The rule of the paper, as somebody would copy it.
fn rule() -> &'static str {
    let paper = include_str!("../../docs/dbus.md");
    paper.split("```js\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a rule in docs/dbus.md")
}

impl Street {
    /// By the paper's rule technicians may move things, and decide about no money. Nobody waits for a polkit that is away.
    fn polkit(&mut self) {
        let says = |user: &str, words: &[&str]| {
            let told = by(user, &[&["busctl", "call", NAME, OBJECT, "org.kioskd.Kiosk1.Service"], words].concat());
            String::from_utf8([told.stdout, told.stderr].concat()).unwrap()
        };
        let (vend, no_slot) = (["TestVend", "s", "Z9"], "there is no such slot");
        let heard = |user: &str, words: &[&str], wanted: &str| {
            let mut last = String::new();
            until(&format!("{user} {words:?}: {wanted}"), || {
                last = says(user, words);
                tell_outside(&format!("{user} {words:?}: {last}"));
                last.contains(wanted).then_some(())
            });
        };
        heard("root", &vend, no_slot);
        heard("technician", &["Lock", "s", "cleaning"], "b true");
        heard("technician", &["Unlock"], "b true");
        heard("technician", &vend, "polkit wants somebody to authenticate for this");
        fs::write("/etc/polkit-1/rules.d/50-kioskd.rules", rule()).unwrap();
        heard("technician", &vend, no_slot);
        heard("technician", &["CashUp"], "polkit wants somebody to authenticate for this");
        heard("stranger", &vend, "Access denied");
        run("systemctl", &["mask", "--runtime", "--now", "polkit"]);
        heard("technician", &vend, "polkit can't be asked (");
        heard("root", &vend, no_slot);
        run("systemctl", &["unmask", "--runtime", "polkit"]);
    }
}

fn tell_outside(line: &str) {
    let file = OpenOptions::new().create(true).append(true).open(Path::new(OUTSIDE).join("polkit"));
    writeln!(file.unwrap(), "{}", line.trim()).unwrap();
}

fn call(user: &str, method: &Method) -> Output {
    let mut words = vec!["busctl", "--system", "call", NAME, OBJECT, &method.interface, &method.name];
    if !method.signature.is_empty() {
        words.push(&method.signature);
    }
    words.extend(method.arguments.iter().map(String::as_str));
    by(user, &words)
}

/// Ours, in the order of the file.
fn methods(xml: &str) -> Vec<Method> {
    let value = |line: &str, key: &str| {
        let begin = line.split_once(&format!("{key}=\"")).map(|(_, rest)| rest);
        begin.and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
    };
    let (mut methods, mut interface) = (Vec::<Method>::new(), String::new());
    for line in xml.lines().map(str::trim) {
        if line.starts_with("<interface ") {
            interface = value(line, "name");
        } else if line.starts_with("<method ") && interface.starts_with(NAME) {
            let (name, interface) = (value(line, "name"), interface.clone());
            methods.push(Method { interface, name, signature: String::new(), arguments: Vec::new() });
        } else if line.starts_with("<arg ") && value(line, "direction") == "in" && interface.starts_with(NAME) {
            let (name, kind) = (value(line, "name"), value(line, "type"));
            let argument = match (kind.as_str(), name.as_str()) {
                ("b", _) => "false",
                ("u", "limit") => "5",
                ("u", _) => "999",
                // One, for busctl wants to know how many.
                ("as", _) => "1 Z9",
                // Which has no checks.
                ("a(sss)", _) => "0",
                ("a{su}", _) => "1 Z9 1",
                (_, "order") => "01M82V7M000000000000000007",
                (_, "how") => "refund",
                (_, "slot" | "outlet") => "Z9",
                (_, "ticket") => "03-0004567-9",
                _ => "nothing",
            };
            let method = methods.last_mut().unwrap();
            method.signature += &kind;
            method.arguments.extend(argument.split(' ').map(str::to_owned));
        }
    }
    methods
}
