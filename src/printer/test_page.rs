//! A page for whoever wants to see whether the printer is set up right: both edges of the paper, characters of every
//! kind, and a code.

use super::document::{BODY, Document, Line, SMALL, TITLE, clean, middle};
use super::page::Page;
use crate::config::PaperText;
use crate::screen::language::Texts;
use crate::vocabulary::Language;

/// What is on it besides. The operator's words are in `language` already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestPage {
    pub language: Language,
    pub kiosk: String,
    pub place: String,
    /// As people read it; `None` while the clock is unknown.
    pub time: Option<String>,
    /// A line in each language of the kiosk.
    pub samples: Vec<String>,
}

/// Printers with a wrong code page show something else here first.
const CHARACTERS: [&str; 3] = ["0123456789 +-×.,:/ ¥ %", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"];

/// `columns`: dots across.
pub(super) fn document(texts: &Texts, page: &TestPage, columns: u32, text: PaperText) -> Document {
    let words = Page { texts, language: &page.language };
    let unknown = words.say("paper-clock-unknown");
    let way = match text {
        PaperText::Raster => "raster",
        PaperText::Gb18030 => "gb18030",
    };
    let mut lines = vec![
        Line::Feed(16),
        middle(&words.say("paper-test-page"), TITLE, true),
        Line::Rule,
        words.pair("paper-place", &page.place),
        words.pair("paper-kiosk", &page.kiosk),
        words.pair("paper-time", page.time.as_deref().unwrap_or(&unknown)),
        Line::Rule,
        // Both arrows whole, each at its edge: the width is right.
        Line::Pair { left: "|<-".into(), right: "->|".into(), px: BODY, bold: true },
        middle(&format!("{columns} / {way} / kioskd {}", env!("CARGO_PKG_VERSION")), SMALL, false),
        Line::Rule,
    ];
    lines.extend(page.samples.iter().map(|sample| middle(sample, BODY, false)));
    lines.extend(CHARACTERS.map(|characters| middle(characters, SMALL, false)));
    let time = page.time.as_deref().unwrap_or("-");
    lines.extend([Line::Code(clean(&format!("kioskd test page of {} {time}", page.kiosk))), Line::Feed(24)]);
    Document { language: page.language.clone(), lines }
}
