//! The service PIN as the configuration has it: an Argon2id hash in PHC form.
//!
//! Policy: a PIN has few digits, so what keeps it is what a guess costs: here the hash's memory and time, at the glass the
//! growing pause. A hash that would cost next to nothing, or more than a small board has, is refused when it is read.

use std::fmt;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};

use crate::vocabulary::Pin;

/// What a new hash costs: 19 MiB, two passes, one lane (OWASP's least), about a quarter of a second on a Raspberry Pi.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// What a hash from elsewhere may cost.
const MEMORY_BOUNDS_KIB: std::ops::RangeInclusive<u32> = 7 * 1_024..=64 * 1_024;
const PASSES_BOUNDS: std::ops::RangeInclusive<u32> = 1..=10;
const LANES_BOUNDS: std::ops::RangeInclusive<u32> = 1..=4;
/// Bytes.
const LEAST_SALT: usize = 8;
const LEAST_HASH: usize = 16;

/// The hash of a PIN; neither it nor a part of it is in what `Debug` says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("writeOnly" = true))]
pub struct PinHash(String);

/// Why a text is no hash of a PIN that would be taken. The text is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPinHash {
    #[error("is not the hash of a PIN")]
    Form,
    #[error("is not made with Argon2id, version 19")]
    Algorithm,
    #[error("takes {kib} KiB of memory, and may take {least} to {most}", least = MEMORY_BOUNDS_KIB.start(), most = MEMORY_BOUNDS_KIB.end())]
    Memory { kib: u32 },
    #[error("takes {passes} passes, and may take {least} to {most}", least = PASSES_BOUNDS.start(), most = PASSES_BOUNDS.end())]
    Passes { passes: u32 },
    #[error("takes {lanes} lanes, and may take {least} to {most}", least = LANES_BOUNDS.start(), most = LANES_BOUNDS.end())]
    Lanes { lanes: u32 },
    #[error("has a salt or a hash that is too short")]
    Short,
}

impl PinHash {
    /// A new one.
    ///
    /// # Errors
    /// There is not enough memory for it.
    pub fn of(pin: &Pin, salt: &[u8; 16]) -> Result<Self, argon2::password_hash::Error> {
        let salt = SaltString::encode_b64(salt)?;
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        Ok(Self(argon.hash_password(pin.bytes(), &salt)?.to_string()))
    }

    /// # Errors
    /// It is no hash, or one of another kind or another cost.
    pub fn parse(text: &str) -> Result<Self, BadPinHash> {
        let hash = PasswordHash::new(text).map_err(|_| BadPinHash::Form)?;
        if hash.algorithm != ARGON2ID_IDENT || hash.version != Some(Version::V0x13.into()) {
            return Err(BadPinHash::Algorithm);
        }
        // What the library would not take at all is told by the number that is wrong, where it is one of these.
        let number = |name| hash.params.get_decimal(name).ok_or(BadPinHash::Form);
        let (kib, passes, lanes) = (number("m")?, number("t")?, number("p")?);
        if !MEMORY_BOUNDS_KIB.contains(&kib) {
            return Err(BadPinHash::Memory { kib });
        }
        if !PASSES_BOUNDS.contains(&passes) {
            return Err(BadPinHash::Passes { passes });
        }
        if !LANES_BOUNDS.contains(&lanes) {
            return Err(BadPinHash::Lanes { lanes });
        }
        let mut bytes = [0; 64];
        let salt = hash.salt.and_then(|salt| Some(salt.decode_b64(&mut bytes).ok()?.len()));
        let short = salt.is_none_or(|length| length < LEAST_SALT) || hash.hash.is_none_or(|h| h.len() < LEAST_HASH);
        if short {
            return Err(BadPinHash::Short);
        }
        Params::try_from(&hash).map_err(|_| BadPinHash::Form)?;
        Ok(Self(text.to_owned()))
    }

    /// Whether it is this PIN's. It takes as long as the hash says, and as much memory.
    pub fn matches(&self, pin: &Pin) -> bool {
        let hash = PasswordHash::new(&self.0);
        hash.is_ok_and(|hash| Argon2::default().verify_password(pin.bytes(), &hash).is_ok())
    }

    /// As it stands in the configuration.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PinHash {
    type Error = BadPinHash;

    fn try_from(text: String) -> Result<Self, BadPinHash> {
        Self::parse(&text)
    }
}

impl From<PinHash> for String {
    fn from(hash: PinHash) -> String {
        hash.0
    }
}

impl fmt::Debug for PinHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(text: &str) -> Pin {
        Pin::parse(text).unwrap()
    }

    #[test]
    fn the_right_pin_and_no_other() {
        let hash = PinHash::of(&pin("2468"), &[7; 16]).unwrap();
        assert_eq!(PinHash::parse(hash.as_str()), Ok(hash.clone()));
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        assert!(hash.matches(&pin("2468")));
        for other in ["2469", "24680", "02468", "8642"] {
            assert!(!hash.matches(&pin(other)), "{other}");
        }
        assert_ne!(PinHash::of(&pin("2468"), &[8; 16]).unwrap(), hash, "another salt, another hash");
        assert_eq!(format!("{hash:?}"), "PinHash(…)");
    }

    /// Made by the reference implementation: `echo -n 2468 | argon2 'somesalt16bytes!' -id -t 3 -k 12288 -p 1 -l 32 -e`.
    #[test]
    fn the_hash_of_another_implementation_is_taken() {
        let theirs =
            "$argon2id$v=19$m=12288,t=3,p=1$c29tZXNhbHQxNmJ5dGVzIQ$suu21+OSJSzfcLGZwS38FUfrfW86cRkJ7r21T/trpy8";
        let hash = PinHash::parse(theirs).unwrap();
        assert!(hash.matches(&pin("2468")) && !hash.matches(&pin("2467")));
    }

    #[test]
    fn what_costs_nothing_or_too_much_is_refused() {
        let good = PinHash::of(&pin("2468"), &[7; 16]).unwrap();
        let with = |from: &str, to: &str| PinHash::parse(&good.as_str().replace(from, to));
        assert_eq!(with("m=19456", "m=1024"), Err(BadPinHash::Memory { kib: 1_024 }));
        assert_eq!(with("m=19456", "m=4194304"), Err(BadPinHash::Memory { kib: 4_194_304 }));
        assert_eq!(with("t=2", "t=1000"), Err(BadPinHash::Passes { passes: 1_000 }));
        assert_eq!(with("t=2", "t=0"), Err(BadPinHash::Passes { passes: 0 }));
        assert_eq!(with("p=1", "p=200"), Err(BadPinHash::Lanes { lanes: 200 }));
        assert_eq!(with("argon2id", "argon2i"), Err(BadPinHash::Algorithm));
        assert_eq!(with("v=19", "v=16"), Err(BadPinHash::Algorithm));
        let salt = good.as_str().split('$').nth(4).unwrap();
        assert_eq!(with(salt, "AAAAAA"), Err(BadPinHash::Short));
        let without = good.as_str().rsplit_once('$').unwrap().0;
        assert_eq!(PinHash::parse(without), Err(BadPinHash::Short));
        for none in ["", "2468", "$argon2id$", "$2y$10$abcdefghijklmnopqrstuv"] {
            assert!(PinHash::parse(none).is_err(), "{none}");
        }
    }
}
