//! The world around a simulated kiosk: its panel, machine, printer, network and wallet provider, behind one socket.
//!
//! Policy: the world is not the kiosk's friend. It does what its switches say, tells a kiosk only what a device would,
//! and when the kiosk's socket ends the lines float, so every relay drops and the panel goes black. Each device is
//! served in order; a slow provider or printer holds up nothing else. A cut point kills the kiosk in the moment it is
//! reached, before the kiosk can hear of it.

mod serve;
mod software;
mod switches;
#[cfg(test)]
pub(super) mod tests;

use std::collections::VecDeque;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};

pub use switches::{Switches, Wrong};

use super::glass::{Glass, GlassError};
use super::link::Link;
use super::machine::{Machine, MachineEvent, Timing};
use super::paper::Paper;
use super::process::KioskProcess;
use super::proxy::Proxy;
use super::wallet::{Action, BookError, Outcome, Till, Wallet};
use crate::vocabulary::Point;
use crate::world::{Question, ToKiosk};

/// How long a question waits for a kiosk that is starting, and then for its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a quick finger stays where it taps, and how long it takes to come back: longer than a sensor bounces.
const FINGER_DOWN: Duration = Duration::from_millis(30);
const FINGER_AWAY: Duration = Duration::from_millis(90);
/// How often the provider looks whether a charge has expired that somebody pays late.
const PROVIDER_TICK: Duration = Duration::from_millis(100);
/// Messages of the fleet that a page sees which was opened later.
const TRAFFIC_KEPT: usize = 100;

/// Where the kiosk can be killed on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutPoint {
    /// The request is here and will not be carried out.
    ChargeCreateReceived,
    /// In the provider's book, not answered.
    ChargeCreated,
    PaymentBooked,
    NoticeSent,
    RelayOn,
    RelayOff,
    /// A product has left its slot.
    Drop,
    PrinterByte,
    RefundReceived,
    RefundBooked,
    CloseReceived,
    /// A frame of the page `pay`.
    FramePay,
    /// Somebody's request is on its way to the kiosk, which has it or has it not.
    OperationSent,
    /// The kiosk has answered, and who asked has not heard it.
    OperationAnswered,
}

/// Something the page wants to hear of, as a JSON object with a `kind`.
pub type News = Arc<str>;

/// What a world is made of.
pub struct Parts {
    /// Shared by all kiosks of a box, and which of them this one is.
    pub wallet: Arc<Wallet>,
    pub till: Till,
    pub panel: (u32, u32),
    pub paper_columns: u32,
    /// The door's line, if the machine has one.
    pub door: Option<String>,
    pub timing: Timing,
    /// Between the kiosk and its broker.
    pub proxy: Option<Proxy>,
}

pub struct SimulatedWorld {
    pub wallet: Arc<Wallet>,
    till: Till,
    pub glass: Glass,
    pub machine: Machine,
    pub paper: Paper,
    pub process: KioskProcess,
    proxy: Option<Proxy>,
    copies: Mutex<software::Copies>,
    door: Option<String>,
    network: AtomicBool,
    /// How far its clock is ahead of this machine's, in milliseconds.
    ahead: AtomicI64,
    armed: Mutex<Option<CutPoint>>,
    switches: Mutex<switches::Shown>,
    document: Mutex<Value>,
    /// The kiosk that is connected and has said who it is.
    kiosk: watch::Sender<Option<Arc<Link>>>,
    /// How many connections have come to their end, with everything that an end means.
    ended: AtomicU64,
    lit: watch::Sender<bool>,
    start: Instant,
    /// When the finger was lifted last.
    lifted: Mutex<Option<Instant>>,
    news: broadcast::Sender<News>,
    traffic: Mutex<VecDeque<News>>,
}

/// Why a kiosk could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    #[error("the kiosk is dead")]
    Dead,
    #[error("the kiosk did not answer within {} s", PATIENCE.as_secs())]
    Silent,
}

