//! Makes the kiosk's inspections: of its status, of the last day in the ledger, and of what the kernel says of the disk.
//!
//! Policy: the loop says what it knows and goes on; the ledger and the disk are read beside it. The first is sent a minute after a
//! start, because many parts need a moment to say anything.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::status::Status;
use super::{Clock, Input, Kiosk, configuration};
use crate::dbus;
use crate::fleet::command::{CommandStatus, Stage};
use crate::fleet::inspection::{ConfigOrigin, Inspection};
use crate::ledger::{Counted, LedgerError, Reader};
use crate::operation::{CheckResult, Digest, Finding, Findings, Operation, Outcome, RequestId};
use crate::service::End;
use crate::signed::jws::Signer;
use crate::signed::statement::{self, NO_KEY, Statement};
use crate::vocabulary::Wall;

/// The first is not later than this after a start.
const FIRST: Duration = Duration::from_secs(60);
/// So far back the ledger is counted, in milliseconds.
const BACK: u64 = 24 * 3_600 * 1_000;
/// Of disk statistics, whatever the disk's own are.
const SECTOR: u64 = 512;
/// Larger than any chain of certificates.
const LARGEST: u64 = 256 << 10;

/// Hears of the message that was sent, by its SHA-256, or why there is none.
pub(crate) type Told = Box<dyn FnOnce(Result<Digest, String>) + Send>;

/// What the loop knows.
pub(crate) struct Known {
    pub status: Status,
    pub keyset_version: Option<u64>,
    /// Of the door and of the case, in this run.
    pub openings: (u64, u64),
    pub clock_error_ms: Option<i64>,
    pub directory: PathBuf,
    pub certificate: Option<PathBuf>,
}

impl Known {
    /// Reads the rest.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn inspection(self, reader: &Reader) -> Result<Inspection, LedgerError> {
        let Self { status, keyset_version, openings: (door_openings, tamper_openings), clock_error_ms, .. } = &self;
        let since = status.time_ms.map(|Wall(now)| now.saturating_sub(BACK));
        let recent = reader.recent(since)?;
        let counted = recent.counted.as_ref();
        let count = |of: fn(&Counted) -> u64| counted.map(of);
        let last = |of: fn(&Counted) -> Option<u64>| counted.and_then(of).map(Wall);
        let software = &status.software;
        let bundle = recent.bundle.filter(|(version, _)| software.version.as_ref() == Some(version));
        let disk = rustix::fs::statvfs(&self.directory).ok();
        Ok(Inspection {
            kiosk: status.kiosk.clone(),
            fleet: status.fleet.clone(),
            boot: status.boot.to_string(),
            time_ms: status.time_ms,
            uptime_s: status.uptime_s,
            ledger: recent.ledger,
            seq: recent.seq,
            hash: recent.hash,
            version: status.version.to_owned(),
            software_version: software.version.clone(),
            software_copy: software.copy.clone(),
            software_sha256: bundle.map(|(_, sha256)| sha256),
            config_digest: status.config.digest.clone(),
            config_origin: match status.config.origin {
                configuration::Origin::File => ConfigOrigin::File,
                configuration::Origin::Fleet => ConfigOrigin::Fleet,
            },
            config_trial: status.config.trial,
            keyset_version: *keyset_version,
            selling: status.selling,
            reasons: status.reasons.iter().map(|reason| reason.kind().to_owned()).collect(),
            parts: parts(status),
            test_ms: recent.test.and_then(|(wall, _)| wall).map(Wall),
            test_wrong: recent.test.map(|(_, wrong)| wrong),
            counted_since_ms: counted.map(|counted| Wall(counted.since)),
            door_stops: count(|day| day.door.count),
            door_stopped_ms: last(|day| day.door.last),
            tamper_stops: count(|day| day.tamper.count),
            tamper_stopped_ms: last(|day| day.tamper.last),
            orders_offered: count(|day| day.offered),
            orders_paid: count(|day| day.paid),
            orders_unpaid: count(|day| day.unpaid),
            units_delivered: count(|day| day.delivered),
            units_not_delivered: count(|day| day.not_delivered),
            units_unknown: count(|day| day.unknown),
            refunds_confirmed: count(|day| day.refunds),
            claims_opened: count(|day| day.claims),
            boots: count(|day| day.boots),
            door_openings: *door_openings,
            tamper_openings: *tamper_openings,
            clock: statement::Clock::of(status.time_ms),
            clock_error_ms: *clock_error_ms,
            disk_free_bytes: disk.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
            disk_written_bytes: disk_written(&self.directory),
            written_bytes: written(),
            certificate_expires_ms: self.certificate.as_deref().and_then(expires),
        })
    }
}

/// As `kioskctl test` finds them without a person. What is wrong is told first where there is not room for all. Of the fleet
/// nothing is said: who hears it knows that the connection is there.
fn parts(status: &Status) -> Findings {
    let checks = dbus::checks(&status.document(), ("connected".to_owned(), String::new()));
    let mut all: Vec<Finding> =
        checks.iter().filter(|check| check.part != "fleet").filter_map(dbus::Check::finding).collect();
    all.sort_by_key(|finding| finding.result != CheckResult::Wrong);
    loop {
        match Findings::new(all.clone()) {
            Ok(findings) => return findings,
            // There is always the printer's.
            Err(_) => drop(all.pop()),
        }
    }
}

