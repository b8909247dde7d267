//! What a kiosk of a car park needs to know of its site.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;
use crate::signed::keys::KeySource;
use crate::vocabulary::LaneId;
use crate::vocabulary::fee::Day;

/// The kiosk is a lane or a pay station of [a car park](parking.md), and sells no products: `[[product]]` and `[[slot]]` are left out.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parking {
    pub mode: Mode,
    /// The car park's number, in all its codes.
    #[schemars(range(min = 1, max = 65_535), extend("examples" = [7]))]
    pub site: u16,
    /// This kiosk's number at its site. A board that is replaced goes on under a number that was not used before.
    #[schemars(range(min = 1, max = 99), extend("examples" = [1]))]
    pub lane: u8,
    /// What a stay costs; see [the tariff](tariff.md).
    #[schemars(extend("examples" = ["tariffs/city.toml"]))]
    pub tariff: PathBuf,
    /// Cars that may be inside; without it nobody is kept out.
    #[schemars(range(min = 1, max = 1_000_000), extend("examples" = [300]))]
    pub places: Option<u32>,
    /// The private half of the site's key (PEM, PKCS#8), which signs tickets and exit passes. Without it the kiosk gives out
    /// neither.
    #[schemars(extend("examples" = ["file:/etc/kioskd/site.key"]))]
    pub issuing_key: Option<KeySource>,
    /// What an entry gives to a car whose plate a camera has read.
    #[serde(default)]
    pub tickets: Tickets,
    /// So long this lane may have stood still before somebody told it the time: the doubt about an entry is never longer.
    #[serde(default = "Parking::clock_doubt")]
    #[schemars(extend("x-minimum" = "15min", "x-maximum" = "63h"))]
    pub clock_doubt: Span,
    /// Whose signatures count on tickets, passes and validations: the site's keys and its shops', two of each at most.
    #[serde(default)]
    pub keys: Vec<CodeKey>,
    /// All lanes and pay stations of the site, this one among them; 32 at most.
    #[serde(default)]
    pub lanes: Vec<LaneKey>,
    /// [Season passes](parking.md#season-passes) whose cars need no code, and those that count no more. The same at all kiosks of the site.
    #[serde(default)]
    pub passes: Vec<ListedPass>,
}

/// What it does for cars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It gives out tickets and lets cars in.
    Entry,
    /// Stays are paid here, and there is no gate.
    PayStation,
    /// It lets cars out, and takes what is still due where there is a `[[rail]]`.
    Exit,
}

/// What a car comes in with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tickets {
    /// A ticket by the button; the plate stands on it.
    #[default]
    Paper,
    /// Its plate: it is let in at once, without a ticket. A car whose plate was not read takes a ticket. The gate needs its `presence`.
    Plate,
}

/// A public key of codes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeKey {
    /// As it stands in the codes; another key has another.
    #[schemars(range(min = 0, max = 255), extend("examples" = [1]))]
    pub number: u8,
    /// PEM. Only who runs the daemon with `--keys` may leave it out.
    #[schemars(extend("examples" = ["site-1.pem"]))]
    pub file: Option<PathBuf>,
    /// The shop whose key it is, which signs validations: letters, digits, `_` and `-`, at most 32. Without it the key is the site's.
    #[schemars(length(min = 1, max = 32), extend("examples" = ["bakery"], "pattern" = "^[0-9A-Za-z_-]{1,32}$"))]
    pub shop: Option<String>,
}

/// A lane or pay station, as the others know it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LaneKey {
    /// The same twice is a lane that changes its key: both count.
    #[schemars(range(min = 1, max = 99), extend("examples" = [1]))]
    pub number: u8,
    /// What people call it.
    #[schemars(extend("examples" = ["entry-1"]))]
    pub name: LaneId,
    /// The public half of that kiosk's own key (PEM), its `[fleet] signing_key`. Only who runs the daemon with `--keys` may leave
    /// it out.
    #[schemars(extend("examples" = ["lane-1.pem"]))]
    pub file: Option<PathBuf>,
    /// It is out of use for good: what it said still counts, and nobody waits for it.
    #[serde(default)]
    pub retired: bool,
}

/// A season pass that is known without its code, or that counts no more.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListedPass {
    /// As whoever issues passes counts; no other has it.
    #[schemars(range(min = 0, max = 4_294_967_295_u32), extend("examples" = [17]))]
    pub number: u32,
    /// It counts no more, whatever its code says; all but the number may be left out.
    #[serde(default)]
    pub withdrawn: bool,
    /// Which of the tariff's season passes it is, by its name.
    #[schemars(extend("examples" = ["office"]))]
    pub season: Option<String>,
    /// Its last day, where the car park is.
    #[schemars(extend("examples" = ["2026-12-31"]))]
    pub until: Option<Day>,
    /// The car that is let in and out with it, when a camera has read its plate.
    #[schemars(extend("examples" = ["KN AB 123"]))]
    pub plate: Option<String>,
}

impl Parking {
    pub(super) fn clock_doubt() -> Span {
        Span::seconds(4 * 3_600)
    }

    pub(super) fn resolve(&mut self, directory: &Path) {
        self.tariff = directory.join(&self.tariff);
        self.issuing_key.iter_mut().for_each(|key| key.resolve(directory));
        let files =
            self.keys.iter_mut().map(|key| &mut key.file).chain(self.lanes.iter_mut().map(|lane| &mut lane.file));
        files.flatten().for_each(|file| *file = directory.join(&file));
    }

    /// Keys that the file does not name lie in this folder, by their numbers.
    pub fn keys_in(&mut self, folder: &Path) {
        self.issuing_key.get_or_insert_with(|| KeySource::File(folder.join("site.key")));
        for key in &mut self.keys {
            key.file.get_or_insert_with(|| folder.join(format!("site-{}.pem", key.number)));
        }
        for lane in &mut self.lanes {
            lane.file.get_or_insert_with(|| folder.join(format!("lane-{}.pem", lane.number)));
        }
    }
}
