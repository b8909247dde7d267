//! From nodes to pixels, in software, clipped to what changed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::{ImageReader, Limits, RgbImage};
use qrcode::{EcLevel, QrCode};

use super::sheet::{Color, Draw, Node, Text};
use super::text::{TextStyle, Typesetter};
use crate::world::Rect;

/// White modules around a code; ISO/IEC 18004 asks for four.
const QUIET: i32 = 4;
/// A picture larger than this, in pixels a side, is not decoded.
const MAX_PICTURE: u32 = 8_192;

/// XRGB8888, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub width: i32,
    pub height: i32,
    pub pixels: Vec<u32>,
}

impl Frame {
    pub fn black(width: i32, height: i32) -> Self {
        Self { width, height, pixels: vec![0; (width * height) as usize] }
    }

    pub fn bounds(&self) -> Rect {
        Rect { x: 0, y: 0, w: self.width, h: self.height }
    }

    /// One row of a rectangle inside the frame.
    pub fn row(&self, rect: Rect, y: i32) -> &[u32] {
        let start = ((rect.y + y) * self.width + rect.x) as usize;
        &self.pixels[start..start + rect.w as usize]
    }

    fn fill(&mut self, rect: Rect, color: Color) {
        let rect = intersect(rect, self.bounds());
        for y in rect.y..rect.y + rect.h {
            let start = (y * self.width + rect.x) as usize;
            self.pixels[start..start + rect.w as usize].fill(color);
        }
    }
}

/// The common part; empty where there is none.
pub fn intersect(a: Rect, b: Rect) -> Rect {
    let (x, y) = (a.x.max(b.x), a.y.max(b.y));
    let (right, bottom) = ((a.x + a.w).min(b.x + b.w), (a.y + a.h).min(b.y + b.h));
    Rect { x, y, w: (right - x).max(0), h: (bottom - y).max(0) }
}

pub struct Painter {
    type_: Typesetter,
    pictures: HashMap<PathBuf, Option<RgbImage>>,
    scaled: HashMap<(PathBuf, i32, i32), RgbImage>,
}

impl Painter {
    pub fn new(type_: Typesetter) -> Self {
        Self { type_, pictures: HashMap::new(), scaled: HashMap::new() }
    }

    /// Paints what of `node` lies within `clip`.
    pub fn paint(&mut self, frame: &mut Frame, node: &Node, clip: Rect) {
        let visible = intersect(node.rect, clip);
        if visible.w == 0 || visible.h == 0 {
            return;
        }
        match &node.draw {
            Draw::Fill(color) => frame.fill(visible, *color),
            Draw::Card { fill, border } => {
                frame.fill(visible, *border);
                let Rect { x, y, w, h } = node.rect;
                let inner = Rect { x: x + 2, y: y + 2, w: w - 4, h: h - 4 };
                frame.fill(intersect(inner, visible), *fill);
            }
            Draw::Text(text) => self.text(frame, node.rect, text, visible),
            Draw::Qr(payload) => qr(frame, node.rect, payload, visible),
            Draw::Picture(path) => self.picture(frame, node.rect, path, visible),
        }
    }

    fn text(&mut self, frame: &mut Frame, rect: Rect, text: &Text, clip: Rect) {
        let width = rect.w as f32;
        let mut style = TextStyle {
            px: text.px,
            line_height: 1.3,
            align: text.align,
            language: text.language.clone(),
            bold: text.bold,
        };
        let mut words = text.text.clone();
        let mut size = self.type_.measure(&words, &style, width);
        // First smaller, down to three fifths; then shorter.
        while (size.1 > rect.h as f32 || size.0 > width) && style.px > text.px * 0.6 {
            style.px -= 2.0;
            size = self.type_.measure(&words, &style, width);
        }
        while size.1 > rect.h as f32 && words.pop().is_some() && !words.is_empty() {
            size = self.type_.measure(&format!("{words}…"), &style, width);
            if size.1 <= rect.h as f32 {
                words.push('…');
            }
        }
        let top = rect.y + ((rect.h as f32 - size.1) / 2.0).round() as i32;
        self.type_.draw(&words, &style, width, &mut |x, y, coverage| {
            let (x, y) = (rect.x + x, top + y);
            if clip.contains(x, y) {
                let pixel = &mut frame.pixels[(y * frame.width + x) as usize];
                *pixel = blend(*pixel, text.color, coverage);
            }
        });
    }

    fn picture(&mut self, frame: &mut Frame, rect: Rect, path: &Path, clip: Rect) {
        let whole = self.pictures.entry(path.into()).or_insert_with(|| {
            load_picture(path)
                .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "a picture can't be shown"))
                .ok()
        });
        let Some(whole) = whole else { return };
        let scaled = self.scaled.entry((path.into(), rect.w, rect.h)).or_insert_with(|| {
            let ratio = (rect.w as f32 / whole.width() as f32).min(rect.h as f32 / whole.height() as f32);
            let side = |length: u32| ((length as f32 * ratio) as u32).max(1);
            image::imageops::resize(whole, side(whole.width()), side(whole.height()), FilterType::Triangle)
        });
        let (left, top) =
            (rect.x + (rect.w - scaled.width() as i32) / 2, rect.y + (rect.h - scaled.height() as i32) / 2);
        for (x, y, pixel) in scaled.enumerate_pixels() {
            let (x, y) = (left + x as i32, top + y as i32);
            if clip.contains(x, y) {
                let [r, g, b] = pixel.0.map(u32::from);
                frame.pixels[(y * frame.width + x) as usize] = r << 16 | g << 8 | b;
            }
        }
    }
}

fn load_picture(path: &Path) -> Result<RgbImage, image::ImageError> {
    let mut reader = ImageReader::open(path)?.with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_PICTURE);
    limits.max_image_height = Some(MAX_PICTURE);
    reader.limits(limits);
    Ok(reader.decode()?.into_rgb8())
}

/// Level M, raised while the version stays the same; `None` for a text no code can hold.
fn code(payload: &str) -> Option<QrCode> {
    let least = QrCode::with_error_correction_level(payload, EcLevel::M).ok()?;
    let better = [EcLevel::H, EcLevel::Q].into_iter().find_map(|level| {
        let code = QrCode::with_error_correction_level(payload, level).ok()?;
        (code.version() == least.version()).then_some(code)
    });
    Some(better.unwrap_or(least))
}

/// Whole pixels a module, nothing smoothed, always black on white.
fn qr(frame: &mut Frame, rect: Rect, payload: &str, clip: Rect) {
    frame.fill(clip, 0x00ff_ffff);
    let Some(code) = code(payload) else {
        return tracing::error!(bytes = payload.len(), "too long for a QR code");
    };
    let modules = code.width() as i32;
    let unit = rect.w.min(rect.h) / (modules + 2 * QUIET);
    let side = unit * modules;
    let (left, top) = (rect.x + (rect.w - side) / 2, rect.y + (rect.h - side) / 2);
    for (index, color) in code.to_colors().into_iter().enumerate() {
        if color == qrcode::Color::Dark {
            let (x, y) = (index as i32 % modules, index as i32 / modules);
            let module = Rect { x: left + x * unit, y: top + y * unit, w: unit, h: unit };
            frame.fill(intersect(module, clip), 0);
        }
    }
}

fn blend(under: u32, over: Color, coverage: u8) -> u32 {
    let a = u32::from(coverage);
    let channel = |shift: u32| {
        let (u, o) = ((under >> shift) & 0xff, (over >> shift) & 0xff);
        ((u * (255 - a) + o * a + 127) / 255) << shift
    };
    channel(16) | channel(8) | channel(0)
}
