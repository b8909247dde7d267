//! The newest lines of what is logged, in memory, for whoever can't read the journal: the fleet's office.
//!
//! Policy: it holds this run's alone, and never more than [`ROOM`]; a line is cut at [`LONGEST`]. A line has the event's time,
//! level, message and fields, and nothing that is not in the event, so what is kept out of logs is kept out here. Handing over a
//! line waits for nobody.

use std::collections::VecDeque;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::vocabulary::one_line;

/// Bytes of all lines.
pub const ROOM: usize = 256 << 10;
/// Bytes of one line.
pub const LONGEST: usize = 4096;
/// As every line begins, so that lines can be compared as texts.
const TIME: &str = "%Y-%m-%dT%H:%M:%S%.3fZ";

/// A handle; all of them hold the same lines.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<VecDeque<u8>>>);

impl Log {
    /// At most so many of the newest lines, none from before `since`, oldest first. Times are those of the machine's clock when it
    /// was logged.
    pub fn newest(&self, lines: usize, since: Option<Timestamp>) -> String {
        let kept: Vec<u8> = self.kept().iter().copied().collect();
        let kept = String::from_utf8_lossy(&kept);
        let since = since.map(|since| since.strftime(TIME).to_string()).unwrap_or_default();
        let newest: Vec<&str> = kept.lines().rev().filter(|line| **line >= *since).take(lines).collect();
        newest.into_iter().rev().flat_map(|line| [line, "\n"]).collect()
    }

    fn keep(&self, line: &str) {
        let line = line.as_bytes();
        let mut kept = self.kept();
        if kept.capacity() < ROOM {
            // Once, so that it never becomes more. What was not written to is no memory yet.
            kept.reserve_exact(ROOM);
        }
        while kept.len() + line.len() + 1 > ROOM {
            let oldest = kept.iter().position(|byte| *byte == b'\n').map_or(kept.len(), |end| end + 1);
            kept.drain(..oldest);
        }
        kept.extend(line);
        kept.push_back(b'\n');
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log({} bytes)", self.kept().len())
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let time = Timestamp::now().strftime(TIME);
        let mut text = format!("{time} {:>5} ", event.metadata().level());
        text.extend(one_line(&line.message).chain(one_line(&line.fields)));
        text.truncate(text.floor_char_boundary(LONGEST));
        self.keep(&text);
    }
}

/// What a formatter writes of it is cut while it is written: nobody knows how long it would become.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

struct Cut<'l>(&'l mut String);

impl Write for Cut<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let left = LONGEST.saturating_sub(self.0.len());
        self.0.push_str(&text[..text.floor_char_boundary(left)]);
        Ok(())
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Cannot fail: it is a string.
        let _ = match field.name() {
            "message" => write!(Cut(&mut self.message), "{value:?}"),
            name => write!(Cut(&mut self.fields), " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn logged(say: impl FnOnce()) -> Log {
        let log = Log::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log.clone()), say);
        log
    }

    #[test]
    fn a_line_has_time_level_message_and_fields_and_is_one_line() {
        let log = logged(|| {
            tracing::info!(order = "01K", why = %"two\nlines", "order-paid");
            tracing::warn!("a\tb");
        });
        let told = log.newest(9, None);
        let lines: Vec<&str> = told.lines().collect();
        let [first, second] = lines.as_slice() else { panic!("{lines:?}") };
        let (time, rest) = first.split_once(' ').unwrap();
        assert!(time.parse::<Timestamp>().is_ok() && time.len() == 24, "{time}");
        assert_eq!(rest, " INFO order-paid order=01K why=two lines");
        assert!(second.ends_with("  WARN a b"), "{second}");
        assert_eq!(log.newest(1, None), format!("{second}\n"));
        assert_eq!(log.newest(0, None), "");
    }

    #[test]
    fn a_hundred_thousand_lines_and_an_endless_one_take_the_room_and_no_more() {
        let log = logged(|| {
            for number in 0..100_000 {
                tracing::info!(number, "so it goes");
            }
        });
        let all = log.newest(usize::MAX, None);
        assert!(all.len() <= ROOM && all.len() > ROOM - 100, "{}", all.len());
        assert!(log.kept().capacity() <= ROOM + LONGEST, "{}", log.kept().capacity());
        let numbers: Vec<usize> =
            all.lines().map(|line| line.split_once("number=").unwrap().1.parse().unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]) && numbers.last() == Some(&99_999));
        assert_eq!(log.newest(2_000, None).lines().count(), 2_000);

        let log = logged(|| {
            tracing::info!(long = "語".repeat(1 << 20), "before");
            tracing::info!("after");
        });
        let all = log.newest(9, None);
        let lengths: Vec<usize> = all.lines().map(str::len).collect();
        assert!(lengths[0] <= LONGEST && lengths[0] > LONGEST - 4 && lengths.len() == 2, "{lengths:?}");
    }

    #[test]
    fn what_is_from_before_is_left_out() {
        let log = Log::default();
        for line in
            ["2026-11-30T09:00:00.000Z  INFO a", "2026-11-30T09:00:01.500Z  INFO b", "1970-01-01T00:00:01.000Z  INFO c"]
        {
            log.keep(line);
        }
        let since = |text: &str| log.newest(9, Some(text.parse().unwrap()));
        assert_eq!(since("2026-11-30T09:00:01.5Z"), "2026-11-30T09:00:01.500Z  INFO b\n");
        assert_eq!(since("2026-11-30T17:00:00+08:00").lines().count(), 2, "an offset is read");
        assert_eq!(since("2027-01-01T00:00:00Z"), "");
    }
}
