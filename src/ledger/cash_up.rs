//! What was taken between two cuts of the ledger: the report for whoever visits the machine.
//!
//! Policy: an order's part in a report is what its records add up to at the cut, less what they added up to at the cut
//! before. So each payment, refund and unit is in exactly one report, and all reports together are what the tables say.
//! Nothing is in it that is not in the records, and therefore a report can be made again at any time, the same to the byte.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use super::When;
use crate::operation::Actor;
use crate::sale::{Order, Record};
use crate::vocabulary::{
    Cause, Currency, Goods, Grant, Language, Localized, Minor, Money, OrderId, RailName, Wall, plural,
};

/// A place in the ledger: behind which record, with its hash and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// 0 before the first record.
    pub seq: u64,
    pub hash: String,
    pub at: When,
}

/// One report. Counts are of what happened behind `begin` and up to `end`; claims and what is still to go back are as they
/// were at `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CashUp {
    /// `None`: what has happened since the last report, which is not cut yet.
    pub number: Option<u32>,
    /// Who has asked for it.
    pub by: Option<Actor>,
    /// The number of the ledger at `end`.
    pub ledger: String,
    pub begin: Cut,
    pub end: Cut,
    /// By the currency's code.
    pub currencies: BTreeMap<&'static str, InCurrency>,
    /// Payments in another currency than the order's, which no sum can hold: each is a claim.
    pub foreign: BTreeMap<(RailName, &'static str), Foreign>,
    /// Units for which nothing was paid, by why.
    pub granted: BTreeMap<Grant, i64>,
    /// Orders that a person must settle, the oldest first.
    pub claims: Vec<ClaimLine>,
}

