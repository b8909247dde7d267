//! Rates from a file: the `[[rail]]` entries with their `[[rail.fee]]`, of a kiosk's configuration or of a file that
//! has nothing else in it. Every other key is somebody else's and is passed over.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;

use crate::vocabulary::fee::{FeeEntry, FeeSchedule};

/// A larger file holds more than rates.
const LIMIT: u64 = 1 << 20;

/// What each rail keeps.
#[derive(Debug, Clone, Default)]
pub struct Rates {
    /// Of `[kiosk] time_zone`, where the file has it: the days of payments are this zone's.
    pub zone: Option<TimeZone>,
    rails: BTreeMap<String, FeeSchedule>,
}

#[derive(Debug, thiserror::Error)]
pub enum RatesError {
    #[error("{path}: can't be read: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: larger than 1 MiB; write a configuration, or [[rail]] entries only", path = path.display())]
    TooLarge { path: PathBuf },
    /// Line and column from 1, the column in characters.
    #[error("{path}:{line}:{column}: {what}", path = path.display())]
    Wrong { path: PathBuf, line: usize, column: usize, what: String },
}

#[derive(Deserialize)]
struct Document {
    kiosk: Option<Kiosk>,
    #[serde(default)]
    rail: Vec<Spanned<Rail>>,
}

#[derive(Deserialize)]
struct Kiosk {
    time_zone: Option<Spanned<String>>,
}

#[derive(Deserialize)]
struct Rail {
    name: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    fee: Vec<Spanned<FeeEntry>>,
}

impl Rates {
    /// # Errors
    /// When the file can't be read, and at the first thing in it that is wrong.
    pub fn load(path: &Path) -> Result<Self, RatesError> {
        let mut text = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(LIMIT + 1).read_to_end(&mut text))
            .map_err(|source| RatesError::Read { path: path.into(), source })?;
        Self::parse(path, &text)
    }

    /// `bytes` as if they were the file `path`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, RatesError> {
        if bytes.len() as u64 > LIMIT {
            return Err(RatesError::TooLarge { path: path.into() });
        }
        let wrong = |(at, what): (usize, String)| {
            let (line, column) = place(&bytes[..at.min(bytes.len())]);
            RatesError::Wrong { path: path.into(), line, column, what }
        };
        match std::str::from_utf8(bytes) {
            Ok(text) => read(text).map_err(wrong),
            Err(e) => Err(wrong((e.valid_up_to(), "not UTF-8 from here; save the file as UTF-8".into()))),
        }
    }

    /// The rates of a rail, by its name.
    pub fn rail(&self, name: &str) -> Option<&FeeSchedule> {
        self.rails.get(name).filter(|schedule| !schedule.is_empty())
    }
}

/// Or what is wrong and at which byte.
fn read(text: &str) -> Result<Rates, (usize, String)> {
    let document: Document = toml::from_str(text).map_err(|e| {
        let what = e.message().lines().collect::<Vec<_>>().join(" ");
        let advice = match what.starts_with("missing field") || what.starts_with("unknown field") {
            true => "; write [[rail.fee]] with from = 2026-01-01 and rate = \"0.60%\"",
            false => "",
        };
        (e.span().map_or(0, |span| span.start), what + advice)
    })?;
    let mut rates = Rates::default();
    if let Some(zone) = document.kiosk.and_then(|kiosk| kiosk.time_zone) {
        let name = zone.get_ref();
        let unknown =
            |_| (zone.span().start, format!("unknown time zone `{name}`; write an IANA name like \"Asia/Shanghai\""));
        rates.zone = Some(TimeZone::get(name).map_err(unknown)?);
    }
    for rail in document.rail {
        let at = rail.span().start;
        let Rail { name, kind, fee } = rail.into_inner();
        let Some(name) = name.or(kind) else {
            return Err((at, "a rail without a name; write name = \"wechat\", or its kind".into()));
        };
        // One entry at a time, so that what is wrong is told where it stands.
        let mut entries = Vec::new();
        for entry in fee {
            let at = entry.span().start;
            entries.push(entry.into_inner());
            FeeSchedule::new(entries.clone()).map_err(|e| (at, e.to_string()))?;
        }
        let schedule = FeeSchedule::new(entries).map_err(|e| (at, e.to_string()))?;
        if rates.rails.insert(name.clone(), schedule).is_some() {
            return Err((at, format!("a second rail `{name}`; give each rail a name of its own")));
        }
    }
    Ok(rates)
}

