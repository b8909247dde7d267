//! The panel `fbdev`: the kernel's older frame buffer, for boards whose screen has no modesetting driver.
//!
//! Policy: what is to be seen is kept in memory of our own and written into the device where it is damaged. There is no
//! vertical blank to wait for, so a frame may be seen half drawn, and the device can't say that its panel was pulled out.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::ioctl::{Getter, Opcode, ioctl};

use super::paint::Frame;
use super::panel::{Panel, PanelError, Ready};
use super::rotation::{Rotation, Surface};
use crate::vocabulary::Rect;
use crate::world::Scene;

/// `FBIOGET_VSCREENINFO` of linux/fb.h.
const GET_SCREEN: Opcode = 0x4600;
/// `struct fb_var_screeninfo`: 160 bytes, all of them 32-bit numbers.
type ScreenInfo = [u32; 40];

/// A device that is not there is looked for so often.
const TENDED: Duration = Duration::from_secs(1);

pub struct FbdevPanel {
    device: PathBuf,
    rotation: Rotation,
    screen: Option<Screen>,
}

struct Screen {
    file: File,
    layout: Layout,
    /// What the device shows, row by row as it has them.
    shadow: Vec<u8>,
    blank: bool,
}

/// Where pixels are in the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    width: u32,
    height: u32,
    /// Bytes to the first visible pixel, and from row to row.
    offset: u64,
    pitch: usize,
    wide: bool,
    red: Channel,
    green: Channel,
    blue: Channel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Channel {
    /// Bits from the right.
    shift: u32,
    /// Bits that are dropped of eight.
    lost: u32,
}

impl FbdevPanel {
    /// # Errors
    /// A device that may not be opened or has other pixels than we can make. One that is not there yet is dark.
    pub fn open(device: &Path, rotation: Rotation) -> Result<Self, PanelError> {
        let screen = match Screen::open(device) {
            Ok(screen) => Some(screen),
            Err(PanelError::Dark(why)) => {
                tracing::warn!(why, "the panel is dark");
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Self { device: device.to_owned(), rotation, screen })
    }

    fn dark(&mut self, error: &io::Error) -> PanelError {
        self.screen = None;
        PanelError::Dark(format!("{}: {error}", self.device.display()))
    }
}

impl Screen {
    fn open(device: &Path) -> Result<Self, PanelError> {
        let file = File::options().write(true).open(device).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => PanelError::Dark(format!("there is no {}", device.display())),
            io::ErrorKind::PermissionDenied => PanelError::Forbidden { card: device.to_owned() },
            _ => PanelError::Io { device: device.to_owned(), error },
        })?;
        let failed = |error| PanelError::Io { device: device.to_owned(), error };
        let name = device.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let pitch = fs::read_to_string(format!("/sys/class/graphics/{name}/stride")).map_err(failed)?;
        let pitch = pitch.trim().parse().map_err(|_| failed(io::ErrorKind::InvalidData.into()))?;
        let info = screen_info(&file).map_err(failed)?;
        let layout = Layout::of(&info, pitch).map_err(|why| PanelError::Unfit {
            device: device.to_owned(),
            why,
            instead: "set 16 or 32 bits a pixel in the kernel's command line, or use the driver \"drm\"",
        })?;
        Ok(Self::new(file, layout))
    }

    fn new(file: File, layout: Layout) -> Self {
        let shadow = vec![0; layout.pitch * layout.height as usize];
        Self { file, layout, shadow, blank: true }
    }

    /// Writes what lies within rectangles of the device.
    fn write(&self, rects: &[Rect]) -> io::Result<()> {
        let Layout { width, pitch, offset, wide, .. } = self.layout;
        let bytes = if wide { 4 } else { 2 };
        for rect in rects.iter().filter(|rect| rect.w > 0 && rect.h > 0) {
            let start = |y: i32| y as usize * pitch + rect.x as usize * bytes;
            let row = rect.w as usize * bytes;
            let put = |from: usize, to: usize| match self.shadow.get(from..to) {
                Some(piece) => self.file.write_all_at(piece, offset + from as u64),
                None => Err(io::Error::other("a rectangle outside of the screen")),
            };
            if rect.w as u32 * 2 >= width {
                // What lies between is what the device has already.
                put(start(rect.y), start(rect.y + rect.h - 1) + row)?;
            } else {
                (rect.y..rect.y + rect.h).try_for_each(|y| put(start(y), start(y) + row))?;
            }
        }
        Ok(())
    }
}

