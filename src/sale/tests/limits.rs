//! Where limits lie: the last unit, the last second, the last character.

use std::time::Duration;

use super::desk::{Desk, outlet, planogram, policy, product, rail, refunds, slot};
use crate::operation::{Operation, Outcome, Refusal};
use crate::sale::dialogue::{LookupPage, OrderPage, Page, ShopPage};
use crate::sale::recover::Recovered;
use crate::sale::shop::Product;
use crate::sale::view::{OrderState, StopReason};
use crate::sale::{Condition, Effect, Event, Illegal, Policy, Record, SelfCheck, State, Step};
use crate::vending::{Planogram, Slot};
use crate::vocabulary::{
    BootId, CategoryId, Cause, ChargeReport, Created, DeliveryId, Evidence, Language, Localized, Mono, RailError,
    RefundReport, Standing, UnknownDelivery, Wall,
};

const FELL: Evidence = Evidence::Dropped { count: 1 };
const NOTHING: Evidence = Evidence::Nothing { self_tested: true };

fn english(text: &str) -> Localized {
    Localized([(Language::new("en"), text.to_owned())].into())
}

/// A shelf of products with these ids and names, and so many units of each.
fn shelf(products: &[(&str, &str)], stock: u32) -> Planogram {
    let of = |(id, name): &(&str, &str)| Product {
        id: product(id),
        name: english(name),
        price: 300,
        tax: None,
        picture: None,
        category: None,
    };
    let holds = |(id, _): &(&str, &str)| {
        (slot(&format!("slot-{id}")), Slot { product: product(id), stock, capacity: 9, faulty: None })
    };
    Planogram::new(products.iter().map(of).collect(), products.iter().map(holds))
}

/// What the payer reads in the wallet's app.
fn description(desk: &mut Desk, products: &[&str]) -> String {
    desk.touch("start");
    for id in products {
        desk.touch(&format!("product:{id}"));
    }
    let step = desk.touch("pay");
    let made = step.effects.iter().find_map(|effect| match effect {
        Effect::Create { charge, .. } => Some(charge.description.clone()),
        _ => None,
    });
    made.unwrap()
}

#[test]
fn the_payer_reads_the_code_the_machine_and_the_goods_as_far_as_there_is_room() {
    let mut desk = Desk::new();
    desk.state.shop = Box::new(shelf(&[("cola", "Cola"), ("tea", "Tea")], 3));
    let told = description(&mut desk, &["cola", "tea", "cola"]);
    let order = desk.state.current.unwrap();
    assert_eq!(told, format!("{} K1 Cola x2, Tea", order.short_code()));

    // Six digits, two spaces and the kiosk's name leave 110 bytes.
    for (name, whole) in [("c".repeat(110), true), ("c".repeat(111), false), ("茶".repeat(40), false)] {
        let mut desk = Desk::new();
        desk.state.shop = Box::new(shelf(&[("cola", &name)], 1));
        let told = description(&mut desk, &["cola"]);
        let (_, goods) = told.split_once(" K1 ").unwrap();
        assert_eq!(goods == name, whole, "{told}");
        assert!(told.len() <= 120 && told.len() > 116, "{} bytes: {told}", told.len());
        assert_eq!(goods.ends_with('…'), !whole, "{told}");
    }
}

#[test]
fn the_last_unit_is_sold_and_not_one_more() {
    let mut desk = Desk::new();
    let order = desk.offer(&["tea", "tea", "tea", "tea"]);
    desk.pay(order, 4 * 450);
    for item in 0..4 {
        assert_ne!(desk.state.shop.available(&product("tea")), 0);
        desk.deliver(order, item, 1, FELL);
    }
    assert_eq!(desk.order(order).state(), OrderState::Delivered);
    desk.touch("done");
    desk.touch("start");
    assert_eq!(desk.refused("product:tea"), Illegal::Refused("no more of this product"));

    // Somebody took it out while the basket was open.
    desk.touch("product:cola");
    desk.operate(Operation::SetStock { slot: slot("A1"), count: 0 });
    desk.operate(Operation::SetStock { slot: slot("A2"), count: 0 });
    assert_eq!(desk.state.stop_reasons(), [StopReason::SoldOut]);
    desk.operate(Operation::SetStock { slot: slot("B1"), count: 1 });
    assert_eq!(desk.refused("pay"), Illegal::NotSold(Refusal::NoneLeft));
}

