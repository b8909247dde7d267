//! A document as dots.

use qrcode::{EcLevel, QrCode};

use super::document::{Document, Line, Place, QUANTITY_ENDS, WIDE};
use crate::screen::text::{Align, TextStyle, Typesetter};
use crate::vocabulary::Language;

/// One bit a dot, rows of whole bytes, the leftmost dot highest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitmap {
    columns: u32,
    dots: Vec<u8>,
}

impl Bitmap {
    /// `columns` of dots across, no rows yet.
    pub fn new(columns: u32) -> Self {
        Self { columns, dots: Vec::new() }
    }

    pub fn row_bytes(&self) -> usize {
        self.columns.div_ceil(8).max(1) as usize
    }

    pub fn rows(&self) -> usize {
        self.dots.len() / self.row_bytes()
    }

    pub fn bytes(&self) -> &[u8] {
        &self.dots
    }

    pub fn grow(&mut self, rows: usize) {
        self.dots.resize(self.dots.len() + rows * self.row_bytes(), 0);
    }

    /// Blackens a dot; outside the bitmap nothing.
    pub fn set(&mut self, x: i32, y: i32) {
        let (Ok(x), Ok(y)) = (u32::try_from(x), usize::try_from(y)) else { return };
        if x < self.columns && y < self.rows() {
            let at = y * self.row_bytes() + x as usize / 8;
            self.dots[at] |= 0x80 >> (x % 8);
        }
    }
}

/// Coverage from which a dot is black. Below a half, so that thin strokes of dense characters stay.
const BLACK: u8 = 110;
const LINE_HEIGHT: f32 = 1.3;
/// Of its size, what is still read without glasses.
const LEAST: f32 = 0.75;
/// Size of the type of a table's rows.
const ROW: f32 = 24.0;
/// Between the two texts of a line, and what is left of one text beside the other.
const GAP: f32 = 12.0;
/// Dots of a QR's module: smaller ones smear, larger ones waste paper.
const MODULE: std::ops::RangeInclusive<u32> = 3..=6;
const QUIET: u32 = 4;

pub(super) fn draw(document: &Document, columns: u32, typesetter: &mut Typesetter) -> Bitmap {
    let mut canvas = Canvas { bitmap: Bitmap::new(columns), typesetter, language: &document.language };
    for line in &document.lines {
        canvas.line(line);
    }
    canvas.bitmap
}

struct Canvas<'a> {
    bitmap: Bitmap,
    typesetter: &'a mut Typesetter,
    language: &'a Language,
}

