//! Reading and checking a configuration file.

use std::path::Path;

use super::Config;

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub line: usize,
    pub column: usize,
    /// What is wrong and what to write instead.
    pub what: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path}: {source}", path = path.display())]
    Read { path: std::path::PathBuf, source: std::io::Error },
    #[error("{path}: {} problem(s)", problems.len(), path = path.display())]
    Wrong { path: std::path::PathBuf, problems: Vec<Problem> },
}

/// Reads and checks `path`; relative paths in it become relative to the file.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
    let wrong =
        |what: String| ConfigError::Wrong { path: path.into(), problems: vec![Problem { line: 1, column: 1, what }] };
    toml::from_str(&text).map_err(|e| wrong(e.to_string()))
}

/// The JSON schema of the file.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Config).into()
}
