//! Chromium over WebDriver: a fresh profile, no network services of its own, closed with the test.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use crate::child::{Running, command, found};
use crate::{PATIENCE, agent, wait_for};

pub struct Browser {
    driver: Running,
    agent: ureq::Agent,
    session: String,
    _profile: tempfile::TempDir,
}

/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Browser {
    /// A window of that size, in CSS pixels.
    pub fn open(width: u32, height: u32) -> Self {
        let profile = tempfile::tempdir().unwrap();
        // The driver's group, so that no browser outlives the test; and the kernel's word that none outlives the driver.
        let binary = profile.path().join("browser");
        let (browser, mode) = (found("chromium".as_ref()), std::fs::Permissions::from_mode(0o700));
        let text = format!("#!/bin/sh\nexec setpriv --pdeathsig KILL -- {} \"$@\"\n", browser.display());
        std::fs::write(&binary, text).unwrap();
        std::fs::set_permissions(&binary, mode).unwrap();
        let mut driver = command("chromedriver");
        driver.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut driver = Running::start(&mut driver);
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port: u16 = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok())
            .expect("chromedriver tells its port");
        // Read on, or it would block when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        let mut arguments: Vec<String> = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
        ]
        .map(str::to_owned)
        .into();
        arguments.push(format!("--window-size={width},{height}"));
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let mut browser =
            Self { driver, agent: agent(), session: format!("http://127.0.0.1:{port}/session"), _profile: profile };
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "args": arguments, "binary": binary },
        } } });
        let created = browser.command("", wanted);
        browser.session += &format!("/{}", created["sessionId"].as_str().expect("a session"));
        browser
    }

    fn command(&self, path: &str, body: Value) -> Value {
        let mut reply = self.agent.post(format!("{}{path}", self.session)).send_json(body).unwrap();
        Self::value(path, reply.status().as_u16(), reply.body_mut())
    }

    fn ask(&self, path: &str) -> Value {
        let mut reply = self.agent.get(format!("{}{path}", self.session)).call().unwrap();
        Self::value(path, reply.status().as_u16(), reply.body_mut())
    }

    fn value(path: &str, status: u16, body: &mut ureq::Body) -> Value {
        let reply: Value = body.with_config().limit(64 << 20).read_json().unwrap();
        assert_eq!(status, 200, "{path}: {}", reply["value"]["message"]);
        reply["value"].clone()
    }

    pub fn go(&self, url: &str) {
        self.command("/url", json!({ "url": url }));
    }

    fn element(&self, css: &str) -> Value {
        let found = self.command("/element", json!({ "using": "css selector", "value": css }));
        json!({ ELEMENT: found[ELEMENT] })
    }

    /// Clicks the middle of an element, like a person.
    pub fn click(&self, css: &str) {
        self.click_at(css, 0, 0);
    }

    /// Clicks beside the middle of an element, in CSS pixels.
    pub fn click_at(&self, css: &str, right: i64, down: i64) {
        let element = self.element(css);
        self.run("arguments[0].scrollIntoView({ block: 'center' })", json!([element]));
        self.command(
            "/actions",
            json!({ "actions": [{
            "type": "pointer", "id": "mouse", "parameters": { "pointerType": "mouse" },
            "actions": [
                { "type": "pointerMove", "duration": 0, "origin": element, "x": right, "y": down },
                { "type": "pointerDown", "button": 0 },
                { "type": "pointerUp", "button": 0 },
            ],
        }] }),
        );
    }

    /// Drags one element to the middle of another; both are in the window.
    pub fn drag(&self, from: &str, to: &str) {
        let [from, to] = [from, to].map(|css| self.element(css));
        self.run("arguments[0].scrollIntoView({ block: 'center' })", json!([from]));
        self.command(
            "/actions",
            json!({ "actions": [{
            "type": "pointer", "id": "mouse", "parameters": { "pointerType": "mouse" },
            "actions": [
                { "type": "pointerMove", "duration": 0, "origin": from, "x": 0, "y": 0 },
                { "type": "pointerDown", "button": 0 },
                { "type": "pointerMove", "duration": 100, "origin": to, "x": 3, "y": 3 },
                { "type": "pointerMove", "duration": 100, "origin": to, "x": 0, "y": 0 },
                { "type": "pointerUp", "button": 0 },
            ],
        }] }),
        );
    }

    /// Chooses an option of a `select` by its value.
    pub fn choose(&self, css: &str, value: &str) {
        let option = format!("{css} option[value='{value}']");
        let element = self.element(&option);
        let id = element[ELEMENT].as_str().unwrap().to_owned();
        self.command(&format!("/element/{id}/click"), json!({}));
    }

    /// A function's body; its value must be JSON.
    pub fn run(&self, script: &str, arguments: Value) -> Value {
        self.command("/execute/sync", json!({ "script": script, "args": arguments }))
    }

    /// The text a person sees; none where nothing is there yet.
    pub fn text(&self, css: &str) -> String {
        let text = self.run("return document.querySelector(arguments[0])?.innerText", json!([css]));
        text.as_str().unwrap_or_default().to_owned()
    }

    pub fn wait_for_text(&self, css: &str, part: &str) -> String {
        let mut seen = String::new();
        let by = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < by {
            seen = self.text(css);
            if seen.contains(part) {
                return seen;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("`{css}` never says `{part}` but: {seen}");
    }

    /// What is in the window, as PNG.
    pub fn screenshot(&self) -> Vec<u8> {
        let text = self.ask("/screenshot");
        base64(text.as_str().unwrap())
    }

    /// Errors and warnings of the page's scripts since the last call.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.command("/se/log", json!({ "type": "browser" }));
        let bad = |entry: &&Value| entry["level"] == "SEVERE" || entry["level"] == "WARNING";
        log.as_array().into_iter().flatten().filter(bad).map(|entry| entry["message"].to_string()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It closes the browser; what is left afterwards is killed with the group.
        drop(self.agent.delete(&self.session).call());
        kill_process_group(Pid::from_child(&self.driver), Signal::TERM).unwrap_or(());
        if !std::thread::panicking() {
            wait_for("chromedriver's end", PATIENCE, || self.driver.try_wait().unwrap());
        }
    }
}

fn base64(text: &str) -> Vec<u8> {
    let digit = |b: u8| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for value in text.bytes().filter_map(digit) {
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}
