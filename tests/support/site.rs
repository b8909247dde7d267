//! A street with a gateway: mosquitto with TLS and a certificate for everybody, two `kioskfleet gateway` with the merchant's
//! keys, providers' doubles, and a kiosk without any. The broker's plain listener is for who looks on or makes trouble.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::child::{Running, command};
use crate::double::Double;
use crate::machine::{Machine, Setup};
use crate::{PATIENCE, free_port, program, wait_for};

pub struct Site {
    pub machine: Machine,
    pub wechat: Double,
    pub alipay: Double,
    /// Each with the address where it takes notifications.
    pub gateways: Vec<(Running, String)>,
    pub mqtt: u16,
    pub folder: TempDir,
    _broker: Running,
}

impl Site {
    /// `state`: where the kiosk's ledger is, in place of a temporary directory.
    pub fn open(state: Option<PathBuf>, poll_seconds: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        certificates(path, &["gateway", "kiosk"]);
        let (broker, plain, secure) = mosquitto(path);
        std::fs::create_dir(path.join("kiosks")).unwrap();
        keygen(&path.join("kiosks"), "K0001");
        keygen(&path.join("kiosks"), "K0002");
        keygen(path, "gateway-sign");
        let wechat = Double::start("wechat/double.py", &path.join("wechat"));
        let alipay = Double::start("alipay/double.py", &path.join("alipay"));
        std::fs::write(path.join("gateway.toml"), gateway(path, secure, &wechat, &alipay)).unwrap();
        let gateways = (0..2).map(|_| start_gateway(path, drop)).collect();
        let mut setup = Setup {
            broker: Some(format!("mqtts://127.0.0.1:{secure}")),
            rails: Some(kiosk_rails(path, "K0001", poll_seconds)),
            state,
            ..Setup::fast()
        };
        let slow = ["qr_life", "more_time", "grace", "poll", "timeout"];
        setup.config.retain(|(key, _)| !slow.iter().any(|first| key.starts_with(first)));
        setup.config.extend([
            ("broker = \"mqtt://", "broker = \"mqtts://"),
            ("qr_life = \"90s\"", "qr_life = \"40s\""),
            ("more_time = \"60s\"", "more_time = \"20s\""),
            ("grace = \"30s\"", "grace = \"8s\""),
        ]);
        let machine = Machine::start(&setup);
        Self { machine, wechat, alipay, gateways, mqtt: plain, folder, _broker: broker }
    }

    /// SIGKILL; and another in its place.
    pub fn replace_gateway(&mut self, which: usize) {
        self.kill_gateway(which);
        self.gateways[which] = start_gateway(self.folder.path(), drop);
    }

    pub fn kill_gateway(&mut self, which: usize) {
        let (gateway, _) = &mut self.gateways[which];
        gateway.end();
    }

    /// Publishes as anybody could who owns the broker.
    pub fn publish(&self, topic: &str, message: &[u8]) {
        let file = self.folder.path().join("message");
        std::fs::write(&file, message).unwrap();
        let port = self.mqtt.to_string();
        let sent = command("mosquitto_pub").args(["-p", &port, "-q", "1", "-t", topic, "-f"]).arg(file).status();
        assert!(sent.unwrap().success());
    }

    /// Everything said on a topic from now on.
    pub fn listen(&self, topic: &str) -> Heard {
        listen(self.mqtt, topic)
    }

    /// The gateways' own private key, whose name is `gateway-1`.
    pub fn gateway_key(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("gateway-sign.key")).unwrap()
    }
}

pub struct Heard {
    lines: Arc<Mutex<Vec<String>>>,
    _client: Running,
}

/// Everything said on a topic from now on, by the broker at that port.
pub fn listen(port: u16, topic: &str) -> Heard {
    let mut client = command("mosquitto_sub");
    client.args(["-p", &port.to_string(), "-q", "1", "-t", topic, "-F", "%p"]).stdout(Stdio::piped());
    let mut client = Running::start(&mut client);
    let lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&heard);
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| all.lock().unwrap().push(line)));
    Heard { lines: heard, _client: client }
}

