//! Texts: an operator's own, in Fluent files beside the theme, and whether every character that can come to the glass is in
//! one of its faces.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fluent_syntax::ast::{Entry, Expression, InlineExpression, Message, Pattern, PatternElement};
use fluent_syntax::parser::parse;

use super::super::document::{Found, Node, Problem, place};
use super::super::load::{LIMIT, Typeset};
use super::super::words::{nearest, quote};
use super::super::{Config, LANGUAGES, SHIPPED, Theme};
use super::Rules;
use crate::vocabulary::Language;

/// A list in a message ends here.
const LISTED: usize = 12;

/// Messages with the arguments of each.
type Messages = BTreeMap<String, BTreeSet<String>>;

/// The messages of a file, and what of it is none.
fn messages(text: &str) -> (Messages, Vec<(usize, String)>) {
    let (resource, errors) = match parse(text) {
        Ok(resource) => (resource, Vec::new()),
        Err((resource, errors)) => (resource, errors),
    };
    let found = resource.body.iter().filter_map(|entry| match entry {
        Entry::Message(Message { id, value: Some(pattern), .. }) => Some((id.name.to_owned(), arguments(pattern))),
        _ => None,
    });
    let found = found.collect();
    (found, errors.into_iter().map(|error| (error.pos.start, error.kind.to_string())).collect())
}

fn arguments(pattern: &Pattern<&str>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for element in &pattern.elements {
        let PatternElement::Placeable { expression } = element else { continue };
        let selector = match expression {
            Expression::Select { selector, variants } => {
                variants.iter().for_each(|variant| all.extend(arguments(&variant.value)));
                selector
            }
            Expression::Inline(inline) => inline,
        };
        if let InlineExpression::VariableReference { id } = selector {
            all.insert(id.name.to_owned());
        }
    }
    all
}

/// The shipped English messages: every other language has the same.
fn reference() -> Messages {
    SHIPPED.iter().find(|(tag, _)| *tag == "en").map(|(_, text)| messages(text).0).unwrap_or_default()
}

fn is_tag(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
    parts.next().is_some_and(|part| (2..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_lowercase()))
        && parts.all(|part| [2, 4].contains(&part.len()) && letters(part))
}

impl Rules<'_, '_> {
    /// The files of `texts`, by language.
    pub(super) fn own_texts(&mut self, node: Node<'_>) -> BTreeMap<Language, String> {
        let mut texts = BTreeMap::new();
        let Some(name) = node.text().filter(|name| !name.trim().is_empty()) else { return texts };
        let folder = self.directory.join(name);
        let files = match std::fs::read_dir(&folder) {
            Ok(files) => files,
            Err(error) => {
                let said = quote(name);
                let what =
                    format!("`texts` {said} can't be read: {error}; write the path of a folder with files like en.ftl");
                self.found.add(node.at(), what);
                return texts;
            }
        };
        let mut files: Vec<_> = files.filter_map(|file| Some(file.ok()?.path())).collect();
        files.sort();
        for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "ftl")) {
            let tag = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let there = std::fs::metadata(file).is_ok_and(|there| there.is_file() && there.len() <= LIMIT as u64);
            match std::fs::read_to_string(file) {
                Ok(text) if there && is_tag(tag) => {
                    self.own_text(file, tag, &text);
                    texts.insert(Language::new(tag), text);
                }
                Ok(_) => {
                    self.at(file, 1, 1, "not a language; name the file after one, like ja.ftl or pt-BR.ftl".into())
                }
                Err(error) => self.at(file, 1, 1, format!("can't be read: {error}; save it as UTF-8")),
            }
        }
        texts
    }

    fn at(&mut self, file: &Path, line: usize, column: usize, what: String) {
        self.found.elsewhere.push(Problem { file: Some(file.into()), line, column, what });
    }

    fn own_text(&mut self, file: &Path, tag: &str, text: &str) {
        let (own, errors) = messages(text);
        for (at, why) in errors {
            let (line, column) = place(text, at);
            self.at(file, line, column, format!("not a Fluent message: {why}; write NAME = TEXT"));
        }
        let known = reference();
        let line_of = |name: &str| {
            let begins = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='));
            text.lines().position(begins).map_or(1, |line| line + 1)
        };
        for (name, arguments) in &own {
            let Some(expected) = known.get(name) else {
                let advice = match nearest(name, known.keys().map(String::as_str)) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "leave it out".into(),
                };
                self.at(file, line_of(name), 1, format!("unused text `{name}`; {advice}"));
                continue;
            };
            for argument in arguments.difference(expected) {
                let advice = match expected.iter().next() {
                    Some(first) => format!("write {{ ${first} }}"),
                    None => "write it without".into(),
                };
                self.at(file, line_of(name), 1, format!("`{name}` has no `${argument}`; {advice}"));
            }
        }
        if !LANGUAGES.contains(&tag) {
            let missing: Vec<&str> = known.keys().filter(|name| !own.contains_key(*name)).map(String::as_str).collect();
            if !missing.is_empty() {
                let some = missing.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
                let more = missing.len().saturating_sub(LISTED);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                self.at(file, 1, 1, format!("missing texts: {some}{more}; write each of them"));
            }
        }
    }

    /// Every language asked for has texts.
    pub(super) fn languages(&mut self, file: Node<'_>, look: &Theme) {
        let own = look.texts.keys().map(Language::tag);
        let known: BTreeSet<&str> = LANGUAGES.into_iter().chain(own).collect();
        for node in file.get("kiosk").into_iter().flat_map(|kiosk| kiosk.all("languages")) {
            let Some(tag) = node.text().filter(|tag| !known.contains(tag)) else { continue };
            let advice = match nearest(tag, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => {
                    let known = known.iter().copied().collect::<Vec<_>>().join(", ");
                    format!("write one of {known}, or put its texts into the theme's `texts`")
                }
            };
            self.found.add(node.at(), format!("unknown language {}; {advice}", quote(tag)));
        }
    }
}