/// The one question that only an ioctl answers: which bits are which colour.
#[allow(unsafe_code, reason = "an ioctl that no crate of ours wraps")]
fn screen_info(file: &File) -> io::Result<ScreenInfo> {
    // SAFETY: the call writes one `fb_var_screeninfo`, 160 bytes without padding, all of whose values are numbers; a device
    // that is no frame buffer answers with an error and writes nothing.
    Ok(unsafe { ioctl(file, Getter::<GET_SCREEN, ScreenInfo>::new()) }?)
}

impl Layout {
    fn of(info: &ScreenInfo, pitch: usize) -> Result<Self, String> {
        let [width, height, _, _, x, y, bits, grey, ..] = *info;
        let bytes = match bits {
            16 => 2,
            32 => 4,
            other => return Err(format!("{other} bits a pixel")),
        };
        let channel = |at: usize| match info[at..at + 3] {
            [shift, length @ 1..=8, 0] if shift + length <= bits => Ok(Channel { shift, lost: 8 - length }),
            _ => Err("no red, green and blue in a pixel".to_owned()),
        };
        if grey != 0 {
            return Err("no colours".into());
        }
        if width == 0 || height == 0 || width > 8_192 || height > 8_192 || pitch < width as usize * bytes {
            return Err(format!("{width}x{height} with rows of {pitch} bytes"));
        }
        let offset = u64::from(y) * pitch as u64 + u64::from(x) * bytes as u64;
        let (red, green, blue) = (channel(8)?, channel(11)?, channel(14)?);
        Ok(Self { width, height, offset, pitch, wide: bits == 32, red, green, blue })
    }

    /// The device's value of an XRGB pixel.
    fn encode(&self, pixel: u32) -> u32 {
        let bits = |channel: Channel, from: u32| (((pixel >> from) & 0xff) >> channel.lost) << channel.shift;
        bits(self.red, 16) | bits(self.green, 8) | bits(self.blue, 0)
    }
}

impl Panel for FbdevPanel {
    fn tended_every(&self) -> Option<Duration> {
        Some(TENDED)
    }

    fn tend(&mut self) -> Result<Ready, PanelError> {
        let screen = match &mut self.screen {
            Some(screen) => screen,
            empty => {
                // What was a mistake at start is no reason to end now.
                let opened = Screen::open(&self.device).map_err(|error| PanelError::Dark(error.to_string()))?;
                empty.insert(opened)
            }
        };
        let Layout { width, height, .. } = screen.layout;
        Ok(Ready { size: self.rotation.turned((width, height)), blank: screen.blank })
    }

    fn present(&mut self, frame: &Frame, damage: &[Rect], _scene: &Scene) -> Result<(), PanelError> {
        let Some(screen) = &mut self.screen else {
            return Err(PanelError::Dark(format!("{} is not open", self.device.display())));
        };
        let new = if screen.blank { vec![frame.bounds()] } else { damage.to_vec() };
        let layout = screen.layout;
        let mut surface = Surface { bytes: &mut screen.shadow, pitch: layout.pitch };
        if layout.wide {
            surface.copy(frame, &new, self.rotation, |pixel| layout.encode(pixel).to_le_bytes());
        } else {
            surface.copy(frame, &new, self.rotation, |pixel| (layout.encode(pixel) as u16).to_le_bytes());
        }
        let on_panel: Vec<Rect> = new.iter().map(|rect| self.rotation.rect(*rect, frame.width, frame.height)).collect();
        screen.write(&on_panel).map_err(|error| self.dark(&error))?;
        if let Some(screen) = &mut self.screen {
            screen.blank = false;
        }
        Ok(())
    }

