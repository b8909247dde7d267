//! Pictures that came from the fleet, in a folder of the state directory, each a file that is called by its SHA-256.
//!
//! Policy: a file gets its name there only when it is whole, is what was asked for, and can be shown; until then it has
//! another, under which nothing is looked for, and from which a later command goes on. All of them together are bounded.
//! Those stay that a configuration names which counts: in force, on trial, the one before, the file on the machine.
//! Whatever else lies there goes when a configuration is kept or given up, when other pictures are asked for, and at a
//! start a day later.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::config::{self, Config};
use crate::download::{Download, Failed, is_it};
use crate::operation::{Digest, MediaUrl, Medium, Operation};
use crate::sale::event::NotUsed;
use crate::screen::picture;
use crate::vocabulary::text::one_line;

/// Of the state directory.
const FOLDER: &str = "media";
/// What is not whole yet.
const PART: &str = "part";
/// What a command that was broken off has left is there for its repetition so long.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// So many problems are told, each in so many characters.
const TOLD: usize = 20;
const LONGEST: usize = 300;
/// The first wait between two tries.
const WAIT: Duration = Duration::from_secs(1);
/// So long one connection is waited for.
const CONNECTION: Duration = Duration::from_secs(60);

/// Where the pictures are, in a state directory.
pub(crate) fn folder(state: &Path) -> PathBuf {
    state.join(FOLDER)
}

/// The folder with the pictures.
#[derive(Debug, Clone)]
pub(crate) struct Media {
    folder: PathBuf,
    limits: config::Media,
    /// So much stays free on the disk.
    min_free: u64,
}

/// When what nobody names goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sweep {
    Now,
    /// What is whole; and of the rest, as with the next.
    Whole,
    /// What a command has left that was broken off not long ago stays.
    Old,
}

impl Media {
    pub fn new(config: &Config) -> Self {
        Self {
            folder: folder(&config.state.directory),
            limits: config.media.clone(),
            min_free: config.state.min_free.0,
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.as_str())
    }

    fn part(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{digest}.{PART}"))
    }

    /// Whether it is there, by its name.
    pub fn has(&self, digest: &Digest) -> bool {
        std::fs::symlink_metadata(self.path(digest)).is_ok_and(|there| there.is_file())
    }

    /// Throws away what is not `named`.
    pub fn sweep(&self, named: &BTreeSet<Digest>, what: Sweep) {
        let is_old = |file: &std::fs::DirEntry| {
            let written = file.metadata().and_then(|there| there.modified());
            written.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > KEPT))
        };
        for file in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let path = file.path();
            let digest = path.file_stem().and_then(|stem| Digest::parse(stem.to_str()?));
            let kept = digest.is_some_and(|digest| named.contains(&digest));
            let goes = match what {
                Sweep::Now => true,
                Sweep::Whole => path.extension().is_none() || is_old(&file),
                Sweep::Old => is_old(&file),
            };
            if !kept && goes {
                match std::fs::remove_file(&path) {
                    Ok(()) => tracing::info!(path = %path.display(), "a picture that nothing names is removed"),
                    Err(error) => tracing::warn!(path = %path.display(), %error, "a picture can't be removed"),
                }
            }
        }
    }

    /// Fetches what an operation asks for and is not there. `named`: what stays besides, where that is known. Blocks for as long as the
    /// configuration allows.
    pub fn fetch(&self, asked: &Operation, named: Option<&BTreeSet<Digest>>) -> Result<(), NotUsed> {
        let wanted = wanted(asked);
        if wanted.is_empty() {
            return Ok(());
        }
        let until = Instant::now() + self.limits.patience.0;
        let not = |error: std::io::Error| NotUsed::NotFetched(format!("{}: {error}", self.folder.display()));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(not)?;
        if let Some(named) = named {
            self.sweep(&named.iter().chain(wanted.keys().copied()).cloned().collect(), Sweep::Now);
        }
        // One that is wrong hides no other.
        let mut wrong = Vec::new();
        for (digest, (url, what)) in &wanted {
            match self.fetch_one(digest, url, until) {
                Ok(()) => {}
                Err(Failed::Wrong(why)) => wrong.push(told(what, &why)),
                Err(Failed::NotFetched(why)) if wrong.is_empty() => return Err(NotUsed::NotFetched(told(what, &why))),
                Err(Failed::NotFetched(_)) => break,
            }
        }
        wrong.truncate(TOLD);
        if wrong.is_empty() { Ok(()) } else { Err(NotUsed::BadMedia(wrong)) }
    }

    fn fetch_one(&self, digest: &Digest, url: &MediaUrl, until: Instant) -> Result<(), Failed> {
        let (path, part) = (self.path(digest), self.part(digest));
        let (one, all) = (self.limits.max_size.0, self.limits.max_total.0);
        // What is called so was whole once.
        if self.has(digest) {
            match is_it(&path, digest, u64::MAX) {
                Ok(()) => return Ok(()),
                Err(why) => {
                    tracing::warn!(path = %path.display(), why, "a picture is damaged and is fetched again");
                    drop(std::fs::remove_file(&path));
                }
            }
        }
        let left = all.saturating_sub(self.size_but(&part));
        let too_large = match left < one {
            true => format!("all pictures together are larger than [media] max_total, {}", self.limits.max_total),
            false => format!("it is larger than [media] max_size, {}", self.limits.max_size),
        };
        let download = Download {
            from: url.as_str(),
            to: &part,
            sha256: digest,
            ca: self.limits.ca.as_deref(),
            largest: one.min(left),
            too_large: &too_large,
            min_free: self.min_free,
            local: self.limits.local,
            tries: u32::MAX,
            wait: WAIT,
            connection: CONNECTION,
            until,
        };
        download.fetch(&|says| tracing::debug!(says, %digest, "a picture"))?;
        picture::check(&part).map_err(|why| {
            drop(std::fs::remove_file(&part));
            Failed::Wrong(why)
        })?;
        // The download has synced what is in it.
        let named = std::fs::rename(&part, &path).and_then(|()| File::open(&self.folder)?.sync_all());
        named.map_err(|error| Failed::NotFetched(format!("{}: {error}", path.display())))
    }

    /// Bytes of all but one.
    fn size_but(&self, one: &Path) -> u64 {
        let files = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        files.filter(|file| file.path() != one).filter_map(|file| file.metadata().ok()).map(|there| there.len()).sum()
    }
}

