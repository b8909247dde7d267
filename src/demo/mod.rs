//! The machine in a box: `kioskd demo`.
//!
//! Policy: the kiosk is the very same `kioskd run` as on a board, a child process. The world around it (machine, paper,
//! wallet provider, network, page) is this process, and the only way between them is one socket. The parent never opens
//! the ledger. Its own book, the wallet's, lies beside it. What it makes up on the way (a socket, a state folder nobody
//! asked for) goes when it ends.

mod api;
pub mod back_end;
pub mod broker;
mod glass;
mod link;
pub mod machine;
pub mod paper;
mod process;
pub mod proxy;
pub mod wallet;
pub mod world;

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::broadcast::error::RecvError;

use crate::config::{Config, ConfigError, Panel};
use crate::fleet;
use crate::fleet::keygen::{KeygenError, keygen};
use crate::operation::{Actor, KeyName};
use crate::payment;
use crate::signed::keys::{KeyError, KeySource};
use crate::signed::keyset::{BadKeyset, KeyEntry, Keyset, KeysetContent, Role};
use crate::vocabulary::BadName;
use back_end::{BackEnd, Trust};
use broker::BrokerError;
use proxy::Proxy;
use wallet::{BookError, Wallet};
use world::{Parts, SimulatedWorld};

/// What `kioskd demo` was told.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    pub mode: Mode,
    /// Where the page is served.
    pub listen: SocketAddr,
    /// Where the demo's own broker listens; `None` for no broker of its own.
    pub mqtt: Option<SocketAddr>,
    /// Another broker in its place, `mqtt://HOST:PORT`.
    pub broker: Option<String>,
    /// Kept; without it a folder that goes when the demo ends.
    pub state: Option<PathBuf>,
    /// In place of the configuration's, in pixels.
    pub panel: Option<(u32, u32)>,
    /// In place of the demo's own.
    pub config: Option<PathBuf>,
    /// How long a motor takes for one turn.
    pub turn: Duration,
}

/// Which machine is in the box.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    #[default]
    Vending,
    Parking,
}

