//! A document as characters of GB 18030, for printers with a Chinese face of their own.
//!
//! A Latin character is 12 dots wide and a Chinese one 24, so columns are counted in halves of a Chinese character.
//! Codes are pictures here too: the commands that draw them differ from printer to printer.

use super::document::{Document, Line, Place, QUANTITY_ENDS, WIDE};
use super::escpos;
use super::raster::Bitmap;

/// Dots of a Latin character.
const CELL: u32 = 12;
/// Type from this size on is twice as high.
const HIGH: f32 = 30.0;

/// A wide question mark.
const UNKNOWN: [u8; 2] = [0xa3, 0xbf];

const KANJI_ON: [u8; 2] = [0x1c, b'&'];

/// `code` draws a QR.
pub(super) fn job(document: &Document, columns: u32, mut code: impl FnMut(&Line) -> Bitmap) -> Vec<u8> {
    let mut page = Page {
        bytes: [&escpos::INIT[..], &KANJI_ON].concat(),
        cells: (columns / CELL) as usize,
        wide: columns >= WIDE,
    };
    for line in &document.lines {
        match line {
            Line::Text { text, px, bold, place } => {
                page.look(*px, *bold, *place);
                page.wrapped(text, page.cells);
            }
            Line::Pair { left, right, px, bold } => {
                page.look(*px, *bold, Place::Left);
                page.pair(left, right);
            }
            Line::Row { name, quantity, sum, bold } => {
                page.look(0.0, *bold, Place::Left);
                page.row(name, quantity, sum);
            }
            Line::Rule => {
                page.look(0.0, false, Place::Left);
                page.line(&"-".repeat(page.cells));
            }
            Line::Feed(rows) => page.bytes.extend([0x1b, b'J', (*rows).min(255) as u8]),
            Line::Code(_) => escpos::pictures(&code(line), &mut page.bytes),
        }
    }
    page.bytes.extend(escpos::end());
    page.bytes
}

struct Page {
    bytes: Vec<u8>,
    /// Latin characters on a line.
    cells: usize,
    wide: bool,
}

impl Page {
    fn look(&mut self, px: f32, bold: bool, place: Place) {
        self.bytes.extend([0x1b, b'a', u8::from(place == Place::Middle)]);
        self.bytes.extend([0x1b, b'E', u8::from(bold)]);
        self.bytes.extend([0x1d, b'!', u8::from(px >= HIGH)]);
    }

    fn line(&mut self, text: &str) {
        self.bytes.extend(encoded(text));
        self.bytes.push(b'\n');
    }

    /// On as many lines as it takes.
    fn wrapped(&mut self, text: &str, cells: usize) {
        for line in wrap(&shown(text), cells) {
            self.line(&line);
        }
    }

    fn pair(&mut self, left: &str, right: &str) {
        let (left, right) = (&shown(left), &shown(right));
        if width(left) + 1 + width(right) <= self.cells {
            let gap = self.cells - width(left) - width(right);
            return self.line(&format!("{left}{}{right}", " ".repeat(gap)));
        }
        self.wrapped(left, self.cells);
        for line in wrap(right, self.cells) {
            let before = self.cells.saturating_sub(width(&line));
            self.line(&format!("{}{line}", " ".repeat(before)));
        }
    }

    fn row(&mut self, name: &str, quantity: &str, sum: &str) {
        let name = &shown(name);
        let ends = self.cells * QUANTITY_ENDS.0 as usize / QUANTITY_ENDS.1 as usize;
        // The numbers, from where the name ends.
        let numbers = |from: usize| {
            let gap = ends.saturating_sub(width(quantity) + from);
            let rest = self.cells.saturating_sub(ends.max(from + width(quantity)) + width(sum));
            format!("{}{quantity}{}{sum}", " ".repeat(gap), " ".repeat(rest))
        };
        // A short name leaves room on narrow paper too.
        if !self.wide && width(name) + 1 + width(quantity) > ends {
            let numbers = numbers(0);
            self.wrapped(name, self.cells);
            return self.line(&numbers);
        }
        let room = ends.saturating_sub(width(quantity) + 1).max(2);
        let lines = wrap(name, room);
        let first = lines.first().cloned().unwrap_or_default();
        let whole = format!("{first}{}", numbers(width(&first)));
        self.line(&whole);
        for line in lines.iter().skip(1) {
            self.line(line);
        }
    }
}

/// Without what is never seen: marks of direction, joiners, selectors of a variant. A printer would print something.
fn shown(text: &str) -> String {
    let unseen = |c: &char| {
        matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}'
        )
    };
    text.chars().filter(|c| !unseen(c)).collect()
}

/// In halves of a Chinese character.
fn width(text: &str) -> usize {
    text.chars().map(cells).sum()
}

fn cells(c: char) -> usize {
    if c.is_ascii() { 1 } else { 2 }
}

/// At spaces where there are some, and between Chinese characters.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut line, mut space) = (String::new(), None);
    for c in text.chars() {
        if width(&line) + cells(c) > room && !line.is_empty() {
            // A Latin word goes to the next line whole, if it did not begin this one.
            let rest = match space.take() {
                Some(at) if c.is_ascii() && c != ' ' => line.split_off(at),
                _ => String::new(),
            };
            lines.push(line.trim_end().to_owned());
            line = rest.trim_start().to_owned();
            if c == ' ' {
                continue;
            }
        }
        line.push(c);
        if c == ' ' || !c.is_ascii() {
            space = Some(line.len());
        }
    }
    lines.push(line);
    lines
}

/// Characters that take four bytes are not in such printers; one that the paper can't show is a question mark.
fn encoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for c in text.chars() {
        let c = match c {
            '¥' => '￥',
            '\u{a0}' => ' ',
            c if c.is_control() => ' ',
            c => c,
        };
        let mut buffer = [0; 4];
        let (encoded, _, lost) = encoding_rs::GB18030.encode(c.encode_utf8(&mut buffer));
        match encoded.len() {
            1 | 2 if !lost => bytes.extend(encoded.iter()),
            _ => bytes.extend(UNKNOWN),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_no_longer_than_the_paper() {
        for text in [
            "Instant noodles with a long name",
            "很長的名字很長的名字很長的名字很長的名字",
            "Cola 可樂 330 毫升 大瓶裝 促銷組合",
        ] {
            for room in [8, 13, 32] {
                let lines = wrap(text, room);
                assert!(lines.iter().all(|line| width(line) <= room), "{lines:?}");
                let glued: String = lines.concat().chars().filter(|c| *c != ' ').collect();
                assert_eq!(glued, text.replace(' ', ""));
            }
        }
        assert_eq!(wrap("Instant noodles", 10), ["Instant", "noodles"]);
    }

    #[test]
    fn what_is_never_seen_is_not_printed() {
        assert_eq!(shown("可\u{200e}樂\u{feff} x\u{2069}\u{fe0f}"), "可樂 x");
    }

    #[test]
    fn every_character_is_one_or_two_bytes() {
        assert_eq!(encoded("A中"), [b'A', 0xd6, 0xd0]);
        assert_eq!(encoded("貨¥"), [0xd8, 0x9b, 0xa3, 0xa4]);
        assert_eq!(encoded("\u{1f600}é\u{9fff}").len() % 2, 0);
        assert!(!encoded("\u{10}\u{4}").contains(&0x10), "no real-time command");
    }
}
