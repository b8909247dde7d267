//! Cars that have left, by their plates, so that one that comes back soon goes on with the stay before.
//!
//! Policy: an entry remembers them in this run alone, and says with the car that comes in what it goes on with; so every lane prices
//! it alike. In doubt a car goes on with nothing, because what a customer has paid is never asked for again: its stay before must be
//! settled by what is known here, and the newest of its plate.

use std::collections::BTreeMap;
use std::time::Duration;

use super::CarPark;
use crate::parking::site::{Before, Entered, Over, Payments, Site, Stay as Number, Until};
use crate::parking::tariff::{self, Visit};
use crate::parking::ticket::{CLOCKS_DIFFER, Minute, Plate, TicketNumber};
use crate::sale::presented::TicketDeed;
use crate::vocabulary::{Minor, Mono};

/// So many that have left are remembered; then the one that left the longest ago is forgotten.
const MOST: usize = 5_000;

/// Cars with a plate: those that are inside, and those that have left a short while ago.
#[derive(Debug, Clone, Default)]
pub(super) struct Departed {
    cars: BTreeMap<TicketNumber, Car>,
    /// How often it has looked.
    round: u64,
}

#[derive(Debug, Clone)]
struct Car {
    entered: Entered,
    /// The most that was ever known: it is forgotten by those that tell it.
    paid: Option<Payments>,
    gone: Option<Gone>,
    /// Of the look that has found it inside.
    round: u64,
}

/// Its stay is over.
#[derive(Debug, Clone, Copy)]
struct Gone {
    found: Mono,
    /// Where a lane has told it.
    exit: Option<Minute>,
}

impl Car {
    fn learn(&mut self, paid: Option<Payments>) {
        if amount(paid.as_ref()) >= amount(self.paid.as_ref()) {
            self.paid = paid.or(self.paid.take());
        }
    }
}

fn amount(paid: Option<&Payments>) -> Minor {
    paid.map_or(0, Payments::amount)
}

impl Departed {
    /// Something of the site has changed.
    fn look(&mut self, site: &Site, now: Mono, within: u32) {
        self.round += 1;
        let round = self.round;
        for (number, entered) in site.inside().filter(|(_, entered)| entered.plate.is_some()) {
            let paid = site.paid(number, &[]);
            match self.cars.get_mut(&number) {
                Some(car) if car.entered == *entered => {
                    (car.round, car.gone) = (round, None);
                    car.learn(paid);
                }
                _ => {
                    self.cars.insert(number, Car { entered: entered.clone(), paid, gone: None, round });
                }
            }
        }
        let long = Duration::from_secs(60 * u64::from(within + CLOCKS_DIFFER));
        self.cars.retain(|number, car| {
            if car.round == round {
                return true;
            }
            let told = match site.over(*number) {
                Some(Over::Left { at, .. }) => at,
                Some(Over::Finished { .. }) => None,
                // It was not there, or its lane counts no more.
                Some(Over::Voided { .. }) | None => return false,
            };
            car.learn(site.paid(*number, &[]));
            let gone = car.gone.get_or_insert(Gone { found: now, exit: told });
            gone.exit = gone.exit.or(told);
            now.since(gone.found) <= long
        });
        self.forget();
    }

    fn forget(&mut self) {
        let gone = self.cars.iter().filter_map(|(number, car)| Some((car.gone?.found, *number)));
        let mut gone: Vec<(Mono, TicketNumber)> = gone.collect();
        if let Some(many) = gone.len().checked_sub(MOST).filter(|many| *many > 0) {
            gone.sort_unstable();
            gone.iter().take(many).for_each(|(_, number)| drop(self.cars.remove(number)));
        }
    }

    /// The newest with exactly this plate, and of two of one minute the one of which less is known.
    fn newest(&self, plate: &Plate) -> Option<(TicketNumber, &Car)> {
        let same = self.cars.iter().filter(|(_, car)| car.entered.plate.as_ref() == Some(plate));
        let newest = same.max_by_key(|(_, car)| {
            let exit = car.gone.and_then(|gone| gone.exit);
            (car.entered.entry.latest(), exit.is_none(), exit)
        });
        newest.map(|(number, car)| (*number, car))
    }

    /// Another car has come back from it already.
    fn is_used(&self, stay: Number) -> bool {
        self.cars.values().any(|car| car.entered.before.is_some_and(|before| before.stay == stay))
    }
}

impl CarPark {
    /// Minutes in which who has left may come back, where that is of use here.
    fn re_entry(&self) -> Option<u32> {
        let within = self.parts.tariff.re_entry.filter(|_| self.parts.settings.does == TicketDeed::GiveOut)?;
        u32::try_from(within).ok()
    }

    pub(super) fn look_who_left(&mut self) {
        if let Some(within) = self.re_entry() {
            self.departed.look(&self.site, self.now, within);
        }
    }

    /// What a car that comes in goes on with.
    pub(super) fn comes_back(&self, entered: &Entered) -> Option<Before> {
        let within = self.re_entry()?;
        let (number, car) = self.departed.newest(entered.plate.as_ref()?)?;
        let (stay, exit) = (Number(number), car.gone?.exit?);
        let first = car.entered.before.map_or(car.entered.entry.charged_from(exit), |before| before.first);
        let paid = car.entered.before.map_or(0, |before| Minor::from(before.paid)) + amount(car.paid.as_ref());
        let before = Before { stay, first, exit, paid: u32::try_from(paid).ok()? };
        let soon = entered.entry.latest() <= exit.later(within) && before.fits(entered.entry);
        let same = car.entered.class == entered.class && !self.departed.is_used(stay);
        (soon && same && self.is_settled(car, exit)).then_some(before)
    }

    /// As [`comes_back`](Self::comes_back), of one that is inside and whose plate is read now.
    pub(super) fn came_back(&self, serial: u32, plate: &Plate) -> Option<Before> {
        let found = self.site.find(TicketNumber::new(self.site.me(), serial)?)?;
        self.comes_back(&Entered { plate: Some(plate.clone()), ..found.entered })
    }

    /// Whether what is known of its payments is all that the tariff asks for. Where it is not, a pass, a shop or a person has let it out
    /// by what is not known here, and the whole would be asked for again.
    fn is_settled(&self, car: &Car, exit: Minute) -> bool {
        let Entered { entry, class, before, .. } = &car.entered;
        let entry = entry.charged_from(exit);
        let until = match &car.paid {
            Some(paid) if !paid.is_whole() => return false,
            Some(paid) => match (paid.until(), paid.last()) {
                (Until::At(until), Some(last)) if exit <= until => last.max(entry),
                _ => exit,
            },
            None => exit,
        };
        let Ok(class) = self.class(*class) else { return false };
        let visit = before.map(|before| self.visit(before));
        let stay = tariff::Stay { class, visit, ..tariff::Stay::new(entry.wall(), until.wall()) };
        tariff::fee(&self.parts.tariff, &stay).is_ok_and(|bill| bill.amount <= amount(car.paid.as_ref()))
    }

    /// As the tariff asks for it. This lane may know of more that was paid than the one that has told it.
    pub(super) fn visit(&self, before: Before) -> Visit {
        let known = self.site.paid(before.stay.0, &[]);
        let paid = amount(known.as_ref()).max(before.paid.into());
        Visit { entry: before.first.wall(), exit: before.exit.wall(), paid }
    }
}
