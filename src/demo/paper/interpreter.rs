//! Interprets ESC/POS: bytes become rows of dots and answers.

use std::collections::VecDeque;

use super::PaperLevel;

/// Rows of the tail that are kept: about half a metre of paper.
const MAX_ROWS: usize = 4_096;
const MAX_BUFFER: usize = 1 << 20;
const MAX_TAKEN: usize = 16 << 20;
const MAX_ANSWERS: usize = 4_096;
/// Rows of a line feed.
const LINE: usize = 30;

/// `DLE DC4 8`: forget everything not printed yet.
const CLEAR: [u8; 10] = [0x10, 0x14, 8, 1, 3, 20, 1, 6, 2, 8];
const CLEARED: [u8; 3] = [0x37, 0x25, 0];

pub(super) enum Row {
    Blank,
    /// One bit a dot, the leftmost highest.
    Dots(Box<[u8]>),
    Cut,
}

pub(super) struct Interpreter {
    columns: u32,
    on: bool,
    roll: PaperLevel,
    cover_open: bool,
    /// Rows until the paper ends.
    left: Option<u32>,
    /// Not interpreted yet.
    buffer: VecDeque<u8>,
    raster: Option<Raster>,
    /// The last bytes received, for real-time commands that come in pieces.
    tail: VecDeque<u8>,
    answers: Vec<u8>,
    taken: VecDeque<u8>,
    rows: VecDeque<Row>,
    /// So many of the first rows somebody has torn off and taken.
    torn: usize,
}

/// A picture under way.
struct Raster {
    width_bytes: usize,
    rows_left: u32,
}

enum Command {
    Nothing,
    Feed(usize),
    FeedAndCut(usize),
    Raster(Raster),
    /// `GS r n`
    Report(u8),
}

impl Interpreter {
    pub fn new(columns: u32) -> Self {
        Self {
            columns,
            on: true,
            roll: PaperLevel::Ok,
            cover_open: false,
            left: None,
            buffer: VecDeque::new(),
            raster: None,
            tail: VecDeque::new(),
            answers: Vec::new(),
            taken: VecDeque::new(),
            rows: VecDeque::new(),
            torn: 0,
        }
    }

