//! A bus of the test's own, as a machine's is, and its independent clients: `busctl` and `dbus-monitor`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use kioskd_tests::PATIENCE;
use kioskd_tests::child::{Running, command};
use kioskd_tests::machine::{Setup, wait_at_most};

pub const NAME: &str = "org.kioskd.Kiosk1";
pub const PATH: &str = "/org/kioskd/Kiosk1";

/// Nobody in particular: the account `nobody`, in no group but its own.
pub const STRANGER: Caller = Caller { uid: 65_534, groups: None };
/// A technician: the same, in a group that every Debian has and the test's policy names in place of `kiosk-tech`.
pub const TECHNICIAN: Caller = Caller { uid: 65_534, groups: Some("users") };

#[derive(Debug, Clone, Copy)]
pub struct Caller {
    pub uid: u32,
    pub groups: Option<&'static str>,
}

pub struct Bus {
    daemon: Running,
    folder: TempDir,
}

/// What a system's bus says of everybody, in short.
const SYSTEM: &str = r#"
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>"#;

fn shipped(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(file)
}

/// The number of whoever runs this test, and so of the demo's kiosk.
fn own_uid() -> u32 {
    rustix::process::getuid().as_raw()
}

impl Bus {
    /// With the policy that ships. A test makes no accounts: the user `kioskd` becomes the one who runs the test, and the
    /// group `kiosk-tech` the group `users`.
    pub fn start() -> Self {
        Self::with(&Self::policy())
    }

    /// The same, where the test may be polkit.
    pub fn with_polkit() -> Self {
        let polkit = format!(
            "<policy user=\"{}\"><allow own=\"org.freedesktop.PolicyKit1\"/>\
             <allow send_destination=\"org.freedesktop.PolicyKit1\"/></policy></busconfig>",
            own_uid()
        );
        Self::with(&Self::policy().replace("</busconfig>", &polkit))
    }

    /// The same, where the test may be logind.
    pub fn with_logind() -> Self {
        let logind = format!(
            "<policy user=\"{}\"><allow own=\"org.freedesktop.login1\"/>\
             <allow send_destination=\"org.freedesktop.login1\"/></policy></busconfig>",
            own_uid()
        );
        Self::with(&Self::policy().replace("</busconfig>", &logind))
    }

    fn policy() -> String {
        let mut policy = std::fs::read_to_string(shipped("org.kioskd.Kiosk1.conf")).unwrap();
        let own = format!("user=\"{}\"", own_uid());
        for (ships, here) in [("user=\"kioskd\"", own.as_str()), ("group=\"kiosk-tech\"", "group=\"users\"")] {
            assert_eq!(policy.matches(ships).count(), 1, "{ships} in the policy");
            policy = policy.replace(ships, here);
        }
        policy
    }

    /// Nobody has installed a policy.
    pub fn without_policy() -> Self {
        Self::with("<busconfig/>")
    }

