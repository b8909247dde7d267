//! What is wrong with a file that a person has written, and where.

use std::path::{Path, PathBuf};

use super::counted::plural;
use super::text::one_line;

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it is not the file itself: one that it names.
    pub file: Option<PathBuf>,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong and what to write instead; one line.
    pub what: String,
}

/// So many are told of one file; a person mends these first.
const MOST: usize = 100;

impl Problem {
    /// What is wrong with `text`, by the byte at which it is, in the order of the file.
    pub fn all(text: &str, mut wrong: Vec<(usize, String)>) -> Vec<Self> {
        wrong.sort();
        wrong.dedup();
        let more = wrong.len().saturating_sub(MOST);
        if more > 0 {
            wrong.truncate(MOST + 1);
            wrong[MOST].1 = format!("and {} more; mend those above first", plural(more as u64, "problem"));
        }
        // One way through the text, however many there are.
        let (mut line, mut column, mut from) = (1, 1, 0);
        let mut problems = Vec::with_capacity(wrong.len());
        for (at, what) in wrong {
            let at = at.min(text.len());
            let (lines, columns) = place_in(&text.as_bytes()[from..at]);
            (line, column) = if lines > 0 { (line + lines, columns + 1) } else { (line, column + columns) };
            from = at;
            problems.push(Self { file: None, line, column, what });
        }
        problems
    }

    /// A line for each, as `FILE:LINE:COLUMN: what`; `path` is the file itself.
    pub fn lines(problems: &[Self], path: &Path) -> String {
        let line = |Self { file, line, column, what }: &Self| {
            let what: String = one_line(what).collect();
            format!("{}:{line}:{column}: {what}", file.as_deref().unwrap_or(path).display())
        };
        problems.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Line and column of a byte, both from 1, the column in characters.
pub(crate) fn place(text: &str, at: usize) -> (usize, usize) {
    let (lines, columns) = place_in(&text.as_bytes()[..at.min(text.len())]);
    (lines + 1, columns + 1)
}

/// How many lines end in a part of a text, and how many characters come after the last.
fn place_in(part: &[u8]) -> (usize, usize) {
    let lines = part.iter().filter(|&&b| b == b'\n').count();
    let start = part.iter().rposition(|&b| b == b'\n').map_or(0, |newline| newline + 1);
    // Every character has exactly one byte that does not continue another.
    (lines, part[start..].iter().filter(|&&b| b & 0xC0 != 0x80).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_problems_are_told_in_one_way_through_the_text() {
        let text = "é = 1\n".repeat(40_000);
        let starts = (0..40_000).flat_map(|line| [(line * 7 + 2, "key".to_owned()), (line * 7, "line".to_owned())]);
        let wrong: Vec<_> = starts.chain([(0, "line".to_owned())]).collect();
        let told = Problem::all(&text, wrong.clone());
        assert_eq!(told.len(), MOST + 1);
        for (problem, (nth, what)) in told.iter().zip((0..).flat_map(|nth| [(nth, "line"), (nth, "key")])).take(MOST) {
            let place = place(&text, nth * 7 + if what == "key" { 2 } else { 0 });
            assert_eq!((problem.line, problem.column, problem.what.as_str()), (place.0, place.1, what));
        }
        assert!(told[MOST].what.starts_with("and 79900 problems more"), "{:?}", told[MOST]);
        let hundred: Vec<_> = wrong.into_iter().take(MOST).collect();
        assert!(Problem::all(&text, hundred).iter().all(|problem| problem.what.len() <= 4));
        assert_eq!(Problem::all("", vec![(9, "x".into())])[0].column, 1);
    }

    #[test]
    fn columns_are_characters() {
        let text = "a\n示範 = x\r\nz";
        assert_eq!(place(text, 0), (1, 1));
        assert_eq!(place(text, text.find('=').unwrap()), (2, 4));
        assert_eq!(place(text, text.find('z').unwrap()), (3, 1));
        assert_eq!(place(text, 999), (3, 2));
        assert_eq!(place("", 0), (1, 1));
    }
}
