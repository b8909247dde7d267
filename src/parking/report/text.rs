//! The report for people, and as JSON; and records of a stay in words.

use std::fmt;

use serde_json::{Value, json};

use super::{Cars, Day, Hour, Report, Undecided, civil};
use crate::parking::lane::{self, Authorisation, CantDecide, Ended};
use crate::parking::shop::{Deed, Memo};
use crate::sale::presented::TicketDeed;
use crate::sale::{ORDER_NOTE, Record};
use crate::vocabulary::{Language, Minor, Money};

impl Report {
    pub fn json(&self) -> Value {
        let hour = |hour: &Hour| {
            json!({
                "ts": hour.begins,
                "hour": civil(hour.begins, &self.of.zone, "%H:%M%:z"),
                "handed_over": hour.cars.handed_over,
                "passed": hour.cars.passed,
                "unauthorised": hour.cars.unauthorised,
                "unsure": hour.cars.unsure,
                "inside": self.inside(hour),
            })
        };
        let undecided = |one: &Undecided| {
            json!({
                "ts": one.at,
                "number": one.number,
                "why": one.why,
                "how": one.how,
                "counts": one.counts(),
                "ticket": one.known.as_ref().and_then(|known| known.ticket.as_deref()),
                "due": one.known.as_ref().and_then(|known| known.due),
            })
        };
        let day = |day: &Day| {
            let lines =
                day.lines.iter().map(|(rule, line)| json!({ "rule": rule, "count": line.count, "sum": line.sum }));
            json!({
                "stays": day.stays,
                "paid": day.paid,
                "given_back": day.given_back,
                "lines": lines.collect::<Vec<_>>(),
                "undecided": day.undecided.iter().map(undecided).collect::<Vec<_>>(),
                "hours": day.hours.iter().map(hour).collect::<Vec<_>>(),
            })
        };
        let days = self.days.iter().map(|(date, of)| {
            let mut document = day(of);
            document["day"] = date.to_string().into();
            document
        });
        json!({
            "kiosk": self.of.kiosk,
            "mode": mode(self.of.does),
            "time_zone": self.of.zone.iana_name(),
            "currency": self.of.currency.code(),
            "days": days.collect::<Vec<_>>(),
            "without_time": self.undated,
        })
    }

    fn money(&self, amount: Minor) -> String {
        Money { amount, currency: self.of.currency }.to_string()
    }

