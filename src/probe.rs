//! What the machine has, as a block of the configuration for each thing, ready to paste: for the technician in front of
//! a new board.
//!
//! Policy: what is printed is a configuration file's text. What is known goes in as keys, what a person has to choose
//! or only wants to know stands in comments, and every block with all comments left in place is read as it is.

use std::fmt::{self, Write as _};
use std::path::Path;

use serde::Serialize;

use crate::board::{self, ProbedChip};
use crate::input::{self, Kind};
use crate::printer::{UsbPrinter, usb_printers};
use crate::screen::drm::{self, CardReport, Connector, Status};
use crate::vocabulary::one_line;

/// Everything that could be found; what could not be opened says why.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    pub screens: Vec<CardReport>,
    pub inputs: Vec<input::Probed>,
    pub printers: Vec<UsbPrinter>,
    pub serial_ports: Vec<std::path::PathBuf>,
    #[serde(flatten)]
    pub board: board::Probe,
}

/// Looks at everything and moves nothing. `ask_buses` as in [`board::probe`].
pub fn probe(ask_buses: bool) -> Found {
    Found {
        screens: drm::probe(),
        inputs: input::probe(&input::DeviceDirs::default()),
        printers: usb_printers(),
        serial_ports: serial_ports(Path::new("/dev")),
        board: board::probe(ask_buses),
    }
}

/// Of adapters and of the processor; a lasting name where udev keeps one.
fn serial_ports(dev: &Path) -> Vec<std::path::PathBuf> {
    let files = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let lasting = files(&dev.join("serial/by-id"));
    let known: Vec<_> = lasting.iter().filter_map(|link| link.canonicalize().ok()).collect();
    let is_port = |path: &std::path::PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        ["ttyUSB", "ttyACM", "ttyAMA", "serial"]
            .iter()
            .any(|first| name.strip_prefix(first).is_some_and(|number| number.parse::<u16>().is_ok()))
    };
    let plain = files(dev).into_iter().filter(|path| is_port(path) && !known.contains(path));
    lasting.iter().cloned().chain(plain).collect()
}

/// A TOML string of any text.
fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

/// Any text in a comment: one line of it.
fn plain(text: &str) -> String {
    one_line(text).collect()
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sections = Vec::new();
        sections.extend(screens(&self.screens)?);
        sections.extend(inputs(&self.inputs)?);
        sections.extend(printers(&self.printers, &self.serial_ports)?);
        sections.extend(lines(&self.board.chips)?);
        sections.extend(buses(&self.board.buses)?);
        sections.extend(thermometers(&self.board.thermometers)?);
        f.write_str(&sections.join("\n"))
    }
}

type Sections = Result<Vec<String>, fmt::Error>;

fn screens(cards: &[CardReport]) -> Sections {
    let mut said = Vec::new();
    for card in cards {
        let driver = if card.driver.is_empty() { "a card" } else { &card.driver };
        if let Some(problem) = &card.problem {
            said.push(format!("# {} ({driver}) can't be used: {}\n", card.path.display(), plain(problem)));
        }
        let way = if card.atomic { "atomic" } else { "the older calls" };
        for connector in &card.connectors {
            let mut text = format!("# A connector of {} ({driver}, {way}): {connector}\n", card.path.display());
            if connector.status != Status::Disconnected {
                screen(&mut text, card, connector)?;
            }
            said.push(text);
        }
    }
    if cards.is_empty() {
        said.push("# No graphics card in /dev/dri.\n".into());
    }
    Ok(said)
}

fn screen(text: &mut String, card: &CardReport, connector: &Connector) -> fmt::Result {
    writeln!(text, "[glass]\ndriver = \"drm\"\ncard = {}", quoted(&card.path.display().to_string()))?;
    writeln!(text, "connector = {}", quoted(&connector.name))?;
    let mut modes = Vec::new();
    for mode in connector.modes.iter().filter(|mode| !mode.interlaced) {
        let mode = mode.to_string();
        if !modes.contains(&mode) {
            modes.push(mode);
        }
    }
    if let Some(best) = modes.first() {
        writeln!(text, "# mode = {}    # the panel's own choice, if left out; it also has:", quoted(best))?;
        for some in modes[1..].chunks(6) {
            writeln!(text, "#   {}", some.join(" "))?;
        }
    }
    writeln!(text, "rotation = 0    # 0, 90, 180 or 270")?;
    writeln!(text, "font_sc = \"/usr/share/kioskd/fonts/kioskd-sans-sc.otf\"")?;
    writeln!(text, "font_tc = \"/usr/share/kioskd/fonts/kioskd-sans-tc.otf\"")
}

