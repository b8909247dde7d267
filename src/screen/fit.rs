//! Fitting a text into its rectangle: smaller first, then shorter with an ellipsis; never outside.
//!
//! Policy: a Latin word or a number is not broken while a smaller size keeps it whole, and two or three lines come out
//! about equally long, so that no single character stands on a line of its own.

use super::sheet::Text;
use super::text::{TextStyle, Typesetter};
use crate::vocabulary::Rect;

/// Longer texts are cut before they are measured; no page has room for more.
const MAX_CHARS: usize = 400;
const LINE_HEIGHT: f32 = 1.3;
/// The smallest part of the wanted size.
const SMALLEST: f32 = 0.5;
/// Amounts, codes and keys are this short; they, and longer texts that say so, get as small as they must.
const WHOLE_CHARS: usize = 16;
const SMALLEST_WHOLE: f32 = 0.2;

/// A text as it is set.
pub struct Fitted {
    pub words: String,
    pub style: TextStyle,
    /// Where it wraps; at most the rectangle's width.
    pub width: f32,
    /// Of the whole block.
    pub height: f32,
}

pub fn fit(type_: &mut Typesetter, text: &Text, rect: Rect) -> Fitted {
    let (wide, high) = (rect.w as f32, rect.h as f32);
    let mut words: String = text.text.chars().take(MAX_CHARS).collect();
    let longest = longest_word(&words).to_owned();
    let whole = text.whole || words.chars().count() <= WHOLE_CHARS;
    let least = text.px * if whole { SMALLEST_WHOLE } else { SMALLEST };
    let mut style = TextStyle {
        px: text.px,
        line_height: LINE_HEIGHT,
        align: text.align,
        language: text.language.clone(),
        bold: text.bold,
    };
    let (mut height, mut word) = measure(type_, &words, &longest, &style, wide);
    while (height > high || word > wide) && style.px > least {
        style.px = (style.px * 0.93).max(least);
        (height, word) = measure(type_, &words, &longest, &style, wide);
    }
    if height > high {
        words = shortened(type_, &words, &style, rect);
        height = type_.measure(&words, &style, wide).1;
    }
    let line = style.px * style.line_height;
    let width = match (height / line).round() as u32 {
        2..=3 => balanced(type_, &words, &style, wide, height, word),
        _ => wide,
    };
    Fitted { words, style, width, height }
}

/// The height of the whole and the width of its longest word.
fn measure(type_: &mut Typesetter, words: &str, longest: &str, style: &TextStyle, wide: f32) -> (f32, f32) {
    let (_, height) = type_.measure(words, style, wide);
    let (word, _) = if longest.is_empty() { (0.0, 0.0) } else { type_.measure(longest, style, f32::MAX) };
    (height, word)
}

/// The longest run that must not be broken. Chinese breaks anywhere.
fn longest_word(words: &str) -> &str {
    let breaks = |c: char| c.is_whitespace() && c != '\u{a0}' || c >= '\u{2e80}';
    words.split(breaks).max_by_key(|word| word.len()).unwrap_or_default()
}

/// As much of the beginning as fits, with an ellipsis.
fn shortened(type_: &mut Typesetter, words: &str, style: &TextStyle, rect: Rect) -> String {
    let cut = |count: usize| words.chars().take(count).chain(['…']).collect::<String>();
    let (mut fits, mut too_long) = (0, words.chars().count());
    while fits + 1 < too_long {
        let middle = usize::midpoint(fits, too_long);
        match type_.measure(&cut(middle), style, rect.w as f32).1 <= rect.h as f32 {
            true => fits = middle,
            false => too_long = middle,
        }
    }
    cut(fits)
}

/// The narrowest width that needs no more lines; at least the longest word's.
fn balanced(type_: &mut Typesetter, words: &str, style: &TextStyle, wide: f32, height: f32, word: f32) -> f32 {
    let (mut narrow, mut enough) = (word.min(wide), wide);
    while enough - narrow > style.px / 4.0 {
        let middle = f32::midpoint(narrow, enough);
        match type_.measure(words, style, middle).1 <= height {
            true => enough = middle,
            false => narrow = middle,
        }
    }
    enough.ceil().min(wide)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Faces;
    use crate::screen::text::Align;
    use crate::vocabulary::Language;

    fn fitted(text: &str, w: i32, h: i32) -> (Fitted, u32) {
        let fonts = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fonts");
        let mut type_ = Typesetter::load(&Faces::shipped(&fonts)).unwrap();
        let text = Text {
            text: text.into(),
            px: 34.0,
            color: 0,
            align: Align::Left,
            bold: false,
            whole: false,
            icon: None,
            language: Language::new("zh-Hant"),
        };
        let fitted = fit(&mut type_, &text, Rect { x: 0, y: 0, w, h });
        let (wide, high) = type_.measure(&fitted.words, &fitted.style, fitted.width);
        assert!(wide <= w as f32 && high <= h as f32, "{wide}x{high} in {w}x{h}: {}", fitted.words);
        let lines = (fitted.height / (fitted.style.px * LINE_HEIGHT)).round() as u32;
        (fitted, lines)
    }

    #[test]
    fn short_text_keeps_its_size() {
        let (fitted, lines) = fitted("洋芋片", 300, 60);
        assert_eq!((fitted.style.px, lines), (34.0, 1));
    }

    #[test]
    fn a_word_gets_smaller_before_it_is_broken() {
        let (fitted, lines) = fitted("Umbrella", 110, 100);
        assert!(fitted.style.px < 34.0 && lines == 1, "{} px, {lines} lines", fitted.style.px);
    }

    #[test]
    fn lines_are_about_equally_long() {
        let (fitted, lines) = fitted("礦泉水 500 毫升", 220, 100);
        assert_eq!(lines, 2);
        assert!(fitted.width < 190.0, "{}", fitted.width);
    }

    #[test]
    fn an_amount_is_never_shortened() {
        let (fitted, lines) = fitted("¥1234567.50", 80, 60);
        assert_eq!((fitted.words.as_str(), lines), ("¥1234567.50", 1));
        let (fitted, lines) = self::fitted("¥1234567.50", 400, 14);
        assert_eq!((fitted.words.as_str(), lines), ("¥1234567.50", 1));
    }

    #[test]
    fn what_never_fits_ends_in_an_ellipsis() {
        for text in ["很長的名字".repeat(200), "word ".repeat(200), "W".repeat(900)] {
            let (fitted, _) = fitted(&text, 200, 50);
            assert!(fitted.words.ends_with('…') && fitted.words.chars().count() > 5, "{}", fitted.words);
        }
    }
}
