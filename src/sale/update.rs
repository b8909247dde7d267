//! New software for the machine, which somebody has asked for.
//!
//! Policy: the machine has two copies of its software, and an update is written into the one that does not run. Every step
//! is on disk before it is done, so a power cut at any of them is followed by the next, or by the same once more. The
//! operation is open over the restart, and ends when the new software has passed the health gate and is marked good, or
//! when the former runs again. A bundle from which the machine went back is refused until somebody asks for it in spite
//! of that. The board is restarted for it only while nobody buys.
//!
//! The health gate: a frame on the glass, the ledger written, the board answering, and the fleet's broker; without the
//! broker only for a reason that is on record. Who can't pass it in time starts the former software again. Software that
//! was good before is marked good at every start, because every start uses up one of its attempts, a power cut's too; what
//! is broken about the machine then is no fault of the software.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

use super::event::{Effect, Illegal};
use super::record::Record;
use super::software::{Copies, Manifest, Software, UpdateEvent, UpdateTask};
use super::{State, Turn};
use crate::operation::{BundlePlace, Compatible, Digest, Operation, Outcome, Refusal, Request, RequestId, Version};
use crate::vocabulary::{Cause, Mono};

/// Who could not say what runs, or could not mark it, is asked again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// A board that was not restarted is tried again after this time.
const RESTART_AGAIN: Duration = Duration::from_secs(600);
/// So often an installation that was cut begins anew.
const MOST_INSTALLS: u32 = 10;
/// So often the new software may start without passing the gate.
const MOST_TRIALS: u32 = 10;
const WENT_BACK: &str = "the new software did not stay up long enough to prove itself";

/// Everything about updates.
#[derive(Debug, Clone, Default)]
pub struct Updates {
    /// As it was told last.
    pub software: Option<Software>,
    pub under_way: Option<UnderWay>,
    /// Bundles from which the machine went back.
    pub fell_back: BTreeSet<Digest>,
    /// What the run before has left under way is taken up.
    taken_up: bool,
    /// Somebody has to be asked again, then.
    look_at: Option<Mono>,
    good: Good,
    /// The health gate was opened then.
    gate_since: Mono,
    restart_at: Mono,
}

/// Whether the copy that runs is marked good.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Good {
    #[default]
    NotYet,
    Asked,
    Failed {
        why: String,
        again: Mono,
    },
    Marked,
}

/// One update, as its records add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderWay {
    pub operation: RequestId,
    pub bundle: BundlePlace,
    pub sha256: Digest,
    pub version: Version,
    compatible: Option<Compatible>,
    from: Version,
    copy: Option<String>,
    pub stage: UpdateStage,
    installs: u32,
    trials: u32,
    was_connected: bool,
    kernel_boot: Option<String>,
    pub sick: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateStage {
    Fetching,
    Installing,
    /// The board is to be restarted.
    Installed,
    Restarting,
    /// The new software runs, and has not passed the gate.
    Trial,
    Passed,
}

impl Updates {
    /// The operation that is open as long as the update is under way.
    pub fn operation(&self) -> Option<&RequestId> {
        self.under_way.as_ref().map(|update| &update.operation)
    }

    /// Whether the machine has no second copy that could take over, although it should have one.
    pub fn lacks_a_spare(&self) -> bool {
        matches!(&self.software, Some(Software { copies: Copies::Two { spare: false, .. }, .. }))
            // While it is written it can't.
            && !self.under_way.as_ref().is_some_and(|update| update.stage == UpdateStage::Installing)
    }

    /// `records`: all that were written about updates. `moved`: the ledger comes from elsewhere, where its update is.
    pub(super) fn restore(&mut self, records: &[Record], open: &[RequestId], moved: bool) {
        records.iter().for_each(|record| self.apply(record));
        self.under_way.take_if(|update| moved || !open.contains(&update.operation));
    }

    pub(super) fn apply(&mut self, record: &Record) {
        match record {
            Record::UpdateBegun { operation, bundle, sha256, version, compatible, from, copy } => {
                self.under_way = Some(UnderWay {
                    operation: operation.clone(),
                    bundle: bundle.clone(),
                    sha256: sha256.clone(),
                    version: version.clone(),
                    compatible: compatible.clone(),
                    from: from.clone(),
                    copy: copy.clone(),
                    stage: UpdateStage::Fetching,
                    installs: 0,
                    trials: 0,
                    was_connected: false,
                    kernel_boot: None,
                    sick: None,
                });
            }
            Record::UpdateGood { sha256, .. } => drop(self.fell_back.remove(sha256)),
            Record::UpdateFellBack { sha256, .. } => drop(self.fell_back.insert(sha256.clone())),
            Record::OperationEnded { id, .. } => drop(self.under_way.take_if(|update| update.operation == *id)),
            _ => {}
        }
        if let Some(update) = &mut self.under_way {
            update.apply(record);
        }
    }
}