#[test]
fn a_unit_that_nobody_saw_fall_is_not_promised_to_the_next() {
    let mut desk = Desk::new();
    desk.state.shop = Box::new(shelf(&[("cola", "Cola")], 1));
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    desk.deliver(order, 0, 1, Evidence::Silent { why: "dust".into() });
    assert_eq!(desk.state.shop.available(&product("cola")), 0);
    assert_eq!(desk.state.stop_reasons(), [StopReason::SoldOut]);
}

#[test]
fn stock_is_what_a_slot_can_hold() {
    let mut desk = Desk::new();
    let set = |desk: &mut Desk, name: &str, count| desk.outcome(Operation::SetStock { slot: slot(name), count });
    let refused = |why| Outcome::Refused { why };
    assert_eq!(set(&mut desk, "A1", 8), Outcome::Changed { order: None, report: None });
    assert_eq!(set(&mut desk, "A1", 8), Outcome::Unchanged);
    assert_eq!(set(&mut desk, "A1", 9), refused(Refusal::HoldsLess { capacity: 8 }));
    assert_eq!(set(&mut desk, "A1", 100), refused(Refusal::HoldsLess { capacity: 8 }));
    assert_eq!(set(&mut desk, "Z9", 1), refused(Refusal::NoSuchSlot));
    // A refill writes what it changed.
    desk.hear(Event::Condition(Condition::OutletFaulty { outlet: outlet("A2"), why: Cause::MotorNotHome }));
    let again = desk.hear(Event::Condition(Condition::OutletFaulty { outlet: outlet("A2"), why: Cause::MotorNotHome }));
    let nowhere =
        desk.hear(Event::Condition(Condition::OutletFaulty { outlet: outlet("Z9"), why: Cause::MotorNotHome }));
    assert!(again.records.is_empty() && nowhere.records.is_empty());
    let kinds: Vec<_> = desk.operate(Operation::Refill).records.iter().map(Record::kind).collect();
    assert_eq!(
        kinds,
        ["operation-begun", "outlet-repaired", "stock-set", "stock-set", "operation-ended"],
        "A1 was full"
    );
    assert_eq!(desk.state.shop.available(&product("cola")), 16);
}

#[test]
fn a_slot_is_refilled_and_repaired_alone_and_what_is_added_is_added_whole() {
    let mut desk = Desk::new();
    let faulty =
        |name: &str| Event::Condition(Condition::OutletFaulty { outlet: outlet(name), why: Cause::MotorNotHome });
    for name in ["A1", "A2"] {
        desk.operate(Operation::SetStock { slot: slot(name), count: 2 });
        desk.hear(faulty(name));
    }
    let kinds = |step: Step| step.records.iter().map(Record::kind).collect::<Vec<_>>();
    let refill = |names: &[&str]| Operation::RefillSlots { slots: names.iter().map(|name| slot(name)).collect() };
    let done = ["operation-begun", "outlet-repaired", "stock-set", "operation-ended"];
    assert_eq!(kinds(desk.operate(refill(&["A1"]))), done);
    assert_eq!((desk.slot("A1").count, desk.slot("A1").fault), (8, None));
    assert_eq!((desk.slot("A2").count, desk.slot("A2").fault), (2, Some(Cause::MotorNotHome)));
    assert_eq!(desk.outcome(refill(&["A1"])), Outcome::Unchanged);
    assert_eq!(desk.outcome(refill(&["A2", "Z9"])), Outcome::Refused { why: Refusal::NoSuchSlot });
    assert_eq!(desk.slot("A2").count, 2, "all or none");

    let add = |units: &[(&str, u32)]| {
        let unit = |(name, count): &(&str, u32)| (slot(name), std::num::NonZeroU32::new(*count).unwrap());
        Operation::AddStock { units: units.iter().map(unit).collect() }
    };
    desk.operate(Operation::SetStock { slot: slot("A1"), count: 3 });
    assert_eq!(desk.outcome(add(&[("A1", 4), ("A2", 6)])), Outcome::Changed { order: None, report: None });
    assert_eq!((desk.slot("A1").count, desk.slot("A2").count), (7, 8));
    assert_eq!(desk.slot("A2").fault, Some(Cause::MotorNotHome), "nobody has looked");
    let full = |name: &str, count| Outcome::Refused { why: Refusal::NoRoom { slot: slot(name), count, capacity: 8 } };
    assert_eq!(desk.outcome(add(&[("A1", 1), ("A2", 1)])), full("A2", 8));
    assert_eq!(desk.outcome(add(&[("A1", u32::MAX)])), full("A1", 7));
    assert_eq!(desk.slot("A1").count, 7, "all or nothing");
}

