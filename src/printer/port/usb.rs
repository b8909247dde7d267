//! A printer of the USB printer class, through the kernel's `usblp`: `/dev/usb/lp0`.
//!
//! It is found by what it says of itself (its IEEE 1284 device id, which sysfs has), because its number changes with every
//! plug. The file is never waited on for longer than asked: a printer without paper takes nothing for hours.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use serde::Serialize;

use super::{Port, PortError};

const CLASS: &str = "/sys/class/usbmisc";
const DEVICES: &str = "/dev/usb";
/// An IEEE 1284 id has a length of two bytes; nobody's is near that.
const LONGEST_ID: usize = 1024;
/// usblp gives no sooner sign that it has room again.
const PAUSE: Duration = Duration::from_millis(5);
/// More than a printer says in one go.
const ANSWER: usize = 256;

/// One that is plugged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UsbPrinter {
    /// `/dev/usb/lp0`.
    pub path: PathBuf,
    /// Its IEEE 1284 device id, `MFG:…;MDL:…;`; empty where it tells none.
    pub id: String,
}

/// Every printer of the class that is plugged in, by number.
pub fn usb_printers() -> Vec<UsbPrinter> {
    printers_in(Path::new(CLASS), Path::new(DEVICES))
}

fn printers_in(class: &Path, devices: &Path) -> Vec<UsbPrinter> {
    let mut found: Vec<UsbPrinter> = std::fs::read_dir(class)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok().filter(|name| name.starts_with("lp"))?;
            let id = std::fs::read(entry.path().join("device/ieee1284_id")).unwrap_or_default();
            let id = String::from_utf8_lossy(&id[..id.len().min(LONGEST_ID)]);
            let id = id.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned();
            Some(UsbPrinter { path: devices.join(name), id })
        })
        .collect();
    found.sort_by_key(|printer| (printer.path.as_os_str().len(), printer.path.clone()));
    found
}

/// The one that is meant: whose id contains `model` in any case, or the only one.
fn chosen(printers: Vec<UsbPrinter>, model: Option<&str>) -> Result<PathBuf, PortError> {
    let told = |printers: &[UsbPrinter]| {
        let one = |printer: &UsbPrinter| format!("{} ({})", printer.path.display(), printer.id);
        printers.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    if printers.is_empty() {
        return Err(PortError::NoPrinter);
    }
    let there = told(&printers);
    let wanted = model.map(str::to_lowercase);
    let is_meant = |printer: &UsbPrinter| wanted.as_ref().is_none_or(|model| printer.id.to_lowercase().contains(model));
    let mut meant: Vec<UsbPrinter> = printers.into_iter().filter(is_meant).collect();
    match (meant.pop(), meant.is_empty()) {
        (Some(printer), true) => Ok(printer.path),
        (Some(_), false) => Err(PortError::SeveralPrinters { there }),
        (None, _) => Err(PortError::OtherPrinters { wanted: model.unwrap_or_default().to_owned(), there }),
    }
}

pub struct UsbPort {
    device: Option<PathBuf>,
    model: Option<String>,
    open: Option<(File, PathBuf)>,
}

impl UsbPort {
    /// Opens nothing yet. `device` is its path, a link by udev for instance; else it is found by `model`, or as the only one.
    pub fn new(device: Option<PathBuf>, model: Option<String>) -> Self {
        Self { device, model, open: None }
    }

    fn open(&mut self) -> Result<&mut (File, PathBuf), PortError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let path = match &self.device {
                    Some(path) => path.clone(),
                    None => chosen(usb_printers(), self.model.as_deref())?,
                };
                let flags = OFlags::NONBLOCK.bits().cast_signed();
                let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&path);
                let port = path.display().to_string();
                let file = file.map_err(|error| match error.kind() {
                    ErrorKind::PermissionDenied => PortError::Forbidden { port },
                    _ => PortError::Gone { port, why: error.to_string() },
                })?;
                (file, path)
            }
        };
        Ok(self.open.insert(open))
    }

    /// Does `work` on the open file; after an error it is opened anew the next time.
    fn with<T>(&mut self, work: impl FnOnce(&mut File) -> Result<T, Failure>) -> Result<T, PortError> {
        let (file, path) = self.open()?;
        let port = path.display().to_string();
        work(file).map_err(|failure| match failure {
            // The file is as it was.
            Failure::Slow(timeout) => PortError::Slow(timeout),
            Failure::Io(error) => {
                self.open = None;
                PortError::Gone { port, why: error.to_string() }
            }
        })
    }
}

enum Failure {
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

impl Port for UsbPort {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printer(number: u32, id: &str) -> UsbPrinter {
        UsbPrinter { path: format!("/dev/usb/lp{number}").into(), id: id.into() }
    }

    #[test]
    fn the_printer_is_found_by_what_it_says_of_itself() {
        let folder = tempfile::tempdir().unwrap();
        for (name, id) in [("lp10", "MFG:EPSON;MDL:TM-m30;\n"), ("lp2", "MFG:XP;MDL:XP-58;\n"), ("hiddev0", "")] {
            let device = folder.path().join(name).join("device");
            std::fs::create_dir_all(&device).unwrap();
            std::fs::write(device.join("ieee1284_id"), id).unwrap();
        }
        let found = printers_in(folder.path(), Path::new("/dev/usb"));
        assert_eq!(found, [printer(2, "MFG:XP;MDL:XP-58;"), printer(10, "MFG:EPSON;MDL:TM-m30;")]);
        assert_eq!(chosen(found.clone(), Some("epson")), Ok("/dev/usb/lp10".into()));
        assert_eq!(chosen(found[..1].to_vec(), None), Ok("/dev/usb/lp2".into()));
        assert_eq!(chosen(Vec::new(), None), Err(PortError::NoPrinter));
        assert!(matches!(chosen(found.clone(), None), Err(PortError::SeveralPrinters { .. })));
        let said = chosen(found, Some("star")).unwrap_err().to_string();
        let there = "/dev/usb/lp2 (MFG:XP;MDL:XP-58;), /dev/usb/lp10 (MFG:EPSON;MDL:TM-m30;)";
        assert_eq!(said, format!("no USB printer calls itself `star`; there are: {there}"));
    }

    #[test]
    fn a_device_that_is_not_there_is_an_error_each_time_and_no_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lp0");
        let mut port = UsbPort::new(Some(path.clone()), None);
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
