//! What is around one simulated machine: its customers, a provider with a book of its own, a board whose counter remembers, and
//! mishaps. It outlives every power cut of the machine. Pure: time comes in, in milliseconds of the process.

use std::collections::{BTreeMap, VecDeque};

use super::chance::Chance;
use crate::sale::event::{Effect, Event};
use crate::sale::software::{Copies, Software, UpdateEvent, UpdateTask};
use crate::vocabulary::{
    ChargeId, ChargeReport, Created, Currency, DeliveryId, Evidence, Minor, NewCharge, OrderId, Payment, PaymentId,
    Reading, RefundId, RefundReport, Standing,
};

/// So many charges the provider can be asked about; older ones are settled.
const BOOK: usize = 32;

/// How often what happens.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// Milliseconds between two customers, on average.
    pub customer: f64,
    /// Of a hundred deliveries, those that do not fall.
    pub jams: f64,
    /// Milliseconds between two power cuts and two losses of the network; `None`: never.
    pub cut: Option<f64>,
    pub loss: Option<f64>,
}

#[derive(Debug)]
pub enum Due {
    /// To the machine as it runs since the start of this number; one that has lost its power hears nothing.
    Tell {
        run: u64,
        event: Box<Event>,
    },
    /// Somebody stands before the glass.
    Customer,
    /// Somebody fills it.
    Technician,
    PowerCut,
    PowerBack,
    NetworkLost,
    NetworkBack,
}

#[derive(Debug)]
struct Charge {
    id: ChargeId,
    order: OrderId,
    amount: Minor,
    currency: Currency,
    paid: bool,
    closed: bool,
    refunds: Vec<RefundId>,
}

#[derive(Debug)]
pub struct Surroundings {
    habits: Habits,
    pub chance: Chance,
    due: BTreeMap<(u64, u32), Due>,
    count: u32,
    book: VecDeque<Charge>,
    /// Everything that has fallen since the machine was built.
    counter: u32,
    /// Nothing new begins.
    resting: bool,
}

impl Surroundings {
    pub fn new(habits: Habits, chance: Chance) -> Self {
        let due = BTreeMap::new();
        let mut all = Self { habits, chance, due, count: 0, book: VecDeque::new(), counter: 0, resting: false };
        all.next_customer(0);
        all.next_mishaps(0);
        all
    }

    pub fn next_due(&self) -> Option<u64> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// What happens by now, if anything.
    pub fn happen(&mut self, now: u64) -> Option<Due> {
        if self.next_due()? > now {
            return None;
        }
        self.due.pop_first().map(|(_, due)| due)
    }

    pub fn later(&mut self, at: u64, due: Due) {
        self.count = self.count.wrapping_add(1);
        self.due.insert((at, self.count), due);
    }

    /// Customers and mishaps come no more; what is under way ends, and who is without power or network gets it back.
    pub fn rest(&mut self, now: u64) {
        self.resting = true;
        self.due.retain(|_, due| matches!(due, Due::Tell { .. } | Due::PowerBack | Due::NetworkBack));
        let back = std::mem::take(&mut self.due);
        for ((at, count), due) in back {
            let soon = matches!(due, Due::PowerBack | Due::NetworkBack);
            self.due.insert((if soon { now } else { at }, count), due);
        }
        self.later(now, Due::Customer);
    }

    pub fn is_resting(&self) -> bool {
        self.resting
    }

    pub fn next_customer(&mut self, now: u64) {
        if !self.resting {
            let wait = self.chance.wait(self.habits.customer);
            self.later(now + wait, Due::Customer);
        }
    }

    /// The customer who is there does the next thing.
    pub fn stays(&mut self, now: u64, wait: u64) {
        self.later(now + wait, Due::Customer);
    }

    pub fn next_mishaps(&mut self, now: u64) {
        if self.resting {
            return;
        }
        if let Some(mean) = self.habits.cut
            && !self.due.values().any(|due| matches!(due, Due::PowerCut))
        {
            let wait = self.chance.wait(mean);
            self.later(now + wait, Due::PowerCut);
        }
        if let Some(mean) = self.habits.loss
            && !self.due.values().any(|due| matches!(due, Due::NetworkLost))
        {
            let wait = self.chance.wait(mean);
            self.later(now + wait, Due::NetworkLost);
        }
    }

    fn tell(&mut self, now: u64, run: u64, wait: u64, event: Event) {
        let wait = wait + self.chance.below(100);
        self.later(now + wait, Due::Tell { run, event: Box::new(event) });
    }

