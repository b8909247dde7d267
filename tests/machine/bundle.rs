//! The bundle for support, opened by other people's programs: everything is in it, its manifest holds, and no secret is in any byte
//! of it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::bus::kit::{Bus, TECHNICIAN};
use kioskd_tests::child::command;
use kioskd_tests::machine::Machine;
use kioskd_tests::repository;

/// Stands in every secret, and nowhere else.
pub const HUSH: &str = "HUSHHUSH";

/// A configuration with every key that keeps or names a secret, whose files have the word in them.
fn planted(folder: &Path) -> PathBuf {
    let secret = folder.join(format!("{HUSH}.key"));
    std::fs::write(&secret, HUSH).unwrap();
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
    let place = format!("file:{}", secret.display());
    let rails = format!(
        r#"
[[rail]]
kind = "wechat"
label = {{ en = "WeChat Pay" }}
appid = "wx1"
mchid = "1900007291"
serial_no = "4A"
private_key = "{place}"
api_v3_key = "credential:{HUSH}"
notify_url = "https://pay.example.com/wechat?key={HUSH}"
[[rail]]
kind = "alipay"
label = {{ en = "Alipay" }}
app_id = "2021"
private_key = "{HUSH} written where its place belongs"
alipay_public_key = "{place}"
app_cert = "{place}"
alipay_cert = "{place}"
root_cert = "{place}"
pass_word = "{HUSH}"
[{HUSH}]
password = "{HUSH}"
"#
    );
    let mut config = std::fs::read_to_string(repository().join("configs/vending.toml")).unwrap();
    let fleet = format!("[fleet]\nkey = \"{place}\"\nsigning_key = \"{place}\"");
    let broker = "broker = \"mqtt://127.0.0.1:1883\"";
    for (from, to) in [("[fleet]", fleet.as_str()), (broker, &format!("broker = \"mqtt://user:{HUSH}@broker:1883\""))] {
        assert!(config.contains(from));
        config = config.replace(from, to);
    }
    let pin = config.lines().find(|line| line.starts_with("pin = ")).unwrap().to_owned();
    config = config.replace(&pin, &format!("pin = \"$argon2id$v=19$m=19456,t=2,p=1${HUSH}${HUSH}\" # {HUSH}"));
    config.push_str(&rails);
    let file = folder.join("planted.toml");
    std::fs::write(&file, config).unwrap();
    file
}

/// As `tar` and `sha256sum` of the system read it.
pub struct Opened {
    folder: tempfile::TempDir,
    pub manifest: Value,
}

impl Opened {
    pub fn new(file: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut tar = command("tar");
        tar.args(["--extract", "--gzip", "--file"]).arg(file).arg("--directory").arg(folder.path());
        let told = tar.output().unwrap();
        assert!(told.status.success() && told.stderr.is_empty(), "{}", String::from_utf8_lossy(&told.stderr));
        let manifest = std::fs::read(folder.path().join("kioskd-bundle/manifest.json")).unwrap();
        Self { folder, manifest: serde_json::from_slice(&manifest).unwrap() }
    }

    pub fn text(&self, name: &str) -> String {
        let path = self.folder.path().join("kioskd-bundle").join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}: {:#}", self.manifest))
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }

    /// The manifest names every member with its hash, and there is no other.
    pub fn whole(&self) -> BTreeMap<String, u64> {
        let folder = self.folder.path().join("kioskd-bundle");
        let members = self.manifest["members"].as_array().unwrap();
        let lines = members
            .iter()
            .map(|member| format!("{}  {}\n", member["sha256"].as_str().unwrap(), member["name"].as_str().unwrap()));
        std::fs::write(folder.join("SUMS"), lines.collect::<String>()).unwrap();
        let checked = command("sha256sum").args(["--check", "--strict", "SUMS"]).current_dir(&folder).output().unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
        let found = command("find").args([".", "-type", "f", "-printf", "%P\n"]).current_dir(&folder).output().unwrap();
        let own = ["manifest.json", "manifest.jws", "SUMS"];
        let found = String::from_utf8(found.stdout).unwrap();
        let found: Vec<&str> = found.lines().filter(|name| !own.contains(name)).collect();
        assert_eq!(found.len(), members.len(), "{found:?}");
        members
            .iter()
            .map(|member| (member["name"].as_str().unwrap().into(), member["bytes"].as_u64().unwrap()))
            .collect()
    }

