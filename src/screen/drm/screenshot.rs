//! What is on the screen, read back from the kernel: for a technician who sits somewhere else.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use drm::Device as _;
use drm::buffer::DrmFourcc;
use drm::control::{Device as _, crtc};
use image::{Rgb, RgbImage};

use super::card::Cards;
use super::kms::{Machine, Node};

#[derive(Debug, thiserror::Error)]
pub enum ScreenshotError {
    #[error("{path}: {source}")]
    Card { path: PathBuf, source: io::Error },
    #[error("nothing is on any screen")]
    Dark,
    #[error("{0}: only root may read what another program shows; use sudo")]
    NotRoot(PathBuf),
    #[error("{path} shows pixels in the format {format}, which can't be read")]
    Format { path: PathBuf, format: String },
}

/// The first lit screen's pixels as they leave the card, on a panel that is turned too.
///
/// # Errors
/// Nothing is lit, or somebody who is not root asks.
pub fn screenshot() -> Result<RgbImage, ScreenshotError> {
    for path in (Machine { legacy: false }).paths() {
        let card = Node::open(&path).map_err(|source| ScreenshotError::Card { path: path.clone(), source })?;
        // Who opens a card that nobody has becomes its master; the kiosk may be about to.
        let _ = card.release_master_lock();
        // Or it does not tell what is switched off.
        card.speaks_atomic();
        if let Some(picture) = lit(&card, &path)? {
            return Ok(picture);
        }
    }
    Err(ScreenshotError::Dark)
}

fn lit(card: &Node, path: &Path) -> Result<Option<RgbImage>, ScreenshotError> {
    let failed = |source| ScreenshotError::Card { path: path.to_owned(), source };
    // A card that only renders has no resources to list.
    let Ok(resources) = card.resource_handles() else { return Ok(None) };
    // Switched off it still has its picture.
    let active = |crtc: crtc::Handle| card.properties(crtc).ok()?.get("ACTIVE").map(|(_, active)| *active != 0);
    let shown = |crtc: &crtc::Handle| {
        let on = active(*crtc).unwrap_or(true);
        card.get_crtc(*crtc).ok().filter(|_| on).and_then(|crtc| crtc.framebuffer())
    };
    let Some(shown) = resources.crtcs().iter().find_map(shown) else { return Ok(None) };
    let info = card.get_planar_framebuffer(shown).map_err(|error| failed(io::Error::other(error)))?;
    let format = info.pixel_format();
    if !matches!(format, DrmFourcc::Xrgb8888 | DrmFourcc::Argb8888) {
        return Err(ScreenshotError::Format { path: path.to_owned(), format: format.to_string() });
    }
    let handle = info.buffers()[0].ok_or_else(|| ScreenshotError::NotRoot(path.to_owned()))?;
    let read = || {
        let file = card.buffer_to_prime_fd(handle, drm::RDWR)?;
        let (pitch, height) = (info.pitches()[0] as usize, info.size().1 as usize);
        copy(&file, pitch * height)
    };
    let bytes = read();
    // The handle is ours, the buffer is the other program's.
    card.close_buffer(handle).map_err(failed)?;
    let (bytes, pitch) = (bytes.map_err(failed)?, info.pitches()[0] as usize);
    let (width, height) = info.size();
    Ok(Some(RgbImage::from_fn(width, height, |x, y| {
        let at = y as usize * pitch + x as usize * 4;
        Rgb([bytes[at + 2], bytes[at + 1], bytes[at]])
    })))
}

/// The bytes of a buffer that another program goes on drawing in.
#[allow(unsafe_code, reason = "the drm crate maps only buffers that it has made itself")]
fn copy(buffer: &impl AsFd, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0u8; length];
    // SAFETY: a new mapping at a place of the kernel's choice, of a buffer whose size the kernel has told, read-only and
    // unmapped below. The bytes may change meanwhile, so no reference to them is ever made: they are copied raw.
    unsafe {
        use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
        let memory = mmap(std::ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, buffer, 0)?;
        std::ptr::copy_nonoverlapping(memory.cast::<u8>(), bytes.as_mut_ptr(), length);
        munmap(memory, length)?;
    }
    Ok(bytes)
}