impl UnderWay {
    fn apply(&mut self, record: &Record) {
        match record {
            Record::UpdateInstalling { connected, .. } => {
                (self.stage, self.was_connected) = (UpdateStage::Installing, *connected);
                self.installs += 1;
            }
            Record::UpdateInstalled { kernel_boot, .. } => {
                (self.stage, self.kernel_boot) = (UpdateStage::Installed, Some(kernel_boot.clone()));
            }
            Record::UpdateRestarting { .. } => self.stage = UpdateStage::Restarting,
            Record::UpdateTried { .. } => {
                self.stage = UpdateStage::Trial;
                self.trials += 1;
            }
            Record::UpdateSick { detail, .. } => self.sick = Some(detail.clone()),
            Record::UpdatePassed { .. } => self.stage = UpdateStage::Passed,
            _ => {}
        }
    }

    /// Whether the new software runs. Once it is written the copy tells, whatever an image calls itself; before that the
    /// version does, and where it is that of the former, the copy again.
    fn runs(&self, software: &Software) -> bool {
        let elsewhere = match &software.copies {
            Copies::Two { running, .. } => self.copy.as_ref() != Some(running),
            Copies::Unknown { .. } | Copies::One { .. } => false,
        };
        let written = !matches!(self.stage, UpdateStage::Fetching | UpdateStage::Installing);
        if written && self.copy.is_some() && matches!(software.copies, Copies::Two { .. }) {
            return elsewhere;
        }
        software.version.as_ref() == Some(&self.version) && (self.version != self.from || elsewhere)
    }
}

impl State {
    pub(super) fn update_wake(&self, now: Mono) -> Option<Mono> {
        let updates = &self.updates;
        let stage = updates.under_way.as_ref().map(|update| update.stage);
        let again = match &updates.good {
            Good::Failed { again, .. } => Some(*again),
            Good::NotYet | Good::Asked | Good::Marked => None,
        };
        let gate = match stage {
            Some(UpdateStage::Trial | UpdateStage::Passed) => Some(updates.gate_since + self.policy.update_gate),
            Some(UpdateStage::Installed) => Some(updates.restart_at),
            _ => None,
        };
        [updates.look_at, again, gate].into_iter().flatten().filter(|at| *at > now).min()
    }

    /// Whether the new software may be called good, and why that is so without the broker.
    fn health(&self, update: &UnderWay) -> Result<Option<String>, String> {
        let conditions = &self.conditions;
        let runs = self.updates.software.as_ref().and_then(|software| software.version.as_ref());
        if runs != Some(&update.version) {
            let runs = runs.map_or("none".to_owned(), ToString::to_string);
            return Err(format!("it says that it is version {runs}, and {} was asked for", update.version));
        }
        if !conditions.glass_has_spoken {
            return Err("no frame is on the glass".into());
        }
        if let Some(dark) = &conditions.glass_dark {
            return Err(format!("nobody sees the glass: {dark}"));
        }
        if conditions.board_answers != Some(true) {
            return Err("the board does not answer".into());
        }
        match (self.policy.fleet, conditions.fleet_connected, update.was_connected) {
            (true, true, _) => Ok(None),
            (true, false, true) => Err("the fleet's broker is not reached".into()),
            (true, false, false) => Ok(Some("the fleet's broker was not reached before the restart either".into())),
            (false, ..) => Ok(Some("no fleet is configured".into())),
        }
    }
}

