//! Objects of a merchant-presented QR: two digits of ID, two of length, the value (EMV QRCPS-MPM v1.1, §3 and §4).
//!
//! Two rules are easy to get wrong: the length counts characters (Unicode scalar values), while the checksum is taken
//! over UTF-8 bytes. The specification's own sample, with its Chinese name, holds only when both are kept.

use std::fmt::Write;

/// Longest payload, in bytes; nothing longer is looked into.
pub const LIMIT: usize = 512;

/// What the checksum's own object begins with; part of what is summed.
const CRC_HEADER: &str = "6304";
const CRC: u8 = 63;

/// One ID with its value. A value that was read has 1 to 99 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub id: u8,
    pub value: String,
}

impl Object {
    pub fn new(id: u8, value: impl Into<String>) -> Self {
        Self { id, value: value.into() }
    }

    /// An object that holds objects.
    pub fn template(id: u8, objects: &[Object]) -> Result<Self, TlvError> {
        Ok(Self { id, value: write(objects)? })
    }

    /// The objects inside.
    pub fn objects(&self) -> Result<Vec<Object>, TlvError> {
        read(&self.value)
    }
}

/// What is wrong with the structure. Values are not repeated: an account is nobody's business in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlvError {
    #[error("longer than {LIMIT} bytes")]
    TooLong,
    #[error("byte {at}: an object begins with two digits of ID and two of length")]
    Header { at: usize },
    #[error("object {id:02}: an empty value; leave the object out")]
    Empty { id: u8 },
    #[error("object {id:02}: ends before its length does")]
    Truncated { id: u8 },
    #[error("object {id:02}: a control character")]
    Control { id: u8 },
    #[error("object {id:02}: there twice")]
    Duplicate { id: u8 },
    #[error("object 00 must be the first")]
    First,
    #[error("object 63, the checksum, must be the last")]
    Last,
    #[error("the checksum must be four hexadecimal digits")]
    CrcFormat,
    #[error("the checksum does not match: it says {written:04X}, the text has {computed:04X}")]
    Crc { written: u16, computed: u16 },
    #[error("object {id:02}: a value of more than 99 characters")]
    Overlong { id: u8 },
    #[error("{id} is not an object's ID here")]
    Id { id: u8 },
}

/// CRC-16/CCITT-FALSE: polynomial 1021, initially FFFF, not reflected, nothing XORed at the end.
pub fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 },
        )
    })
}

/// A whole payload: 00 first, the checksum last and right. Answers with the objects between, 00 included and 63 not.
///
/// A checksum in lower case is accepted, because printed codes in the field have it; [`seal`] writes capitals.
pub fn open(text: &str) -> Result<Vec<Object>, TlvError> {
    if text.len() > LIMIT {
        return Err(TlvError::TooLong);
    }
    let mut objects = read(text)?;
    if objects.first().is_none_or(|object| object.id != 0) {
        return Err(TlvError::First);
    }
    let crc_object = objects.pop_if(|object| object.id == CRC).ok_or(TlvError::Last)?;
    if objects.iter().any(|object| object.id == CRC) {
        return Err(TlvError::Last);
    }
    let digits = crc_object.value.as_str();
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(TlvError::CrcFormat);
    }
    let written = u16::from_str_radix(digits, 16).map_err(|_| TlvError::CrcFormat)?;
    let computed = crc(&text.as_bytes()[..text.len() - digits.len()]);
    if written == computed { Ok(objects) } else { Err(TlvError::Crc { written, computed }) }
}

/// The reverse of [`open`]: the objects in the order given, and the checksum.
pub fn seal(objects: &[Object]) -> Result<String, TlvError> {
    if objects.first().is_none_or(|object| object.id != 0) {
        return Err(TlvError::First);
    }
    if objects.iter().any(|object| object.id == CRC) {
        return Err(TlvError::Last);
    }
    let mut text = write(objects)?;
    text.push_str(CRC_HEADER);
    let sum = crc(text.as_bytes());
    let _ = write!(text, "{sum:04X}");
    if text.len() > LIMIT { Err(TlvError::TooLong) } else { Ok(text) }
}

/// Objects one after the other, each ID once.
fn read(text: &str) -> Result<Vec<Object>, TlvError> {
    let mut objects = Vec::new();
    let mut seen = Seen::default();
    let mut rest = text;
    while !rest.is_empty() {
        let at = text.len() - rest.len();
        let (object, after) = next(rest, at)?;
        seen.note(object.id)?;
        objects.push(object);
        rest = after;
    }
    Ok(objects)
}

fn next(text: &str, at: usize) -> Result<(Object, &str), TlvError> {
    let header = text.as_bytes().first_chunk::<4>().filter(|header| header.iter().all(u8::is_ascii_digit));
    let Some(&[id_tens, id_ones, length_tens, length_ones]) = header else { return Err(TlvError::Header { at }) };
    let number = |tens: u8, ones: u8| (tens - b'0') * 10 + (ones - b'0');
    let id = number(id_tens, id_ones);
    let length = usize::from(number(length_tens, length_ones));
    if length == 0 {
        return Err(TlvError::Empty { id });
    }
    let body = &text[4..];
    let end = body.char_indices().map(|(index, _)| index).chain([body.len()]).nth(length);
    let (value, after) = body.split_at(end.ok_or(TlvError::Truncated { id })?);
    if value.chars().any(char::is_control) {
        return Err(TlvError::Control { id });
    }
    Ok((Object::new(id, value), after))
}

fn write(objects: &[Object]) -> Result<String, TlvError> {
    let mut text = String::new();
    let mut seen = Seen::default();
    for Object { id, value } in objects {
        seen.note(*id)?;
        let length = match value.chars().take(100).count() {
            0 => return Err(TlvError::Empty { id: *id }),
            100 => return Err(TlvError::Overlong { id: *id }),
            length => length,
        };
        if value.chars().any(char::is_control) {
            return Err(TlvError::Control { id: *id });
        }
        let _ = write!(text, "{id:02}{length:02}{value}");
    }
    Ok(text)
}

/// The IDs met so far, a bit each.
#[derive(Default)]
struct Seen(u128);

impl Seen {
    fn note(&mut self, id: u8) -> Result<(), TlvError> {
        if id > 99 {
            return Err(TlvError::Id { id });
        }
        let bit = 1 << id;
        if self.0 & bit != 0 {
            return Err(TlvError::Duplicate { id });
        }
        self.0 |= bit;
        Ok(())
    }
}