    pub fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        if !self.on {
            return Err("the printer is off".into());
        }
        for &byte in bytes {
            if self.buffer.len() >= MAX_BUFFER {
                self.work();
            }
            if self.buffer.len() >= MAX_BUFFER {
                return Err("the printer's buffer is full".into());
            }
            self.taken.push_back(byte);
            self.buffer.push_back(byte);
            self.hear(byte);
        }
        self.taken.drain(..self.taken.len().saturating_sub(MAX_TAKEN));
        self.work();
        Ok(())
    }

    pub fn answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.answers)
    }

    pub fn taken(&self) -> Vec<u8> {
        self.taken.iter().copied().collect()
    }

    pub fn rows(&self) -> &VecDeque<Row> {
        &self.rows
    }

    /// Where the papers lie that have been cut and not taken; nobody finds them there again.
    pub fn tear(&mut self) -> Option<std::ops::Range<usize>> {
        let end = self.rows.iter().rposition(|row| matches!(row, Row::Cut)).filter(|cut| *cut >= self.torn)?;
        Some(std::mem::replace(&mut self.torn, end + 1)..end)
    }

    pub fn set_roll(&mut self, roll: PaperLevel) {
        self.roll = roll;
        self.left = None;
        self.work();
    }

    pub fn set_cover(&mut self, open: bool) {
        self.cover_open = open;
        self.work();
    }

    pub fn set_power(&mut self, on: bool) {
        self.on = on;
        self.forget();
        self.answers.clear();
        self.tail.clear();
    }

    pub fn out_after(&mut self, rows: u32) {
        self.left = Some(rows);
    }

    fn on_line(&self) -> bool {
        self.on && !self.cover_open && self.roll != PaperLevel::Out
    }

    fn forget(&mut self) {
        self.buffer.clear();
        self.raster = None;
    }

    fn answer(&mut self, bytes: &[u8]) {
        if self.answers.len() + bytes.len() <= MAX_ANSWERS {
            self.answers.extend_from_slice(bytes);
        }
    }

    /// Real-time commands act on reception, whatever stands before them.
    fn hear(&mut self, byte: u8) {
        self.tail.push_back(byte);
        if self.tail.len() > CLEAR.len() {
            self.tail.pop_front();
        }
        match self.tail.make_contiguous() {
            &mut [.., 0x10, 0x04, n @ 1..=4] => {
                let status = 0x12 | self.real_time(n);
                self.answer(&[status]);
            }
            [.., 0x10, 0x05, 2] => self.forget(),
            tail if *tail == CLEAR => {
                self.forget();
                self.answer(&CLEARED);
            }
            _ => {}
        }
    }

    fn real_time(&self, n: u8) -> u8 {
        let bit = |set: bool, bits: u8| if set { bits } else { 0 };
        match n {
            1 => bit(!self.on_line(), 0x08),
            2 => bit(self.cover_open, 0x04) | bit(self.roll == PaperLevel::Out, 0x20),
            4 => bit(self.roll != PaperLevel::Ok, 0x0c) | bit(self.roll == PaperLevel::Out, 0x60),
            _ => 0,
        }
    }

    /// Interprets what is whole, as long as there is paper to print on.
    fn work(&mut self) {
        while self.on_line() {
            let went_on = match self.raster.take() {
                Some(raster) => self.print_row(raster),
                None => self.next_command(),
            };
            if !went_on {
                return;
            }
        }
    }

    fn print_row(&mut self, raster: Raster) -> bool {
        let Raster { width_bytes, rows_left } = raster;
        if rows_left == 0 || width_bytes == 0 {
            return true;
        }
        if self.buffer.len() < width_bytes {
            self.raster = Some(raster);
            return false;
        }
        let mut dots: Vec<u8> = self.buffer.drain(..width_bytes).collect();
        dots.resize(self.columns.div_ceil(8) as usize, 0);
        self.raster = Some(Raster { width_bytes, rows_left: rows_left - 1 });
        self.push(Row::Dots(dots.into()));
        true
    }

    fn next_command(&mut self) -> bool {
        let Some((length, command)) = parse(self.buffer.make_contiguous()) else { return false };
        self.buffer.drain(..length);
        match command {
            Command::Nothing => {}
            Command::Feed(rows) => self.feed(rows),
            Command::FeedAndCut(rows) => {
                self.feed(rows);
                self.push(Row::Cut);
            }
            Command::Raster(raster) => self.raster = Some(raster),
            Command::Report(n) => {
                let paper = matches!(n, 1 | 49);
                self.answer(&[if paper && self.roll == PaperLevel::NearEnd { 0x03 } else { 0 }]);
            }
        }
        true
    }

    fn feed(&mut self, rows: usize) {
        for _ in 0..rows.min(MAX_ROWS) {
            self.push(Row::Blank);
        }
    }

    fn push(&mut self, row: Row) {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.roll = PaperLevel::Out;
                self.left = None;
            }
        }
        if self.rows.len() >= MAX_ROWS {
            self.rows.pop_front();
            self.torn = self.torn.saturating_sub(1);
        }
        self.rows.push_back(row);
    }
}

