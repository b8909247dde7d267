//! Order by order: what the kiosk's page says, what the back end heard, what the providers have, and what the gateways
//! have logged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::Street;
use kioskd_tests::machine::wait_at_most;

/// What a gateway logs when it has told a kiosk of a payment.
const PAID: [&str; 4] = ["result=\"1 paid\"", "result=\"paid, so not closed\"", "given back", "confirmed a notice"];

/// One charge by the events.
#[derive(Debug, Default)]
struct Charge {
    paid: i64,
    returned: i64,
    confirmed: i64,
    /// Refunds asked for, by number.
    asked: BTreeMap<String, i64>,
}

/// One order by the events.
#[derive(Debug, Default)]
struct Told {
    kiosk: String,
    amount: i64,
    prices: Vec<i64>,
    delivered: BTreeSet<u64>,
    charges: BTreeMap<String, Charge>,
    claims: u64,
    ended: Option<String>,
    records: Vec<Value>,
}

impl Told {
    fn fold(&mut self, record: &Value) {
        let number = |key: &str| record[key].as_i64().unwrap_or_else(|| panic!("no {key} in {record}"));
        let text = |key: &str| record[key].as_str().unwrap_or_else(|| panic!("no {key} in {record}")).to_owned();
        let kind = text("kind");
        if let Some(charge) = record["charge"].as_str() {
            let charge = self.charges.entry(charge.to_owned()).or_default();
            match kind.as_str() {
                "order-paid" | "payment-surplus" => charge.paid += record["payment"]["amount"].as_i64().unwrap(),
                "charge-returned" => charge.returned = number("total"),
                "refund-requested" => {
                    let before = charge.asked.insert(text("refund"), number("amount"));
                    assert_eq!(before, None, "asked for twice: {record}");
                }
                "refund-confirmed" => {
                    assert_eq!(charge.asked.get(&text("refund")), Some(&number("amount")), "never asked for: {record}");
                    charge.confirmed += number("amount");
                }
                _ => {}
            }
        }
        match kind.as_str() {
            "order-offered" => {
                self.amount = number("amount");
                let items = record["items"].as_array().unwrap();
                self.prices = items.iter().map(|item| item["price"].as_i64().unwrap()).collect();
            }
            "item-delivered" => {
                assert!(self.delivered.insert(record["item"].as_u64().unwrap()), "delivered twice: {record}");
            }
            "claim-opened" => self.claims += 1,
            "order-ended" => self.ended = Some(text("state")),
            _ => {}
        }
        self.records.push(record.clone());
    }

    fn sum(&self, of: impl Fn(&Charge) -> i64) -> i64 {
        self.charges.values().map(of).sum()
    }
}

/// By the events, without a gap.
fn told(street: &Street) -> BTreeMap<String, Told> {
    let mut orders = BTreeMap::<String, Told>::new();
    for (index, events) in street.events.iter().enumerate() {
        let mut by_number = BTreeMap::new();
        for line in events.all() {
            let event: Value = serde_json::from_str(&line).unwrap();
            by_number.insert(event["seq"].as_u64().unwrap(), event);
        }
        assert!(by_number.keys().copied().eq(1..=by_number.len() as u64), "events of machine {index} are missing");
        for event in by_number.values() {
            let mut record: Value = serde_json::from_str(event["text"].as_str().unwrap()).unwrap();
            record["kind"] = event["kind"].clone();
            if let Some(order) = record["order"].as_str() {
                let order = orders.entry(order.to_owned()).or_default();
                order.kiosk = format!("K{:04}", index + 1);
                order.fold(&record);
            }
        }
    }
    orders
}

#[derive(Default)]
pub struct Audit {
    orders: usize,
    paid: usize,
    switched: usize,
    delivered: usize,
    refunds: usize,
    /// Payments that bought nothing.
    surplus: usize,
    /// Charges that a provider gave back when they were closed.
    returned: usize,
    /// Those of them of which no kiosk heard, because the answer was lost.
    unheard: usize,
    claims: u64,
    fell: i64,
    taken: i64,
    given_back: i64,
    wrong: Vec<String>,
    unsettled: Vec<String>,
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { orders, paid, switched, delivered, refunds, surplus, returned, unheard, claims, fell, .. } = self;
        write!(
            f,
            "{orders} orders, {switched} with a switch of the rail, {paid} paid, {delivered} delivered ({fell} products), \
             {surplus} payments that bought nothing, {refunds} refunds, {returned} charges given back by a close ({unheard} \
             of them unheard), {claims} claims; {} taken, {} given back",
            self.taken, self.given_back
        )
    }
}

