//! A configuration that came from somebody is tried, and kept or given up.
//!
//! Policy: it is checked as a file is, and pictures that it needs are fetched, while the sale goes on. It is recorded and the daemon starts anew with it only
//! between sales. From then on it is on trial: it is kept when the machine could take an order with it and the fleet is
//! reached, and given up when that has not come true in time. What stopped the machine before counts for nothing against
//! it. Whoever asked hears of it once, when it is kept or given up, in whichever run of the daemon that is. A
//! configuration with which the daemon does not even start is given up by who starts it; here that is recorded.

use super::event::{Checked, Effect, Illegal, NotUsed};
use super::record::{Held, Record};
use super::{State, Turn};
use crate::operation::{Digest, Outcome, Refusal, Request, RequestId};
use crate::vocabulary::{Cause, Goods, Mono, StopReason};

/// What is under way about the configuration.
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    asked: Option<Asked>,
    /// The daemon was started with it, or it is `given_up`.
    pub trial: Option<Trial>,
    /// Why the one on trial was not used to start this run with.
    pub given_up: Option<Cause>,
}

#[derive(Debug, Clone)]
struct Asked {
    id: RequestId,
    /// It is right, and waits for the end of the sale.
    checked: Option<Checked>,
}

/// A configuration on trial.
#[derive(Debug, Clone)]
pub struct Trial {
    pub id: RequestId,
    pub config: Digest,
    stopped: Vec<StopReason>,
    held: Vec<Held>,
    since: Mono,
}

impl Trial {
    /// As it was begun; `None` for another record.
    pub fn of(record: &Record) -> Option<Self> {
        let Record::ConfigTried { id, config, stopped, held, .. } = record else { return None };
        let (id, config, stopped, held) = (id.clone(), config.clone(), stopped.clone(), held.clone());
        Some(Self { id, config, stopped, held, since: Mono::default() })
    }
}

impl State {
    /// Why the machine could not take an order with the configuration on trial; empty where it could. What has said nothing
    /// yet in this run does not count as well.
    fn trial_lacks(&self, trial: &Trial) -> Vec<StopReason> {
        let rails = self.conditions.rails.values();
        let silent = [
            (self.conditions.board_answers.is_none()).then_some(StopReason::BoardDown),
            (!self.conditions.glass_has_spoken).then(|| StopReason::GlassDark("it has shown nothing yet".to_owned())),
            (!rails.into_iter().any(|rail| rail.verified.is_some())).then_some(StopReason::RailDown),
        ];
        let before = |reason: &StopReason| trial.stopped.iter().any(|stopped| stopped.kind() == reason.kind());
        let mut lacks: Vec<StopReason> = self.stop_reasons().into_iter().chain(silent.into_iter().flatten()).collect();
        lacks.retain(|reason| !before(reason));
        lacks.sort();
        lacks.dedup_by(|a, b| a.kind() == b.kind());
        lacks
    }

    /// When the trial is over; once it is, whatever keeps it open ends first.
    pub(super) fn trial_wake(&self, now: Mono) -> Option<Mono> {
        let over = self.configuration.trial.as_ref().map(|trial| trial.since + self.policy.trial);
        over.filter(|over| *over > now)
    }
}

