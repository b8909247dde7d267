//! The provider with its own book: it takes charges, payments, closes and refunds as it likes, and answers when it likes.

use std::collections::BTreeMap;

use kioskd::sale::event::Event;
use kioskd::vocabulary::{
    ChargeId, ChargeReport, Created, Currency, NewCharge, OrderId, Payment, PaymentId, RailError, RailName, RefundId,
    RefundReport, RefundRequest, Standing,
};

use crate::world::{Due, World};

/// How long a question without an answer takes.
const TIME_OUT: u64 = 3_000;
/// How long a request may be on its way, be it withheld and sent again.
const REQUEST_LIFE: u64 = 60_000;

#[derive(Debug, Default)]
pub struct ProviderCharge {
    pub order: Option<OrderId>,
    pub amount: i64,
    pub currency: Option<Currency>,
    /// Its own expiry, and the last moment at which a payment may still come.
    until: u64,
    last: u64,
    closed: bool,
    scanned: bool,
    pub payments: Vec<Payment>,
    pub refunds: BTreeMap<RefundId, (i64, u64)>,
    pub returned: i64,
    pub refund_failed: bool,
    /// It gave money back for no reason that the kiosk could know.
    pub whim: bool,
    /// Until then no question about a refund is answered.
    silent_until: u64,
}

impl ProviderCharge {
    pub fn paid(&self) -> i64 {
        self.payments.iter().filter(|p| Some(p.currency) == self.currency).map(|p| p.amount).sum()
    }

    pub fn refunded(&self) -> i64 {
        self.refunds.values().map(|(amount, _)| amount).sum()
    }
}

/// How a customer pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paying {
    Right,
    Twice,
    /// The second time some while after the first.
    TwiceApart,
    Late,
    /// In the last moment in which a payment may come; nobody tells of it.
    Last,
    /// After every horizon; the provider tells of it by itself, more than once.
    VeryLate,
    WrongAmount,
    WrongCurrency,
    WrongOrder,
    Nothing,
}

impl World {
    /// Does this question come to nothing, before it is carried out or after?
    fn lost(&mut self, rail: Option<&RailName>) -> (bool, bool) {
        if self.calm {
            return (false, false);
        }
        let rail_down = rail.and_then(|rail| self.rail_down_until.get(rail)).is_some_and(|until| self.now < *until);
        let down = self.now < self.network_down_until || rail_down;
        let lost = self.weather.lost;
        (down || self.chance.percent(lost), self.chance.percent(lost))
    }

    fn answer<T>(&mut self, answer: Result<T, RailError>, lost: bool, event: impl Fn(Result<T, RailError>) -> Event) {
        self.answer_slowly(5, answer, lost, event);
    }

    /// In so many of a hundred cases it takes its time.
    fn answer_slowly<T>(
        &mut self,
        slow: u64,
        answer: Result<T, RailError>,
        lost: bool,
        event: impl Fn(Result<T, RailError>) -> Event,
    ) {
        let slow = !self.calm && self.chance.percent(slow);
        let wait = 30 + self.chance.below(if slow { TIME_OUT - 100 } else { 400 });
        if lost {
            self.tell(TIME_OUT, event(Err(RailError::Unknown("time-out".into()))));
        } else {
            self.tell(wait, event(answer));
        }
    }

    /// The same for a question about a charge.
    fn lost_about(&mut self, charge: &ChargeId) -> (bool, bool) {
        let rail = self.rails.get(charge).cloned();
        self.lost(rail.as_ref())
    }

    pub fn create(&mut self, new: &NewCharge, rail: RailName, plan: Paying) {
        self.rails.insert(new.charge.clone(), rail);
        let (before, after) = self.lost_about(&new.charge);
        let id = new.charge.clone();
        let event = move |result| Event::Created { charge: id.clone(), result };
        if before {
            return self.answer(Err(RailError::Unknown(String::new())), true, event);
        }
        if !self.calm && self.chance.percent(2) {
            let code = self.chance.pick(&["no", "LIMIT"]);
            let refused = RailError::Refused { code: code.into(), why: "such merchant".into() };
            return self.answer(Err(refused), after, event);
        }
        let until = self.now + new.life.as_millis() as u64;
        let last = until + self.grace;
        let charge = ProviderCharge {
            order: Some(new.order),
            amount: new.amount,
            currency: Some(new.currency),
            until,
            last,
            ..Default::default()
        };
        self.book.insert(new.charge.clone(), charge);
        let wait = match plan {
            Paying::Last => last - 1 - self.chance.below(1_200) - self.now,
            Paying::Late => 500 + self.chance.below(1_000),
            _ => 500 + self.chance.below(60_000),
        };
        if plan != Paying::Nothing {
            self.later(wait, Due::Pay { charge: new.charge.clone(), how: plan });
        }
        self.answer(Ok(Created { payload: "code".into() }), after, event);
    }

