//! Lists what a board has, for a person who writes its configuration: chips, lines, buses, thermometers.

use std::path::{Path, PathBuf};

use embedded_hal::i2c::I2c;
use gpiocdev::line::Direction;
use linux_embedded_hal::I2cdev;
use serde::Serialize;

use super::gpiochip::{self, ChipInfo};
use super::thermometer::{self, Thermometer};

#[derive(Debug, Clone, Serialize)]
pub struct Probe {
    pub chips: Vec<ProbedChip>,
    pub buses: Vec<ProbedBus>,
    pub thermometers: Vec<Thermometer>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ProbedChip {
    pub path: PathBuf,
    pub label: String,
    pub lines: Vec<ProbedLine>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ProbedLine {
    pub offset: u32,
    /// The kernel's; empty where it has none.
    pub name: String,
    /// Who has it; empty where the kernel does not say.
    pub consumer: Option<String>,
    pub output: bool,
    pub active_low: bool,
}

#[derive(Debug, Clone, Serialize)]
pub struct ProbedBus {
    pub path: PathBuf,
    /// `None` where nobody asked for it, or why it could not be asked.
    pub answering: Option<Result<Vec<u8>, String>>,
}

/// Looks at everything and moves nothing. `ask_buses` reads one byte from every address of every I²C bus: chips that do
/// something when they are read exist, so only a person may ask for it, and only while no kiosk runs.
pub fn probe(ask_buses: bool) -> Probe {
    let bus = |path: PathBuf| ProbedBus { answering: ask_buses.then(|| addresses(&path)), path };
    let buses = std::fs::read_dir("/dev").into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut buses: Vec<_> = buses.filter(|path| is_bus(path)).collect();
    buses.sort();
    Probe {
        chips: survey(),
        buses: buses.into_iter().map(bus).collect(),
        thermometers: thermometer::all(Path::new("/sys")),
    }
}

fn survey() -> Vec<ProbedChip> {
    let lines = |known: &ChipInfo| {
        let infos = (0..known.lines).filter_map(|offset| known.chip.line_info(offset).ok());
        infos
            .map(|info| ProbedLine {
                offset: info.offset,
                name: info.name,
                consumer: (info.used || !info.consumer.is_empty()).then_some(info.consumer),
                output: info.direction == Direction::Output,
                active_low: info.active_low,
            })
            .collect()
    };
    let chip =
        |known: ChipInfo| ProbedChip { path: known.chip.path().to_owned(), lines: lines(&known), label: known.label };
    gpiochip::chips().unwrap_or_default().into_iter().map(chip).collect()
}

fn is_bus(path: &Path) -> bool {
    let number = path.file_name().and_then(|name| name.to_str()?.strip_prefix("i2c-"));
    number.is_some_and(|number| number.parse::<u16>().is_ok())
}

/// Those that answer, and those that a driver of the kernel has.
fn addresses(path: &Path) -> Result<Vec<u8>, String> {
    let mut bus = I2cdev::new(path).map_err(|error| error.to_string())?;
    let mut answers = |address: &u8| match I2c::<u8>::read(&mut bus, *address, &mut [0]) {
        Ok(()) => true,
        Err(error) => matches!(error.inner(), linux_embedded_hal::i2cdev::linux::LinuxI2CError::Errno(16)),
    };
    Ok((0x08..=0x77).filter(|address| answers(address)).collect())
}