#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("the demo's glass is on its page; write driver = \"simulated\" in [glass], or use `kioskd run`")]
    RealPanel,
    #[error("there is no parking machine yet: leave --mode out")]
    NoParking,
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Rail(#[from] payment::open::OpenError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the demo's keyset: {0}")]
    Keyset(#[from] BadKeyset),
    #[error(transparent)]
    Keygen(#[from] KeygenError),
    #[error("the fleet's or the kiosk's name in the configuration")]
    Fleet(#[from] BadName),
    #[error("the page can't be served on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("--broker {0}")]
    BadBroker(String, #[source] fleet::link::BadBroker),
    /// The cable has an address of its own, and certificates are for names.
    #[error(
        "--broker {0}: with TLS the demo's broker is on this machine; write mqtts://localhost:PORT, or mqtt://HOST:PORT"
    )]
    FarBroker(String),
    #[error(
        "--broker {0}: what is believed and who we are with TLS stands under [fleet] of the configuration, which has none"
    )]
    NoFleet(String),
    #[error("[fleet]: {0}")]
    Tls(#[from] fleet::tls::TlsError),
    #[error("{path}", path = path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Book(#[from] BookError),
    #[error(transparent)]
    Panel(#[from] glass::GlassError),
    #[error("could not start {what}")]
    Start { what: &'static str, source: std::io::Error },
    #[error("the page's server has ended")]
    Served(#[source] std::io::Error),
}

/// Runs the demo until SIGINT or SIGTERM.
///
/// Prints `page: URL`, `mqtt: URL`, `state: DIR` and, once the first frame is up, `ready` to standard output, and
/// nothing else.
///
/// # Errors
/// When something can't be started; then nothing is left running.
pub async fn run(options: DemoOptions) -> Result<(), DemoError> {
    if options.mode == Mode::Parking {
        return Err(DemoError::NoParking);
    }
    let config_file = options.config.clone().unwrap_or_else(own_config);
    let config = crate::kiosk::check::load(&config_file)?;
    // What the kiosk would say at every start is better said once.
    payment::open::check(&config.rails)?;
    let starting = |what| move |source| DemoError::Start { what, source };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(starting("the signal handler"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(starting("the signal handler"))?;

    let page = TcpListener::bind(options.listen).await.map_err(|e| DemoError::Listen(options.listen, e))?;
    let page_address = page.local_addr().map_err(|e| DemoError::Listen(options.listen, e))?;
    let temporary = Temporary::new()?;
    let state = match &options.state {
        Some(folder) => folder.clone(),
        None => temporary.0.join("state"),
    };
    std::fs::create_dir_all(&state).map_err(|source| DemoError::Folder { path: state.clone(), source })?;
    let state = state.canonicalize().map_err(|source| DemoError::Folder { path: state, source })?;

    let keys = keys(&state, &config)?;
    let fleet = Fleet::start(&options, &config, trust(&config, &keys)?).await?;
    let socket = temporary.0.join("world.sock");
    let listener = UnixListener::bind(&socket).map_err(starting("the world's socket"))?;
    let Panel::Simulated { width, height } = config.glass.panel else { return Err(DemoError::RealPanel) };
    let world = SimulatedWorld::new(Parts {
        wallet: Wallet::open(&state.join("wallet.db"))?,
        panel: options.panel.unwrap_or((width, height)),
        paper_columns: config.printer.columns,
        door: config.board.door.clone(),
        timing: machine::Timing { turn: options.turn, fall: options.turn / 5 },
        proxy: fleet.proxy,
    })?;
    world.listen(listener).map_err(starting("the world"))?;
    let own = std::env::current_exe().map_err(starting("the kiosk"))?;
    let arguments = child_arguments(&config_file, &socket, &state, options.panel, &fleet.for_the_kiosk, &keys);
    let news = Arc::clone(&world);
    let told = move |up| news.tell(&json!({ "kind": "power", "up": up }));
    world.process.start(move || child(&own, &arguments), told).map_err(starting("the kiosk's supervisor"))?;
    // From here on, whatever happens, the kiosk is stopped before this function returns.
    let stop = Stop(Arc::clone(&world));

    if let Some(back_end) = fleet.back_end {
        tokio::spawn(overhear(back_end, Arc::clone(&world)));
    }
    print(&format!("page: http://{page_address}\nmqtt: {}\nstate: {}", fleet.told, state.display()));
    let first = Arc::clone(&world);
    tokio::spawn(async move {
        first.first_frame().await;
        print("ready");
    });
    let served = tokio::select! {
        served = axum::serve(page, api::router(Arc::clone(&world), page_address)) => served.map_err(DemoError::Served),
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    // It waits for the kiosk's last words, at most some seconds.
    drop(tokio::task::spawn_blocking(move || drop(stop)).await);
    served
}

/// The broker's side of the box.
struct Fleet {
    proxy: Option<Proxy>,
    back_end: Option<BackEnd>,
    /// What `mqtt:` says.
    told: String,
    /// What the kiosk gets as `--broker`.
    for_the_kiosk: String,
}

impl Fleet {
    async fn start(options: &DemoOptions, config: &Config, trust: Trust) -> Result<Self, DemoError> {
        let starting = |source| DemoError::Start { what: "the network's proxy", source };
        let name = fleet::topic::Name::parse(&config.kiosk.fleet)?;
        let (told, upstream, back_end, secure) = match (&options.broker, options.mqtt) {
            (Some(url), _) => {
                let broker: fleet::link::Broker = url.parse().map_err(|e| DemoError::BadBroker(url.clone(), e))?;
                if broker.tls && !broker.is_here() {
                    return Err(DemoError::FarBroker(url.clone()));
                }
                let tls = match (&config.fleet, broker.tls) {
                    (_, false) => None,
                    (None, true) => return Err(DemoError::NoFleet(url.clone())),
                    (Some(fleet), true) => Some(fleet::tls::ClientTls::of(fleet)?.now()?),
                };
                let upstream = format!("{}:{}", broker.host, broker.port);
                // Under the broker's own name, for which its certificate is.
                let secure = broker.tls.then(|| broker.host.clone());
                (url.clone(), upstream, BackEnd::start_with(broker, tls, name, trust), secure)
            }
            (None, Some(listen)) => {
                let broker = tokio::task::spawn_blocking(move || broker::start(listen)).await;
                let broker = broker.map_err(|e| DemoError::Start { what: "the broker", source: e.into() })??;
                let upstream = broker.reachable().to_string();
                let back_end = BackEnd::start_with(broker.reachable().into(), None, name, trust);
                (format!("mqtt://{}", broker.addr), upstream, back_end, None)
            }
            (None, None) => {
                let none = "none".to_owned();
                return Ok(Self { proxy: None, back_end: None, told: none.clone(), for_the_kiosk: none });
            }
        };
        let proxy = Proxy::start(upstream).map_err(starting)?;
        let for_the_kiosk = match secure {
            None => format!("mqtt://{}", proxy.addr()),
            Some(host) => format!("mqtts://{host}:{}", proxy.addr().port()),
        };
        Ok(Self { proxy: Some(proxy), back_end: Some(back_end), told, for_the_kiosk })
    }
}

/// The key pairs of the kiosk, the back end, the fleet's root and its office, and the keyset; made once for a state folder.
fn keys(state: &Path, config: &Config) -> Result<PathBuf, DemoError> {
    let folder = state.join("keys");
    std::fs::create_dir_all(&folder).map_err(|source| DemoError::Folder { path: folder.clone(), source })?;
    for name in ["kiosk", "back-end", Actor::ROOT, "office", "office-2", "config", "update"] {
        if !folder.join(format!("{name}.pem")).exists() {
            keygen(&folder, &fleet::topic::Name::parse(name)?)?;
        }
    }
    let keyset = folder.join("keyset.json");
    let root = KeySource::File(folder.join("root.key")).signer(Actor::ROOT)?;
    // A folder may be used again for a fleet of another name.
    let counts = |message: Vec<u8>| Keyset::open(&root.public(), &config.kiosk.fleet, &message).is_ok();
    if !std::fs::read(&keyset).is_ok_and(counts) {
        let entry = |name: &str, role| {
            let key = KeySource::File(folder.join(format!("{name}.pem"))).signers_key()?;
            let kid = KeyName::parse(name).ok_or(BadKeyset::Text)?;
            Ok::<_, DemoError>(KeyEntry::new(kid, &key, vec![role]))
        };
        let roles =
            [("office", Role::Sell), ("office-2", Role::Sell), ("config", Role::Config), ("update", Role::Update)];
        let keys = roles.into_iter().map(|(name, role)| entry(name, role)).collect::<Result<_, _>>()?;
        let content = KeysetContent { fleet: config.kiosk.fleet.clone(), version: 1, keys, revoked: Vec::new() };
        std::fs::write(&keyset, content.sign(&root)?.to_string())
            .map_err(|source| DemoError::Folder { path: keyset, source })?;
    }
    Ok(folder)
}

/// What the back end knows: the kiosk's public key, whichever it signs with, and its own.
fn trust(config: &Config, keys: &Path) -> Result<Trust, DemoError> {
    let own = |name: &str| KeySource::File(keys.join(name));
    let kiosk = config.fleet.as_ref().and_then(|fleet| fleet.signing_key.clone()).unwrap_or_else(|| own("kiosk.key"));
    let name = fleet::topic::Name::parse(&config.kiosk.id)?;
    let kiosks = [(name, kiosk.signer("kiosk")?.public())].into();
    Ok(Trust { kiosks, signer: Some(own("back-end.key").signer("back-end")?) })
}

/// Passes on what is said in the fleet; the back end lives as long as the demo.
async fn overhear(back_end: BackEnd, world: Arc<SimulatedWorld>) {
    let mut seen = back_end.watch();
    loop {
        match seen.recv().await {
            Ok(seen) => world.overheard(&seen.topic, &seen.payload),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

fn child_arguments(
    config: &Path,
    socket: &Path,
    state: &Path,
    panel: Option<(u32, u32)>,
    broker: &str,
    keys: &Path,
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["run".into()];
    let mut add = |name: &str, value: OsString| arguments.extend([name.into(), value]);
    add("--config", config.into());
    add("--world", socket.into());
    add("--state", state.into());
    add("--broker", broker.into());
    add("--keys", keys.into());
    if let Some((width, height)) = panel {
        add("--panel", format!("{width}x{height}").into());
    }
    arguments
}

/// The kiosk as a process: its log goes where ours goes, and a Ctrl-C at the terminal is for us alone.
fn child(program: &Path, arguments: &[OsString]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(std::io::stderr()).process_group(0);
    command
}

/// `configs/vending.toml` where we stand, else where we were built.
fn own_config() -> PathBuf {
    let own = Path::new("configs/vending.toml");
    if own.is_file() { own.into() } else { Path::new(env!("CARGO_MANIFEST_DIR")).join(own) }
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever started us may have stopped reading; that is no reason to stop.
    drop(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// Stops the kiosk when dropped.
struct Stop(Arc<SimulatedWorld>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.process.stop();
    }
}

/// A folder only we can enter; it goes when this does.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Result<Self, DemoError> {
        let unique = getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
        let path = std::env::temp_dir().join(format!("kioskd-demo-{unique:016x}"));
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(DemoError::Folder { path, source }),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "a temporary folder could not be removed");
        }
    }
}
