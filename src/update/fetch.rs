//! Bundles, fetched over HTTPS into a folder of the state directory, or looked at where they are.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Tell;
use crate::download::{Download, Failed, is_it};
use crate::operation::{BundlePlace, Digest};

/// A connection that breaks is made anew so often, after such a wait at first.
const TRIES: u32 = 6;
const WAIT: Duration = Duration::from_secs(5);
/// So long one connection is waited for.
const CONNECTION: Duration = Duration::from_secs(1800);
/// In all.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);

pub struct Fetcher {
    pub folder: PathBuf,
    pub ca: Option<PathBuf>,
    /// In bytes.
    pub largest: u64,
    /// So much stays free on the disk.
    pub min_free: u64,
}

/// Fetches and looks, on a thread of its own.
pub async fn fetched(fetcher: Arc<Fetcher>, bundle: BundlePlace, sha256: Digest, tell: Tell) -> Result<(), String> {
    let work = move || fetcher.fetch(&bundle, &sha256, &tell);
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()))
}

impl Fetcher {
    /// Where the file is, or will be.
    pub fn path(&self, bundle: &BundlePlace, sha256: &Digest) -> PathBuf {
        match bundle.as_str().starts_with('/') {
            true => bundle.as_str().into(),
            false => self.folder.join(format!("{sha256}.raucb")),
        }
    }

    /// Nothing of what was fetched is of use any more.
    pub fn clean(&self) {
        self.clean_but(None);
    }

    fn clean_but(&self, kept: Option<&Path>) {
        for file in std::fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let path = file.path();
            if path.extension().is_some_and(|kind| kind == "raucb") && Some(path.as_path()) != kept {
                drop(std::fs::remove_file(path));
            }
        }
    }

    fn fetch(&self, bundle: &BundlePlace, sha256: &Digest, tell: &Tell) -> Result<(), String> {
        let path = self.path(bundle, sha256);
        if bundle.as_str().starts_with('/') {
            tell("looking at the bundle".into());
            return is_it(&path, sha256, self.largest);
        }
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|error| format!("{}: {error}", self.folder.display()))?;
        self.clean_but(Some(&path));
        let download = Download {
            from: bundle.as_str(),
            to: &path,
            sha256,
            ca: self.ca.as_deref(),
            largest: self.largest,
            too_large: &format!("the bundle is larger than [update] max_size, {} MiB", self.largest >> 20),
            min_free: self.min_free,
            local: true,
            tries: TRIES,
            wait: WAIT,
            connection: CONNECTION,
            until: Instant::now() + PATIENCE,
        };
        download.fetch(&|says| tell(says)).map_err(Failed::into_words)
    }
}
