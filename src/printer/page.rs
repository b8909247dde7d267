//! What papers for whoever visits the machine have in common: words in one language, and lines of two.

use super::document::{BODY, Line, clean};
use crate::screen::language::Texts;
use crate::vocabulary::Language;

pub(super) struct Page<'a> {
    pub texts: &'a Texts,
    pub language: &'a Language,
}

impl Page<'_> {
    pub fn say(&self, key: &str) -> String {
        self.texts.get(self.language, key, &[])
    }

    pub fn with(&self, key: &str, name: &str, value: &str) -> String {
        self.texts.get(self.language, key, &[(name, value)])
    }

    /// A word at the left, and what it is at the right.
    pub fn pair(&self, key: &str, right: &str) -> Line {
        Line::Pair { left: self.say(key), right: clean(right), px: BODY, bold: false }
    }
}