    fn hours(&self, f: &mut fmt::Formatter<'_>, day: &Day) -> fmt::Result {
        let counted = match self.of.does {
            TicketDeed::GiveOut => "TICKETS",
            TicketDeed::Pay => "SETTLED",
            TicketDeed::Leave => "LET OUT",
        };
        writeln!(
            f,
            "{:11}  {counted:>8}  {:>8}  {:>12}  {:>8}  {:>8}",
            "HOUR", "PASSED", "UNAUTHORISED", "UNSURE", "INSIDE"
        )?;
        let row = |f: &mut fmt::Formatter<'_>, name: &str, cars: &Cars, inside: &str| {
            let Cars { handed_over, passed, unauthorised, unsure } = cars;
            let row = format!("{name:11}  {handed_over:>8}  {passed:>8}  {unauthorised:>12}  {unsure:>8}  {inside:>8}");
            writeln!(f, "{}", row.trim_end())
        };
        let (mut sum, mut before) = (Cars::default(), None);
        for Hour { cars, .. } in &day.hours {
            sum.handed_over += cars.handed_over;
            sum.passed += cars.passed;
            sum.unauthorised += cars.unauthorised;
            sum.unsure += cars.unsure;
        }
        for hour in &day.hours {
            let inside = self.inside(hour);
            if hour.cars != Cars::default() || inside != before {
                let name = civil(hour.begins, &self.of.zone, "%H:%M%:z");
                row(f, &name, &hour.cars, &inside.map_or_else(|| "-".to_owned(), |cars| cars.to_string()))?;
            }
            before = inside;
        }
        row(f, "day", &sum, "")
    }

    fn takings(&self, f: &mut fmt::Formatter<'_>, day: &Day) -> fmt::Result {
        if day.stays == 0 && day.paid == 0 && day.given_back == 0 {
            return Ok(());
        }
        writeln!(f, "{:32}  {:>8}  {:>14}", "LINE", "TIMES", "SUM")?;
        for (rule, line) in &day.lines {
            let rule = if rule.is_empty() { "not on record" } else { rule };
            writeln!(f, "{rule:32}  {:>8}  {:>14}", line.count, self.money(line.sum))?;
        }
        writeln!(f, "{:32}  {:>8}  {:>14}", "paid", day.stays, self.money(day.paid))?;
        if day.given_back != 0 {
            writeln!(f, "{:32}  {:>8}  {:>14}", "given back", "", self.money(day.given_back))?;
        }
        Ok(())
    }

    fn undecided_of(&self, f: &mut fmt::Formatter<'_>, day: &Day) -> fmt::Result {
        let what = match self.of.does {
            TicketDeed::Leave => "unpaid exits",
            TicketDeed::GiveOut | TicketDeed::Pay => "let in without a ticket",
        };
        let count = day.undecided.iter().filter(|one| one.counts()).count();
        if day.undecided.is_empty() {
            return Ok(());
        }
        writeln!(f, "{what}, because nobody could decide: {count}")?;
        for one in &day.undecided {
            let known = one.known.clone().unwrap_or_default();
            let ticket = known.ticket.map_or_else(String::new, |ticket| format!(", ticket {ticket}"));
            let due = known.due.map_or_else(String::new, |due| format!(", {} due", self.money(due)));
            let at = civil(one.at, &self.of.zone, "%H:%M:%S%:z");
            writeln!(f, "  {at}  {}{ticket}{due}; {}", why(one.why), ended(one.how))?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = self.of.zone.iana_name().unwrap_or("UTC");
        write!(f, "{} ({}), by its own ledger; times of {zone}", self.of.kiosk, mode(self.of.does))?;
        for (date, day) in &self.days {
            let known = |hour: &Hour| hour.cars != Cars::default() || self.inside(hour).is_some();
            let empty = Day { hours: day.hours.clone(), ..Day::default() };
            if *day == empty && !day.hours.iter().any(known) {
                continue;
            }
            writeln!(f, "\n\n{date}")?;
            self.hours(f, day)?;
            self.takings(f, day)?;
            self.undecided_of(f, day)?;
            write!(f, "cars inside at the end of the day: ")?;
            match day.hours.last().and_then(|hour| self.inside(hour)) {
                Some(cars) => write!(f, "{cars}")?,
                None => write!(f, "the ledger does not say")?,
            }
        }
        if self.undated > 0 {
            write!(f, "\n\n{} happened while the clock was unknown, and are in no day", self.undated)?;
        }
        Ok(())
    }
}

fn mode(does: TicketDeed) -> &'static str {
    match does {
        TicketDeed::GiveOut => "entry",
        TicketDeed::Pay => "pay-station",
        TicketDeed::Leave => "exit",
    }
}

fn why(why: CantDecide) -> &'static str {
    match why {
        CantDecide::NoTicket => "tickets could not be read or given out",
        CantDecide::NoKey => "no key to check the ticket with",
        CantDecide::NoPrice => "no price for the stay",
        CantDecide::NoPayment => "nothing could be paid",
    }
}

fn ended(how: Option<Ended>) -> &'static str {
    match how {
        None => "under way",
        Some(Ended::Passed) => "passed",
        Some(Ended::Withdrawn) => "went back",
        Some(Ended::NotMoved) => "the gate did not move",
        Some(Ended::Unknown) => "nobody has seen whether it passed",
    }
}

/// A note about a stay or its gate in words.
pub(super) fn told(record: &Record) -> Option<String> {
    match record {
        Record::ShopNoted { key, value: Some(value) } if key.starts_with(ORDER_NOTE) => {
            let memo: Memo = serde_json::from_value(value.clone()).ok()?;
            let what = match &memo.deed {
                Deed::Enter { plate: Some(plate), .. } => format!("ticket {} for {plate}", memo.number),
                Deed::Enter { .. } => format!("ticket {}", memo.number),
                Deed::Stay(stay) if stay.lost.is_some() => format!("lost ticket, from now on {}", memo.number),
                Deed::Stay(_) => format!("stay {}", memo.number),
            };
            let english = Language::new("en");
            let lines: Vec<&str> = memo.bill.iter().map(|line| line.text.get(&english)).collect();
            Some(if lines.is_empty() { what } else { format!("{what}: {}", lines.join("; ")) })
        }
        Record::GateNoted { lane, note } => match serde_json::from_value(note.clone()).ok()? {
            lane::Record::GateIntended { authorisation: Authorisation::Delivery { .. }, attempt } => {
                Some(format!("gate {lane} is raised for it, attempt {attempt}"))
            }
            lane::Record::PassageEnded { authorisation: Authorisation::Delivery { .. }, how } => {
                Some(format!("its car at gate {lane}: {}", ended(Some(how))))
            }
            _ => None,
        },
        _ => None,
    }
}
