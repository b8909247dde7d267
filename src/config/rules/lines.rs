//! Checks the lines: each has one use, and the keys of its wire fit together and fit the driver.

use std::collections::{BTreeMap, BTreeSet};

use super::{Rules, fits};
use crate::config::ExpanderChip;
use crate::config::document::Node;
use crate::config::words::{nearest, quote};

/// The keys of `[gate]` that name lines.
const GATE_OUTPUTS: [&str; 3] = ["raise", "lower", "sign"];
const GATE_INPUTS: [&str; 8] =
    ["presence", "safety", "closing", "opened", "closed", "fire", "ticket_button", "help_button"];

/// Who uses a line, and how.
struct User<'n> {
    who: String,
    name: Node<'n>,
    what: Use,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Relay,
    Emitter,
    Input,
}

impl Rules<'_, '_> {
    pub(super) fn lines(&mut self, file: Node<'_>) {
        let users = users(file);
        self.names(&users);
        self.expanders(file);
        let wires: Vec<Node<'_>> = file.all("line").collect();
        self.once(wires.iter().filter_map(|wire| wire.get("name")), "line", "keep one of them");
        let driver = file.get("board").and_then(|board| board.get("driver")).and_then(Node::text).unwrap_or_default();
        for &wire in &wires {
            self.wire(wire, driver, file);
            let Some(name) = wire.get("name").and_then(|name| Some((name, name.text()?))) else { continue };
            match users.iter().find(|user| user.name.text() == Some(name.1)) {
                Some(user) => self.wire_used(wire, user, file),
                None => {
                    let known = users.iter().filter_map(|user| user.name.text());
                    let advice = match nearest(name.1, known) {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => "name it in [board], [gate] or a [[slot]], or leave it out".into(),
                    };
                    self.found.add(name.0.at(), format!("line {} is used nowhere; {advice}", quote(name.1)));
                }
            }
        }
        if driver == "rppal" {
            self.numbered(&users, &wires);
        }
        self.one_wire_one_use(&users, &wires);
        self.counter(file, driver);
    }

