//! The kernel's GPIO chips: which wire a name means, and claiming it.
//!
//! Outputs are claimed through linux-embedded-hal, with their inactive level in the very request, so that the line
//! never shows another one. Its interface (the first version of the character device's) has neither bias nor
//! debouncing, so inputs use gpiocdev, a pure Rust crate by the author of the second version. Polarity is kept here for
//! outputs, because `CdevPin` takes back what the kernel inverts; the kernel inverts inputs, so that edges are of the
//! meaning too.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use gpiocdev::line::{self, EdgeDetection};
use gpiocdev::{Chip, Request};
use linux_embedded_hal::CdevPin;
use linux_embedded_hal::gpio_cdev::{self, LineRequestFlags};

use super::BoardError;
use crate::config::{Bias, Line, nearest};

/// How we are called in `gpioinfo`.
const CONSUMER: &str = "kioskd";

/// A burst of edges that fits into the kernel's queue; a bouncing contact is shorter.
const EDGES_QUEUED: u32 = 64;

/// One line of one chip.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LineAddress {
    pub chip: PathBuf,
    pub label: String,
    pub offset: u32,
}

impl fmt::Display for LineAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {} of {} ({})", self.offset, self.chip.display(), self.label)
    }
}

/// A chip that can be spoken to.
pub(super) struct ChipInfo {
    pub chip: Chip,
    pub label: String,
    pub lines: u32,
}

impl ChipInfo {
    fn spot(&self, offset: u32) -> LineAddress {
        LineAddress { chip: self.chip.path().to_owned(), label: self.label.clone(), offset }
    }

    fn named(&self, name: &str) -> Vec<LineAddress> {
        self.names().filter(|(_, known)| known == name).map(|(offset, _)| self.spot(offset)).collect()
    }

    fn names(&self) -> impl Iterator<Item = (u32, String)> {
        (0..self.lines).filter_map(|offset| Some((offset, self.chip.line_info(offset).ok()?.name)))
    }
}

impl fmt::Display for ChipInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.chip.path().display(), self.label)
    }
}

/// Which wire of `all` chips a `[[line]]` means.
///
/// # Errors
/// There is none such, or more than one; named, with what to write instead.
pub(super) fn find(wire: &Line, all: &[ChipInfo]) -> Result<LineAddress, BoardError> {
    let wrong = |why: String| BoardError::Line { line: wire.name.clone(), why };
    let list = || all.iter().map(ChipInfo::to_string).collect::<Vec<_>>().join(", ");
    let searched: Vec<&ChipInfo> = match &wire.chip {
        None => all.iter().collect(),
        Some(name) => {
            let asked = std::fs::canonicalize(name).ok();
            let is = |known: &&ChipInfo| {
                let path = known.chip.path();
                known.label == *name || Some(path) == asked.as_deref() || path.file_name().is_some_and(|f| f == &**name)
            };
            let chosen: Vec<&ChipInfo> = all.iter().filter(is).collect();
            match chosen.as_slice() {
                [] => return Err(wrong(format!("there is no chip `{name}`; write one of: {}", list()))),
                [_] => chosen,
                many => {
                    let many: Vec<_> =
                        many.iter().map(|known| format!("\"{}\"", known.chip.path().display())).collect();
                    let why =
                        format!("more than one chip is called `{name}`; write chip = {}", many.join(" or chip = "));
                    return Err(wrong(why));
                }
            }
        }
    };
    if let (Some(offset), [known]) = (wire.offset, searched.as_slice()) {
        if offset >= known.lines {
            return Err(wrong(format!("{known} has no offset {offset}; write 0 to {}", known.lines.saturating_sub(1))));
        }
        return Ok(known.spot(offset));
    }
    let name = wire.line.as_ref().unwrap_or(&wire.name);
    let mut spots: Vec<LineAddress> = searched.iter().flat_map(|known| known.named(name)).collect();
    match spots.len() {
        1 => Ok(spots.remove(0)),
        0 => {
            let names: Vec<String> = searched.iter().flat_map(|known| known.names()).map(|(_, name)| name).collect();
            let known = names.iter().map(String::as_str).filter(|name| !name.is_empty());
            let advice = match nearest(name, known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!(
                    "write a [[line]] with name = \"{}\", chip and offset; `gpioinfo` lists the lines of {}",
                    wire.name,
                    list()
                ),
            };
            Err(wrong(format!("no line is called `{name}`; {advice}")))
        }
        _ => {
            let places: Vec<_> = spots.iter().map(LineAddress::to_string).collect();
            let why = format!(
                "more than one line is called `{name}`: {}; write a [[line]] with name = \"{}\", chip and offset",
                places.join(" and "),
                wire.name
            );
            Err(wrong(why))
        }
    }
}

