//! Handles one verified request: it checks whose charge it is and the kiosk's limits, and asks the provider.
//!
//! Policy
//! - A charge is a kiosk's if the provider has that kiosk's name on record for it. The gateway writes the name when it
//!   makes the charge, whatever the request says, and reads it back from the provider before it reports, closes or
//!   refunds anything. Only while the provider has no name on record yet does the gateway's own memory of who made it
//!   count.
//! - Ids say what they belong to: a refund's id contains its charge's, a charge's id its order's. Some providers know
//!   refunds of a merchant by their id alone, so another kiosk's refund under the same id would block this one for
//!   ever.
//! - A charge that is known to be paid is never closed, because some providers give the money back when it is. The
//!   query and the close are two calls, and a payment may come between them: then the provider gives it back, and the
//!   answer says so.
//! - What can't be found out is answered with [`Says::Unknown`], and the kiosk asks again. A refund is never refused by
//!   the gateway's own state alone, nor by an answer that may mean that the money is back already.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::limits::{LimitExceeded, Limits, RateLimiter};
use super::{GatewayRail, Rails};
use crate::fleet::topic::{Address, Name};
use crate::payment::gateway::wire::{Ask, Says};
use crate::vocabulary::{
    ChargeId, ChargeRef, ChargeReport, Minor, NewCharge, RailError, RefundReport, RefundRequest, Standing,
};

/// So many requests may be in flight at one provider; a slow one can't take the threads of the others.
const PER_RAIL: usize = 100;
/// So many requests of one kiosk may be in flight: for the order on the glass and for some that settle.
const PER_KIOSK: usize = 8;
/// After this no further call goes to the provider. Rails have time-outs of their own, which are shorter.
const MAX_WAIT: Duration = Duration::from_secs(60);
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);
const LONGEST_DESCRIPTION: usize = 512;
/// The code of a refusal by which a kiosk knows that it can't use this rail for a while.
const LIMIT: &str = "LIMIT";

/// The creators of so many charges are remembered: a day of a large fleet.
const REMEMBERED: usize = 1 << 16;

pub(super) struct Handler {
    rails: BTreeMap<String, RailSlot>,
    kiosks: BTreeMap<Name, KioskSlot>,
    creators: Mutex<Creators>,
}

/// Which kiosk made the last charges. It complements the provider's record, which has no name until the QR was scanned.
#[derive(Default)]
struct Creators {
    by_charge: BTreeMap<ChargeId, Name>,
    /// The charges in the order in which they were made.
    charges: VecDeque<ChargeId>,
}

impl Creators {
    fn is_other_kiosks(&self, charge: &ChargeId, kiosk: &Name) -> bool {
        self.by_charge.get(charge).is_some_and(|creator| creator != kiosk)
    }

    fn remember(&mut self, charge: &ChargeId, kiosk: &Name) {
        if self.by_charge.contains_key(charge) {
            return;
        }
        if self.charges.len() == REMEMBERED
            && let Some(oldest) = self.charges.pop_front()
        {
            self.by_charge.remove(&oldest);
        }
        self.charges.push_back(charge.clone());
        self.by_charge.insert(charge.clone(), kiosk.clone());
    }
}

struct RailSlot {
    rail: Arc<dyn GatewayRail>,
    permits: Semaphore,
}

struct KioskSlot {
    limiter: Mutex<RateLimiter>,
    permits: Semaphore,
}

impl KioskSlot {
    fn limiter(&self) -> MutexGuard<'_, RateLimiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who made a charge, by the provider's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// The kiosk that asks.
    Asker,
    /// Nobody has scanned the QR, so the provider has no name on record yet.
    Nobody,
    Other,
    /// It has been paid, and the provider does not say whose it is.
    Unsaid,
}

fn owner(rail: &dyn GatewayRail, report: &ChargeReport, kiosk: &str) -> Owner {
    match &report.attach {
        Some(given) if rail.attach_matches(given, kiosk) => Owner::Asker,
        Some(_) => Owner::Other,
        None if report.payments.is_empty() && report.returned == 0 => Owner::Nobody,
        None => Owner::Unsaid,
    }
}

/// The sum that was paid on a charge and not given back by the provider itself; `None` when the payments are not this
/// order's.
fn refundable(report: &ChargeReport, refund: &RefundRequest) -> Option<Minor> {
    let paid = report.payments.iter().try_fold(0, |sum: Minor, payment| {
        let fits = payment.order == refund.order && payment.currency == refund.currency && payment.amount > 0;
        if fits { sum.checked_add(payment.amount) } else { None }
    })?;
    paid.checked_sub(report.returned)
}