    /// No name twice.
    fn names(&mut self, users: &[User<'_>]) {
        let mut taken: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
        for User { who, name: node, .. } in users {
            let Some(line) = node.text().filter(|line| !line.trim().is_empty()) else { continue };
            let said = quote(line);
            if !fits(line, "_.:-") {
                let what = format!("a line can't be {said}; write 1 to 64 letters, digits, `_`, `.`, `:` or `-`");
                self.found.add(node.at(), what);
            }
            if let Some((place, first)) = taken.get(line) {
                let what = format!(
                    "line {said} of {who} already belongs to {first} on line {place}; write another line for one of them"
                );
                self.found.add(node.at(), what);
            } else {
                taken.insert(line, (self.line(*node), who));
            }
        }
    }

    fn expanders(&mut self, file: Node<'_>) {
        let all: Vec<_> = file.all("expander").collect();
        self.once(all.iter().filter_map(|expander| expander.get("name")), "expander", "write a name of its own");
        let mut seen = BTreeMap::new();
        for expander in all {
            let Some((node, address)) = expander.get("address").and_then(|node| Some((node, node.whole()?))) else {
                continue;
            };
            let chip = expander.get("chip").and_then(Node::text).and_then(chip);
            if let (Some(chip), Ok(address)) = (chip, u8::try_from(address))
                && (0x20..=0x3f).contains(&address)
                && !chip.has_address(address)
            {
                let range =
                    if chip == ExpanderChip::Mcp23017 { "0x20 to 0x27" } else { "0x20 to 0x27 or 0x38 to 0x3f" };
                self.found.add(node.at(), format!("no such chip has the address {address:#04x}; write {range}"));
            }
            let bus = expander.get("bus").and_then(Node::text).unwrap_or_default();
            if let Some(place) = seen.insert((bus, address), self.line(node)) {
                let what = format!("address {address:#04x} on this bus is already on line {place}; write another one");
                self.found.add(node.at(), what);
            }
        }
    }

    /// One `[[line]]`, by itself.
    fn wire(&mut self, wire: Node<'_>, driver: &str, file: Node<'_>) {
        let has = |key: &str| wire.get(key);
        let chip_keys = ["chip", "offset", "line"].into_iter().filter_map(has);
        if let Some(expander) = has("expander") {
            for other in chip_keys.chain(has("bcm")) {
                let what = "a line is on an expander or on a chip, not on both; leave one of them out";
                self.found.add(other.at(), what);
            }
            if has("pin").is_none() {
                self.found.add(expander.at(), "`expander` needs the pin; write pin = 0, counted from 0");
            }
            let names: Vec<_> = file.all("expander").filter_map(|expander| expander.get("name")?.text()).collect();
            if let Some(name) = expander.text().filter(|name| !names.contains(name)) {
                let advice = match nearest(name, names.iter().copied()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("write an [[expander]] with name = {}", serde_json::Value::from(name)),
                };
                self.found.add(expander.at(), format!("there is no expander {}; {advice}", quote(name)));
            }
            return;
        }
        if let Some(pin) = has("pin") {
            self.found.add(pin.at(), "`pin` is an expander's; write expander = \"NAME\" too, or `offset` for a chip's");
        }
        match (driver, has("bcm")) {
            ("gpiochip", Some(bcm)) => {
                let what = "`bcm` is for driver = \"rppal\"; write chip = \"LABEL\" and offset = NUMBER";
                self.found.add(bcm.at(), what);
            }
            ("rppal", _) => {
                for key in chip_keys {
                    let what = "driver = \"rppal\" knows no chips; write bcm = NUMBER, or driver = \"gpiochip\"";
                    self.found.add(key.at(), what);
                }
            }
            _ => {
                if let (Some(offset), None) = (has("offset"), has("chip")) {
                    self.found.add(offset.at(), "`offset` counts on one chip; write chip = \"LABEL\" too");
                }
                if let (Some(_), Some(line)) = (has("offset"), has("line")) {
                    self.found.add(line.at(), "`offset` says already which line it is; keep one of them");
                }
            }
        }
    }

    /// One `[[line]]` with what it is used for.
    fn wire_used(&mut self, wire: Node<'_>, user: &User<'_>, file: Node<'_>) {
        if user.what != Use::Input {
            for key in ["bias", "debounce"] {
                if let Some(node) = wire.get(key) {
                    let what = format!("`{key}` is for inputs, and {} drives this line; leave it out", user.who);
                    self.found.add(node.at(), what);
                }
            }
        }
        let on = |expander: &Node<'_>| {
            let name = expander.get("name").and_then(Node::text);
            name.is_some() && name == wire.get("expander").and_then(Node::text)
        };
        let expander = file.all("expander").find(on);
        let Some(chip) = expander.and_then(|expander| expander.get("chip")?.text()).and_then(chip) else { return };
        if let Some(node) = wire.get("pin")
            && let Some(pin) = node.whole().filter(|&pin| pin >= i64::from(chip.pins()) && pin < 16)
        {
            let last = chip.pins() - 1;
            self.found.add(node.at(), format!("the expander has no pin {pin}; write 0 to {last}"));
        }
        if let Some(node) = wire.get("bias")
            && let Some(wrong) =
                node.text().filter(|&bias| matches!((chip, bias), (_, "pull-down") | (ExpanderChip::Pcf8574, "none")))
        {
            let has = if chip == ExpanderChip::Mcp23017 { "pull-up or none" } else { "always a weak pull-up" };
            let what = format!("the expander has no {}: it has {has}; write that, or leave it out", quote(wrong));
            self.found.add(node.at(), what);
        }
        let low = wire.get("active_low").and_then(|node| node.value().as_bool()) == Some(true);
        if chip == ExpanderChip::Pcf8574 && user.what == Use::Relay && !low {
            let what = "a PCF8574 is high when power comes, and the relay would be on before kioskd is there; write \
                        active_low = true and use a relay board that is active low";
            self.found.add(wire.at(), what);
        }
    }

    /// Registers have numbers, not names.
    fn numbered(&mut self, users: &[User<'_>], wires: &[Node<'_>]) {
        for user in users {
            let Some(name) = user.name.text() else { continue };
            let wire = wires.iter().find(|wire| wire.get("name").and_then(Node::text) == Some(name));
            if wire.is_none_or(|wire| wire.get("bcm").is_none() && wire.get("expander").is_none()) {
                let quoted = serde_json::Value::from(name);
                let what = format!(
                    "line {} has no number for driver = \"rppal\"; write a [[line]] with name = {quoted} and bcm = 17",
                    quote(name)
                );
                self.found.add(user.name.at(), what);
            }
        }
    }

