//! Brings a report of what was taken from the ledger to the printer, beside the loop.
//!
//! Policy: nothing of the sale waits for it. What fails is in the journal, and whoever wants the report asks for it again.

use super::{Input, Kiosk};
use crate::ledger::CashUp;

impl Kiosk {
    /// The report is cut and on disk.
    pub(super) fn read_report(&self, number: u32, copy: bool) {
        let Some(reads) = &self.reads else { return };
        let inputs = self.edges.inputs.clone();
        reads.own(move |reader| match reader.cash_up(number) {
            Ok(Some(report)) => drop(inputs.send(Input::Report { report: Box::new(report), copy })),
            Ok(None) => tracing::error!(number, "a report is not in the ledger, and is not printed"),
            Err(error) => tracing::error!(%error, number, "a report could not be read, and is not printed"),
        });
    }

    /// It has been read.
    pub(super) fn print_report(&self, report: &CashUp, copy: bool) {
        self.edges.print_report(self.receipt_header.cash_up(report, copy), self.unprinted);
    }
}
