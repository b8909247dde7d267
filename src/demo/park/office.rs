//! Who gives a driver a code that no kiosk has printed: the shop its stamp, the car park's office a season pass.

use std::sync::atomic::Ordering;

use jiff::tz::TimeZone;

use super::cars::Held;
use super::errand::CantDo;
use super::lane::CarNumber;
use super::{Park, codes};
use crate::kiosk::parking::{SeasonOrder, season_pass};
use crate::parking::tariff::Worth;
use crate::parking::ticket::{Code, Kind, Minute, Plate, Validation, ValidationNumber};
use crate::vocabulary::Wall;

/// The season pass of the demo's tariff.
const SEASON: &str = "resident";
const SEASON_DAYS: i64 = 30;
/// A shop's validation is good for a day.
const GOOD_FOR: u32 = 24 * 60;

impl Park {
    pub(super) fn validate(&self, number: CarNumber, worth: Worth) -> Result<String, CantDo> {
        let now = u64::try_from(self.now().as_millisecond()).ok().and_then(|ms| Minute::of(Wall(ms)));
        let now = now.ok_or(CantDo::Clock)?;
        let number_of = ValidationNumber { key: self.shop.number(), serial: self.next_number() };
        let validation = Validation { number: number_of, worth, until: now.later(GOOD_FOR) };
        let code = self.shop.issue(&Code::Validation(validation)).map_err(|why| CantDo::Worth(why.to_string()))?;
        let held = Held { kind: Kind::Validation, code: code.clone(), number: None };
        self.with(number, |car| car.takes(held));
        Ok(code)
    }

    /// As `kioskd season-pass` issues it, for this car alone; its number.
    pub(super) fn season_pass(&self, number: CarNumber) -> Result<String, CantDo> {
        let plate = self.lock().cars.get(number).and_then(|car| Plate::typed(&car.plate).ok());
        let days = jiff::Span::new().days(SEASON_DAYS);
        let until = self.now().to_zoned(TimeZone::UTC).date().checked_add(days).map_err(refused)?;
        let order = SeasonOrder { number: self.next_number(), season: SEASON.to_owned(), until, plate };
        let code = season_pass(&self.office, &order).map_err(refused)?;
        let held = codes::read(&code, &self.keys).ok_or(CantDo::NoCode)?;
        self.with(number, |car| car.takes(held));
        Ok(order.number.to_string())
    }

    fn next_number(&self) -> u32 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }
}

fn refused(why: impl std::fmt::Display) -> CantDo {
    CantDo::NoSeason(why.to_string())
}
