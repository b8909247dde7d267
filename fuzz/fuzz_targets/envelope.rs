//! Any bytes as a signed message; and any content behind a signature that holds.
#![no_main]

use std::sync::LazyLock;

use kioskd_fuzz::signed::jws::{Keys, PublicKey, Purpose, Signer};
use kioskd_fuzz::payment::gateway::wire::{Notice, Reply, Request};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// The example key of RFC 8037, appendix A.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
";

static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::from_pem(PRIVATE.as_bytes(), "k").expect("a key"));
static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    Keys::new([("k".to_owned(), PublicKey::from_pem(PUBLIC.as_bytes()).expect("a key"))])
});

fuzz_target!(|bytes: &[u8]| {
    let keys = &*KEYS;
    // Nobody signs by chance.
    assert!(keys.open::<Reply>(Purpose::PayReply, bytes).is_err());
    assert!(keys.open::<Request>(Purpose::PayRequest, bytes).is_err());
    assert!(keys.open::<Notice>(Purpose::PayNotice, bytes).is_err());
    let Ok(content) = serde_json::from_slice::<Value>(bytes) else { return };
    let signed = |purpose| SIGNER.sign(purpose, &content).expect("it is JSON");
    let reply = keys.open::<Reply>(Purpose::PayReply, &signed(Purpose::PayReply));
    let request = keys.open::<Request>(Purpose::PayRequest, &signed(Purpose::PayRequest));
    let notice = keys.open::<Notice>(Purpose::PayNotice, &signed(Purpose::PayNotice));
    // What was understood is said again in the same words.
    if let Ok((reply, _)) = reply {
        let again = serde_json::to_value(&reply).expect("it was JSON");
        assert_eq!(serde_json::from_value::<Reply>(again).expect("ours"), reply);
    }
    if let Ok((request, _)) = request {
        let again = serde_json::to_value(&request).expect("it was JSON");
        assert_eq!(serde_json::from_value::<Request>(again).expect("ours"), request);
    }
    if let Ok((notice, _)) = notice {
        let again = serde_json::to_value(&notice).expect("it was JSON");
        assert_eq!(serde_json::from_value::<Notice>(again).expect("ours"), notice);
    }
});
