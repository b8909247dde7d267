//! Files that are known by their SHA-256, fetched over HTTPS.
//!
//! Policy: a file counts when its SHA-256 is the one that was asked for. Whatever was fetched before a cut is kept, and the
//! rest is asked for; where that does not make the file, it is fetched once more, whole. It never gets larger than it may,
//! and nothing is fetched that would leave the ledger less room than it needs. From HTTPS no redirect leads elsewhere, and
//! none leads to this machine or its link where the caller does not allow that.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256};
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::fleet::back_off::{back_off, jitter};
use crate::operation::Digest;
use crate::signed::root_certificates;

/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// For name, connection and headers.
const HEAD: Duration = Duration::from_secs(30);
const PIECE: usize = 64 << 10;
/// So many bytes are on disk together.
const SYNCED: u64 = 8 << 20;
/// Beside what stays free on the disk, for what the ledger writes meanwhile.
const MARGIN: u64 = 1 << 20;

/// One file to be fetched.
#[derive(Debug, Clone, Copy)]
pub struct Download<'a> {
    pub from: &'a str,
    /// What is there already of it is gone on from.
    pub to: &'a Path,
    pub sha256: &'a Digest,
    /// Of the server, in place of the system's.
    pub ca: Option<&'a Path>,
    /// In bytes.
    pub largest: u64,
    /// What is said of a larger one.
    pub too_large: &'a str,
    /// So much stays free on the disk.
    pub min_free: u64,
    /// Addresses of this machine and of its link are gone to as well.
    pub local: bool,
    pub tries: u32,
    /// The first wait between two tries; it doubles, and a random part of it is waited.
    pub wait: Duration,
    /// So long one connection is waited for; it may have died without a word. The next goes on from there.
    pub connection: Duration,
    pub until: Instant,
}

/// Why there is no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// What the server has is not what was asked for; asking again does not help. Nothing of it is kept.
    Wrong(String),
    /// It could not be fetched. What there is of it is kept.
    NotFetched(String),
}

impl Failed {
    pub fn into_words(self) -> String {
        match self {
            Self::Wrong(why) | Self::NotFetched(why) => why,
        }
    }
}

/// Why a try has ended.
enum Broke {
    /// The next may go on from there.
    Off(String),
    For(Failed),
}

impl Broke {
    fn not_fetched(why: impl ToString) -> Self {
        Self::For(Failed::NotFetched(why.to_string()))
    }
}

