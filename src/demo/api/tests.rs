//! The API over real HTTP, mostly with what it must not take.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use super::super::world::tests::{Bench, HEIGHT, WIDTH, new_charge};
use super::*;
use crate::payment::Rail;
use crate::world::Unsolicited;

struct Site {
    bench: Bench,
    address: SocketAddr,
    agent: ureq::Agent,
    _runtime: tokio::runtime::Runtime,
}

impl Site {
    fn open() -> Self {
        Self::open_at("127.0.0.1:0")
    }

    fn open_at(listen: &str) -> Self {
        let bench = Bench::new();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(listen)).unwrap();
        let address = listener.local_addr().unwrap();
        let routes = router(Arc::clone(&bench.world), address);
        runtime.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self { bench, address, agent, _runtime: runtime }
    }

    fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let mut answer = self.agent.get(format!("http://{}{path}", self.address)).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_vec().unwrap())
    }

    /// The status of a request with just these words.
    fn raw(&self, request: &str, headers: &[String], body: &str) -> u16 {
        let mut connection = TcpStream::connect(("127.0.0.1", self.address.port())).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        write!(connection, "{request} HTTP/1.1\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut line = String::new();
        BufReader::new(connection).read_line(&mut line).unwrap();
        line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{line}"))
    }

    fn json(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.get(path);
        (status, serde_json::from_slice(&body).unwrap())
    }

    fn post(&self, path: &str, body: impl AsRef<[u8]>) -> (u16, Value) {
        let url = format!("http://{}{path}", self.address);
        let mut answer = self.agent.post(url).content_type("application/json").send(body.as_ref()).unwrap();
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
        ("/api/scan", "{\"text\":\"\"}", 400),
        ("/api/scan", "{\"text\":\"a\\nb\"}", 400),
        ("/api/scan", "{\"text\":\"a\",\"payload\":\"b\"}", 400),
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
    assert_eq!(site.post("/api/scan", "{\"text\":\"42\"}").0, 503);
    assert_eq!(site.json("/api/state").1["page"], "dark");
    let kiosk = site.bench.kiosk();
    assert_eq!(site.post("/api/scan", "{\"text\":\"42 ~\"}").0, 200);
    let Unsolicited::Scanned { text } = kiosk.heard.recv_timeout(Duration::from_secs(60)).unwrap() else { panic!() };
    assert_eq!(text, "42 ~");
    let (x, y) = (WIDTH - 1, HEIGHT - 1);
    assert_eq!(site.post("/api/touch", json!({ "x": x, "y": y }).to_string()).0, 200);
    assert_eq!(site.post("/api/touch", json!({ "x": 0, "y": 0 }).to_string()).0, 200);
    let felt: Vec<_> = (0..4)
        .map(|_| match kiosk.heard.recv_timeout(Duration::from_secs(60)).unwrap() {
            Unsolicited::Finger { at, ms } => (at, ms),
            other => panic!("{other:?}"),
        })
        .collect();
    let places: Vec<_> = felt.iter().map(|(at, _)| *at).collect();
    assert_eq!(places, [Some(Point { x, y }), None, Some(Point { x: 0, y: 0 }), None]);
    let between = |nth: usize| felt[nth + 1].1 - felt[nth].1;
    assert!(between(0) >= 30 && between(1) > 80 && between(2) >= 30, "a tap takes time, and is no bounce: {felt:?}");

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

const JSON: &str = "Content-Type: application/json";

/// Every route with what would be done there, and the answer to somebody who may.
fn errands() -> Vec<(&'static str, Vec<String>, &'static str, u16)> {
    let web_socket = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
    let web_socket = web_socket.into_iter().chain(["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]);
    let reads = ["/", "/page.js", "/page.css"].into_iter().chain([
        "/api/screen.png",
        "/api/state",
        "/api/wallet",
        "/api/board",
        "/api/printer.bin",
        "/api/printer.png",
        "/api/world",
    ]);
    let reads = reads.map(|path| (path, Vec::new(), "", 200));
    let json = |path, body, status| (path, vec![JSON.to_owned()], body, status);
    let mut all: Vec<_> = reads.collect();
    all.extend([
        ("/api/events", web_socket.map(str::to_owned).collect(), "", 101),
        ("/api/nothing", Vec::new(), "", 404),
        json("/api/touch", "{\"x\":0,\"y\":0}", 200),
        json("/api/wallet", "{\"payload\":\"x\",\"action\":\"pay\"}", 200),
        json("/api/scan", "{}", 404),
        json("/api/board/door", "{\"active\":true}", 200),
        json("/api/world", "{\"door\":\"closed\"}", 200),
    ]);
    all
}

impl Site {
    /// The statuses of every errand with these headers; `own`: are they those of somebody who may?
    fn run_errands(&self, who: &[&str], own: bool) {
        for (path, mut headers, body, good) in errands() {
            headers.extend(who.iter().map(|header| header.replace("PORT", &self.address.port().to_string())));
            let method = if body.is_empty() { "GET" } else { "POST" };
            let status = self.raw(&format!("{method} {path}"), &headers, body);
            let expected = if own { good == status } else { matches!(status, 400 | 403) };
            assert!(expected, "{method} {path} with {who:?}: {status}");
        }
        let door = self.json("/api/world").1["door"].clone();
        assert_eq!(door, "closed", "{who:?}");
    }
}

#[test]
fn only_the_page_itself_and_programs_of_this_machine_may_ask() {
    let site = Site::open();
    let _kiosk = site.bench.kiosk();
    for own in [
        &["Host: 127.0.0.1:PORT"][..],
        &["Host: localhost:PORT"],
        &["Host: LocalHost:PORT"],
        &["Host: [::1]:PORT"],
        &["Host: localhost:PORT", "Origin: http://localhost:PORT"],
        &["Host: 127.0.0.1:PORT", "Origin: http://127.0.0.1:PORT"],
    ] {
        site.run_errands(own, true);
    }
    for foreign in [
        // A name that was made to point here.
        &["Host: evil.example:PORT"][..],
        &["Host: evil.example:PORT", "Origin: http://evil.example:PORT"],
        &["Host: localhost.evil.example:PORT"],
        &["Host: 127.0.0.1.evil.example:PORT"],
        &["Host: localhost@evil.example:PORT"],
        &["Host: evil.example@localhost:PORT"],
        &["Host: 192.168.1.1:PORT"],
        &["Host: [::2]:PORT"],
        &["Host: 0x7f.1:PORT"],
        &["Host: 127.0.0.1:1"],
        &["Host: 127.0.0.1:PORT0"],
        &["Host: 127.0.0.1:"],
        &["Host: 127.0.0.1"],
        &["Host: localhost"],
        &["Host: "],
        &[],
        &["Host: evil.example", "Host: 127.0.0.1:PORT"],
        &["Host: 127.0.0.1:PORT", "Host: evil.example"],
        // A page of a stranger's.
        &["Host: 127.0.0.1:PORT", "Origin: http://evil.example"],
        &["Host: 127.0.0.1:PORT", "Origin: http://evil.example:PORT"],
        &["Host: 127.0.0.1:PORT", "Origin: https://127.0.0.1:PORT"],
        &["Host: 127.0.0.1:PORT", "Origin: http://127.0.0.1"],
        &["Host: 127.0.0.1:PORT", "Origin: http://127.0.0.1:1"],
        &["Host: 127.0.0.1:PORT", "Origin: http://127.0.0.1:PORT.evil.example"],
        &["Host: 127.0.0.1:PORT", "Origin: null"],
        &["Host: 127.0.0.1:PORT", "Origin: "],
        &["Host: 127.0.0.1:PORT", "Origin: http://127.0.0.1:PORT", "Origin: http://evil.example"],
    ] {
        site.run_errands(foreign, false);
    }
    let host = [format!("Host: {}", site.address)];
    assert_eq!(site.raw("GET http://evil.example/api/state", &host, ""), 403);
    assert_eq!(site.raw(&format!("GET http://{}/api/state", site.address), &host, ""), 200);
}

#[test]
fn on_all_addresses_any_address_may_be_named_and_no_name() {
    let site = Site::open_at("0.0.0.0:0");
    let _kiosk = site.bench.kiosk();
    for own in [
        &["Host: 0.0.0.0:PORT"][..],
        &["Host: 192.168.1.5:PORT"],
        &["Host: [fe80::5]:PORT"],
        &["Host: localhost:PORT"],
        &["Host: 192.168.1.5:PORT", "Origin: http://192.168.1.5:PORT"],
    ] {
        site.run_errands(own, true);
    }
    for foreign in [
        &["Host: evil.example:PORT"][..],
        &["Host: 192.168.1.5"],
        // By its own address; but the browser is led here by a page elsewhere.
        &["Host: 192.168.1.5:PORT", "Origin: http://203.0.113.6:PORT"],
        &["Host: 192.168.1.5:PORT", "Origin: http://localhost:PORT"],
    ] {
        site.run_errands(foreign, false);
    }
}

#[test]
fn a_body_says_that_it_is_json() {
    let site = Site::open();
    let _kiosk = site.bench.kiosk();
    let host = format!("Host: {}", site.address);
    let door = "{\"door\":\"closed\"}";
    let post = |kinds: &[&str], body: &str| {
        let headers: Vec<String> =
            std::iter::once(host.clone()).chain(kinds.iter().map(|kind| format!("Content-Type: {kind}"))).collect();
        site.raw("POST /api/world", &headers, body)
    };
    for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        assert_eq!((post(&[kind], door), post(&[kind], "{")), (200, 400), "{kind}");
    }
    // What a form or a script of a stranger's page can send without asking first.
    for kinds in [
        &[][..],
        &["text/plain"],
        &["text/plain; charset=application/json"],
        &["application/x-www-form-urlencoded"],
        &["multipart/form-data; boundary=application/json"],
        &["application/jsonx"],
        &["application"],
        &[""],
        &["application/json, text/plain"],
        &["application/json", "text/plain"],
    ] {
        assert_eq!(post(kinds, door), 415, "{kinds:?}");
    }
}
