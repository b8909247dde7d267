//! ESC/POS: the few commands that are used, and what the answers mean.
//!
//! A printer is asked in two ways: in real time, answered at once and in the order of the questions, and in the order of
//! everything sent, answered when all before it has been done. What it says unasked is of several bytes.
//!
//! Pictures are sent in bands, so that a printer whose data was cut short can be brought back by at most one band of zeros.

use super::PrinterFault;
use super::raster::Bitmap;

/// Rows of dots in one picture command.
const BAND: usize = 128;
/// Rows between the last dot and the cut, beside the way to the cutter that the printer knows itself.
const TAIL: u8 = 32;

/// Begin anew, and say nothing unasked: `ESC @`, `GS a 0`.
pub(super) const INIT: [u8; 5] = [0x1b, b'@', 0x1d, b'a', 0];
const FEED: [u8; 3] = [0x1b, b'J', TAIL];
/// Partial, after feeding to the cutter.
const CUT: [u8; 4] = [0x1d, b'V', b'B', 0];
/// `GS r 1`: answered when everything before it has been done.
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

/// A whole message from the printer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    RealTime(u8),
    /// Of `GS r 1`.
    Report {
        out: bool,
    },
    /// Nobody asked: what a printer with automatic status says at every change of it.
    Unasked(Option<PrinterFault>),
}

/// Takes apart what the printer says. Its messages are told by their first byte alone, and the bytes after it look like
/// answers: so a message is heard to its end, also where it comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Listener {
    open: Option<Open>,
}

#[derive(Debug)]
enum Open {
    /// Automatic status: four bytes, so many of them heard.
    Status { bytes: [u8; 4], heard: usize },
    /// A block until its zero, of which so many more bytes are believed.
    Block { left: usize },
}

/// The longest block that a printer sends is its name.
const LONGEST_BLOCK: usize = 80;

impl Listener {
    /// The message that ends with this byte.
    pub fn hear(&mut self, byte: u8) -> Option<Answer> {
        if let Some(Open::Block { left }) = &mut self.open {
            *left -= 1;
            if byte == 0 || *left == 0 {
                self.open = None;
            }
            return None;
        }
        match byte {
            // An answer to a question about the moment may stand in the middle of another message.
            _ if byte & 0x93 == 0x12 => Some(Answer::RealTime(byte)),
            _ if byte & 0x93 == 0x10 => {
                self.open = Some(Open::Status { bytes: [byte, 0, 0, 0], heard: 1 });
                None
            }
            // What was done, power going, names: `37 25 .. 00`.
            0x35 | 0x37 | 0x39 | 0x3b | 0x3d | 0x53 | 0x5f => {
                self.open = Some(Open::Block { left: LONGEST_BLOCK });
                None
            }
            _ if byte & 0x90 == 0 => match &mut self.open {
                Some(Open::Status { bytes, heard }) => {
                    bytes[*heard] = byte;
                    *heard += 1;
                    let whole = (*heard == bytes.len()).then_some(*bytes)?;
                    self.open = None;
                    Some(Answer::Unasked(unasked(whole)))
                }
                _ => Some(Answer::Report { out: byte & 0x0c != 0 }),
            },
            // Flow control, noise.
            _ => None,
        }
    }

    /// Nothing came for a while: what is not whole yet never will be.
    pub fn silence(&mut self) {
        self.open = None;
    }
}

/// What four bytes of automatic status complain of.
fn unasked([state, errors, paper, _]: [u8; 4]) -> Option<PrinterFault> {
    match () {
        () if state & 0x20 != 0 => Some(PrinterFault::CoverOpen),
        () if paper & 0x0c != 0 => Some(PrinterFault::PaperOut),
        () if state & 0x08 != 0 || errors & 0x6c != 0 => Some(PrinterFault::Fault),
        () => None,
    }
}

pub(super) const OFF_LINE: u8 = 0x08;
pub(super) const COVER_OPEN: u8 = 0x04;
pub(super) const PAPER_STOP: u8 = 0x20;
pub(super) const ERROR: u8 = 0x40;
pub(super) const NEAR_END: u8 = 0x0c;
pub(super) const PAPER_END: u8 = 0x60;

/// One receipt, cut off.
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

/// The cut.
pub(super) fn end() -> Vec<u8> {
    [&FEED[..], &CUT].concat()
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
        assert_eq!(job.len(), 5 + 3 * 8 + 300 * 48 + 3 + 4);
    }

    fn heard(bytes: &[u8]) -> Vec<Answer> {
        let mut listener = Listener::default();
        bytes.iter().filter_map(|byte| listener.hear(*byte)).collect()
    }

    #[test]
    fn what_is_said_unasked_is_no_answer() {
        let (ok, out) = (Answer::Report { out: false }, Answer::Report { out: true });
        assert_eq!(heard(&[0x00, 0x0c, 0x12]), [ok, out, Answer::RealTime(0x12)]);
        assert_eq!(heard(&[0x1c, 0x00, 0x0c, 0x0f]), [Answer::Unasked(Some(PrinterFault::PaperOut))]);
        assert_eq!(heard(&[0x38, 0x00, 0x00, 0x0f]), [Answer::Unasked(Some(PrinterFault::CoverOpen))]);
        assert_eq!(heard(&[0x18, 0x08, 0x00, 0x0f]), [Answer::Unasked(Some(PrinterFault::Fault))]);
        assert_eq!(heard(&[0x10, 0x00, 0x03, 0x0f, 0x00]), [Answer::Unasked(None), ok], "near the end only");
        // Flow control and an answer about the moment in the middle of it.
        assert_eq!(heard(&[0x10, 0x13, 0x00, 0x12, 0x00, 0x11, 0x0f]), [Answer::RealTime(0x12), Answer::Unasked(None)]);
        // It says that it has forgotten what it had, that its power goes, and its name.
        assert_eq!(heard(&[0x37, 0x25, 0x00, 0x00]), [ok]);
        assert_eq!(heard(&[&[0x3b, 0x30, 0x00][..], b"_TM-T88\0", &[0x00]].concat()), [ok]);
        let mut listener = Listener::default();
        assert_eq!(listener.hear(0x10), None);
        listener.silence();
        assert_eq!(listener.hear(0x00), Some(ok));
    }
}