impl Download<'_> {
    /// Blocks until it is there or nothing more is tried. `tell` hears how far it has come.
    ///
    /// # Errors
    /// Why it is not there.
    pub fn fetch(&self, tell: &dyn Fn(String)) -> Result<(), Failed> {
        let (mut turn, mut fetched_anew) = (0, false);
        loop {
            turn += 1;
            let resumed = match self.download(tell) {
                Ok(resumed) => resumed,
                Err(Broke::For(failed @ Failed::NotFetched(_))) => return Err(failed),
                Err(Broke::For(failed)) => {
                    drop(std::fs::remove_file(self.to));
                    return Err(failed);
                }
                Err(Broke::Off(why)) => {
                    let wait = jitter(back_off(turn - 1, self.wait, LONGEST_WAIT));
                    if turn >= self.tries || Instant::now() + wait >= self.until {
                        return Err(Failed::NotFetched(format!("it could not be fetched: {why}")));
                    }
                    // Its address may have a secret in it.
                    tracing::info!(why, turn, sha256 = %self.sha256, "fetching a file is tried again");
                    std::thread::sleep(wait);
                    continue;
                }
            };
            tell("looking at it".into());
            match is_it(self.to, self.sha256, self.largest) {
                Ok(()) => return Ok(()),
                // What it was gone on from may have been of another file.
                Err(_) if resumed && !fetched_anew => {
                    drop(std::fs::remove_file(self.to));
                    fetched_anew = true;
                }
                Err(why) => {
                    drop(std::fs::remove_file(self.to));
                    return Err(Failed::Wrong(why));
                }
            }
        }
    }

    /// What is missing of the file. True where a part of it was there.
    fn download(&self, tell: &dyn Fn(String)) -> Result<bool, Broke> {
        let agent = self.agent().map_err(Broke::not_fetched)?;
        let there = std::fs::metadata(self.to).map_or(0, |file| file.len());
        let mut request = agent.get(self.from);
        if there > 0 {
            request = request.header("range", format!("bytes={there}-"));
        }
        let mut answer = request.call().map_err(|error| match &error {
            ureq::Error::Other(why) if why.is::<Local>() => Broke::not_fetched(why),
            ureq::Error::RequireHttpsOnly(to) => {
                let to = to.split(['?', '#']).next().unwrap_or_default();
                Broke::not_fetched(format!("the server leads to {to}, and only HTTPS is gone to"))
            }
            ureq::Error::TooManyRedirects | ureq::Error::BadUri(_) => Broke::not_fetched(error),
            _ => Broke::Off(error.to_string()),
        })?;
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let status = answer.status().as_u16();
        let begin = match status {
            200 => 0,
            206 if header("content-range").is_none_or(|range| range.starts_with(&format!("bytes {there}-"))) => there,
            // Another part than was asked for is of no use.
            206 => {
                drop(std::fs::remove_file(self.to));
                return Err(Broke::Off("the server sends another part than was asked for".into()));
            }
            // It is all here, or it is another file.
            416 if there > 0 => return Ok(true),
            408 | 429 | 500.. => return Err(Broke::Off(format!("the server answers {status}"))),
            _ => return Err(Broke::not_fetched(format!("the server answers {status}"))),
        };
        let left = header("content-length").and_then(|length| length.parse::<u64>().ok());
        if begin.saturating_add(left.unwrap_or(0)) > self.largest {
            return Err(Broke::For(Failed::Wrong(self.too_large.to_owned())));
        }
        self.room(left.unwrap_or(SYNCED)).map_err(Broke::not_fetched)?;
        let local = |error: std::io::Error| Broke::not_fetched(format!("{}: {error}", self.to.display()));
        let mut open = OpenOptions::new();
        // To truncate and to append can't be asked for together.
        open.create(true).mode(0o600).write(true).truncate(begin == 0).append(begin > 0);
        let mut file = open.open(self.to).map_err(local)?;
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
                return Err(Broke::For(Failed::Wrong(self.too_large.to_owned())));
            }
            file.write_all(&piece[..read]).map_err(local)?;
            if at - synced >= SYNCED {
                file.sync_data().map_err(local)?;
                self.room(if left.is_some() { 0 } else { SYNCED }).map_err(Broke::not_fetched)?;
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
            _ => Ok(begin > 0),
        }
    }

    fn room(&self, more: u64) -> Result<(), String> {
        let folder = self.to.parent().unwrap_or(self.to);
        let disk = rustix::fs::statvfs(folder).map_err(|error| error.to_string())?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        match free < self.min_free.saturating_add(more).saturating_add(MARGIN) {
            true => Err(format!("there is no room for it: {} MiB are free in {}", free >> 20, folder.display())),
            false => Ok(()),
        }
    }

    fn agent(&self) -> Result<ureq::Agent, String> {
        let secure = self.from.starts_with("https://");
        // A test's server on loopback needs no roots, and a bare machine may have none.
        let roots = match secure {
            true => root_certificates(self.ca).map_err(|error| error.to_string())?,
            false => Vec::new(),
        };
        let roots = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .https_only(secure)
            .max_redirects(if secure { 4 } else { 0 })
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_global(Some(self.until.saturating_duration_since(Instant::now())))
            .timeout_resolve(Some(HEAD))
            .timeout_connect(Some(HEAD))
            .timeout_recv_response(Some(HEAD))
            .timeout_recv_body(Some(self.connection))
            .proxy(None)
            .user_agent(concat!("kioskd/", env!("CARGO_PKG_VERSION")))
            .build();
        let addresses = Addresses { all: DefaultResolver::default(), local: self.local };
        Ok(ureq::Agent::with_parts(config, DefaultConnector::default(), addresses))
    }
}

/// Whether a file is there and is the one with this SHA-256. What is no file, or larger than it may be, is not read.
///
/// # Errors
/// Why it is not.
pub fn is_it(path: &Path, wanted: &Digest, largest: u64) -> Result<(), String> {
    let found = hash(path, largest).map_err(|error| format!("{}: {error}", path.display()))?;
    match found == wanted.as_str() {
        true => Ok(()),
        false => Err(format!("the file is another than was asked for: its SHA-256 is {found}")),
    }
}

