//! What the tests of the gateway stand on: Debian's mosquitto with TLS and the documented access list, and kiosks that
//! are an MQTT client and a key.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use kioskd::fleet::gateway::config::{self, GatewayConfig};
use kioskd::fleet::gateway::{Gateway, keygen};
use kioskd::fleet::tls;
use kioskd::fleet::topic::Name;
use kioskd::payment::gateway::wire::{Ask, Notice, Reply, Request, Says};
use kioskd::signed::jws::{Keys, PublicKey, Purpose, Signer};
use kioskd::signed::keys::KeySource;
use kioskd::vocabulary::{ChargeId, ChargeRef, Currency, Minor, NewCharge, OrderId, RefundId, RefundRequest};
use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, Publish, QoS, TlsConfiguration, Transport};
use serde_json::json;
use tokio::sync::mpsc;

use super::provider::{Provider, rails};
use kioskd_tests::child::{Running, command};
use kioskd_tests::site::certificates;
use kioskd_tests::{free_port, wait_for};

/// Nothing in these tests takes this long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// A kiosk that has heard nothing asks again.
const AGAIN: Duration = Duration::from_secs(5);
/// For the process that tests kill: its configuration, and where the provider is.
pub const CHILD: &str = "KIOSKD_TEST_GATEWAY";

pub type Headers = Vec<(&'static str, String)>;

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn order(number: u64) -> OrderId {
    OrderId::from_parts(number, 0)
}

pub fn cny() -> Currency {
    Currency::from_code("CNY").unwrap()
}

/// Milliseconds since 1970; the gateway has the same clock.
pub fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap()
}

/// The charge of its own order that these tests call `C_{number}`.
pub fn new_charge(number: u64, amount: Minor) -> NewCharge {
    let ChargeRef { charge, order, amount, currency } = charge(number, amount);
    let life = Duration::from_secs(90);
    // What it says here is nobody's concern.
    let (description, attach) = ("cola".into(), "street/K2".into());
    NewCharge { charge, order, amount, currency, life, description, attach }
}

pub fn charge(number: u64, amount: Minor) -> ChargeRef {
    let order = order(number);
    ChargeRef { charge: ChargeId::of(order, 1), order, amount, currency: cny() }
}

/// The first refund on it, of a part of what was charged.
pub fn refund(number: u64, charged: Minor, amount: Minor) -> RefundRequest {
    let ChargeRef { charge, order, currency, .. } = charge(number, charged);
    let refund = RefundId::of(&charge, 1);
    RefundRequest { refund, charge, order, amount, charged, currency }
}

/// The code of a refusal, or what else it is.
pub fn code(says: &Says) -> &str {
    match says {
        Says::Refused { code, .. } => code,
        Says::Unknown { .. } => "unknown",
        _ => "answered",
    }
}

/// Ends with it, or the test with a word about what was waited for.
pub async fn soon<T>(what: &str, it: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, it).await {
        Ok(it) => it,
        Err(_) => panic!("{what} did not happen"),
    }
}

/// A directory with all keys and certificates, a broker, and a provider.
pub struct Site {
    directory: tempfile::TempDir,
    pub broker: Mosquitto,
    pub provider: Provider,
}

impl Site {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        // A client for each name of the access list.
        certificates(path, &["gateway", "K1", "K2", "mallory"]);
        let kiosks = path.join("kiosks");
        std::fs::create_dir(&kiosks).unwrap();
        for kiosk in ["K1", "K2"] {
            keygen(&kiosks, &name(kiosk)).unwrap();
        }
        for other in ["gateway-sign", "operator", "stranger"] {
            keygen(path, &name(other)).unwrap();
        }
        Self { broker: Mosquitto::start(path), provider: Provider::start(), directory }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    pub fn signer(&self, file: &str, kid: &str) -> Signer {
        Signer::from_pem(&std::fs::read(self.path(file)).unwrap(), kid).unwrap()
    }

