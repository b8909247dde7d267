//! The access list of configs/mosquitto.acl, by Debian's mosquitto: what each user may say and hear, on every topic.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use kioskd::demo::back_end::{BackEnd, Trust};
use kioskd::fleet::link::{Broker, LinkConfig};
use kioskd::fleet::tls;
use kioskd::fleet::topic::{Leaf, Name, Topic};
use kioskd::signed::keys::KeySource;

use super::kit::*;
use super::tls::{Authority, over_tls};
use super::trust::keys;
use kioskd_tests::child::Running;

const USERS: [&str; 8] = ["K1", "K2", "entry-1", "exit-1", "back-end", "gateway", "office", "nobody"];
/// Which of them are lanes of site 7.
const LANES: [(&str, u8); 2] = [("entry-1", 1), ("exit-1", 3)];
/// Where everybody hears that all has been said; the test's own.
const END: &str = "test/end";

/// The file as it stands there, for the tests' fleet.
pub fn acl(directory: &Path) -> PathBuf {
    let file = directory.join("acl");
    let rules = include_str!("../../configs/mosquitto.acl").replace("/street/", "/test/");
    let lanes: String = LANES.map(|(user, lane)| lines_of_a_lane(&rules, user, lane)).concat();
    std::fs::write(&file, format!("pattern read {END}\n{rules}\n{lanes}user back-end\ntopic write {END}\n")).unwrap();
    file
}

/// As the file shows them for one.
fn lines_of_a_lane(rules: &str, user: &str, lane: u8) -> String {
    let shown: Vec<&str> = rules.lines().skip_while(|line| *line != "#user entry-1").take(3).collect();
    assert!(shown.len() == 3 && shown.iter().all(|line| line.starts_with('#')), "{shown:?}");
    let lines = shown.iter().map(|line| format!("{}\n", &line[1..])).collect::<String>();
    lines.replace("entry-1", user).replace("/lane/1/", &format!("/lane/{lane}/"))
}

/// What stands below a kiosk, every kind of topic once.
fn leaves() -> Vec<String> {
    let leaves = [
        Leaf::Presence,
        Leaf::State,
        Leaf::Telemetry,
        Leaf::Event(name("order-paid")),
        Leaf::Checkpoint,
        Leaf::Inspection,
        Leaf::Ack,
        Leaf::Alarm(name("door")),
        Leaf::Command { verb: name("lock"), id: name("c1") },
        Leaf::CommandStatus { verb: name("lock"), id: name("c1") },
        Leaf::PayRequest,
        Leaf::PayReply,
        Leaf::PayNotice,
        Leaf::Plate,
    ];
    leaves.iter().map(Leaf::to_string).collect()
}

fn is_kiosk(user: &str) -> bool {
    user.starts_with('K') || LANES.iter().any(|(lane, _)| *lane == user)
}

/// Of a kiosk's topics: what it says itself, and what the others say to it.
fn says(user: &str, leaf: &str) -> bool {
    match leaf {
        "ack" => user == "back-end",
        "pay/reply" | "pay/notice" => user == "gateway",
        "cmd/lock/c1" => user == "office",
        // A camera's, of which the list shows one as comments.
        "plate" => false,
        _ => is_kiosk(user),
    }
}

fn hears(user: &str, leaf: &str) -> bool {
    match (user, leaf) {
        ("nobody", _) => false,
        ("gateway", _) => leaf == "pay/request",
        ("back-end" | "office", "ack" | "cmd/lock/c1" | "pay/request" | "pay/reply" | "pay/notice" | "plate") => false,
        ("back-end" | "office", _) => true,
        // A kiosk: what is said to it, and what it keeps on the broker.
        (_, "telemetry" | "event/order-paid" | "checkpoint" | "inspection" | "cmd/lock/c1/status" | "pay/request") => {
            false
        }
        _ => true,
    }
}

pub struct Site {
    broker: Mosquitto,
    authority: Authority,
    certified: BTreeMap<&'static str, (PathBuf, KeySource)>,
    directory: tempfile::TempDir,
}

impl Site {
    pub fn url(&self) -> String {
        format!("mqtts://{}", self.broker.secure.unwrap())
    }

    pub fn ca(&self) -> &Path {
        &self.authority.file
    }

    pub fn certified(&self, user: &str) -> &(PathBuf, KeySource) {
        &self.certified[user]
    }

    /// How a kiosk comes there.
    pub fn link(&self, kiosk: &str) -> LinkConfig {
        over_tls(&self.broker, &self.authority, Some(&self.certified[kiosk]))
    }

    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new(directory.path(), "operator");
        let (cert, _) = authority.certify("broker", &["127.0.0.1"]);
        let certified = USERS.map(|user| (user, authority.certify(user, &[]))).into();
        let rules = acl(directory.path());
        let broker = Mosquitto::with_access(&authority.file, &cert, &cert.with_extension("key"), &rules);
        Self { broker, authority, certified, directory }
    }

    fn client(&self, program: &str, user: &str) -> Command {
        let (cert, _) = &self.certified[user];
        let mut command = kioskd_tests::child::command(program);
        command.args(["-h", "127.0.0.1", "-p", &self.broker.secure.unwrap().port().to_string(), "-q", "1"]);
        command.arg("--cafile").arg(&self.authority.file).arg("--cert").arg(cert);
        command.arg("--key").arg(cert.with_extension("key")).stderr(Stdio::null());
        command
    }

    fn say(&self, user: &str, topic: &str) {
        let said = self.client("mosquitto_pub", user).args(["-t", topic, "-m", user]).status();
        assert!(said.expect("mosquitto-clients is installed").success(), "{user} on {topic}");
    }

    fn listen(&self, user: &str) -> Ear {
        let mut ear = self.client("mosquitto_sub", user);
        ear.args(["-t", "kiosk/v1/#", "-t", END, "-F", "%t %p"]).stdout(Stdio::piped());
        let mut child = Running::start(&mut ear);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (heard, queue) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| heard.send(line)));
        Ear { _child: child, queue }
    }
}