fn hash(path: &Path, largest: u64) -> std::io::Result<String> {
    // A pipe would keep us waiting at its opening, and a device has no end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    let mut file = File::open(path)?;
    if file.metadata()?.len() > largest {
        return Err(std::io::Error::other("it is larger than it may be"));
    }
    let (mut context, mut piece, mut at) = (Context::new(&SHA256), vec![0; PIECE], 0);
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(HEXLOWER.encode(context.finish().as_ref()));
        }
        at += read as u64;
        // Its length was what it said of itself.
        if at > largest {
            return Err(std::io::Error::other("it is larger than it may be"));
        }
        context.update(&piece[..read]);
    }
}

/// Where a name leads, without this machine and its link where they are not allowed.
#[derive(Debug)]
struct Addresses {
    all: DefaultResolver,
    local: bool,
}

/// A name that leads nowhere else.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is an address of this machine or of its link, and nothing is fetched from there")]
struct Local(String);

impl Resolver for Addresses {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let all = self.all.resolve(uri, config, timeout)?;
        let mut good = self.empty();
        for address in all.iter().filter(|address| self.local || !is_local(address.ip())) {
            good.push(*address);
        }
        match good.is_empty() {
            true => Err(ureq::Error::Other(Box::new(Local(uri.host().unwrap_or_default().to_owned())))),
            false => Ok(good),
        }
    }
}

