//! kioskd: an unattended point of sale on a small Linux board.
//!
//! The map, from the top to the bottom. A folder is a room; its `//!` says what it is for and its policy. A room imports
//! only from rooms below it in this order, so each can be read and tested without those above.
//!
//! - `demo` the machine in a box: the simulated world, on a web page
//! - `simulate` a fleet of machines whose surroundings are pretended, for load and for trying a rollout
//! - [`console`] what the command lines say
//! - [`kiosk`] where everything is put together, and the event loop: take an [event](sale::Event), decide, commit, act
//! - [`bundle`] what support needs of a kiosk, in one file · [`probe`] what this machine has
//! - [`dbus`] the kiosk on the machine's bus, for technicians and other programs
//! - [`update`] new software: fetched, installed, and the former started again
//! - [`download`] files known by their SHA-256, over HTTPS
//! - [`fleet`] the ledger's events to the back end, its acknowledgements, the gateway with the merchant's keys, and
//!   the collector
//! - [`ledger`] what was decided, on disk before anything is done about it
//! - [`payment`] rails (WeChat Pay, Alipay, EMV codes, the gateway, the sandbox) and bills
//! - The other edges: [`printer`] the paper · [`screen`] the glass · [`input`] touch, keypad and scanner · [`board`] relays
//!   and sensors
//! - [`vending`] the pure planogram, a shop that the sale asks · [`parking`] what a stay in a car park costs, and why; its
//!   tickets, what its lanes tell each other, and what a lane with its gate does
//! - [`sale`] the pure state machine
//! - [`config`] the operator's file, checked where it stands
//! - [`emv`] codes that a bank account stands behind, pure too
//! - [`signed`] what is believed because somebody signed it, and with what we sign
//! - [`world`] the wire between simulated drivers and what is around them · [`service`] what systemd is told, and its journal
//! - [`operation`] what people may ask of the machine, and what came of it
//! - [`vocabulary`] the words every room shares: money, names, times, charges, places

// Where a device can't be asked without it, the one function says why.
#![deny(unsafe_code)]

pub mod board;
pub mod bundle;
pub mod config;
pub mod console;
pub mod dbus;
#[cfg(feature = "demo")]
pub mod demo;
pub mod download;
pub mod emv;
pub mod fleet;
pub mod input;
pub mod kiosk;
pub mod ledger;
pub mod operation;
pub mod parking;
pub mod payment;
pub mod printer;
pub mod probe;
pub mod sale;
pub mod screen;
pub mod service;
pub mod signed;
#[cfg(feature = "back-end")]
pub mod simulate;
pub mod update;
pub mod vending;
pub mod vocabulary;
pub mod world;
