//! Estimates the fees of the rails by the configured rates, and what other rates would have cost.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::When;
use super::charges::ChargeLine;
use crate::payment::rates::Rates;
use crate::vocabulary::fee::FeeSchedule;
use crate::vocabulary::{Currency, Minor, Money, Wall};

/// The days whose payments count, in one time zone; both ends are in. Without ends everything counts.
#[derive(Debug, Clone)]
pub struct Days {
    pub first: Option<Date>,
    pub last: Option<Date>,
    pub zone: TimeZone,
}

impl Days {
    fn of(&self, when: When) -> Option<Date> {
        Some(Wall(when?).timestamp()?.to_zoned(self.zone.clone()).date())
    }

    /// A payment of an unknown day counts only where every day does.
    fn hold(&self, day: Option<Date>) -> bool {
        match day {
            Some(day) => self.first.is_none_or(|first| first <= day) && self.last.is_none_or(|last| day <= last),
            None => self.first.is_none() && self.last.is_none(),
        }
    }
}

/// One rail's money in one currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    pub payments: u64,
    pub paid: Minor,
    /// Of these payments, whenever it went back.
    pub refunded: Minor,
    /// Payments with a rate; the others are of a rail that has none, or before its first day.
    pub rated: u64,
    /// Estimate of what the rail kept of those.
    pub fee: Minor,
    /// Estimate of what it left of those.
    pub net: Minor,
    /// The same with the other rates.
    pub other_rated: u64,
    pub other_fee: Minor,
    /// Other fee less fee, of payments with a rate in both.
    pub both_rated: u64,
    pub difference: Minor,
}

impl Sum {
    fn add(&mut self, other: Sum) {
        self.payments += other.payments;
        self.paid += other.paid;
        self.refunded += other.refunded;
        self.rated += other.rated;
        self.fee += other.fee;
        self.net += other.net;
        self.other_rated += other.other_rated;
        self.other_fee += other.other_fee;
        self.both_rated += other.both_rated;
        self.difference += other.difference;
    }

    /// A single payment, with what was kept of it by either rates.
    fn of(paid: Minor, refunded: Minor, fee: Option<Minor>, other: Option<Minor>) -> Self {
        let difference = fee.zip(other).map(|(fee, other)| other - fee);
        Self {
            payments: 1,
            paid,
            refunded,
            rated: fee.is_some().into(),
            fee: fee.unwrap_or(0),
            net: fee.map_or(0, |fee| paid - refunded - fee),
            other_rated: other.is_some().into(),
            other_fee: other.unwrap_or(0),
            both_rated: difference.is_some().into(),
            difference: difference.unwrap_or(0),
        }
    }
}

/// The whole answer.
#[derive(Debug, Clone)]
pub struct FeeReport {
    rails: BTreeMap<(String, &'static str), (Currency, Sum)>,
    totals: BTreeMap<&'static str, (Currency, Sum)>,
    /// Other rates were asked for too.
    compared: bool,
    /// Payments whose time is unknown and which are left out for it.
    undated: u64,
    /// Rails with payments and without rates.
    without: BTreeSet<String>,
}

impl FeeReport {
    /// Estimates with `rates`, and with `other` where other rates are to be tried.
    pub fn new(charges: &[ChargeLine], days: &Days, rates: &Rates, other: Option<&Rates>) -> Self {
        let mut report = Self {
            rails: BTreeMap::new(),
            totals: BTreeMap::new(),
            compared: other.is_some(),
            undated: 0,
            without: BTreeSet::new(),
        };
        for charge in charges {
            let [schedule, trial] = [Some(rates), other].map(|rates| rates.and_then(|rates| rates.rail(&charge.rail)));
            let mut back = charge.refunded();
            // What goes back is the surplus first, and that came last.
            for payment in charge.payments.iter().rev() {
                let refunded = back.min(payment.amount);
                back -= refunded;
                let day = days.of(payment.heard);
                if !days.hold(day) {
                    report.undated += u64::from(day.is_none());
                    continue;
                }
                let kept = |schedule: Option<&FeeSchedule>| schedule?.after_refund(payment.amount, refunded, day);
                let fee = kept(schedule);
                if fee.is_none() {
                    report.without.insert(charge.rail.clone());
                }
                report.add(charge, Sum::of(payment.amount, refunded, fee, kept(trial)));
            }
        }
        report
    }

