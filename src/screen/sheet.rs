//! A page laid out: a list of nodes with their places, back to front, and the targets a finger can hit. No pixels yet, so
//! that two pages can be compared and only what differs is painted.

use std::path::PathBuf;

use crate::config::{Color, Palette};
use crate::sale::Touch;
use crate::vocabulary::{Language, Rect, Target};

use super::icon::Icon;
use super::text::Align;

/// Sizes of type in the 800-pixel design; there is no other. In large type each is at least [`LARGE_LEAST`].
pub mod type_scale {
    /// What is read once, if at all.
    pub const NOTE: f32 = 28.0;
    pub const LABEL: f32 = 32.0;
    pub const BODY: f32 = 36.0;
    pub const LEAD: f32 = 44.0;
    pub const TITLE: f32 = 56.0;
    pub const HERO: f32 = 72.0;
    pub const AMOUNT: f32 = 96.0;
}

/// Capitals of 0.7 degrees at 60 cm, on a 10-inch panel (EN 301 549, 5.1.4).
pub const LARGE_LEAST: f32 = 60.0;
/// A step of large type.
const LARGE: f32 = 1.3;

/// Gaps and paddings in the 800-pixel design.
pub mod space {
    pub const S: i32 = 8;
    pub const M: i32 = 16;
    pub const L: i32 = 24;
    pub const XL: i32 = 32;
    /// From the panel's side.
    pub const EDGE: i32 = 40;
}

/// Corners of cards and buttons.
pub const RADIUS: i32 = 20;

#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub rect: Rect,
    pub draw: Draw,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Draw {
    Fill(Color),
    /// A filled box with round corners and, where the colours differ, a border of three pixels.
    Card {
        fill: Color,
        border: Color,
        radius: i32,
    },
    /// Set within the rectangle, smaller where it would not fit, never outside.
    Text(Text),
    /// Black on white with its quiet zone, as large as whole pixels a module allow.
    Qr(String),
    Picture(Picture),
    /// In the middle of the rectangle, as large as it allows.
    Icon {
        icon: Icon,
        color: Color,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    pub path: PathBuf,
    pub fit: Fit,
    /// 0 is not there at all.
    pub opacity: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fit {
    /// All of the picture is seen.
    Whole,
    /// All of the rectangle is covered.
    Cover,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    pub text: String,
    pub px: f32,
    pub color: Color,
    pub align: Align,
    pub bold: bool,
    pub language: Language,
    /// Never shortened, however small it gets: a part of an amount is a wrong amount.
    pub whole: bool,
    /// Before the text, and as near to it as a word.
    pub icon: Option<Icon>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Primary,
    Plain,
    /// One of several, and not the chosen one.
    Quiet,
}

/// What a colour is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    Text,
    Soft,
    Primary,
    OnPrimary,
    Success,
    Error,
    Warning,
}

/// A page being laid out.
#[derive(Debug)]
pub struct Sheet {
    pub nodes: Vec<Node>,
    pub targets: Vec<Target>,
    /// What the interface's own texts are set in.
    pub language: Language,
    pub palette: Palette,
    /// 1 at 800 pixels on the short side.
    pub scale: f32,
    /// For who needs large type.
    pub large: bool,
}

impl Sheet {
    pub fn ink(&self, ink: Ink) -> Color {
        let palette = &self.palette;
        match ink {
            Ink::Text => palette.text,
            Ink::Soft => palette.soft,
            Ink::Primary => palette.primary,
            Ink::OnPrimary => palette.on_primary,
            Ink::Success => palette.success,
            Ink::Error => palette.error,
            Ink::Warning => palette.warning,
        }
    }

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
        let (surface, edge) = (self.palette.surface, self.edge());
        self.boxed(rect, surface, edge);
    }

    /// Around cards: where they are as dark as what is behind them, only a border tells them apart.
    pub fn edge(&self) -> Color {
        let Palette { surface, ground, border, .. } = self.palette;
        if surface == ground { border } else { surface }
    }

    pub fn boxed(&mut self, rect: Rect, fill: Color, border: Color) {
        let radius = self.px(RADIUS).min(rect.h / 2).min(rect.w / 2);
        self.add(rect, Draw::Card { fill, border, radius });
    }

    pub fn icon(&mut self, rect: Rect, icon: Icon, ink: Ink) {
        let color = self.ink(ink);
        self.add(rect, Draw::Icon { icon, color });
    }

    /// Text in the middle of `rect`'s height, `px` in the 800-pixel design.
    pub fn text(&mut self, rect: Rect, text: impl Into<String>, style: TextLook) {
        let text = text.into();
        if text.is_empty() {
            return;
        }
        let TextLook { px, ink, align, bold, whole, icon } = style;
        let px = if self.large { (px * LARGE).max(LARGE_LEAST) } else { px } * self.scale;
        let (color, language) = (self.ink(ink), self.language.clone());
        self.add(rect, Draw::Text(Text { text, px, color, align, bold, language, whole, icon }));
    }

    /// A touchable box with its label.
    pub fn button(&mut self, touch: &Touch, rect: Rect, label: impl Into<String>, look: Look, enabled: bool) {
        self.plate(rect, None, label, look, enabled);
        self.target(touch, rect, enabled);
    }

    /// What a button looks like, without its target.
    pub fn plate(&mut self, rect: Rect, icon: Option<Icon>, label: impl Into<String>, look: Look, enabled: bool) {
        let Palette { primary, ground, surface, border, .. } = self.palette;
        let edge = self.edge();
        let (fill, border, ink) = match (look, enabled) {
            (Look::Primary, true) => (primary, primary, Ink::OnPrimary),
            (Look::Plain, true) => (ground, border, Ink::Primary),
            (Look::Quiet, true) => (surface, edge, Ink::Text),
            (_, false) => (surface, surface, Ink::Soft),
        };
        self.boxed(rect, fill, border);
        let label: String = label.into();
        if let Some(icon) = icon.filter(|_| label.is_empty()) {
            return self.icon(centered(rect, (rect.h * 3 / 5).min(rect.w * 3 / 5)), icon, ink);
        }
        let px = (rect.h as f32 / self.scale * 0.45).min(38.0);
        let look = TextLook { icon, ..TextLook::new(px).ink(ink).center().bold() };
        self.text(rect.inset(self.px(space::M).min(rect.h / 8)), label, look);
    }

    pub fn target(&mut self, touch: &Touch, rect: Rect, enabled: bool) {
        self.targets.push(Target { name: touch.to_string(), rect, enabled });
    }
}

