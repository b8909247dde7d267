use super::*;
use crate::payment::{Answer, Rail};
use crate::vocabulary::{Created, Currency, OrderId, Payment, PaymentId, RefundId};

const K1: &str = "street/K1";
const LIMITS: Limits = Limits { max_amount: 1000, orders_per_hour: 2, charges_per_minute: 200, refunds_per_hour: 1 };

/// Which attempt, or which refund.
fn last(number: &str) -> &str {
    number.rsplit('_').next().unwrap()
}

/// A provider that says what it was told to say, and remembers what it was asked to do.
struct FakeProvider {
    report: Mutex<ChargeReport>,
    /// What it knows of every refund.
    refund: Mutex<RefundReport>,
    /// How long a query takes.
    slow: Mutex<Duration>,
    calls: Mutex<Vec<String>>,
    speaks: bool,
}

impl FakeProvider {
    fn log(&self, what: String) {
        self.calls.lock().unwrap().push(what);
    }
}

impl Rail for FakeProvider {
    fn create<'a>(&'a self, charge: &'a NewCharge) -> Answer<'a, Created> {
        self.log(format!("create {} for {}", last(charge.charge.as_str()), charge.attach));
        Box::pin(async { Ok(Created { payload: "pay me".into() }) })
    }
    fn query<'a>(&'a self, _: &'a ChargeRef) -> Answer<'a, ChargeReport> {
        Box::pin(async {
            let slow = *self.slow.lock().unwrap();
            if !slow.is_zero() {
                tokio::time::sleep(slow).await;
            }
            Ok(self.report.lock().unwrap().clone())
        })
    }
    fn close<'a>(&'a self, charge: &'a ChargeRef) -> Answer<'a, Option<ChargeReport>> {
        self.log(format!("close {}", last(charge.charge.as_str())));
        Box::pin(async { Ok(None) })
    }
    fn refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport> {
        self.log(format!("refund {}", last(refund.refund.as_str())));
        Box::pin(async { Ok(RefundReport::Done) })
    }
    fn query_refund<'a>(&'a self, refund: &'a RefundRequest) -> Answer<'a, RefundReport> {
        self.log(format!("query-refund {}", last(refund.refund.as_str())));
        Box::pin(async { Ok(*self.refund.lock().unwrap()) })
    }
    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

impl crate::payment::Notifies for FakeProvider {
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

impl GatewayRail for FakeProvider {
    fn notifies(&self) -> Option<&dyn crate::payment::Notifies> {
        self.speaks.then_some(self as _)
    }
    fn attach_matches(&self, given: &str, attach: &str) -> bool {
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
    ChargeRef { charge: ChargeId::of(order(), 1), order: order(), amount: 300, currency: cny() }
}

fn new_charge(attempt: usize, amount: Minor) -> Ask {
    let life = Duration::from_secs(90);
    let charge = ChargeId::of(order(), attempt);
    let (description, attach) = ("cola".into(), "street/K2".into());
    Ask::Create(NewCharge { charge, order: order(), amount, currency: cny(), life, description, attach })
}

fn refund(nth: usize, amount: Minor) -> RefundRequest {
    let ChargeRef { charge, order, amount: charged, currency } = charge();
    let refund = RefundId::of(&charge, nth);
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
    handler: Handler,
    rail: Arc<FakeProvider>,
}

impl Case {
    fn new(report: ChargeReport, speaks: bool) -> Self {
        let rail = Arc::new(FakeProvider {
            report: Mutex::new(report),
            refund: Mutex::new(RefundReport::Done),
            slow: Mutex::default(),
            calls: Mutex::default(),
            speaks,
        });
        let rails: Rails = [("wallet".to_owned(), Arc::clone(&rail) as Arc<dyn GatewayRail>)].into();
        let kiosks = ["K1", "K2"].map(|name| (Name::parse(name).unwrap(), LIMITS));
        Self { handler: Handler::new(rails, kiosks), rail }
    }

    fn ask(&self, ask: &Ask) -> Says {
        self.ask_rail("wallet", ask)
    }

    fn ask_rail(&self, rail: &str, ask: &Ask) -> Says {
        self.ask_as("K1", rail, ask)
    }

