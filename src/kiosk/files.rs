//! Files that come with the answer to a command: a picture of the glass, the newest lines of the log, a bundle for support.
//!
//! Policy: one is made once it is on record that somebody asks for it, and beside the loop; what can't be made ends its command as
//! failed, and never anything else. It has no secret: of the log and of the configuration goes what a bundle shows.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use super::{Kiosk, bus};
use crate::bundle::{self, Archive};
use crate::config::{Config, Redaction};
use crate::dbus::{Report, Screenshot};
use crate::fleet::command::LARGEST;
use crate::fleet::link::FilePlace;
use crate::ledger::Reader;
use crate::operation::{Actor, Digest, KeyName, Operation, Request};
use crate::service::{Log, Supervisor};
use crate::signed::statement::Holder;

/// So many lines at most.
const LINES: u32 = 2_000;
/// A ledger with more records is not checked for a bundle: on a small board that takes minutes.
const CHECKED: u64 = 200_000;

/// Makes a file and puts it into its place.
pub(super) type Make = Box<dyn FnOnce(FilePlace) + Send>;

impl Kiosk {
    /// How the file is made that comes with the answer; `None` where none does. Who asks again in another run of the daemon
    /// gets none: it would be of another moment than the command was signed for.
    pub(super) fn maker(&self, request: &Request) -> Option<Make> {
        let make: Make = match &request.asked {
            _ if !request.live || request.expired => return None,
            Operation::Screenshot => {
                let (glass, aside) = (self.edges.glass.clone(), self.aside());
                Box::new(move |place| {
                    glass.picture(Box::new(move |taken| match taken {
                        Ok(Screenshot { frame, .. }) => {
                            aside.make(place, move || frame.png().map_err(|error| error.to_string()))
                        }
                        Err(why) => place.fail(why),
                    }));
                })
            }
            Operation::Logs { lines, since } => {
                let (log, config) = (self.log.clone(), self.in_force.text());
                let lines = lines.map_or(LINES, |lines| lines.get().min(LINES)) as usize;
                let since = since.as_ref().map(|since| since.timestamp());
                let newest = move || Ok(Redaction::of(config.as_bytes()).text(&log.newest(lines, since)).into_bytes());
                let aside = self.aside();
                Box::new(move |place| aside.make(place, newest))
            }
            Operation::Bundle => {
                let Actor::Fleet { kid, .. } = &request.by else { return None };
                let (bundle, aside) = (self.bundle(kid.clone()), self.aside());
                Box::new(move |place| aside.make(place, move || bundle.packed()))
            }
            _ => return None,
        };
        Some(make)
    }

    fn aside(&self) -> Aside {
        Aside { supervisor: self.edges.supervisor.clone(), runtime: self.edges.runtime.handle().clone() }
    }

    fn bundle(&self, kid: KeyName) -> Bundle {
        let link = bus::fleet_link(self.devices.link.as_ref());
        let report = self.told.as_ref().and_then(|told| Report::read(&told.document().to_string(), link));
        let (config, file) = (self.config.clone(), self.in_force.file.clone());
        Bundle { kid, report, config, file, text: self.in_force.text(), log: self.log.clone() }
    }
}

/// Where what takes long is done.
struct Aside {
    supervisor: Supervisor,
    runtime: tokio::runtime::Handle,
}

impl Aside {
    fn make(self, place: FilePlace, make: impl FnOnce() -> Result<Vec<u8>, String> + Send + 'static) {
        let work = async { tokio::task::spawn_blocking(make).await.map_err(|error| error.to_string())? };
        self.supervisor.job(&self.runtime, "a file for the fleet", work, move |made: Result<_, String>| {
            match made.and_then(|made: Result<Vec<u8>, String>| made) {
                Ok(file) => place.send(file),
                Err(why) => place.fail(why),
            }
        });
    }
}

/// What a bundle is made of.
struct Bundle {
    /// For whose key.
    kid: KeyName,
    report: Option<Report>,
    config: Config,
    file: PathBuf,
    /// Of the configuration in force, wherever it came from.
    text: Arc<str>,
    log: Log,
}

impl Bundle {
    fn packed(self) -> Result<Vec<u8>, String> {
        let now = Timestamp::now();
        // A connection of its own: the loop's reads do not wait for a check of the whole ledger.
        let reader = Reader::open(&self.config.state.directory);
        let redaction = bundle::redaction(self.text.as_bytes(), reader.as_ref().ok());
        let mut archive = Archive::new(redaction.and(&std::fs::read(&self.file).unwrap_or_default()));
        match &self.report {
            Some(report) => {
                archive.json("status.json", &report.json());
                archive.text("status.txt", &format!("{report}\n"));
            }
            None => archive.without("status.json", "the kiosk has not said yet how it is"),
        }
        match reader {
            Ok(reader) => bundle::ledger(&reader, CHECKED, &mut archive),
            Err(error) => archive.without("ledger", error),
        }
        // It was right when the kiosk was started with it.
        bundle::configuration(&self.file, self.text.as_bytes(), Ok(&self.config), &mut archive);
        bundle::machine(&self.config.state.directory, &mut archive);
        // This run's, which the daemon has by itself; the journal is not its to read.
        archive.text("journal.txt", &self.log.newest(usize::MAX, None));
        archive.without("kernel-log.txt", "the daemon does not read it; kioskctl bundle on the machine does");

        let facts = json!({
            "at": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "for_key": self.kid,
            "kiosk": self.config.kiosk.id,
            "kioskd": env!("CARGO_PKG_VERSION"),
        });
        let packed = archive.pack(&facts, |sha256| self.seal(sha256), now.as_second().unsigned_abs(), LARGEST);
        packed.map(|packed| packed.file).map_err(|error| error.to_string())
    }

    fn seal(&self, sha256: &Digest) -> Result<String, String> {
        let writer = bus::writer(&self.config).map_err(|_| "the signing_key can't be read".to_owned())?;
        let holder = Holder::Key { kid: self.kid.clone() };
        let seal = writer.seal(sha256.clone(), holder).map_err(|error| error.to_string())?;
        seal.ok_or_else(|| "the configuration has no signing_key".to_owned())
    }
}