    /// What the manifest was signed for, and by whom.
    pub fn head(&self) -> Value {
        let head = self.json("manifest.jws")["protected"].as_str().unwrap().to_owned();
        serde_json::from_slice(&data_encoding::BASE64URL_NOPAD.decode(head.as_bytes()).unwrap()).unwrap()
    }

    pub fn has(&self, word: &str) -> bool {
        let found = command("grep").args(["-r", "-a", "-l", word]).arg(self.folder.path()).output().unwrap();
        !found.stdout.is_empty()
    }
}

fn bundle(bus: &Bus, state: &Path, config: &Path, file: &Path) -> Value {
    let mut kioskctl = command(env!("CARGO_BIN_EXE_kioskctl"));
    kioskctl.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()).args(["--json", "--state"]).arg(state).arg("bundle");
    let told = kioskctl.arg(file).arg("--config").arg(config).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    serde_json::from_slice(&told.stdout).unwrap()
}

#[test]
fn a_bundle_has_what_support_needs_and_no_secret() {
    let bus = Bus::start();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let machine = Machine::start(&kioskd_tests::machine::Setup { state: Some(state.clone()), ..bus.setup() });
    bus.wait_property("Status", "Selling", |selling| *selling == true);
    machine.world(json!({ "provider": { "refund_failed": true }, "slot": { "name": "B2", "motor": "jam" } }));
    let payload = machine.offer(&["chips"]);
    machine.wallet(&payload, "pay");
    let order = machine.until_state("claim")["id"].as_str().unwrap().to_owned();
    bus.wait_property("Sales", "Claims", |claims| claims[0].is_array());

    let (config, file) = (planted(folder.path()), folder.path().join("bundle.tar.gz"));
    assert!(std::fs::read_to_string(&config).unwrap().matches(HUSH).count() > 12);
    let told = bundle(&bus, &state, &config, &file);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let opened = Opened::new(&file);
    assert_eq!(told["manifest"], opened.manifest);
    let members = opened.whole();
    assert!(!opened.has(HUSH), "a secret is in the bundle: {:#}", opened.json("configuration.json"));
    assert!(!told.to_string().replace(folder.path().to_str().unwrap(), "").contains(HUSH));

    let shown = opened.json("configuration.json");
    assert_eq!(shown["kiosk"]["id"], "K0001");
    assert_eq!(shown["rail"][1]["private_key"], "file:(removed)");
    assert_eq!(shown["rail"][1]["mchid"], "1900007291");
    assert_eq!(opened.json("check.json")["right"], false);
    // The kiosk has its own key, whatever this configuration says.
    assert_eq!(
        (&opened.manifest["unsigned"], opened.head()),
        (&Value::Null, json!({ "alg": "EdDSA", "kid": "demo/K0001", "typ": "bundle" }))
    );
    assert_eq!(opened.json("status.json")["faults"][0]["slot"], "B2");
    assert!(opened.text(&format!("claims/{order}.txt")).contains("refused: failed at the provider"));
    assert_eq!(opened.json("claims.json")[0]["id"], *order);
    assert_eq!(opened.json("orders.json")["orders"][0]["id"], *order);
    assert_eq!(opened.json("verify.json")["holds"], true);
    for name in ["operations.json", "stock.json", "report.json", "status.txt", "devices.txt", "machine.json"] {
        assert!(members.contains_key(name), "{name}: {members:?}");
    }
    assert!(opened.json("machine.json")["kernel"][0] == "Linux");
    // The journal is there, or the manifest says why not.
    for name in ["journal.txt", "kernel-log.txt"] {
        assert!(members.contains_key(name) != opened.manifest["left_out"][name].is_string(), "{:#}", opened.manifest);
    }

    drop(machine);
    let dead = folder.path().join("dead.tar.gz");
    bundle(&bus, &state, &config, &dead);
    let opened = Opened::new(&dead);
    opened.whole();
    assert!(opened.manifest["left_out"]["status.json"].as_str().unwrap().contains("no kiosk is on this bus"));
    assert_eq!(opened.json("orders.json")["orders"][0]["id"], *order, "from the ledger");
    let why = opened.manifest["unsigned"].as_str().unwrap();
    assert!(why.contains("not right") && why.contains("no kiosk is on this bus"), "{why}");
    assert!(!opened.has(HUSH));
}

