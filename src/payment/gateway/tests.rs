mod chance;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::wire::Request;
use super::*;
use crate::signed::jws::{BadMessage, Keys, LONGEST, PublicKey, Purpose, Signer};
use crate::vocabulary::{OrderId, Standing, Wall};

const US: &str = "street/K1";
/// When messages in these tests are sent; they expire a minute later.
const SENT: u64 = 1_800_000_000_000;
const NOW: Option<Wall> = Some(Wall(SENT + 1_000));
const LATER: Option<Wall> = Some(Wall(SENT + 60_001));
const PATIENCE: Duration = Duration::from_secs(20);

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der)).into_bytes()
}

/// A new key under a name.
fn pair(kid: &str) -> (Signer, (String, PublicKey)) {
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let key = Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap();
    let mut spki = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    spki.extend(key.public_key().as_ref());
    let public = PublicKey::from_pem(&pem("PUBLIC KEY", &spki)).unwrap();
    (Signer::from_pem(&pem("PRIVATE KEY", der.as_ref()), kid).unwrap(), (kid.to_owned(), public))
}

fn charge(n: u64) -> ChargeRef {
    let order = OrderId::from_parts(1_700_000_000_000 + n, u128::from(n));
    let said = json!({ "charge": format!("{order}_1"), "order": order, "amount": 300 + n, "currency": "CNY" });
    serde_json::from_value(said).unwrap()
}

fn new_charge(n: u64) -> NewCharge {
    let mut said = json!(charge(n));
    said["life"] = json!(Duration::from_secs(90));
    said["description"] = json!("K1 Cola 123456");
    serde_json::from_value(said).unwrap()
}

fn refund(n: u64) -> RefundRequest {
    let ChargeRef { charge, order, amount, currency } = charge(n);
    let said = json!({
        "refund": format!("R_{charge}_1"), "charge": charge, "order": order,
        "amount": 100, "charged": amount, "currency": currency,
    });
    serde_json::from_value(said).unwrap()
}

/// Paid, under a number that no other charge has.
fn report(charge: &ChargeRef) -> Value {
    let ChargeRef { charge, order, amount, currency } = charge;
    let payment = json!({ "id": format!("P-{charge}"), "amount": amount, "currency": currency, "order": order });
    json!({ "standing": "closed", "payments": [payment], "returned": 0 })
}

fn reply(kiosk: &str, rail: &str, nonce: &str, says: &Value) -> Value {
    json!({ "kiosk": kiosk, "rail": rail, "nonce": nonce, "sent": SENT, "expires": SENT + 60_000, "says": says })
}

fn notice(id: &str, charge: &ChargeRef) -> Value {
    json!({
        "kiosk": US, "rail": "wechat", "id": id, "sent": SENT, "expires": SENT + 60_000,
        "charge": charge, "report": report(charge),
    })
}

/// The client of a kiosk, and the gateway's end of the wire.
struct Rig {
    client: Arc<GatewayClient>,
    asked: mpsc::UnboundedReceiver<Vec<u8>>,
    gateway: Signer,
    operator: Signer,
    kiosk: Keys,
    reported: Arc<Mutex<Vec<Rejections>>>,
}

impl Rig {
    fn new() -> Self {
        let (signer, kiosk) = pair(US);
        let (gateway, believed) = pair("gateway");
        let (operator, also) = pair("operator");
        let config = GatewayClientConfig {
            kiosk: US.into(),
            signer,
            gateway: Keys::new([believed]),
            operator: Keys::new([also]),
        };
        let reported: Arc<Mutex<Vec<Rejections>>> = Arc::default();
        let report = Arc::clone(&reported);
        let client = Arc::new(GatewayClient::new(config, move |so_far| report.lock().unwrap().push(so_far)));
        let (ask, asked) = mpsc::unbounded_channel();
        client.connect(move |message| ask.send(message).is_ok());
        client.register("wechat");
        Self { client, asked, gateway, operator, kiosk: Keys::new([kiosk]), reported }
    }

    fn rail(&self, timeout: Duration) -> Gateway {
        Gateway::new(Arc::clone(&self.client), "wechat", timeout)
    }

    /// The next request on the wire, whose signature holds.
    async fn request(&mut self) -> Request {
        let message = tokio::time::timeout(PATIENCE, self.asked.recv()).await.unwrap().unwrap();
        self.kiosk.open(Purpose::PayRequest, &message).unwrap().0
    }

