//! kioskd: an unattended point of sale on a small Linux board.
//!
//! The map, in the order data flows. A folder is a room; its `//!` says what it is for and its policy.
//!
//! - [`vocabulary`] the words every room shares: money, names, times
//! - [`config`] the operator's file, checked where it stands
//! - [`kiosk`] where everything is put together, and the event loop: take an [event](sale::Event), decide, commit, act
//! - [`sale`] the pure state machine; [`vending`] the pure planogram
//! - [`ledger`] what was decided, on disk before anything is done about it
//! - [`payment`] rails (WeChat Pay, Alipay, EMV codes, the gateway, the sandbox), fees and bills · [`board`] relays and
//!   sensors · [`input`] touch, keypad and scanner · [`screen`] the glass · [`printer`] the paper: the edges
//! - [`fleet`] the ledger's events to the back end, its acknowledgements, and the gateway with the merchant's keys
//! - [`signed`] what is believed because somebody signed it, and the keys · [`service`] what systemd is told, and its journal
//! - [`console`] what the command lines say
//! - [`world`] the wire between simulated drivers and what is around them · `demo` that world, on a web page

// Where a device can't be asked without it, the one function says why.
#![deny(unsafe_code)]

pub mod board;
pub mod config;
pub mod console;
#[cfg(feature = "demo")]
pub mod demo;
pub mod fleet;
pub mod input;
pub mod kiosk;
pub mod ledger;
pub mod payment;
pub mod printer;
pub mod probe;
pub mod sale;
pub mod screen;
pub mod service;
pub mod signed;
pub mod vending;
pub mod vocabulary;
pub mod world;
