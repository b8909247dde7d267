//! What is still owed by somebody who has paid.

use super::bill::{Lines, Reason};
use super::fee::{self, Case, FeeError, class_of, finish, instant, priced};
use super::{Bill, Entry, Late, Stay, Tariff};
use crate::vocabulary::{Minor, Wall};

/// One payment for a stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paid {
    pub at: Wall,
    pub amount: Minor,
}

/// What is to be paid at the exit after these payments: nothing within the grace that began with the last one, else as the
/// tariff says.
///
/// # Errors
/// As [`fee`](fee::fee), and where a payment is after the exit.
pub fn due(tariff: &Tariff, stay: &Stay, paid: &[Paid]) -> Result<Bill, FeeError> {
    let Some(last) = paid.iter().map(|paid| paid.at).max() else { return fee::fee(tariff, stay) };
    let (last, exit, class) = (instant(last)?, instant(stay.exit)?, class_of(tariff, stay)?);
    fee::check(last, exit)?;
    let case = Case { entry: last, exit: fee::counted(tariff, exit), class, free_used: 0, bare: true };
    let sum: Minor = paid.iter().map(|paid| paid.amount).sum();
    let mut lines = Lines::new();
    if exit - last <= tariff.grace.payment {
        lines.add(Reason::InTime { minutes: tariff.grace.payment }, last, case.exit, 0);
        return Ok(finish(tariff, &case, lines));
    }
    match tariff.grace.late {
        Late::Anew => Ok(finish(tariff, &case, priced(tariff, &case))),
        Late::Difference => {
            let mut bill = fee::fee(tariff, stay)?;
            let (from, all) = (if let Entry::At(entry) = stay.entry { instant(entry)? } else { last }, bill.amount);
            lines.lines = std::mem::take(&mut bill.lines);
            lines.add(Reason::AlreadyPaid, from, last, -sum.clamp(0, all));
            let amount = lines.sum();
            // Its part of the whole tax.
            let tax = tariff.tax.map_or(0, |tax| tax.rate.within(amount));
            Ok(Bill { amount, tax, lines: lines.lines, ..bill })
        }
    }
}
