//! Which plate a camera has read of the car that stands before the gate.
//!
//! A camera says a plate and not which car has it. A plate is the next car's where it was read shortly before that car came, or
//! while it stands there; the newest counts. Once a car has what it came for, what is read while it is still there is its own.

use std::time::Duration;

use crate::parking::ticket::{Plate, near};
use crate::vocabulary::Mono;

/// A plate that was read so long before its car came to the loop is its own. Where no loop tells, it counts for so long.
pub const BEFORE: Duration = Duration::from_secs(10);
/// And a car that stands there has it for so long.
pub const AT_MOST: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Default)]
pub struct Camera {
    /// No loop says whether a car stands there.
    blind: bool,
    read: Option<Read>,
    /// Since when a car stands there.
    car: Option<Mono>,
    /// The car that was let in last, until it has left the loop.
    let_in: Option<LetIn>,
    /// The plate of the last car that was let in, and when it was read last.
    former: Option<(Plate, Mono)>,
}

#[derive(Debug, Clone)]
struct Read {
    plate: Plate,
    at: Mono,
    presented: bool,
}

#[derive(Debug, Clone)]
struct LetIn {
    serial: u32,
    plate: Option<Plate>,
    at: Mono,
}

impl Camera {
    pub fn new(sees_cars: bool) -> Self {
        Self { blind: !sees_cars, ..Self::default() }
    }

    /// A camera has read this. It answers with the entry whose plate it is, where that is known now and was not before.
    pub fn read(&mut self, plate: Plate, now: Mono) -> Option<(u32, Plate)> {
        let blind = self.blind;
        if let Some(let_in) = self.let_in.as_mut().filter(|let_in| !blind || now.since(let_in.at) <= BEFORE) {
            self.former = Some((let_in.plate.clone().unwrap_or_else(|| plate.clone()), now));
            let unknown = let_in.plate.is_none();
            let_in.plate.get_or_insert_with(|| plate.clone());
            return unknown.then_some((let_in.serial, plate));
        }
        // A car that drives in is read again on its way, and not always alike.
        if let Some((former, at)) = self.former.as_mut().filter(|(_, at)| now.since(*at) <= BEFORE)
            && !near(&plate, [&*former]).is_empty()
        {
            *at = now;
            return None;
        }
        let presented = self.plate(now) == Some(&plate) && self.read.as_ref().is_some_and(|read| read.presented);
        self.read = Some(Read { plate, at: now, presented });
        None
    }

    pub fn car(&mut self, there: bool, now: Mono) {
        if there {
            self.car.get_or_insert(now);
            return;
        }
        (self.car, self.let_in) = (None, None);
        self.read.take_if(|read| read.presented || now.since(read.at) > BEFORE);
    }

    /// The plate of the car that is there, or comes next.
    pub fn plate(&self, now: Mono) -> Option<&Plate> {
        let read = self.read.as_ref()?;
        let age = now.since(read.at);
        let stands = || self.car.is_some_and(|since| since.since(read.at) <= BEFORE) && age <= AT_MOST;
        (age <= BEFORE || !self.blind && stands()).then_some(&read.plate)
    }

    /// A car is there that has a plate, for the first time it is asked.
    pub fn came(&mut self, now: Mono) -> bool {
        if self.car.is_none() || self.plate(now).is_none() {
            return false;
        }
        self.read.as_mut().is_some_and(|read| !std::mem::replace(&mut read.presented, true))
    }

    /// What was answered to it may be another answer now.
    pub fn again(&mut self) {
        if let Some(read) = &mut self.read {
            read.presented = false;
        }
    }

    /// The car that stands there is let in.
    pub fn lets_in(&mut self, serial: u32, plate: Option<Plate>, now: Mono) {
        self.read = None;
        self.former = plate.clone().map(|plate| (plate, now));
        self.let_in = Some(LetIn { serial, plate, at: now });
    }

    /// It has gone back, and may come again.
    pub fn went_back(&mut self) {
        (self.let_in, self.former) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plate(text: &str) -> Plate {
        Plate::typed(text).unwrap()
    }

    fn at(seconds: u64) -> Mono {
        Mono(1_000_000 + seconds * 1_000)
    }

    fn told(camera: &Camera, now: Mono) -> Option<&str> {
        camera.plate(now).map(Plate::as_str)
    }

    #[test]
    fn a_plate_is_the_next_cars_for_some_seconds_and_while_that_stands_there() {
        let mut camera = Camera::new(true);
        assert_eq!(camera.read(plate("AB 120"), at(0)), None);
        assert!(!camera.came(at(1)), "nobody is there");
        camera.car(true, at(10));
        assert!(camera.came(at(10)) && !camera.came(at(11)), "once");
        assert_eq!(told(&camera, at(200)), Some("AB120"));
        assert_eq!(told(&camera, at(301)), None);
        camera.car(false, at(302));
        camera.read(plate("AB 120"), at(303));
        camera.car(true, at(314));
        assert_eq!(told(&camera, at(314)), None, "read too long before");
        camera.read(plate("XY 9"), at(315));
        assert!(camera.came(at(400)), "read while it stands there");
    }

    #[test]
    fn the_newest_counts_and_the_same_one_again_is_not_asked_twice() {
        let mut camera = Camera::new(true);
        camera.car(true, at(0));
        camera.read(plate("AB120"), at(1));
        assert!(camera.came(at(1)));
        camera.read(plate("AB120"), at(2));
        assert!(!camera.came(at(2)));
        camera.again();
        assert!(camera.came(at(2)));
        camera.read(plate("CD120"), at(3));
        assert!(camera.came(at(3)));
        assert_eq!(told(&camera, at(3)), Some("CD120"));
    }

    #[test]
    fn what_is_read_of_a_car_that_is_let_in_is_never_the_next_ones() {
        let mut camera = Camera::new(true);
        camera.car(true, at(0));
        camera.lets_in(7, None, at(2));
        assert_eq!(camera.read(plate("AB120"), at(3)), Some((7, plate("AB120"))), "read a moment late");
        assert_eq!(camera.read(plate("AB120"), at(4)), None);
        assert_eq!(camera.read(plate("KN999"), at(5)), None, "it is still there");
        camera.car(false, at(6));
        camera.read(plate("A8120"), at(7));
        camera.car(true, at(8));
        assert!(!camera.came(at(8)), "the former one, misread on its way");
        camera.read(plate("KN999"), at(9));
        assert!(camera.came(at(9)));
        camera.lets_in(8, Some(plate("KN999")), at(9));
        camera.went_back();
        camera.car(false, at(10));
        camera.read(plate("KN999"), at(11));
        camera.car(true, at(12));
        assert!(camera.came(at(12)), "who has gone back may come again");
    }

    #[test]
    fn without_a_loop_a_plate_counts_for_some_seconds() {
        let mut camera = Camera::new(false);
        camera.car(true, at(0));
        camera.read(plate("AB120"), at(100));
        assert_eq!((told(&camera, at(110)), told(&camera, at(111))), (Some("AB120"), None));
        camera.lets_in(7, None, at(120));
        assert_eq!(camera.read(plate("KN999"), at(131)), None);
        assert_eq!(told(&camera, at(131)), Some("KN999"), "the next car's");
    }
}