    /// Answers what the machine wants of rails, board and printer; gives back what is not theirs.
    pub fn answer(&mut self, now: u64, run: u64, effect: Effect) -> Option<Effect> {
        match effect {
            Effect::Create { charge, .. } => self.create(now, run, &charge),
            Effect::Query { charge, .. } => {
                let report = self.report(&charge.charge);
                self.tell(now, run, 50, Event::Reported { charge: charge.charge, result: Ok(report), asked: true });
            }
            Effect::Close { charge, .. } => {
                let report = self.close(&charge.charge);
                self.tell(now, run, 50, Event::CloseAnswered { charge: charge.charge, result: Ok(report) });
            }
            Effect::Refund { refund, .. } => {
                if let Some(known) = self.book.iter_mut().find(|known| known.id == refund.charge)
                    && !known.refunds.contains(&refund.refund)
                {
                    known.refunds.push(refund.refund.clone());
                }
                self.refund_report(now, run, refund.refund, refund.charge);
            }
            Effect::QueryRefund { refund, .. } => self.refund_report(now, run, refund.refund, refund.charge),
            Effect::Probe { rail } => self.tell(now, run, 50, Event::Probed { rail, result: Ok(()) }),
            Effect::Prepare { delivery, .. } => {
                let reading = Reading { counter: Some(self.counter), self_tested: true };
                self.tell(now, run, 5, Event::Prepared { delivery, reading });
            }
            Effect::Deliver { delivery, before, .. } => {
                if !self.chance.percent(self.habits.jams) {
                    self.counter += 1;
                }
                self.evidence(now, run, 700, delivery, before);
            }
            Effect::Recall { delivery, before, .. } => self.evidence(now, run, 100, delivery, before),
            Effect::Print { order } => self.tell(now, run, 400, Event::ReceiptDone { order, result: Ok(()) }),
            Effect::Find { code } => {
                self.tell(now, run, 5, Event::Found { code: code.to_string(), order: None });
            }
            Effect::CheckPin { .. } => self.tell(now, run, 50, Event::PinChecked { right: false }),
            Effect::Gate { id, .. } => self.tell(now, run, 1_500, Event::GateAnswered { id, result: Ok(()) }),
            Effect::AskReboot => self.tell(now, run, 50, Event::RebootAnswered { result: Ok(()) }),
            Effect::Reboot => self.later(now + 500, Due::PowerCut),
            Effect::Update(task) => self.tell(now, run, 50, Event::Update(software(&task))),
            Effect::PrintReport { .. } | Effect::PrintTest => {}
            other => return Some(other),
        }
        None
    }

    fn create(&mut self, now: u64, run: u64, new: &NewCharge) {
        let (id, order, amount, currency) = (new.charge.clone(), new.order, new.amount, new.currency);
        let charge =
            Charge { id: id.clone(), order, amount, currency, paid: false, closed: false, refunds: Vec::new() };
        self.book.push_back(charge);
        if self.book.len() > BOOK {
            self.book.pop_front();
        }
        let created = Created { payload: format!("simulated:{id}") };
        self.tell(now, run, 80, Event::Created { charge: id.clone(), result: Ok(created) });
        // Now and then somebody walks away.
        if self.chance.percent(97.0) {
            let wait = 1_500 + self.chance.below(2_000);
            if let Some(charge) = self.book.back_mut() {
                charge.paid = true;
            }
            let report = self.report(&id);
            self.tell(now, run, wait, Event::Reported { charge: id, result: Ok(report), asked: false });
        }
    }

    fn report(&self, id: &ChargeId) -> ChargeReport {
        let Some(charge) = self.book.iter().find(|known| known.id == *id) else {
            return ChargeReport { standing: Standing::Absent, payments: Vec::new(), returned: 0, attach: None };
        };
        let payment = charge.paid.then(|| PaymentId::parse(&format!("p{id}"))).flatten().map(|id| Payment {
            id,
            amount: charge.amount,
            currency: charge.currency,
            order: charge.order,
        });
        let standing = if charge.closed || charge.paid { Standing::Closed } else { Standing::Open };
        ChargeReport { standing, payments: payment.into_iter().collect(), returned: 0, attach: None }
    }

    fn close(&mut self, id: &ChargeId) -> Option<ChargeReport> {
        let charge = self.book.iter_mut().find(|known| known.id == *id)?;
        if charge.paid {
            return Some(self.report(id));
        }
        charge.closed = true;
        None
    }

    fn refund_report(&mut self, now: u64, run: u64, refund: RefundId, charge: ChargeId) {
        let known = self.book.iter().any(|known| known.id == charge && known.refunds.contains(&refund));
        let result = Ok(if known { RefundReport::Done } else { RefundReport::Absent });
        self.tell(now, run, 150, Event::RefundAnswered { refund, charge, result });
    }

    fn evidence(&mut self, now: u64, run: u64, wait: u64, delivery: DeliveryId, before: Option<u32>) {
        let evidence = match before.map(|before| self.counter.saturating_sub(before)) {
            None => Evidence::Silent { why: "no counter before".into() },
            Some(0) => Evidence::Nothing { self_tested: true },
            Some(count) => Evidence::Dropped { count },
        };
        self.tell(now, run, wait, Event::Evidence { delivery, evidence });
    }
}

/// It has one copy of its software, which is no reason to ask again; and nobody installs another.
fn software(task: &UpdateTask) -> UpdateEvent {
    let how = "a simulated machine installs nothing".to_owned();
    match task {
        UpdateTask::Look { .. } | UpdateTask::Discard => {
            let (version, kernel_boot) = (None, String::new());
            UpdateEvent::Seen(Software { version, kernel_boot, copies: Copies::One { how } })
        }
        other => other.failed(how),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten thousand machines that are unsure and ask every ten seconds would keep their thread busy with it.
    #[test]
    fn what_runs_is_answered_so_that_nobody_asks_again() {
        let habits = Habits { customer: 1e9, jams: 0.0, cut: None, loss: None };
        let mut around = Surroundings::new(habits, Chance::new(1, 1));
        for task in [UpdateTask::Look { clean: true }, UpdateTask::Discard] {
            assert!(around.answer(0, 1, Effect::Update(task)).is_none());
            let Some(Due::Tell { run: 1, event }) = around.happen(1_000) else { panic!("no answer") };
            let Event::Update(UpdateEvent::Seen(seen)) = *event else { panic!("{event:?}") };
            assert!(matches!(seen.copies, Copies::One { .. }), "{seen:?}");
        }
    }
}
