//! What the command lines say to people and to other programs: answers on standard output, complaints on standard error.
//!
//! Policy: a reader who has heard enough and left (`| head -1`) is no error and stops nothing that is under way; a full
//! disk behind a redirection is one. Nothing that is said, or that can't be, ends the process.

mod code;
mod progress;
mod table;
pub mod tariff;

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

pub use code::half_blocks;
pub use progress::Progress;
pub use table::Table;

/// Standard output; what nobody reads any more counts as written.
#[derive(Debug, Default)]
pub struct Out;

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        unread(io::stdout().write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        unread(io::stdout().flush(), ())
    }
}

fn unread<T>(written: io::Result<T>, all: T) -> io::Result<T> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(all),
        other => other,
    }
}

/// One answer and the end of its line.
///
/// # Errors
/// It could not be written, although somebody is there to read it.
pub fn say(answer: impl Display) -> io::Result<()> {
    writeln!(Out, "{answer}")?;
    Out.flush()
}

/// One complaint. Where it can't be written there is nobody left to complain to.
pub fn complain(what: impl Display) {
    drop(writeln!(io::stderr(), "{what}"));
}

/// How long before `now`, roughly, of times in milliseconds; nothing where it never was.
pub fn ago(then: i64, now: i64) -> String {
    if then <= 0 {
        return String::new();
    }
    match (now - then).max(0) / 1000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rough_and_never_negative() {
        for (then, said) in [(0, ""), (2_000_000, "0 s"), (990_000, "10 s"), (1_000_000 - 120_000, "2 min")] {
            assert_eq!(ago(then, 1_000_000), said);
        }
        assert_eq!(ago(1, 1 + 3 * 3_600_000), "3 h");
        assert_eq!(ago(1, 1 + 72 * 3_600_000), "3 d");
    }
}
