//! From a scanned text to what it says, and back.
//!
//! ```text
//! byte 0      version (4 bits), kind (4 bits)
//! byte 1      number of the key
//! bytes 2-3   site
//! ticket      lane 1, serial 3, entry 4, doubt in quarters of an hour 1, class 1
//! pass        lane 1, serial 3, given out by 1, paid for in all 4, payment 4 bits + paid at 26 bits + grace 10 bits, good at lane 1
//! validation  serial 4, minutes, percent or amount 1, how much 4, good until 4
//! season      number 4, which of the tariff 1, good until 4, plate 20 (UTF-8, zeros behind it)
//! signature   64
//! ```
//!
//! Numbers are big-endian. A time that is not known is all ones.

use super::keys::{Issuer, KeyNumber, Owner, SiteKeys};
use super::minute::Minute;
use super::number::{LaneNumber, TicketNumber};
use super::plate::Plate;
use super::{ClassNumber, Pass, Season, Ticket, Validation, ValidationNumber, digits};
use crate::parking::tariff::Worth;
use crate::signed::jws::{Purpose, SIGNATURE};
use crate::vocabulary::Minor;

const VERSION: u8 = 1;
/// Version, kind, key and site.
const HEAD: usize = 4;
/// The digits of the seven bytes in which they stand.
const FIRST: usize = digits::length(7);
const UNKNOWN: u32 = (1 << Minute::BITS) - 1;
const MOST_MINUTES: i64 = 1_000_000;
const MOST_AMOUNT: Minor = 1_000_000_000;

/// Digits of the longest code, which is a season pass.
pub const LONGEST: usize = digits::length(Kind::Season.bytes());

/// What a code is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ticket,
    Pass,
    Validation,
    Season,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Ticket, Self::Pass, Self::Validation, Self::Season];

    fn number(self) -> u8 {
        match self {
            Self::Ticket => 1,
            Self::Pass => 2,
            Self::Validation => 3,
            Self::Season => 4,
        }
    }

    fn purpose(self) -> Purpose {
        match self {
            Self::Ticket => Purpose::ParkingTicket,
            Self::Pass => Purpose::ExitPass,
            Self::Validation => Purpose::Validation,
            Self::Season => Purpose::SeasonPass,
        }
    }

    /// Whole, with its signature.
    const fn bytes(self) -> usize {
        let content = match self {
            Self::Ticket => 10,
            Self::Pass => 15,
            Self::Validation => 13,
            Self::Season => 9 + Plate::BYTES,
        };
        HEAD + content + SIGNATURE
    }

    fn is_signed_by(self, owner: &Owner) -> bool {
        match owner {
            Owner::Site => self != Self::Validation,
            Owner::Shop(_) => self == Self::Validation,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ticket => "a parking ticket",
            Self::Pass => "an exit pass",
            Self::Validation => "a shop's validation",
            Self::Season => "a season pass",
        })
    }
}

/// A code whose signature has held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    Ticket(Ticket),
    Pass(Pass),
    Validation(Validation),
    Season(Season),
}