    fn ask_as(&self, kiosk: &str, rail: &str, ask: &Ask) -> Says {
        let name = |text| Name::parse(text).unwrap();
        let kiosk = Address { fleet: name("street"), kiosk: name(kiosk) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(self.handler.answer(&kiosk, rail, ask, MAX_WAIT))
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.rail.calls.lock().unwrap())
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
    assert_eq!(code(&case.ask(&new_charge(1, 300))), "answered");
    assert_eq!(case.calls(), ["create 1 for street/K1"]);
}

#[test]
fn over_a_limit_nothing_is_made_and_no_money_is_forgotten() {
    let case = Case::new(report(Some(K1), &[300]), true);
    let query = |attempt| Ask::Query(ChargeRef { charge: ChargeId::of(order(), attempt), ..charge() });
    let asks = [
        (new_charge(1, 1001), "AMOUNT"),
        (new_charge(1, 1000), "answered"),
        (query(1), "answered"),
        (query(1), "answered"),
        (new_charge(2, 1), "answered"),
        (query(2), "answered"),
        (new_charge(3, 1), "LIMIT"),
        (new_charge(1, 1000), "answered"),
    ];
    for (ask, expected) in asks {
        assert_eq!(code(&case.ask(&ask)), expected, "{ask:?}");
    }
    assert_eq!(case.calls().len(), 3);
    let codes: Vec<String> =
        [1, 2, 1].map(|number| code(&case.ask(&Ask::Refund(refund(number, 100)))).to_owned()).into();
    assert_eq!(codes, ["answered", "unknown", "answered"]);
    assert_eq!(case.calls(), ["refund 1", "refund 1"]);
}

#[test]
fn a_finger_that_never_pays_shuts_nothing() {
    let case = Case::new(report(None, &[]), true);
    for attempt in 1..=121 {
        for ask in [new_charge(attempt, 300), Ask::Query(charge()), Ask::Close(charge())] {
            assert_eq!(code(&case.ask(&ask)), "answered", "{attempt}");
        }
    }
}

#[test]
fn what_is_known_to_be_paid_is_not_closed() {
    let paid = report(Some(K1), &[300]);
    let case = Case::new(paid.clone(), true);
    for _ in 0..3 {
        assert_eq!(case.ask(&Ask::Close(charge())), Says::Closed { charge: charge(), report: Some(paid.clone()) });
    }
    assert!(case.calls().is_empty());
}

#[test]
fn what_bears_no_name_yet_is_its_makers() {
    let case = Case::new(report(None, &[]), true);
    assert_eq!(code(&case.ask(&new_charge(1, 300))), "answered");
    case.calls();
    for ask in [Ask::Query(charge()), Ask::Close(charge()), new_charge(1, 300), Ask::Refund(refund(1, 300))] {
        assert_eq!(code(&case.ask_as("K2", "wallet", &ask)), "FOREIGN", "{ask:?}");
    }
    assert!(case.calls().is_empty());
    assert_eq!(code(&case.ask(&Ask::Close(charge()))), "answered");
    // The provider's word is the better one.
    *case.rail.report.lock().unwrap() = report(Some("street/K2"), &[300]);
    assert_eq!(code(&case.ask_as("K2", "wallet", &Ask::Query(charge()))), "answered");

    let mut creators = Creators::default();
    let kiosk = Name::parse("K1").unwrap();
    for attempt in 0..2 * REMEMBERED {
        creators.remember(&ChargeId::of(order(), attempt), &kiosk);
    }
    assert_eq!((creators.charges.len(), creators.by_charge.len()), (REMEMBERED, REMEMBERED));
}

#[test]
fn nothing_is_begun_when_the_minute_has_passed() {
    let case = Case::new(report(Some(K1), &[]), true);
    *case.rail.slow.lock().unwrap() = Duration::from_millis(200);
    let name = |text| Name::parse(text).unwrap();
    let kiosk = Address { fleet: name("street"), kiosk: name("K1") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    // The query takes longer than the request is good, so the close after it is not sent.
    let left = Duration::from_millis(20);
    let says = runtime.block_on(case.handler.answer(&kiosk, "wallet", &Ask::Close(charge()), left));
    assert_eq!(code(&says), "unknown");
    assert!(case.calls().is_empty());
}

#[test]
fn a_number_says_what_it_belongs_to() {
    let case = Case::new(report(Some(K1), &[300]), true);
    let other = ChargeId::of(OrderId::from_parts(2, 2), 1);
    let of_another = |refund: RefundRequest| RefundRequest { refund: RefundId::of(&other, 1), ..refund };
    let elsewhere =
        |refund: RefundRequest| RefundRequest { charge: other.clone(), refund: RefundId::of(&other, 1), ..refund };
    let any = RefundId::parse("R_1").unwrap();
    for bad in [of_another(refund(1, 1)), elsewhere(refund(1, 1)), RefundRequest { refund: any, ..refund(1, 1) }] {
        assert_eq!(code(&case.ask(&Ask::Refund(bad.clone()))), "NUMBER", "{bad:?}");
        assert_eq!(code(&case.ask(&Ask::QueryRefund(bad))), "NUMBER");
    }
    let Ask::Create(new) = new_charge(1, 1) else { unreachable!() };
    for bad in [
        Ask::Create(NewCharge { charge: other.clone(), ..new }),
        Ask::Query(ChargeRef { charge: other.clone(), ..charge() }),
        Ask::Close(ChargeRef { charge: other.clone(), ..charge() }),
    ] {
        assert_eq!(code(&case.ask(&bad)), "NUMBER", "{bad:?}");
    }
    assert!(case.calls().is_empty());
}

#[test]
fn what_the_provider_gave_back_by_itself_is_no_refusal() {
    let closed = ChargeReport { standing: Standing::Closed, ..report(Some(K1), &[]) };
    for (knows, expected) in [
        (RefundReport::Done, "answered"),
        (RefundReport::Processing, "answered"),
        (RefundReport::Failed, "answered"),
        (RefundReport::Absent, "unknown"),
    ] {
        let case = Case::new(closed.clone(), true);
        *case.rail.refund.lock().unwrap() = knows;
        for ask in [Ask::Refund(refund(1, 300)), Ask::QueryRefund(refund(1, 300))] {
            let says = case.ask(&ask);
            assert_eq!(code(&says), expected, "{knows:?}");
            assert!(expected == "unknown" || says == Says::Refund { refund: refund(1, 300), report: knows });
        }
        assert_eq!(case.calls(), ["query-refund 1"; 2], "no money moves");
    }
}

#[test]
fn no_charge_of_nothing_for_nothing_or_for_ever() {
    let case = Case::new(report(None, &[]), true);
    let Ask::Create(good) = new_charge(1, 300) else { unreachable!() };
    for bad in [
        NewCharge { amount: 0, ..good.clone() },
        NewCharge { amount: -300, ..good.clone() },
        NewCharge { life: Duration::ZERO, ..good.clone() },
        NewCharge { life: Duration::from_secs(90_000), ..good.clone() },
        NewCharge { description: "x".repeat(513), ..good },
    ] {
        assert_eq!(code(&case.ask(&Ask::Create(bad))), "REQUEST");
    }
    assert!(case.calls().is_empty());
}

#[test]
fn only_the_askers_charge_is_told_closed_and_given_back() {
    let asks = [Ask::Query(charge()), Ask::Close(charge()), Ask::Refund(refund(1, 1)), Ask::QueryRefund(refund(1, 1))];
    for (attach, payments, codes, calls) in [
        (Some(K1), &[300][..], ["answered"; 4], &["refund 1", "query-refund 1"][..]),
        (Some("short for street/K1"), &[300], ["answered"; 4], &["refund 1", "query-refund 1"]),
        (Some("street/K2"), &[300], ["FOREIGN"; 4], &[]),
        (Some("street/K2"), &[], ["FOREIGN"; 4], &[]),
        (Some("other/K1"), &[300], ["FOREIGN"; 4], &[]),
        (None, &[300], ["unknown"; 4], &[]),
        // Not scanned yet: nobody's, and there is nothing to give back.
        (None, &[], ["answered", "answered", "unknown", "unknown"], &["close 1"]),
    ] {
        let case = Case::new(report(attach, payments), true);
        for (ask, expected) in asks.iter().zip(codes) {
            assert_eq!(code(&case.ask(ask)), expected, "{attach:?} {payments:?} {ask:?}");
        }
        assert_eq!(case.calls(), calls, "{attach:?} {payments:?}");
    }
}

#[test]
fn no_more_is_given_back_than_was_paid() {
    let foreign = Payment { order: OrderId::from_parts(2, 2), ..report(None, &[300]).payments.remove(0) };
    let euros = Payment { currency: Currency::from_code("EUR").unwrap(), ..report(None, &[300]).payments.remove(0) };
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
        assert_eq!(code(&case.ask(&Ask::Refund(refund(1, amount)))), expected, "{amount} of {report:?}");
        assert_eq!(case.calls().len(), usize::from(expected == "answered"));
    }
}

#[test]
fn without_a_payment_there_is_no_refund_but_a_person_where_no_book_can_be_asked() {
    let unpaid = report(Some(K1), &[]);
    let ask = Ask::Refund(refund(1, 300));
    assert_eq!(code(&Case::new(unpaid.clone(), true).ask(&ask)), "unknown");
    let silent = Case::new(unpaid, false);
    let says = silent.ask(&ask);
    assert!(matches!(says, Says::Refund { report: RefundReport::Failed, .. }), "{says:?}");
    assert!(silent.calls().is_empty());
}

#[test]
fn a_rail_the_gateway_has_not() {
    let case = Case::new(report(Some(K1), &[300]), true);
    assert_eq!(code(&case.ask_rail("x", &Ask::Probe)), "RAIL");
    assert_eq!(code(&case.ask_rail("x", &new_charge(1, 1))), "RAIL");
    assert_eq!(code(&case.ask_rail("x", &Ask::Refund(refund(1, 1)))), "unknown");
    assert_eq!(code(&case.ask_rail("x", &Ask::Query(charge()))), "unknown");
}
