//! The API over real HTTP, mostly with what it must not take.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::super::world::tests::{Bench, HEIGHT, WIDTH, new_charge};
use super::*;
use crate::payment::Rail;

struct Site {
    bench: Bench,
    address: SocketAddr,
    agent: ureq::Agent,
    _runtime: tokio::runtime::Runtime,
}

impl Site {
    fn open() -> Self {
        let bench = Bench::new();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let routes = router(Arc::clone(&bench.world));
        runtime.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self { bench, address, agent, _runtime: runtime }
    }

    fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let mut answer = self.agent.get(format!("http://{}{path}", self.address)).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_vec().unwrap())
    }

    fn json(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.get(path);
        (status, serde_json::from_slice(&body).unwrap())
    }

    fn post(&self, path: &str, body: impl AsRef<[u8]>) -> (u16, Value) {
        let url = format!("http://{}{path}", self.address);
        let mut answer = self.agent.post(url).send(body.as_ref()).unwrap();
        (answer.status().as_u16(), answer.body_mut().read_json().unwrap())
    }
}

#[test]
fn what_does_not_fit_is_refused_with_a_reason_and_changes_nothing() {
    let site = Site::open();
    let _kiosk = site.bench.kiosk();
    let long = format!("{{\"payload\":\"{}\",\"action\":\"pay\"}}", "x".repeat(70_000));
    let deep = "[".repeat(10_000);
    for (path, body, expected) in [
        ("/api/touch", "{\"x\":1,", 400),
        ("/api/touch", "", 400),
        ("/api/touch", "{\"x\":1}", 400),
        ("/api/touch", "{\"x\":1,\"y\":2,\"z\":3}", 400),
        ("/api/touch", "{\"x\":1.5,\"y\":2}", 400),
        ("/api/touch", "{\"x\":99999999999,\"y\":2}", 400),
        ("/api/touch", "{\"x\":-1,\"y\":2}", 400),
        ("/api/touch", &format!("{{\"x\":{WIDTH},\"y\":2}}"), 400),
        ("/api/touch", &format!("{{\"x\":0,\"y\":{HEIGHT}}}"), 400),
        ("/api/touch", &deep, 400),
        ("/api/wallet", "{\"payload\":\"x\",\"action\":\"steal\"}", 400),
        ("/api/wallet", "{\"payload\":5,\"action\":\"pay\"}", 400),
        ("/api/wallet", "{\"action\":\"pay\"}", 400),
        ("/api/wallet", &long, 413),
        ("/api/wallet", "\u{fffd}", 400),
        ("/api/board/nothing", "{\"active\":true}", 404),
        ("/api/board/slot-A1", "{\"active\":true}", 400),
        ("/api/board/door", "{\"active\":\"yes\"}", 400),
        ("/api/board/door", "{\"active\":true,\"force\":1}", 400),
        ("/api/world", "{}", 400),
        ("/api/world", "{\"network\":\"sideways\"}", 400),
        ("/api/world", "{\"network\":\"down\",\"gravity\":\"off\"}", 400),
        ("/api/world", "{\"network\":\"down\",\"network\":\"down\"}", 400),
        ("/api/world", "{\"network\":\"down\",\"slot\":{\"name\":\"Z1\",\"motor\":\"jam\"}}", 400),
        ("/api/world", "{\"slot\":{\"name\":\"A1\",\"motor\":\"fly\"}}", 400),
        ("/api/world", "{\"power\":\"on\"}", 400),
        ("/api/world", "{\"power\":\"cut\",\"at\":\"noon\"}", 400),
        ("/api/world", "{\"provider\":{\"honest\":false}}", 400),
        ("/api/world", "[]", 400),
        ("/api/scan", "{}", 404),
        ("/api/nothing", "{}", 404),
        ("/api/state", "{}", 405),
        ("/api/screen.png", "{}", 405),
    ] {
        let (status, answer) = site.post(path, body);
        assert_eq!(status, expected, "{path} {:.60}: {answer}", body);
        let reason = answer["error"].as_str().unwrap_or_default();
        assert!(!reason.is_empty(), "{path} {:.60}", body);
        assert_eq!(answer.as_object().unwrap().len(), 1);
    }
    for (path, expected) in [
        ("/api/touch", 405),
        ("/api/board/door", 405),
        ("/api/why?order=../x", 400),
        ("/api/why?o=1", 400),
        ("/api", 404),
    ] {
        let (status, answer) = site.json(path);
        assert_eq!((status, answer["error"].is_string()), (expected, true), "{path}");
    }
    let (_, world) = site.json("/api/world");
    assert_eq!((&world["network"], &world["door"]), (&json!("up"), &json!("closed")));
    assert!(world["kiosk"]["cut_at"].is_null());
}

