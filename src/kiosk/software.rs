//! What the state says of the machine's software, and what has to be done about an update beside the sale.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Kiosk, Span};
use crate::sale::event::Effect;
use crate::sale::software::{Copies, UpdateTask};
use crate::sale::update::{UpdateStage, Updates};

const NO_FALLBACK: &str = "no fallback: the machine's other copy of its software can't be started; install an update, or \
                           the version that runs once more";

/// In the state document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SoftwareStatus {
    /// The version of the copy that runs; `None` where nobody can say.
    pub version: Option<String>,
    /// Which copy that is; `None` where there is one, or nobody can say.
    pub copy: Option<String>,
    /// Why no update can be installed, and how the machine is updated then.
    pub no_installer: Option<String>,
    /// Why no other copy could take over, and what to do about it.
    pub no_fallback: Option<String>,
    /// Under way.
    pub update: Option<UpdateStatus>,
    /// The SHA-256 of each bundle from which the machine went back; it is refused without `retry`.
    pub refused: Vec<String>,
}

/// An update that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UpdateStatus {
    /// The number of its command.
    pub id: String,
    pub version: String,
    /// `fetching`, `installing`, `installed` (the board is to be restarted), `restarting`, `trial` or `passed`.
    pub stage: &'static str,
    /// For people.
    pub says: String,
}

impl SoftwareStatus {
    /// `progress`: the installer's last words.
    pub(super) fn of(updates: &Updates, reboots: bool, progress: Option<&str>) -> Self {
        let software = updates.software.as_ref();
        let (copy, no_installer) = match software.map(|software| &software.copies) {
            Some(Copies::Two { running, .. }) => (Some(running.clone()), None),
            Some(Copies::Unknown { why: how } | Copies::One { how }) => (None, Some(how.clone())),
            None => (None, Some("it is not known yet what runs".to_owned())),
        };
        let update = updates.under_way.as_ref().map(|update| {
            let sick = || update.sick.as_ref().map(|why| format!("it has not proved itself: {why}"));
            let (stage, says) = match update.stage {
                UpdateStage::Fetching => ("fetching", progress.unwrap_or("the bundle is fetched").to_owned()),
                UpdateStage::Installing => ("installing", progress.unwrap_or("the other copy is written").to_owned()),
                UpdateStage::Installed if !reboots => {
                    ("installed", "it waits until somebody restarts the board".into())
                }
                UpdateStage::Installed => ("installed", "the board is restarted when nobody buys".into()),
                UpdateStage::Restarting => ("restarting", "the board is restarted".into()),
                UpdateStage::Trial => ("trial", sick().unwrap_or_else(|| "it runs, and has to prove itself".into())),
                UpdateStage::Passed => ("passed", "it has proved itself, and is marked good".into()),
            };
            UpdateStatus { id: update.operation.to_string(), version: update.version.to_string(), stage, says }
        });
        Self {
            version: software.and_then(|software| Some(software.version.as_ref()?.to_string())),
            copy,
            no_installer,
            no_fallback: updates.lacks_a_spare().then(|| NO_FALLBACK.to_owned()),
            update,
            refused: updates.fell_back.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Kiosk {
    /// Before an effect is carried out.
    pub(super) fn watch_the_trial(&mut self, effect: &Effect) {
        let restarts =
            self.state.updates.under_way.as_ref().map(|update| update.stage) == Some(UpdateStage::Restarting);
        match effect {
            Effect::Reboot if restarts => {
                if let Err(error) = self.edges.trial.begin() {
                    tracing::warn!(%error, "new software that can't open the ledger would not be noticed");
                }
            }
            Effect::Update(UpdateTask::Look { clean: true } | UpdateTask::Discard) => self.edges.trial.end(),
            Effect::Update(UpdateTask::Fetch { .. } | UpdateTask::Install { .. }) => self.update_progress = None,
            _ => {}
        }
    }

    /// The ledger can't be used, so nothing can be decided. New software gives itself up then.
    pub(super) fn ledger_failed(&self) {
        if self.edges.trial.gives_up() {
            let Span(gate) = self.config.update.gate;
            tracing::error!(
                gate_s = gate.as_secs(),
                "new software can't use the ledger, so the board will be restarted"
            );
            self.edges.restart_after(gate);
        }
    }
}
