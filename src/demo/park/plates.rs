//! The plates of the cars: a camera at each gate says what it reads, and a driver types it at the pay station.
//!
//! Policy: a camera sees the car that stands at the column, and tells a plate alone. It reads again while that car stands there,
//! as cameras do: so a kiosk that has just started, or whose cable is in again, learns it too.

use std::time::{Duration, Instant};

use super::errand::{CantDo, Errand};
use super::lane::CarNumber;
use super::{Kiosk, Park};
use crate::config::Mode;
use crate::parking::ticket::Plate;
use crate::vocabulary::Point;

const AGAIN: Duration = Duration::from_secs(2);
/// So long somebody waits for a key on the glass.
const PATIENCE: Duration = Duration::from_secs(5);

/// Says for the kiosk's camera what it has read; false where nobody hears it now.
pub type Says = Box<dyn Fn(&str, &str) -> bool + Send + Sync>;

/// What a camera has read last of the car that stands there.
#[derive(Debug, Clone)]
pub struct Read {
    car: CarNumber,
    pub plate: String,
    at: Instant,
}

impl Park {
    /// Switches all cameras.
    pub(super) fn switch_cameras(&self, on: bool) -> Result<(), CantDo> {
        if self.camera.is_none() {
            return Err(CantDo::NoCameras);
        }
        self.change(|inner| inner.cameras = on);
        Ok(())
    }

    pub(super) fn read_plates(&self) {
        let Some(says) = &self.camera else { return };
        let mut news = Vec::new();
        {
            let inner = &mut *self.lock();
            for kiosk in &self.kiosks {
                let Some((lane, _)) = &kiosk.lane else { continue };
                let there = inner.cars.lanes[*lane].at_the_column().filter(|_| inner.cameras);
                let car = there.and_then(|number| inner.cars.get(number));
                let before = inner.read[*lane].take();
                let Some(car) = car else { continue };
                let fresh = before.filter(|read| read.car == car.number && read.at.elapsed() < AGAIN);
                let read = fresh.unwrap_or_else(|| {
                    news.push((&kiosk.id, car.plate.clone()));
                    Read { car: car.number, plate: car.plate.clone(), at: Instant::now() }
                });
                inner.read[*lane] = Some(read);
            }
        }
        for (kiosk, plate) in news {
            if !says(kiosk, &plate) {
                tracing::debug!(kiosk, plate, "nobody hears the camera");
            }
        }
    }

    /// A driver types a plate at the pay station, key by key; answers with it.
    pub(super) fn type_plate(&self, number: CarNumber, name: &str, errand: &Errand) -> Result<String, CantDo> {
        let nth = self.place(number, name, errand)?;
        let kiosk = &self.kiosks[nth];
        if kiosk.mode != Mode::PayStation {
            return Err(CantDo::NoKeys(kiosk.id.clone()));
        }
        let text = errand.text.clone().or_else(|| self.lock().cars.get(number).map(|car| car.plate.clone()));
        let plate = Plate::typed(&text.unwrap_or_default()).map_err(|why| CantDo::Plate(why.to_string()))?;
        if let Some(c) = plate.as_str().chars().find(|c| !c.is_ascii()) {
            return Err(CantDo::Plate(format!("there is no key for `{c}`")));
        }
        self.change(|inner| inner.before[nth] = Some(number));
        kiosk.press(if kiosk.shows("keys:other") { "key:clear" } else { "ticket:plate" })?;
        kiosk.waits_for("letter:A")?;
        for c in plate.as_str().chars() {
            let key = format!("{}:{c}", if c.is_ascii_digit() { "key" } else { "letter" });
            if !kiosk.shows(&key) {
                kiosk.press("keys:other")?;
            }
            kiosk.press(&key)?;
        }
        kiosk.press("key:ok")?;
        Ok(plate.to_string())
    }
}

impl Kiosk {
    fn target(&self, name: &str) -> Option<Point> {
        let targets = self.world.glass.scene().targets;
        let rect = targets.into_iter().find(|there| there.name == name && there.enabled)?.rect;
        Some(Point { x: rect.x + rect.w / 2, y: rect.y + rect.h / 2 })
    }

    fn shows(&self, name: &str) -> bool {
        self.target(name).is_some()
    }

    /// A finger on something that is on the glass.
    pub(super) fn touch(&self, name: &str) -> Result<(), CantDo> {
        let at = self.target(name).ok_or_else(|| self.has_no(name))?;
        self.world.touch(at).then_some(()).ok_or(CantDo::Dead)
    }

    fn has_no(&self, name: &str) -> CantDo {
        CantDo::NotThere { what: name.to_owned(), page: self.world.glass.scene().page }
    }

    /// A finger on something that is there, or soon.
    fn press(&self, name: &str) -> Result<(), CantDo> {
        self.waits_for(name)?;
        self.touch(name)
    }

    fn waits_for(&self, name: &str) -> Result<(), CantDo> {
        let since = Instant::now();
        while !self.shows(name) {
            if since.elapsed() > PATIENCE {
                return Err(self.has_no(name));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}
