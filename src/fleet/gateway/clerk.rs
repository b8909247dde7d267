//! Answers one verified request: whose charge it is, whether it is within the limits, and what the provider says.
//!
//! Policy
//! - A kiosk's charge is the one that the provider's book says is the kiosk's. That name is written by the gateway when the
//!   charge is made, whatever the request says, and read back from the provider before anything is told, closed or given
//!   back. Only of what bears no name yet it counts who made it here, as long as that is remembered.
//! - Numbers say what they belong to: a refund's number its charge, a charge's number its order. Some providers know
//!   refunds of a merchant by their number alone, so another's number would block the other's refund for ever.
//! - What is known to be paid is never closed, because some providers give the money back when it is. The question and the
//!   close are two, and a payment may come between them: then the provider gives it back, and the answer says so.
//! - What can't be found out is [`Says::Unknown`], and the kiosk asks again. A refund is never answered with a no that only
//!   the gateway's own state stands behind, nor with one that may mean that the money is back already.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::limits::{Limits, Meter, Over};
use super::{GatewayRail, Rails};
use crate::fleet::topic::{Address, Name};
use crate::payment::gateway::wire::{Ask, Says};
use crate::vocabulary::{
    ChargeId, ChargeRef, ChargeReport, Minor, NewCharge, RailError, RefundReport, RefundRequest, Standing,
};

/// Requests at one provider at a time; a slow one can't take the threads of the others.
const PER_RAIL: usize = 100;
/// Requests of one kiosk at a time: the order on the glass and some that settle.
const PER_KIOSK: usize = 8;
/// Rails have their own time-outs, which are shorter. After it no further question goes to the provider.
const LONGEST_ASK: Duration = Duration::from_secs(60);
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);
const LONGEST_DESCRIPTION: usize = 512;
/// Kiosks know by it that this rail is closed to them for a while.
const LIMIT: &str = "LIMIT";

/// Charges of which it is remembered who made them: a day of a large fleet.
const MADE: usize = 1 << 16;

pub(super) struct Clerk {
    rails: BTreeMap<String, Counter>,
    customers: BTreeMap<Name, Customer>,
    makers: Mutex<Makers>,
}

/// Who made the last charges. A second line behind the provider's book, which is empty until somebody has scanned.
#[derive(Default)]
struct Makers {
    by_charge: BTreeMap<ChargeId, Name>,
    /// The oldest first.
    charges: VecDeque<ChargeId>,
}

impl Makers {
    fn is_anothers(&self, charge: &ChargeId, kiosk: &Name) -> bool {
        self.by_charge.get(charge).is_some_and(|maker| maker != kiosk)
    }

    fn note(&mut self, charge: &ChargeId, kiosk: &Name) {
        if self.by_charge.contains_key(charge) {
            return;
        }
        if self.charges.len() == MADE
            && let Some(oldest) = self.charges.pop_front()
        {
            self.by_charge.remove(&oldest);
        }
        self.charges.push_back(charge.clone());
        self.by_charge.insert(charge.clone(), kiosk.clone());
    }
}

struct Counter {
    rail: Arc<dyn GatewayRail>,
    room: Semaphore,
}

struct Customer {
    meter: Mutex<Meter>,
    room: Semaphore,
}

impl Customer {
    fn meter(&self) -> MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the provider's book says about who made a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// The kiosk that asks.
    Asker,
    /// Nobody has scanned it, so there is nothing yet that could bear a name.
    Nobody,
    Other,
    /// It has been paid, and the provider does not say whose it is.
    Unsaid,
}

fn owner(rail: &dyn GatewayRail, report: &ChargeReport, kiosk: &str) -> Owner {
    match &report.attach {
        Some(given) if rail.bears(given, kiosk) => Owner::Asker,
        Some(_) => Owner::Other,
        None if report.payments.is_empty() && report.returned == 0 => Owner::Nobody,
        None => Owner::Unsaid,
    }
}

/// What was paid on it and not given back by the provider itself; `None` when the payments are not this order's.
fn refundable(report: &ChargeReport, refund: &RefundRequest) -> Option<Minor> {
    let paid = report.payments.iter().try_fold(0, |sum: Minor, payment| {
        let fits = payment.order == refund.order && payment.currency == refund.currency && payment.amount > 0;
        if fits { sum.checked_add(payment.amount) } else { None }
    })?;
    paid.checked_sub(report.returned)
}

