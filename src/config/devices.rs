//! `[glass]`, `[board]` and `[printer]`: what the kiosk drives. Some keys belong to every driver, the others to one.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::media::placed;
use super::{Hours, SlideFile, Span, Theme};

/// The screen with its touch.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Glass {
    /// The face for Simplified Chinese and Latin: OpenType or TrueType.
    #[schemars(extend("examples" = ["../assets/fonts/kioskd-sans-sc.otf"]))]
    pub font_sc: PathBuf,
    /// The face for Traditional Chinese and Latin.
    #[schemars(extend("examples" = ["../assets/fonts/kioskd-sans-tc.otf"]))]
    pub font_tc: PathBuf,
    /// Its bold face; without it bold type is the other, thickened.
    #[schemars(extend("examples" = ["../assets/fonts/kioskd-sans-sc-bold.otf"]))]
    pub font_sc_bold: Option<PathBuf>,
    /// The same for Traditional Chinese.
    #[schemars(extend("examples" = ["../assets/fonts/kioskd-sans-tc-bold.otf"]))]
    pub font_tc_bold: Option<PathBuf>,
    /// More faces, for characters that the others lack, in this order.
    #[serde(default)]
    #[schemars(length(max = 8), extend("examples" = [["/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"]]))]
    pub font_more: Vec<PathBuf>,
    /// A file with colours, logo, slides and texts; without it the light palette and the products.
    #[schemars(extend("examples" = ["themes/daylight.toml"]))]
    pub theme: Option<PathBuf>,
    /// A picture in place of the theme's `logo`; named like the `picture` of a product.
    #[schemars(extend("examples" = ["logo.png"]))]
    pub logo: Option<PathBuf>,
    /// In place of the theme's slides, their pictures named like the `picture` of a product; an empty list is none, and then
    /// the products are shown. `set-media` needs them as a list, `slides = [{ picture = "…" }]`.
    pub slides: Option<Vec<SlideFile>>,
    /// How it looks in the end.
    #[serde(skip)]
    pub look: Theme,
    /// Darker while nobody is there, at certain hours.
    pub night: Option<Night>,
    #[serde(flatten)]
    pub panel: Panel,
}

impl Glass {
    /// What stands here goes before what the theme says. `directory` is the file's own.
    pub(super) fn dress(&mut self, directory: &Path) {
        if let Some(logo) = &self.logo {
            self.look.logo = Some(placed(directory, logo));
        }
        if let Some(slides) = &self.slides {
            self.look.slides = slides.iter().map(|slide| slide.slide(directory)).collect();
        }
    }

    /// The fonts to set type in.
    pub fn faces(&self) -> Faces {
        Faces {
            sc: self.font_sc.clone(),
            tc: self.font_tc.clone(),
            sc_bold: self.font_sc_bold.clone(),
            tc_bold: self.font_tc_bold.clone(),
            more: self.font_more.clone(),
        }
    }
}

/// The fonts' files.
#[derive(Debug, Clone, Default)]
pub struct Faces {
    /// Simplified Chinese and Latin.
    pub sc: PathBuf,
    /// Traditional Chinese and Latin; it may be the same file.
    pub tc: PathBuf,
    /// Bold ones of the same families.
    pub sc_bold: Option<PathBuf>,
    pub tc_bold: Option<PathBuf>,
    /// For characters that these lack.
    pub more: Vec<PathBuf>,
}

impl Faces {
    /// The shipped ones, from the folder they lie in.
    pub fn shipped(folder: &Path) -> Self {
        let file = |name: &str| folder.join(format!("kioskd-sans-{name}.otf"));
        Self {
            sc: file("sc"),
            tc: file("tc"),
            sc_bold: Some(file("sc-bold")),
            tc_bold: Some(file("tc-bold")),
            more: Vec::new(),
        }
    }

    /// Each file once.
    pub fn all(&self) -> impl Iterator<Item = &PathBuf> {
        let fixed = [Some(&self.sc), Some(&self.tc).filter(|tc| **tc != self.sc), self.sc_bold.as_ref()];
        fixed.into_iter().chain([self.tc_bold.as_ref()]).flatten().chain(&self.more)
    }
}

/// A minute after the last touch, on the first page only; the first touch makes it bright again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Night {
    /// From this time of the day, in the kiosk's time zone.
    #[schemars(extend("examples" = ["22:00"], "pattern" = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub from: String,
    /// Until this time; past midnight where it is the earlier.
    #[schemars(extend("examples" = ["06:00"], "pattern" = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub until: String,
    /// Per cent of the panel's light, where the kernel has it under `/sys/class/backlight`; 0 switches the panel off,
    /// with every driver.
    #[schemars(range(min = 0, max = 100), extend("examples" = [20]))]
    pub brightness: u8,
}

