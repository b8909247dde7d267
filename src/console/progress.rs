//! How far something has come that takes long, in one line of a terminal.
//!
//! Policy: it is on standard error, and only where that is a terminal, so that it is in nobody's file.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// Between two pictures.
const TICK: Duration = Duration::from_millis(100);
const WIDTH: usize = 30;

/// It disappears when it is dropped.
pub struct Progress {
    what: &'static str,
    all: u64,
    done: u64,
    shown: Option<Instant>,
    terminal: bool,
}

impl Progress {
    /// `all`: how many there are; 0 where nobody knows.
    pub fn new(what: &'static str, all: u64) -> Self {
        Self { what, all, done: 0, shown: None, terminal: stderr().is_terminal() }
    }

    pub fn more(&mut self, done: u64) {
        self.done += done;
        if self.terminal && self.shown.is_none_or(|at| at.elapsed() >= TICK) {
            self.shown = Some(Instant::now());
            drop(write!(stderr(), "\r{}\x1b[K", bar(self.what, self.done, self.all)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            drop(write!(stderr(), "\r\x1b[K"));
        }
    }
}

fn bar(what: &str, done: u64, all: u64) -> String {
    if all == 0 {
        return format!("{what}: {done}");
    }
    let part = u128::from(done.min(all)) * WIDTH as u128 / u128::from(all);
    let full = usize::try_from(part).unwrap_or(WIDTH);
    format!("{what} [{}{}] {done} of {all}", "#".repeat(full), " ".repeat(WIDTH - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_never_longer_than_itself() {
        assert_eq!(bar("events", 7, 0), "events: 7");
        assert_eq!(bar("events", 0, 2), format!("events [{}] 0 of 2", " ".repeat(30)));
        assert_eq!(bar("events", 1, 2), format!("events [{}{}] 1 of 2", "#".repeat(15), " ".repeat(15)));
        assert_eq!(bar("events", 3, 2), format!("events [{}] 3 of 2", "#".repeat(30)));
        assert!(bar("events", u64::MAX, u64::MAX).contains(&"#".repeat(30)));
    }
}
