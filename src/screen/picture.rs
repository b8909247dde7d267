//! Pictures from files: within limits, whatever the file says of itself.

use std::path::Path;

use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Limits, RgbaImage};

use super::sheet::Fit;
use crate::config::MAX_PICTURE;

/// Bytes that decoding one picture may take.
const MAX_DECODED: u64 = 64 << 20;
/// The same of one that a stranger's server has sent: 3840 x 2160 pixels with their transparency.
const MAX_SENT: u64 = 40 << 20;
/// Scans of a JPEG; each may be a pass over all of the picture, and ten are many.
const MAX_SCANS: usize = 64;

/// Whether a file that was sent is a picture that can be shown: it is decoded, and forgotten.
///
/// # Errors
/// Why it can't be.
pub fn check(path: &Path) -> Result<(), String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    match bytes.as_slice() {
        png if png.starts_with(b"\x89PNG\r\n\x1a\n") => {}
        jpeg if jpeg.starts_with(b"\xff\xd8\xff") => {
            let scans = jpeg.windows(2).filter(|marker| *marker == [0xff, 0xda]).count();
            if scans > MAX_SCANS {
                return Err(format!("it is a JPEG of {scans} scans, which takes too long; save it anew"));
            }
        }
        _ => return Err("it is not a PNG or JPEG picture".to_owned()),
    }
    drop(bytes);
    let decoded = decoder(path, MAX_SENT).and_then(DynamicImage::from_decoder);
    match decoded {
        Ok(_) => Ok(()),
        Err(ImageError::Limits(_)) => Err(format!(
            "it unfolds to more than {MAX_PICTURE} pixels a side or {} MiB; make it smaller, no glass shows more",
            MAX_SENT >> 20
        )),
        Err(error) => Err(format!("it is damaged: {error}; save it anew as PNG or JPEG")),
    }
}

fn decoder(path: &Path, most: u64) -> Result<impl ImageDecoder, ImageError> {
    let mut reader = ImageReader::open(path)?.with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_PICTURE);
    limits.max_image_height = Some(MAX_PICTURE);
    limits.max_alloc = Some(most);
    reader.limits(limits.clone());
    let decoder = reader.into_decoder()?;
    limits.reserve(decoder.total_bytes())?;
    Ok(decoder)
}

/// Decoded, turned as its camera was held, and made to fit or to cover `w` x `h`. The large original is not kept.
pub(super) fn load(path: &Path, w: u32, h: u32, fit: Fit) -> Result<RgbaImage, ImageError> {
    let mut decoder = decoder(path, MAX_DECODED)?;
    // What is smaller is turned with less.
    let orientation = decoder.orientation()?;
    let (w, h) = if on_its_side(orientation) { (h, w) } else { (w, h) };
    let whole = DynamicImage::from_decoder(decoder)?;
    let (across, down) = (f64::from(w) / f64::from(whole.width()), f64::from(h) / f64::from(whole.height()));
    let scale = match fit {
        Fit::Whole => across.min(down),
        Fit::Cover => across.max(down),
    };
    // Of one that is far longer than the glass, only what is seen is scaled: the whole could be gigabytes.
    let seen = |of: u32, on: u32| match f64::from(of) * scale > 2.0 * f64::from(on) {
        true => (f64::from(on) / scale).ceil().clamp(1.0, f64::from(of)) as u32,
        false => of,
    };
    let (across, down) = (seen(whole.width(), w), seen(whole.height(), h));
    let whole = whole.crop_imm((whole.width() - across) / 2, (whole.height() - down) / 2, across, down);
    let side = |of: u32| (f64::from(of) * scale).round().max(1.0) as u32;
    let (width, height) = (side(whole.width()), side(whole.height()));
    let scaled = match scale <= 0.5 {
        // The mean of what becomes one pixel: a tenth of a filter's time, and the first frame waits for it. Of fewer
        // than two by two pixels the mean is rough.
        true => whole.thumbnail_exact(width, height),
        false => whole.resize_exact(width, height, FilterType::Triangle),
    };
    let (left, top) = (width.saturating_sub(w) / 2, height.saturating_sub(h) / 2);
    let mut picture = scaled.crop_imm(left, top, width.min(w), height.min(h));
    picture.apply_orientation(orientation);
    Ok(picture.into_rgba8())
}

