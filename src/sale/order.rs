//! One order: what is bought, how it was paid, what fell, what goes back. The durable part is a fold of its records, so
//! that what a restart finds is what was there. The volatile parts (`watch`, `preparing`) are timers and open questions
//! that a restart asks anew.

use std::time::Duration;

use super::record::{Closed, Offered, Record, Settling, Slip};
use super::view::{OrderState, Outcome};
use crate::vocabulary::fee::Rate;
use crate::vocabulary::{
    Cause, ChargeId, ChargeRef, ClaimSettlement, Currency, DeliveryId, Entitlement, Goods, Grant, Localized, Minor,
    Mono, OrderId, Outlet, Payment, RailName, RefundId, RefundRequest, ShortCode, Wall, counted,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub id: OrderId,
    pub short_code: ShortCode,
    pub currency: Currency,
    /// One a unit, in the order of the basket.
    pub items: Vec<Item>,
    pub charges: Vec<Charge>,
    pub closed: Option<Closed>,
    /// Why it may be delivered; `None` while nobody has paid.
    pub entitlement: Option<Entitlement>,
    /// It may come out there and nowhere else.
    pub only: Option<Outlet>,
    pub claim: Option<Claim>,
    /// What a person has given back of what was delivered.
    pub given_back: Minor,
    /// A person has decided about what was paid in another currency.
    pub foreign_decided: bool,
    pub receipt: Receipt,
    pub ended: bool,
    /// Volatile: another version of kioskd has written something about it that this one can't read.
    pub unread: bool,
    /// Volatile: the sensor is being read for this delivery; its intent is not written yet.
    pub preparing: Option<(DeliveryId, Outlet)>,
    /// Volatile: this slip was handed to the printer.
    pub printing: Option<Slip>,
    /// Volatile: the QR leaves the glass at this time.
    pub deadline: Mono,
    /// Volatile: the customer has had the one extension.
    pub extended: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub goods: Goods,
    /// What they were called when they were offered.
    pub label: Localized,
    pub price: Minor,
    /// Within the price.
    pub tax: Option<Rate>,
    pub outcome: Outcome,
    pub settled_by: Option<Settling>,
    pub attempts: Vec<Attempt>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub outlet: Outlet,
    pub counter: Option<u32>,
    /// Evidence has been recorded.
    pub done: bool,
    /// Volatile: energised in this run of the daemon. Only then may another outlet follow.
    pub this_boot: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    pub id: ChargeId,
    pub rail: RailName,
    pub amount: Minor,
    pub currency: Currency,
    /// At the provider, from creation.
    pub life: Duration,
    pub payments: Vec<Payment>,
    pub returned: Minor,
    /// Of the payment that bought the goods: what the provider keeps of it.
    pub fee_estimate: Option<Minor>,
    /// What a person has decided need not go back through the provider.
    pub waived: Minor,
    /// What went back although the goods fell, and a person knows of it.
    pub written_off: Minor,
    pub refunds: Vec<Refund>,
    pub settled: bool,
    pub watch: Watch,
}

/// Volatile: what is being asked about a charge and when to ask again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watch {
    /// Creation, or the start of the daemon where it fell into an earlier run: the later bound is the safe one.
    pub since: Mono,
    pub payload: Option<String>,
    /// A question is out; its answer or time-out will come.
    pub asked: bool,
    /// When the last question went out.
    pub sent: Mono,
    /// A charge: the next thing to say is that nobody may pay any more.
    pub want_close: bool,
    /// A close is out and not answered.
    pub closing: bool,
    /// A close was sent: whether a payment stays is told only by a question sent from then on.
    pub trusted_from: Option<Mono>,
    /// A payment was seen that a close may still give back. It waits for such a question.
    pub held: bool,
    /// A refund: it may have arrived, so ask after it before asking for it again.
    pub ask_after: bool,
    pub next: Mono,
    pub tries: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    pub id: RefundId,
    pub amount: Minor,
    pub state: RefundState,
    /// What the charge's provider was known to have returned when this was asked for.
    pub returned: Minor,
    /// It needs no answer any more: a person has decided, or the money had gone back already.
    pub judged: bool,
    /// When it was first asked for, by a wall clock that was known then.
    pub at: Option<Wall>,
    pub watch: Watch,
}

impl Refund {
    /// Its end is still to be told by the provider.
    pub fn pending(&self) -> bool {
        self.state == RefundState::Requested && !self.judged
    }