/// `write_bytes` of proc(5): what this process has caused to be written to a disk.
fn written() -> Option<u64> {
    let io = std::fs::read_to_string("/proc/self/io").ok()?;
    io.lines().find_map(|line| line.strip_prefix("write_bytes:"))?.trim().parse().ok()
}

/// The seventh figure of a block device's `stat`, for the disk on which this directory is; nothing where that is none.
fn disk_written(directory: &Path) -> Option<u64> {
    let device = std::fs::metadata(directory).ok()?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let stat = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    stat.split_whitespace().nth(6)?.parse::<u64>().ok()?.checked_mul(SECTOR)
}

/// When the first certificate in a file runs out.
fn expires(path: &Path) -> Option<Wall> {
    let is_small = std::fs::metadata(path).is_ok_and(|file| file.len() <= LARGEST);
    let der = CertificateDer::from_pem_slice(&std::fs::read(path).ok().filter(|_| is_small)?).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    let seconds = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    Some(Wall(seconds.saturating_mul(1_000)))
}

/// What is signed, as it is sent, and its SHA-256.
///
/// # Errors
/// Why there is none.
pub(crate) fn signed(known: Known, signer: &Signer, reader: &Reader) -> Result<(String, Digest), String> {
    let inspection = known.inspection(reader).map_err(|error| error.to_string())?;
    let message = inspection.signed(signer).map_err(|error| error.to_string())?;
    let digest = Digest::of(message.as_bytes());
    Ok((message, digest))
}

/// What is said of the command that asked for it.
pub(crate) fn ended(id: &RequestId, outcome: &Outcome, sent: Result<Digest, String>) -> CommandStatus {
    let verb = Operation::Inspect.verb();
    match sent {
        Ok(digest) => CommandStatus { inspection: Some(digest), ..CommandStatus::ended(verb, id.as_str(), outcome) },
        Err(why) => CommandStatus { reason: Some(why), ..CommandStatus::new(verb, id.as_str(), Stage::Failed) },
    }
}

impl Kiosk {
    /// Makes one and sends it, with the state once more.
    pub(super) fn inspect(&mut self, told: Told) {
        match self.inspectable() {
            Ok((known, signer)) => {
                let (Some(link), Some(reads)) = (&self.link, &self.reads) else { return };
                let sender = link.inspection_sender();
                reads.own(move |reader| {
                    let sent = signed(known, &signer, reader).map(|(message, digest)| {
                        sender.send(message);
                        digest
                    });
                    if let Err(why) = &sent {
                        tracing::error!(why, "the fleet is not told how the machine is");
                    }
                    told(sent);
                });
            }
            Err(why) => {
                tracing::debug!(why, "no inspection is sent");
                told(Err(why));
            }
        }
    }

    fn inspectable(&self) -> Result<(Known, Signer), String> {
        if self.link.is_none() || self.reads.is_none() {
            return Err("the kiosk is in no fleet, or its ledger can't be used".into());
        }
        let signer = super::gateway::signer(&self.config).map_err(|error| error.to_string())?;
        let signer = signer.ok_or(NO_KEY)?;
        let known = Known {
            status: Status::of(&self.facts(self.clock.now(), Clock::wall())),
            keyset_version: self.desk.as_ref().map(|desk| desk.keyset_version()),
            openings: self.tally.openings(),
            clock_error_ms: self.edges.clock_error_ms(),
            directory: self.config.state.directory.clone(),
            certificate: self.config.fleet.as_ref().and_then(|fleet| fleet.cert.clone()),
        };
        Ok((known, signer))
    }

    /// From now on one is sent every so often.
    pub(super) fn tell_inspections(&self) {
        let (Some(fleet), Some(_)) = (&self.config.fleet, &self.link) else { return };
        let (every, inputs) = (fleet.inspection_every.0, self.edges.inputs.clone());
        self.edges.supervisor.task(self.edges.runtime.handle(), "the inspections", async move {
            let mut pause = every.min(FIRST);
            loop {
                tokio::time::sleep(pause).await;
                if inputs.send(Input::Inspect(Box::new(|_| ()))).is_err() {
                    return End::Told;
                }
                pause = every;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_what_was_written_and_nothing_is_invented() {
        let folder = tempfile::tempdir().unwrap();
        let before = written().expect("Linux counts it");
        std::fs::write(folder.path().join("some"), vec![1; 1 << 20]).unwrap();
        assert!(written().unwrap() >= before);
        assert_eq!(disk_written(Path::new("/proc")), None, "no disk is behind it");
        assert_eq!((expires(Path::new("/nowhere")), expires(Path::new("/proc/self/status"))), (None, None));
    }

    #[test]
    fn a_certificate_says_when_it_runs_out() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cert.pem");
        let mut certificate = rcgen::CertificateParams::new(vec!["K0001".into()]).unwrap();
        certificate.not_after = rcgen::date_time_ymd(2027, 11, 30);
        let key = rcgen::KeyPair::generate().unwrap();
        std::fs::write(&file, certificate.self_signed(&key).unwrap().pem()).unwrap();
        let at = expires(&file).and_then(Wall::timestamp).unwrap();
        assert_eq!(at.to_string(), "2027-11-30T00:00:00Z");
    }
}