struct Ear {
    _child: Running,
    queue: Receiver<String>,
}

impl Ear {
    fn until(&self, line: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        loop {
            let heard = self.queue.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no `{line}` but {all:?}"));
            if heard == line {
                return all;
            }
            all.insert(heard);
        }
    }
}

#[test]
fn everybody_says_and_hears_what_is_theirs_and_nothing_else() {
    let site = Site::start();
    let ears: Vec<(&str, Ear)> = USERS.iter().map(|user| (*user, site.listen(user))).collect();
    // Everybody is listening once each has heard something.
    for (user, ear) in &ears {
        let begin = std::time::Instant::now();
        while ear.queue.try_recv().is_err() {
            assert!(begin.elapsed() < PATIENCE, "{user} does not hear");
            site.say("back-end", END);
        }
    }
    let mut expected: BTreeMap<&str, BTreeSet<String>> = USERS.iter().map(|user| (*user, BTreeSet::new())).collect();
    let mut said = 0;
    for speaker in USERS {
        for kiosk in ["K1", "K2"] {
            for leaf in leaves() {
                let topic = format!("kiosk/v1/test/{kiosk}/{leaf}");
                site.say(speaker, &topic);
                said += 1;
                let own = !is_kiosk(speaker) || speaker == kiosk;
                if own && says(speaker, &leaf) {
                    for hearer in USERS.iter().filter(|hearer| hears(hearer, &leaf)) {
                        if !is_kiosk(hearer) || *hearer == kiosk {
                            expected.get_mut(hearer).unwrap().insert(format!("{topic} {speaker}"));
                        }
                    }
                }
            }
        }
        for (number, lane) in [(7, 1), (7, 2), (7, 3), (8, 1)] {
            let topic = Topic::Facts { fleet: name("test"), site: number, lane }.to_string();
            site.say(speaker, &topic);
            said += 1;
            if number == 7 && LANES.contains(&(speaker, lane)) {
                for (hearer, _) in LANES {
                    expected.get_mut(hearer).unwrap().insert(format!("{topic} {speaker}"));
                }
            }
        }
        // For all of the fleet, in another fleet, and what is no topic of ours.
        let everyones = "kiosk/v1/test/all/cmd/lock/c1";
        for topic in [everyones, "kiosk/v1/other/K1/state", "kiosk/v1/test/K1/other", "kiosk/v1/test/K1"] {
            site.say(speaker, topic);
            said += 1;
            if topic == everyones && speaker == "office" {
                // A pattern holds for whoever has a certificate; what is for all is no secret.
                for all in expected.values_mut() {
                    all.insert(format!("{topic} {speaker}"));
                }
            }
        }
    }
    site.say("back-end", "test/end");
    let mut heard = 0;
    for (user, ear) in &ears {
        // Those said while we waited for the ears are still in the queue.
        let mut all = BTreeSet::new();
        while all.len() < expected[user].len() {
            all.extend(ear.until(&format!("{END} back-end")));
        }
        all.extend(ear.queue.try_iter().filter(|line| !line.starts_with(END)));
        assert_eq!(all, expected[user], "{user}");
        heard += all.len();
    }
    println!("{said} tries to say something, {heard} messages heard where they belong");
    drop(site.directory);
}

/// With these rights a kiosk and its back end do all they have to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kiosk_and_its_back_end_can_work_with_it() {
    const ALL: u64 = 300;
    let site = Site::start();
    let identity = |user: &str| Some(&site.certified[user]);
    let (kiosk_key, signer) = (key(super::trust::KID), key("back-end"));
    let believed = keys(&signer);
    let trust = Trust { kiosks: [(name("K1"), kiosk_key.public())].into(), signer: Some(signer) };
    let (cert, secret) = &site.certified["back-end"];
    let secure = tls::client(Some(&site.authority.file), Some((cert, secret))).unwrap();
    let at: Broker = format!("mqtts://{}", site.broker.secure.unwrap()).parse().unwrap();
    let fleet: Name = kiosk().fleet;
    let back_end = BackEnd::start_with(at, Some(secure), fleet, trust);
    let settings = LinkConfig {
        signer: Some(Arc::new(kiosk_key)),
        back_end: Some(believed),
        ..over_tls(&site.broker, &site.authority, identity("K1"))
    };
    let mut kiosk = Kiosk::start(settings, &Fake::with(ALL));
    kiosk.acknowledged(ALL);
    assert_eq!(back_end.counts().stored, ALL);
    kiosk.link.stop().await;
}