impl Heard {
    pub fn all(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub fn last(&self) -> Option<Value> {
        self.all().last().and_then(|line| serde_json::from_str(line).ok())
    }
}

pub fn keygen(out: &Path, name: &str) {
    let mut keygen = command(program("kioskfleet"));
    keygen.arg("keygen").arg("--out").arg(out).arg(name);
    assert!(keygen.stdout(Stdio::null()).status().unwrap().success());
}

/// With a plain listener and one with TLS.
pub fn mosquitto(path: &Path) -> (Running, u16, u16) {
    let (plain, secure) = (free_port(), free_port());
    let conf = format!(
        "user root\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\nlistener {plain} 127.0.0.1\n\
         listener {secure} 127.0.0.1\ncafile {dir}/ca.pem\ncertfile {dir}/server.pem\nkeyfile {dir}/server.key\n\
         require_certificate true\n",
        dir = path.display()
    );
    let file = path.join(format!("mosquitto-{plain}.conf"));
    std::fs::write(&file, conf).unwrap();
    let mut broker = command("mosquitto");
    let mut broker = Running::start(broker.arg("-c").arg(file).stdout(Stdio::null()).stderr(Stdio::null()));
    let connects = |port| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    wait_for("mosquitto listens", PATIENCE, || {
        assert!(broker.try_wait().unwrap().is_none(), "mosquitto has ended");
        (connects(secure) && connects(plain)).then_some(())
    });
    (broker, plain, secure)
}

/// Waits until it listens for notifications. `told_later` gets the lines of its log from then on.
pub fn start_gateway(path: &Path, told_later: impl FnMut(String) + Send + 'static) -> (Running, String) {
    let mut gateway = command(program("kioskfleet"));
    gateway.args(["gateway", "--config"]).arg(path.join("gateway.toml")).stderr(Stdio::piped());
    let mut child = Running::start(&mut gateway);
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut told = String::new();
    let address = loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "the gateway ended: {told}");
        told += &line;
        if let Some((_, address)) = line.trim().rsplit_once("listens for notifications address=") {
            break address.to_owned();
        }
    };
    std::thread::spawn(move || log.lines().map_while(Result::ok).for_each(told_later));
    (child, format!("http://{address}/notify"))
}

pub fn gateway(path: &Path, secure: u16, wechat: &Double, alipay: &Double) -> String {
    format!(
        r#"[gateway]
fleet = "demo"
group = "gateway"
broker = "mqtts://127.0.0.1:{secure}"
ca = "ca.pem"
cert = "gateway.pem"
key = "file:gateway.key"
signing_key = "file:gateway-sign.key"
kid = "gateway-1"
kiosks = "kiosks"
listen = "127.0.0.1:0"
path = "/notify"

[limits]
orders_per_hour = 1000
refunds_per_hour = 1000

[[rail]]
kind = "wechat"
label = {{ en = "WeChat Pay" }}
base_url = "{}"
appid = "{}"
mchid = "{}"
serial_no = "{}"
private_key = "file:{dir}/wechat/merchant.key"
api_v3_key = "file:{dir}/wechat/api_v3.key"
notify_url = "https://pay.example.com/notify/wechat"
timeout = "2s"

[[rail]]
kind = "alipay"
label = {{ en = "Alipay" }}
base_url = "{}/gateway.do"
app_id = "{}"
private_key = "file:{dir}/alipay/app_private.pem"
alipay_public_key = "file:{dir}/alipay/alipay_public.pem"
notify_url = "https://pay.example.com/notify/alipay"
timeout = "2s"
"#,
        wechat.url(),
        wechat.said("appid"),
        wechat.said("mchid"),
        wechat.said("serial_no"),
        alipay.url(),
        alipay.said("app_id"),
        dir = path.display(),
    )
}

pub fn kiosk_rails(path: &Path, kiosk: &str, poll_seconds: u64) -> String {
    let rail = |name: &str, label: &str| {
        format!(
            "[[rail]]\nkind = \"gateway\"\nname = \"{name}\"\nlabel = {{ en = \"{label}\" }}\n\
             poll_seconds = {poll_seconds}\ntimeout = \"5s\"\n\n"
        )
    };
    // The configuration's [fleet] stands before its rails.
    format!(
        "ca = \"{dir}/ca.pem\"\ncert = \"{dir}/kiosk.pem\"\nkey = \"file:{dir}/kiosk.key\"\nsigning_key = \"file:{dir}/kiosks/{kiosk}.key\"\n\n[[fleet.gateway.trusted]]\nkid = \"gateway-1\"\n\
         file = \"{dir}/gateway-sign.pem\"\n\n{}{}",
        rail("wechat", "WeChat Pay"),
        rail("alipay", "Alipay"),
        dir = path.display()
    )
}

/// A CA, a certificate for the servers on this machine, and one for each client.
pub fn certificates(directory: &Path, clients: &[&str]) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
    use std::os::unix::fs::PermissionsExt;
    let write = |file: &str, text: &str| {
        let path = directory.join(file);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    let named = |names: &[&str], common: &str| {
        let mut params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, common);
        params
    };
    let mut params = named(&[], "the operator's CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    write("ca.pem", &ca.pem());
    let servers = [("server", &["127.0.0.1"][..])];
    for (file, names) in servers.into_iter().chain(clients.iter().map(|client| (*client, &[][..]))) {
        let key = KeyPair::generate().unwrap();
        write(&format!("{file}.pem"), &named(names, file).signed_by(&key, &ca).unwrap().pem());
        write(&format!("{file}.key"), &key.serialize_pem());
    }
}

/// The charge whose code is on the glass, from the double's book: the last one made.
pub fn last_charge(double: &Double) -> String {
    let book = double.get("/_book");
    book["charges"].as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned()
}

/// A notification of Alipay's, as it would post it.
pub fn alipay_notification(double: &Double, charge: &str) -> String {
    let made = double.post("/_notify", json!({ "out_trade_no": charge }));
    made["body"].as_str().unwrap_or_else(|| panic!("no notification: {made}")).to_owned()
}