/// A square in the middle.
pub fn centered(rect: Rect, side: i32) -> Rect {
    Rect { x: rect.x + (rect.w - side) / 2, y: rect.y + (rect.h - side) / 2, w: side, h: side }
}

/// How a text looks, built up from its size.
#[derive(Debug, Clone)]
pub struct TextLook {
    px: f32,
    ink: Ink,
    align: Align,
    bold: bool,
    whole: bool,
    icon: Option<Icon>,
}

impl TextLook {
    pub fn new(px: f32) -> Self {
        Self { px, ink: Ink::Text, align: Align::Left, bold: false, whole: false, icon: None }
    }

    pub fn ink(self, ink: Ink) -> Self {
        Self { ink, ..self }
    }

    pub fn soft(self) -> Self {
        self.ink(Ink::Soft)
    }

    pub fn center(self) -> Self {
        Self { align: Align::Center, ..self }
    }

    pub fn right(self) -> Self {
        Self { align: Align::Right, ..self }
    }

    pub fn with(self, icon: Icon) -> Self {
        Self { icon: Some(icon), ..self }
    }

    pub fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub fn whole(self) -> Self {
        Self { whole: true, ..self }
    }
}

/// Cutting rectangles into smaller ones. Lengths beyond the rectangle cut all of it.
pub trait Cut: Sized {
    fn inset(self, by: i32) -> Self;
    /// Left and right only; above and below only; right only.
    fn inset_sides(self, by: i32) -> Self;
    fn inset_ends(self, by: i32) -> Self;
    fn inset_right(self, by: i32) -> Self;
    /// The upper `height` pixels, and the rest.
    fn top(self, height: i32) -> (Self, Self);
    /// The rest, and the lower `height` pixels.
    fn bottom(self, height: i32) -> (Self, Self);
    fn left(self, width: i32) -> (Self, Self);
    /// The rest, and the rightmost `width` pixels.
    fn right(self, width: i32) -> (Self, Self);
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

    fn inset_sides(self, by: i32) -> Rect {
        let by = by.min(self.w / 2).max(0);
        Rect { x: self.x + by, w: self.w - 2 * by, ..self }
    }

    fn inset_ends(self, by: i32) -> Rect {
        let by = by.min(self.h / 2).max(0);
        Rect { y: self.y + by, h: self.h - 2 * by, ..self }
    }

    fn inset_right(self, by: i32) -> Rect {
        Rect { w: (self.w - by).max(0), ..self }
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

    fn right(self, width: i32) -> (Rect, Rect) {
        self.left(self.w - width.clamp(0, self.w.max(0)))
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
