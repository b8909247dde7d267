//! What is still owed by somebody who has paid.

use super::bill::{Lines, Reason};
use super::fee::{self, Case, FeeError, finish, instant, priced};
use super::timeline::Who;
use super::{Bill, Entry, Late, Stay, Tariff};
use crate::vocabulary::{Minor, Wall};

/// One payment for a stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paid {
    pub at: Wall,
    pub amount: Minor,
}

/// What is to be paid at the exit after these payments: nothing within the grace that began with the last one, else as the
/// tariff says. Clocks of two machines are not the same, so a payment that is later than the exit was made at the exit, and one before
/// the entry at the entry.
///
/// # Errors
/// As [`fee`](fee::fee); within the grace only what is no time of a stay.
pub fn due(tariff: &Tariff, stay: &Stay, paid: &[Paid]) -> Result<Bill, FeeError> {
    let instants = paid.iter().map(|paid| instant(paid.at)).collect::<Result<Vec<_>, _>>()?;
    let (Some(first), Some(last)) = (instants.iter().min(), instants.iter().max()) else {
        return fee::fee(tariff, stay);
    };
    let exit = instant(stay.exit)?;
    let mut last = *last;
    if let Entry::At(entry) = stay.entry {
        let entry = instant(entry)?;
        fee::check(entry, exit)?;
        last = last.max(entry);
    }
    let last = last.min(exit);
    let case = |who| Case { entry: last, exit: fee::counted(tariff, exit), who, free_used: 0, bare: true };
    let mut lines = Lines::new();
    if exit - last <= tariff.grace.payment {
        let case = case(Who { class: 1, season: None });
        lines.add(Reason::InTime { minutes: tariff.grace.payment }, last, case.exit, 0);
        return Ok(finish(tariff, &case, lines));
    }
    match tariff.grace.late {
        Late::Anew => {
            fee::check(last, exit)?;
            let case = case(fee::who(tariff, stay)?);
            Ok(finish(tariff, &case, priced(tariff, &case)))
        }
        Late::Difference => {
            let bill = fee::seen(tariff, stay, *first)?;
            let from = if let Entry::At(entry) = stay.entry { instant(entry)? } else { last };
            let sum = paid.iter().fold(0, |sum: Minor, paid| sum.saturating_add(paid.amount));
            Ok(fee::without(tariff, bill, from, last, sum))
        }
    }
}
