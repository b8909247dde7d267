//! What the office refuses, and what a machine refuses of an answer; both sides in one process, without a broker.

use std::os::unix::fs::PermissionsExt;

use rcgen::{BasicConstraints, IsCa};
use tempfile::TempDir;

use super::super::machine::EnrollError;
use super::*;
use crate::fleet::enroll::machine::{self, accept, ask};
use crate::fleet::keygen::keygen;
use crate::fleet::office::make_keyset;
use crate::fleet::topic::Name;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn street(kiosk: &str) -> Address {
    Address { fleet: name("street"), kiosk: name(kiosk) }
}

/// Machines, a CA, and an office with its keyset.
struct Town(TempDir);

impl Town {
    fn new() -> Self {
        let town = Self(tempfile::tempdir().unwrap());
        town.authority("ca", 2000, &KeyPair::generate().unwrap());
        town.authority("other", 2000, &KeyPair::generate().unwrap());
        for pair in ["root", "office", "office-2", "back-end"] {
            keygen(town.0.path(), &name(pair)).unwrap();
        }
        let choice = |kid: &str| format!("{kid}={}:sell", town.at(&format!("{kid}.pem")).display()).parse().unwrap();
        let keys = [choice("office"), choice("office-2")];
        make_keyset(&town.at("root.key"), &name("street"), 1, &keys, Vec::new(), &town.at("keyset.json")).unwrap();
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let template = include_str!("../../../../configs/vending.toml");
        fs::write(town.at("template.toml"), template.replace("../assets", assets.to_str().unwrap())).unwrap();
        town
    }

