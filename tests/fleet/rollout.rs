//! Roll-outs, as a fleet manager types them, over simulated machines on a real broker. What each machine has done its own
//! ledger says.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use kioskd::ledger::{OperationLine, Reader};
use kioskd::operation::{Actor, Outcome};
use kioskd_tests::child::{Running, command};
use serde_json::Value;

use crate::kit::simulation::{Simulation, folder, hear, hear_how_it_goes, lines};
use crate::kit::{Mosquitto, PATIENCE, publish};

/// Machines that sell, their broker, and the office's folder.
struct Street {
    machines: usize,
    broker: Mosquitto,
    folder: tempfile::TempDir,
    simulation: Simulation,
}

impl Street {
    fn open(machines: usize, more: &[&str]) -> Self {
        let (broker, folder) = (Mosquitto::start(), folder());
        let simulation = Simulation::start(machines as u64, |simulation| {
            simulation.arg("--broker").arg(format!("mqtt://{}", broker.addr)).arg("--state").arg(folder.path());
            simulation.args(["--spread", "1"]).args(more);
        });
        hear(&simulation.said, "that all are connected", |line| {
            assert_eq!(line["dead"], 0, "{line}");
            line["said"] == "all-connected"
        });
        Self { machines, broker, folder, simulation }
    }

