//! Tells one order's history to a person: what happened, when, and how it ended.

use std::fmt;

use serde_json::{Value, json};

use super::project::word;
use crate::parking::report;
use crate::sale::Order;
use crate::sale::record::{Closed, Offered, Record, Settling, Slip};
use crate::vocabulary::{ClaimSettlement, Currency, Goods, Language, Minor, Money, OrderId, Outlet, Wall};

/// All records of one order, oldest first.
#[derive(Debug, Clone)]
pub struct Story {
    order: OrderId,
    lines: Vec<Line>,
    /// Other orders about the same stay in a car park, the oldest first.
    pub(super) others: Vec<OrderId>,
}

#[derive(Debug, Clone)]
struct Line {
    seq: u64,
    boot: String,
    mono: u64,
    wall: Option<u64>,
    record: Record,
}

impl Story {
    pub(super) fn new(order: OrderId) -> Self {
        Self { order, lines: Vec::new(), others: Vec::new() }
    }

    pub(super) fn push(&mut self, seq: u64, boot: String, mono: u64, wall: Option<u64>, record: Record) {
        self.lines.push(Line { seq, boot, mono, wall, record });
    }

    fn folded(&self) -> Option<Order> {
        Order::fold(self.lines.iter().map(|line| &line.record))
    }

    pub fn json(&self) -> Value {
        let currency = self.currency();
        let lines = self.lines.iter().map(|line| {
            json!({
                "seq": line.seq,
                "boot": line.boot,
                "ts": line.wall,
                "kind": line.record.kind(),
                "text": tell(&line.record, currency),
                "body": line.record,
            })
        });
        let lines: Vec<Value> = lines.collect();
        let order = self.folded();
        let mut story = json!({
            "order": self.order,
            "short_code": self.order.short_code(),
            "state": order.as_ref().map(Order::state),
            "paid": order.as_ref().map(Order::paid),
            "refunded": order.as_ref().map(Order::refunded),
            "lines": lines,
        });
        if !self.others.is_empty() {
            story["orders_of_stay"] = json!(self.others);
        }
        story
    }

    fn currency(&self) -> Option<Currency> {
        self.folded().map(|order| order.currency)
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "order {} ({})", self.order, self.order.short_code())?;
        let currency = self.currency();
        let mut boot = None;
        for line in &self.lines {
            if boot.is_some_and(|boot: &String| *boot != line.boot) {
                writeln!(f, "          ~~ the daemon was started anew ~~")?;
            }
            boot = Some(&line.boot);
            let when = match line.wall.and_then(|wall| Wall(wall).timestamp()) {
                Some(time) => time.strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string(),
                None => format!("clock unknown +{:.3}s", line.mono as f64 / 1_000.0),
            };
            writeln!(f, "{:>8}  {when}  {}", line.seq, tell(&line.record, currency))?;
        }
        if let Some(order) = self.folded() {
            let money = |amount| Money { amount, currency: order.currency };
            let state = serde_json::to_value(order.state()).unwrap_or_default();
            write!(
                f,
                "   now: {}; paid {}, given back {}, still to go back {}",
                state.as_str().unwrap_or("?"),
                money(order.paid()),
                money(order.refunded()),
                money(order.outstanding())
            )?;
        }
        for other in &self.others {
            write!(f, "\n   the same stay: order {other}")?;
        }
        Ok(())
    }
}

/// Where it must come out, where that is said.
fn from(only: Option<&Outlet>) -> String {
    only.map_or(String::new(), |outlet| format!(", from {} only", outlet.name()))
}

