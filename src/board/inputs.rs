//! The last known levels of the inputs that change by themselves, and the events that a change means.

use std::sync::Mutex;

use super::{BoardEvent, OwnCounter, Purpose, Report, lock};
use crate::config;
use crate::vocabulary::SlotId;

#[derive(Clone)]
pub(super) enum Input {
    Door,
    Tamper,
    ServiceKey,
    Button(SlotId),
    /// Of a drop sensor without a counter chip.
    Beam(OwnCounter),
}

impl Input {
    pub fn purpose(&self) -> Purpose {
        if matches!(self, Self::Beam(_)) { Purpose::Beam } else { Purpose::Switch }
    }
}

/// They change by themselves and are read now and then; a change that comes while a reading is under way wins, because
/// the reading may be older.
pub(super) struct Inputs {
    pub watched: Vec<(String, Input)>,
    levels: Mutex<Vec<Level>>,
    report: Report,
}

#[derive(Debug, Clone, Copy, Default)]
struct Level {
    active: Option<bool>,
    changes: u64,
}

impl Inputs {
    /// `count`: of a beam that no chip counts.
    pub fn of(config: &config::Board, slots: &[config::Slot], count: Option<&OwnCounter>, report: Report) -> Self {
        let beam = config.drop_sensor.as_ref().zip(count);
        let buttons = slots.iter().filter_map(|slot| Some((slot.button.as_ref()?, Input::Button(slot.name.clone()))));
        let watched = config.door.iter().map(|line| (line, Input::Door));
        let watched = watched.chain(config.tamper.iter().map(|line| (line, Input::Tamper)));
        let watched = watched.chain(config.service_key.iter().map(|line| (line, Input::ServiceKey))).chain(buttons);
        let watched = watched.chain(beam.map(|(sensor, count)| (&sensor.beam, Input::Beam(count.clone()))));
        let watched: Vec<_> = watched.map(|(line, input)| (line.clone(), input)).collect();
        let levels = Mutex::new(vec![Level::default(); watched.len()]);
        Self { watched, levels, report }
    }

    /// By its name, from a world.
    pub fn changed(&self, line: &str, active: bool) {
        for (nth, _) in self.watched.iter().enumerate().filter(|(_, (name, _))| name == line) {
            self.nth_changed(nth, active);
        }
    }

    pub fn nth_changed(&self, nth: usize, active: bool) {
        let mut levels = lock(&self.levels);
        levels[nth].changes += 1;
        self.set(&mut levels[nth], nth, active);
    }

    /// Reads one input with `read` and reports a level that was not known.
    pub fn poll<E>(&self, nth: usize, read: impl FnOnce() -> Result<bool, E>) -> Result<(), E> {
        let changes = lock(&self.levels)[nth].changes;
        let active = read()?;
        // Only edges are counted: what reads broken now may be told a moment later.
        if matches!(self.watched[nth].1, Input::Beam(_)) {
            return Ok(());
        }
        let mut levels = lock(&self.levels);
        if levels[nth].changes == changes {
            self.set(&mut levels[nth], nth, active);
        }
        Ok(())
    }

    /// With the lock held, so that reports come in the order of the changes.
    fn set(&self, level: &mut Level, nth: usize, active: bool) {
        let before = level.active.replace(active);
        if before == Some(active) {
            return;
        }
        (self.report)(match &self.watched[nth].1 {
            Input::Door => BoardEvent::Door { open: active },
            Input::Tamper => BoardEvent::Tamper { active },
            // One that is found turned at the start may have been forgotten.
            Input::ServiceKey if before.is_some() => BoardEvent::ServiceKey { on: active },
            Input::ServiceKey => return,
            // One that is found pressed at the start may be stuck.
            Input::Button(slot) if active && before == Some(false) => BoardEvent::Button { slot: slot.clone() },
            Input::Button(_) => return,
            Input::Beam(count) => {
                return if active {
                    count.broken()
                };
            }
        });
    }
}
