//! The cars of the simulated car park: where each is, and what its driver holds.
//!
//! Policy: a driver knows what stands on a paper, and no more. Which codes a driver has was read from paper or from a glass.

use std::time::Duration;

use super::lane::{CarNumber, Lane, Left, Wish};
use crate::parking::ticket::Kind;

/// A car park of the demo has no more at once; those that have gone are forgotten first.
const MOST: usize = 60;
const MOST_CODES: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before the car park.
    Street,
    /// On the lane with that index.
    Lane(usize),
    Inside,
    Gone,
}

/// What somebody at the page does with a car.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Move {
    /// From the street to the entry; from inside to the exit.
    Arrive,
    /// On, as soon as the arm is up.
    Drive,
    /// Back to where it came from.
    BackOut,
    /// From inside to the exit; from the street away.
    Leave,
}

/// A code on a paper, or photographed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub kind: Kind,
    pub code: String,
    /// What stands under the code of a ticket, or which ticket a pass is for.
    pub number: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Car {
    pub number: CarNumber,
    pub plate: String,
    pub length: f64,
    pub place: Place,
    /// The newest last.
    pub holds: Vec<Held>,
}

impl Car {
    pub fn newest(&self, kind: Kind) -> Option<&Held> {
        self.holds.iter().rev().find(|held| held.kind == kind)
    }

