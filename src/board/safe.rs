//! Makes every relay inactive, from a process that is not the kiosk: for systemd's ExecStopPost, after a stop, a crash
//! or a kill.
//!
//! Policy: first come the lines that the last run has claimed ([`Claims`]), then those that the configuration names
//! beside them, as far as it can be read. So neither a slot that was taken out of the file nor a typo in it leaves a
//! relay on.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use embedded_hal::digital::OutputPin;

use super::claims::{Claims, ClaimsError};
use super::{BoardError, Locate, Real};
use crate::config::{self, ConfigError, LineDriver, WiredRelay, Wiring};

/// A daemon that is being killed may hold its lines for a moment.
const BUSY: Duration = Duration::from_millis(800);
const AGAIN: Duration = Duration::from_millis(10);

/// What became of one relay.
#[derive(Debug)]
pub struct MadeSafe {
    /// In words.
    pub whose: String,
    pub line: String,
    /// Where it is, or why it may still be on.
    pub safe: Result<String, String>,
}

impl std::fmt::Display for MadeSafe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { whose, line, safe } = self;
        match safe {
            Ok(place) => write!(f, "{whose}: line {line} is inactive ({place})"),
            Err(why) => write!(f, "{whose}: line {line} COULD NOT BE MADE INACTIVE: {why}"),
        }
    }
}

/// What whoever looks on hears.
#[derive(Debug)]
pub enum SafeReport {
    Relay(MadeSafe),
    Claims(ClaimsError),
    Config(ConfigError),
}

/// Makes every relay inactive; `told` hears of each as soon as it is known. Says whether all of them are, as far as
/// anybody can know.
pub fn relays_safe(claims: Option<&Claims>, config: &Path, told: impl FnMut(SafeReport)) -> bool {
    let wiring = config::load_wiring(config);
    Sweep { open: Real::open, tried: BTreeSet::new(), safe: true, told }.all(claims, wiring)
}

/// Puts down what `board` is about to drive, and makes safe what an earlier run has left and this one does not drive.
pub(super) fn announce<B: Locate>(
    board: &B,
    wiring: Wiring,
    open: impl Fn(Wiring) -> Result<B, BoardError>,
    claims: &Claims,
) -> Result<(), ClaimsError> {
    let mut left = claims.read().unwrap_or_else(|error| {
        tracing::error!(%error, "what an earlier run has left on, if anything, is not known");
        Vec::new()
    });
    let ours = wiring.relays().iter().filter_map(|relay| board.whereabouts(&relay.line).ok()).collect();
    let told = |told| match told {
        SafeReport::Relay(made) if made.safe.is_err() => {
            tracing::error!("a relay of an earlier run was found on: {made}")
        }
        told => tracing::warn!(?told, "the relays of an earlier run were made safe"),
    };
    let mut rounds = Sweep { open, tried: ours, safe: true, told };
    for wiring in &mut left {
        rounds.round(wiring);
    }
    left.retain(|wiring| !wiring.relays().is_empty());
    left.insert(0, wiring);
    claims.write(&left)
}

struct Sweep<O, T> {
    open: O,
    /// Places that have had their turn, or are somebody's.
    tried: BTreeSet<String>,
    safe: bool,
    told: T,
}

impl<B: Locate, O: Fn(Wiring) -> Result<B, BoardError>, T: FnMut(SafeReport)> Sweep<O, T> {
    fn all(mut self, claims: Option<&Claims>, config: Result<Wiring, ConfigError>) -> bool {
        let claimed = claims.map_or(Ok(Vec::new()), Claims::read).unwrap_or_else(|error| {
            self.safe = false;
            (self.told)(SafeReport::Claims(error));
            Vec::new()
        });
        let any = !claimed.is_empty();
        let mut left = claimed;
        left.iter_mut().for_each(|wiring| self.round(wiring));
        left.retain(|wiring| !wiring.relays().is_empty());
        if let (Some(claims), true) = (claims, any)
            && let Err(error) = claims.write(&left)
        {
            (self.told)(SafeReport::Claims(error));
        }
        match config {
            Ok(mut wiring) => self.round(&mut wiring),
            Err(error) => {
                // What was driven is known all the same.
                self.safe &= any;
                (self.told)(SafeReport::Config(error));
            }
        }
        self.safe
    }

    /// Claims each relay inactive; what could not be stays in `wiring`. All of them are held until the last is, and the
    /// busy ones are tried again for 800 ms in all. Simulated relays are the world's.
    fn round(&mut self, wiring: &mut Wiring) {
        let mut waiting = wiring.relays();
        if matches!(wiring.board.lines, LineDriver::Simulated) {
            let inactive = || Ok("simulated: the world drops its relays when the kiosk is gone".to_owned());
            wiring.keep(&[]);
            return waiting.into_iter().for_each(|relay| self.done(relay, inactive()));
        }
        let board = match (self.open)(wiring.clone()) {
            Ok(board) => board,
            Err(error) => return waiting.into_iter().for_each(|relay| self.done(relay, Err(error.to_string()))),
        };
        let known = |tried: &BTreeSet<String>, relay: &WiredRelay| {
            board.whereabouts(&relay.line).is_ok_and(|place| tried.contains(&place))
        };
        waiting.retain(|relay| !known(&self.tried, relay));
        let (places, mut left): (Vec<String>, Vec<WiredRelay>) =
            (waiting.iter().filter_map(|relay| board.whereabouts(&relay.line).ok()).collect(), Vec::new());
        self.tried.extend(places);
        let began = Instant::now();
        let mut held = Vec::new();
        while !waiting.is_empty() {
            let last = began.elapsed() >= BUSY;
            for relay in std::mem::take(&mut waiting) {
                match rest(&board, &relay.line) {
                    Ok((output, place)) => {
                        held.push(output);
                        self.done(relay, Ok(place));
                    }
                    Err(BoardError::Busy { .. }) if !last => waiting.push(relay),
                    Err(error) => {
                        left.push(relay.clone());
                        self.done(relay, Err(error.to_string()));
                    }
                }
            }
            if !waiting.is_empty() {
                std::thread::sleep(AGAIN);
            }
        }
        drop(held);
        wiring.keep(&left);
    }

    fn done(&mut self, relay: WiredRelay, safe: Result<String, String>) {
        self.safe &= safe.is_ok();
        (self.told)(SafeReport::Relay(MadeSafe { whose: relay.whose, line: relay.line, safe }));
    }
}

fn rest<B: Locate>(board: &B, line: &str) -> Result<(B::Output, String), BoardError> {
    let place = board.whereabouts(line)?;
    let mut output = board.output(line)?;
    // An expander that does not answer is claimed all the same; this is where it shows.
    output.set_low().map_err(|fault| BoardError::Line { line: line.into(), why: format!("{fault:?}") })?;
    Ok((output, place))
}

#[cfg(test)]
mod tests;