impl Night {
    /// `None` only where the configuration was not checked.
    pub fn hours(&self) -> Option<Hours> {
        Hours::parse(&self.from, &self.until)
    }
}

/// What shows the pixels.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "driver", rename_all = "kebab-case")]
pub enum Panel {
    /// Drawn by the world at the other end of `--world`, which has the finger too.
    Simulated {
        /// Pixels.
        #[schemars(range(min = 320, max = 4096), extend("examples" = [1280]))]
        width: u32,
        /// Pixels.
        #[schemars(range(min = 320, max = 4096), extend("examples" = [800]))]
        height: u32,
    },
    /// A screen on the board itself, HDMI or ribbon, through the kernel's modesetting. Its size comes from the panel.
    Drm {
        /// Without it the first card that has a panel.
        #[schemars(extend("examples" = ["/dev/dri/card1"], "pattern" = "^/dev/dri/card[0-9]+$"))]
        card: Option<PathBuf>,
        /// As the kernel calls it; without it the first that has a panel.
        #[schemars(extend("examples" = ["HDMI-A-1"], "pattern" = "^[0-9A-Za-z-]{1,32}$"))]
        connector: Option<String>,
        /// `WIDTHxHEIGHT`, or with the rate in Hz `WIDTHxHEIGHT@RATE`; without it the panel's own choice.
        #[schemars(extend("examples" = ["1280x800@60"], "pattern" = "^[0-9]{3,4}x[0-9]{3,4}(@[0-9]{1,3})?$"))]
        mode: Option<String>,
        /// Degrees by which the picture is turned on the panel, clockwise.
        #[serde(default)]
        #[schemars(extend("enum" = [0, 90, 180, 270]))]
        rotation: u32,
    },
    /// The kernel's frame buffer, for boards without modesetting. A frame may be seen half drawn, and a panel that was
    /// pulled out is not noticed.
    Fbdev {
        /// The frame buffer.
        #[serde(default = "Panel::frame_buffer")]
        #[schemars(extend("examples" = ["/dev/fb0"], "pattern" = "^/dev/fb[0-9]+$"))]
        device: PathBuf,
        /// Degrees by which the picture is turned on the panel, clockwise.
        #[serde(default)]
        #[schemars(extend("enum" = [0, 90, 180, 270]))]
        rotation: u32,
    },
    /// No screen: an entry where a car takes its ticket by a button, or is let in by its plate.
    None,
}

/// Relays, sensors and buttons.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Board {
    /// The input that is active while the door is open.
    #[schemars(extend("examples" = ["door"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub door: Option<String>,
    /// The input that is active when somebody has opened the case.
    #[schemars(extend("examples" = ["tamper"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub tamper: Option<String>,
    /// The input of a key switch, active while it is turned: it opens the page for the service PIN and closes the menu. It needs
    /// `[service]`.
    #[schemars(extend("examples" = ["service-key"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub service_key: Option<String>,
    /// How often an idle board is asked whether it answers.
    #[serde(default = "Board::heartbeat")]
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1min"))]
    pub heartbeat: Span,
    /// Relays that may be on at the same time, whatever goes wrong.
    #[serde(default = "Board::max_on")]
    #[schemars(range(min = 1, max = 16))]
    pub max_on: u8,
    pub drop_sensor: Option<DropSensor>,
    /// Who restarts the board where somebody with the right to it asks for that.
    #[serde(default)]
    pub reboot: RebootBy,
    pub temperature: Option<Temperature>,
    #[serde(flatten)]
    pub lines: LineDriver,
}

/// Who restarts the board.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RebootBy {
    /// Logind; of a simulated board the world at the other end of `--world`.
    #[default]
    Auto,
    /// Logind, on the system's bus.
    Logind,
    /// Nobody.
    None,
}

/// Where the lines are.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "driver", rename_all = "kebab-case")]
pub enum LineDriver {
    /// Moved by the world at the other end of `--world`.
    Simulated,
    /// The kernel's GPIO chips, for any board: those of the processor, and port expanders the kernel has a driver for.
    Gpiochip {
        /// The I²C bus of the drop counter.
        #[schemars(extend("examples" = ["/dev/i2c-1"]))]
        i2c: Option<PathBuf>,
    },
    /// The registers of a Raspberry Pi, by Broadcom's numbers. On any other board use `gpiochip`.
    Rppal {
        /// The I²C bus of the drop counter.
        #[schemars(extend("examples" = ["/dev/i2c-1"]))]
        i2c: Option<PathBuf>,
    },
}

