//! Any bytes as a provider's bill: no panic, and sums that fit their entries.
#![no_main]

use kioskd_fuzz::payment::bill::{self, Kind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = bill::read_any(bytes);
    for kind in [Kind::Wechat, Kind::Alipay] {
        if let Ok(bill) = bill::read(kind, bytes) {
            // What is listed was read; what was not is a finding.
            assert!(bill.findings.len() <= 1_000, "findings are bounded");
        }
    }
});
