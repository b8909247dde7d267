//! Where the collected things are, as it is typed.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use kioskd::fleet::collector::{Collected, Place};
use kioskd::fleet::topic::Name;
use kioskd::signed::keys::KeySource;

use crate::name;

#[derive(Args)]
pub struct PlaceArguments {
    /// PostgreSQL: postgresql://USER@HOST/NAME, or file:PATH or credential:NAME where that is written, with its password.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// The CA that certifies the database, in place of the system's.
    #[arg(long, value_name = "FILE", requires = "database")]
    database_ca: Option<PathBuf>,
    /// Without --database: the directory of the SQLite file.
    #[arg(long, value_name = "DIR", default_value = "kioskfleet", conflicts_with = "database")]
    state: PathBuf,
}

impl PlaceArguments {
    pub fn place(&self) -> anyhow::Result<Place> {
        let Some(url) = &self.database else { return Ok(Place::Directory(self.state.clone())) };
        let url = match KeySource::parse(url) {
            Ok(source) => {
                let text = source.secret()?;
                String::from_utf8(text.to_vec()).context("the database's URL is not a text")?.trim().to_owned()
            }
            Err(_) => url.clone(),
        };
        Ok(Place::Server { url, ca: self.database_ca.clone() })
    }
}

/// One fleet, to be read.
#[derive(Args)]
pub struct CollectedArguments {
    #[command(flatten)]
    place: PlaceArguments,
    /// The fleet's name, where the database has several.
    #[arg(long, value_parser = name)]
    fleet: Option<Name>,
}

impl CollectedArguments {
    pub fn fleet(&self) -> Option<&Name> {
        self.fleet.as_ref()
    }

    pub fn open(&self) -> anyhow::Result<Collected> {
        Ok(Collected::open(&self.place.place()?, self.fleet.as_ref())?)
    }
}
