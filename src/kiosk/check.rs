//! Checks the configuration with what only rooms above it know: whether the glass can show every text, and whether a lane can be
//! built so, and what a car park's tariff says.

use std::path::Path;

use super::{lane, parking};
use crate::config::{self, Config, ConfigError, Faces, Missing};
use crate::parking::lane::settings::Problem;
use crate::screen::text::Typesetter;

/// Reads and checks `path`.
///
/// # Errors
/// Those of [`config::load`].
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    parse(path, &config::read(path)?)
}

/// Checks `bytes` as if they were the file `path`.
///
/// # Errors
/// Those of [`config::load`].
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Config, ConfigError> {
    let config = config::parse(path, bytes, typeset)?;
    let wrong = lane::settings::problems(&config);
    let mut said: Vec<_> = wrong.into_iter().map(|Problem { key, what }| ("gate", key, what)).collect();
    said.extend(parking::problem(&config).map(|(key, why)| ("parking", key, why.to_string())));
    if said.is_empty() { Ok(config) } else { Err(config::wrong_at(path, bytes, said)) }
}

fn typeset(faces: &Faces) -> Result<Missing, String> {
    let mut typesetter = Typesetter::load(faces).map_err(|error| error.to_string())?;
    Ok(Box::new(move |text, language| typesetter.missing(text, language)))
}
