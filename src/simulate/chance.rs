//! Chance from a seed, so that what has happened can be looked at again. SplitMix64: small, and the same everywhere.

#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64, machine: u64) -> Self {
        let mut chance = Self(seed ^ machine.wrapping_mul(0xd6e8_feb8_6659_fd93));
        chance.next();
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `bound`, which is 1 or more.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// In so many of a hundred cases.
    pub fn percent(&mut self, percent: f64) -> bool {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64 * 100.0 < percent
    }

    /// Milliseconds until what happens every `mean` on average happens next.
    pub fn wait(&mut self, mean: f64) -> u64 {
        let part = ((self.next() >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
        (-part.ln() * mean).min(1e12) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_as_often_as_it_should_be() {
        let mut chance = Chance::new(1, 2);
        let hits = (0..10_000).filter(|_| chance.percent(3.0)).count();
        assert!((200..400).contains(&hits), "{hits}");
        assert!(!(0..100).any(|_| chance.percent(0.0)));
        let sum: u64 = (0..10_000).map(|_| chance.wait(1_000.0)).sum();
        assert!((9_000_000..11_000_000).contains(&sum), "{sum}");
        assert_ne!(Chance::new(1, 2).next(), Chance::new(1, 3).next());
        assert_eq!(Chance::new(1, 2).next(), Chance::new(1, 2).next());
    }
}