/// This machine's own address, or one that only its link knows.
fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::sync::Mutex;

    use super::*;

    /// Answers each request with the next of `answers`, and tells which part each asked for.
    fn serve(answers: Vec<Vec<u8>>) -> (u16, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let its = Arc::clone(&asked);
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let range = head.iter().find(|line| line.to_lowercase().starts_with("range: "));
                its.lock().unwrap().push(range.map(|line| line[7..].to_owned()).unwrap_or_default());
                drop(stream.write_all(&answer));
            }
        });
        (port, asked)
    }

    fn answer(status: &str, more: &str, length: usize, body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{more}\r\n");
        [head.as_bytes(), body].concat()
    }

    struct Place {
        _folder: tempfile::TempDir,
        to: std::path::PathBuf,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            Self { to: folder.path().join("file"), _folder: folder }
        }

        fn fetch(&self, port: u16, wanted: &[u8], change: impl FnOnce(&mut Download<'_>)) -> Result<(), Failed> {
            let from = format!("http://127.0.0.1:{port}/file");
            let mut download = Download {
                from: &from,
                to: &self.to,
                sha256: &Digest::of(wanted),
                ca: None,
                largest: 1_000,
                too_large: "too large",
                min_free: 0,
                local: true,
                tries: 3,
                wait: Duration::from_millis(1),
                connection: Duration::from_secs(20),
                until: Instant::now() + Duration::from_secs(20),
            };
            change(&mut download);
            download.fetch(&|_| {})
        }
    }

    #[test]
    fn what_broke_off_is_gone_on_with() {
        let rest = answer("206 Partial Content", "content-range: bytes 4-9/10\r\n", 6, b"456789");
        let (port, asked) = serve(vec![answer("200 OK", "", 10, b"0123"), rest]);
        let place = Place::new();
        assert_eq!(place.fetch(port, b"0123456789", |_| {}), Ok(()));
        assert_eq!(*asked.lock().unwrap(), ["", "bytes=4-"]);
        assert_eq!(std::fs::read(&place.to).unwrap(), b"0123456789");
        // All of it is here.
        let (port, _) = serve(vec![answer("416 Range Not Satisfiable", "", 0, b"")]);
        assert_eq!(place.fetch(port, b"0123456789", |_| {}), Ok(()));
    }

    #[test]
    fn what_was_begun_of_another_file_is_fetched_whole_once() {
        let place = Place::new();
        std::fs::write(&place.to, "abcd").unwrap();
        let rest = answer("206 Partial Content", "content-range: bytes 4-9/10\r\n", 6, b"456789");
        let (port, asked) = serve(vec![rest, answer("200 OK", "", 10, b"0123456789")]);
        assert_eq!(place.fetch(port, b"0123456789", |_| {}), Ok(()));
        assert_eq!(*asked.lock().unwrap(), ["bytes=4-", ""]);

        std::fs::write(&place.to, "abcd").unwrap();
        let other = answer("206 Partial Content", "content-range: bytes 0-9/10\r\n", 10, b"0123456789");
        let (port, asked) = serve(vec![other, answer("200 OK", "", 10, b"0123456789")]);
        assert_eq!(place.fetch(port, b"0123456789", |_| {}), Ok(()));
        assert_eq!(*asked.lock().unwrap(), ["bytes=4-", ""], "another part than was asked for");
    }

    #[test]
    fn what_is_not_it_is_not_kept() {
        let place = Place::new();
        let (port, _) = serve(vec![answer("200 OK", "", 3, b"abc")]);
        let wrong = place.fetch(port, b"0123456789", |_| {}).unwrap_err();
        assert!(matches!(&wrong, Failed::Wrong(why) if why.contains("its SHA-256 is ba7816bf")), "{wrong:?}");
        assert!(!place.to.exists());
        // Said to be too large; and not said, but so.
        let endless = [b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec(), vec![b'x'; 5_000]].concat();
        for too_large in [answer("200 OK", "", 1_001, b"abc"), endless] {
            let (port, _) = serve(vec![too_large]);
            assert_eq!(place.fetch(port, b"x", |_| {}), Err(Failed::Wrong("too large".into())));
            assert!(!place.to.exists());
        }
    }

    #[test]
    fn it_is_tried_so_often_and_so_long_and_no_longer() {
        let place = Place::new();
        let busy = || answer("503 Service Unavailable", "", 0, b"");
        let (port, asked) = serve(vec![busy(), busy(), busy(), busy()]);
        let not = Err(Failed::NotFetched("it could not be fetched: the server answers 503".into()));
        assert_eq!(place.fetch(port, b"x", |_| {}), not);
        assert_eq!(asked.lock().unwrap().len(), 3);
        let long = |download: &mut Download<'_>| (download.tries, download.wait) = (u32::MAX, Duration::from_secs(9));
        let soon = |download: &mut Download<'_>| {
            long(download);
            download.until = Instant::now() + Duration::from_millis(1);
        };
        assert!(matches!(place.fetch(port, b"x", soon), Err(Failed::NotFetched(_))));
        let (port, asked) = serve(vec![answer("404 Not Found", "", 0, b"")]);
        assert_eq!(place.fetch(port, b"x", long), Err(Failed::NotFetched("the server answers 404".into())));
        assert_eq!(asked.lock().unwrap().len(), 1, "it will not be there a minute later");
    }

    #[test]
    fn nothing_is_fetched_from_this_machine_unless_it_is_allowed() {
        let place = Place::new();
        let (port, asked) = serve(vec![answer("200 OK", "", 1, b"x")]);
        let not = place.fetch(port, b"x", |download| download.local = false).unwrap_err();
        assert!(not.into_words().starts_with("`127.0.0.1` is an address of this machine"));
        assert!(asked.lock().unwrap().is_empty());
        for local in ["127.9.9.9", "::1", "::ffff:127.0.0.1", "169.254.169.254", "fe80::1", "0.0.0.0", "::"] {
            assert!(is_local(local.parse().unwrap()), "{local}");
        }
        for far in ["10.0.0.1", "203.0.113.7", "2001:db8::1", "::ffff:203.0.113.7", "fd00::1"] {
            assert!(!is_local(far.parse().unwrap()), "{far}");
        }
    }

    #[test]
    fn what_is_no_file_or_too_large_is_not_read() {
        let place = Place::new();
        let why = |path: &Path, largest| is_it(path, &Digest::of(b""), largest).unwrap_err();
        rustix::fs::mkfifoat(rustix::fs::CWD, &place.to, rustix::fs::Mode::RUSR).unwrap();
        for endless in [&place.to, Path::new("/dev/zero"), Path::new("/")] {
            assert!(why(endless, 10).ends_with("it is not a file"), "{}", endless.display());
        }
        std::fs::remove_file(&place.to).unwrap();
        std::fs::write(&place.to, "0123456789a").unwrap();
        assert!(why(&place.to, 10).ends_with("it is larger than it may be"));
        // It says of itself that it is empty, and is not.
        assert!(why(Path::new("/proc/self/maps"), 10).ends_with("it is larger than it may be"));
        assert_eq!(is_it(&place.to, &Digest::of(b"0123456789a"), 11), Ok(()));
    }
}
