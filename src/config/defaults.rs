//! The values of keys that a configuration leaves out.

use std::path::PathBuf;
use std::time::Duration;

use super::{Board, Bytes, Fleet, Gate, Panel, Printer, Product, Sale, Span, State};
use crate::vocabulary::{PaidWithoutIntent, UnknownDelivery};

impl Default for Sale {
    fn default() -> Self {
        Self {
            qr_life: Span::seconds(90),
            more_time: Span::seconds(60),
            grace: Span::seconds(600),
            lease: Span::seconds(30),
            unknown_delivery: UnknownDelivery::Refund,
            paid_without_intent: PaidWithoutIntent::Refund,
            attempts: 2,
            max_units: 6,
            pickup_numbers: false,
            browse_timeout: Span::seconds(60),
            result_timeout: Span::seconds(8),
            confirm_above: None,
            confirm_after_unpaid: Some(5),
            cool_down_after_unpaid: Some(10),
            cool_down: Span::seconds(60),
            silent_claim_after: Span::seconds(6 * 3600),
        }
    }
}

pub(super) fn time_zone() -> String {
    "UTC".into()
}

impl State {
    pub(super) fn reserve() -> Bytes {
        Bytes::mib(4)
    }

    pub(super) fn min_free() -> Bytes {
        Bytes::mib(16)
    }

    pub(super) fn outbox_max() -> u64 {
        1_000_000
    }
}

impl Panel {
    pub(super) fn frame_buffer() -> PathBuf {
        "/dev/fb0".into()
    }
}

impl Board {
    pub(super) fn heartbeat() -> Span {
        Span::seconds(2)
    }

    pub(super) fn max_on() -> u8 {
        1
    }
}

/// As a lane's own settings have them; a test compares them.
impl Gate {
    pub(super) fn tries() -> u32 {
        2
    }

    pub(super) fn free_again() -> u32 {
        1
    }

    pub(super) fn pulse() -> Span {
        Span(Duration::from_millis(500))
    }

    pub(super) fn rest() -> Span {
        Span(Duration::from_millis(300))
    }

    pub(super) fn travel() -> Span {
        Span::seconds(4)
    }

    pub(super) fn pass() -> Span {
        Span::seconds(60)
    }

    pub(super) fn back_out() -> Span {
        Span::seconds(5)
    }

    pub(super) fn gap() -> Span {
        Span::seconds(3)
    }

    pub(super) fn occupied() -> Span {
        Span(Duration::from_millis(100))
    }

    pub(super) fn clear() -> Span {
        Span(Duration::from_millis(500))
    }

    pub(super) fn calm() -> Span {
        Span::seconds(5)
    }

    pub(super) fn stuck() -> Span {
        Span::seconds(600)
    }

    pub(super) fn silent() -> Span {
        Span::seconds(3)
    }

    pub(super) fn fire_repeat() -> Span {
        Span::seconds(10)
    }

    pub(super) fn fire_release() -> Span {
        Span::seconds(10)
    }
}

impl Printer {
    pub(super) fn status_every() -> Span {
        Span::seconds(10)
    }

    pub(super) fn timeout() -> Span {
        Span::seconds(8)
    }
}

impl Fleet {
    pub(super) fn window() -> u16 {
        64
    }

    pub(super) fn start_delay() -> Span {
        Span::seconds(30)
    }

    pub(super) fn reconnect_max() -> Span {
        Span::seconds(300)
    }

    pub(super) fn telemetry_every() -> Span {
        Span::seconds(60)
    }

    pub(super) fn inspection_every() -> Span {
        Span::seconds(24 * 3_600)
    }

    /// Longer than a network that was away with the restart takes to come back.
    pub(crate) fn trial() -> Span {
        Span::seconds(300)
    }
}

impl Product {
    pub(super) fn max_temperature_for() -> Span {
        Span::seconds(1800)
    }
}
