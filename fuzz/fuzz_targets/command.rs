//! Any bytes as a command or a keyset; and any content of one behind a signature that holds.
#![no_main]

use std::sync::LazyLock;

use kioskd_fuzz::fleet::command::{Addressee, CommandDesk};
use kioskd_fuzz::fleet::topic::{Address, Name};
use kioskd_fuzz::operation::{Actor, Operation};
use kioskd_fuzz::signed::jws::{Purpose, Signer};
use kioskd_fuzz::signed::keyset::Keyset;
use kioskd_fuzz::vocabulary::BootId;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

/// The example key of RFC 8037, appendix A.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";

fn signer(kid: &str) -> Signer {
    Signer::from_pem(PRIVATE.as_bytes(), kid).expect("a key")
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

static OFFICE: LazyLock<Signer> = LazyLock::new(|| signer("k"));
static ROOT: LazyLock<Signer> = LazyLock::new(|| signer(Actor::ROOT));

/// A kiosk that has taken no command yet.
fn desk() -> CommandDesk {
    let content = json!({ "fleet": "demo", "version": 3, "keys": [
        { "kid": "k", "key": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "roles": ["sell"] },
        { "kid": "b", "key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "roles": ["config"] },
    ] });
    let message = ROOT.sign(Purpose::Keyset, &content).expect("it is JSON");
    let keyset = Keyset::open(&ROOT.public(), "demo", &message).expect("a keyset");
    let address = Address { fleet: name("demo"), kiosk: name("K1") };
    let boot = BootId::parse("5b1f0c9d2e7a4836").expect("a boot");
    CommandDesk::new(address, boot, ROOT.public(), keyset, || None)
}

fuzz_target!(|bytes: &[u8]| {
    let desk = desk();
    // Nobody signs by chance.
    for verb in ["lock", "rotate-keys"] {
        assert!(desk.open(Addressee::ThisKiosk, &name(verb), &name("c1"), bytes).is_err());
    }
    let Ok(content) = serde_json::from_slice::<Value>(bytes) else { return };
    let of = |key: &str| content[key].as_str().and_then(|text| Name::parse(text).ok());
    if let (Some(verb), Some(id)) = (of("verb"), of("jti")) {
        let message = OFFICE.sign(Purpose::Command, &content).expect("it is JSON");
        if let Ok(request) = desk.open(Addressee::ThisKiosk, &verb, &id, &message) {
            assert_eq!((request.asked.verb(), request.id.as_str()), (verb.as_str(), id.as_str()));
            assert!(!request.by.is_root() && !matches!(request.asked, Operation::RotateKeys { .. }));
            assert_eq!(request.live, content["nonce"] == "5b1f0c9d2e7a4836");
        }
    }
    let version = content["version"].as_u64().unwrap_or_default();
    let message = ROOT.sign(Purpose::Keyset, &content).expect("it is JSON");
    if let Ok(request) = desk.open(Addressee::Everyone, &name("rotate-keys"), &name(&format!("keyset-{version}")), &message)
    {
        let Operation::RotateKeys { keyset, .. } = request.asked else { panic!("a keyset is one") };
        assert!(version >= 3 && desk.adopt(&keyset).is_ok());
    }
});
