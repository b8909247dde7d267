//! Checks the configuration with what only rooms above it know: whether the glass can show every text.

use std::path::Path;

use crate::config::{self, Config, ConfigError, Faces, Missing};
use crate::screen::text::Typesetter;

/// Reads and checks `path`.
///
/// # Errors
/// Those of [`config::load`].
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    config::load(path, typeset)
}

/// Checks `bytes` as if they were the file `path`.
///
/// # Errors
/// Those of [`config::load`].
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Config, ConfigError> {
    config::parse(path, bytes, typeset)
}

fn typeset(faces: &Faces) -> Result<Missing, String> {
    let mut typesetter = Typesetter::load(faces).map_err(|error| error.to_string())?;
    Ok(Box::new(move |text, language| typesetter.missing(text, language)))
}
