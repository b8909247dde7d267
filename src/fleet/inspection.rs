//! An inspection: how a machine is in every part, in its own signed words.
//!
//! Policy: daily and when it is asked, on a topic of its own, and nothing relies on a broker that keeps it. It is flat, and what
//! a machine does not know is null. Whoever has the kiosk's public key can check it; whoever has none believes nothing of it. Which of
//! two is newer its place in the ledger says, so an old one that somebody repeats is known for what it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::operation::{CheckResult, Digest, Finding, Findings};
use crate::signed::jws::Purpose;
use crate::signed::statement::{Clock, Statement};
use crate::vocabulary::Wall;

/// So far ahead, in milliseconds, that it is no time zone taken for UTC.
const AHEAD: u64 = 24 * 3_600_000;

/// What a kiosk says of itself. Times are milliseconds since 1970 UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inspection {
    pub kiosk: String,
    pub fleet: String,
    /// The nonce of this run.
    pub boot: String,
    /// When it was so; null while the clock is unknown.
    pub time_ms: Option<Wall>,
    /// The same in seconds since this run began.
    pub uptime_s: u64,
    /// The ledger's number, and in it the newest record.
    pub ledger: String,
    pub seq: u64,
    pub hash: String,
    /// Of kioskd.
    pub version: String,
    /// Which version of the machine's software runs, in which of its two copies; null where nobody can say.
    pub software_version: Option<String>,
    pub software_copy: Option<String>,
    /// The SHA-256 of the bundle with which that came, where it came as a command; else null.
    #[schemars(with = "Option<String>")]
    pub software_sha256: Option<Digest>,
    /// SHA-256 of the configuration's text.
    #[schemars(with = "String")]
    pub config_digest: Digest,
    pub config_origin: ConfigOrigin,
    /// It is not kept yet.
    pub config_trial: bool,
    /// Of the keyset in force; null where no command counts.
    pub keyset_version: Option<u64>,
    pub selling: bool,
    /// Why not, by kind.
    pub reasons: Vec<String>,
    /// What the parts say of themselves.
    #[schemars(with = "Vec<Finding>")]
    pub parts: Findings,
    /// The newest test by a person that is on record: when, and how many parts were wrong; null without one.
    pub test_ms: Option<Wall>,
    pub test_wrong: Option<u64>,
    /// Since when what follows is counted, by the ledger: for a day, or less where more happened than is looked at; null while
    /// the clock is unknown, and so is what follows up to `boots`.
    pub counted_since_ms: Option<Wall>,
    /// How often sales stopped because the door or the case was open, and the last time.
    pub door_stops: Option<u64>,
    pub door_stopped_ms: Option<Wall>,
    pub tamper_stops: Option<u64>,
    pub tamper_stopped_ms: Option<Wall>,
    pub orders_offered: Option<u64>,
    pub orders_paid: Option<u64>,
    pub orders_unpaid: Option<u64>,
    pub units_delivered: Option<u64>,
    pub units_not_delivered: Option<u64>,
    /// Of which no sensor could say.
    pub units_unknown: Option<u64>,
    pub refunds_confirmed: Option<u64>,
    pub claims_opened: Option<u64>,
    /// How often kioskd was started.
    pub boots: Option<u64>,
    /// How often the door and the case were opened in this run, whether it sold or not.
    pub door_openings: u64,
    pub tamper_openings: u64,
    pub clock: Clock,
    /// A payment provider's time less the machine's; null where none has told it in this run.
    pub clock_error_ms: Option<i64>,
    /// Room on the disk of the ledger.
    pub disk_free_bytes: Option<u64>,
    /// What was written to it since the board was started, by whomever, and by this run of kioskd.
    pub disk_written_bytes: Option<u64>,
    pub written_bytes: Option<u64>,
    /// When the certificate with which it speaks to its broker runs out; null without one.
    pub certificate_expires_ms: Option<Wall>,
}

/// Where the configuration came from, in the words of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigOrigin {
    File,
    Fleet,
}

impl Statement for Inspection {
    const PURPOSE: Purpose = Purpose::Inspection;

    fn whose(&self) -> (&str, &str) {
        (&self.kiosk, &self.fleet)
    }
}

impl Inspection {
    /// Whether its numbers are such as a database has; whoever has a kiosk's key can sign anything.
    pub fn can_be_stored(&self) -> bool {
        let fits = |number: u64| i64::try_from(number).is_ok();
        let is_plain = (1..=64).contains(&self.ledger.len()) && self.ledger.bytes().all(|b| b.is_ascii_alphanumeric());
        is_plain && fits(self.seq) && fits(self.uptime_s) && self.time_ms.is_none_or(|Wall(ms)| fits(ms))
    }

    /// The parts that are wrong, each with what it says.
    pub fn wrong(&self) -> impl Iterator<Item = &Finding> {
        self.parts.iter().filter(|part| part.result == CheckResult::Wrong)
    }

    /// Whether it is dated so far ahead that the clock of no honest kiosk says it: kept, nothing from another ledger would ever be
    /// newer.
    pub fn is_of_the_future(&self, Wall(now): Wall) -> bool {
        self.time_ms.is_some_and(|Wall(ms)| ms > now.saturating_add(AHEAD))
    }