    /// Black; the light behind it is the backlight's business.
    fn darken(&mut self) -> Result<(), PanelError> {
        let Some(screen) = &mut self.screen else {
            return Err(PanelError::Dark(format!("{} is not open", self.device.display())));
        };
        let Layout { width, height, .. } = screen.layout;
        screen.shadow.fill(0);
        screen.blank = true;
        let whole = Rect { x: 0, y: 0, w: width as i32, h: height as i32 };
        screen.write(&[whole]).map_err(|error| self.dark(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Point;

    const XRGB: [u32; 9] = [16, 8, 0, 8, 8, 0, 0, 8, 0];
    const RGB565: [u32; 9] = [11, 5, 0, 5, 6, 0, 0, 5, 0];

    fn info(width: u32, height: u32, (x, y): (u32, u32), bits: u32, colours: [u32; 9]) -> ScreenInfo {
        let mut info = [0; 40];
        info[..8].copy_from_slice(&[width, height, width, height * 2, x, y, bits, 0]);
        info[8..17].copy_from_slice(&colours);
        info
    }

    fn panel(layout: Layout, rotation: Rotation) -> (FbdevPanel, File) {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&vec![0xee; layout.offset as usize + layout.pitch * layout.height as usize + 8], 0).unwrap();
        let screen = Screen::new(file.try_clone().unwrap(), layout);
        (FbdevPanel { device: "/dev/fb0".into(), rotation, screen: Some(screen) }, file)
    }

    fn contents(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    /// The device's pixel at a place, as a number.
    fn pixel(file: &File, layout: &Layout, x: usize, y: usize) -> u32 {
        let bytes = if layout.wide { 4 } else { 2 };
        let at = layout.offset as usize + y * layout.pitch + x * bytes;
        contents(file)[at..at + bytes].iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
    }

    #[test]
    fn pixels_are_made_as_the_device_has_them() {
        let layout = |bits, colours| Layout::of(&info(8, 8, (0, 0), bits, colours), 64).unwrap();
        assert_eq!(layout(32, XRGB).encode(0x0012_3456), 0x0012_3456);
        assert_eq!(layout(32, [0, 8, 0, 8, 8, 0, 16, 8, 0]).encode(0x0012_3456), 0x0056_3412);
        assert_eq!(layout(16, RGB565).encode(0x00ff_ffff), 0xffff);
        assert_eq!(layout(16, RGB565).encode(0x00f8_0408), 0xf821);
    }

    #[test]
    fn other_pixels_are_refused_with_what_to_set() {
        let wrong = |info: ScreenInfo, pitch| Layout::of(&info, pitch).unwrap_err();
        assert_eq!(wrong(info(8, 8, (0, 0), 8, XRGB), 64), "8 bits a pixel");
        assert_eq!(wrong(info(8, 8, (0, 0), 24, XRGB), 64), "24 bits a pixel");
        assert_eq!(wrong(info(8, 8, (0, 0), 32, [0; 9]), 64), "no red, green and blue in a pixel");
        assert_eq!(wrong(info(8, 8, (0, 0), 16, XRGB), 64), "no red, green and blue in a pixel");
        assert_eq!(wrong(info(8, 8, (0, 0), 32, XRGB), 31), "8x8 with rows of 31 bytes");
        assert_eq!(wrong(info(0, 8, (0, 0), 32, XRGB), 64), "0x8 with rows of 64 bytes");
    }

    #[test]
    fn the_device_has_what_was_presented_and_only_damage_is_written() {
        for (bits, colours) in [(32, XRGB), (16, RGB565)] {
            for rotation in [Rotation::None, Rotation::Right, Rotation::Half, Rotation::Left] {
                let layout = Layout::of(&info(20, 12, (0, 3), bits, colours), 100).unwrap();
                let (mut panel, file) = panel(layout, rotation);
                let ready = panel.tend().unwrap();
                assert!(ready.blank);
                let mut frame = Frame::black(ready.size.0 as i32, ready.size.1 as i32);
                panel.present(&frame, &[], &Scene::default()).unwrap();
                assert!(!panel.tend().unwrap().blank);
                let before = contents(&file);
                assert!(before[..300].iter().all(|byte| *byte == 0xee), "above the visible part");

                // Behind our back: what is not damaged stays.
                file.write_all_at(&[0x77], layout.offset).unwrap();
                let (wide, small) = (Rect { x: 1, y: 5, w: 11, h: 2 }, Rect { x: 3, y: 8, w: 2, h: 3 });
                for rect in [wide, small] {
                    for y in rect.y..rect.y + rect.h {
                        for x in rect.x..rect.x + rect.w {
                            frame.pixels[(y * frame.width + x) as usize] = 0x00ff_ffff;
                        }
                    }
                }
                panel.present(&frame, &[wide, small], &Scene::default()).unwrap();
                let lit = |x: i32, y: i32| {
                    [wide, small].iter().any(|r| rotation.rect(*r, frame.width, frame.height).contains(Point { x, y }))
                };
                for (x, y) in (0..20).flat_map(|x| (0..12).map(move |y| (x, y))).skip(1) {
                    let white = layout.encode(0x00ff_ffff);
                    let expected = if lit(x, y) { white } else { 0 };
                    assert_eq!(pixel(&file, &layout, x as usize, y as usize), expected, "{x},{y} {rotation:?}");
                }
                assert_eq!(contents(&file)[layout.offset as usize], 0x77);
            }
        }
    }

    #[test]
    fn a_device_that_is_not_there_is_dark_and_one_that_is_none_is_a_mistake() {
        let mut panel = FbdevPanel::open(Path::new("/dev/fb77"), Rotation::None).unwrap();
        assert_eq!(panel.tend().unwrap_err().to_string(), "there is no /dev/fb77");
        let error = FbdevPanel::open(Path::new("/dev/null"), Rotation::None).err().unwrap();
        assert!(error.to_string().starts_with("/dev/null: "), "{error}");
        let null = File::options().write(true).open("/dev/null").unwrap();
        assert!(screen_info(&null).is_err());
    }
}
