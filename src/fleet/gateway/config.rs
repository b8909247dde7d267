//! The gateway's own configuration file.
//!
//! Policy: every mistake is found before anything is started, and is reported as `FILE:LINE:COL: what, and what to
//! write instead`. Paths are relative to the file. Secrets are read here and never printed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ServerConfig};
use serde::Deserialize;
use toml::Spanned;

use super::kiosks::Kiosks;
use super::limits::Limits;
use crate::config::{self, Rail};
use crate::fleet::link::Broker;
use crate::fleet::tls;
use crate::fleet::topic::Name;
use crate::signed::jws::{Keys, PublicKey, Signer};
use crate::signed::keys::KeySource;
use crate::vocabulary::Minor;

/// A larger file is not a configuration.
const MAX_FILE_SIZE: u64 = 1 << 20;
/// The `kid` under which the operator's own program signs notices.
pub const OPERATOR_KID: &str = "operator";
/// A kiosk has this long to confirm a notice. WeChat Pay waits 5 s for the response.
const NOTICE_WAIT: Duration = Duration::from_secs(4);
/// The highest value of a limit that is a count.
const MAX_LIMIT: usize = 10_000;

/// The configuration of a gateway, without its rails.
pub struct GatewayConfig {
    pub fleet: Name,
    /// The name of the shared subscription: gateways of one group share the requests.
    pub group: Name,
    pub broker: MqttBroker,
    pub signer: Signer,
    pub(super) kiosks: Kiosks,
    pub(super) limits: BTreeMap<Name, Limits>,
    /// Without it providers can send no notifications, and kiosks learn of payments by their own queries.
    pub webhook: Option<WebhookConfig>,
    /// How long a kiosk has to confirm a notice; at most 5 s, because providers wait no longer.
    pub notice_wait: Duration,
}

/// Where the MQTT broker is, and how it is reached.
#[derive(Clone)]
pub struct MqttBroker {
    pub host: String,
    pub port: u16,
    pub tls: Option<Arc<ClientConfig>>,
}

/// The HTTP endpoint to which providers and the operator's own program send notifications.
pub struct WebhookConfig {
    pub listen: SocketAddr,
    /// The path before the rail's name. It begins with `/` and does not end with one, except as `/` alone.
    pub path: String,
    pub tls: Option<Arc<ServerConfig>>,
    pub operator: Option<Keys>,
}

/// A mistake in the configuration; it prints as `FILE:LINE:COL: what`.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path}:1:1: can't be read: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}:{line}:{column}: {what}", path = path.display())]
    Wrong { path: PathBuf, line: usize, column: usize, what: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    gateway: GatewayTable,
    #[serde(default)]
    limits: Overrides,
    #[serde(default)]
    kiosk: Vec<Kiosk>,
    #[serde(default)]
    rail: Vec<Rail>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GatewayTable {
    fleet: Spanned<Name>,
    #[serde(default = "group")]
    group: Name,
    broker: Spanned<String>,
    ca: Option<Spanned<PathBuf>>,
    cert: Option<Spanned<PathBuf>>,
    key: Option<Spanned<KeySource>>,
    signing_key: Spanned<KeySource>,
    kid: Spanned<String>,
    kiosks: Spanned<PathBuf>,
    listen: Option<Spanned<SocketAddr>>,
    path: Option<Spanned<String>>,
    tls_cert: Option<Spanned<PathBuf>>,
    tls_key: Option<Spanned<KeySource>>,
    operator_key: Option<Spanned<PathBuf>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Overrides {
    max_amount: Option<Spanned<Minor>>,
    orders_per_hour: Option<Spanned<usize>>,
    charges_per_minute: Option<Spanned<usize>>,
    refunds_per_hour: Option<Spanned<usize>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kiosk {
    id: Spanned<Name>,
    max_amount: Option<Spanned<Minor>>,
    orders_per_hour: Option<Spanned<usize>>,
    charges_per_minute: Option<Spanned<usize>>,
    refunds_per_hour: Option<Spanned<usize>>,
}

/// The place of a mistake, as a range of bytes, and its message.
type Wrong = (Range<usize>, String);

fn group() -> Name {
    Name::parse("gateway").expect("a plain word is a name")
}

/// Reads and checks `path`, and reads the keys it names. The rails are as in a kiosk's configuration.
///
/// # Errors
/// The first mistake in the file.
pub fn load(path: &Path) -> Result<(GatewayConfig, Vec<Rail>), ConfigError> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE_SIZE).read_to_string(&mut text))
        .map_err(|source| ConfigError::Read { path: path.into(), source })?;
    let directory = path.parent().unwrap_or(Path::new(""));
    if let Some(problem) = config::rails_in(&text).into_iter().next() {
        let config::Problem { line, column, what, .. } = problem;
        return Err(ConfigError::Wrong { path: path.into(), line, column, what });
    }
    let read = toml::from_str::<File>(&text)
        .map_err(|error| (error.span().unwrap_or_default(), error.message().replace('\n', " ")))
        .and_then(|file| check(file, directory));
    read.map_err(|(range, what)| {
        let (line, column) = place(&text, range.start);
        ConfigError::Wrong { path: path.into(), line, column, what }
    })
}

