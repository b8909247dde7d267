//! `[dbus] polkit`: who may move something or decide about money is for polkit to say. A stand-in for it, on the test's
//! own bus, writes down what it is asked.

use std::collections::HashMap;
use std::io::{Seek, Write};
use std::sync::{Arc, Mutex};

use serde_json::json;
use zbus::OwnedVariant;

use super::kit::{Bus, TECHNICIAN};
use super::{SERVICE, operations};
use kioskd_tests::machine::{Machine, Setup};

/// What it says of each action.
#[derive(Debug, Clone, Copy)]
enum Says {
    Yes,
    No,
    /// If somebody typed a password.
    Challenge,
}

/// An action that it was asked about, who wants it, and whether a person may be asked.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    action: String,
    caller: String,
    interactive: bool,
}

#[derive(Default)]
struct Desk {
    asked: Vec<Asked>,
    says: HashMap<&'static str, Says>,
}

/// Whether it is allowed, whether a password would help, and details.
type Answer = (bool, bool, HashMap<String, String>);

struct Authority(Arc<Mutex<Desk>>);

#[zbus::interface(name = "org.freedesktop.PolicyKit1.Authority")]
impl Authority {
    #[zbus(out_args("result"))]
    fn check_authorization(
        &self,
        subject: (String, HashMap<String, OwnedVariant>),
        action: String,
        details: HashMap<String, String>,
        flags: u32,
        cancel: String,
    ) -> zbus::fdo::Result<(Answer,)> {
        let (kind, mut subject) = subject;
        assert!(kind == "system-bus-name" && details.is_empty() && cancel.is_empty() && flags < 2);
        let caller = String::try_from(subject.remove("name").unwrap()).unwrap();
        let mut desk = self.0.lock().unwrap();
        let Some(says) = desk.says.iter().find(|(known, _)| **known == action).map(|(_, says)| *says) else {
            return Err(zbus::fdo::Error::Failed(format!("Action {action} is not registered")));
        };
        desk.asked.push(Asked { action, caller, interactive: flags == 1 });
        Ok(((matches!(says, Says::Yes), matches!(says, Says::Challenge), HashMap::new()),))
    }
}

/// Dropped, it has left the bus.
struct Polkit {
    desk: Arc<Mutex<Desk>>,
    _runtime: tokio::runtime::Runtime,
    _connection: zbus::Connection,
}

impl Polkit {
    fn start(bus: &Bus) -> Self {
        let desk = Arc::new(Mutex::new(Desk::default()));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let connection = runtime.block_on(async {
            let builder = zbus::connection::Builder::address(bus.address().as_str());
            let builder = builder.serve_at("/org/freedesktop/PolicyKit1/Authority", Authority(Arc::clone(&desk)));
            builder.name("org.freedesktop.PolicyKit1").build().await.unwrap()
        });
        Self { desk, _runtime: runtime, _connection: connection }
    }

    fn says(&self, motion: Says, money: Says) {
        let says = [("org.kioskd.motion", motion), ("org.kioskd.money", money)];
        self.desk.lock().unwrap().says = says.into();
    }

    /// The actions that it was asked about since.
    fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.desk.lock().unwrap().asked)
    }
}

fn start(bus: &Bus) -> Machine {
    let setup = bus.setup();
    let mut config = setup.config.clone();
    config[0].1 = "bus = \"system\"\npolkit = true";
    let machine = Machine::start(&Setup { config, ..setup });
    bus.wait_property("Status", "Selling", |selling| *selling == true);
    machine
}