    fn sign(&self, purpose: Purpose, content: &impl Serialize) -> Vec<u8> {
        self.gateway.sign(purpose, content).unwrap()
    }

    fn reply(&self, content: &Value, wall: Option<Wall>) -> Result<(), Rejected> {
        self.client.reply(&self.sign(Purpose::PayReply, content), wall)
    }

    fn notice(&self, content: &Value, wall: Option<Wall>) -> Result<Option<VerifiedNotice>, Rejected> {
        self.client.notice(&self.sign(Purpose::PayNotice, content), wall)
    }
}

/// What an honest gateway says.
fn honest(ask: &Ask) -> Value {
    match ask {
        Ask::Probe | Ask::Noticed { .. } => json!("here"),
        Ask::Create(new) => {
            let NewCharge { charge, order, amount, currency, .. } = new;
            let charge = json!({ "charge": charge, "order": order, "amount": amount, "currency": currency });
            json!({ "created": { "payload": format!("weixin://{}", charge["charge"]), "charge": charge } })
        }
        Ask::Query(charge) => json!({ "charge": { "charge": charge, "report": report(charge) } }),
        Ask::Close(charge) => json!({ "closed": { "charge": charge, "report": null } }),
        Ask::Refund(refund) => json!({ "refund": { "refund": refund, "report": "processing" } }),
        Ask::QueryRefund(refund) => json!({ "refund": { "refund": refund, "report": "done" } }),
    }
}

type Alter = Box<dyn Fn(&mut Value)>;

fn set(path: &'static str, value: Value) -> Alter {
    Box::new(move |reply| *reply.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value.clone())
}

