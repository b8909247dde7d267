//! How a driver comes by a code: it is read from the printed paper or the glass, as a phone would.

use image::GrayImage;

use super::cars::Held;
use crate::parking::ticket::{Code, Kind, SiteKeys};

/// All codes on a paper.
pub fn on_paper(paper: &GrayImage, keys: &SiteKeys) -> Vec<Held> {
    let (width, height) = (paper.width() as usize, paper.height() as usize);
    let mut image =
        rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| paper.get_pixel(x as u32, y as u32).0[0]);
    let grids = image.detect_grids();
    grids.iter().filter_map(|grid| grid.decode().ok()).filter_map(|(_, text)| read(&text, keys)).collect()
}

/// What a person makes of a code; nothing where it is none of a car park.
pub fn read(text: &str, keys: &SiteKeys) -> Option<Held> {
    let (kind, number) = match Code::read(text, keys).ok()? {
        Code::Ticket(ticket) => (Kind::Ticket, Some(ticket.number.to_string())),
        Code::Pass(pass) => (Kind::Pass, Some(pass.stay.to_string())),
        Code::Validation(_) => (Kind::Validation, None),
        Code::Season(season) => (Kind::Season, Some(season.number.to_string())),
    };
    Some(Held { kind, code: text.to_owned(), number })
}

/// What the API calls it.
pub fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Ticket => "ticket",
        Kind::Pass => "pass",
        Kind::Validation => "validation",
        Kind::Season => "season",
    }
}
