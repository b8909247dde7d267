//! The world around a car park: its lanes and cars, its drivers and what they hold, and its clock.
//!
//! Policy: each kiosk has a world of its own, and knows nothing of this one but what its inputs say. A relay of a kiosk is the
//! input of a gate's control; what a driver shows to a kiosk was read from paper or glass. One thread moves everything.

pub mod api;
mod cars;
mod codes;
mod contact;
mod errand;
mod lane;
mod office;
mod plan;
mod plates;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::machine::MachineEvent;
use super::world::{News, SimulatedWorld};
use crate::config::{Mode, Parking};
use crate::parking::ticket::{Issuer, SiteKeys};
use cars::{Car, Cars, Place};
use lane::{CarNumber, Input, Relay};
use plan::LaneWiring;
pub use plan::{BadSite, SHOP, Site, Station};
use plates::Read;
pub use plates::Says;

/// While something moves, and while nothing does.
const TICK: Duration = Duration::from_millis(25);
const QUIET: Duration = Duration::from_millis(250);
/// The world's clock is at most so far from this machine's: a year.
const FARTHEST: i64 = 366 * 24 * 3_600_000;

/// One kiosk of the car park, and its world.
struct Kiosk {
    id: String,
    mode: Mode,
    world: Arc<SimulatedWorld>,
    /// Which of the lanes, and how it is wired.
    lane: Option<(usize, LaneWiring)>,
}

pub struct Park {
    kiosks: Vec<Kiosk>,
    keys: SiteKeys,
    shop: Issuer,
    /// Issues season passes.
    office: Parking,
    camera: Option<Says>,
    serial: AtomicU32,
    start: Instant,
    ahead: AtomicI64,
    /// Where `ahead` is kept for the next time.
    clock: PathBuf,
    inner: Mutex<Inner>,
    /// Held by whoever tells kiosks of their inputs, so that what is newer is told later.
    telling: Mutex<()>,
    changed: Condvar,
    news: broadcast::Sender<News>,
}

struct Inner {
    cars: Cars,
    /// What each lane's inputs were when their kiosk was told last, in [`Input::ALL`]'s order.
    told: Vec<[Option<bool>; Input::ALL.len()]>,
    /// Who stands before each kiosk; at a lane whoever is at its column.
    before: Vec<Option<CarNumber>>,
    /// They are on.
    cameras: bool,
    /// By each lane's.
    read: Vec<Option<Read>>,
}

impl Park {
    /// `worlds` in the order of the site's stations; `camera` is how plates are said. It begins to move at once, its cameras off.
    pub fn open(
        site: Site,
        state: &Path,
        worlds: &[Arc<SimulatedWorld>],
        camera: Option<Says>,
    ) -> std::io::Result<Arc<Self>> {
        let mut lanes = 0;
        let mut kiosks = Vec::new();
        let (mut entry, mut exit) = (0, 0);
        for (station, world) in site.stations.into_iter().zip(worlds) {
            let lane = station.lane.map(|wiring| (lanes, wiring));
            if lane.is_some() {
                match station.mode {
                    Mode::Entry => entry = lanes,
                    Mode::Exit | Mode::PayStation => exit = lanes,
                }
                lanes += 1;
            }
            kiosks.push(Kiosk { id: station.id, mode: station.mode, world: Arc::clone(world), lane });
        }
        let clock = state.join("clock");
        let ahead = std::fs::read_to_string(&clock).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        // Numbers of the shop and the office, and plates, go on where the state is kept.
        let first = Timestamp::now().as_second() as u32;
        let park = Arc::new(Self {
            inner: Mutex::new(Inner {
                cars: Cars::new(lanes, entry, exit).with_plates_from(first.into()),
                told: vec![[None; Input::ALL.len()]; lanes],
                before: vec![None; kiosks.len()],
                cameras: false,
                read: vec![None; lanes],
            }),
            kiosks,
            keys: site.keys,
            shop: site.shop,
            office: site.office,
            camera,
            serial: AtomicU32::new(first),
            start: Instant::now(),
            ahead: AtomicI64::new(ahead),
            clock,
            telling: Mutex::new(()),
            changed: Condvar::new(),
            news: broadcast::Sender::new(256),
        });
        for kiosk in &park.kiosks {
            kiosk.world.set_ahead(ahead);
        }
        for (nth, kiosk) in park.kiosks.iter().enumerate() {
            let Some((lane, wiring)) = kiosk.lane.clone() else { continue };
            let weak = Arc::downgrade(&park);
            kiosk.world.machine.on_event(move |event| {
                let (line, active) = match event {
                    MachineEvent::RelayOn { line } => (line, true),
                    MachineEvent::RelayOff { line } => (line, false),
                    _ => return,
                };
                let relay = match line {
                    line if *line == wiring.raise => Relay::Raise,
                    line if Some(line) == wiring.lower.as_ref() => Relay::Lower,
                    _ => return,
                };
                if let Some(park) = weak.upgrade() {
                    park.change(|inner| inner.cars.lanes[lane].relay(relay, active));
                }
            });
            park.tell_inputs(nth);
        }
        let weak = Arc::downgrade(&park);
        std::thread::Builder::new().name("car park".into()).spawn(move || {
            while let Some(park) = weak.upgrade() {
                park.turn();
            }
        })?;
        Ok(park)
    }

