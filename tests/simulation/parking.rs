//! The lanes of a small car park: the promises hold for a way out as they do for a can of cola.

use kioskd::operation::Operation;
use kioskd::sale::dialogue::Page;
use kioskd::sale::event::Event;
use kioskd::sale::{Shop, State};
use kioskd::vocabulary::{Outlet, SlotId};

use crate::car_park::{CarPark, FREE_MINUTES, enters, entry, exit, leaves};
use crate::chance::Chance;
use crate::mutants::Mutant;
use crate::trade::Trade;

struct Parking;

fn ticket(chance: &mut Chance) -> String {
    format!("S{}", chance.below(1_000))
}

impl Trade for Parking {
    /// As many cars as ever come find a gate that opens, unless it is jammed.
    fn open(&self, chance: &mut Chance) -> (Box<dyn Shop>, Vec<(Outlet, u32)>) {
        let park = CarPark::new(1 + chance.below(4) as u32);
        (Box::new(park), [entry(), exit()].map(|gate| (gate, 10_000)).into())
    }

    fn chooses(&self, _page: &Page, chance: &mut Chance) -> Event {
        let ticket = ticket(chance);
        if chance.percent(40) { enters(&ticket) } else { leaves(&ticket, FREE_MINUTES + 1 + chance.below(180) as u32) }
    }

    fn is_granted(&self, _state: &State, chance: &mut Chance) -> Event {
        leaves(&ticket(chance), chance.below(u64::from(FREE_MINUTES) + 1) as u32)
    }

    /// A car park has no slots, and whoever asks for one is refused.
    fn asks(&self, chance: &mut Chance) -> Operation {
        let slot = SlotId::parse("A1").unwrap();
        if chance.percent(50) { Operation::TestVend { slot } } else { Operation::SetStock { slot, count: 3 } }
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
