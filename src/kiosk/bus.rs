//! The kiosk on the machine's bus: what is shown of its status there, and how what is asked there reaches the loop.

use super::devices::LinkStatus;
use super::edges::Edges;
use super::parking::report_of;
use super::status::{Fault, Status};
use super::{Clock, Input, Kiosk};
use crate::config::Config;
use crate::dbus::{self, Ask, Device, Served, Shown, Writer};
use crate::signed::keys::KeyError;

/// In whose name the kiosk of this configuration signs.
///
/// # Errors
/// Its own key can't be read.
pub fn writer(config: &Config) -> Result<Writer, KeyError> {
    let (kiosk, fleet) = (config.kiosk.id.clone(), config.kiosk.fleet.clone());
    Ok(Writer { kiosk, fleet, signer: super::gateway::signer(config)?, clock: Clock::wall })
}

/// # Errors
/// The kiosk's own key can't be read.
pub(super) fn start(config: &Config, edges: &Edges) -> Result<Option<Served>, KeyError> {
    let inputs = edges.inputs.clone();
    let ask = move |ask| drop(inputs.send(Input::Bus(ask)));
    Ok(dbus::start(&edges.supervisor, edges.runtime.handle(), &config.dbus, writer(config)?, report_of(config), ask))
}

impl Kiosk {
    pub(super) fn asked_on_the_bus(&mut self, ask: Ask) {
        match ask {
            Ask::Operate { request, answered } => self.operate(request, answered),
            Ask::Picture(wanted) => self.edges.glass.picture(wanted),
            Ask::Mark(mark) => self.touch.mark(mark, self.state.conditions.maintenance),
            // Who asked may have gone.
            Ask::PlateSeen { plate, taken } => drop(taken.send(self.plate_seen(&plate))),
            Ask::MarkIsLeft => self.touch.mark_is_left(),
            // Where it can't be read now it is dropped, which is an answer, too.
            Ask::Read(read) => drop(self.reads.as_ref().map(|reads| reads.ask(read))),
        }
    }
}

pub(super) fn shown(status: &Status) -> Shown {
    let document = status.document();
    let text = |name: &Option<String>| name.clone().unwrap_or_default();
    let devices = document["devices"].as_object().into_iter().flatten().map(|(name, is)| {
        let says = |key: &str| is[key].as_str().unwrap_or_default().to_owned();
        (name.clone(), (says("state"), says("why")))
    });
    let faults = status.faults.iter().map(|fault| match fault {
        Fault::Slot { slot, why, .. } => ("slot".to_owned(), slot.clone(), why.clone()),
        Fault::Device { device, why } => ("device".to_owned(), device.clone(), why.clone()),
    });
    let stock =
        status.stock.iter().map(|(slot, is)| (slot.to_string(), (is.product.to_string(), is.count, is.capacity)));
    let claims = status.claims.iter().map(|claim| {
        (claim.order.to_string(), claim.short_code.to_string(), claim.cause.to_owned(), claim.why.clone())
    });
    let pending = status.refunds_pending.map(|pending| (pending.count, pending.amount, pending.oldest_minutes));
    Shown {
        kiosk: status.kiosk.clone(),
        fleet: status.fleet.clone(),
        version: status.version.to_owned(),
        boot: status.boot.to_string(),
        selling: status.selling,
        reasons: status.reasons.iter().map(|reason| (reason.kind().to_owned(), reason.to_string())).collect(),
        summary: status.to_string(),
        alarms: status.alarms().into_keys().map(str::to_owned).collect(),
        devices: devices.collect(),
        faults: faults.collect(),
        stock: stock.collect(),
        claims: claims.collect(),
        unknown: status.unknown.iter().map(ToString::to_string).collect(),
        settling: status.settling,
        refunds_pending: pending.unwrap_or_default(),
        rails_refusing: status.rails_refusing.iter().map(|(rail, why)| (rail.to_string(), why.clone())).collect(),
        fleet_link: fleet_link(status.devices.link.as_ref()),
        ledger: text(&status.ledger),
        ledger_before: text(&status.ledger_before),
        languages: status.languages.iter().map(ToString::to_string).collect(),
        languages_configured: status.languages_configured.iter().map(ToString::to_string).collect(),
        document: document.to_string(),
    }
}

pub(super) fn fleet_link(link: Option<&LinkStatus>) -> Device {
    let (is, why) = match link {
        None => ("none", ""),
        Some(LinkStatus::Connecting) => ("connecting", ""),
        Some(LinkStatus::Connected) => ("connected", ""),
        Some(LinkStatus::Disconnected { why }) => ("disconnected", why.as_str()),
    };
    (is.to_owned(), why.to_owned())
}
