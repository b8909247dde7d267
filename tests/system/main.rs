//! The whole machine in the laboratory: the daemon under its own unit and systemd, on a screen, lines, a touch sensor and a
//! printer of the kernel's. The customer's eye is the pixels read back, the finger a touch sensor, the motors answer relays
//! seen from outside, and the paper is what arrives at the printer.
#![cfg(feature = "demo")]

mod bus;
mod guest;
mod host;
mod office;
mod offline;
mod raspberry;
mod ssh;
mod street;
mod technician;
mod troubles;
mod update;

use serde::{Deserialize, Serialize};

/// What the street inside of the machine is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    day: Day,
    /// In the order in which a customer meets them.
    pages: Vec<Sign>,
    /// Where each product is on the page to choose.
    products: Vec<(u32, u32)>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Day {
    /// Customers, one after the other; in the middle of the pulse of every so manieth the daemon is killed.
    Sales { sales: u32, kill_every: u32 },
    /// Customers, until the power is cut.
    UntilTheCut,
    /// What is around the daemon fails, one after the other.
    Troubles,
    /// A customer every so many minutes, while the broker is away; then it comes back. Time passes when nobody has
    /// anything to do, so nothing is looked at that would have to be asked again and again.
    Offline { hours: u64, minutes: u64 },
}

/// How a customer knows a page: what is to be touched, as a picture.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sign {
    target: String,
    x: u32,
    y: u32,
    /// A file beside the plan.
    picture: String,
}

/// What the street has seen, one line each in `world`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "seen", rename_all = "kebab-case")]
enum Seen {
    /// The first page after the machine was switched on.
    Open,
    /// A touch came to nothing, on the way to that page.
    TouchedAgain {
        page: usize,
    },
    Paid {
        payload: String,
    },
    RelayOn {
        slot: String,
        /// Of the machine's monotonic clock.
        at_us: u64,
    },
    RelayOff {
        slot: String,
        on_ms: u64,
    },
    /// A motor has turned far enough.
    Turned {
        slot: String,
    },
    Fell {
        slot: String,
    },
    /// The daemon was killed; the relay was off so long after it.
    Killed {
        off_after_ms: u64,
    },
    Receipt {
        text: String,
    },
    /// A quarter of the time has passed without the broker: what the daemon and its ledger need, in bytes; `memory` is as
    /// systemd counts it, with what the kernel keeps of its files, `own` without.
    Quarter {
        sales: u64,
        own: u64,
        memory: u64,
        disk: u64,
    },
    /// Something has failed, or is mended; `glass` is a picture of it, `state` what the fleet is told.
    Trouble {
        what: String,
        glass: String,
        state: serde_json::Value,
    },
}

/// What the street knows at the end.
#[derive(Debug, Serialize, Deserialize)]
struct Result {
    /// The ledger's, by `kioskctl`.
    orders: serde_json::Value,
    verified: String,
    /// The provider's.
    book: serde_json::Value,
    /// What the back end of the fleet has stored: numbers without a gap, as events are.
    events: u64,
    /// Of the daemon, as systemd counts it.
    memory: u64,
    /// From the process's start to its first frame, where nothing else happens; by systemd.
    first_frames_ms: Vec<u64>,
    /// When the journal was told that an order is paid, by the monotonic clock.
    paid_us: Vec<u64>,
    /// The journal's lines of `kioskd relays-safe`.
    made_safe: u32,
}