#[test]
fn the_last_attempt_ends_the_unit_and_a_stop_ends_it_sooner() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    desk.deliver(order, 0, 1, NOTHING);
    let step = desk.deliver(order, 0, 2, NOTHING);
    let ended = |step: &Step| {
        let last = |record: &Record| match record {
            Record::ItemNotDelivered { outlet, last, .. } => {
                Some((outlet.as_ref().map(|outlet| outlet.name().to_owned()), *last))
            }
            _ => None,
        };
        step.records.iter().filter_map(last).collect::<Vec<_>>()
    };
    assert_eq!(ended(&step), [(Some("A2".to_owned()), true)], "told once");

    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    desk.prepared(DeliveryId { order, item: 0, attempt: 1 }, 7);
    desk.door(true);
    let step = desk.evidence(DeliveryId { order, item: 0, attempt: 1 }, NOTHING);
    assert_eq!(ended(&step), [(Some("A1".to_owned()), true)]);
    assert_eq!(refunds(&step).len(), 1);
}

#[test]
fn an_answer_for_another_unit_moves_nothing() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola", "cola"]);
    desk.pay(order, 600);
    let first = DeliveryId { order, item: 0, attempt: 1 };
    let others = [
        DeliveryId { item: 1, ..first },
        DeliveryId { attempt: 2, ..first },
        DeliveryId { attempt: 0, ..first },
        DeliveryId { item: 9, ..first },
    ];
    let reading = crate::vocabulary::Reading { counter: Some(7), self_tested: true };
    for delivery in others {
        let stray = desk.try_hear(Event::Prepared { delivery, reading });
        assert_eq!(stray, Err(Illegal::NoDelivery(delivery)));
    }
    desk.prepared(first, 7);
    for delivery in others {
        let stray = desk.try_hear(Event::Evidence { delivery, evidence: FELL });
        assert_eq!(stray, Err(Illegal::NoDelivery(delivery)));
        let stray = desk.try_hear(Event::NotEnergised { delivery, why: "board".into() });
        assert_eq!(stray, Err(Illegal::NoDelivery(delivery)));
    }
    desk.evidence(first, FELL);
    let twice = desk.try_hear(Event::Evidence { delivery: first, evidence: FELL });
    assert_eq!(twice, Err(Illegal::NoDelivery(first)), "told once");
    desk.prepared(DeliveryId { item: 1, ..first }, 8);
    // The relay did not answer after its intent had been written.
    desk.hear(Event::NotEnergised { delivery: DeliveryId { item: 1, ..first }, why: "board".into() });
    assert_eq!(desk.order(order).state(), OrderState::Refunding);
    assert_eq!(desk.order(order).outstanding(), 300);
}

#[test]
fn the_count_down_is_drawn_at_each_whole_second() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    let left = |desk: &Desk| match desk.page() {
        Page::Order(OrderPage::Pay { seconds_left, of_seconds, can_extend, .. }) => {
            (seconds_left, of_seconds, can_extend)
        }
        page => panic!("{page:?}"),
    };
    let open = || ChargeReport { standing: Standing::Open, payments: vec![], returned: 0, attach: None };
    desk.now += 300;
    for second in (0..90).rev() {
        assert_eq!(left(&desk), (second + 1, 90, true));
        let mut wake = desk.state.next_wake(Mono(desk.now)).unwrap();
        // A question may be due in between.
        while !wake.0.is_multiple_of(1_000) {
            desk.now = wake.0;
            desk.hear(Event::Tick);
            wake = desk.state.next_wake(wake).unwrap();
        }
        assert_eq!(wake.0, 90_000 - second * 1_000);
        desk.now = wake.0;
        desk.hear(Event::Tick);
        desk.reported(order, Ok(open()), true);
        if second == 20 {
            break;
        }
    }
    desk.touch("more-time");
    assert_eq!(left(&desk), (80, 150, false));
    let mut desk = Desk::with(Policy { more_time: Duration::ZERO, ..policy() });
    desk.offer(&["cola"]);
    assert_eq!(left(&desk), (90, 90, false), "an operator who gives no extension offers none");
}

