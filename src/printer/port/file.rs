//! A port that is a file of the kernel: opened when it is needed, and never waited on for longer than asked, because a
//! printer without paper takes nothing for hours.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

use super::{Port, PortError};

/// usblp gives no sooner sign that it has room again.
const PAUSE: Duration = Duration::from_millis(5);
/// More than a printer says in one go.
const ANSWER: usize = 256;

type Found = Result<(File, PathBuf), PortError>;

pub struct FilePort {
    find: Box<dyn Fn() -> Found + Send>,
    open: Option<(File, PathBuf)>,
}

/// Opens a device so that nothing on it ever blocks, and it never becomes our terminal.
pub(super) fn open(path: &Path) -> Result<File, PortError> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
    file.map_err(|error| {
        let port = path.display().to_string();
        match error.kind() {
            ErrorKind::PermissionDenied => PortError::Forbidden { port },
            _ => PortError::Gone { port, why: error.to_string() },
        }
    })
}

impl FilePort {
    /// `find` opens it; it is called when the port is needed, and again after every failure.
    pub(super) fn new(find: impl Fn() -> Found + Send + 'static) -> Self {
        Self { find: Box::new(find), open: None }
    }

    /// Does `work` on the open file; after an error it is opened anew the next time.
    fn with<T>(&mut self, work: impl FnOnce(&mut File) -> Result<T, Failure>) -> Result<T, PortError> {
        let (mut file, path) = match self.open.take() {
            Some(open) => open,
            None => (self.find)()?,
        };
        let result = work(&mut file);
        let port = path.display().to_string();
        if !matches!(result, Err(Failure::Io(_))) {
            self.open = Some((file, path));
        }
        result.map_err(|failure| match failure {
            Failure::Slow(timeout) => PortError::Slow(timeout),
            Failure::Io(error) => PortError::Gone { port, why: error.to_string() },
        })
    }
}

enum Failure {
    /// The file is as it was.
    Slow(Duration),
    Io(std::io::Error),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// Whether `file` is ready for `what` within `wait`.
fn ready(file: &File, what: PollFlags, wait: Duration) -> std::io::Result<bool> {
    let mut asked = [PollFd::new(file, what)];
    let wait = Timespec::try_from(wait).unwrap_or(Timespec { tv_sec: i64::from(i32::MAX), tv_nsec: 0 });
    poll(&mut asked, Some(&wait))?;
    let answer = asked[0].revents();
    if answer.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL) {
        return Err(std::io::Error::new(ErrorKind::NotConnected, "it was unplugged"));
    }
    Ok(answer.intersects(what))
}

impl Port for FilePort {
    fn write(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), PortError> {
        self.with(|file| {
            let deadline = Instant::now() + timeout;
            let mut rest = bytes;
            while !rest.is_empty() {
                let left = deadline.saturating_duration_since(Instant::now());
                if !ready(file, PollFlags::OUT, left)? {
                    return Err(Failure::Slow(timeout));
                }
                match file.write(rest) {
                    Ok(0) => std::thread::sleep(PAUSE),
                    Ok(taken) => rest = &rest[taken..],
                    Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                        if left.is_zero() {
                            return Err(Failure::Slow(timeout));
                        }
                        std::thread::sleep(PAUSE);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(())
        })
    }

    fn read(&mut self, wait: Duration) -> Result<Vec<u8>, PortError> {
        self.with(|file| {
            let deadline = Instant::now() + wait;
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                if !ready(file, PollFlags::IN, left)? {
                    return Ok(Vec::new());
                }
                let mut bytes = vec![0; ANSWER];
                match file.read(&mut bytes) {
                    // An empty packet, which some printers send all the time.
                    Ok(0) if left.is_zero() => return Ok(Vec::new()),
                    Ok(0) => std::thread::sleep(PAUSE),
                    Ok(length) => {
                        bytes.truncate(length);
                        return Ok(bytes);
                    }
                    Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                        if left.is_zero() {
                            return Ok(Vec::new());
                        }
                        std::thread::sleep(PAUSE);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        })
    }

    fn close(&mut self) {
        self.open = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_an_error_each_time_and_no_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lp0");
        let mut port = FilePort::new({
            let path = path.clone();
            move || Ok((open(&path)?, path.clone()))
        });
        for _ in 0..2 {
            assert!(matches!(port.write(b"x", Duration::ZERO), Err(PortError::Gone { .. })));
        }
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        port.write(b"abc", Duration::from_secs(1)).unwrap();
        assert_eq!(port.read(Duration::from_secs(1)).unwrap(), b"abc", "opened for both ways, a pipe answers itself");
        assert_eq!(port.read(Duration::from_millis(10)).unwrap(), b"", "nothing came");
        let full = vec![0; 1 << 20];
        assert!(matches!(port.write(&full, Duration::from_millis(30)), Err(PortError::Slow(_))), "nobody takes it");
    }
}
