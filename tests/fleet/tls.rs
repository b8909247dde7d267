//! The link over TLS, to Debian's mosquitto, which lets in only whom it knows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kioskd::fleet::link::{FleetEvent, LinkConfig};
use kioskd::fleet::tls;
use kioskd::fleet::topic::Leaf;
use kioskd::signed::keys::KeySource;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::kit::*;

/// A certification authority made for one test.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub file: PathBuf,
}

impl Authority {
    pub fn new(directory: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let file = directory.join(format!("{name}.pem"));
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), file }
    }

    /// Writes `NAME.crt` and `NAME.key`.
    pub fn certify(&self, name: &str, hosts: &[&str]) -> (PathBuf, KeySource) {
        use std::os::unix::fs::PermissionsExt;
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let (cert, secret) =
            (self.file.with_file_name(format!("{name}.crt")), self.file.with_file_name(format!("{name}.key")));
        std::fs::write(&cert, params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        std::fs::write(&secret, key.serialize_pem()).unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
        (cert, KeySource::File(secret))
    }
}

pub fn over_tls(broker: &Mosquitto, ca: &Authority, identity: Option<&(PathBuf, KeySource)>) -> LinkConfig {
    let identity = identity.map(|(cert, key)| (cert.as_path(), key));
    let url = format!("mqtts://{}", broker.secure.unwrap());
    LinkConfig {
        broker: url.parse().unwrap(),
        tls: Some(tls::client(Some(&ca.file), identity).unwrap().into()),
        ..settings(broker.addr)
    }
}

/// Whose connection never comes about, for one of these reasons. That the other end has gone may be noticed before it is read why;
/// then the next try tells it.
async fn refused(settings: LinkConfig, reasons: &[&str]) {
    let mut kiosk = Kiosk::start(settings, &Fake::with(3));
    let fits = |why: &str| reasons.iter().any(|reason| why.contains(reason));
    kiosk.hear(&format!("{reasons:?}"), |event| matches!(event, FleetEvent::Disconnected { why } if fits(why)));
    assert!(!kiosk.heard.contains(&FleetEvent::Connected));
    kiosk.link.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_go_over_tls_to_the_right_broker_from_the_right_kiosk_only() {
    const ALL: u64 = 300;
    let directory = tempfile::tempdir().unwrap();
    let ours = Authority::new(directory.path(), "operator");
    let other = Authority::new(directory.path(), "other");
    let server = ours.certify("broker", &["127.0.0.1"]);
    let kiosk_id = ours.certify("street.K1", &[]);
    let foreign_id = other.certify("foreign", &[]);
    let mut broker = Mosquitto::with_tls(&ours.file, &server.0, &server.0.with_extension("key"));

    let outbox = Fake::with(ALL);
    let back_end = TestBackEnd::start(broker.addr);
    let good = over_tls(&broker, &ours, Some(&kiosk_id));
    let mut kiosk = Kiosk::start(good.clone(), &outbox);
    kiosk.acknowledged(ALL);
    broker.kill();
    kiosk.disconnected();
    outbox.head.fetch_add(50, std::sync::atomic::Ordering::SeqCst);
    broker.restart();
    kiosk.acknowledged(ALL + 50);
    back_end.assert_holds(ALL + 50);
    kiosk.link.stop().await;
    let presence = topic(Leaf::Presence);
    assert_eq!(retained(broker.addr, &presence), [(presence, "offline".into())]);

    // Without a certificate, with somebody else's, a broker of another CA, and without anything.
    refused(over_tls(&broker, &ours, None), &["CertificateRequired", "HandshakeFailure"]).await;
    refused(over_tls(&broker, &ours, Some(&foreign_id)), &["fatal alert"]).await;
    refused(over_tls(&broker, &other, Some(&kiosk_id)), &["UnknownIssuer"]).await;
    let nothing_said = LinkConfig { tls: None, ..good.clone() };
    refused(nothing_said, &["TLS to the broker is not set up"]).await;

    let elsewhere = ours.certify("elsewhere", &["broker.example.com"]);
    let impostor = Mosquitto::with_tls(&ours.file, &elsewhere.0, &elsewhere.0.with_extension("key"));
    refused(over_tls(&impostor, &ours, Some(&kiosk_id)), &["not valid for name"]).await;
}

/// What an operator's own tools write beside the running kiosk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_counts_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let ours = Authority::new(directory.path(), "operator");
    let former = Authority::new(directory.path(), "former");
    let server = ours.certify("broker", &["127.0.0.1"]);
    let broker = Mosquitto::with_tls(&ours.file, &server.0, &server.0.with_extension("key"));
    let (cert, key) = former.certify("street.K1", &[]);
    let fleet = format!(
        "broker = \"mqtts://{}\"\nca = {:?}\ncert = {cert:?}\nkey = \"{key}\"",
        broker.secure.unwrap(),
        ours.file
    );
    let fleet = toml::from_str(&fleet).unwrap();
    let settings = LinkConfig { tls: Some(tls::ClientTls::of(&fleet).unwrap()), ..over_tls(&broker, &ours, None) };
    let mut kiosk = Kiosk::start(settings, &Fake::with(3));
    let mut fails = |reasons: [&str; 2]| {
        let fits = |why: &str| reasons.iter().all(|reason| why.contains(reason));
        kiosk.hear(&format!("{reasons:?}"), |event| matches!(event, FleetEvent::Disconnected { why } if fits(why)));
    };
    fails(["fatal", "alert"]);
    // For a moment there is none at all.
    std::fs::remove_file(&cert).unwrap();
    fails(["TLS to the broker is not set up: ", "No such file"]);
    assert_eq!(ours.certify("street.K1", &[]).0, cert);
    kiosk.connected();
    kiosk.link.stop().await;
}

/// Somebody in the middle who speaks no TLS learns nothing and is not spoken to without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_broker_is_not_spoken_to_when_tls_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let ours = Authority::new(directory.path(), "operator");
    let broker = Mosquitto::start();
    let config = tls::client(Some(&ours.file), None).unwrap();
    let url = format!("mqtts://{}", broker.addr);
    let quick = LinkConfig {
        broker: url.parse().unwrap(),
        tls: Some(Arc::clone(&config).into()),
        back_off_max: Duration::from_millis(50),
        ..settings(broker.addr)
    };
    let watcher = Subscriber::start(broker.addr, "#").listening(broker.addr, "start");
    refused(quick, &[""]).await;
    publish(broker.addr, "end", &[], b"x");
    // Nothing of the kiosk came before it, its last will neither.
    assert_eq!(watcher.lines.recv_timeout(PATIENCE).unwrap(), "end x");
}