/// One record in words.
fn tell(record: &Record, currency: Option<Currency>) -> String {
    let money = |amount: &Minor| match currency {
        Some(currency) => Money { amount: *amount, currency }.to_string(),
        None => amount.to_string(),
    };
    match record {
        Record::OrderOffered { items, amount, charge, rail, outlet, .. } => {
            format!(
                "offered {} for {}, charge {charge} on {rail}{}",
                goods(items),
                money(amount),
                from(outlet.as_ref())
            )
        }
        Record::OrderGranted { items, grant, outlet, by, .. } => {
            let from = from(outlet.as_ref());
            let by = by.as_ref().map_or(String::new(), |by| format!(" by {by}"));
            format!("granted{by} ({}): {}{from}", grant.word(), goods(items))
        }
        Record::ChargeOffered { charge, rail, .. } => format!("another way to pay: charge {charge} on {rail}"),
        Record::OrderPaid { payment, fee_estimate: Some(fee), .. } => {
            format!(
                "paid {} by {}, of which the provider keeps about {}",
                money(&payment.amount),
                payment.id,
                money(fee)
            )
        }
        Record::OrderPaid { payment, .. } => format!("paid {} by {}", money(&payment.amount), payment.id),
        Record::PaymentSurplus { payment, why, .. } => {
            let paid = Money { amount: payment.amount, currency: payment.currency };
            format!("{paid} by {} buys nothing ({}) and goes back", payment.id, word(why))
        }
        Record::OrderClosed { why, .. } => match why {
            Closed::Expired => "nobody paid in time".into(),
            Closed::ByCustomer => "cancelled by the customer".into(),
            Closed::Stopped(reason) => format!("taken off the glass: {reason}"),
            Closed::NoCharge(error) => format!("no charge could be made: {error}"),
            Closed::Restart => "the daemon started anew while it waited for payment".into(),
            Closed::WrongPayment => "closed after a payment that does not fit".into(),
            Closed::ByProvider => "closed by the provider".into(),
        },
        Record::ChargeReturned { total, .. } => format!("the provider gave back {} by itself", money(total)),
        Record::ChargeSettled { charge, .. } => format!("nothing more can happen on charge {charge}"),
        Record::DeliveryIntended { item, attempt, outlet, counter, .. } => {
            let counter = counter.map_or("no counter".into(), |count| format!("counter {count}"));
            let unit = item + 1;
            format!("unit {unit}: {} {} is energised, attempt {attempt}, {counter}", sort(outlet), outlet.name())
        }
        Record::ItemDelivered { item, outlet: Outlet::Slot(slot), count: 1, .. } => {
            format!("unit {}: fell from {slot}", item + 1)
        }
        Record::ItemDelivered { item, outlet: Outlet::Slot(slot), count, .. } => {
            format!("unit {}: {count} fell from {slot}", item + 1)
        }
        Record::ItemDelivered { item, outlet: Outlet::Gate(lane), .. } => {
            format!("unit {}: gate {lane} has opened", item + 1)
        }
        Record::ItemDelivered { item, outlet: Outlet::Pass, .. } => format!("unit {}: the pass is valid", item + 1),
        Record::ItemNotDelivered { item, outlet, why, last, .. } => {
            let from = outlet.as_ref().map_or(String::new(), |outlet| format!(" from {}", outlet.name()));
            let then = if *last { "" } else { "; another outlet is tried" };
            format!("unit {}: not delivered{from}: {why}{then}", item + 1)
        }
        Record::ItemUnknown { item, outlet, why, settled_by, .. } => {
            let then = match settled_by {
                Settling::Refund => "the money goes back",
                Settling::Claim => "a person decides",
                Settling::AssumedDelivered => "taken as delivered",
            };
            let (unit, from) = (item + 1, outlet.name());
            format!("unit {unit}: nobody knows whether it came out of {from} ({why}); {then}")
        }
        Record::RefundRequested { refund, amount, .. } => format!("refund {refund} of {} asked for", money(amount)),
        Record::RefundConfirmed { refund, amount, .. } => {
            format!("refund {refund} of {} confirmed by the provider", money(amount))
        }
        Record::RefundFailed { refund, amount, why, .. } => {
            format!("refund {refund} of {} refused: {why}", money(amount))
        }
        Record::ClaimOpened { amount, why, .. } => format!("claim over {}: {why}", money(amount)),
        Record::ClaimSettled { how, by, .. } => {
            let how = match how {
                ClaimSettlement::Delivered => "the customer has the goods",
                ClaimSettlement::Refund => "the rest goes back through the provider",
                ClaimSettlement::PaidOutside => "paid back by other means",
                ClaimSettlement::ByProvider => "nothing is open any more",
            };
            let by = by.as_ref().map_or("the provider's word".to_owned(), ToString::to_string);
            format!("claim settled by {by}: {how}")
        }
        Record::RefundDecided { amount, by, .. } => {
            format!("{} given back by {by}, for goods that were delivered", money(amount))
        }
        Record::ReceiptPrinted { slip, .. } => format!("{} printed", slip_name(*slip)),
        Record::ReceiptNotPrinted { slip, why, .. } => format!("no {} on paper: {why}", slip_name(*slip)),
        Record::OrderEnded { state, .. } => format!("ended: {}", word(state)),
        other => report::told(other).unwrap_or_else(|| other.kind().into()),
    }
}

