//! Any text as a code of a car park; any content of one behind a signature that holds; any text as a plate and as a ticket's number.
#![no_main]

use std::sync::LazyLock;

use kioskd_fuzz::parking::tariff::Label;
use kioskd_fuzz::parking::ticket::{
    Code, Issuer, KeyNumber, Kind, Owner, Plate, SiteKey, SiteKeys, SiteNumber, TicketNumber, near,
};
use kioskd_fuzz::signed::jws::{Purpose, Signer};
use libfuzzer_sys::fuzz_target;

/// The example key of RFC 8037, appendix A, and another.
const SITE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
const SHOP: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ
-----END PRIVATE KEY-----
";

fn signer(pem: &str) -> Signer {
    Signer::from_pem(pem.as_bytes(), "7/3").expect("a key")
}

static KEYS: LazyLock<SiteKeys> = LazyLock::new(|| {
    let shop = Owner::Shop(Label::parse("books").expect("a name"));
    let key = |number, owner, pem| SiteKey { number: KeyNumber(number), owner, key: signer(pem).public() };
    let keys = vec![key(1, Owner::Site, SITE), key(9, shop, SHOP)];
    SiteKeys::new(SiteNumber::new(7).expect("a site"), keys).expect("keys")
});

/// Seven bytes in seventeen digits.
fn digits(bytes: &[u8]) -> String {
    let width = |bytes: usize| [0, 3, 5, 8, 10, 13, 15, 17][bytes];
    let number = |group: &[u8]| group.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    bytes.chunks(7).map(|group| format!("{:0width$}", number(group), width = width(group.len()))).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let keys = &*KEYS;
    if let Ok(text) = std::str::from_utf8(bytes) {
        // Nobody signs by chance.
        assert!(Code::read(text, keys).is_err());
        if let Ok(number) = TicketNumber::typed(text) {
            assert_eq!(TicketNumber::typed(&number.to_string()), Ok(number));
        }
        if let Ok(plate) = Plate::typed(text) {
            assert_eq!(Plate::typed(plate.as_str()).as_ref(), Ok(&plate));
            assert_eq!(near(&plate, [&plate]).len(), 1);
        }
    }
    assert!(Code::read(&digits(bytes), keys).is_err());
    // What is signed is only believed as what it was signed for, and is written again as it was.
    for (number, pem, purpose) in [
        (1, SITE, Purpose::ParkingTicket),
        (1, SITE, Purpose::ExitPass),
        (1, SITE, Purpose::SeasonPass),
        (9, SHOP, Purpose::Validation),
    ] {
        let signer = signer(pem);
        let signature = signer.sign_bytes(purpose, bytes);
        let text = digits(&[bytes, &signature].concat());
        let Ok(code) = Code::read(&text, keys) else { continue };
        let kind = match purpose {
            Purpose::ParkingTicket => Kind::Ticket,
            Purpose::ExitPass => Kind::Pass,
            Purpose::SeasonPass => Kind::Season,
            _ => Kind::Validation,
        };
        assert_eq!(code.kind(), kind);
        let issuer = Issuer::new(signer, KeyNumber(number), keys).expect("a key of the site's");
        let again = issuer.issue(&code).expect("it was read");
        assert_eq!(Code::read(&again, keys), Ok(code));
    }
});