    /// How long nobody has confirmed it: by the wall where both times are known, at least since this run began.
    pub fn age(&self, now: Mono, wall: Option<Wall>) -> Duration {
        let by_wall = wall.zip(self.at).map(|(now, then)| Duration::from_millis(now.0.saturating_sub(then.0)));
        now.since(self.watch.since).max(by_wall.unwrap_or_default())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundState {
    Requested,
    Confirmed,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub why: Cause,
    /// Opened because the provider says nothing; its word settles it.
    pub until_told: bool,
    pub settled: Option<ClaimSettlement>,
}

/// What became of the order's last slip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    NotYet,
    Printed(Slip),
    NotPrinted(Slip, Cause),
}

impl Order {
    /// The order that a record begins: `order-offered` or `order-granted`.
    pub fn begun(record: &Record) -> Option<Self> {
        match record {
            Record::OrderOffered { order, short_code, currency, items, charge, rail, life_ms, amount, outlet } => {
                let charges = vec![Charge::new(charge, rail, *amount, *currency, *life_ms)];
                Some(Self { charges, only: outlet.clone(), ..Self::new(*order, short_code, *currency, items) })
            }
            Record::OrderGranted { order, short_code, currency, items, grant, outlet, by: _ } => Some(Self {
                entitlement: Some(Entitlement::Granted(*grant)),
                only: outlet.clone(),
                ..Self::new(*order, short_code, *currency, items)
            }),
            _ => None,
        }
    }

    fn new(id: OrderId, short_code: &ShortCode, currency: Currency, items: &[Offered]) -> Self {
        Self {
            id,
            short_code: short_code.clone(),
            currency,
            items: items.iter().map(Item::new).collect(),
            charges: Vec::new(),
            closed: None,
            entitlement: None,
            only: None,
            claim: None,
            given_back: 0,
            foreign_decided: false,
            receipt: Receipt::NotYet,
            ended: false,
            unread: false,
            preparing: None,
            printing: None,
            deadline: Mono::default(),
            extended: false,
        }
    }

    /// An order from all its records.
    pub fn fold<'a>(records: impl IntoIterator<Item = &'a Record>) -> Option<Self> {
        let mut records = records.into_iter();
        let mut order = Self::begun(records.next()?)?;
        for record in records {
            order.apply(record);
        }
        Some(order)
    }

