//! What is wrong with a file that a person has written, and where.

use std::path::{Path, PathBuf};

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

impl Problem {
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
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
    let start = before.iter().rposition(|&b| b == b'\n').map_or(0, |newline| newline + 1);
    // Every character has exactly one byte that does not continue another.
    let column = before[start..].iter().filter(|&&b| b & 0xC0 != 0x80).count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

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
