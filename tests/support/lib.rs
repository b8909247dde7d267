//! The kits that more than one test program uses: child processes, seeded chance, codes and their decoders, doubles of providers, the demo as a whole
//! machine, a site with brokers and gateways, a terminal, and a real browser.
//!
//! Nothing here sleeps long enough: everything waits for what it needs, and says what it saw when it never came.

mod browser;
pub mod chance;
pub mod child;
pub mod codes;
mod demo;
pub mod double;
pub mod machine;
mod port;
pub mod site;
pub mod spelling;
pub mod terminal;

pub use browser::Browser;
pub use demo::Demo;
pub use port::free_port;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Nothing in these tests takes this long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// One of our own programs, `kioskd`, `kioskctl` or `kioskfleet`: cargo builds it for every test program, and puts it beside
/// the folder of those.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let folder = test.ancestors().nth(2).expect("it is in target/PROFILE/deps");
    let program = folder.join(name);
    assert!(program.exists(), "{} is not built", program.display());
    program
}

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
