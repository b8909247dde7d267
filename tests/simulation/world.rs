//! What is around the core: a provider with its own book, a board with a latched counter, and a clock that only the world
//! sees. It outlives every crash of the kiosk.

use std::collections::BTreeMap;

use kioskd::payment::{ChargeReport, Created, NewCharge, Payment, RailError, RefundReport, RefundRequest, Standing};
use kioskd::sale::event::Event;
use kioskd::vocabulary::{
    ChargeId, Currency, DeliveryId, Evidence, OrderId, PaymentId, RailKind, Reading, RefundId, SlotId,
};

use crate::chance::Chance;

/// How long a question without an answer takes.
const TIME_OUT: u64 = 3_000;
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
    pub cancel_returns: bool,
    pub refunds_fail: bool,
}

#[derive(Debug, Default)]
pub struct ProviderCharge {
    pub order: Option<OrderId>,
    pub amount: i64,
    pub currency: Option<Currency>,
    pub until: u64,
    pub closed: bool,
    pub scanned: bool,
    pub payments: Vec<Payment>,
    pub refunds: BTreeMap<RefundId, (i64, u64)>,
    pub returned: i64,
    pub refund_failed: bool,
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
    Late,
    /// After every horizon; the provider tells of it by itself, more than once.
    VeryLate,
    WrongAmount,
    WrongCurrency,
    WrongOrder,
    Nothing,
}

#[derive(Debug)]
enum Due {
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
    Drop {
        slot: SlotId,
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
    pub book: BTreeMap<ChargeId, ProviderCharge>,
    pub stock: BTreeMap<SlotId, u32>,
    pub jammed: BTreeMap<SlotId, bool>,
    pub double: BTreeMap<SlotId, bool>,
    pub counter: u32,
    pub fell: BTreeMap<DeliveryId, u32>,
    /// What the board truly said of a delivery, and in which boot.
    pub said: BTreeMap<DeliveryId, (Evidence, u32)>,
    pub door_open: bool,
    /// When the kiosk last got a verified answer.
    pub verified: Option<u64>,
    board_free: u64,
    due: BTreeMap<(u64, u64), Due>,
    count: u64,
    pub broken: Option<String>,
}

impl World {
    pub fn new(chance: Chance, weather: Weather, slots: &[(SlotId, u32)]) -> Self {
        Self {
            now: 1_000,
            boot: 0,
            chance,
            weather,
            calm: false,
            network_down_until: 0,
            book: BTreeMap::new(),
            stock: slots.iter().cloned().collect(),
            jammed: BTreeMap::new(),
            double: BTreeMap::new(),
            counter: 7,
            fell: BTreeMap::new(),
            said: BTreeMap::new(),
            door_open: false,
            verified: None,
            board_free: 0,
            due: BTreeMap::new(),
            count: 0,
            broken: None,
        }
    }

    pub fn breaks(&mut self, promise: &str, what: String) {
        self.broken.get_or_insert(format!("{promise}: {what}"));
    }