impl LineDriver {
    pub fn i2c(&self) -> Option<&std::path::Path> {
        match self {
            Self::Simulated => None,
            Self::Gpiochip { i2c } | Self::Rppal { i2c } => i2c.as_deref(),
        }
    }
}

/// How warm it is inside, read every ten seconds.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Temperature {
    /// The name of a hwmon or IIO device, the label of one of its inputs, or the path of a file in /sys that holds
    /// thousandths of a degree Celsius.
    #[schemars(length(min = 1, max = 200), extend("examples" = ["tmp102"]))]
    pub sensor: String,
}

/// A light barrier under the slots.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropSensor {
    /// The output that lights the beam; off for a moment, a working beam reads broken. Without it the sensor can't test
    /// itself, and "nothing fell" is never believed.
    #[schemars(extend("examples" = ["drop-emitter"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub emitter: Option<String>,
    /// The input that is active while the beam is broken.
    #[schemars(extend("examples" = ["drop-beam"], "pattern" = "^[0-9A-Za-z_.:-]{1,64}$"))]
    pub beam: String,
    /// 7-bit I²C address of an event counter (PCF8583), 0x08 to 0x77, which keeps its count through a restart of the
    /// kiosk. Without it the kiosk counts by itself, and what fell while it was dead is never known.
    #[schemars(range(min = 0x08, max = 0x77), extend("examples" = [0x50]))]
    pub counter: Option<u8>,
    /// After the motor has stopped a product may still be falling that long.
    #[schemars(extend("x-minimum" = "0s", "x-maximum" = "10s", "examples" = ["300ms"]))]
    pub fall_time: Span,
}

/// Where receipts come out.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Printer {
    /// Dots across: 384 (58 mm) or 576 (80 mm).
    #[schemars(extend("enum" = [384, 576]))]
    pub columns: u32,
    /// How texts get onto the paper.
    #[serde(default)]
    pub text: PaperText,
    /// For one answer of the printer.
    #[serde(default = "Printer::timeout")]
    #[schemars(extend("x-minimum" = "100ms", "x-maximum" = "1min"))]
    pub timeout: Span,
    /// Where a receipt can be read; `{order}` is replaced. Without it the QR's text is the receipt.
    #[schemars(length(max = 300), extend("examples" = ["https://example.com/r/{order}"]))]
    pub receipt_url: Option<String>,
    /// How often an idle printer is asked how it is.
    #[serde(default = "Printer::status_every")]
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub status_every: Span,
    #[serde(flatten)]
    pub port: PortDriver,
}

/// How texts get onto the paper.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PaperText {
    /// As pictures in the glass's own faces; every printer prints them alike.
    #[default]
    Raster,
    /// As characters of GB 18030, in the printer's own face: faster on a slow port. For printers with Chinese characters.
    Gb18030,
}

/// How the printer is attached.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "driver", rename_all = "kebab-case")]
pub enum PortDriver {
    /// Printed by the world at the other end of `--world`.
    Simulated,
    /// A printer of the USB printer class, `/dev/usb/lp0`.
    Usb {
        /// Its file, or a link to it that udev keeps; without it the printer is found by what it says of itself.
        #[schemars(extend("examples" = ["/dev/usb/lp0"], "pattern" = "^/dev/[0-9A-Za-z_/.:-]{1,100}$"))]
        device: Option<PathBuf>,
        /// A part of its IEEE 1284 device id, in any case; without it there is only one. `kioskd probe` lists them.
        #[schemars(length(min = 1, max = 64), extend("examples" = ["TM-T20"]))]
        model: Option<String>,
    },
    /// A printer on a serial port. Its self-test page tells the speed and the flow control: hold its feed button while it is
    /// switched on.
    Serial {
        /// Its file, best a lasting one.
        #[schemars(extend("examples" = ["/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0"], "pattern" = "^/dev/[0-9A-Za-z_/.:-]{1,100}$"))]
        device: PathBuf,
        /// Bits a second.
        #[schemars(extend("enum" = [1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400]))]
        baud: u32,
        /// How it says that it is full.
        flow: Flow,
    },
    /// A printer on the network that takes raw bytes.
    Tcp {
        /// `HOST:PORT`; the port is nearly always 9100.
        #[schemars(extend("examples" = ["192.168.1.50:9100"], "pattern" = "^[^/ ]+:[0-9]+$"))]
        address: String,
    },
}

/// How a serial printer says that it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// Not at all: a long receipt may lose lines.
    None,
    /// On a wire of its own; the printer's DTR is connected to CTS where it has no RTS.
    RtsCts,
    /// With two bytes.
    XonXoff,
}
