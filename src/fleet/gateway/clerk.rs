//! Answers one verified request: whose charge it is, whether it is within the limits, and what the provider says.
//!
//! Policy: a kiosk's charge is the one that the provider's book says is the kiosk's. That name is written by the gateway
//! when the charge is made, whatever the request says, and read back from the provider before anything is told, closed
//! or given back; nothing is remembered here. What can't be found out is [`Says::Unknown`], and the kiosk asks again. A
//! refund is never answered with a no that only the gateway's own state stands behind.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::limits::{Limits, Meter};
use super::{GatewayRail, Rails};
use crate::fleet::topic::{Address, Name};
use crate::payment::gateway::wire::{Ask, Says};
use crate::payment::{ChargeRef, ChargeReport, NewCharge, RailError, RefundReport, RefundRequest, Standing};
use crate::vocabulary::Minor;

/// Requests at one provider at a time; a slow one can't take the threads of the others.
const PER_RAIL: usize = 100;
/// Requests of one kiosk at a time: the order on the glass and some that settle.
const PER_KIOSK: usize = 8;
/// Rails have their own time-outs, which are shorter.
const LONGEST_ASK: Duration = Duration::from_secs(60);
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 3600);
const LONGEST_DESCRIPTION: usize = 512;

pub(super) struct Clerk {
    rails: BTreeMap<String, Counter>,
    customers: BTreeMap<Name, Customer>,
}

struct Counter {
    rail: Arc<dyn GatewayRail>,
    room: Semaphore,
}

