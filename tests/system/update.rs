//! Updates by RAUC itself, on a machine with two copies of its software: its service on a bus, the boot loader's variables
//! where U-Boot has them, signed bundles with verity. Outside is the boot loader, and the plug.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kioskd::operation::Digest;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::host::one_processor;
use kioskd_tests::chance::{Chance, seed};
use kioskd_tests::child::{Running, command};
use kioskd_tests::repository;

/// For one start of the machine; longer than it takes.
const PATIENCE: Duration = Duration::from_secs(120);
const ATTEMPTS: u32 = 3;
/// Most starts of a campaign.
const STARTS: u32 = 24;
/// Most power cuts of one.
const CUTS: u32 = 3;

/// Where the power is cut: as soon as the console has this. Each step that is on record, and some of RAUC's own.
const POINTS: [&str; 14] = [
    "UP version=",
    "update-begun",
    "update-installing",
    "Verifying signature",
    "Copying image to rootfs.",
    "99 %",
    "100 %",
    "update-installed",
    "update-restarting",
    "UP version=2",
    "update-tried",
    "update-passed",
    "update-good",
    "operation-ended",
];

/// What the office asks for, one after the other.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order {
    file: String,
    sha256: String,
    version: String,
}

/// What was made once: the images, and bundles of them.
struct Works {
    folder: TempDir,
    kernel: PathBuf,
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// In which way new software is sick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Well,
    /// Its daemon does not start.
    Dead,
    /// It runs, and its machine does not find the broker.
    Alone,
}

impl Works {
    fn new() -> Self {
        let kernel = run(&mut command(repository().join("tests/lab/kernel"))).trim().into();
        let works = Self { folder: tempfile::tempdir().unwrap(), kernel };
        works.keys();
        let system = "[system]\ncompatible=kioskd-lab\nbootloader=uboot\nstatusfile=/data/rauc.status\n\
                      bundle-formats=verity\n[keyring]\npath=/outside/ca.pem\ncheck-purpose=codesign\n\
                      [slot.rootfs.0]\ndevice=/dev/ubdb\ntype=ext4\nbootname=A\n\
                      [slot.rootfs.1]\ndevice=/dev/ubdc\ntype=ext4\nbootname=B\n";
        works.write("system.conf", system);
        works.write("empty.env", "");
        let env = works.at("bootenv").display().to_string();
        works.write("env.config", &format!("{env} 0x0000 0x4000\n{env} 0x8000 0x4000\n"));
        let guest = std::env::current_exe().unwrap();
        works.write("places", &format!("guest='{}'\n", guest.display()));
        works.image("old.ext4", "1", Health::Well);
        works
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.at(name), text).unwrap();
    }

    fn openssl(&self, words: &str) {
        run(command("openssl").args(words.split(' ')).current_dir(self.folder.path()));
    }

    fn keys(&self) {
        self.write("leaf.ext", "extendedKeyUsage=codeSigning\n");
        let new = "-newkey rsa:2048 -nodes";
        self.openssl(&format!("req -x509 {new} -keyout ca.key -out ca.pem -subj /CN=ca -days 3650"));
        self.openssl(&format!("req {new} -keyout sign.key -out sign.csr -subj /CN=sign"));
        self.openssl(
            "x509 -req -in sign.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out sign.pem -days 3650 -extfile leaf.ext",
        );
    }

    /// A copy of the software: its daemon, where the machine has it, and what it says of itself.
    fn image(&self, name: &str, version: &str, health: Health) {
        let tree = tempfile::tempdir().unwrap();
        let put = |path: &str| {
            let path = tree.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        std::fs::write(put("/usr/lib/os-release"), format!("ID=lab\nIMAGE_VERSION={version}\n")).unwrap();
        let kioskd = put(env!("CARGO_BIN_EXE_kioskd"));
        match health {
            Health::Dead => {
                std::fs::write(&kioskd, "#!/bin/sh\nexit 1\n").unwrap();
                run(command("chmod").arg("755").arg(&kioskd));
            }
            Health::Well | Health::Alone => {
                run(command("strip").arg("-o").arg(&kioskd).arg(env!("CARGO_BIN_EXE_kioskd")));
            }
        }
        if health == Health::Alone {
            std::fs::write(put("/usr/share/kioskos/alone"), "").unwrap();
        }
        // Bytes that are compared by nobody but verity.
        let ballast = "kioskd".repeat(1 << 20);
        std::fs::write(put("/usr/share/kioskos/ballast"), ballast).unwrap();
        let image = self.at(name);
        run(command("mke2fs")
            .args(["-q", "-t", "ext4", "-O", "^has_journal", "-d"])
            .arg(tree.path())
            .arg(&image)
            .arg("96M"));
    }

    /// A signed bundle of an image.
    fn bundle(&self, version: &str, health: Health) -> Order {
        let folder = tempfile::tempdir().unwrap();
        let (image, file) = (format!("{version}.ext4"), format!("{version}.raucb"));
        self.image(&image, version, health);
        std::fs::rename(self.at(&image), folder.path().join("rootfs.ext4")).unwrap();
        let manifest = format!(
            "[update]\ncompatible=kioskd-lab\nversion={version}\n[bundle]\nformat=verity\n\
             [image.rootfs]\nfilename=rootfs.ext4\n"
        );
        std::fs::write(folder.path().join("manifest.raucm"), manifest).unwrap();
        let key = |name: &str, file: &str| format!("--{name}={}", self.at(file).display());
        run(command("rauc")
            .args([key("cert", "sign.pem"), key("key", "sign.key"), "bundle".into()])
            .arg(folder.path())
            .arg(self.at(&file)));
        self.order(&file, version)
    }

    fn order(&self, file: &str, version: &str) -> Order {
        let sha256 = Digest::of(&std::fs::read(self.at(file)).unwrap()).to_string();
        Order { file: file.into(), sha256, version: version.into() }
    }

    fn uboot(&self, program: &str, words: &[&str]) -> String {
        let (config, defaults) = (self.at("env.config"), self.at("empty.env"));
        let mut tool = command(program);
        tool.arg("-c").arg(config).arg("-f").arg(defaults).args(words);
        run(&mut tool)
    }
}

