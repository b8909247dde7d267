//! Polls rumqttc without losing packets.

use rumqttc::{ConnectionError, Event, EventLoop};

/// Polls once, and hands the event loop back. A poll that is dropped half way may lose a packet, so it is kept until it
/// ends, whatever else is waited for meanwhile; that is easiest when it owns what it works on.
pub(crate) async fn poll_once(mut events: EventLoop) -> (EventLoop, Result<Event, ConnectionError>) {
    let event = events.poll().await;
    (events, event)
}