/// Each altered reply is rejected, the question stays open, and the true reply still answers it.
async fn rejected<T: std::fmt::Debug + Send + 'static>(
    start: impl Fn(Gateway) -> tokio::task::JoinHandle<Result<T, RailError>>,
    cases: Vec<(Alter, Rejected)>,
) {
    let mut rig = Rig::new();
    let asking = start(rig.rail(PATIENCE));
    let request = rig.request().await;
    let truth = reply(US, "wechat", &request.nonce, &honest(&request.ask));
    let all = cases.len() as u64;
    for (alter, why) in cases {
        let mut lie = truth.clone();
        alter(&mut lie);
        assert_eq!(rig.reply(&lie, NOW), Err(why), "{lie}");
    }
    assert_eq!(rig.client.rejections().count, all);
    assert!(!asking.is_finished());
    rig.reply(&truth, NOW).unwrap();
    asking.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_report_is_bound_to_everything_that_was_asked() {
    let other = charge(2);
    let paid = "/says/charge/report/payments/0/amount";
    let cases: Vec<(Alter, Rejected)> = vec![
        (set("/kiosk", json!("street/K2")), Rejected::Kiosk),
        (set("/rail", json!("alipay")), Rejected::Rail),
        (set("/nonce", json!("0".repeat(32))), Rejected::Unasked),
        (set("/expires", json!(SENT)), Rejected::Expired),
        (set("/says/charge/charge/charge", json!(other.charge)), Rejected::Charge),
        (set("/says/charge/charge/order", json!(other.order)), Rejected::Order),
        (set("/says/charge/charge/amount", json!(302)), Rejected::Amount),
        (set("/says/charge/charge/currency", json!("USD")), Rejected::Currency),
        (set("/says", json!({ "closed": { "charge": charge(1), "report": report(&charge(1)) } })), Rejected::Question),
        (set("/says", json!("here")), Rejected::Question),
        (set(paid, json!(0)), Rejected::Sums),
        (set(paid, json!(-301)), Rejected::Sums),
        (set("/says/charge/report/returned", json!(302)), Rejected::Sums),
        (set("/says/charge/report/returned", json!(-1)), Rejected::Sums),
        (set(paid, json!("301")), BadMessage::Content.into()),
        (Box::new(|reply| reply["more"] = json!(1)), BadMessage::Content.into()),
        (
            Box::new(|reply| {
                let payments = reply.pointer_mut("/says/charge/report/payments").unwrap().as_array_mut().unwrap();
                payments[0]["amount"] = json!(i64::MAX);
                payments.push(payments[0].clone());
            }),
            Rejected::Sums,
        ),
    ];
    rejected(|rail| tokio::spawn(async move { rail.query(&charge(1)).await }), cases).await;
}

#[tokio::test]
async fn a_new_charge_is_the_one_that_was_asked_for_with_a_code_that_can_be_shown() {
    let payload = "/says/created/payload";
    let cases: Vec<(Alter, Rejected)> = vec![
        (set("/says/created/charge/charge", json!(charge(2).charge)), Rejected::Charge),
        (set("/says/created/charge/amount", json!(1)), Rejected::Amount),
        (set("/says/created/charge/currency", json!("HKD")), Rejected::Currency),
        (set(payload, json!("")), Rejected::Payload),
        (set(payload, json!("x".repeat(MAX_PAYLOAD + 1))), Rejected::Payload),
        (set(payload, json!("weixin://\u{1b}[2J")), Rejected::Payload),
        (set("/says", json!("here")), Rejected::Question),
    ];
    rejected(|rail| tokio::spawn(async move { rail.create(&new_charge(1)).await }), cases).await;
}

#[tokio::test]
async fn a_close_and_a_refund_are_the_ones_that_were_asked_for() {
    let report_of_other = json!({ "standing": "closed", "payments": [], "returned": 5 });
    let cases: Vec<(Alter, Rejected)> = vec![
        (set("/says/closed/charge/order", json!(charge(2).order)), Rejected::Order),
        (set("/says/closed/report", report_of_other), Rejected::Sums),
    ];
    rejected(|rail| tokio::spawn(async move { rail.close(&charge(1)).await }), cases).await;
    let cases = || -> Vec<(Alter, Rejected)> {
        vec![
            (set("/says/refund/refund/refund", json!("R_other_1")), Rejected::Refund),
            (set("/says/refund/refund/charge", json!(charge(2).charge)), Rejected::Charge),
            (set("/says/refund/refund/order", json!(charge(2).order)), Rejected::Order),
            (set("/says/refund/refund/amount", json!(99)), Rejected::Amount),
            (set("/says/refund/refund/charged", json!(99)), Rejected::Amount),
            (set("/says/refund/refund/currency", json!("USD")), Rejected::Currency),
        ]
    };
    rejected(|rail| tokio::spawn(async move { rail.refund(&refund(1)).await }), cases()).await;
    rejected(|rail| tokio::spawn(async move { rail.query_refund(&refund(1)).await }), cases()).await;
}

#[tokio::test]
async fn what_is_forged_is_rejected_on_both_topics() {
    let mut rig = Rig::new();
    let rail = rig.rail(PATIENCE);
    let asking = tokio::spawn(async move { rail.query(&charge(1)).await });
    let request = rig.request().await;
    let truth = reply(US, "wechat", &request.nonce, &honest(&request.ask));
    let (impostor, _) = pair("gateway");
    let (stranger, _) = pair("stranger");
    let good = rig.sign(Purpose::PayReply, &truth);
    let mut torn = good.clone();
    torn.truncate(good.len() - 1);
    let forgeries: Vec<(Vec<u8>, BadMessage)> = vec![
        (impostor.sign(Purpose::PayReply, &truth).unwrap(), BadMessage::Signature),
        (stranger.sign(Purpose::PayReply, &truth).unwrap(), BadMessage::UnknownKey),
        // The operator's program may say that something was paid, and answer nothing.
        (rig.operator.sign(Purpose::PayReply, &truth).unwrap(), BadMessage::UnknownKey),
        (rig.sign(Purpose::PayNotice, &truth), BadMessage::Purpose),
        (rig.sign(Purpose::PayReply, &notice("n1", &charge(1))), BadMessage::Content),
        (truth.to_string().into_bytes(), BadMessage::Malformed),
        (b"paid".to_vec(), BadMessage::Malformed),
        (Vec::new(), BadMessage::Malformed),
        (torn, BadMessage::Malformed),
        (vec![b'{'; LONGEST + 1], BadMessage::TooLong),
    ];
    for (message, why) in &forgeries {
        assert_eq!(rig.client.reply(message, NOW), Err(Rejected::Message(*why)));
    }
    let said = notice("n1", &charge(1));
    for (message, why) in [
        (impostor.sign(Purpose::PayNotice, &said).unwrap(), BadMessage::Signature),
        (stranger.sign(Purpose::PayNotice, &said).unwrap(), BadMessage::UnknownKey),
        (rig.sign(Purpose::PayReply, &said), BadMessage::Purpose),
        (vec![b' '; LONGEST + 1], BadMessage::TooLong),
    ] {
        assert_eq!(rig.client.notice(&message, NOW), Err(Rejected::Message(why)));
    }
    assert_eq!(rig.client.rejections().count, forgeries.len() as u64 + 4);
    assert_eq!(rig.reported.lock().unwrap().len(), 1, "a flood is told of once");
    rig.reply(&truth, NOW).unwrap();
    assert!(asking.await.unwrap().is_ok());
}

#[tokio::test]
async fn an_answer_counts_once_and_in_time() {
    let mut rig = Rig::new();
    let rail = rig.rail(PATIENCE);
    let asking = tokio::spawn(async move { rail.query(&charge(1)).await });
    let request = rig.request().await;
    let truth = reply(US, "wechat", &request.nonce, &honest(&request.ask));
    assert_eq!(rig.reply(&truth, LATER), Err(Rejected::Expired));
    // A kiosk that does not know the time can't say that it is over.
    rig.reply(&truth, None).unwrap();
    assert_eq!(json!(asking.await.unwrap().unwrap())["payments"], report(&charge(1))["payments"]);
    assert_eq!(rig.reply(&truth, NOW), Err(Rejected::Replayed));

    let rail = rig.rail(Duration::from_millis(400));
    let asked = rail.query(&charge(1)).await;
    assert!(matches!(asked, Err(RailError::Unknown(_))), "{asked:?}");
    let (first, second) = (rig.request().await, rig.request().await);
    assert_eq!(first.ask, second.ask, "asked twice");
    assert_ne!(first.nonce, second.nonce, "and each message is new");
    for request in [&first, &second] {
        let truth = reply(US, "wechat", &request.nonce, &honest(&request.ask));
        assert_eq!(rig.reply(&truth, NOW), Err(Rejected::Late));
        assert_eq!(rig.reply(&truth, NOW), Err(Rejected::Replayed));
    }
    let rejections = rig.client.rejections();
    assert_eq!((rejections.count, rejections.harmless), (4, 2), "expired and replayed are alarming, late is not");

    assert!(rail.create(&new_charge(1)).await.is_err());
    rig.request().await;
    assert!(rig.asked.try_recv().is_err(), "a charge is asked for only once");
}

#[tokio::test]
async fn whichever_message_is_answered_the_question_is() {
    let mut rig = Rig::new();
    let rail = rig.rail(Duration::from_secs(6));
    let asking = tokio::spawn(async move { rail.query(&charge(1)).await });
    let (first, second) = (rig.request().await, rig.request().await);
    let truth = |request: &Request| reply(US, "wechat", &request.nonce, &honest(&request.ask));
    rig.reply(&truth(&first), NOW).unwrap();
    asking.await.unwrap().unwrap();
    assert_eq!(rig.reply(&truth(&second), NOW), Err(Rejected::Again));
    assert_eq!(rig.reply(&truth(&first), NOW), Err(Rejected::Replayed));
}

#[tokio::test]
async fn the_time_is_the_gateways_and_learnt_from_its_answers() {
    let mut rig = Rig::new();
    let rail = Arc::new(rig.rail(PATIENCE));
    let create = |n| {
        let rail = Arc::clone(&rail);
        tokio::spawn(async move { rail.create(&new_charge(n)).await })
    };
    let asking = create(1);
    let first = rig.request().await;
    assert_eq!(first.sent, 0, "a board's own clock is not worth telling");
    let mut stale = reply(US, "wechat", &first.nonce, &json!("stale"));
    stale["sent"] = json!(5_000);
    rig.reply(&stale, None).unwrap();
    // Nothing was looked at, so even a charge is asked for again; carried on by the monotonic clock.
    let second = rig.request().await;
    assert_eq!(second.ask, first.ask);
    assert_ne!(second.nonce, first.nonce);
    assert!((5_000..15_000).contains(&second.sent), "{}", second.sent);
    // Each answer tells it anew; somebody else's words don't.
    let mut other = reply("street/K2", "wechat", &second.nonce, &json!("stale"));
    other["sent"] = json!(9_000_000);
    assert_eq!(rig.reply(&other, None), Err(Rejected::Kiosk));
    let mut answer = reply(US, "wechat", &second.nonce, &honest(&second.ask));
    answer["sent"] = json!(1_000_000);
    rig.reply(&answer, None).unwrap();
    assert!(asking.await.unwrap().is_ok());
    assert_eq!(rig.reply(&stale, None), Err(Rejected::Replayed));
    let asking = create(2);
    // A gateway whose clock nobody can follow is one that does not answer.
    for _ in 0..3 {
        let request = rig.request().await;
        assert!((1_000_000..1_020_000).contains(&request.sent), "{}", request.sent);
        let mut stale = reply(US, "wechat", &request.nonce, &json!("stale"));
        stale["sent"] = json!(1_000_000);
        rig.reply(&stale, None).unwrap();
    }
    assert!(matches!(asking.await.unwrap(), Err(RailError::Unknown(_))));
    assert!(rig.asked.try_recv().is_err());
}

#[tokio::test]
async fn a_no_and_a_don_t_know_are_what_they_are() {
    for (says, expected) in [
        (
            json!({ "refused": { "code": "LIMIT", "why": "too\nmuch" } }),
            RailError::Refused { code: "LIMIT".into(), why: "too much".into() },
        ),
        (json!({ "unknown": { "why": "w".repeat(999) } }), unknown(format!("the gateway: {}", "w".repeat(200)))),
    ] {
        let mut rig = Rig::new();
        let rail = rig.rail(PATIENCE);
        let asking = tokio::spawn(async move { rail.create(&new_charge(1)).await });
        let request = rig.request().await;
        rig.reply(&reply(US, "wechat", &request.nonce, &says), NOW).unwrap();
        assert_eq!(asking.await.unwrap(), Err(expected));
    }
}

#[tokio::test]
async fn without_a_connection_nobody_waits() {
    let (signer, _) = pair(US);
    let config = GatewayClientConfig { kiosk: US.into(), signer, gateway: Keys::default(), operator: Keys::default() };
    let client = Arc::new(GatewayClient::new(config, |_| ()));
    let rail = Gateway::new(Arc::clone(&client), "wechat", Duration::from_secs(3600));
    let not_there = Err(unknown("there is no connection to the gateway"));
    assert_eq!(rail.probe().await, not_there);
    client.connect(|_| false);
    assert_eq!(rail.probe().await, not_there);
}

#[tokio::test]
async fn a_notice_is_taken_once_and_confirmed_when_it_is_on_disk() {
    let mut rig = Rig::new();
    let said = notice("n1", &charge(1));
    let taken = rig.notice(&said, NOW).unwrap().unwrap();
    assert_eq!((taken.id.as_str(), taken.rail.as_str()), ("n1", "wechat"));
    taken.is_about(&charge(1)).unwrap();
    assert_eq!(taken.is_about(&charge(2)), Err(Rejected::Charge));
    let cheaper = ChargeRef { amount: 1, ..charge(1) };
    assert_eq!(taken.is_about(&cheaper), Err(Rejected::Amount));
    assert_eq!(rig.notice(&said, NOW), Ok(None));
    assert!(rig.asked.try_recv().is_err(), "nothing is confirmed that is not on disk");

    rig.client.committed("n1");
    let request = rig.request().await;
    assert_eq!((request.rail.as_str(), request.ask), ("wechat", Ask::Noticed { notice: "n1".into() }));
    assert_eq!(rig.notice(&said, NOW), Ok(None));
    assert!(rig.asked.try_recv().is_err(), "said a moment ago");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    // Repeated after its time: the gateway wants to hear it all the same.
    assert_eq!(rig.notice(&said, LATER), Ok(None));
    assert_eq!(rig.request().await.ask, Ask::Noticed { notice: "n1".into() });
    // Whatever the gateway answers to that is no sign of anything.
    assert_eq!(rig.reply(&reply(US, "wechat", &request.nonce, &json!("here")), NOW), Err(Rejected::Again));
    assert_eq!(rig.client.rejections().count, 0);

    // Not about a charge of ours after all: counted, and looked at again when it is repeated.
    assert!(rig.notice(&notice("n2", &charge(2)), NOW).unwrap().is_some());
    rig.client.reject("n2", Rejected::Charge, NOW);
    assert_eq!(rig.client.rejections().last, Some((Rejected::Charge, NOW)));
    assert!(rig.notice(&notice("n2", &charge(2)), NOW).unwrap().is_some());
}

#[test]
fn the_operator_says_only_what_nobody_else_sees() {
    let rig = Rig::new();
    rig.client.register("promptpay");
    let said = |rail: &str, change: &dyn Fn(&mut Value)| {
        let mut said = notice("n3", &charge(3));
        said["rail"] = json!(rail);
        change(&mut said);
        let by_operator = rig.operator.sign(Purpose::PayNotice, &said).unwrap();
        let by_gateway = rig.sign(Purpose::PayNotice, &said);
        (rig.client.notice(&by_operator, None), by_gateway)
    };
    let (result, the_same) = said("promptpay", &|_| ());
    assert_eq!(result, Err(Rejected::Operator), "a rail of the gateway's");
    assert!(rig.client.notice(&the_same, None).unwrap().is_some());
    rig.client.register_operators("promptpay");
    assert_eq!(said("wechat", &|_| ()).0, Err(Rejected::Operator));
    assert_eq!(said("promptpay", &|said| said["report"]["returned"] = json!(303)).0, Err(Rejected::Operator));
    assert_eq!(said("promptpay", &|said| said["report"]["standing"] = json!("returning")).0, Err(Rejected::Operator));
    assert_eq!(said("promptpay", &|said| said["report"]["payments"] = json!([])).0, Err(Rejected::Operator));
    let (result, _) = said("promptpay", &|said| said["id"] = json!("n4"));
    assert!(result.unwrap().is_some());
}

#[test]
fn a_notice_must_be_ours_and_make_sense() {
    let rig = Rig::new();
    let truth = notice("n1", &charge(1));
    for (alter, why) in [
        (set("/kiosk", json!("street/K2")), Rejected::Kiosk),
        (set("/rail", json!("paypal")), Rejected::Rail),
        (set("/id", json!("")), Rejected::Number),
        (set("/id", json!("x".repeat(65))), Rejected::Number),
        (set("/id", json!("a b")), Rejected::Number),
        (set("/charge/order", json!(charge(2).order)), Rejected::Order),
        (set("/charge/charge", json!("nonsense")), Rejected::Order),
        (set("/report/payments/0/amount", json!(0)), Rejected::Sums),
        (set("/report/returned", json!(999)), Rejected::Sums),
        (set("/expires", json!(SENT)), Rejected::Expired),
        (set("/sent", json!("now")), BadMessage::Content.into()),
    ] {
        let mut lie = truth.clone();
        alter(&mut lie);
        assert_eq!(rig.notice(&lie, NOW), Err(why), "{lie}");
    }
    let taken = rig.notice(&truth, None).unwrap().unwrap();
    assert_eq!(taken.report.standing, Standing::Closed);
}

#[test]
fn the_memory_of_notices_is_bounded() {
    let rig = Rig::new();
    for n in 0..1024 {
        assert!(rig.notice(&notice(&format!("n{n}"), &charge(1)), NOW).unwrap().is_some());
    }
    assert_eq!(rig.notice(&notice("n0", &charge(1)), NOW), Ok(None));
    assert!(rig.notice(&notice("n1024", &charge(1)), NOW).unwrap().is_some());
    // Forgotten; the ledger knows its payment by its number.
    assert!(rig.notice(&notice("n0", &charge(1)), NOW).unwrap().is_some());
}

#[tokio::test]
async fn a_code_of_the_kiosks_own_is_shown_only_while_the_gateway_watches() {
    let mut rig = Rig::new();
    let payload = |charge: &NewCharge| match charge.amount {
        301 => Ok("000201".to_owned()),
        302 => Err("no account".to_owned()),
        _ => Ok("0".repeat(MAX_PAYLOAD + 1)),
    };
    let emv = Arc::new(Emv::new(rig.rail(PATIENCE), payload));
    let asking = tokio::spawn({
        let emv = Arc::clone(&emv);
        async move { emv.create(&new_charge(1)).await }
    });
    let request = rig.request().await;
    assert_eq!(request.ask, Ask::Probe);
    assert!(!asking.is_finished());
    rig.reply(&reply(US, "wechat", &request.nonce, &json!("here")), NOW).unwrap();
    assert_eq!(asking.await.unwrap(), Ok(Created { payload: "000201".into() }));
    for (n, said) in [(2, "no account"), (3, "513 bytes")] {
        match emv.create(&new_charge(n)).await {
            Err(RailError::Refused { why, .. }) => assert!(why.starts_with(said), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(rig.asked.try_recv().is_err());
    let silent = Emv::new(rig.rail(Duration::from_millis(30)), payload);
    assert!(matches!(silent.create(&new_charge(1)).await, Err(RailError::Unknown(_))));
}
