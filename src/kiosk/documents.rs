//! What the kiosk tells about itself: the `state` document, the order on the glass, and the alarms. All derived from the
//! sale's state, so that they can't say anything else than it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::clock::Clock;
use super::sensors::Faults;
use crate::config::Config;
use crate::ledger::Ledger;
use crate::payment::gateway::Rejections;
use crate::sale::shop::OutletStatus;
use crate::sale::{Order, PendingRefunds, State};
use crate::vocabulary::{BootId, Goods, Minor, Mono};

/// Among the faults: somebody else is this kiosk, too. An alarm of its own, because no device is broken.
pub const TWIN: &str = "second-kiosk";

/// The retained `state` document.
pub fn state(
    config: &Config,
    boot: &BootId,
    state: &State,
    ledger: Option<&Ledger>,
    printer: &str,
    devices: &Faults,
) -> Value {
    let reasons = state.stop_reasons();
    let outlets = state.shop.outlets();
    let kept = outlets.iter().filter_map(|known| Some((known.outlet.slot()?, known.goods.as_ref()?.product()?, known)));
    let stock: BTreeMap<_, _> = kept
        .map(|(name, product, slot)| {
            (name.to_string(), json!({ "product": product, "count": slot.count, "capacity": slot.capacity }))
        })
        .collect();
    let faults: Vec<Value> = faulty(state).into_iter().chain(broken(devices)).collect();
    let claims: Vec<Value> = open_claims(state).map(|order| json!(order.id)).collect();
    json!({
        "kiosk": config.kiosk.id,
        "fleet": config.kiosk.fleet,
        "version": env!("CARGO_PKG_VERSION"),
        "boot": boot,
        "selling": reasons.is_empty(),
        "reasons": reasons,
        "stock": stock,
        "faults": faults,
        "claims": claims,
        "settling": state.orders.values().filter(|order| !order.ended).count(),
        "printer": printer,
        "ledger": ledger.map(Ledger::id),
    })
}

/// The state in one line, for `systemctl status`.
pub fn status(state: &State) -> String {
    let settling = state.orders.values().filter(|order| !order.ended).count();
    let kind = |reason| json!(reason)["kind"].as_str().unwrap_or_default().to_owned();
    let reasons: Vec<String> = state.stop_reasons().into_iter().map(kind).collect();
    let selling =
        if reasons.is_empty() { "selling".to_owned() } else { format!("not selling: {}", reasons.join(", ")) };
    format!("{selling}; orders to settle: {settling}")
}

/// The order on the glass, or null.
pub fn order(state: &State) -> Value {
    let shown = state.counter.shown_order().and_then(|id| state.orders.get(&id));
    match state.current_order().or(shown) {
        Some(order) => json!({
            "id": order.id,
            "short_code": order.short_code,
            "state": order.state(),
            "amount": order.amount(),
            "currency": order.currency,
            "lines": lines(order.items.iter().map(|item| (product(&item.goods), 1, item.price))),
        }),
        None => basket(state),
    }
}

/// What the customer has chosen so far has no number yet: nothing of it is on disk.
fn basket(state: &State) -> Value {
    let chosen = state.basket();
    if chosen.is_empty() {
        return Value::Null;
    }
    let price = |id| state.product(id).map_or(0, |product| product.price);
    let amount: i64 = chosen.iter().map(|(id, quantity)| price(id) * i64::from(*quantity)).sum();
    json!({
        "id": null,
        "short_code": null,
        "state": "choosing",
        "amount": amount,
        "currency": state.policy.currency,
        "lines": lines(chosen.iter().map(|(id, quantity)| (id.to_string(), *quantity, price(id)))),
    })
}

/// A product by its key, other goods by kind and number.
fn product(goods: &Goods) -> String {
    goods.product().map_or_else(|| goods.to_string(), ToString::to_string)
}

