//! The office looks inside a machine without ssh: the newest lines of its log, and the bundle for support. No secret is in
//! either, neither is too large, and a file on its way keeps nothing else from the connection.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kioskd::fleet::command::{CommandContent, CommandStatus, Stage};
use kioskd::operation::RequestId;
use kioskd::signed::jws::Purpose;
use serde_json::{Value, json};

use crate::bundle::{HUSH, Opened, by_the_paper, verify};
use crate::commands::{Ear, Office};
use crate::fleet::{listen_as, publish_all};
use kioskd_tests::PATIENCE;
use kioskd_tests::child::command;
use kioskd_tests::machine::{Machine, Setup};

fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// A configuration that is right and full of secrets: a PIN, and a rail whose keys lie in files.
fn secretive(folder: &Path) -> Setup {
    let at = |name: &str| folder.join(name);
    let made = command("openssl").args(["genrsa", "-out"]).arg(at(&format!("{HUSH}.key"))).output().unwrap();
    assert!(made.status.success());
    std::fs::write(at("api_v3.key"), HUSH.repeat(4)).unwrap();
    for name in [&format!("{HUSH}.key"), "api_v3.key"] {
        std::fs::set_permissions(at(name), PermissionsExt::from_mode(0o600)).unwrap();
    }
    let (vending, folder) = (include_str!("../../configs/vending.toml"), folder.display());
    let (begin, end) = (vending.find("[[rail]]").unwrap(), vending.find("[[product]]").unwrap());
    let rails = format!(
        r#"{}[[rail]]
kind = "wechat"
label = {{ en = "WeChat Pay" }}
base_url = "http://127.0.0.1:1"
appid = "wx1"
mchid = "1900007291"
serial_no = "4A"
private_key = "file:{folder}/{HUSH}.key"
api_v3_key = "file:{folder}/api_v3.key"
notify_url = "https://pay.example.com/wechat"

"#,
        &vending[begin..end]
    );
    let pin = vending.lines().find(|line| line.starts_with("pin = ")).unwrap();
    let hash = format!("pin = \"$argon2id$v=19$m=19456,t=2,p=1${}HA${}HUE\"", HUSH.repeat(2) + "HUSH", HUSH.repeat(5));
    Setup { rails: Some(rails), config: vec![(pin, leaked(hash))], ..Setup::default() }
}

/// `kioskfleet send` of a verb whose file goes to standard output: whether it ended well, the file, and what was said.
fn fetch(office: &Office, words: &[&str]) -> (bool, String, String) {
    let (key, kiosk) = (office.key("office.key"), office.key("kiosk.pem"));
    let options = ["--kiosk", "K0001", "--sign", &key, "--kiosk-key", &kiosk, "--save", "-"];
    let (well, lines, said) = office.send_with(&options, words);
    (well, lines.iter().flat_map(|line| [line, "\n"]).collect(), said)
}

fn operate(machine: &Machine, id: &str, asked: &Value) -> Value {
    let (status, answer) = machine.post("/api/operations", &json!({ "id": id, "asked": asked }));
    assert_eq!(status, 200, "{asked}: {answer}");
    answer
}

