//! New software for the machine: who fetches a bundle, writes it and says which copy starts next.
//!
//! Policy: an edge. It decides nothing, does what the sale asks for, and answers with one event. What is fetched is known
//! by the SHA-256 of its file, which the command names: no installer can be asked for one, and a version alone does not
//! say which file it was. So kioskd fetches bundles itself, into a folder of the state directory, goes on where a cut has
//! interrupted it, and hands the installer a path. Whether a bundle is genuine is for the installer to say, by its
//! signature.

mod fetch;
mod rauc;
mod simulated;
mod trial;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use crate::config::{self, InstallBy, LineDriver};
use crate::operation::{BundlePlace, Digest, Version};
use crate::sale::software::{Copies, Manifest, Software, UpdateEvent, UpdateTask};
use crate::world::World;

pub use trial::Trial;

/// What the machine is told that has no second copy of its software.
const BY_PACKAGE: &str = "this machine has one copy of its software, which its package manager updates: apt install \
                          ./kioskd_VERSION_ARCH.deb";
const NO_WORLD: &str = "the board is simulated, and no world is there";
const BY_HAND: &str = "the configuration has [update] installer = \"none\"; apt install ./kioskd_VERSION_ARCH.deb";
/// Where RAUC's configuration may be.
const RAUC: [&str; 3] = ["/etc/rauc/system.conf", "/run/rauc/system.conf", "/usr/lib/rauc/system.conf"];

type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How far it has come, in words.
pub type Tell = Arc<dyn Fn(String) + Send + Sync>;

/// What can be said of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The one that runs is good.
    Good,
    /// The same, and it starts next, too.
    GoodAndNext,
    /// The other one starts next.
    OtherNext,
    /// The other one is not started any more.
    OtherNever,
}

/// Who writes copies of the software. Errors are sentences for people.
pub trait Installer: Send + Sync {
    fn look(&self) -> Answer<'_, Software>;
    /// Of a bundle in a file.
    fn manifest<'a>(&'a self, bundle: &'a Path) -> Answer<'a, Result<Manifest, String>>;
    /// Writes the copy that does not run, which starts next then. Up to some minutes.
    fn install<'a>(&'a self, bundle: &'a Path, tell: Tell) -> Answer<'a, Result<(), String>>;
    fn mark(&self, mark: Mark) -> Answer<'_, Result<(), String>>;
}

/// Nobody.
struct None {
    how: &'static str,
    release: PathBuf,
}

impl Installer for None {
    fn look(&self) -> Answer<'_, Software> {
        let copies = Copies::One { how: self.how.to_owned() };
        let software = Software { version: version(&self.release), kernel_boot: kernel_boot(), copies };
        Box::pin(std::future::ready(software))
    }

    fn manifest<'a>(&'a self, _: &'a Path) -> Answer<'a, Result<Manifest, String>> {
        Box::pin(std::future::ready(Err(self.how.to_owned())))
    }

    fn install<'a>(&'a self, _: &'a Path, _: Tell) -> Answer<'a, Result<(), String>> {
        Box::pin(std::future::ready(Err(self.how.to_owned())))
    }

    fn mark(&self, _: Mark) -> Answer<'_, Result<(), String>> {
        Box::pin(std::future::ready(Err(self.how.to_owned())))
    }
}

/// Carries out what the sale asks for.
pub struct Updater {
    installer: Box<dyn Installer>,
    fetcher: Arc<fetch::Fetcher>,
}

impl Updater {
    /// The installer that the configuration chooses. `state`: the state directory.
    pub fn new(
        config: &config::Update,
        lines: &LineDriver,
        world: Option<&Arc<World>>,
        state: &Path,
        min_free: u64,
    ) -> Self {
        let release = || config.release.clone();
        let none = |how| Box::new(None { how, release: release() }) as Box<dyn Installer>;
        let rauc = || Box::new(rauc::Rauc { release: release() }) as Box<dyn Installer>;
        let installer = match (config.installer, lines, world) {
            (InstallBy::None, ..) => none(BY_HAND),
            (InstallBy::Auto, LineDriver::Simulated, Some(world)) => {
                Box::new(simulated::Simulated(Arc::clone(world))) as Box<dyn Installer>
            }
            (InstallBy::Auto, LineDriver::Simulated, Option::None) => none(NO_WORLD),
            (InstallBy::Auto, ..) if !RAUC.iter().any(|file| Path::new(file).exists()) => none(BY_PACKAGE),
            (InstallBy::Auto | InstallBy::Rauc, ..) => rauc(),
        };
        let fetcher = fetch::Fetcher {
            folder: state.join("update"),
            ca: config.ca.clone(),
            largest: config.max_size.0,
            min_free,
        };
        Self { installer, fetcher: Arc::new(fetcher) }
    }

    pub async fn carry_out(&self, task: UpdateTask, tell: Tell) -> UpdateEvent {
        match task {
            UpdateTask::Look { clean } => {
                if clean {
                    self.fetcher.clean();
                }
                UpdateEvent::Seen(self.installer.look().await)
            }
            UpdateTask::Fetch { bundle, sha256 } => UpdateEvent::Fetched(self.fetch(bundle, sha256, tell).await),
            UpdateTask::Install { bundle, sha256 } => {
                let path = self.fetcher.path(&bundle, &sha256);
                UpdateEvent::Installed(self.installer.install(&path, tell).await)
            }
            UpdateTask::MarkGood { next } => {
                let mark = if next { Mark::GoodAndNext } else { Mark::Good };
                UpdateEvent::MarkedGood(self.marked(mark).await)
            }
            UpdateTask::Return => UpdateEvent::Returns(self.marked(Mark::OtherNext).await),
            UpdateTask::Discard => {
                drop(self.marked(Mark::OtherNever).await);
                self.fetcher.clean();
                UpdateEvent::Seen(self.installer.look().await)
            }
        }
    }

    async fn fetch(&self, bundle: BundlePlace, sha256: Digest, tell: Tell) -> Result<Manifest, String> {
        let path = self.fetcher.path(&bundle, &sha256);
        fetch::fetched(Arc::clone(&self.fetcher), bundle, sha256, tell).await?;
        self.installer.manifest(&path).await
    }

    async fn marked(&self, mark: Mark) -> Result<(), String> {
        let result = self.installer.mark(mark).await;
        match &result {
            Ok(()) => tracing::info!(?mark, "the copies of the software are marked"),
            Err(why) => tracing::error!(?mark, why, "a copy of the software could not be marked"),
        }
        result
    }
}

/// The version that a copy of the software says of itself, in the words of os-release.
fn version(release: &Path) -> Option<Version> {
    let text = std::fs::read_to_string(release).ok()?;
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Version::parse(line.trim().trim_matches(['"', '\'']))
    };
    value("IMAGE_VERSION").or_else(|| value("VERSION_ID"))
}

fn kernel_boot() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests;
