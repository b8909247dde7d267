//! Order numbers and the codes in them: six digits, and the last three of them to be called out.
//!
//! Policy: a number is greater than every one before, whatever the clock does, and its codes are never to be guessed from
//! those of other orders: whoever knows a code finds the order on the glass and can call for it. No code is given again
//! while an order with it is open or can still be looked up.

use std::collections::VecDeque;

use super::{State, Turn};
use crate::vocabulary::{OrderId, ShortCode};

/// The newest orders can be looked up by their code, beside all that are open: no more, so that guessing finds none.
pub const REACH: usize = 10_000;
/// Orders that may be called out at the same time.
const CALLED: usize = 100;
/// Numbers tried for a code that is free. A million codes hold the reach a hundred times over.
const DRAWS: usize = 256;
/// Of a linear congruential generator of 128 bits (M. E. O'Neill, PCG): other draws from the entropy of one step.
const MULTIPLIER: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;
const INCREMENT: u128 = 0x5851_f42d_4c95_7f2d_1405_7b7e_f767_814f;

/// The codes of the newest orders, the newest last.
#[derive(Debug, Clone, Default)]
pub struct Codes(VecDeque<ShortCode>);

impl Codes {
    pub fn remember(&mut self, code: ShortCode) {
        if self.0.len() >= REACH {
            self.0.pop_front();
        }
        self.0.push_back(code);
    }
}

impl State {
    fn code_in_use(&self, code: &ShortCode) -> bool {
        let called = |other: &ShortCode| self.policy.pickup_numbers && other.pickup() == code.pickup();
        let open = self.orders.values().map(|order| &order.short_code);
        self.codes.0.contains(code)
            || self.codes.0.iter().rev().take(CALLED).any(called)
            || open.into_iter().any(|other| other == code || called(other))
    }
}

impl Turn<'_> {
    /// A number greater than every one before, near the wall clock where it is known.
    pub(super) fn next_order(&self) -> OrderId {
        let last = self.state.last_order;
        let millis = self.at.wall.map(|wall| wall.0).or(last.map(OrderId::millis)).unwrap_or(0);
        let mut entropy = self.at.entropy;
        let fresh = OrderId::from_parts(millis, entropy);
        let mut id = last.filter(|last| fresh <= *last).map_or(fresh, |last| last.later(entropy));
        for _ in 0..DRAWS {
            if !self.state.code_in_use(&id.short_code()) {
                break;
            }
            entropy = entropy.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
            id = id.later(entropy);
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::sale::recover::Recovered;
    use crate::sale::tests::desk::{Desk, planogram, policy};
    use crate::sale::{Policy, Step};
    use crate::vocabulary::{Mono, Stamp, Wall};

    /// 128 bits that look like chance, by two rounds of splitmix64.
    fn chance(nth: u64) -> u128 {
        let half = |seed: u64| {
            let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            u128::from(mixed ^ mixed >> 31)
        };
        half(2 * nth + 1) << 64 | half(2 * nth + 2)
    }

    struct Till {
        state: State,
        nth: u64,
    }

    impl Till {
        fn new(pickup_numbers: bool) -> Self {
            Self { state: State::new(Policy { pickup_numbers, ..policy() }, planogram()), nth: 0 }
        }

        fn order(&mut self, wall: Option<u64>) -> OrderId {
            self.nth += 1;
            let at = Stamp { now: Mono(self.nth), wall: wall.map(Wall), entropy: chance(self.nth) };
            let id = Turn { state: &mut self.state, at, step: Step::default() }.next_order();
            assert!(self.state.last_order < Some(id), "{:?} then {id}", self.state.last_order);
            self.state.last_order = Some(id);
            self.state.codes.remember(id.short_code());
            id
        }

        /// All that is left is what is on disk.
        fn restart(&mut self) {
            let recovered = Recovered {
                last_order: self.state.last_order,
                codes: self.state.codes.0.iter().cloned().collect(),
                ..Recovered::default()
            };
            self.state = State::new(self.state.policy.clone(), planogram());
            self.state.restore(recovered);
        }
    }

    const NOW: u64 = 1_795_392_000_000;
    const MONTHS: u64 = 120 * 86_400_000;

    #[test]
    fn codes_can_not_be_guessed_from_those_before_whatever_the_clock_does() {
        type Wall = fn(u64) -> Option<u64>;
        let stories: [(&str, Wall); 4] = [
            ("ahead, then put right", |nth| Some(if nth < 3 { NOW + MONTHS } else { NOW + nth * 60_000 })),
            ("unknown", |_| None),
            ("stands still", |_| Some(NOW)),
            ("well", |nth| Some(NOW + nth * 60_000)),
        ];
        for (story, wall) in stories {
            let mut till = Till::new(false);
            let (mut last, mut seen) = (None, BTreeSet::new());
            let mut differences: BTreeMap<u64, u32> = BTreeMap::new();
            let mut digits = [[0_u32; 10]; 6];
            for nth in 0..10_000 {
                if nth % 7 == 0 {
                    till.restart();
                }
                let id = till.order(wall(nth));
                assert!(id.millis() <= NOW + MONTHS + 60_000 * 10_000, "{story}: not far from the clock");
                let code = id.short_code();
                code.as_str().bytes().zip(&mut digits).for_each(|(digit, of)| of[usize::from(digit - b'0')] += 1);
                let number: u64 = code.as_str().parse().unwrap();
                if let Some(last) = last {
                    *differences.entry((number + 1_000_000 - last) % 1_000_000).or_default() += 1;
                }
                last = Some(number);
                assert!(seen.insert(code), "{story}: given again at {nth}");
            }
            let often = differences.values().max().unwrap();
            assert!(*often <= 4, "{story}: one difference comes {often} times in 10,000");
            let fair = digits.iter().flatten().all(|count| (800..1_200).contains(count));
            assert!(fair, "{story}: {digits:?}");
        }
    }

    #[test]
    fn a_number_that_may_be_called_out_is_nobody_elses() {
        let mut till = Till::new(true);
        let codes: Vec<ShortCode> = (0..5_000).map(|nth| till.order(Some(NOW + nth)).short_code()).collect();
        for called in codes.windows(CALLED) {
            let numbers: BTreeSet<&str> = called.iter().map(ShortCode::pickup).collect();
            assert_eq!(numbers.len(), CALLED);
        }
        // It does not count up either.
        let next = codes.windows(2).filter(|two| {
            let [one, other] = [&two[0], &two[1]].map(|code| code.pickup().parse::<u32>().unwrap());
            other == (one + 1) % 1_000
        });
        assert!(next.count() < 30);
    }

    #[test]
    fn the_code_of_an_open_order_is_not_given_again_however_old_it_is() {
        let mut desk = Desk::new();
        let order = desk.offer(&["cola"]);
        desk.state.codes = Codes::default();
        assert!(desk.state.code_in_use(&order.short_code()));
    }
}
