//! Every relay inactive, by a process that is not the kiosk: for systemd's ExecStopPost, after a stop, a crash or a kill.

use std::time::{Duration, Instant};

use embedded_hal::digital::OutputPin;

use super::{Backend, BoardError, Real};
use crate::config::{LineDriver, Wired, Wiring};

/// A daemon that is being killed may hold its lines for a moment.
const BUSY: Duration = Duration::from_millis(800);
const AGAIN: Duration = Duration::from_millis(10);

/// What became of one relay.
#[derive(Debug)]
pub struct Made {
    pub slot: String,
    pub line: String,
    /// Where it is, or why it may still be on.
    pub safe: Result<String, String>,
}

impl std::fmt::Display for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { slot, line, safe } = self;
        match safe {
            Ok(place) => write!(f, "slot {slot}: line {line} is inactive ({place})"),
            Err(why) => write!(f, "slot {slot}: line {line} COULD NOT BE MADE INACTIVE: {why}"),
        }
    }
}

/// Claims each relay inactive. All of them are held until the last is, and the busy ones are tried again for 800 ms in
/// all. `told` hears of each relay as soon as it is known. Simulated relays are the world's.
pub fn relays_safe(wiring: Wiring, mut told: impl FnMut(&Made)) -> Vec<Made> {
    let mut waiting: Vec<Wired> = wiring.slots.clone();
    let mut made = Vec::new();
    let mut done = |slot: Wired, safe: Result<String, String>| {
        let one = Made { slot: slot.name, line: slot.line, safe };
        told(&one);
        made.push(one);
    };
    if matches!(wiring.board.lines, LineDriver::Simulated) {
        let inactive = || Ok("simulated: the world drops its relays when the kiosk is gone".to_owned());
        waiting.into_iter().for_each(|slot| done(slot, inactive()));
        return made;
    }
    let board = match Real::open(wiring) {
        Ok(board) => board,
        Err(error) => {
            waiting.into_iter().for_each(|slot| done(slot, Err(error.to_string())));
            return made;
        }
    };
    let began = Instant::now();
    let mut held = Vec::new();
    while !waiting.is_empty() {
        let last = began.elapsed() >= BUSY;
        for slot in std::mem::take(&mut waiting) {
            match rest(&board, &slot.line) {
                Ok((output, place)) => {
                    held.push(output);
                    done(slot, Ok(place));
                }
                Err(BoardError::Busy { .. }) if !last => waiting.push(slot),
                Err(error) => done(slot, Err(error.to_string())),
            }
        }
        if !waiting.is_empty() {
            std::thread::sleep(AGAIN);
        }
    }
    drop(held);
    made
}

fn rest(board: &Real, line: &str) -> Result<(super::RealOutput, String), BoardError> {
    let place = board.whereabouts(line)?;
    let mut output = board.output(line)?;
    // An expander that does not answer is claimed all the same; this is where it shows.
    output.set_low().map_err(|fault| BoardError::Line { line: line.into(), why: format!("{fault:?}") })?;
    Ok((output, place))
}