impl SimulatedWorld {
    pub fn new(parts: Parts) -> Result<Arc<Self>, GlassError> {
        let glass = Glass::new(parts.panel.0, parts.panel.1)?;
        let kiosk: watch::Sender<Option<Arc<Link>>> = watch::Sender::new(None);
        let inputs = kiosk.clone();
        let news = broadcast::Sender::new(256);
        let board_news = news.clone();
        let notify = move |line: String, active| {
            if let Some(link) = &*inputs.borrow() {
                link.send(&ToKiosk::Input { line, active });
            }
            tell(&board_news, &json!({ "kind": "board" }));
        };
        let world = Arc::new(Self {
            wallet: parts.wallet,
            till: parts.till,
            glass,
            machine: Machine::new(notify, parts.timing),
            paper: Paper::new(parts.paper_columns),
            process: KioskProcess::default(),
            proxy: parts.proxy,
            copies: Mutex::default(),
            door: parts.door,
            network: AtomicBool::new(true),
            ahead: AtomicI64::new(0),
            armed: Mutex::default(),
            switches: Mutex::default(),
            document: Mutex::default(),
            kiosk,
            ended: AtomicU64::new(0),
            lit: watch::Sender::new(false),
            start: Instant::now(),
            lifted: Mutex::default(),
            news,
            traffic: Mutex::default(),
        });
        let weak = Arc::downgrade(&world);
        world.machine.on_event(move |event| {
            if let Some(world) = weak.upgrade() {
                world.moved(event);
            }
        });
        let weak = Arc::downgrade(&world);
        std::thread::Builder::new()
            .name("provider".into())
            .spawn(move || {
                while let Some(world) = weak.upgrade() {
                    if let Err(error) = world.wallet.tick() {
                        tracing::error!(%error, "the sandbox's provider can't use its book");
                    }
                    world.send_notices();
                    drop(world);
                    std::thread::sleep(PROVIDER_TICK);
                }
            })
            .expect("a process that is only starting has room for a thread");
        Ok(world)
    }

    /// Serves one kiosk after the other, in a thread of its own, as long as the process lives.
    pub fn listen(self: &Arc<Self>, listener: UnixListener) -> std::io::Result<()> {
        let world = Arc::clone(self);
        std::thread::Builder::new().name("world".into()).spawn(move || world.serve(&listener)).map(drop)
    }

    /// The `state` document with what is on the glass; page `dark` while no kiosk runs.
    pub fn state(&self) -> Value {
        let scene = self.glass.scene();
        let mut state = lock(&self.document).clone();
        if !state.is_object() {
            state = json!({ "selling": false });
        }
        state["page"] = scene.page.into();
        state["order"] = scene.order;
        state["targets"] = json!(scene.targets);
        state
    }

    /// The finger comes down, stays a moment and is lifted; false if no kiosk is there to feel it. There is one finger: who
    /// wants it meanwhile waits.
    pub fn touch(&self, at: Point) -> bool {
        let mut lifted = lock(&self.lifted);
        if let Some(lifted) = *lifted {
            std::thread::sleep(FINGER_AWAY.saturating_sub(lifted.elapsed()));
        }
        let link = self.kiosk.borrow().clone();
        let Some(link) = link else { return false };
        let finger = |at| link.send(&ToKiosk::Finger { at, ms: self.start.elapsed().as_millis() as u64 });
        let pressed = finger(Some(at));
        std::thread::sleep(FINGER_DOWN);
        *lifted = Some(Instant::now());
        pressed && finger(None)
    }

    /// Somebody holds a code before the scanner; false if no kiosk is there to read it.
    pub fn scan(&self, text: &str) -> bool {
        self.send(&ToKiosk::Scanned { text: text.to_owned() })
    }

    /// The world's clock is so much ahead of this machine's. A kiosk that starts later is told too.
    pub fn set_ahead(&self, ahead_ms: i64) {
        self.ahead.store(ahead_ms, Ordering::Release);
        self.send(&ToKiosk::Clock { offset_ms: ahead_ms });
    }

    /// False if no kiosk is there.
    fn send(&self, message: &ToKiosk) -> bool {
        let link = self.kiosk.borrow().clone();
        link.is_some_and(|link| link.send(message))
    }

