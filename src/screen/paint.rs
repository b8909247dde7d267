//! From nodes to pixels, in software, clipped to what changed.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use image::codecs::png::{CompressionType, FilterType as PngFilter, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, ImageError, RgbaImage};
use qrcode::{EcLevel, QrCode, bits};

use super::fit::fit;
use super::icon::{self, Icon};
use super::picture;
use super::sheet::{Cut, Draw, Fit, Node, Picture, Text};
use super::text::{Align, Typesetter};
use crate::config::Color;
use crate::vocabulary::{Point, Rect};

/// White modules around a code; ISO/IEC 18004 asks for four.
const QUIET: i32 = 4;
/// Bytes of pictures kept as they are shown.
const MAX_KEPT: usize = 16 << 20;
/// Width of a card's border.
const BORDER: i32 = 3;
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

    /// As a file. It is encoded fast rather than small.
    ///
    /// # Errors
    /// A frame of no pixels is none.
    pub fn png(&self) -> Result<Vec<u8>, ImageError> {
        let rgb: Vec<u8> = self.pixels.iter().flat_map(|pixel| pixel.to_be_bytes().into_iter().skip(1)).collect();
        let mut file = Vec::new();
        PngEncoder::new_with_quality(&mut file, CompressionType::Fast, PngFilter::Up).write_image(
            &rgb,
            self.width as u32,
            self.height as u32,
            ExtendedColorType::Rgb8,
        )?;
        Ok(file)
    }

    fn fill(&mut self, rect: Rect, color: Color) {
        let rect = rect.intersect(self.bounds());
        for y in rect.y..rect.y + rect.h {
            let start = (y * self.width + rect.x) as usize;
            self.pixels[start..start + rect.w as usize].fill(color);
        }
    }
}

pub struct Painter {
    type_: Typesetter,
    /// As large as they are shown; `None` for a file that can't be.
    pictures: HashMap<(PathBuf, i32, i32, Fit), Option<RgbaImage>>,
    /// Files that were not there; that is said once.
    missing: HashSet<PathBuf>,
    icons: HashMap<(Icon, i32), Vec<u8>>,
}

impl Painter {
    pub fn new(type_: Typesetter) -> Self {
        Self { type_, pictures: HashMap::new(), missing: HashSet::new(), icons: HashMap::new() }
    }

    /// Paints what of `node` lies within `clip`.
    pub fn paint(&mut self, frame: &mut Frame, node: &Node, clip: Rect) {
        let visible = node.rect.intersect(clip);
        if visible.w == 0 || visible.h == 0 {
            return;
        }
        match &node.draw {
            Draw::Fill(color) => frame.fill(visible, *color),
            Draw::Card { fill, border, radius } => {
                round(frame, node.rect, *radius, *border, visible);
                if fill != border {
                    let inner = node.rect.inset(BORDER);
                    round(frame, inner, (radius - BORDER).max(0), *fill, inner.intersect(visible));
                }
            }
            Draw::Text(text) => self.text(frame, node.rect, text, visible),
            Draw::Qr(payload) => qr(frame, node.rect, payload, visible),
            Draw::Picture(picture) => self.picture(frame, node.rect, picture, visible),
            Draw::Icon { icon, color } => self.icon(frame, node.rect, *icon, *color, visible),
        }
    }

    fn text(&mut self, frame: &mut Frame, rect: Rect, text: &Text, clip: Rect) {
        let mut rect = rect;
        let mut fitted = fit(&mut self.type_, text, rect);
        if let Some(icon) = text.icon {
            // The icon takes its part first; then both are placed as one.
            let side = (text.px * 1.2) as i32;
            let taken = side + side / 4;
            let words = Rect { x: rect.x + taken, w: (rect.w - taken).max(1), ..rect };
            let beside = fit(&mut self.type_, text, words);
            // The words are worth more than their picture.
            if beside.style.px >= fitted.style.px * 0.8 && beside.words == fitted.words {
                let wide = self.type_.measure(&beside.words, &beside.style, beside.width).0.ceil() as i32;
                let spare = (words.w - wide).max(0);
                let before = match text.align {
                    Align::Left => 0,
                    Align::Center => spare / 2,
                    Align::Right => spare,
                };
                let mark = Rect { x: rect.x + before, y: rect.y, w: side, h: rect.h };
                self.icon(frame, mark, icon, text.color, clip);
                rect = Rect { x: mark.x + taken, w: words.w - spare, ..rect };
                fitted = fit(&mut self.type_, text, rect);
            }
        }
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
            if clip.contains(Point { x, y }) {
                let pixel = &mut frame.pixels[(y * frame.width + x) as usize];
                *pixel = blend(*pixel, text.color, coverage);
            }
        });
    }

    fn icon(&mut self, frame: &mut Frame, rect: Rect, icon: Icon, color: Color, clip: Rect) {
        let side = rect.w.min(rect.h).max(1);
        let mask = self.icons.entry((icon, side)).or_insert_with(|| icon::mask(icon, side as u32));
        let (left, top) = (rect.x + (rect.w - side) / 2, rect.y + (rect.h - side) / 2);
        let clip = clip.intersect(frame.bounds());
        for (y, row) in mask.chunks_exact(side as usize).enumerate() {
            for (x, coverage) in row.iter().enumerate().filter(|(_, coverage)| **coverage > 0) {
                let (x, y) = (left + x as i32, top + y as i32);
                if clip.contains(Point { x, y }) {
                    let pixel = &mut frame.pixels[(y * frame.width + x) as usize];
                    *pixel = blend(*pixel, color, *coverage);
                }
            }
        }
    }

    fn picture(&mut self, frame: &mut Frame, rect: Rect, picture: &Picture, clip: Rect) {
        let key = (picture.path.clone(), rect.w, rect.h, picture.fit);
        if !self.pictures.contains_key(&key) {
            let kept: usize = self.pictures.values().flatten().map(|picture| picture.len()).sum();
            if kept > MAX_KEPT {
                self.pictures.clear();
            }
            let path = &picture.path;
            let loaded = picture::load(path, rect.w as u32, rect.h as u32, picture.fit);
            let missing = loaded.as_ref().is_err_and(is_missing);
            let told = missing && !self.missing.insert(path.clone());
            if let Some(error) = loaded.as_ref().err().filter(|_| !told) {
                tracing::warn!(path = %path.display(), %error, "a picture can't be shown");
            }
            // It may come yet.
            if !missing {
                self.missing.remove(path);
                self.pictures.insert(key.clone(), loaded.ok());
            }
        }
        let Some(Some(pixels)) = self.pictures.get(&key) else { return };
        let (left, top) =
            (rect.x + (rect.w - pixels.width() as i32) / 2, rect.y + (rect.h - pixels.height() as i32) / 2);
        let opacity = u32::from(picture.opacity);
        for y in clip.y.max(top)..(clip.y + clip.h).min(top + pixels.height() as i32) {
            for x in clip.x.max(left)..(clip.x + clip.w).min(left + pixels.width() as i32) {
                let [r, g, b, coverage] = pixels.get_pixel((x - left) as u32, (y - top) as u32).0;
                let color = u32::from(r) << 16 | u32::from(g) << 8 | u32::from(b);
                let under = &mut frame.pixels[(y * frame.width + x) as usize];
                *under = blend(*under, color, (u32::from(coverage) * opacity / 255) as u8);
            }
        }
    }
}