#[test]
fn the_office_gets_what_a_technician_gets_sealed_by_the_kiosk_and_without_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let office = Office::with(secretive(folder.path()));
    let machine = &office.machine;
    machine.world(json!({ "provider": { "refund_failed": true }, "slot": { "name": "B2", "motor": "jam" } }));
    let payload = machine.offer(&["chips"]);
    machine.wallet(&payload, "pay");
    let order = machine.until_state("claim")["id"].as_str().unwrap().to_owned();
    // An update fails, and why has in it where a key lies.
    let bundle = format!("bundle={}/x", at(&format!("{HUSH}.key")).display());
    let words = ["install-update", &bundle, &format!("sha256={}", "0".repeat(64)), "version=9.9.9"];
    let (well, lines, _) = office.send_with(&["--kiosk", "K0001", "--sign", &office.key("update.key")], &words);
    assert!(!well && lines.last().unwrap().contains(HUSH), "{lines:?}");
    // Somebody has sent a configuration with secrets in wrong places, which is on record with what was wrong with it.
    let wrong = format!("[service]\npin = \"{HUSH}\"\n[printer]\ndriver = \"{HUSH}\"\n");
    std::fs::write(at("wrong.toml"), wrong).unwrap();
    let (config, argument) = (office.key("config.key"), format!("config=@{}", at("wrong.toml").display()));
    let (well, lines, _) = office.send_with(&["--kiosk", "K0001", "--sign", &config], &["apply-config", &argument]);
    assert!(!well && lines.last().unwrap().contains(HUSH), "the office is told what it has written: {lines:?}");

    let (key, kiosk, file) = (office.key("office.key"), office.key("kiosk.pem"), at("bundle.tar.gz"));
    let options = ["--kiosk", "K0001", "--sign", &key, "--kiosk-key", &kiosk];
    let (well, lines, error) = office.send_with(&options, &["bundle"]);
    assert!(!well && lines.is_empty() && error.contains("write --save FILE"), "{error}");
    let (well, lines, error) = office.send_with(&options, &["bundle", "--save", file.to_str().unwrap()]);
    let trail = ["K0001 accepted", "K0001 executing", "K0001 successful: done"];
    assert_eq!((well, lines), (true, trail.map(str::to_owned).to_vec()), "{error}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let opened = Opened::new(&file);
    let members = opened.whole();
    assert!(!opened.has(HUSH), "a secret is in the bundle: {:#}", opened.json("operations.json"));
    let private = std::fs::read_to_string(office.key("kiosk.key")).unwrap();
    assert!(!opened.has(private.lines().nth(1).unwrap()));
    let shown = opened.json("configuration.json");
    assert_eq!((&shown["kiosk"]["id"], &shown["rail"][1]["private_key"]), (&json!("K0001"), &json!("file:(removed)")));
    assert_eq!(opened.json("check.json")["right"], true);
    assert_eq!(opened.json("status.json")["faults"][0]["slot"], "B2");
    assert_eq!(opened.json("status.json")["fleet_link"]["state"], "connected");
    assert!(opened.text("status.txt").contains("B2"));
    assert!(opened.text(&format!("claims/{order}.txt")).contains("refused: failed at the provider"));
    assert_eq!(opened.json("claims.json")[0]["id"], *order);
    assert_eq!(opened.json("orders.json")["orders"][0]["id"], *order);
    assert_eq!(opened.json("verify.json")["holds"], true);
    let operations = opened.json("operations.json");
    assert_eq!(operations["operations"][0]["asked"]["do"], "bundle", "that somebody has looked is on record");
    assert_eq!(operations["operations"][1]["asked"]["config"]["service"]["pin"], "(removed)");
    let places = operations["operations"][1]["outcome"]["why"]["problems"].as_array().unwrap();
    assert!(places.iter().any(|place| place.as_str().unwrap().ends_with(":2:7")), "{places:?}");
    assert!(opened.text("journal.txt").contains(" INFO claim-opened order="), "{}", opened.text("journal.txt"));
    for name in ["stock.json", "report.json", "devices.txt", "machine.json"] {
        assert!(members.contains_key(name), "{name}: {members:?}");
    }
    assert!(opened.manifest["left_out"]["kernel-log.txt"].as_str().unwrap().contains("kioskctl bundle"));
    assert_eq!(
        (&opened.manifest["unsigned"], opened.head()),
        (&Value::Null, json!({ "alg": "EdDSA", "kid": "demo/K0001", "typ": "bundle" }))
    );

    let (code, says) = verify(&file, Path::new(&kiosk));
    let wanted = "signed by demo/K0001\nbundle of kiosk K0001 of fleet demo, made for the fleet's key office, 20";
    assert!(code == Some(0) && says.contains(wanted), "{says}");
    let (holds, said) = by_the_paper(&file, Path::new(&kiosk));
    assert!(holds && said.contains(r#""kid":"office"}"#), "{said}");
    let whole = std::fs::read(&file).unwrap();
    for place in (0..whole.len()).step_by(whole.len() / 20).chain([whole.len() - 1]) {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        std::fs::write(at("changed.tar.gz"), bytes).unwrap();
        let (code, says) = verify(&at("changed.tar.gz"), Path::new(&kiosk));
        assert!(code == Some(1) && says.contains("does not hold"), "byte {place} of {}: {says}", whole.len());
    }

    // And its log, which is no secret's place either.
    let (well, log, said) = fetch(&office, &["logs"]);
    assert!(well && said.ends_with("K0001 successful: done\n"), "{said}");
    assert!(log.contains(" INFO claim-opened order=") && log.contains("its configuration is wrong number="), "{log}");
    assert!(log.contains("(removed)/x: "), "{log}");
    assert!(!log.contains(HUSH) && !log.contains(private.lines().nth(1).unwrap()), "{log}");
    machine.verify();
}

#[test]
fn a_log_is_the_newest_lines_as_they_were_logged_and_no_more_than_were_asked_for() {
    let office = Office::with(Setup::fast());
    let machine = &office.machine;
    for number in 0..700 {
        let reason = format!("line {number} {}", "語".repeat(150));
        operate(machine, &format!("lock-{number}"), &json!({ "do": "lock", "reason": reason }));
    }
    let (well, log, said) = fetch(&office, &["logs"]);
    assert!(well, "{said}");
    let lines: Vec<&str> = log.lines().collect();
    assert!(log.len() <= 256 << 10 && lines.len() <= 2_000, "{} lines, {} bytes", lines.len(), log.len());
    assert!(lines.len() > 1_500, "{} lines, {} bytes", lines.len(), log.len());
    let ended = |lines: &[&str]| -> Vec<u32> {
        let numbers =
            lines.iter().filter_map(|line| line.split_once("number=lock-")?.1.split(' ').next()?.parse().ok());
        numbers.collect()
    };
    let numbers = ended(&lines);
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]) && numbers.last() == Some(&699), "{numbers:?}");
    // As standard error has them, but for how the time is written.
    let bare = |line: &str| line.trim_start_matches(|c: char| c.is_ascii_digit() || "-:.TZ ".contains(c)).to_owned();
    let printed: Vec<String> = machine.log().lines().map(bare).collect();
    let at = printed.iter().position(|line| *line == bare(lines[0])).unwrap();
    assert!(lines.iter().zip(&printed[at..]).all(|(line, printed)| bare(line) == *printed));

    let (well, few, said) = fetch(&office, &["logs", "lines=3"]);
    assert!(well && few.lines().count() == 3, "{said}: {few}");
    // What came before does not come.
    let since = few.lines().next_back().unwrap().split(' ').next().unwrap().to_owned();
    let (well, newer, said) = fetch(&office, &["logs", &format!("since={since}")]);
    assert!(well && newer.lines().count() >= 1, "{said}");
    assert!(newer.lines().all(|line| line.split(' ').next().unwrap() >= since.as_str()), "{newer}");
    let (well, nothing, said) = fetch(&office, &["logs", "since=2099-01-01T00:00:00Z"]);
    assert!(well && nothing.is_empty(), "{said}: {nothing}");
    for wrong in ["lines=0", "since=yesterday", "unit=sshd"] {
        let (well, _, said) = fetch(&office, &["logs", wrong]);
        assert!(!well && said.contains("`logs` does not have these arguments"), "{said}");
    }
}

