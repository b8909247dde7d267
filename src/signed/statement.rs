//! What a kiosk says in writing to whoever carries it away: the report of a test, and the seal of a bundle for
//! support.
//!
//! Policy: the kiosk signs only what has a purpose of its own, and says itself whose it is and when: no text of a stranger's
//! becomes the kiosk's word for anything else. It speaks of itself alone, so one that names another kiosk than its signer is
//! not believed.

use std::fmt;

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::jws::{BadMessage, PublicKey, Purpose, Signer};
use crate::operation::{Actor, Digest, Findings, KeyName};
use crate::vocabulary::Wall;

/// A kiosk's content of one purpose.
pub trait Statement: Serialize + DeserializeOwned {
    const PURPOSE: Purpose;

    /// The kiosk and its fleet.
    fn whose(&self) -> (&str, &str);

    /// The flattened JWS.
    ///
    /// # Errors
    /// It is not JSON.
    fn signed(&self, signer: &Signer) -> serde_json::Result<String> {
        signer.sign(Self::PURPOSE, self).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The statement and who has signed it, `fleet/kiosk`.
    ///
    /// # Errors
    /// It is anything but a kiosk's own, signed for this purpose by this key.
    fn open(message: &[u8], key: &PublicKey) -> Result<(Self, String), NotTheirs> {
        let (statement, by): (Self, String) = key.open(Self::PURPOSE, message)?;
        let (kiosk, fleet) = statement.whose();
        match by == format!("{fleet}/{kiosk}") {
            true => Ok((statement, by)),
            false => Err(NotTheirs::Other { of: format!("{fleet}/{kiosk}"), by }),
        }
    }
}

/// Why a statement is not a kiosk's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTheirs {
    #[error(transparent)]
    Message(#[from] BadMessage),
    #[error("it is about {of}, and signed by {by}")]
    Other { of: String, by: String },
    /// Its own words why are not repeated: anybody could have written them.
    #[error("nobody has signed it, so anybody can have written it")]
    Unsigned,
}

/// What a person has found when they tested the machine, and where that is on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    pub kiosk: String,
    pub fleet: String,
    /// Of kioskd, when it was recorded.
    pub version: String,
    pub by: Actor,
    /// When it was recorded; none where the clock was not believed.
    pub time_ms: Option<Wall>,
    pub clock: Clock,
    /// The ledger's number, and in it the record that holds the checks.
    pub ledger: String,
    pub seq: u64,
    pub hash: String,
    pub checks: Findings,
}

/// Whether the time could be right, in the words of the kiosk's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    Ok,
    Unset,
}

impl Clock {
    pub fn of(time: Option<Wall>) -> Self {
        if time.is_some() { Self::Ok } else { Self::Unset }
    }
}

impl Statement for TestReport {
    const PURPOSE: Purpose = Purpose::TestReport;

    fn whose(&self) -> (&str, &str) {
        (&self.kiosk, &self.fleet)
    }
}

/// A report of a kiosk that has no key: it proves nothing, and says so.
#[derive(Serialize, Deserialize)]
struct Unsigned {
    unsigned: String,
    report: TestReport,
}

/// Why a kiosk signs nothing.
pub const NO_KEY: &str = "the kiosk's configuration has no signing_key";

impl TestReport {
    /// The file: signed, or with the reason why it is not.
    ///
    /// # Errors
    /// It is not JSON.
    pub fn document(&self, signer: Option<&Signer>) -> serde_json::Result<String> {
        match signer {
            Some(signer) => self.signed(signer),
            None => serde_json::to_string(&Unsigned { unsigned: NO_KEY.into(), report: self.clone() }),
        }
    }

    /// From that file, and who has signed it.
    ///
    /// # Errors
    /// Those of [`Statement::open`], and where nobody has signed it.
    pub fn read(document: &[u8], key: &PublicKey) -> Result<(Self, String), NotTheirs> {
        match serde_json::from_slice::<Unsigned>(document) {
            Ok(Unsigned { .. }) => Err(NotTheirs::Unsigned),
            Err(_) => Self::open(document, key),
        }
    }
}

