//! kioskd.
pub mod board;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod fleet;
pub mod kiosk;
pub mod ledger;
pub mod payment;
pub mod printer;
pub mod sale;
pub mod screen;
pub mod vending;
pub mod vocabulary;
pub mod world;
