//! The gateway against Debian's mosquitto, with TLS and the access list that operators are given.

#![cfg(feature = "back-end")]

mod kit;
mod provider;

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use kioskd::fleet::gateway::{Counts, Gateway, config};
use kioskd::payment::gateway::wire::{Ask, Notice, Request, Says};
use kioskd::signed::jws::Purpose;
use kioskd::vocabulary::{ChargeReport, Payment, PaymentId, RefundReport, RefundRequest, Standing};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use kit::*;
use provider::{notification, rails};

/// Not a test: a process of its own, because only a process can be killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that other tests start and kill"]
async fn a_gateway_that_other_tests_kill() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let setup = std::env::var(CHILD).expect("started by another test");
    let (file, provider): (std::path::PathBuf, _) = serde_json::from_str(&setup).unwrap();
    let (config, _) = config::load(&file).unwrap();
    let mut gateway = Gateway::start(config, rails(provider)).await.unwrap();
    soon("a gateway that is ready", gateway.ready()).await;
    println!("GATEWAY READY {}", gateway.address().unwrap());
    panic!("{}", gateway.ended().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_from_its_making_to_its_refund() {
    let site = Site::new();
    let gateway = site.gateway("").await;
    let mut kiosk = site.kiosk("K1").await;
    assert_eq!(kiosk.ask("wallet", Ask::Probe).await, Says::Here);
    let created = kiosk.ask("wallet", Ask::Create(new_charge(1, 300))).await;
    assert_eq!(created, Says::Created { charge: charge(1, 300), payload: "pay:C_1".into() });
    // Whatever the request says.
    assert_eq!(site.provider.attach("C_1"), "street/K1");
    let query = || Ask::Query(charge(1, 300));
    let paid = |says: &Says| match says {
        Says::Charge { charge: asked, report } if *asked == charge(1, 300) => report.payments.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(paid(&kiosk.ask("wallet", query()).await), 0);
    site.provider.pay("C_1");
    assert_eq!(paid(&kiosk.ask("wallet", query()).await), 1);
    let asked = refund(1, 300, 200);
    let done = Says::Refund { refund: asked.clone(), report: RefundReport::Done };
    let absent = Says::Refund { refund: asked.clone(), report: RefundReport::Absent };
    assert_eq!(kiosk.ask("wallet", Ask::QueryRefund(asked.clone())).await, absent);
    assert_eq!(kiosk.ask("wallet", Ask::Refund(asked.clone())).await, done);
    assert_eq!(kiosk.ask("wallet", Ask::QueryRefund(asked)).await, done);
    assert_eq!(site.provider.refunds("C_1"), [200]);

    // One that nobody pays.
    kiosk.ask("wallet", Ask::Create(new_charge(2, 300))).await;
    let closed = kiosk.ask("wallet", Ask::Close(charge(2, 300))).await;
    assert_eq!(closed, Says::Closed { charge: charge(2, 300), report: None });
    let says = kiosk.ask("wallet", Ask::Query(charge(2, 300))).await;
    assert!(matches!(&says, Says::Charge { report, .. } if report.standing == Standing::Closed), "{says:?}");
    // A no of the provider is told with its code.
    assert_eq!(code(&kiosk.ask("wallet", Ask::Create(new_charge(2, 300))).await), "USED");
    assert_eq!(gateway.counts().rejected, 0);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_a_request_and_the_other_one_answers() {
    let site = Site::new();
    let mut gateways = vec![site.gateway_process(), site.gateway_process()];
    let mut kiosk = site.kiosk("K1").await;
    // The provider has made the charge; the gateway that asked dies before it hears of it.
    site.provider.hold("create");
    let lost = kiosk.say("wallet", Ask::Create(new_charge(1, 300))).await;
    kill(&mut gateways, site.provider.waiting());
    site.provider.release();
    let (message, again) = kiosk.write("wallet", Ask::Create(new_charge(1, 300)));
    let request = kiosk.request.clone();
    kiosk.client.publish(&request, message).await;
    // The first answer that comes at all is the other one's.
    let says = kiosk.reply(&again).await;
    assert_eq!(says, Says::Created { charge: charge(1, 300), payload: "pay:C_1".into() });
    assert_ne!(lost, again);
    assert_eq!(site.provider.charges(), ["C_1"]);
    assert_eq!(site.provider.log(), ["create C_1", "create C_1"]);

    // The same with a refund, and a third one in place of the dead.
    site.provider.pay("C_1");
    gateways.push(site.gateway_process());
    site.provider.hold("refund");
    kiosk.say("wallet", Ask::Refund(refund(1, 300, 300))).await;
    kill(&mut gateways, site.provider.waiting());
    site.provider.release();
    let says = kiosk.ask("wallet", Ask::Refund(refund(1, 300, 300))).await;
    assert_eq!(says, Says::Refund { refund: refund(1, 300, 300), report: RefundReport::Done });
    assert_eq!(site.provider.refunds("C_1"), [300]);
}

fn kill(gateways: &mut Vec<GatewayProcess>, process: u32) {
    let at = gateways.iter().position(|gateway| gateway.id() == process).expect("one of ours");
    gateways.remove(at).kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_requests_do_nothing_and_get_no_answer() {
    let site = Site::new();
    let gateway = site.gateway("").await;
    let mut kiosk = site.kiosk("K1").await;
    kiosk.ask("wallet", Ask::Create(new_charge(1, 300))).await;
    site.provider.pay("C_1");
    site.provider.log();
    let mut mallory = Client::start(&site, "mallory", &["kiosk/v1/street/+/pay/reply".into()]).await;
    let refund = Ask::Refund(refund(1, 300, 300));
    let request = |kiosk: &str, ask: &Ask| Request {
        kiosk: kiosk.into(),
        rail: "wallet".into(),
        nonce: "0123456789abcdef0123456789abcdef".into(),
        sent: now(),
        ask: ask.clone(),
    };
    let k1 = site.signer("kiosks/K1.key", "street/K1");
    let k2 = site.signer("kiosks/K2.key", "street/K2");
    let stranger = site.signer("stranger.key", "street/K1");
    let sign = |signer: &kioskd::signed::jws::Signer, purpose, kiosk: &str| {
        signer.sign(purpose, &request(kiosk, &refund)).unwrap()
    };
    let mut bent = sign(&k1, Purpose::PayRequest, "street/K1");
    let middle = bent.len() / 2;
    bent[middle] ^= 1;
    let (to_k1, to_k2) = ("kiosk/v1/street/K1/pay/request", "kiosk/v1/street/K2/pay/request");
    let forged = [
        // The name of a kiosk, and another's key.
        (to_k1, sign(&stranger, Purpose::PayRequest, "street/K1")),
        // A kiosk that speaks for another, on its topic or its own.
        (to_k1, sign(&k2, Purpose::PayRequest, "street/K1")),
        (to_k2, sign(&k2, Purpose::PayRequest, "street/K1")),
        // Genuine, where it does not belong.
        (to_k2, sign(&k1, Purpose::PayRequest, "street/K1")),
        ("kiosk/v1/street/all/pay/request", sign(&k1, Purpose::PayRequest, "street/K1")),
        // Signed as something else.
        (to_k1, sign(&k1, Purpose::PayNotice, "street/K1")),
        (to_k1, bent),
        (to_k1, b"{}".to_vec()),
        (to_k1, vec![0xff; 100_000]),
        (to_k1, Vec::new()),
    ];
    let count = forged.len() as u64;
    for (topic, message) in forged {
        mallory.publish(topic, message).await;
    }
    // Whatever came before has been looked at when this one is answered.
    assert_eq!(kiosk.ask("wallet", Ask::Probe).await, Says::Here);
    assert_eq!(site.provider.log(), ["probe"]);
    assert_eq!(site.provider.refunds("C_1"), [0; 0]);
    assert_eq!(gateway.counts(), Counts { answered: 2, rejected: count, ..Counts::default() });
    let only = mallory.receive().await;
    assert_eq!(only.topic, "kiosk/v1/street/K1/pay/reply");
    mallory.publish("kiosk/v1/street/K1/pay/reply", "the last").await;
    assert_eq!(mallory.receive().await.payload, "the last", "there was no other answer");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kiosk_gets_at_no_other_kiosks_charge() {
    let site = Site::new();
    let gateway = site.gateway("").await;
    let (mut k1, mut k2) = (site.kiosk("K1").await, site.kiosk("K2").await);
    k1.ask("wallet", Ask::Create(new_charge(1, 300))).await;
    site.provider.pay("C_1");
    site.provider.log();
    let asks = [
        Ask::Query(charge(1, 300)),
        Ask::Close(charge(1, 300)),
        Ask::Refund(refund(1, 300, 300)),
        Ask::QueryRefund(refund(1, 300, 300)),
    ];
    for ask in asks {
        assert_eq!(code(&k2.ask("wallet", ask.clone()).await), "FOREIGN", "{ask:?}");
    }
    assert_eq!(site.provider.log(), ["query C_1"; 4]);
    // The access list keeps it away from the other's topics, too.
    let (message, _) = k1.write("wallet", Ask::Refund(refund(1, 300, 300)));
    let request = k1.request.clone();
    k2.client.publish(&request, message).await;
    assert_eq!(k2.ask("wallet", Ask::Probe).await, Says::Here);
    assert_eq!(site.provider.log(), ["probe"]);
    assert_eq!(code(&k1.ask("wallet", Ask::Refund(refund(1, 300, 300))).await), "answered");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replayed_request_does_nothing_new() {
    let site = Site::new();
    let gateway = site.gateway("").await;
    let mut kiosk = site.kiosk("K1").await;
    let request = kiosk.request.clone();
    let create = kiosk.write("wallet", Ask::Create(new_charge(1, 300)));
    kiosk.client.publish(&request, create.0.clone()).await;
    assert_eq!(code(&kiosk.reply(&create.1).await), "answered");
    site.provider.pay("C_1");
    let give_back = kiosk.write("wallet", Ask::Refund(refund(1, 300, 100)));
    kiosk.client.publish(&request, give_back.0.clone()).await;
    assert_eq!(code(&kiosk.reply(&give_back.1).await), "answered");
    let log = site.provider.log();
    let mut mallory = Client::start(&site, "mallory", &[]).await;
    for _ in 0..3 {
        for (message, _) in [&create, &give_back] {
            mallory.publish(&request, message.clone()).await;
        }
    }
    // Whatever came before has been looked at when this one is answered.
    assert_eq!(kiosk.ask("wallet", Ask::Probe).await, Says::Here);
    assert_eq!((log.last().map(String::as_str), site.provider.log()), (Some("refund C_1"), vec!["probe".to_owned()]));
    assert_eq!(gateway.counts(), Counts { answered: 3, rejected: 6, ..Counts::default() });
    assert_eq!(site.provider.charges(), ["C_1"]);
    assert_eq!(site.provider.refunds("C_1"), [100]);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_has_an_age_and_a_new_gateway_takes_none_of_the_old() {
    let site = Site::new();
    let gateway = site.gateway("").await;
    let mut kiosk = site.kiosk("K1").await;
    kiosk.ask("wallet", Ask::Create(new_charge(1, 300))).await;
    site.provider.pay("C_1");
    site.provider.log();
    let request = kiosk.request.clone();
    let old = |kiosk: &Kiosk, sent| kiosk.write_at(sent, "wallet", Ask::Refund(refund(1, 300, 300)));
    // Withheld for more than a minute, from a kiosk that does not know the time, and of a time to come.
    for sent in [now() - 61_000, 0, now() + 60_000] {
        let (message, nonce) = old(&kiosk, sent);
        kiosk.client.publish(&request, message).await;
        assert_eq!(kiosk.reply(&nonce).await, Says::Stale);
    }
    assert_eq!(site.provider.log(), [""; 0]);
    assert_eq!(gateway.counts(), Counts { answered: 1, stale: 3, ..Counts::default() });
    // Written for this one, and withheld until there is another, which knows no nonces.
    let (message, nonce) = old(&kiosk, now());
    gateway.stop().await;
    let gateway = site.gateway("").await;
    kiosk.client.publish(&request, message).await;
    assert_eq!(kiosk.reply(&nonce).await, Says::Stale);
    assert_eq!(site.provider.refunds("C_1"), [0; 0]);
    assert_eq!(code(&kiosk.ask("wallet", Ask::Refund(refund(1, 300, 300))).await), "answered");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_costs_no_question_no_memory_and_no_log() {
    let site = Site::new();
    let gateway = site.gateway_process();
    let (mut k1, mut k2) = (site.kiosk("K1").await, site.kiosk("K2").await);
    k1.ask("wallet", Ask::Create(new_charge(1, 300))).await;
    site.provider.pay("C_1");
    let (query, nonce) = k1.write("wallet", Ask::Query(charge(1, 300)));
    k1.client.publish(&k1.request.clone(), query.clone()).await;
    assert_eq!(code(&k1.reply(&nonce).await), "answered");
    // A kiosk's old ones, the same one again and again, and a kiosk gone wild whose every request is new.
    let sent = now() - 61_000;
    let old: Vec<_> = (0..2_000).map(|_| k1.write_at(sent, "wallet", Ask::Refund(refund(1, 300, 300))).0).collect();
    let wild: Vec<_> = (0..10_000).map(|_| k2.write_at(now() + 3_000, "wallet", Ask::Probe).0).collect();
    let (to_k1, to_k2) = (k1.request.as_str(), k2.request.as_str());
    let k1s = old.iter().chain(std::iter::repeat_n(&query, 8_000)).map(|message| (to_k1, message.as_slice()));
    let k2s = wild.iter().map(|message| (to_k2, message.as_slice()));
    let all = k1s.zip(k2s).flat_map(|(one, other)| [one, other]);
    let mut mallory = Client::start(&site, "mallory", &[]).await;
    site.provider.log();
    let (logged, memory, begin) = (gateway.logged(), gateway.memory(), Instant::now());
    mallory.flood(all).await;
    // Whatever came before has been looked at when these are answered.
    assert_eq!(k1.ask("wallet", Ask::Probe).await, Says::Here);
    assert_eq!(k2.ask("wallet", Ask::Probe).await, Says::Here);
    let log = site.provider.log();
    // A burst and twenty a second, of the wild kiosk alone.
    let most = 100 + 20 * (usize::try_from(begin.elapsed().as_secs()).unwrap() + 1) + 2;
    assert!(log.iter().all(|asked| asked == "probe"), "{log:?}");
    assert!(log.len() <= most, "{} questions, and {most} at most", log.len());
    let lines = gateway.logged() - logged;
    assert!(lines <= most + 10, "{lines} lines, and {most} questions at most");
    let grown = gateway.memory().saturating_sub(memory);
    assert!(grown < 16 << 10, "{grown} KiB more than {memory}");
    assert_eq!(site.provider.refunds("C_1"), [0; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_paid_is_not_closed() {
    let site = Site::new();
    let gateway = site.gateway("").await;
    let mut kiosk = site.kiosk("K1").await;
    kiosk.ask("wallet", Ask::Create(new_charge(1, 300))).await;
    site.provider.pay("C_1");
    site.provider.log();
    for _ in 0..2 {
        let says = kiosk.ask("wallet", Ask::Close(charge(1, 300))).await;
        let Says::Closed { report: Some(report), .. } = says else { panic!("{says:?}") };
        assert_eq!((report.payments[0].amount, report.returned), (300, 0));
    }
    assert_eq!(site.provider.log(), ["query C_1"; 2]);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_each_kiosks_own() {
    let site = Site::new();
    let limits = "[limits]\nmax_amount = 500\ncharges_per_minute = 2\nrefunds_per_hour = 1\n\
                  [[kiosk]]\nid = \"K2\"\nmax_amount = 900\ncharges_per_minute = 3\n";
    let gateway = site.gateway(limits).await;
    let (mut k1, mut k2) = (site.kiosk("K1").await, site.kiosk("K2").await);
    for (number, amount, expected) in
        [(1, 501, "AMOUNT"), (1, 500, "answered"), (2, 1, "answered"), (3, 1, "LIMIT"), (1, 500, "answered")]
    {
        let says = k1.ask("wallet", Ask::Create(new_charge(number, amount))).await;
        assert_eq!(code(&says), expected, "charge {number} of {amount}: {says:?}");
    }
    for (number, amount, expected) in
        [(11, 900, "answered"), (12, 901, "AMOUNT"), (13, 1, "answered"), (14, 1, "answered")]
    {
        assert_eq!(code(&k2.ask("wallet", Ask::Create(new_charge(number, amount))).await), expected);
    }
    assert_eq!(site.provider.charges(), ["C_1", "C_2", "C_11", "C_13", "C_14"]);
    site.provider.pay("C_1");
    site.provider.pay("C_2");
    assert_eq!(code(&k1.ask("wallet", Ask::Refund(refund(1, 500, 500))).await), "answered");
    // Not a no: the kiosk must keep asking.
    assert_eq!(code(&k1.ask("wallet", Ask::Refund(refund(2, 1, 1))).await), "unknown");
    assert_eq!(site.provider.refunds("C_2"), [0; 0]);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_is_taken_when_the_kiosk_has_it() {
    let site = Site::new();
    let gateways = [site.gateway("").await, site.gateway("").await];
    let mut kiosk = site.kiosk("K1").await;
    kiosk.ask("wallet", Ask::Create(new_charge(1, 300))).await;
    let told = site.provider.pay("C_1");
    let mut ids = Vec::new();
    // The kiosk's word goes to one of the two, by the broker's choice; the one that waits hears it all the same.
    for round in 0..8 {
        let post = site.notify(&gateways[round % 2], "wallet", &told);
        tokio::pin!(post);
        let notice = tokio::select! {
            notice = kiosk.notice() => notice,
            answer = &mut post => panic!("{answer:?} before the kiosk has it"),
        };
        assert_eq!((&notice.rail, &notice.charge), (&"wallet".to_owned(), &charge(1, 300)));
        assert_eq!(notice.report.payments[0].amount, 300);
        assert_eq!(notice.report.attach.as_deref(), Some("street/K1"));
        kiosk.noticed(&notice).await;
        assert_eq!(post.await, (200, "TAKEN".to_owned()));
        ids.push(notice.id);
    }
    // So that the kiosk takes it once.
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let notices: u64 = gateways.iter().map(|gateway| gateway.counts().notices).sum();
    assert_eq!(notices, 8);
    for gateway in gateways {
        gateway.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_a_notification_or_not_heard_is_not_taken() {
    let site = Site::new();
    let gateway = site.gateway_with("", |config| config.notice_wait = Duration::from_secs(5)).await;
    let (mut k1, mut k2) = (site.kiosk("K1").await, site.kiosk("K2").await);
    k1.ask("wallet", Ask::Create(new_charge(1, 300))).await;
    let genuine = site.provider.pay("C_1");
    let status = async |rail: &str, told| site.notify(&gateway, rail, &told).await.0;
    assert_eq!(status("nothing", genuine.clone()).await, 404);
    assert_eq!(status("wallet", (Vec::new(), genuine.1.clone())).await, 401);
    let mut bent = genuine.clone();
    bent.1.push(b' ');
    assert_eq!(status("wallet", bent).await, 401);
    assert_eq!(status("wallet", (genuine.0.clone(), vec![b' '; 70_000])).await, 413);
    let body: serde_json::Value = serde_json::from_slice(&genuine.1).unwrap();
    for attach in [json!("street/K9"), json!("other/K1"), json!(""), json!(null)] {
        let mut other = body.clone();
        other["report"]["attach"] = attach;
        assert_eq!(status("wallet", notification(&other)).await, 404);
    }
    // Genuine, and the kiosk says nothing; nor does it count when another one does.
    let post = site.notify(&gateway, "wallet", &genuine);
    tokio::pin!(post);
    let notice = tokio::select! {
        notice = k1.notice() => notice,
        answer = &mut post => panic!("{answer:?}"),
    };
    k2.noticed(&notice).await;
    assert_eq!(post.await.0, 503);
    // Genuine, and about no payment: there is nothing to tell.
    let mut unpaid = body;
    unpaid["report"]["payments"] = json!([]);
    assert_eq!(site.notify(&gateway, "wallet", &notification(&unpaid)).await, (200, "TAKEN".into()));
    let counts = gateway.counts();
    assert_eq!((counts.notices, counts.webhooks_refused), (0, 7));
    // None of it reached a kiosk: the next notice is of the next notification.
    let again = site.provider.pay("C_1");
    let post = site.notify(&gateway, "wallet", &again);
    tokio::pin!(post);
    let next = tokio::select! {
        notice = k1.notice() => notice,
        answer = &mut post => panic!("{answer:?}"),
    };
    assert_eq!(next.report.payments.len(), 2);
    assert_ne!(next.id, notice.id);
    k1.noticed(&next).await;
    assert_eq!(post.await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_who_say_nothing_keep_nobody_out() {
    let site = Site::new();
    let gateway = site.gateway_process();
    let mut kiosk = site.kiosk("K1").await;
    kiosk.ask("wallet", Ask::Create(new_charge(1, 300))).await;
    let logged = gateway.logged();
    for sources in [1, 40] {
        let mut silent = Vec::new();
        for stranger in 0..300u16 {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind(([127, 0, 1, (stranger % sources) as u8 + 1], 0).into()).unwrap();
            silent.push(soon("a connection", socket.connect(gateway.webhook())).await.unwrap());
        }
        let told = site.provider.pay("C_1");
        let begin = Instant::now();
        let post = site.notify_at(gateway.webhook(), "wallet", &told);
        tokio::pin!(post);
        let notice = tokio::select! {
            notice = kiosk.notice() => notice,
            answer = &mut post => panic!("{answer:?} from {sources}"),
        };
        kiosk.noticed(&notice).await;
        assert_eq!(post.await, (200, "TAKEN".to_owned()), "{sources}");
        // A silent connection is given five seconds; nobody has waited for that.
        assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
        drop(silent);
    }
    let lines = gateway.logged() - logged;
    assert!(lines < 20, "{lines} lines for 600 strangers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_nothing_is_taken_and_afterwards_all_goes_on() {
    let mut site = Site::new();
    let gateway = site.gateway_with("", |config| config.notice_wait = Duration::from_secs(1)).await;
    let mut kiosk = site.kiosk("K1").await;
    kiosk.ask("wallet", Ask::Create(new_charge(1, 300))).await;
    let told = site.provider.pay("C_1");
    site.broker.kill();
    for _ in 0..3 {
        assert_eq!(site.notify(&gateway, "wallet", &told).await.0, 503);
    }
    site.broker.restart();
    kiosk.client.listens().await;
    assert_eq!(code(&kiosk.ask("wallet", Ask::Query(charge(1, 300))).await), "answered");
    // As the provider does.
    let status = async {
        loop {
            let post = site.notify(&gateway, "wallet", &told);
            tokio::pin!(post);
            tokio::select! {
                notice = kiosk.notice() => {
                    kiosk.noticed(&notice).await;
                    let status = post.await.0;
                    if status != 503 {
                        return status;
                    }
                }
                answer = &mut post => assert_eq!(answer.0, 503),
            }
        }
    };
    assert_eq!(soon("a notification that is taken", status).await, 200);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_provider_is_silent_the_operator_speaks() {
    let site = Site::new();
    let gateway = site.gateway("").await;
    let mut kiosk = site.kiosk("K1").await;
    let payment = Payment { id: PaymentId::parse("BANK_1").unwrap(), amount: 300, currency: cny(), order: order(1) };
    let report = ChargeReport { standing: Standing::Open, payments: vec![payment], returned: 0, attach: None };
    let notice = Notice {
        kiosk: "street/K1".into(),
        rail: "emv".into(),
        id: "credit-1".into(),
        sent: 0,
        expires: u64::MAX,
        charge: charge(1, 300),
        report,
    };
    let operator = site.signer("operator.key", "operator");
    let body = |signer: &kioskd::signed::jws::Signer, purpose, notice: &Notice| {
        (Vec::new(), signer.sign(purpose, notice).unwrap())
    };
    let good = body(&operator, Purpose::PayNotice, &notice);
    let status = async |rail: &str, told| site.notify(&gateway, rail, &told).await.0;
    let stranger = site.signer("stranger.key", "operator");
    assert_eq!(status("emv", body(&stranger, Purpose::PayNotice, &notice)).await, 401);
    assert_eq!(status("emv", body(&operator, Purpose::PayReply, &notice)).await, 401);
    // Where the provider speaks, nobody else does.
    assert_eq!(status("wallet", good.clone()).await, 401);
    let nothing = Notice { charge: charge(1, 0), ..notice.clone() };
    assert_eq!(status("emv", body(&operator, Purpose::PayNotice, &nothing)).await, 400);
    let unknown = Notice { kiosk: "street/K9".into(), ..notice.clone() };
    assert_eq!(status("emv", body(&operator, Purpose::PayNotice, &unknown)).await, 404);

    let post = site.notify(&gateway, "emv", &good);
    tokio::pin!(post);
    let heard = tokio::select! {
        notice = kiosk.notice() => notice,
        answer = &mut post => panic!("{answer:?}"),
    };
    assert_eq!((heard.id.as_str(), &heard.charge, &heard.report), ("credit-1", &notice.charge, &notice.report));
    assert!(heard.expires < u64::MAX);
    kiosk.noticed(&heard).await;
    assert_eq!(post.await, (200, "taken".to_owned()));
    // There is no book to ask for whose it is, so only a person can give it back.
    let by_hand: RefundRequest = refund(1, 300, 300);
    let says = kiosk.ask("emv", Ask::Refund(by_hand.clone())).await;
    assert_eq!(says, Says::Refund { refund: by_hand, report: RefundReport::Failed });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_answer_holds_up_nobody_and_a_clean_stop_waits_for_it() {
    let site = Site::new();
    let gateway = site.gateway("").await;
    let (mut k1, mut k2) = (site.kiosk("K1").await, site.kiosk("K2").await);
    site.provider.hold("create C_1");
    let slow = k1.say("wallet", Ask::Create(new_charge(1, 300))).await;
    site.provider.waiting();
    assert_eq!(k2.ask("wallet", Ask::Probe).await, Says::Here);
    assert_eq!(k1.ask("emv", Ask::Probe).await, Says::Here);
    // Eight of a kiosk are under way at most; the others are told so.
    site.provider.hold("create");
    for number in 2..=8 {
        k1.say("wallet", Ask::Create(new_charge(number, 300))).await;
        site.provider.waiting();
    }
    assert_eq!(code(&k1.ask("wallet", Ask::Create(new_charge(9, 300))).await), "unknown");
    assert_eq!(k2.ask("wallet", Ask::Probe).await, Says::Here);
    let stopping = tokio::spawn(gateway.stop());
    // A gateway that is stopping takes nothing new: when it has unsubscribed, nobody answers any more.
    let deaf = async {
        loop {
            let nonce = k2.say("wallet", Ask::Probe).await;
            if tokio::time::timeout(Duration::from_millis(200), k2.reply(&nonce)).await.is_err() {
                return;
            }
        }
    };
    soon("a gateway that takes nothing new", deaf).await;
    assert!(!stopping.is_finished());
    site.provider.release();
    assert_eq!(k1.reply(&slow).await, Says::Created { charge: charge(1, 300), payload: "pay:C_1".into() });
    soon("the end", stopping).await.unwrap();
}

#[test]
fn the_command_line() {
    let kioskfleet = || kioskd_tests::child::command(env!("CARGO_BIN_EXE_kioskfleet"));
    let site = Site::new();
    let out = site.path("new");
    std::fs::create_dir(&out).unwrap();
    let keygen = || kioskfleet().args(["keygen", "--out"]).arg(&out).arg("K3").output().unwrap();
    assert!(keygen().status.success());
    assert_eq!(std::fs::metadata(out.join("K3.key")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(kioskd::signed::jws::PublicKey::from_pem(&std::fs::read(out.join("K3.pem")).unwrap()).is_some());
    assert!(!keygen().status.success(), "a key is never overwritten");

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let file = site.configuration("");
    let mut gateway = kioskfleet();
    let mut gateway =
        kioskd_tests::child::Running::start(gateway.args(["gateway", "--config"]).arg(&file).stderr(Stdio::piped()));
    let says = runtime.block_on(async { site.kiosk("K1").await.ask("wallet", Ask::Probe).await });
    assert_eq!(code(&says), "RAIL", "there is no rail in the file");
    kill_process(Pid::from_child(&gateway), Signal::TERM).unwrap();
    let output = gateway.wait().map(|status| (status, std::io::read_to_string(gateway.stderr.take().unwrap())));
    let (status, log) = output.unwrap();
    let log = log.unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    let line = log.lines().find(|line| line.contains("request") && line.contains("ask=\"probe\"")).expect(&log);
    assert!(line.contains("kiosk=K1") && line.contains("rail=\"wallet\"") && line.contains("refused RAIL"), "{line}");
}

#[test]
fn what_is_wrong_with_a_configuration() {
    let site = Site::new();
    let file = site.configuration("");
    let good = std::fs::read_to_string(&file).unwrap();
    let said = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        std::fs::write(&file, good.replacen(from, to, 1)).unwrap();
        let error = config::load(&file).map(|_| ()).unwrap_err().to_string();
        let place = error.strip_prefix(&format!("{}:", file.display())).unwrap_or_else(|| panic!("{error}"));
        place.to_owned()
    };
    for (from, to, expected) in [
        ("fleet = ", "flet = ", "2:1: unknown field `flet`"),
        ("\"street\"", "\"a/b\"", "2:9: "),
        ("mqtts://127", "http://127", "3:10: a broker is written mqtts://HOST:PORT"),
        ("mqtts://127", "mqtt://127", "4:6: this is for TLS"),
        ("ca = \"ca.pem\"", "ca = \"nothing.pem\"", "3:10: "),
        ("cert = \"gateway.pem\"\n", "", "5:7: `key` needs `cert`"),
        ("key = \"file:gateway.key\"", "key = \"gateway.key\"", "6:7: a key is written `file:"),
        ("file:gateway-sign.key", "file:gateway.key", "7:15: "),
        ("kid = \"gateway-1\"", "kid = \"\"", "8:7: name the key"),
        ("kiosks = \"kiosks\"", "kiosks = \"new\"", "9:10: "),
        (
            "127.0.0.1:0\"\ntls_cert = \"server.pem\"\ntls_key = \"file:server.key\"",
            "0.0.0.0:0\"",
            "10:10: without `tls_cert`",
        ),
        ("tls_key = \"file:server.key\"\n", "", "11:12: `tls_cert` needs `tls_key`"),
        ("file:server.key", "file:gateway.key", "11:12: the certificate"),
        ("operator.pem", "operator.key", "13:16: "),
        ("listen = \"127.0.0.1:0\"\n", "", "12:16: this needs `listen"),
        ("operator_key", "path = \"notify\"\noperator_key", "13:8: write a path"),
        ("operator_key = \"operator.pem\"", "[limits]\nmax_amount = 0", "14:14: write an amount"),
        ("operator_key = \"operator.pem\"", "[limits]\norders_per_hour = 10001", "14:19: write at most"),
        ("operator_key = \"operator.pem\"", "[[kiosk]]\nid = \"K9\"", "14:6: K9 has no key"),
        (
            "operator_key = \"operator.pem\"",
            "[[rail]]\nkind = \"sandbox\"\nlabel = { en = \"A\" }\npoll_second = 3",
            "16:1: unknown key `poll_second` in [[rail]]; did you mean `poll_seconds`?",
        ),
    ] {
        let place = said(from, to);
        assert!(place.starts_with(expected), "{to}: {place}");
        assert!(!place.contains("PRIVATE KEY"), "{place}");
    }
    std::fs::set_permissions(site.path("gateway-sign.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(said("street", "street").starts_with("7:15: "), "others may read the key");
}