impl Clerk {
    pub fn new(rails: Rails, kiosks: impl IntoIterator<Item = (Name, Limits)>) -> Self {
        let counter = |(name, rail)| (name, Counter { rail, room: Semaphore::new(PER_RAIL) });
        let customer = |(name, limits)| {
            (name, Customer { meter: Mutex::new(Meter::new(limits)), room: Semaphore::new(PER_KIOSK) })
        };
        Self {
            rails: rails.into_iter().map(counter).collect(),
            customers: kiosks.into_iter().map(customer).collect(),
            makers: Mutex::default(),
        }
    }

    pub fn rail(&self, name: &str) -> Option<&Arc<dyn GatewayRail>> {
        self.rails.get(name).map(|counter| &counter.rail)
    }

    /// The provider has told by itself that a charge was paid.
    pub fn paid(&self, kiosk: &Name, charge: &ChargeId) {
        if let Some(customer) = self.customers.get(kiosk) {
            customer.meter().paid(charge.as_str(), Instant::now());
        }
    }

    /// The request is this kiosk's, by its signature, and good for as long as is `left`.
    pub async fn answer(&self, kiosk: &Address, rail: &str, ask: &Ask, left: Duration) -> Says {
        let unknown = |why: &str| Says::Unknown { why: why.into() };
        let Some(customer) = self.customers.get(&kiosk.kiosk) else { return unknown("no such kiosk") };
        let Some(counter) = self.rails.get(rail) else {
            return match ask {
                Ask::Probe | Ask::Create(_) => refused("RAIL", "the gateway has no such rail"),
                // Money may depend on it, and the gateway may get the rail back.
                _ => unknown("the gateway has no such rail"),
            };
        };
        let (Ok(_one), Ok(_other)) = (customer.room.try_acquire(), counter.room.try_acquire()) else {
            return unknown("the gateway is busy");
        };
        let desk =
            Desk { rail: &*counter.rail, kiosk: kiosk.to_string(), name: &kiosk.kiosk, customer, makers: &self.makers };
        match tokio::time::timeout(left.min(LONGEST_ASK), desk.answer(ask)).await {
            Ok(Ok(says)) => says,
            Ok(Err(RailError::Refused { code, why })) => Says::Refused { code, why },
            Ok(Err(RailError::Unknown(why))) => Says::Unknown { why },
            Err(_) => unknown("the provider took too long"),
        }
    }
}

/// One request at one rail.
struct Desk<'a> {
    rail: &'a dyn GatewayRail,
    kiosk: String,
    name: &'a Name,
    customer: &'a Customer,
    makers: &'a Mutex<Makers>,
}