impl Audit {
    pub fn open(&self) -> String {
        self.unsettled.join("\n")
    }

    /// Panics with the story of every order about which the books don't agree.
    pub fn agrees(&self) {
        assert!(self.wrong.is_empty(), "{} orders are wrong:\n{}", self.wrong.len(), self.wrong.join("\n\n"));
    }

    /// Where nothing happens nothing can go wrong.
    pub fn came_to(&self, asked: usize, calm: usize) {
        let enough = self.paid >= calm + asked / 2
            && self.delivered >= calm + asked / 3
            && self.switched >= asked / 4
            && self.refunds >= asked / 16;
        assert!(enough, "they have come to too little: {self}");
    }
}

pub fn audit(street: &Street) -> Audit {
    let kiosks: Vec<Value> =
        street.machines.iter().map(|machine| machine.get("/api/orders")["orders"].clone()).collect();
    let mut known = BTreeMap::new();
    for (index, orders) in kiosks.iter().enumerate() {
        for order in orders.as_array().unwrap() {
            known.insert(order["id"].as_str().unwrap().to_owned(), (index, order.clone()));
        }
    }
    // The back end hears it a little later than the page.
    let mut orders = BTreeMap::new();
    let all_told = wait_at_most(Duration::from_secs(30), || {
        orders = told(street);
        let ended = |state: &Value| state != "waiting-payment" && state != "delivering";
        let complete = known.iter().all(|(id, (_, order))| {
            orders.get(id).is_some_and(|told| {
                let delivered = order["items"].as_array().unwrap().iter().filter(|item| item["outcome"] == "delivered");
                ended(&order["state"]) && told.delivered.len() == delivered.count()
            })
        });
        (complete && orders.len() == known.len()).then_some(())
    });
    let mut audit = Audit { orders: known.len(), ..Audit::default() };
    if all_told.is_none() {
        audit.wrong.push(format!(
            "the back end heard of {} of {} orders, or not all of them",
            orders.len(),
            known.len()
        ));
    }

    let books = [street.wechat.get("/_book"), street.alipay.get("/_book")];
    let list =
        |key: &str| -> Vec<Value> { books.iter().flat_map(|book| book[key].as_array().unwrap()).cloned().collect() };
    let mut at_providers = BTreeMap::<String, Vec<Value>>::new();
    for charge in list("charges") {
        at_providers.entry(charge["order"].as_str().unwrap().to_owned()).or_default().push(charge);
    }
    for charge in at_providers.iter().filter(|(order, _)| !known.contains_key(*order)) {
        audit.wrong.push(format!("no kiosk has an order for {charge:?}"));
    }
    // `order` in WeChat's book of refunds is the charge.
    let mut refunds = BTreeMap::<String, Vec<Value>>::new();
    for refund in list("refunds") {
        let charge = refund["out_trade_no"].as_str().or(refund["order"].as_str()).unwrap().to_owned();
        refunds.entry(charge).or_default().push(refund);
    }
    let log = street.log.lock().unwrap().clone();
    let mut asked_through = BTreeSet::new();
    let mut told_paid = BTreeSet::new();
    for line in &log {
        let word = |key: &str| {
            let from = line.find(&format!(" {key}="))? + key.len() + 2;
            line[from..].split_whitespace().next().map(|word| word.trim_matches('"').to_owned())
        };
        let (Some(kiosk), Some(charge)) = (word("kiosk"), word("charge")) else { continue };
        if matches!(word("ask").as_deref(), Some("refund" | "query-refund")) {
            asked_through.insert((kiosk, charge));
        } else if PAID.iter().any(|words| line.contains(words)) {
            told_paid.insert((kiosk, charge));
        }
    }

    for (id, (index, order)) in &known {
        let Some(told) = orders.get(id) else { continue };
        let empty = Vec::new();
        let charges = at_providers.get(id).unwrap_or(&empty);
        let mut wrong = Vec::new();
        let mut must = |holds: bool, what: String| {
            if !holds {
                wrong.push(what);
            }
        };
        let number = |value: &Value, key: &str| value[key].as_i64().unwrap();
        let (paid, refunded) = (number(order, "paid"), number(order, "refunded"));

        must(told.kiosk == format!("K{:04}", index + 1), format!("another kiosk's: {}", told.kiosk));
        must(told.amount == number(order, "amount"), "the amounts differ".into());
        must(told.sum(|charge| charge.paid) == paid, format!("the back end heard of {}", told.sum(|c| c.paid)));
        let back = told.sum(|charge| charge.returned + charge.confirmed);
        must(back == refunded, format!("the back end heard of {back} given back"));
        for charge in charges {
            let number_of = charge["id"].as_str().unwrap();
            let (there, back) = (number(charge, "paid"), number(charge, "refunded"));
            audit.taken += there;
            audit.given_back += back;
            let none = Charge::default();
            let heard = told.charges.get(number_of).unwrap_or(&none);
            let given = refunds.get(number_of).unwrap_or(&empty);
            let by_close = back - given.iter().map(|refund| number(refund, "amount")).sum::<i64>();
            audit.returned += usize::from(by_close > 0);
            if heard.paid == 0 && there > 0 && there == by_close {
                // Alipay's book no longer tells that from a trade which nobody ever paid.
                audit.unheard += 1;
                must(heard.returned == 0 && heard.asked.is_empty(), format!("{number_of} was given back by a close"));
                continue;
            }
            must(heard.paid == there, format!("{number_of}: the provider has been paid {there}, not {}", heard.paid));
            let known_back = heard.returned + heard.confirmed;
            must(known_back == back, format!("{number_of}: the provider has given back {back}, not {known_back}"));
            must(
                there == 0 || told_paid.contains(&(told.kiosk.clone(), number_of.to_owned())),
                format!("{number_of}: no gateway has logged that it was paid"),
            );
            for refund in given {
                let name = refund["id"].as_str().unwrap();
                audit.refunds += 1;
                let amount = number(refund, "amount");
                must(heard.asked.get(name) == Some(&amount), format!("nobody asked for refund {name} of {amount}"));
                must(
                    asked_through.contains(&(told.kiosk.clone(), name.to_owned())),
                    format!("no gateway was asked for refund {name}"),
                );
            }
        }

        let items = order["items"].as_array().unwrap();
        let fell = items.iter().filter(|item| item["outcome"] == "delivered");
        let worth: i64 = fell.clone().map(|item| number(item, "price")).sum();
        let by_events: i64 = told.delivered.iter().map(|&item| told.prices[item as usize]).sum();
        must(worth == by_events, format!("the back end heard of goods for {by_events}, the kiosk says {worth}"));
        audit.fell += fell.count() as i64;
        let kept = paid - refunded;
        must(kept == worth || told.claims > 0, format!("{kept} was kept for goods of {worth}, without a claim"));
        let state = order["state"].as_str().unwrap();
        let fits = match state {
            "delivered" => kept == told.amount && worth == told.amount,
            "partly-delivered" => kept == worth && 0 < worth && worth < told.amount,
            "refunded" => paid > 0 && kept == 0 && worth == 0,
            "expired" | "cancelled" => paid == 0 && refunded == 0 && worth == 0,
            "claim" => told.claims > 0,
            _ => false,
        };
        must(fits, format!("it can't be {state}: {paid} paid, {refunded} given back, goods for {worth}"));
        must(told.ended.as_deref().is_none_or(|ended| ended == state), format!("it ended as {:?}", told.ended));
        // Nothing in this street needs a person.
        must(told.claims == 0, "there is a claim".into());

        audit.paid += usize::from(paid > 0);
        audit.switched += usize::from(told.charges.len() > 1);
        audit.delivered += usize::from(worth > 0);
        audit.surplus += told.records.iter().filter(|record| record["kind"] == "payment-surplus").count();
        audit.claims += told.claims;
        let story = || {
            let lines = log.iter().filter(|line| line.contains(id.as_str())).cloned().collect::<Vec<_>>().join("\n");
            let records = told.records.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
            let given: Vec<&Value> =
                charges.iter().filter_map(|charge| refunds.get(charge["id"].as_str()?)).flatten().collect();
            format!("{order}\nproviders: {}\nrefunds: {}\n{records}\n{lines}", json!(charges), json!(given))
        };
        if !wrong.is_empty() {
            audit.wrong.push(format!("{} {id}: {}\n{}", told.kiosk, wrong.join("; "), story()));
        }
        if told.ended.is_none() && state != "delivered" {
            audit.unsettled.push(story());
        }
    }
    let dropped: i64 = street.machines.iter().map(|machine| machine.dropped()).sum();
    if dropped != audit.fell {
        audit.wrong.push(format!("{dropped} products fell, and the books say {}", audit.fell));
    }
    audit
}
