//! The lines of a real board, on GPIO chips, a Pi's registers or port expanders. One name means one wire with one use.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use embedded_hal::digital::{self, ErrorType, InputPin, OutputPin};
use gpiocdev::Request;
use gpiocdev::line::Value;
use linux_embedded_hal::{CdevPin, I2CError, I2cdev};
use rppal::gpio::Gpio;

use super::expander::{Expander, ExpanderError, Pins};
use super::gpiochip::{self, LineAddress};
use super::listen::{self, Debouncer, EdgeInputs, Listening, PolledExpander, PolledPin};
use super::{Backend, BoardError, Locate, Purpose, Tell, lock, pi};
use crate::config::{self, LineDriver, Wiring};
use crate::service::Supervisor;

/// An input is steady for so long before it counts, where the configuration says nothing.
const DEBOUNCE: Duration = Duration::from_millis(20);

/// The same of a beam: small things fall fast.
const DEBOUNCE_BEAM: Duration = Duration::from_millis(1);

pub struct Real {
    wiring: Wiring,
    /// `None` where the lines are the kernel's.
    gpio: Option<Gpio>,
    /// Looked for once: a relay is made safe the sooner.
    chips: OnceLock<Vec<gpiochip::ChipInfo>>,
    claims: Mutex<Claims>,
}

#[derive(Default)]
struct Claims {
    /// By place: the name it is used under.
    taken: BTreeMap<Place, String>,
    expanders: BTreeMap<String, Shared>,
    edges: Vec<EdgeInputs>,
    asked: BTreeMap<String, Vec<PolledPin>>,
}

type Shared = Arc<Mutex<Expander<I2cdev>>>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Chip(LineAddress),
    Bcm(u8),
    Expander { name: String, pin: u8 },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chip(spot) => spot.fmt(f),
            Self::Bcm(bcm) => write!(f, "BCM {bcm}"),
            Self::Expander { name, pin } => write!(f, "pin {pin} of expander {name}"),
        }
    }
}

impl Real {
    /// Claims nothing yet.
    ///
    /// # Errors
    /// A driver that does not work on this board.
    pub fn open(wiring: Wiring) -> Result<Self, BoardError> {
        let gpio = match wiring.board.lines {
            LineDriver::Rppal { .. } => Some(pi::open()?),
            LineDriver::Gpiochip { .. } => None,
            LineDriver::Simulated => return Err(BoardError::NoWorld),
        };
        Ok(Self { wiring, gpio, chips: OnceLock::new(), claims: Mutex::default() })
    }

    fn chips(&self) -> Result<&[gpiochip::ChipInfo], String> {
        match self.chips.get() {
            Some(known) => Ok(known),
            None => gpiochip::chips().map(|found| self.chips.get_or_init(|| found).as_slice()),
        }
    }

    /// The same wiring with every output where it was found, so that it means the same when chips are named otherwise.
    ///
    /// # Errors
    /// As in claiming it.
    pub(super) fn found(&self) -> Result<Wiring, BoardError> {
        let outputs: Vec<&str> = self.wiring.outputs().collect();
        let found = |name: &&str| {
            let wire = self.wiring.line(name);
            Ok(match self.place(&wire)? {
                Place::Chip(LineAddress { chip, offset, .. }) => {
                    config::Line { chip: Some(chip.display().to_string()), offset: Some(offset), line: None, ..wire }
                }
                Place::Bcm(_) | Place::Expander { .. } => wire,
            })
        };
        let mut lines = outputs.iter().map(found).collect::<Result<Vec<_>, BoardError>>()?;
        // An expander is written as a whole, with the pull-ups of its inputs.
        let others = self.wiring.lines.iter().filter(|line| !outputs.contains(&line.name.as_str()));
        lines.extend(others.filter(|line| line.expander.is_some()).cloned());
        Ok(Wiring { lines, ..self.wiring.clone() })
    }

    fn place(&self, wire: &config::Line) -> Result<Place, BoardError> {
        if let (Some(name), Some(pin)) = (&wire.expander, wire.pin) {
            return Ok(Place::Expander { name: name.clone(), pin });
        }
        match (&self.gpio, wire.bcm) {
            (Some(_), Some(bcm)) => Ok(Place::Bcm(bcm)),
            (Some(_), None) => {
                let why = "a register has a number, not a name; write a [[line]] with bcm".into();
                Err(BoardError::Line { line: wire.name.clone(), why })
            }
            (None, _) => {
                let wrong = |why: String| BoardError::Line { line: wire.name.clone(), why };
                gpiochip::find(wire, self.chips().map_err(wrong)?).map(Place::Chip)
            }
        }
    }