impl Desk<'_> {
    async fn answer(&self, ask: &Ask) -> Result<Says, RailError> {
        if !numbers_fit(ask) {
            return Ok(refused("NUMBER", "the refund's number is not its charge's, or the charge's not its order's"));
        }
        match ask {
            Ask::Probe => self.rail.probe().await.map(|()| Says::Here),
            Ask::Create(charge) => self.create(charge).await,
            Ask::Query(charge) => {
                let report = self.own(charge).await?;
                Ok(Says::Charge { charge: charge.clone(), report })
            }
            Ask::Close(charge) => {
                let known = self.own(charge).await?;
                let paid = !known.payments.is_empty();
                let report = if paid { Some(known) } else { self.rail.close(charge).await? };
                Ok(Says::Closed { charge: charge.clone(), report })
            }
            Ask::Refund(refund) => self.refund(refund, true).await,
            Ask::QueryRefund(refund) => self.refund(refund, false).await,
            Ask::Noticed { .. } => Err(RailError::Unknown("not a question".into())),
        }
    }

    async fn create(&self, charge: &NewCharge) -> Result<Says, RailError> {
        let plausible = charge.amount > 0
            && charge.life > Duration::ZERO
            && charge.life <= LONGEST_LIFE
            && charge.description.len() <= LONGEST_DESCRIPTION;
        if !plausible {
            return Ok(refused("REQUEST", "the amount, the life or the description is out of range"));
        }
        let number = charge.charge.as_str();
        if let Err(over) = self.metered(|meter| meter.charge(number, charge.amount, Instant::now())) {
            // The one is about this charge, the other about every charge for a while.
            let code = if matches!(over, Over::Amount(_)) { "AMOUNT" } else { LIMIT };
            return Ok(refused(code, &over.to_string()));
        }
        if self.is_anothers(&charge.charge) {
            return Err(foreign("another kiosk has made a charge under this number"));
        }
        self.makers().note(&charge.charge, self.name);
        let charge = NewCharge { attach: self.kiosk.clone(), ..charge.clone() };
        let created = self.rail.create(&charge).await?;
        let NewCharge { charge, order, amount, currency, .. } = charge;
        Ok(Says::Created { charge: ChargeRef { charge, order, amount, currency }, payload: created.payload })
    }

    /// What the provider knows of a charge that is the asker's, or nobody's yet.
    async fn own(&self, charge: &ChargeRef) -> Result<ChargeReport, RailError> {
        let report = self.rail.query(charge).await?;
        match owner(self.rail, &report, &self.kiosk) {
            Owner::Nobody if self.is_anothers(&charge.charge) => Err(foreign("another kiosk has made the charge")),
            Owner::Asker | Owner::Nobody => {
                if !report.payments.is_empty() {
                    self.metered(|meter| meter.paid(charge.charge.as_str(), Instant::now()));
                }
                Ok(report)
            }
            Owner::Other => Err(foreign("by the provider's book the charge is not this kiosk's")),
            Owner::Unsaid => Err(RailError::Unknown("the provider does not say whose charge it is".into())),
        }
    }

    /// Asks for it, or only after it.
    async fn refund(&self, refund: &RefundRequest, ask: bool) -> Result<Says, RailError> {
        let charge = ChargeRef {
            charge: refund.charge.clone(),
            order: refund.order,
            amount: refund.charged,
            currency: refund.currency,
        };
        let report = self.own(&charge).await?;
        if report.payments.is_empty() {
            return match (self.rail.notifies(), report.standing) {
                // Where the provider has no book that could be asked, it can't give back either: a person must.
                (None, _) => Ok(Says::Refund { refund: refund.clone(), report: RefundReport::Failed }),
                // Never paid, or given back in full by the provider itself: not every book tells the one from the other.
                (Some(_), Standing::Closed) => match self.rail.query_refund(refund).await? {
                    RefundReport::Absent => Err(RailError::Unknown(
                        "the charge is closed, and the provider says neither that it was paid nor that it went back"
                            .into(),
                    )),
                    report => Ok(Says::Refund { refund: refund.clone(), report }),
                },
                (Some(_), _) => Err(RailError::Unknown("the provider knows of no payment on this charge".into())),
            };
        }
        if refund.amount <= 0 || refundable(&report, refund).is_none_or(|most| refund.amount > most) {
            return Ok(refused("AMOUNT", "not what the provider has been paid on this charge"));
        }
        let report = if ask {
            let number = refund.refund.as_str();
            if let Err(over) = self.metered(|meter| meter.refund(number, Instant::now())) {
                // Not a no: the kiosk must not take the money for settled.
                return Err(RailError::Unknown(over.to_string()));
            }
            self.rail.refund(refund).await?
        } else {
            self.rail.query_refund(refund).await?
        };
        Ok(Says::Refund { refund: refund.clone(), report })
    }

    fn makers(&self) -> MutexGuard<'_, Makers> {
        self.makers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_anothers(&self, charge: &ChargeId) -> bool {
        self.makers().is_anothers(charge, self.name)
    }

    fn metered<T>(&self, count: impl FnOnce(&mut Meter) -> T) -> T {
        count(&mut self.customer.meter())
    }
}

/// Whether the numbers of an ask say themselves what they belong to.
fn numbers_fit(ask: &Ask) -> bool {
    match ask {
        Ask::Probe | Ask::Noticed { .. } => true,
        Ask::Create(NewCharge { charge, order, .. })
        | Ask::Query(ChargeRef { charge, order, .. })
        | Ask::Close(ChargeRef { charge, order, .. }) => charge.order() == Some(*order),
        Ask::Refund(refund) | Ask::QueryRefund(refund) => {
            refund.refund.charge().as_ref() == Some(&refund.charge) && refund.charge.order() == Some(refund.order)
        }
    }
}

fn foreign(why: &str) -> RailError {
    RailError::Refused { code: "FOREIGN".into(), why: why.into() }
}

fn refused(code: &str, why: &str) -> Says {
    Says::Refused { code: code.into(), why: why.into() }
}

#[cfg(test)]
mod tests;
