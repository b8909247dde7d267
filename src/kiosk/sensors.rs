//! What the board says beside deliveries: buttons, how warm it is, and whether its sensors can be believed. Also the list
//! of devices that can't be.

use std::collections::BTreeMap;

use super::Kiosk;
use crate::sale::Touch;
use crate::sale::event::{Condition, Event};
use crate::vocabulary::{Goods, Outlet, Reading, SlotId};

const DROP_SENSOR: &str = "drop-sensor";
const THERMOMETER: &str = "thermometer";

/// Devices that can't be used, and why, by what they are for.
#[derive(Default)]
pub(super) struct Faults(BTreeMap<String, String>);

impl Faults {
    pub(super) fn set(&mut self, device: &str, fault: Option<String>) {
        match (fault, self.0.get(device)) {
            (Some(why), told) => {
                if told != Some(&why) {
                    tracing::warn!(device, why, "a fault");
                }
                self.0.insert(device.to_owned(), why);
            }
            (None, Some(_)) => {
                tracing::info!(device, "a fault has gone");
                self.0.remove(device);
            }
            (None, None) => {}
        }
    }

    pub(super) fn get(&self, device: &str) -> Option<&str> {
        self.0.get(device).map(String::as_str)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(device, why)| (device.as_str(), why.as_str()))
    }
}

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
        self.faults.set(THERMOMETER, milli.is_none().then(|| "it can't be read".to_owned()));
        for (product, why) in self.warmth.measured(milli, self.clock.now()) {
            let goods = Some(Goods::Product(product));
            for known in self.state.shop.outlets().into_iter().filter(|known| known.goods == goods) {
                self.step(Event::Condition(Condition::OutletFaulty { outlet: known.outlet, why: why.clone() }));
            }
        }
    }

    /// The drop sensor before a delivery. One that can't test itself is not broken for that.
    pub(super) fn sensed(&mut self, reading: &Reading) {
        let Some(sensor) = &self.config.board.drop_sensor else { return };
        let fault = match reading {
            Reading { counter: None, .. } => Some("its counter can't be read"),
            Reading { self_tested: false, .. } if sensor.emitter.is_some() => Some("it has failed its self-test"),
            Reading { .. } => None,
        };
        self.faults.set(DROP_SENSOR, fault.map(str::to_owned));
    }
}