/// On the machine there are other ways, and without the right there is none.
#[test]
fn who_is_not_the_office_gets_no_file() {
    let office = Office::start();
    for verb in ["screenshot", "logs", "bundle"] {
        let answer = operate(&office.machine, verb, &json!({ "do": verb }));
        assert_eq!(answer, json!({ "result": "refused", "why": { "refusal": "only-by-fleet" } }));
    }
    let (update, kiosk) = (office.key("update.key"), office.key("kiosk.pem"));
    let options = ["--kiosk", "K0001", "--sign", &update, "--kiosk-key", &kiosk, "--save", "-"];
    for verb in ["logs", "bundle"] {
        let (well, file, said) = office.send_with(&options, &[verb]);
        assert!(!well && file.is_empty() && said.ends_with("rejected: who asks may not keep the machine\n"), "{said}");
    }
}

/// Of one run: what was private then is not told again because somebody has kept the command.
#[test]
fn a_command_that_is_repeated_brings_few_files_and_none_in_another_run() {
    let office = Office::start();
    let ear = Ear::of(&office);
    let (well, _, said) = fetch(&office, &["logs"]);
    assert!(well, "{said}");
    let (topic, message) = ear.command();
    let rest = || std::iter::from_fn(|| ear.next(Duration::from_secs(2))).collect::<Vec<CommandStatus>>();
    assert!(ear.end().file.is_some());
    assert!(rest().iter().all(|said| said.file.is_none()));
    // Many at once are one.
    publish_all(office.port, &topic, &vec![message.clone().into_bytes(); 60]);
    let said: Vec<CommandStatus> = std::iter::once(ear.end()).chain(rest()).collect();
    let files = said.iter().filter(|said| said.file.is_some()).count();
    assert!((1..=8).contains(&files) && said.iter().all(|said| said.status != Stage::Failed), "{said:?}");
    // And one after the other are few.
    let ends = (0..12).map(|_| {
        office.publish(&topic, message.as_bytes());
        ear.end()
    });
    let ends: Vec<CommandStatus> = ends.collect();
    let files = ends.iter().filter(|said| said.file.is_some()).count();
    assert!(files <= 8, "{files}");
    let last = ends.last().unwrap();
    let why = last.reason.as_deref().unwrap();
    assert!(last.status == Stage::Failed && why.contains("too many files at once"), "{why}");

    rest();
    office.cut();
    // What has become of it is told once more when the link is there.
    assert!(ear.next(PATIENCE).is_some());
    rest();
    office.publish(&topic, message.as_bytes());
    let end = ear.next(PATIENCE).expect("an answer");
    assert_eq!((end.status, &end.file, &end.part), (Stage::Successful, &None, &None));
    assert_eq!(rest(), []);
}

