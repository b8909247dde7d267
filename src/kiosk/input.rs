//! What people press, type and hold up, as touches of what is on the glass.

use tokio::runtime::Runtime;

use super::{Input, Kiosk};
use crate::config::{Calibration, Config, Panel};
use crate::dbus::{Mark, Touched};
use crate::input::{self, DeviceDirs, DeviceSelector, InputEvent, Role, Simulated};
use crate::operation::Refusal;
use crate::sale::dialogue::{LookupPage, Page, ShopPage};
use crate::sale::event::{Condition, Event};
use crate::sale::presented::Presented;
use crate::sale::{Key, Touch};
use crate::service::Supervisor;
use crate::vocabulary::{Corner, Point, ShortCode, Spot};

/// What the loop keeps of the glass's touch sensors.
pub(super) struct TouchState {
    /// The target under the finger when it came down.
    pressed: Option<Touch>,
    /// Of a panel that the world draws.
    simulated: Simulated,
    /// A technician tries whether touches come out where they are made.
    mark: Option<Mark>,
    /// How the sensor is read.
    calibration: Calibration,
    rotation: u32,
}

/// Starts what is configured; a real panel has a touch sensor even where nothing is said about one.
pub(super) fn start(
    config: &Config,
    supervisor: &Supervisor,
    runtime: &Runtime,
    inputs: &std::sync::mpsc::Sender<Input>,
) {
    let rotation = rotation(&config.glass.panel);
    let touch = config.touch.clone().or_else(|| rotation.map(|_| Default::default()));
    let wanted = [
        touch.map(|config| DeviceSelector::Touch { config, rotation: rotation.unwrap_or_default() }),
        config.keypad.clone().map(DeviceSelector::Keypad),
        config.scanner.clone().map(DeviceSelector::Scanner),
    ];
    for wanted in wanted.into_iter().flatten() {
        let inputs = inputs.clone();
        let report = move |event| drop(inputs.send(Input::Device(event)));
        input::start(supervisor, runtime.handle(), wanted, DeviceDirs::default(), report);
    }
}

/// `None`: the world has the finger of a panel that it draws, and nobody touches what is not there.
fn rotation(panel: &Panel) -> Option<u32> {
    match panel {
        Panel::Simulated { .. } | Panel::None => None,
        Panel::Drm { rotation, .. } | Panel::Fbdev { rotation, .. } => Some(*rotation),
    }
}

impl Kiosk {
    pub(super) fn input(&mut self, event: InputEvent) {
        match event {
            InputEvent::Pressed(spot) if self.touch.marked(spot) => {}
            InputEvent::Pressed(spot) => self.touch.pressed = self.under(spot),
            InputEvent::Lifted(spot) => {
                let under = self.under(spot);
                if let Some(touch) = self.touch.lift(under) {
                    self.step(Event::Touch(touch));
                }
            }
            InputEvent::Strayed => self.touch.pressed = None,
            InputEvent::Key(key) => self.step(Event::Touch(Touch::Key(key))),
            InputEvent::Scanned(text) if self.config.parking.is_some() => {
                self.step(Event::Presented(Presented::Code(text)));
            }
            InputEvent::Scanned(text) => {
                let touches = spell(self.shown.as_ref().map(|shown| &shown.view.page), &text);
                touches.into_iter().for_each(|touch| self.step(Event::Touch(touch)));
            }
            InputEvent::Device { role, fault } => self.device(role, fault),
        }
    }

    /// The world's finger, `ms` milliseconds after its clock began.
    pub(super) fn finger(&mut self, at: Option<Point>, ms: u64) {
        let size = self.edges.glass.size();
        let events = self.touch.simulated.take(ms, at.map(|at| Spot::of(at, size)));
        events.into_iter().for_each(|event| self.input(event));
    }

    /// The target at a place of the picture.
    fn under(&self, spot: Spot) -> Option<Touch> {
        self.edges.glass.hit(spot.pixel(self.edges.glass.size()))
    }

    fn device(&mut self, role: Role, fault: Option<String>) {
        if role == Role::Touch && self.config.touch.as_ref().is_none_or(|touch| touch.required) {
            self.step(Event::Condition(Condition::Touch { fault: fault.clone() }));
        }
        self.devices.input(role, fault);
    }
}

impl TouchState {
    pub fn new(config: &Config) -> Self {
        let sensor = config.touch.clone().unwrap_or_default();
        Self {
            pressed: None,
            simulated: Simulated::new(sensor.debounce.0),
            mark: None,
            calibration: sensor.calibration,
            rotation: rotation(&config.glass.panel).unwrap_or_default(),
        }
    }

    /// A customer's page is never covered by a mark.
    pub fn mark(&mut self, mark: Mark, maintenance: bool) {
        match maintenance {
            true => self.mark = Some(mark),
            // Who asked may have gone.
            false => drop(mark.touched.send(Err(Refusal::NotInMaintenance))),
        }
    }

    pub fn mark_is_left(&mut self) {
        self.mark.take_if(|mark| mark.touched.is_closed());
    }

