//! Season passes that the configuration lists: of a car that needs no code, and those that count no more.

use std::collections::{BTreeMap, BTreeSet};

use crate::parking::ticket::{Plate, Season};

#[derive(Debug, Clone, Default)]
pub struct Passes {
    by_number: BTreeMap<u32, Season>,
    numbers: BTreeMap<Plate, u32>,
    withdrawn: BTreeSet<u32>,
}

/// Why a pass can't be listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPasses {
    #[error("pass {0} is listed twice; leave one of them out")]
    Twice(u32),
    #[error("pass {0} says no car; write its plate")]
    NoPlate(u32),
    #[error("passes {0} and {1} are both of the car {2}; a car needs one")]
    SameCar(u32, u32, Plate),
}

impl Passes {
    /// One more, whose car needs no code.
    ///
    /// # Errors
    /// It says no car, or it or its car is listed already. Nothing is changed then.
    pub fn list(&mut self, pass: Season) -> Result<(), BadPasses> {
        let number = pass.number;
        let plate = pass.plate.clone().ok_or(BadPasses::NoPlate(number))?;
        if self.is_listed(number) {
            return Err(BadPasses::Twice(number));
        }
        if let Some(other) = self.numbers.get(&plate) {
            return Err(BadPasses::SameCar(*other, number, plate));
        }
        self.numbers.insert(plate, number);
        self.by_number.insert(number, pass);
        Ok(())
    }

    /// The pass of this number counts no more, whatever its code says.
    ///
    /// # Errors
    /// It is listed already.
    pub fn withdraw(&mut self, number: u32) -> Result<(), BadPasses> {
        if self.is_listed(number) {
            return Err(BadPasses::Twice(number));
        }
        self.withdrawn.insert(number);
        Ok(())
    }

    fn is_listed(&self, number: u32) -> bool {
        self.by_number.contains_key(&number) || self.is_withdrawn(number)
    }

    pub fn is_withdrawn(&self, number: u32) -> bool {
        self.withdrawn.contains(&number)
    }

    pub fn get(&self, number: u32) -> Option<&Season> {
        self.by_number.get(&number)
    }

    /// Of the car with exactly this plate.
    pub fn of(&self, plate: &Plate) -> Option<&Season> {
        self.get(*self.numbers.get(plate)?)
    }
}
