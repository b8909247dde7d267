//! Which database.

use std::path::PathBuf;

use super::database::{Database, DatabaseError};
use super::postgres::Postgres;
use super::sqlite::Sqlite;
use super::store;

/// Where the collected things are.
#[derive(Debug, Clone)]
pub enum Place {
    /// SQLite, in a directory.
    Directory(PathBuf),
    /// PostgreSQL; `ca` certifies it, in place of the system's.
    Server { url: String, ca: Option<PathBuf> },
}

impl Place {
    /// `make`: its tables are made where there are none.
    pub(super) fn open(&self, make: bool) -> Result<Box<dyn Database>, DatabaseError> {
        let mut database: Box<dyn Database> = match self {
            Self::Directory(directory) => Box::new(Sqlite::open(directory, make)?),
            Self::Server { url, ca } => Box::new(Postgres::open(url, ca.as_deref())?),
        };
        if make {
            store::make(&mut *database)?;
        } else {
            store::check(&mut *database)?;
        }
        Ok(database)
    }
}
