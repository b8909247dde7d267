//! A ledger of years, written straight away: good sales as the core writes them, a minute apart, and a report of what was taken
//! every so many of them. The measurements of `benches/machine.rs` stand on it, too.

use kioskd::ledger::{Journal, Ledger};
use kioskd::operation::{Actor, Operation, Outcome, RequestId};
use kioskd::sale::record::Slip;
use kioskd::sale::view::OrderState;
use kioskd::sale::{Order, Record, State};
use kioskd::vocabulary::{ChargeId, Mono, OrderId, Payment, PaymentId, RailName, Stamp, Wall};

use crate::kit::{self, BASE};

const MINUTE: u64 = 60_000;

/// The records of a good sale, as the core writes them.
pub fn sale(number: u64) -> (OrderId, Vec<Record>) {
    let order = OrderId::from_parts(BASE + number * MINUTE, u128::from(number) * 7_919);
    let charge = ChargeId::of(order, 1);
    let id = PaymentId::parse(&format!("p{number}")).unwrap();
    let payment = Payment { id, amount: 300, currency: kit::cny(), order };
    let items = vec![kit::cola()];
    let (short_code, currency, outlet) = (order.short_code(), kit::cny(), kit::outlet("A1"));
    let rail = RailName::parse("sandbox").unwrap();
    let records = vec![
        Record::OrderOffered {
            order,
            short_code,
            currency,
            amount: 300,
            items,
            charge: charge.clone(),
            rail,
            life_ms: 60_000,
            outlet: None,
        },
        Record::OrderPaid { order, charge: charge.clone(), payment, fee_estimate: None },
        Record::DeliveryIntended { order, item: 0, attempt: 1, outlet: outlet.clone(), counter: Some(3) },
        Record::ItemDelivered { order, item: 0, attempt: 1, outlet, count: 1 },
        Record::ReceiptPrinted { order, slip: Slip::Receipt },
        Record::ChargeSettled { order, charge },
        Record::OrderEnded { order, state: OrderState::Delivered },
    ];
    (order, records)
}

/// What asking for one more report writes.
fn cut(number: u32) -> Vec<Record> {
    let (id, by) = (RequestId::parse(&format!("cut-{number}")).unwrap(), Actor::Technician { uid: 1000 });
    vec![
        Record::OperationBegun { id: id.clone(), by: by.clone(), asked: Operation::CashUp },
        Record::CashedUp { number, by },
        Record::OperationEnded { id, outcome: Outcome::Changed { order: None, report: Some(number) } },
    ]
}

/// So many sales into a ledger that has begun, with a report behind each `reported` of them.
pub fn fill(ledger: &mut Ledger, state: &mut State, sales: u64, reported: Option<u64>) {
    let step = reported.unwrap_or(1_000);
    for from in (0..sales).step_by(step as usize) {
        let mut records = Vec::new();
        let until = sales.min(from + step);
        for number in from..until {
            let (id, sold) = sale(number);
            state.orders.extend(Order::fold(&sold).map(|order| (id, order)));
            records.extend(sold);
        }
        let whole = reported.filter(|_| until == from + step);
        records.extend(whole.into_iter().flat_map(|_| cut((until / step) as u32)));
        let now = Stamp { now: Mono(until * MINUTE), wall: Some(Wall(BASE + until * MINUTE)), entropy: 0 };
        ledger.commit(&now, &records, state).unwrap();
        state.orders.clear();
    }
}
