//! Reading and checking a configuration file.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::document::{Found, Node, Problem};
use super::media::placed;
use super::{Config, Faces, Glass, Wiring, rules, schema, shape, syntax};
use crate::vocabulary::Language;

/// A larger file is not a configuration.
pub const LIMIT: usize = 1 << 20;

/// Prints one line a problem: `FILE:LINE:COL: what is wrong; what to write`.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path}:1:1: can't be read: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}", Problem::lines(problems, path))]
    Wrong { path: PathBuf, problems: Vec<Problem> },
}

/// Which characters of a text in a language are in no face.
pub type Missing = Box<dyn FnMut(&str, &Language) -> BTreeSet<char>>;

/// Opens the faces, as the room does that sets type in them; or says why they can't be used.
pub type Typeset = fn(&Faces) -> Result<Missing, String>;

/// Reads and checks `path`; relative paths in it become relative to the file.
///
/// # Errors
/// When it can't be read, and with everything that is wrong with it, in the order of the file.
pub fn load(path: &Path, typeset: Typeset) -> Result<Config, ConfigError> {
    parse(path, &read(path)?, typeset)
}

/// The relays' wiring alone, whatever else is wrong with the file.
///
/// # Errors
/// When it can't be read, or not even that can be understood.
pub fn load_wiring(path: &Path) -> Result<Wiring, ConfigError> {
    let bytes = read(path)?;
    toml::from_slice(&bytes).map_err(|error| {
        // What `check` says of it is better than what a parser says.
        let unasked: Typeset = |_| Ok(Box::new(|_, _| BTreeSet::new()));
        parse(path, &bytes, unasked).err().unwrap_or_else(|| ConfigError::Wrong {
            path: path.into(),
            problems: vec![Problem { file: None, line: 1, column: 1, what: error.message().replace('\n', " ") }],
        })
    })
}

/// The bytes of a file, as many as a configuration may have and one more.
///
/// # Errors
/// When it can't be read.
pub fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to know, and an endless file ends here.
    std::fs::File::open(path)
        .and_then(|file| file.take(LIMIT as u64 + 1).read_to_end(&mut bytes))
        .map_err(|source| ConfigError::Read { path: path.into(), source })?;
    Ok(bytes)
}

/// Checks `bytes` as if they were the file `path`.
///
/// # Errors
/// As [`load`].
pub fn parse(path: &Path, bytes: &[u8], typeset: Typeset) -> Result<Config, ConfigError> {
    let wrong = |text: &str, found: Found| ConfigError::Wrong { path: path.into(), problems: problems(text, found) };
    let mut found = Found::default();
    if bytes.len() > LIMIT {
        found.add(0, "larger than 1 MiB; write one kiosk's configuration and nothing else");
        return Err(wrong("", found));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let good = &bytes[..e.valid_up_to()];
            found.add(good.len(), "not UTF-8 from here; save the file as UTF-8");
            return Err(wrong(&String::from_utf8_lossy(good), found));
        }
    };
    let directory = path.parent().unwrap_or(Path::new(""));
    match check(text, directory, typeset, &mut found) {
        Some(config) if found.is_empty() => Ok(config),
        _ => Err(wrong(text, found)),
    }
}

/// What a room above says of a file that is right otherwise: for a table and a key of it, what is wrong and what to write.
pub fn wrong_at(path: &Path, bytes: &[u8], said: Vec<(&str, &str, String)>) -> ConfigError {
    let text = String::from_utf8_lossy(bytes);
    let mut found = Found::default();
    let table = syntax::parse(&text, &mut found);
    let document = table.map(|table| Spanned::new(table.span(), DeValue::Table(table.into_inner())));
    for (table, key, what) in said {
        let table = document.as_ref().and_then(|document| Node(document).get(table));
        let node = table.and_then(|table| table.get(key).or(Some(table)));
        found.add(node.map_or(0, Node::at), what);
    }
    ConfigError::Wrong { path: path.into(), problems: problems(&text, found) }
}

/// What is wrong with the `[[rail]]` of another program's file, in its order.
pub fn rails_in(text: &str) -> Vec<Problem> {
    let mut found = Found::default();
    if let Some(table) = syntax::parse(text, &mut found) {
        let document: Spanned<DeValue<'_>> = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
        shape::check_key(Node(&document), &schema(), "rail", &mut found);
    }
    problems(text, found)
}

pub(super) fn problems(text: &str, mut found: Found) -> Vec<Problem> {
    let elsewhere = std::mem::take(&mut found.elsewhere);
    Problem::all(text, found.sorted()).into_iter().chain(elsewhere).collect()
}

/// `None` only with something in `found`.
fn check(text: &str, directory: &Path, typeset: Typeset, found: &mut Found) -> Option<Config> {
    let table = syntax::parse(text, found)?;
    let range = table.span();
    let document: Spanned<DeValue<'_>> = Spanned::new(range.clone(), DeValue::Table(table.get_ref().clone()));
    let file = Node(&document);
    shape::check(file, &schema(), &languages_of(file), found);
    let look = rules::check(text, file, directory, found);
    if !found.is_empty() {
        return None;
    }
    let table: Spanned<DeTable<'_>> = table;
    match Config::deserialize(Deserializer::from(table)) {
        Ok(mut config) => {
            config.glass.look = look;
            config.glass.dress(directory);
            rules::check_typed(&config, file, found);
            resolve(&mut config, directory);
            rules::check_glyphs(&config, file, typeset, found);
            Some(config)
        }
        // The schema is made from these very types, so nothing should be left to say here.
        Err(e) => {
            found.add(e.span().map_or(0, |span| span.start), e.message().replace('\n', " "));
            None
        }
    }
}

/// Those the file asks for: texts in them can be shown.
fn languages_of(file: Node<'_>) -> Vec<String> {
    let own = file.get("kiosk").into_iter().flat_map(|kiosk| kiosk.all("languages")).filter_map(Node::text);
    let more = own.filter(|tag| !super::LANGUAGES.contains(tag));
    super::LANGUAGES.into_iter().chain(more).map(str::to_owned).collect()
}

fn resolve(config: &mut Config, directory: &Path) {
    let Glass { font_sc, font_tc, font_sc_bold, font_tc_bold, font_more, theme, .. } = &mut config.glass;
    let fixed = [&mut config.state.directory, font_sc, font_tc];
    let look = font_sc_bold.iter_mut().chain(font_tc_bold).chain(font_more).chain(theme);
    config.rails.iter_mut().for_each(|rail| rail.provider.resolve(directory));
    let pictures = config.products.iter_mut().filter_map(|product| product.picture.as_mut());
    let trust = config
        .fleet
        .iter_mut()
        .flat_map(|fleet| [&mut fleet.ca, &mut fleet.cert, &mut fleet.root, &mut fleet.keyset])
        .flatten();
    for path in fixed.into_iter().chain(look).chain(trust).chain(&mut config.media.ca) {
        *path = directory.join(&path);
    }
    config.parking.iter_mut().for_each(|parking| parking.resolve(directory));
    pictures.for_each(|picture| *picture = placed(directory, picture));
    if let Some(fleet) = &mut config.fleet {
        let secrets = [&mut fleet.key, &mut fleet.signing_key];
        secrets.into_iter().flatten().for_each(|key| key.resolve(directory));
        let gateway =
            fleet.gateway.iter_mut().flat_map(|gateway| gateway.trusted.iter_mut().chain(&mut gateway.operator));
        let keys = gateway.chain(&mut fleet.back_end);
        keys.for_each(|key| key.file = directory.join(&key.file));
    }
}
