//! The machine in a box: `kioskd demo`.
//!
//! Policy: the kiosk is the very same `kioskd run` as on a board, a child process. The world around it (machine, paper,
//! wallet provider, network, page) is this process, and the only way between them is one socket. The parent never opens
//! the ledger. Its own book, the wallet's, lies beside it. What it makes up on the way (a socket, a state folder nobody
//! asked for) goes when it ends. A car park is several kiosks, each a process with a world of its own.

mod api;
pub mod back_end;
pub mod broker;
mod cameras;
mod glass;
mod keys;
mod link;
pub mod machine;
mod mqtt;
pub mod paper;
mod park;
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
use crate::fleet::keygen::KeygenError;
use crate::payment;
use crate::signed::keys::KeyError;
use crate::signed::keyset::BadKeyset;
use crate::vocabulary::BadName;
use back_end::{BackEnd, Trust};
use broker::BrokerError;
use cameras::Cameras;
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
    #[error("--config is one machine's, and a car park has three: leave it out, or write --mode vending")]
    OneConfiguration,
    #[error("the car park in the configurations: {0}")]
    Site(#[from] park::BadSite),
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
    let starting = |what| move |source| DemoError::Start { what, source };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(starting("the signal handler"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(starting("the signal handler"))?;
    let machines = machines(&options)?;

    let page = TcpListener::bind(options.listen).await.map_err(|e| DemoError::Listen(options.listen, e))?;
    let page_address = page.local_addr().map_err(|e| DemoError::Listen(options.listen, e))?;
    let temporary = Temporary::new()?;
    let state = match &options.state {
        Some(folder) => folder.clone(),
        None => temporary.0.join("state"),
    };
    std::fs::create_dir_all(&state).map_err(|source| DemoError::Folder { path: state.clone(), source })?;
    let state = state.canonicalize().map_err(|source| DemoError::Folder { path: state, source })?;

    let first = machines.first().ok_or(park::BadSite::Lanes)?;
    let keys = keys::of_the_fleet(&state, &first.config)?;
    let site = match options.mode {
        Mode::Vending => None,
        Mode::Parking => Some(keys::of_the_site(&state, &keys, &machines)?),
    };
    let homes = machines.iter().map(|machine| match options.mode {
        Mode::Vending => Ok(Home { state: state.clone(), keys: keys.clone() }),
        Mode::Parking => Home::of(&state, &machine.config.kiosk.id),
    });
    let homes = homes.collect::<Result<Vec<_>, _>>()?;
    let fleet = Fleet::start(&options, &first.config, keys::trust(&keys, &machines, &homes)?).await?;
    let wallet = Arc::new(Wallet::open(&state.join("wallet.db"))?);
    let mut worlds = Vec::new();
    let mut arguments = Vec::new();
    for (till, (machine, home)) in machines.iter().zip(&homes).enumerate() {
        let (proxy, broker) = fleet.cable()?;
        let socket = temporary.0.join(format!("{}.sock", machine.config.kiosk.id));
        let listener = UnixListener::bind(&socket).map_err(starting("the world's socket"))?;
        let Panel::Simulated { width, height } = machine.config.glass.panel else { return Err(DemoError::RealPanel) };
        let world = SimulatedWorld::new(Parts {
            wallet: Arc::clone(&wallet),
            till,
            panel: options.panel.unwrap_or((width, height)),
            paper_columns: machine.config.printer.columns,
            door: machine.config.board.door.clone(),
            timing: machine::Timing { turn: options.turn, fall: options.turn / 5 },
            proxy,
        })?;
        world.listen(listener).map_err(starting("the world"))?;
        arguments.push(child_arguments(&machine.file, &socket, home, options.panel, &broker));
        worlds.push(world);
    }
    // The car park stands before the first kiosk looks at it.
    let routes = match (site, &worlds[..]) {
        (Some(site), _) => {
            let camera = fleet.cameras.map(|cameras| {
                let says: park::Says = Box::new(move |kiosk, plate| cameras.read(kiosk, plate));
                says
            });
            let park = park::Park::open(site, &state, &worlds, camera).map_err(starting("the car park"))?;
            park::api::router(park, page_address)
        }
        (None, worlds) => api::router(Arc::clone(&worlds[0]), page_address),
    };
    // From here on, whatever happens, the kiosks are stopped before this function returns.
    let stop = Stop(worlds.clone());
    let own = std::env::current_exe().map_err(starting("the kiosk"))?;
    for (world, arguments) in worlds.iter().zip(arguments) {
        let (news, own) = (Arc::clone(world), own.clone());
        let told = move |up| news.tell(&json!({ "kind": "power", "up": up }));
        world.process.start(move || child(&own, &arguments), told).map_err(starting("the kiosk's supervisor"))?;
    }

    if let Some(back_end) = fleet.back_end {
        tokio::spawn(overhear(back_end, worlds.clone()));
    }
    print(&format!("page: http://{page_address}\nmqtt: {}\nstate: {}", fleet.told, state.display()));
    tokio::spawn(async move {
        for world in worlds {
            world.first_frame().await;
        }
        print("ready");
    });
    let served = tokio::select! {
        served = axum::serve(page, routes) => served.map_err(DemoError::Served),
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    // It waits for the kiosks' last words, at most some seconds.
    drop(tokio::task::spawn_blocking(move || drop(stop)).await);
    served
}

/// One kiosk of the box.
struct Machine {
    file: PathBuf,
    config: Config,
}

fn machines(options: &DemoOptions) -> Result<Vec<Machine>, DemoError> {
    let files = match (options.mode, &options.config) {
        (Mode::Vending, Some(file)) => vec![file.clone()],
        (Mode::Vending, None) => vec![own_config("vending.toml")],
        (Mode::Parking, Some(_)) => return Err(DemoError::OneConfiguration),
        (Mode::Parking, None) => PARKING.map(own_config).into(),
    };
    let machine = |file: PathBuf| {
        let config = crate::kiosk::check::load(&file)?;
        // What the kiosk would say at every start is better said once.
        payment::open::check(&config.rails)?;
        Ok(Machine { file, config })
    };
    files.into_iter().map(machine).collect()
}

/// Where one kiosk keeps what is its own.
struct Home {
    state: PathBuf,
    keys: PathBuf,
}

impl Home {
    /// One of several under `state`.
    fn of(state: &Path, kiosk: &str) -> Result<Self, DemoError> {
        let state = state.join(kiosk);
        let keys = state.join("keys");
        std::fs::create_dir_all(&keys).map_err(|source| DemoError::Folder { path: keys.clone(), source })?;
        Ok(Self { state, keys })
    }
}

/// The broker's side of the box.
struct Fleet {
    back_end: Option<BackEnd>,
    /// Those of a car park.
    cameras: Option<Cameras>,
    /// What `mqtt:` says.
    told: String,
    /// Where the kiosks' cables lead, and the broker's name where it is spoken to over TLS.
    upstream: Option<(String, Option<String>)>,
}

impl Fleet {
    async fn start(options: &DemoOptions, config: &Config, trust: Trust) -> Result<Self, DemoError> {
        let name = fleet::topic::Name::parse(&config.kiosk.fleet)?;
        let fleet_name = name.clone();
        let cameras = |broker, tls| (options.mode == Mode::Parking).then(|| Cameras::start(broker, tls, fleet_name));
        match (&options.broker, options.mqtt) {
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
                // Under the broker's own name, for which its certificate is.
                let upstream = (format!("{}:{}", broker.host, broker.port), broker.tls.then(|| broker.host.clone()));
                let cameras = cameras(broker.clone(), tls.clone());
                let back_end = Some(BackEnd::start_with(broker, tls, name, trust));
                Ok(Self { back_end, cameras, told: url.clone(), upstream: Some(upstream) })
            }
            (None, Some(listen)) => {
                let broker = tokio::task::spawn_blocking(move || broker::start(listen)).await;
                let broker = broker.map_err(|e| DemoError::Start { what: "the broker", source: e.into() })??;
                let upstream = Some((broker.reachable().to_string(), None));
                let cameras = cameras(broker.reachable().into(), None);
                let back_end = Some(BackEnd::start_with(broker.reachable().into(), None, name, trust));
                Ok(Self { back_end, cameras, told: format!("mqtt://{}", broker.addr), upstream })
            }
            (None, None) => Ok(Self { back_end: None, cameras: None, told: "none".to_owned(), upstream: None }),
        }
    }

    /// One kiosk's cable to the broker, and what the kiosk gets as `--broker`.
    fn cable(&self) -> Result<(Option<Proxy>, String), DemoError> {
        let Some((upstream, secure)) = &self.upstream else { return Ok((None, "none".to_owned())) };
        let proxy = Proxy::start(upstream.clone())
            .map_err(|source| DemoError::Start { what: "the network's proxy", source })?;
        let broker = match secure {
            None => format!("mqtt://{}", proxy.addr()),
            Some(host) => format!("mqtts://{host}:{}", proxy.addr().port()),
        };
        Ok((Some(proxy), broker))
    }
}

/// Passes on what is said in the fleet; the back end lives as long as the demo.
async fn overhear(back_end: BackEnd, worlds: Vec<Arc<SimulatedWorld>>) {
    let mut seen = back_end.watch();
    loop {
        match seen.recv().await {
            Ok(seen) => worlds.iter().for_each(|world| world.overheard(&seen.topic, &seen.payload)),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

fn child_arguments(
    config: &Path,
    socket: &Path,
    home: &Home,
    panel: Option<(u32, u32)>,
    broker: &str,
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["run".into()];
    let mut add = |name: &str, value: OsString| arguments.extend([name.into(), value]);
    add("--config", config.into());
    add("--world", socket.into());
    add("--state", (&home.state).into());
    add("--broker", broker.into());
    add("--keys", (&home.keys).into());
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

/// The configurations of the car park, one a kiosk.
const PARKING: [&str; 3] = ["parking-entry.toml", "parking-pay-station.toml", "parking-exit.toml"];

/// A file of `configs/` where we stand, else where we were built.
fn own_config(name: &str) -> PathBuf {
    let own = Path::new("configs").join(name);
    if own.is_file() { own } else { Path::new(env!("CARGO_MANIFEST_DIR")).join(own) }
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever started us may have stopped reading; that is no reason to stop.
    drop(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// Stops the kiosks when dropped.
struct Stop(Vec<Arc<SimulatedWorld>>);

impl Drop for Stop {
    fn drop(&mut self) {
        // Beside each other: each may take some seconds.
        std::thread::scope(|scope| {
            for world in &self.0 {
                scope.spawn(|| world.process.stop());
            }
        });
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
