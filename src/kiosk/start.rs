//! Makes what is needed once, before the loop runs.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use data_encoding::HEXLOWER;
use jiff::tz::TimeZone;

use super::clock::Clock;
use super::notices::Notice;
use super::{Edges, Input, KioskError, Options, media};
use crate::config::{self, Config, TrustedKey};
use crate::input::{self, InputEvent};
use crate::ledger::{DirectoryLock, Ledger, LedgerError, Reader};
use crate::parking::lane;
use crate::sale::policy::RailPolicy;
use crate::sale::shop::{Product, Shop};
use crate::sale::{Policy, State};
use crate::service::{self, Ended, Heartbeat, Notification, Part, Supervisor};
use crate::signed::keys::KeySource;
use crate::vending::{Planogram, Slot, TemperatureWatch};
use crate::vocabulary::fee::FeeSchedule;
use crate::vocabulary::{BootId, Stamp, UnknownDelivery};
use crate::world::{Unsolicited, World};

/// Keeps the service manager's watchdog quiet while the loop, the glass and the board make progress; `None` where
/// nobody watches.
pub(super) fn watch(
    supervisor: &Supervisor,
    edges: &Edges,
    heartbeat: &Heartbeat,
    inputs: Sender<Input>,
) -> Result<Option<service::Watch>, KioskError> {
    let Some(limit) = service::watchdog() else { return Ok(None) };
    service::watch(supervisor, parts(edges, heartbeat, inputs), limit, || service::notify(&Notification::Alive))
        .map(Some)
        .map_err(|source| KioskError::Start { what: "the watchdog", source })
}

/// Those whose hanging is the machine's.
pub(super) fn parts(edges: &Edges, heartbeat: &Heartbeat, inputs: Sender<Input>) -> Vec<Part> {
    let nudge = Box::new(move || drop(inputs.send(Input::Nudge)));
    let own = Part { name: "the event loop", heartbeat: heartbeat.clone(), nudge };
    [own, edges.glass.part()].into_iter().chain(edges.board.parts()).collect()
}

/// The first part to end ends the loop, and with it the daemon.
pub(super) fn supervisor(inputs: Sender<Input>) -> Supervisor {
    Supervisor::new(move |Ended { part, why }| drop(inputs.send(Input::Died { part, why })))
}

pub(super) fn overridden(mut config: Config, options: &Options) -> Config {
    if let Some(directory) = &options.state {
        config.state.directory.clone_from(directory);
    }
    if let Some((width, height)) = options.panel {
        config.glass.panel = config::Panel::Simulated { width, height };
    }
    match (&options.broker, &mut config.fleet) {
        (Some(broker), _) if broker == "none" => config.fleet = None,
        (Some(broker), Some(fleet)) => {
            fleet.broker.clone_from(broker);
            fleet.fallback = None;
        }
        _ => {}
    }
    if let (Some(keys), Some(fleet)) = (&options.keys, &mut config.fleet) {
        fleet.signing_key.get_or_insert_with(|| KeySource::File(keys.join("kiosk.key")));
        if fleet.root.is_none() && fleet.keyset.is_none() {
            (fleet.root, fleet.keyset) = (Some(keys.join("root.pem")), Some(keys.join("keyset.json")));
        }
        if fleet.back_end.is_empty() {
            fleet.back_end.push(TrustedKey { kid: "back-end".into(), file: keys.join("back-end.pem") });
        }
    }
    if let (Some(keys), Some(parking)) = (&options.keys, &mut config.parking) {
        parking.keys_in(keys);
    }
    config.locate_media(&media::folder(&config.state.directory));
    config
}

/// One run of the daemon; not one of the kernel, because a killed daemon forgets too.
pub(crate) fn new_boot() -> BootId {
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes).unwrap_or_default();
    BootId::parse(&HEXLOWER.encode(&bytes)).expect("sixteen hex digits are a boot number")
}

pub(super) fn connect(
    socket: &std::path::Path,
    supervisor: &Supervisor,
    inputs: Sender<Input>,
) -> Result<Arc<World>, KioskError> {
    let route = move |said| {
        let input = match said {
            Unsolicited::Finger { at, ms } => Input::Finger { at, ms },
            Unsolicited::Input { line, active } => Input::Line { line, active },
            Unsolicited::RailNotice { body } => match crate::payment::sandbox::notice(&body) {
                Ok((charge, report)) => Input::Notice(Notice::Rail { charge, report }),
                Err(error) => return tracing::warn!(%error, "a payment notice could not be verified and was dropped"),
            },
            Unsolicited::Scanned { text } if input::can_be_scanned(&text, config::Scanner::LONGEST) => {
                Input::Device(InputEvent::Scanned(text))
            }
            Unsolicited::Scanned { .. } => return tracing::debug!("a code that no scanner types was dropped"),
            Unsolicited::Clock { offset_ms } => return Clock::ahead(offset_ms),
            Unsolicited::Question { id, ask } => Input::Question { id, ask },
            Unsolicited::Gone => Input::WorldGone,
        };
        // The loop has ended; nobody wants to know.
        drop(inputs.send(input));
    };
    World::connect(socket, supervisor, route).map_err(|source| KioskError::World { path: socket.into(), source })
}

