//! The lanes of a small car park: the promises hold for a way out as they do for a can of cola.

use std::collections::BTreeMap;

use kioskd::operation::{Operation, Reason};
use kioskd::sale::dialogue::Page;
use kioskd::sale::event::Event;
use kioskd::sale::{Record, Shop, State};
use kioskd::vocabulary::{Outlet, SlotId};

use crate::car_park::{CarPark, FREE_MINUTES, enters, entry, exit, leaves};
use crate::chance::Chance;
use crate::mutants::Mutant;
use crate::trade::Trade;

pub struct Parking;

/// As the shop counts them.
fn inside(state: &State) -> u32 {
    state.outlet(&exit()).map_or(0, |exit| exit.count)
}

fn ticket(chance: &mut Chance) -> String {
    format!("S{}", chance.below(1_000))
}

impl Trade for Parking {
    /// As many cars as ever come find a gate that opens, unless it is jammed.
    fn open(&self, chance: &mut Chance) -> (Box<dyn Shop>, Vec<(Outlet, u32)>) {
        let park = CarPark::new(1 + chance.below(4) as u32);
        (Box::new(park), [entry(), exit()].map(|gate| (gate, 10_000)).into())
    }

    fn chooses(&self, state: &State, _page: &Page, chance: &mut Chance) -> Event {
        let ticket = ticket(chance);
        // Nobody leaves an empty park.
        if inside(state) == 0 || chance.percent(40) {
            enters(&ticket)
        } else {
            leaves(&ticket, FREE_MINUTES + 1 + chance.below(180) as u32)
        }
    }

    fn is_granted(&self, state: &State, chance: &mut Chance) -> Event {
        let ticket = ticket(chance);
        if inside(state) == 0 { enters(&ticket) } else { leaves(&ticket, chance.below(16) as u32) }
    }

    /// A car park has no slots, and whoever asks for one is refused.
    fn asks(&self, chance: &mut Chance) -> Operation {
        let slot = SlotId::parse("A1").unwrap();
        let reason = Reason::parse("counted").unwrap();
        match chance.below(8) {
            0 => Operation::TestVend { slot },
            1 => Operation::SetStock { slot, count: 3 },
            2 | 3 => Operation::Raise { reason },
            4 => Operation::KeepOpen { reason },
            5 => Operation::Release { reason },
            6 => Operation::CarsInside { cars: 2, reason },
            _ => Operation::Pulse { outlet: if chance.percent(50) { entry() } else { exit() } },
        }
    }

    /// Never more cars inside than there are places, and as many as the count says, unless a gate could not tell or was
    /// opened by hand.
    fn check(&self, state: &State, records: &[Record], out: &BTreeMap<Outlet, u32>) -> Result<(), String> {
        let passed = |gate: Outlet| out.get(&gate).copied().unwrap_or_default();
        let (came, went) = (passed(entry()), passed(exit()));
        let by_hand = |record: &Record| matches!(record, Record::OperationBegun { asked: Operation::Pulse { .. }, .. });
        if records.iter().any(|record| record.kind() == "item-unknown" || by_hand(record)) {
            return Ok(());
        }
        let places = state.outlet(&exit()).map_or(0, |exit| exit.capacity);
        let right = came.checked_sub(went) == Some(inside(state)) && inside(state) <= places;
        right
            .then_some(())
            .ok_or(format!("{came} cars came, {went} went, {} are counted, {places} places", inside(state)))
    }
}

#[test]
fn no_promise_breaks_in_ten_thousand_crashed_runs() {
    let (crashed, failed) = crate::hunt(&Parking, None, 1, 10_000 * crate::long());
    assert!(failed.is_none(), "after {crashed} crashed runs: {failed:?}");
    assert!(crashed >= 10_000);
}

/// Those about what passed a gate, and one about the money for it.
#[test]
fn planted_mutants_are_caught() {
    let mutants = [Mutant::CrashAssumedDelivered, Mutant::UnitGivenAwayAgain, Mutant::WrongAmountAccepted];
    for mutant in mutants {
        let (crashed, failed) = crate::hunt(&Parking, Some(mutant), 1, 5_000);
        assert!(failed.is_some(), "{mutant:?} is not caught in {crashed} crashed runs");
    }
}