/// As they were called when they were offered.
fn goods(items: &[Offered]) -> String {
    let name = |item: &Offered| match (item.label.get(&Language::new("en")), &item.goods) {
        ("", goods) => goods.to_string(),
        (label, Goods::Product(_)) => label.to_owned(),
        // The label is of every stay of this length; the number is on the ticket that somebody has in hand.
        (label, Goods::Stay(number)) => format!("{label} (stay {number})"),
    };
    items.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn sort(outlet: &Outlet) -> &'static str {
    match outlet {
        Outlet::Slot(_) => "slot",
        Outlet::Gate(_) => "gate",
        Outlet::Pass => "the pass",
    }
}

fn slip_name(slip: Slip) -> &'static str {
    match slip {
        Slip::Receipt => "receipt",
        Slip::Refund => "refund slip",
        Slip::Claim => "claim slip",
        Slip::Ticket => "ticket",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::{Cause, ChargeId, Goods, Grant, LaneId, Localized, ProductId, RailName, SlotId};

    fn told(record: &Record) -> String {
        tell(record, Currency::from_code("CNY"))
    }

    #[test]
    fn where_an_order_must_come_out_is_told() {
        let order = OrderId::from_parts(1, 1);
        let (short_code, currency) = (order.short_code(), Currency::from_code("CNY").unwrap());
        let goods = Goods::Product(ProductId::parse("cola").unwrap());
        let items = vec![Offered { goods, label: Localized::default(), price: 300, tax: None }];
        let (charge, rail) = (ChargeId::of(order, 1), RailName::parse("sandbox").unwrap());
        let offered = |outlet| Record::OrderOffered {
            order,
            short_code: short_code.clone(),
            currency,
            amount: 300,
            items: items.clone(),
            charge: charge.clone(),
            rail: rail.clone(),
            life_ms: 1,
            outlet,
        };
        let one = format!("offered product:cola for 3.00 CNY, charge {charge} on sandbox");
        assert_eq!(told(&offered(None)), one);
        let slot = Outlet::Slot(SlotId::parse("A1").unwrap());
        assert_eq!(told(&offered(Some(slot.clone()))), format!("{one}, from A1 only"));
        let (items, grant) = (items.clone(), Grant::NothingDue);
        let granted = Record::OrderGranted { order, short_code, currency, items, grant, outlet: Some(slot), by: None };
        assert!(told(&granted).ends_with(": product:cola, from A1 only"), "{}", told(&granted));
    }

    #[test]
    fn units_are_counted_from_one_and_outlets_have_their_word() {
        let order = OrderId::from_parts(1, 1);
        let slot = Outlet::Slot(SlotId::parse("A1").unwrap());
        let gate = Outlet::Gate(LaneId::parse("out").unwrap());
        let unknown =
            Record::ItemUnknown { order, item: 1, outlet: slot, why: Cause::NothingFell, settled_by: Settling::Refund };
        assert!(told(&unknown).starts_with("unit 2: nobody knows whether it came out of A1 ("), "{}", told(&unknown));
        let intended = Record::DeliveryIntended { order, item: 2, attempt: 1, outlet: gate, counter: None };
        assert_eq!(told(&intended), "unit 3: gate out is energised, attempt 1, no counter");
    }

    #[test]
    fn a_start_in_the_middle_of_it_is_told_once() {
        let order = OrderId::from_parts(1, 1);
        let mut story = Story::new(order);
        for (seq, boot) in [(1, "one"), (2, "one"), (3, "two"), (4, "two")] {
            let record = Record::ReceiptPrinted { order, slip: Slip::Claim };
            story.push(seq, boot.into(), seq * 1_000, None, record);
        }
        let expected = format!(
            "order {order} ({})
       1  clock unknown +1.000s  claim slip printed
       2  clock unknown +2.000s  claim slip printed
          ~~ the daemon was started anew ~~
       3  clock unknown +3.000s  claim slip printed
       4  clock unknown +4.000s  claim slip printed
",
            order.short_code()
        );
        assert_eq!(story.to_string(), expected);
    }

    #[test]
    fn every_slip_has_its_name() {
        let order = OrderId::from_parts(1, 1);
        let slips = [Slip::Receipt, Slip::Refund, Slip::Claim, Slip::Ticket];
        let told = slips.map(|slip| told(&Record::ReceiptPrinted { order, slip }));
        assert_eq!(told, ["receipt printed", "refund slip printed", "claim slip printed", "ticket printed"]);
    }
}
