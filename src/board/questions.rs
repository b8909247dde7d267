//! Gives every question to the board a deadline, and exactly one answer.
//!
//! Policy (P1, P2): nobody waits for a board for ever. When a deadline has passed, the answer is what is certain: a
//! delivery that the board's thread had not begun was not energised, because from then on the thread must not begin it;
//! of one that it had begun, nobody knows. An answer that the thread gives later is dropped.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{BoardEvent, Command, HARD_LIMIT, lock};
use crate::config;
use crate::vocabulary::{DeliveryId, Evidence, SlotId};

/// Beside what a pulse and the falling after it take: for a bus that is slow, and for a look at every line before it.
pub(super) const GRACE: Duration = Duration::from_secs(10);

const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const ANSWERED: u8 = 2;
const PASSED: u8 = 3;

/// One question, shared by who waits for the answer and by the board's thread.
#[derive(Debug, Default)]
pub(super) struct Question(AtomicU8);

impl Question {
    /// Asked by the board's thread directly before it does anything of it. `false`: it must not any more.
    pub fn begin(&self) -> bool {
        self.go(WAITING, BEGUN)
    }

    /// `false`: it has been answered in the thread's place.
    pub fn answer(&self) -> bool {
        self.go(BEGUN, ANSWERED) || self.go(WAITING, ANSWERED)
    }

    fn go(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn is_answered(&self) -> bool {
        self.0.load(Ordering::Acquire) == ANSWERED
    }
}

/// How long each question may take.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pulses: Vec<(SlotId, Duration)>,
    fall: Duration,
    grace: Duration,
}

impl Limits {
    pub fn of(config: &config::Board, slots: &[config::Slot], grace: Duration) -> Self {
        let pulse = |slot: &config::Slot| (slot.name.clone(), slot.pulse.0.min(HARD_LIMIT));
        let fall = config.drop_sensor.as_ref().map_or(Duration::ZERO, |sensor| sensor.fall_time.0);
        Self { pulses: slots.iter().map(pulse).collect(), fall, grace }
    }

    fn of_command(&self, command: &Command) -> Duration {
        self.grace
            + match command {
                Command::Prepare { .. } => Duration::ZERO,
                Command::Recall { .. } => self.fall,
                Command::Deliver { slot, .. } => {
                    let pulse =
                        self.pulses.iter().find(|(name, _)| name == slot).map_or(HARD_LIMIT, |(_, pulse)| *pulse);
                    pulse + self.fall
                }
            }
    }
}

/// The questions that are open.
pub(super) struct Questions {
    limits: Limits,
    open: Mutex<Vec<Open>>,
}

struct Open {
    delivery: DeliveryId,
    what: What,
    limit: Duration,
    until: Instant,
    question: Arc<Question>,
}

enum What {
    Prepare,
    Deliver,
    Recall,
}

impl Questions {
    pub fn new(limits: Limits) -> Self {
        Self { limits, open: Mutex::default() }
    }

    /// The time of one counts from the deadline of the one before it: they are answered in order.
    pub fn ask(&self, command: &Command, now: Instant) -> Arc<Question> {
        let (delivery, what) = match command {
            Command::Prepare { delivery } => (*delivery, What::Prepare),
            Command::Deliver { delivery, .. } => (*delivery, What::Deliver),
            Command::Recall { delivery, .. } => (*delivery, What::Recall),
        };
        let mut open = lock(&self.open);
        open.retain(|open| !open.question.is_answered());
        let limit = self.limits.of_command(command);
        let until = open.last().map_or(now, |last| last.until.max(now)) + limit;
        let question = Arc::new(Question::default());
        open.push(Open { delivery, what, limit, until, question: Arc::clone(&question) });
        question
    }

    /// When the next deadline passes.
    pub fn next(&self) -> Option<Instant> {
        let mut open = lock(&self.open);
        open.retain(|open| !open.question.is_answered());
        open.iter().map(|open| open.until).min()
    }

    /// The answers to what has not been answered in time.
    pub fn overdue(&self, now: Instant) -> Vec<BoardEvent> {
        let mut open = lock(&self.open);
        let (passed, left) = std::mem::take(&mut *open).into_iter().partition(|open| open.until <= now);
        *open = left;
        passed.iter().filter_map(Open::pass).collect()
    }
}

impl Open {
    fn pass(self: &Open) -> Option<BoardEvent> {
        let delivery = self.delivery;
        let untouched = self.question.go(WAITING, PASSED);
        if !untouched && !self.question.go(BEGUN, PASSED) {
            return None;
        }
        let why = format!("the board has not answered within {} s", self.limit.as_secs());
        tracing::error!(
            ?delivery,
            why,
            "the board did not answer within the deadline; what it answers later is dropped"
        );
        Some(match self.what {
            What::Prepare => BoardEvent::NotEnergised { delivery, why },
            What::Deliver if untouched => BoardEvent::NotEnergised { delivery, why },
            What::Deliver | What::Recall => BoardEvent::Evidence { delivery, evidence: Evidence::Silent { why } },
        })
    }
}