    /// The same wire under two names, as far as the file shows it.
    fn one_wire_one_use(&mut self, users: &[User<'_>], wires: &[Node<'_>]) {
        let mut taken: BTreeMap<String, (usize, String)> = BTreeMap::new();
        let used: BTreeMap<&str, &User<'_>> = users.iter().filter_map(|user| Some((user.name.text()?, user))).collect();
        let told: BTreeSet<&str> = wires.iter().filter_map(|wire| wire.get("name")?.text()).collect();
        let mut all: Vec<(usize, String, String)> = Vec::new();
        for wire in wires {
            let Some(user) = wire.get("name").and_then(Node::text).and_then(|name| used.get(name)) else { continue };
            if let Some(place) = place(*wire) {
                all.push((wire.at(), place, user.who.clone()));
            }
        }
        // The same name twice has been said already.
        for (name, user) in used {
            if !told.contains(name) {
                all.push((user.name.at(), format!("line {}", quote(name)), user.who.clone()));
            }
        }
        all.sort();
        for (at, place, who) in all {
            let here = crate::config::document::place(self.text, at).0;
            match taken.get(&place) {
                Some((first, other)) => {
                    let what = format!(
                        "{who} is on the same wire as {other} on line {first}: {place}; write another one for one of them"
                    );
                    self.found.add(at, what);
                }
                None => drop(taken.insert(place, (here, who))),
            }
        }
    }

    /// A counter chip needs a bus.
    fn counter(&mut self, file: Node<'_>, driver: &str) {
        let Some(board) = file.get("board").filter(|_| matches!(driver, "gpiochip" | "rppal")) else { return };
        let counter = board.get("drop_sensor").and_then(|sensor| sensor.get("counter"));
        if let (Some(node), None) = (counter, board.get("i2c")) {
            let what = "`counter` is on an I²C bus, and there is none; write i2c = \"/dev/i2c-1\" in [board]";
            self.found.add(node.at(), what);
        }
    }
}

/// In the order of the file.
fn users(file: Node<'_>) -> Vec<User<'_>> {
    let board = file.get("board");
    let sensor = board.and_then(|board| board.get("drop_sensor"));
    let mut all: Vec<User<'_>> = Vec::new();
    all.extend(["door", "tamper", "service_key"].into_iter().filter_map(|key| named(board, "board", key, Use::Input)));
    all.extend(named(sensor, "board", "emitter", Use::Emitter));
    all.extend(named(sensor, "board", "beam", Use::Input));
    let gate = file.get("gate");
    all.extend(GATE_OUTPUTS.into_iter().filter_map(|key| named(gate, "gate", key, Use::Relay)));
    all.extend(GATE_INPUTS.into_iter().filter_map(|key| named(gate, "gate", key, Use::Input)));
    for slot in file.all("slot") {
        let said = quote(slot.get("name").and_then(Node::text).unwrap_or_default());
        let keys = [("line", "", Use::Relay), ("home", "'s `home`", Use::Input), ("button", "'s `button`", Use::Input)];
        for (key, whose, what) in keys {
            all.extend(slot.get(key).map(|name| User { who: format!("slot {said}{whose}"), name, what }));
        }
    }
    all.sort_by_key(|user| user.name.at());
    all
}

fn named<'n>(table: Option<Node<'n>>, whose: &str, key: &str, what: Use) -> Option<User<'n>> {
    Some(User { who: format!("the {whose}'s `{key}`"), name: table?.get(key)?, what })
}

/// What a `[[line]]` says of the place; `None` where it says nothing that can be compared.
fn place(wire: Node<'_>) -> Option<String> {
    let text = |key: &str| wire.get(key).and_then(Node::text);
    let number = |key: &str| wire.get(key).and_then(Node::whole);
    if let Some(expander) = text("expander") {
        return Some(format!("pin {} of expander {}", number("pin")?, quote(expander)));
    }
    if let Some(bcm) = number("bcm") {
        return Some(format!("BCM {bcm}"));
    }
    match (text("chip"), number("offset")) {
        (Some(chip), Some(offset)) => Some(format!("offset {offset} of chip {}", quote(chip))),
        (Some(chip), None) => Some(format!("line {} of chip {}", quote(text("line").or(text("name"))?), quote(chip))),
        (None, _) => Some(format!("line {}", quote(text("line").or(text("name"))?))),
    }
}

fn chip(name: &str) -> Option<ExpanderChip> {
    serde_json::from_value(name.into()).ok()
}
