//! Charges and refunds, watched until nothing more can happen on them.
//!
//! Policy: a charge is final only by a verified answer given after its provider's own expiry plus a grace, because a close
//! may not hold and a payment may be on its way. Until then it is asked: often while its QR is on the glass, then ever
//! more rarely. A refund is a record with its number before it is asked for, and is repeated only unchanged: first asked
//! after, then asked for again where the provider has never heard of it.
//!
//! At some providers a close gives back what was paid. So what is known to be paid is never closed; and from the moment a
//! close of a charge is sent, a payment on it buys nothing until a question sent after the close's answer has shown that
//! the money stayed. A close that nobody answered may still be carried out for [`CLOSE_LIFE`].
//!
//! Money that the provider says nothing about for long becomes a claim, so that a person knows; it is asked after all the
//! same, and the provider's word ends such a claim. Money that went back for goods that fell is a claim, whoever sent it.

use std::time::Duration;

use super::Turn;
use super::event::{Effect, Illegal};
use super::order::{Charge, Order, Refund, RefundState, Watch};
use super::record::{Closed, Record, Surplus};
use super::view::OrderState;
use crate::vocabulary::{
    Cause, ChargeId, ChargeReport, ClaimSettlement, Created, Minor, Money, Mono, OrderId, Payment, RailError, RailName,
    RefundId, RefundReport, Stamp, Standing, Wall,
};

const FIRST_QUERY: Duration = Duration::from_secs(2);
const BACK_OFF_FIRST: Duration = Duration::from_secs(1);
const BACK_OFF_LAST: Duration = Duration::from_secs(60);
/// Between two looks at a charge that is closed or paid already.
const CALM_FIRST: Duration = Duration::from_secs(15);
/// How long a close without an answer may still be carried out: a signed request is good for a minute by clocks that may
/// be seconds apart, and then the rail's own request may take its time.
const CLOSE_LIFE: Duration = Duration::from_secs(80);
/// What a provider answers that will not do more for now: the gateway's limit of one kiosk, see `docs/gateway.md`.
const LIMIT: &str = "LIMIT";
/// Refunds younger than this are no news.
const PENDING_AFTER: Duration = Duration::from_secs(120);

impl Watch {
    fn back_off(&mut self, now: Mono, first: Duration) {
        let wait = first.saturating_mul(1 << self.tries.min(6)).min(BACK_OFF_LAST);
        self.tries += 1;
        self.next = now + wait;
    }

    /// Off the glass, and the next thing to say is that nobody may pay any more.
    pub(super) fn close(&mut self, now: Mono) {
        self.payload = None;
        self.want_close = true;
        self.next = now;
        self.tries = 0;
    }

    fn answered(&mut self) {
        self.asked = false;
    }

    /// From then on a question tells whether a payment stays.
    fn trust_from(&mut self, at: Mono) {
        self.trusted_from = Some(self.trusted_from.map_or(at, |known| known.max(at)));
    }

    /// Whether what comes now, `asked` or by itself, tells that a payment stays.
    fn trusts(&self, asked: bool) -> bool {
        !self.closing && self.trusted_from.is_none_or(|from| asked && self.sent >= from)
    }
}

/// Refunds that nobody has confirmed for some minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingRefunds {
    pub count: u32,
    pub amount: Minor,
    pub oldest: Duration,
}

impl super::State {
    pub(super) fn settle_wake(&self) -> Option<Mono> {
        let open = self.orders.values().filter(|order| !order.ended);
        let charges = open.flat_map(|order| order.charges.iter().map(move |charge| (order, charge)));
        let watches = charges.flat_map(|(order, charge)| {
            let refunds = charge.refunds.iter().filter(|refund| refund.pending());
            refunds.map(|refund| &refund.watch).chain(order.watched(charge).then_some(&charge.watch))
        });
        watches.filter(|watch| !watch.asked).map(|watch| watch.next).min()
    }