#[test]
fn a_finger_the_board_and_the_glass() {
    let site = Site::open();
    assert_eq!(site.post("/api/touch", "{\"x\":0,\"y\":0}").0, 503);
    assert_eq!(site.json("/api/state").1["page"], "dark");
    let kiosk = site.bench.kiosk();
    let (x, y) = (WIDTH - 1, HEIGHT - 1);
    assert_eq!(site.post("/api/touch", json!({ "x": x, "y": y }).to_string()).0, 200);
    let felt = kiosk.heard.recv_timeout(std::time::Duration::from_secs(5)).unwrap();
    assert!(matches!(felt, crate::world::Unsolicited::Touch { x: at, y: down } if (at, down) == (x, y)));

    let (status, state) = site.json("/api/state");
    assert_eq!((status, &state["page"]), (200, &json!("attract")));
    assert_eq!(
        state["targets"][0],
        json!({ "name": "start", "x": 0, "y": 0, "w": WIDTH, "h": HEIGHT, "enabled": true })
    );
    let (status, png) = site.get("/api/screen.png");
    let picture = image::load_from_memory(&png).unwrap().to_rgb8();
    assert_eq!((status, picture.dimensions()), (200, (WIDTH as u32, HEIGHT as u32)));
    assert_eq!(picture.get_pixel(0, 0).0, [255; 3]);

    assert_eq!(site.post("/api/board/door", "{\"active\":true}").0, 200);
    let (_, board) = site.json("/api/board");
    assert_eq!(board["lines"][1], json!({ "name": "door", "kind": "input", "active": true, "pulses": 0 }));
    assert_eq!(board["dropped"], json!({ "A1": 0 }));
    assert_eq!(site.post("/api/world", "{\"power\":\"cut\"}").0, 200);
    assert_eq!(site.json("/api/state").1["page"], "dark");
    let black = image::load_from_memory(&site.get("/api/screen.png").1).unwrap().to_rgb8();
    assert!(black.pixels().all(|pixel| pixel.0 == [0; 3]));
    assert_eq!(site.get("/api/printer.bin"), (200, Vec::new()));
    assert_eq!(site.get("/").0, 200);
}

#[test]
fn the_phone_pays_what_it_was_shown_and_is_told_why_not() {
    let site = Site::open();
    let kiosk = site.bench.kiosk();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let payload = runtime.block_on(kiosk.rail().create(&new_charge(1))).unwrap().payload;
    let act = |payload: &str, action: &str| {
        let (status, answer) = site.post("/api/wallet", json!({ "payload": payload, "action": action }).to_string());
        assert_eq!(status, 200, "{answer}");
        assert!(!answer["why"].as_str().unwrap().is_empty());
        answer["result"].as_str().unwrap().to_owned()
    };
    assert_eq!(act("https://example.com", "pay"), "refused");
    assert_eq!(act(&payload, "abandon"), "accepted");
    let (status, offer) = site.post("/api/scan", json!({ "payload": payload }).to_string());
    assert_eq!((status, &offer["offer"]["amount"], &offer["offer"]["state"]), (200, &json!(300), &json!("open")));
    assert_eq!(act(&payload, "pay-twice"), "accepted");
    assert_eq!(act(&payload, "pay"), "refused");
    let charge = &site.json("/api/wallet").1["charges"][0];
    assert_eq!((&charge["paid"], &charge["refunded"], &charge["state"]), (&json!(600), &json!(0), &json!("paid")));
}
