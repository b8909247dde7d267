//! What stands on the paper, line by line, before it is dots or characters. Every document ends with a cut.

use crate::vocabulary::{Language, one_line};

#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub language: Language,
    pub lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// Wraps where it is too long. `px`: size of the type in dots.
    Text { text: String, px: f32, bold: bool, place: Place },
    /// At the left edge and at the right.
    Pair { left: String, right: String, px: f32, bold: bool },
    /// A row of the table of what was bought: the two numbers stand right-aligned in columns of their own, beside the
    /// name where there is room, and below it on narrow paper.
    Row { name: String, quantity: String, sum: String, bold: bool },
    /// A dashed line across.
    Rule,
    /// Rows of dots left white.
    Feed(usize),
    /// A QR of this text.
    Code(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Left,
    Middle,
}

/// Sizes of type in dots; 8 dots are a millimetre. The largest is for what is read at arm's length, or typed.
pub(super) const LARGE: f32 = 40.0;
pub(super) const TITLE: f32 = 32.0;
pub(super) const BODY: f32 = 24.0;
pub(super) const SMALL: f32 = 20.0;

/// More would be a mistake somewhere, and a metre of paper.
const MAX_TEXT: usize = 160;

/// Paper on which a name and two numbers fit beside each other: 80 mm.
pub const WIDE: u32 = 576;
/// Of the paper's width, from the left: where the quantities end. The sums end at its edge.
pub const QUANTITY_ENDS: (u32, u32) = (72, 100);

pub(super) fn middle(text: &str, px: f32, bold: bool) -> Line {
    Line::Text { text: clean(text), px, bold, place: Place::Middle }
}

/// One line, of a length that a person would have written.
pub(super) fn clean(text: &str) -> String {
    one_line(text).take(MAX_TEXT).collect()
}
