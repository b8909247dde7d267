//! Quotes, lists and suggestions in messages.

/// What the file says, in a message: on one line, and not endless.
pub(super) fn quote(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut quoted: String = text.chars().take(LONGEST).flat_map(plain).collect();
    if text.chars().nth(LONGEST).is_some() {
        quoted.push('…');
    }
    format!("`{quoted}`")
}

/// A character that can break a line or hide is written as its escape.
fn plain(c: char) -> Box<dyn Iterator<Item = char>> {
    if c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{feff}')
    {
        Box::new(c.escape_unicode())
    } else {
        Box::new(std::iter::once(c))
    }
}

/// `a, b or c`.
pub(super) fn list(items: &[&str], last: &str) -> String {
    match items {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [head @ .., tail] => format!("{} {last} {tail}", head.join(", ")),
    }
}

/// The known word that was probably meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let word = plain(word);
    let allowed = if word.chars().count() < 4 { 1 } else { 2 };
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&word, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}

/// The same for codes and numbered names, in which a letter or a digit more is another thing: nothing is guessed for
/// them.
pub(super) fn nearest_name<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let is_code = |text: &str| text.chars().count() <= 4 || text.chars().any(|c| c.is_ascii_digit());
    nearest(word, known).filter(|meant| !is_code(word) && !is_code(meant))
}

/// What to write instead of a word that is none of the known ones.
pub(super) fn suggest(word: &str, known: &[&str]) -> String {
    let quoted: Vec<_> = known.iter().map(|word| format!("\"{word}\"")).collect();
    let all = list(&quoted.iter().map(String::as_str).collect::<Vec<_>>(), "or");
    match nearest_name(word, known.iter().copied()) {
        Some(meant) => format!("did you mean \"{meant}\"? Write {all}"),
        None => format!("write {all}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_what_was_meant() {
        let known = ["id", "name", "price", "picture", "qr_life"];
        assert_eq!(nearest("pirce", known), Some("price"));
        assert_eq!(nearest("Price", known), Some("price"));
        assert_eq!(nearest("qr-life", known), Some("qr_life"));
        assert_eq!(nearest("ids", known), Some("id"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn does_not_guess_what_means_something_else() {
        let known = ["UMI", "UBE", "sandbox", "GMT+0", "CET", "Etc/GMT+9", "Asia/Shanghai"];
        assert_eq!(nearest_name("sandbx", known), Some("sandbox"));
        assert_eq!(nearest_name("Asia/Shangai", known), Some("Asia/Shanghai"));
        for other in ["UXE", "GMT+8", "CST", "Etc/GMT+15"] {
            assert_eq!(nearest_name(other, known), None, "{other}");
        }
    }

    #[test]
    fn a_quotation_stays_on_its_line() {
        assert_eq!(quote("a\nb\u{1b}[2J"), "`a\\u{a}b\\u{1b}[2J`");
        assert_eq!(quote(&"x".repeat(100)).chars().count(), 63);
    }
}
