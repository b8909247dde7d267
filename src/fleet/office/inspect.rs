//! What is wrong in a fleet, by what its machines have said of themselves: the faulty, those that are not what they should be,
//! and the silent.
//!
//! Policy: a machine is judged by what its key has signed. What should be is said by who asks; where nothing is said, what more than
//! half of the machines have counts for usual, and what differs is called different, not wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::fleet::inspection::Inspection;
use crate::operation::Digest;
use crate::vocabulary::Wall;

const DAY: u64 = 24 * 3_600_000;
/// A certificate that runs out so soon has to be renewed now.
const EXPIRES: u64 = 14 * DAY;
/// A clock that is off by so much is wrong, in milliseconds: receipts and reports bear its time.
const CLOCK: i64 = 60_000;

/// One machine, as it is known. Times are milliseconds since 1970.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Its last message of any kind; 0: none.
    pub heard_ms: i64,
    /// Its newest inspection, and when that came.
    pub inspection: Option<(Inspection, i64)>,
    /// Why its key or its ledger is not believed.
    pub doubts: Vec<String>,
}

/// What the machines should be.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    pub software: Option<String>,
    pub config: Option<ExpectedConfig>,
    pub keyset: Option<u64>,
}

/// The configuration that a machine should have.
#[derive(Debug, Clone)]
pub enum ExpectedConfig {
    All(Digest),
    /// `KIOSK.toml` of each, in a directory.
    Each(PathBuf),
}

/// What is to be said of a machine; nothing where all of it is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Judged {
    pub kiosk: String,
    pub faulty: Vec<String>,
    pub non_compliant: Vec<String>,
    pub silent: Option<String>,
}

impl Judged {
    pub fn is_well(&self) -> bool {
        self.faulty.is_empty() && self.non_compliant.is_empty() && self.silent.is_none()
    }
}

/// What is wrong with each of them, by name; `now` in milliseconds since 1970.
pub fn judge(all: &BTreeMap<String, Known>, expected: &Expected, silent: Duration, now: i64) -> Vec<Judged> {
    let inspections = || all.values().filter_map(|known| known.inspection.as_ref().map(|(inspection, _)| inspection));
    let usual = Usual {
        software: most(inspections().map(software)).filter(|_| expected.software.is_none()),
        config: most(inspections().map(|said| said.config_digest.as_str())).filter(|_| expected.config.is_none()),
        keyset: most(inspections().map(|said| said.keyset_version)).filter(|_| expected.keyset.is_none()),
    };
    let judged = all.iter().map(|(kiosk, known)| {
        let mut judged = Judged { kiosk: kiosk.clone(), non_compliant: known.doubts.clone(), ..Judged::default() };
        judged.silent = is_silent(known, silent, now);
        if let Some((said, _)) = &known.inspection {
            judged.faulty.extend(faults(said, now));
            judged.non_compliant.extend(differences(kiosk, said, expected, &usual));
        }
        judged
    });
    judged.collect()
}

/// The software's version, where who installs it says one; else kioskd's.
fn software(said: &Inspection) -> &str {
    said.software_version.as_deref().unwrap_or(&said.version)
}

struct Usual<'a> {
    software: Option<&'a str>,
    config: Option<&'a str>,
    keyset: Option<Option<u64>>,
}

/// What more than half of them have.
fn most<T: Ord + Copy>(all: impl Iterator<Item = T>) -> Option<T> {
    let (mut counts, mut total) = (BTreeMap::new(), 0_usize);
    for value in all {
        *counts.entry(value).or_insert(0_usize) += 1;
        total += 1;
    }
    counts.into_iter().find(|(_, count)| count * 2 > total).map(|(value, _)| value)
}

fn is_silent(known: &Known, after: Duration, now: i64) -> Option<String> {
    let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    let since = |then: i64| now.saturating_sub(then);
    match &known.inspection {
        _ if known.heard_ms <= 0 => Some("it was never heard".into()),
        _ if since(known.heard_ms) > after => {
            Some(format!("its last message came {} ago", hours(since(known.heard_ms))))
        }
        None => Some("it has sent no inspection that its key has signed".into()),
        Some((_, heard)) if since(*heard) > after => {
            Some(format!("its last inspection came {} ago", hours(since(*heard))))
        }
        Some(_) => None,
    }
}

