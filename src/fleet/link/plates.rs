//! What a camera says over the broker: one plate a message. It is pure: the caller passes the time.

use std::time::{Duration, Instant};

use crate::fleet::rate_limiter::RateLimiter;
use crate::parking::ticket::Plate;

/// Bytes of a message; of a longer one nothing is read.
const LONGEST: usize = 96;
/// So many are handed on at once, and then one in so long: far more than cars come, and a flood costs a kiosk little.
const AT_ONCE: u32 = 10;
const ONE_IN: Duration = Duration::from_millis(500);
/// Likewise of what is none.
const COMPLAINTS: u32 = 10;
const COMPLAIN_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Plates {
    pace: RateLimiter,
    rejected: u64,
    complaints: RateLimiter,
}

/// What comes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Plate(Plate),
    Rejected { why: String, count: u64 },
    Nothing,
}

impl Plates {
    pub fn new(now: Instant) -> Self {
        let complaints = RateLimiter::new(COMPLAINTS, COMPLAIN_EVERY, now);
        Self { pace: RateLimiter::new(AT_ONCE, ONE_IN, now), rejected: 0, complaints }
    }

    /// `kept`: the broker has kept it from before.
    pub fn hear(&mut self, message: &[u8], kept: bool, now: Instant) -> Heard {
        // It only takes away what the broker kept.
        if message.is_empty() {
            return Heard::Nothing;
        }
        let read = match message {
            _ if kept => Err("the broker has kept it; a camera publishes without retaining".to_owned()),
            long if long.len() > LONGEST => Err(format!("it has {} bytes, at most {LONGEST} are read", long.len())),
            text => std::str::from_utf8(text)
                .map_err(|_| "it is no text".to_owned())
                .and_then(|text| Plate::typed(text).map_err(|why| why.to_string())),
        };
        match read {
            Ok(plate) if self.pace.allowed(now) => Heard::Plate(plate),
            Ok(_) => Heard::Nothing,
            Err(why) => {
                self.rejected = self.rejected.saturating_add(1);
                match self.complaints.allowed(now) {
                    true => Heard::Rejected { why, count: self.rejected },
                    false => Heard::Nothing,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plate_is_read_and_rubbish_is_told() {
        let now = Instant::now();
        let mut plates = Plates::new(now);
        assert_eq!(plates.hear("kn-ab 123".as_bytes(), false, now), Heard::Plate(Plate::typed("KNAB123").unwrap()));
        assert_eq!(plates.hear(b"", true, now), Heard::Nothing);
        for (nth, (message, kept, part)) in [
            (&b"KN AB 123"[..], true, "without retaining"),
            (&b"A".repeat(97), false, "97 bytes, at most 96"),
            (b"\xff\xff", false, "no text"),
            (b"{\"plate\":\"X\"}", false, "letters and digits only"),
            (b"A", false, "2 to 10"),
        ]
        .into_iter()
        .enumerate()
        {
            let Heard::Rejected { why, count } = plates.hear(message, kept, now) else { panic!("{part}") };
            assert!(why.contains(part) && count == nth as u64 + 1, "{why}");
        }
    }

    #[test]
    fn a_flood_is_handed_on_in_part() {
        let start = Instant::now();
        let mut plates = Plates::new(start);
        let heard = (0..1_000).filter(|_| plates.hear(b"AB120", false, start) != Heard::Nothing);
        assert_eq!(heard.count(), AT_ONCE as usize);
        let told = (0..1_000).filter(|_| plates.hear(b"!", false, start) != Heard::Nothing);
        assert_eq!(told.count(), COMPLAINTS as usize);
        let later = start + ONE_IN;
        assert_ne!(plates.hear(b"AB120", false, later), Heard::Nothing);
        assert_eq!(plates.hear(b"AB120", false, later), Heard::Nothing);
    }
}
