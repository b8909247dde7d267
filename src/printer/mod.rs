//! The receipt printer: a receipt, a ticket, a report or a test page becomes a document, the document dots, the dots ESC/POS bytes.
//!
//! Policy: "printed" is what the printer says, not what was sent. It is asked before the first byte, and after the cut
//! again: an answer in order, then that it is on line with paper there, then an answer in order to a second question.
//! Answers have no names, only a shape and their order, and a byte that is none may look like one: what is said unasked
//! is taken apart first, an answer counts only after its question, and one answer too many proves nothing. A session in
//! which questions stay unanswered is closed, and the next one is opened anew. A receipt is sent once; what went wrong
//! half way is never sent again by itself, and what it left in the printer is thrown away, so that the next receipt is
//! whole and nobody gets the rest of another's.

mod cash_up;
mod document;
mod escpos;
mod gb18030;
mod page;
mod port;
mod raster;
mod receipt;
mod test_page;
#[cfg(test)]
mod tests;
mod ticket;

pub use cash_up::{CashUpSlip, Sums, Takings};
pub use document::{Document, Line, Place};
pub use port::{Port, PortError, SimulatedPort, TcpPort, UsbPrinter, serial_port, usb_port, usb_printers};
pub use raster::Bitmap;
pub use receipt::{BillLine, ExitPass, Item, Receipt, code_text};
pub use test_page::TestPage;
pub use ticket::{Ticket, TicketEntry};

use std::sync::Arc;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;

use crate::config::{self, PaperText, PortDriver};
use crate::screen::language::Texts;
use crate::screen::text::Typesetter;
use crate::world::World;
use escpos::{Answer, Listener, RealTime};

/// For the answer to one real-time question.
const STATUS_WAIT: Duration = Duration::from_millis(500);
/// Between two looks at the state of a printer that is printing.
const LOOK: Duration = Duration::from_millis(250);
/// Questions in order at a receipt's end: two, and more where something looked like an answer that was none.
const ROUNDS: usize = 4;
/// Reads that throw away what is no answer to what comes; a printer that never stops is not waited for.
const STALE_READS: usize = 64;

/// How the printer is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum PrinterStatus {
    /// It was not asked yet.
    #[default]
    Unknown,
    Ok,
    /// A warning: it still prints.
    PaperNearEnd,
    PaperOut,
    CoverOpen,
    /// Off line for another reason: cutter, head, supply.
    Fault,
    /// Off, unplugged or broken; the rest is not known then.
    Unreachable {
        why: String,
    },
}

impl PrinterStatus {
    /// Why it can't print, if it can't.
    pub fn trouble(&self) -> Option<PrinterFault> {
        match self {
            Self::Unknown | Self::Ok | Self::PaperNearEnd => None,
            Self::PaperOut => Some(PrinterFault::PaperOut),
            Self::CoverOpen => Some(PrinterFault::CoverOpen),
            Self::Fault => Some(PrinterFault::Fault),
            Self::Unreachable { .. } => Some(PrinterFault::NoAnswer),
        }
    }
}

impl From<PrinterFault> for PrinterStatus {
    fn from(trouble: PrinterFault) -> Self {
        match trouble {
            PrinterFault::PaperOut => Self::PaperOut,
            PrinterFault::CoverOpen => Self::CoverOpen,
            PrinterFault::Fault => Self::Fault,
            PrinterFault::NoAnswer => Self::Unreachable { why: trouble.to_string() },
        }
    }
}

/// The answers to one look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answers {
    /// `false`: the rest is not known.
    answers: bool,
    cover_open: bool,
    roll: PaperLevel,
    fault: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PaperLevel {
    Ok,
    /// A warning: it still prints.
    NearEnd,
    Out,
}

impl Answers {
    const SILENT: Self = Self { answers: false, cover_open: false, roll: PaperLevel::Ok, fault: false };