    /// For the operator, long before it is a claim.
    pub fn pending_refunds(&self, now: Mono, wall: Option<Wall>) -> Option<PendingRefunds> {
        let open = self.orders.values().filter(|order| !order.ended);
        let refunds = open.flat_map(|order| &order.charges).flat_map(|charge| &charge.refunds);
        let old = refunds.filter(|refund| refund.pending() && refund.age(now, wall) >= PENDING_AFTER);
        old.map(|refund| PendingRefunds { count: 1, amount: refund.amount, oldest: refund.age(now, wall) }).reduce(
            |a, b| {
                let (count, amount) = (a.count + b.count, a.amount.saturating_add(b.amount));
                PendingRefunds { count, amount, oldest: a.oldest.max(b.oldest) }
            },
        )
    }
}

impl Turn<'_> {
    /// The charge's order, which must be open here.
    fn order_of(&mut self, charge: &ChargeId) -> Result<&mut Order, Illegal> {
        let order = charge.order().and_then(|id| self.state.orders.get_mut(&id));
        order.filter(|order| order.charge(charge).is_some()).ok_or_else(|| Illegal::NoCharge(charge.clone()))
    }

    fn watch(&mut self, charge: &ChargeId) -> Result<(OrderId, RailName, &mut Watch), Illegal> {
        let order = self.order_of(charge)?;
        let id = order.id;
        let charge = order.charge_mut(charge).ok_or_else(|| Illegal::NoCharge(charge.clone()))?;
        Ok((id, charge.rail.clone(), &mut charge.watch))
    }

    pub(super) fn created(&mut self, charge: &ChargeId, result: Result<Created, RailError>) -> Result<(), Illegal> {
        let now = self.at.now;
        let live = self.order_of(charge)?.is_live(charge);
        let (id, rail, watch) = self.watch(charge)?;
        watch.answered();
        match result {
            Ok(Created { payload }) => {
                if live {
                    watch.payload = Some(payload);
                    watch.next = now + FIRST_QUERY;
                } else {
                    // It came too late to be shown. Ask for the close again: the first may have been before the charge.
                    // A charge that is known to be paid is never closed, see `ask_again`.
                    watch.want_close = true;
                    watch.next = now;
                }
                self.rail_answered(&rail, true);
                self.state.conditions.refusing.remove(&rail);
            }
            Err(error) => {
                let refused = matches!(error, RailError::Refused { .. });
                if refused {
                    self.state.conditions.refusing.insert(rail.clone(), error.to_string());
                }
                self.rail_answered(&rail, refused);
                if matches!(&error, RailError::Refused { code, .. } if code == LIMIT) {
                    self.rail_limited(&rail);
                }
                if live {
                    match self.other_rail(id) {
                        Some(other) => self.switch_rail(id, other),
                        None => self.close_order(id, Closed::NoCharge(error.to_string())),
                    }
                }
                if refused {
                    // Verified: there is no such charge, so nothing can be paid on it.
                    self.record(Record::ChargeSettled { order: id, charge: charge.clone() });
                }
            }
        }
        Ok(())
    }

    pub(super) fn reported(
        &mut self,
        charge: &ChargeId,
        result: Result<ChargeReport, RailError>,
        asked: bool,
    ) -> Result<(), Illegal> {
        let now = self.at.now;
        let grace = self.state.policy.grace;
        let (id, rail, watch) = self.watch(charge)?;
        if asked {
            watch.answered();
        }
        let report = match result {
            Ok(report) => report,
            Err(error) => {
                if asked {
                    watch.back_off(now, BACK_OFF_FIRST);
                    self.rail_answered(&rail, matches!(error, RailError::Refused { .. }));
                }
                return Ok(());
            }
        };
        self.rail_answered(&rail, true);
        self.take_payments(id, charge, &report, asked);

        let poll = self.state.policy.rail(&rail).map_or(BACK_OFF_FIRST, |rail| rail.poll);
        let order = self.order_of(charge)?;
        let live = order.is_live(charge);
        let Some(charge_now) = order.charge_mut(charge) else { return Ok(()) };
        let held = charge_now.watch.held;
        let paid = charge_now.known_paid();
        let horizon = charge_now.horizon(grace);
        // The question itself, not only its answer: an answer may have been long on its way.
        let past = asked && charge_now.watch.sent >= horizon;
        let settled = charge_now.settled;
        let watch = &mut charge_now.watch;
        if !live && past && !held && (paid || report.standing != Standing::Open) {
            if !settled {
                self.record(Record::ChargeSettled { order: id, charge: charge.clone() });
            }
            self.claim_refused(id, charge);
            return Ok(());
        }
        if held {
            watch.next = watch.trusted_from.map_or(now, |from| from.max(now));
            watch.tries = 0;
        } else if live {
            watch.next = now + poll;
            watch.tries = 0;
        } else if asked && report.standing == Standing::Open && !paid {
            watch.want_close = true;
            watch.back_off(now, BACK_OFF_FIRST);
        } else if asked {
            watch.back_off(now, CALM_FIRST);
            if !past {
                watch.next = watch.next.min(horizon.max(now));
            }
        } else if !paid {
            watch.next = watch.next.min(now + CALM_FIRST);
        }
        if asked {
            self.claim_refused(id, charge);
        }
        if live && report.standing == Standing::Closed {
            self.close_order(id, Closed::ByProvider);
        }
        Ok(())
    }

    /// Sorts every payment not seen before: one buys the goods, the others go back. `asked`: it answers a question.
    fn take_payments(&mut self, id: OrderId, charge: &ChargeId, report: &ChargeReport, asked: bool) {
        let Ok((_, _, watch)) = self.watch(charge) else { return };
        let trusted = watch.trusts(asked);
        watch.held &= !trusted;
        // The return first: it may explain a refund that was refused, which a payment that came with it must not pay for.
        let known = self.state.orders.get(&id).and_then(|order| Some((order, order.charge(charge)?)));
        let returned = known.map(|(order, known)| report.returned.max(vanished(order, known, report, asked)));
        if let Some(total) = returned.filter(|total| known.is_some_and(|(_, known)| *total > known.returned)) {
            self.record(Record::ChargeReturned { order: id, charge: charge.clone(), total });
        }
        for payment in &report.payments {
            let Some(order) = self.state.orders.get(&id) else { return };
            let Some(known) = order.charge(charge) else { return };
            if known.payments.iter().any(|seen| seen.id == payment.id) {
                continue;
            }
            let (charge_id, payment) = (charge.clone(), payment.clone());
            match judge(order, known.amount, &payment, report) {
                None if !trusted => {
                    if let Ok((_, _, watch)) = self.watch(charge) {
                        watch.held = true;
                    }
                }
                None => {
                    let fee_estimate = self.fee_estimate(&known.rail, payment.amount);
                    self.record(Record::OrderPaid { order: id, charge: charge_id, payment, fee_estimate });
                    self.state.unpaid_in_a_row = 0;
                    self.calm_watch(charge);
                    self.close_others(id, charge);
                    self.deliver_on(id);
                }
                Some(why) => {
                    let waiting = order.waiting();
                    let paid = Money { amount: payment.amount, currency: payment.currency };
                    self.record(Record::PaymentSurplus { order: id, charge: charge_id, payment, why });
                    if waiting {
                        self.close_order(id, Closed::WrongPayment);
                    }
                    if why == Surplus::WrongCurrency {
                        self.claim(id, paid.amount, Cause::PaidInOtherCurrency { paid });
                    }
                }
            }
        }
    }

    fn fee_estimate(&self, rail: &RailName, paid: Minor) -> Option<Minor> {
        let policy = &self.state.policy;
        let today = self.at.wall.and_then(Wall::timestamp);
        let today = today.map(|now| now.to_zoned(policy.zone.clone()).date());
        policy.rail(rail)?.fees.estimate(paid, today)
    }

    /// One payment is enough: nobody may pay another charge of the order.
    fn close_others(&mut self, id: OrderId, paid: &ChargeId) {
        let now = self.at.now;
        let Some(order) = self.state.orders.get_mut(&id) else { return };
        for charge in order.charges.iter_mut().filter(|charge| charge.id != *paid && !charge.settled) {
            charge.watch.close(now);
        }
    }

    /// A paid charge is only watched for what should not happen.
    fn calm_watch(&mut self, charge: &ChargeId) {
        let now = self.at.now;
        if let Ok((_, _, watch)) = self.watch(charge) {
            watch.payload = None;
            watch.tries = 0;
            watch.next = now + CALM_FIRST;
        }
    }

    pub(super) fn close_answered(
        &mut self,
        charge: &ChargeId,
        result: Result<Option<ChargeReport>, RailError>,
    ) -> Result<(), Illegal> {
        let now = self.at.now;
        let (id, rail, watch) = self.watch(charge)?;
        watch.answered();
        watch.closing = false;
        let verified = !matches!(result, Err(RailError::Unknown(_)));
        if verified {
            // Said to be closed, or refused, perhaps because it was paid: only a query tells.
            watch.trust_from(now);
            watch.next = now;
        } else {
            watch.trust_from(watch.sent + CLOSE_LIFE);
            watch.want_close = true;
            watch.back_off(now, BACK_OFF_FIRST);
        }
        self.rail_answered(&rail, verified);
        if let Ok(Some(report)) = result {
            self.take_payments(id, charge, &report, false);
        }
        Ok(())
    }

    pub(super) fn refund_answered(
        &mut self,
        charge: &ChargeId,
        refund: &RefundId,
        result: Result<RefundReport, RailError>,
    ) -> Result<(), Illegal> {
        let now = self.at.now;
        let order = self.order_of(charge)?;
        let id = order.id;
        let no_refund = || Illegal::NoRefund(refund.clone());
        let charge_now = order.charge_mut(charge).ok_or_else(no_refund)?;
        let rail = charge_now.rail.clone();
        let open = charge_now.refunds.iter_mut().find(|r| r.id == *refund && r.state == RefundState::Requested);
        let open = open.ok_or_else(no_refund)?;
        let amount = open.amount;
        open.watch.answered();
        let (charge, refund) = (charge.clone(), refund.clone());
        let mut verified = true;
        match result {
            Ok(RefundReport::Done) => self.record(Record::RefundConfirmed { order: id, charge, refund, amount }),
            Ok(RefundReport::Processing) => {
                open.watch.ask_after = true;
                open.watch.back_off(now, BACK_OFF_FIRST);
            }
            // It never arrived: the same again, soon.
            Ok(RefundReport::Absent) => {
                open.watch.ask_after = false;
                open.watch.back_off(now, BACK_OFF_FIRST);
            }
            Ok(RefundReport::Failed) => self.refund_failed(id, charge, refund, amount, Cause::RefundFailed),
            Err(RailError::Refused { code, why: detail }) => {
                self.refund_failed(id, charge, refund, amount, Cause::RefundRefused { code, detail });
            }
            Err(RailError::Unknown(_)) => {
                verified = false;
                open.watch.ask_after = true;
                open.watch.back_off(now, BACK_OFF_FIRST);
            }
        }
        self.rail_answered(&rail, verified);
        Ok(())
    }

    fn refund_failed(&mut self, id: OrderId, charge: ChargeId, refund: RefundId, amount: Minor, why: Cause) {
        let now = self.at.now;
        self.record(Record::RefundFailed { order: id, charge: charge.clone(), refund: refund.clone(), amount, why });
        if let Ok((_, _, watch)) = self.watch(&charge) {
            watch.next = now;
        }
        if let Some(order) = self.state.orders.get_mut(&id) {
            // A query sent from now on tells whether the provider gave the money back by itself.
            order.on_refund(&charge, &refund, |refused| refused.watch.next = now);
        }
    }

    /// A query later than the refusal has said that the money is still at the provider: a person decides.
    fn claim_refused(&mut self, id: OrderId, charge: &ChargeId) {
        let Some(order) = self.state.orders.get(&id) else { return };
        let Some(known) = order.charge(charge) else { return };
        let mut refused = known.refunds.iter().filter(|r| r.state == RefundState::Failed && !r.judged);
        if order.refused(known)
            && let Some(refund) = refused.next_back().filter(|refund| known.watch.sent >= refund.watch.next)
        {
            let why = Cause::NoRefund { refund: refund.id.clone() };
            self.claim(id, order.owed(known), why);
        }
    }

    /// A person must settle it. `amount` is what the customer has not got, or the operator has lost.
    pub(super) fn claim(&mut self, order: OrderId, amount: Minor, why: Cause) {
        self.claim_once(order, amount, why, false);
    }

    fn claim_once(&mut self, order: OrderId, amount: Minor, why: Cause, until_told: bool) {
        if self.state.orders.get(&order).is_some_and(|order| !order.claim_open()) {
            self.record(Record::ClaimOpened { order, amount, why, until_told });
        }
    }

    /// Goods that fell and whose money went back: nobody can ask the customer for it again, but somebody must know.
    fn claim_lost(&mut self, id: OrderId) {
        let Some(order) = self.state.orders.get(&id) else { return };
        let lost: Minor = order.charges.iter().map(|charge| order.lost(charge)).sum();
        if lost > 0 {
            self.claim(id, lost, Cause::GoodsGoneMoneyBack);
        }
    }

    /// A person has settled the claim. Whoever wants the money asked for wants to hear again when nobody confirms it.
    pub(super) fn restart_silence(&mut self, id: OrderId) {
        let now = self.at.now;
        let Some(order) = self.state.orders.get_mut(&id) else { return };
        let refunds = order.charges.iter_mut().flat_map(|charge| &mut charge.refunds);
        refunds.filter(|refund| refund.pending()).for_each(|refund| refund.watch.since = now);
    }

    /// What the provider has said nothing about for so long that a person must know. It is asked after all the same.
    fn claim_silent(&mut self, id: OrderId) {
        let after = self.state.policy.silent_claim_after;
        let Some(order) = self.state.orders.get(&id).filter(|order| !order.claim_open()) else { return };
        let silent = |refund: &&Refund| refund.pending() && refund.age(self.at.now, self.at.wall) >= after;
        let refunds: Vec<&Refund> = order.charges.iter().flat_map(|c| c.refunds.iter().filter(silent)).collect();
        let nobody_to_ask = |charge: &&Charge| {
            !charge.settled
                && self.state.policy.rail(&charge.rail).is_none()
                && self.at.now >= charge.horizon(self.state.policy.grace).max(charge.watch.since + after)
        };
        if let Some(refund) = refunds.first() {
            let amount = refunds.iter().map(|refund| refund.amount).sum();
            let why = Cause::RefundSilent { refund: refund.id.clone(), hours: after.as_secs().div_ceil(3600) };
            self.claim_once(id, amount, why, true);
        } else if let Some(charge) = order.charges.iter().find(nobody_to_ask) {
            let (amount, rail) = (charge.amount, charge.rail.clone());
            if order.claim.is_some() {
                // A person has decided already; nothing more can be asked.
                let charge = charge.id.clone();
                self.record(Record::ChargeSettled { order: id, charge });
            } else {
                self.claim_once(id, amount, Cause::RailRemoved { rail }, true);
            }
        }
    }

    /// For every open order: ask for what is owed, ask after what was asked for, and end what is finished.
    pub(super) fn settle_all(&mut self) {
        let open: Vec<OrderId> = self.state.orders.values().filter(|o| !o.ended).map(|o| o.id).collect();
        for id in open {
            self.claim_lost(id);
            self.claim_silent(id);
            self.request_refunds(id);
            self.ask_again(id);
            if self.state.orders.get(&id).is_some_and(Order::told_at_last) {
                let (how, by) = (ClaimSettlement::ByProvider, None);
                self.record(Record::ClaimSettled { order: id, how, by });
            }
            if let Some(order) = self.state.orders.get(&id).filter(|order| order.finished()) {
                let state = order.state();
                debug_assert!(!matches!(state, OrderState::Claim | OrderState::Refunding | OrderState::Delivering));
                self.record(Record::OrderEnded { order: id, state });
            }
        }
    }

    fn request_refunds(&mut self, id: OrderId) {
        let Some(order) = self.state.orders.get(&id) else { return };
        let due = |charge: &Charge| {
            let amount = order.due(charge);
            let refund = RefundId::of(&charge.id, charge.refunds.len() + 1);
            (amount > 0).then(|| (charge.id.clone(), refund, amount))
        };
        let Stamp { now, wall, .. } = self.at;
        for (charge, refund, amount) in order.charges.iter().filter_map(due).collect::<Vec<_>>() {
            let (on, number) = (charge.clone(), refund.clone());
            self.record(Record::RefundRequested { order: id, charge, refund, amount, at_ms: wall });
            if let Some(order) = self.state.orders.get_mut(&id) {
                order.on_refund(&on, &number, |refund| refund.watch.since = now);
            }
        }
    }

    /// Sends the questions that are due. One at a time for each charge and refund.
    fn ask_again(&mut self, id: OrderId) {
        let now = self.at.now;
        let Some(order) = self.state.orders.get_mut(&id) else { return };
        let mut effects = Vec::new();
        let due = |watch: &mut Watch| {
            let due = !watch.asked && now >= watch.next;
            if due {
                (watch.asked, watch.sent) = (true, now);
            }
            due
        };
        let template = order.clone();
        for charge in &mut order.charges {
            let rail = charge.rail.clone();
            if template.watched(charge) && due(&mut charge.watch) {
                let reference = template.reference(charge);
                // At some providers closing a paid charge gives the money back: what is known to be paid is not closed.
                effects.push(if std::mem::take(&mut charge.watch.want_close) && !charge.known_paid() {
                    charge.watch.closing = true;
                    Effect::Close { rail: rail.clone(), charge: reference }
                } else {
                    Effect::Query { rail: rail.clone(), charge: reference }
                });
            }
            for index in 0..charge.refunds.len() {
                let refund = &mut charge.refunds[index];
                if refund.pending() && due(&mut refund.watch) {
                    let after = refund.watch.ask_after;
                    let refund = template.refund_request(charge, &charge.refunds[index]);
                    let rail = rail.clone();
                    effects.push(match after {
                        true => Effect::QueryRefund { rail, refund },
                        false => Effect::Refund { rail, refund },
                    });
                }
            }
        }
        self.step.effects.append(&mut effects);
    }
}

/// What went back of a payment that bought goods and that the provider's book does not know any more: Alipay calls such a
/// charge closed, and tells nothing else. Our own refunds explain their part of it. Where nothing fell, it is for the
/// refund to find out.
fn vanished(order: &Order, charge: &Charge, report: &ChargeReport, asked: bool) -> Minor {
    let gone = asked && report.standing == Standing::Closed && report.payments.is_empty();
    if gone && order.kept(charge) > 0 && !order.unresolved() { charge.returned + charge.refundable() } else { 0 }
}

/// Why a payment buys nothing; `None` for the one that does.
fn judge(order: &Order, expected: i64, payment: &Payment, report: &ChargeReport) -> Option<Surplus> {
    if payment.order != order.id {
        Some(Surplus::WrongOrder)
    } else if payment.currency != order.currency {
        Some(Surplus::WrongCurrency)
    } else if payment.amount != expected {
        Some(Surplus::WrongAmount)
    } else if report.returned > 0 || report.standing == Standing::Returning {
        Some(Surplus::Returned)
    } else if order.entitlement.is_some() {
        Some(Surplus::Double)
    } else if order.closed.is_some() {
        Some(Surplus::Late)
    } else {
        None
    }
}
