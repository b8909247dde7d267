//! Bundles, fetched over HTTPS into a folder of the state directory, or looked at where they are.
//!
//! Policy: a file counts when its SHA-256 is the one that was asked for. Whatever was fetched before a cut is kept, and
//! the rest is asked for. Nothing is fetched that would leave the ledger less room than it needs.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::Tell;
use crate::operation::{BundlePlace, Digest};
use crate::signed::root_certificates;

/// A connection that breaks is made anew so often.
const TRIES: u32 = 6;
const BETWEEN: Duration = Duration::from_secs(5);
/// For name, connection and headers; and for one connection's body.
const HEAD: Duration = Duration::from_secs(30);
const BODY: Duration = Duration::from_secs(1800);
const PIECE: usize = 256 << 10;
/// So many bytes are on disk together.
const SYNCED: u64 = 8 << 20;

pub struct Fetcher {
    pub folder: PathBuf,
    pub ca: Option<PathBuf>,
    /// In bytes.
    pub largest: u64,
    /// So much stays free on the disk.
    pub min_free: u64,
}

/// Why a try has ended.
enum Broke {
    /// The next may go on from there.
    Off(String),
    For(String),
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
            let found = hash(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            return is_it(&found, sha256);
        }
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|error| format!("{}: {error}", self.folder.display()))?;
        self.clean_but(Some(&path));
        for turn in 1.. {
            match self.download(bundle, &path, tell) {
                Ok(()) => break,
                Err(Broke::For(why)) => {
                    drop(std::fs::remove_file(&path));
                    return Err(why);
                }
                Err(Broke::Off(why)) if turn == TRIES => return Err(format!("it could not be fetched: {why}")),
                Err(Broke::Off(why)) => {
                    tracing::info!(why, turn, "fetching a bundle is tried again");
                    std::thread::sleep(BETWEEN);
                }
            }
        }
        tell("looking at the bundle".into());
        let found = hash(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        is_it(&found, sha256).inspect_err(|_| drop(std::fs::remove_file(&path)))
    }

    /// What is missing of the file.
    fn download(&self, bundle: &BundlePlace, path: &Path, tell: &Tell) -> Result<(), Broke> {
        let agent = self.agent(bundle).map_err(Broke::For)?;
        let there = std::fs::metadata(path).map_or(0, |file| file.len());
        let mut request = agent.get(bundle.as_str());
        if there > 0 {
            request = request.header("range", format!("bytes={there}-"));
        }
        let mut answer = request.call().map_err(|error| Broke::Off(error.to_string()))?;
        let status = answer.status().as_u16();
        let begin = match status {
            200 => 0,
            206 => there,
            // It is all here, or it is another file.
            416 if there > 0 => return Ok(()),
            408 | 429 | 500.. => return Err(Broke::Off(format!("the server answers {status}"))),
            _ => return Err(Broke::For(format!("the server answers {status}"))),
        };
        let left = answer.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        self.room(begin + left.unwrap_or(0), left.unwrap_or(0)).map_err(Broke::For)?;
        let mut open = OpenOptions::new();
        open.create(true).mode(0o600).write(true).truncate(begin == 0).append(begin > 0);
        let local = |error: std::io::Error| Broke::For(format!("{}: {error}", path.display()));
        // To truncate and to append can't be asked for together.
        let mut file = open.append(begin > 0).open(path).map_err(local)?;
        let mut reader = answer.body_mut().with_config().limit(u64::MAX).reader();
        let (mut piece, mut at, mut told, mut synced) = (vec![0; PIECE], begin, None, begin);
        loop {
            let read = match reader.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) => {
                    drop(file.sync_all());
                    return Err(Broke::Off(error.to_string()));
                }
            };
            at += read as u64;
            if at > self.largest {
                return Err(Broke::For(self.too_large()));
            }
            file.write_all(&piece[..read]).map_err(local)?;
            if at - synced >= SYNCED {
                file.sync_data().map_err(local)?;
                self.room(at, 0).map_err(Broke::For)?;
                synced = at;
            }
            let tenth = left.map(|left| at * 10 / (begin + left).max(1));
            if tenth.is_some() && tenth != told {
                told = tenth;
                tell(format!("fetching: {} %", tenth.unwrap_or(0) * 10));
            }
        }
        file.sync_all().map_err(local)?;
        match left {
            Some(left) if at < begin + left => Err(Broke::Off("the connection ended before the file".into())),
            _ => Ok(()),
        }
    }

    fn room(&self, size: u64, more: u64) -> Result<(), String> {
        if size > self.largest {
            return Err(self.too_large());
        }
        let disk = rustix::fs::statvfs(&self.folder).map_err(|error| error.to_string())?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        match free < self.min_free.saturating_add(more) {
            true => Err(format!("there is no room for it: {} MiB are free in {}", free >> 20, self.folder.display())),
            false => Ok(()),
        }
    }

    fn too_large(&self) -> String {
        format!("the bundle is larger than [update] max_size, {} MiB", self.largest >> 20)
    }

    fn agent(&self, bundle: &BundlePlace) -> Result<ureq::Agent, String> {
        let secure = bundle.as_str().starts_with("https://");
        // A test's server on loopback needs no roots, and a bare machine may have none.
        let roots = match secure {
            true => root_certificates(self.ca.as_deref()).map_err(|error| error.to_string())?,
            false => Vec::new(),
        };
        let roots = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .build();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .https_only(secure)
            .max_redirects(if secure { 4 } else { 0 })
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_resolve(Some(HEAD))
            .timeout_connect(Some(HEAD))
            .timeout_recv_response(Some(HEAD))
            .timeout_recv_body(Some(BODY))
            .proxy(None)
            .user_agent(concat!("kioskd/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(agent.into())
    }
}

fn hash(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let (mut context, mut piece) = (Context::new(&SHA256), vec![0; PIECE]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(HEXLOWER.encode(context.finish().as_ref())),
            read => context.update(&piece[..read]),
        }
    }
}

fn is_it(found: &str, wanted: &Digest) -> Result<(), String> {
    match found == wanted.as_str() {
        true => Ok(()),
        false => Err(format!("the file is another than was asked for: its SHA-256 is {found}")),
    }
}
