//! What a rollout has done, in a file beside its plan: one JSON document a line.
//!
//! Policy: a line is on disk before anything is done about it. What a crash has left of a line counts as not written. One
//! process works on a plan at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RolloutError;
use super::course::Entry;
use super::plan::Texts;
use crate::fleet::topic::Name;
use crate::vocabulary::Wall;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
pub enum Line {
    /// Everything that will be sent is here, whatever becomes of the files.
    Begun {
        digest: String,
        plan: String,
        texts: Texts,
        waves: Vec<Vec<Name>>,
        at: Wall,
    },
    Apply {
        entry: Entry,
    },
    /// It is undone with these machines; each time `--undo` begins anew the round is one higher.
    UndoBegun {
        round: u32,
        machines: Vec<Name>,
        at: Wall,
    },
    Undo {
        entry: Entry,
    },
}

#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// `plan.toml.state` beside `plan.toml`.
    pub fn beside(plan: &Path) -> PathBuf {
        let mut name = plan.as_os_str().to_owned();
        name.push(".state");
        name.into()
    }

    /// Opens or begins the file, and reads what is in it.
    ///
    /// # Errors
    /// Another process works on it, or it is not such a file.
    pub fn open(plan: &Path) -> Result<(Self, Vec<Line>), RolloutError> {
        let path = Self::beside(plan);
        let failed = |source| RolloutError::File { path: path.clone(), source };
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).mode(0o600).open(&path);
        let mut file = file.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(RolloutError::Held { path }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole < text.len() {
            file.set_len(whole as u64).and_then(|()| file.sync_all()).map_err(failed)?;
            file.seek(SeekFrom::End(0)).map_err(failed)?;
        }
        let mut lines = Vec::new();
        for (nth, line) in text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
            let read = serde_json::from_slice(line);
            lines.push(read.map_err(|source| RolloutError::State { path: path.clone(), line: nth + 1, source })?);
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok((Self { file, path }, lines))
    }

    /// Writes lines; they are on disk when this returns.
    ///
    /// # Errors
    /// Nobody knows how much of it is on disk: the process is to end, and the next to read it.
    pub fn write(&mut self, lines: &[Line]) -> Result<(), RolloutError> {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        let written = self.file.write_all(&text).and_then(|()| self.file.sync_data());
        written.map_err(|source| RolloutError::File { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_crash_has_left_of_a_line_was_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let plan = folder.path().join("plan.toml");
        let kiosk = Name::parse("K1").unwrap();
        let sent = Line::Apply { entry: Entry::Sent { kiosk: kiosk.clone(), ctr: 7, exp: 8, at: Wall(9) } };
        let begun = Line::UndoBegun { round: 1, machines: vec![kiosk], at: Wall(10) };
        let (mut journal, lines) = Journal::open(&plan).unwrap();
        assert_eq!(lines, []);
        assert!(matches!(Journal::open(&plan), Err(RolloutError::Held { .. })));
        journal.write(&[sent.clone(), begun.clone()]).unwrap();
        drop(journal);
        let path = Journal::beside(&plan);
        let whole = std::fs::read(&path).unwrap();
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for cut in [whole.len() - 1, first + 1, first] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, lines) = Journal::open(&plan).unwrap();
            assert_eq!(lines, std::slice::from_ref(&sent));
            journal.write(std::slice::from_ref(&begun)).unwrap();
            drop(journal);
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
        std::fs::write(&path, "{}\n").unwrap();
        assert!(matches!(Journal::open(&plan), Err(RolloutError::State { line: 1, .. })));
    }
}
