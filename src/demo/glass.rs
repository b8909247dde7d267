//! The panel in the simulated world: the pixels that the kiosk has sent, and what they show.
//!
//! A rectangle outside the panel, or one without its pixels, is a protocol error and changes nothing. Without a kiosk
//! the panel is black and its page is called `dark`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::screen::Frame;
use crate::vocabulary::Rect;
use crate::world::Scene;

/// Pixels across and down that a panel may have at most.
const MAX_SIDE: u32 = 4096;
const PIXEL: usize = 4;

pub struct Glass {
    inner: Mutex<Inner>,
}

struct Inner {
    width: u32,
    height: u32,
    /// XRGB little-endian: blue, green, red, unused.
    pixels: Vec<u8>,
    scene: Scene,
    lit: bool,
    /// Of the pixels as they are.
    png: Option<Arc<[u8]>>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlassError {
    #[error("a panel of {0}×{1} pixels: 1 to {MAX_SIDE} are possible")]
    Size(u32, u32),
    #[error("a rectangle outside the panel: {0:?}")]
    Outside(Rect),
    #[error("{got} bytes for {want} bytes of pixels")]
    Bytes { got: usize, want: usize },
    #[error("the picture could not be written: {0}")]
    Png(String),
}

impl Glass {
    /// A black panel.
    pub fn new(width: u32, height: u32) -> Result<Self, GlassError> {
        let pixels = black(width, height)?;
        let inner = Inner { width, height, pixels, scene: dark(), lit: false, png: None };
        Ok(Self { inner: Mutex::new(inner) })
    }

    /// A kiosk says how large its panel is; it starts black.
    pub fn resize(&self, width: u32, height: u32) -> Result<(), GlassError> {
        let pixels = black(width, height)?;
        let mut inner = self.lock();
        *inner = Inner { width, height, pixels, scene: dark(), lit: false, png: None };
        Ok(())
    }

    pub fn black(&self) {
        let mut inner = self.lock();
        inner.pixels.fill(0);
        inner.scene = dark();
        inner.lit = false;
        inner.png = None;
    }

    /// Takes damaged rectangles and their pixels, one after the other.
    pub fn show(&self, rects: &[Rect], bytes: &[u8], scene: Scene) -> Result<(), GlassError> {
        let mut inner = self.lock();
        let mut want = 0usize;
        for rect in rects {
            let inside = |from: i32, length: i32, limit: u32| {
                from >= 0 && length >= 0 && i64::from(from) + i64::from(length) <= i64::from(limit)
            };
            if !inside(rect.x, rect.w, inner.width) || !inside(rect.y, rect.h, inner.height) {
                return Err(GlassError::Outside(*rect));
            }
            want = want.saturating_add(rect.w as usize * rect.h as usize * PIXEL);
        }
        if want != bytes.len() {
            return Err(GlassError::Bytes { got: bytes.len(), want });
        }
        let stride = inner.width as usize * PIXEL;
        let mut rest = bytes;
        for rect in rects {
            let row = rect.w as usize * PIXEL;
            for y in rect.y as usize..(rect.y + rect.h) as usize {
                let (pixels, after) = rest.split_at(row);
                let at = y * stride + rect.x as usize * PIXEL;
                inner.pixels[at..at + row].copy_from_slice(pixels);
                rest = after;
            }
        }
        if !rects.is_empty() {
            inner.png = None;
        }
        inner.scene = scene;
        inner.lit = true;
        Ok(())
    }

    pub fn size(&self) -> (u32, u32) {
        let inner = self.lock();
        (inner.width, inner.height)
    }

    /// A kiosk has drawn something, and still runs.
    pub fn lit(&self) -> bool {
        self.lock().lit
    }

    pub fn scene(&self) -> Scene {
        self.lock().scene.clone()
    }

    /// The panel's exact pixels; encoded once for every damage.
    pub fn png(&self) -> Result<Arc<[u8]>, GlassError> {
        let mut inner = self.lock();
        if let Some(png) = &inner.png {
            return Ok(Arc::clone(png));
        }
        let pixels = inner.pixels.chunks_exact(PIXEL).map(|p| u32::from_be_bytes([0, p[2], p[1], p[0]])).collect();
        let frame = Frame { width: inner.width as i32, height: inner.height as i32, pixels };
        let png: Arc<[u8]> = frame.png().map_err(|e| GlassError::Png(e.to_string()))?.into();
        inner.png = Some(Arc::clone(&png));
        Ok(png)
    }