/// Line and column of the place after `before`, from 1.
fn place(before: &[u8]) -> (usize, usize) {
    let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    // Every character has exactly one byte that does not continue another.
    (line, before[start..].iter().filter(|&&byte| byte & 0xC0 != 0x80).count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Rates, String> {
        Rates::parse(Path::new("rates.toml"), text.as_bytes()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_configuration_and_a_bare_file_are_read_alike() {
        let bare = "[[rail]]\nname = \"wechat\"\n[[rail.fee]]\nfrom = 2026-01-01\nrate = \"0.60%\"\n";
        let whole =
            format!("[kiosk]\nid = \"K1\"\ntime_zone = \"Asia/Shanghai\"\n\n[state]\ndirectory = \"x\"\n\n{bare}");
        let on = Some(jiff::civil::date(2026, 5, 1));
        for text in [bare, &whole] {
            let rates = parse(text).unwrap();
            assert_eq!(rates.rail("wechat").unwrap().estimate(750, on), Some(5));
            assert!(rates.rail("alipay").is_none());
        }
        assert_eq!(parse(&whole).unwrap().zone, Some(TimeZone::get("Asia/Shanghai").unwrap()));
        assert!(parse(bare).unwrap().zone.is_none());
    }

    #[test]
    fn a_rail_goes_by_its_name_and_else_by_its_kind() {
        let fee = "[[rail.fee]]\nfrom = 2026-01-01\nrate = \"1%\"\n";
        let rates = parse(&format!("[[rail]]\nkind = \"sandbox\"\n{fee}")).unwrap();
        assert!(rates.rail("sandbox").is_some());
        let rates = parse(&format!("[[rail]]\nkind = \"emv\"\nname = \"duitnow\"\n{fee}")).unwrap();
        assert!(rates.rail("duitnow").is_some() && rates.rail("emv").is_none());
        assert!(parse("[[rail]]\nkind = \"sandbox\"\n").unwrap().rail("sandbox").is_none(), "no rates");
    }

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        let rail = "[[rail]]\nname = \"w\"\n";
        let fee = |lines: &str| format!("{rail}[[rail.fee]]\n{lines}\n");
        let cases = [
            (fee("from = 2026-01-01\nrate = 0.6"), 5, "like \"0.60%\""),
            (fee("from = 2026-01-01\nrate = \"0.60001%\""), 5, "at most four decimals"),
            (fee("from = \"2026-01-01\"\nrate = \"0.6%\""), 4, "without quotes"),
            (fee("from = 2026-01-01T10:00:00\nrate = \"0.6%\""), 4, "without a time"),
            (fee("from = 2026-01-01"), 3, "missing field `rate`; write [[rail.fee]]"),
            (fee("from = 2026-01-01\nrate = \"1%\"\nceiling = 3"), 6, "unknown field `ceiling`"),
            (fee("from = 2026-01-01\nrate = \"1%\"\ncap = -1"), 3, "minor units from 0 on"),
            (fee("from = 2026-01-01\nrate = \"1%\"\nminimum = 5\ncap = 4"), 3, "a `cap` of 5 or more"),
            (fee("from = 2026-01-01\nrate = \"1%\"\nrounding = \"sideways\""), 6, "half-up"),
            (
                fee("from = 2026-01-01\nrate = \"1%\"\n[[rail.fee]]\nfrom = 2026-01-01\nrate = \"2%\""),
                6,
                "two rates begin on 2026-01-01",
            ),
            (format!("{rail}{rail}"), 3, "a second rail `w`"),
            ("[[rail]]\npoll = \"3s\"\n".into(), 1, "a rail without a name"),
            ("[kiosk]\ntime_zone = \"Mars\"\n".into(), 2, "unknown time zone `Mars`"),
            ("rail = \n".into(), 1, ""),
        ];
        for (text, line, what) in cases {
            let error = parse(&text).unwrap_err();
            assert!(error.starts_with(&format!("rates.toml:{line}:")), "{error}\n{text}");
            assert!(error.contains(what) && !error.contains('\n'), "{error}\n{text}");
        }
        let latin = Rates::parse(Path::new("x"), b"a = 1\nb = \"\xff\"").unwrap_err().to_string();
        assert_eq!(latin, "x:2:6: not UTF-8 from here; save the file as UTF-8");
        let large = vec![b' '; LIMIT as usize + 1];
        assert!(matches!(Rates::parse(Path::new("x"), &large), Err(RatesError::TooLarge { .. })));
    }
}