impl Handler {
    pub fn new(rails: Rails, kiosks: impl IntoIterator<Item = (Name, Limits)>) -> Self {
        let rail_slot = |(name, rail)| (name, RailSlot { rail, permits: Semaphore::new(PER_RAIL) });
        let kiosk_slot = |(name, limits)| {
            (name, KioskSlot { limiter: Mutex::new(RateLimiter::new(limits)), permits: Semaphore::new(PER_KIOSK) })
        };
        Self {
            rails: rails.into_iter().map(rail_slot).collect(),
            kiosks: kiosks.into_iter().map(kiosk_slot).collect(),
            creators: Mutex::default(),
        }
    }

    pub fn rail(&self, name: &str) -> Option<&Arc<dyn GatewayRail>> {
        self.rails.get(name).map(|slot| &slot.rail)
    }

    /// A notification has told that a charge was paid.
    pub fn paid(&self, kiosk: &Name, charge: &ChargeId) {
        if let Some(slot) = self.kiosks.get(kiosk) {
            slot.limiter().paid(charge.as_str(), Instant::now());
        }
    }

    /// Answers a request, whose signature by this kiosk is verified and which stays good for `left`.
    pub async fn answer(&self, kiosk: &Address, rail: &str, ask: &Ask, left: Duration) -> Says {
        let unknown = |why: &str| Says::Unknown { why: why.into() };
        let Some(kiosk_slot) = self.kiosks.get(&kiosk.kiosk) else { return unknown("no such kiosk") };
        let Some(rail_slot) = self.rails.get(rail) else {
            return match ask {
                Ask::Probe | Ask::Create(_) => refused("RAIL", "the gateway has no such rail"),
                // Money may depend on it, and the gateway may get the rail back.
                _ => unknown("the gateway has no such rail"),
            };
        };
        let (Ok(_one), Ok(_other)) = (kiosk_slot.permits.try_acquire(), rail_slot.permits.try_acquire()) else {
            return unknown("the gateway is busy");
        };
        let request = RailRequest {
            rail: &*rail_slot.rail,
            kiosk: kiosk.to_string(),
            name: &kiosk.kiosk,
            slot: kiosk_slot,
            creators: &self.creators,
        };
        match tokio::time::timeout(left.min(MAX_WAIT), request.answer(ask)).await {
            Ok(Ok(says)) => says,
            Ok(Err(RailError::Refused { code, why })) => Says::Refused { code, why },
            Ok(Err(RailError::Unknown(why))) => Says::Unknown { why },
            Err(_) => unknown("the provider took too long"),
        }
    }
}

/// One kiosk's request to one rail.
struct RailRequest<'a> {
    rail: &'a dyn GatewayRail,
    kiosk: String,
    name: &'a Name,
    slot: &'a KioskSlot,
    creators: &'a Mutex<Creators>,
}

impl RailRequest<'_> {
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
        if let Err(over) = self.limited(|limiter| limiter.charge(number, charge.amount, Instant::now())) {
            // The one is about this charge, the other about every charge for a while.
            let code = if matches!(over, LimitExceeded::Amount(_)) { "AMOUNT" } else { LIMIT };
            return Ok(refused(code, &over.to_string()));
        }
        if self.is_other_kiosks(&charge.charge) {
            return Err(foreign("another kiosk has made a charge under this number"));
        }
        self.creators().remember(&charge.charge, self.name);
        let charge = NewCharge { attach: self.kiosk.clone(), ..charge.clone() };
        let created = self.rail.create(&charge).await?;
        let NewCharge { charge, order, amount, currency, .. } = charge;
        Ok(Says::Created { charge: ChargeRef { charge, order, amount, currency }, payload: created.payload })
    }

    /// What the provider knows of a charge that is the asker's, or nobody's yet.
    async fn own(&self, charge: &ChargeRef) -> Result<ChargeReport, RailError> {
        let report = self.rail.query(charge).await?;
        match owner(self.rail, &report, &self.kiosk) {
            Owner::Nobody if self.is_other_kiosks(&charge.charge) => Err(foreign("another kiosk has made the charge")),
            Owner::Asker | Owner::Nobody => {
                if !report.payments.is_empty() {
                    self.limited(|limiter| limiter.paid(charge.charge.as_str(), Instant::now()));
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
                // Never paid, or given back in full by the provider itself: not every book tells the one from the
                // other.
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
            if let Err(over) = self.limited(|limiter| limiter.refund(number, Instant::now())) {
                // Not a no: the kiosk must not take the money for settled.
                return Err(RailError::Unknown(over.to_string()));
            }
            self.rail.refund(refund).await?
        } else {
            self.rail.query_refund(refund).await?
        };
        Ok(Says::Refund { refund: refund.clone(), report })
    }

    fn creators(&self) -> MutexGuard<'_, Creators> {
        self.creators.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_other_kiosks(&self, charge: &ChargeId) -> bool {
        self.creators().is_other_kiosks(charge, self.name)
    }

    fn limited<T>(&self, count: impl FnOnce(&mut RateLimiter) -> T) -> T {
        count(&mut self.slot.limiter())
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