impl Turn<'_> {
    /// After a start.
    pub(super) fn look_at_the_software(&mut self) {
        let clean = self.state.updates.under_way.is_none();
        self.effect(Effect::Update(UpdateTask::Look { clean }));
    }

    /// True where the update has begun, false where it runs already.
    pub(super) fn begin_update(&mut self, request: &Request) -> Result<bool, Refusal> {
        let Operation::InstallUpdate { bundle, sha256, version, compatible, retry, downgrade } = &request.asked else {
            return Ok(false);
        };
        let updates = &self.state.updates;
        let software = updates.software.as_ref().ok_or(Refusal::NotReady)?;
        let (running, kind, spare) = match &software.copies {
            Copies::Two { running, compatible, spare } => (running, compatible, *spare),
            Copies::Unknown { why: how } | Copies::One { how } => {
                return Err(Refusal::NoInstaller { how: how.clone() });
            }
        };
        if let Some(update) = &updates.under_way {
            return Err(Refusal::UpdateUnderWay { version: update.version.clone() });
        }
        if self.state.pulse.is_some() {
            return Err(Refusal::RelayIsTried);
        }
        if self.state.reboot.promised {
            return Err(Refusal::NotReady);
        }
        if compatible.as_ref().is_some_and(|wanted| wanted.as_str() != kind) {
            return Err(Refusal::OtherMachine { compatible: kind.clone() });
        }
        let Some(from) = software.version.clone() else {
            return Err(Refusal::NoInstaller { how: "nobody can say which version runs here".into() });
        };
        match version.cmp(&from) {
            Ordering::Less if !downgrade => return Err(Refusal::OlderThanRuns { runs: from }),
            // Once more, so that there are two copies again.
            Ordering::Equal if spare => return Ok(false),
            Ordering::Less | Ordering::Equal | Ordering::Greater => {}
        }
        if updates.fell_back.contains(sha256) && !retry {
            return Err(Refusal::FellBackBefore);
        }
        let (bundle, sha256, copy) = (bundle.clone(), sha256.clone(), Some(running.clone()));
        self.record(Record::UpdateBegun {
            operation: request.id.clone(),
            bundle: bundle.clone(),
            sha256: sha256.clone(),
            version: version.clone(),
            compatible: compatible.clone(),
            from,
            copy,
        });
        self.effect(Effect::Update(UpdateTask::Fetch { bundle, sha256 }));
        Ok(true)
    }

    pub(super) fn update(&mut self, event: UpdateEvent) -> Result<(), Illegal> {
        match event {
            UpdateEvent::Seen(software) => self.software_seen(software),
            UpdateEvent::Fetched(result) => {
                let update = self.expected(UpdateStage::Fetching, UpdateStage::Installing)?;
                self.fetched(&update, result);
            }
            UpdateEvent::Installed(result) => {
                let update = self.expected(UpdateStage::Installing, UpdateStage::Installing)?;
                self.installed(update.operation, result);
            }
            UpdateEvent::MarkedGood(result) => self.marked_good(result),
            UpdateEvent::Returns(_) => {
                let update = self.expected(UpdateStage::Trial, UpdateStage::Passed)?;
                // Where the other copy could not be named, the boot loader still comes to it, when this one's attempts are
                // used up.
                if update.sick.is_some() && self.state.reboot.promised {
                    self.effect(Effect::Reboot);
                }
            }
        }
        Ok(())
    }

    /// The update, if it is at one of these stages.
    fn expected(&self, one: UpdateStage, other: UpdateStage) -> Result<UnderWay, Illegal> {
        let update = self.state.updates.under_way.clone();
        let update = update.filter(|update| update.stage == one || update.stage == other);
        update.ok_or(Illegal::Refused("no update has come so far"))
    }

    fn software_seen(&mut self, software: Software) {
        let now = self.at.now;
        let updates = &mut self.state.updates;
        let knows = !matches!(software.copies, Copies::Unknown { .. });
        updates.look_at = (!knows).then(|| now + ASK_AGAIN);
        // Where one version is written over itself, only the copies tell how it went.
        let copies = knows || updates.under_way.as_ref().is_none_or(|update| update.version != update.from);
        let written = updates
            .under_way
            .as_ref()
            .is_none_or(|update| !matches!(update.stage, UpdateStage::Fetching | UpdateStage::Installing));
        let tells = copies && (software.version.is_some() || written && knows);
        updates.software = Some(software);
        if tells && !std::mem::replace(&mut updates.taken_up, true) {
            self.take_up();
        }
    }

    /// After a start it is known what runs, and so what has become of the update that was under way.
    fn take_up(&mut self) {
        let Some(update) = self.state.updates.under_way.clone() else { return };
        let Some(software) = self.state.updates.software.clone() else { return };
        let runs = update.runs(&software);
        match update.stage {
            UpdateStage::Passed if runs => self.state.updates.gate_since = self.at.now,
            _ if runs => {
                let copy = match software.copies {
                    Copies::Two { running, .. } => Some(running),
                    Copies::Unknown { .. } | Copies::One { .. } => None,
                };
                self.record(Record::UpdateTried { operation: update.operation, copy });
                self.state.updates.gate_since = self.at.now;
            }
            UpdateStage::Fetching | UpdateStage::Installing if update.installs >= MOST_INSTALLS => {
                let detail = format!("it was begun {MOST_INSTALLS} times and never came to its end");
                self.end_update(update.operation, Cause::UpdateFailed { detail });
            }
            UpdateStage::Fetching | UpdateStage::Installing => {
                let (bundle, sha256) = (update.bundle, update.sha256);
                self.effect(Effect::Update(UpdateTask::Fetch { bundle, sha256 }));
            }
            // Only the daemon was started anew.
            UpdateStage::Installed | UpdateStage::Restarting
                if update.kernel_boot.as_ref() == Some(&software.kernel_boot) =>
            {
                self.restart_is_due(self.at.now);
            }
            UpdateStage::Installed | UpdateStage::Restarting | UpdateStage::Trial | UpdateStage::Passed => {
                self.fell_back(update);
            }
        }
    }

    fn restart_is_due(&mut self, at: Mono) {
        let updates = &mut self.state.updates;
        updates.restart_at = at;
        if let Some(update) = &mut updates.under_way {
            update.stage = UpdateStage::Installed;
        }
    }

    fn fetched(&mut self, update: &UnderWay, result: Result<Manifest, String>) {
        let kind = match &self.state.updates.software {
            Some(Software { copies: Copies::Two { compatible, .. }, .. }) => Some(compatible.clone()),
            _ => None,
        };
        let wrong = match &result {
            Err(why) => Some(why.clone()),
            Ok(manifest) if manifest.version != update.version.as_str() => {
                Some(format!("the bundle has version {}, and {} was asked for", manifest.version, update.version))
            }
            Ok(manifest) if kind.as_ref().is_some_and(|kind| *kind != manifest.compatible) => Some(format!(
                "the bundle is for `{}`, and this machine is `{}`",
                manifest.compatible,
                kind.unwrap_or_default()
            )),
            Ok(_) => None,
        };
        let operation = update.operation.clone();
        if let Some(detail) = wrong {
            return self.end_update(operation, Cause::UpdateFailed { detail });
        }
        self.record(Record::UpdateInstalling { operation, connected: self.state.conditions.fleet_connected });
        let (bundle, sha256) = (update.bundle.clone(), update.sha256.clone());
        self.effect(Effect::Update(UpdateTask::Install { bundle, sha256 }));
    }

    fn installed(&mut self, operation: RequestId, result: Result<(), String>) {
        let kernel_boot = self.state.updates.software.as_ref().map(|software| software.kernel_boot.clone());
        match result {
            Ok(()) => {
                self.record(Record::UpdateInstalled { operation, kernel_boot: kernel_boot.unwrap_or_default() });
                self.state.updates.restart_at = self.at.now;
            }
            Err(detail) => self.end_update(operation, Cause::UpdateFailed { detail }),
        }
    }

    fn end_update(&mut self, operation: RequestId, why: Cause) {
        self.end_operation(operation, Outcome::Failed { why });
        self.effect(Effect::Update(UpdateTask::Look { clean: true }));
    }

    fn fell_back(&mut self, update: UnderWay) {
        let UnderWay { operation, version, sha256, sick, .. } = update;
        let detail = sick.unwrap_or_else(|| WENT_BACK.to_owned());
        self.record(Record::UpdateFellBack {
            operation: operation.clone(),
            version: version.clone(),
            sha256,
            detail: detail.clone(),
        });
        self.end_operation(operation, Outcome::Failed { why: Cause::FellBack { detail } });
        // Else it would be the next to start when this one's attempts are used up, and would call itself good.
        self.effect(Effect::Update(UpdateTask::Discard));
    }

    fn marked_good(&mut self, result: Result<(), String>) {
        let now = self.at.now;
        self.state.updates.good = match result {
            Ok(()) => Good::Marked,
            Err(why) => Good::Failed { why, again: now + ASK_AGAIN },
        };
        if self.state.updates.good != Good::Marked {
            return;
        }
        if let Ok(update) = self.expected(UpdateStage::Passed, UpdateStage::Passed) {
            let UnderWay { operation, version, sha256, .. } = update;
            self.record(Record::UpdateGood { operation: operation.clone(), version, sha256 });
            self.end_operation(operation, Outcome::Changed { order: None, report: None });
            self.effect(Effect::Update(UpdateTask::Look { clean: true }));
        }
    }

    /// The board is there still.
    pub(super) fn not_rebooted_for_the_update(&mut self) {
        let later = self.at.now + RESTART_AGAIN;
        match &mut self.state.updates.under_way {
            Some(update) if update.stage == UpdateStage::Restarting => self.restart_is_due(later),
            Some(UnderWay { sick: Some(_), .. }) => self.state.updates.gate_since = self.at.now,
            _ => {}
        }
    }

    /// What time, or the end of a sale, has made due.
    pub(super) fn go_on_with_the_update(&mut self) {
        let now = self.at.now;
        if self.state.updates.look_at.take_if(|at| now >= *at).is_some() {
            self.effect(Effect::Update(UpdateTask::Look { clean: false }));
        }
        let Some(update) = self.state.updates.under_way.clone() else { return self.call_it_good() };
        let over = now >= self.state.updates.gate_since + self.state.policy.update_gate;
        match update.stage {
            UpdateStage::Fetching | UpdateStage::Installing | UpdateStage::Restarting => self.call_it_good(),
            UpdateStage::Installed => {
                self.call_it_good();
                self.restart_for(update.operation);
            }
            UpdateStage::Trial if self.state.reboot.promised => {}
            // Which software runs is not known yet.
            UpdateStage::Trial if !self.state.updates.taken_up && !over => {}
            UpdateStage::Trial => match self.state.health(&update) {
                Ok(detail) => {
                    self.record(Record::UpdatePassed { operation: update.operation, detail });
                    self.call_it_good();
                }
                Err(why) if over || update.trials > MOST_TRIALS => self.return_from(update.operation, why),
                Err(_) => {}
            },
            UpdateStage::Passed => {
                self.call_it_good();
                let why = match (&self.state.updates.good, &self.state.updates.software) {
                    (Good::Failed { why, .. }, _) => Some(why.clone()),
                    (Good::NotYet, Some(Software { copies: Copies::Unknown { why }, .. })) => Some(why.clone()),
                    _ => None,
                };
                if let Some(why) = why.filter(|_| over && !self.state.reboot.promised) {
                    self.return_from(update.operation, format!("it could not be marked good: {why}"));
                }
            }
        }
    }

    /// Whatever runs and is not on trial is good, once it has come up.
    fn call_it_good(&mut self) {
        let (now, updates) = (self.at.now, &mut self.state.updates);
        let has_copies = matches!(&updates.software, Some(Software { copies: Copies::Two { .. }, .. }));
        let due = match &updates.good {
            Good::NotYet => true,
            Good::Failed { again, .. } => now >= *again,
            Good::Asked | Good::Marked => false,
        };
        let next = updates.under_way.as_ref().is_some_and(|update| update.stage == UpdateStage::Passed);
        if has_copies && updates.taken_up && self.state.conditions.glass_has_spoken && due {
            updates.good = Good::Asked;
            self.effect(Effect::Update(UpdateTask::MarkGood { next }));
        }
    }

    fn restart_for(&mut self, operation: RequestId) {
        let due = self.at.now >= self.state.updates.restart_at && self.state.policy.reboot;
        if due && !self.state.reboot.promised && self.nobody_buys() {
            self.record(Record::UpdateRestarting { operation });
            self.state.reboot.promised = true;
            self.effect(Effect::Reboot);
        }
    }

    /// Nobody has asked for it this moment, so nobody's receipt or page is cut off either.
    fn nobody_buys(&self) -> bool {
        let printing = self.state.orders.values().any(|order| order.printing.is_some());
        self.may_reboot().is_ok() && !printing && self.state.dialogue.at_rest()
    }

    /// The new software has not proved itself: the former is started, if there is one.
    fn return_from(&mut self, operation: RequestId, detail: String) {
        if self.state.updates.lacks_a_spare() {
            let detail = format!("{detail}; no other copy could take over, so this one stays");
            return self.end_update(operation, Cause::UpdateFailed { detail });
        }
        if self.nobody_buys() {
            self.record(Record::UpdateSick { operation, detail });
            self.state.reboot.promised = true;
            self.effect(Effect::Update(UpdateTask::Return));
        }
    }
}