    /// A code that the driver has already is no second one.
    pub fn takes(&mut self, held: Held) {
        if self.holds.iter().any(|other| other.code == held.code) {
            return;
        }
        if self.holds.len() == MOST_CODES {
            self.holds.remove(0);
        }
        self.holds.push(held);
    }
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CantMove {
    #[error("there is no car `{0}`")]
    NoCar(String),
    #[error("there are {MOST} cars already; let some leave")]
    TooMany,
    #[error("{0} is {1}; it can't do that from there")]
    NotFrom(String, &'static str),
}

/// All lanes and cars.
#[derive(Debug, Clone)]
pub struct Cars {
    pub lanes: Vec<Lane>,
    entry: usize,
    exit: usize,
    cars: Vec<Car>,
    next: CarNumber,
    first_plate: u64,
}

impl Cars {
    /// Cars come in through the lane `entry` and leave through `exit`.
    pub fn new(lanes: usize, entry: usize, exit: usize) -> Self {
        Self {
            lanes: (0..lanes).map(|_| Lane::new()).collect(),
            entry,
            exit,
            cars: Vec::new(),
            next: 1,
            first_plate: 0,
        }
    }

    /// Kiosks that remember the cars of another day meet no car with the plate of one of those.
    pub fn with_plates_from(self, first_plate: u64) -> Self {
        Self { first_plate, ..self }
    }

    pub fn all(&self) -> &[Car] {
        &self.cars
    }

    pub fn get(&self, number: CarNumber) -> Option<&Car> {
        self.cars.iter().find(|car| car.number == number)
    }

    pub fn named(&mut self, name: &str) -> Result<&mut Car, CantMove> {
        let number = name.strip_prefix("car-").and_then(|number| number.parse().ok());
        let found = self.cars.iter_mut().find(|car| Some(car.number) == number);
        found.ok_or_else(|| CantMove::NoCar(name.to_owned()))
    }

    pub fn mut_by(&mut self, number: CarNumber) -> Option<&mut Car> {
        self.cars.iter_mut().find(|car| car.number == number)
    }

    /// A car that nobody has seen before.
    pub fn new_car(&mut self, place: Place) -> Result<CarNumber, CantMove> {
        if self.cars.len() >= MOST {
            let gone = self.cars.iter().position(|car| car.place == Place::Gone).ok_or(CantMove::TooMany)?;
            self.cars.remove(gone);
        }
        let number = self.next;
        self.next += 1;
        // Lengths differ, so that loops see different cars.
        let length = [4.4, 4.0, 4.9, 3.6][number as usize % 4];
        let nth = self.first_plate + u64::from(number);
        let plate = format!("{}{:05}", ["A", "B", "K"][number as usize % 3], nth * 48_271 % 100_000);
        self.cars.push(Car { number, plate, length, place, holds: Vec::new() });
        Ok(number)
    }

    pub fn go(&mut self, name: &str, how: Move) -> Result<(), CantMove> {
        let (entry, exit) = (self.entry, self.exit);
        let car = self.named(name)?;
        let (number, length) = (car.number, car.length);
        match (how, car.place) {
            (Move::Arrive | Move::Drive, Place::Street) => self.onto(entry, number, length),
            (Move::Arrive | Move::Drive | Move::Leave, Place::Inside) => self.onto(exit, number, length),
            (Move::Leave, Place::Street) => car.place = Place::Gone,
            (Move::Arrive, Place::Lane(lane)) => self.wish(lane, number, Wish::ToTheArm),
            (Move::Drive, Place::Lane(lane)) => self.wish(lane, number, Wish::Through),
            (Move::Leave, Place::Lane(lane)) if lane == exit => self.wish(lane, number, Wish::Through),
            (Move::BackOut, Place::Lane(lane)) => self.wish(lane, number, Wish::Back),
            (_, place) => return Err(CantMove::NotFrom(name.to_owned(), self.place_name(place))),
        }
        Ok(())
    }

    fn wish(&mut self, lane: usize, number: CarNumber, wish: Wish) {
        self.lanes[lane].wish(number, wish);
    }

    fn onto(&mut self, lane: usize, number: CarNumber, length: f64) {
        self.lanes[lane].join(number, length);
        if let Some(car) = self.mut_by(number) {
            car.place = Place::Lane(lane);
        }
    }

    /// Everything up to `now`.
    pub fn advance(&mut self, now: Duration) {
        for lane in 0..self.lanes.len() {
            for left in self.lanes[lane].advance(now) {
                let (number, through) = match left {
                    Left::Through(number) => (number, true),
                    Left::Back(number) => (number, false),
                };
                let place = match (lane == self.entry, through) {
                    (true, true) | (false, false) => Place::Inside,
                    (true, false) => Place::Street,
                    (false, true) => Place::Gone,
                };
                if let Some(car) = self.mut_by(number) {
                    car.place = place;
                }
            }
        }
    }

    pub fn move_on(&self) -> bool {
        self.lanes.iter().any(Lane::moves)
    }

    /// `street`, `entry`, `inside`, `exit`, `gone`.
    pub fn place_name(&self, place: Place) -> &'static str {
        match place {
            Place::Street => "street",
            Place::Lane(lane) if lane == self.entry => "entry",
            Place::Lane(_) => "exit",
            Place::Inside => "inside",
            Place::Gone => "gone",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lane::Relay;
    use super::*;

    fn held(kind: Kind, code: &str) -> Held {
        Held { kind, code: code.into(), number: None }
    }

    #[test]
    fn a_car_comes_in_stays_and_leaves() {
        let mut cars = Cars::new(2, 0, 1);
        let number = cars.new_car(Place::Street).unwrap();
        let name = format!("car-{number}");
        let at = |cars: &Cars| cars.place_name(cars.get(number).unwrap().place);
        let mut now = Duration::ZERO;
        let mut wait = |cars: &mut Cars, seconds| {
            now += Duration::from_secs(seconds);
            cars.advance(now);
        };
        assert_eq!(cars.go(&name, Move::BackOut), Err(CantMove::NotFrom(name.clone(), "street")));
        cars.go(&name, Move::Arrive).unwrap();
        wait(&mut cars, 5);
        assert_eq!((at(&cars), cars.move_on()), ("entry", false));
        cars.go(&name, Move::BackOut).unwrap();
        wait(&mut cars, 9);
        assert_eq!(at(&cars), "street");
        for (lane, place) in [(0, "inside"), (1, "gone")] {
            cars.go(&name, Move::Arrive).unwrap();
            cars.go(&name, Move::Drive).unwrap();
            wait(&mut cars, 5);
            assert_ne!(at(&cars), place, "the arm is down");
            cars.lanes[lane].relay(Relay::Raise, true);
            wait(&mut cars, 9);
            assert_eq!(at(&cars), place);
        }
        assert_eq!(cars.go(&name, Move::Drive), Err(CantMove::NotFrom(name, "gone")));
        assert_eq!(cars.go("car-99", Move::Drive), Err(CantMove::NoCar("car-99".into())));
    }

    #[test]
    fn a_driver_holds_each_code_once_and_the_newest_counts() {
        let mut cars = Cars::new(2, 0, 1);
        let number = cars.new_car(Place::Inside).unwrap();
        let car = cars.mut_by(number).unwrap();
        for (kind, code) in [(Kind::Ticket, "1"), (Kind::Pass, "2"), (Kind::Pass, "3"), (Kind::Pass, "2")] {
            car.takes(held(kind, code));
        }
        assert_eq!(car.holds.len(), 3);
        assert_eq!(car.newest(Kind::Pass).map(|held| held.code.as_str()), Some("3"));
        assert_eq!(car.newest(Kind::Validation), None);
    }

    #[test]
    fn cars_that_have_gone_make_room() {
        let mut cars = Cars::new(2, 0, 1);
        for _ in 0..MOST {
            cars.new_car(Place::Street).unwrap();
        }
        assert_eq!(cars.new_car(Place::Street), Err(CantMove::TooMany));
        cars.go("car-1", Move::Leave).unwrap();
        assert_eq!(cars.new_car(Place::Street), Ok(MOST as u32 + 1));
        assert!(cars.get(1).is_none());
    }
}