    pub fn pay(&mut self, id: &ChargeId, how: Paying) {
        let now = self.now;
        let cancelled = self.weather.cancel_returns;
        let Some(charge) = self.book.get_mut(id) else { return };
        charge.scanned = true;
        // What was cancelled takes no payment at all; only what was closed in other ways may.
        if cancelled && charge.closed {
            return;
        }
        let open = !charge.closed && now <= charge.until;
        let again = how == Paying::TwiceApart && !charge.payments.is_empty();
        if how == Paying::VeryLate && now <= charge.last + 100_000 {
            let wait = charge.last + 100_001 - now;
            return self.later(wait, Due::Pay { charge: id.clone(), how });
        }
        if how != Paying::Last && !again && open == matches!(how, Paying::Late | Paying::VeryLate) {
            if how == Paying::Late {
                // The payer has not finished; the payment comes after the end.
                let wait = (charge.until + 1).saturating_sub(now).min(10_000) + 100;
                self.later(wait, Due::Pay { charge: id.clone(), how });
            }
            return;
        }
        let (order, amount, currency) = (charge.order, charge.amount, charge.currency);
        let (Some(mut order), Some(mut currency)) = (order, currency) else { return };
        let mut amount = amount;
        match how {
            Paying::WrongAmount => amount -= 1,
            Paying::WrongCurrency => currency = Currency::from_code("USD").unwrap(),
            Paying::WrongOrder => order = order.later(0),
            _ => {}
        }
        for _ in 0..if how == Paying::Twice { 2 } else { 1 } {
            let number = charge.payments.len() + 1;
            let payment = PaymentId::parse(&format!("P{number}_{id}")).unwrap();
            charge.payments.push(Payment { id: payment, amount, currency, order });
        }
        if how == Paying::TwiceApart && !again {
            let wait = 2_000 + self.chance.below(40_000);
            self.later(wait, Due::Pay { charge: id.clone(), how });
        }
        if self.weather.whims && self.chance.percent(20) {
            let wait = 1_000 + self.chance.below(600_000);
            self.later(wait, Due::Whim { charge: id.clone() });
        }
        if how == Paying::VeryLate || again {
            // Perhaps nobody asks any more.
            self.told_by_itself(id);
        } else if how != Paying::Last
            && (self.calm || (self.chance.percent(self.weather.notices) && now >= self.network_down_until))
        {
            let report = self.report(id);
            for _ in 0..1 + self.chance.below(2) {
                let wait = 20 + self.chance.below(5_000);
                let event = Event::Reported { charge: id.clone(), result: Ok(report.clone()), asked: false };
                self.tell(wait, event);
            }
        }
    }

    fn told_by_itself(&mut self, id: &ChargeId) {
        for wait in [1_000, 60_000, 600_000] {
            self.later(wait, Due::Notice { charge: id.clone() });
        }
    }

    /// Gives back what was paid, and says so.
    pub fn whim(&mut self, id: &ChargeId) {
        let Some(charge) = self.book.get_mut(id) else { return };
        if charge.returned == 0 && charge.refunds.is_empty() && charge.paid() > 0 {
            (charge.returned, charge.whim) = (charge.paid(), true);
            self.told_by_itself(id);
        }
    }

    pub fn report(&self, id: &ChargeId) -> ChargeReport {
        let absent = ChargeReport { standing: Standing::Absent, payments: Vec::new(), returned: 0, attach: None };
        let Some(charge) = self.book.get(id) else { return absent };
        if self.weather.absent_until_scanned && !charge.scanned {
            return absent;
        }
        let open = !charge.closed && self.now <= charge.until;
        ChargeReport {
            standing: if open { Standing::Open } else { Standing::Closed },
            payments: charge.payments.clone(),
            returned: charge.returned,
            attach: None,
        }
    }

    pub fn query(&mut self, id: &ChargeId, rail: RailName) {
        // A crash may have come between the record and the request.
        self.rails.insert(id.clone(), rail);
        let (before, after) = self.lost_about(id);
        let report = self.report(id);
        // Around the last moment in which it can be paid, an answer is often older than what it seems to say.
        let last = self.book.get(id).map_or(0, |charge| charge.last);
        let slow = if (last.saturating_sub(5_000)..last).contains(&self.now) { 60 } else { 5 };
        let id = id.clone();
        let event = move |result| Event::Reported { charge: id.clone(), result, asked: true };
        self.answer_slowly(slow, Ok(report), before || after, event);
    }