#[test]
fn the_warning_of_a_page_that_gives_up_is_drawn_at_each_whole_second() {
    let mut desk = Desk::new();
    desk.now = 500;
    desk.touch("start");
    let left = |desk: &Desk| desk.state.view(Mono(desk.now), |_| None).idle_left;
    let wakes = |desk: &mut Desk, until: u64| {
        let mut wakes = Vec::new();
        while desk.now < until {
            desk.now = desk.state.dialogue_wake(Mono(desk.now)).unwrap().0;
            desk.hear(Event::Tick);
            wakes.push((desk.now, left(desk)));
        }
        wakes
    };
    assert_eq!(wakes(&mut desk, 42_500), [(40_500, Some(20)), (41_500, Some(19)), (42_500, Some(18))]);
    desk.now = 43_000;
    assert_eq!(left(&desk), Some(18));
    assert_eq!(wakes(&mut desk, 43_500), [(43_500, Some(17))]);
    desk.touch("more-time");
    assert_eq!(left(&desk), None);
    let rest = wakes(&mut desk, 103_500);
    assert_eq!(rest.first(), Some(&(83_500, Some(20))));
    assert_eq!((rest.len(), rest.last()), (21, Some(&(103_500, None))));
    assert!(matches!(desk.page(), Page::Shop(ShopPage::Attract { .. })));
    assert_eq!(desk.state.dialogue_wake(Mono(desk.now)), None, "nothing is timed there");
    desk.touch("language:zh-Hans");
    assert_eq!(
        desk.state.dialogue_wake(Mono(desk.now)),
        Some(Mono(163_500)),
        "but for who left it in another language"
    );
    // A third of the time where there is little.
    let mut desk = Desk::with(Policy { browse_timeout: Duration::from_secs(30), ..policy() });
    desk.touch("start");
    assert_eq!(desk.state.dialogue_wake(Mono(desk.now)), Some(Mono(20_000)));
}

#[test]
fn what_became_of_an_order_stays_on_the_glass_for_a_while() {
    let mut desk = Desk::new();
    let order = desk.ordered(&["cola"]);
    let refused = RailError::Refused { code: "PARAM".into(), why: "no".into() };
    desk.created(order, 1, Err(refused));
    assert!(desk.order(order).ended);
    desk.hear(Event::Tick);
    desk.wait(14);
    assert!(
        matches!(desk.page(), Page::Order(OrderPage::Cancelled { why: Some(StopReason::RailDown), .. })),
        "{:?}",
        desk.page()
    );
    assert_eq!(desk.state.view(Mono(desk.now), |_| None).idle_left, None, "it goes without asking");
    desk.wait(1);
    assert!(matches!(desk.page(), Page::Shop(ShopPage::Attract { .. })));
    desk.hear(Event::Tick);
    assert!(desk.state.orders.is_empty());

    // One unit fell, the other did not: the customer has something to take.
    let order = desk.offer(&["cola", "tea"]);
    desk.pay(order, 750);
    desk.deliver(order, 0, 1, FELL);
    desk.deliver(order, 1, 1, NOTHING);
    assert_eq!(desk.order(order).state(), OrderState::Refunding);
    assert!(matches!(desk.page(), Page::Order(OrderPage::Thanks { .. })));
}

#[test]
fn out_of_service_names_the_order_of_somebody_who_waits_for_money_or_goods() {
    let named = |desk: &Desk| match desk.page() {
        Page::OutOfService { last_claim, .. } => last_claim,
        page => panic!("{page:?}"),
    };
    let failed = || Event::Condition(Condition::LedgerFailed { why: "io".into() });
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    desk.deliver(order, 0, 1, FELL);
    desk.hear(failed());
    assert_eq!(named(&desk), None, "this customer has everything");

    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.touch("cancel");
    desk.pay(order, 300);
    desk.touch("done");
    desk.door(true);
    assert_eq!(named(&desk), None, "a refund on its way needs nobody");
    desk.hear(failed());
    assert_eq!(named(&desk), Some(order.short_code()), "until nothing can be written any more");

    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    desk.hear(failed());
    assert_eq!(named(&desk), Some(order.short_code()));
}

#[test]
fn a_payment_that_was_seen_and_is_gone_holds_nobody_up() {
    let mut desk = Desk::with(Policy { rails: vec![rail("alipay"), rail("wechat")], ..policy() });
    let order = desk.offer(&["cola"]);
    desk.touch("rail:wechat");
    desk.created(order, 2, Ok(Created { payload: "second".into() }));
    desk.pay(order, 300);
    assert_eq!(desk.qr(), None);
    desk.close_answered(order, 1, Ok(None));
    let gone = ChargeReport { standing: Standing::Closed, payments: vec![], returned: 0, attach: None };
    desk.reported(order, Ok(gone), true);
    assert_eq!(desk.qr().as_deref(), Some("second"), "the close gave it back: the customer may pay the other one");
    desk.touch("rail:alipay");
}

