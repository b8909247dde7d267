//! Which of a key's commands have been taken, so that each is taken once and in whatever order they arrive.

/// So many numbers up to the highest are remembered one by one; older ones count as taken.
const BACK: u64 = 64;

/// The numbers of one key's commands that were taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayWindow {
    /// 0 before the first; no command has this number.
    pub highest: u64,
    /// Bit `n` is set where `highest - n` was taken.
    pub seen: u64,
}

impl ReplayWindow {
    /// The highest number that a command may have: JSON's numbers are exact up to it, whoever reads them.
    pub const MOST: u64 = (1 << 53) - 1;

    pub fn is_new(self, number: u64) -> bool {
        if number > self.highest {
            return number <= Self::MOST;
        }
        let back = self.highest - number;
        number > 0 && back < BACK && self.seen >> back & 1 == 0
    }

    /// A command of this number was taken.
    pub fn take(&mut self, number: u64) {
        if number > self.highest {
            let ahead = u32::try_from(number - self.highest).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = number;
        } else if self.highest - number < BACK {
            self.seen |= 1 << (self.highest - number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_number_is_new_twice_and_the_old_are_not_new() {
        let mut window = ReplayWindow::default();
        assert!(!window.is_new(0) && !window.is_new(ReplayWindow::MOST + 1) && window.is_new(ReplayWindow::MOST));
        window.take(100);
        assert!(!window.is_new(100) && !window.is_new(36) && window.is_new(37) && window.is_new(101));
        window.take(37);
        assert!(!window.is_new(37) && window.is_new(38));
        window.take(101);
        assert!(!window.is_new(37) && window.is_new(38), "one that moved out of the window");
        window.take(ReplayWindow::MOST);
        assert!(!window.is_new(ReplayWindow::MOST) && window.is_new(ReplayWindow::MOST - 63));
        assert!(!window.is_new(ReplayWindow::MOST - 64));
    }

    proptest! {
        #[test]
        fn as_a_list_of_all_numbers_says(numbers in proptest::collection::vec(0u64..200, 0..150)) {
            let (mut window, mut all) = (ReplayWindow::default(), BTreeSet::new());
            for number in numbers {
                let highest = all.last().copied().unwrap_or(0);
                let new = number > 0 && !all.contains(&number) && number + BACK > highest;
                prop_assert_eq!(window.is_new(number), new, "{}", number);
                if new {
                    window.take(number);
                    all.insert(number);
                }
                prop_assert_eq!(window.highest, all.last().copied().unwrap_or(0));
            }
        }
    }
}
