//! Any text as a UPI link: no panic, and a link that we would write ourselves says the same again.
#![no_main]

use kioskd_fuzz::emv::{EmvError, Merchant, NewChargeFacts, upi};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let link = format!("upi://pay?{text}");
    for text in [text, &link] {
        let _ = upi::parameters(text);
        let Ok(reading) = Merchant::read(text) else { continue };
        let (Some(reference), Some(amount)) = (&reading.reference, reading.amount) else { continue };
        let terminal = reading.terminal.as_deref().unwrap_or_default();
        let facts = NewChargeFacts { reference, amount, currency: reading.currency, terminal, expires: None };
        match reading.merchant.payload(&facts) {
            Ok(again) => assert_eq!(Merchant::read(&again), Ok(reading)),
            Err(EmvError::Field { .. } | EmvError::Reference { .. } | EmvError::Amount(_)) => {}
            Err(EmvError::Structure(_)) => {}
            Err(why) => panic!("{why}"),
        }
    }
});