#[test]
fn a_manifest_is_signed_by_the_kiosks_key_and_openssl_believes_it() {
    let bus = Bus::start();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = |program: &str, words: &[&str]| {
        let told = command(program).args(words).current_dir(folder.path()).output().unwrap();
        assert!(told.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&told.stderr));
    };
    run("openssl", &["genpkey", "-algorithm", "ed25519", "-out", "K0001.key"]);
    std::fs::set_permissions(at("K0001.key"), PermissionsExt::from_mode(0o600)).unwrap();
    run("openssl", &["pkey", "-in", "K0001.key", "-pubout", "-out", "K0001.pem"]);
    let config = std::fs::read_to_string(repository().join("configs/vending.toml")).unwrap();
    let config = config.replace("../assets", repository().join("assets").to_str().unwrap());
    std::fs::write(at("kiosk.toml"), config.replace("[fleet]", "[fleet]\nsigning_key = \"file:K0001.key\"")).unwrap();
    let file = at("bundle.tar.gz");
    // Without a ledger and without a kiosk there is a bundle all the same.
    bundle(&bus, &at("nowhere"), &at("kiosk.toml"), &file);
    let opened = Opened::new(&file);
    assert_eq!(opened.manifest["unsigned"], Value::Null);
    assert!(opened.manifest["left_out"]["ledger"].as_str().unwrap().contains("is not there"), "{:#}", opened.manifest);
    let (holds, said) = by_the_paper(&file, &at("K0001.pem"));
    assert!(holds, "{said}");
    let own = rustix::process::getuid().as_raw();
    assert!(
        said.contains(r#""kid":"demo/K0001","typ":"bundle""#) && said.contains(&format!(r#""uid":{own}}}"#)),
        "{said}"
    );
    assert!(!opened.has(std::fs::read_to_string(at("K0001.key")).unwrap().lines().nth(1).unwrap()));
    // A key that nobody can read is no reason to tell what was written in its place.
    let config = config.replace("[fleet]", &format!("[fleet]\nsigning_key = \"credential:{HUSH}\""));
    std::fs::write(at("credential.toml"), config).unwrap();
    bundle(&bus, &at("nowhere"), &at("credential.toml"), &at("unsigned.tar.gz"));
    let unsigned = Opened::new(&at("unsigned.tar.gz"));
    assert_eq!(unsigned.json("check.json")["right"], true);
    let why = unsigned.manifest["unsigned"].as_str().unwrap();
    assert!(why.starts_with("systemd hands the signing_key to the daemon alone; no kiosk is on this bus"), "{why}");
    assert!(!unsigned.has(HUSH));
}

/// The commands of docs/technician.md, typed where the bundle and the key are: whether they agree, and what they say.
pub fn by_the_paper(file: &Path, key: &Path) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(file, folder.path().join("bundle.tar.gz")).unwrap();
    std::fs::copy(key, folder.path().join("K0001.pem")).unwrap();
    let paper = include_str!("../../docs/technician.md");
    let (_, part) = paper.split_once("## What support needs").unwrap();
    let script = part.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let told = command("sh").arg("-ec").arg(script).current_dir(folder.path()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    (told.status.success(), format!("{out}{err}"))
}

/// `kioskctl verify --bundle`: its exit status, and what it said or complained of.
pub fn verify(file: &Path, key: &Path) -> (Option<i32>, String) {
    let mut kioskctl = command(env!("CARGO_BIN_EXE_kioskctl"));
    let told = kioskctl.args(["verify", "--bundle"]).arg(file).arg("--key").arg(key).output().unwrap();
    (told.status.code(), String::from_utf8([told.stdout, told.stderr].concat()).unwrap())
}

