//! What is believed because somebody signed it, and with what we sign: for payments, and for the fleet. And whom a PIN lets
//! in.
//!
//! Policy: a message is believed for its signature, not for the way it came. A secret is named by its place and never shown.
//!
//! - [`jws`] signed messages between a kiosk and its back end.
//! - [`keys`] where keys lie, who may read them, and RSA with them.
//! - [`keyset`] whose commands count, signed by the fleet's root.
//! - [`pin`] the service PIN, of which only the hash is kept.
//! - [`statement`] what a kiosk gives people to carry away: the report of a test, the seal of a bundle.
//! - `roots` the certificates that TLS is verified against.

pub mod jws;
pub mod keys;
pub mod keyset;
pub mod pin;
mod roots;
pub mod statement;

pub use roots::{RootsError, root_certificates};
