//! The receipt printer: a receipt becomes a document, the document dots, the dots ESC/POS bytes.
//!
//! Policy: "printed" is what the printer says, not what was sent. It is asked before the first byte, and an answer in
//! order after the last one proves that all of it was processed with paper there. A receipt is sent once; what went
//! wrong half way is never sent again by itself, and what it left in the printer is thrown away, so that the next
//! receipt is whole and nobody gets the rest of another's.

mod document;
mod escpos;
mod gb18030;
mod port;
mod raster;
mod receipt;
#[cfg(test)]
mod tests;

pub use document::{Document, Line, Place};
pub use port::{Port, PortError, SimulatedPort, TcpPort, UsbPrinter, serial_port, usb_port, usb_printers};
pub use raster::Bitmap;
pub use receipt::{Item, Receipt, Shift, code_text};

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{self, PaperText, PortDriver};
use crate::screen::language::Texts;
use crate::screen::text::Typesetter;
use crate::world::World;
use escpos::{Answer, RealTime};

/// For the answer to one real-time question.
const STATUS_WAIT: Duration = Duration::from_millis(500);
/// Between two looks at the state of a printer that is printing.
const LOOK: Duration = Duration::from_millis(250);

/// What the printer says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrinterStatus {
    /// `false`: off, unplugged or broken; the rest is not known then.
    pub answers: bool,
    pub cover_open: bool,
    pub roll: Roll,
    /// Off line for another reason: cutter, head, supply.
    pub fault: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roll {
    Ok,
    /// A warning: it still prints.
    NearEnd,
    Out,
}

impl PrinterStatus {
    const SILENT: Self = Self { answers: false, cover_open: false, roll: Roll::Ok, fault: false };

    fn told(self) -> String {
        match (self.trouble(), self.roll) {
            (Some(trouble), _) => trouble.to_string(),
            (None, Roll::NearEnd) => "the paper is near its end".into(),
            (None, _) => "ok".into(),
        }
    }

    /// Why it can't print, if it can't.
    pub fn trouble(self) -> Option<Trouble> {
        match self {
            Self { answers: false, .. } => Some(Trouble::NoAnswer),
            Self { cover_open: true, .. } => Some(Trouble::CoverOpen),
            Self { roll: Roll::Out, .. } => Some(Trouble::PaperOut),
            Self { fault: true, .. } => Some(Trouble::Fault),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("there is no paper")]
    PaperOut,
    #[error("the cover is open")]
    CoverOpen,
    #[error("it reports a fault")]
    Fault,
    #[error("it does not answer")]
    NoAnswer,
}

/// Why there is no whole receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPrinted {
    #[error("not printed, nothing is on paper: {0}")]
    Refused(Trouble),
    /// It was sent; all, a part or nothing of it may be on paper.
    #[error("not printed to the end: {0}")]
    MidJob(Trouble),
}

/// Blocks while it prints: belongs on a thread of its own.
pub struct Printer {
    port: Box<dyn Port>,
    typesetter: Typesetter,
    texts: Texts,
    text: PaperText,
    columns: u32,
    timeout: Duration,
    receipt_url: Option<String>,
    /// A part of a former receipt may be on the paper or in the printer.
    unfinished: bool,
}

/// The port that the driver means.
///
/// # Errors
/// [`PortError::NoWorld`] where the driver is simulated and there is no world.
pub fn open_port(driver: &PortDriver, world: Option<&Arc<World>>) -> Result<Box<dyn Port>, PortError> {
    match driver {
        PortDriver::Simulated => {
            world.map(|world| Box::new(SimulatedPort::new(Arc::clone(world))) as _).ok_or(PortError::NoWorld)
        }
        PortDriver::Usb { device, model } => Ok(Box::new(usb_port(device.clone(), model.clone()))),
        PortDriver::Serial { device, baud, flow } => Ok(Box::new(serial_port(device.clone(), *baud, *flow))),
        PortDriver::Tcp { address } => Ok(Box::new(TcpPort::new(address.clone()))),
    }
}

impl Printer {
    pub fn new(config: &config::Printer, port: Box<dyn Port>, typesetter: Typesetter, texts: Texts) -> Self {
        Self {
            port,
            typesetter,
            texts,
            text: config.text,
            columns: config.columns,
            timeout: config.timeout.0,
            receipt_url: config.receipt_url.clone(),
            unfinished: false,
        }
    }

    /// A run before may have ended in the middle of a receipt: the next one is preceded by a cut.
    pub fn distrust(&mut self) {
        self.unfinished = true;
    }

    /// Prints one copy. Takes at most the configured time-out beside the questions before and after.
    ///
    /// # Errors
    /// Whatever is not a proof that the whole receipt is on paper.
    pub fn print(&mut self, receipt: &Receipt) -> Result<(), NotPrinted> {
        let job = self.job(receipt);
        self.ready().map_err(NotPrinted::Refused)?;
        if self.unfinished {
            let cancel = escpos::cancel(Bitmap::new(self.columns).row_bytes());
            self.port.write(&cancel, self.timeout).map_err(|error| NotPrinted::Refused(silent(&error)))?;
            // Asked again: its answers come in order, so nothing that belongs to the former job comes after these.
            self.ready().map_err(NotPrinted::Refused)?;
        }
        self.unfinished = true;
        match self.send_and_prove(&job) {
            Ok(()) => {
                self.unfinished = false;
                Ok(())
            }
            Err(trouble) => {
                // At once, or the rest comes out when somebody puts paper in. A dead printer can't take it.
                if let Err(error) = self.port.write(&escpos::CLEAR, STATUS_WAIT) {
                    tracing::warn!(%error, "the rest of a receipt may still be in the printer");
                }
                Err(NotPrinted::MidJob(trouble))
            }
        }
    }

