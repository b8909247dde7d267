//! Whole minutes, which is what a tariff counts in.

use serde::{Deserialize, Serialize};

use crate::vocabulary::Wall;

/// 2000-01-01T00:00Z in minutes since 1970.
const ORIGIN: u64 = 15_778_080;

/// Minutes since the beginning of 2000, UTC. Until 2127. All ones is none of them and can mean "not known".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Minute(u32);

/// Not a minute of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is more minutes after the year 2000 than there may be")]
pub struct BadMinute(u32);

impl Minute {
    pub const BITS: u32 = 26;

    /// The beginning of 2000.
    pub const FIRST: Self = Self(0);

    const LAST: u32 = (1 << Self::BITS) - 2;

    pub const fn new(number: u32) -> Option<Self> {
        if number <= Self::LAST { Some(Self(number)) } else { None }
    }

    pub fn get(self) -> u32 {
        self.0
    }

    /// The minute that an instant is in; none before 2000 and after 2127.
    pub fn of(wall: Wall) -> Option<Self> {
        let since = (wall.0 / 60_000).checked_sub(ORIGIN)?;
        u32::try_from(since).ok().and_then(Self::new)
    }

    /// Its beginning.
    pub fn wall(self) -> Wall {
        Wall((u64::from(self.0) + ORIGIN) * 60_000)
    }

    pub fn later(self, minutes: u32) -> Self {
        Self(self.0.saturating_add(minutes).min(Self::LAST))
    }
}

impl TryFrom<u32> for Minute {
    type Error = BadMinute;

    fn try_from(number: u32) -> Result<Self, BadMinute> {
        Self::new(number).ok_or(BadMinute(number))
    }
}

impl From<Minute> for u32 {
    fn from(minute: Minute) -> u32 {
        minute.0
    }
}

impl std::fmt::Display for Minute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = self.wall().timestamp().expect("calendars go further than 2127");
        write!(f, "{}", time.strftime("%Y-%m-%d %H:%MZ"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_and_instants() {
        let wall = Wall("2026-11-30T14:35:59Z".parse::<jiff::Timestamp>().unwrap().as_millisecond() as u64);
        let minute = Minute::of(wall).unwrap();
        assert_eq!(minute.to_string(), "2026-11-30 14:35Z");
        assert_eq!(minute.wall().0, wall.0 - 59_000);
        assert_eq!(Minute::of(Minute::new(0).unwrap().wall()), Minute::new(0));
        assert_eq!(Minute::new(0).unwrap().to_string(), "2000-01-01 00:00Z");
        assert_eq!((Minute::of(Wall(0)), Minute::of(Wall(u64::MAX)), Minute::new((1 << 26) - 1)), (None, None, None));
        assert_eq!(Minute::new(1).unwrap().later(u32::MAX).to_string(), "2127-08-06 09:02Z");
    }
}