fn inputs(devices: &[input::Probed]) -> Sections {
    let mut said = Vec::new();
    for probed in devices {
        let device = &probed.device;
        let (what, block) = match device.kind {
            Kind::Touch => ("A touch sensor", "[touch]"),
            Kind::Pointer => ("A pointer with places of its own", "[touch]"),
            Kind::Keypad => ("A keypad", "[keypad]"),
            Kind::Keyboard => ("A keyboard, or a scanner that types", "[scanner]"),
            Kind::Other => continue,
        };
        let mut text = format!("# {what}: {}", device.node.display());
        if let (Some(x), Some(y)) = (probed.x, probed.y) {
            write!(text, ", {}..{} across, {}..{} down", x.least, x.most, y.least, y.most)?;
        }
        writeln!(text)?;
        if let Some(problem) = &probed.problem {
            writeln!(text, "# It can't be opened: {}", plain(problem))?;
        }
        writeln!(text, "{block}\nname = {}", quoted(&device.name))?;
        for link in &probed.links {
            writeln!(text, "# path = {}    # in place of the name", quoted(&link.display().to_string()))?;
        }
        said.push(text);
    }
    if said.is_empty() {
        said.push("# No touch sensor, keypad or scanner.\n".into());
    }
    Ok(said)
}

fn printers(usb: &[UsbPrinter], serial: &[std::path::PathBuf]) -> Sections {
    let mut said = Vec::new();
    for printer in usb {
        let id = if printer.id.is_empty() { "it tells no id" } else { &printer.id };
        let mut text = format!("# A USB printer: {}, {}\n", printer.path.display(), plain(id));
        writeln!(text, "[printer]\ndriver = \"usb\"")?;
        match model(&printer.id) {
            Some(model) => writeln!(text, "model = {}    # a part of its id", quoted(model))?,
            None => writeln!(text, "device = {}", quoted(&printer.path.display().to_string()))?,
        }
        writeln!(text, "columns = 384    # dots: 384 for 58 mm paper, 576 for 80 mm")?;
        said.push(text);
    }
    for port in serial {
        let mut text = format!("# A serial port, where a printer may be: {}\n", port.display());
        writeln!(text, "# [printer]\n# driver = \"serial\"\n# device = {}", quoted(&port.display().to_string()))?;
        writeln!(
            text,
            "# baud = 9600           # its self-test page says these two\n# flow = \"rts-cts\"\n# columns = 384"
        )?;
        said.push(text);
    }
    if said.is_empty() {
        said.push("# No USB printer and no serial port.\n".into());
    }
    Ok(said)
}

/// What an IEEE 1284 id calls the model, where the configuration takes it.
fn model(id: &str) -> Option<&str> {
    let field = |name: &str| id.split(';').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix(':'));
    field("MDL").or_else(|| field("MODEL")).map(str::trim).filter(|model| (1..=64).contains(&model.chars().count()))
}

fn lines(chips: &[ProbedChip]) -> Sections {
    let mut said = Vec::new();
    for chip in chips {
        let mut text = format!("# {}, {} ({} lines)\n", chip.path.display(), plain(&chip.label), chip.lines.len());
        let mut free = None;
        for line in &chip.lines {
            let name = if line.name.is_empty() { "(no name)".into() } else { plain(&line.name) };
            let way = if line.output { "output" } else { "input" };
            let held = line.consumer.as_ref().map(|by| {
                if by.is_empty() { ", in use by the kernel".into() } else { format!(", in use by {}", plain(by)) }
            });
            writeln!(text, "#   {:>3}  {name}: {way}{}", line.offset, held.as_deref().unwrap_or_default())?;
            free = free.or_else(|| line.consumer.is_none().then_some(line));
        }
        if let Some(line) = free {
            writeln!(text, "[[line]]\nname = \"slot-A1\"    # as [board] and [[slot]] call it")?;
            writeln!(text, "chip = {}\noffset = {}", quoted(&chip.label), line.offset)?;
            writeln!(text, "active_low = false    # true where the relay is on while the wire is low")?;
        }
        said.push(text);
    }
    if chips.is_empty() {
        said.push("# No GPIO chip that can be opened.\n".into());
    }
    Ok(said)
}

fn buses(buses: &[board::ProbedBus]) -> Sections {
    let mut said = Vec::new();
    for bus in buses {
        let path = bus.path.display().to_string();
        let mut text = format!("# An I²C bus: {path}");
        match &bus.answering {
            None => writeln!(text, "; `kioskd probe --i2c` asks who answers on it")?,
            Some(Err(why)) => writeln!(text, ", which can't be asked: {}", plain(why))?,
            Some(Ok(addresses)) if addresses.is_empty() => writeln!(text, ", on which nobody answers")?,
            Some(Ok(addresses)) => {
                let list: Vec<String> = addresses.iter().map(|address| format!("{address:#04x}")).collect();
                writeln!(text, ", on which these answer: {}", list.join(" "))?;
                for address in addresses.iter().filter(|address| (0x20..=0x27).contains(*address)) {
                    writeln!(
                        text,
                        "[[expander]]\nname = \"relays-{address:02x}\"\nchip = \"mcp23017\"    # or pcf8574"
                    )?;
                    writeln!(text, "bus = {}\naddress = {address:#04x}", quoted(&path))?;
                }
            }
        }
        said.push(text);
    }
    Ok(said)
}

