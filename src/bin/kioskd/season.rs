//! `kioskd season-pass`: a code for who comes often.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use image::{GrayImage, Luma};
use jiff::civil::Date;
use kioskd::console::{complain, half_blocks, say};
use kioskd::kiosk;
use kioskd::kiosk::parking::{ParkingError, SeasonOrder, season_pass};
use kioskd::parking::ticket::Plate;
use qrcode::{Color, EcLevel, QrCode};
use ratatui::crossterm::terminal;

/// White around the code, in modules, without which scanners do not find it.
const QUIET: u32 = 4;
/// Pixels a side of a module.
const MODULE: u32 = 8;

#[derive(clap::Args)]
pub struct Arguments {
    /// The configuration of a kiosk of the car park: its site, its keys and its tariff.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A folder with `site.key` and the site's public keys, for where the configuration names none.
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// The pass's own number, which no other has.
    #[arg(long)]
    number: u32,
    /// Which of the tariff's season passes it is, by its name.
    #[arg(long, value_name = "NAME")]
    season: String,
    /// Its last day, such as 2026-12-31.
    #[arg(long, value_name = "DATE")]
    until: Date,
    /// Good for the car with this plate only.
    #[arg(long, value_name = "PLATE", value_parser = plate)]
    plate: Option<Plate>,
    /// Write the code there as a PNG picture.
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
}

fn plate(text: &str) -> Result<Plate, String> {
    Plate::typed(text).map_err(|why| why.to_string())
}

impl Arguments {
    pub fn issue(self) -> anyhow::Result<ExitCode> {
        let Self { config, keys, number, season, until, plate, png } = self;
        let config = match kiosk::check::load(&config) {
            Ok(config) => config,
            Err(error) => {
                complain(&error);
                return Ok(ExitCode::FAILURE);
            }
        };
        let mut parking = config.parking.ok_or(ParkingError::NoCarPark)?;
        if let Some(keys) = &keys {
            parking.keys_in(keys);
        }
        let text = season_pass(&parking, &SeasonOrder { number, season, until, plate })?;
        let code = QrCode::with_error_correction_level(&text, EcLevel::M).context("the code")?;
        if let Some(file) = &png {
            picture(&code, file)?;
        }
        if std::io::stdout().is_terminal() {
            let columns = terminal::size().map_or(0, |(columns, _)| columns);
            match half_blocks(&text, columns) {
                Some(drawn) => say(drawn)?,
                None => say("the code needs a wider terminal, or a file to be written to: --png FILE")?,
            }
        }
        say(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn picture(code: &QrCode, file: &Path) -> anyhow::Result<()> {
    let width = code.width() as u32;
    let modules = code.to_colors();
    let side = (width + 2 * QUIET) * MODULE;
    let picture = GrayImage::from_fn(side, side, |x, y| {
        let at = |pixel: u32| (pixel / MODULE).checked_sub(QUIET).filter(|at| *at < width);
        let dark = at(x).zip(at(y)).is_some_and(|(x, y)| modules[(y * width + x) as usize] == Color::Dark);
        Luma([if dark { 0 } else { 255 }])
    });
    picture.save(file).with_context(|| format!("{} could not be written", file.display()))
}
