//! The login banner: in five lines whether the kiosk sells and what is wrong, for whoever logs in on the machine.
//!
//! Policy: it is made of the one status, and written to the run's folder when it says something else than before, whole or not at
//! all; `/run/motd.d/kioskd` points there. Nothing waits or fails for it. After the end of a run `kioskd relays-safe` writes that no
//! kiosk runs, however it ended, so the banner never tells of a kiosk that is dead.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::devices::ClockStatus;
use super::status::{Fault, Status};
use crate::service;
use crate::vocabulary::{Wall, one_line, plural};

const NAME: &str = "motd";

/// Nobody's terminal is wider; a person's reason may be.
const WIDEST: usize = 100;

/// The file, and what it says.
#[derive(Debug)]
pub struct Banner {
    path: PathBuf,
    told: String,
}

impl Banner {
    /// In the folder that systemd has made for this run; without one there is no banner.
    pub fn here() -> Option<Self> {
        service::runtime_directory().map(|folder| Self::at(&folder))
    }

    pub fn at(folder: &Path) -> Self {
        Self { path: folder.join(NAME), told: String::new() }
    }

    /// Writes it where it says something else than the last time. `zone` is the kiosk's time zone.
    pub(super) fn tell(&mut self, status: &Status, zone: &str) {
        let text = text(status);
        if text == self.told {
            return;
        }
        let since = status.time_ms.and_then(|wall| local(wall, zone)).unwrap_or_else(|| "an unknown time".into());
        self.write(&format!("{text}  so since {since}; what to do: kioskctl status\n"));
        self.told = text;
    }

    /// No kiosk runs any more.
    pub fn ended(&mut self) {
        self.write("kioskd does not run, so nothing is sold: systemctl status kioskd, journalctl -u kioskd -e\n");
    }

    fn write(&self, text: &str) {
        let new = self.path.with_extension("new");
        let written = fs::write(&new, text)
            // Whoever logs in reads it with their own rights, and what the unit writes is its own alone.
            .and_then(|()| fs::set_permissions(&new, Permissions::from_mode(0o644)))
            .and_then(|()| fs::rename(&new, &self.path));
        if let Err(error) = written {
            tracing::debug!(%error, path = %self.path.display(), "the login banner could not be written");
        }
    }
}

/// All but its last line.
fn text(status: &Status) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        let words: String = one_line(&words).take(WIDEST).collect();
        let _ = writeln!(text, "{}", words.trim_end());
    };
    line(format!("kioskd {}: {} of {}", status.version, status.kiosk, status.fleet));
    let reasons: Vec<String> = status.reasons.iter().map(ToString::to_string).collect();
    line(match status.selling {
        true => "  it sells".into(),
        false => format!("  IT DOES NOT SELL: {}", reasons.join("; ")),
    });
    let faults = status.faults.iter().map(|fault| match fault {
        Fault::Slot { slot, .. } => format!("slot {slot}"),
        Fault::Device { device, .. } => device.clone(),
    });
    let printer = status.devices.printer.trouble().map(|trouble| format!("printer ({trouble})"));
    let clock = (status.devices.clock == ClockStatus::Unset).then(|| "clock (not set)".to_owned());
    let gate = status.lane.as_ref().filter(|lane| !lane.is_well()).map(|lane| format!("gate {}", lane.name));
    let wrong: Vec<String> = faults.chain(gate).chain(printer).chain(clock).collect();
    line(if wrong.is_empty() { "  every device is well".into() } else { format!("  look at: {}", wrong.join(", ")) });
    let pending = status.refunds_pending.map_or(0, |pending| u64::from(pending.count));
    let open = [(status.settling, "order"), (status.claims.len() as u64, "claim"), (pending, "silent refund")];
    let open = open.iter().filter(|(count, _)| *count > 0);
    let open: Vec<String> = open.map(|(count, what)| plural(*count, what)).collect();
    line(if open.is_empty() { "  nothing is open".into() } else { format!("  open: {}", open.join(", ")) });
    text
}

fn local(wall: Wall, zone: &str) -> Option<String> {
    Some(wall.timestamp()?.in_tz(zone).ok()?.strftime("%Y-%m-%d %H:%M").to_string())
}

#[cfg(test)]
mod tests {
    use super::super::status::tests::{full, quiet};
    use super::*;
    use crate::vocabulary::StopReason;

    fn read(folder: &Path) -> String {
        fs::read_to_string(folder.join("motd")).unwrap()
    }

    #[test]
    fn five_lines_say_whether_it_sells_and_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let mut banner = Banner::at(folder.path());
        banner.tell(&quiet(), "Asia/Taipei");
        let lines = "kioskd 0.1.0: K0001 of street\n  it sells\n  every device is well\n  nothing is open\n";
        let last = "  so since 2026-11-23 08:00; what to do: kioskctl status\n";
        assert_eq!(read(folder.path()), format!("{lines}{last}"));

        let wrong =
            Status { reasons: vec![StopReason::DoorOpen, StopReason::Locked("a\u{1b}[2Jb".repeat(60))], ..full() };
        banner.tell(&wrong, "Asia/Taipei");
        let told = read(folder.path());
        assert!(told.contains("\n  IT DOES NOT SELL: the door is open; it is locked: a [2Jba [2Jb"), "{told}");
        assert!(
            told.contains(
                "\n  look at: slot A1, drop-sensor, second-kiosk, gate entry-1\n  open: 2 orders, 1 claim, 1 silent refund\n"
            ),
            "{told}"
        );
        assert!(told.lines().count() == 5 && told.lines().all(|line| line.chars().count() <= WIDEST), "{told}");
        assert!(!told.contains('\u{1b}'));
    }

    #[test]
    fn whoever_logs_in_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut banner = Banner::at(folder.path());
        // As the unit's mask makes each new file.
        let new = folder.path().join("motd.new");
        fs::write(&new, "").unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
        banner.tell(&quiet(), "UTC");
        assert_eq!(fs::metadata(folder.path().join(NAME)).unwrap().permissions().mode() & 0o777, 0o644);
    }

    #[test]
    fn it_is_written_when_it_says_something_else_and_says_when_nobody_runs() {
        let folder = tempfile::tempdir().unwrap();
        let mut banner = Banner::at(folder.path());
        banner.tell(&quiet(), "UTC");
        fs::remove_file(folder.path().join("motd")).unwrap();
        let later = Status { uptime_s: 3_600, time_ms: None, temperature_milli_c: Some(1), ..quiet() };
        banner.tell(&later, "UTC");
        assert!(!folder.path().join("motd").exists(), "nothing is otherwise");
        banner.tell(&Status { settling: 1, ..later }, "UTC");
        assert!(read(folder.path()).contains("  open: 1 order\n"));
        assert!(read(folder.path()).ends_with("so since an unknown time; what to do: kioskctl status\n"));
        banner.ended();
        assert!(read(folder.path()).starts_with("kioskd does not run"));
        // Without its folder the kiosk goes on.
        drop(folder);
        banner.ended();
    }
}