    fn status(self) -> PrinterStatus {
        match self {
            Self { answers: false, .. } => PrinterFault::NoAnswer.into(),
            Self { cover_open: true, .. } => PrinterStatus::CoverOpen,
            Self { roll: PaperLevel::Out, .. } => PrinterStatus::PaperOut,
            Self { fault: true, .. } => PrinterStatus::Fault,
            Self { roll: PaperLevel::NearEnd, .. } => PrinterStatus::PaperNearEnd,
            Self { roll: PaperLevel::Ok, .. } => PrinterStatus::Ok,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrinterFault {
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
    Refused(PrinterFault),
    /// It was sent; all, a part or nothing of it may be on paper.
    #[error("not printed to the end: {0}")]
    MidJob(PrinterFault),
}

impl NotPrinted {
    pub fn trouble(self) -> PrinterFault {
        match self {
            Self::Refused(trouble) | Self::MidJob(trouble) => trouble,
        }
    }
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
    listener: Listener,
    /// Questions about the moment that are not answered yet: answers come in the order of the questions.
    owed: u32,
    /// Answers in order heard since the last question in order.
    reports: u32,
    /// What it has complained of unasked.
    complaint: Option<PrinterFault>,
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
            listener: Listener::default(),
            owed: 0,
            reports: 0,
            complaint: None,
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
        let document = receipt::document(&self.texts, receipt, self.receipt_url.as_deref());
        self.put(&document)
    }

    /// The same of a ticket.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub fn print_ticket(&mut self, ticket: &Ticket) -> Result<(), NotPrinted> {
        self.put(&ticket::document(&self.texts, ticket))
    }

    /// The same of a report.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub fn print_report(&mut self, slip: &CashUpSlip) -> Result<(), NotPrinted> {
        self.put(&cash_up::document(&self.texts, slip))
    }

