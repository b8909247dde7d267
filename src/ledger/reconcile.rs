//! A provider's bill against the ledger, to the cent: what was paid and given back there and here, and where the two do
//! not agree.
//!
//! Policy: what can't be decided from this bill is said and is no disagreement. The kiosk knows when it offered a
//! charge and when it heard of a payment; the payment itself lies in between. Only when that whole time lies in the
//! bill's own is a payment expected in it. A row that can't be read leaves open what it says, so such a bill never
//! agrees.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use serde_json::{Value, json};

use super::When;
use super::charges::{ChargeLine, RefundLine};
use crate::payment::bill::{Bill, Entry, Finding, Period, What, ZONE};
use crate::sale::order::RefundState;
use crate::vocabulary::{Currency, Minor, Money};

/// A kiosk's clock and a provider's agree within five minutes: beyond that the providers refuse what it signs.
const CLOCKS: u64 = 300_000;

/// What to compare.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// The rail whose bill it is.
    pub rail: &'a str,
    /// Instead of the time the bill covers by its own word. Rows outside are passed over.
    pub period: Option<Period>,
    /// Others are paid on this account too: payments and refunds that are unknown here are theirs.
    pub shared: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disagreement {
    /// Paid there; no such charge here.
    PaymentUnknownHere,
    /// Paid there; here the charge is not known to be paid.
    PaymentMissingHere,
    /// Paid here; not in the bill.
    PaymentMissingThere,
    AmountDiffers,
    /// Given back there under a number that is unknown here.
    RefundUnknownHere,
    /// Given back here; not in the bill.
    RefundMissingThere,
    RefundDiffers,
}

impl Disagreement {
    pub fn word(self) -> &'static str {
        match self {
            Disagreement::PaymentUnknownHere => "payment-unknown-here",
            Disagreement::PaymentMissingHere => "payment-missing-here",
            Disagreement::PaymentMissingThere => "payment-missing-there",
            Disagreement::AmountDiffers => "amount-differs",
            Disagreement::RefundUnknownHere => "refund-unknown-here",
            Disagreement::RefundMissingThere => "refund-missing-there",
            Disagreement::RefundDiffers => "refund-differs",
        }
    }
}

/// One thing that does not agree, or that can't be decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub what: Disagreement,
    pub charge: String,
    pub refund: Option<String>,
    pub there: Option<Money>,
    pub here: Option<Money>,
    /// Of the bill.
    pub line: Option<u64>,
    /// One line.
    pub why: String,
}

/// The whole answer.
#[derive(Debug, Clone)]
pub struct Reconciliation {
    pub period: Period,
    pub payments_agree: u64,
    pub refunds_agree: u64,
    pub differences: Vec<Difference>,
    /// What the bill of other days decides.
    pub undecided: Vec<Difference>,
    /// Rows of others on a shared account.
    pub others: u64,
    pub findings: Vec<Finding>,
    pub more_findings: u64,
    /// What the provider kept by the bill's own word, in hundred-thousandths of the unit; of this kiosk's rows.
    pub fees: BTreeMap<&'static str, i128>,
}

/// Nobody knows which days the bill covers. A line that could not be read is why, where there is one.
#[derive(Debug, thiserror::Error)]
pub enum NoPeriod {
    #[error("the bill has no rows and does not say which days it covers; write --from and --to")]
    NoRows,
    #[error(
        "line {line}: {what}{}; of the rest nothing tells which days the bill covers: mend the line, or write --from and --to",
        and_more(*.more), line = .first.line, what = .first.what
    )]
    Unread { first: Finding, more: u64 },
}

fn and_more(more: u64) -> String {
    if more > 0 { format!(", and {more} more lines do not fit") } else { String::new() }
}

impl NoPeriod {
    fn of(bill: &Bill) -> Self {
        match bill.findings.split_first() {
            Some((first, more)) => Self::Unread { first: first.clone(), more: more.len() as u64 + bill.more_findings },
            None => Self::NoRows,
        }
    }
}

/// Compares; `charges` are all of the ledger's.
///
/// # Errors
/// When nobody knows which days the bill covers.
pub fn reconcile(charges: &[ChargeLine], bill: &Bill, ask: &Ask<'_>) -> Result<Reconciliation, NoPeriod> {
    let period = ask.period.or(bill.covers).ok_or_else(|| NoPeriod::of(bill))?;
    let answer = Reconciliation {
        period,
        payments_agree: 0,
        refunds_agree: 0,
        differences: Vec::new(),
        undecided: Vec::new(),
        others: 0,
        findings: bill.findings.clone(),
        more_findings: bill.more_findings,
        fees: BTreeMap::new(),
    };
    let here = charges.iter().filter(|line| line.rail == ask.rail).map(|line| (line.charge.as_str(), line)).collect();
    let elsewhere = charges.iter().filter(|line| line.rail != ask.rail);
    let elsewhere = elsewhere.map(|line| (line.charge.as_str(), line.rail.as_str())).collect();
    let mut work = Work { answer, here, elsewhere, shared: ask.shared };
    let there = There::of(bill);
    work.fees(bill);
    if bill.payments {
        work.payments(&there);
    }
    if bill.refunds {
        work.refunds(&there);
    }
    work.answer.differences.sort_by(|a, b| (a.what, &a.charge, &a.refund).cmp(&(b.what, &b.charge, &b.refund)));
    Ok(work.answer)
}