/// One machine, new out of its box.
struct Machine<'w> {
    works: &'w Works,
    told: Vec<String>,
}

/// How a start has ended.
struct Started {
    copy: String,
    /// It has switched itself off.
    off: bool,
    said: String,
}

/// The kernel is several processes, and all of them end with this, however the test ends.
struct Kernel(Running);

impl Drop for Kernel {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
    }
}

impl<'w> Machine<'w> {
    fn new(works: &'w Works, orders: &[Order]) -> Self {
        for copy in ["copyA", "copyB"] {
            std::fs::copy(works.at("old.ext4"), works.at(copy)).unwrap();
        }
        for (disk, size) in [("bootenv", 1 << 20), ("data", 96 << 20)] {
            std::fs::File::create(works.at(disk)).unwrap().set_len(size).unwrap();
        }
        run(command("mke2fs").args(["-q", "-t", "ext4"]).arg(works.at("data")));
        let machine = Self { works, told: Vec::new() };
        machine.set("BOOT_ORDER", "A B");
        for copy in ["A", "B"] {
            machine.set(&format!("BOOT_{copy}_LEFT"), &ATTEMPTS.to_string());
        }
        works.write("orders.json", &serde_json::to_string(orders).unwrap());
        machine
    }

    fn variables(&self) -> BTreeMap<String, String> {
        let text = self.works.uboot("fw_printenv", &[]);
        text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    }

    fn set(&self, name: &str, value: &str) {
        self.works.uboot("fw_setenv", &[name, value]);
    }

    /// The boot script of U-Boot: the first copy in the order with an attempt left, and one attempt less. When all are used
    /// up, those in the order get them back, and no other.
    fn choose(&self) -> (String, u32) {
        loop {
            let known = self.variables();
            let order = known.get("BOOT_ORDER").expect("the boot loader's variables are lost").clone();
            for copy in order.split_whitespace() {
                let name = format!("BOOT_{copy}_LEFT");
                let left: u32 = known[&name].parse().unwrap();
                if left > 0 {
                    self.set(&name, &(left - 1).to_string());
                    return (copy.to_owned(), left - 1);
                }
            }
            assert!(!order.trim().is_empty(), "no copy is in the order");
            order.split_whitespace().for_each(|copy| self.set(&format!("BOOT_{copy}_LEFT"), &ATTEMPTS.to_string()));
        }
    }

