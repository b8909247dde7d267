//! What the collector needs of a database: statements with parameters, and transactions.
//!
//! Policy: the statements are the same for SQLite and PostgreSQL. What a batch brings goes in as one parameter, a JSON
//! array, so that a statement costs one round trip however large the batch is.

use std::fmt::Write as _;

/// A value in a statement or of its answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Number(i64),
    Text(String),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Cell {
    /// 0 where it is no number.
    pub fn number(&self) -> i64 {
        if let Self::Number(number) = self { *number } else { 0 }
    }

    /// A count or a number of an event, which is never negative.
    pub fn count(&self) -> u64 {
        u64::try_from(self.number()).unwrap_or_default()
    }

    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// Empty where it is none.
    pub fn string(&self) -> String {
        self.text().unwrap_or_default().to_owned()
    }
}

pub type Row = Vec<Cell>;

#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("the database can't be used")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the database can't be used")]
    Postgres(#[from] postgres::Error),
    #[error("the database is away")]
    Away,
    #[error("{path} can't be made", path = path.display())]
    Directory { path: std::path::PathBuf, source: std::io::Error },
    #[error("there is no {path}: nothing was collected there", path = path.display())]
    Nothing { path: std::path::PathBuf },
    #[error("the database was made by a newer kioskfleet (tables of version {0})")]
    Newer(i64),
    #[error("no tables of kioskfleet are in the database: nothing was collected there")]
    Empty,
    #[error(
        "no inspection was ever stored in the database: its collector is older than this kioskfleet; start this one's \
         `kioskfleet collect`, which adds what is missing, or ask the machines with `--broker`"
    )]
    NoInspections,
    #[error(transparent)]
    Tls(#[from] crate::fleet::tls::TlsError),
}

impl DatabaseError {
    /// It is there and will refuse the same again, because of what it was given.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::ConstraintViolation | rusqlite::ErrorCode::TooBig)
            ),
            // Classes of SQLSTATE: data exception, integrity constraint violation, program limit exceeded.
            Self::Postgres(error) => {
                let class = error.code().map(|code| code.code().get(..2).unwrap_or_default().to_owned());
                class.is_some_and(|class| ["22", "23", "54"].contains(&class.as_str()))
            }
            _ => false,
        }
    }
}

/// The parts of a statement that the two spell differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// The type of a column that comes in as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
}

impl Dialect {
    /// The JSON array that is parameter `$1`, as a table `n` with these columns.
    pub fn incoming(self, columns: &[(&str, Kind)]) -> String {
        let mut text = String::new();
        match self {
            Self::Sqlite => {
                text += "(SELECT ";
                for (at, (name, _)) in columns.iter().enumerate() {
                    let comma = if at > 0 { ", " } else { "" };
                    // A number becomes one, and a text a text.
                    let _ = write!(text, "{comma}value ->> '{name}' AS {name}");
                }
                text += " FROM json_each($1)) AS n";
            }
            Self::Postgres => {
                text += "json_to_recordset(CAST(CAST($1 AS TEXT) AS JSON)) AS n (";
                for (at, (name, kind)) in columns.iter().enumerate() {
                    let comma = if at > 0 { ", " } else { "" };
                    let kind = if *kind == Kind::Text { "TEXT" } else { "BIGINT" };
                    let _ = write!(text, "{comma}{name} {kind}");
                }
                text.push(')');
            }
        }
        text
    }

    /// Milliseconds since 1970, by the database's clock: the one clock that all collectors share.
    pub fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
            Self::Postgres => "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
        }
    }
}

pub trait Database: Send {
    fn dialect(&self) -> Dialect;

    /// One statement. Parameters are `$1`, `$2`…
    ///
    /// # Errors
    /// The database refuses it or is away.
    fn query(&mut self, statement: &str, parameters: &[Cell]) -> Result<Vec<Row>, DatabaseError>;

    /// Statements without parameters and answers.
    ///
    /// # Errors
    /// The database refuses them or is away.
    fn run(&mut self, statements: &str) -> Result<(), DatabaseError>;

    /// Whether there is a connection; where there was none, a new one is tried.
    ///
    /// # Errors
    /// There is none to be had.
    fn reconnect(&mut self) -> Result<(), DatabaseError>;
}

/// All that `work` does, or nothing of it.
pub fn transaction<T>(
    database: &mut dyn Database,
    work: impl FnOnce(&mut dyn Database) -> Result<T, DatabaseError>,
) -> Result<T, DatabaseError> {
    database.reconnect()?;
    let begin = match database.dialect() {
        // Takes the file's lock at once, so that it can't be refused half way.
        Dialect::Sqlite => "BEGIN IMMEDIATE",
        Dialect::Postgres => "BEGIN",
    };
    database.run(begin)?;
    let done = work(database).and_then(|done| database.run("COMMIT").map(|()| done));
    if done.is_err() {
        // It may have ended by itself, or the connection with it.
        drop(database.run("ROLLBACK"));
    }
    done
}
