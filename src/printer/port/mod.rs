//! Where the bytes go and the answers come from.
//!
//! Policy: a real port is opened when it is first needed and again after every failure, and silence is one, so a printer that was unplugged,
//! off, or has come back under another number is found without a restart. What was sent before a failure is never sent
//! again by the port: only [`Printer`](super::Printer) knows what a job is.

mod file;
#[cfg(test)]
mod lab;
mod serial;
mod tcp;
mod usb;

pub use serial::serial_port;
pub use tcp::TcpPort;
pub use usb::{UsbPrinter, usb_port, usb_printers};

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::world::{Ask, DEVICE_TIMEOUT, World, WorldError};

/// A printer's two-way port.
pub trait Port: Send {
    /// Writes all of it within `timeout`.
    ///
    /// # Errors
    /// Any part of it may have been written.
    fn write(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), PortError>;

    /// What has come in, waiting at most `wait` for the first byte; empty if nothing came.
    fn read(&mut self, wait: Duration) -> Result<Vec<u8>, PortError>;

    /// Ends the session; what is needed next begins another. Whoever asks and is not answered calls this: a connection
    /// that hangs gives no error by itself.
    fn close(&mut self);
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    #[error("not all bytes were taken within {} ms", .0.as_millis())]
    Slow(Duration),
    #[error("the printer's port is simulated and needs `--world SOCKET`")]
    NoWorld,
    #[error(transparent)]
    World(#[from] WorldError),
    #[error("the port's answer makes no sense")]
    Nonsense,
    #[error("there is no USB printer; plug it in, and look with `kioskd probe`")]
    NoPrinter,
    #[error("no USB printer calls itself `{wanted}`; there are: {there}")]
    OtherPrinters { wanted: String, there: String },
    #[error("there are several USB printers; write one's `model`: {there}")]
    SeveralPrinters { there: String },
    #[error("{port}: permission denied; add the user to group lp (USB) or dialout (serial)")]
    Forbidden { port: String },
    #[error("{port}: {why}")]
    Gone { port: String, why: String },
}

/// A port into the world.
pub struct SimulatedPort {
    world: Arc<World>,
}

/// A time-out is looked at between two of these.
const CHUNK: usize = 4_096;

impl SimulatedPort {
    pub fn new(world: Arc<World>) -> Self {
        Self { world }
    }
}

impl Port for SimulatedPort {
    fn write(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), PortError> {
        let began = Instant::now();
        for chunk in bytes.chunks(CHUNK) {
            let left = timeout.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(PortError::Slow(timeout));
            }
            self.world.ask(Ask::PrinterWrite { bytes: chunk.to_vec() }, left.min(DEVICE_TIMEOUT))?;
        }
        Ok(())
    }

    fn read(&mut self, wait: Duration) -> Result<Vec<u8>, PortError> {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let answer = self.world.ask(Ask::PrinterRead { wait_ms }, wait + DEVICE_TIMEOUT)?;
        serde_json::from_value(answer).map_err(|_| PortError::Nonsense)
    }

    /// The world's own connection is watched by itself.
    fn close(&mut self) {}
}
