//! Text set in the kiosk's two faces, for the glass and for the paper.
//!
//! Policy: only the faces named in the configuration are used, never what the system happens to have, so that every
//! machine shows the same. A character that one face lacks is taken from the other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cosmic_text::{
    Attrs, Buffer, Fallback, Family, FontSystem, Metrics, Shaping, SwashCache, SwashContent, Weight, Wrap, fontdb,
};
use unicode_script::Script;

use crate::config::Faces;
use crate::vocabulary::Language;

/// Rasterised glyphs kept; at 100 px a glyph is about 10 KiB.
const MAX_GLYPHS: usize = 600;

#[derive(Debug, thiserror::Error)]
pub enum TextError {
    #[error("{path}: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: no font in this file", path = path.display())]
    NoFont { path: PathBuf },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Align {
    Left,
    Center,
    Right,
}

/// How a text is set.
#[derive(Debug, Clone, PartialEq)]
pub struct TextStyle {
    /// Pixels to the em.
    pub px: f32,
    /// Times `px`, from line to line.
    pub line_height: f32,
    pub align: Align,
    /// Chooses the face: Traditional forms for `zh-Hant`, Simplified for the rest.
    pub language: Language,
    /// By the family's bold face; thickened where it has none.
    pub bold: bool,
}

/// All faces, with a bounded cache of their glyphs.
pub struct Typesetter {
    fonts: FontSystem,
    glyphs: SwashCache,
    sc: Named,
    tc: Named,
}

struct Named {
    name: String,
    /// It has a bold face of its own.
    bold: bool,
}

/// Nothing but the two faces: what one lacks is looked for in the other.
struct NoFallback;

impl Fallback for NoFallback {
    fn common_fallback(&self) -> &[&'static str] {
        &[]
    }

    fn forbidden_fallback(&self) -> &[&'static str] {
        &[]
    }

    fn script_fallback(&self, _: Script, _: &str) -> &[&'static str] {
        &[]
    }
}

impl Typesetter {
    /// # Errors
    /// A file can't be read or holds no font.
    pub fn load(faces: &Faces) -> Result<Self, TextError> {
        let mut db = fontdb::Database::new();
        let mut names = Vec::new();
        for path in faces.all() {
            names.push((path, add(&mut db, path)?));
        }
        let named = |path: &Path, bold: Option<&PathBuf>| {
            let name = |wanted: &Path| names.iter().find(|(path, _)| *path == wanted).map(|(_, name)| name.clone());
            let family = name(path).unwrap_or_default();
            // A bold face is found by its family and its weight.
            let bold = bold.and_then(|bold| name(bold)).is_some_and(|bold| bold == family);
            Named { name: family, bold }
        };
        let sc = named(&faces.sc, faces.sc_bold.as_ref());
        let tc = named(&faces.tc, faces.tc_bold.as_ref());
        let fonts = FontSystem::new_with_locale_and_db_and_fallback("en".into(), db, NoFallback);
        Ok(Self { fonts, glyphs: SwashCache::new(), sc, tc })
    }

    fn family(&self, style: &TextStyle) -> &Named {
        if style.language.tag() == "zh-Hant" { &self.tc } else { &self.sc }
    }

    /// Width and height in pixels of `text` in `style`, wrapped at `max_width`.
    pub fn measure(&mut self, text: &str, style: &TextStyle, max_width: f32) -> (f32, f32) {
        size(&self.set(text, style, max_width))
    }

    /// Calls `dot(x, y, coverage)` for every covered pixel from the text block's top left, and answers with its size.
    /// Aligned within `max_width`. A pixel may come more than once.
    pub fn draw(
        &mut self,
        text: &str,
        style: &TextStyle,
        max_width: f32,
        dot: &mut dyn FnMut(i32, i32, u8),
    ) -> (f32, f32) {
        let buffer = self.set(text, style, max_width);
        let thicker =
            if style.bold && !self.family(style).bold { (style.px / 28.0).round().max(1.0) as i32 } else { 0 };
        for run in buffer.layout_runs() {
            let indent = match style.align {
                Align::Left => 0.0,
                Align::Center => ((max_width - run.line_w) / 2.0).max(0.0),
                Align::Right => (max_width - run.line_w).max(0.0),
            };
            for glyph in run.glyphs {
                let placed = glyph.physical((indent.round(), run.line_y.round()), 1.0);
                let Some(image) = self.glyphs.get_image(&mut self.fonts, placed.cache_key) else { continue };
                if image.content != SwashContent::Mask {
                    continue;
                }
                let (left, top) = (placed.x + image.placement.left, placed.y - image.placement.top);
                let width = image.placement.width.max(1) as usize;
                for (y, row) in image.data.chunks_exact(width).enumerate() {
                    for (x, coverage) in row.iter().enumerate().filter(|(_, coverage)| **coverage > 0) {
                        for shift in 0..=thicker {
                            dot(left + x as i32 + shift, top + y as i32, *coverage);
                        }
                    }
                }
            }
        }
        if self.glyphs.image_cache.len() > MAX_GLYPHS {
            self.glyphs.image_cache.clear();
        }
        size(&buffer)
    }

