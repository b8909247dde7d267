//! Answers in columns, and in blocks where the terminal is too narrow for them.

use std::fmt;
use std::io;

use crate::vocabulary::one_line;
use rustix::termios::tcgetwinsize;

/// A row a thing; a column that is empty in all rows is left out.
pub struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    /// Characters in a line; `None`: nobody says.
    width: Option<usize>,
}

impl Table {
    /// A head that begins with a blank stands over numbers, which stand at the right.
    pub fn new<const N: usize>(heads: [&'static str; N], rows: impl IntoIterator<Item = [String; N]>) -> Self {
        let rows: Vec<Vec<String>> =
            rows.into_iter().map(|row| row.map(|cell| one_line(&cell).collect()).to_vec()).collect();
        Self { heads: heads.to_vec(), rows, width: terminal() }
    }

    fn columns(&self) -> Vec<(usize, usize)> {
        let used = |at: &usize| self.rows.is_empty() || self.rows.iter().any(|row| !row[*at].is_empty());
        let widest = |at: usize| {
            let cells = self.rows.iter().map(|row| row[at].chars().count());
            cells.chain([self.heads[at].trim().chars().count()]).max().unwrap_or_default()
        };
        (0..self.heads.len()).filter(used).map(|at| (at, widest(at))).collect()
    }
}

/// `COLUMNS`, where somebody has set it, or what the terminal says of itself.
fn terminal() -> Option<usize> {
    let set = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    set.or_else(|| Some(tcgetwinsize(io::stdout()).ok()?.ws_col.into())).filter(|width| *width > 0)
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.columns();
        let needs = columns.iter().map(|(_, width)| width + 2).sum::<usize>().saturating_sub(2);
        if self.width.is_some_and(|width| width < needs) {
            return self.blocks(f, &columns);
        }
        let heads: Vec<String> = self.heads.iter().map(|head| head.trim().to_owned()).collect();
        for (nth, row) in [&heads].into_iter().chain(&self.rows).enumerate() {
            let cell = |(at, width): &(usize, usize)| match self.heads[*at].starts_with(' ') {
                true => format!("{:>width$}", row[*at]),
                false => format!("{:width$}", row[*at]),
            };
            let line = columns.iter().map(cell).collect::<Vec<_>>().join("  ");
            write!(f, "{}{}", if nth > 0 { "\n" } else { "" }, line.trim_end())?;
        }
        Ok(())
    }
}

impl Table {
    /// A line a cell, and an empty one between two things.
    fn blocks(&self, f: &mut fmt::Formatter<'_>, columns: &[(usize, usize)]) -> fmt::Result {
        let widest = columns.iter().map(|(at, _)| self.heads[*at].trim().len()).max().unwrap_or_default();
        for (nth, row) in self.rows.iter().enumerate() {
            let lines = columns.iter().filter(|(at, _)| !row[*at].is_empty());
            let lines = lines.map(|(at, _)| format!("{:widest$}  {}", self.heads[*at].trim(), row[*at]));
            write!(f, "{}{}", if nth > 0 { "\n\n" } else { "" }, lines.collect::<Vec<_>>().join("\n"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(width: Option<usize>) -> Table {
        let rows = [["A1", "7 of 8", ""], ["B2", "10 of 10", ""]].map(|row| row.map(str::to_owned));
        Table { width, ..Table::new(["SLOT", " COUNT", "FAULT"], rows) }
    }

    #[test]
    fn columns_are_as_wide_as_they_need_to_be_and_blocks_where_that_is_too_wide() {
        let wide = "SLOT     COUNT\nA1      7 of 8\nB2    10 of 10";
        assert_eq!(table(None).to_string(), wide);
        assert_eq!(table(Some(14)).to_string(), wide, "it just fits");
        assert_eq!(table(Some(13)).to_string(), "SLOT   A1\nCOUNT  7 of 8\n\nSLOT   B2\nCOUNT  10 of 10");
    }

    #[test]
    fn a_strangers_text_stays_in_its_line() {
        let table = Table { width: None, ..Table::new(["A", "B"], [["one\ntwo".to_owned(), "\u{1b}[2J".to_owned()]]) };
        assert_eq!(table.to_string(), "A        B\none two   [2J");
    }
}
