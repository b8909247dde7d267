//! Two machines come into a fleet as people do it: by what `kioskd enroll` and `kioskfleet enroll` print, through a broker that
//! asks for certificates and keeps the project's access list. openssl is the CA, and looks at what was made. Then the office
//! looks after them, and its collector stores what they say.

use std::path::{Path, PathBuf};
use std::process::Output;

use kioskd_tests::child::{Running, command};
use kioskd_tests::{Demo, PATIENCE, program, wait_for};
use serde_json::{Value, json};

use super::access::acl;
use super::collector::kit::{Collector, Store, documents};
use super::kit::Mosquitto;

struct Office {
    folder: tempfile::TempDir,
    broker: Mosquitto,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What it says on standard output, when it ends well.
fn told(done: &Output) -> String {
    assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
    text(&done.stdout)
}

/// A program with words that are typed in this folder.
fn typed(folder: &Path, program: impl AsRef<std::ffi::OsStr>, words: &str) -> Output {
    command(program).current_dir(folder).args(words.split_whitespace()).output().unwrap()
}

fn openssl(folder: &Path, words: &str) -> String {
    told(&typed(folder, "openssl", words))
}

fn authority(folder: &Path, name: &str) {
    let curve = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(folder, &format!("req -x509 {curve} -keyout {name}.key -out {name}.pem -days 1000 -subj /CN={name}"));
}

/// `NAME.key` and `NAME.crt`, by openssl alone.
fn certify(folder: &Path, ca: &str, name: &str, says: &str) {
    let curve = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(folder, &format!("req -new {curve} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
    std::fs::write(folder.join("ext"), says).unwrap();
    let by = format!("-CA {ca}.pem -CAkey {ca}.key -days 30 -extfile ext");
    openssl(folder, &format!("x509 -req -in {name}.csr {by} -out {name}.crt"));
}

impl Office {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        authority(here, "ca");
        certify(here, "ca", "broker", "subjectAltName = IP:127.0.0.1\n");
        certify(here, "ca", "office", "extendedKeyUsage = clientAuth\n");
        certify(here, "ca", "back-end", "extendedKeyUsage = clientAuth\n");
        for (pair, at) in [("root", "keys"), ("office", "keys"), ("config", "keys"), ("back-end", "keys")] {
            std::fs::create_dir_all(here.join(at)).unwrap();
            told(&typed(here, program("kioskfleet"), &format!("keygen --out {at} {pair}")));
        }
        let keys = "--key office=keys/office.pem:sell --key config=keys/config.pem:config --out keyset.json";
        let keyset = format!("keyset --root keys/root.key --fleet test --version 1 {keys}");
        told(&typed(here, program("kioskfleet"), &keyset));
        let assets = kioskd_tests::repository().join("assets");
        let template = std::fs::read_to_string(kioskd_tests::repository().join("configs/vending.toml")).unwrap();
        let template = template.replace("../assets", assets.to_str().unwrap());
        std::fs::write(here.join("template.toml"), template).unwrap();
        let at = |file: &str| here.join(file);
        let broker = Mosquitto::with_access(&at("ca.pem"), &at("broker.crt"), &at("broker.key"), &acl(here));
        Self { folder, broker }
    }

    fn at(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn url(&self) -> String {
        format!("mqtts://{}", self.broker.secure.unwrap())
    }

    fn said(&self, words: &str) -> Output {
        typed(self.folder.path(), program("kioskfleet"), words)
    }

    /// From the bare machine to what `kioskd run` is started with.
    fn enroll(&self, kiosk: &str) -> PathBuf {
        let here = self.folder.path();
        std::fs::create_dir(self.at(&format!("m-{kiosk}"))).unwrap();
        let ask = format!("enroll --fleet test --kiosk {kiosk} --out m-{kiosk} --output {kiosk}.request");
        let asked = typed(here, program("kioskd"), &ask);
        told(&asked);
        let asked = text(&asked.stderr);
        let subject = openssl(here, &format!("req -verify -in {kiosk}.request -noout -subject"));
        assert!(subject.trim().ends_with(&format!("CN = {kiosk}")) || subject.trim().ends_with(&format!("CN={kiosk}")));

        let whom = "--keyset keyset.json --root keys/root.pem --back-end keys/back-end.pem --template template.toml";
        let issue = format!("enroll --ca ca.pem --ca-key ca.key --request {kiosk}.request --days 90 --out register");
        let issued = self.said(&format!("{issue} {whom} --broker {}", self.url()));
        let line = told(&issued);
        let fingerprint = |text: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix("fingerprint: ")).unwrap();
            line[..24].to_owned()
        };
        assert_eq!(fingerprint(&text(&issued.stderr)), fingerprint(&asked), "what two people compare by telephone");
        openssl(here, &format!("verify -purpose sslclient -CAfile ca.pem register/{kiosk}/kiosk.pem"));

        // What the shell would do with the line.
        let word = line.trim().strip_prefix("echo ").unwrap().split_once(" | ").unwrap();
        assert_eq!(word.1, "sudo -u kioskd kioskd enroll --accept -");
        let mut accept = command(program("kioskd"));
        accept.current_dir(here).args(["enroll", "--accept", "-", "--out", &format!("m-{kiosk}")]);
        let accepted = told(&Running::answer(&mut accept, word.0.as_bytes()));
        assert!(accepted.contains(&format!("test/{kiosk} is ready")), "{accepted}");
        let key = openssl(here, &format!("pkey -in m-{kiosk}/kiosk.key -pubout"));
        assert_eq!(openssl(here, &format!("x509 -in m-{kiosk}/kiosk.pem -noout -pubkey")), key);
        self.at(&format!("m-{kiosk}/kiosk.toml"))
    }

    fn run(&self, configuration: &Path) -> Demo {
        let state = configuration.with_file_name("state");
        let words = ["--config", configuration.to_str().unwrap(), "--broker", &self.url(), "--panel", "640x400"];
        Demo::start(&[&words[..], &["--state", state.to_str().unwrap()]].concat())
    }

    /// The first so many messages that mosquitto's own client is told with a certificate. What is retained comes first, in the
    /// order of the topics.
    fn hears(&self, count: usize, topics: &[&str]) -> Vec<String> {
        let who = "--cafile ca.pem --cert office.crt --key office.key -q 1 -F %t=%p";
        let (port, within) = (self.broker.secure.unwrap().port(), PATIENCE.as_secs());
        let topics = topics.join(" -t ");
        let words = format!("-h 127.0.0.1 -p {port} {who} -W {within} -C {count} -t {topics}");
        let heard = typed(self.folder.path(), "mosquitto_sub", &words);
        text(&heard.stdout).lines().map(str::to_owned).collect()
    }

    /// Whether the broker lets somebody with this certificate in to say it.
    fn say(&self, cert: &str, key: &str, topic: &str) -> bool {
        let port = self.broker.secure.unwrap().port();
        let who = format!("--cafile ca.pem --cert {cert} --key {key} -q 1 -r -m offline");
        let words = format!("-h 127.0.0.1 -p {port} {who} -t {topic}");
        typed(self.folder.path(), "mosquitto_pub", &words).status.success()
    }

    /// Over TLS, believing the kiosks in the register.
    fn collect(&self, store: &Store) -> Collector {
        let words = ["broker", "ca", "cert", "key", "keys", "sign"].map(|word| format!("--{word}"));
        let files = ["ca.pem", "back-end.crt", "back-end.key", "register", "keys/back-end.key"];
        let values = std::iter::once(self.url()).chain(files.map(|file| self.at(file).display().to_string()));
        Collector::start(store, &words.into_iter().zip(values).flat_map(<[String; 2]>::from).collect::<Vec<_>>())
    }

    /// A command to K1 over TLS, believed by the key in the register, and what its trail ends with.
    fn send(&self, key: &str, words: &[&str]) -> String {
        let who = "--ca ca.pem --cert office.crt --key office.key --fleet test --kiosk K1 --kiosk-key register/K1.pem";
        let mut send = command(program("kioskfleet"));
        send.current_dir(self.folder.path()).args(["send", "--broker", &self.url()]).args(who.split(' '));
        send.args(["--sign", key, "--timeout", "60"]).args(words);
        let trail = told(&send.output().unwrap());
        let end = trail.strip_prefix("K1 accepted\nK1 executing\nK1 successful: done");
        end.unwrap_or_else(|| panic!("{words:?}: {trail}")).trim_end().to_owned()
    }

    /// Likewise, and there is no more to say than that it is done.
    fn done(&self, key: &str, words: &[&str]) {
        assert_eq!(self.send(key, words), "", "{words:?}");
    }
}

/// What a customer pays for a cola.
fn price(demo: &Demo) -> Value {
    sold(demo)["amount"].clone()
}

/// The order of a customer who has bought a cola.
fn sold(demo: &Demo) -> Value {
    demo.choose("cola");
    demo.wallet(&demo.qr(), "pay");
    let order = demo.last_order(&["delivered"]);
    demo.page(&["thanks"]);
    demo.tap("done");
    demo.page(&["attract"]);
    order
}

#[test]
fn two_machines_come_into_a_fleet_and_nobody_else_does() {
    let office = Office::start();
    let (one, two) = (office.run(&office.enroll("K1")), office.run(&office.enroll("K2")));
    let online = || {
        let heard = office.hears(2, &["kiosk/v1/test/K1/presence", "kiosk/v1/test/K2/presence"]);
        let wanted = ["K1", "K2"].map(|kiosk| format!("kiosk/v1/test/{kiosk}/presence=online"));
        wanted.iter().all(|line| heard.contains(line)).then_some(())
    };
    wait_for("both are online, each by its own certificate", PATIENCE, online);

    // What the collector has stored of them, and a person sees.
    let state = tempfile::tempdir().unwrap();
    let store = Store::directory(state.path());
    let mut collector = office.collect(&store);
    collector.until("the collector listens");
    let seen = |what: &str, wanted: [Value; 2]| {
        let of = |line: &Value| json!([line["kiosk"], line["presence"], line["selling"]]);
        let listed = || documents("ls", &store, &[]).iter().map(of).eq(wanted.iter().cloned());
        wait_for(what, PATIENCE, || listed().then_some(()));
    };
    seen("both in the list", [json!(["K1", "online", true]), json!(["K2", "online", true])]);

    office.done("keys/office.key", &["lock", "reason=cleaning"]);
    seen("one is locked", [json!(["K1", "online", false]), json!(["K2", "online", true])]);
    assert_eq!(one.json("/api/state")["reasons"][0]["detail"], "cleaning");
    assert_eq!(two.json("/api/state")["selling"], true);
    office.done("keys/office.key", &["unlock"]);
    assert_eq!((price(&one), price(&two)), (300.into(), 300.into()));
    office.done("keys/config.key", &["set-prices", r#"prices={"cola": 320}"#]);
    let order = sold(&one);
    assert_eq!((&order["amount"], price(&two)), (&320.into(), 300.into()), "the one glass, and not the other");

    // One for nothing, the money of another back, and a look at the glass.
    let fell = one.fell();
    let end = office.send("keys/office.key", &["vend", "product=cola"]);
    assert!(end.starts_with(", see order "), "{end}");
    let given = one.last_order(&["delivered"]);
    assert_eq!((one.fell(), &given["paid"]), (fell + 1, &0.into()));
    one.page(&["attract"]);
    let named = format!("order={}", order["id"].as_str().unwrap());
    office.done("keys/office.key", &["refund", &named]);
    let returned = || {
        let orders = one.orders();
        orders.iter().find(|known| known["id"] == order["id"]).is_some_and(|known| known["refunded"] == 320)
    };
    wait_for("the money is back", PATIENCE, || returned().then_some(()));
    let pixels = |png: &[u8]| image::load_from_memory(png).unwrap().into_rgb8();
    let before = pixels(&one.screen());
    office.done("keys/office.key", &["screenshot", "--save", "glass.png"]);
    let seen = pixels(&std::fs::read(office.at("glass.png")).unwrap());
    assert!(seen == before || seen == pixels(&one.screen()), "the first page moves now and then");
    // All of it is on record at the collector.
    let stored = |kind: &str| documents("export", &store, &["--kiosk", "K1", "--kind", kind]).len();
    wait_for("the refund at the collector", PATIENCE, || (stored("refund-confirmed") == 1).then_some(()));
    assert_eq!((stored("order-paid"), stored("order-granted"), stored("refund-decided")), (2, 1, 1));
    collector.stop();

    // Another CA's certificate of the same name; a kiosk's own, under another's name and under its own.
    let here = office.folder.path();
    authority(here, "stranger");
    certify(here, "stranger", "K1", "extendedKeyUsage = clientAuth\n");
    let theirs = "kiosk/v1/test/K1/alarm/door";
    assert!(!office.say("K1.crt", "K1.key", theirs));
    assert!(office.say("m-K2/kiosk.pem", "m-K2/kiosk.key", theirs), "it is let in, and told nothing");
    assert!(office.say("m-K2/kiosk.pem", "m-K2/kiosk.key", "kiosk/v1/test/K2/alarm/mine"));
    let (mine, presence) = ("kiosk/v1/test/+/alarm/mine", "kiosk/v1/test/K1/presence");
    assert_eq!(
        office.hears(1, &[theirs, mine]),
        ["kiosk/v1/test/K2/alarm/mine=offline"],
        "nothing of the other came first"
    );
    assert_eq!(office.hears(1, &[presence]), [format!("{presence}=online")]);

    // A renewal is the same way, and the running machine needs no restart for it.
    let certificate = || openssl(here, "x509 -in m-K1/kiosk.pem -noout -serial -startdate");
    let former = certificate();
    told(&typed(here, program("kioskd"), "enroll --fleet test --kiosk K1 --out m-K1 --output K1.again"));
    let renewed = told(&office.said("enroll --renew --ca ca.pem --ca-key ca.key --request K1.again --out register"));
    std::fs::write(office.at("answer"), renewed.split(' ').nth(1).unwrap()).unwrap();
    told(&typed(here, program("kioskd"), "enroll --accept answer --out m-K1"));
    openssl(here, "verify -purpose sslclient -CAfile ca.pem m-K1/kiosk.pem");
    assert_ne!(certificate(), former);
    office.done("keys/office.key", &["lock", "reason=renewed"]);
}