#[test]
fn polkit_decides_about_motion_and_money_and_nothing_else() {
    let bus = Bus::with_polkit();
    let machine = start(&bus);
    let call = |method, arguments: &[&str]| bus.call_by(TECHNICIAN, SERVICE, method, arguments);

    // It is not there: nothing is done, and nothing is on record.
    let says = call("CashUp", &[]).unwrap_err();
    assert!(
        says.starts_with("Call failed: Nothing was done: [dbus] polkit is on, and polkit can't be asked ("),
        "{says}"
    );
    assert!(says.ends_with("call as root, or leave [dbus] polkit out of the configuration"), "{says}");
    assert_eq!(call("Maintenance", &["b", "false"]), Ok("b false".into()), "the bus's own policy is enough");
    assert_eq!(bus.call(SERVICE, "CashUp", &[]), Ok("u 1".into()), "about root nobody is asked");
    assert_eq!(operations(&machine).len(), 2);

    // What it does not know it does not allow.
    let polkit = Polkit::start(&bus);
    let says = call("Pulse", &["s", "A1"]).unwrap_err();
    assert!(says.contains("Action org.kioskd.motion is not registered"), "{says}");
    assert_eq!(operations(&machine).len(), 2);

    polkit.says(Says::Yes, Says::No);
    let says = call("Pulse", &["s", "A1"]).unwrap_err();
    assert!(says.contains("the kiosk is not in maintenance"), "polkit has let it pass: {says}");
    let says = call("CashUp", &[]).unwrap_err();
    assert_eq!(says, "Call failed: Refused to cash up: who asks may not decide about money");
    let says = call("Vend", &["s", "cola"]).unwrap_err();
    assert_eq!(says, "Call failed: Refused to give away one cola: who asks may not decide about money");
    let actions: Vec<String> = polkit.asked().into_iter().map(|asked| asked.action).collect();
    let [motion, money] = ["org.kioskd.motion", "org.kioskd.money"].map(str::to_owned);
    assert_eq!(actions, [motion.clone(), money.clone(), motion.clone(), money.clone()]);
    assert_eq!(operations(&machine).len(), 5, "a refusal is on record");
    let newest = &operations(&machine)[0];
    assert_eq!(newest["by"], json!({ "actor": "technician", "uid": 65_534 }));
    assert_eq!(newest["outcome"]["why"], json!({ "refusal": "no-right", "right": "money" }));
    assert_eq!(machine.dropped(), 0);

    // The wiring test does not take that for a broken relay, and leaves no maintenance behind.
    polkit.says(Says::No, Says::No);
    let mut answers = tempfile::tempfile().unwrap();
    answers.write_all(b"y\ny\n").unwrap();
    answers.rewind().unwrap();
    let mut kioskctl = bus.program_by(TECHNICIAN, env!("CARGO_BIN_EXE_kioskctl"));
    let told = kioskctl.arg("test").stdin(answers).output().unwrap();
    let (says, complaint) = (String::from_utf8(told.stdout).unwrap(), String::from_utf8(told.stderr).unwrap());
    assert!(
        complaint.ends_with("Refused to energise the relay of A1: who asks may not move anything\n"),
        "{complaint}"
    );
    assert!(says.ends_with("maintenance has ended\n") && !says.contains("wrong    relay"), "{says}");
    assert_eq!(told.status.code(), Some(1));
    let on_record = operations(&machine).len();
    assert_eq!(on_record, 8);
    polkit.asked();

    // Somebody would have to type a password.
    polkit.says(Says::Challenge, Says::Challenge);
    let says = call("TestVend", &["s", "A1"]).unwrap_err();
    assert!(
        says.starts_with("Call failed: Nothing was done: polkit wants somebody to authenticate for this"),
        "{says}"
    );
    let name = |words: &[&str]| bus.error_name(TECHNICIAN, SERVICE, words);
    assert_eq!(name(&["TestVend", "string:A1"]), "org.kioskd.Kiosk1.Error.AuthenticationNeeded");
    let asked = polkit.asked();
    // busctl lets a person be asked, dbus-send does not; and each caller has a name of their own.
    assert_eq!(asked.iter().map(|asked| asked.interactive).collect::<Vec<_>>(), [true, false]);
    assert!(asked.iter().all(|asked| asked.caller.starts_with(':')) && asked[0].caller != asked[1].caller, "{asked:?}");
    assert_eq!(operations(&machine).len(), on_record);

    polkit.says(Says::Yes, Says::Yes);
    assert!(call("TestVend", &["s", "A1"]).unwrap().starts_with("s \""));
    machine.until_state("delivered");
    assert_eq!(machine.dropped(), 1);
    drop(polkit);
    assert_eq!(name(&["CashUp"]), "org.kioskd.Kiosk1.Error.NoPolkit");
    machine.verify();
}

/// The actions that are shipped are those that are asked about, and the kiosk may ask about others.
#[test]
fn the_shipped_actions_are_owned_by_the_kiosk() {
    let policy = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/org.kioskd.policy")).unwrap();
    let actions: Vec<&str> = policy.split("<action id=\"").skip(1).collect();
    assert_eq!(actions.len(), 2);
    for (action, id) in actions.iter().zip(["org.kioskd.motion", "org.kioskd.money"]) {
        assert!(action.starts_with(&format!("{id}\"")), "{action}");
        assert!(action.contains("<annotate key=\"org.freedesktop.policykit.owner\">unix-user:kioskd</annotate>"));
        assert!(!action.contains(">yes<"), "{action}");
    }
}