    /// Whether it was made after another of the same kiosk. The ledger and the run say it; only between two ledgers there is nothing
    /// but the clock, and a time that is known goes before one that is not.
    pub fn is_newer(&self, other: &Self) -> bool {
        if self.ledger != other.ledger {
            return match (self.time_ms, other.time_ms) {
                (Some(this), Some(other)) => this > other,
                (None, Some(_)) => false,
                (_, None) => true,
            };
        }
        if self.seq != other.seq {
            return self.seq > other.seq;
        }
        // A run begins with a record, so this is the same one.
        self.uptime_s > other.uptime_s
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::operation::{PartName, Seen};
    use crate::signed::jws::Signer;
    use crate::signed::statement::NotTheirs;

    /// RFC 8037, appendix A.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";

    pub(crate) fn finding(part: &str, result: CheckResult, says: &str) -> Finding {
        Finding { part: PartName::parse(part).unwrap(), result, says: Seen::parse(says).unwrap() }
    }

    pub(crate) fn well() -> Inspection {
        Inspection {
            kiosk: "K0001".into(),
            fleet: "street".into(),
            boot: "5b1f0c9d2e7a4836".into(),
            time_ms: Some(Wall(1_795_608_412_077)),
            uptime_s: 86_412,
            ledger: "9c41d0e6b7a25f38".into(),
            seq: 1042,
            hash: "a".repeat(64),
            version: "0.1.0".into(),
            software_version: None,
            software_copy: None,
            software_sha256: None,
            config_digest: Digest::of(b"config"),
            config_origin: ConfigOrigin::File,
            config_trial: false,
            keyset_version: Some(1),
            selling: true,
            reasons: Vec::new(),
            parts: Findings::new(vec![finding("board", CheckResult::Well, "ok")]).unwrap(),
            test_ms: None,
            test_wrong: None,
            counted_since_ms: Some(Wall(1_795_522_012_077)),
            door_stops: Some(0),
            door_stopped_ms: None,
            tamper_stops: Some(0),
            tamper_stopped_ms: None,
            orders_offered: Some(2),
            orders_paid: Some(1),
            orders_unpaid: Some(1),
            units_delivered: Some(1),
            units_not_delivered: Some(0),
            units_unknown: Some(0),
            refunds_confirmed: Some(0),
            claims_opened: Some(0),
            boots: Some(1),
            door_openings: 0,
            tamper_openings: 0,
            clock: Clock::Ok,
            clock_error_ms: None,
            disk_free_bytes: Some(1),
            disk_written_bytes: None,
            written_bytes: Some(1),
            certificate_expires_ms: None,
        }
    }

    #[test]
    fn the_newer_of_two_is_told_by_the_ledger_and_not_by_the_clock() {
        let this = well();
        assert!(!this.is_newer(&this), "the same once more is no news");
        let at = |seq, uptime_s, time| Inspection { seq, uptime_s, time_ms: Some(Wall(time)), ..well() };
        assert!(at(1043, 5, 1).is_newer(&this), "the clock was set back meanwhile");
        assert!(!at(1041, 99_999_999, u64::MAX).is_newer(&this));
        assert!(at(1042, 86_413, 1).is_newer(&this) && !at(1042, 86_411, u64::MAX).is_newer(&this));
        let elsewhere = |time_ms| Inspection { ledger: "8d30".into(), seq: 3, time_ms, ..well() };
        assert!(!elsewhere(None).is_newer(&this), "anybody can repeat one that a kiosk without a clock made");
        assert!(this.is_newer(&elsewhere(None)));
        let dateless = Inspection { time_ms: None, ..well() };
        assert!(elsewhere(None).is_newer(&dateless));
        assert!(elsewhere(Some(Wall(1_795_608_412_078))).is_newer(&this));
        assert!(!elsewhere(Some(Wall(1_795_608_412_077))).is_newer(&this));
    }

    #[test]
    fn it_is_its_kiosks_or_nobodys() {
        let signer = |kid: &str| Signer::from_pem(PRIVATE.as_bytes(), kid).unwrap();
        let key = signer("x").public();
        let message = well().signed(&signer("street/K0001")).unwrap();
        assert_eq!(Inspection::open(message.as_bytes(), &key), Ok((well(), "street/K0001".into())));
        let other = well().signed(&signer("street/K0002")).unwrap();
        assert!(matches!(Inspection::open(other.as_bytes(), &key), Err(NotTheirs::Other { .. })));
        assert!(
            Inspection::open(well().signed(&signer("street/K0001")).unwrap().replace('A', "B").as_bytes(), &key)
                .is_err()
        );
    }

    /// Any broker takes it: the parts are bounded, and everything else is short.
    #[test]
    fn the_longest_has_room_in_a_message() {
        let says = "\"".repeat(200);
        let most = (1..=Findings::MOST)
            .rev()
            .find_map(|count| Findings::new(vec![finding(&"p".repeat(64), CheckResult::Wrong, &says); count]).ok());
        let longest = Inspection { parts: most.unwrap(), ..well() };
        let message = longest.signed(&Signer::from_pem(PRIVATE.as_bytes(), "street/K0001").unwrap()).unwrap();
        assert!(message.len() < crate::signed::jws::LONGEST, "{} bytes", message.len());
    }
}