#[test]
fn refunds_that_nobody_confirms_are_counted_together() {
    let mut desk = Desk::new();
    let late = |desk: &mut Desk, goods: &[&str], amount| {
        let order = desk.offer(goods);
        desk.touch("cancel");
        desk.pay(order, amount);
        desk.touch("done");
        order
    };
    let pending = |desk: &Desk| desk.state.pending_refunds(Mono(desk.now), desk.wall.map(Wall));
    let first = late(&mut desk, &["cola"], 300);
    desk.now += 30_000;
    desk.probed();
    late(&mut desk, &["tea"], 450);
    desk.now += 89_999;
    assert_eq!(pending(&desk), None);
    desk.now += 1;
    let told = pending(&desk).unwrap();
    assert_eq!((told.count, told.amount, told.oldest), (1, 300, Duration::from_secs(120)));
    desk.now += 30_000;
    let told = pending(&desk).unwrap();
    assert_eq!((told.count, told.amount, told.oldest), (2, 750, Duration::from_secs(150)));
    desk.refund_answered(first, 1, Ok(RefundReport::Done));
    let told = pending(&desk).unwrap();
    assert_eq!((told.count, told.amount, told.oldest), (1, 450, Duration::from_secs(120)));
}

#[test]
fn the_shelf_says_which_part_of_it_is_shown() {
    let (drinks, food) = (CategoryId::parse("drinks").unwrap(), CategoryId::parse("food").unwrap());
    let categories = vec![(drinks.clone(), english("Drinks")), (food, english("Food"))];
    let mut desk = Desk::with(Policy { categories, ..policy() });
    let products: Vec<Product> = (0..20)
        .map(|nth| {
            let id = product(&format!("p{nth}"));
            Product {
                id,
                name: Localized::default(),
                price: 100,
                tax: None,
                picture: None,
                category: Some(drinks.clone()),
            }
        })
        .collect();
    let slots = products.iter().map(|product| {
        let of = Slot { product: product.id.clone(), stock: 1, capacity: 1, faulty: None };
        (slot(&format!("S{}", product.id)), of)
    });
    desk.state.shop = Box::new(Planogram::new(products.clone(), slots.collect::<Vec<_>>()));
    let tabs = |desk: &Desk| -> Vec<(String, String, bool)> {
        let Page::Shop(ShopPage::Choose { categories, .. }) = desk.page() else { panic!("{:?}", desk.page()) };
        let name = |id: Option<CategoryId>| id.map_or_else(|| "all".to_owned(), |id| id.to_string());
        categories.into_iter().map(|tab| (name(tab.category), tab.label, tab.chosen)).collect()
    };
    let shown = |desk: &Desk| match desk.page() {
        Page::Shop(ShopPage::Choose { tiles, page, pages, .. }) => (tiles.len(), page, pages),
        page => panic!("{page:?}"),
    };
    desk.touch("start");
    let expected = |chosen: &str| -> Vec<(String, String, bool)> {
        [("all", ""), ("drinks", "Drinks"), ("food", "Food")]
            .map(|(name, label)| (name.to_owned(), label.to_owned(), name == chosen))
            .into()
    };
    assert_eq!(tabs(&desk), expected("all"));
    desk.touch("category:food");
    assert_eq!((tabs(&desk), shown(&desk)), (expected("food"), (0, 0, 1)), "empty, and one page of it");
    desk.touch("category:all");
    desk.touch("ease:large");
    (0..4).for_each(|_| drop(desk.touch("page:next")));
    assert_eq!(shown(&desk), (4, 4, 5));
    desk.touch("ease:large");
    assert_eq!(shown(&desk), (4, 2, 3), "there are fewer pages now: the last one");
    desk.touch("page:back");
    assert_eq!(shown(&desk), (8, 1, 3));
}

#[test]
fn of_a_fee_the_provider_gives_back_its_share() {
    let entry = toml::from_str("from = 2025-01-01\nrate = \"1%\"").unwrap();
    let mut policy = policy();
    policy.rails[0].fees = crate::vocabulary::fee::FeeSchedule::new(vec![entry]).unwrap();
    let mut desk = Desk::with(policy);
    let order = desk.offer(&["cola", "cola"]);
    let payment = desk.payment(order, 600);
    desk.report(order, std::slice::from_ref(&payment), 0);
    assert_eq!(desk.order(order).fee_estimate(), Some(6));
    desk.report(order, std::slice::from_ref(&payment), 200);
    assert_eq!(desk.order(order).fee_estimate(), Some(4));
    desk.report(order, &[payment], 600);
    assert_eq!(desk.order(order).fee_estimate(), Some(0));
}