/// As people see it in a message; one that shows nothing there by its number.
fn named(c: char) -> String {
    if c.escape_debug().len() == 1 { c.to_string() } else { format!("U+{:04X} ", u32::from(c)) }
}

/// Every character of a text that people see is in a face. Asked when the fonts are known to be fonts.
pub(in super::super) fn glyphs(config: &Config, file: Node<'_>, typeset: Typeset, found: &mut Found) {
    let mut missing = match typeset(&config.glass.faces()) {
        Ok(missing) => missing,
        Err(error) => {
            let at = file.get("glass").map_or(0, Node::at);
            return found.add(at, format!("a font can't be used: {error}; write the path of another"));
        }
    };
    let mut lost = |text: &str, language: &Language| -> String {
        missing(text, language).into_iter().take(LISTED).map(named).collect()
    };
    for key in ["kiosk", "rail", "category", "product"] {
        let Some(node) = file.get(key) else { continue };
        node.walk(&mut |node| {
            // Texts by language.
            let by_language = node.entries().next().is_some_and(|(key, _)| {
                LANGUAGES.contains(&&**key.get_ref())
                    || config.kiosk.languages.iter().any(|l| l.tag() == &**key.get_ref())
            });
            if !by_language {
                return;
            }
            for (language, text) in node.entries() {
                let language = Language::new(&**language.get_ref());
                let lost = text.text().map(|text| lost(text, &language)).unwrap_or_default();
                if !lost.is_empty() {
                    let what = format!(
                        "no face of the glass has {lost}; write it otherwise, or name a font that has it in `font_more`"
                    );
                    found.add(text.at(), what);
                }
            }
        });
    }
    let folder = |theme: &Path| theme.display().to_string();
    for (language, text) in &config.glass.look.texts {
        let lost = lost(text, language);
        if !lost.is_empty() {
            let theme = config.glass.theme.as_deref().map(folder).unwrap_or_default();
            let at = file.get("glass").and_then(|glass| glass.get("theme")).map_or(0, Node::at);
            let what = format!(
                "no face of the glass has {lost}, which stands in the texts for `{language}` of {theme}; name a font that has it in `font_more`"
            );
            found.add(at, what);
        }
    }
}