/// Why a text is no code of this site.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCode {
    #[error("this is longer than any code of a car park; scan one code alone")]
    TooLong,
    #[error("this is no code of a car park, which has digits only; scan the square code on the ticket")]
    NotDigits,
    #[error("this is no code of a car park; scan the square code on the ticket")]
    NotOurs,
    #[error("this code is of a kind that the lane does not read yet (version {0}); call for help")]
    UnknownVersion(u8),
    #[error("this code is for something that the lane does not know (kind {0}); call for help")]
    UnknownKind(u8),
    #[error("this is {is}; scan {wanted}")]
    OtherKind { is: Kind, wanted: Kind },
    #[error("only a part of {0} was read; hold the code flat and scan it again")]
    Truncated(Kind),
    #[error("more was read than {0}; scan it alone, once more")]
    Trailing(Kind),
    #[error("a part of the code was misread; scan it again, and call for help if that does not do")]
    Damaged,
    #[error("this code is of another car park (site {0})")]
    ForeignSite(u16),
    #[error("this code was signed by a key that does not count here, or no more (key {0}); call for help")]
    UnknownKey(KeyNumber),
    #[error("{kind} can't be signed by {owner}; call for help")]
    WrongKey { kind: Kind, owner: String },
    #[error("this code was changed, or is not ours: its signature does not hold; scan it again, or call for help")]
    Signature,
    #[error("the signature holds, and what is signed can't be: {0}; call for help")]
    Content(&'static str),
    #[error("the ticket says that the car comes at {entry}, and now it is {now}; call for help")]
    FutureDated { entry: Minute, now: Minute },
    #[error("the validation was good until {until}, and now it is {now}; ask the shop for another")]
    RunOut { until: Minute, now: Minute },
    #[error("the validation runs out at {until}, and counts in the 31 days before that only; ask the shop for another")]
    TooEarly { until: Minute },
    #[error("the season pass was good until {until}, and now it is {now}; its holder needs another")]
    SeasonOver { until: Minute, now: Minute },
}

