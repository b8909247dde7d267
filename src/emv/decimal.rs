//! Amounts as these payloads write them: digits, a full stop, and as many digits more as the currency has.

use super::EmvError;
use crate::vocabulary::{Minor, decimal};

/// Longest text of an amount (EMV QRCPS-MPM, object 54).
const MAX: usize = 13;

/// `minor` with `digits` after the point: 1050 with 2 is `10.50`, 1050 with 0 is `1050`.
pub(super) fn write(minor: Minor, digits: usize) -> Result<String, EmvError> {
    if minor <= 0 {
        return Err(EmvError::Amount("must be more than zero"));
    }
    let text = decimal(minor.unsigned_abs(), digits);
    if text.len() > MAX { Err(EmvError::Amount("has more than 13 characters")) } else { Ok(text) }
}

/// The reverse, and what others write: fewer decimals than the currency has, or more if they are zeros.
pub(super) fn read(text: &str, digits: usize) -> Result<Minor, EmvError> {
    const FORM: EmvError = EmvError::Amount("must be digits with at most one point among them");
    const PRECISION: EmvError = EmvError::Amount("has more decimals than its currency");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let numeric = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || text.len() > MAX || !numeric(whole) || !numeric(fraction) {
        return Err(FORM);
    }
    let (kept, cut) = fraction.split_at(fraction.len().min(digits));
    if cut.bytes().any(|b| b != b'0') {
        return Err(PRECISION);
    }
    // At most 13 + 4 digits: no currency has more than four decimals.
    let minor: Minor = format!("{whole}{kept:0<digits$}").parse().map_err(|_| FORM)?;
    if minor == 0 { Err(EmvError::Amount("must be more than zero")) } else { Ok(minor) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_with_the_currencys_digits() {
        for (minor, digits, text) in [
            (1, 2, "0.01"),
            (1050, 2, "10.50"),
            (1050, 0, "1050"),
            (5, 3, "0.005"),
            (999_999_999_999, 2, "9999999999.99"),
        ] {
            assert_eq!(write(minor, digits).as_deref(), Ok(text));
            assert_eq!(read(text, digits), Ok(minor));
        }
        for (minor, digits) in [(0, 2), (-1, 2), (1_000_000_000_000, 2), (10_000_000_000_000, 0)] {
            assert!(matches!(write(minor, digits), Err(EmvError::Amount(_))), "{minor}");
        }
    }

    #[test]
    fn read_as_others_write_it() {
        for (text, digits, minor) in [("10", 2, 1000), ("10.5", 2, 1050), ("98.", 2, 9800), ("1000.00", 0, 1000)] {
            assert_eq!(read(text, digits), Ok(minor), "{text}");
        }
        for text in
            ["", ".", ".5", "0", "0.00", "1R3.45", "1.005", "1.0.0", "-1", "+1", "1,00", " 1", "１", "12345678901.50"]
        {
            assert!(read(text, 2).is_err(), "{text}");
        }
    }
}