    /// One record's change. Records of other orders change nothing.
    pub fn apply(&mut self, record: &Record) {
        if record.order() != Some(self.id) {
            return;
        }
        match record {
            Record::ChargeOffered { charge, rail, life_ms, .. } => {
                self.charges.push(Charge::new(charge, rail, self.price(), self.currency, *life_ms));
            }
            Record::OrderPaid { charge, payment, fee_estimate, .. } => {
                self.entitlement = Some(Entitlement::Paid(charge.clone()));
                self.on_charge(charge, |c| {
                    c.payments.push(payment.clone());
                    c.fee_estimate = *fee_estimate;
                });
            }
            Record::PaymentSurplus { charge, payment, .. } => {
                // Money on an order that had ended opens it again.
                self.ended = false;
                self.foreign_decided &= payment.currency == self.currency;
                self.on_charge(charge, |c| c.payments.push(payment.clone()));
            }
            Record::OrderClosed { why, .. } => self.closed = Some(why.clone()),
            Record::ChargeReturned { charge, total, .. } => {
                // Money that went back may be a matter for a person, of an order that had ended too.
                self.ended = false;
                self.on_charge(charge, |c| c.returned = *total);
                self.excuse(charge);
            }
            Record::ChargeSettled { charge, .. } => self.on_charge(charge, |c| c.settled = true),
            Record::DeliveryIntended { item, outlet, counter, .. } => self.on_item(*item, |i| {
                i.attempts.push(Attempt { outlet: outlet.clone(), counter: *counter, done: false, this_boot: false });
            }),
            Record::ItemDelivered { item, outlet, .. } => self.on_item(*item, |i| {
                if *outlet == Outlet::Pass {
                    // No intent came before: nothing moves.
                    i.attempts.push(Attempt { outlet: Outlet::Pass, counter: None, done: true, this_boot: false });
                }
                i.resolve(Some(Outcome::Delivered));
            }),
            Record::ItemNotDelivered { item, last, .. } => {
                self.on_item(*item, |i| i.resolve(last.then_some(Outcome::NotDelivered)));
            }
            Record::ItemUnknown { item, settled_by, .. } => self.on_item(*item, |i| {
                i.resolve(Some(Outcome::Unknown));
                i.settled_by = Some(*settled_by);
            }),
            Record::RefundRequested { charge, refund, amount, at_ms, .. } => self.on_charge(charge, |c| {
                c.refunds.push(Refund {
                    id: refund.clone(),
                    amount: *amount,
                    state: RefundState::Requested,
                    returned: c.returned,
                    judged: false,
                    at: *at_ms,
                    watch: Watch::default(),
                });
            }),
            Record::RefundConfirmed { charge, refund, .. } => {
                self.on_refund(charge, refund, |r| r.state = RefundState::Confirmed);
            }
            Record::RefundFailed { charge, refund, .. } => {
                self.on_refund(charge, refund, |r| r.state = RefundState::Failed);
                self.excuse(charge);
            }
            Record::ClaimOpened { why, until_told, .. } => {
                self.ended = false;
                self.claim = Some(Claim { why: why.clone(), until_told: *until_told, settled: None });
            }
            Record::ClaimSettled { how, .. } => {
                if let Some(claim) = &mut self.claim {
                    claim.settled = Some(*how);
                }
                self.judge(*how);
            }
            Record::RefundDecided { amount, .. } => {
                self.ended = false;
                self.given_back += amount;
            }
            Record::ReceiptPrinted { slip, .. } => self.receipt = Receipt::Printed(*slip),
            Record::ReceiptNotPrinted { slip, why, .. } => self.receipt = Receipt::NotPrinted(*slip, why.clone()),
            Record::OrderEnded { .. } => self.ended = true,
            Record::OrderOffered { .. }
            | Record::OrderGranted { .. }
            | Record::LedgerBegun { .. }
            | Record::BootStarted { .. }
            | Record::OutletFaulty { .. }
            | Record::OutletRepaired { .. }
            | Record::SlotAssigned { .. }
            | Record::StockSet { .. }
            | Record::ShopNoted { .. }
            | Record::GateNoted { .. }
            | Record::SalesStopped { .. }
            | Record::SalesResumed { .. }
            | Record::KioskLocked { .. }
            | Record::KioskUnlocked { .. }
            | Record::MaintenanceBegun { .. }
            | Record::MaintenanceEnded { .. }
            | Record::ServicePinRefused { .. }
            | Record::ServiceOpened { .. }
            | Record::LanguagesChosen { .. }
            | Record::UpdateBegun { .. }
            | Record::UpdateInstalling { .. }
            | Record::UpdateInstalled { .. }
            | Record::UpdateRestarting { .. }
            | Record::UpdateTried { .. }
            | Record::UpdateSick { .. }
            | Record::UpdatePassed { .. }
            | Record::UpdateGood { .. }
            | Record::UpdateFellBack { .. }
            | Record::OperationBegun { .. }
            | Record::OperationEnded { .. }
            | Record::CashedUp { .. }
            | Record::ConfigTried { .. }
            | Record::ConfigKept { .. }
            | Record::ConfigRejected { .. } => {}
        }
    }

    /// What the customer is to pay: nothing where it was granted.
    pub fn amount(&self) -> Minor {
        if self.grant().is_some() { 0 } else { self.price() }
    }

    fn price(&self) -> Minor {
        self.items.iter().map(|item| item.price).sum()
    }

    /// The goods with how often each is wanted.
    pub fn wanted(&self) -> Vec<(Goods, u32)> {
        counted(self.items.iter().map(|item| (item.goods.clone(), 1)))
    }

    /// The charge whose payment bought the goods.
    pub fn bought(&self) -> Option<&ChargeId> {
        match &self.entitlement {
            Some(Entitlement::Paid(charge)) => Some(charge),
            Some(Entitlement::Granted(_)) | None => None,
        }
    }

    /// Why it may be delivered without a payment.
    pub fn grant(&self) -> Option<Grant> {
        match &self.entitlement {
            Some(Entitlement::Granted(grant)) => Some(*grant),
            Some(Entitlement::Paid(_)) | None => None,
        }
    }

    pub fn paid(&self) -> Minor {
        self.charges.iter().map(Charge::paid).sum()
    }

    /// Given back for certain: confirmed refunds and what the provider returned by itself.
    pub fn refunded(&self) -> Minor {
        self.charges.iter().map(|c| c.confirmed() + c.returned).sum()
    }

