//! With which configuration the kiosk runs: the file's, or one that came from the fleet.
//!
//! Policy: the file on the machine is the base. It says where the ledger is, and the ledger has what came from the fleet.
//! The fleet's newest that was kept is used as long as the file is what it was then: who has changed the file on the
//! machine since has the last word, and the state says so. Each start with one on trial is counted on disk before anything
//! is done with it. What can't be read, does not start, or has been started too often is given up, and the one before is
//! used; the sale records why.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::media::{Media, Sweep};
use super::{Kiosk, KioskError, Options, start};
use crate::config::{self, Config, ConfigError};
use crate::ledger::{Configurations, DirectoryLock, LedgerError, Reader, StoredConfig};
use crate::operation::{ConfigText, Digest, Operation};
use crate::sale::State;
use crate::sale::event::{Checked, Event, NotUsed};
use crate::service;
use crate::vocabulary::Cause;

/// What has come of a check.
pub(crate) type CheckedConfig = Result<Option<Checked>, NotUsed>;

/// Whether a picture is on this machine.
pub(crate) type IsThere = Box<dyn Fn(&Digest) -> bool + Send>;

/// In the state directory, while a configuration is on trial. Losing it gives the trial its starts back.
const NOTE: &str = "trial";
/// Whoever has written in the ledger.
const ALTERED: &str = "the configuration in the ledger is not the one that was recorded";
/// So often the kiosk is started with a configuration on trial.
const STARTS: u32 = 3;
/// So many problems are told, each of so many characters.
const TOLD: usize = 20;
const LONGEST: usize = 300;

/// What the kiosk was started with, as the state says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ConfigStatus {
    /// SHA-256 of its text.
    #[schemars(with = "String")]
    pub digest: Digest,
    pub origin: Origin,
    /// It is kept when the kiosk sells with it.
    pub trial: bool,
    /// The newest that was not kept, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<RejectedConfig>,
    /// The fleet's, which is not used because the file on the machine was changed after it came, or because it can't be read
    /// any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub unused: Option<Digest>,
    /// Pictures that it names by their SHA-256 and that are not there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub missing_media: Vec<Digest>,
}

/// Where a configuration came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The file on the machine.
    File,
    /// A command.
    Fleet,
}

/// A configuration that was not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RejectedConfig {
    #[schemars(with = "String")]
    pub digest: Digest,
    pub why: String,
    pub cause: &'static str,
}

/// How the text of a configuration file is read and checked.
pub(crate) type Parse = fn(&Path, &[u8]) -> Result<Config, ConfigError>;

/// The kiosk's configuration, and where its ledger is.
pub(crate) struct Chosen {
    pub config: Config,
    pub in_force: InForce,
    /// Of the file's state directory.
    pub lock: Result<DirectoryLock, LedgerError>,
}

/// What is known of the configuration of this run.
#[derive(Debug)]
pub(crate) struct InForce {
    pub file: PathBuf,
    parse: Parse,
    pub status: ConfigStatus,
    /// Why the one on trial is not used.
    pub given_up: Option<Cause>,
    /// Why the one that was kept is not what was recorded.
    pub altered: Option<String>,
    text: Arc<str>,
    base: Digest,
    trial: Option<TrialNote>,
    pictures: Pictures,
}

/// Which pictures are named by the configurations that count.
#[derive(Debug, Default)]
struct Pictures {
    /// By the file on the machine.
    file: BTreeSet<Digest>,
    /// By the one of this run.
    now: BTreeSet<Digest>,
    /// By the others; `None` while it is not known what the ledger has.
    others: Option<BTreeSet<Digest>>,
}

/// Which trial it is, how often the kiosk was started with it, and why it could not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    seq: u64,
    starts: u32,
    why: Option<String>,
}

/// The file with the note.
#[derive(Debug, Clone)]
pub(crate) struct TrialNote {
    path: PathBuf,
    note: Note,
}

impl TrialNote {
    fn read(directory: &Path, seq: u64) -> Self {
        let path = directory.join(NOTE);
        let written = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Note>(&text).ok());
        let note = written.filter(|note| note.seq == seq).unwrap_or(Note { seq, starts: 0, why: None });
        Self { path, note }
    }

    fn write(&self) -> std::io::Result<()> {
        service::replace(&self.path, &serde_json::to_vec(&self.note)?)
    }

    /// The kiosk can't be started with it, so the next start is without it. False where that can't be written.
    pub fn failed(mut self, why: &impl Display) -> bool {
        self.note.why = Some(why.to_string());
        self.write().inspect_err(|error| tracing::error!(%error, "a failed trial can't be noted")).is_ok()
    }
}