#[test]
fn a_second_payment_that_goes_back_takes_nothing_of_the_firsts_fee_with_it() {
    let entry = toml::from_str("from = 2025-01-01\nrate = \"1%\"").unwrap();
    let mut policy = policy();
    policy.rails[0].fees = crate::vocabulary::fee::FeeSchedule::new(vec![entry]).unwrap();
    let mut desk = Desk::with(policy);
    let order = desk.offer(&["cola"]);
    let first = desk.payment(order, 300);
    let second =
        crate::vocabulary::Payment { id: crate::vocabulary::PaymentId::parse("again").unwrap(), ..first.clone() };
    let both = [first, second];
    desk.report(order, &both, 0);
    assert_eq!(desk.order(order).fee_estimate(), Some(3));
    desk.report(order, &both, 300);
    assert_eq!(desk.order(order).fee_estimate(), Some(3));
    desk.report(order, &both, 400);
    assert_eq!(desk.order(order).fee_estimate(), Some(2));
}

#[test]
fn keys_beyond_the_last_digit_change_nothing() {
    let mut desk = Desk::with(Policy { confirm_above: Some(300), ..policy() });
    desk.touch("start");
    desk.touch("product:cola");
    assert_eq!(desk.touch("pay").records.len(), 1, "the amount itself is not above it");
    desk.touch("cancel");
    desk.touch("done");
    desk.touch("start");
    desk.touch("product:tea");
    desk.touch("pay");
    let typed = |desk: &Desk| match desk.page() {
        Page::Shop(ShopPage::Confirm { code, entered, wrong, .. }) => (code, entered, wrong),
        page => panic!("{page:?}"),
    };
    let (code, ..) = typed(&desk);
    assert!(code.len() == 4 && code.bytes().all(|digit| digit.is_ascii_digit()), "{code}");
    for digit in code.chars() {
        desk.touch(&format!("key:{digit}"));
    }
    desk.touch("key:7");
    assert_eq!(typed(&desk), (code.clone(), code.clone(), false));
    desk.touch("key:clear");
    assert_eq!(typed(&desk).1, "");
    desk.touch("key:0");
    assert!(desk.touch("key:ok").records.is_empty());
    assert_eq!(typed(&desk), (code.clone(), String::new(), true));
    desk.touch("key:0");
    assert_eq!(typed(&desk), (code, "0".into(), false), "told once");
    assert_eq!(desk.state.basket(), [(product("tea"), 1)]);
    desk.touch("cancel");
    assert_eq!(desk.state.basket(), []);
    desk.touch("lookup");
    (0..7).for_each(|digit| drop(desk.touch(&format!("key:{digit}"))));
    let Page::Lookup(LookupPage::Lookup { entered, .. }) = desk.page() else { panic!("{:?}", desk.page()) };
    assert_eq!(entered, "012345");
}

#[test]
fn what_is_looked_up_is_what_was_typed_last() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.touch("cancel");
    let code = order.short_code();
    let known = desk.order(order);
    let found = || Event::Found { code: code.as_str().into(), order: Some(Box::new(known.clone())) };
    desk.touch("lookup");
    for digit in code.as_str().chars() {
        desk.touch(&format!("key:{digit}"));
    }
    let shown = |desk: &Desk| match desk.page() {
        Page::Lookup(LookupPage::Lookup { found, not_found, .. }) => (found.map(|order| order.short_code), not_found),
        page => panic!("{page:?}"),
    };
    desk.hear(found());
    assert_eq!(shown(&desk), (None, false), "nobody has asked yet");
    desk.touch("key:ok");
    desk.hear(Event::Found { code: "000000".into(), order: None });
    assert_eq!(shown(&desk), (None, false), "an answer to another question");
    desk.hear(found());
    assert_eq!(shown(&desk), (Some(code.clone()), false));
    desk.touch("key:ok");
    desk.hear(Event::Found { code: code.as_str().into(), order: None });
    assert_eq!(shown(&desk), (None, true));
}

#[test]
fn more_time_is_to_be_had_until_the_last_moment() {
    let mut desk = Desk::new();
    desk.offer(&["cola"]);
    desk.now = 90_000;
    assert!(matches!(desk.refused("more-time"), Illegal::NotOnPage { .. }));
    desk.now = 89_999;
    desk.touch("more-time");
}

