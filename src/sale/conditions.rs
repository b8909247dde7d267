//! When the machine may sell (P6), as explicit conditions. Local ones act at once; a provider's word lasts for the lease.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::{Condition, Effect, SelfCheck};
use super::record::{Closed, Record};
use super::view::StopReason;
use super::{State, Turn};
use crate::vocabulary::{Mono, RailName};

/// An idle machine asks its providers so often whether they are there, and this often when they were not.
const PROBE_IDLE: Duration = Duration::from_secs(60);
const PROBE_DOWN: Duration = Duration::from_secs(3);
/// Who looks at a machine whose board goes down reads it for some seconds.
const GOES_DOWN: &str = "the board is restarted";
/// How long a rail is left alone whose provider makes no more charges for now.
const LIMIT_LASTS: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Default)]
pub struct Conditions {
    pub door_open: bool,
    pub tamper: bool,
    /// `None` until the board has said so for the first time.
    pub board_answers: Option<bool>,
    pub glass_dark: Option<String>,
    /// It has shown a frame, or has said that it can't.
    pub glass_has_spoken: bool,
    /// The fleet's broker is there, and was there before in this run.
    pub fleet_connected: bool,
    pub fleet_reached: bool,
    /// A car stands before the gate; `None` where there is no gate, or nobody has said.
    pub car_waits: Option<bool>,
    /// Why nobody can touch the glass.
    pub touch_fault: Option<String>,
    pub disk_full: bool,
    pub outbox_full: bool,
    pub ledger_failed: Option<String>,
    pub locked: Option<String>,
    /// A person works on the machine.
    pub maintenance: bool,
    pub self_check: SelfCheck,
    pub rails: BTreeMap<RailName, RailHealth>,
    /// Too many orders in a row were not paid: nothing is offered until then.
    pub cooling_until: Option<Mono>,
    /// Rails whose provider answers and would not make the last charge, and what it said: a person must look.
    pub refusing: BTreeMap<RailName, String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RailHealth {
    /// The last verified answer in this run.
    pub verified: Option<Mono>,
    /// The last call failed.
    pub down: bool,
    /// It will take no more charges before then, and said so.
    pub limited_until: Option<Mono>,
    pub probing: bool,
    pub next_probe: Mono,
}

impl State {
    /// Why nothing may be sold now; empty means it may.
    pub fn stop_reasons(&self) -> Vec<StopReason> {
        let mut reasons = self.local_stop_reasons();
        reasons.extend(match &self.conditions.self_check {
            SelfCheck::Passed => None,
            SelfCheck::Pending(what) | SelfCheck::Failed(what) => Some(StopReason::SelfCheck(what.clone())),
        });
        // Who has the QR before them needs no finger, so it may stay.
        reasons.extend(self.conditions.touch_fault.clone().map(StopReason::TouchDown));
        // Where nothing is sold for money nobody misses a provider.
        let rails = &self.policy.rails;
        if !rails.is_empty() && !rails.iter().any(|rail| self.rail_up(&rail.name)) {
            reasons.push(StopReason::RailDown);
        }
        if self.current.is_none() {
            reasons.extend(self.stops_the_next());
        }
        reasons
    }

    /// The same for who stands before the glass: that the machine is just starting is not worth a page.
    pub(super) fn reasons_to_show(&self) -> Vec<StopReason> {
        let mut reasons = self.stop_reasons();
        if matches!(self.conditions.self_check, SelfCheck::Pending(_)) {
            reasons.retain(|reason| !matches!(reason, StopReason::SelfCheck(_)));
        }
        reasons
    }

    /// The same where what is handed over was paid elsewhere or costs nothing: neither a provider nor a back end is needed for
    /// it, and no finger. `by_scanner`: nothing has to be read on the glass either.
    pub(super) fn reasons_against_tickets(&self, by_scanner: bool) -> Vec<StopReason> {
        let mut reasons = self.reasons_to_show();
        reasons.retain(|reason| match reason {
            StopReason::RailDown
            | StopReason::CoolingDown
            | StopReason::Full
            | StopReason::OutboxFull
            | StopReason::TouchDown(_) => false,
            StopReason::GlassDark(_) => !by_scanner,
            _ => true,
        });
        reasons
    }

