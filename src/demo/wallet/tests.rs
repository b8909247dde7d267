use super::*;
use crate::vocabulary::OrderId;

const PRICE: Minor = 300;

struct Bench {
    wallet: Wallet,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { wallet: Wallet::open(&folder.path().join("wallet.db")).unwrap(), folder }
    }

    fn ask(&self, what: What) -> Option<Says> {
        let sealed = wire::seal(Message::Request, &Request { nonce: 5, ask: what });
        let (ask, request) = Wallet::read(&sealed).unwrap();
        match self.wallet.respond(ask, request).unwrap() {
            Response::Answer { sealed, .. } => match wire::open::<Reply>(Message::Answer, &sealed) {
                Ok(reply) => {
                    assert_eq!(reply.nonce, 5);
                    Some(reply.says)
                }
                Err(why) => {
                    assert_eq!(why, Unverified::Signature);
                    None
                }
            },
            Response::Silence => None,
        }
    }

    fn charge(&self, n: usize) -> (ChargeId, String) {
        match self.ask(create(n, PRICE)) {
            Some(Says::Created { charge, payload, .. }) => (charge, payload),
            other => panic!("{other:?}"),
        }
    }

    fn act(&self, payload: &str, action: Action) -> bool {
        matches!(self.wallet.act(payload, action).unwrap(), Outcome::Accepted { .. })
    }

    fn report(&self, charge: &ChargeId) -> ChargeReport {
        match self.ask(What::Query { charge: charge.clone() }) {
            Some(Says::Charge(state)) => state.report,
            other => panic!("{other:?}"),
        }
    }

    fn close(&self, charge: &ChargeId) -> Says {
        self.ask(What::Close { charge: charge.clone() }).unwrap()
    }

    fn refund(&self, charge: &ChargeId, nth: usize, amount: Minor) -> Option<Says> {
        self.ask(What::Refund {
            refund: RefundId::of(charge, nth),
            charge: charge.clone(),
            amount,
            currency: Currency::from_code("CNY").unwrap(),
        })
    }

    fn ask_refund(&self, charge: &ChargeId, nth: usize) -> Says {
        self.ask(What::QueryRefund { refund: RefundId::of(charge, nth), charge: charge.clone() }).unwrap()
    }

    /// State, paid, refunded of the first charge.
    fn first(&self) -> (String, i64, i64) {
        let book = self.wallet.book().unwrap();
        let charge = &book["charges"][0];
        let number = |key: &str| charge[key].as_i64().unwrap();
        (charge["state"].as_str().unwrap().to_owned(), number("paid"), number("refunded"))
    }
}

fn order(n: usize) -> OrderId {
    OrderId::from_parts(1_700_000_000_000, n as u128 + 123_456)
}

fn create(n: usize, amount: Minor) -> What {
    What::Create {
        charge: ChargeId::of(order(n), 1),
        order: order(n),
        amount,
        currency: Currency::from_code("CNY").unwrap(),
        life_ms: 90_000,
        description: "Demo Drinks, cola, 123456".into(),
    }
}

fn code(says: Option<Says>) -> String {
    match says {
        Some(Says::Refused { code, .. }) => code,
        other => panic!("not refused: {other:?}"),
    }
}

fn refunded(says: Option<Says>) -> RefundReport {
    match says {
        Some(Says::Refund { report, .. }) => report,
        other => panic!("no refund: {other:?}"),
    }
}

#[test]
fn the_same_charge_again_is_the_same_and_another_under_its_number_is_refused() {
    let bench = Bench::new();
    let (charge, payload) = bench.charge(1);
    assert_eq!(bench.charge(1), (charge.clone(), payload.clone()));
    assert!(payload.len() <= 60, "{payload}");
    assert!(payload.ends_with(order(1).short_code().as_str()));
    assert_eq!(code(bench.ask(create(1, PRICE + 1))), "CHARGE_USED");
    assert_eq!(code(bench.ask(create(2, 0))), "PARAM_ERROR");
    assert_eq!(bench.wallet.book().unwrap()["charges"].as_array().unwrap().len(), 1);

    let offer = bench.wallet.offer(&payload).unwrap().unwrap();
    assert_eq!((offer.amount, offer.state), (PRICE, "open"));
    assert_eq!(bench.wallet.offer("kioskpay://sandbox/other").unwrap(), None);
}

