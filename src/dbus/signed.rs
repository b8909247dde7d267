//! What the kiosk gives a caller in writing: a test that is on record.
//!
//! Policy: the caller chooses which test; everything else that is signed the kiosk says itself.

use super::error::Error;
use crate::ledger::RecordedTest;
use crate::signed::jws::Signer;
use crate::signed::statement::{Clock, TestReport};
use crate::vocabulary::Wall;

/// In whose name it is said.
#[derive(Debug)]
pub struct Writer {
    pub kiosk: String,
    pub fleet: String,
    /// `None`: nothing is signed.
    pub signer: Option<Signer>,
}

impl Writer {
    /// For people, and the file that proves it.
    pub(super) fn report(&self, test: RecordedTest) -> Result<(String, String), Error> {
        let RecordedTest { ledger, seq, hash, wall, version, by, checks } = test;
        let time_ms = wall.map(Wall);
        let (kiosk, fleet, clock) = (self.kiosk.clone(), self.fleet.clone(), Clock::of(time_ms));
        let report = TestReport { kiosk, fleet, version, by, time_ms, clock, ledger, seq, hash, checks };
        let document = report.document(self.signer.as_ref()).map_err(Error::unavailable)?;
        Ok((report.to_string(), document))
    }
}
