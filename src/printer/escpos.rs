//! ESC/POS: the few commands that are used, and what the answers mean.
//!
//! Pictures are sent in bands, so that a printer whose data was cut short can be brought back by at most one band of zeros.

use super::raster::Bitmap;

/// Rows of dots in one picture command.
const BAND: usize = 128;
/// Rows between the last dot and the cut, beside the way to the cutter that the printer knows itself.
const TAIL: u8 = 32;

pub(super) const INIT: [u8; 2] = [0x1b, b'@'];
const FEED: [u8; 3] = [0x1b, b'J', TAIL];
/// Partial, after feeding to the cutter.
const CUT: [u8; 4] = [0x1d, b'V', b'B', 0];
/// `GS r 1`: answered when everything before it has been processed.
pub(super) const REPORT: [u8; 3] = [0x1d, b'r', 1];
/// `DLE DC4 8`: forget everything that is not printed yet; acts at once, off line too.
pub(super) const CLEAR: [u8; 10] = [0x10, 0x14, 8, 1, 3, 20, 1, 6, 2, 8];

/// `DLE EOT n`, answered at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RealTime {
    OnLine = 1,
    Cause = 2,
    Paper = 4,
}

impl RealTime {
    pub fn question(self) -> [u8; 3] {
        [0x10, 0x04, self as u8]
    }
}

/// A byte from the printer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    RealTime(u8),
    /// Of `GS r 1`.
    Report {
        out: bool,
    },
    /// Something else: unasked status, noise.
    Other,
}

impl Answer {
    pub fn parse(byte: u8) -> Self {
        match byte {
            _ if byte & 0x93 == 0x12 => Self::RealTime(byte),
            _ if byte & 0x90 == 0 => Self::Report { out: byte & 0x0c != 0 },
            _ => Self::Other,
        }
    }
}

pub(super) const OFF_LINE: u8 = 0x08;
pub(super) const COVER_OPEN: u8 = 0x04;
pub(super) const PAPER_STOP: u8 = 0x20;
pub(super) const ERROR: u8 = 0x40;
pub(super) const NEAR_END: u8 = 0x0c;
pub(super) const PAPER_END: u8 = 0x60;

/// One receipt, cut off, and the question that proves it.
pub(super) fn job(bitmap: &Bitmap) -> Vec<u8> {
    let mut bytes = INIT.to_vec();
    pictures(bitmap, &mut bytes);
    bytes.extend(end());
    bytes
}

/// In bands.
pub(super) fn pictures(bitmap: &Bitmap, bytes: &mut Vec<u8>) {
    for band in bitmap.bytes().chunks(bitmap.row_bytes() * BAND) {
        let rows = band.len() / bitmap.row_bytes();
        bytes.extend([0x1d, b'v', b'0', 0]);
        bytes.extend((bitmap.row_bytes() as u16).to_le_bytes());
        bytes.extend((rows as u16).to_le_bytes());
        let dots = bytes.len();
        bytes.extend(band);
        disarm(&mut bytes[dots..]);
    }
}

/// The cut, and the question.
pub(super) fn end() -> Vec<u8> {
    [&FEED[..], &CUT, &REPORT].concat()
}

/// Puts an end to what a former job left behind: its data forgotten, a picture under way filled up where the printer
/// does not know how to forget, and the piece of paper cut off.
pub(super) fn cancel(row_bytes: usize) -> Vec<u8> {
    let mut bytes = CLEAR.to_vec();
    bytes.resize(bytes.len() + row_bytes * BAND, 0);
    bytes.extend(INIT);
    bytes.extend(FEED);
    bytes.extend(CUT);
    bytes
}

/// Printers hear real-time commands inside pictures too. One dot more beside the first byte's dot, and it is none.
fn disarm(dots: &mut [u8]) {
    for at in 1..dots.len() {
        if dots[at - 1] == 0x10 && matches!(dots[at], 0x04 | 0x05 | 0x14) {
            dots[at - 1] |= 0x08;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_hold_no_real_time_commands() {
        let mut bitmap = Bitmap::new(384);
        bitmap.grow(300);
        for (nth, pair) in [[0x10, 0x04], [0x10, 0x05], [0x10, 0x14], [0x10, 0x10]].into_iter().enumerate() {
            for (byte, bits) in pair.into_iter().enumerate() {
                for bit in (0..8).filter(|bit| bits & (0x80u8 >> bit) != 0) {
                    bitmap.set((byte * 8) as i32 + bit, (nth * 50) as i32);
                    // Across the end of a row too.
                    bitmap.set(if byte == 0 { 376 + bit } else { bit }, (nth * 50 + 10 + byte) as i32);
                }
            }
        }
        let job = job(&bitmap);
        let armed = |w: &[u8]| w[0] == 0x10 && matches!(w[1], 0x04 | 0x05 | 0x14);
        assert!(!job.windows(2).any(armed));
        assert_eq!(job.len(), 2 + 3 * 8 + 300 * 48 + 3 + 4 + 3);
    }
}