/// Every chip we may open; an explanation where there is none.
pub(super) fn chips() -> Result<Vec<ChipInfo>, String> {
    let paths = gpiocdev::chip::chips().map_err(|error| format!("the GPIO chips can't be listed: {error}"))?;
    if paths.is_empty() {
        return Err(
            "this machine has no GPIO chip (/dev/gpiochip*): the kernel has no driver for it, or the board none".into(),
        );
    }
    let mut known = Vec::new();
    let mut refused = None;
    for path in paths {
        match Chip::from_path(&path).and_then(|chip| Ok((chip.info()?, chip))) {
            Ok((info, chip)) => known.push(ChipInfo { label: info.label, lines: info.num_lines, chip }),
            Err(error) => {
                refused = Some(format!("{} can't be opened: {error}; give kioskd the right to it", path.display()))
            }
        }
    }
    match refused {
        Some(why) if known.is_empty() => Err(why),
        _ => Ok(known),
    }
}

/// Claims an output that is inactive from the first moment.
pub(super) fn output(wire: &Line, spot: &LineAddress) -> Result<CdevPin, BoardError> {
    let claim = || {
        let line = gpio_cdev::Chip::new(&spot.chip)?.get_line(spot.offset)?;
        CdevPin::new(line.request(LineRequestFlags::OUTPUT, u8::from(wire.active_low), CONSUMER)?)
    };
    claim().map_err(|error| refused(wire, spot, &error))
}

/// Claims an input. With `edges` its changes queue up in the request until they are read.
pub(super) fn input(wire: &Line, spot: &LineAddress, debounce: Duration, edges: bool) -> Result<Request, BoardError> {
    let mut builder = Request::builder();
    builder.on_chip(&spot.chip).with_consumer(CONSUMER).with_line(spot.offset).as_input();
    if wire.active_low {
        builder.as_active_low();
    }
    builder.with_bias(match wire.bias.unwrap_or_default() {
        Bias::AsIs => None,
        Bias::None => Some(line::Bias::Disabled),
        Bias::PullUp => Some(line::Bias::PullUp),
        Bias::PullDown => Some(line::Bias::PullDown),
    });
    if !debounce.is_zero() {
        builder.with_debounce_period(debounce);
    }
    if edges {
        builder.with_edge_detection(EdgeDetection::BothEdges).with_kernel_event_buffer_size(EDGES_QUEUED);
    }
    builder.request().map_err(|error| refused(wire, spot, &error))
}

/// Why a line could not be claimed; by whom it is held, where that is why.
fn refused(wire: &Line, spot: &LineAddress, error: &dyn fmt::Display) -> BoardError {
    let info = Chip::from_path(&spot.chip).and_then(|chip| chip.line_info(spot.offset));
    match info {
        Ok(info) if info.used => {
            let by = if info.consumer.is_empty() { "the kernel".into() } else { info.consumer };
            BoardError::Busy { line: wire.name.clone(), place: spot.to_string(), by }
        }
        _ => BoardError::Line { line: wire.name.clone(), why: format!("{spot} can't be claimed: {error}") },
    }
}
