//! The theme's file: its shape, its colours by their contrast, its pictures, and its texts.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeValue, Deserializer};

use super::super::document::{Found, Node};
use super::super::load::{LIMIT, problems};
use super::super::schema::theme_schema;
use super::super::theme::{Palette, Theme, ThemeFile, color_of, minute_of};
use super::super::words::quote;
use super::super::{shape, syntax};
use super::Rules;

impl Rules<'_, '_> {
    /// What `[glass] theme` names, as far as it is right.
    pub(super) fn look(&mut self, glass: Node<'_>) -> Theme {
        let Some(node) = glass.get("theme") else { return Theme::default() };
        let Some(name) = node.text().filter(|name| !name.trim().is_empty()) else { return Theme::default() };
        let path = self.directory.join(name);
        let text = std::fs::metadata(&path).and_then(|there| match there.len() {
            length if there.is_file() && length <= LIMIT as u64 => std::fs::read_to_string(&path),
            _ => Err(std::io::Error::other("not a file of at most 1 MiB")),
        });
        let text = match text {
            Ok(text) => text,
            Err(error) => {
                let said = quote(name);
                let what =
                    format!("`theme` {said} can't be read: {error}; write the path of a theme, seen from this file");
                self.found.add(node.at(), what);
                return Theme::default();
            }
        };
        let directory = path.parent().unwrap_or(Path::new(""));
        let mut found = Found::default();
        let theme = read(&text, directory, &mut found);
        let here = problems(&text, found);
        self.found.elsewhere.extend(here.into_iter().map(|mut problem| {
            problem.file.get_or_insert_with(|| path.clone());
            problem
        }));
        theme.unwrap_or_default()
    }
}

fn read(text: &str, directory: &Path, found: &mut Found) -> Option<Theme> {
    let table = syntax::parse(text, found)?;
    let document: Spanned<DeValue<'_>> = Spanned::new(table.span(), DeValue::Table(table.get_ref().clone()));
    let file = Node(&document);
    shape::check(file, &theme_schema(), &[], found);
    let mut rules = Rules { text, directory, fleet: None, found };
    rules.colors(file);
    if let Some(logo) = file.get("logo") {
        rules.picture(logo, "logo");
    }
    for slide in file.all("slide") {
        rules.slide(slide);
    }
    let texts = match file.get("texts") {
        Some(node) => rules.own_texts(node),
        None => BTreeMap::new(),
    };
    let palette = palette(file);
    contrast(&palette, file, found);
    Some(ThemeFile::deserialize(Deserializer::from(table)).ok()?.theme(directory, palette, texts))
}

/// Out of what is right in the file, so that one mistake hides no other.
fn palette(file: Node<'_>) -> Palette {
    let base = match file.get("base").and_then(Node::text) {
        Some("dark") => Palette::DARK,
        _ => Palette::LIGHT,
    };
    base.with(|key| color_of(file.get("colors")?.get(key)?.text()?))
}

/// Every pair of colours that comes to stand on each other, at the place of one that the file gives.
fn contrast(palette: &Palette, file: Node<'_>, found: &mut Found) {
    let colors = file.get("colors");
    for (above, below, has, needs) in palette.pairs() {
        if has >= needs {
            continue;
        }
        let given = |key| colors.and_then(|colors: Node<'_>| colors.get(key));
        let at = given(above).or_else(|| given(below)).map_or(0, Node::at);
        // Down, so that 4.46 isn't told to become 4.5.
        let has = (has * 10.0).floor() / 10.0;
        let what = format!(
            "`{above}` on `{below}` has a contrast of {has:.1}, which many can't read; make one lighter or darker until it \
             is {needs}"
        );
        found.add(at, what);
    }
}

impl Rules<'_, '_> {
    fn colors(&mut self, file: Node<'_>) {
        for (key, node) in file.get("colors").into_iter().flat_map(Node::entries) {
            if let Some(said) = node.text().filter(|text| color_of(text).is_none()) {
                let what = format!("`{}` can't be {}; write \"#RRGGBB\", like \"#0b57d0\"", key.get_ref(), quote(said));
                self.found.add(node.at(), what);
            }
        }
    }

    fn slide(&mut self, slide: Node<'_>) {
        if let Some(node) = slide.get("picture") {
            self.picture(node, "picture");
        }
        self.slide_hours(slide);
    }

    /// Both of them, or neither.
    pub(super) fn slide_hours(&mut self, slide: Node<'_>) {
        self.hours(slide);
        let (from, until) = (slide.get("from"), slide.get("until"));
        let lonely = match (from, until) {
            (Some(node), None) => Some((node, "from", "until")),
            (None, Some(node)) => Some((node, "until", "from")),
            _ => None,
        };
        if let Some((node, one, other)) = lonely {
            self.found.add(node.at(), format!("`{one}` needs `{other}`; write both, or neither for the whole day"));
        }
    }

    /// The `from` and `until` of a table.
    pub(super) fn hours(&mut self, table: Node<'_>) {
        for key in ["from", "until"] {
            self.form(table, key, |text| minute_of(text).is_some(), "the time of the day, like \"06:30\"");
        }
    }
}