impl Canvas<'_> {
    fn line(&mut self, line: &Line) {
        let width = self.bitmap.columns as f32;
        match line {
            Line::Text { text, px, bold, place } => {
                let align = match place {
                    Place::Left => Align::Left,
                    Place::Middle => Align::Center,
                };
                let top = self.bitmap.rows();
                let height = self.text(text, &self.style(*px, *bold, align), 0.0, top, width);
                self.fit(top + height);
            }
            Line::Pair { left, right, px, bold } => self.pair(left, right, *px, *bold),
            Line::Row { name, quantity, sum, bold } => self.row(name, quantity, sum, *bold),
            Line::Rule => {
                let y = self.bitmap.rows() as i32 + 8;
                self.bitmap.grow(18);
                for x in (0..self.bitmap.columns as i32).filter(|x| x % 8 < 5) {
                    self.bitmap.set(x, y);
                    self.bitmap.set(x, y + 1);
                }
            }
            Line::Feed(rows) => self.bitmap.grow(*rows),
            Line::Code(text) => self.code(text),
        }
    }

    /// Left and right on one line if both fit, else the right text on a line of its own, to the right.
    fn pair(&mut self, left: &str, right: &str, px: f32, bold: bool) {
        let width = self.bitmap.columns as f32;
        let style = self.style(px, bold, Align::Left);
        let (left_width, _) = self.typesetter.measure(left, &style, width);
        let (wide, _) = self.typesetter.measure(right, &style, f32::MAX);
        // A number that is a little too long is rather smaller than broken.
        let smaller = (width / wide.max(1.0)).clamp(LEAST, 1.0);
        let right_style = self.style(px * smaller, bold, Align::Left);
        let (right_width, _) = self.typesetter.measure(right, &right_style, width);
        let top = self.bitmap.rows();
        let beside = left_width + GAP + right_width <= width;
        let left_height = self.text(left, &style, 0.0, top, width);
        let below = if beside { top } else { top + left_height };
        // Bold type is a dot wider than it measures.
        let x = (width - right_width - if bold { 1.0 } else { 0.0 }).floor().max(0.0);
        let right_height = self.text(right, &right_style, x, below, width - x + 1.0);
        self.fit((top + left_height).max(below + right_height));
    }

    fn row(&mut self, name: &str, quantity: &str, sum: &str, bold: bool) {
        let width = self.bitmap.columns as f32;
        let style = self.style(ROW, bold, Align::Left);
        let (many, of) = QUANTITY_ENDS;
        let ends = (self.bitmap.columns * many / of) as f32;
        let mut top = self.bitmap.rows();
        let (quantity_width, _) = self.typesetter.measure(quantity, &style, width);
        let (sum_width, _) = self.typesetter.measure(sum, &style, width);
        // A short name leaves room on narrow paper too.
        let (name_alone, _) = self.typesetter.measure(name, &style, f32::MAX);
        let beside = self.bitmap.columns >= WIDE || name_alone + GAP <= ends - quantity_width;
        let name_width = if beside { ends - quantity_width - GAP } else { width };
        let name_height = self.text(name, &style, 0.0, top, name_width.max(GAP));
        let mut bottom = top + name_height;
        if !beside {
            top = bottom;
        }
        // Bold type is a dot wider than it measures.
        let thick = if bold { 1.0 } else { 0.0 };
        for (text, text_width, right) in [(quantity, quantity_width, ends), (sum, sum_width, width)] {
            let x = (right - text_width - thick).floor().max(0.0);
            bottom = bottom.max(top + self.text(text, &style, x, top, width - x + 1.0));
        }
        self.fit(bottom);
    }

    /// Draws from `top` and answers the height in rows.
    fn text(&mut self, text: &str, style: &TextStyle, left: f32, top: usize, width: f32) -> usize {
        let (_, height) = self.typesetter.measure(text, style, width);
        let height = height.ceil().max(0.0) as usize;
        self.fit(top + height);
        let bitmap = &mut self.bitmap;
        self.typesetter.draw(text, style, width, &mut |x, y, coverage| {
            if coverage >= BLACK {
                bitmap.set(left as i32 + x, top as i32 + y);
            }
        });
        height
    }

    fn fit(&mut self, rows: usize) {
        self.bitmap.grow(rows.saturating_sub(self.bitmap.rows()));
    }

    fn style(&self, px: f32, bold: bool, align: Align) -> TextStyle {
        TextStyle { px, line_height: LINE_HEIGHT, align, language: self.language.clone(), bold }
    }

    fn code(&mut self, text: &str) {
        let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::M) else {
            // Too long for any QR: the receipt says everything in words too.
            return;
        };
        let modules = code.width() as u32;
        let module = (self.bitmap.columns / (modules + 2 * QUIET)).clamp(*MODULE.start(), *MODULE.end());
        let left = (self.bitmap.columns as i32 - (modules * module) as i32) / 2;
        let top = self.bitmap.rows() as i32 + (QUIET * module) as i32;
        self.bitmap.grow(((modules + 2 * QUIET) * module) as usize);
        for (nth, color) in code.to_colors().into_iter().enumerate() {
            if color == qrcode::Color::Light {
                continue;
            }
            let (x, y) = (nth as u32 % modules * module, nth as u32 / modules * module);
            for dot in 0..module * module {
                self.bitmap.set(left + (x + dot % module) as i32, top + (y + dot / module) as i32);
            }
        }
    }
}
