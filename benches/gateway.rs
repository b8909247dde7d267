//! From a provider's notification at the gateway's webhook to the relay of the kiosk, through mosquitto with TLS on the
//! gateway's side; once with the ledger on disk, once in memory, where its fsync costs nothing.
//! `cargo bench --profile release --bench gateway`; needs what `tests/run` installs.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use kioskd_tests::site::{Site, alipay_notification, last_charge};

/// A gateway makes at most 30 charges a minute for a kiosk, and each of these sales has two: one for the first rail, too.
const SALES: usize = 14;

fn main() {
    for (what, parent) in [("in memory", Path::new("/dev/shm")), ("on disk", Path::new(env!("CARGO_TARGET_TMPDIR")))] {
        let state = tempfile::tempdir_in(parent).expect("a folder");
        // Seldom polls: it is the notice that is measured.
        let site = Site::open(Some(state.path().join("state")), 10);
        let mut took: Vec<Duration> = (0..SALES).map(|_| sale(&site)).collect();
        took.sort();
        let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1e3;
        println!("notice to relay, {what:<9}  p50 {:6.1} ms  p99 {:6.1} ms  of {SALES}", at(50), at(99));
    }
}

fn sale(site: &Site) -> Duration {
    let machine = &site.machine;
    machine.world(json!({ "stock": "full" }));
    machine.until("attract");
    machine.tap("start");
    machine.tap("product:cola");
    machine.tap("pay");
    machine.tap("rail:alipay");
    let code = machine.wait("Alipay's code", || {
        let (status, body) = machine.post("/api/scan", &json!({}));
        let code = (status == 200).then(|| body["payload"].as_str().map(str::to_owned)).flatten();
        code.filter(|code| code.contains("alipay"))
    });
    assert_eq!(site.alipay.post("/_pay", json!({ "payload": code }))["result"], "accepted");
    let body = alipay_notification(&site.alipay, &last_charge(&site.alipay));
    let before = machine.pulses();
    let webhook = format!("{}/alipay", site.gateways[0].1);
    let begin = Instant::now();
    let sent = std::thread::spawn(move || ureq::post(&webhook).send(body.as_str()).map(|answer| answer.status()));
    while machine.pulses() == before {
        assert!(begin.elapsed() < Duration::from_secs(30), "the relay never came");
    }
    let took = begin.elapsed();
    assert_eq!(sent.join().expect("the request").expect("an answer"), 200);
    // The next customer does not wait for the last page to end by itself.
    if machine.until_any(&["thanks", "attract"])["page"] == "thanks" {
        machine.tap("done");
    }
    machine.until("attract");
    took
}