#[test]
fn the_book_has_exactly_the_fields_of_the_page() {
    let bench = Bench::new();
    bench.charge(1);
    let book = bench.wallet.book().unwrap();
    let expected = serde_json::json!({ "charges": [{
        "id": ChargeId::of(order(1), 1), "order": order(1), "amount": PRICE, "currency": "CNY",
        "state": "open", "paid": 0, "refunded": 0
    }]});
    assert_eq!(book, expected);
}

#[test]
fn every_action_of_the_payer() {
    for (action, paid, state) in [
        (Action::Pay, vec![PRICE], "paid"),
        (Action::PayTwice, vec![PRICE, PRICE], "paid"),
        (Action::PayWrongAmount, vec![PRICE - 1], "paid"),
        (Action::Abandon, vec![], "open"),
        (Action::PayLate, vec![], "open"),
    ] {
        let bench = Bench::new();
        let (charge, payload) = bench.charge(1);
        assert!(bench.act(&payload, action), "{action:?}");
        let report = bench.report(&charge);
        assert_eq!(report.payments.iter().map(|p| p.amount).collect::<Vec<_>>(), paid, "{action:?}");
        assert_eq!(report.standing == Standing::Open, paid.is_empty(), "{action:?}");
        assert_eq!(bench.first(), (state.to_owned(), paid.iter().sum(), 0), "{action:?}");
        assert_eq!(bench.wallet.take_notices(0).len(), paid.len(), "{action:?}");
        assert!(bench.wallet.take_notices(0).is_empty());
    }
}

#[test]
fn a_payer_is_refused_what_can_not_be_paid() {
    let bench = Bench::new();
    assert!(!bench.act("kioskpay://sandbox/none", Action::Pay));
    assert!(!bench.act("kioskpay://sandbox/none", Action::PayLate));

    let (_, paid) = bench.charge(1);
    assert!(bench.act(&paid, Action::Pay));
    for action in [Action::Pay, Action::PayTwice, Action::PayLate, Action::PayWrongAmount] {
        assert!(!bench.act(&paid, action), "{action:?}");
    }

    let (charge, closed) = bench.charge(2);
    bench.close(&charge);
    assert!(!bench.act(&closed, Action::Pay));
    assert_eq!(bench.report(&charge).payments, []);

    let (charge, expired) = bench.charge(3);
    bench.wallet.advance(Duration::from_secs(91));
    assert!(!bench.act(&expired, Action::PayTwice));
    assert_eq!(bench.report(&charge).standing, Standing::Closed);
}

#[test]
fn a_notice_goes_to_the_till_that_has_asked_for_the_charge() {
    let bench = Bench::new();
    let (first, payload) = bench.charge(1);
    bench.wallet.belongs(first, 1);
    assert!(bench.act(&payload, Action::Pay));
    assert_eq!((bench.wallet.take_notices(0).len(), bench.wallet.take_notices(1).len()), (0, 1));
    let (_, payload) = bench.charge(2);
    assert!(bench.act(&payload, Action::Pay));
    assert_eq!(bench.wallet.take_notices(2).len(), 1, "nobody's in this run");
}

#[test]
fn late_payments_come_after_the_close_or_the_expiry_and_once() {
    let bench = Bench::new();
    let (closed, payload) = bench.charge(1);
    assert!(bench.act(&payload, Action::PayLate));
    bench.wallet.tick().unwrap();
    assert_eq!(bench.report(&closed).payments.len(), 0);
    bench.close(&closed);
    assert_eq!(bench.report(&closed).payments.len(), 1);
    assert_eq!(bench.wallet.take_notices(0).len(), 1);

    let (expired, payload) = bench.charge(2);
    assert!(bench.act(&payload, Action::PayLate));
    bench.wallet.advance(Duration::from_secs(91));
    bench.wallet.tick().unwrap();
    bench.wallet.tick().unwrap();
    assert_eq!(bench.wallet.take_notices(0).len(), 1);
    assert_eq!(bench.report(&expired).payments.len(), 1);

    let (gone, payload) = bench.charge(3);
    bench.close(&gone);
    assert!(bench.act(&payload, Action::PayLate));
    assert_eq!(bench.report(&gone).payments.len(), 1);
}