fn told(what: &str, why: &str) -> String {
    one_line(&format!("{what}: {why}")).take(LONGEST).collect()
}

/// Where each picture is, and what it is for.
fn wanted(asked: &Operation) -> BTreeMap<&Digest, (&MediaUrl, String)> {
    let Operation::SetMedia { products, slides, logo } = asked else { return BTreeMap::new() };
    let products = products.iter().map(|(product, medium)| (medium, format!("the picture of {product}")));
    let slides = slides.iter().flatten().enumerate();
    let slides = slides.map(|(nth, slide)| (&slide.medium, format!("slide {}", nth + 1)));
    let logo = logo.iter().map(|medium| (medium, "the logo".to_owned()));
    let all = products.chain(slides).chain(logo);
    all.map(|(Medium { sha256, url }, what)| (sha256, (url, what))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Bytes, Span};

    fn media(folder: &Path) -> Media {
        let limits = config::Media {
            max_size: Bytes(100),
            max_total: Bytes(100),
            patience: Span::seconds(1),
            ca: None,
            local: false,
        };
        Media { folder: folder.into(), limits, min_free: 0 }
    }

    fn there(media: &Media) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&media.folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap()[..1].to_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_nothing_names_goes_and_what_was_broken_off_just_now_may_stay() {
        let folder = tempfile::tempdir().unwrap();
        let media = media(folder.path());
        let digest = |letter: &str| Digest::parse(&letter.repeat(64)).unwrap();
        let put = |name: PathBuf| std::fs::write(name, "x").unwrap();
        put(media.path(&digest("a")));
        put(media.path(&digest("b")));
        put(media.part(&digest("c")));
        put(media.part(&digest("d")));
        let old = File::options().write(true).open(media.path(&digest("b"))).unwrap();
        old.set_modified(SystemTime::now() - 2 * KEPT).unwrap();
        let named = [digest("a"), digest("d")].into();
        media.sweep(&named, Sweep::Old);
        assert_eq!(there(&media), ["a", "c", "d"]);
        assert!(media.has(&digest("a")) && !media.has(&digest("d")), "a part is no picture");
        put(media.path(&digest("e")));
        media.sweep(&named, Sweep::Whole);
        assert_eq!(there(&media), ["a", "c", "d"]);
        media.sweep(&named, Sweep::Now);
        assert_eq!(there(&media), ["a", "d"]);
        assert_eq!(media.size_but(&media.part(&digest("d"))), 1);
    }

    #[test]
    fn a_picture_that_is_there_is_not_fetched_and_one_that_is_damaged_is() {
        let folder = tempfile::tempdir().unwrap();
        let media = media(folder.path());
        let sha256 = Digest::of(b"a picture");
        std::fs::write(media.path(&sha256), "a picture").unwrap();
        let url = MediaUrl::parse("https://127.0.0.1:1/a.png").unwrap();
        let asked = || Operation::SetMedia {
            products: BTreeMap::new(),
            slides: None,
            logo: Some(Medium { sha256: sha256.clone(), url: url.clone() }),
        };
        assert_eq!(media.fetch(&asked(), Some(&BTreeSet::new())), Ok(()));
        std::fs::write(media.path(&sha256), "another").unwrap();
        let not = media.fetch(&asked(), Some(&BTreeSet::new()));
        assert!(matches!(&not, Err(NotUsed::NotFetched(why)) if why.starts_with("the logo: ")), "{not:?}");
        assert_eq!(there(&media), Vec::<String>::new());
    }
}
