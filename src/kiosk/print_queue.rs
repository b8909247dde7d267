//! What waits for the printer. A customer who stands there gets their slip or ticket before a report or a test page is
//! printed.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::printer::{CashUpSlip, Receipt, TestPage, Ticket};
use crate::vocabulary::OrderId;

#[derive(Debug)]
pub(super) struct PrintJob {
    pub paper: Paper,
    /// The run before may have ended in the middle of one.
    pub after_a_crash: bool,
}

#[derive(Debug)]
pub(super) enum Paper {
    Slip { order: OrderId, receipt: Box<Receipt> },
    Ticket { order: OrderId, ticket: Box<Ticket> },
    Report(Box<CashUpSlip>),
    Test(Box<TestPage>),
}

pub(super) struct PrintQueue {
    jobs: Receiver<PrintJob>,
    /// Reports and test pages that have waited for slips and tickets.
    reports: VecDeque<PrintJob>,
}

impl PrintQueue {
    pub fn new(jobs: Receiver<PrintJob>) -> Self {
        Self { jobs, reports: VecDeque::new() }
    }

    /// What is to be printed next, waited for at most so long.
    pub fn next(&mut self, wait: Duration) -> Result<PrintJob, RecvTimeoutError> {
        if self.reports.is_empty() {
            let first = self.jobs.recv_timeout(wait)?;
            match first.paper {
                Paper::Slip { .. } | Paper::Ticket { .. } => return Ok(first),
                Paper::Report(_) | Paper::Test(_) => self.reports.push_back(first),
            }
        }
        while let Ok(job) = self.jobs.try_recv() {
            match job.paper {
                Paper::Slip { .. } | Paper::Ticket { .. } => return Ok(job),
                Paper::Report(_) | Paper::Test(_) => self.reports.push_back(job),
            }
        }
        self.reports.pop_front().ok_or(RecvTimeoutError::Timeout)
    }
}

#[cfg(test)]
mod tests;
