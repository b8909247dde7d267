//! What is logged, in systemd's journal with its fields: `journalctl -u kioskd ORDER=…` tells one order's story.
//!
//! Every field of an event becomes a field of the entry, its name in capitals; `KIOSK` and `FLEET` are on each. Values
//! are cut at [`LONGEST`] bytes. Nothing is added that is not in the event, so what is kept out of logs is kept out here.
//!
//! The crate `tracing-journald` leaves the fields out of the message, where people read them, cuts nothing, and wants to
//! know the kiosk's name before the configuration is read; libsystemd is linked for the watchdog anyway.

use std::fmt::{Debug, Write};
use std::sync::OnceLock;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Of one value. journald itself takes more; nothing a person reads is longer.
pub const LONGEST: usize = 4096;

static KIOSK: OnceLock<[String; 2]> = OnceLock::new();

/// Who writes from now on; the first call counts.
pub fn name_kiosk(fleet: &str, kiosk: &str) {
    // A second kiosk in one process would be a test's.
    let _ = KIOSK.set([format!("FLEET={fleet}"), format!("KIOSK={kiosk}")]);
}

/// Whether standard error goes to the journal anyway, see `systemd.exec(5)`.
pub fn is_connected() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some() && systemd::daemon::booted().unwrap_or(false)
}

pub struct Journal;

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut entry = Entry::default();
        event.record(&mut entry);
        let fields = entry.finish(*event.metadata().level(), event.metadata().target());
        let fields: Vec<&str> = fields.iter().chain(KIOSK.get().into_iter().flatten()).map(String::as_str).collect();
        // There is nobody to tell that nobody can be told.
        let _ = systemd::journal::send(&fields);
    }
}

#[derive(Default)]
struct Entry {
    message: String,
    /// Behind the message, for people who read it without fields.
    told: String,
    fields: Vec<String>,
}

impl Entry {
    fn finish(self, level: Level, target: &str) -> Vec<String> {
        let priority = match level {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            _ => 7,
        };
        let mut fields = self.fields;
        fields.push(format!("MESSAGE={}{}", self.message, self.told));
        fields.push(format!("PRIORITY={priority}"));
        fields.push(format!("TARGET={target}"));
        fields.push("SYSLOG_IDENTIFIER=kioskd".into());
        fields
    }
}

impl Visit for Entry {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = format!("{value:?}");
        text.truncate(text.floor_char_boundary(LONGEST));
        if field.name() == "message" {
            self.message = text;
            return;
        }
        // Cannot fail: it is a string.
        let _ = write!(self.told, " {}={text}", field.name());
        self.fields.push(format!("{}={text}", key(field.name())));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

/// Capitals, digits and underscores, not beginning with an underscore: those are journald's own.
fn key(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let key: String = name.chars().map(plain).collect();
    key.trim_start_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<Vec<String>>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut entry = Entry::default();
            event.record(&mut entry);
            self.0.lock().unwrap().push(entry.finish(*event.metadata().level(), event.metadata().target()));
        }
    }

    #[test]
    fn an_event_becomes_an_entry_with_its_fields() {
        let kept = Kept::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(kept.clone()), || {
            tracing::info!(order = "01K", "order-paid");
            tracing::warn!(_odd.name = 7, "long {}", "語".repeat(LONGEST));
        });
        let kept = kept.0.lock().unwrap();
        let has = |nth: usize, field: &str| kept[nth].iter().any(|there| there == field);
        assert!(has(0, "ORDER=01K") && has(0, "MESSAGE=order-paid order=01K") && has(0, "PRIORITY=6"), "{kept:?}");
        assert!(has(1, "ODD_NAME=7") && has(1, "PRIORITY=4"));
        let message = kept[1].iter().find(|field| field.starts_with("MESSAGE=")).unwrap();
        assert!(message.len() <= LONGEST + 40 && message.ends_with(" _odd.name=7"), "cut between characters");
    }
}