/// A technician may read no key, and the kiosk signs for them.
#[test]
fn a_technicians_bundle_is_sealed_by_the_kiosk_and_a_changed_byte_is_noticed() {
    let bus = Bus::start();
    let machine = Machine::start(&bus.setup());
    bus.wait_property("Status", "Selling", |selling| *selling == true);
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let at = |name: &str| folder.path().join(name);
    let (file, key) = (at("bundle.tar.gz"), machine.state.join("keys/kiosk.pem"));
    let mut technician = bus.program_by(TECHNICIAN, env!("CARGO_BIN_EXE_kioskctl"));
    let told = technician.args(["bundle", "--config", "/etc/kioskd/gone.toml"]).arg(&file).output().unwrap();
    assert!(told.status.success(), "{told:?}");
    let says = String::from_utf8(told.stderr).unwrap();
    assert!(says.contains("without ledger: ") && !says.contains("not signed"), "{says}");
    let (code, says) = verify(&file, &key);
    assert_eq!(code, Some(0), "{says}");
    let wanted = format!(
        "{} holds, signed by demo/K0001\nbundle of kiosk K0001 of fleet demo, made by a technician (user 65534), 20",
        file.display()
    );
    assert!(says.starts_with(&wanted), "{says}");
    let (holds, said) = by_the_paper(&file, &key);
    assert!(holds && said.contains(r#""uid":65534}"#), "{said}");
    assert_eq!(verify(&file, &machine.state.join("keys/back-end.pem")).0, Some(1), "it is not the back end's");

    // Of so many bytes all over it.
    let whole = std::fs::read(&file).unwrap();
    let changed = at("changed.tar.gz");
    for at in (0..whole.len()).step_by(whole.len() / 60).chain([4, 9, whole.len() - 5, whole.len() - 1]) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&changed, bytes).unwrap();
        let (code, says) = verify(&changed, &key);
        assert!(code == Some(1) && says.contains("does not hold"), "byte {at} of {}: {says}", whole.len());
    }
    std::fs::write(&changed, [whole.as_slice(), b"x"].concat()).unwrap();
    assert!(verify(&changed, &key).1.contains("something stands behind its end"));

    // By somebody who packs it anew, so that only the hashes can tell.
    let packed = |change: &dyn Fn(&Path), first: &[&str]| {
        let opened = Opened::new(&file);
        let members = opened.manifest["members"].as_array().unwrap();
        let names =
            ["manifest.json", "manifest.jws"].into_iter().chain(members.iter().map(|of| of["name"].as_str().unwrap()));
        let names: Vec<String> =
            names.chain(first.iter().copied()).map(|name| format!("kioskd-bundle/{name}")).collect();
        change(&opened.folder.path().join("kioskd-bundle"));
        let there = names.iter().filter(|name| opened.folder.path().join(name).exists());
        let mut tar = command("sh");
        tar.args(["-ec", "tar --format=ustar -cf - \"$@\" | gzip -n", "tar"]).args(there);
        let out = tar.current_dir(opened.folder.path()).output().unwrap();
        let mut bytes = out.stdout;
        (bytes[8], bytes[9]) = (0, 255);
        std::fs::write(&changed, bytes).unwrap();
        verify(&changed, &key)
    };
    let edit = |name: &'static str, from: &'static str, to: &'static str| {
        move |folder: &Path| {
            let text = std::fs::read_to_string(folder.join(name)).unwrap();
            assert!(text.contains(from), "{name} has no {from}");
            std::fs::write(folder.join(name), text.replacen(from, to, 1)).unwrap();
        }
    };
    let (code, says) = packed(&|_| {}, &[]);
    assert_eq!(code, Some(0), "{says}");
    for (says, change) in [
        (
            "status.json is not what the manifest says",
            Box::new(edit("status.json", "\"selling\": true", "\"selling\": 1234")) as Box<dyn Fn(&Path)>,
        ),
        ("manifest.json is not what was sealed", Box::new(edit("manifest.json", "65534", "65535"))),
        (
            "the signature does not hold",
            Box::new(edit("manifest.jws", "\"payload\":\"eyJzaGEyNTYi", "\"payload\":\"eyJzaGEyNTci")),
        ),
        ("and it has", Box::new(|folder| std::fs::remove_file(folder.join("status.txt")).unwrap())),
        ("nobody has signed it", Box::new(|folder| std::fs::remove_file(folder.join("manifest.jws")).unwrap())),
    ] {
        let (code, told) = packed(&change, &[]);
        assert!(code == Some(1) && told.contains(says), "{told}, not {says}");
    }
    let (code, told) = packed(&|folder| std::fs::write(folder.join("more.txt"), "more").unwrap(), &["more.txt"]);
    assert!(code == Some(1) && told.contains("and it has"), "{told}");
}
