//! What the kiosk tells about itself: the `state` document, the order on the glass, and the alarms. All derived from the
//! sale's state, so that they can't say anything else than it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::clock::Clock;
use super::sensors::Faults;
use crate::config::Config;
use crate::ledger::Ledger;
use crate::payment::gateway::Rejections;
use crate::sale::{Order, PendingRefunds, State};
use crate::vocabulary::{BootId, Mono};

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
    let stock: BTreeMap<_, _> = state
        .planogram
        .slots()
        .iter()
        .map(|(name, slot)| {
            (name.to_string(), json!({ "product": slot.product, "count": slot.stock, "capacity": slot.capacity }))
        })
        .collect();
    let slots = state.planogram.slots().iter();
    let slots = slots.filter_map(|(name, slot)| slot.faulty.as_ref().map(|why| json!({ "slot": name, "why": why })));
    let faults: Vec<Value> = slots.chain(broken(devices)).collect();
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
            "lines": lines(order.items.iter().map(|item| (&item.product, 1, item.price))),
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
    let price = |id| state.planogram.product(id).map_or(0, |product| product.price);
    let amount: i64 = chosen.iter().map(|(id, quantity)| price(id) * i64::from(*quantity)).sum();
    json!({
        "id": null,
        "short_code": null,
        "state": "choosing",
        "amount": amount,
        "currency": state.policy.currency,
        "lines": lines(chosen.iter().map(|(id, quantity)| (id, *quantity, price(id)))),
    })
}

fn lines<'a>(units: impl Iterator<Item = (&'a crate::vocabulary::ProductId, u32, i64)>) -> Value {
    let mut lines: Vec<(&crate::vocabulary::ProductId, u32, i64)> = Vec::new();
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
        .map(|order| json!({ "order": order.id, "short_code": order.short_code, "why": order.claim.as_ref().map(|c| &c.why) }))
        .collect();
    if !claims.is_empty() {
        alarms.insert("claim".into(), json!({ "orders": claims }));
    }
    let slots = state.planogram.slots().iter();
    let faulty: Vec<Value> =
        slots.filter_map(|(name, slot)| slot.faulty.as_ref().map(|why| json!({ "slot": name, "why": why }))).collect();
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

fn broken(devices: &Faults) -> impl Iterator<Item = Value> {
    devices.iter().map(|(device, why)| json!({ "device": device, "why": why }))
}

fn unknown(order: &Order) -> bool {
    order.items.iter().any(|item| item.outcome == crate::sale::view::Outcome::Unknown)
}

fn open_claims(state: &State) -> impl Iterator<Item = &Order> {
    state.orders.values().filter(|order| order.claim_open())
}