/// Reads the file and the ledger; what stands in `options` goes before both.
///
/// # Errors
/// The file can't be read, or is wrong: then nobody knows where the ledger is.
pub(crate) fn choose(options: &Options, parse: Parse) -> Result<Chosen, KioskError> {
    let bytes = config::read(&options.config)?;
    let mut config = start::overridden(parse(&options.config, &bytes)?, options);
    // What was parsed is UTF-8.
    let text: Arc<str> = String::from_utf8_lossy(&bytes).into();
    // Before any relay, panel or printer is touched: they may be those of the daemon that is at work here.
    let lock = DirectoryLock::take(&config.state.directory);
    let mut in_force = InForce::file(&options.config, text, parse);
    if let Ok(lock) = &lock
        // Of a ledger that can't be read the kiosk speaks when it opens it.
        && let Ok(stored) = Reader::open(lock.directory()).and_then(|reader| reader.configurations())
    {
        config = in_force.take_up(options, lock.directory(), stored).unwrap_or(config);
    }
    Ok(Chosen { config, in_force, lock })
}

impl InForce {
    /// That is the file's.
    pub fn file(path: &Path, text: Arc<str>, parse: Parse) -> Self {
        let base = Digest::of(text.as_bytes());
        let digest = base.clone();
        let (rejected, unused, missing_media) = (None, None, Vec::new());
        let status = ConfigStatus { digest, origin: Origin::File, trial: false, rejected, unused, missing_media };
        let file = config::media_in(&text);
        let pictures = Pictures { now: file.clone(), file, others: None };
        Self { file: path.into(), parse, status, given_up: None, altered: None, text, base, trial: None, pictures }
    }

    /// Another configuration than the file's, where one counts.
    fn take_up(&mut self, options: &Options, directory: &Path, stored: Configurations) -> Option<Config> {
        self.status.rejected = stored.rejected.map(|(digest, why)| RejectedConfig::new(digest, &why));
        if let Some(trial) = stored.trial {
            match self.start_trial(options, directory, &trial) {
                Ok(config) => return Some(config),
                Err(why) => {
                    tracing::error!(%why, digest = %trial.digest, "the configuration on trial is given up");
                    self.status.rejected = Some(RejectedConfig::new(trial.digest, &why));
                    self.given_up = Some(why);
                }
            }
        }
        let kept = stored.kept?;
        // One that is not used keeps nobody from selling.
        if kept.base == self.base && Digest::of(kept.text.as_str().as_bytes()) != kept.digest {
            self.altered = Some(ALTERED.to_owned());
        }
        let used = if kept.base == self.base { self.stored(options, &kept) } else { Err(Cause::FileChanged) };
        used.inspect_err(|why| {
            tracing::warn!(%why, digest = %kept.digest, "the fleet's configuration is not used");
            self.status.unused = Some(kept.digest.clone());
        })
        .ok()
    }

    /// Counted before it is used.
    fn start_trial(&mut self, options: &Options, directory: &Path, trial: &StoredConfig) -> Result<Config, Cause> {
        if trial.base != self.base {
            return Err(Cause::FileChanged);
        }
        let not_started = |detail: String| Cause::NotStarted { detail };
        let mut note = TrialNote::read(directory, trial.seq);
        if let Some(why) = note.note.why {
            return Err(not_started(why));
        }
        if note.note.starts >= STARTS {
            return Err(not_started(format!("it was started {STARTS} times and did not stay up")));
        }
        note.note.starts += 1;
        note.write().map_err(|error| not_started(format!("{}: {error}", note.path.display())))?;
        let config = self.stored(options, trial)?;
        self.status.trial = true;
        self.trial = Some(note);
        Ok(config)
    }