    fn at(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn authority(&self, file: &str, days: i64, key: &KeyPair) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, file);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let end = Timestamp::now().to_zoned(TimeZone::UTC).date().checked_add(days.days()).unwrap();
        params.not_after = date_time_ymd(end.year().into(), end.month().unsigned_abs(), end.day().unsigned_abs());
        fs::write(self.at(&format!("{file}.pem")), params.self_signed(key).unwrap().pem()).unwrap();
        self.secret(&format!("{file}.key"), &key.serialize_pem());
    }

    fn secret(&self, file: &str, text: &str) {
        fs::write(self.at(file), text).unwrap();
        fs::set_permissions(self.at(file), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn machine(&self, folder: &str, kiosk: &str) -> String {
        drop(fs::create_dir(self.at(folder)));
        ask(&self.at(folder), &street(kiosk)).unwrap().text
    }

    fn order(&self, request: &str) -> Order {
        let broker_url = "mqtts://broker.example.com:8883".to_owned();
        let setup = Setup {
            keyset: self.at("keyset.json"),
            root: self.at("root.pem"),
            broker: broker_url.parse().unwrap(),
            broker_url,
            back_end: Some(self.at("back-end.pem")),
            template: self.at("template.toml"),
        };
        Order {
            ca: self.at("ca.pem"),
            ca_key: self.at("ca.key"),
            request: request.into(),
            days: 397,
            out: self.at("register"),
            setup: Some(setup),
        }
    }

    fn renewal(&self, request: &str) -> Order {
        Order { setup: None, ..self.order(request) }
    }
}

fn check(path: &Path, bytes: &[u8]) -> Result<Config, ConfigError> {
    crate::config::parse(path, bytes, |_| Ok(Box::new(|_, _| std::collections::BTreeSet::new())))
}

fn refused(order: &Order) -> String {
    issue(order, check).unwrap_err().to_string()
}

#[test]
fn a_machine_is_let_in_and_its_certificate_renewed() {
    let town = Town::new();
    let request = town.machine("m1", "K1");
    let asked = ask(&town.at("m1"), &street("K1")).unwrap();
    assert_eq!((asked.made.len(), asked.kept.len()), (0, 2), "keys that are there are used");
    let issued = issue(&town.order(&request), check).unwrap();
    assert_eq!((issued.of, issued.fingerprint), (street("K1"), asked.fingerprint));
    assert_eq!(issued.unchecked, [""; 0]);
    let m1 = town.at("m1");
    let done = accept(&m1, &issued.line, false).unwrap();
    assert_eq!(done.written.len(), 6);
    check(&done.configuration, &fs::read(&done.configuration).unwrap()).unwrap();
    for file in fs::read_dir(&m1).unwrap().map(Result::unwrap) {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        let public = file.file_name() == "K1.pem";
        assert_eq!(mode, if public { 0o644 } else { 0o600 }, "{file:?}");
    }
    assert_eq!(fs::read(m1.join("K1.pem")).unwrap(), fs::read(town.at("register/K1.pem")).unwrap());
    // No private key is in anything that is carried or kept.
    let signing = fs::read_to_string(m1.join("K1.key")).unwrap();
    let tls = fs::read_to_string(m1.join(files::KEY)).unwrap();
    let secrets = [signing.lines().nth(1).unwrap(), tls.lines().nth(1).unwrap()];
    let answer = serde_json::to_string(&Answer::parse(&issued.line).unwrap()).unwrap();
    assert!(secrets.iter().all(|secret| secret.len() > 40 && !request.contains(secret) && !answer.contains(secret)));
    // A broker without patterns has the same rights line by line.
    let access = fs::read_to_string(town.at("register/K1/access.acl")).unwrap();
    assert!(access.starts_with("user K1\ntopic write kiosk/v1/street/K1/presence\n"), "{access}");
    assert_eq!(access.lines().count(), 1 + ACCESS.matches("\npattern ").count());

    // A line of its own configuration stays through a renewal.
    let own = fs::read_to_string(&done.configuration).unwrap().replace("price = 300", "price = 310");
    fs::write(&done.configuration, &own).unwrap();
    let before = fs::read_to_string(m1.join(files::CERTIFICATE)).unwrap();
    let again = issue(&town.renewal(&town.machine("m1", "K1")), check).unwrap();
    assert_eq!(accept(&m1, &again.line, false).unwrap().written.len(), 2);
    let after = fs::read_to_string(m1.join(files::CERTIFICATE)).unwrap();
    let serial = |pem: &str| {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        X509Certificate::from_der(&der).unwrap().1.raw_serial_as_string()
    };
    assert_ne!(serial(&before), serial(&after));
    assert_eq!(fs::read_to_string(&done.configuration).unwrap(), own);
}

#[test]
fn requests_that_are_not_believed() {
    let town = Town::new();
    let (one, two) = (town.machine("m1", "K1"), town.machine("m2", "K2"));
    let order = |request: &str| refused(&town.order(request));
    let part = |text: &str, label: &str| {
        let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----\n"));
        let (from, to) = (text.find(&begin).unwrap(), text.find(&end).unwrap() + end.len());
        text[from..to].to_owned()
    };
    let csr = "CERTIFICATE REQUEST";
    let (mine, key) = (part(&one, csr), part(&one, "PUBLIC KEY"));
    assert!(order(&"x".repeat(9000)).contains("longer than 8192 bytes"));
    assert!(order("").contains("no certificate request in it"));
    assert!(order(&mine).contains("no public signing key"));
    assert!(order(&format!("{mine}{key}")).contains("no proof"));
    // Another's certificate request, another's key.
    assert!(order(&one.replace(&mine, &part(&two, csr))).contains("for another certificate request"));
    assert!(order(&one.replace(&key, &part(&two, "PUBLIC KEY"))).contains("signature does not hold"));
    // The signature of the certificate request is by another key than it asks for.
    let signer = KeySource::File(town.at("m1/K1.key")).signer("street/K1").unwrap();
    let forged = |change: &dyn Fn(Vec<u8>) -> Vec<u8>, of: &Address| {
        let der = rustls_pki_types::CertificateSigningRequestDer::from_pem_slice(mine.as_bytes()).unwrap().to_vec();
        let der = change(der);
        let digest = super::super::hex(ring::digest::digest(&ring::digest::SHA256, &der).as_ref());
        let proof = serde_json::json!({ "fleet": of.fleet, "kiosk": of.kiosk, "request": digest });
        let proof = signer.sign(crate::signed::jws::Purpose::EnrollmentRequest, &proof).unwrap();
        let body = data_encoding::BASE64.encode(&der);
        format!("-----BEGIN {csr}-----\n{body}\n-----END {csr}-----\n{key}{}\n", String::from_utf8(proof).unwrap())
    };
    let last_byte = |mut der: Vec<u8>| {
        *der.last_mut().unwrap() ^= 1;
        der
    };
    assert!(order(&forged(&last_byte, &street("K1"))).contains("own signature does not hold"));
    assert!(order(&forged(&|der| der, &street("K2"))).contains("signed under another name"));
    let other = KeySource::File(town.at("m1/K1.key")).signer("street/K9").unwrap();
    let tls = KeyPair::from_pem(&fs::read_to_string(town.at("m1/kiosk.key")).unwrap()).unwrap();
    let as_k9 = super::super::request::write(&street("K9"), &tls, &other, &key).unwrap();
    assert!(order(&as_k9.replace(&part(&as_k9, csr), &mine)).contains("for another certificate request"));
    let ed = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    assert!(order(&super::super::request::write(&street("K1"), &ed, &signer, &key).unwrap()).contains("another kind"));
    // A name by which the broker's list lets somebody else in.
    for taken in ["kiosk", "ca", "root", "keyset", "back-end"] {
        let refused = ask(&town.at("m1"), &street(taken));
        assert!(matches!(refused, Err(EnrollError::TakenName(_))), "{taken}: {refused:?}");
    }
    for user in ["gateway", "office"] {
        assert!(order(&town.machine("m3", user)).contains(&format!("a machine can't be called `{user}`")));
    }
    assert!(!town.at("register").exists(), "nothing was written");
}

#[test]
fn a_name_is_given_once_and_renewed_for_its_own_machine_alone() {
    let town = Town::new();
    let (own, other) = (town.machine("m1", "K1"), town.machine("m2", "K1"));
    assert!(refused(&town.renewal(&own)).contains("K1 is not in the register"));
    issue(&town.order(&own), check).unwrap();
    assert!(refused(&town.order(&other)).contains("street/K1 is in the register already"));
    assert!(refused(&town.order(&own)).contains("With --renew its certificate is renewed"));
    assert!(refused(&town.renewal(&other)).contains("it is not the machine that is known as street/K1"));
    issue(&town.renewal(&own), check).unwrap();
}

#[test]
fn what_does_not_fit_at_the_office_is_named() {
    let town = Town::new();
    let request = town.machine("m1", "K1");
    let order = town.order(&request);
    let with = |change: &dyn Fn(&mut Order, &mut Setup)| {
        let mut changed = order.clone();
        let mut setup = changed.setup.take().unwrap();
        change(&mut changed, &mut setup);
        refused(&Order { setup: Some(setup), ..changed })
    };
    assert!(with(&|order, _| order.days = 826).contains("1 to 825 days"));
    assert!(with(&|order, _| order.days = 0).contains("1 to 825 days"));
    assert!(with(&|order, _| order.ca_key = town.at("other.key")).contains("does the key belong to the CA?"));
    assert!(with(&|order, _| order.ca_key = town.at("ca.pem")).contains("chmod 600"));
    town.secret("no.key", "hello");
    assert!(with(&|order, _| order.ca_key = town.at("no.key")).contains("openssl pkcs8 -topk8"));
    let plain = CertificateParams::new(["x".to_owned()]).unwrap().self_signed(&KeyPair::generate().unwrap()).unwrap();
    fs::write(town.at("plain.pem"), plain.pem()).unwrap();
    assert!(with(&|order, _| order.ca = town.at("plain.pem")).contains("plain.pem is not a CA's certificate"));
    town.authority("short", 100, &KeyPair::generate().unwrap());
    let short = |days: u16| {
        with(&|order, setup| {
            (order.ca, order.ca_key, order.days) = (town.at("short.pem"), town.at("short.key"), days);
            setup.broker.tls = false;
        })
    };
    assert!(short(101).contains("write fewer --days"));
    assert!(short(100).contains("the broker has no TLS"));
    assert!(with(&|_, setup| setup.root = town.at("office.pem")).contains("the keyset does not count"));
    assert!(with(&|_, setup| setup.back_end = Some(town.at("ca.pem"))).contains("ca.pem is not"));
    // A private key is not carried to a machine, whatever was typed.
    let both = [fs::read(town.at("root.pem")).unwrap(), fs::read(town.at("root.key")).unwrap()].concat();
    town.secret("both.pem", &String::from_utf8(both).unwrap());
    let said = with(&|_, setup| setup.root = town.at("both.pem"));
    assert!(said.contains("a private key is in"), "{said}");
    let template = fs::read_to_string(town.at("template.toml")).unwrap();
    let written = |text: &str| fs::write(town.at("wrong.toml"), text).unwrap();
    let wrong = || with(&|_, setup| setup.template = town.at("wrong.toml"));
    written(&template.replace("price = 300", "price = \"300\""));
    assert!(wrong().contains("the template does not make a configuration") && wrong().contains("price"), "{}", wrong());
    written("fleet = { window = 3 }\n[kiosk]\n");
    assert!(wrong().contains("the template: write [fleet] as a heading"));
    written(&"#".repeat(300 << 10));
    assert!(wrong().contains("larger than"));
    // What only the machine has is said, and no reason to refuse.
    written(&template.replace("kioskd-sans-sc.otf", "theirs.otf"));
    let mut elsewhere = order.clone();
    elsewhere.setup.as_mut().unwrap().template = town.at("wrong.toml");
    assert!(!town.at("register/K1.pem").exists(), "nothing was written before");
    let issued = issue(&elsewhere, check).unwrap();
    assert!(matches!(&issued.unchecked[..], [one] if one.contains("theirs.otf")), "{:?}", issued.unchecked);
    assert!(!town.at("register/.checked").exists());
}

#[test]
fn answers_that_a_machine_does_not_take() {
    let town = Town::new();
    let issued = issue(&town.order(&town.machine("m1", "K1")), check).unwrap();
    let answer = Answer::parse(&issued.line).unwrap();
    let m1 = town.at("m1");
    let there = || fs::read_dir(&m1).unwrap().count();
    assert_eq!(there(), 3);
    let refuses = |folder: &str, answer: &Answer| {
        accept(&town.at(folder), &answer.line().unwrap(), false).unwrap_err().to_string()
    };
    town.machine("m2", "K2");
    assert!(refuses("m2", &answer).contains("this machine has not asked under that name"));
    town.machine("m3", "K1");
    assert!(refuses("m3", &answer).contains("for another key than this machine's own"));
    fs::create_dir(town.at("m4")).unwrap();
    assert!(refuses("m4", &answer).contains("K1.key is not there"));
    town.machine("m1", "K2");
    fs::remove_file(m1.join("K2.pem")).unwrap();
    assert!(refuses("m1", &Answer { kiosk: name("K2"), ..answer.clone() }).contains("another name than street/K2"));
    fs::remove_file(m1.join("K2.key")).unwrap();
    let other = fs::read_to_string(town.at("other.pem")).unwrap();
    assert!(refuses("m1", &Answer { ca: other, ..answer.clone() }).contains("has not signed the certificate"));
    assert!(refuses("m1", &Answer { ca: String::new(), ..answer.clone() }).contains("what the answer calls the CA"));
    assert!(
        refuses("m1", &Answer { certificate: "x".into(), ..answer.clone() }).contains("the certificate is not one")
    );
    let first = |change: &dyn Fn(&mut First)| {
        let mut first = answer.first.clone().unwrap();
        change(&mut first);
        refuses("m1", &Answer { first: Some(first), ..answer.clone() })
    };
    let office = fs::read_to_string(town.at("office.pem")).unwrap();
    assert!(first(&|first| first.root.clone_from(&office)).contains("the keyset in the answer does not count"));
    assert!(first(&|first| first.root.clear()).contains("the fleet's root"));
    assert!(first(&|first| first.back_end = Some("x".into())).contains("the back end's key"));
    for (from, to) in
        [("id = \"K1\"", "id = \"K2\""), ("fleet = \"street\"", "fleet = \"lane\""), ("[kiosk]", "[kiosk")]
    {
        let said = first(&|first| first.configuration = first.configuration.replacen(from, to, 1));
        assert!(said.contains("the configuration in the answer is not for street/K1"), "{to}: {said}");
    }
    assert_eq!(there(), 3, "nothing was written");

    // What is there and is another is kept, until somebody says otherwise.
    for name in [files::CONFIGURATION, files::KEYSET] {
        fs::write(m1.join(name), "mine").unwrap();
        assert!(refuses("m1", &answer).contains(&format!("{name} is there and is another; nothing was changed")));
        assert!(!m1.join(files::CERTIFICATE).exists());
        let line = answer.line().unwrap();
        machine::accept(&m1, &line, true).unwrap();
        assert_eq!(fs::read_to_string(m1.join(format!("{name}.before"))).unwrap(), "mine");
        machine::accept(&m1, &line, false).unwrap();
        fs::remove_file(m1.join(files::CERTIFICATE)).unwrap();
    }
    // Keys that others could read are not used.
    fs::set_permissions(m1.join(files::KEY), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refuses("m1", &answer).contains("chmod 600"));
    assert!(ask(&m1, &street("K1")).unwrap_err().to_string().contains("chmod 600"));
}