    /// `cut`: pulls the plug when this says so, of how long it runs and what it has said.
    fn start(&mut self, copy: String, mut cut: impl FnMut(Duration, &str) -> bool) -> Started {
        let works = self.works;
        let mut kernel = command("taskset");
        kernel
            .args(["--cpu-list", &one_processor()])
            .arg(&works.kernel)
            .args(["mem=768M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet", "loglevel=4"])
            .args(["con0=fd:0,fd:1", "con=null", "ssl=null"])
            .args([format!("rauc.slot={copy}"), format!("copy={copy}")]);
        for (device, file) in [("ubda", "data"), ("ubdb", "copyA"), ("ubdc", "copyB"), ("ubdd", "bootenv")] {
            kernel.arg(format!("{device}={}", works.at(file).display()));
        }
        kernel
            .arg(format!("init={}", repository().join("tests/system/copies").display()))
            .arg(format!("lab={}", works.folder.path().display()))
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(works.at("console")).unwrap())
            .stderr(Stdio::null())
            .process_group(0);
        let mut child = Kernel(Running::start(&mut kernel));
        let said = || {
            let bytes = std::fs::read(works.at("console")).unwrap();
            String::from_utf8_lossy(&bytes).replace('\r', "")
        };
        let began = Instant::now();
        let mut off = true;
        while child.0.try_wait().unwrap().is_none() {
            let so_far = said();
            assert!(began.elapsed() < PATIENCE, "it never switched itself off: {so_far}");
            if cut(began.elapsed(), &so_far) {
                off = false;
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(child);
        let said = said();
        let how = if off { "off" } else { "CUT" };
        self.told.push(format!("{copy} {how} after {:.1} s", began.elapsed().as_secs_f32()));
        if let Ok(keep) = std::env::var("KIOSKD_KEEP") {
            let file = Path::new(&keep).join(format!("update-{}-{}", std::process::id(), self.told.len()));
            std::fs::write(file, &said).unwrap();
        }
        for bad in ["does not mount", "Kernel panic", "bad CRC", "using default environment"] {
            assert!(!said.contains(bad), "{bad}: {said}");
        }
        Started { copy, off, said }
    }

    /// Until it has nothing more to do.
    fn until_its_end(&mut self, mut cut: impl FnMut(&str, u32) -> Option<Cut>) -> Started {
        for _ in 0..STARTS {
            let (copy, left) = self.choose();
            let wanted = cut(&self.variables()["BOOT_ORDER"], left);
            let started = self.start(copy, |time, said| wanted.as_ref().is_some_and(|cut| cut.is_now(time, said)));
            if started.off && started.said.contains("NOTHING MORE") {
                return started;
            }
        }
        panic!("it never came to an end: {:?}", self.told);
    }
}

/// Where the power is cut.
enum Cut {
    At(&'static str),
    After(Duration),
}

impl Cut {
    fn is_now(&self, time: Duration, said: &str) -> bool {
        match self {
            Self::At(word) => said.contains(word),
            Self::After(wait) => time >= *wait,
        }
    }
}

/// What the guest said of an order, `ENDED n WORD why`.
fn ended(said: &str, nth: usize) -> String {
    let head = format!("ENDED {nth} ");
    let line = said.lines().find_map(|line| line.strip_prefix(&head));
    line.unwrap_or_else(|| panic!("order {nth} has not ended: {said}")).to_owned()
}

fn software(said: &str, nth: usize) -> serde_json::Value {
    let head = format!("SOFTWARE {nth} ");
    let line = said.lines().find_map(|line| line.strip_prefix(&head)).unwrap_or_else(|| panic!("{said}"));
    serde_json::from_str(line).unwrap()
}

/// Power cuts at the steps and at random, up to some; then everything goes its way.
fn campaign(works: &Works, order: &Order, health: Health, seed: u64) {
    let mut chance = Chance(seed);
    let mut machine = Machine::new(works, std::slice::from_ref(order));
    let mut cuts = 0;
    let last = machine.until_its_end(|order, left| {
        // All attempts of new software, used up by cuts, are a fallback, and nobody could tell it from another.
        let spares = order.starts_with('B') && left == 0;
        if cuts == CUTS || spares || chance.below(100) < 20 {
            return None;
        }
        cuts += 1;
        Some(match chance.below(100) < 60 {
            true => Cut::At(chance.pick(&POINTS)),
            false => Cut::After(Duration::from_millis(500) + chance.time(Duration::from_secs(12))),
        })
    });
    let told = format!("campaign {seed} ({health:?}): {:?}, {:?}", machine.told, machine.variables());
    println!("{told}");
    let (end, runs) = (ended(&last.said, 0), software(&last.said, 0));
    assert!(last.said.contains("SOLD") && last.said.contains("the ledger holds"), "{told}: {}", last.said);
    let variables = machine.variables();
    let next = variables["BOOT_ORDER"].split(' ').next().unwrap().to_owned();
    assert_eq!((&next, &variables[&format!("BOOT_{next}_LEFT")]), (&last.copy, &ATTEMPTS.to_string()), "{told}");
    match health {
        Health::Well => {
            assert!(end.starts_with("changed"), "{told}: {end}");
            assert_eq!((&runs["version"], &runs["no_fallback"]), (&"2".into(), &serde_json::Value::Null), "{told}");
        }
        Health::Dead | Health::Alone => {
            assert!(end.starts_with("failed") && end.contains("fell-back"), "{told}: {end}");
            assert_eq!(runs["version"], "1", "{told}");
            assert_eq!(runs["refused"], serde_json::json!([order.sha256]), "{told}");
            assert!(runs["no_fallback"].is_string(), "the sick copy is no fallback: {told}");
        }
    }
}

fn campaigns(count: u64) {
    let works = Works::new();
    // Other moments each time.
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let base = seed("updates", now);
    let mut made: BTreeMap<u64, Order> = BTreeMap::new();
    for nth in 0..count {
        let kind = nth % 3;
        let health = [Health::Well, Health::Alone, Health::Dead][kind as usize];
        // Of each kind of new software there is one bundle.
        let order =
            made.entry(kind).or_insert_with(|| works.bundle(&format!("2{}", ["", ".1", ".2"][kind as usize]), health));
        campaign(&works, order, health, base + nth);
    }
}

#[test]
#[ignore = "in the laboratory"]
fn every_campaign_ends_on_good_software() {
    campaigns(3);
}

#[test]
#[ignore = "in the laboratory"]
fn long_every_campaign_ends_on_good_software() {
    campaigns(30);
}

/// A byte of the image that is changed after the bundle was signed: verity finds it in the middle of the copy.
#[test]
#[ignore = "in the laboratory"]
fn a_corrupt_bundle_leaves_no_fallback_until_another_is_installed() {
    let works = Works::new();
    let good = works.bundle("2", Health::Well);
    let mut bytes = std::fs::read(works.at(&good.file)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(works.at("bad.raucb"), &bytes).unwrap();
    let bad = works.order("bad.raucb", "2");
    let mut machine = Machine::new(&works, &[bad, good]);
    let last = machine.until_its_end(|_, _| None);
    println!("{:?}", machine.told);
    // Its first start tried the bad one.
    let first = std::fs::read_to_string(works.at("first")).unwrap();
    let (end, then) = (ended(&first, 0), software(&first, 0));
    assert!(end.starts_with("failed") && end.contains("update-failed"), "{end}");
    assert!(then["no_fallback"].as_str().unwrap().starts_with("no fallback: "), "{then}");
    assert_eq!((&then["version"], &then["refused"]), (&"1".into(), &serde_json::json!([])));
    assert!(ended(&last.said, 1).starts_with("changed"), "{}", last.said);
    assert_eq!(software(&last.said, 1)["no_fallback"], serde_json::Value::Null);
    assert_eq!(software(&last.said, 1)["version"], "2");
}

/// Inside.
mod guest {
    use std::io::Write;
    use std::time::Duration;

    use serde_json::Value;

    use super::Order;
    use kioskd_tests::child::{Running, command};
    use kioskd_tests::machine::{Machine, Setup};

    struct Manager;

    /// Nobody but the kiosk asks this machine's logind, and for nothing else.
    #[zbus::interface(name = "org.freedesktop.login1.Manager")]
    impl Manager {
        fn can_reboot(&self) -> String {
            "yes".into()
        }

        fn reboot(&self, _interactive: bool) {
            say("REBOOT");
            power_off();
        }
    }

    /// On the console, whole.
    fn say(line: &str) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}");
        let _ = out.flush();
        // What the host has to know of an earlier start.
        if line.contains(" 0 ") {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open("/outside/first").unwrap();
            let _ = writeln!(file, "{line}");
        }
    }