fn is_missing(error: &ImageError) -> bool {
    matches!(error, ImageError::IoError(error) if error.kind() == std::io::ErrorKind::NotFound)
}

/// A box with round corners.
fn round(frame: &mut Frame, rect: Rect, radius: i32, color: Color, clip: Rect) {
    let clip = clip.intersect(rect).intersect(frame.bounds());
    for y in clip.y..clip.y + clip.h {
        // Rows from the nearest straight row; 0 between the corners.
        let down = (rect.y + radius - y).max(y - (rect.y + rect.h - 1 - radius)).max(0);
        if down == 0 {
            frame.fill(Rect { y, h: 1, ..clip }, color);
            continue;
        }
        let middle = Rect { x: rect.x + radius, y, w: rect.w - 2 * radius, h: 1 }.intersect(clip);
        frame.fill(middle, color);
        let sides = [
            clip.x..clip.x.max((rect.x + radius).min(clip.x + clip.w)),
            clip.x.max(rect.x + rect.w - radius).min(clip.x + clip.w)..clip.x + clip.w,
        ];
        for x in sides.into_iter().flatten() {
            let across = (rect.x + radius - x).max(x - (rect.x + rect.w - 1 - radius)).max(0);
            // Pixels are judged by their middle.
            let distance = ((across as f32 - 0.5).powi(2) + (down as f32 - 0.5).powi(2)).sqrt();
            let coverage = (radius as f32 - distance + 0.5).clamp(0.0, 1.0);
            let pixel = &mut frame.pixels[(y * frame.width + x) as usize];
            *pixel = blend(*pixel, color, (coverage * 255.0) as u8);
        }
    }
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

/// The least side, quiet zone and all, on which the code itself has at least `least` pixels a side.
pub(super) fn side_for(payload: &str, least: i32) -> i32 {
    // Only as far as its size is known: this is asked every second.
    let size = |level| bits::encode_auto(payload.as_bytes(), level).ok().map(|bits| i32::from(bits.version().width()));
    // Of a text that no code can hold nothing is painted.
    let modules = size(EcLevel::M).or_else(|| size(EcLevel::L)).unwrap_or(1);
    let unit = (least + modules - 1) / modules;
    unit * (modules + 2 * QUIET)
}

/// Whole pixels a module with the quiet zone around it.
fn unit(code: &QrCode, side: i32) -> i32 {
    side / (code.width() as i32 + 2 * QUIET)
}

/// Whole pixels a module, nothing smoothed, always black on white.
fn qr(frame: &mut Frame, rect: Rect, payload: &str, clip: Rect) {
    frame.fill(clip, 0x00ff_ffff);
    let Some(code) = code(payload, rect.w.min(rect.h)) else {
        return tracing::error!(bytes = payload.len(), "a text is too long for a QR code and was not shown");
    };
    let modules = code.width() as i32;
    let unit = unit(&code, rect.w.min(rect.h));
    let side = unit * modules;
    let (left, top) = (rect.x + (rect.w - side) / 2, rect.y + (rect.h - side) / 2);
    for (index, color) in code.to_colors().into_iter().enumerate() {
        if color == qrcode::Color::Dark {
            let (x, y) = (index as i32 % modules, index as i32 / modules);
            let module = Rect { x: left + x * unit, y: top + y * unit, w: unit, h: unit };
            frame.fill(module.intersect(clip), 0);
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

/// Pixels of a module and of the whole code, without its quiet zone.
#[cfg(test)]
pub(super) fn drawn(payload: &str, side: i32) -> Option<(i32, i32)> {
    let code = code(payload, side)?;
    let unit = unit(&code, side);
    Some((unit, unit * code.width() as i32))
}
