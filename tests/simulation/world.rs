//! What is around the core: a provider with its own book, a board with a latched counter, and a clock that only the world
//! sees. It outlives every crash of the kiosk.

use std::collections::{BTreeMap, BTreeSet};

use kioskd::sale::event::Event;
use kioskd::vocabulary::{ChargeId, DeliveryId, Evidence, Outlet, RailError, RailName, Reading, RefundId};

use crate::chance::Chance;
pub use crate::provider::{Paying, ProviderCharge};

const TURN: u64 = 600;
const FALL: u64 = 200;

/// How bad this run's world is, in percent.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    pub lost: u64,
    pub sensor: u64,
    pub notices: u64,
    /// Charges do not exist for queries until somebody scans them.
    pub absent_until_scanned: bool,
    pub closes_hold: bool,
    /// A close gives back what was paid in the moment before it.
    pub cancel_returns: bool,
    /// Closes are withheld and sent again by somebody on the way.
    pub replays: bool,
    /// The provider now and then gives money back for no reason.
    pub whims: bool,
    pub refunds_fail: bool,
    /// Refunds about which nobody says anything for hours.
    pub silent: u64,
}

// Few wait at a time.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub enum Due {
    /// To whatever kiosk lives then.
    Notice {
        charge: ChargeId,
    },
    /// To the kiosk of that boot only: a restart forgets what it asked.
    Tell {
        boot: u32,
        event: Event,
    },
    Pay {
        charge: ChargeId,
        how: Paying,
    },
    /// The provider carries out a close.
    Close {
        charge: ChargeId,
    },
    CloseAgain {
        charge: ChargeId,
    },
    Whim {
        charge: ChargeId,
    },
    Drop {
        outlet: Outlet,
        delivery: DeliveryId,
        count: u32,
        boot: u32,
    },
    Door {
        open: bool,
    },
    Board {
        answers: bool,
    },
}

pub struct World {
    pub now: u64,
    pub boot: u32,
    pub chance: Chance,
    pub weather: Weather,
    pub calm: bool,
    pub network_down_until: u64,
    pub rail_down_until: BTreeMap<RailName, u64>,
    /// On which rail each charge was asked for.
    pub rails: BTreeMap<ChargeId, RailName>,
    /// Charges that the kiosk has asked to be closed, heard or not.
    pub close_asked: BTreeSet<ChargeId>,
    pub book: BTreeMap<ChargeId, ProviderCharge>,
    /// When each refund was first asked for or after.
    pub refund_asked: BTreeMap<RefundId, u64>,
    /// After the provider's expiry nothing can be paid any more, so many milliseconds later.
    pub grace: u64,
    /// What truly comes out of each outlet, and how many of it.
    pub stock: BTreeMap<Outlet, u32>,
    pub jammed: BTreeMap<Outlet, bool>,
    pub double: BTreeMap<Outlet, bool>,
    pub counter: u32,
    /// What has truly come out of each outlet.
    pub out: BTreeMap<Outlet, u32>,
    pub fell: BTreeMap<DeliveryId, u32>,
    /// What the board truly said of a delivery, and in which boot.
    pub said: BTreeMap<DeliveryId, (Evidence, u32)>,
    pub door_open: bool,
    pub board_silent: bool,
    /// When the kiosk last got a verified answer on each rail.
    pub verified: BTreeMap<RailName, u64>,
    board_free: u64,
    due: BTreeMap<(u64, u64), Due>,
    count: u64,
    pub broken: Option<String>,
}

fn unknown<T>(result: &Result<T, RailError>) -> bool {
    matches!(result, Err(RailError::Unknown(_)))
}

impl World {
    pub fn new(chance: Chance, weather: Weather, stocks: &[(Outlet, u32)]) -> Self {
        Self {
            now: 1_000,
            boot: 0,
            chance,
            weather,
            calm: false,
            network_down_until: 0,
            rail_down_until: BTreeMap::new(),
            rails: BTreeMap::new(),
            close_asked: BTreeSet::new(),
            book: BTreeMap::new(),
            refund_asked: BTreeMap::new(),
            grace: 0,
            stock: stocks.iter().cloned().collect(),
            jammed: BTreeMap::new(),
            double: BTreeMap::new(),
            counter: 7,
            out: BTreeMap::new(),
            fell: BTreeMap::new(),
            said: BTreeMap::new(),
            door_open: false,
            board_silent: false,
            verified: BTreeMap::new(),
            board_free: 0,
            due: BTreeMap::new(),
            count: 0,
            broken: None,
        }
    }

    pub fn breaks(&mut self, promise: &str, what: String) {
        self.broken.get_or_insert(format!("{promise}: {what}"));
    }

    pub fn later(&mut self, wait: u64, due: Due) {
        self.count += 1;
        self.due.insert((self.now + wait, self.count), due);
    }

    pub fn tell(&mut self, wait: u64, event: Event) {
        let boot = self.boot;
        self.later(wait, Due::Tell { boot, event });
    }

    pub fn open_door(&mut self, wait: u64, long: u64) {
        self.later(wait, Due::Door { open: true });
        self.later(wait + long, Due::Door { open: false });
    }

    pub fn silence_board(&mut self, wait: u64, long: u64) {
        self.later(wait, Due::Board { answers: false });
        self.later(wait + long, Due::Board { answers: true });
    }

