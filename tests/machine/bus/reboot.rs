//! A restart of the board: in the demo by its world, on a board by logind. A stand-in for logind, on the test's own bus, writes
//! down what it is asked.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::kit::{Bus, TECHNICIAN};
use super::{SERVICE, kioskctl, operations, start};
use kioskd_tests::child::command;
use kioskd_tests::machine::{Machine, Setup};

#[derive(Default)]
struct Desk {
    says: &'static str,
    /// What the newest operation had come to, on disk, when each restart was asked for, and whether a person may be asked for a
    /// password.
    reboots: Vec<(Option<String>, bool)>,
    ledger: PathBuf,
}

struct Manager(Arc<Mutex<Desk>>);

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn can_reboot(&self) -> String {
        self.0.lock().unwrap().says.to_owned()
    }

    fn reboot(&self, interactive: bool) {
        let mut desk = self.0.lock().unwrap();
        let ledger = rusqlite::Connection::open(&desk.ledger).unwrap();
        let newest = "SELECT json_extract(body, '$.outcome.result') FROM record \
                      WHERE kind IN ('operation-begun', 'operation-ended') ORDER BY seq DESC LIMIT 1";
        let outcome = ledger.query_row(newest, [], |row| row.get(0)).unwrap();
        desk.reboots.push((outcome, interactive));
    }
}

/// Dropped, it has left the bus.
struct Logind {
    desk: Arc<Mutex<Desk>>,
    _runtime: tokio::runtime::Runtime,
    _connection: zbus::Connection,
}

impl Logind {
    fn start(bus: &Bus, machine: &Machine) -> Self {
        let desk = Desk { says: "no", reboots: Vec::new(), ledger: machine.state.join("kiosk.db") };
        let desk = Arc::new(Mutex::new(desk));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let connection = runtime.block_on(async {
            let builder = zbus::connection::Builder::address(bus.address().as_str());
            let builder = builder.serve_at("/org/freedesktop/login1", Manager(Arc::clone(&desk)));
            builder.name("org.freedesktop.login1").build().await.unwrap()
        });
        Self { desk, _runtime: runtime, _connection: connection }
    }
}

#[test]
fn the_demo_is_restarted_and_whoever_asked_has_heard_it() {
    let bus = Bus::start();
    let machine = start(&bus);
    let boot = bus.property("Status", "Boot").unwrap();
    let (code, _, says) = kioskctl(&bus, &["reboot"]);
    assert_eq!((code, says.as_str()), (Some(2), "kioskctl: nobody can be asked whether it is meant; write --yes"));
    assert_eq!(operations(&machine).len(), 0);

    machine.offer(&["cola"]);
    let says = bus.call_by(TECHNICIAN, SERVICE, "Reboot", &[]).unwrap_err();
    assert_eq!(says, "Call failed: Refused to restart the board: a sale is under way; ask again when it is over");
    machine.tap("cancel");
    machine.until_any(&["cancelled", "attract"]);
    machine.tap("done");
    machine.until("attract");

    assert_eq!(kioskctl(&bus, &["reboot", "--yes"]), (Some(0), "the board restarts".into(), String::new()));
    bus.wait_property("Status", "Boot", |now| *now != boot);
    bus.wait_property("Status", "Selling", |selling| *selling == true);
    machine.until("attract");
    let all = operations(&machine);
    let results: Vec<&Value> = all.iter().map(|line| &line["outcome"]["result"]).collect();
    assert_eq!(results, [&json!("changed"), &json!("refused")]);
    assert_eq!(machine.get("/api/world")["kiosk"]["starts"], 2);
    machine.verify();
}

#[test]
fn logind_is_asked_whether_it_can_be_done_before_anybody_is_promised_it() {
    let bus = Bus::with_logind();
    let setup = bus.setup();
    let mut config = setup.config.clone();
    config.push(("heartbeat = \"200ms\"", "heartbeat = \"200ms\"\nreboot = \"logind\""));
    let machine = Machine::start(&Setup { config, ..setup });
    bus.wait_property("Status", "Selling", |selling| *selling == true);
    let failed = |says: &str| {
        let (code, _, told) = kioskctl(&bus, &["reboot", "--yes"]);
        assert!(code == Some(1) && told.starts_with("kioskctl: Failed to restart the board: "), "{told}");
        assert!(told.contains(says), "{told}");
        assert_eq!(operations(&machine)[0]["outcome"]["why"]["cause"], "no-reboot");
        assert_eq!(machine.get("/api/state")["selling"], true);
    };
    failed("look at systemctl status systemd-logind");
    let logind = Logind::start(&bus, &machine);
    for (says, told) in [
        ("no", "whether kioskd-reboot.rules is installed"),
        ("challenge", "it says `challenge`"),
        ("inhibitor-blocked", "systemd-inhibit --list names it"),
        ("na", "this machine can't be restarted by a program"),
    ] {
        logind.desk.lock().unwrap().says = says;
        failed(told);
    }
    assert_eq!(logind.desk.lock().unwrap().reboots, []);

    logind.desk.lock().unwrap().says = "yes";
    let id = operations(&machine).len();
    assert_eq!(kioskctl(&bus, &["--json", "reboot", "--yes"]).1, "{\n  \"changed\": true\n}");
    machine.until("out-of-service");
    assert_eq!(bus.property("Status", "Reasons"), Some(json!([["locked", "it is locked: the board is restarted"]])));
    let asked =
        machine.wait("logind", || Some(logind.desk.lock().unwrap().reboots.clone()).filter(|all| !all.is_empty()));
    let on_disk = Some("changed".to_owned());
    assert_eq!(asked, [(on_disk, false)], "what came of it is on disk before, and nobody is asked for a password");
    assert_eq!(operations(&machine).len(), id + 1);
}

/// What polkit would read the rule to say of a user and an action.
const POLKIT: &str = r#"
let rules = [];
globalThis.polkit = { addRule: rule => rules.push(rule), Result: { YES: "yes" } };
eval(require("fs").readFileSync(process.argv[1], "utf8"));
for (const user of ["kioskd", "root", "technician"])
    for (const id of ["reboot", "reboot-multiple-sessions", "reboot-ignore-inhibit", "power-off", "reboot-more"])
        for (const rule of rules)
            if (rule({ id: "org.freedesktop.login1." + id }, { user }) !== undefined) console.log(user, id);
"#;

/// The rule that is shipped lets the kiosk's user restart the board, and nothing else and nobody else.
#[test]
fn the_shipped_rule_is_for_the_kiosk_and_the_restart_alone() {
    let rule = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/kioskd-reboot.rules");
    let told = command("node").args(["-e", POLKIT, rule]).output().unwrap();
    assert!(told.status.success(), "{told:?}");
    assert_eq!(String::from_utf8(told.stdout).unwrap(), "kioskd reboot\nkioskd reboot-multiple-sessions\n");
}