    /// As rails do it: look first, and leave alone what is paid. Between the look and the close a payment may come; at
    /// some providers the close then gives it back. It may take longer than anybody waits, and be sent again by others.
    pub fn close(&mut self, id: &ChargeId, rail: RailName) {
        self.rails.insert(id.clone(), rail);
        self.close_asked.insert(id.clone());
        let (before, after) = self.lost_about(id);
        if self.weather.replays && !self.calm && self.chance.percent(30) {
            let wait = 1_000 + self.chance.below(REQUEST_LIFE - 1_500);
            self.later(wait, Due::CloseAgain { charge: id.clone() });
        }
        let about = id.clone();
        let event = move |result| Event::CloseAnswered { charge: about.clone(), result };
        if before {
            return self.answer(Ok(None), true, event);
        }
        let report = self.report(id);
        if !report.payments.is_empty() {
            return self.answer(Ok(Some(report)), after, event);
        }
        let takes = match self.chance.below(10) {
            _ if self.calm => 20,
            0 => self.chance.below(REQUEST_LIFE),
            1..=3 => 10 + self.chance.below(1_500),
            _ => 10,
        };
        self.later(takes, Due::Close { charge: id.clone() });
        if after || takes + 10 >= TIME_OUT {
            self.tell(TIME_OUT, event(Err(RailError::Unknown("time-out".into()))));
        } else {
            self.tell(takes + 10, event(Ok(None)));
        }
    }

    /// The close of somebody who did not look, or looked before.
    pub fn carry_out_close(&mut self, id: &ChargeId) {
        let returns = self.weather.cancel_returns;
        let holds = self.calm || returns || self.weather.closes_hold || self.chance.percent(50);
        let Some(charge) = self.book.get_mut(id) else { return };
        charge.closed |= holds;
        if returns && charge.refunds.is_empty() {
            charge.returned = charge.paid();
        }
    }

    /// A close that was withheld comes once more.
    pub fn close_again(&mut self, id: &ChargeId) {
        if self.book.get(id).is_some_and(|charge| charge.payments.is_empty()) {
            let takes = 10 + self.chance.below(400);
            self.later(takes, Due::Close { charge: id.clone() });
        }
    }

    pub fn refund(&mut self, request: &RefundRequest) {
        self.refund_asked.entry(request.refund.clone()).or_insert(self.now);
        let (before, after) = self.lost_about(&request.charge);
        let fails = self.weather.refunds_fail;
        let processing = if self.chance.percent(30) { 1 + self.chance.below(3) } else { 0 };
        let silence = if self.chance.percent(self.weather.silent) { self.chance.below(14 * 3_600_000) } else { 0 };
        let now = self.now;
        let mut answer = Ok(RefundReport::Processing);
        let mut silent = false;
        if !before {
            let (RefundRequest { refund, charge: id, amount, .. }, mut broken) = (request, None);
            match self.book.get_mut(id) {
                None => answer = Err(RailError::Refused { code: "404".into(), why: "no such charge".into() }),
                Some(charge) if fails => {
                    charge.refund_failed = true;
                    answer = Ok(RefundReport::Failed);
                }
                Some(charge) => {
                    let known = charge.refunds.get(refund).copied();
                    if known.is_some_and(|(known, _)| known != *amount) {
                        broken = Some(format!("refund {refund} again with another amount"));
                    } else if known.is_none() {
                        if charge.refunded() + charge.returned + amount > charge.paid() {
                            // The provider's own return may have been faster; then it refuses, and nothing is wrong.
                            if charge.returned == 0 {
                                broken = Some(format!("refund {refund} of {amount} is more than is left"));
                            }
                            answer = Err(RailError::Refused { code: "sum".into(), why: "too much".into() });
                        } else {
                            charge.refunds.insert(refund.clone(), (*amount, processing));
                            charge.silent_until = charge.silent_until.max(now + silence);
                        }
                    }
                    if let Some((_, 0)) = charge.refunds.get(refund) {
                        answer = Ok(RefundReport::Done);
                    }
                    silent = now < charge.silent_until;
                }
            }
            if let Some(broken) = broken {
                self.breaks("P3", broken);
            }
        }
        self.refund_answer(request, answer, before || after || silent);
    }

    pub fn query_refund(&mut self, request: &RefundRequest) {
        self.refund_asked.entry(request.refund.clone()).or_insert(self.now);
        let (before, after) = self.lost_about(&request.charge);
        let now = self.now;
        let mut silent = false;
        let answer = match self.book.get_mut(&request.charge) {
            Some(charge) if charge.refund_failed => RefundReport::Failed,
            Some(charge) => {
                silent = now < charge.silent_until;
                match charge.refunds.get_mut(&request.refund) {
                    None => RefundReport::Absent,
                    Some((_, 0)) => RefundReport::Done,
                    Some((_, left)) => {
                        *left -= 1;
                        RefundReport::Processing
                    }
                }
            }
            None => RefundReport::Absent,
        };
        self.refund_answer(request, Ok(answer), before || after || silent);
    }

    pub fn refund_answer(&mut self, request: &RefundRequest, answer: Result<RefundReport, RailError>, lost: bool) {
        let (refund, charge) = (request.refund.clone(), request.charge.clone());
        let event = move |result| Event::RefundAnswered { refund: refund.clone(), charge: charge.clone(), result };
        self.answer(answer, lost, event);
    }

    pub fn probe(&mut self, rail: RailName) {
        let (before, after) = self.lost(Some(&rail));
        self.answer(Ok(()), before || after, move |result| Event::Probed { rail: rail.clone(), result });
    }
}