    fn at(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn names(&self) -> Vec<String> {
        (1..=self.machines).map(|number| format!("K{number:05}")).collect()
    }

    /// A plan over all machines; `more` are its lines beside them.
    fn plan(&self, name: &str, more: &str) -> PathBuf {
        self.plan_for(&self.names(), name, more)
    }

    fn plan_for(&self, names: &[String], name: &str, more: &str) -> PathBuf {
        let path = self.at(name);
        let names = serde_json::to_string(names).unwrap();
        let text = format!("fleet = \"sim\"\nkiosk_keys = \"keys/{{kiosk}}.pem\"\nmachines = {names}\n{more}\n");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn rollout(&self, plan: &Path, options: &[&str]) -> std::process::Command {
        let mut rollout = command(env!("CARGO_BIN_EXE_kioskfleet"));
        rollout.arg("rollout").arg(plan).arg("--broker").arg(format!("mqtt://{}", self.broker.addr));
        rollout.arg("--sign").arg(self.at("keys/office.key")).args(options);
        rollout
    }

    fn run(&self, plan: &Path, options: &[&str]) -> Told {
        Told::of(self.rollout(plan, options).output().unwrap())
    }

    /// What the office's key has asked of a machine, by its own ledger; the newest first.
    fn asked(&self, kiosk: &str) -> Vec<OperationLine> {
        let operations = Reader::open(&self.at(kiosk)).unwrap().operations(100).unwrap();
        operations.into_iter().filter(|line| matches!(line.by, Actor::Fleet { .. })).collect()
    }

    /// How often each machine was asked for a verb.
    fn counts(&self, verb: &str) -> Vec<usize> {
        let count = |kiosk: &String| self.asked(kiosk).iter().filter(|line| line.asked.verb() == verb).count();
        self.names().iter().map(count).collect()
    }
}

#[derive(Debug)]
struct Told {
    code: Option<i32>,
    lines: Vec<String>,
    errors: String,
}

impl Told {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let lines = text(output.stdout).lines().map(str::to_owned).collect();
        Self { code: output.status.code(), lines, errors: text(output.stderr) }
    }

    fn says(&self, line: &str) -> bool {
        self.lines.iter().any(|said| said == line)
    }
}

const LOCK: &str = r#"
verb = "lock"
arguments = { reason = "closed" }
undo = { verb = "unlock" }
waves = [2, "50%", "100%"]
soak = "1s"
timeout = "60s"
per_second = 200
"#;

#[test]
fn two_hundred_machines_are_changed_in_waves_and_changed_back() {
    let street = Street::open(200, &["--every", "10"]);
    let plan = street.plan("lock.toml", LOCK);
    let told = street.run(&plan, &[]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let wanted = [
        "200 machines in 3 waves",
        "wave 1 of 3: 2 machines",
        "wave 1: 2 of 2 successful",
        "wave 1: good",
        "wave 2 of 3: 98 machines",
        "wave 2: 98 of 98 successful",
        "wave 2: good",
        "wave 3 of 3: 100 machines",
        "wave 3: 100 of 100 successful",
        "wave 3: good",
        "complete",
    ];
    assert_eq!(told.lines, wanted);
    assert_eq!(street.counts("lock"), vec![1; 200]);
    // It is complete, and nothing is done again.
    assert_eq!(street.run(&plan, &[]).lines, ["complete"; 0]);
    let told = street.run(&plan, &["--undo"]);
    assert_eq!((told.code, told.says("complete")), (Some(0), true), "{told:?}");
    assert_eq!((street.counts("lock"), street.counts("unlock")), (vec![1; 200], vec![1; 200]));
    assert_eq!(street.run(&plan, &["--undo"]).lines, ["there is nothing to undo"]);
    let told = street.run(&plan, &[]);
    assert!(told.code == Some(1) && told.errors.contains("is being undone"), "{told:?}");
    // Everybody sells again.
    let before = hear_how_it_goes(&street.simulation.said)["sold"].as_u64().unwrap();
    hear(&street.simulation.said, "sales", |line| line["sold"].as_u64().is_some_and(|sold| sold > before + 20));
}

#[test]
fn silence_halts_the_first_wave_and_is_named() {
    let street = Street::open(40, &["--silent", "60", "--every", "1000"]);
    let waves = LOCK.replace("[2, \"50%\", \"100%\"]", "[10, \"100%\"]").replace("60s", "15s");
    let told = street.run(&street.plan("lock.toml", &waves), &[]);
    assert!(told.code == Some(1) && told.errors.contains("has halted"), "{told:?}");
    let done: Vec<String> = street.names().into_iter().filter(|kiosk| !street.asked(kiosk).is_empty()).collect();
    let silent: Vec<String> = street.names()[..10].iter().filter(|kiosk| !done.contains(kiosk)).cloned().collect();
    assert!(done.iter().all(|kiosk| street.names()[..10].contains(kiosk)), "nobody of the second wave: {done:?}");
    assert!((2..10).contains(&silent.len()), "{silent:?}");
    for kiosk in &silent {
        assert!(told.says(&format!("{kiosk} silent")), "{kiosk} is not named: {told:?}");
    }
    let halted = format!("halted in wave 1: {} of 10 machines can be successful at most, 10 must be", done.len());
    assert!(told.says(&halted), "{halted}: {told:?}");
    assert!(!told.lines.iter().any(|line| line.starts_with("wave 2")), "{told:?}");
}

#[test]
fn what_machines_reject_halts_it_with_their_reason() {
    let street = Street::open(20, &["--every", "1000"]);
    let plan = "verb = \"set-stock\"\narguments = { slot = \"Z9\", count = 1 }\nwaves = [15, \"100%\"]\nper_second = 1";
    let told = street.run(&street.plan("stock.toml", plan), &[]);
    assert_eq!(told.code, Some(1), "{told:?}");
    let named = told.lines.iter().filter(|line| line.contains("rejected: there is no such slot")).count();
    // One is asked a second, and the first says no long before the next is asked.
    assert!((1..15).contains(&named), "{told:?}");
    assert_eq!(
        street.counts("set-stock").iter().sum::<usize>(),
        named,
        "who was not asked is not asked after the halt"
    );
}

/// The first wave has ten machines. Each has a file of its own, and `bad` makes it of the one that it has.
fn configure(street: &Street, names: &[String], name: &str, bad: impl Fn(&str) -> String) -> PathBuf {
    let folder = street.at(&format!("{name}-files"));
    std::fs::create_dir_all(&folder).unwrap();
    for kiosk in names {
        let now = std::fs::read_to_string(street.at(kiosk).join("kiosk.toml")).unwrap();
        std::fs::write(folder.join(format!("{kiosk}.toml")), bad(&now)).unwrap();
        std::fs::write(folder.join(format!("{kiosk}.old.toml")), now).unwrap();
    }
    let plan = format!(
        "verb = \"apply-config\"\narguments = {{ config = \"@{name}-files/{{kiosk}}.toml\" }}\n\
         undo = {{ verb = \"apply-config\", arguments = {{ config = \"@{name}-files/{{kiosk}}.old.toml\" }} }}\n\
         waves = [10, \"100%\"]\nsoak = \"1s\"\ntimeout = \"40s\"\nper_second = 100\n"
    );
    street.plan_for(names, &format!("{name}.toml"), &plan)
}

/// The rollout has halted in the first wave, whose machines say why; everybody sells by what they had before.
fn halts_and_goes_back(street: &Street, name: &str, bad: impl Fn(&str) -> String, why: &str) {
    let plan = configure(street, &street.names(), name, bad);
    let told = street.run(&plan, &[]);
    assert_eq!(told.code, Some(1), "{told:?}");
    let halted = told.lines.iter().any(|line| line.starts_with("halted in wave 1"));
    let named: Vec<&String> = told.lines.iter().filter(|line| line.contains(why)).collect();
    assert!(halted && !named.is_empty(), "{told:?}");
    let asked = street.names().iter().map(|kiosk| street.asked(kiosk).len()).collect::<Vec<_>>();
    assert!(asked[10..].iter().all(|count| *count == asked[199]), "nobody of the second wave: {asked:?}");
    // Those that had not ended when it halted go back as well, and all ten sell again after that.
    let sells_again = |kiosk: &str| {
        let table = Reader::open(&street.at(kiosk)).unwrap().orders(1_000).unwrap();
        table["orders"].as_array().map_or(0, Vec::len)
    };
    let settled = |kiosk: &String| {
        let stored = Reader::open(&street.at(kiosk)).unwrap().configurations().unwrap();
        stored.rejected.is_some() && stored.trial.is_none() && stored.kept.is_none()
    };
    let first = &street.names()[..10];
    kioskd_tests::wait_for("that all have gone back", PATIENCE, || first.iter().all(settled).then_some(()));
    let before: Vec<usize> = first.iter().map(|kiosk| sells_again(kiosk)).collect();
    kioskd_tests::wait_for("that all sell again", PATIENCE, || {
        first.iter().zip(&before).all(|(kiosk, before)| sells_again(kiosk) > *before).then_some(())
    });
    let line = hear_how_it_goes(&street.simulation.said);
    assert_eq!(line["dead"], 0, "{line}");
}

#[test]
fn a_configuration_with_which_machines_cannot_sell_or_start_stops_in_the_first_wave_and_they_go_back() {
    let street = Street::open(200, &["--every", "5"]);
    let no_board = |now: &str| {
        now.replace("[board]\ndriver = \"simulated\"", "[board]\ndriver = \"gpiochip\"\ni2c = \"/dev/i2c-1\"")
    };
    halts_and_goes_back(&street, "no-board", no_board, "could not start with it");
    // Other goods, and nothing of them is there.
    let sold_out = |now: &str| {
        let now = now.replace("\"cola\"", "\"soda\"").replace("\"tea\"", "\"milk\"").replace("stock = 20", "stock = 0");
        now.replace("[fleet]\n", "[fleet]\ntrial = \"3s\"\n")
    };
    halts_and_goes_back(&street, "sold-out", sold_out, "could not sell with it");
}

#[test]
fn a_good_configuration_is_kept_and_undone_with_what_each_machine_had() {
    let street = Street::open(20, &["--every", "1000"]);
    let plan = configure(&street, &street.names(), "good", |now| now.replace("price = 300", "price = 310"));
    let told = street.run(&plan, &[]);
    assert_eq!((told.code, told.says("wave 2: 10 of 10 successful")), (Some(0), true), "{told:?}");
    let changed = || {
        let kept = |kiosk: &String| Reader::open(&street.at(kiosk)).unwrap().configurations().unwrap().kept;
        street.names().iter().filter(|kiosk| kept(kiosk).unwrap().text.as_str().contains("price = 310")).count()
    };
    assert_eq!(changed(), 20);
    let told = street.run(&plan, &["--undo"]);
    assert_eq!((told.code, told.says("complete")), (Some(0), true), "{told:?}");
    assert_eq!(changed(), 0);
}

#[test]
fn a_rollout_that_was_killed_goes_on_and_each_machine_does_it_once() {
    let street = Street::open(60, &["--every", "1000"]);
    let plan = street.plan("lock.toml", &LOCK.replace("[2, \"50%\", \"100%\"]", "[\"100%\"]").replace("= 200", "= 5"));
    for killed_after in [5, 10] {
        let mut rollout = Running::start(street.rollout(&plan, &["--json"]).stdout(Stdio::piped()));
        let said = lines(&mut rollout);
        for _ in 0..killed_after {
            hear(&said, "a success", |line| line["end"] == "successful");
        }
        // SIGKILL, with commands on their way.
        rollout.end();
    }
    let state = std::fs::read_to_string(street.at("lock.toml.state")).unwrap();
    let written = |word: &str| state.lines().filter(|line| line.contains(word)).count();
    assert!(written("successful") >= 15 && written("\"sent\"") < 60, "it was killed in mid-wave:\n{state}");
    let told = street.run(&plan, &[]);
    assert!(told.code == Some(0) && told.says("wave 1: 60 of 60 successful"), "{told:?}");
    assert_eq!(street.counts("lock"), vec![1; 60]);
    let locked = |line: &OperationLine| matches!(line.outcome, Some(Outcome::Changed { .. }));
    assert!(street.names().iter().all(|kiosk| street.asked(kiosk).iter().all(locked)));
    // Another plan under the same name is not this one.
    let other = street.plan("lock.toml", &LOCK.replace("closed", "opened"));
    assert!(street.run(&other, &[]).errors.contains("is another than when this rollout began"));
}

#[test]
fn it_waits_for_a_second_person_for_its_hour_and_for_the_word_to_go_on() {
    let street = Street::open(4, &["--every", "1000"]);
    let more = "pause_after_each_wave = true\napproval = { keys = { office-2 = \"keys/office-2.pem\" } }";
    let plan = street.plan("lock.toml", &format!("{LOCK}{more}"));
    let told = street.run(&plan, &[]);
    assert!(told.code == Some(1) && told.errors.contains("another person types `kioskfleet approve`"), "{told:?}");
    let mut approve = command(env!("CARGO_BIN_EXE_kioskfleet"));
    let approved =
        approve.arg("approve").arg(&plan).arg("--sign").arg(street.at("keys/office-2.key")).output().unwrap();
    assert!(approved.status.success(), "{approved:?}");
    let told = street.run(&plan, &[]);
    assert_eq!((told.code, told.says("approved by office-2")), (Some(3), true), "{told:?}");
    assert!(told.lines.last().unwrap().starts_with("paused after wave 1"), "{told:?}");
    assert_eq!(street.run(&plan, &[]).code, Some(3), "it is paused still");
    let told = street.run(&plan, &["--continue"]);
    assert_eq!((told.code, told.says("complete")), (Some(0), true), "two waves of two: {told:?}");
    assert_eq!(street.counts("lock"), vec![1; 4]);
    // An hour that is not now.
    let hour = hour_of_the_day() + 2;
    let window = format!("{LOCK}window = \"{:02}:00-{:02}:00\"\n", hour % 24, (hour + 1) % 24);
    let plan = street.plan("later.toml", &window.replace("closed", "later"));
    let mut rollout = Running::start(street.rollout(&plan, &["--json"]).stdout(Stdio::piped()));
    let said = lines(&mut rollout);
    hear(&said, "that it has begun", |line| line["said"] == "begun");
    // What it would do it would do at once.
    assert!(said.recv_timeout(std::time::Duration::from_secs(2)).is_err(), "no wave begins");
    assert_eq!(street.counts("lock"), vec![1; 4]);
}

/// Of the day, in UTC.
fn hour_of_the_day() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_secs() / 3_600 % 24
}

#[test]
fn machines_that_sell_no_more_halt_it_in_their_soak() {
    let street = Street::open(100, &["--every", "2"]);
    let plan = LOCK.replace("[2, \"50%\", \"100%\"]", "[20, \"100%\"]").replace("soak = \"1s\"", "soak = \"12s\"");
    let told = street.run(&street.plan("lock.toml", &format!("{plan}sales_drop = 50\n")), &[]);
    let halted = told.lines.iter().any(|line| line.starts_with("halted in wave 1: its machines have sold"));
    assert!(told.code == Some(1) && halted, "{told:?}");
    assert_eq!(street.counts("lock").iter().sum::<usize>(), 20);
}

#[test]
fn whoever_is_online_is_meant_where_nobody_is_listed() {
    let street = Street::open(3, &["--every", "1000"]);
    let path = street.at("online.toml");
    let listed = format!("fleet = \"sim\"\nmachines = \"online\"\n{LOCK}");
    std::fs::write(&path, listed).unwrap();
    // One comes and goes all the time, as somebody always does in a large fleet.
    let (over, broker) = (AtomicBool::new(false), street.broker.addr);
    let told = std::thread::scope(|scope| {
        scope.spawn(|| {
            let begun = Instant::now();
            while !over.load(Ordering::SeqCst) {
                assert!(begun.elapsed() < PATIENCE, "it waits until nobody comes or goes");
                publish(broker, "kiosk/v1/sim/K9/presence", &["-q", "1"], b"offline");
            }
        });
        let told = street.run(&path, &[]);
        over.store(true, Ordering::SeqCst);
        told
    });
    assert_eq!((told.code, told.lines[0].as_str()), (Some(0), "3 machines in 2 waves"), "{told:?}");
    assert_eq!(street.counts("lock"), vec![1; 3]);
}

#[test]
fn a_simulated_fleet_sells_through_mishaps_and_its_ledgers_hold() {
    let mut street =
        Street::open(20, &["--every", "3", "--jams", "10", "--cuts", "120", "--losses", "60", "--seed", "7"]);
    hear(&street.simulation.said, "power cuts and sales", |line| {
        line["cuts"].as_u64() > Some(3) && line["losses"].as_u64() > Some(2) && line["sold"].as_u64() > Some(50)
    });
    street.broker.restart();
    let after = hear_how_it_goes(&street.simulation.said)["sold"].as_u64().unwrap();
    let line = hear(&street.simulation.said, "sales without a stop", |line| line["sold"].as_u64() > Some(after + 20));
    assert_eq!((&line["failed"], &line["dead"]), (&Value::from(0), &Value::from(0)), "{line}");
    for kiosk in street.names() {
        kioskd_tests::wait_for(&format!("an order of {kiosk}, in a whole ledger"), PATIENCE, || {
            (Reader::open(&street.at(&kiosk)).unwrap().verify().unwrap().orders > 0).then_some(())
        });
    }
}