    /// What the provider keeps of what stays with the machine, as an estimate: a refund gives back its share.
    pub fn fee_estimate(&self) -> Option<Minor> {
        let charge = self.bought().and_then(|id| self.charge(id))?;
        // The payment that bought them was exactly this; what was paid beside it goes back first.
        let (fee, paid) = (charge.fee_estimate?, charge.amount);
        let kept = (charge.paid() - charge.returned - charge.confirmed()).clamp(0, paid);
        // Rounded half up; a payment is never nothing.
        let share = (i128::from(fee) * i128::from(kept) * 2 + i128::from(paid)) / (i128::from(paid) * 2).max(1);
        Minor::try_from(share).ok()
    }

    /// What should still go back and has not been confirmed.
    pub fn outstanding(&self) -> Minor {
        let open = |c: &Charge| c.paid() - c.returned - c.waived - c.confirmed() - self.kept(c);
        self.charges.iter().map(|charge| open(charge).max(0)).sum()
    }

    /// What a charge may keep: the price of what fell, or may still fall, for its payment, and was not given back.
    pub fn kept(&self, charge: &Charge) -> Minor {
        if self.bought() != Some(&charge.id) {
            return 0;
        }
        let price: Minor = self.items.iter().filter(|item| item.keeps()).map(|item| item.price).sum();
        (price - self.given_back).max(0)
    }

    /// What a person could still give back: paid for goods that were delivered, here still, and owed to nobody.
    pub fn left_to_give_back(&self) -> Minor {
        let bought = self.bought().and_then(|id| self.charge(id));
        bought.map_or(0, |charge| (charge.refundable() - charge.waived - self.owed(charge)).clamp(0, self.kept(charge)))
    }

    /// What a charge owes and no refund under way or done covers.
    pub fn owed(&self, charge: &Charge) -> Minor {
        (charge.refundable() - charge.waived - self.kept(charge)).max(0)
    }

    /// What to ask the provider for now.
    pub fn due(&self, charge: &Charge) -> Minor {
        // Providers want refunds of one charge apart in time: ask once, when all is known.
        let delivering = self.bought() == Some(&charge.id) && self.unresolved();
        if delivering || self.refused(charge) { 0 } else { self.owed(charge) }
    }

    /// The provider said no to a refund that is still owed. That is not asked away: the provider may have given the
    /// money back by itself, which a query tells; otherwise a person decides.
    pub fn refused(&self, charge: &Charge) -> bool {
        let no = |refund: &Refund| refund.state == RefundState::Failed && !refund.judged;
        charge.refunds.iter().any(no) && self.owed(charge) > 0
    }

    /// The provider still has something to say about this charge.
    pub fn watched(&self, charge: &Charge) -> bool {
        !charge.settled || self.refused(charge) && !self.claim_open()
    }

    /// What the provider gave back of a charge although its goods fell, and nobody has dealt with. While units may still
    /// fall there is no saying.
    pub fn lost(&self, charge: &Charge) -> Minor {
        if charge.returned == 0 || self.unresolved() {
            return 0;
        }
        let kept = self.kept(charge);
        let left = charge.paid() - charge.returned - charge.confirmed();
        (kept - left.max(0) - charge.written_off).max(0)
    }

    /// A refund was refused after the provider had given money back by itself: that explains it. It is not asked again,
    /// and what is still owed is asked for under a new number.
    fn excuse(&mut self, charge: &ChargeId) {
        self.on_charge(charge, |c| {
            let returned = c.returned;
            let explained = |refund: &&mut Refund| refund.state == RefundState::Failed && returned > refund.returned;
            c.refunds.iter_mut().filter(explained).for_each(|refund| refund.judged = true);
        });
    }

    /// A person has settled the claim: what is unknown is decided, and so is every refund that was refused.
    fn judge(&mut self, how: ClaimSettlement) {
        let money_back = match how {
            ClaimSettlement::Refund => true,
            ClaimSettlement::Delivered | ClaimSettlement::PaidOutside => false,
            // Nobody has decided anything; nothing was open.
            ClaimSettlement::ByProvider => return,
        };
        self.foreign_decided = true;
        let held = self.items.iter_mut().filter(|item| item.settled_by == Some(Settling::Claim));
        held.for_each(|item| {
            item.settled_by = Some(if money_back { Settling::Refund } else { Settling::AssumedDelivered });
        });
        let sums: Vec<_> = self.charges.iter().map(|charge| (self.owed(charge), self.lost(charge))).collect();
        for (charge, (owed, lost)) in self.charges.iter_mut().zip(sums) {
            charge.written_off += lost;
            for refund in &mut charge.refunds {
                refund.judged |= refund.state == RefundState::Failed;
                // The silence that the claim was about counts from its settlement.
                refund.at = None;
            }
            if !money_back {
                // A refund that nobody confirms may still come; it is not waited for, and not asked for anew.
                let pending = charge.refunds.iter_mut().filter(|refund| refund.pending());
                let pending: Minor = pending
                    .map(|refund| {
                        refund.judged = true;
                        refund.amount
                    })
                    .sum();
                charge.waived += owed + pending;
            }
        }
    }