    /// Characters of `text` that are drawn as the sign for a missing one. Asked of what is drawn and not of the faces'
    /// tables: marks of direction, joiners and the like are in no face and are drawn as nothing.
    pub fn missing(&mut self, text: &str, language: &Language) -> BTreeSet<char> {
        let style =
            TextStyle { px: 32.0, line_height: 1.0, align: Align::Left, language: language.clone(), bold: false };
        let buffer = self.set(text, &style, f32::MAX);
        let mut missing = BTreeSet::new();
        for run in buffer.layout_runs() {
            for glyph in run.glyphs.iter().filter(|glyph| glyph.glyph_id == 0) {
                missing.extend(run.text.get(glyph.start..glyph.end).into_iter().flat_map(str::chars));
            }
        }
        missing.retain(|c| !c.is_whitespace() && !c.is_control());
        missing
    }

    fn set(&mut self, text: &str, style: &TextStyle, max_width: f32) -> Buffer {
        let mut buffer = Buffer::new_empty(Metrics::new(style.px, style.px * style.line_height));
        let family = self.family(style);
        let weight = if style.bold && family.bold { Weight::BOLD } else { Weight::NORMAL };
        let name = family.name.clone();
        let attributes = Attrs::new().family(Family::Name(&name)).weight(weight);
        buffer.set_wrap(Wrap::WordOrGlyph);
        buffer.set_size(Some(max_width), None);
        buffer.set_text(text, &attributes, Shaping::Advanced, None);
        buffer.shape_until_scroll(&mut self.fonts, false);
        buffer
    }
}

fn size(buffer: &Buffer) -> (f32, f32) {
    buffer.layout_runs().fold((0.0, 0.0), |(width, height): (f32, f32), run| {
        (width.max(run.line_w), height.max(run.line_top + run.line_height))
    })
}

/// Adds a file's face and answers with its family's name.
fn add(db: &mut fontdb::Database, path: &Path) -> Result<String, TextError> {
    let data = std::fs::read(path).map_err(|source| TextError::Read { path: path.into(), source })?;
    let before = db.len();
    db.load_font_data(data);
    let face = db.faces().nth(before).and_then(|face| face.families.first());
    face.map(|(name, _)| name.clone()).ok_or_else(|| TextError::NoFont { path: path.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typesetter() -> Typesetter {
        let fonts = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fonts");
        Typesetter::load(&Faces::shipped(&fonts)).unwrap()
    }

    fn style(tag: &str) -> TextStyle {
        TextStyle { px: 40.0, line_height: 1.4, align: Align::Left, language: Language::new(tag), bold: false }
    }

    fn picture(text: &str, tag: &str) -> Vec<(i32, i32, u8)> {
        let mut dots = Vec::new();
        typesetter().draw(text, &style(tag), 400.0, &mut |x, y, coverage| dots.push((x, y, coverage)));
        dots
    }

    #[test]
    fn each_language_has_its_own_forms_and_no_character_is_missing() {
        // U+9AA8 is drawn differently in Simplified and Traditional Chinese.
        assert_ne!(picture("骨", "zh-Hans"), picture("骨", "zh-Hant"));
        let missing = picture("\u{10ffff}", "en");
        for (text, tag) in [("取", "zh-Hans"), ("貨", "zh-Hant"), ("繁", "en"), ("é", "en"), ("¥", "zh-Hans")] {
            let drawn = picture(text, tag);
            assert!(!drawn.is_empty() && drawn != missing, "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_told_by_what_is_drawn() {
        let mut type_ = typesetter();
        let mut missing = |text: &str| type_.missing(text, &Language::new("zh-Hant")).into_iter().collect::<String>();
        // Marks of direction, a soft hyphen, joiners, a variation selector, isolates: drawn as nothing.
        let invisible = "可\u{200e}樂\u{200f} co\u{ad}la\u{200b}\u{200d}\u{2060}\u{feff} 骨\u{fe00} \u{2068}x\u{2069}";
        assert_eq!(missing(invisible), "");
        assert_eq!(picture("可\u{200e}樂\u{200b}", "zh-Hant"), picture("可樂", "zh-Hant"));
        assert_eq!(missing("Cola \u{1f302}\n茶\u{e123}"), "\u{e123}\u{1f302}");
    }

    #[test]
    fn wraps_at_the_width_it_was_given() {
        let mut type_ = typesetter();
        let text = "請打開手機上的錢包掃描二維碼付款";
        let (wide, one) = type_.measure(text, &style("zh-Hant"), 10_000.0);
        let (narrow, more) = type_.measure(text, &style("zh-Hant"), wide / 2.5);
        assert!(narrow <= wide / 2.5 && more >= one * 2.9, "{wide}x{one} {narrow}x{more}");
    }

    #[test]
    fn every_character_of_the_interface_and_the_demo_is_in_a_face() {
        let mut type_ = typesetter();
        let mut drawn = |c: char| {
            let mut dots = Vec::new();
            type_.draw(&c.to_string(), &style("zh-Hant"), 400.0, &mut |x, y, coverage| dots.push((x, y, coverage)));
            dots
        };
        let missing = drawn('\u{10ffff}');
        let demo = ("demo", include_str!("../../configs/vending.toml"));
        let files = crate::config::SHIPPED.iter().chain(std::iter::once(&demo));
        let all: std::collections::BTreeSet<char> = files.flat_map(|(_, text)| text.chars()).collect();
        let lost: String = all.into_iter().filter(|c| !c.is_whitespace() && drawn(*c) == missing).collect();
        assert!(lost.is_empty(), "no face has {lost}");
    }
}
