//! What a schema can't say: things that must agree with each other, or with the machine the file is read on.
//!
//! The rules read the file itself, not the typed configuration, so they speak even where something else is wrong, and
//! every problem stands at the value that causes it.

mod input;
mod lines;
mod parking;
mod rails;
mod texts;
mod theme;

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;

use jiff::tz::TimeZone;

use super::document::{Found, Node, place};
use super::media::BY_DIGEST;
use super::words::{nearest, nearest_name, quote};
use super::{Config, MAX_PICTURE, Theme};
use crate::operation::Digest;
use crate::signed::jws::PublicKey;
use crate::signed::keys::KeySource;
use crate::signed::keyset::Keyset;
use crate::signed::pin::PinHash;
use crate::vocabulary::{CategoryId, ProductId};

/// Larger than any font or picture of a kiosk.
const LARGEST_ASSET: u64 = 32 << 20;

/// Payment methods, in two rows of four; categories, in two rows of six with the one of everything.
const MOST_RAILS: usize = 8;
const MOST_CATEGORIES: usize = 11;
/// Levels of a topic that are no kiosk's and no fleet's name, and what they mean there.
const TAKEN: [(&str, &str); 2] = [("all", "every kiosk"), ("site", "the lanes of a car park")];

/// `directory` is the file's own; what it names is looked up from there.
///
/// The answer is the theme that the file names, as far as it is right.
pub(super) fn check(text: &str, file: Node<'_>, directory: &Path, found: &mut Found) -> Theme {
    let fleet = file.get("kiosk").and_then(|kiosk| kiosk.get("fleet")?.text());
    let mut rules = Rules { text, directory, fleet, found };
    file.get("kiosk").into_iter().for_each(|kiosk| rules.kiosk(kiosk));
    file.get("state").into_iter().for_each(|state| rules.state(state));
    file.get("glass").into_iter().for_each(|glass| rules.glass(glass));
    file.get("printer").into_iter().for_each(|printer| rules.printer(printer));
    file.get("fleet").into_iter().for_each(|fleet| rules.fleet(fleet));
    file.get("metrics").into_iter().for_each(|metrics| rules.metrics(metrics));
    file.get("dbus").into_iter().for_each(|dbus| rules.dbus(dbus));
    file.get("service").into_iter().for_each(|service| rules.service(service));
    rules.service_key(file);
    rules.input(file);
    rules.parking(file);
    rules.fewer(file, "rail", MOST_RAILS);
    rules.fewer(file, "category", MOST_CATEGORIES);
    rules.rails(file);
    rules.lines(file);
    rules.planogram(file);
    let look = file.get("glass").map_or_else(Theme::default, |glass| rules.look(glass));
    rules.languages(file, &look);
    look
}

/// What only the room that uses a value can say of it; asked when everything else is right.
pub(super) fn check_typed(config: &Config, file: Node<'_>, found: &mut Found) {
    for (rail, node) in config.rails.iter().zip(file.all("rail")) {
        rails::merchant(rail, config.kiosk.currency, node, found);
    }
}

pub(super) use texts::glyphs as check_glyphs;

struct Rules<'a, 'f> {
    text: &'a str,
    directory: &'a Path,
    /// The fleet's name.
    fleet: Option<&'a str>,
    found: &'f mut Found,
}

impl Rules<'_, '_> {
    fn line(&self, node: Node<'_>) -> usize {
        place(self.text, node.at()).0
    }

    /// More than the glass has room for, which would be there but too small to read or to touch.
    fn fewer(&mut self, file: Node<'_>, table: &str, most: usize) {
        if let Some(node) = file.all(table).nth(most) {
            self.found
                .add(node.at(), format!("the glass has room for {most} [[{table}]], not for more; leave this out"));
        }
    }