/// The bill's rows by number.
#[derive(Default)]
struct There<'b> {
    payments: BTreeMap<&'b str, Vec<&'b Entry>>,
    /// By the merchant's number of the refund, which belongs to no two charges, and by charge where there is none.
    refunds: BTreeMap<(&'b str, &'b str), Vec<&'b Entry>>,
}

impl<'b> There<'b> {
    fn of(bill: &'b Bill) -> Self {
        let mut there = Self::default();
        for entry in &bill.entries {
            match &entry.what {
                What::Payment => there.payments.entry(&entry.charge).or_default().push(entry),
                What::Refund { number, .. } => {
                    let key = number.as_deref().map_or(("", entry.charge.as_str()), |number| (number, ""));
                    there.refunds.entry(key).or_default().push(entry);
                }
            }
        }
        there
    }
}

/// How a time span of the kiosk lies to the bill's.
#[derive(PartialEq, Eq)]
enum Lies {
    Inside,
    Outside,
    Across,
}

struct Work<'a> {
    answer: Reconciliation,
    here: BTreeMap<&'a str, &'a ChargeLine>,
    /// Charges of the other rails.
    elsewhere: HashMap<&'a str, &'a str>,
    shared: bool,
}

impl Work<'_> {
    fn fees(&mut self, bill: &Bill) {
        let ours = bill.entries.iter().filter(|entry| self.here.contains_key(entry.charge.as_str()));
        for entry in ours.filter(|entry| self.answer.period.contains(entry.at)) {
            if let Some(fee) = entry.fee {
                *self.answer.fees.entry(entry.currency.code()).or_default() += i128::from(fee);
            }
        }
    }

    fn payments(&mut self, there: &There<'_>) {
        for (&charge, entries) in &there.payments {
            if entries.iter().any(|entry| self.answer.period.contains(entry.at)) {
                self.payment(charge, entries);
            }
        }
        let missing =
            self.here.values().filter(|line| line.paid > 0 && !there.payments.contains_key(line.charge.as_str()));
        let missing: Vec<ChargeLine> = missing.map(|line| (*line).clone()).collect();
        for line in missing {
            let heard = line.payments.iter().map(|payment| payment.heard).collect::<Option<Vec<u64>>>();
            let last = heard.and_then(|heard| heard.into_iter().max());
            let difference = Difference {
                what: Disagreement::PaymentMissingThere,
                charge: line.charge.clone(),
                refund: None,
                there: None,
                here: Some(Money { amount: line.paid, currency: line.currency }),
                line: None,
                why: "paid here and not in the bill".into(),
            };
            self.missing(line.offered, last, difference);
        }
    }

    fn payment(&mut self, charge: &str, entries: &[&Entry]) {
        let (sum, first) = (sum(entries), entries[0]);
        let there = Money { amount: sum.unwrap_or(first.amount), currency: first.currency };
        let mut difference = Difference {
            what: Disagreement::PaymentUnknownHere,
            charge: charge.into(),
            refund: None,
            there: Some(there),
            here: None,
            line: Some(first.line),
            why: String::new(),
        };
        let Some(line) = self.here.get(charge) else {
            match self.elsewhere.get(charge) {
                Some(rail) => difference.why = format!("paid there, and here it is a charge on {rail}"),
                None if self.shared => {
                    self.answer.others += entries.len() as u64;
                    return;
                }
                None => difference.why = "paid there and no charge of this ledger".into(),
            }
            return self.answer.differences.push(difference);
        };
        let here = Money { amount: line.paid, currency: line.currency };
        if line.paid == 0 {
            difference.what = Disagreement::PaymentMissingHere;
            difference.why = "paid there, and here not known to be paid".into();
        } else if sum.is_none() || there != here {
            (difference.what, difference.here) = (Disagreement::AmountDiffers, Some(here));
            difference.why = format!("{there} there and {here} here{}", rows(entries));
        } else {
            self.answer.payments_agree += 1;
            return;
        }
        self.answer.differences.push(difference);
    }

    fn refunds(&mut self, there: &There<'_>) {
        let mut known: HashMap<&str, (&ChargeLine, &RefundLine)> = HashMap::new();
        for line in self.here.values() {
            known.extend(line.refunds.iter().map(|refund| (refund.refund.as_str(), (*line, refund))));
        }
        let mut found = Vec::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        // What the provider gave back by itself bears no number of ours.
        let mut by_itself: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        let mut agree = 0;
        for (&(number, _), entries) in &there.refunds {
            match known.get(number) {
                Some((line, refund)) => {
                    seen.insert(number);
                    if entries.iter().any(|entry| self.answer.period.contains(entry.at)) {
                        match compare(line, refund, entries) {
                            Some(difference) => found.push(difference),
                            None => agree += 1,
                        }
                    }
                }
                None => entries.iter().for_each(|&entry| by_itself.entry(&entry.charge).or_default().push(entry)),
            }
        }
        let returned: BTreeSet<&str> = by_itself.keys().copied().collect();
        for (charge, entries) in by_itself {
            if !entries.iter().any(|entry| self.answer.period.contains(entry.at)) {
                continue;
            }
            match self.here.get(charge) {
                None if self.shared && !self.elsewhere.contains_key(charge) => {
                    self.answer.others += entries.len() as u64
                }
                Some(line) if sum(&entries) == Some(line.returned) => agree += 1,
                Some(line) if line.returned > 0 => {
                    let here = Money { amount: line.returned, currency: line.currency };
                    let why = format!("the provider gave back by itself, {here} by its word then{}", rows(&entries));
                    found.push(refund_there(Disagreement::RefundDiffers, charge, &entries, Some(here), why));
                }
                _ => {
                    let why = "given back there and no refund of this ledger".to_owned();
                    found.push(refund_there(Disagreement::RefundUnknownHere, charge, &entries, None, why));
                }
            }
        }
        let mut missing = Vec::new();
        for line in self.here.values() {
            let money = |amount| Some(Money { amount, currency: line.currency });
            let difference = |refund: Option<&RefundLine>, amount: Minor, why: &str| Difference {
                what: Disagreement::RefundMissingThere,
                charge: line.charge.clone(),
                refund: refund.map(|refund| refund.refund.clone()),
                there: None,
                here: money(amount),
                line: None,
                why: why.into(),
            };
            for refund in line.refunds.iter().filter(|r| r.is_confirmed() && !seen.contains(r.refund.as_str())) {
                let told = difference(Some(refund), refund.amount, "confirmed here and not in the bill");
                missing.push((refund.requested, refund.confirmed, told));
            }
            if line.returned > 0 && !returned.contains(line.charge.as_str()) {
                let told = difference(None, line.returned, "given back by the provider itself and not in the bill");
                missing.push((line.offered, line.returned_at, told));
            }
        }
        self.answer.refunds_agree += agree;
        self.answer.differences.extend(found);
        for (from, to, difference) in missing {
            self.missing(from, to, difference);
        }
    }

    /// Something of ours between two times is not in the bill.
    fn missing(&mut self, from: When, to: When, mut difference: Difference) {
        match self.lies(from, to) {
            Lies::Inside => self.answer.differences.push(difference),
            Lies::Outside => {}
            Lies::Across => {
                difference.why += match from.and(to) {
                    Some(_) => "; it may be in that of the day before or after",
                    None => "; the clock was unknown then, so it may be in that of another day",
                };
                self.answer.undecided.push(difference);
            }
        }
    }

    fn lies(&self, from: When, to: When) -> Lies {
        let Period { from: begin, to: end } = self.answer.period;
        let millis = |at: jiff::civil::DateTime| {
            let millis = ZONE.to_timestamp(at).map_or(0, |time| time.as_millisecond());
            u64::try_from(millis).unwrap_or(0)
        };
        let (begin, end) = (millis(begin), millis(end));
        let first = from.map(|at| at.saturating_sub(CLOCKS));
        let last = to.map(|at| at.saturating_add(CLOCKS));
        if first.is_some_and(|first| first >= end) || last.is_some_and(|last| last < begin) {
            Lies::Outside
        } else if first.is_some_and(|first| first >= begin) && last.is_some_and(|last| last < end) {
            Lies::Inside
        } else {
            Lies::Across
        }
    }
}

