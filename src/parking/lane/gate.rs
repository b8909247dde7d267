//! Where the arm is, as far as switches and time can tell, and which relay is energised.
//!
//! Policy: a switch is believed once it has stopped bouncing and unless it contradicts another or the cars. That the gate did
//! not move is believed only of a closed switch that has followed the arm up and down in this run. Where switches say
//! nothing, time does; what time says of a falling arm is its slowest way.

use super::record::Relay;
use super::settings::{Settings, Times};
use super::signal::{Level, Signal};
use crate::vocabulary::Mono;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// After a start, or where it was found anywhere between its ends.
    Unknown,
    Closed,
    Raising(Mono),
    Open,
    Lowering(Mono),
}

/// What has become of a movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Opened,
    Closed,
    /// Its closed switch says that it has not left. `proved`: and can be believed.
    NotMoved {
        proved: bool,
    },
    NotSeenOpen,
    NotClosed,
    /// It is not where it was left.
    MovedByOthers,
}

#[derive(Debug, Clone)]
struct Switch {
    signal: Signal,
    /// It let go while the arm was raised.
    let_go: bool,
    /// And took hold again while it was lowered.
    proved: bool,
    /// It has changed since the arm was last asked to rise, be it for a moment.
    moved: bool,
    /// Its level contradicts the cars; until it changes nothing is believed of it.
    lies: bool,
}

#[derive(Debug, Clone)]
pub struct Gate {
    pub position: Position,
    /// It was raised by the lane, which therefore lowers it.
    pub ours: bool,
    opened: Option<Switch>,
    closed: Option<Switch>,
    /// The relays, and until when their pulse lasts.
    raise_until: Option<Mono>,
    lower_until: Option<Mono>,
    /// After our own pulse the arm may still be coming down until then, whatever a switch says.
    falls_until: Option<Mono>,
    /// What the last raise has taken for no longer true; true again where nothing was energised for it.
    fell_until: Option<Mono>,
    /// Where the arm was before the last pulse for raising; until the board has said that it did not give it.
    raised_from: Option<Position>,
    /// The board has just said that nothing is energised. The first time it is asked again at once, and after that then.
    asks_again: Mono,
    failed_until: Mono,
    /// No pulse for lowering begins before.
    rests_until: Mono,
}

impl Gate {
    pub fn new(settings: &Settings, now: Mono) -> Self {
        let switch = |fitted: bool| {
            fitted.then(|| Switch { signal: Signal::new(now), let_go: false, proved: false, moved: false, lies: false })
        };
        Self {
            position: Position::Unknown,
            ours: false,
            opened: switch(settings.opened),
            closed: switch(settings.closed),
            raise_until: None,
            lower_until: None,
            falls_until: None,
            fell_until: None,
            raised_from: None,
            asks_again: now,
            failed_until: now,
            rests_until: now,
        }
    }

    pub fn switched(&mut self, opened: bool, level: Level, now: Mono, times: &Times) {
        let switch = if opened { &mut self.opened } else { &mut self.closed };
        let Some(switch) = switch else { return };
        if switch.signal.level != level {
            switch.lies = false;
            switch.moved = true;
        }
        switch.signal.set(level, now, &times.signal);
    }

    fn reads(switch: Option<&Switch>, now: Mono, times: &Times) -> Option<bool> {
        switch.filter(|switch| !switch.lies)?.signal.steady(now, &times.signal)
    }

    pub fn disagree(&self, now: Mono, times: &Times) -> bool {
        let says = |switch: &Option<Switch>| Self::reads(switch.as_ref(), now, times) == Some(true);
        says(&self.opened) && says(&self.closed) || self.closed.as_ref().is_some_and(|switch| switch.lies)
    }

    /// `None` where nobody knows.
    pub fn opened(&self, now: Mono, times: &Times) -> Option<bool> {
        (!self.disagree(now, times)).then(|| Self::reads(self.opened.as_ref(), now, times)).flatten()
    }

    pub fn closed(&self, now: Mono, times: &Times) -> Option<bool> {
        (!self.disagree(now, times)).then(|| Self::reads(self.closed.as_ref(), now, times)).flatten()
    }

    pub fn switches(&self) -> impl Iterator<Item = &Signal> {
        self.opened.iter().chain(&self.closed).map(|switch| &switch.signal)
    }

    pub fn switch(&self, opened: bool) -> Option<&Signal> {
        if opened { &self.opened } else { &self.closed }.as_ref().map(|switch| &switch.signal)
    }

    /// A car drove through a gate that was asked to open: what says that it is closed is wrong. One that was not asked is
    /// driven round by whoever is narrow enough.
    pub fn passed_under(&mut self, now: Mono, times: &Times) {
        if self.ours
            && self.closed(now, times) == Some(true)
            && let Some(closed) = &mut self.closed
        {
            (closed.lies, closed.proved, closed.let_go) = (true, false, false);
            if self.position == Position::Closed {
                self.position = Position::Unknown;
            }
        }
    }

    /// The arm may be coming down because of us.
    pub fn falls(&self, now: Mono) -> bool {
        self.falls_until.is_some_and(|until| now < until)
    }

    pub fn energised(&self, relay: Relay, now: Mono) -> bool {
        let until = if relay == Relay::Raise { self.raise_until } else { self.lower_until };
        until.is_some_and(|until| now < until)
    }

    /// It is energised for raising, or was a moment ago: the gate does not take another pulse for a new one.
    pub fn just_raised(&self, now: Mono, times: &Times) -> bool {
        self.raise_until.is_some_and(|until| now < until + times.rest)
    }

