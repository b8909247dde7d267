//! Chance from a seed that is told, so that what has failed can be done again. SplitMix64: small, and the same everywhere.

use std::time::Duration;

pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    pub fn time(&mut self, most: Duration) -> Duration {
        Duration::from_millis(self.below(most.as_millis() as u64))
    }
}

/// `KIOSKD_SEED`, else the usual one; told either way.
pub fn seed(of: &str, usual: impl FnOnce() -> u64) -> u64 {
    let given = std::env::var("KIOSKD_SEED").ok();
    let seed = given.map_or_else(usual, |seed| seed.parse().expect("KIOSKD_SEED is a number"));
    println!("{of}: seed {seed}; KIOSKD_SEED={seed} does the same again");
    seed
}