impl Turn<'_> {
    pub(super) fn ask_config(&mut self, request: &Request) -> Result<(), Refusal> {
        let configuration = &mut self.state.configuration;
        if configuration.asked.is_some() || configuration.trial.is_some() {
            return Err(Refusal::ConfigIsTried);
        }
        configuration.asked = Some(Asked { id: request.id.clone(), checked: None });
        self.effect(Effect::CheckConfig { asked: request.asked.clone() });
        Ok(())
    }

    /// The answer to [`Effect::CheckConfig`].
    pub(super) fn config_checked(&mut self, result: Result<Option<Checked>, NotUsed>) -> Result<(), Illegal> {
        let configuration = &mut self.state.configuration;
        let Some(asked) = configuration.asked.as_mut().filter(|asked| asked.checked.is_none()) else {
            return Err(Illegal::Refused("nobody has asked for another configuration"));
        };
        let outcome = match result {
            Ok(Some(checked)) => {
                asked.checked = Some(checked);
                return Ok(());
            }
            Ok(None) => Outcome::Unchanged,
            Err(NotUsed::Wrong(problems)) => Outcome::Refused { why: Refusal::BadConfig { problems } },
            Err(NotUsed::BadMedia(problems)) => Outcome::Refused { why: Refusal::BadMedia { problems } },
            Err(NotUsed::NotFetched(detail)) => Outcome::Failed { why: Cause::MediaNotFetched { detail } },
        };
        let id = asked.id.clone();
        configuration.asked = None;
        self.end_operation(id, outcome);
        Ok(())
    }

    /// Between sales the daemon starts anew with what was checked, and a trial ends.
    pub(super) fn configure(&mut self) {
        if self.state.busy() || self.state.pulse.is_some() || self.state.reboot.promised {
            return;
        }
        if let Some(asked) = self.state.configuration.asked.take_if(|asked| asked.checked.is_some())
            && let Some(checked) = asked.checked
        {
            self.try_config(asked.id, checked);
        }
        self.judge_trial();
    }

    fn try_config(&mut self, id: RequestId, checked: Checked) {
        let Checked { config, base, text } = checked;
        let held = self.state.shop.outlets().into_iter().filter_map(|known| {
            let (goods, count, capacity, fault) = (known.goods?, known.count, known.capacity, known.fault);
            Some(Held { outlet: known.outlet, goods, count, capacity, fault })
        });
        let (stopped, held) = (self.state.stop_reasons(), held.collect());
        self.record(Record::ConfigTried { id, config, base, text, stopped, held });
        self.effect(Effect::StartAnew);
    }

    fn judge_trial(&mut self) {
        // This run was not started with it: another is going to be.
        if self.step.effects.contains(&Effect::StartAnew) {
            return;
        }
        let Some(trial) = &self.state.configuration.trial else { return };
        let over = self.at.now >= trial.since + self.state.policy.trial;
        let lacks = self.state.trial_lacks(trial);
        let fleet = self.state.conditions.fleet_reached || !self.state.policy.fleet;
        let (id, config) = (trial.id.clone(), trial.config.clone());
        if lacks.is_empty() && fleet {
            self.record(Record::ConfigKept { config });
            self.end_operation(id, Outcome::Changed { order: None, report: None });
        } else if over {
            let why = if lacks.is_empty() { Cause::FleetNotReached } else { Cause::CantSell { reasons: lacks } };
            let held = trial.held.clone();
            self.give_up(id, config, why);
            self.leave_behind(&held);
            self.effect(Effect::StartAnew);
        }
    }

    fn give_up(&mut self, id: RequestId, config: Digest, why: Cause) {
        self.record(Record::ConfigRejected { config, why: why.clone() });
        self.end_operation(id, Outcome::Failed { why });
    }

    /// A run begins: with the configuration on trial, or without it because it was given up.
    pub(super) fn resume_trial(&mut self) {
        let given_up = self.state.configuration.given_up.take();
        let now = self.at.now;
        let Some(trial) = &mut self.state.configuration.trial else { return };
        trial.since = now;
        let id = trial.id.clone();
        self.state.open_operations.retain(|open| *open != id);
        if let Some(why) = given_up {
            let (config, held) = (trial.config.clone(), std::mem::take(&mut trial.held));
            self.give_up(id, config, why);
            self.put_back(&held);
        }
    }

    /// What a trial has given other goods holds again what it held before: where this run has the goods of before already,
    /// and where the next run is going to have them.
    fn put_back(&mut self, held: &[Held]) {
        for record in self.state.shop.opening() {
            let Record::SlotAssigned { slot, product, .. } = &record else { continue };
            let goods = Goods::Product(product.clone());
            if let Some(before) = held.iter().find(|held| held.outlet.slot() == Some(slot) && held.goods == goods) {
                self.assign(before);
            }
        }
    }

    fn leave_behind(&mut self, held: &[Held]) {
        for before in held {
            let now = self.state.outlet(&before.outlet).and_then(|known| known.goods);
            if now.as_ref() != Some(&before.goods) {
                self.assign(before);
            }
        }
    }

    fn assign(&mut self, held: &Held) {
        let Held { outlet, goods, count, capacity, fault } = held.clone();
        let (Some(slot), Some(product)) = (outlet.slot().cloned(), goods.product().cloned()) else { return };
        self.record(Record::SlotAssigned { slot, product, capacity, count });
        if let Some(why) = fault {
            self.record(Record::OutletFaulty { outlet, why });
        }
    }
}
