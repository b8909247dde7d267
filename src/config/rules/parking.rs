//! Checks what a car park has and a vending machine has not, and the other way round.

use super::{Node, Rules};
use crate::config::words::{nearest, quote};
use crate::signed::jws::PublicKey;

/// The longest code of a car park, in digits.
const LONGEST_CODE: i64 = 236;
/// Most lanes of a site.
const MOST_LANES: usize = 32;

impl Rules<'_, '_> {
    pub(super) fn parking(&mut self, file: Node<'_>) {
        let parking = file.get("parking");
        let pays = parking.is_none_or(|parking| parking.get("mode").and_then(Node::text) == Some("pay-station"));
        for (table, keys) in [
            ("rail", "kind and label"),
            ("product", "id, name and price"),
            ("slot", "name, product, line, stock, capacity and pulse"),
        ] {
            let wanted = if table == "rail" { pays } else { parking.is_none() };
            // Misspelt is not missing as well.
            let meant = || file.entries().any(|(key, _)| nearest(key.get_ref(), [table]) == Some(table));
            match file.all(table).next() {
                None if wanted && !meant() => {
                    self.found.add(0, format!("missing [[{table}]]; write at least one [[{table}]] with {keys}"));
                }
                Some(node) if parking.is_some() && table != "rail" => {
                    let what = format!("a car park sells no products; leave out [[{table}]], or [parking]");
                    self.found.add(node.at(), what);
                }
                _ => {}
            }
        }
        if let Some(driver) = file.get("glass").and_then(|glass| glass.get("driver"))
            && driver.text() == Some("none")
            && parking.and_then(|parking| parking.get("mode")?.text()) != Some("entry")
        {
            let what = "only an entry of a car park can do without a screen; write the driver of its screen, or mode = \"entry\" in [parking]";
            self.found.add(driver.at(), what);
        }
        let Some(parking) = parking else { return };
        self.gate_of(file, parking);
        self.by_plate(file, parking);
        self.fewer_lanes(parking);
        self.readable(parking, "tariff");
        for (list, what) in [("keys", "key"), ("lanes", "lane")] {
            for node in parking.all(list) {
                self.public_key(node, what);
            }
        }
        if !parking.all("keys").any(|key| key.get("shop").is_none()) {
            let what = "the site has no key of its own, which signs its tickets; write [[parking.keys]] with number and \
                        file, and no shop";
            self.found.add(parking.at(), what);
        }
        let own = parking.get("lane").and_then(Node::whole);
        let listed = parking.all("lanes").any(|lane| lane.get("number").and_then(Node::whole) == own);
        if let (Some(node), false) = (parking.get("lane"), listed) {
            let what = "this lane is not among the site's; write [[parking.lanes]] with its number, name and file too";
            self.found.add(node.at(), what);
        }
        if let Some(scanner) = file.get("scanner") {
            let length = scanner.get("max_length");
            if length.and_then(Node::whole).unwrap_or(0) < LONGEST_CODE {
                let what =
                    format!("a scanner of a car park types {LONGEST_CODE} digits; write max_length = 256 in [scanner]");
                self.found.add(length.unwrap_or(scanner).at(), what);
            }
        }
    }

    /// A lane has a gate, and a pay station has none.
    fn gate_of(&mut self, file: Node<'_>, parking: Node<'_>) {
        let Some(mode) = parking.get("mode").filter(|mode| mode.text().is_some()) else { return };
        match (mode.text() == Some("pay-station"), file.get("gate")) {
            (true, Some(gate)) => {
                self.found.add(
                    gate.at(),
                    "a pay station has no gate; leave out [gate], or write mode = \"entry\" or \"exit\"",
                );
            }
            (false, None) => {
                let what = "an entry or an exit has a gate; write [gate] with its name and the line that raises it";
                self.found.add(mode.at(), what);
            }
            _ => {}
        }
    }

    /// A camera reads cars that pass by, too.
    fn by_plate(&mut self, file: Node<'_>, parking: Node<'_>) {
        let Some(node) = parking.get("tickets").filter(|node| node.text() == Some("plate")) else { return };
        if parking.get("mode").and_then(Node::text).is_some_and(|mode| mode != "entry") {
            self.found.add(node.at(), "cars come in at an entry alone; leave out `tickets`, or write mode = \"entry\"");
        } else if file.get("gate").is_some_and(|gate| gate.get("presence").is_none()) {
            let what = "without a loop the gate would open for a car that only passes by; write `presence` in [gate], or \
                        tickets = \"paper\"";
            self.found.add(node.at(), what);
        }
    }

    fn fewer_lanes(&mut self, parking: Node<'_>) {
        if let Some(node) = parking.all("lanes").nth(2 * MOST_LANES) {
            self.found
                .add(node.at(), format!("a site has at most {MOST_LANES} lanes, with two keys each; leave this out"));
        }
    }

    fn readable(&mut self, parking: Node<'_>, key: &str) {
        if let Some(node) = parking.get(key)
            && let Some(path) = node.text().filter(|path| !path.trim().is_empty())
            && let Err(error) = std::fs::File::open(self.directory.join(path))
        {
            self.found.add(node.at(), format!("`{key}` {} can't be read: {error}", quote(path)));
        }
    }

    fn public_key(&mut self, table: Node<'_>, what: &str) {
        let Some(node) = table.get("file") else { return };
        let Some(path) = node.text().filter(|path| !path.trim().is_empty()) else { return };
        match std::fs::read(self.directory.join(path)) {
            Err(error) => {
                self.found.add(node.at(), format!("the {what}'s file {} can't be read: {error}", quote(path)))
            }
            Ok(bytes) if PublicKey::from_pem(&bytes).is_none() => {
                let what = format!(
                    "the {what}'s file {} is no Ed25519 public key (PEM); write the file that `kioskfleet keygen` made beside the private one",
                    quote(path)
                );
                self.found.add(node.at(), what);
            }
            Ok(_) => {}
        }
    }
}
