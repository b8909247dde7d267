//! Describes the order on the glass as a document, for programs that watch the glass.

use serde_json::{Value, json};

use crate::sale::State;
use crate::vocabulary::{Goods, Minor, counted};

/// The order on the glass, or null.
pub fn order(state: &State) -> Value {
    let shown = state.dialogue.shown_order().and_then(|id| state.orders.get(&id));
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
    json!({
        "id": null,
        "short_code": null,
        "state": "choosing",
        "amount": state.basket_total(),
        "currency": state.policy.currency,
        "lines": lines(chosen.iter().map(|(id, quantity)| (id.to_string(), *quantity, price(id)))),
    })
}

/// A product by its key, other goods by kind and number.
fn product(goods: &Goods) -> String {
    goods.product().map_or_else(|| goods.to_string(), ToString::to_string)
}

fn lines(units: impl Iterator<Item = (String, u32, Minor)>) -> Value {
    counted(units.map(|(product, quantity, price)| ((product, price), quantity)))
        .iter()
        .map(|((product, price), quantity)| json!({ "product": product, "quantity": quantity, "price": price }))
        .collect()
}