    fn stored(&mut self, options: &Options, stored: &StoredConfig) -> Result<Config, Cause> {
        let text = stored.text.as_str();
        if Digest::of(text.as_bytes()) != stored.digest {
            return Err(Cause::NotStarted { detail: ALTERED.to_owned() });
        }
        let parsed = (self.parse)(&options.config, text.as_bytes());
        let config = parsed.map_err(|error| Cause::NotStarted { detail: problems(&error).join("; ") })?;
        self.text = text.into();
        self.pictures.now = config::media_in(text);
        (self.status.digest, self.status.origin) = (stored.digest.clone(), Origin::Fleet);
        Ok(start::overridden(config, options))
    }

    /// Whether the pictures are there that it names.
    pub(super) fn look_for_media(&mut self, media: &Media) {
        self.status.missing_media = self.pictures.now.iter().filter(|digest| !media.has(digest)).cloned().collect();
        if !self.status.missing_media.is_empty() {
            tracing::warn!(missing = ?self.status.missing_media, "pictures of the configuration are not there");
        }
    }

    /// At a start: of one that was given up nothing whole is kept.
    pub(super) fn sweep_at_start(&mut self, media: &Media, reader: &Reader) {
        match reader.configurations() {
            Ok(Configurations { kept, trial, .. }) => {
                let counts = kept.into_iter().chain(trial.filter(|_| self.status.trial));
                let named = counts.flat_map(|stored| config::media_in(stored.text.as_str()));
                self.pictures.others = Some(named.collect());
            }
            Err(error) => tracing::warn!(%error, "no picture is removed, because the ledger may name it"),
        }
        let given_up = self.given_up.is_some() || self.status.rejected.is_some();
        self.sweep(media, if given_up { Sweep::Whole } else { Sweep::Old });
    }

    /// Throws away what no configuration names that counts.
    pub(super) fn sweep(&self, media: &Media, what: Sweep) {
        if let Some(named) = self.named() {
            media.sweep(&named, what);
        }
    }

    /// What stays. `None` where nobody can say it.
    fn named(&self) -> Option<BTreeSet<Digest>> {
        let Pictures { file, now, others } = &self.pictures;
        Some(file | now).zip(others.as_ref()).map(|(own, others)| &own | others)
    }

    /// What is to be run in order to check what an operation asks for.
    pub fn check(&self, asked: Operation, is_there: IsThere) -> impl FnOnce() -> CheckedConfig + Send + 'static {
        let Self { file, parse, text, base, status, .. } = self;
        let (now, digest, base) = (Arc::clone(text), status.digest.clone(), base.clone());
        let (file, parse) = (file.clone(), *parse);
        move || checked((&file, parse), &now, (&digest, base), &asked, &is_there)
    }

    /// Why the configuration that is on trial by the ledger is not the one of this run.
    pub fn why_not_tried(&mut self, state: &State) -> Option<Cause> {
        let unread = state.configuration.trial.is_some() && !self.status.trial;
        let unread = unread.then(|| Cause::NotStarted { detail: "what the ledger has of it can't be read".to_owned() });
        self.given_up.take().or(unread)
    }

    /// As its file would hold it.
    pub fn text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// Where the run is one of a trial.
    pub fn trial(&self) -> Option<TrialNote> {
        self.trial.clone()
    }

    /// The trial has ended well.
    pub fn kept(&mut self) {
        (self.status.trial, self.status.rejected) = (false, None);
        self.pictures.others = Some(BTreeSet::new());
        if let Some(note) = self.trial.take()
            && let Err(error) = std::fs::remove_file(&note.path)
        {
            tracing::debug!(%error, "the note of a trial stays");
        }
    }
}

impl RejectedConfig {
    fn new(digest: Digest, why: &Cause) -> Self {
        Self { digest, why: why.to_string(), cause: why.kind() }
    }
}

/// A line each, so many and so long as an answer takes.
fn problems(error: &ConfigError) -> Vec<String> {
    error.to_string().lines().map(|line| line.chars().take(LONGEST).collect()).take(TOLD).collect()
}