/// `None` where the rows are of different currencies.
fn sum(entries: &[&Entry]) -> Option<Minor> {
    let currency: Currency = entries.first()?.currency;
    entries.iter().all(|entry| entry.currency == currency).then(|| entries.iter().map(|entry| entry.amount).sum())
}

/// Which rows make up a sum.
fn rows(entries: &[&Entry]) -> String {
    let lines: Vec<String> = entries.iter().take(5).map(|entry| entry.line.to_string()).collect();
    let more = if entries.len() > 5 { " and more" } else { "" };
    if entries.len() == 1 { String::new() } else { format!(" (lines {}{more})", lines.join(", ")) }
}

fn compare(line: &ChargeLine, refund: &RefundLine, entries: &[&Entry]) -> Option<Difference> {
    let here = Money { amount: refund.amount, currency: line.currency };
    let differs = |why: String| {
        let what = Disagreement::RefundDiffers;
        Some(refund_there(what, &line.charge, entries, Some(here), why))
    };
    let failed = entries.iter().find_map(|entry| match &entry.what {
        What::Refund { failed, .. } => failed.as_deref(),
        What::Payment => None,
    });
    let total = sum(entries).map(|amount| Money { amount, currency: entries[0].currency });
    match (failed, total) {
        _ if entries.iter().any(|entry| entry.charge != line.charge) => {
            differs(format!("there it is a refund of charge {}", entries[0].charge))
        }
        (_, None) => differs(format!("of two currencies{}", rows(entries))),
        (_, Some(there)) if there != here => differs(format!("{there} there and {here} here{}", rows(entries))),
        (Some(word), _) if refund.is_confirmed() => {
            differs(format!("confirmed here, and there the money did not go back ({word})"))
        }
        (None, _) if refund.state == RefundState::Failed => differs("refused here, and there it was given back".into()),
        _ => None,
    }
}

