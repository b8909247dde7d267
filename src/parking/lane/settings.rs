//! What a lane is made of, and its times.

use std::time::Duration;

use super::signal::Times as SignalTimes;

/// Which way cars drive through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    In,
    Out,
}

/// What happens to a car for which nobody can say whether it may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undecided {
    /// It passes, and it is on record that it owes.
    OpenAndRecord,
    /// The gate stays closed, and somebody is called.
    ClosedAndCall,
}

/// What counts as delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// A car drove through.
    Passed,
    /// The gate's own switch says open.
    Opened,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub way: Way,
    /// Which inputs there are.
    pub presence: bool,
    pub safety: bool,
    pub closing: bool,
    pub opened: bool,
    pub closed: bool,
    pub fire: bool,
    /// There is a relay that lowers the arm. Without one the operator's hardware closes the gate, and the lane looks on.
    pub lowers: bool,
    pub undecided: Undecided,
    pub delivered: Delivered,
    /// How often a gate is asked to move before somebody is called: 1 to 5.
    pub tries: u32,
    /// Cars that have room; `None` where nobody counts.
    pub places: Option<u32>,
    /// So many places must be free before the sign that said full says free again; at least 1.
    pub free_again: u32,
    pub times: Times,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// How long a relay is energised.
    pub pulse: Duration,
    /// Between two pulses: an input of the gate must be released before it is taken again.
    pub rest: Duration,
    /// The arm's way from one end to the other, at its slowest. A switch may take twice that.
    pub travel: Duration,
    /// From the open gate to the car that has passed.
    pub pass: Duration,
    /// The presence loop is left for so long, and no other loop was reached: the car has backed out.
    pub back_out: Duration,
    /// From one loop to the next for a car that is on neither.
    pub gap: Duration,
    pub signal: SignalTimes,
    /// Between two pulses while there is fire and the gate is not open.
    pub fire_repeat: Duration,
    /// The fire contact is released for so long.
    pub fire_release: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            pulse: Duration::from_millis(500),
            rest: Duration::from_millis(300),
            travel: Duration::from_secs(4),
            pass: Duration::from_secs(60),
            back_out: Duration::from_secs(5),
            gap: Duration::from_secs(3),
            signal: SignalTimes::default(),
            fire_repeat: Duration::from_secs(10),
            fire_release: Duration::from_secs(10),
        }
    }
}

impl Times {
    /// An arm that moves has moved by then, and its switches have said so.
    pub fn moved(&self) -> Duration {
        self.travel * 2
    }
}

/// What can't be built so, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Of the configuration, where it is best put right.
    pub key: &'static str,
    pub what: String,
}

impl Settings {
    /// All loops and switches there are, and a relay for each direction.
    pub fn whole(way: Way) -> Self {
        Self {
            way,
            presence: true,
            safety: true,
            closing: true,
            opened: true,
            closed: true,
            fire: true,
            lowers: true,
            undecided: Undecided::ClosedAndCall,
            delivered: Delivered::Passed,
            tries: 2,
            places: None,
            free_again: 1,
            times: Times::default(),
        }
    }

    /// Nothing where a lane can be built so.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |key, what: String| problems.push(Problem { key, what });
        if self.lowers && !self.safety {
            problem(
                "lower",
                "nothing says whether a car stands under the arm; write safety = \"LINE\", or leave `lower` out and let the \
                 gate's own control close it"
                    .into(),
            );
        }
        if self.delivered == Delivered::Opened && !self.opened {
            problem(
                "delivered",
                "without a limit switch nobody knows that the gate is open; write opened = \"LINE\", or delivered = \"passed\""
                    .into(),
            );
        }
        if self.undecided == Undecided::OpenAndRecord && !self.presence {
            problem(
                "undecided",
                "without a presence loop nobody knows that a car waits; write presence = \"LINE\", or undecided = \
                 \"closed-and-call\""
                    .into(),
            );
        }
        if !(1..=5).contains(&self.tries) {
            problem("tries", format!("a gate is asked to move 1 to 5 times, not {}", self.tries));
        }
        if let Some(places) = self.places.filter(|places| !(1..=*places).contains(&self.free_again)) {
            problem(
                "free_again",
                format!("`free_again` is {} of {places} places; write 1 to {places}", self.free_again),
            );
        }
        let times = &self.times;
        let signal = &times.signal;
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        for (name, time, least, most) in [
            ("pulse", times.pulse, ms(100), s(3)),
            ("rest", times.rest, ms(100), s(3)),
            ("travel", times.travel, ms(500), s(20)),
            ("pass", times.pass, s(10), s(600)),
            ("back_out", times.back_out, s(2), s(60)),
            ("gap", times.gap, ms(500), s(30)),
            ("occupied", signal.occupied, ms(20), s(1)),
            ("clear", signal.clear, ms(200), s(10)),
            ("calm", signal.calm, s(1), s(60)),
            ("stuck", signal.stuck, s(60), s(7200)),
            ("silent", signal.silent, s(1), s(60)),
            ("fire_repeat", times.fire_repeat, s(2), s(60)),
            ("fire_release", times.fire_release, s(1), s(600)),
        ] {
            if !(least..=most).contains(&time) {
                problem(name, format!("`{name}` is {time:?}; write {least:?} to {most:?}"));
            }
        }
        if times.pulse + times.rest >= times.travel {
            let what =
                "`pulse` and `rest` together are not shorter than `travel`; write shorter ones, or the arm's real way";
            problem("pulse", what.into());
        }
        problems
    }
}
