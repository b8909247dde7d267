//! The fee over the time of a stay, and two tariffs compared.

use super::{FeeError, Stay, Tariff, fee};
use crate::vocabulary::{Minor, Wall};

/// What a stay of so many minutes costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    pub minutes: u32,
    pub amount: Minor,
}

/// The fee from nothing to `longest` minutes of a stay like `of`, every `step` minutes.
///
/// # Errors
/// As [`fee`].
pub fn curve(tariff: &Tariff, entry: Wall, of: &Stay, longest: u32, step: u32) -> Result<Vec<Point>, FeeError> {
    let mut stay = of.clone();
    let at = |minutes: u32| {
        stay.exit = Wall(entry.0 + u64::from(minutes) * 60_000);
        Ok(Point { minutes, amount: fee(tariff, &stay)?.amount })
    };
    (0..=longest).step_by(step.max(1) as usize).map(at).collect()
}

/// What becomes of many stays when one tariff takes the place of another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Difference {
    pub stays: u64,
    pub before: i128,
    pub after: i128,
    pub dearer: u64,
    pub cheaper: u64,
    /// The most that one stay pays more and less.
    pub most_more: Minor,
    pub most_less: Minor,
}

impl Difference {
    /// Counts one stay.
    ///
    /// # Errors
    /// One of the tariffs has no price for it; it is not counted then.
    pub fn add(&mut self, old: &Tariff, new: &Tariff, stay: &Stay) -> Result<(), FeeError> {
        let (before, after) = (fee(old, stay)?.amount, fee(new, stay)?.amount);
        self.stays += 1;
        self.before += i128::from(before);
        self.after += i128::from(after);
        self.dearer += u64::from(after > before);
        self.cheaper += u64::from(after < before);
        self.most_more = self.most_more.max(after - before);
        self.most_less = self.most_less.max(before - after);
        Ok(())
    }
}
