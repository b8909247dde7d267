//! Rails: how a charge is made, watched, closed and given back at a provider.
//!
//! Policy: an answer is believed only when it is verified (signature, and every field that must match: order, charge,
//! currency). Whatever else happens (time-outs, 5xx, answers that can't be verified) is [`RailError::Unknown`], which
//! is neither paid nor unpaid. A rail decides nothing about orders; it reports, and `sale` decides.
//!
//! The shape is what the odd providers need: a charge may not exist at the provider until somebody has scanned it
//! ([`Standing::Absent`]), a close may be answered and yet not hold, a cancel may give the money back by itself
//! ([`ChargeReport::returned`]), and a refund is repeated only with the same number and amount.
//!
//! [`RailError::Unknown`]: crate::vocabulary::RailError::Unknown
//! [`Standing::Absent`]: crate::vocabulary::Standing::Absent
//! [`ChargeReport::returned`]: crate::vocabulary::ChargeReport::returned

pub mod alipay;
pub mod bill;
mod clock;
pub mod gateway;
pub mod http;
pub mod open;
pub mod probe;
mod rail;
pub mod rates;
pub mod sandbox;
pub mod wechat;

pub use clock::ProviderClock;
pub use rail::{Answer, Notification, Notifies, Rail};