fn hours(ms: i64) -> String {
    match ms / 1_000 {
        seconds @ ..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

fn faults(said: &Inspection, now: i64) -> Vec<String> {
    let mut all: Vec<String> = said.wrong().map(|part| format!("{}: {}", part.part, part.says)).collect();
    if let Some(wrong @ 1..) = said.test_wrong {
        all.push(format!("the last test by a person found {wrong} wrong"));
    }
    if let Some(error) = said.clock_error_ms.filter(|error| error.saturating_abs() > CLOCK) {
        all.push(format!("its clock is off by {} s", error / 1_000));
    }
    if let Some(Wall(end)) = said.certificate_expires_ms {
        let left = i64::try_from(end).unwrap_or(i64::MAX).saturating_sub(now);
        match u64::try_from(left) {
            Err(_) => all.push("its certificate has run out".into()),
            Ok(left) if left < EXPIRES => all.push(format!("its certificate runs out in {} days", left / DAY)),
            Ok(_) => {}
        }
    }
    all
}

fn differences(kiosk: &str, said: &Inspection, expected: &Expected, usual: &Usual<'_>) -> Vec<String> {
    let mut all = Vec::new();
    let version = software(said);
    match (&expected.software, usual.software) {
        (Some(wanted), _) if wanted != version => all.push(format!("software {version}, not {wanted}")),
        (None, Some(most)) if most != version => all.push(format!("software {version}, unlike most ({most})")),
        _ => {}
    }
    let digest = said.config_digest.as_str();
    match &expected.config {
        Some(ExpectedConfig::All(wanted)) if wanted.as_str() != digest => {
            all.push(format!("configuration {digest}, not {wanted}"));
        }
        Some(ExpectedConfig::All(_)) => {}
        Some(ExpectedConfig::Each(directory)) => match std::fs::read(directory.join(format!("{kiosk}.toml"))) {
            Ok(text) if Digest::of(&text) == said.config_digest => {}
            Ok(text) => all.push(format!("configuration {digest}, not {}", Digest::of(&text))),
            Err(error) => all.push(format!("configuration {digest}, and there is no {kiosk}.toml: {error}")),
        },
        None => {
            let other = usual.config.filter(|most| *most != digest);
            all.extend(other.map(|most| format!("configuration {digest}, unlike most ({most})")));
        }
    }
    let keyset = said.keyset_version;
    let told = |version: Option<u64>| version.map_or("none".to_owned(), |version| version.to_string());
    match (expected.keyset, usual.keyset) {
        (Some(wanted), _) if keyset != Some(wanted) => all.push(format!("keyset {}, not {wanted}", told(keyset))),
        (None, Some(most)) if most != keyset => {
            all.push(format!("keyset {}, unlike most ({})", told(keyset), told(most)));
        }
        _ => {}
    }
    let opened = said.tamper_openings.max(said.tamper_stops.unwrap_or_default());
    if opened > 0 {
        all.push(format!("its case was opened {opened} times"));
    }
    all
}

/// Adds those that are listed and were never heard of.
pub fn listed(all: &mut BTreeMap<String, Known>, names: &BTreeSet<String>) {
    for name in names {
        all.entry(name.clone()).or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::inspection::tests::{finding, well};
    use crate::operation::{CheckResult, Findings};

    const NOW: i64 = 1_795_608_500_000;
    const SILENT: Duration = Duration::from_secs(48 * 3_600);

    fn fleet(inspections: Vec<Inspection>) -> BTreeMap<String, Known> {
        let known = |inspection| Known { heard_ms: NOW, inspection: Some((inspection, NOW)), doubts: Vec::new() };
        (1..).zip(inspections).map(|(nth, inspection)| (format!("K{nth}"), known(inspection))).collect()
    }

    fn lists(all: &BTreeMap<String, Known>, expected: &Expected) -> Vec<Judged> {
        judge(all, expected, SILENT, NOW).into_iter().filter(|judged| !judged.is_well()).collect()
    }

    #[test]
    fn what_differs_from_most_is_called_different_and_what_was_asked_for_is_wrong() {
        let other = || Inspection { software_version: Some("2".into()), keyset_version: None, ..well() };
        let all = fleet(vec![well(), well(), other()]);
        let found = lists(&all, &Expected::default());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].non_compliant, ["software 2, unlike most (0.1.0)", "keyset none, unlike most (1)"]);
        let expected = Expected { software: Some("2".into()), keyset: Some(1), ..Expected::default() };
        let found = lists(&all, &expected);
        let kiosks: Vec<&str> = found.iter().map(|judged| judged.kiosk.as_str()).collect();
        assert_eq!(kiosks, ["K1", "K2", "K3"]);
        assert_eq!(found[0].non_compliant, ["software 0.1.0, not 2"]);
        assert_eq!(found[2].non_compliant, ["keyset none, not 1"]);
        // Two of four is no majority.
        assert_eq!(lists(&fleet(vec![well(), well(), other(), other()]), &Expected::default()), []);
    }

    #[test]
    fn each_has_its_own_configuration() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("K1.toml"), "config").unwrap();
        std::fs::write(folder.path().join("K2.toml"), "another").unwrap();
        let each = Expected { config: Some(ExpectedConfig::Each(folder.path().into())), ..Expected::default() };
        let found = lists(&fleet(vec![well(), well(), well()]), &each);
        let ours = Digest::of(b"config");
        assert_eq!(found[0].non_compliant, [format!("configuration {ours}, not {}", Digest::of(b"another"))]);
        assert!(found[1].non_compliant[0].contains("there is no K3.toml"), "{found:?}");
        let all = Expected { config: Some(ExpectedConfig::All(Digest::of(b"x"))), ..Expected::default() };
        assert_eq!(lists(&fleet(vec![well()]), &all).len(), 1);
    }

    #[test]
    fn a_part_that_is_wrong_is_named_and_so_is_who_says_nothing() {
        let parts = vec![
            finding("printer", CheckResult::Wrong, "paper-out"),
            finding("board", CheckResult::Well, "ok"),
            finding("drop_sensor", CheckResult::Unknown, "unknown"),
        ];
        let soon = Wall(u64::try_from(NOW).unwrap() + 3 * DAY + 1);
        let faulty = Inspection {
            parts: Findings::new(parts).unwrap(),
            test_wrong: Some(2),
            clock_error_ms: Some(-61_000),
            certificate_expires_ms: Some(soon),
            tamper_stops: Some(2),
            tamper_openings: 1,
            ..well()
        };
        let mut all = fleet(vec![faulty, well(), well(), well()]);
        all.get_mut("K2").unwrap().heard_ms = NOW - 49 * 3_600_000;
        all.get_mut("K3").unwrap().inspection = None;
        all.get_mut("K4").unwrap().doubts.push("the last message was not its own".into());
        listed(&mut all, &["K1", "K5"].map(str::to_owned).into());
        let found = lists(&all, &Expected::default());
        let of = |kiosk: &str| found.iter().find(|judged| judged.kiosk == kiosk).unwrap();
        assert_eq!(
            of("K1").faulty,
            [
                "printer: paper-out",
                "the last test by a person found 2 wrong",
                "its clock is off by -61 s",
                "its certificate runs out in 3 days",
            ]
        );
        assert_eq!(of("K1").non_compliant, ["its case was opened 2 times"]);
        assert_eq!(of("K2").silent.as_deref(), Some("its last message came 49 h ago"));
        assert_eq!(of("K3").silent.as_deref(), Some("it has sent no inspection that its key has signed"));
        assert_eq!((of("K4").non_compliant.len(), &of("K4").silent), (1, &None));
        assert_eq!(of("K5").silent.as_deref(), Some("it was never heard"));
        let old = |known: &mut Known| known.inspection.as_mut().unwrap().1 = NOW - 49 * 3_600_000;
        old(all.get_mut("K4").unwrap());
        let found = lists(&all, &Expected::default());
        assert_eq!(found[3].silent.as_deref(), Some("its last inspection came 49 h ago"));
    }
}
