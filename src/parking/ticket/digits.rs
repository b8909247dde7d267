//! Bytes as decimal digits, seven bytes in seventeen digits. What a QR code holds in the fewest modules and any scanner types on
//! any keyboard layout.
//!
//! Every sequence of bytes has one text, and every text at most one sequence: nothing is accepted that was not written so.

/// Digits that so many bytes take: as many as the largest number of them has.
const DIGITS: [usize; 8] = [0, 3, 5, 8, 10, 13, 15, 17];
const CHUNK: usize = 7;

/// Digits for so many bytes.
pub const fn length(bytes: usize) -> usize {
    bytes / CHUNK * DIGITS[CHUNK] + DIGITS[bytes % CHUNK]
}

pub fn write(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(length(bytes.len()));
    for chunk in bytes.chunks(CHUNK) {
        let number = chunk.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        text += &format!("{number:0width$}", width = DIGITS[chunk.len()]);
    }
    text
}

/// `None` where a digit is none, a group is larger than its bytes, or so many digits are no whole number of bytes.
pub fn read(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    for group in text.as_bytes().chunks(DIGITS[CHUNK]) {
        let count = DIGITS.iter().position(|digits| *digits == group.len())?;
        let mut number = 0u64;
        for digit in group {
            let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
            number = number * 10 + digit;
        }
        let all = number.to_be_bytes();
        let (over, own) = all.split_at(8 - count);
        if over.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(own);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_comes_back() {
        for length in 0..64 {
            for fill in [0, 1, 0x7f, 0xff] {
                let bytes = vec![fill; length];
                let text = write(&bytes);
                assert_eq!((text.len(), read(&text)), (super::length(length), Some(bytes)), "{length} {fill}");
            }
        }
    }

    #[test]
    fn a_group_has_one_text() {
        for bytes in 1..=CHUNK {
            let most = write(&vec![0xff; bytes]);
            let next = (most.parse::<u64>().unwrap() + 1).to_string();
            assert_eq!((next.len(), read(&next)), (most.len(), None));
        }
        for bad in ["1", "12", "1234", "-12", "12a", "１23", "12 "] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
