//! The printer's paper: an interpreter of ESC/POS that prints into memory.
//!
//! Policy: it behaves as a real printer does where that hurts. Without paper or with its cover open it is off line:
//! what it was sent waits in its buffer, and only real-time commands are answered. Real-time commands are recognised
//! wherever they stand, inside pictures too. Whatever bytes come, it never panics and never grows without bound.

mod interpreter;

use std::io::Cursor;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use image::{GrayImage, ImageFormat, Luma};

use interpreter::{Interpreter, Row};

/// What is left on the roll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaperLevel {
    Ok,
    NearEnd,
    Out,
}

/// White on both sides of the printed width, in dots.
const MARGIN: u32 = 24;
/// At the head of the picture, and what an unused roll shows.
const HEAD: u32 = 24;

/// All calls are short but [`read`](Self::read), which waits.
pub struct Paper {
    columns: u32,
    state: Mutex<Interpreter>,
    answered: Condvar,
}

impl Paper {
    /// `columns`: printed width in dots.
    pub fn new(columns: u32) -> Self {
        Self { columns, state: Mutex::new(Interpreter::new(columns)), answered: Condvar::new() }
    }

    /// Bytes to the printer's port; on return it has taken all of them.
    ///
    /// # Errors
    /// It is off, or its buffer is full; it may have taken a part.
    pub fn write(&self, bytes: &[u8]) -> Result<(), String> {
        self.change(|printer| printer.take(bytes))
    }

    /// What it has answered since the last call, waiting at most `wait` for the first byte.
    pub fn read(&self, wait: Duration) -> Vec<u8> {
        let deadline = Instant::now() + wait;
        let mut printer = self.lock();
        loop {
            let answers = printer.answers();
            let left = deadline.saturating_duration_since(Instant::now());
            if !answers.is_empty() || left.is_zero() {
                return answers;
            }
            printer = self.answered.wait_timeout(printer, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub fn set_paper(&self, roll: PaperLevel) {
        self.change(|printer| printer.set_roll(roll));
    }

    pub fn set_cover(&self, open: bool) {
        self.change(|printer| printer.set_cover(open));
    }

    /// Off, it forgets what it had not printed yet.
    pub fn set_power(&self, on: bool) {
        self.change(|printer| printer.set_power(on));
    }

    /// The paper ends after so many more rows of dots.
    pub fn out_after_lines(&self, rows: u32) {
        self.change(|printer| printer.out_after(rows));
    }

    /// Every byte it was sent and took; the newest 16 MiB.
    pub fn bin(&self) -> Vec<u8> {
        self.lock().taken()
    }

    /// The paper so far as a PNG picture; only its tail if it is very long. A cut is a dashed line.
    pub fn png(&self) -> Vec<u8> {
        let printer = self.lock();
        let picture = self.picture(printer.rows().iter());
        drop(printer);
        let mut png = Cursor::new(Vec::new());
        picture.write_to(&mut png, ImageFormat::Png).expect("memory takes every picture of this size");
        png.into_inner()
    }

    /// A hand takes what has been printed and cut since the last that was taken.
    pub fn tear_off(&self) -> Option<GrayImage> {
        let mut printer = self.lock();
        let torn = printer.tear()?;
        Some(self.picture(printer.rows().range(torn)))
    }

    fn picture<'r>(&self, rows: impl ExactSizeIterator<Item = &'r Row>) -> GrayImage {
        let mut picture =
            GrayImage::from_pixel(self.columns + 2 * MARGIN, HEAD + (rows.len() as u32).max(HEAD), Luma([255]));
        for (row, y) in rows.zip(HEAD..) {
            match row {
                Row::Blank => {}
                Row::Dots(dots) => {
                    for x in (0..self.columns).filter(|x| dots[*x as usize / 8] & (0x80 >> (x % 8)) != 0) {
                        picture.put_pixel(MARGIN + x, y, Luma([0]));
                    }
                }
                Row::Cut => {
                    for x in (0..picture.width()).filter(|x| x % 16 < 10) {
                        picture.put_pixel(x, y, Luma([150]));
                    }
                }
            }
        }
        picture
    }

    fn change<T>(&self, what: impl FnOnce(&mut Interpreter) -> T) -> T {
        let result = what(&mut self.lock());
        self.answered.notify_all();
        result
    }

    /// A panic elsewhere while the lock was held leaves plain data that is still whole.
    fn lock(&self) -> std::sync::MutexGuard<'_, Interpreter> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