    /// Asks the kiosk, and waits for one that is just starting.
    pub async fn ask(&self, question: Question) -> Result<Value, NoAnswer> {
        let mut kiosk = self.kiosk.subscribe();
        let there = async { kiosk.wait_for(Option::is_some).await.ok().and_then(|link| link.clone()) };
        let link = tokio::time::timeout(PATIENCE, there).await.ok().flatten().ok_or(NoAnswer::Dead)?;
        let operates = matches!(question, Question::Operate { .. });
        let answer = link.ask(question);
        if operates && self.reached(CutPoint::OperationSent) {
            return Err(NoAnswer::Dead);
        }
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(_)) if operates && self.reached(CutPoint::OperationAnswered) => Err(NoAnswer::Dead),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(NoAnswer::Dead),
            Err(_) => Err(NoAnswer::Silent),
        }
    }

    /// The payer's phone. It has a network of its own: only the notice to the kiosk needs the kiosk's.
    pub fn act(&self, payload: &str, action: Action) -> Result<Outcome, BookError> {
        let outcome = self.wallet.act(payload, action)?;
        self.tell(&json!({ "kind": "wallet" }));
        self.send_notices();
        Ok(outcome)
    }

    /// Waits until a kiosk has drawn its first frame.
    pub async fn first_frame(&self) {
        // The sender lives as long as `self`.
        drop(self.lit.subscribe().wait_for(|lit| *lit).await);
    }

    /// What happens from now on, and the last of what was said in the fleet.
    pub fn listen_to_news(&self) -> (broadcast::Receiver<News>, Vec<News>) {
        let said = lock(&self.traffic);
        (self.news.subscribe(), said.iter().cloned().collect())
    }

    /// One message of the fleet.
    pub fn overheard(&self, topic: &str, payload: &str) {
        let news: News = json!({ "kind": "mqtt", "topic": topic, "payload": payload }).to_string().into();
        let mut said = lock(&self.traffic);
        if said.len() == TRAFFIC_KEPT {
            said.pop_front();
        }
        said.push_back(Arc::clone(&news));
        drop(self.news.send(news));
    }

    pub fn tell(&self, news: &Value) {
        tell(&self.news, news);
    }

    /// Pulls the plug. When this returns the kiosk is dead, its relays are off and its panel is black.
    pub fn cut(&self) {
        let ended = self.ended.load(Ordering::Acquire);
        let link = self.kiosk.borrow().clone();
        self.process.kill();
        if let Some(link) = link {
            link.close();
            while self.ended.load(Ordering::Acquire) == ended {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn network_is_up(&self) -> bool {
        self.network.load(Ordering::Acquire)
    }

    /// Kills the kiosk if it was to die here. True if it has.
    fn reached(&self, point: CutPoint) -> bool {
        let link = self.kiosk.borrow().clone();
        let Some(link) = link else { return false };
        {
            let mut armed = lock(&self.armed);
            if *armed != Some(point) {
                return false;
            }
            *armed = None;
        }
        tracing::info!(?point, "the power is cut at this point");
        self.process.kill();
        link.close();
        true
    }

    fn moved(&self, event: &MachineEvent) {
        match event {
            MachineEvent::RelayOn { .. } => self.reached(CutPoint::RelayOn),
            MachineEvent::RelayOff { .. } => self.reached(CutPoint::RelayOff),
            MachineEvent::Drop { .. } => self.reached(CutPoint::Drop),
            MachineEvent::Seen { .. } => false,
        };
        self.tell(&json!({ "kind": "board", "event": event.name() }));
    }

    /// Tells the kiosk of payments. A notice is sent once, and lost where no kiosk or no network is.
    fn send_notices(&self) {
        let notices = self.wallet.take_notices(self.till);
        if notices.is_empty() || self.reached(CutPoint::PaymentBooked) {
            return;
        }
        for body in notices {
            let link = self.kiosk.borrow().clone();
            if let Some(link) = link
                && self.network_is_up()
                && link.send(&ToKiosk::RailNotice { body })
            {
                self.reached(CutPoint::NoticeSent);
            }
        }
        self.tell(&json!({ "kind": "wallet" }));
    }
}

fn tell(news: &broadcast::Sender<News>, what: &Value) {
    // Without a page open nobody listens.
    drop(news.send(what.to_string().into()));
}

/// What is behind these locks is whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