    /// A claim that was opened because the provider said nothing, and nothing is open any more.
    pub fn told_at_last(&self) -> bool {
        let claim = self.claim.as_ref().is_some_and(|claim| claim.until_told && claim.settled.is_none());
        claim && !self.undecided() && self.all_but_the_claim()
    }

    /// Goods or money that no provider's word can settle.
    fn undecided(&self) -> bool {
        let held = self.items.iter().any(|item| item.settled_by == Some(Settling::Claim));
        let foreign = |c: &Charge| c.payments.iter().any(|payment| payment.currency != c.currency);
        held || !self.foreign_decided && self.charges.iter().any(foreign)
    }

    /// The charge whose QR may be on the glass: the last one offered, while nothing is paid.
    pub fn live(&self) -> Option<&Charge> {
        self.charges.last().filter(|_| self.waiting())
    }

    pub(super) fn is_live(&self, charge: &ChargeId) -> bool {
        self.live().is_some_and(|live| live.id == *charge)
    }

    /// Some unit of an order that may be delivered is neither delivered nor given up.
    pub fn unresolved(&self) -> bool {
        self.entitlement.is_some() && self.items.iter().any(|item| item.outcome == Outcome::Pending)
    }

    pub fn waiting(&self) -> bool {
        self.entitlement.is_none() && self.closed.is_none()
    }

    pub fn claim_open(&self) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim.settled.is_none())
    }

    /// What a slip says that it is, printed now.
    pub fn slip(&self) -> Slip {
        let nothing_kept = self.paid() > 0 && self.refunded() + self.outstanding() >= self.paid();
        match () {
            () if self.claim_open() => Slip::Claim,
            () if nothing_kept => Slip::Refund,
            () => Slip::Receipt,
        }
    }

    /// A claim of which the customer has no slip, be it that a refund slip was printed before it became one. Not one about
    /// money that went back for goods that fell: the customer misses nothing.
    pub fn wants_claim_slip(&self) -> bool {
        let told = match self.receipt {
            Receipt::NotYet => false,
            Receipt::Printed(slip) | Receipt::NotPrinted(slip, _) => slip == Slip::Claim,
        };
        let missing = self.outstanding() > 0 || self.undecided();
        self.claim_open() && missing && !self.unresolved() && !told && self.printing.is_none()
    }

    /// Nothing is open: every charge is final, every unit resolved, everything owed given back.
    pub fn finished(&self) -> bool {
        !self.claim_open() && self.all_but_the_claim()
    }

    /// A payment was seen on a charge whose close may still give it back.
    pub fn held(&self) -> bool {
        self.charges.iter().any(|charge| charge.watch.held)
    }

    fn all_but_the_claim(&self) -> bool {
        !self.waiting()
            && !self.unresolved()
            && self.outstanding() == 0
            && self.charges.iter().all(|c| c.settled && self.lost(c) == 0 && !c.refunds.iter().any(Refund::pending))
    }

    /// As the customer, the technician and the fleet see it.
    pub fn state(&self) -> OrderState {
        let kept = self.items.iter().filter(|item| item.keeps());
        if self.claim_open() {
            return OrderState::Claim;
        }
        if self.entitlement.is_none() {
            return match &self.closed {
                _ if self.outstanding() > 0 => OrderState::Refunding,
                _ if self.paid() > 0 => OrderState::Refunded,
                None => OrderState::WaitingPayment,
                Some(Closed::Expired) => OrderState::Expired,
                Some(_) => OrderState::Cancelled,
            };
        }
        match kept.count() {
            _ if self.unresolved() && self.items.iter().all(|item| item.attempts.is_empty()) => OrderState::Paid,
            _ if self.unresolved() => OrderState::Delivering,
            _ if self.outstanding() > 0 => OrderState::Refunding,
            0 if self.grant().is_some() => OrderState::NotDelivered,
            0 => OrderState::Refunded,
            n if n == self.items.len() => OrderState::Delivered,
            _ => OrderState::PartlyDelivered,
        }
    }

    pub fn charge(&self, id: &ChargeId) -> Option<&Charge> {
        self.charges.iter().find(|charge| charge.id == *id)
    }

    pub fn charge_mut(&mut self, id: &ChargeId) -> Option<&mut Charge> {
        self.charges.iter_mut().find(|charge| charge.id == *id)
    }

    pub fn reference(&self, charge: &Charge) -> ChargeRef {
        ChargeRef { charge: charge.id.clone(), order: self.id, amount: charge.amount, currency: self.currency }
    }

    pub fn refund_request(&self, charge: &Charge, refund: &Refund) -> RefundRequest {
        RefundRequest {
            refund: refund.id.clone(),
            charge: charge.id.clone(),
            order: self.id,
            amount: refund.amount,
            charged: charge.amount,
            currency: self.currency,
        }
    }

    fn on_charge(&mut self, id: &ChargeId, change: impl FnOnce(&mut Charge)) {
        if let Some(charge) = self.charge_mut(id) {
            change(charge);
        }
    }

    pub(super) fn on_refund(&mut self, charge: &ChargeId, refund: &RefundId, change: impl FnOnce(&mut Refund)) {
        self.on_charge(charge, |c| {
            if let Some(refund) = c.refunds.iter_mut().find(|r| r.id == *refund) {
                change(refund);
            }
        });
    }

    fn on_item(&mut self, item: u32, change: impl FnOnce(&mut Item)) {
        if let Some(item) = self.items.get_mut(item as usize) {
            change(item);
        }
    }
}

