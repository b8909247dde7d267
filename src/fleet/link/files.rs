//! Files that belong to the answers to commands: a picture of the glass, the log, a bundle.
//!
//! Policy: one part is on its way, and the next goes when the broker has taken it; so a file takes no more of the connection,
//! and of the memory, than a part, and events go between. Few files are made or wait at once, and only so many in a time: who
//! owns the broker can repeat what was asked.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::fleet::command::{CommandStatus, Sending, Stage};
use crate::fleet::rate_limiter::RateLimiter;

/// So many are made or wait: each is in memory until it has gone.
const FILES: usize = 2;
/// So many at once, and then one each [`EVERY`].
const BURST: u32 = 8;
const EVERY: Duration = Duration::from_secs(30);

/// Why no file is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoFile {
    /// Whoever waits for it hears of that one.
    #[error("the file for this very command is under way")]
    UnderWay,
    #[error("too many files at once; ask again in a minute")]
    TooMany,
}

#[derive(Debug)]
pub(super) struct Files {
    /// The numbers of the commands whose files are being made.
    made: BTreeSet<String>,
    sent: VecDeque<Sending>,
    allowed: RateLimiter,
}

impl Default for Files {
    fn default() -> Self {
        let allowed = RateLimiter::new(BURST, EVERY, Instant::now());
        Self { made: BTreeSet::new(), sent: VecDeque::new(), allowed }
    }
}

impl Files {
    /// One is about to be made.
    pub fn begin(&mut self, id: &str, now: Instant) -> Result<(), NoFile> {
        if self.made.contains(id) || self.sent.iter().any(|file| file.id() == id) {
            return Err(NoFile::UnderWay);
        }
        if self.made.len() + self.sent.len() >= FILES || !self.allowed.allowed(now) {
            return Err(NoFile::TooMany);
        }
        self.made.insert(id.to_owned());
        Ok(())
    }

    /// It was made.
    pub fn send(&mut self, file: Sending) {
        self.made.remove(file.id());
        self.sent.push_back(file);
    }

    /// It was not.
    pub fn leave(&mut self, id: &str) {
        self.made.remove(id);
    }

    /// The next part, or the end of a file. To be called when the broker has taken the part before it.
    pub fn next(&mut self) -> Option<CommandStatus> {
        let part = self.sent.front_mut()?.part();
        part.or_else(|| self.sent.pop_front().map(Sending::end))
    }

    /// A part could not go now.
    pub fn put_back(&mut self, part: &CommandStatus) {
        if let Some((at, number)) = self.find(part) {
            self.sent[at].put_back(number);
        }
    }

    /// A part went and has not arrived. What is said where the connection is not good enough for its file.
    pub fn lost(&mut self, part: &CommandStatus) -> Option<CommandStatus> {
        let (at, number) = self.find(part)?;
        if self.sent[at].lost(number) {
            return None;
        }
        self.sent.remove(at);
        let why = "the connection was lost again and again while its file was sent".to_owned();
        Some(CommandStatus { reason: Some(why), ..CommandStatus::new(&part.verb, &part.id, Stage::Failed) })
    }

    fn find(&self, part: &CommandStatus) -> Option<(usize, u32)> {
        let at = self.sent.iter().position(|file| file.id() == part.id)?;
        Some((at, part.part.as_ref()?.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(id: &str, length: usize) -> Sending {
        Sending::new(CommandStatus::new("bundle", id, Stage::Successful), vec![1; length]).unwrap()
    }

    fn next(files: &mut Files) -> Option<(String, Option<u32>)> {
        files.next().map(|said| (said.id, said.part.map(|part| part.number)))
    }

    #[test]
    fn one_file_goes_after_the_other_and_each_ends() {
        let (mut files, now) = (Files::default(), Instant::now());
        assert_eq!(files.begin("a", now), Ok(()));
        assert_eq!(files.begin("a", now), Err(NoFile::UnderWay));
        assert_eq!(files.begin("b", now), Ok(()));
        assert_eq!(files.begin("c", now), Err(NoFile::TooMany));
        files.send(file("b", 20_000));
        assert_eq!(files.begin("b", now), Err(NoFile::UnderWay), "until all of it has gone");
        assert_eq!(files.begin("c", now), Err(NoFile::TooMany));
        let said = |id: &str, part| Some((id.to_owned(), part));
        assert_eq!(next(&mut files), said("b", Some(1)));
        files.send(file("a", 1));
        assert_eq!(
            std::iter::from_fn(|| next(&mut files)).map(Some).collect::<Vec<_>>(),
            [said("b", Some(2)), said("b", None), said("a", Some(1)), said("a", None)]
        );
        assert_eq!(files.begin("c", now), Ok(()));
        files.leave("c");
        assert_eq!((next(&mut files), files.begin("c", now)), (None, Ok(())));
    }

    #[test]
    fn who_repeats_a_command_gets_few_files() {
        let (mut files, now) = (Files::default(), Instant::now());
        let made = |files: &mut Files, now| {
            (0..100).filter(|_| files.begin("a", now).map(|()| files.leave("a")).is_ok()).count()
        };
        assert_eq!(made(&mut files, now), BURST as usize);
        assert_eq!(made(&mut files, now + 3 * EVERY), 3);
    }

    #[test]
    fn a_part_that_is_lost_goes_again_and_then_its_file_is_given_up() {
        let (mut files, now) = (Files::default(), Instant::now());
        for id in ["a", "b"] {
            files.begin(id, now).unwrap();
            files.send(file(id, 1));
        }
        let part = files.next().unwrap();
        for _ in 0..2 {
            assert_eq!(files.lost(&part), None);
            assert_eq!(files.next(), Some(part.clone()));
        }
        let end = files.lost(&part).unwrap();
        assert_eq!((end.id.as_str(), end.status), ("a", Stage::Failed));
        assert_eq!(next(&mut files), Some(("b".into(), Some(1))), "the next has its turn");
        assert_eq!(files.lost(&part), None, "of a file that is given up nothing comes back");
    }
}