    /// Resolves a line that `claim` then claims; one that is used already under another name is refused.
    fn claim<T>(
        &self,
        line: &str,
        claim: impl FnOnce(&config::Line, &Place, &mut Claims) -> Result<T, BoardError>,
    ) -> Result<T, BoardError> {
        let wire = self.wiring.line(line);
        let place = self.place(&wire)?;
        let mut claims = lock(&self.claims);
        if let Some(other) = claims.taken.get(&place) {
            let why = format!("it is on the same wire as line `{other}`: {place}; write another one for one of them");
            return Err(BoardError::Line { line: line.into(), why });
        }
        let claimed = claim(&wire, &place, &mut claims)?;
        claims.taken.insert(place, line.into());
        Ok(claimed)
    }

    /// The expander of that name, with its outputs inactive. One that does not answer yet is there all the same: the
    /// board says so, and goes on trying.
    fn expander(&self, line: &str, name: &str, claims: &mut Claims) -> Result<Shared, BoardError> {
        if let Some(known) = claims.expanders.get(name) {
            return Ok(Arc::clone(known));
        }
        let wrong = |why: String| BoardError::Line { line: line.into(), why };
        let config = self.wiring.expanders.iter().find(|expander| expander.name == name);
        let config = config.ok_or_else(|| wrong(format!("there is no expander `{name}`; write an [[expander]]")))?;
        let bus = I2cdev::new(&config.bus).map_err(|error| {
            let bus = config.bus.display();
            wrong(format!(
                "the I²C bus {bus} of expander `{name}` can't be opened: {error}; write its path, like /dev/i2c-1"
            ))
        })?;
        let mut pins = Pins::default();
        for output in self.wiring.outputs().map(|output| self.wiring.line(output)) {
            if let Some(pin) = output.pin.filter(|_| output.expander.as_deref() == Some(name)) {
                pins.outputs |= 1 << pin;
                pins.active_low |= u16::from(output.active_low) << pin;
            }
        }
        for wire in &self.wiring.lines {
            if let Some(pin) = wire.pin.filter(|_| wire.expander.as_deref() == Some(name))
                && wire.bias == Some(config::Bias::PullUp)
            {
                pins.pull_up |= 1 << pin;
            }
        }
        let mut expander = Expander::new(bus, config.chip, config.address, pins);
        if let Err(error) = expander.rest() {
            tracing::error!(expander = name, ?error, "a port expander does not answer; it is tried again");
        }
        let expander = Arc::new(Mutex::new(expander));
        claims.expanders.insert(name.into(), Arc::clone(&expander));
        Ok(expander)
    }

    fn claim_input(&self, line: &str, purpose: Purpose, tell: Option<Tell>) -> Result<RealInput, BoardError> {
        let ours = if purpose == Purpose::Beam { DEBOUNCE_BEAM } else { DEBOUNCE };
        self.claim(line, |wire, place, claims| {
            let debounce = wire.debounce.map_or(ours, |span| span.0);
            Ok(match place {
                Place::Chip(spot) => {
                    let request = Arc::new(gpiochip::input(wire, spot, debounce, tell.is_some())?);
                    if let Some(tell) = tell {
                        claims.edges.push(EdgeInputs { request: Arc::clone(&request), tell });
                    }
                    RealInput { input: Level::Chip { request, offset: spot.offset }, active_low: false }
                }
                Place::Bcm(bcm) => {
                    let gpio = self.gpio.as_ref().ok_or(BoardError::NotAPi)?;
                    let pin = pi::input(gpio, wire, *bcm, debounce, tell)?;
                    RealInput { input: Level::Pi(pin), active_low: wire.active_low }
                }
                Place::Expander { name, pin } => {
                    let expander = self.expander(line, name, claims)?;
                    if let Some(tell) = tell {
                        let steady = Debouncer::new(debounce);
                        let asked = PolledPin { pin: *pin, active_low: wire.active_low, steady, tell };
                        claims.asked.entry(name.clone()).or_default().push(asked);
                    }
                    RealInput { input: Level::Expander { expander, pin: *pin }, active_low: wire.active_low }
                }
            })
        })
    }
}

impl Locate for Real {
    fn whereabouts(&self, name: &str) -> Result<String, BoardError> {
        self.place(&self.wiring.line(name)).map(|place| place.to_string())
    }
}

impl Backend for Real {
    type Output = RealOutput;
    type Input = RealInput;
    type Bus = I2cdev;

    fn output(&self, line: &str) -> Result<RealOutput, BoardError> {
        self.claim(line, |wire, place, claims| {
            let output = match place {
                Place::Chip(spot) => Drive::Chip(gpiochip::output(wire, spot)?),
                Place::Bcm(bcm) => {
                    let gpio = self.gpio.as_ref().ok_or(BoardError::NotAPi)?;
                    Drive::Pi(pi::output(gpio, wire, *bcm)?)
                }
                Place::Expander { name, pin } => {
                    Drive::Expander { expander: self.expander(line, name, claims)?, pin: *pin }
                }
            };
            Ok(RealOutput { output, active_low: wire.active_low })
        })
    }