#[test]
fn refunds_never_exceed_payments_and_a_repeat_is_the_same_refund() {
    let bench = Bench::new();
    let (charge, payload) = bench.charge(1);
    assert_eq!(code(bench.refund(&charge, 1, 1)), "REFUND_EXCEEDS");
    bench.act(&payload, Action::Pay);
    assert_eq!(refunded(Some(bench.ask_refund(&charge, 1))), RefundReport::Absent);
    assert_eq!(refunded(bench.refund(&charge, 1, 200)), RefundReport::Done);
    assert_eq!(refunded(bench.refund(&charge, 1, 200)), RefundReport::Done);
    assert_eq!(code(bench.refund(&charge, 1, 100)), "REFUND_USED");
    assert_eq!(code(bench.refund(&charge, 2, 101)), "REFUND_EXCEEDS");
    assert_eq!(code(bench.refund(&charge, 2, -1)), "REFUND_EXCEEDS");
    assert_eq!(bench.first(), ("paid".into(), PRICE, 200));
    assert_eq!(refunded(bench.refund(&charge, 2, 100)), RefundReport::Done);
    assert_eq!(bench.first(), ("refunded".into(), PRICE, PRICE));
    assert_eq!(code(bench.refund(&ChargeId::of(order(9), 1), 1, 1)), "CHARGE_NOT_EXIST");
}

#[test]
fn a_lost_or_forged_answer_was_carried_out() {
    let bench = Bench::new();
    let all = vec![Ask::Create, Ask::Close, Ask::Refund];
    bench.wallet.set_behaviour(Behaviour { lose_next: all.clone(), ..Behaviour::default() });
    assert_eq!(bench.ask(create(1, PRICE)), None);
    let (charge, payload) = bench.charge(1);
    bench.act(&payload, Action::Pay);
    assert_eq!(bench.refund(&charge, 1, PRICE), None);
    assert_eq!(bench.first(), ("refunded".into(), PRICE, PRICE));

    bench.wallet.set_behaviour(Behaviour { forge_next: all, ..Behaviour::default() });
    assert_eq!(bench.ask(create(2, PRICE)), None);
    assert!(bench.wallet.offer(&payload_of(2)).unwrap().is_some());
}

fn payload_of(n: usize) -> String {
    payload(&ChargeId::of(order(n), 1))
}

#[test]
fn odd_closes_and_slow_refunds() {
    let bench = Bench::new();
    let (charge, payload) = bench.charge(1);
    bench.wallet.set_behaviour(Behaviour { close_not_holding: true, ..Behaviour::default() });
    assert!(matches!(bench.close(&charge), Says::Closed { .. }));
    assert_eq!(bench.report(&charge).standing, Standing::Open);
    assert!(bench.act(&payload, Action::Pay));
    assert_eq!(code(Some(bench.close(&charge))), "CHARGE_PAID");

    bench.wallet.set_behaviour(Behaviour { refund_processing: 2, ..Behaviour::default() });
    assert_eq!(refunded(bench.refund(&charge, 1, 100)), RefundReport::Processing);
    assert_eq!(code(bench.refund(&charge, 2, 201)), "REFUND_EXCEEDS");
    assert_eq!(refunded(Some(bench.ask_refund(&charge, 1))), RefundReport::Processing);
    assert_eq!(bench.first(), ("paid".into(), PRICE, 0));
    assert_eq!(refunded(Some(bench.ask_refund(&charge, 1))), RefundReport::Done);

    bench.wallet.set_behaviour(Behaviour { cancel_refunds: true, refund_failed: true, ..Behaviour::default() });
    assert_eq!(refunded(bench.refund(&charge, 3, 200)), RefundReport::Failed);
    assert_eq!(refunded(bench.refund(&charge, 3, 200)), RefundReport::Failed);
    assert!(matches!(bench.close(&charge), Says::Closed { .. }));
    assert!(matches!(bench.close(&charge), Says::Closed { .. }));
    assert_eq!(bench.report(&charge).returned, 200);
    assert_eq!(bench.first(), ("refunded".into(), PRICE, PRICE));
}

#[test]
fn down_carries_nothing_out_and_the_book_lives_through_a_restart() {
    let bench = Bench::new();
    let (charge, payload) = bench.charge(1);
    bench.act(&payload, Action::PayLate);
    bench.wallet.set_behaviour(Behaviour { down: true, ..Behaviour::default() });
    assert_eq!(bench.ask(create(2, PRICE)), None);
    assert_eq!(bench.ask(What::Close { charge: charge.clone() }), None);
    let Bench { wallet, folder } = bench;
    drop(wallet);
    let bench = Bench { wallet: Wallet::open(&folder.path().join("wallet.db")).unwrap(), folder };
    assert_eq!(bench.first(), ("open".into(), 0, 0));
    bench.close(&charge);
    assert_eq!(bench.first(), ("paid".into(), PRICE, 0));
}