    /// The board has not said just now that it does not energise.
    pub fn answers(&self, now: Mono) -> bool {
        now >= self.asks_again
    }

    /// The inputs of the gate are released, and have been for a while.
    pub fn rested(&self, now: Mono) -> bool {
        now >= self.rests_until
    }

    pub fn energise(&mut self, relay: Relay, now: Mono, times: &Times) {
        let until = now + times.pulse;
        self.rests_until = until + times.rest;
        match relay {
            Relay::Raise => {
                self.fell_until = self.falls_until.take();
                (self.raise_until, self.lower_until) = (Some(until), None);
                self.raised_from = Some(self.position);
                self.ours = true;
                match self.position {
                    // One that is open stays so, as far as anybody knows.
                    Position::Open => {}
                    // What it has done since it was first asked, it has done.
                    Position::Raising(_) => self.position = Position::Raising(now),
                    _ => {
                        self.position = Position::Raising(now);
                        self.closed.iter_mut().for_each(|switch| switch.moved = false);
                    }
                }
            }
            Relay::Lower => {
                (self.fell_until, self.raised_from) = (None, None);
                self.lower_until = Some(until);
                self.falls_until = Some(until + times.travel + times.travel / 4);
                self.position = Position::Lowering(now);
            }
        }
    }

    /// The gate's own control closes it now.
    pub fn closes_by_itself(&mut self, now: Mono) {
        self.position = Position::Lowering(now);
    }

    /// The last pulse was not given. An arm that an earlier one has sent up is on its way up still.
    pub fn not_energised(&mut self, relay: Relay, now: Mono, times: &Times) {
        match relay {
            Relay::Raise => {
                (self.raise_until, self.falls_until) = (None, self.fell_until.take().or(self.falls_until));
                self.asks_again = if now < self.failed_until { now + times.rest } else { now };
                self.failed_until = now + times.rest * 2;
                match self.raised_from.take() {
                    Some(before @ Position::Raising(_)) => self.position = before,
                    Some(_) if matches!(self.position, Position::Raising(_)) => self.position = Position::Unknown,
                    _ => {}
                }
            }
            Relay::Lower => (self.lower_until, self.falls_until, self.position) = (None, None, Position::Unknown),
        }
    }

    /// What has become of the arm since the last question.
    pub fn follow(&mut self, now: Mono, times: &Times) -> Option<Verdict> {
        let (opened, closed) = (self.opened(now, times), self.closed(now, times));
        if let Some(switch) = &mut self.closed {
            match self.position {
                // In time: one that is later than that may look as if the arm had not moved.
                Position::Raising(_) if closed == Some(false) => switch.let_go = true,
                Position::Lowering(_) if closed == Some(true) && switch.let_go => switch.proved = true,
                _ => {}
            }
        }
        let (fits_opened, fits_closed) = (self.opened.is_some(), self.closed.is_some());
        let (position, verdict) = match self.position {
            Position::Raising(_) if opened == Some(true) => (Position::Open, Verdict::Opened),
            Position::Raising(since) => {
                let held = now.since(since);
                if held >= times.moved() && closed == Some(true) {
                    let proved = self.closed.as_ref().is_some_and(|switch| switch.proved && !switch.moved);
                    (Position::Closed, Verdict::NotMoved { proved })
                } else if held >= times.travel && !fits_opened && closed != Some(true) {
                    (Position::Open, Verdict::Opened)
                } else if held >= times.moved() {
                    (Position::Open, Verdict::NotSeenOpen)
                } else {
                    return None;
                }
            }
            Position::Lowering(since) => {
                let held = now.since(since);
                // Before it has let go of the open end it has not arrived at the other.
                if closed == Some(true) && opened != Some(true) {
                    // What falls is protected for its slowest way all the same: a late switch may mean the time before.
                    (Position::Closed, Verdict::Closed)
                } else if held >= times.moved() && opened == Some(true) {
                    (Position::Open, Verdict::NotClosed)
                } else if held >= times.travel + times.travel / 2 && !fits_closed && opened != Some(true) {
                    (Position::Closed, Verdict::Closed)
                } else if held >= times.moved() {
                    (Position::Unknown, Verdict::NotClosed)
                } else {
                    return None;
                }
            }
            Position::Open if closed == Some(true) => (Position::Closed, Verdict::Closed),
            Position::Closed if opened == Some(true) => (Position::Open, Verdict::MovedByOthers),
            Position::Closed if closed == Some(false) => (Position::Unknown, Verdict::MovedByOthers),
            Position::Unknown if opened == Some(true) => {
                (Position::Open, if self.ours { Verdict::Opened } else { Verdict::MovedByOthers })
            }
            Position::Unknown if closed == Some(true) => (Position::Closed, Verdict::Closed),
            _ => return None,
        };
        self.position = position;
        Some(verdict)
    }

    /// When time alone changes something of it.
    pub fn wake(&self, now: Mono, times: &Times) -> Option<Mono> {
        let moving = match self.position {
            Position::Raising(since) | Position::Lowering(since) => Some(since),
            _ => None,
        };
        let half = times.travel / 2;
        let moving = moving.into_iter().flat_map(|since| [2, 3, 4].map(|halves| since + half * halves));
        let rests = [Some(self.rests_until), Some(self.asks_again)];
        let pulses = [self.raise_until, self.lower_until, self.falls_until].into_iter().chain(rests);
        let switches = self.switches().filter_map(|signal| signal.wake(now, &times.signal, times.signal.bounce));
        moving.chain(pulses.flatten()).chain(switches).filter(|at| *at > now).min()
    }
}
