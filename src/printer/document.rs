//! What stands on the paper, line by line, before it is dots. Every document ends with a cut.

use crate::vocabulary::Language;

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