    /// What happens from now on: each text is `GET /api/site`.
    pub fn listen_to_news(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    fn kiosk(&self, id: &str) -> Option<(usize, &Kiosk)> {
        self.kiosks.iter().enumerate().find(|(_, kiosk)| kiosk.id == id)
    }

    /// Brings everything up to now, lets `what` happen, and wakes the thread that moves things.
    fn change<T>(&self, what: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.lock();
        inner.cars.advance(self.start.elapsed());
        let result = what(&mut inner);
        drop(inner);
        self.changed.notify_all();
        result
    }

    /// One turn of the thread, and the wait for the next.
    fn turn(&self) {
        self.change(|_| ());
        for nth in 0..self.kiosks.len() {
            self.tell_inputs(nth);
            self.take_paper(nth);
        }
        self.read_plates();
        if self.news.receiver_count() > 0 {
            // The last page may have just gone.
            drop(self.news.send(self.report().to_string().into()));
        }
        let inner = self.lock();
        let wait = if inner.cars.move_on() { TICK } else { QUIET };
        drop(self.changed.wait_timeout(inner, wait).unwrap_or_else(PoisonError::into_inner));
    }

    /// Tells a kiosk what its inputs are, where that has changed.
    fn tell_inputs(&self, nth: usize) {
        let Some((lane, wiring)) = &self.kiosks[nth].lane else { return };
        let _one_at_a_time = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let mut news = Vec::new();
        {
            let inner = &mut *self.lock();
            let levels = Input::ALL.map(|input| inner.cars.lanes[*lane].level(input));
            for ((input, level), told) in Input::ALL.into_iter().zip(levels).zip(&mut inner.told[*lane]) {
                if *told != Some(level) {
                    *told = Some(level);
                    news.push((input, level));
                }
            }
        }
        for (input, level) in news {
            if let Some(line) = wiring.input(input) {
                self.kiosks[nth].world.machine.wire_input(line, level);
            }
        }
    }

    /// Whoever stands before the kiosk takes what it has printed, and reads it.
    fn take_paper(&self, nth: usize) {
        let Some(car) = self.who_is_before(nth) else { return };
        let Some(paper) = self.kiosks[nth].world.paper.tear_off() else { return };
        let found = codes::on_paper(&paper, &self.keys);
        if let Some(car) = self.lock().cars.mut_by(car) {
            found.into_iter().for_each(|held| car.takes(held));
        }
    }

    fn who_is_before(&self, nth: usize) -> Option<CarNumber> {
        let inner = self.lock();
        let at_the_column = |(lane, _): &(usize, LaneWiring)| inner.cars.lanes[*lane].at_the_column();
        match &self.kiosks[nth].lane {
            Some(lane) => at_the_column(lane),
            None => inner.before[nth],
        }
    }

    pub fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(jiff::SignedDuration::from_millis(self.ahead.load(Ordering::Acquire))).unwrap_or(now)
    }