    /// The one that is on the glass. The end of maintenance takes it away.
    pub fn shown_mark(&mut self, maintenance: bool) -> Option<Corner> {
        self.mark.take_if(|_| !maintenance);
        self.mark.as_ref().map(|mark| mark.corner)
    }

    /// A finger that comes down while there is a mark is for the mark, wherever it comes out, and touches nothing else.
    fn marked(&mut self, spot: Spot) -> bool {
        let Some(mark) = self.mark.take() else { return false };
        let touched = Touched { spot, calibration: self.calibration, rotation: self.rotation };
        drop(mark.touched.send(Ok(touched)));
        true
    }

    /// A finger lifts from `under`: it touched what it had pressed, where that is still there, and not what came under
    /// it meanwhile.
    fn lift(&mut self, under: Option<Touch>) -> Option<Touch> {
        self.pressed.take().filter(|pressed| under.as_ref() == Some(pressed))
    }
}

/// A short code before the first page or the look-up opens its order, as if it were typed; any other text does nothing.
fn spell(page: Option<&Page>, text: &str) -> Vec<Touch> {
    let begin = match page {
        Some(Page::Shop(ShopPage::Attract { .. })) => Touch::Lookup,
        Some(Page::Lookup(LookupPage::Lookup { .. })) => Touch::Key(Key::Clear),
        _ => return Vec::new(),
    };
    let Some(code) = ShortCode::parse(text) else { return Vec::new() };
    let digits = code.as_str().bytes().map(|byte| Key::Digit(byte - b'0'));
    std::iter::once(begin).chain(digits.chain([Key::Ok]).map(Touch::Key)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_finger_touches_what_it_pressed_and_nothing_else() {
        let lift = |pressed: Option<Touch>, under: Option<Touch>| {
            let mut state = TouchState { pressed, ..nothing_pressed() };
            let touch = state.lift(under);
            assert_eq!(state.pressed, None);
            touch
        };
        assert_eq!(lift(Some(Touch::Pay), Some(Touch::Pay)), Some(Touch::Pay));
        assert_eq!(lift(Some(Touch::Pay), Some(Touch::Cancel)), None, "slid away, or another page came");
        assert_eq!(lift(Some(Touch::Pay), None), None);
        assert_eq!(lift(None, Some(Touch::Pay)), None, "the page came under the finger");
        assert_eq!(lift(None, None), None);
    }

    fn nothing_pressed() -> TouchState {
        let (simulated, calibration) = (Simulated::new(Duration::ZERO), Calibration::default());
        TouchState { pressed: None, simulated, mark: None, calibration, rotation: 90 }
    }

    #[test]
    fn a_mark_takes_one_finger_and_is_never_over_a_customers_page() {
        let mut state = nothing_pressed();
        let mark = |state: &mut TouchState, maintenance| {
            let (touched, heard) = tokio::sync::oneshot::channel();
            state.mark(Mark { corner: Corner::TopRight, touched }, maintenance);
            heard
        };
        let spot = Spot { x: 0.5, y: 0.25 };
        assert_eq!(mark(&mut state, false).try_recv(), Ok(Err(Refusal::NotInMaintenance)));
        assert!(state.shown_mark(true).is_none() && !state.marked(spot));

        let mut heard = mark(&mut state, true);
        assert_eq!(state.shown_mark(true), Some(Corner::TopRight));
        state.mark_is_left();
        assert!(state.marked(spot), "somebody waits for it still");
        let touched = Touched { spot, calibration: Calibration::default(), rotation: 90 };
        assert_eq!(heard.try_recv(), Ok(Ok(touched)));
        assert!(!state.marked(spot), "the next finger is for the page");

        drop(mark(&mut state, true));
        state.mark_is_left();
        assert_eq!(state.shown_mark(true), None);

        let mut heard = mark(&mut state, true);
        assert_eq!(state.shown_mark(false), None, "maintenance has ended");
        assert!(heard.try_recv().is_err());
    }

    #[test]
    fn a_short_code_is_typed() {
        let typed = |page: &Page, text| spell(Some(page), text);
        let attract = Page::Shop(ShopPage::Attract { tiles: Vec::new() });
        let lookup = Page::Lookup(LookupPage::Lookup { entered: "1".into(), found: None, not_found: false });
        let code = [Key::Digit(0), Key::Digit(4), Key::Digit(2), Key::Digit(1), Key::Digit(9), Key::Digit(7), Key::Ok];
        let keys: Vec<_> = code.into_iter().map(Touch::Key).collect();
        assert_eq!(typed(&attract, "042197"), [&[Touch::Lookup], &keys[..]].concat());
        assert_eq!(typed(&lookup, "042197"), [&[Touch::Key(Key::Clear)], &keys[..]].concat());
        for other in ["", "42197", "0421978", "04219a", "https://example.com/042197"] {
            assert_eq!(typed(&attract, other), [], "{other}");
        }
        let choose = Page::Shop(ShopPage::Choose {
            tiles: Vec::new(),
            categories: Vec::new(),
            page: 0,
            pages: 1,
            basket: Vec::new(),
            total: 0,
        });
        assert_eq!(typed(&choose, "042197"), [], "a basket is not thrown away");
    }
}