    /// As an operator would write it, with `more` after it.
    pub fn configuration(&self, more: &str) -> PathBuf {
        let port = self.broker.addr.port();
        let text = format!(
            r#"[gateway]
fleet = "street"
broker = "mqtts://127.0.0.1:{port}"
ca = "ca.pem"
cert = "gateway.pem"
key = "file:gateway.key"
signing_key = "file:gateway-sign.key"
kid = "gateway-1"
kiosks = "kiosks"
listen = "127.0.0.1:0"
tls_cert = "server.pem"
tls_key = "file:server.key"
operator_key = "operator.pem"
{more}"#
        );
        let path = self.path("gateway.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    pub async fn gateway(&self, more: &str) -> Gateway {
        self.gateway_with(more, |_| {}).await
    }

    pub async fn gateway_with(&self, more: &str, change: impl FnOnce(&mut GatewayConfig)) -> Gateway {
        let (mut config, _) = config::load(&self.configuration(more)).unwrap();
        change(&mut config);
        let gateway = Gateway::start(config, rails(self.provider.addr)).await.unwrap();
        soon("a gateway that is ready", gateway.ready()).await;
        gateway
    }

    /// The same as a process of its own.
    pub fn gateway_process(&self) -> GatewayProcess {
        let setup = json!([self.configuration(""), self.provider.addr]).to_string();
        let log = self.path(&format!("gateway-{:x}.log", getrandom::u32().unwrap()));
        let mut child = command(std::env::current_exe().unwrap());
        child
            .args(["--ignored", "--exact", "--nocapture", "a_gateway_that_other_tests_kill"])
            .env(CHILD, setup)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap());
        let mut child = Running::start(&mut child);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.map_while(Result::ok).find_map(|line| line.split_once("GATEWAY READY ")?.1.parse().ok());
        let process = GatewayProcess { child, log, webhook: ready };
        assert!(ready.is_some(), "the gateway's process has ended");
        process
    }

    pub async fn kiosk(&self, id: &str) -> Kiosk {
        let full = format!("street/{id}");
        let signer = self.signer(&format!("kiosks/{id}.key"), &full);
        let topic = |leaf: &str| format!("kiosk/v1/{full}/pay/{leaf}");
        let client = Client::start(self, id, &[topic("reply"), topic("notice")]).await;
        let gateway = PublicKey::from_pem(&std::fs::read(self.path("gateway-sign.pem")).unwrap()).unwrap();
        let keys = Keys::new([("gateway-1".to_owned(), gateway)]);
        Kiosk { client, signer, keys, request: topic("request"), full }
    }

    /// `POST /notify/{rail}` at a gateway.
    pub async fn notify(&self, gateway: &Gateway, rail: &str, told: &(Headers, Vec<u8>)) -> (u16, String) {
        self.notify_at(gateway.address().unwrap(), rail, told).await
    }

    pub async fn notify_at(&self, webhook: SocketAddr, rail: &str, told: &(Headers, Vec<u8>)) -> (u16, String) {
        use kioskd::payment::http::{Client, Method, Request};
        let host = format!("https://{webhook}");
        let client = Client::new(&[&host], Some(&self.path("ca.pem")), PATIENCE).unwrap();
        let (headers, body) = told.clone();
        let request = Request { method: Method::Post, target: format!("/notify/{rail}"), headers, body };
        let answer = client.send(request).await.unwrap();
        (answer.status, String::from_utf8(answer.body).unwrap())
    }
}

/// Killed when it is dropped.
pub struct GatewayProcess {
    child: Running,
    log: PathBuf,
    webhook: Option<SocketAddr>,
}

impl GatewayProcess {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn webhook(&self) -> SocketAddr {
        self.webhook.expect("it is ready")
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.end();
    }

    /// Lines of its log so far.
    pub fn logged(&self) -> usize {
        std::fs::read_to_string(&self.log).unwrap().lines().count()
    }

