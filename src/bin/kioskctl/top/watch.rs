//! Asks the kiosk, again and again, on a thread of its own.

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use image::DynamicImage;
use kioskd::console::complain;
use kioskd::dbus::{Address, Client, Done, NoAnswer, OrderLine, Report};
use kioskd::operation::{Operation, Outcome};

use crate::screenshot;

/// Between two questions how it is, and between two pictures.
const EVERY: Duration = Duration::from_secs(1);
const PICTURE_EVERY: Duration = Duration::from_secs(2);
/// A screen has no room for more.
const ORDERS: u32 = 50;

/// What somebody at the keyboard wants.
pub enum Wanted {
    Story(String),
    Operate(Operation),
    Screenshot(PathBuf),
}

pub enum News {
    Snapshot(Box<Snapshot>),
    Glass(Glass),
    /// There is no kiosk now, and why.
    Gone(String),
    Story(String),
    /// What came of what was wanted.
    Said(String),
}

/// The kiosk at one moment.
pub struct Snapshot {
    pub report: Report,
    /// The newest first.
    pub orders: Vec<OrderLine>,
}

impl Snapshot {
    /// Whether this is among the reasons for not selling.
    pub fn stopped_by(&self, kind: &str) -> bool {
        self.report.reasons().any(|(known, ..)| known == kind)
    }
}

/// What the customer sees, or why nothing.
pub enum Glass {
    Lit(DynamicImage),
    Dark(String),
}

pub struct Watcher {
    news: Receiver<News>,
    wants: Sender<Wanted>,
}

impl Watcher {
    /// The thread ends when nobody hears it any more.
    pub fn start(address: Address) -> Self {
        let (tell, news) = mpsc::channel();
        let (wants, wanted) = mpsc::channel();
        thread::spawn(move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => while runtime.block_on(watch(&address, &tell, &wanted)) {},
            Err(error) => complain(format_args!("kioskctl: {error}")),
        });
        Self { news, wants }
    }

    /// # Errors
    /// Nobody asks the kiosk any more.
    pub fn news(&self) -> Result<Option<News>, TryRecvError> {
        match self.news.try_recv() {
            Err(TryRecvError::Empty) => Ok(None),
            news => news.map(Some),
        }
    }

    pub fn want(&self, wanted: Wanted) {
        drop(self.wants.send(wanted));
    }
}

/// Watches a kiosk as long as it answers. Whether to look for one again.
async fn watch(address: &Address, tell: &Sender<News>, wanted: &Receiver<Wanted>) -> bool {
    let gone = match Client::connect(address).await {
        Ok(kiosk) => match follow(&kiosk, tell, wanted).await {
            Ok(()) => return false,
            Err(why) => why,
        },
        Err(why) => why,
    };
    if tell.send(News::Gone(gone.to_string())).is_err() {
        return false;
    }
    match wanted.recv_timeout(EVERY) {
        Ok(_) => tell.send(News::Said("there is no kiosk to ask".into())).is_ok(),
        Err(RecvTimeoutError::Timeout) => true,
        Err(RecvTimeoutError::Disconnected) => false,
    }
}

/// Until nobody hears it any more.
async fn follow(kiosk: &Client, tell: &Sender<News>, wanted: &Receiver<Wanted>) -> Result<(), NoAnswer> {
    let mut pictured: Option<Instant> = None;
    loop {
        let snapshot = Snapshot { report: kiosk.report().await?, orders: orders(kiosk).await? };
        if tell.send(News::Snapshot(Box::new(snapshot))).is_err() {
            return Ok(());
        }
        if pictured.is_none_or(|at| at.elapsed() >= PICTURE_EVERY) {
            drop(tell.send(News::Glass(glass(kiosk).await?)));
            pictured = Some(Instant::now());
        }
        match wanted.recv_timeout(EVERY) {
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(wanted) => {
                drop(tell.send(serve(kiosk, wanted).await?));
                pictured = None;
            }
        }
    }
}

/// A ledger that can't be read is told where the kiosk's reasons are, so there are no orders then.
async fn orders(kiosk: &Client) -> Result<Vec<OrderLine>, NoAnswer> {
    match kiosk.orders(ORDERS).await {
        Err(why) if why.no().is_some() => Ok(Vec::new()),
        answer => answer,
    }
}

async fn glass(kiosk: &Client) -> Result<Glass, NoAnswer> {
    match kiosk.screenshot().await {
        Ok((png, _)) => Ok(screenshot::read(&png).map_or_else(|error| Glass::Dark(error.to_string()), Glass::Lit)),
        Err(why) => why.no().map(|says| Glass::Dark(says.to_owned())).ok_or(why),
    }
}

async fn serve(kiosk: &Client, wanted: Wanted) -> Result<News, NoAnswer> {
    let served = match wanted {
        Wanted::Story(order) => kiosk.story(&order).await.map(|(text, _)| News::Story(text)),
        Wanted::Operate(asked) => kiosk.operate(&asked).await.map(|done| News::Said(said(done))),
        Wanted::Screenshot(file) => kiosk.screenshot().await.map(|(png, _)| {
            News::Said(match std::fs::write(&file, png) {
                Ok(()) => format!("{} has what the customer sees", file.display()),
                Err(error) => format!("{} could not be written: {error}", file.display()),
            })
        }),
    };
    served.or_else(|why| why.no().map(|says| News::Said(says.to_owned())).ok_or(why))
}

fn said(done: Done) -> String {
    match done {
        Done::Changed(true) => "done".into(),
        Done::Changed(false) => "it was so already".into(),
        Done::Order(order) => format!("order {order} has begun"),
        Done::Energised { outlet, counted } => Outcome::Energised { outlet, counted }.to_string(),
        Done::Report(number) => format!("report {number} was made"),
        Done::Recorded(request) => format!("on record as {request}"),
    }
}
