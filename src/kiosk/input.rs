//! What people press, type and hold up, as touches of what is on the glass.

use std::collections::BTreeMap;

use tokio::runtime::Runtime;

use super::{Input, Kiosk};
use crate::config::{Config, Panel};
use crate::input::{self, InputEvent, Places, Role, Wanted};
use crate::sale::event::{Condition, Event};
use crate::sale::view::Page;
use crate::sale::{Key, Touch};
use crate::vocabulary::ShortCode;

/// What the loop keeps of its input devices.
#[derive(Default)]
pub(super) struct Hand {
    /// The target under the finger when it came down.
    pressed: Option<String>,
    /// Why a device can't be used.
    pub faults: BTreeMap<Role, String>,
}

/// Starts what is configured; a real panel has a touch sensor even where nothing is said about one.
pub(super) fn start(config: &Config, runtime: &Runtime, inputs: &std::sync::mpsc::Sender<Input>) {
    // The world has the finger of a panel that it draws.
    let (real, rotation) = match config.glass.panel {
        Panel::Simulated { .. } => (false, 0),
    };
    let touch = config.touch.clone().or_else(|| real.then(Default::default));
    let wanted = [
        touch.map(|config| Wanted::Touch { config, rotation }),
        config.keypad.clone().map(Wanted::Keypad),
        config.scanner.clone().map(Wanted::Scanner),
    ];
    for wanted in wanted.into_iter().flatten() {
        let inputs = inputs.clone();
        input::start(runtime.handle(), wanted, Places::default(), move |event| drop(inputs.send(Input::Device(event))));
    }
}

impl Kiosk {
    pub(super) fn input(&mut self, event: InputEvent) {
        match event {
            InputEvent::Pressed(spot) => {
                let (x, y) = spot.pixel(self.glass_size());
                self.hand.pressed = self.edges.glass.hit(x, y);
            }
            InputEvent::Lifted(spot) => {
                let (x, y) = spot.pixel(self.glass_size());
                // Only what was pressed and is still there: not what came under the finger meanwhile.
                if let Some(pressed) = self.hand.pressed.take()
                    && self.edges.glass.hit(x, y).as_ref() == Some(&pressed)
                    && let Some(touch) = Touch::parse(&pressed)
                {
                    self.step(Event::Touch(touch));
                }
            }
            InputEvent::Strayed => self.hand.pressed = None,
            InputEvent::Key(key) => self.step(Event::Touch(Touch::Key(key))),
            InputEvent::Scanned(text) => self.scanned(&text),
            InputEvent::Device { role, fault } => self.device(role, fault),
        }
    }

    /// A short code opens its order, as if it were typed.
    fn scanned(&mut self, text: &str) {
        let begin = match self.shown.as_ref().map(|shown| &shown.view.page) {
            Some(Page::Attract { .. }) => Touch::Lookup,
            Some(Page::Lookup { .. }) => Touch::Key(Key::Clear),
            _ => return,
        };
        if let Some(code) = ShortCode::parse(text) {
            let digits = code.as_str().bytes().map(|byte| Key::Digit(byte - b'0'));
            let keys = digits.chain([Key::Ok]).map(Touch::Key);
            std::iter::once(begin).chain(keys).for_each(|touch| self.step(Event::Touch(touch)));
        }
    }

    fn device(&mut self, role: Role, fault: Option<String>) {
        if role == Role::Touch && self.config.touch.as_ref().is_none_or(|touch| touch.required) {
            self.step(Event::Condition(Condition::Touch { fault: fault.clone() }));
        }
        match fault {
            Some(why) => drop(self.hand.faults.insert(role, why)),
            None => drop(self.hand.faults.remove(&role)),
        }
    }

    fn glass_size(&self) -> (u32, u32) {
        let Panel::Simulated { width, height } = self.config.glass.panel;
        (width, height)
    }
}