/// Between a kiosk and its broker: what the kiosk says goes at a bounded pace.
struct SlowRoad;

impl SlowRoad {
    /// Where it begins, and how many bytes go in each hundredth of a second.
    fn to(broker: u16) -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let pace = Arc::new(AtomicUsize::new(usize::MAX));
        let its = Arc::clone(&pace);
        std::thread::spawn(move || {
            for kiosk in listener.incoming().map_while(Result::ok) {
                let Ok(broker) = TcpStream::connect(("127.0.0.1", broker)) else { continue };
                let (mut from, mut to) = (broker.try_clone().unwrap(), kiosk.try_clone().unwrap());
                std::thread::spawn(move || {
                    drop(std::io::copy(&mut from, &mut to));
                    drop(to.shutdown(std::net::Shutdown::Both));
                });
                let pace = Arc::clone(&its);
                std::thread::spawn(move || Self::carry(kiosk, broker, &pace));
            }
        });
        (port, pace)
    }

    fn carry(mut kiosk: TcpStream, mut broker: TcpStream, pace: &AtomicUsize) {
        let mut bytes = [0; 4096];
        loop {
            let pace = pace.load(Ordering::Relaxed);
            let most = pace.min(bytes.len());
            match kiosk.read(&mut bytes[..most]) {
                Ok(count @ 1..) if broker.write_all(&bytes[..count]).is_ok() => {}
                _ => return drop(broker.shutdown(std::net::Shutdown::Both)),
            }
            if pace < bytes.len() {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

#[test]
fn on_a_slow_road_everything_else_goes_between_the_parts_and_the_file_comes_whole() {
    let (office, pace) = Office::by(Setup::fast(), SlowRoad::to);
    let machine = &office.machine;
    for number in 0..500 {
        let reason = format!("line {number} {}", "x".repeat(180));
        operate(machine, &format!("lock-{number}"), &json!({ "do": "lock", "reason": reason }));
    }
    let (_client, queue) = listen_as(office.port, str::to_owned);
    // A part takes a second and a half.
    pace.store(150, Ordering::Relaxed);
    let known = std::thread::scope(|scope| {
        let sent = scope.spawn(|| fetch(&office, &["logs"]));
        let heard = |wanted: &dyn Fn(&str, &Value) -> bool| {
            let all = std::iter::from_fn(|| queue.recv_timeout(PATIENCE).ok());
            let mut all = all.into_iter();
            let found = all.find(|(topic, text)| {
                let content = text.starts_with('{').then(|| serde_json::from_str::<Value>(text).unwrap());
                let payload = content.as_ref().and_then(|content| content["payload"].as_str());
                let payload = payload.and_then(|text| data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).ok());
                let payload: Option<Value> = payload.and_then(|bytes| serde_json::from_slice(&bytes).ok());
                let payload = payload.unwrap_or_default();
                assert!(!(topic.contains("/cmd/logs/") && payload["file"].is_object()), "the file has gone before");
                wanted(topic, &payload)
            });
            found.expect("it has not come").0
        };
        let first = heard(&|topic, said| topic.contains("/cmd/logs/") && said["part"]["number"] == 1);
        operate(machine, "between", &json!({ "do": "unlock" }));
        heard(&|topic, _| topic.ends_with("/K0001/state"));
        pace.store(usize::MAX, Ordering::Relaxed);
        let (well, log, said) = sent.join().unwrap();
        assert!(well && log.lines().count() > 1_000, "{said}");
        assert!(log.contains("number=lock-499 ") && !log.contains("number=between"), "of the moment it was asked in");
        first
    });

    // The plug is pulled while one is on its way: the trail ends, and nobody takes a part for the whole.
    pace.store(150, Ordering::Relaxed);
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| fetch(&office, &["logs"]));
        let part =
            |(topic, text): (String, String)| topic.contains("/cmd/logs/") && topic != known && text.len() > 20_000;
        assert!(std::iter::from_fn(|| queue.recv_timeout(PATIENCE).ok()).any(part));
        machine.world(json!({ "power": "cut" }));
        pace.store(usize::MAX, Ordering::Relaxed);
        let (well, file, said) = sent.join().unwrap();
        assert!(!well && file.is_empty(), "{said}");
        assert!(said.contains("K0001 successful: done\n") && said.contains("sends its file no more"), "{said}");
    });
    machine.verify();
}

/// Also where its sender does not ask for this very run.
#[test]
fn a_file_is_for_this_moment() {
    let office = Office::start();
    let ear = Ear::of(&office);
    let content = CommandContent {
        aud: "demo/K0001".into(),
        jti: RequestId::parse("late").unwrap(),
        verb: "bundle".into(),
        args: serde_json::Map::new(),
        ctr: 1,
        nonce: Some("0000000000000000".into()),
        exp: None,
    };
    let late = office.signer("office").sign(Purpose::Command, &content).unwrap();
    office.publish("kiosk/v1/demo/K0001/cmd/bundle/late", &late);
    let said = ear.end();
    assert!(said.status == Stage::Rejected && said.reason.unwrap().contains("was not asked for this moment"));
}