struct Customer {
    meter: Mutex<Meter>,
    room: Semaphore,
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
        Self { rails: rails.into_iter().map(counter).collect(), customers: kiosks.into_iter().map(customer).collect() }
    }

    pub fn rail(&self, name: &str) -> Option<&Arc<dyn GatewayRail>> {
        self.rails.get(name).map(|counter| &counter.rail)
    }

    /// The request is this kiosk's, by its signature.
    pub async fn answer(&self, kiosk: &Address, rail: &str, ask: &Ask) -> Says {
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
        let desk = Desk { rail: &*counter.rail, kiosk: kiosk.to_string(), meter: &customer.meter };
        match tokio::time::timeout(LONGEST_ASK, desk.answer(ask)).await {
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
    meter: &'a Mutex<Meter>,
}

impl Desk<'_> {
    async fn answer(&self, ask: &Ask) -> Result<Says, RailError> {
        match ask {
            Ask::Probe => self.rail.probe().await.map(|()| Says::Here),
            Ask::Create(charge) => self.create(charge).await,
            Ask::Query(charge) => {
                let report = self.own(charge).await?;
                Ok(Says::Charge { charge: charge.clone(), report })
            }
            Ask::Close(charge) => {
                self.own(charge).await?;
                let report = self.rail.close(charge).await?;
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
            return Ok(refused("LIMIT", &over.to_string()));
        }
        let charge = NewCharge { attach: self.kiosk.clone(), ..charge.clone() };
        let created = self.rail.create(&charge).await?;
        let NewCharge { charge, order, amount, currency, .. } = charge;
        Ok(Says::Created { charge: ChargeRef { charge, order, amount, currency }, payload: created.payload })
    }

    /// What the provider knows of a charge that is the asker's, or nobody's yet.
    async fn own(&self, charge: &ChargeRef) -> Result<ChargeReport, RailError> {
        let report = self.rail.query(charge).await?;
        match owner(self.rail, &report, &self.kiosk) {
            Owner::Asker | Owner::Nobody => Ok(report),
            Owner::Other => Err(RailError::Refused {
                code: "FOREIGN".into(),
                why: "by the provider's book the charge is not this kiosk's".into(),
            }),
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
                (Some(_), Standing::Closed) => Ok(refused("UNPAID", "the charge was closed without a payment")),
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

    fn metered<T>(&self, count: impl FnOnce(&mut Meter) -> T) -> T {
        count(&mut self.meter.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn refused(code: &str, why: &str) -> Says {
    Says::Refused { code: code.into(), why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::{Answer, Created, Payment, Rail};
    use crate::vocabulary::{ChargeId, Currency, OrderId, PaymentId, RefundId};

    const K1: &str = "street/K1";
    const LIMITS: Limits = Limits { max_amount: 1000, orders_per_hour: 2, refunds_per_hour: 1 };

    /// A provider that says what it was told to say, and remembers what it was asked to do.
    struct Told {
        report: Mutex<ChargeReport>,
        notes: Mutex<Vec<String>>,
        speaks: bool,
    }

    impl Told {
        fn note(&self, what: String) {
            self.notes.lock().unwrap().push(what);
        }
    }

    impl Rail for Told {
        fn create<'a>(&'a self, charge: &'a NewCharge) -> Answer<'a, Created> {
            self.note(format!("create {} for {}", charge.charge, charge.attach));
            Box::pin(async { Ok(Created { payload: "pay me".into() }) })
        }
        fn query<'a>(&'a self, _: &'a ChargeRef) -> Answer<'a, ChargeReport> {
            Box::pin(async { Ok(self.report.lock().unwrap().clone()) })
        }
        fn close<'a>(&'a self, charge: &'a ChargeRef) -> Answer<'a, Option<ChargeReport>> {
            self.note(format!("close {}", charge.charge));
            Box::pin(async { Ok(None) })
        }
        fn refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport> {
            self.note(format!("refund {}", refund.refund));
            Box::pin(async { Ok(RefundReport::Done) })
        }
        fn query_refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport> {
            self.note(format!("query-refund {}", refund.refund));
            Box::pin(async { Ok(RefundReport::Done) })
        }
        fn probe(&self) -> Answer<'_, ()> {
            Box::pin(async { Ok(()) })
        }
    }

    impl crate::payment::Notifies for Told {
        fn notification(
            &self,
            _: &dyn Fn(&str) -> Option<String>,
            _: &[u8],
        ) -> Result<Option<crate::payment::Notification>, RailError> {
            Ok(None)
        }
        fn taken(&self) -> &'static str {
            ""
        }
    }

    impl GatewayRail for Told {
        fn notifies(&self) -> Option<&dyn crate::payment::Notifies> {
            self.speaks.then_some(self as _)
        }
        fn bears(&self, given: &str, attach: &str) -> bool {
            given == attach || given == format!("short for {attach}")
        }
    }

    fn order() -> OrderId {
        OrderId::from_parts(1, 1)
    }

    fn cny() -> Currency {
        Currency::from_code("CNY").unwrap()
    }

    fn charge() -> ChargeRef {
        ChargeRef { charge: ChargeId::parse("C_1").unwrap(), order: order(), amount: 300, currency: cny() }
    }

    fn new_charge(number: &str, amount: Minor) -> Ask {
        let life = Duration::from_secs(90);
        let charge = ChargeId::parse(number).unwrap();
        let (description, attach) = ("cola".into(), "street/K2".into());
        Ask::Create(NewCharge { charge, order: order(), amount, currency: cny(), life, description, attach })
    }

    fn refund(number: &str, amount: Minor) -> RefundRequest {
        let refund = RefundId::parse(number).unwrap();
        let ChargeRef { charge, order, amount: charged, currency } = charge();
        RefundRequest { refund, charge, order, amount, charged, currency }
    }

    fn report(attach: Option<&str>, payments: &[Minor]) -> ChargeReport {
        let payment = |amount: &Minor| Payment {
            id: PaymentId::parse("P1").unwrap(),
            amount: *amount,
            currency: cny(),
            order: order(),
        };
        ChargeReport {
            standing: Standing::Open,
            payments: payments.iter().map(payment).collect(),
            returned: 0,
            attach: attach.map(Into::into),
        }
    }

    struct Case {
        clerk: Clerk,
        rail: Arc<Told>,
    }

    impl Case {
        fn new(report: ChargeReport, speaks: bool) -> Self {
            let rail = Arc::new(Told { report: Mutex::new(report), notes: Mutex::default(), speaks });
            let rails: Rails = [("wallet".to_owned(), Arc::clone(&rail) as Arc<dyn GatewayRail>)].into();
            Self { clerk: Clerk::new(rails, [(Name::parse("K1").unwrap(), LIMITS)]), rail }
        }

        fn ask(&self, ask: &Ask) -> Says {
            self.ask_rail("wallet", ask)
        }

        fn ask_rail(&self, rail: &str, ask: &Ask) -> Says {
            let name = |text| Name::parse(text).unwrap();
            let kiosk = Address { fleet: name("street"), kiosk: name("K1") };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(self.clerk.answer(&kiosk, rail, ask))
        }

        fn notes(&self) -> Vec<String> {
            std::mem::take(&mut *self.rail.notes.lock().unwrap())
        }
    }

    fn code(says: &Says) -> &str {
        match says {
            Says::Refused { code, .. } => code,
            Says::Unknown { .. } => "unknown",
            _ => "answered",
        }
    }

    #[test]
    fn the_name_on_a_new_charge_is_the_askers_whatever_it_says() {
        let case = Case::new(report(None, &[]), true);
        assert_eq!(code(&case.ask(&new_charge("C_1", 300))), "answered");
        assert_eq!(case.notes(), ["create C_1 for street/K1"]);
    }

    #[test]
    fn over_a_limit_nothing_is_made_and_no_money_is_forgotten() {
        let case = Case::new(report(Some(K1), &[300]), true);
        let codes: Vec<String> = [("C_1", 1001), ("C_1", 1000), ("C_2", 1), ("C_3", 1), ("C_1", 1000)]
            .map(|(number, amount)| code(&case.ask(&new_charge(number, amount))).to_owned())
            .into();
        assert_eq!(codes, ["LIMIT", "answered", "answered", "LIMIT", "answered"]);
        assert_eq!(case.notes().len(), 3);
        let codes: Vec<String> =
            ["R_1", "R_2", "R_1"].map(|number| code(&case.ask(&Ask::Refund(refund(number, 100)))).to_owned()).into();
        assert_eq!(codes, ["answered", "unknown", "answered"]);
        assert_eq!(case.notes(), ["refund R_1", "refund R_1"]);
    }

    #[test]
    fn no_charge_of_nothing_for_nothing_or_for_ever() {
        let case = Case::new(report(None, &[]), true);
        let Ask::Create(good) = new_charge("C_1", 300) else { unreachable!() };
        for bad in [
            NewCharge { amount: 0, ..good.clone() },
            NewCharge { amount: -300, ..good.clone() },
            NewCharge { life: Duration::ZERO, ..good.clone() },
            NewCharge { life: Duration::from_secs(90_000), ..good.clone() },
            NewCharge { description: "x".repeat(513), ..good },
        ] {
            assert_eq!(code(&case.ask(&Ask::Create(bad))), "REQUEST");
        }
        assert!(case.notes().is_empty());
    }

    #[test]
    fn only_the_askers_charge_is_told_closed_and_given_back() {
        let asks = [
            Ask::Query(charge()),
            Ask::Close(charge()),
            Ask::Refund(refund("R_1", 1)),
            Ask::QueryRefund(refund("R_1", 1)),
        ];
        for (attach, payments, codes, notes) in [
            (Some(K1), &[300][..], ["answered"; 4], &["close C_1", "refund R_1", "query-refund R_1"][..]),
            (Some("short for street/K1"), &[300], ["answered"; 4], &["close C_1", "refund R_1", "query-refund R_1"]),
            (Some("street/K2"), &[300], ["FOREIGN"; 4], &[]),
            (Some("street/K2"), &[], ["FOREIGN"; 4], &[]),
            (Some("other/K1"), &[300], ["FOREIGN"; 4], &[]),
            (None, &[300], ["unknown"; 4], &[]),
            // Not scanned yet: nobody's, and there is nothing to give back.
            (None, &[], ["answered", "answered", "unknown", "unknown"], &["close C_1"]),
        ] {
            let case = Case::new(report(attach, payments), true);
            for (ask, expected) in asks.iter().zip(codes) {
                assert_eq!(code(&case.ask(ask)), expected, "{attach:?} {payments:?} {ask:?}");
            }
            assert_eq!(case.notes(), notes, "{attach:?} {payments:?}");
        }
    }

    #[test]
    fn no_more_is_given_back_than_was_paid() {
        let foreign = Payment { order: OrderId::from_parts(2, 2), ..report(None, &[300]).payments.remove(0) };
        let euros =
            Payment { currency: Currency::from_code("EUR").unwrap(), ..report(None, &[300]).payments.remove(0) };
        let paid = report(Some(K1), &[300, 300]);
        for (report, amount, expected) in [
            (paid.clone(), 600, "answered"),
            (paid.clone(), 601, "AMOUNT"),
            (paid.clone(), 0, "AMOUNT"),
            (paid.clone(), -1, "AMOUNT"),
            (ChargeReport { returned: 300, ..paid.clone() }, 301, "AMOUNT"),
            (ChargeReport { returned: 300, ..paid.clone() }, 300, "answered"),
            (ChargeReport { payments: vec![foreign], ..paid.clone() }, 300, "AMOUNT"),
            (ChargeReport { payments: vec![euros], ..paid }, 300, "AMOUNT"),
        ] {
            let case = Case::new(report.clone(), true);
            assert_eq!(code(&case.ask(&Ask::Refund(refund("R_1", amount)))), expected, "{amount} of {report:?}");
            assert_eq!(case.notes().len(), usize::from(expected == "answered"));
        }
    }

    #[test]
    fn without_a_payment_there_is_no_refund_but_a_person_where_no_book_can_be_asked() {
        let unpaid = report(Some(K1), &[]);
        let closed = ChargeReport { standing: Standing::Closed, ..unpaid.clone() };
        let ask = Ask::Refund(refund("R_1", 300));
        assert_eq!(code(&Case::new(unpaid.clone(), true).ask(&ask)), "unknown");
        assert_eq!(code(&Case::new(closed, true).ask(&ask)), "UNPAID");
        let silent = Case::new(unpaid, false);
        let says = silent.ask(&ask);
        assert!(matches!(says, Says::Refund { report: RefundReport::Failed, .. }), "{says:?}");
        assert!(silent.notes().is_empty());
    }

    #[test]
    fn a_rail_the_gateway_has_not() {
        let case = Case::new(report(Some(K1), &[300]), true);
        assert_eq!(code(&case.ask_rail("x", &Ask::Probe)), "RAIL");
        assert_eq!(code(&case.ask_rail("x", &new_charge("C_1", 1))), "RAIL");
        assert_eq!(code(&case.ask_rail("x", &Ask::Refund(refund("R_1", 1)))), "unknown");
        assert_eq!(code(&case.ask_rail("x", &Ask::Query(charge()))), "unknown");
    }
}