/// The first command and its length; `None` while it is not whole. What it does not know it skips, as printers do.
fn parse(bytes: &[u8]) -> Option<(usize, Command)> {
    let nothing = |length: usize| (bytes.len() >= length).then_some((length, Command::Nothing));
    let two = |low: u8, high: u8| usize::from(low) + 256 * usize::from(high);
    match bytes {
        [] | [0x10 | 0x1b | 0x1c | 0x1d] => None,
        [b'\n', ..] => Some((1, Command::Feed(LINE))),
        // Real-time commands were heard already.
        [0x10, 0x04 | 0x05, ..] => nothing(3),
        [0x10, 0x14, 8, ..] => nothing(CLEAR.len()),
        [0x10, 0x14, ..] => nothing(5),
        [0x1b, b'@' | b'2' | b'L' | b'S' | b'<', ..] => nothing(2),
        [0x1b, b'd', lines, ..] => Some((3, Command::Feed(LINE * usize::from(*lines)))),
        [0x1b, b'J', rows, ..] => Some((3, Command::Feed(usize::from(*rows)))),
        [0x1b, b'*', mode, low, high, ..] => nothing(5 + two(*low, *high) * if *mode < 32 { 1 } else { 3 }),
        [0x1b, b'*', ..] => None,
        [0x1b, ..] => nothing(3),
        [0x1c, b'&' | b'.', ..] => nothing(2),
        [0x1c, ..] => nothing(3),
        [0x1d, b'v', b'0', _, width_low, width_high, rows_low, rows_high, ..] => {
            let rows_left = u32::from(u16::from_le_bytes([*rows_low, *rows_high]));
            Some((8, Command::Raster(Raster { width_bytes: two(*width_low, *width_high), rows_left })))
        }
        [0x1d, b'v', b'0', ..] | [0x1d, b'v'] => None,
        [0x1d, b'V', 0 | 1 | b'0' | b'1', ..] => Some((3, Command::FeedAndCut(0))),
        [0x1d, b'V', b'A' | b'B', rows, ..] => Some((4, Command::FeedAndCut(usize::from(*rows)))),
        [0x1d, b'V', b'A' | b'B'] => None,
        [0x1d, b'r', n, ..] => Some((3, Command::Report(*n))),
        [0x1d, b'(', _, low, high, ..] => nothing(5 + two(*low, *high)),
        [0x1d, b'(', ..] => None,
        [0x1d, b'P' | b'L' | b'W' | b'$' | b'\\', ..] => nothing(4),
        [0x1d, ..] => nothing(3),
        _ => Some((1, Command::Nothing)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(printer: &Interpreter) -> String {
        let letter = |row: &Row| match row {
            Row::Blank => ' ',
            Row::Dots(_) => '#',
            Row::Cut => '-',
        };
        printer.rows.iter().map(letter).collect()
    }

    const PICTURE: [u8; 12] = [0x1d, b'v', b'0', 0, 2, 0, 2, 0, 0xff, 0, 0x0f, 0xf0];

    #[test]
    fn prints_feeds_and_cuts() {
        let mut printer = Interpreter::new(16);
        printer.take(&[0x1b, b'@', 0x1b, b'J', 2]).unwrap();
        for byte in PICTURE {
            printer.take(&[byte]).unwrap();
        }
        printer.take(&[0x1d, b'V', b'B', 1, 0x1d, b'r', 1]).unwrap();
        assert_eq!(shape(&printer), "  ## -");
        assert_eq!(printer.answers(), [0]);
    }

    #[test]
    fn what_was_cut_is_taken_once() {
        let mut printer = Interpreter::new(16);
        printer.take(&PICTURE).unwrap();
        assert_eq!(printer.tear(), None, "not cut yet");
        printer.take(&[0x1d, b'V', 0]).unwrap();
        printer.take(&PICTURE).unwrap();
        assert_eq!((printer.tear(), printer.tear()), (Some(0..2), None));
        printer.take(&[0x1d, b'V', 0]).unwrap();
        assert_eq!(printer.tear(), Some(3..5));
        for _ in 0..MAX_ROWS {
            printer.push(Row::Blank);
        }
        printer.take(&[0x1d, b'V', 0]).unwrap();
        assert_eq!(printer.tear(), Some(0..MAX_ROWS - 1), "the rest is on the floor");
    }

    #[test]
    fn without_paper_only_real_time_commands_are_answered() {
        let mut printer = Interpreter::new(16);
        printer.out_after(1);
        printer.take(&PICTURE).unwrap();
        printer.take(&[0x1d, b'r', 1, 0x10, 4, 1, 0x10, 4, 2, 0x10, 4, 4]).unwrap();
        assert_eq!(printer.answers(), [0x1a, 0x32, 0x7e]);
        assert_eq!(shape(&printer), "#");
        printer.set_roll(PaperLevel::NearEnd);
        assert_eq!(shape(&printer), "##", "goes on where it was");
        assert_eq!(printer.answers(), [0x03]);

        printer.set_cover(true);
        printer.take(&PICTURE).unwrap();
        printer.take(&CLEAR).unwrap();
        assert_eq!(printer.answers(), CLEARED);
        printer.set_cover(false);
        assert_eq!(shape(&printer), "##", "forgotten");

        printer.set_power(false);
        assert!(printer.take(&PICTURE).is_err());
    }

    #[test]
    fn a_real_time_command_inside_a_picture_is_answered_as_real_printers_do() {
        let mut printer = Interpreter::new(24);
        printer.take(&[0x1d, b'v', b'0', 0, 3, 0, 1, 0, 0x10, 4, 1]).unwrap();
        assert_eq!(printer.answers(), [0x12]);
        assert_eq!(shape(&printer), "#");
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(pieces in prop::collection::vec(prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(&[0x10u8, 0x14, 0x1b, 0x1d, b'v', b'0', b'(', b'V', b'J', 0, 8][..])],
            0..60,
        ), 0..20), out in any::<Option<u32>>()) {
            let mut printer = Interpreter::new(384);
            if let Some(rows) = out {
                printer.out_after(rows % 500);
            }
            for piece in pieces {
                printer.take(&piece).unwrap();
                prop_assert!(printer.rows.len() <= MAX_ROWS);
            }
        }
    }
}