#[test]
fn money_that_went_back_twice_is_a_claim_for_what_fell() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola", "tea"]);
    let payment = desk.payment(order, 750);
    desk.report(order, std::slice::from_ref(&payment), 0);
    desk.deliver(order, 0, 1, FELL);
    desk.deliver(order, 1, 1, NOTHING);
    desk.refund_answered(order, 1, Ok(RefundReport::Done));
    assert!(!desk.order(order).claim_open());
    desk.report(order, &[payment], 450);
    let lost = |record: &Record| matches!(record, Record::ClaimOpened { amount: 300, until_told: false, .. });
    assert!(desk.records.iter().any(lost), "{:?}", desk.records.last());
}

#[test]
fn a_held_claim_without_its_slip_gets_it_after_a_restart() {
    let mut desk = Desk::with(Policy { unknown_delivery: UnknownDelivery::Hold, ..policy() });
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    desk.deliver(order, 0, 1, Evidence::Silent { why: "dust".into() });
    assert!(desk.restart().effects.contains(&Effect::Print { order }));
    desk.hear(Event::ReceiptDone { order, result: Ok(()) });
    assert!(!desk.restart().effects.contains(&Effect::Print { order }));
}

#[test]
fn a_refund_is_as_old_as_the_daemon_where_no_clock_was_known() {
    let mut desk = Desk::new();
    desk.wall = None;
    let order = desk.offer(&["cola"]);
    desk.touch("cancel");
    desk.pay(order, 300);
    let recovered = Recovered { orders: vec![desk.order(order)], ..Recovered::default() };
    desk.state = State::new(policy(), planogram());
    desk.state.restore(recovered);
    desk.now = 100_000;
    desk.hear(Event::Started { boot: BootId::parse("boot-2").unwrap(), version: "1".into() });
    desk.now = 219_999;
    assert_eq!(desk.state.pending_refunds(Mono(desk.now), None), None);
    desk.now = 220_000;
    assert_eq!(desk.state.pending_refunds(Mono(desk.now), None).map(|told| told.count), Some(1));
}

#[test]
fn only_a_charge_that_nobody_can_ask_after_for_long_is_a_claim() {
    let claims = |desk: &Desk| desk.records.iter().filter(|record| record.kind() == "claim-opened").count();
    for (rails, claimed) in [(vec![rail("other")], 1), (vec![rail("sandbox")], 0)] {
        let mut desk = Desk::new();
        let order = desk.offer(&["cola"]);
        desk.state.policy.rails = rails;
        desk.touch("cancel");
        let nobody = || Err(RailError::Unknown("time-out".into()));
        desk.close_answered(order, 1, nobody());
        for minute in 1..=7 * 60 {
            desk.wait(60);
            if desk.state.orders[&order].charges[0].watch.asked {
                desk.close_answered(order, 1, nobody());
            }
            // Six hours from the creation of the charge.
            assert_eq!(claims(&desk), if minute < 360 { 0 } else { claimed }, "after {minute} min");
        }
    }
}

#[test]
fn a_return_does_not_answer_a_refund_that_is_under_way() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.touch("cancel");
    let payment = desk.payment(order, 300);
    desk.report(order, std::slice::from_ref(&payment), 0);
    desk.refund_answered(order, 1, Ok(RefundReport::Processing));
    desk.report(order, &[payment], 300);
    assert!(desk.order(order).charges[0].refunds[0].pending());
    let asked = desk.wait(60);
    assert!(asked.iter().any(|effect| matches!(effect, Effect::QueryRefund { .. })), "{asked:?}");
    desk.refund_answered(order, 1, Ok(RefundReport::Failed));
    assert!(!desk.order(order).charges[0].refunds[0].pending() && desk.order(order).claim.is_none());
}

#[test]
fn what_the_provider_has_not_given_back_by_itself_is_asked_for_under_a_new_number() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.touch("cancel");
    let payment = desk.payment(order, 300);
    desk.report(order, std::slice::from_ref(&payment), 0);
    desk.refund_answered(order, 1, Ok(RefundReport::Failed));
    assert_eq!(refunds(&desk.report(order, &[payment], 100)), [(format!("R_{order}_1_2"), 200)]);
    assert!(desk.order(order).claim.is_none());
}