fn told(time: Option<Wall>) -> String {
    let time = time.and_then(|time| time.timestamp());
    time.map_or("at a time that its clock did not know".into(), |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

impl fmt::Display for TestReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kiosk, fleet, version, by, time_ms, ledger, seq, hash, checks, .. } = self;
        writeln!(f, "test of kiosk {kiosk} of fleet {fleet}, kioskd {version}, by {by}, {}", told(*time_ms))?;
        writeln!(f, "record {seq} of ledger {ledger}, hash {hash}")?;
        checks.iter().try_for_each(|finding| writeln!(f, "{finding}"))?;
        write!(f, "{checks}")
    }
}

/// Somebody had a bundle with this manifest on this kiosk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleSeal {
    /// Of its `manifest.json`, which has the hash of every other member.
    pub sha256: Digest,
    pub kiosk: String,
    pub fleet: String,
    /// When they had; none where the clock was not believed.
    pub time_ms: Option<Wall>,
    #[serde(flatten)]
    pub holder: Holder,
}

/// Who had it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Holder {
    /// A user of the machine.
    User { uid: u32 },
    /// The holder of a key of the fleet's.
    Key { kid: KeyName },
}

impl Statement for BundleSeal {
    const PURPOSE: Purpose = Purpose::Bundle;

    fn whose(&self) -> (&str, &str) {
        (&self.kiosk, &self.fleet)
    }
}

impl fmt::Display for BundleSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kiosk, fleet, time_ms, holder, .. } = self;
        write!(f, "bundle of kiosk {kiosk} of fleet {fleet}, made ")?;
        match holder {
            Holder::User { uid } => write!(f, "by {}, ", Actor::Technician { uid: *uid })?,
            Holder::Key { kid } => write!(f, "for the fleet's key {kid}, ")?,
        }
        f.write_str(&told(*time_ms))
    }
}

