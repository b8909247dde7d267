//! A Raspberry Pi's registers, through rppal. Pins are left as outputs at their inactive level when they are given up:
//! rppal would otherwise put back whatever mode they had, in which a relay's input may float.

use std::time::Duration;

use rppal::gpio::{Bias as PiBias, Error, Gpio, InputPin, OutputPin, Trigger};

use super::{BoardError, Tell};
use crate::config::{Bias, Line};

pub(super) fn open() -> Result<Gpio, BoardError> {
    Gpio::new().map_err(|error| match error {
        Error::UnknownModel => BoardError::NotAPi,
        Error::PermissionDenied(path) => BoardError::Pi(format!(
            "{path} may not be opened; give kioskd the right to it, or write driver = \"gpiochip\""
        )),
        other => BoardError::Pi(format!("{other}; write driver = \"gpiochip\" to do without the registers")),
    })
}

/// Its latch is inactive before it becomes an output.
pub(super) fn output(gpio: &Gpio, wire: &Line, bcm: u8) -> Result<OutputPin, BoardError> {
    let pin = gpio.get(bcm).map_err(|error| refused(wire, bcm, &error))?;
    let mut pin = if wire.active_low { pin.into_output_high() } else { pin.into_output_low() };
    pin.set_reset_on_drop(false);
    Ok(pin)
}

/// Claims an input; its changes are told from a thread of rppal's, which debounces with the kernel's help.
pub(super) fn input(
    gpio: &Gpio,
    wire: &Line,
    bcm: u8,
    debounce: Duration,
    tell: Option<Tell>,
) -> Result<InputPin, BoardError> {
    let pin = gpio.get(bcm).map_err(|error| refused(wire, bcm, &error))?;
    let mut pin = match wire.bias.unwrap_or_default() {
        Bias::PullUp => pin.into_input_pullup(),
        Bias::PullDown => pin.into_input_pulldown(),
        Bias::AsIs => pin.into_input(),
        Bias::None => {
            let mut pin = pin.into_io(rppal::gpio::Mode::Input);
            pin.set_bias(PiBias::Off);
            drop(pin);
            gpio.get(bcm).map_err(|error| refused(wire, bcm, &error))?.into_input()
        }
    };
    if let Some(mut tell) = tell {
        let active = if wire.active_low { Trigger::FallingEdge } else { Trigger::RisingEdge };
        let debounce = Some(debounce).filter(|period| !period.is_zero());
        pin.set_async_interrupt(Trigger::Both, debounce, move |event| tell(event.trigger == active))
            .map_err(|error| refused(wire, bcm, &error))?;
    }
    Ok(pin)
}

fn refused(wire: &Line, bcm: u8, error: &Error) -> BoardError {
    BoardError::Line { line: wire.name.clone(), why: format!("BCM {bcm} can't be claimed: {error}") }
}