/// What an operation asks for, checked as a file is; `None` where it is in force. Takes some ten milliseconds and more.
fn checked(
    (file, parse): (&Path, Parse),
    now: &str,
    (digest, base): (&Digest, Digest),
    asked: &Operation,
    is_there: &IsThere,
) -> CheckedConfig {
    let made = match asked {
        Operation::ApplyConfig { .. } => None,
        Operation::SetPrices { prices } => Some(config::with_prices(now, prices).map_err(NotUsed::Wrong)?),
        Operation::SetPlanogram { slots } => Some(config::with_planogram(now, slots).map_err(NotUsed::Wrong)?),
        Operation::SetMedia { products, slides, logo } => {
            let made = config::with_media(now, products, slides.as_deref(), logo.as_ref());
            Some(made.map_err(NotUsed::Wrong)?)
        }
        _ => return Err(NotUsed::Wrong(vec!["it asks for no configuration".to_owned()])),
    };
    let made = match made.as_deref().map(ConfigText::parse) {
        Some(None) => return Err(NotUsed::Wrong(vec!["the configuration becomes longer than 64 KiB".to_owned()])),
        other => other.flatten(),
    };
    let new = match (&made, asked) {
        (Some(made), _) => made,
        (None, Operation::ApplyConfig { config }) => config,
        (None, _) => return Ok(None),
    };
    let config = Digest::of(new.as_str().as_bytes());
    if config == *digest {
        return Ok(None);
    }
    parse(file, new.as_str().as_bytes()).map_err(|error| NotUsed::Wrong(problems(&error)))?;
    // One that is missed already keeps nobody from changing a price.
    let known = config::media_in(now);
    let missing =
        config::media_in(new.as_str()).into_iter().filter(|digest| !known.contains(digest) && !is_there(digest));
    let missing: Vec<String> = missing
        .take(TOLD)
        .map(|digest| format!("the picture sha256:{digest} is not on this machine; send it with set-media first"))
        .collect();
    if !missing.is_empty() {
        return Err(NotUsed::BadMedia(missing));
    }
    let foreign = config::foreign_changes(file, now, new.as_str());
    if foreign.is_empty() { Ok(Some(Checked { config, base, text: made })) } else { Err(NotUsed::Wrong(foreign)) }
}

impl Kiosk {
    /// The sale goes on meanwhile. Pictures are fetched when nothing else is wrong.
    pub(super) fn check_config(&self, asked: Operation) {
        let (media, inputs) = (Media::new(&self.config), self.edges.inputs.clone());
        let named = self.in_force.named();
        let its = media.clone();
        let brings = matches!(asked, Operation::SetMedia { .. });
        let first = brings.then(|| self.in_force.check(asked.clone(), Box::new(|_| true)));
        let check = self.in_force.check(asked.clone(), Box::new(move |digest| its.has(digest)));
        let work = move || {
            if let Some(check) = first {
                check()?;
                media.fetch(&asked, named.as_ref())?;
            }
            check()
        };
        let not_ended = || NotUsed::Wrong(vec!["its check has not come to an end".to_owned()]);
        let check = async move {
            let ended = tokio::task::spawn_blocking(work).await;
            ended.unwrap_or_else(|_| Err(not_ended()))
        };
        self.edges.supervisor.job(self.edges.runtime.handle(), "the check of a configuration", check, move |result| {
            let result = result.unwrap_or_else(|panic| Err(NotUsed::Wrong(vec![panic])));
            drop(inputs.send(super::Input::Event(Event::ConfigChecked { result })));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::RequestId;

    /// Somebody has written in the ledger, far behind what a start verifies of its chain.
    #[test]
    fn a_configuration_that_is_not_what_was_recorded_is_not_used_and_fails_the_self_check() {
        let file = Path::new("kiosk.toml");
        let parse: Parse =
            |_, _| Err(ConfigError::Read { path: "parsed".into(), source: std::io::ErrorKind::Other.into() });
        let recorded = "what was recorded";
        let kept = |text: &str| StoredConfig {
            seq: 7,
            id: RequestId::parse("c1").unwrap(),
            digest: Digest::of(recorded.as_bytes()),
            base: Digest::of(b"file"),
            text: ConfigText::parse(text).unwrap(),
        };
        let take_up = |text: &str| {
            let mut in_force = InForce::file(file, "file".into(), parse);
            let stored = Configurations { kept: Some(kept(text)), ..Configurations::default() };
            assert!(in_force.take_up(&Options::default(), Path::new("/nowhere"), stored).is_none());
            in_force
        };
        let altered = take_up("what somebody has written");
        assert_eq!(altered.altered.as_deref(), Some(ALTERED));
        assert_eq!(
            (altered.status.origin, altered.status.unused),
            (Origin::File, Some(Digest::of(recorded.as_bytes())))
        );
        assert_eq!(take_up(recorded).altered, None, "it can't be parsed here, and is what was recorded");
    }
}