    fn power_off() {
        rustix::fs::sync();
        std::fs::write("/proc/sysrq-trigger", "o").unwrap();
    }

    /// The office's orders that have begun, the first first.
    fn begun(machine: &Machine) -> Vec<Value> {
        let told = machine.get("/api/operations");
        let all = told["operations"].as_array().unwrap().iter();
        let mut found: Vec<Value> = all.filter(|line| line["asked"]["do"] == "install-update").cloned().collect();
        found.reverse();
        found
    }

    #[test]
    #[ignore = "started in the laboratory by `copies`"]
    fn machine() {
        let orders: Vec<Order> = serde_json::from_slice(&std::fs::read("/outside/orders.json").unwrap()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let _logind = runtime.block_on(async {
            let builder = zbus::connection::Builder::system();
            let builder = builder.serve_at("/org/freedesktop/login1", Manager);
            builder.name("org.freedesktop.login1").build().await.unwrap()
        });
        let update = "[update]\ninstaller = \"rauc\"\nrelease = \"/usr/lib/os-release\"\ngate = \"30s\"\n\n[glass]\n";
        let reboot = "heartbeat = \"200ms\"\nreboot = \"logind\"";
        let alone = std::path::Path::new("/usr/share/kioskos/alone").exists();
        let mut config = Setup::fast().config;
        config.extend([("[glass]\n", if alone { ALONE } else { update }), ("heartbeat = \"200ms\"", reboot)]);
        let broker = alone.then(|| "mqtt://127.0.0.1:9".to_owned());
        let state = Some("/data/state".into());
        let machine = Machine::start(&Setup { config, broker, state, panel: "640x400", ..Setup::default() });
        let runs = machine.wait("what runs", || {
            let software = machine.get("/api/state")["software"].clone();
            software["version"].is_string().then_some(software)
        });
        say(&format!("UP version={} copy={}", runs["version"].as_str().unwrap(), runs["copy"]));
        let mut told = 0;
        let mut office: Option<Running> = None;
        loop {
            let begun = begun(&machine);
            while let Some(outcome) = begun.get(told).map(|line| &line["outcome"]).filter(|outcome| !outcome.is_null())
            {
                let word = outcome["result"].as_str().unwrap();
                say(&format!("ENDED {told} {word} {outcome}"));
                // The installer is asked once more after an update, and what has failed leaves a copy that is no fallback, until
                // another has come.
                let newest = told + 1 == begun.len();
                let now = machine.wait("the software", || {
                    let software = machine.get("/api/state")["software"].clone();
                    let known = !newest || software["no_fallback"].is_string() == (word == "failed");
                    (software["update"].is_null() && software["copy"].is_string() && known).then_some(software)
                });
                say(&format!("SOFTWARE {told} {now}"));
                told += 1;
            }
            if told == orders.len() {
                break;
            }
            if begun.len() == told && office.as_mut().is_none_or(|sent| sent.try_wait().unwrap().is_some()) {
                office = Some(send(&machine, &orders[told]));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let payload = machine.offer(&["cola"]);
        machine.wallet(&payload, "pay");
        machine.until_state("delivered");
        say("SOLD");
        let kioskctl = command(kioskd_tests::program("kioskctl")).args(["--state", "/data/state", "verify"]).output();
        say(&String::from_utf8(kioskctl.unwrap().stdout).unwrap());
        say("NOTHING MORE");
        power_off();
        std::thread::sleep(Duration::from_secs(20));
    }

    /// Its gate is short, for it can't be passed.
    const ALONE: &str = "[update]\ninstaller = \"rauc\"\nrelease = \"/usr/lib/os-release\"\ngate = \"4s\"\n\n[glass]\n";

    fn send(machine: &Machine, order: &Order) -> Running {
        let key = |name: &str| machine.state.join("keys").join(name).to_str().unwrap().to_owned();
        let mut office = command(kioskd_tests::program("kioskfleet"));
        office
            .args(["send", "--fleet", "demo", "--broker", &machine.mqtt, "--kiosk", "K0001", "--timeout", "10"])
            .args(["--sign", &key("update.key"), "install-update"])
            .arg(format!("bundle=/outside/{}", order.file))
            .args([format!("sha256={}", order.sha256), format!("version={}", order.version)]);
        Running::start(&mut office)
    }
}
