//! Takes the board's other reports: buttons, the temperature, and whether its sensors can be trusted.

use super::Kiosk;
use crate::sale::Touch;
use crate::sale::event::{Condition, Event};
use crate::vocabulary::{Goods, Outlet, Reading, SlotId};

impl Kiosk {
    /// A button is a finger on its slot's product.
    pub(super) fn pressed(&mut self, slot: &SlotId) {
        let known = self.state.outlet(&Outlet::Slot(slot.clone()));
        if let Some(Goods::Product(product)) = known.and_then(|known| known.goods) {
            self.step(Event::Touch(Touch::Product(product)));
        }
    }

    /// What was too warm for too long is not sold until somebody has refilled.
    pub(super) fn measured(&mut self, milli: Option<i32>) {
        self.devices.measured(milli);
        self.temperature_milli_c = milli;
        for (product, why) in self.warmth.measured(milli, self.clock.now()) {
            let goods = Some(Goods::Product(product));
            for known in self.state.shop.outlets().into_iter().filter(|known| known.goods == goods) {
                self.step(Event::Condition(Condition::OutletFaulty { outlet: known.outlet, why: why.clone() }));
            }
        }
    }

    pub(super) fn sensed(&mut self, reading: &Reading) {
        if let Some(sensor) = &self.config.board.drop_sensor {
            self.devices.sensed(reading, sensor.emitter.is_some());
        }
    }
}
