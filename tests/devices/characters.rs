//! A printer with a Chinese face of its own: what its paper shows of the bytes it was sent. Only the commands of a slip are
//! known; anything else fails the test.

use image::{GrayImage, Luma, imageops};
use kioskd::screen::text::{Align, TextStyle, Typesetter};
use kioskd::vocabulary::Language;

const CELL: u32 = 12;
const LINE: u32 = 30;

/// The paper, and its text line by line.
pub struct Paper {
    pub picture: GrayImage,
    pub lines: Vec<String>,
}

impl Paper {
    pub fn png(&self) -> Vec<u8> {
        let mut png = std::io::Cursor::new(Vec::new());
        self.picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
        png.into_inner()
    }
}

pub fn print(bytes: &[u8], columns: u32, typesetter: &mut Typesetter) -> Paper {
    let mut printer = Printer {
        columns,
        typesetter,
        strips: Vec::new(),
        lines: Vec::new(),
        line: Vec::new(),
        middle: false,
        high: false,
        bold: false,
    };
    let mut rest = bytes;
    while !rest.is_empty() {
        rest = &rest[printer.take(rest)..];
    }
    let height = printer.strips.iter().map(GrayImage::height).sum();
    let mut picture = GrayImage::from_pixel(columns, height, Luma([255]));
    let mut y = 0;
    for strip in &printer.strips {
        imageops::replace(&mut picture, strip, 0, y);
        y += i64::from(strip.height());
    }
    Paper { picture, lines: printer.lines }
}

struct Printer<'t> {
    columns: u32,
    typesetter: &'t mut Typesetter,
    strips: Vec<GrayImage>,
    lines: Vec<String>,
    line: Vec<u8>,
    middle: bool,
    high: bool,
    bold: bool,
}

impl Printer<'_> {
    /// The length of what begins here.
    fn take(&mut self, bytes: &[u8]) -> usize {
        match *bytes {
            [0x1b, b'@', ..] | [0x1c, b'&', ..] => 2,
            [0x1b, b'a', place @ 0..=1, ..] => {
                self.middle = place == 1;
                3
            }
            [0x1b, b'E', bold @ 0..=1, ..] => {
                self.bold = bold == 1;
                3
            }
            [0x1d, b'!', size @ 0..=1, ..] => {
                self.high = size == 1;
                3
            }
            [0x1b, b'J', rows, ..] => {
                self.strips.push(GrayImage::from_pixel(self.columns, u32::from(rows).max(1), Luma([255])));
                3
            }
            [0x1d, b'V', b'B', 0, ..] => 4,
            [0x1d, b'r', 1, ..] | [0x1d, b'a', 0, ..] => 3,
            [0x1d, b'v', b'0', 0, across, _, rows, more, ..] => {
                let (across, rows) = (u32::from(across), u32::from(rows) + 256 * u32::from(more));
                let dots = &bytes[8..8 + (across * rows) as usize];
                let dark = |x: u32, y: u32| dots[(y * across + x / 8) as usize] & (0x80 >> (x % 8)) != 0;
                let paint = |x, y| Luma([if dark(x, y) { 0 } else { 255 }]);
                self.strips.push(GrayImage::from_fn(self.columns, rows, paint));
                8 + dots.len()
            }
            [b'\n', ..] => {
                self.feed();
                1
            }
            [byte @ 0x20..=0x7e, ..] => {
                self.line.push(byte);
                1
            }
            [first @ 0x81..=0xfe, second @ 0x40..=0xfe, ..] => {
                self.line.extend([first, second]);
                2
            }
            _ => panic!("not a command of a slip: {:02x?}", &bytes[..bytes.len().min(8)]),
        }
    }

    fn feed(&mut self) {
        let line = std::mem::take(&mut self.line);
        let (text, _, lost) = encoding_rs::GB18030.decode(&line);
        assert!(!lost, "{line:02x?}");
        let wide = text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum::<u32>() * CELL;
        assert!(wide <= self.columns, "longer than the paper: {text}");
        let mut strip = GrayImage::from_pixel(self.columns, LINE, Luma([255]));
        let mut x = if self.middle { (self.columns - wide) / 2 } else { 0 };
        let style = TextStyle {
            px: 22.0,
            line_height: 1.3,
            align: Align::Left,
            language: Language::new("zh-Hans"),
            bold: self.bold,
        };
        for c in text.chars() {
            self.typesetter.draw(&c.to_string(), &style, 100.0, &mut |dx, dy, coverage| {
                let (x, y) = (x as i32 + dx, dy);
                if coverage > 110 && x >= 0 && y >= 0 && (x as u32) < strip.width() && (y as u32) < strip.height() {
                    strip.put_pixel(x as u32, y as u32, Luma([0]));
                }
            });
            x += if c.is_ascii() { CELL } else { 2 * CELL };
        }
        if self.high {
            strip = imageops::resize(&strip, self.columns, 2 * LINE, imageops::FilterType::Nearest);
        }
        self.strips.push(strip);
        self.lines.push(text.into_owned());
    }
}