pub(crate) fn open_ledger(
    lock: Result<DirectoryLock, LedgerError>,
    config: &Config,
    boot: &BootId,
    at: &Stamp,
    state: &mut State,
) -> Result<(Ledger, Reader), LedgerError> {
    let room = &config.state;
    let mut ledger = Ledger::open(lock?, boot.clone(), room.reserve.0, room.min_free.0)?;
    let mut recovered = ledger.recover()?;
    let memory = std::mem::take(&mut recovered.memory);
    let path = ledger.path().to_owned();
    state.shop.recall(memory).map_err(|what| LedgerError::Forgotten { path, what })?;
    state.restore(recovered);
    ledger.begin(at, state)?;
    if let Some(before) = ledger.moved() {
        let (now, path) = (ledger.id(), ledger.path().display());
        tracing::error!(%path, before, now, "this ledger was begun elsewhere: it continues under a new number");
    }
    let reader = Reader::open(&room.directory)?;
    Ok((ledger, reader))
}

/// A lane says by then what came of a person's wish.
const GATE_ANSWERS: Duration = Duration::from_secs(120);

/// What the operator wrote about sales.
pub(crate) fn policy(config: &Config) -> Policy {
    let (kiosk, sale) = (&config.kiosk, &config.sale);
    Policy {
        kiosk: kiosk.id.clone(),
        attach: format!("{}/{}", kiosk.fleet, kiosk.id),
        place: kiosk.place.clone(),
        phone: kiosk.phone.clone(),
        currency: kiosk.currency,
        languages: kiosk.languages.clone(),
        qr_life: sale.qr_life.0,
        more_time: sale.more_time.0,
        grace: sale.grace.0,
        lease: sale.lease.0,
        // A car that nobody has seen has passed: it is on its way with what it has paid for.
        unknown_delivery: match config.gate {
            Some(_) => UnknownDelivery::AssumeDelivered,
            None => sale.unknown_delivery,
        },
        paid_without_intent: sale.paid_without_intent,
        attempts: sale.attempts,
        max_units: sale.max_units,
        pickup_numbers: sale.pickup_numbers,
        browse_timeout: sale.browse_timeout.0,
        result_timeout: sale.result_timeout.0,
        confirm_above: sale.confirm_above,
        confirm_after_unpaid: sale.confirm_after_unpaid.filter(|never| *never > 0),
        cool_down_after_unpaid: sale.cool_down_after_unpaid.filter(|never| *never > 0),
        cool_down: sale.cool_down.0,
        silent_claim_after: sale.silent_claim_after.0,
        sensor: config.board.drop_sensor.as_ref().is_some_and(|sensor| sensor.emitter.is_some()),
        service: config.service.is_some(),
        reboot: config.board.reboot != config::RebootBy::None,
        fleet: config.fleet.is_some(),
        trial: config.fleet.as_ref().map_or(config::Fleet::trial(), |fleet| fleet.trial).0,
        update_gate: config.update.gate.0,
        gate_answers: super::lane::settings::settings(config)
            .map_or(GATE_ANSWERS, |settings| lane::State::answers_within(&settings) + GATE_ANSWERS),
        categories: config.categories.iter().map(|known| (known.id.clone(), known.name.clone())).collect(),
        rails: config
            .rails
            .iter()
            .map(|rail| RailPolicy {
                name: rail.name(),
                label: rail.label.clone(),
                poll: rail.poll(),
                fees: FeeSchedule::new(rail.fees.clone()).unwrap_or_default(),
            })
            .collect(),
        // Checked with the configuration, like the rates above.
        zone: TimeZone::get(&kiosk.time_zone).unwrap_or(TimeZone::UTC),
    }
}

/// What is behind the counter: a car park where the configuration has one, else a planogram.
///
/// # Errors
/// The car park's files are not what they should be.
pub(crate) fn shop(config: &Config) -> Result<Box<dyn Shop>, KioskError> {
    match &config.parking {
        Some(parking) => Ok(Box::new(super::parking::shop(config, parking)?)),
        None => Ok(Box::new(planogram(config))),
    }
}

pub(crate) fn planogram(config: &Config) -> Planogram {
    let products = config.products.iter().map(|product| Product {
        id: product.id.clone(),
        name: product.name.clone(),
        price: product.price,
        tax: product.tax,
        picture: product.picture.clone(),
        category: product.category.clone(),
    });
    let slots = config.slots.iter().map(|slot| {
        let known = Slot { product: slot.product.clone(), stock: slot.stock, capacity: slot.capacity, faulty: None };
        (slot.name.clone(), known)
    });
    Planogram::new(products.collect(), slots)
}

pub(super) fn warmth(config: &Config) -> TemperatureWatch {
    let bounded = config.products.iter().filter_map(|product| {
        Some((product.id.clone(), product.max_temperature?.saturating_mul(1_000), product.max_temperature_for.0))
    });
    TemperatureWatch::new(bounded)
}