    /// The same name twice in a list: the later one is wrong. `what` says what the name is.
    fn once<'n>(&mut self, nodes: impl Iterator<Item = Node<'n>>, what: &str, advice: &str) {
        let mut seen: BTreeMap<&str, Node<'_>> = BTreeMap::new();
        for node in nodes {
            let Some(name) = node.text() else { continue };
            match seen.get(name) {
                Some(&first) => {
                    let line = self.line(first);
                    self.found.add(node.at(), format!("{what} {} is already on line {line}; {advice}", quote(name)));
                }
                None => drop(seen.insert(name, node)),
            }
        }
    }

    fn kiosk(&mut self, kiosk: Node<'_>) {
        for (key, node) in ["id", "fleet"].into_iter().filter_map(|key| Some((key, kiosk.get(key)?))) {
            let Some(name) = node.text().filter(|name| !name.trim().is_empty()) else { continue };
            if !fits(name, "_-") {
                let said = quote(name);
                let what =
                    format!("`{key}` can't be {said}; write 1 to 64 letters, digits, `_` or `-`, as in an MQTT topic");
                self.found.add(node.at(), what);
            } else if let Some((_, means)) = TAKEN.into_iter().find(|(taken, _)| *taken == name) {
                let what = format!("`{key}` can't be `{name}`, which means {means}; write a name of its own");
                self.found.add(node.at(), what);
            }
        }
        self.once(kiosk.all("languages"), "language", "leave it out here");
        if let Some(node) = kiosk.get("time_zone")
            && let Some(name) = node.text().filter(|name| !name.trim().is_empty())
            && TimeZone::get(name).is_err()
        {
            let names: Vec<_> = jiff::tz::db().available().map(|name| name.to_string()).collect();
            let advice = match nearest_name(name, names.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "write an IANA name like \"Asia/Shanghai\" or \"UTC\"".into(),
            };
            self.found.add(node.at(), format!("unknown time zone {}; {advice}", quote(name)));
        }
    }

    fn state(&mut self, state: Node<'_>) {
        if let Some(node) = state.get("directory")
            && let Some(path) = node.text()
            && std::fs::metadata(self.directory.join(path)).is_ok_and(|there| !there.is_dir())
        {
            self.found.add(node.at(), format!("`directory` {} is a file; write the path of a directory", quote(path)));
        }
    }

    fn glass(&mut self, glass: Node<'_>) {
        let fonts = ["font_sc", "font_tc", "font_sc_bold", "font_tc_bold"];
        let fonts = fonts.into_iter().filter_map(|key| Some((key, glass.get(key)?)));
        for (key, node) in fonts.chain(glass.all("font_more").map(|node| ("font_more", node))) {
            let magic: [&[u8]; 4] = [b"OTTO", b"\0\x01\0\0", b"true", b"ttcf"];
            self.asset(node, key, "an OpenType or TrueType font", &magic);
        }
        let number = |text: &str| !text.is_empty() && text.len() < 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        let mode = |text: &str| {
            let (size, rate) = text.split_once('@').unwrap_or((text, "60"));
            let sides = size.split_once('x');
            sides.is_some_and(|(w, h)| number(w) && number(h) && w.len() > 2 && h.len() > 2)
                && number(rate)
                && rate.len() < 4
        };
        let after = |text: &str, before: &str| text.strip_prefix(before).is_some_and(number);
        let card = |text: &str| after(text, "/dev/dri/card");
        self.form(glass, "card", card, "the path of a card, like \"/dev/dri/card1\"");
        let connector = |text: &str| fits(text, "-") && text.len() <= 32;
        self.form(glass, "connector", connector, "its name in the kernel, like \"HDMI-A-1\"");
        self.form(glass, "mode", mode, "WIDTHxHEIGHT or WIDTHxHEIGHT@HZ, like \"1280x800@60\"");
        let device = |text: &str| after(text, "/dev/fb");
        self.form(glass, "device", device, "the path of a frame buffer, like \"/dev/fb0\"");
        glass.get("logo").into_iter().for_each(|logo| self.named_picture(logo, "logo"));
        for slide in glass.all("slides") {
            slide.get("picture").into_iter().for_each(|picture| self.named_picture(picture, "picture"));
            self.slide_hours(slide);
        }
        glass.get("night").into_iter().for_each(|night| self.hours(night));
    }

    /// A text of a certain form.
    fn form(&mut self, table: Node<'_>, key: &str, good: impl Fn(&str) -> bool, write: &str) {
        if let Some(node) = table.get(key)
            && let Some(text) = node.text().filter(|text| !text.trim().is_empty() && !good(text))
        {
            self.found.add(node.at(), format!("`{key}` can't be {}; write {write}", quote(text)));
        }
    }

    /// Such a picture; or one from the fleet, named by its SHA-256. Whether that is there, only the machine can say.
    fn named_picture(&mut self, node: Node<'_>, key: &str) {
        match node.text().and_then(|text| text.strip_prefix(BY_DIGEST)) {
            Some(digest) if Digest::parse(digest).is_none() => {
                let what =
                    format!("`{key}` has no SHA-256 after `{BY_DIGEST}`; write 64 hexadecimal digits in lower case");
                self.found.add(node.at(), what);
            }
            Some(_) => {}
            None => self.picture(node, key),
        }
    }

    /// A picture that is there, is one, and is small enough to be shown.
    fn picture(&mut self, node: Node<'_>, key: &str) {
        if !self.asset(node, key, "a PNG or JPEG picture", &[b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]) {
            return;
        }
        let Some(path) = node.text().filter(|path| !path.trim().is_empty()) else { return };
        // Only its head is read.
        let reader = image::ImageReader::open(self.directory.join(path)).and_then(|file| file.with_guessed_format());
        let Ok(reader) = reader else { return };
        let said = quote(path);
        match reader.into_dimensions() {
            Ok((w, h)) if w.max(h) > MAX_PICTURE => {
                let what = format!(
                    "`{key}` {said} has {w} x {h} pixels; make it at most {MAX_PICTURE} a side, no glass shows more"
                );
                self.found.add(node.at(), what);
            }
            Ok(_) => {}
            Err(_) => self.found.add(node.at(), format!("`{key}` {said} is damaged; save it anew as PNG or JPEG")),
        }
    }

    /// Whether it is there and begins with one of `magic`.
    fn asset(&mut self, node: Node<'_>, key: &str, what: &str, magic: &[&[u8]]) -> bool {
        let Some(path) = node.text().filter(|path| !path.trim().is_empty()) else { return false };
        let full = self.directory.join(path);
        let said = quote(path);
        let mut head = Vec::new();
        // A pipe would keep us waiting, so what it is comes before opening it.
        let read = std::fs::metadata(&full).and_then(|there| {
            if there.is_file() {
                std::fs::File::open(&full)?.take(8).read_to_end(&mut head)?;
            }
            Ok(there)
        });
        let problem = match read {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                format!("`{key}` {said} does not exist; write the path of {what}, seen from this file")
            }
            Err(e) => format!("`{key}` {said} can't be read ({}); give kioskd the right to read it", e.kind()),
            Ok(there) if !there.is_file() => format!("`{key}` {said} is not a file; write the path of {what}"),
            Ok(there) if there.len() > LARGEST_ASSET => {
                format!("`{key}` {said} is larger than {} MiB; make it smaller", LARGEST_ASSET >> 20)
            }
            Ok(_) if !magic.iter().any(|magic| head.starts_with(magic)) => {
                format!("`{key}` {said} is not {what}; write the path of one")
            }
            Ok(_) => return true,
        };
        self.found.add(node.at(), problem);
        false
    }

    fn printer(&mut self, printer: Node<'_>) {
        let Some(node) = printer.get("receipt_url") else { return };
        let Some(url) = node.text().filter(|url| !url.trim().is_empty()) else { return };
        if !(url.starts_with("https://") || url.starts_with("http://")) || url.contains(char::is_whitespace) {
            self.found.add(node.at(), "`receipt_url` is not a web address; write https://…/{order}");
        } else if !url.contains("{order}") {
            self.found.add(node.at(), "`receipt_url` is the same for every order; write {order} where its number goes");
        }
    }

    fn metrics(&mut self, metrics: Node<'_>) {
        let listen = metrics.get("listen").and_then(|node| Some((node, node.text()?)));
        let Some((node, text)) = listen.filter(|(_, text)| !text.trim().is_empty()) else { return };
        let wrong = match text.parse::<SocketAddr>() {
            Ok(address) if !address.ip().is_loopback() => {
                format!("{} is open to others, and nobody is asked who they are", quote(text))
            }
            Ok(address) if address.port() == 0 => "port 0 is another one each time".into(),
            Ok(_) => return,
            Err(_) => format!("{} is not an address with a port", quote(text)),
        };
        self.found.add(node.at(), format!("{wrong}; write listen = \"127.0.0.1:9464\""));
    }

    /// Polkit knows callers by their names on its own bus.
    fn dbus(&mut self, dbus: Node<'_>) {
        let asks = dbus.get("polkit").filter(|node| node.value().as_bool() == Some(true));
        let other = dbus.get("bus").and_then(Node::text).is_some_and(|bus| ["session", "none"].contains(&bus));
        if let Some(node) = asks.filter(|_| other) {
            self.found.add(node.at(), "polkit is on the system's bus; write bus = \"system\", or leave `polkit` out");
        }
    }

    /// What stands there is not repeated: it may be the PIN itself.
    fn service(&mut self, service: Node<'_>) {
        if let Some(node) = service.get("pin")
            && let Some(text) = node.text().filter(|text| !text.trim().is_empty())
            && let Err(why) = PinHash::parse(text)
        {
            self.found.add(node.at(), format!("`pin` {why}; write what `kioskctl pin` prints"));
        }
    }

    /// It only asks for a PIN.
    fn service_key(&mut self, file: Node<'_>) {
        let key = file.get("board").and_then(|board| board.get("service_key"));
        if let Some(node) = key.filter(|_| file.get("service").is_none()) {
            let what = "`service_key` opens the service menu, and there is none; write [service] with what `kioskctl pin` prints";
            self.found.add(node.at(), what);
        }
    }

    fn fleet(&mut self, fleet: Node<'_>) {
        let broker = fleet.get("broker").and_then(|node| Some((node, node.text()?)));
        if let Some((node, url)) = broker.filter(|(_, url)| !url.trim().is_empty()) {
            self.broker("broker", node, url);
        }
        let fallback = fleet.get("fallback").and_then(|node| Some((node, node.text()?)));
        if let Some((node, url)) = fallback.filter(|(_, url)| !url.trim().is_empty()) {
            self.broker("fallback", node, url);
            let scheme = |url: &str| url.split("://").next().map(str::to_owned);
            match broker {
                Some((_, first)) if first == url => {
                    self.found.add(node.at(), "this is `broker` itself; write another one, or leave `fallback` out");
                }
                Some((_, first)) if scheme(first) != scheme(url) => {
                    self.found.add(node.at(), "both are spoken to in the same way; write mqtts:// for both");
                }
                _ => {}
            }
        }
        let secure = broker.is_none_or(|(_, url)| url.starts_with("mqtts://"));
        let (cert, key) = (fleet.get("cert"), fleet.get("key"));
        for (name, node) in [("ca", fleet.get("ca")), ("cert", cert), ("key", key)] {
            if let Some(node) = node.filter(|_| !secure) {
                let what =
                    format!("`{name}` is for a broker with TLS; write broker = \"mqtts://HOST:PORT\", or leave it out");
                self.found.add(node.at(), what);
            }
        }
        match (cert, key) {
            (Some(cert), None) => {
                self.found.add(cert.at(), "`cert` needs its private key; write key = \"file:/path/of/the.key\"");
            }
            (None, Some(key)) => {
                self.found.add(key.at(), "`key` needs its certificate; write cert = \"/path/of/the.pem\"");
            }
            _ => {}
        }
        self.keyset(fleet);
        if let Some(gateway) = fleet.get("gateway").filter(|_| fleet.get("signing_key").is_none()) {
            self.found.add(
                gateway.at(),
                "the gateway knows a kiosk by its key; write signing_key = \"file:/path/of/the.key\" in [fleet]",
            );
        }
    }

    /// Whose commands count: the root's public key, and the keyset that it has signed for this fleet.
    fn keyset(&mut self, fleet: Node<'_>) {
        let (root, keyset) = match (fleet.get("root"), fleet.get("keyset")) {
            (Some(root), Some(keyset)) => (root, keyset),
            (Some(root), None) => {
                return self.found.add(root.at(), "`root` signs a keyset; write keyset = \"keyset.json\"");
            }
            (None, Some(keyset)) => {
                return self.found.add(keyset.at(), "`keyset` needs who signs it; write root = \"root.pem\"");
            }
            (None, None) => return,
        };
        let key = self.file(root, "root").and_then(|pem| {
            let key = PublicKey::from_pem(&pem);
            if key.is_none() {
                self.found
                    .add(root.at(), "`root` is not an Ed25519 public key (PEM); write the path of the root's .pem");
            }
            key
        });
        let message = self.file(keyset, "keyset");
        let (Some(key), Some(message), Some(name)) = (key, message, self.fleet) else { return };
        if let Err(why) = Keyset::open(&key, name, &message) {
            let what = format!("`keyset` does not count: {why}; write the path of what `kioskfleet keyset` has made");
            self.found.add(keyset.at(), what);
        }
    }

    /// What is in a small file that is named there.
    fn file(&mut self, node: Node<'_>, key: &str) -> Option<Vec<u8>> {
        let path = node.text().filter(|path| !path.trim().is_empty())?;
        match KeySource::File(self.directory.join(path)).public() {
            Ok(bytes) => Some(bytes),
            Err(_) => {
                let what =
                    format!("`{key}` {} can't be read; write the path of a file that kioskd may read", quote(path));
                self.found.add(node.at(), what);
                None
            }
        }
    }

    /// The address is not repeated in the message: somebody may have put a password in it.
    fn broker(&mut self, key: &str, node: Node<'_>, url: &str) {
        const WRITE: &str =
            "write mqtts://HOST:PORT, like \"mqtts://broker.example.com:8883\", or mqtt://HOST:PORT without TLS";
        let (tls, address) = match url.split_once("://") {
            Some(("mqtts", address)) => (true, address),
            Some(("mqtt", address)) => (false, address),
            _ => return self.found.add(node.at(), format!("`{key}` is not an MQTT address; {WRITE}")),
        };
        let wrong = match address.rsplit_once(':') {
            _ if address.contains('@') => "has a user or a password in it, which is not there yet",
            _ if address.contains('/') => "has a path",
            Some((host, port)) if !is_host(host) || port.is_empty() => "has no host or no port",
            Some((host, _)) if tls && host.starts_with('[') => "can't be an IPv6 address with TLS, but its name",
            Some((_, port)) if port.parse::<u16>().unwrap_or(0) == 0 => "has a port that is not 1 to 65535",
            Some(_) => return,
            None => "has no port",
        };
        self.found.add(node.at(), format!("`{key}` {wrong}; {WRITE}"));
    }

    fn categories(&mut self, file: Node<'_>) {
        self.once(file.all("category").filter_map(|category| category.get("id")), "category", "write an id of its own");
        let known: Vec<_> = file.all("category").filter_map(|category| category.get("id")?.text()).collect();
        let mut used = Vec::new();
        for node in file.all("product").filter_map(|product| product.get("category")) {
            let Some(name) = node.text() else { continue };
            used.push(name);
            if !known.contains(&name) {
                let meant = nearest(name, known.iter().copied());
                used.extend(meant);
                let advice = match meant {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("write a [[category]] with id = {}", serde_json::Value::from(name)),
                };
                self.found.add(node.at(), format!("unknown category {}; {advice}", quote(name)));
            }
        }
        for node in file.all("category").filter_map(|category| category.get("id")) {
            let Some(name) = node.text().filter(|name| CategoryId::parse(name).is_some()) else { continue };
            if name == CategoryId::ALL {
                self.found.add(node.at(), "`id` can't be `all`, which is all of them; write a name of its own");
            } else if !used.contains(&name) {
                let what = format!("category {} has no product; write it in one, or leave it out", quote(name));
                self.found.add(node.at(), what);
            }
        }
    }

    fn planogram(&mut self, file: Node<'_>) {
        self.once(file.all("product").filter_map(|product| product.get("id")), "product", "write an id of its own");
        self.once(file.all("slot").filter_map(|slot| slot.get("name")), "slot", "write a name of its own");
        let products: Vec<_> = file.all("product").filter_map(|p| p.get("id")?.text()).collect();
        let mut sold = Vec::new();
        for slot in file.all("slot") {
            if let Some(node) = slot.get("product")
                && let Some(product) = node.text()
            {
                sold.push(product);
                if !products.is_empty() && !products.contains(&product) {
                    let meant = nearest(product, products.iter().copied());
                    sold.extend(meant);
                    let advice = match meant {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => format!(
                            "write a [[product]] with id = {}, or another id here",
                            serde_json::Value::from(product)
                        ),
                    };
                    self.found.add(node.at(), format!("unknown product {}; {advice}", quote(product)));
                }
            }
            if let (Some(node), Some(capacity)) =
                (slot.get("stock"), slot.get("capacity").and_then(Node::whole).filter(|&c| c > 0))
                && let Some(stock) = node.whole().filter(|&stock| stock > capacity)
            {
                let what = format!("`stock` {stock} is more than the slot's `capacity`; write {capacity} or less");
                self.found.add(node.at(), what);
            }
        }
        self.categories(file);
        let measured = file.get("board").is_some_and(|board| board.get("temperature").is_some());
        for product in file.all("product") {
            if let Some(node) = product.get("max_temperature").filter(|_| !measured) {
                let what = "`max_temperature` needs a thermometer; write [board.temperature] with sensor";
                self.found.add(node.at(), what);
            }
            if let Some(node) = product.get("id")
                && let Some(id) = node.text()
                && ProductId::parse(id).is_some()
                && !(sold.is_empty() || sold.contains(&id))
            {
                let said = quote(id);
                let what = format!(
                    "product {said} is in no slot and can never be sold; write a [[slot]] with it, or leave it out"
                );
                self.found.add(node.at(), what);
            }
            if let Some(node) = product.get("picture") {
                self.named_picture(node, "picture");
            }
        }
    }
}

/// 1 to 64 letters, digits and `others`.
fn fits(name: &str, others: &str) -> bool {
    (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

fn is_host(host: &str) -> bool {
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match inside {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)),
    }
}