fn thermometers(all: &[board::Thermometer]) -> Sections {
    let one = |thermometer: &board::Thermometer| {
        let now = thermometer.read().map_or("no sensible reading".into(), |milli| {
            format!("{}{}.{} °C now", if milli < 0 { "-" } else { "" }, milli.abs() / 1_000, milli.abs() % 1_000 / 100)
        });
        let sensor = thermometer.label.as_ref().unwrap_or(&thermometer.device);
        let path = thermometer.path.display();
        format!("# A thermometer: {path}, {now}\n[board.temperature]\nsensor = {}\n", quoted(sensor))
    };
    Ok(all.iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::board::{Probe, ProbedBus, ProbedLine};
    use crate::input::{Device, Ids, Probed, Range};
    use crate::screen::drm::Mode;

    fn mode(width: u32, height: u32, preferred: bool) -> Mode {
        Mode { width, height, refresh: 59_940, interlaced: false, preferred }
    }

    fn found() -> Found {
        let connector = |name: &str, status, modes| Connector { id: 1, name: name.into(), status, modes };
        let line = |offset, name: &str, consumer: Option<&str>| ProbedLine {
            offset,
            name: name.into(),
            consumer: consumer.map(String::from),
            output: false,
            active_low: false,
        };
        let device = |name: &str, kind| Probed {
            device: Device {
                node: "/dev/input/event0".into(),
                name: name.into(),
                phys: String::new(),
                ids: Ids::default(),
                kind,
                touchable: true,
            },
            links: vec!["/dev/input/by-id/usb-x".into()],
            x: Some(Range { least: 0, most: 4095 }),
            y: Some(Range { least: 0, most: 4095 }),
            problem: None,
        };
        Found {
            screens: vec![CardReport {
                path: "/dev/dri/card1".into(),
                driver: "vc4".into(),
                atomic: true,
                connectors: vec![
                    connector("HDMI-A-1", Status::Connected, vec![mode(1280, 800, true), mode(800, 600, false)]),
                    connector("HDMI-A-2", Status::Disconnected, Vec::new()),
                ],
                problem: None,
            }],
            inputs: vec![device("ILITEK \"Touch\"\n[x]", Kind::Touch), device("Power Button", Kind::Other)],
            printers: vec![UsbPrinter { path: "/dev/usb/lp0".into(), id: "MFG:EPSON;MDL:TM-T20;CLS:PRINTER;".into() }],
            serial_ports: vec!["/dev/ttyUSB0".into()],
            board: Probe {
                chips: vec![ProbedChip {
                    path: "/dev/gpiochip0".into(),
                    label: "pinctrl-bcm2711".into(),
                    lines: vec![line(0, "ID_SDA", Some("")), line(17, "GPIO17", None)],
                }],
                buses: vec![ProbedBus { path: "/dev/i2c-1".into(), answering: Some(Ok(vec![0x20, 0x50])) }],
                thermometers: Vec::new(),
            },
        }
    }

    #[test]
    fn what_is_printed_is_configuration() {
        let text = found().to_string();
        let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(table["glass"]["connector"].as_str(), Some("HDMI-A-1"));
        assert_eq!(table["touch"]["name"].as_str(), Some("ILITEK \"Touch\"\n[x]"));
        assert_eq!(table["printer"]["model"].as_str(), Some("TM-T20"));
        assert_eq!(table["line"][0]["offset"].as_integer(), Some(17), "the first that is free");
        assert_eq!(table["expander"][0]["address"].as_integer(), Some(0x20));
        assert!(!table.contains_key("keypad") && !table.contains_key("scanner"));
        assert!(text.contains("it also has:\n#   800x600@60\n"), "{text}");
        assert!(text.contains("#     0  ID_SDA: input, in use by the kernel\n"), "{text}");
    }

    #[test]
    fn a_machine_with_nothing_says_so() {
        let board = Probe { chips: Vec::new(), buses: Vec::new(), thermometers: Vec::new() };
        let (screens, inputs, printers, serial_ports) = (Vec::new(), Vec::new(), Vec::new(), Vec::<PathBuf>::new());
        let text = Found { screens, inputs, printers, serial_ports, board }.to_string();
        assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#')), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("# No ")).count(), 4, "{text}");
    }
}
