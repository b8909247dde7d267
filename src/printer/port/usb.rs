//! A printer of the USB printer class, through the kernel's `usblp`: `/dev/usb/lp0`.
//!
//! It is found by what it says of itself (its IEEE 1284 device id, which sysfs has), because its number changes with every
//! plug.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::PortError;
use super::file::{self, FilePort};

const CLASS: &str = "/sys/class/usbmisc";
const DEVICES: &str = "/dev/usb";
/// An IEEE 1284 id has a length of two bytes; nobody's is near that.
const LONGEST_ID: usize = 1024;

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

/// Opens nothing yet. `device` is its path, a link by udev for instance; else it is found by `model`, or as the only one.
pub fn usb_port(device: Option<PathBuf>, model: Option<String>) -> FilePort {
    FilePort::new(move || {
        let path = match &device {
            Some(path) => path.clone(),
            None => chosen(usb_printers(), model.as_deref())?,
        };
        Ok((file::open(&path)?, path))
    })
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
}