    /// The same of a test page.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub fn print_test(&mut self, page: &TestPage) -> Result<(), NotPrinted> {
        self.put(&test_page::document(&self.texts, page, self.columns, self.text))
    }

    fn put(&mut self, document: &Document) -> Result<(), NotPrinted> {
        let job = self.job(document);
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
                    tracing::warn!(%error, "the printer could not be emptied; the rest of a receipt may still come out");
                }
                Err(NotPrinted::MidJob(trouble))
            }
        }
    }

    /// The bytes that print it.
    fn job(&mut self, document: &Document) -> Vec<u8> {
        match self.text {
            PaperText::Raster => escpos::job(&raster::draw(document, self.columns, &mut self.typesetter)),
            PaperText::Gb18030 => {
                let (columns, typesetter) = (self.columns, &mut self.typesetter);
                gb18030::job(document, columns, |code| {
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

    /// Asks it.
    pub fn status(&mut self) -> PrinterStatus {
        match self.look() {
            Ok(said) => said.status(),
            Err(error) => {
                tracing::debug!(%error, "the printer has failed");
                PrinterStatus::Unreachable { why: error.to_string() }
            }
        }
    }

    /// Nothing of a job has been sent, so that a session which has died unnoticed costs only a question.
    fn ready(&mut self) -> Result<(), PrinterFault> {
        let status = match self.status() {
            PrinterStatus::Unreachable { .. } => self.status(),
            status => status,
        };
        status.trouble().map_or(Ok(()), Err)
    }

    /// Asks how it is, and closes a session that does not answer.
    fn look(&mut self) -> Result<Answers, PortError> {
        let said = self.ask_status();
        if !said.as_ref().is_ok_and(|said| said.answers) {
            self.port.close();
            self.listener.silence();
            self.owed = 0;
        }
        said
    }

    fn ask_status(&mut self) -> Result<Answers, PortError> {
        let before = self.owed;
        let said = self.ask_three()?;
        if said.answers || before == 0 {
            return Ok(said);
        }
        // A printer that was busy may have dropped the questions of before: count anew.
        self.owed = 0;
        self.ask_three()
    }

    fn ask_three(&mut self) -> Result<Answers, PortError> {
        // Whatever came unasked is not an answer to what follows.
        self.throw_away()?;
        let Some(on_line) = self.real_time(RealTime::OnLine)? else { return Ok(Answers::SILENT) };
        let Some(cause) = self.real_time(RealTime::Cause)? else { return Ok(Answers::SILENT) };
        let Some(paper) = self.real_time(RealTime::Paper)? else { return Ok(Answers::SILENT) };
        let cover_open = cause & escpos::COVER_OPEN != 0;
        let roll = match () {
            () if paper & escpos::PAPER_END != 0 || cause & escpos::PAPER_STOP != 0 => PaperLevel::Out,
            () if paper & escpos::NEAR_END != 0 => PaperLevel::NearEnd,
            () => PaperLevel::Ok,
        };
        let explained = cover_open || roll == PaperLevel::Out;
        let fault = cause & escpos::ERROR != 0 || (on_line & escpos::OFF_LINE != 0 && !explained);
        Ok(Answers { answers: true, cover_open, roll, fault })
    }

    fn real_time(&mut self, question: RealTime) -> Result<Option<u8>, PortError> {
        self.ask_now(question)?;
        let deadline = Instant::now() + STATUS_WAIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut told = None;
            for answer in self.hear(left)? {
                if let Answer::RealTime(status) = answer {
                    told = Some(status);
                }
            }
            // The last one due is the answer to the last question.
            if self.owed == 0 && told.is_some() {
                return Ok(told);
            }
            if left.is_zero() {
                return Ok(None);
            }
        }
    }

    fn ask_now(&mut self, question: RealTime) -> Result<(), PortError> {
        self.port.write(&question.question(), STATUS_WAIT)?;
        self.owed += 1;
        Ok(())
    }

    /// The messages that end within one read.
    fn hear(&mut self, wait: Duration) -> Result<Vec<Answer>, PortError> {
        let bytes = self.port.read(wait)?;
        if bytes.is_empty() && !wait.is_zero() {
            self.listener.silence();
        }
        let answers: Vec<_> = bytes.into_iter().filter_map(|byte| self.listener.hear(byte)).collect();
        for answer in &answers {
            match answer {
                Answer::RealTime(_) => self.owed = self.owed.saturating_sub(1),
                Answer::Report { .. } => self.reports += 1,
                Answer::Unasked(trouble) => self.complaint = trouble.or(self.complaint),
            }
        }
        Ok(answers)
    }

    /// What has come by now.
    fn throw_away(&mut self) -> Result<(), PortError> {
        for _ in 0..STALE_READS {
            if self.hear(Duration::ZERO)?.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Sends the job and waits until the printer has said that it is at its end.
    fn send_and_prove(&mut self, job: &[u8]) -> Result<(), PrinterFault> {
        let deadline = Instant::now() + self.timeout;
        self.complaint = None;
        if let Err(error) = self.port.write(job, self.timeout) {
            tracing::warn!(%error, "the printer has failed");
            return Err(self.status().trouble().or(self.complaint).unwrap_or(PrinterFault::NoAnswer));
        }
        for round in 0..ROUNDS {
            // What came before the question does not answer it.
            self.throw_away().map_err(|error| silent(&error))?;
            let one_each = self.reports <= 1;
            self.wait_for_report(deadline)?;
            if round > 0 && one_each {
                return Ok(());
            }
            // All of it has been done, if that was the answer. It says itself whether it stands ready.
            self.status().trouble().map_or(Ok(()), Err)?;
        }
        tracing::warn!("the printer sends more answers than it was asked for");
        Err(PrinterFault::NoAnswer)
    }

    /// Asks in order, and waits until that is answered.
    fn wait_for_report(&mut self, deadline: Instant) -> Result<(), PrinterFault> {
        self.reports = 0;
        self.port.write(&escpos::REPORT, STATUS_WAIT).map_err(|error| silent(&error))?;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let answers = self.hear(left.min(LOOK)).map_err(|error| silent(&error))?;
            for answer in &answers {
                match answer {
                    Answer::Report { out: false } => return Ok(()),
                    Answer::Report { out: true } => return Err(PrinterFault::PaperOut),
                    Answer::RealTime(status) if status & escpos::OFF_LINE != 0 => {
                        return Err(self.status().trouble().unwrap_or(PrinterFault::Fault));
                    }
                    Answer::RealTime(_) | Answer::Unasked(_) => {}
                }
            }
            if let Some(complaint) = self.complaint.take() {
                let trouble = match self.status() {
                    PrinterStatus::Unreachable { .. } => Some(complaint),
                    status => status.trouble(),
                };
                trouble.map_or(Ok(()), Err)?;
            }
            if left.is_zero() {
                return Err(self.status().trouble().unwrap_or(PrinterFault::NoAnswer));
            }
            // A printer that has gone off line will not answer in order.
            if answers.is_empty() {
                self.ask_now(RealTime::OnLine).map_err(|error| silent(&error))?;
            }
        }
    }
}

fn silent(error: &PortError) -> PrinterFault {
    tracing::warn!(%error, "the printer has failed");
    PrinterFault::NoAnswer
}