// Here and not where it is a word only: what is pure computes no hash.
impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        Self::parse(&HEXLOWER.encode(digest(&SHA256, bytes).as_ref())).expect("32 bytes are 64 digits")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::operation::{CheckResult, Finding, PartName, Seen};

    /// RFC 8037, appendix A.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";

    fn signer(kid: &str) -> Signer {
        Signer::from_pem(PRIVATE.as_bytes(), kid).unwrap()
    }

    fn report(says: &str, count: usize) -> TestReport {
        let part = PartName::parse("relay A1").unwrap();
        let finding = Finding { part, result: CheckResult::Wrong, says: Seen::parse(says).unwrap() };
        TestReport {
            kiosk: "K0001".into(),
            fleet: "street".into(),
            version: "0.1.0".into(),
            by: Actor::Technician { uid: 1000 },
            time_ms: Some(Wall(1_795_608_412_077)),
            clock: Clock::Ok,
            ledger: "9c41d0e6b7a25f38".into(),
            seq: 1042,
            hash: "a".repeat(64),
            checks: Findings::new(vec![finding; count]).unwrap(),
        }
    }

    #[test]
    fn a_report_is_its_kiosks_or_nobodys() {
        let (report, key) = (report("it did not move", 1), signer("x").public());
        let message = report.document(Some(&signer("street/K0001"))).unwrap();
        assert_eq!(TestReport::read(message.as_bytes(), &key), Ok((report.clone(), "street/K0001".into())));
        let other = report.document(Some(&signer("street/K0002"))).unwrap();
        let says = TestReport::read(other.as_bytes(), &key).unwrap_err().to_string();
        assert_eq!(says, "it is about street/K0001, and signed by street/K0002");
        let none = report.document(None).unwrap();
        assert_eq!(TestReport::read(none.as_bytes(), &key), Err(NotTheirs::Unsigned));
        let document: Value = serde_json::from_str(&none).unwrap();
        assert_eq!((&document["unsigned"], &document["report"]["seq"]), (&json!(NO_KEY), &json!(1042)));
    }

    #[test]
    fn what_was_signed_as_one_is_not_taken_for_another() {
        let (report, key) = (report("it did not move", 1), signer("x").public());
        let message = report.document(Some(&signer("street/K0001"))).unwrap();
        let (kiosk, fleet) = (report.kiosk.clone(), report.fleet.clone());
        let holder = Holder::User { uid: 0 };
        let seal = BundleSeal { sha256: Digest::of(b""), kiosk, fleet, time_ms: None, holder };
        let sealed = seal.signed(&signer("street/K0001")).unwrap();
        let wrong = NotTheirs::Message(BadMessage::Purpose);
        assert_eq!(TestReport::read(sealed.as_bytes(), &key), Err(wrong.clone()));
        assert_eq!(BundleSeal::open(message.as_bytes(), &key), Err(wrong));
        assert_eq!(BundleSeal::open(sealed.as_bytes(), &key), Ok((seal.clone(), "street/K0001".into())));
        for (holder, written, told) in [
            (Holder::User { uid: 7 }, json!({ "uid": 7 }), "made by a technician (user 7), "),
            (
                Holder::Key { kid: KeyName::parse("office").unwrap() },
                json!({ "kid": "office" }),
                "for the fleet's key office, ",
            ),
        ] {
            let seal = BundleSeal { holder, ..seal.clone() };
            let document = serde_json::to_value(&seal).unwrap();
            for (key, is) in written.as_object().unwrap() {
                assert_eq!(document[key], *is);
            }
            assert_eq!(document.as_object().unwrap().len(), 5);
            assert!(seal.to_string().contains(told), "{seal}");
            assert_eq!(serde_json::from_value::<BundleSeal>(document).unwrap(), seal);
        }
    }

    #[test]
    fn a_hash_is_written_in_one_way() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").as_str(), empty);
        for bad in ["", "e3", &empty.to_uppercase(), &format!("{empty}0"), &empty.replace('e', "g")] {
            assert_eq!(Digest::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn any_change_of_a_report_is_found() {
        let message = report("it did not move", 1).document(Some(&signer("street/K0001"))).unwrap().into_bytes();
        let key = signer("x").public();
        for at in 0..message.len() {
            let mut changed = message.clone();
            changed[at] ^= 1;
            assert!(TestReport::read(&changed, &key).is_err(), "byte {at}");
        }
    }

    /// The longest findings there may be, whatever of JSON they have in them.
    #[test]
    fn the_longest_report_can_be_read() {
        let key = signer("x").public();
        for says in ["\"".repeat(200), "é".repeat(200), "售貨機".repeat(66), "it moved".into()] {
            let most = (1..=Findings::MOST).rev().find(|count| {
                let part = PartName::parse("relay A1").unwrap();
                let finding = Finding { part, result: CheckResult::Wrong, says: Seen::parse(&says).unwrap() };
                Findings::new(vec![finding; *count]).is_ok()
            });
            let message = report(&says, most.unwrap()).document(Some(&signer("street/K0001"))).unwrap();
            assert!(TestReport::read(message.as_bytes(), &key).is_ok(), "{} bytes of {says:.8}", message.len());
        }
    }

    #[test]
    fn people_read_whose_it_is_and_what_was_found() {
        let mut told = report("it did not move", 1);
        assert_eq!(
            told.to_string(),
            format!(
                "test of kiosk K0001 of fleet street, kioskd 0.1.0, by a technician (user 1000), 2026-11-25 12:06:52Z\n\
                 record 1042 of ledger 9c41d0e6b7a25f38, hash {}\n\
                 wrong    relay A1       it did not move\n0 well, 0 unknown, 1 wrong (relay A1)",
                "a".repeat(64)
            )
        );
        (told.time_ms, told.clock) = (None, Clock::of(None));
        assert!(told.to_string().contains(", at a time that its clock did not know\n"));
        assert_eq!(serde_json::to_value(&told).unwrap()["clock"], "unset");
    }
}
