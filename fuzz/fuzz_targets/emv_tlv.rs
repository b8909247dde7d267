//! Any text as a merchant-presented code: no panic, and what was read is written and read again as the same.
//!
//! The checksum is put right before reading, or the fuzzer would see nothing behind it.
#![no_main]

use kioskd_fuzz::emv::{EmvError, Merchant, Payload, TlvError, charge, reference, tlv};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = Merchant::read(text);
    if let Some(made) = charge(text) {
        assert_eq!(reference(&made), Some(text.to_uppercase()));
    }

    let body = format!("{text}6304");
    let sealed = format!("{body}{:04X}", tlv::crc(body.as_bytes()));
    let objects = match tlv::open(&sealed) {
        Ok(objects) => objects,
        Err(why) => return assert!(!matches!(why, TlvError::Crc { .. }), "{why}"),
    };
    assert_eq!(tlv::seal(&objects).as_deref(), Ok(sealed.as_str()));
    for object in &objects {
        let _ = object.objects();
    }

    let read = Merchant::read(&sealed);
    let Ok(payload) = Payload::parse(&sealed) else { return assert!(read.is_err()) };
    match payload.encode() {
        Ok(again) => assert_eq!(Payload::parse(&again), Ok(payload)),
        // What readers forgive: names too long or not ASCII, and amounts that grow by the decimals of the currency.
        Err(why) => assert!(
            matches!(
                why,
                EmvError::Object { id: 59..=61, .. } | EmvError::Amount(_) | EmvError::Structure(TlvError::TooLong)
            ),
            "{why}"
        ),
    }
});
