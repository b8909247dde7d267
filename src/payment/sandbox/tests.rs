//! The rail's end against a provider that says whatever a test wants.

use std::io::BufReader;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::wire::{ChargeState, Message, Reply, Request, Says, What};
use super::*;
use crate::vocabulary::{Currency, OrderId, Payment, PaymentId, RefundId};
use crate::world::{ToKiosk, ToWorld, receive, send};

/// A rail whose provider answers with what `says` makes of a request; `None` is silence.
fn rail(says: impl Fn(Request) -> Option<Value> + Send + 'static) -> Sandbox {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("world.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Ok(Some((ToWorld::Ask { id, ask: Ask::Rail { request } }, _))) = receive::<ToWorld>(&mut reader) {
            if let Some(answer) = says(wire::open(Message::Request, &request).unwrap()) {
                send(&mut stream, &ToKiosk::Answer { id, answer: Ok(answer) }, &[]).unwrap();
            }
        }
    });
    Sandbox::new(
        World::connect(&socket, &crate::service::Supervisor::new(|_| ()), |_| {}).unwrap(),
        Duration::from_millis(200),
    )
}

fn honest(nonce: u64, says: Says) -> Option<Value> {
    Some(wire::seal(Message::Answer, &Reply { nonce, says }))
}

fn order(n: u128) -> OrderId {
    OrderId::from_parts(1, n)
}

fn cny() -> Currency {
    Currency::from_code("CNY").unwrap()
}

fn asked() -> ChargeRef {
    ChargeRef { charge: ChargeId::of(order(1), 1), order: order(1), amount: 300, currency: cny() }
}

fn state() -> ChargeState {
    let payment = Payment { id: PaymentId::parse("P_1").unwrap(), amount: 300, currency: cny(), order: order(1) };
    let report = ChargeReport { standing: Standing::Closed, payments: vec![payment], returned: 0, attach: None };
    ChargeState { charge: asked().charge, of: Some((order(1), cny())), report }
}

fn query(change: impl Fn(&mut ChargeState) + Send + 'static) -> Result<ChargeReport, RailError> {
    let rail = rail(move |request| {
        let mut state = state();
        change(&mut state);
        honest(request.nonce, Says::Charge(state))
    });
    block_on(rail.query(&asked()))
}

fn block_on<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(what)
}

fn is_unknown<T: std::fmt::Debug>(result: Result<T, RailError>) -> bool {
    matches!(result, Err(RailError::Unknown(_)))
}

#[test]
fn a_query_is_believed_only_about_the_very_charge_order_and_currency() {
    assert_eq!(query(|_| {}), Ok(state().report));
    assert!(is_unknown(query(|s| s.charge = ChargeId::of(order(1), 2))));
    assert!(is_unknown(query(|s| s.of = Some((order(2), cny())))));
    assert!(is_unknown(query(|s| s.of = Some((order(1), Currency::from_code("EUR").unwrap())))));
    assert!(is_unknown(query(|s| s.of = None)), "paid, and nobody says for what");
    assert!(is_unknown(query(|s| s.report.payments[0].amount = -300)));
    assert!(is_unknown(query(|s| s.report.returned = 301)));
    let absent = ChargeReport { standing: Standing::Absent, payments: vec![], returned: 0, attach: None };
    let expected = absent.clone();
    let told = query(move |s| (s.of, s.report) = (None, absent.clone()));
    assert_eq!(told, Ok(expected));
}

#[test]
fn silence_forgery_and_old_answers_are_unknown() {
    assert!(is_unknown(block_on(rail(|_| None).probe())));
    assert!(is_unknown(block_on(rail(|_| Some(Value::Null)).probe())));
    assert!(is_unknown(block_on(rail(|r| honest(r.nonce.wrapping_add(1), Says::Here)).probe())));
    let forged = rail(|r| {
        let mut sealed = honest(r.nonce, Says::Here)?;
        sealed["body"] = sealed["body"].as_str()?.replace("here", "Here").into();
        Some(sealed)
    });
    assert!(is_unknown(block_on(forged.probe())));
    assert_eq!(block_on(rail(|r| honest(r.nonce, Says::Here)).probe()), Ok(()));
    assert!(is_unknown(block_on(rail(|r| honest(r.nonce, Says::Charge(state()))).probe())));
}

#[test]
fn a_verified_no_is_a_refusal() {
    let rail = rail(|r| honest(r.nonce, Says::Refused { code: "CHARGE_PAID".into(), why: "it is paid".into() }));
    let refused = RailError::Refused { code: "CHARGE_PAID".into(), why: "it is paid".into() };
    assert_eq!(block_on(rail.close(&asked())), Err(refused));
}

#[test]
fn a_created_charge_is_the_one_that_was_asked_for() {
    let new = NewCharge {
        charge: asked().charge,
        order: order(1),
        amount: 300,
        currency: cny(),
        life: Duration::from_secs(90),
        description: "cola".into(),
        attach: "main/K1".into(),
    };
    let create = |amount_off: i64, payload: &'static str| {
        let rail = rail(move |request| {
            let What::Create { charge, order, amount, currency, life_ms, .. } = request.ask else { return None };
            assert_eq!(life_ms, 90_000);
            let payload = payload.to_owned();
            honest(request.nonce, Says::Created { charge, order, amount: amount + amount_off, currency, payload })
        });
        block_on(rail.create(&new))
    };
    assert_eq!(create(0, "kioskpay://x"), Ok(Created { payload: "kioskpay://x".into() }));
    assert!(is_unknown(create(-1, "kioskpay://x")));
    assert!(is_unknown(create(0, "")));
}

#[test]
fn a_refunds_answer_names_its_number_and_amount() {
    let charge = asked().charge;
    let request = RefundRequest {
        refund: RefundId::of(&charge, 1),
        charge: charge.clone(),
        order: order(1),
        amount: 300,
        charged: 300,
        currency: cny(),
    };
    let answer = |nth: usize, amount: i64, report: RefundReport| {
        let charge = charge.clone();
        let refund = RefundId::of(&charge, nth);
        let says = Says::Refund { refund, charge, amount, report };
        let rail = rail(move |r| honest(r.nonce, says.clone()));
        (block_on(rail.refund(&request)), block_on(rail.query_refund(&request)))
    };
    assert_eq!(answer(1, 300, RefundReport::Done), (Ok(RefundReport::Done), Ok(RefundReport::Done)));
    assert_eq!(answer(1, 0, RefundReport::Absent).1, Ok(RefundReport::Absent));
    for wrong in [answer(2, 300, RefundReport::Done), answer(1, 299, RefundReport::Done)] {
        assert!(is_unknown(wrong.0) && is_unknown(wrong.1));
    }
}

#[test]
fn a_notice_is_verified_like_an_answer() {
    let sealed = wire::seal(Message::Notice, &state());
    assert_eq!(notice(&sealed), Ok((asked().charge, state().report)));
    assert!(is_unknown(notice(&wire::seal(Message::Answer, &state()))));
    let stranger = ChargeState { of: Some((order(2), cny())), ..state() };
    assert!(is_unknown(notice(&wire::seal(Message::Notice, &stranger))));
    assert!(is_unknown(notice(&serde_json::json!({ "charge": asked().charge, "paid": 300 }))));
}

#[test]
fn a_rail_can_be_shared() {
    fn shared(_: Arc<dyn Rail>) {}
    shared(Arc::new(rail(|_| None)));
}
