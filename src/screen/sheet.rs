//! A page laid out: a list of nodes with their places, back to front, and the targets a finger can hit. No pixels yet, so
//! that two pages can be compared and only what differs is painted.

use std::path::PathBuf;

use crate::vocabulary::Language;
use crate::world::{Rect, Target};

use super::text::Align;

/// 0xRRGGBB.
pub type Color = u32;

/// The light palette; every pair of text and ground has a contrast of at least 4.5:1.
pub mod palette {
    use super::Color;

    pub const GROUND: Color = 0xff_ff_ff;
    pub const SURFACE: Color = 0xf2_f4_f7;
    pub const TEXT: Color = 0x10_14_18;
    pub const TEXT_2: Color = 0x47_54_67;
    pub const PRIMARY: Color = 0x0b_57_d0;
    pub const ON_PRIMARY: Color = 0xff_ff_ff;
    pub const SUCCESS: Color = 0x0f_6b_3a;
    pub const ERROR: Color = 0xb3_26_1e;
    pub const BORDER: Color = 0x6b_72_80;
}

#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub rect: Rect,
    pub draw: Draw,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Draw {
    Fill(Color),
    /// A filled box with a border of two pixels.
    Card {
        fill: Color,
        border: Color,
    },
    /// Set within the rectangle, smaller where it would not fit, never outside.
    Text(Text),
    /// Black on white with its quiet zone, as large as whole pixels a module allow.
    Qr(String),
    /// Scaled into the rectangle, whole.
    Picture(PathBuf),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    pub text: String,
    pub px: f32,
    pub color: Color,
    pub align: Align,
    pub bold: bool,
    pub language: Language,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Primary,
    Plain,
}

/// A page being laid out.
#[derive(Debug, Default)]
pub struct Sheet {
    pub nodes: Vec<Node>,
    pub targets: Vec<Target>,
    /// What the interface's own texts are set in.
    pub language: Option<Language>,
    /// 1 at 800 pixels on the short side.
    pub scale: f32,
}

impl Sheet {
    /// A length given for the 800-pixel design.
    pub fn px(&self, length: i32) -> i32 {
        (length as f32 * self.scale).round() as i32
    }

    pub fn add(&mut self, rect: Rect, draw: Draw) {
        if rect.w > 0 && rect.h > 0 {
            self.nodes.push(Node { rect, draw });
        }
    }

    pub fn fill(&mut self, rect: Rect, color: Color) {
        self.add(rect, Draw::Fill(color));
    }

    pub fn card(&mut self, rect: Rect) {
        self.add(rect, Draw::Card { fill: palette::SURFACE, border: palette::SURFACE });
    }

    /// Text in the middle of `rect`'s height, `px` in the 800-pixel design.
    pub fn text(&mut self, rect: Rect, text: impl Into<String>, style: TextLook) {
        let text = text.into();
        if text.is_empty() {
            return;
        }
        let language = self.language.clone().unwrap_or_else(|| Language::new("en"));
        let px = style.px * self.scale;
        let TextLook { color, align, bold, .. } = style;
        self.add(rect, Draw::Text(Text { text, px, color, align, bold, language }));
    }

    /// A touchable box with its label.
    pub fn button(&mut self, name: impl Into<String>, rect: Rect, label: impl Into<String>, look: Look, enabled: bool) {
        self.plate(rect, label, look, enabled);
        self.target(name, rect, enabled);
    }

    /// What a button looks like, without its target.
    pub fn plate(&mut self, rect: Rect, label: impl Into<String>, look: Look, enabled: bool) {
        let (fill, border, color) = match (look, enabled) {
            (Look::Primary, true) => (palette::PRIMARY, palette::PRIMARY, palette::ON_PRIMARY),
            (Look::Plain, true) => (palette::GROUND, palette::BORDER, palette::PRIMARY),
            (_, false) => (palette::SURFACE, palette::SURFACE, palette::TEXT_2),
        };
        self.add(rect, Draw::Card { fill, border });
        let px = (rect.h as f32 / self.scale * 0.4).min(40.0);
        self.text(rect.inset(self.px(8)), label, TextLook::new(px).color(color).center().bold());
    }

    pub fn target(&mut self, name: impl Into<String>, rect: Rect, enabled: bool) {
        self.targets.push(Target { name: name.into(), rect, enabled });
    }
}

/// How a text looks, built up from its size.
#[derive(Debug, Clone)]
pub struct TextLook {
    px: f32,
    color: Color,
    align: Align,
    bold: bool,
}

impl TextLook {
    pub fn new(px: f32) -> Self {
        Self { px, color: palette::TEXT, align: Align::Left, bold: false }
    }

    pub fn color(self, color: Color) -> Self {
        Self { color, ..self }
    }

    pub fn soft(self) -> Self {
        self.color(palette::TEXT_2)
    }

    pub fn center(self) -> Self {
        Self { align: Align::Center, ..self }
    }

    pub fn right(self) -> Self {
        Self { align: Align::Right, ..self }
    }

    pub fn bold(self) -> Self {
        Self { bold: true, ..self }
    }
}

/// Cutting rectangles into smaller ones. Lengths beyond the rectangle cut all of it.
pub trait Cut: Sized {
    fn inset(self, by: i32) -> Self;
    /// The upper `height` pixels, and the rest.
    fn top(self, height: i32) -> (Self, Self);
    /// The rest, and the lower `height` pixels.
    fn bottom(self, height: i32) -> (Self, Self);
    fn left(self, width: i32) -> (Self, Self);
    /// `count` equal rows or columns with `gap` between them.
    fn rows(self, count: usize, gap: i32) -> Vec<Self>;
    fn columns(self, count: usize, gap: i32) -> Vec<Self>;
    /// Rows as high as their shares of the whole.
    fn shares(self, shares: &[i32]) -> Vec<Self>;
}

impl Cut for Rect {
    fn inset(self, by: i32) -> Rect {
        let by = by.min(self.w / 2).min(self.h / 2).max(0);
        Rect { x: self.x + by, y: self.y + by, w: self.w - 2 * by, h: self.h - 2 * by }
    }

    fn top(self, height: i32) -> (Rect, Rect) {
        let height = height.clamp(0, self.h.max(0));
        (Rect { h: height, ..self }, Rect { y: self.y + height, h: self.h - height, ..self })
    }

    fn bottom(self, height: i32) -> (Rect, Rect) {
        self.top(self.h - height.clamp(0, self.h.max(0)))
    }

    fn left(self, width: i32) -> (Rect, Rect) {
        let width = width.clamp(0, self.w.max(0));
        (Rect { w: width, ..self }, Rect { x: self.x + width, w: self.w - width, ..self })
    }

    fn rows(self, count: usize, gap: i32) -> Vec<Rect> {
        let count = count.max(1) as i32;
        let height = ((self.h - gap * (count - 1)) / count).max(0);
        (0..count).map(|row| Rect { y: self.y + row * (height + gap), h: height, ..self }).collect()
    }

    fn columns(self, count: usize, gap: i32) -> Vec<Rect> {
        let count = count.max(1) as i32;
        let width = ((self.w - gap * (count - 1)) / count).max(0);
        (0..count).map(|column| Rect { x: self.x + column * (width + gap), w: width, ..self }).collect()
    }

    fn shares(self, shares: &[i32]) -> Vec<Rect> {
        let whole = shares.iter().sum::<i32>().max(1);
        let mut before = 0;
        let rows = shares.iter().map(|share| {
            let top = self.h * before / whole;
            before += share;
            Rect { y: self.y + top, h: self.h * before / whole - top, ..self }
        });
        rows.collect()
    }
}