/// Line and column of a byte, both counted from 1, the column in characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

fn check(file: File, directory: &Path) -> Result<(GatewayConfig, Vec<Rail>), Wrong> {
    let File { gateway, limits, kiosk, mut rail } = file;
    rail.iter_mut().for_each(|rail| rail.provider.resolve(directory));
    let kiosks = Kiosks::load(gateway.fleet.get_ref().clone(), &directory.join(gateway.kiosks.get_ref()));
    let kiosks = kiosks.map_err(at(&gateway.kiosks))?;
    let usual = limits.over(Limits::default())?;
    let mut limits: BTreeMap<Name, Limits> = kiosks.names().map(|name| (name.clone(), usual)).collect();
    for Kiosk { id, max_amount, orders_per_hour, charges_per_minute, refunds_per_hour } in kiosk {
        let Some(entry) = limits.get_mut(id.get_ref()) else {
            return Err((id.span(), format!("{0} has no key; put {0}.pem among the kiosks", id.get_ref())));
        };
        *entry = Overrides { max_amount, orders_per_hour, charges_per_minute, refunds_per_hour }.over(usual)?;
    }
    if !(1..=64).contains(&gateway.kid.get_ref().len()) {
        return Err((gateway.kid.span(), "name the key with 1 to 64 characters, as the kiosks know it".into()));
    }
    let source = resolved(&gateway.signing_key, directory);
    let pem = source.secret().map_err(at(&gateway.signing_key))?;
    let signer = Signer::from_pem(&pem, gateway.kid.get_ref()).ok_or_else(|| {
        (
            gateway.signing_key.span(),
            format!("{source} is not an Ed25519 private key; make one with: kioskfleet keygen"),
        )
    })?;
    let config = GatewayConfig {
        broker: broker(&gateway, directory)?,
        webhook: webhook(&gateway, directory)?,
        fleet: gateway.fleet.into_inner(),
        group: gateway.group,
        signer,
        kiosks,
        limits,
        notice_wait: NOTICE_WAIT,
    };
    Ok((config, rail))
}

impl Overrides {
    fn over(self, usual: Limits) -> Result<Limits, Wrong> {
        let bounded = |value: Option<Spanned<usize>>, usual| match value {
            Some(value) if *value.get_ref() > MAX_LIMIT => Err((value.span(), format!("write at most {MAX_LIMIT}"))),
            value => Ok(value.map_or(usual, Spanned::into_inner)),
        };
        if let Some(amount) = self.max_amount.as_ref().filter(|amount| *amount.get_ref() < 1) {
            return Err((amount.span(), "write an amount in minor units, at least 1".into()));
        }
        Ok(Limits {
            max_amount: self.max_amount.map_or(usual.max_amount, Spanned::into_inner),
            orders_per_hour: bounded(self.orders_per_hour, usual.orders_per_hour)?,
            charges_per_minute: bounded(self.charges_per_minute, usual.charges_per_minute)?,
            refunds_per_hour: bounded(self.refunds_per_hour, usual.refunds_per_hour)?,
        })
    }
}

