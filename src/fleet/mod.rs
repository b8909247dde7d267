//! The fleet: a kiosk and its back end exchange messages over MQTT 3.1.1.
//!
//! Policy: the broker is trusted to forward messages, and with nothing else: it is no storage, and it may be hostile.
//! No event counts as delivered before the back end has acknowledged it with the hash of what it holds, and no message
//! over the broker can make the kiosk forget an event.
//!
//! - [`topic`] has every topic as a type; no other place writes one as text.
//! - [`link`] is the kiosk's connection to the broker.
//! - [`command`] is what the office asks of a kiosk, and who is believed.
//! - [`inspection`] is what a kiosk says, signed, of every part of itself.
//! - [`proof`] checks a kiosk's events and checkpoints with its public key.
//! - [`tls`] configures how a client verifies its broker and identifies itself.
//! - `gateway` is the process in the back end that holds the merchant's keys.
//! - [`figures`] is telemetry, and [`metrics`] answers a Prometheus with it.
//! - `office` makes keysets and sends commands.
//! - `collector` stores what the kiosks tell, and acknowledges it.
//! - [`enroll`] is how a machine comes into a fleet: its request, and the office's answer.
//! - [`keygen`] makes key pairs for kiosks and gateways.

pub(crate) mod back_off;
#[cfg(feature = "back-end")]
pub mod collector;
pub mod command;
pub mod enroll;
pub mod figures;
#[cfg(feature = "back-end")]
pub mod gateway;
pub mod inspection;
pub mod keygen;
pub mod link;
pub mod metrics;
#[cfg(feature = "back-end")]
pub mod office;
mod poll;
pub mod proof;
mod rate_limiter;
#[cfg(feature = "back-end")]
pub mod rollout;
pub mod tls;
pub mod topic;

pub(crate) use poll::poll_once;