    /// Why the next order could not begin. The one that has begun is handed over all the same.
    fn stops_the_next(&self) -> impl Iterator<Item = StopReason> {
        let cooling = self.conditions.cooling_until.map(|_| StopReason::CoolingDown);
        self.shop.closed().into_iter().chain(cooling)
    }

    /// The conditions that no network decides; losing one takes the QR away at once.
    fn local_stop_reasons(&self) -> Vec<StopReason> {
        let c = &self.conditions;
        [
            c.ledger_failed.clone().map(StopReason::LedgerFailed),
            c.disk_full.then_some(StopReason::DiskFull),
            c.outbox_full.then_some(StopReason::OutboxFull),
            c.locked.clone().map(StopReason::Locked),
            self.reboot.promised.then(|| StopReason::Locked(GOES_DOWN.to_owned())),
            c.maintenance.then_some(StopReason::Maintenance),
            c.door_open.then_some(StopReason::DoorOpen),
            c.tamper.then_some(StopReason::Tamper),
            (c.board_answers == Some(false)).then_some(StopReason::BoardDown),
            c.glass_dark.clone().map(StopReason::GlassDark),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Why nothing may be energised now, beside the order itself.
    pub(super) fn delivery_stop(&self) -> Option<StopReason> {
        let stops = |reason: &StopReason| {
            matches!(
                reason,
                StopReason::DoorOpen | StopReason::Tamper | StopReason::BoardDown | StopReason::LedgerFailed(_)
            )
        };
        self.local_stop_reasons().into_iter().find(stops)
    }

    /// Its provider's last word was one, and not that it takes no more.
    pub(super) fn rail_up(&self, rail: &RailName) -> bool {
        !self.conditions.rails.get(rail).is_some_and(|health| health.down || health.limited_until.is_some())
    }

    /// When a pause ends that nobody but time ends.
    pub(super) fn pause_wake(&self) -> Option<Mono> {
        let limits = self.conditions.rails.values().filter_map(|health| health.limited_until);
        limits.chain(self.conditions.cooling_until).min()
    }

    /// The lease of the QR on the glass: a verified answer from its provider, young enough.
    fn lease_holds(&self, rail: &RailName, now: Mono) -> bool {
        let verified = self.conditions.rails.get(rail).and_then(|health| health.verified);
        verified.is_some_and(|at| now.since(at) <= self.policy.lease)
    }

    /// When the lease of the QR on the glass ends. None runs before the provider has answered.
    pub(super) fn lease_wake(&self) -> Option<Mono> {
        let order = self.current_order().filter(|order| order.waiting())?;
        let charge = order.live().filter(|charge| charge.watch.payload.is_some())?;
        // One past it, so that a tick at that moment finds it over.
        Some(self.conditions.rails.get(&charge.rail)?.verified? + self.policy.lease + Duration::from_millis(1))
    }

    pub(super) fn probe_wake(&self) -> Option<Mono> {
        let idle = |rail: &super::policy::RailPolicy| match self.conditions.rails.get(&rail.name) {
            Some(health) if health.probing => None,
            Some(health) => Some(health.next_probe),
            None => Some(Mono::default()),
        };
        self.policy.rails.iter().filter_map(idle).min()
    }
}

impl Turn<'_> {
    pub(super) fn condition(&mut self, condition: Condition) {
        let c = &mut self.state.conditions;
        match condition {
            Condition::OutletFaulty { outlet, why } => {
                if self.state.outlet(&outlet).is_some_and(|known| known.fault.is_none()) {
                    self.record(Record::OutletFaulty { outlet, why });
                }
            }
            Condition::Door { open } => {
                if std::mem::replace(&mut c.door_open, open) && !open {
                    self.door_was_closed();
                }
            }
            Condition::Tamper { active } => c.tamper = active,
            Condition::Board { answers } => c.board_answers = Some(answers),
            Condition::Glass { dark } => (c.glass_dark, c.glass_has_spoken) = (dark, true),
            Condition::Fleet { connected } => {
                c.fleet_connected = connected;
                c.fleet_reached |= connected;
            }
            Condition::CarWaits { there } => {
                c.car_waits = Some(there);
                self.state.shop.car_waits(there);
                if !there {
                    self.car_has_gone();
                }
            }
            Condition::SelfCheck(check) => c.self_check = check,
            Condition::Touch { fault } => c.touch_fault = fault,
            Condition::Disk { full } => c.disk_full = full,
            Condition::Outbox { full } => c.outbox_full = full,
            Condition::LedgerFailed { why } => c.ledger_failed = Some(why),
        }
    }

    /// A call to a rail came back: verified, or not at all.
    pub(super) fn rail_answered(&mut self, rail: &RailName, verified: bool) {
        let now = self.at.now;
        let health = self.state.conditions.rails.entry(rail.clone()).or_default();
        health.down = !verified;
        if verified {
            health.verified = Some(now);
        }
        health.next_probe = now + if verified { PROBE_IDLE } else { PROBE_DOWN };
    }

    /// The provider answers, and makes no charge: for the customer the rail is down.
    pub(super) fn rail_limited(&mut self, rail: &RailName) {
        let until = self.at.now + LIMIT_LASTS;
        self.state.conditions.rails.entry(rail.clone()).or_default().limited_until = Some(until);
    }

    /// Nobody has paid so often that the next has to wait: a finger alone can't wear out what the provider allows.
    pub(super) fn unpaid(&mut self) {
        let state = &mut *self.state;
        state.unpaid_in_a_row = state.unpaid_in_a_row.saturating_add(1);
        if state.policy.cool_down_after_unpaid.is_some_and(|limit| state.unpaid_in_a_row >= limit) {
            state.conditions.cooling_until = Some(self.at.now + state.policy.cool_down);
        }
    }

    /// Pauses end by themselves.
    pub(super) fn end_pauses(&mut self) {
        self.end_pin_pause();
        let (now, c) = (self.at.now, &mut self.state.conditions);
        c.cooling_until.take_if(|until| now >= *until);
        for health in c.rails.values_mut() {
            health.limited_until.take_if(|until| now >= *until);
        }
    }

    pub(super) fn probed(&mut self, rail: &RailName, verified: bool) {
        self.state.conditions.rails.entry(rail.clone()).or_default().probing = false;
        self.rail_answered(rail, verified);
    }

    /// Asks the providers at most every minute, every few seconds while they are away, and when a customer comes.
    pub(super) fn probe_rails(&mut self, customer: bool) {
        let now = self.at.now;
        let lease = self.state.policy.lease;
        for rail in self.state.policy.rails.iter().map(|rail| rail.name.clone()).collect::<Vec<_>>() {
            let health = self.state.conditions.rails.entry(rail.clone()).or_default();
            let stale = health.verified.is_none_or(|at| now.since(at) > lease);
            if !health.probing && (now >= health.next_probe || customer && stale) {
                health.probing = true;
                self.effect(Effect::Probe { rail });
            }
        }
    }

    /// P6: the QR is on the glass only while the machine can deliver. Lose a condition and the order is closed.
    pub(super) fn hold_lease(&mut self) {
        self.probe_rails(false);
        let Some(order) = self.state.current_order().filter(|order| order.waiting()) else { return };
        let (id, now) = (order.id, self.at.now);
        let shown = order.live().filter(|charge| charge.watch.payload.is_some()).map(|charge| &charge.rail);
        let lost = self.state.local_stop_reasons().into_iter().next();
        let lost = lost
            .or_else(|| self.state.shop.refuses(&order.wanted(), order.only.as_ref()))
            .or_else(|| shown.filter(|rail| !self.state.lease_holds(rail, now)).map(|_| StopReason::RailDown));
        if let Some(reason) = lost {
            self.close_order(id, Closed::Stopped(reason));
        }
    }

    /// Tells the fleet when sales stop and resume; not for every reason that comes and goes in between.
    pub(super) fn announce(&mut self) {
        let c = &self.state.conditions;
        let failed = matches!(c.self_check, SelfCheck::Failed(_));
        if matches!(c.self_check, SelfCheck::Pending(_)) || c.board_answers.is_none() && !failed {
            return;
        }
        let reasons = self.state.stop_reasons();
        match (reasons.is_empty(), self.state.announced_stop) {
            (false, false) => self.record(Record::SalesStopped { reasons }),
            // An order that was granted at a closed shop opens it for nobody else.
            (true, true) if self.state.stops_the_next().next().is_none() => self.record(Record::SalesResumed {}),
            _ => {}
        }
    }
}
