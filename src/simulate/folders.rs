//! Where a simulated fleet lives: a folder with the keys, and one for each machine.

use std::path::{Path, PathBuf};

use super::SimulateError;
use crate::fleet::keygen::keygen;
use crate::fleet::office::{KeyChoice, make_keyset};
use crate::fleet::topic::Name;

/// What each machine's configuration is made from.
const CONFIGURATION: &str = include_str!("machine.toml");
/// tmpfs, by statfs(2).
const TMPFS: i64 = 0x0102_1994;

pub fn name(number: u64) -> String {
    format!("K{number:05}")
}

/// A machine's own folder, with its configuration and its ledger.
pub fn machine(state: &Path, name: &str) -> PathBuf {
    state.join(name)
}

/// Whether what is written there stays in memory.
pub fn is_in_memory(path: &Path) -> bool {
    #[allow(clippy::unnecessary_cast, reason = "its width differs from machine to machine")]
    rustix::fs::statfs(path).is_ok_and(|stat| stat.f_type as i64 == TMPFS)
}

/// Makes what is not there yet: keys and a keyset for the office, and each machine's key and configuration. `made` is called
/// after each machine.
///
/// # Errors
/// Something of it can't be written.
pub fn prepare(
    state: &Path,
    fleet: &Name,
    numbers: std::ops::Range<u64>,
    mut made: impl FnMut(u64),
) -> Result<(), SimulateError> {
    let keys = state.join("keys");
    std::fs::create_dir_all(&keys).map_err(SimulateError::file(&keys))?;
    let pair = |name: &str| -> Result<(), SimulateError> {
        if !keys.join(format!("{name}.pem")).exists() {
            keygen(&keys, &Name::parse(name)?)?;
        }
        Ok(())
    };
    for name in ["root", "office", "office-2", "back-end"] {
        pair(name)?;
    }
    let keyset = keys.join("keyset.json");
    if !keyset.exists() {
        let choice = |name: &str| {
            let text = format!("{name}={}:sell,config,update", keys.join(format!("{name}.pem")).display());
            text.parse::<KeyChoice>().map_err(SimulateError::Key)
        };
        let choices = [choice("office")?, choice("office-2")?];
        make_keyset(&keys.join("root.key"), fleet, 1, &choices, Vec::new(), &keyset)?;
    }
    // A configuration names the faces of its glass, and nobody opens them here.
    let face = state.join("none.otf");
    std::fs::write(&face, "OTTO").map_err(SimulateError::file(&face))?;
    for number in numbers {
        let name = name(number);
        pair(&name)?;
        let folder = machine(state, &name);
        std::fs::create_dir_all(&folder).map_err(SimulateError::file(&folder))?;
        let file = folder.join("kiosk.toml");
        if !file.exists() {
            let text = CONFIGURATION.replace("{kiosk}", &name).replace("{fleet}", fleet.as_str());
            std::fs::write(&file, text).map_err(SimulateError::file(&file))?;
        }
        made(number);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config;

    #[test]
    fn a_machine_has_a_configuration_that_holds_and_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let fleet = Name::parse("street").unwrap();
        prepare(folder.path(), &fleet, 7..9, |_| ()).unwrap();
        let file = machine(folder.path(), "K00007").join("kiosk.toml");
        let config = config::load(&file, |_| Ok(Box::new(|_, _| BTreeSet::new()))).unwrap();
        assert_eq!((config.kiosk.id.as_str(), config.kiosk.fleet.as_str()), ("K00007", "street"));
        assert!(config.fleet.unwrap().signing_key.unwrap().secret().is_ok());
        let other = std::fs::read_to_string(&file).unwrap().replace("Simulated", "Changed");
        std::fs::write(&file, &other).unwrap();
        prepare(folder.path(), &fleet, 7..10, |_| ()).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), other);
    }
}