    /// The bytes that print it.
    fn job(&mut self, receipt: &Receipt) -> Vec<u8> {
        match self.text {
            PaperText::Raster => escpos::job(&self.picture(receipt)),
            PaperText::Gb18030 => {
                let document = receipt::document(&self.texts, receipt, self.receipt_url.as_deref());
                let (columns, typesetter) = (self.columns, &mut self.typesetter);
                gb18030::job(&document, columns, |code| {
                    let alone = Document { language: document.language.clone(), lines: vec![code.clone()] };
                    raster::draw(&alone, columns, typesetter)
                })
            }
        }
    }

    /// The receipt as it would be on paper, printed as a picture.
    pub fn picture(&mut self, receipt: &Receipt) -> Bitmap {
        let document = receipt::document(&self.texts, receipt, self.receipt_url.as_deref());
        raster::draw(&document, self.columns, &mut self.typesetter)
    }

    /// The report of a shift, likewise.
    pub fn shift_picture(&mut self, shift: &Shift) -> Bitmap {
        raster::draw(&receipt::shift_document(&self.texts, shift), self.columns, &mut self.typesetter)
    }

    pub fn status(&mut self) -> PrinterStatus {
        self.ask_status().unwrap_or_else(|error| {
            tracing::debug!(%error, "printer");
            PrinterStatus::SILENT
        })
    }

    /// How it is, in a few words for `state`: `ok`, or what is wrong.
    pub fn told(&mut self) -> String {
        match self.ask_status() {
            Ok(status) => status.told(),
            Err(error) => error.to_string(),
        }
    }

    fn ready(&mut self) -> Result<(), Trouble> {
        self.status().trouble().map_or(Ok(()), Err)
    }

    fn ask_status(&mut self) -> Result<PrinterStatus, PortError> {
        // Whatever came unasked is not an answer to what follows.
        self.port.read(Duration::ZERO)?;
        let Some(on_line) = self.real_time(RealTime::OnLine)? else { return Ok(PrinterStatus::SILENT) };
        let Some(cause) = self.real_time(RealTime::Cause)? else { return Ok(PrinterStatus::SILENT) };
        let Some(paper) = self.real_time(RealTime::Paper)? else { return Ok(PrinterStatus::SILENT) };
        let cover_open = cause & escpos::COVER_OPEN != 0;
        let roll = match () {
            () if paper & escpos::PAPER_END != 0 || cause & escpos::PAPER_STOP != 0 => Roll::Out,
            () if paper & escpos::NEAR_END != 0 => Roll::NearEnd,
            () => Roll::Ok,
        };
        let explained = cover_open || roll == Roll::Out;
        let fault = cause & escpos::ERROR != 0 || (on_line & escpos::OFF_LINE != 0 && !explained);
        Ok(PrinterStatus { answers: true, cover_open, roll, fault })
    }

    fn real_time(&mut self, question: RealTime) -> Result<Option<u8>, PortError> {
        self.port.write(&question.question(), STATUS_WAIT)?;
        let deadline = Instant::now() + STATUS_WAIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let answers = self.port.read(left)?;
            for answer in answers.into_iter().map(Answer::parse) {
                if let Answer::RealTime(status) = answer {
                    return Ok(Some(status));
                }
            }
            if left.is_zero() {
                return Ok(None);
            }
        }
    }

    /// Sends the job and waits until the printer has answered the question at its end.
    fn send_and_prove(&mut self, job: &[u8]) -> Result<(), Trouble> {
        let deadline = Instant::now() + self.timeout;
        if let Err(error) = self.port.write(job, self.timeout) {
            tracing::warn!(%error, "printer");
            return Err(self.status().trouble().unwrap_or(Trouble::NoAnswer));
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let answers = self.port.read(left.min(LOOK)).map_err(|error| silent(&error))?;
            for answer in answers.iter().copied().map(Answer::parse) {
                match answer {
                    Answer::Report { out: false } => return Ok(()),
                    Answer::Report { out: true } => return Err(Trouble::PaperOut),
                    Answer::RealTime(status) if status & escpos::OFF_LINE != 0 => {
                        return Err(self.status().trouble().unwrap_or(Trouble::Fault));
                    }
                    Answer::RealTime(_) | Answer::Other => {}
                }
            }
            if left.is_zero() {
                return Err(self.status().trouble().unwrap_or(Trouble::NoAnswer));
            }
            // A printer that has gone off line will not answer in order.
            if answers.is_empty() {
                self.port.write(&RealTime::OnLine.question(), STATUS_WAIT).map_err(|error| silent(&error))?;
            }
        }
    }
}

fn silent(error: &PortError) -> Trouble {
    tracing::warn!(%error, "printer");
    Trouble::NoAnswer
}
