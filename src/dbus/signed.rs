//! What the kiosk gives a caller in writing: a test that is on record, and the seal of a bundle.
//!
//! Policy: the caller chooses which test, and the hash of a manifest; everything else that is signed the kiosk says itself.

use super::error::Error;
use crate::ledger::RecordedTest;
use crate::operation::Digest;
use crate::signed::jws::Signer;
use crate::signed::statement::{BundleSeal, Clock, Holder, Statement, TestReport};
use crate::vocabulary::Wall;

/// In whose name it is said.
#[derive(Debug)]
pub struct Writer {
    pub kiosk: String,
    pub fleet: String,
    /// `None`: nothing is signed.
    pub signer: Option<Signer>,
    /// The wall clock, where it is believed.
    pub clock: fn() -> Option<Wall>,
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

    /// That they have a bundle here and now whose manifest has this hash; `None` where there is no key.
    ///
    /// # Errors
    /// It is not JSON.
    pub fn seal(&self, sha256: Digest, holder: Holder) -> serde_json::Result<Option<String>> {
        let (kiosk, fleet, time_ms) = (self.kiosk.clone(), self.fleet.clone(), (self.clock)());
        let seal = BundleSeal { sha256, kiosk, fleet, time_ms, holder };
        self.signer.as_ref().map(|signer| seal.signed(signer)).transpose()
    }
}
