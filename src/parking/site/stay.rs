//! What is known of one stay.

use super::fact::{How, Paid};
use crate::parking::ticket::{LaneNumber, Minute, Pass};
use crate::vocabulary::Minor;

/// Why a stay is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Over {
    #[error("its car has left at lane {lane}{}", told(*at))]
    Left { lane: LaneNumber, at: Option<Minute> },
    #[error("its ticket was declared void at lane {lane}{}", told(*at))]
    Voided { lane: LaneNumber, at: Option<Minute> },
    /// Everybody knows, and so nobody tells any more where it was.
    #[error("its car has left, as lane {lane} says, which gave out the ticket")]
    Finished { lane: LaneNumber },
}

fn told(at: Option<Minute>) -> String {
    at.map_or_else(String::new, |at| format!(", {at}"))
}

/// How long a pass is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Until {
    /// The last minute.
    At(Minute),
    /// The lane that took the payment did not know the time.
    Used,
}

/// One payment: where, which, how much, and what it is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Payment {
    by: LaneNumber,
    nth: u8,
    at: Option<Minute>,
    amount: Minor,
    until: Until,
    lane: Option<LaneNumber>,
    /// By its pass, which was shown.
    shown: bool,
}

/// What was paid for a stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payments(Vec<Payment>);

/// Whether a car may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    Yes {
        how: How,
        /// The lane does not know the time, so the pass may have run out; this goes on record.
        doubt: bool,
    },
    NotPaid,
    TooLate {
        until: Minute,
    },
    /// Its pass is good at that lane only.
    Elsewhere(LaneNumber),
    Over(Over),
}

fn until(at: Option<Minute>) -> Until {
    at.map_or(Until::Used, Until::At)
}

impl Payments {
    pub(super) fn of<'p>(
        facts: impl Iterator<Item = (LaneNumber, Paid)>,
        shown: impl Iterator<Item = &'p Pass>,
    ) -> Option<Self> {
        let mut all: Vec<Payment> = facts
            .map(|(by, paid)| {
                let Paid { nth, at, amount, lane, .. } = paid;
                Payment { by, nth, at, amount: amount.into(), until: until(paid.until()), lane, shown: false }
            })
            .collect();
        let mut shown: Vec<&Pass> = shown.collect();
        shown.sort_unstable_by_key(|pass| (pass.nth, pass.by));
        for pass in shown {
            // A pass tells the sum of all payments before it, as far as its lane had heard of them. What is not known here of
            // those counts with it.
            let before: Minor = all.iter().filter(|known| known.nth < pass.nth).map(|known| known.amount).sum();
            let amount = (pass.amount - before).max(0);
            if let Some(known) = all.iter_mut().find(|known| (known.by, known.nth) == (pass.by, pass.nth)) {
                known.shown = true;
                known.amount = known.amount.max(amount);
                continue;
            }
            let Pass { by, nth, paid: at, lane, .. } = *pass;
            let until = until(pass.until());
            all.push(Payment { by, nth, at, amount, until, lane, shown: true });
        }
        (!all.is_empty()).then_some(Self(all))
    }

    /// All of it.
    pub fn amount(&self) -> Minor {
        self.0.iter().map(|payment| payment.amount).sum()
    }

    /// Whether each is known that came before another.
    pub fn is_whole(&self) -> bool {
        let last = self.0.iter().map(|payment| payment.nth).max().unwrap_or(0);
        (0..=last).all(|nth| self.0.iter().any(|payment| payment.nth == nth))
    }

    /// The last payment's time, where one is known.
    pub fn last(&self) -> Option<Minute> {
        self.0.iter().filter_map(|payment| payment.at).max()
    }

    /// Whether nothing is due until then.
    pub fn until(&self) -> Until {
        self.0.iter().map(|payment| payment.until).max().unwrap_or(Until::Used)
    }

    /// Which payment the next one is; none where a person must help, after sixteen.
    pub fn next(&self) -> Option<u8> {
        let last = self.0.iter().map(|payment| payment.nth).max()?;
        (last < Pass::MOST).then_some(last + 1)
    }

    pub(super) fn leaving(&self, me: LaneNumber, now: Option<Minute>) -> Leaving {
        let in_time = |payment: &&Payment| match (payment.until, now) {
            (Until::At(until), Some(now)) => now <= until,
            (Until::Used, _) | (_, None) => true,
        };
        let here = |payment: &&Payment| payment.lane.is_none_or(|lane| lane == me);
        // What was shown tells best why the gate opens.
        let good = self.0.iter().filter(in_time).filter(here).max_by_key(|payment| (payment.shown, payment.until));
        if let Some(good) = good {
            let how = if good.shown { How::Pass { by: good.by, nth: good.nth } } else { How::Ticket };
            return Leaving::Yes { how, doubt: now.is_none() && good.until != Until::Used };
        }
        if let Some(lane) = self.0.iter().filter(in_time).find_map(|payment| payment.lane) {
            return Leaving::Elsewhere(lane);
        }
        match self.until() {
            Until::At(until) => Leaving::TooLate { until },
            Until::Used => Leaving::NotPaid,
        }
    }
}
