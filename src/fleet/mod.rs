//! The fleet: what a kiosk and its back end say to each other over MQTT 3.1.1.
//!
//! Policy: the broker is a postman, not a store and not a friend. Nothing counts as delivered before the back end has
//! said so with the hash of what it holds; nothing said over the broker can make the kiosk forget an event.
//!
//! - [`topic`] every topic as a type; no other place writes one as text.
//! - [`link`] the kiosk's end of the wire.
//! - [`proof`] what a kiosk has said, checked by whoever has its public key.
//! - [`tls`] how a client believes its broker, and is believed.
//! - `gateway` the process in the back end that holds the merchant's keys.
//! - [`keygen`] their keys.

#[cfg(feature = "back-end")]
pub mod gateway;
pub mod keygen;
pub mod link;
pub mod proof;
pub mod tls;
pub mod topic;
mod turn;

pub(crate) use turn::turn;