    fn input(&self, line: &str) -> Result<RealInput, BoardError> {
        self.claim_input(line, Purpose::Switch, None)
    }

    fn watch(&self, line: &str, purpose: Purpose, tell: Tell) -> Result<RealInput, BoardError> {
        self.claim_input(line, purpose, Some(tell))
    }

    fn listen(&self, supervisor: &Supervisor) -> Result<Option<Listening>, BoardError> {
        let mut claims = lock(&self.claims);
        let edges = std::mem::take(&mut claims.edges);
        let asked = std::mem::take(&mut claims.asked).into_iter().filter_map(|(name, inputs)| {
            let expander = Arc::clone(claims.expanders.get(&name)?);
            let mut silent = false;
            let read = move || {
                let mut expander = lock(&expander);
                // Back after a silence it may have forgotten its pull-ups; the latches are in the same write.
                if silent && expander.write().is_err() {
                    return None;
                }
                let levels = expander.read();
                silent = levels.is_err();
                levels.ok()
            };
            Some(PolledExpander { read: Box::new(read), inputs })
        });
        Ok(Some(listen::start(supervisor, edges, asked.collect())?))
    }

    fn bus(&self) -> Result<I2cdev, BoardError> {
        let Some(path) = self.wiring.board.lines.i2c() else {
            return Err(BoardError::Bus(
                "the drop counter needs an I²C bus; write i2c = \"/dev/i2c-1\" in [board]".into(),
            ));
        };
        I2cdev::new(path).map_err(|error| {
            let path = path.display();
            BoardError::Bus(format!("the I²C bus {path} can't be opened: {error}; write its path, like /dev/i2c-1"))
        })
    }

    fn beam_debounce(&self, line: &str) -> Duration {
        self.wiring.line(line).debounce.map_or(DEBOUNCE_BEAM, |span| span.0)
    }

    fn untouched(error: &LineFault) -> bool {
        error.untouched
    }
}

/// Shown as what happened, because the generic drivers can only print errors for debugging.
pub struct LineFault {
    why: String,
    untouched: bool,
}

impl LineFault {
    /// Nothing is said of a line that failed in the kernel: it may have moved.
    fn new(error: impl fmt::Display) -> Self {
        Self { why: error.to_string(), untouched: false }
    }
}

impl From<ExpanderError<I2CError>> for LineFault {
    fn from(error: ExpanderError<I2CError>) -> Self {
        let why = format!("the expander at {:#04x} does not answer: {}", error.address, error.cause);
        Self { why, untouched: error.untouched }
    }
}

impl From<Infallible> for LineFault {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl fmt::Debug for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl digital::Error for LineFault {
    fn kind(&self) -> digital::ErrorKind {
        digital::ErrorKind::Other
    }
}

/// An output; high is active. Inactive when it is dropped.
pub struct RealOutput {
    output: Drive,
    active_low: bool,
}

enum Drive {
    Chip(CdevPin),
    Pi(rppal::gpio::OutputPin),
    Expander { expander: Shared, pin: u8 },
}

impl RealOutput {
    fn set(&mut self, active: bool) -> Result<(), LineFault> {
        let level = (active != self.active_low).into();
        match &mut self.output {
            Drive::Chip(pin) => pin.set_state(level).map_err(LineFault::new),
            Drive::Pi(pin) => Ok(OutputPin::set_state(pin, level)?),
            Drive::Expander { expander, pin } => Ok(lock(expander).set(*pin, level == digital::PinState::High)?),
        }
    }
}

impl ErrorType for RealOutput {
    type Error = LineFault;
}

impl OutputPin for RealOutput {
    fn set_low(&mut self) -> Result<(), LineFault> {
        self.set(false)
    }

    fn set_high(&mut self) -> Result<(), LineFault> {
        self.set(true)
    }
}

impl Drop for RealOutput {
    fn drop(&mut self) {
        if let Err(error) = self.set(false) {
            tracing::error!(?error, "an output could not be made inactive");
        }
    }
}

/// An input; high is active.
pub struct RealInput {
    input: Level,
    active_low: bool,
}

enum Level {
    /// The kernel knows the polarity, and has debounced.
    Chip {
        request: Arc<Request>,
        offset: u32,
    },
    Pi(rppal::gpio::InputPin),
    Expander {
        expander: Shared,
        pin: u8,
    },
}

impl ErrorType for RealInput {
    type Error = LineFault;
}

impl InputPin for RealInput {
    fn is_high(&mut self) -> Result<bool, LineFault> {
        let level = match &mut self.input {
            Level::Chip { request, offset } => request.value(*offset).map_err(LineFault::new)? == Value::Active,
            Level::Pi(pin) => InputPin::is_high(pin)?,
            Level::Expander { expander, pin } => lock(expander).read()? >> *pin & 1 == 1,
        };
        Ok(level != self.active_low)
    }

    fn is_low(&mut self) -> Result<bool, LineFault> {
        self.is_high().map(|active| !active)
    }
}