fn on_its_side(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A JPEG, red at the left and blue at the right, that says how its camera was held.
    fn photograph(path: &Path, orientation: u8) {
        let picture =
            image::RgbImage::from_fn(80, 40, |x, _| image::Rgb(if x < 40 { [255, 0, 0] } else { [0, 0, 255] }));
        let mut jpeg = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
        let jpeg = jpeg.into_inner();
        // One entry, 0x0112, a short, in the first directory of a little-endian TIFF.
        let directory = [&[1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0][..], &[0; 4]].concat();
        let exif = [&b"Exif\0\0II*\0"[..], &[8, 0, 0, 0], &directory].concat();
        let length = (exif.len() as u16 + 2).to_be_bytes();
        std::fs::write(path, [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()).unwrap();
    }

    #[test]
    fn a_photograph_stands_as_its_camera_was_held() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("day.jpg");
        // Where the left side of what the sensor saw is shown.
        for (orientation, across, down, (x, y)) in
            [(1, 80, 40, (5, 20)), (3, 80, 40, (75, 20)), (6, 40, 80, (20, 5)), (8, 40, 80, (20, 75))]
        {
            photograph(&path, orientation);
            for fit in [Fit::Whole, Fit::Cover] {
                let shown = load(&path, across, down, fit).unwrap();
                assert_eq!(shown.dimensions(), (across, down), "{orientation}");
                let [red, _, blue, _] = shown.get_pixel(x, y).0;
                assert!(red > 200 && blue < 60, "{orientation}: {red} {blue}");
            }
            let small = load(&path, 40, 40, Fit::Whole).unwrap().dimensions();
            assert_eq!(small, (across / 2, down / 2), "{orientation}");
        }
    }

    #[test]
    fn of_a_thin_picture_that_covers_the_glass_no_more_is_scaled_than_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thin.png");
        for (width, height) in [(1, 200), (1, 4_096), (4_096, 40), (4_096, 1)] {
            let middle = |at: u32, of: u32| at.abs_diff(of / 2) <= 30;
            let thin = image::RgbImage::from_fn(width, height, |x, y| {
                image::Rgb(if middle(x, width) && middle(y, height) { [0, 250, 0] } else { [250, 0, 0] })
            });
            thin.save(&path).unwrap();
            let shown = load(&path, 1_280, 800, Fit::Cover).unwrap();
            let green = |x, y| shown.get_pixel(x, y).0[1] > 200;
            assert!(shown.dimensions() == (1_280, 800) && green(640, 400), "{width} x {height}");
        }
    }

    /// A PNG that says of itself that it is so large, with `data` as its compressed rows.
    fn png(width: u32, height: u32, chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
        let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        let all = [(b"IHDR", head)].into_iter().chain(chunks.iter().map(|(name, data)| (*name, data.clone())));
        for (name, data) in all.chain([(b"IEND", Vec::new())]) {
            let mut checked = flate2::Crc::new();
            checked.update(&[&name[..], &data].concat());
            file.extend((data.len() as u32).to_be_bytes());
            file.extend([&name[..], &data, &checked.sum().to_be_bytes()].concat());
        }
        file
    }

    fn squeezed(bytes: usize) -> Vec<u8> {
        let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut out, &vec![0; bytes]).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn what_was_sent_is_a_picture_of_a_size_that_can_be_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sent");
        let said = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            check(&path)
        };
        let good = png(2, 2, &[(b"IDAT", squeezed(2 * 9))]);
        assert_eq!(said(&good), Ok(()));
        photograph(&path, 1);
        let jpeg = std::fs::read(&path).unwrap();
        assert_eq!(said(&jpeg), Ok(()));

        let says = |bytes: &[u8], word: &str| {
            let why = said(bytes).unwrap_err();
            assert!(why.contains(word), "{why}: {word}");
        };
        // A few bytes that unfold to gigabytes.
        says(&png(60_000, 60_000, &[(b"IDAT", squeezed(1 << 20))]), "unfolds");
        says(&png(4_096, 4_096, &[(b"IDAT", squeezed(1 << 20))]), "unfolds");
        says(&png(u32::MAX, 1, &[]), "unfolds");
        // Cut off, altered, and of another kind than it says or than is read.
        says(&good[..good.len() - 20], "damaged");
        says(&png(2, 2, &[(b"IDAT", b"nothing".to_vec())]), "damaged");
        says(&jpeg[..30], "damaged");
        says(&[&good[..8], &jpeg].concat(), "damaged");
        says(&[&jpeg[..3], &good].concat(), "damaged");
        says(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a PNG or JPEG");
        says(b"GIF89a", "not a PNG or JPEG");
        says(b"", "not a PNG or JPEG");
        let scans = [&jpeg[..], &b"\xff\xda".repeat(100)].concat();
        says(&scans, "scans");
    }
}