/// What was taken in one currency; money in its minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InCurrency {
    pub currency: Currency,
    pub rails: BTreeMap<RailName, RailSum>,
    pub products: BTreeMap<Goods, ProductSum>,
    /// Still to go back, of all orders.
    pub outstanding: Minor,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RailSum {
    /// Orders that were paid: the payment bought the goods.
    pub orders: i64,
    /// All payments, those too that bought nothing.
    pub payments: i64,
    pub paid: Minor,
    /// Refunds that the provider has confirmed.
    pub refunds: i64,
    pub refunded: Minor,
    /// What the provider gave back by itself.
    pub returned: Minor,
    /// Estimate of what the rail keeps, by the rates of the time of each payment.
    pub fee: Minor,
    /// Orders among `orders` whose fee nobody knows, because no rate was configured.
    pub unrated: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductSum {
    /// What it was called when it was last sold.
    pub label: Localized,
    pub units: i64,
    pub sum: Minor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign {
    pub currency: Currency,
    pub payments: i64,
    pub paid: Minor,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimLine {
    pub order: OrderId,
    /// What it was opened over.
    pub open: Money,
    pub why: Cause,
}

impl RailSum {
    pub fn given_back(&self) -> Minor {
        self.refunded + self.returned
    }

    /// What is left of it, as far as fees are known.
    pub fn net(&self) -> Minor {
        self.paid - self.given_back() - self.fee
    }

    /// A fee nobody knows is not a fee of nothing: `None` where no order had a rate.
    pub fn fee_known(&self) -> Option<Minor> {
        (self.unrated == 0 || self.unrated < self.orders || self.fee != 0).then_some(self.fee)
    }

    fn add(&mut self, other: &Self, sign: i64) {
        self.orders += sign * other.orders;
        self.payments += sign * other.payments;
        self.paid += sign * other.paid;
        self.refunds += sign * other.refunds;
        self.refunded += sign * other.refunded;
        self.returned += sign * other.returned;
        self.fee += sign * other.fee;
        self.unrated += sign * other.unrated;
    }
}

impl InCurrency {
    fn new(currency: Currency) -> Self {
        Self { currency, rails: BTreeMap::new(), products: BTreeMap::new(), outstanding: 0 }
    }

    /// All rails together.
    pub fn total(&self) -> RailSum {
        let mut total = RailSum::default();
        self.rails.values().for_each(|sum| total.add(sum, 1));
        total
    }
}

impl CashUp {
    /// A report of nothing between two places.
    pub fn new(begin: Cut, end: Cut) -> Self {
        Self {
            number: None,
            by: None,
            ledger: String::new(),
            begin,
            end,
            currencies: BTreeMap::new(),
            foreign: BTreeMap::new(),
            granted: BTreeMap::new(),
            claims: Vec::new(),
        }
    }

    /// Takes one order in, by its records with the number of each, oldest first. Those behind the end are passed over.
    /// Every order has to be taken in that has a record behind the beginning, or that is open at the end.
    pub fn take<'a>(&mut self, records: impl IntoIterator<Item = (u64, &'a Record)>) {
        let records: Vec<_> = records.into_iter().filter(|(seq, _)| *seq <= self.end.seq).collect();
        let before = records.iter().take_while(|(seq, _)| *seq <= self.begin.seq).map(|(_, record)| *record);
        let before = Order::fold(before);
        let Some(order) = Order::fold(records.iter().map(|(_, record)| *record)) else { return };
        self.add(&order, 1);
        if let Some(before) = before {
            self.add(&before, -1);
        }
        self.currency(order.currency).outstanding += order.outstanding();
        if let Some(claim) = order.claim.as_ref().filter(|_| order.claim_open()) {
            let opened = records.iter().rev().find_map(|(_, record)| match record {
                Record::ClaimOpened { amount, .. } => Some(*amount),
                _ => None,
            });
            // The amount of a payment in another currency is in that one.
            let open = match &claim.why {
                Cause::PaidInOtherCurrency { paid } => *paid,
                _ => Money { amount: opened.unwrap_or_default(), currency: order.currency },
            };
            self.claims.push(ClaimLine { order: order.id, open, why: claim.why.clone() });
        }
        self.forget_nothings();
    }

    fn currency(&mut self, currency: Currency) -> &mut InCurrency {
        self.currencies.entry(currency.code()).or_insert_with(|| InCurrency::new(currency))
    }

    /// What the order has come to, once or minus once.
    fn add(&mut self, order: &Order, sign: i64) {
        for charge in &order.charges {
            let (own, foreign): (Vec<_>, Vec<_>) =
                charge.payments.iter().partition(|payment| payment.currency == charge.currency);
            let bought = order.bought() == Some(&charge.id);
            let confirmed = charge.confirmed_refunds();
            let sum = RailSum {
                orders: bought.into(),
                payments: own.len() as i64,
                paid: charge.paid(),
                refunds: confirmed.count() as i64,
                refunded: charge.confirmed(),
                returned: charge.returned,
                fee: order.fee_estimate().filter(|_| bought).unwrap_or(0),
                unrated: (bought && charge.fee_estimate.is_none()).into(),
            };
            self.currency(charge.currency).rails.entry(charge.rail.clone()).or_default().add(&sum, sign);
            for payment in foreign {
                let none = Foreign { currency: payment.currency, payments: 0, paid: 0 };
                let known = self.foreign.entry((charge.rail.clone(), payment.currency.code())).or_insert(none);
                known.payments += sign;
                known.paid += sign * payment.amount;
            }
        }
        for item in order.items.iter().filter(|item| item.sold()) {
            match order.grant() {
                Some(grant) => *self.granted.entry(grant).or_default() += sign,
                None => {
                    let product = self.currency(order.currency).products.entry(item.goods.clone()).or_default();
                    product.units += sign;
                    product.sum += sign * item.price;
                    product.label.clone_from(&item.label);
                }
            }
        }
    }

    fn forget_nothings(&mut self) {
        for sums in self.currencies.values_mut() {
            sums.rails.retain(|_, sum| *sum != RailSum::default());
            sums.products.retain(|_, product| product.units != 0);
        }
        self.currencies.retain(|_, sums| !sums.rails.is_empty() || !sums.products.is_empty() || sums.outstanding != 0);
        self.foreign.retain(|_, foreign| foreign.payments != 0);
        self.granted.retain(|_, units| *units != 0);
    }

    pub fn json(&self) -> Value {
        let sums = |sum: &RailSum, currency: Currency| {
            json!({
                "currency": currency.code(),
                "orders": sum.orders,
                "payments": sum.payments,
                "paid": sum.paid,
                "refunds": sum.refunds,
                "refunded": sum.refunded,
                "returned": sum.returned,
                "fee_estimate": sum.fee,
                "net_estimate": sum.net(),
                "orders_without_rate": sum.unrated,
            })
        };
        let (mut rails, mut totals, mut products) = (Vec::new(), Vec::new(), Vec::new());
        for in_currency in self.currencies.values() {
            let currency = in_currency.currency;
            for (rail, sum) in &in_currency.rails {
                let mut line = sums(sum, currency);
                line["rail"] = json!(rail);
                rails.push(line);
            }
            for (goods, ProductSum { label, units, sum }) in &in_currency.products {
                products.push(json!({
                    "goods": goods, "label": label, "currency": currency.code(), "units": units, "sum": sum,
                }));
            }
            let mut total = sums(&in_currency.total(), currency);
            total["outstanding"] = in_currency.outstanding.into();
            totals.push(total);
        }
        let foreign = self.foreign.iter().map(|((rail, code), Foreign { payments, paid, .. })| {
            json!({ "rail": rail, "currency": code, "payments": payments, "paid": paid })
        });
        let granted = self.granted.iter().map(|(grant, units)| json!({ "grant": grant, "units": units }));
        let claims = self.claims.iter().map(|ClaimLine { order, open, why }| {
            json!({
                "order": order,
                "short_code": order.short_code(),
                "amount": open.amount,
                "currency": open.currency.code(),
                "cause": why.kind(),
                "why": why.to_string(),
            })
        });
        json!({
            "number": self.number,
            "by": self.by,
            "ledger": self.ledger,
            "since": self.begin.at,
            "until": self.end.at,
            "after_record": self.begin.seq,
            "prev": self.begin.hash,
            "last_record": self.end.seq,
            "hash": self.end.hash,
            "rails": rails,
            "totals": totals,
            "other_currency": foreign.collect::<Vec<_>>(),
            "products": products,
            "granted": granted.collect::<Vec<_>>(),
            "claims": claims.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for CashUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = self.by.as_ref().map_or(String::new(), |by| format!(", by {by}"));
        match self.number {
            Some(number) => writeln!(f, "report {number}{by}")?,
            None => writeln!(f, "since the last report, and in none yet")?,
        }
        writeln!(f, "from   {}  behind record {:>8}  {}", written(self.begin.at), self.begin.seq, self.begin.hash)?;
        writeln!(f, "until  {}  with record   {:>8}  {}", written(self.end.at), self.end.seq, self.end.hash)?;
        for sums in self.currencies.values() {
            writeln!(f)?;
            sums.rails_table(f)?;
            sums.products_table(f)?;
        }
        for ((rail, _), Foreign { currency, payments, paid }) in &self.foreign {
            let paid = Money { amount: *paid, currency: *currency };
            let payments = plural(*payments, "payment");
            writeln!(f, "{payments} on {rail} in another currency than the order's, in no sum: {paid}")?;
        }
        writeln!(f)?;
        for (grant, units) in &self.granted {
            let units = plural(*units, "unit");
            writeln!(f, "{units} for which nothing was paid ({})", grant.word())?;
        }
        for sums in self.currencies.values().filter(|sums| sums.outstanding != 0) {
            writeln!(f, "still to go back: {}", Money { amount: sums.outstanding, currency: sums.currency })?;
        }
        write!(f, "open claims: {}", self.claims.len())?;
        for ClaimLine { order, open, why } in &self.claims {
            write!(f, "\n  {}  {order}  {open:>14}  {why}", order.short_code())?;
        }
        Ok(())
    }
}

impl InCurrency {
    fn rails_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let money = |amount| Money { amount, currency: self.currency }.to_string();
        writeln!(
            f,
            "{:16}  {:>8}  {:>14}  {:>8}  {:>14}  {:>14}  {:>14}",
            "RAIL", "PAYMENTS", "PAID", "REFUNDS", "GIVEN BACK", "FEE (estimate)", "NET (estimate)"
        )?;
        let total = self.total();
        let lines = self.rails.iter().map(|(rail, sum)| (rail.as_str(), sum));
        for (name, sum) in lines.chain([("total", &total)]) {
            let RailSum { payments, refunds, .. } = sum;
            let fee = sum.fee_known().map_or("no rate".into(), money);
            let (paid, back, net) = (money(sum.paid), money(sum.given_back()), money(sum.net()));
            writeln!(f, "{name:16}  {payments:>8}  {paid:>14}  {refunds:>8}  {back:>14}  {fee:>14}  {net:>14}")?;
        }
        if total.returned != 0 {
            writeln!(f, "of what was given back, the provider gave {} by itself", money(total.returned))?;
        }
        if total.unrated > 0 {
            writeln!(
                f,
                "paid on a rail without a rate, and no fee is taken off for them: {}",
                plural(total.unrated, "order")
            )?;
        }
        Ok(())
    }

    fn products_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.products.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{:32}  {:>8}  {:>14}", "SOLD", "UNITS", "SUM")?;
        for (goods, ProductSum { label, units, sum }) in &self.products {
            let sum = Money { amount: *sum, currency: self.currency }.to_string();
            let name = match label.get(&Language::new("en")) {
                "" => goods.to_string(),
                name => name.to_owned(),
            };
            writeln!(f, "{name:32}  {units:>8}  {sum:>14}")?;
        }
        Ok(())
    }
}

fn written(at: When) -> String {
    let time = at.and_then(|wall| Wall(wall).timestamp());
    time.map_or("clock unknown       ".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests;