fn refund_there(what: Disagreement, charge: &str, entries: &[&Entry], here: Option<Money>, why: String) -> Difference {
    let first = entries[0];
    let number = match &first.what {
        What::Refund { number, .. } => number.clone(),
        What::Payment => None,
    };
    let there = Money { amount: sum(entries).unwrap_or(first.amount), currency: first.currency };
    Difference { what, charge: charge.into(), refund: number, there: Some(there), here, line: Some(first.line), why }
}

impl Reconciliation {
    /// Nothing differs and every row could be read.
    pub fn agrees(&self) -> bool {
        self.differences.is_empty() && self.findings.is_empty() && self.more_findings == 0
    }

    pub fn json(&self) -> Value {
        let list = |list: &[Difference]| {
            let each = list.iter().map(|d| {
                json!({
                    "what": d.what.word(),
                    "charge": d.charge,
                    "refund": d.refund,
                    "there": d.there.map(|money| money.amount),
                    "here": d.here.map(|money| money.amount),
                    "currency": d.there.or(d.here).map(|money| money.currency.code()),
                    "line": d.line,
                    "why": d.why,
                })
            });
            each.collect::<Vec<_>>()
        };
        let findings = self.findings.iter().map(|finding| json!({ "line": finding.line, "what": finding.what }));
        json!({
            "agrees": self.agrees(),
            "from": self.period.from.to_string(),
            "to": self.period.to.to_string(),
            "payments_agree": self.payments_agree,
            "refunds_agree": self.refunds_agree,
            "differences": list(&self.differences),
            "undecided": list(&self.undecided),
            "rows_of_others": self.others,
            "findings": findings.collect::<Vec<_>>(),
            "more_findings": self.more_findings,
            "fees_by_bill": self.fees.iter().map(|(code, fee)| (*code, exact(*fee))).collect::<BTreeMap<_, _>>(),
        })
    }
}

/// Hundred-thousandths of a unit, with all their digits.
fn exact(fee: i128) -> String {
    let sign = if fee < 0 { "-" } else { "" };
    let fee = fee.unsigned_abs();
    format!("{sign}{}.{:05}", fee / 100_000, fee % 100_000)
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:22}  {}", self.what.word(), self.charge)?;
        if let Some(refund) = &self.refund {
            write!(f, "  {refund}")?;
        }
        if let Some(money) = self.there.or(self.here) {
            write!(f, "  {money}")?;
        }
        write!(f, "  {}", self.why)?;
        self.line.map_or(Ok(()), |line| write!(f, " (line {line})"))
    }
}

impl fmt::Display for Reconciliation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Period { from, to } = self.period;
        writeln!(f, "from {} to before {}, Beijing time", from.strftime("%F %T"), to.strftime("%F %T"))?;
        writeln!(f, "{} payments and {} refunds agree", self.payments_agree, self.refunds_agree)?;
        for (code, fee) in &self.fees {
            writeln!(f, "fees by the bill: {} {code}", exact(*fee))?;
        }
        if self.others > 0 {
            writeln!(f, "{} rows are of others on this account", self.others)?;
        }
        for undecided in &self.undecided {
            writeln!(f, "not decided: {undecided}")?;
        }
        for finding in &self.findings {
            writeln!(f, "line {}: {}", finding.line, finding.what)?;
        }
        if self.more_findings > 0 {
            writeln!(f, "and {} more lines that do not fit", self.more_findings)?;
        }
        for difference in &self.differences {
            writeln!(f, "{difference}")?;
        }
        match self.differences.len() {
            _ if self.agrees() => write!(f, "they agree"),
            0 => write!(f, "nothing that could be read differs"),
            n => write!(f, "they differ in {n}"),
        }
    }
}

#[cfg(test)]
mod tests;