/// A code that its issuer may not sign, or that says what no code has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("such a code can't be signed here: {0}")]
pub struct MayNot(&'static str);

impl Code {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Ticket(_) => Kind::Ticket,
            Self::Pass(_) => Kind::Pass,
            Self::Validation(_) => Kind::Validation,
            Self::Season(_) => Kind::Season,
        }
    }

    /// # Errors
    /// It is anything but a code of this site, as it was written.
    pub fn read(text: &str, keys: &SiteKeys) -> Result<Self, BadCode> {
        if text.len() > LONGEST {
            return Err(BadCode::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BadCode::NotDigits);
        }
        let first = text.get(..FIRST).ok_or(BadCode::NotOurs)?;
        let first = digits::read(first).ok_or(BadCode::NotOurs)?;
        let (version, kind) = (first[0] >> 4, first[0] & 15);
        if version != VERSION {
            return Err(BadCode::UnknownVersion(version));
        }
        let kind = Kind::ALL.into_iter().find(|known| known.number() == kind).ok_or(BadCode::UnknownKind(kind))?;
        match text.len().cmp(&digits::length(kind.bytes())) {
            std::cmp::Ordering::Less => return Err(BadCode::Truncated(kind)),
            std::cmp::Ordering::Greater => return Err(BadCode::Trailing(kind)),
            std::cmp::Ordering::Equal => (),
        }
        let bytes = digits::read(text).ok_or(BadCode::Damaged)?;
        let site = u16::from_be_bytes([bytes[2], bytes[3]]);
        if site != keys.site().get() {
            return Err(BadCode::ForeignSite(site));
        }
        let number = KeyNumber(bytes[1]);
        let (owner, key) = keys.get(number).ok_or(BadCode::UnknownKey(number))?;
        if !kind.is_signed_by(owner) {
            return Err(BadCode::WrongKey { kind, owner: owner.to_string() });
        }
        let (said, signature) = bytes.split_at(bytes.len() - SIGNATURE);
        if !key.holds(kind.purpose(), said, signature) {
            return Err(BadCode::Signature);
        }
        let mut content = Content(&said[HEAD..]);
        Ok(match kind {
            Kind::Ticket => Self::Ticket(ticket(&mut content)?),
            Kind::Pass => Self::Pass(pass(&mut content)?),
            Kind::Validation => Self::Validation(validation(&mut content, number)?),
            Kind::Season => Self::Season(season(&mut content)?),
        })
    }

    /// # Errors
    /// As [`read`](Self::read), and for another kind of code.
    pub fn read_ticket(text: &str, keys: &SiteKeys) -> Result<Ticket, BadCode> {
        match Self::read(text, keys)? {
            Self::Ticket(ticket) => Ok(ticket),
            other => Err(BadCode::OtherKind { is: other.kind(), wanted: Kind::Ticket }),
        }
    }

    /// # Errors
    /// As [`read`](Self::read), and for another kind of code.
    pub fn read_pass(text: &str, keys: &SiteKeys) -> Result<Pass, BadCode> {
        match Self::read(text, keys)? {
            Self::Pass(pass) => Ok(pass),
            other => Err(BadCode::OtherKind { is: other.kind(), wanted: Kind::Pass }),
        }
    }

    /// # Errors
    /// As [`read`](Self::read), and for another kind of code.
    pub fn read_validation(text: &str, keys: &SiteKeys) -> Result<Validation, BadCode> {
        match Self::read(text, keys)? {
            Self::Validation(validation) => Ok(validation),
            other => Err(BadCode::OtherKind { is: other.kind(), wanted: Kind::Validation }),
        }
    }

    /// What is signed: head and content.
    fn bytes(&self, issuer: &Issuer) -> Result<Vec<u8>, MayNot> {
        let mut bytes = vec![VERSION << 4 | self.kind().number(), issuer.number.0];
        bytes.extend(issuer.site.get().to_be_bytes());
        match self {
            Self::Ticket(Ticket { number, entry, class }) => {
                put_number(&mut bytes, *number);
                let (earliest, quarters) = (*entry).into();
                bytes.extend(earliest.get().to_be_bytes());
                bytes.extend([quarters, class.get()]);
            }
            Self::Pass(Pass { stay, by, nth, paid, grace, amount, lane }) => {
                if *nth > Pass::MOST || *grace > Pass::LONGEST_GRACE {
                    return Err(MayNot("so many payments or so long a grace has no room in a pass"));
                }
                let amount = u32::try_from(*amount).map_err(|_| MayNot("so much has no room in a pass"))?;
                put_number(&mut bytes, *stay);
                bytes.push(by.get());
                bytes.extend(amount.to_be_bytes());
                let paid = paid.map_or(UNKNOWN, Minute::get);
                let when = u64::from(*nth) << 36 | u64::from(paid) << 10 | u64::from(*grace);
                bytes.extend(&when.to_be_bytes()[3..]);
                bytes.push(lane.map_or(0, LaneNumber::get));
            }
            Self::Validation(Validation { number, worth, until }) => {
                if number.key != issuer.number {
                    return Err(MayNot("it names another key than the one that signs"));
                }
                let (kind, worth, most) = match *worth {
                    Worth::Minutes(minutes) => (0, minutes, MOST_MINUTES),
                    Worth::Percent(percent) => (1, percent, 100),
                    Worth::Amount(amount) => (2, amount, MOST_AMOUNT),
                };
                if !(1..=most).contains(&worth) {
                    return Err(MayNot("it is worth nothing, or more than a validation may be"));
                }
                bytes.extend(number.serial.to_be_bytes());
                bytes.push(kind);
                bytes.extend((worth as u32).to_be_bytes());
                bytes.extend(until.get().to_be_bytes());
            }
            Self::Season(Season { number, season, until, plate }) => {
                bytes.extend(number.to_be_bytes());
                bytes.push(*season);
                bytes.extend(until.get().to_be_bytes());
                let plate = plate.as_ref().map_or("", Plate::as_str).bytes();
                bytes.extend(plate.chain(std::iter::repeat(0)).take(Plate::BYTES));
            }
        }
        Ok(bytes)
    }
}

impl Issuer {
    /// The text of the code, signed.
    ///
    /// # Errors
    /// It is not for this issuer to sign, or no code has room for it.
    pub fn issue(&self, code: &Code) -> Result<String, MayNot> {
        if !code.kind().is_signed_by(&self.owner) {
            return Err(MayNot("the site signs tickets, exit passes and season passes, a shop signs validations"));
        }
        let mut bytes = code.bytes(self)?;
        let signature = self.signer.sign_bytes(code.kind().purpose(), &bytes);
        bytes.extend(signature);
        Ok(digits::write(&bytes))
    }
}