    fn with(policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Callers are other users.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("policy.conf"), policy).unwrap();
        std::fs::create_dir(at("services")).unwrap();
        std::fs::copy(shipped("org.kioskd.Kiosk1.service"), at("services/org.kioskd.Kiosk1.service")).unwrap();
        let config = format!(
            "<busconfig><type>system</type><listen>unix:path={0}/socket</listen><auth>EXTERNAL</auth>\
             <servicedir>{0}/services</servicedir>{SYSTEM}<include>{0}/policy.conf</include></busconfig>",
            folder.path().display()
        );
        std::fs::write(at("bus.conf"), config).unwrap();
        Self { daemon: Self::daemon(&folder), folder }
    }

    fn daemon(folder: &TempDir) -> Running {
        let config = format!("--config-file={}/bus.conf", folder.path().display());
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let daemon =
            Running::start(command("dbus-daemon").args([config.as_str(), "--nofork", "--nopidfile"]).stderr(log));
        let socket = folder.path().join("socket");
        let up = wait_at_most(PATIENCE, || std::os::unix::net::UnixStream::connect(&socket).ok());
        let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        assert!(up.is_some(), "the bus does not answer: {}", log());
        daemon
    }

    pub fn kill(&mut self) {
        self.daemon.end();
    }

    /// After it was killed.
    pub fn again(&mut self) {
        self.daemon = Self::daemon(&self.folder);
    }

    pub fn address(&self) -> String {
        format!("unix:path={}/socket", self.folder.path().display())
    }

    /// A demo on this bus, as on the system's.
    pub fn setup(&self) -> Setup {
        let config = vec![("bus = \"session\"", "bus = \"system\"")];
        Setup { config, env: vec![("DBUS_SYSTEM_BUS_ADDRESS", self.address().into())], ..Setup::default() }
    }

    /// `busctl WORDS`, by whoever runs the test.
    pub fn busctl(&self, words: &[&str]) -> Output {
        let mut busctl = command("busctl");
        busctl.arg(format!("--address={}", self.address())).args(words).output().unwrap()
    }

    /// The same by somebody else.
    pub fn busctl_by(&self, caller: Caller, words: &[&str]) -> Output {
        let mut busctl = by(caller, "busctl");
        busctl.arg(format!("--address={}", self.address())).args(words).output().unwrap()
    }

    /// A program of ours by somebody else, on this bus as on the system's.
    pub fn program_by(&self, caller: Caller, program: &str) -> Command {
        // Where it was built may be closed to them. By a program of its own: of a file that this one writes, a child that is
        // just being started beside has a copy, and a file that is written can't be run.
        let copy = self.folder.path().join("program");
        assert!(command("cp").arg(program).arg(&copy).status().unwrap().success());
        let mut program = by(caller, copy.to_str().unwrap());
        program.env("DBUS_SYSTEM_BUS_ADDRESS", self.address());
        program
    }

    /// What a method answers, as `busctl` shows it, or the sentence of its error.
    pub fn call(&self, interface: &str, method: &str, arguments: &[&str]) -> Result<String, String> {
        said(self.busctl(&call(interface, method, arguments)))
    }

    pub fn call_by(&self, who: Caller, interface: &str, method: &str, arguments: &[&str]) -> Result<String, String> {
        said(self.busctl_by(who, &call(interface, method, arguments)))
    }

    /// What the error of a call is called, by `dbus-send`, which lets nobody ask for a password. `words`: the method and
    /// its arguments.
    pub fn error_name(&self, who: Caller, interface: &str, words: &[&str]) -> String {
        let mut send = by(who, "dbus-send");
        send.args([&format!("--bus={}", self.address()), "--print-reply", &format!("--dest={NAME}"), PATH]);
        let told = send.arg(format!("{interface}.{}", words[0])).args(&words[1..]).output().unwrap();
        let says = String::from_utf8(told.stderr).unwrap();
        let name = says.strip_prefix("Error ").and_then(|says| says.split(':').next());
        name.unwrap_or_else(|| panic!("no error: {says}")).to_owned()
    }

    /// A property's value.
    pub fn property(&self, interface: &str, property: &str) -> Option<Value> {
        let interface = format!("{NAME}.{interface}");
        let words = ["--json=short", "get-property", NAME, PATH, &interface, property];
        let value: Value = serde_json::from_str(&said(self.busctl(&words)).ok()?).unwrap();
        Some(value["data"].clone())
    }

    pub fn wait_property(&self, interface: &str, property: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut seen = None;
        let found = wait_at_most(PATIENCE, || {
            seen = self.property(interface, property);
            seen.clone().filter(&wanted)
        });
        found.unwrap_or_else(|| panic!("{property} is {seen:?}"))
    }

    /// Everything that one hears of the kiosk from now on.
    pub fn listen(&self, caller: Caller) -> Ear {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut monitor = by(caller, "dbus-monitor");
        let rules = format!("type='signal',path='{PATH}'");
        monitor.args(["--address", &self.address(), &rules]).stdout(file.reopen().unwrap()).stderr(Stdio::null());
        let ear = Ear { file, _monitor: Running::start(&mut monitor) };
        // It hears its own name first.
        assert!(wait_at_most(PATIENCE, || ear.heard().contains("NameAcquired").then_some(())).is_some());
        ear
    }
}

pub struct Ear {
    file: tempfile::NamedTempFile,
    _monitor: Running,
}

impl Ear {
    pub fn heard(&self) -> String {
        std::fs::read_to_string(self.file.path()).unwrap()
    }
}

fn call<'w>(interface: &'w str, method: &'w str, arguments: &[&'w str]) -> Vec<&'w str> {
    [&["--", "call", NAME, PATH, interface, method], arguments].concat()
}

fn said(output: Output) -> Result<String, String> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    match output.status.success() {
        true => Ok(text(output.stdout)),
        false => Err(text(output.stderr)),
    }
}

/// A program as another user. Only root can be somebody else.
fn by(caller: Caller, program: &str) -> Command {
    let mut command = if own_uid() == 0 {
        command("setpriv")
    } else {
        let mut sudo = command("sudo");
        sudo.args(["-n", "setpriv"]);
        sudo
    };
    let uid = caller.uid;
    let groups = caller.groups.map_or("--clear-groups".to_owned(), |group| format!("--groups={group}"));
    command.args([&format!("--reuid={uid}"), &format!("--regid={uid}"), &groups, "--pdeathsig", "KILL", "--"]);
    command.arg(program);
    command
}