impl Item {
    fn new(offered: &Offered) -> Self {
        let Offered { goods, label, price, tax } = offered.clone();
        Self { goods, label, price, tax, outcome: Outcome::Pending, settled_by: None, attempts: Vec::new() }
    }

    /// Its price stays with the machine: it fell, may still fall, or was settled so.
    fn keeps(&self) -> bool {
        match self.outcome {
            Outcome::Pending | Outcome::Delivered => true,
            Outcome::NotDelivered => false,
            Outcome::Unknown => matches!(self.settled_by, Some(Settling::AssumedDelivered | Settling::Claim)),
        }
    }

    /// The customer has it, or counts as if they had.
    pub fn sold(&self) -> bool {
        match self.outcome {
            Outcome::Delivered => true,
            Outcome::Pending | Outcome::NotDelivered => false,
            Outcome::Unknown => self.settled_by == Some(Settling::AssumedDelivered),
        }
    }

    /// The attempt that was energised and of which nothing is recorded yet.
    pub fn open_attempt(&self) -> Option<&Attempt> {
        self.attempts.last().filter(|attempt| !attempt.done)
    }

    fn resolve(&mut self, outcome: Option<Outcome>) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.done = true;
        }
        if let Some(outcome) = outcome {
            self.outcome = outcome;
        }
    }
}

impl Charge {
    fn new(id: &ChargeId, rail: &RailName, amount: Minor, currency: Currency, life_ms: u64) -> Self {
        Self {
            id: id.clone(),
            rail: rail.clone(),
            amount,
            currency,
            life: Duration::from_millis(life_ms),
            payments: Vec::new(),
            returned: 0,
            fee_estimate: None,
            waived: 0,
            written_off: 0,
            refunds: Vec::new(),
            settled: false,
            watch: Watch::default(),
        }
    }

    /// In the charge's currency; a payment in another is a claim and no sum can hold both.
    pub fn paid(&self) -> Minor {
        self.payments.iter().filter(|p| p.currency == self.currency).map(|p| p.amount).sum()
    }

    /// Paid, not returned, and neither asked back nor given back yet; the bound on any further refund (P3).
    pub fn refundable(&self) -> Minor {
        let live = self.refunds.iter().filter(|refund| refund.state != RefundState::Failed);
        (self.paid() - self.returned - live.map(|refund| refund.amount).sum::<Minor>()).max(0)
    }

    pub fn confirmed(&self) -> Minor {
        self.confirmed_refunds().map(|refund| refund.amount).sum()
    }

    pub fn confirmed_refunds(&self) -> impl Iterator<Item = &Refund> {
        self.refunds.iter().filter(|refund| refund.state == RefundState::Confirmed)
    }

    /// A payment on it has been seen, be it one that may still go back.
    pub fn known_paid(&self) -> bool {
        !self.payments.is_empty() || self.watch.held
    }

    /// From then on nothing can be paid on it any more, by the provider's own expiry and a grace.
    pub fn horizon(&self, grace: Duration) -> Mono {
        self.watch.since + self.life + grace
    }
}