    fn add(&mut self, charge: &ChargeLine, sum: Sum) {
        let (code, none) = (charge.currency.code(), (charge.currency, Sum::default()));
        self.rails.entry((charge.rail.clone(), code)).or_insert(none).1.add(sum);
        self.totals.entry(code).or_insert(none).1.add(sum);
    }

    pub fn json(&self) -> Value {
        let sum = |name: Option<&str>, currency: Currency, sum: &Sum| {
            let mut line = json!({
                "currency": currency.code(),
                "payments": sum.payments,
                "paid": sum.paid,
                "refunded": sum.refunded,
                "fee_estimate": sum.fee,
                "net_estimate": sum.net,
                "payments_without_rate": sum.payments - sum.rated,
            });
            if let Some(name) = name {
                line["rail"] = name.into();
            }
            if self.compared {
                line["if_fee_estimate"] = sum.other_fee.into();
                line["if_payments_without_rate"] = (sum.payments - sum.other_rated).into();
                line["difference_estimate"] = sum.difference.into();
            }
            line
        };
        json!({
            "estimate": true,
            "rails": self.rails.iter().map(|((name, _), (of, s))| sum(Some(name), *of, s)).collect::<Vec<_>>(),
            "totals": self.totals.values().map(|(of, s)| sum(None, *of, s)).collect::<Vec<_>>(),
            "payments_without_time": self.undated,
        })
    }
}

impl fmt::Display for FeeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:16}  {:>8}  {:>14}  {:>14}  {:>14}  {:>14}",
            "RAIL", "PAYMENTS", "PAID", "GIVEN BACK", "FEE (estimate)", "NET (estimate)"
        )?;
        match self.compared {
            true => writeln!(f, "  {:>14}  {:>14}", "IF (estimate)", "DIFFERENCE")?,
            false => writeln!(f)?,
        }
        let rails = self.rails.iter().map(|((name, _), (currency, sum))| (name.as_str(), *currency, sum));
        let totals = self.totals.values().map(|(currency, sum)| ("total", *currency, sum));
        for (name, currency, sum) in rails.chain(totals) {
            let money = |amount| Money { amount, currency }.to_string();
            // A fee nobody knows is not a fee of nothing.
            let known = |amount, rated| if rated == 0 { "no rate".to_owned() } else { money(amount) };
            let (fee, net) = (known(sum.fee, sum.rated), known(sum.net, sum.rated));
            let (paid, back) = (money(sum.paid), money(sum.refunded));
            write!(f, "{name:16}  {:>8}  {paid:>14}  {back:>14}  {fee:>14}  {net:>14}", sum.payments)?;
            if self.compared {
                let difference = known(sum.difference, sum.both_rated);
                write!(f, "  {:>14}  {difference:>14}", known(sum.other_fee, sum.other_rated))?;
            }
            writeln!(f)?;
        }
        let unrated: u64 = self.totals.values().map(|(_, sum)| sum.payments - sum.rated).sum();
        if unrated > 0 {
            let names: Vec<&str> = self.without.iter().map(String::as_str).collect();
            writeln!(
                f,
                "{unrated} payments on {} have no rate and are in no estimate; write [[rail.fee]] with from = DAY and \
                 rate = \"0.60%\" under the [[rail]]",
                names.join(", ")
            )?;
        }
        let unrated: u64 = self.totals.values().map(|(_, sum)| sum.payments - sum.other_rated).sum();
        if self.compared && unrated > 0 {
            writeln!(f, "{unrated} payments have no rate in the other file and are not in IF")?;
        }
        if self.undated > 0 {
            writeln!(f, "{} payments came while the clock was unknown and are in no day", self.undated)?;
        }
        write!(f, "an estimate by the configured rates; the provider's bill has the last word")
    }
}
