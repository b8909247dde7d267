//! The reasons why a message on the gateway's topics is rejected, and their count.

use std::time::{Duration, Instant};

use crate::signed::jws::BadMessage;
use crate::vocabulary::Wall;

/// Rejected messages are reported at most this often.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Why a message is rejected. No reason contains any of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("{0}")]
    Message(#[from] BadMessage),
    #[error("for another kiosk")]
    Kiosk,
    #[error("of another rail")]
    Rail,
    #[error("expired")]
    Expired,
    /// The question was never asked, or so long ago that it is forgotten.
    #[error("an answer to no question of ours")]
    Unasked,
    /// The question went out twice and was answered twice.
    #[error("a second answer")]
    Again,
    /// There were more answers than questions.
    #[error("an answer that was used up before")]
    Replayed,
    /// The question was given up.
    #[error("an answer after the time-out")]
    Late,
    /// For example, a close was answered as a query.
    #[error("an answer to another kind of question")]
    Question,
    #[error("about another charge")]
    Charge,
    #[error("about another order")]
    Order,
    #[error("about another amount")]
    Amount,
    #[error("about another currency")]
    Currency,
    #[error("about another refund")]
    Refund,
    #[error("sums that make no sense")]
    Sums,
    #[error("a QR that the glass can't show")]
    Payload,
    #[error("a notice without a number")]
    Number,
    /// The operator may say that money has arrived where nobody else sees it, and nothing else.
    #[error("not for the operator to say")]
    Operator,
}

impl Rejected {
    /// Whether a person should look at it. Networks are slow, so a second answer or a late one is no sign of an attack.
    pub fn alarming(self) -> bool {
        !matches!(self, Self::Again | Self::Late)
    }
}

/// The count of rejected messages since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejections {
    /// The number of alarming ones.
    pub count: u64,
    /// The number of answers that came twice or late.
    pub harmless: u64,
    /// The last alarming one, and when it came if the kiosk knows the time.
    pub last: Option<(Rejected, Option<Wall>)>,
}

#[derive(Debug)]
pub(super) struct Tally {
    so_far: Rejections,
    told: Option<Instant>,
}

impl Tally {
    pub fn new() -> Self {
        Self { so_far: Rejections { count: 0, harmless: 0, last: None }, told: None }
    }

    pub fn so_far(&self) -> Rejections {
        self.so_far
    }

    /// Counts one; answers with the counts when they are to be reported now.
    pub fn add(&mut self, why: Rejected, wall: Option<Wall>, now: Instant) -> Option<Rejections> {
        if !why.alarming() {
            self.so_far.harmless += 1;
            return None;
        }
        self.so_far.count += 1;
        self.so_far.last = Some((why, wall));
        if self.told.is_some_and(|told| now < told + TELL_EVERY) {
            return None;
        }
        self.told = Some(now);
        Some(self.so_far)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_whole_and_told_of_now_and_then() {
        let start = Instant::now();
        let mut tally = Tally::new();
        let told: Vec<u64> = (0..25u32)
            .filter_map(|tenth| tally.add(Rejected::Kiosk, None, start + Duration::from_millis(100) * tenth))
            .map(|so_far| so_far.count)
            .collect();
        assert_eq!(told, [1, 11, 21]);
        assert_eq!(tally.add(Rejected::Late, None, start + Duration::from_secs(60)), None);
        let Rejections { count, harmless, last } = tally.so_far();
        assert_eq!((count, harmless, last), (25, 1, Some((Rejected::Kiosk, None))));
        assert_eq!(Tally::new().so_far().last, None);
    }
}
