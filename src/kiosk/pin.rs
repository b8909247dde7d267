//! The check of a service PIN.

use crate::signed::pin::PinHash;
use crate::vocabulary::Pin;

/// Whether it is this hash's PIN, found out on a thread of its own: it takes a while, and much memory. A check that does not
/// come to its end lets nobody in, and neither does a kiosk without a PIN.
pub async fn matches(hash: Option<PinHash>, pin: Pin) -> bool {
    let check = move || hash.is_some_and(|hash| hash.matches(&pin));
    tokio::task::spawn_blocking(check).await.unwrap_or(false)
}
