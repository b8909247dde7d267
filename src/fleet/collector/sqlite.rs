//! One file, for as many machines as one collector can serve.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};

use super::database::{Cell, Database, DatabaseError, Dialect, Row};

pub const FILE: &str = "fleet.db";
/// Another process commits in between; it is done sooner than this.
const PATIENCE: Duration = Duration::from_secs(10);
const STATEMENTS: usize = 64;

pub struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    /// The file of a directory, made where there is none and `make` says so.
    ///
    /// # Errors
    /// It can't be made or opened.
    pub fn open(directory: &Path, make: bool) -> Result<Self, DatabaseError> {
        let file = directory.join(FILE);
        if make {
            let failed = |source| DatabaseError::Directory { path: directory.into(), source };
            std::fs::create_dir_all(directory).map_err(failed)?;
        } else if !file.exists() {
            return Err(DatabaseError::Nothing { path: file });
        }
        let connection = Connection::open(file)?;
        connection.busy_timeout(PATIENCE)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // An acknowledgement follows a commit: it must be on the disk.
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(Self { connection })
    }
}

impl rusqlite::ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Cell::Null => ValueRef::Null,
            Cell::Number(number) => ValueRef::Integer(*number),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

impl Database for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn query(&mut self, statement: &str, parameters: &[Cell]) -> Result<Vec<Row>, DatabaseError> {
        // `$1` would be a name to SQLite; no statement has the sign for anything else.
        let mut statement = self.connection.prepare_cached(&statement.replace('$', "?"))?;
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            let cell = |at| {
                Ok(match row.get_ref(at)? {
                    ValueRef::Integer(number) => Cell::Number(number),
                    ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
                    ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => Cell::Null,
                })
            };
            all.push((0..columns).map(cell).collect::<rusqlite::Result<Row>>()?);
        }
        Ok(all)
    }

    fn run(&mut self, statements: &str) -> Result<(), DatabaseError> {
        Ok(self.connection.execute_batch(statements)?)
    }

    fn reconnect(&mut self) -> Result<(), DatabaseError> {
        Ok(())
    }
}