fn put_number(bytes: &mut Vec<u8>, number: TicketNumber) {
    bytes.push(number.lane().get());
    bytes.extend(&number.serial().to_be_bytes()[1..]);
}

/// What is left of the content. Its length is its kind's, and what is read of each kind below adds up to it.
struct Content<'b>(&'b [u8]);

impl Content<'_> {
    fn number(&mut self, bytes: usize) -> u64 {
        let (first, rest) = self.0.split_at(bytes.min(self.0.len()));
        self.0 = rest;
        first.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn text(&mut self, bytes: usize) -> &[u8] {
        let (first, rest) = self.0.split_at(bytes.min(self.0.len()));
        self.0 = rest;
        first
    }

    fn byte(&mut self) -> u8 {
        self.number(1) as u8
    }

    fn long(&mut self) -> u32 {
        self.number(4) as u32
    }

    fn lane(&mut self) -> Result<LaneNumber, BadCode> {
        LaneNumber::new(self.byte()).ok_or(BadCode::Content("there is no such lane"))
    }

    fn ticket(&mut self) -> Result<TicketNumber, BadCode> {
        let lane = self.lane()?;
        TicketNumber::new(lane, self.number(3) as u32).ok_or(BadCode::Content("there is no such ticket"))
    }

    fn minute(&mut self) -> Result<Minute, BadCode> {
        Minute::new(self.long()).ok_or(BadCode::Content("there is no such time"))
    }
}

fn ticket(content: &mut Content<'_>) -> Result<Ticket, BadCode> {
    let (number, at, quarters) = (content.ticket()?, content.minute()?, content.byte());
    let class = ClassNumber::new(content.byte()).ok_or(BadCode::Content("there is no such class of vehicles"))?;
    Ok(Ticket { number, entry: (at, quarters).into(), class })
}

fn pass(content: &mut Content<'_>) -> Result<Pass, BadCode> {
    let (stay, by, amount, when) = (content.ticket()?, content.lane()?, content.long(), content.number(5));
    let paid = (when >> 10) as u32 & UNKNOWN;
    let lane = match content.byte() {
        0 => None,
        lane => Some(LaneNumber::new(lane).ok_or(BadCode::Content("there is no such lane"))?),
    };
    Ok(Pass {
        stay,
        by,
        nth: (when >> 36) as u8,
        paid: Minute::new(paid),
        grace: when as u16 & Pass::LONGEST_GRACE,
        amount: amount.into(),
        lane,
    })
}

fn validation(content: &mut Content<'_>, key: KeyNumber) -> Result<Validation, BadCode> {
    let (serial, kind, worth) = (content.long(), content.byte(), i64::from(content.long()));
    let (worth, most) = match kind {
        0 => (Worth::Minutes(worth), MOST_MINUTES),
        1 => (Worth::Percent(worth), 100),
        2 => (Worth::Amount(worth), MOST_AMOUNT),
        _ => return Err(BadCode::Content("a validation is minutes, percent or an amount")),
    };
    let (Worth::Minutes(much) | Worth::Percent(much) | Worth::Amount(much)) = worth;
    if !(1..=most).contains(&much) {
        return Err(BadCode::Content("it is worth nothing, or more than a validation may be"));
    }
    Ok(Validation { number: ValidationNumber { key, serial }, worth, until: content.minute()? })
}

fn season(content: &mut Content<'_>) -> Result<Season, BadCode> {
    let (number, season, until) = (content.long(), content.byte(), content.minute()?);
    let written = content.text(Plate::BYTES);
    let end = written.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let none = || BadCode::Content("there is no such plate");
    let plate = match std::str::from_utf8(&written[..end]).map_err(|_| none())? {
        "" => None,
        text => Some(Plate::typed(text).ok().filter(|plate| plate.as_str() == text).ok_or_else(none)?),
    };
    Ok(Season { number, season, until, plate })
}