    /// KiB of memory that it has.
    pub fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it runs");
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// Debian's broker: TLS, client certificates, and the access list of configs/mosquitto.acl.
pub struct Mosquitto {
    child: Option<Running>,
    pub addr: SocketAddr,
    conf: PathBuf,
}

impl Mosquitto {
    fn start(directory: &Path) -> Self {
        let addr: SocketAddr = (Ipv4Addr::LOCALHOST, free_port()).into();
        let path = |file: &str| directory.join(file).display().to_string();
        let list = include_str!("../../configs/mosquitto.acl");
        // Whoever owns the broker may do everything.
        let list = format!("{list}\nuser mallory\ntopic readwrite #\n");
        std::fs::write(directory.join("acl"), list).unwrap();
        let conf = format!(
            "user root\nlistener {} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\nacl_file {}\n\
             require_certificate true\nuse_identity_as_username true\npersistence false\nset_tcp_nodelay true\n",
            addr.port(),
            path("ca.pem"),
            path("server.pem"),
            path("server.key"),
            path("acl"),
        );
        let file = directory.join("mosquitto.conf");
        std::fs::write(&file, conf).unwrap();
        let mut broker = Self { child: None, addr, conf: file };
        broker.restart();
        broker
    }

    /// SIGKILL: nothing is written, nobody is told.
    pub fn kill(&mut self) {
        self.child = None;
    }

    pub fn restart(&mut self) {
        self.kill();
        let mut broker = command("mosquitto");
        broker.arg("-c").arg(&self.conf).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(Running::start(&mut broker));
        wait_for("mosquitto listens", PATIENCE, || TcpStream::connect(self.addr).ok());
    }
}

/// An MQTT client with a certificate. It connects again by itself.
pub struct Client {
    client: AsyncClient,
    /// A word for every time that it listens.
    listening: mpsc::UnboundedReceiver<()>,
    taken: mpsc::UnboundedReceiver<()>,
    mail: mpsc::UnboundedReceiver<Publish>,
    task: tokio::task::JoinHandle<()>,
}

impl Client {
    pub async fn start(site: &Site, who: &str, filters: &[String]) -> Self {
        let file = |end: &str| site.path(&format!("{who}.{end}"));
        let (cert, key) = (file("pem"), KeySource::File(file("key")));
        let config = tls::client(Some(&site.path("ca.pem")), Some((&cert, &key))).unwrap();
        let mut options = MqttOptions::new(format!("test.{who}"), "127.0.0.1", site.broker.addr.port());
        options
            .set_max_packet_size(1 << 20, 1 << 20)
            .set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(config)));
        let (client, mut events) = AsyncClient::new(options, 100);
        let (up, listening) = mpsc::unbounded_channel();
        let (ack, taken) = mpsc::unbounded_channel();
        let (letter, mail) = mpsc::unbounded_channel();
        let (again, filters) = (client.clone(), filters.to_vec());
        let task = tokio::spawn(async move {
            let mut unanswered = filters.len();
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                        unanswered = filters.len();
                        for filter in &filters {
                            again.try_subscribe(filter, QoS::AtLeastOnce).unwrap();
                        }
                        if unanswered == 0 {
                            let _ = up.send(());
                        }
                    }
                    Ok(Event::Incoming(Incoming::SubAck(_))) => {
                        unanswered -= 1;
                        if unanswered == 0 {
                            let _ = up.send(());
                        }
                    }
                    Ok(Event::Incoming(Incoming::PubAck(_))) => {
                        let _ = ack.send(());
                    }
                    Ok(Event::Incoming(Incoming::Publish(message))) => drop(letter.send(message)),
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
        let mut started = Self { client, listening, taken, mail, task };
        started.listens().await;
        started
    }

    /// Waits for the next connection.
    pub async fn listens(&mut self) {
        soon("a connection to the broker", self.listening.recv()).await.unwrap();
    }

