//! What people ask of the machine, done in one step: begun, carried out and ended in one commit, and answered after it.

use super::Turn;
use super::event::{Effect, GateAsk};
use super::record::Record;
use crate::operation::{Actor, Known, LanguageTag, Operation, Outcome, Refusal, Request, RequestId, Units};
use crate::vocabulary::{Cause, ClaimSettlement, Grant, Language, Minor, OrderId, Outlet, ProductId, SlotId};

enum Done {
    /// Whatever it has changed.
    Now,
    /// With the order that has begun with it.
    Begun(OrderId),
    /// With the report that was made or is printed.
    Reported(u32),
    /// And nothing of it is to be kept.
    Sent,
    /// The board, the lane, or who restarts the machine has to speak first.
    Later,
}

impl Turn<'_> {
    /// `known`: what the ledger has under the request's number.
    pub(super) fn asked(&mut self, request: Request, known: Option<Known>) {
        let outcome = match known {
            Some(known) if known.asked != request.asked || known.by != request.by => {
                Outcome::Refused { why: Refusal::NumberTaken }
            }
            // Under way: who asked first is answered when it ends.
            Some(Known { outcome: None, .. }) => return,
            Some(Known { outcome: Some(outcome), .. }) => outcome,
            // Without a record: nothing but its own sender's mistake, or somebody who has copied a key, leads here.
            None if !self.has_new_counter(&request.by) => Outcome::Refused { why: Refusal::CounterUsed },
            None => return self.perform(&request),
        };
        self.effect(Effect::Answer { id: request.id, outcome });
    }

    fn has_new_counter(&self, by: &Actor) -> bool {
        match by {
            Actor::Fleet { kid, counter } => self.state.windows.get(kid).copied().unwrap_or_default().is_new(*counter),
            Actor::Technician { .. } | Actor::Menu | Actor::Demo => true,
        }
    }

    fn perform(&mut self, request: &Request) {
        let (id, by, asked) = (request.id.clone(), request.by.clone(), request.asked.clone());
        self.record(Record::OperationBegun { id: id.clone(), by, asked });
        let written = self.step.records.len();
        let done = match request.permitted(self.state.busy()) {
            Ok(()) => self.carry_out(request),
            Err(why) => Err(why),
        };
        let outcome = match done {
            Err(why) => Outcome::Refused { why },
            Ok(Done::Later) => return,
            Ok(Done::Now) if self.step.records.len() == written => Outcome::Unchanged,
            Ok(Done::Now | Done::Sent) => Outcome::Changed { order: None, report: None },
            Ok(Done::Begun(order)) => Outcome::Changed { order: Some(order), report: None },
            Ok(Done::Reported(number)) => Outcome::Changed { order: None, report: Some(number) },
        };
        self.end_operation(id, outcome);
    }

    /// On disk first, and then for who asked.
    pub(super) fn end_operation(&mut self, id: RequestId, outcome: Outcome) {
        self.record(Record::OperationEnded { id: id.clone(), outcome: outcome.clone() });
        self.effect(Effect::Answer { id, outcome });
    }

    /// Either everything of it is recorded, or it is refused and nothing is.
    fn carry_out(&mut self, request: &Request) -> Result<Done, Refusal> {
        match &request.asked {
            Operation::Lock { reason } => {
                let reason = reason.to_string();
                if self.state.conditions.locked.as_ref() != Some(&reason) {
                    self.record(Record::KioskLocked { reason });
                }
            }
            Operation::Unlock => {
                if self.state.conditions.locked.is_some() {
                    self.record(Record::KioskUnlocked {});
                }
            }
            Operation::SetStock { slot, count } => {
                let records = self.state.shop.restock(&Outlet::Slot(slot.clone()), *count)?;
                records.into_iter().for_each(|record| self.record(record));
            }
            Operation::Refill => {
                let outlets = self.state.shop.outlets();
                self.refill(outlets.iter().map(|known| &known.outlet));
            }
            Operation::RefillSlots { slots } => {
                let outlets: Vec<Outlet> = slots.iter().cloned().map(Outlet::Slot).collect();
                let known = self.state.shop.outlets();
                if !outlets.iter().all(|outlet| known.iter().any(|known| known.outlet == *outlet)) {
                    return Err(Refusal::NoSuchSlot);
                }
                self.refill(&outlets);
            }
            Operation::AddStock { units } => self.add_stock(units)?,
            Operation::SettleClaim { order, how } => self.settle_claim(*order, *how, request)?,
            Operation::Refund { order, amount } => self.give_back(*order, *amount, request)?,
            Operation::Vend { product } => return self.give_away(product, request).map(Done::Begun),
            Operation::TestVend { slot } => return self.test(slot, request).map(Done::Begun),
            Operation::Maintenance { on: true } => {
                if !self.state.conditions.maintenance {
                    self.record(Record::MaintenanceBegun {});
                }
            }
            Operation::Maintenance { on: false } => {
                // Or a sale could begin beside a relay that moves.
                if self.state.pulse.is_some() {
                    return Err(Refusal::RelayIsTried);
                }
                if self.state.conditions.maintenance {
                    self.record(Record::MaintenanceEnded {});
                }
            }
            Operation::Pulse { outlet } => return self.pulse(outlet, request).map(|()| Done::Later),
            Operation::Raise { reason } => {
                return self.wish(GateAsk::Raise, reason, request).map(|()| Done::Later);
            }
            Operation::KeepOpen { reason } => {
                return self.wish(GateAsk::KeepOpen, reason, request).map(|()| Done::Later);
            }
            Operation::Release { reason } => {
                return self.wish(GateAsk::Release, reason, request).map(|()| Done::Later);
            }
            Operation::CarsInside { cars, .. } => {
                let records = self.state.shop.counted(*cars, &self.at)?;
                records.into_iter().for_each(|record| self.record(record));
            }
            Operation::VoidTicket { ticket, .. } => {
                let records = self.state.shop.void(ticket.as_str(), &self.at)?;
                records.into_iter().for_each(|record| self.record(record));
            }
            Operation::CashUp => return Ok(Done::Reported(self.cash_up(request))),
            Operation::PrintReport { number } => return self.print_report(*number).map(Done::Reported),
            Operation::PrintTest => {
                self.effect(Effect::PrintTest);
                return Ok(Done::Sent);
            }
            Operation::Languages { languages } => self.choose_languages(languages)?,
            Operation::Reboot => {
                return self.reboot(request).map(|waits| if waits { Done::Later } else { Done::Now });
            }
            // That it is on record is all of it; the inspection is the composition root's.
            Operation::RecordTest { .. } | Operation::Inspect => return Ok(Done::Sent),
            // Likewise; whoever has the file sends it when it is.
            Operation::Screenshot | Operation::Logs { .. } | Operation::Bundle => {
                return match request.by {
                    Actor::Fleet { .. } => Ok(Done::Sent),
                    Actor::Technician { .. } | Actor::Menu | Actor::Demo => Err(Refusal::OnlyByFleet),
                };
            }
            // Which keys count is known where signatures are checked; here it is only written.
            Operation::RotateKeys { .. } if request.by.is_root() => return Ok(Done::Sent),
            Operation::RotateKeys { .. } => return Err(Refusal::OnlyByRoot),
            Operation::ApplyConfig { .. }
            | Operation::SetPrices { .. }
            | Operation::SetPlanogram { .. }
            | Operation::SetMedia { .. } => {
                return self.ask_config(request).map(|()| Done::Later);
            }
            Operation::ResendEvents { after } => {
                self.effect(Effect::ResendEvents { after: *after });
                return Ok(Done::Sent);
            }
            Operation::InstallUpdate { .. } => {
                return self.begin_update(request).map(|begun| if begun { Done::Later } else { Done::Now });
            }
        }
        Ok(Done::Now)
    }

    fn refill<'o>(&mut self, outlets: impl IntoIterator<Item = &'o Outlet>) {
        for outlet in outlets {
            self.state.shop.refill(outlet).into_iter().for_each(|record| self.record(record));
        }
    }

    /// All of them or none. A fault stays: who has put something in has not looked what was wrong.
    fn add_stock(&mut self, units: &Units) -> Result<(), Refusal> {
        let mut records = Vec::new();
        for (slot, more) in units {
            let outlet = Outlet::Slot(slot.clone());
            let known = self.state.outlet(&outlet).ok_or(Refusal::NoSuchSlot)?;
            let full = || Refusal::NoRoom { slot: slot.clone(), count: known.count, capacity: known.capacity };
            let sum = known.count.checked_add(more.get()).filter(|sum| *sum <= known.capacity).ok_or_else(full)?;
            records.extend(self.state.shop.restock(&outlet, sum)?);
        }
        records.into_iter().for_each(|record| self.record(record));
        Ok(())
    }

    fn settle_claim(&mut self, order: OrderId, how: ClaimSettlement, request: &Request) -> Result<(), Refusal> {
        if !self.state.orders.get(&order).is_some_and(|open| open.claim_open()) {
            return Err(Refusal::NoOpenClaim);
        }
        if how == ClaimSettlement::ByProvider {
            return Err(Refusal::OnlyByProvider);
        }
        self.record(Record::ClaimSettled { order, how, by: Some(request.by.clone()) });
        self.restart_silence(order);
        Ok(())
    }

    /// Money goes back for goods that were delivered, because a person says so; the provider is asked when it is on disk.
    fn give_back(&mut self, order: OrderId, amount: Option<Minor>, request: &Request) -> Result<(), Refusal> {
        let known = self.state.orders.get(&order).ok_or(Refusal::NoSuchOrder)?;
        if known.waiting() || known.unresolved() {
            return Err(Refusal::OrderIsOpen);
        }
        if known.claim_open() {
            return Err(Refusal::ClaimIsOpen);
        }
        let left = known.left_to_give_back();
        let amount = amount.unwrap_or(left);
        if !(1..=left).contains(&amount) {
            return Err(Refusal::LessIsLeft { left });
        }
        self.record(Record::RefundDecided { order, amount, by: request.by.clone() });
        Ok(())
    }

    fn give_away(&mut self, product: &ProductId, request: &Request) -> Result<OrderId, Refusal> {
        let unit = self.state.product(product).ok_or(Refusal::NoSuchProduct)?.offered();
        self.grant(vec![unit], Grant::Free, None, Some(request.by.clone()), None)
    }

    fn test(&mut self, slot: &SlotId, request: &Request) -> Result<OrderId, Refusal> {
        let outlet = Outlet::Slot(slot.clone());
        let known = self.state.outlet(&outlet).ok_or(Refusal::NoSuchSlot)?;
        let product = known.goods.as_ref().and_then(|goods| goods.product());
        let unit = product.and_then(|product| self.state.product(product)).ok_or(Refusal::NothingIsKeptHere)?.offered();
        self.grant(vec![unit], Grant::Test, Some(outlet), Some(request.by.clone()), None)
    }

    /// The record is the cut: everything before it that no earlier report has is in this one.
    fn cash_up(&mut self, request: &Request) -> u32 {
        let number = self.state.last_report.saturating_add(1);
        self.record(Record::CashedUp { number, by: request.by.clone() });
        self.effect(Effect::PrintReport { number, copy: false });
        number
    }

    fn print_report(&mut self, number: u32) -> Result<u32, Refusal> {
        if !(1..=self.state.last_report).contains(&number) {
            return Err(Refusal::NoSuchReport);
        }
        self.effect(Effect::PrintReport { number, copy: true });
        Ok(number)
    }

    fn choose_languages(&mut self, tags: &[LanguageTag]) -> Result<(), Refusal> {
        let configured = &self.state.policy.languages;
        let languages: Vec<Language> = tags.iter().map(|tag| Language::new(tag.as_str())).collect();
        let known = |(nth, language)| configured.contains(language) && !languages[..nth].contains(language);
        // So many first: a list is as long as who asks has made it.
        let fit = (1..=configured.len()).contains(&languages.len()) && languages.iter().enumerate().all(known);
        if !fit {
            return Err(Refusal::BadLanguages { configured: configured.clone() });
        }
        if languages != self.state.languages() {
            self.record(Record::LanguagesChosen { languages });
        }
        Ok(())
    }

    /// What a run that ended in the middle has left open can't be brought to its end any more.
    pub(super) fn end_open_operations(&mut self) {
        let held = self.state.updates.operation().cloned();
        for id in std::mem::take(&mut self.state.open_operations).into_iter().filter(|id| Some(id) != held.as_ref()) {
            self.record(Record::OperationEnded { id, outcome: Outcome::Failed { why: Cause::Restarted } });
        }
    }
}