#[test]
fn an_order_is_paid_until_something_moves_and_delivering_until_all_is_told() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola", "cola"]);
    let state = |desk: &Desk| desk.order(order).state();
    assert_eq!(state(&desk), OrderState::WaitingPayment);
    desk.pay(order, 600);
    assert_eq!(state(&desk), OrderState::Paid);
    desk.prepared(DeliveryId { order, item: 0, attempt: 1 }, 7);
    assert_eq!(state(&desk), OrderState::Delivering);
    desk.evidence(DeliveryId { order, item: 0, attempt: 1 }, FELL);
    assert_eq!(state(&desk), OrderState::Delivering, "one of two");
    desk.deliver(order, 1, 1, FELL);
    assert_eq!(state(&desk), OrderState::Delivered);

    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    desk.hear(Event::NotEnergised { delivery: DeliveryId { order, item: 0, attempt: 1 }, why: "board".into() });
    assert_eq!(desk.order(order).state(), OrderState::Refunding, "nothing has moved, and nothing will");
}

#[test]
fn a_book_that_has_lost_the_payment_says_nothing_of_a_refund_that_was_refused() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.touch("cancel");
    desk.pay(order, 300);
    desk.close_answered(order, 1, Ok(None));
    desk.refund_answered(order, 1, Ok(RefundReport::Failed));
    let gone = ChargeReport { standing: Standing::Closed, payments: vec![], returned: 0, attach: None };
    let step = desk.reported(order, Ok(gone), true);
    assert!(!step.records.iter().any(|record| record.kind() == "charge-returned"), "{step:?}");
    assert_eq!(desk.order(order).outstanding(), 300);
}

#[test]
fn an_order_is_known_as_long_as_the_step_that_ended_it_is_being_written() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.touch("cancel");
    desk.close_answered(order, 1, Ok(None));
    desk.wait(100);
    let closed = || ChargeReport { standing: Standing::Closed, payments: vec![], returned: 0, attach: None };
    desk.reported(order, Ok(closed()), true);
    desk.wait(100);
    // The question was out before the charge's life was over: it is asked again at once.
    desk.reported(order, Ok(closed()), true);
    let step = desk.reported(order, Ok(closed()), true);
    assert_eq!(step.records.last().map(Record::kind), Some("order-ended"), "{step:?}");
    assert!(desk.state.orders.contains_key(&order), "the commit reads it");
    desk.hear(Event::Tick);
    assert!(desk.state.orders.is_empty());
}

#[test]
fn a_pause_ends_at_its_time_and_not_when_something_else_happens() {
    let mut desk = Desk::new();
    let order = desk.ordered(&["cola"]);
    let limit = RailError::Refused { code: "LIMIT".into(), why: "120 orders in this hour".into() };
    desk.created(order, 1, Err(limit));
    desk.wait(30);
    desk.probed();
    assert_eq!(desk.state.next_wake(Mono(desk.now)), Some(Mono(60_000)));
    desk.wait(30);
    assert_eq!(desk.state.stop_reasons(), []);
    let mut desk =
        Desk::with(Policy { cool_down_after_unpaid: Some(1), cool_down: Duration::from_millis(700), ..policy() });
    desk.offer(&["cola"]);
    desk.touch("cancel");
    assert_eq!(desk.state.next_wake(Mono(desk.now)), Some(Mono(700)));
}

/// While it is under way nothing is offered and nobody is told; when it has failed, everybody is.
#[test]
fn nothing_is_sold_before_the_self_check_is_passed() {
    let mut desk = Desk::new();
    let check = |desk: &mut Desk, check| desk.hear(Event::Condition(Condition::SelfCheck(check)));
    let what = || "the glass has shown nothing yet".to_owned();
    let reason = || StopReason::SelfCheck(what());
    check(&mut desk, SelfCheck::Pending(what()));
    assert_eq!(desk.state.stop_reasons(), [reason()]);
    assert!(matches!(desk.page(), Page::Shop(ShopPage::Attract { .. })), "a start is not worth a page");
    desk.touch("start");
    desk.touch("product:cola");
    assert_eq!(desk.refused("pay"), Illegal::NotSelling(reason()));
    let told = |desk: &Desk| desk.records.iter().filter(|record| record.kind().starts_with("sales-")).count();
    assert_eq!(told(&desk), 0);
    check(&mut desk, SelfCheck::Failed(what()));
    assert!(matches!(desk.page(), Page::OutOfService { reasons, .. } if reasons == [reason()]));
    assert_eq!(desk.records.last(), Some(&Record::SalesStopped { reasons: vec![reason()] }));
    check(&mut desk, SelfCheck::Passed);
    assert_eq!(desk.records.last(), Some(&Record::SalesResumed {}));
    assert_eq!(desk.state.stop_reasons(), []);
}
