//! `kioskd tariff`: what a stay costs and why, the sign, and what the author may not have meant.

mod plot;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use jiff::{Timestamp, Zoned};
use serde_json::json;

use super::Progress;
use crate::kiosk::parking::{BadTariff, read_tariff};
use crate::parking::tariff::{self, Bill, Difference, Entry, FeeError, Label, Report, Stay, Tariff, Visit};
use crate::screen::bill::reason;
use crate::screen::language::Texts;
use crate::vocabulary::{Language, Minor, Money, Wall, plural};

#[derive(Debug, thiserror::Error)]
pub enum TariffError {
    #[error(transparent)]
    File(#[from] BadTariff),
    #[error(transparent)]
    Fee(#[from] FeeError),
    #[error("{path} is in {new}, and {of} in {old}: amounts of two currencies can't be compared; write both in one", path = path.display(), of = of.display())]
    Currencies { of: PathBuf, old: &'static str, path: PathBuf, new: &'static str },
    #[error("{path}:{line}:1: {what}", path = path.display())]
    Stays { path: PathBuf, line: u64, what: String },
    #[error("`{0}` is no visit; write ENTRY,EXIT,PAID: two times like 2026-11-30T08:00:00+08:00, and minor units")]
    Visit(String),
    #[error("`{0}` is no name of a class, a validation or a season pass; write 1 to 32 letters, digits, `_` or `-`")]
    Name(String),
    #[error("`{}` is no picture that is drawn here; write a name that ends in .svg or .png", .0.display())]
    Picture(PathBuf),
    #[error("the picture: {0}")]
    Drawing(#[from] image::ImageError),
    #[error("{} can't be written: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
}

/// A class or a validation, as it was typed.
fn label(text: &str) -> Result<Label, TariffError> {
    Label::parse(text).ok_or_else(|| TariffError::Name(text.chars().take(40).collect()))
}

/// Reads a tariff's file.
///
/// # Errors
/// When it can't be read, and with everything that is wrong with it.
pub fn load(path: &Path) -> Result<Tariff, TariffError> {
    Ok(read_tariff(path)?)
}

/// Reads a tariff whose amounts are compared with those of another file.
///
/// # Errors
/// As [`load`], and where it is in another currency.
pub fn load_against(path: &Path, of: &Path, old: &Tariff) -> Result<Tariff, TariffError> {
    let new = load(path)?;
    if new.currency == old.currency {
        return Ok(new);
    }
    let (old, new) = (old.currency.code(), new.currency.code());
    Err(TariffError::Currencies { of: of.into(), old, path: path.into(), new })
}

/// What the author may not have meant in the two years after `from`.
///
/// # Errors
/// Stays of these years have no price.
pub fn check(tariff: &Tariff, from: Timestamp) -> Result<Report, TariffError> {
    let mut progress = None;
    let more = &mut |all: usize| progress.get_or_insert_with(|| Progress::new("entries", all as u64)).more(1);
    Ok(tariff::check(tariff, wall(from)?, more)?)
}

/// What is asked about one stay.
#[derive(Debug, Clone)]
pub struct Question<'q> {
    /// `None`: the ticket is lost.
    pub entry: Option<Timestamp>,
    pub exit: Timestamp,
    pub class: Option<&'q str>,
    pub validations: &'q [String],
    pub season: Option<&'q str>,
    /// The visit before, as it was typed.
    pub visit: Option<&'q str>,
}

/// The bill of a stay.
///
/// # Errors
/// The tariff has no price for it.
pub fn bill(tariff: &Tariff, question: &Question<'_>) -> Result<Bill, TariffError> {
    let validations = question.validations.iter().map(|name| label(name)).collect::<Result<_, _>>()?;
    let stay = Stay {
        entry: question.entry.map_or(Ok(Entry::Lost), |entry| wall(entry).map(Entry::At))?,
        exit: wall(question.exit)?,
        class: question.class.map(label).transpose()?,
        free_used: 0,
        validations,
        worths: Vec::new(),
        season: question.season.map(label).transpose()?,
        visit: question.visit.map(|text| visit(text).ok_or_else(|| TariffError::Visit(text.into()))).transpose()?,
    };
    Ok(tariff::fee(tariff, &stay)?)
}

fn visit(text: &str) -> Option<Visit> {
    let mut parts = text.split(',').map(str::trim);
    let mut instant = || wall(parts.next()?.parse().ok()?).ok();
    let (entry, exit) = (instant()?, instant()?);
    let paid = parts.next()?.parse().ok().filter(|paid| *paid >= 0)?;
    parts.next().is_none().then_some(Visit { entry, exit, paid })
}

/// # Errors
/// Before 1970 nobody parks.
pub fn wall(at: Timestamp) -> Result<Wall, FeeError> {
    u64::try_from(at.as_millisecond()).map(Wall).map_err(|_| FeeError::NoSuchTime)
}

fn zoned(tariff: &Tariff, wall: Wall) -> Zoned {
    wall.timestamp().unwrap_or(Timestamp::MAX).to_zoned(tariff.zone.clone())
}

/// As the design fixes it, with the part that is tax.
pub fn bill_for_programs(tariff: &Tariff, bill: &Bill, language: &Language) -> serde_json::Value {
    let texts = Texts::shipped();
    let at = |wall| zoned(tariff, wall).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    let line = |line: &tariff::Line| {
        json!({
            "text": reason(&texts, language, tariff, line),
            "from": at(line.from), "to": at(line.to), "amount": line.amount,
            "reason": line.reason,
        })
    };
    let lines: Vec<_> = bill.lines.iter().map(line).collect();
    json!({ "amount": bill.amount, "currency": bill.currency.code(), "tax": bill.tax, "lines": lines })
}

/// One line a line, times of the site, and the sum.
pub fn bill_for_people(tariff: &Tariff, bill: &Bill, language: &Language) -> String {
    let texts = Texts::shipped();
    let at = |wall| zoned(tariff, wall).strftime("%a %Y-%m-%d %H:%M").to_string();
    let money = |amount: Minor| Money { amount, currency: bill.currency }.to_string();
    let mut told = String::new();
    for line in &bill.lines {
        let text = reason(&texts, language, tariff, line);
        writeln!(told, "{} – {}  {:>14}  {text}", at(line.from), at(line.to), money(line.amount)).expect("a string");
    }
    let tax = if bill.tax > 0 { format!(", of it {} tax", money(bill.tax)) } else { String::new() };
    write!(told, "{}{tax}", money(bill.amount)).expect("a string");
    told
}

/// Prices every stay of a file with both. A line is `ENTRY,EXIT` or `ENTRY,EXIT,CLASS`, the times as RFC 3339.
///
/// # Errors
/// The file can't be read, or has a line that is no stay or has no price.
pub fn differ(old: &Tariff, new: &Tariff, path: &Path) -> Result<Difference, TariffError> {
    let unread = |source| BadTariff::Read { path: path.into(), source };
    let file = std::fs::File::open(path).map_err(unread)?;
    let mut progress = Progress::new("stays", 0);
    let mut difference = Difference::default();
    let mut reader = BufReader::new(file);
    let mut text = String::new();
    for line in 1.. {
        text.clear();
        // A longer line is no stay, and an endless one ends here.
        if reader.by_ref().take(1_024).read_line(&mut text).map_err(unread)? == 0 {
            break;
        }
        let written = text.trim();
        if written.is_empty() || written.starts_with('#') || (line == 1 && written.starts_with("entry")) {
            continue;
        }
        let wrong = |what: String| TariffError::Stays { path: path.into(), line, what };
        let stay = stay_of(written).map_err(wrong)?;
        difference.add(old, new, &stay).map_err(|error| wrong(error.to_string()))?;
        progress.more(1);
    }
    Ok(difference)
}

fn stay_of(line: &str) -> Result<Stay, String> {
    let mut parts = line.split(',').map(str::trim);
    let mut instant = || {
        let text = parts.next().unwrap_or_default();
        let at: Result<Timestamp, _> = text.parse();
        at.ok()
            .and_then(|at| wall(at).ok())
            .ok_or("no stay; write ENTRY,EXIT and where there is one ,CLASS, the times like 2026-11-30T08:00:00+08:00")
    };
    let (entry, exit) = (instant()?, instant()?);
    let class = parts.next().filter(|class| !class.is_empty());
    let class = class.map(|class| Label::parse(class).ok_or("the class is no name")).transpose()?;
    Ok(Stay { class, ..Stay::new(entry, exit) })
}

/// The difference in words.
pub fn difference_for_people(old: &Tariff, new: &Tariff, found: &Difference) -> String {
    let money = |amount: i128, tariff: &Tariff| match Minor::try_from(amount) {
        Ok(amount) => Money { amount, currency: tariff.currency }.to_string(),
        Err(_) => amount.to_string(),
    };
    let same = found.stays - found.dearer - found.cheaper;
    format!(
        "{}: {} before, {} after\n{} pay more, at most {} more\n{} pay less, at most {} less\n{same} pay the same",
        plural(found.stays, "stay"),
        money(found.before, old),
        money(found.after, new),
        found.dearer,
        money(found.most_more.into(), new),
        found.cheaper,
        money(found.most_less.into(), new),
    )
}

/// Writes the tariff as rate tables of ISO TS 5206-1, to `output` or to where it returns them, with what they don't say.
///
/// # Errors
/// `output` can't be written.
pub fn export(
    tariff: &Tariff,
    file: &Path,
    output: Option<&Path>,
) -> Result<(Option<String>, Vec<String>), TariffError> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let found = tariff::export(tariff, &name);
    let unsaid = found.unsaid.iter().map(ToString::to_string).collect();
    let text = format!("{:#}", found.json);
    let Some(output) = output else { return Ok((Some(text), unsaid)) };
    let written = std::fs::write(output, text + "\n");
    written.map_err(|source| TariffError::Write { path: output.into(), source })?;
    Ok((None, unsaid))
}

/// Draws the fee of stays from `entry` on of up to so many hours, of each tariff with its name.
///
/// # Errors
/// A stay has no price, or the picture can't be written.
pub fn plot(
    tariffs: &[(String, Tariff)],
    entry: Timestamp,
    class: Option<&str>,
    hours: u32,
    output: &Path,
) -> Result<(), TariffError> {
    let Some((_, first)) = tariffs.first() else { return Ok(()) };
    let entry = wall(entry)?;
    let stay = Stay { class: class.map(label).transpose()?, ..Stay::new(entry, entry) };
    let curve =
        |(name, tariff): &(String, Tariff)| Ok((name.clone(), tariff::curve(tariff, entry, &stay, hours * 60, 1)?));
    let curves = tariffs.iter().map(curve).collect::<Result<Vec<_>, FeeError>>()?;
    let plot = plot::Plot::new(&curves, first.currency);
    let bytes = match output.extension().and_then(|kind| kind.to_str()) {
        Some("svg") => plot.svg().into_bytes(),
        Some("png") => plot.png()?,
        _ => return Err(TariffError::Picture(output.into())),
    };
    std::fs::write(output, bytes).map_err(|source| TariffError::Write { path: output.into(), source })
}