fn broker(table: &GatewayTable, directory: &Path) -> Result<MqttBroker, Wrong> {
    let Broker { host, port, tls: secure } = table.broker.get_ref().parse().map_err(at(&table.broker))?;
    let tls = if secure {
        let ca = table.ca.as_ref().map(|ca| directory.join(ca.get_ref()));
        let identity = match (&table.cert, &table.key) {
            (Some(cert), Some(key)) => Some((directory.join(cert.get_ref()), resolved(key, directory))),
            (None, None) => None,
            (Some(one), None) => return Err((one.span(), "`cert` needs `key`".into())),
            (None, Some(one)) => return Err((one.span(), "`key` needs `cert`".into())),
        };
        let identity = identity.as_ref().map(|(cert, key)| (cert.as_path(), key));
        Some(tls::client(ca.as_deref(), identity).map_err(at(&table.broker))?)
    } else {
        let [ca, cert] = [&table.ca, &table.cert].map(|file| file.as_ref().map(Spanned::span));
        if let Some(range) = ca.or(cert).or(table.key.as_ref().map(Spanned::span)) {
            return Err((range, "this is for TLS; write the broker as mqtts://HOST:PORT".into()));
        }
        None
    };
    Ok(MqttBroker { host, port, tls })
}

fn webhook(table: &GatewayTable, directory: &Path) -> Result<Option<WebhookConfig>, Wrong> {
    let tls = match (&table.tls_cert, &table.tls_key) {
        (Some(cert), Some(key)) => {
            let config = tls::server(&directory.join(cert.get_ref()), &resolved(key, directory));
            Some(config.map_err(at(cert))?)
        }
        (None, None) => None,
        (Some(one), None) => return Err((one.span(), "`tls_cert` needs `tls_key`".into())),
        (None, Some(one)) => return Err((one.span(), "`tls_key` needs `tls_cert`".into())),
    };
    let path = match &table.path {
        None => "/notify".to_owned(),
        Some(path) => {
            let text = path.get_ref();
            let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.".contains(&b));
            if !text.starts_with('/') || !plain {
                return Err((path.span(), "write a path like /notify".into()));
            }
            text.trim_end_matches('/').to_owned()
        }
    };
    let operator = match &table.operator_key {
        None => None,
        Some(file) => {
            let path = directory.join(file.get_ref());
            let pem = std::fs::read(&path).map_err(|e| (file.span(), format!("{}: {e}", path.display())))?;
            let key = PublicKey::from_pem(&pem)
                .ok_or_else(|| (file.span(), format!("{} is not an Ed25519 public key in PEM", path.display())))?;
            Some(Keys::new([(OPERATOR_KID.to_owned(), key)]))
        }
    };
    let Some(listen) = &table.listen else {
        let spans = [table.path.as_ref().map(Spanned::span), table.operator_key.as_ref().map(Spanned::span)];
        let without = spans.into_iter().flatten().next().or(table.tls_cert.as_ref().map(Spanned::span));
        return without.map_or(Ok(None), |range| Err((range, "this needs `listen = \"ADDRESS:PORT\"`".into())));
    };
    if tls.is_none() && !listen.get_ref().ip().is_loopback() {
        let what = "without `tls_cert` and `tls_key` it may listen on 127.0.0.1 or [::1] only, behind a proxy with TLS";
        return Err((listen.span(), what.into()));
    }
    Ok(Some(WebhookConfig { listen: *listen.get_ref(), path, tls, operator }))
}

fn resolved(source: &Spanned<KeySource>, directory: &Path) -> KeySource {
    let mut source = source.get_ref().clone();
    source.resolve(directory);
    source
}

fn at<T, E: std::fmt::Display>(where_: &Spanned<T>) -> impl FnOnce(E) -> Wrong {
    let range = where_.span();
    move |error| (range, error.to_string())
}