    /// Publishes them one after the other as fast as the broker takes them, and ends when it has them all.
    pub async fn flood(&mut self, messages: impl Iterator<Item = (&str, &[u8])>) {
        let mut waiting = 0;
        for (topic, payload) in messages {
            self.client.publish(topic, QoS::AtLeastOnce, false, payload).await.unwrap();
            waiting += 1;
        }
        for _ in 0..waiting {
            soon("the broker's word that it has it", self.taken.recv()).await.unwrap();
        }
    }

    /// Ends when the broker has it.
    pub async fn publish(&mut self, topic: &str, payload: impl Into<Vec<u8>>) {
        self.client.publish(topic, QoS::AtLeastOnce, false, payload).await.unwrap();
        soon("the broker's word that it has it", self.taken.recv()).await.unwrap();
    }

    pub async fn receive(&mut self) -> Publish {
        soon("a message", self.mail.recv()).await.unwrap()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub struct Kiosk {
    pub client: Client,
    signer: Signer,
    keys: Keys,
    pub request: String,
    full: String,
}

impl Kiosk {
    /// A signed request and its nonce.
    pub fn write(&self, rail: &str, ask: Ask) -> (Vec<u8>, String) {
        self.write_at(now(), rail, ask)
    }

    /// The same, sent at some time.
    pub fn write_at(&self, sent: u64, rail: &str, ask: Ask) -> (Vec<u8>, String) {
        let nonce = format!("{:016x}{:016x}", getrandom::u64().unwrap(), getrandom::u64().unwrap());
        let request = Request { kiosk: self.full.clone(), rail: rail.into(), nonce: nonce.clone(), sent, ask };
        kioskd_tests::spelling::check("a request", &serde_json::to_value(&request).unwrap());
        (self.signer.sign(Purpose::PayRequest, &request).unwrap(), nonce)
    }

    /// Asks, with a new nonce when no answer comes, as a kiosk does.
    pub async fn ask(&mut self, rail: &str, ask: Ask) -> Says {
        let repeated = async {
            loop {
                let nonce = self.say(rail, ask.clone()).await;
                if let Ok(says) = tokio::time::timeout(AGAIN, self.reply(&nonce)).await {
                    return says;
                }
            }
        };
        soon("an answer", repeated).await
    }

    /// Asks once, and does not wait.
    pub async fn say(&mut self, rail: &str, ask: Ask) -> String {
        let (message, nonce) = self.write(rail, ask);
        self.client.publish(&self.request, message).await;
        nonce
    }

    /// The verified answer to what was asked with this nonce.
    pub async fn reply(&mut self, nonce: &str) -> Says {
        loop {
            let message = self.client.receive().await;
            if !message.topic.ends_with("/reply") {
                continue;
            }
            assert!(!message.retain);
            let (reply, _) = self.keys.open::<Reply>(Purpose::PayReply, &message.payload).unwrap();
            kioskd_tests::spelling::check("a reply", &serde_json::to_value(&reply).unwrap());
            assert_eq!(reply.kiosk, self.full);
            assert!(reply.expires > reply.sent);
            if reply.nonce == nonce {
                return reply.says;
            }
        }
    }

    /// The next verified notice.
    pub async fn notice(&mut self) -> Notice {
        loop {
            let message = self.client.receive().await;
            if message.topic.ends_with("/notice") {
                let (notice, _) = self.keys.open::<Notice>(Purpose::PayNotice, &message.payload).unwrap();
                kioskd_tests::spelling::check("a notice", &serde_json::to_value(&notice).unwrap());
                assert_eq!(notice.kiosk, self.full);
                return notice;
            }
        }
    }

    /// Says that it has a notice on disk.
    pub async fn noticed(&mut self, notice: &Notice) {
        self.say(&notice.rail, Ask::Noticed { notice: notice.id.clone() }).await;
    }
}