    /// The text of the QR on the glass, read from its pixels as a phone would.
    pub fn read_qr(&self) -> Option<String> {
        let (width, height, grey) = {
            let inner = self.lock();
            let luma = |p: &[u8]| ((u32::from(p[0]) * 29 + u32::from(p[1]) * 150 + u32::from(p[2]) * 77) >> 8) as u8;
            let grey: Vec<u8> = inner.pixels.chunks_exact(PIXEL).map(luma).collect();
            (inner.width as usize, inner.height as usize, grey)
        };
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| grey[y * width + x]);
        image.detect_grids().iter().find_map(|grid| grid.decode().ok()).map(|(_, text)| text)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Pixels are whole whatever happened to whoever held the lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn dark() -> Scene {
    Scene { page: "dark".into(), order: Value::Null, targets: Vec::new() }
}

fn black(width: u32, height: u32) -> Result<Vec<u8>, GlassError> {
    let fits = |side| (1..=MAX_SIDE).contains(&side);
    if !fits(width) || !fits(height) {
        return Err(GlassError::Size(width, height));
    }
    Ok(vec![0; width as usize * height as usize * PIXEL])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rect(x: i32, y: i32, w: i32, h: i32) -> Rect {
        Rect { x, y, w, h }
    }

    fn pixel(png: &[u8], x: u32, y: u32) -> [u8; 3] {
        image::load_from_memory(png).unwrap().to_rgb8().get_pixel(x, y).0
    }

    #[test]
    fn rectangles_land_where_they_belong_and_the_picture_is_kept_until_damaged() {
        let glass = Glass::new(8, 4).unwrap();
        assert_eq!(glass.scene().page, "dark");
        let red = [0, 0, 255, 0].repeat(2);
        let blue = [255, 0, 0, 0].repeat(2);
        let scene = Scene { page: "pay".into(), ..Scene::default() };
        glass.show(&[rect(6, 3, 2, 1), rect(0, 0, 1, 2)], &[red, blue].concat(), scene.clone()).unwrap();
        let png = glass.png().unwrap();
        assert_eq!(pixel(&png, 7, 3), [255, 0, 0]);
        assert_eq!(pixel(&png, 0, 1), [0, 0, 255]);
        assert_eq!(pixel(&png, 1, 1), [0, 0, 0]);
        assert!(Arc::ptr_eq(&png, &glass.png().unwrap()));
        glass.show(&[], &[], scene).unwrap();
        assert!(Arc::ptr_eq(&png, &glass.png().unwrap()));
        glass.black();
        assert_eq!(pixel(&glass.png().unwrap(), 7, 3), [0, 0, 0]);
        assert!(!glass.lit());
    }

    #[test]
    fn a_broken_peer_changes_nothing() {
        let glass = Glass::new(8, 4).unwrap();
        let before = glass.png().unwrap();
        for bad in [rect(-1, 0, 1, 1), rect(7, 0, 2, 1), rect(0, 0, 1, 5), rect(i32::MAX, 0, i32::MAX, 1)] {
            assert_eq!(glass.show(&[bad], &[0; 8], Scene::default()), Err(GlassError::Outside(bad)));
        }
        let short = glass.show(&[rect(0, 0, 2, 2)], &[1; 15], Scene::default());
        assert_eq!(short, Err(GlassError::Bytes { got: 15, want: 16 }));
        assert!(Arc::ptr_eq(&before, &glass.png().unwrap()));
        assert!(!glass.lit());
        assert!(Glass::new(0, 4).is_err() && Glass::new(5000, 4).is_err());
    }

    #[test]
    fn a_qr_is_read_from_the_pixels() {
        let glass = Glass::new(320, 240).unwrap();
        assert_eq!(glass.read_qr(), None);
        let code = qrcode::QrCode::new(b"kioskpay://sandbox/X?code=123456").unwrap();
        let side = code.width() as i32 * 5 + 40;
        let mut bytes = Vec::new();
        for y in 0..side {
            for x in 0..side {
                let (mx, my) = ((x - 20).div_euclid(5), (y - 20).div_euclid(5));
                let inside = (0..code.width() as i32).contains(&mx) && (0..code.width() as i32).contains(&my);
                let dark = inside && code[(mx as usize, my as usize)] == qrcode::Color::Dark;
                bytes.extend([if dark { 0u8 } else { 255 }; 4]);
            }
        }
        glass.show(&[rect(30, 20, side, side)], &bytes, Scene::default()).unwrap();
        assert_eq!(glass.read_qr().as_deref(), Some("kioskpay://sandbox/X?code=123456"));
    }
}