    fn later(&mut self, wait: u64, due: Due) {
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
                let verified = match &event {
                    Event::Created { result, .. } => !matches!(result, Err(RailError::Unknown(_))),
                    Event::Reported { result, .. } => result.is_ok(),
                    Event::CloseAnswered { result, .. } => !matches!(result, Err(RailError::Unknown(_))),
                    Event::RefundAnswered { result, .. } => !matches!(result, Err(RailError::Unknown(_))),
                    Event::Probed { result, .. } => result.is_ok(),
                    _ => false,
                };
                if verified {
                    self.verified = Some(self.now);
                }
                Some(event)
            }
            Due::Tell { .. } => None,
            Due::Pay { charge, how } => {
                self.pay(&charge, how);
                None
            }
            Due::Drop { slot, delivery, count, boot } => {
                // The relay falls with the kiosk: what has not left the slot by then stays, mostly.
                let stopped = boot != self.boot && self.chance.percent(50);
                if !stopped {
                    let stock = self.stock.entry(slot).or_default();
                    let count = count.min(*stock);
                    *stock -= count;
                    self.counter += count;
                    *self.fell.entry(delivery).or_default() += count;
                }
                None
            }
            Due::Notice { charge } => {
                self.verified = Some(self.now);
                let report = self.report(&charge);
                Some(Event::Reported { charge, result: Ok(report), asked: false })
            }
            Due::Door { open } => {
                self.door_open = open;
                Some(Event::Condition(kioskd::sale::Condition::Door { open }))
            }
            Due::Board { answers } => Some(Event::Condition(kioskd::sale::Condition::Board { answers })),
        }
    }

    /// Does this question come to nothing, before it is carried out or after?
    fn lost(&mut self) -> (bool, bool) {
        if self.calm {
            return (false, false);
        }
        let down = self.now < self.network_down_until;
        let lost = self.weather.lost;
        (down || self.chance.percent(lost), self.chance.percent(lost))
    }

    fn answer<T>(&mut self, answer: Result<T, RailError>, lost: bool, event: impl Fn(Result<T, RailError>) -> Event) {
        let wait = 30 + self.chance.below(400);
        if lost {
            self.tell(TIME_OUT, event(Err(RailError::Unknown("time-out".into()))));
        } else {
            self.tell(wait, event(answer));
        }
    }

    pub fn create(&mut self, new: &NewCharge, plan: Paying) {
        let (before, after) = self.lost();
        let id = new.charge.clone();
        let event = move |result| Event::Created { charge: id.clone(), result };
        if before {
            return self.answer(Err(RailError::Unknown(String::new())), true, event);
        }
        if !self.calm && self.chance.percent(2) {
            let refused = RailError::Refused { code: "no".into(), why: "such merchant".into() };
            return self.answer(Err(refused), after, event);
        }
        let charge = ProviderCharge {
            order: Some(new.order),
            amount: new.amount,
            currency: Some(new.currency),
            until: self.now + new.life.as_millis() as u64,
            ..Default::default()
        };
        self.book.insert(new.charge.clone(), charge);
        if plan != Paying::Nothing {
            let wait = 500 + self.chance.below(if plan == Paying::Late { 1_000 } else { 60_000 });
            self.later(wait, Due::Pay { charge: new.charge.clone(), how: plan });
        }
        self.answer(Ok(Created { payload: "code".into() }), after, event);
    }

    fn pay(&mut self, id: &ChargeId, how: Paying) {
        let now = self.now;
        let Some(charge) = self.book.get_mut(id) else { return };
        charge.scanned = true;
        let open = !charge.closed && now <= charge.until;
        if how == Paying::VeryLate && now <= charge.until + 700_000 {
            let wait = charge.until + 700_001 - now;
            return self.later(wait, Due::Pay { charge: id.clone(), how });
        }
        if open == matches!(how, Paying::Late | Paying::VeryLate) {
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
            Paying::WrongOrder => order = order.successor(),
            _ => {}
        }
        for _ in 0..if how == Paying::Twice { 2 } else { 1 } {
            let number = charge.payments.len() + 1;
            let payment = PaymentId::parse(&format!("P{number}_{id}")).unwrap();
            charge.payments.push(Payment { id: payment, amount, currency, order });
        }
        if how == Paying::VeryLate {
            for wait in [1_000, 60_000, 600_000] {
                self.later(wait, Due::Notice { charge: id.clone() });
            }
        } else if self.calm || (self.chance.percent(self.weather.notices) && now >= self.network_down_until) {
            let report = self.report(id);
            for _ in 0..1 + self.chance.below(2) {
                let wait = 20 + self.chance.below(5_000);
                let event = Event::Reported { charge: id.clone(), result: Ok(report.clone()), asked: false };
                self.tell(wait, event);
            }
        }
    }

    fn report(&self, id: &ChargeId) -> ChargeReport {
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

    pub fn query(&mut self, id: &ChargeId) {
        let (before, after) = self.lost();
        let report = self.report(id);
        let id = id.clone();
        let event = move |result| Event::Reported { charge: id.clone(), result, asked: true };
        self.answer(Ok(report), before || after, event);
    }

    pub fn close(&mut self, id: &ChargeId) {
        let (before, after) = self.lost();
        let holds = self.calm || self.weather.closes_hold || self.chance.percent(50);
        let returns = self.weather.cancel_returns;
        if !before && let Some(charge) = self.book.get_mut(id) {
            charge.closed |= holds;
            if returns && charge.refunds.is_empty() {
                charge.returned = charge.paid();
            }
        }
        let id = id.clone();
        self.answer(Ok(None), before || after, move |result| Event::CloseAnswered { charge: id.clone(), result });
    }

    pub fn refund(&mut self, request: &RefundRequest) {
        let (before, after) = self.lost();
        let fails = self.weather.refunds_fail;
        let processing = if self.chance.percent(30) { 1 + self.chance.below(3) } else { 0 };
        let mut answer = Ok(RefundReport::Processing);
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
                            // The provider's own cancel may have been faster; then it refuses, and nothing is wrong.
                            if charge.returned == 0 {
                                broken = Some(format!("refund {refund} of {amount} is more than is left"));
                            }
                            answer = Err(RailError::Refused { code: "sum".into(), why: "too much".into() });
                        } else {
                            charge.refunds.insert(refund.clone(), (*amount, processing));
                        }
                    }
                    if let Some((_, 0)) = charge.refunds.get(refund) {
                        answer = Ok(RefundReport::Done);
                    }
                }
            }
            if let Some(broken) = broken {
                self.breaks("P3", broken);
            }
        }
        self.refund_answer(request, answer, before || after);
    }

    pub fn query_refund(&mut self, request: &RefundRequest) {
        let (before, after) = self.lost();
        let answer = match self.book.get_mut(&request.charge) {
            Some(charge) if charge.refund_failed => RefundReport::Failed,
            Some(charge) => match charge.refunds.get_mut(&request.refund) {
                None => RefundReport::Absent,
                Some((_, 0)) => RefundReport::Done,
                Some((_, left)) => {
                    *left -= 1;
                    RefundReport::Processing
                }
            },
            None => RefundReport::Absent,
        };
        self.refund_answer(request, Ok(answer), before || after);
    }

    fn refund_answer(&mut self, request: &RefundRequest, answer: Result<RefundReport, RailError>, lost: bool) {
        let (refund, charge) = (request.refund.clone(), request.charge.clone());
        let event = move |result| Event::RefundAnswered { refund: refund.clone(), charge: charge.clone(), result };
        self.answer(answer, lost, event);
    }

    pub fn probe(&mut self, rail: RailKind) {
        let (before, after) = self.lost();
        self.answer(Ok(()), before || after, move |result| Event::Probed { rail, result });
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

    pub fn deliver(&mut self, delivery: DeliveryId, slot: &SlotId, before: Option<u32>) {
        let wait = self.board(TURN + FALL);
        if !self.calm && self.chance.percent(self.weather.sensor) && self.chance.percent(30) {
            return self.tell(wait, Event::NotEnergised { delivery, why: "no such line".into() });
        }
        let jammed = self.jammed.get(slot).copied().unwrap_or_default();
        let pieces = if self.double.get(slot).copied().unwrap_or_default() { 2 } else { 1 };
        let falls = if jammed { 0 } else { pieces.min(self.stock.get(slot).copied().unwrap_or_default()) };
        let boot = self.boot;
        self.later(wait - FALL, Due::Drop { slot: slot.clone(), delivery, count: falls, boot });
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
        self.verified = None;
    }
}