    /// Winds the clock of the whole site; false where that is too far.
    fn wind(&self, by_ms: i64) -> bool {
        let ahead = self.ahead.load(Ordering::Acquire).saturating_add(by_ms);
        if !(-FARTHEST..=FARTHEST).contains(&ahead) {
            return false;
        }
        self.ahead.store(ahead, Ordering::Release);
        if let Err(error) = std::fs::write(&self.clock, ahead.to_string()) {
            tracing::warn!(%error, path = %self.clock.display(), "the site's clock can't be kept");
        }
        for kiosk in &self.kiosks {
            kiosk.world.set_ahead(ahead);
        }
        self.changed.notify_all();
        true
    }

    /// `GET /api/site`.
    pub fn report(&self) -> Value {
        let inner = self.lock();
        let kiosks: Vec<_> = self
            .kiosks
            .iter()
            .map(|kiosk| {
                let lane = kiosk.lane.as_ref().map_or(&kiosk.id, |(_, wiring)| &wiring.name);
                json!({ "id": kiosk.id, "mode": kiosk.mode, "lane": lane })
            })
            .collect();
        let gates: Vec<_> = self.kiosks.iter().filter_map(|kiosk| gate(&inner, kiosk)).collect();
        let cars: Vec<_> = inner.cars.all().iter().map(|car| self.car(&inner.cars, car)).collect();
        json!({
            "kiosks": kiosks, "gates": gates, "cars": cars, "cameras": inner.cameras, "clock": self.clock_text(),
        })
    }

    fn clock_text(&self) -> String {
        let now = self.now();
        now.round(jiff::Unit::Second).unwrap_or(now).to_string()
    }

    fn car(&self, cars: &Cars, car: &Car) -> Value {
        let lane = match car.place {
            Place::Lane(lane) => self.kiosks.iter().find_map(|kiosk| {
                kiosk.lane.as_ref().filter(|(nth, _)| *nth == lane).map(|(_, wiring)| wiring.name.as_str())
            }),
            _ => None,
        };
        let front = match car.place {
            Place::Lane(lane) => cars.lanes[lane].cars().iter().find(|on| on.car == car.number).map(|on| on.front),
            _ => None,
        };
        let holds: Vec<_> = car
            .holds
            .iter()
            .map(|held| json!({ "kind": codes::name(held.kind), "code": held.code, "number": held.number }))
            .collect();
        json!({
            "id": format!("car-{}", car.number), "plate": car.plate, "where": cars.place_name(car.place),
            "ticket": car.newest(crate::parking::ticket::Kind::Ticket).map(|held| &held.code),
            "lane": lane, "front": front, "length": car.length, "holds": holds,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gate(inner: &Inner, kiosk: &Kiosk) -> Option<Value> {
    let (lane, wiring) = kiosk.lane.as_ref()?;
    let of = &inner.cars.lanes[*lane];
    let [opened, closed] = of.switch_faults();
    let loops = of.loop_faults();
    let sign = wiring.sign.as_deref().and_then(|line| kiosk.world.machine.get_line(line).ok());
    Some(json!({
        "lane": wiring.name, "open": of.is_open(), "opened": of.openings(),
        // How often the gate's own control had to keep the arm from falling on a car.
        "saved": of.saved(), "arm": (of.arm() * 1000.0).round() / 1000.0, "full": sign,
        "read": inner.read[*lane].as_ref().map(|read| &read.plate),
        "presence": of.level(Input::Presence), "safety": of.level(Input::Safety), "closing": of.level(Input::Closing),
        "faults": {
            "gate": of.gate_fault(), "opened": opened, "closed": closed,
            "presence": loops[0], "safety": loops[1], "closing": loops[2], "fire": of.fire(),
        },
    }))
}

#[cfg(test)]
mod tests;