fn lines(units: impl Iterator<Item = (String, u32, Minor)>) -> Value {
    let mut lines: Vec<(String, u32, Minor)> = Vec::new();
    for (product, quantity, price) in units {
        match lines.iter_mut().find(|line| line.0 == product && line.2 == price) {
            Some(line) => line.1 += quantity,
            None => lines.push((product, quantity, price)),
        }
    }
    lines
        .iter()
        .map(|(product, quantity, price)| json!({ "product": product, "quantity": quantity, "price": price }))
        .collect()
}

/// What somebody should look at, by the alarm's kind.
pub fn alarms(
    state: &State,
    rejections: Option<Rejections>,
    printer: &str,
    devices: &Faults,
    now: Mono,
) -> BTreeMap<String, Value> {
    let mut alarms = BTreeMap::new();
    if let Some(rejected) = rejections.as_ref().and_then(Rejections::alarm) {
        alarms.insert("pay-rejected".into(), rejected);
    }
    let reasons = state.stop_reasons();
    if !reasons.is_empty() {
        alarms.insert("sales-stopped".into(), json!({ "reasons": reasons }));
    }
    if !matches!(printer, "ok" | "unknown") {
        alarms.insert("printer".into(), json!({ "why": printer }));
    }
    let refusing = &state.conditions.refusing;
    if !refusing.is_empty() {
        alarms.insert("rail-refused".into(), json!({ "rails": refusing }));
    }
    if let Some(pending) = state.pending_refunds(now, Clock::wall()) {
        alarms.insert("refund-pending".into(), refund_pending(&pending));
    }
    let claims: Vec<Value> = open_claims(state)
        .map(|order| json!({ "order": order.id, "short_code": order.short_code, "why": order.claim.as_ref().map(|c| c.why.to_string()) }))
        .collect();
    if !claims.is_empty() {
        alarms.insert("claim".into(), json!({ "orders": claims }));
    }
    let faulty = faulty(state);
    if !faulty.is_empty() {
        alarms.insert("slot-faulty".into(), json!({ "slots": faulty }));
    }
    if let Some(why) = devices.get(TWIN) {
        alarms.insert(TWIN.into(), json!({ "why": why }));
    }
    let broken: Vec<Value> = broken(devices).filter(|fault| fault["device"] != TWIN).collect();
    if !broken.is_empty() {
        alarms.insert("device-faulty".into(), json!({ "devices": broken }));
    }
    let unknown: Vec<Value> =
        state.orders.values().filter(|order| !order.ended && unknown(order)).map(|order| json!(order.id)).collect();
    if !unknown.is_empty() {
        alarms.insert("delivery-unknown".into(), json!({ "orders": unknown }));
    }
    alarms
}

/// The age in steps, so that it is not told anew with every event.
fn refund_pending(pending: &PendingRefunds) -> Value {
    let minutes = pending.oldest.as_secs() / 60;
    let step = if minutes < 60 { 2 } else { 60 };
    json!({ "count": pending.count, "amount": pending.amount, "oldest_minutes": minutes / step * step })
}

/// The ledger was begun on another machine, or is a copy.
pub fn moved(ledger: &Ledger) -> Option<Value> {
    ledger.moved().map(|before| json!({ "ledger": ledger.id(), "before": before }))
}

/// Slots and gates that may not be used until a person has looked.
fn faulty(state: &State) -> Vec<Value> {
    let fault = |known: OutletStatus| {
        let why = known.fault?;
        Some(json!({ "slot": known.outlet.name(), "why": why.to_string(), "cause": why.kind() }))
    };
    state.shop.outlets().into_iter().filter_map(fault).collect()
}

fn broken(devices: &Faults) -> impl Iterator<Item = Value> {
    devices.iter().map(|(device, why)| json!({ "device": device, "why": why }))
}

fn unknown(order: &Order) -> bool {
    order.items.iter().any(|item| item.outcome == crate::sale::view::Outcome::Unknown)
}

fn open_claims(state: &State) -> impl Iterator<Item = &Order> {
    state.orders.values().filter(|order| order.claim_open())
}
