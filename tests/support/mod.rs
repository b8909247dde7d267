//! What tests of the whole machine stand on: a demo that is started and ended with the test, the customer's finger and
//! phone, and a real browser.
//!
//! Nothing here sleeps long enough: everything waits for what it needs, and says what it saw when it never came.

#![allow(dead_code, reason = "every test program uses its own part of this")]

mod browser;
#[path = "child.rs"]
pub mod child;
mod demo;
mod spelling;

pub use browser::Browser;
pub use demo::Demo;

use std::time::{Duration, Instant};

/// Nothing in these tests takes this long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until there is an answer.
pub fn wait_for<T>(what: &str, within: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let by = Instant::now() + within;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < by, "{what}: not within {within:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// One HTTP agent for JSON; a status is data, not an error.
fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into()
}
