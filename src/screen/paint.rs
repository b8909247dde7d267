//! From nodes to pixels, in software, clipped to what changed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::{ImageError, ImageReader, Limits, RgbaImage};
use qrcode::{EcLevel, QrCode};

use super::fit::fit;
use super::sheet::{Color, Draw, Node, Text};
use super::text::{Align, Typesetter};
use crate::world::Rect;

/// White modules around a code; ISO/IEC 18004 asks for four.
const QUIET: i32 = 4;
/// A picture larger than this, in pixels a side, is not decoded.
const MAX_PICTURE: u32 = 4_096;
/// Bytes that decoding one picture may take.
const MAX_DECODED: u64 = 64 << 20;
/// Bytes of pictures kept as they are shown.
const MAX_KEPT: usize = 16 << 20;
/// Pixels a module below which a code is made coarser at the price of error correction, as long as that helps.
const COARSE: i32 = 6;

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
    /// As large as they are shown; `None` for a file that can't be.
    pictures: HashMap<(PathBuf, i32, i32), Option<RgbaImage>>,
}

impl Painter {
    pub fn new(type_: Typesetter) -> Self {
        Self { type_, pictures: HashMap::new() }
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
        let fitted = fit(&mut self.type_, text, rect);
        let top = rect.y + ((rect.h as f32 - fitted.height) / 2.0).round() as i32;
        let spare = rect.w - fitted.width as i32;
        let left = rect.x
            + match text.align {
                Align::Left => 0,
                Align::Center => spare / 2,
                Align::Right => spare,
            };
        self.type_.draw(&fitted.words, &fitted.style, fitted.width, &mut |x, y, coverage| {
            let (x, y) = (left + x, top + y);
            if clip.contains(x, y) {
                let pixel = &mut frame.pixels[(y * frame.width + x) as usize];
                *pixel = blend(*pixel, text.color, coverage);
            }
        });
    }

    fn picture(&mut self, frame: &mut Frame, rect: Rect, path: &Path, clip: Rect) {
        let key = (path.to_path_buf(), rect.w, rect.h);
        if !self.pictures.contains_key(&key) {
            let kept: usize = self.pictures.values().flatten().map(|picture| picture.len()).sum();
            if kept > MAX_KEPT {
                self.pictures.clear();
            }
            let picture = load_picture(path, rect.w as u32, rect.h as u32)
                .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "a picture can't be shown"));
            self.pictures.insert(key.clone(), picture.ok());
        }
        let Some(Some(picture)) = self.pictures.get(&key) else { return };
        let (left, top) =
            (rect.x + (rect.w - picture.width() as i32) / 2, rect.y + (rect.h - picture.height() as i32) / 2);
        for (x, y, pixel) in picture.enumerate_pixels() {
            let (x, y) = (left + x as i32, top + y as i32);
            if clip.contains(x, y) {
                let [r, g, b, coverage] = pixel.0;
                let color = u32::from(r) << 16 | u32::from(g) << 8 | u32::from(b);
                let under = &mut frame.pixels[(y * frame.width + x) as usize];
                *under = blend(*under, color, coverage);
            }
        }
    }
}

/// Decoded and made to fit `w` x `h`, whole. The large original is not kept.
fn load_picture(path: &Path, w: u32, h: u32) -> Result<RgbaImage, ImageError> {
    let mut reader = ImageReader::open(path)?.with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_PICTURE);
    limits.max_image_height = Some(MAX_PICTURE);
    limits.max_alloc = Some(MAX_DECODED);
    reader.limits(limits);
    let whole = reader.decode()?.into_rgba8();
    let ratio = (w as f32 / whole.width() as f32).min(h as f32 / whole.height() as f32);
    let side = |length: u32| ((length as f32 * ratio) as u32).max(1);
    Ok(image::imageops::resize(&whole, side(whole.width()), side(whole.height()), FilterType::Triangle))
}

/// Level M, raised while the version stays the same. Level L where a long text would get modules too small for a phone.
/// `None` for a text no code can hold.
fn code(payload: &str, side: i32) -> Option<QrCode> {
    let at = |level| QrCode::with_error_correction_level(payload, level).ok();
    let Some(medium) = at(EcLevel::M) else { return at(EcLevel::L) };
    if unit(&medium, side) < COARSE
        && let Some(low) = at(EcLevel::L).filter(|low| unit(low, side) > unit(&medium, side))
    {
        return Some(low);
    }
    let mut better = [EcLevel::H, EcLevel::Q].into_iter().filter_map(at);
    Some(better.find(|code| code.version() == medium.version()).unwrap_or(medium))
}

/// Whole pixels a module with the quiet zone around it.
fn unit(code: &QrCode, side: i32) -> i32 {
    side / (code.width() as i32 + 2 * QUIET)
}

/// Whole pixels a module, nothing smoothed, always black on white.
fn qr(frame: &mut Frame, rect: Rect, payload: &str, clip: Rect) {
    frame.fill(clip, 0x00ff_ffff);
    let Some(code) = code(payload, rect.w.min(rect.h)) else {
        return tracing::error!(bytes = payload.len(), "too long for a QR code");
    };
    let modules = code.width() as i32;
    let unit = unit(&code, rect.w.min(rect.h));
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