    pub fn next_due(&self) -> Option<u64> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// The next thing that happens; an event if it is one for the kiosk.
    pub fn happen(&mut self) -> Option<Event> {
        let ((at, _), due) = self.due.pop_first()?;
        self.now = self.now.max(at);
        match due {
            Due::Tell { boot, event } if boot == self.boot => {
                // An answer that comes and is verified renews the lease.
                let of = |charge: &ChargeId| self.rails.get(charge).cloned();
                let verified = match &event {
                    Event::Created { charge, result } => of(charge).filter(|_| !unknown(result)),
                    Event::Reported { charge, result, .. } => of(charge).filter(|_| result.is_ok()),
                    Event::CloseAnswered { charge, result } => of(charge).filter(|_| !unknown(result)),
                    Event::RefundAnswered { charge, result, .. } => of(charge).filter(|_| !unknown(result)),
                    Event::Probed { rail, result } => result.is_ok().then(|| rail.clone()),
                    _ => None,
                };
                if let Some(rail) = verified {
                    self.verified.insert(rail, self.now);
                }
                Some(event)
            }
            Due::Tell { .. } => None,
            Due::Pay { charge, how } => {
                self.pay(&charge, how);
                None
            }
            Due::Close { charge } => {
                self.carry_out_close(&charge);
                None
            }
            Due::CloseAgain { charge } => {
                self.close_again(&charge);
                None
            }
            Due::Whim { charge } => {
                self.whim(&charge);
                None
            }
            Due::Drop { outlet, delivery, count, boot } => {
                // The relay falls with the kiosk: what has not come out by then stays, mostly.
                let stopped = boot != self.boot && self.chance.percent(50);
                if !stopped {
                    let stock = self.stock.entry(outlet.clone()).or_default();
                    let count = count.min(*stock);
                    *stock -= count;
                    *self.out.entry(outlet).or_default() += count;
                    self.counter += count;
                    *self.fell.entry(delivery).or_default() += count;
                }
                None
            }
            Due::Notice { charge } => {
                if let Some(rail) = self.rails.get(&charge) {
                    self.verified.insert(rail.clone(), self.now);
                }
                let report = self.report(&charge);
                Some(Event::Reported { charge, result: Ok(report), asked: false })
            }
            Due::Door { open } => {
                self.door_open = open;
                Some(Event::Condition(kioskd::sale::Condition::Door { open }))
            }
            Due::Board { answers } => {
                self.board_silent = !answers;
                Some(Event::Condition(kioskd::sale::Condition::Board { answers }))
            }
        }
    }

    /// The board does one thing after the other.
    fn board(&mut self, takes: u64) -> u64 {
        let begin = self.board_free.max(self.now);
        self.board_free = begin + takes;
        begin + takes - self.now
    }

    pub fn prepare(&mut self, delivery: DeliveryId) {
        let wait = self.board(5);
        let bad = !self.calm && self.chance.percent(self.weather.sensor);
        // The reading is what the counter says when the command's turn comes; nothing moves in between.
        let reading = Reading { counter: (!bad).then_some(self.counter), self_tested: !bad };
        self.tell(wait, Event::Prepared { delivery, reading });
    }

    pub fn deliver(&mut self, delivery: DeliveryId, outlet: &Outlet, before: Option<u32>) {
        let wait = self.board(TURN + FALL);
        if !self.calm && self.chance.percent(self.weather.sensor) && self.chance.percent(30) {
            return self.tell(wait, Event::NotEnergised { delivery, why: "no such line".into() });
        }
        let jammed = self.jammed.get(outlet).copied().unwrap_or_default();
        let pieces = if self.double.get(outlet).copied().unwrap_or_default() { 2 } else { 1 };
        let falls = if jammed { 0 } else { pieces.min(self.stock.get(outlet).copied().unwrap_or_default()) };
        let boot = self.boot;
        self.later(wait - FALL, Due::Drop { outlet: outlet.clone(), delivery, count: falls, boot });
        let evidence = match before {
            None => Evidence::Silent { why: "no counter before".into() },
            Some(_) => self.evidence(falls),
        };
        self.said.insert(delivery, (evidence.clone(), self.boot));
        self.tell(wait, Event::Evidence { delivery, evidence });
    }

    fn evidence(&mut self, count: u32) -> Evidence {
        if !self.calm && self.chance.percent(self.weather.sensor) {
            return Evidence::Silent { why: "unplugged".into() };
        }
        match count {
            0 => Evidence::Nothing { self_tested: self.calm || !self.chance.percent(self.weather.sensor) },
            count => Evidence::Dropped { count },
        }
    }

    /// After a restart: whatever was falling has fallen by the time the counter is read.
    pub fn recall(&mut self, delivery: DeliveryId, before: Option<u32>) {
        let wait = self.board(TURN + FALL);
        while self.due.iter().any(|(_, due)| matches!(due, Due::Drop { .. })) {
            let key = self.due.iter().find(|(_, due)| matches!(due, Due::Drop { .. })).map(|(key, _)| *key).unwrap();
            let drop = self.due.remove(&key).unwrap();
            self.due.insert((0, key.1), drop);
            let now = self.now;
            self.happen();
            self.now = now;
        }
        let evidence = match before {
            None => Evidence::Silent { why: "no counter before".into() },
            Some(before) => self.evidence(self.counter - before),
        };
        self.said.insert(delivery, (evidence.clone(), self.boot));
        self.tell(wait, Event::Evidence { delivery, evidence });
    }

    /// The kiosk is dead; its questions are forgotten and its relays fall.
    pub fn crash(&mut self) {
        self.boot += 1;
        self.now += 200 + self.chance.below(3_000);
        self.board_free = self.now;
        self.verified.clear();
    }
}
