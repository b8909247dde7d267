//! Lines and a bus whose levels the simulated world sets, behind the same traits as real ones.

use std::fmt;
use std::sync::Arc;

use embedded_hal::digital::{self, InputPin, OutputPin};
use embedded_hal::i2c::{self, I2c, Operation};
use serde_json::Value;

use super::{Backend, BoardError};
use crate::world::{Ask, DEVICE_TIMEOUT, World, WorldError};

#[derive(Clone)]
pub struct Simulated(Arc<World>);

impl Simulated {
    pub fn new(world: Arc<World>) -> Self {
        Self(world)
    }

    fn pin(&self, line: &str) -> SimulatedPin {
        SimulatedPin { world: Arc::clone(&self.0), line: line.to_owned() }
    }
}

impl Backend for Simulated {
    type Output = SimulatedPin;
    type Input = SimulatedPin;
    type Bus = SimulatedI2c;

    fn output(&self, line: &str) -> Result<SimulatedPin, BoardError> {
        Ok(self.pin(line))
    }

    fn input(&self, line: &str) -> Result<SimulatedPin, BoardError> {
        Ok(self.pin(line))
    }

    fn bus(&self) -> Result<SimulatedI2c, BoardError> {
        Ok(SimulatedI2c { world: Arc::clone(&self.0) })
    }

    /// The world refuses before it moves anything; a missing answer proves nothing.
    fn untouched(error: &SimulatedError) -> bool {
        matches!(error.0, WorldError::Refused(_))
    }
}

/// Shown as what happened, because the generic drivers can only print errors for debugging.
pub struct SimulatedError(pub WorldError);

impl fmt::Debug for SimulatedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl digital::Error for SimulatedError {
    fn kind(&self) -> digital::ErrorKind {
        digital::ErrorKind::Other
    }
}

impl i2c::Error for SimulatedError {
    fn kind(&self) -> i2c::ErrorKind {
        match self.0 {
            WorldError::Refused(_) => i2c::ErrorKind::NoAcknowledge(i2c::NoAcknowledgeSource::Unknown),
            WorldError::Silent(_) | WorldError::Gone(_) => i2c::ErrorKind::Other,
        }
    }
}

/// One line; an output or an input, as the world knows it.
pub struct SimulatedPin {
    world: Arc<World>,
    line: String,
}

impl SimulatedPin {
    fn set(&self, active: bool) -> Result<(), SimulatedError> {
        let ask = Ask::SetLine { line: self.line.clone(), active };
        self.world.ask(ask, DEVICE_TIMEOUT).map(drop).map_err(SimulatedError)
    }

    fn get(&self) -> Result<bool, SimulatedError> {
        let answer =
            self.world.ask(Ask::GetLine { line: self.line.clone() }, DEVICE_TIMEOUT).map_err(SimulatedError)?;
        answer.as_bool().ok_or_else(|| nonsense(&answer))
    }
}

impl digital::ErrorType for SimulatedPin {
    type Error = SimulatedError;
}

impl OutputPin for SimulatedPin {
    fn set_low(&mut self) -> Result<(), SimulatedError> {
        self.set(false)
    }

    fn set_high(&mut self) -> Result<(), SimulatedError> {
        self.set(true)
    }
}

impl InputPin for SimulatedPin {
    fn is_high(&mut self) -> Result<bool, SimulatedError> {
        self.get()
    }

    fn is_low(&mut self) -> Result<bool, SimulatedError> {
        self.get().map(|active| !active)
    }
}

pub struct SimulatedI2c {
    world: Arc<World>,
}

impl SimulatedI2c {
    fn transfer(&self, address: u8, write: Vec<u8>, read: &mut [u8]) -> Result<(), SimulatedError> {
        let ask = Ask::I2c { address, write, read: read.len() };
        let answer = self.world.ask(ask, DEVICE_TIMEOUT).map_err(SimulatedError)?;
        let bytes: Vec<u8> = serde_json::from_value(answer.clone()).map_err(|_| nonsense(&answer))?;
        if bytes.len() != read.len() {
            return Err(nonsense(&answer));
        }
        read.copy_from_slice(&bytes);
        Ok(())
    }
}

impl i2c::ErrorType for SimulatedI2c {
    type Error = SimulatedError;
}

impl I2c for SimulatedI2c {
    /// Writes are gathered and sent together with the read that follows them.
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), SimulatedError> {
        let mut gathered = Vec::new();
        for operation in operations {
            match operation {
                Operation::Write(bytes) => gathered.extend_from_slice(bytes),
                Operation::Read(into) => self.transfer(address, std::mem::take(&mut gathered), into)?,
            }
        }
        if gathered.is_empty() { Ok(()) } else { self.transfer(address, gathered, &mut []) }
    }
}

/// An answer that is not of the protocol says nothing about the line.
fn nonsense(answer: &Value) -> SimulatedError {
    SimulatedError(WorldError::Gone(format!("it answers {answer}")))
}
