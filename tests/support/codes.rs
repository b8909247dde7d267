//! Codes on paper and on glass, as two decoders of other authors read them, and as a camera may see them.

use image::{GrayImage, Luma};

use crate::child::command;

/// A code that rqrr has read.
pub struct Found {
    pub text: String,
    /// 1 to 40.
    pub version: usize,
    /// Where it begins, and how wide it is without its margin, in pixels.
    pub top: i32,
    pub width: i32,
}

/// Every code in the picture, from its top to its bottom.
pub fn by_rqrr(picture: &GrayImage) -> Vec<Found> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut prepared =
        rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| picture.get_pixel(x as u32, y as u32).0[0]);
    let found = prepared.detect_grids().into_iter().filter_map(|grid| {
        let (about, text) = grid.decode().ok()?;
        let [corner, right, ..] = grid.bounds;
        Some(Found { text, version: about.version.0, top: corner.y, width: right.x - corner.x })
    });
    let mut all: Vec<_> = found.collect();
    all.sort_by_key(|found| found.top);
    all
}

/// Every code in the picture, in an order of zbar's own.
pub fn by_zbar(picture: &GrayImage) -> Vec<String> {
    let file = tempfile::Builder::new().suffix(".png").tempfile().expect("there is room for a picture");
    picture.save(file.path()).expect("the picture is written");
    let read = command("zbarimg").args(["--raw", "-q"]).arg(file.path()).output().expect("zbar-tools is installed");
    String::from_utf8_lossy(&read.stdout).lines().map(str::to_owned).collect()
}

/// As a camera may see it: at an angle of its own size, out of focus, in bad light, on paper that is not white.
pub fn seen(paper: &GrayImage, scale: f32, blur: f32, darkest: u8, lightest: u8) -> GrayImage {
    let scaled = |side: u32| (side as f32 * scale) as u32;
    let blurred = image::imageops::blur(paper, blur);
    let (width, height) = (scaled(paper.width()), scaled(paper.height()));
    let mut seen = image::imageops::resize(&blurred, width, height, image::imageops::FilterType::Triangle);
    for Luma([light]) in seen.pixels_mut() {
        let range = u32::from(lightest - darkest);
        *light = darkest + (u32::from(*light) * range / 255) as u8;
    }
    seen
}
