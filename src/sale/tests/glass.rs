//! What the customer can do, and when the QR goes.

use std::time::Duration;

use super::desk::{Desk, lock, policy, product, refunds, slot, wallet};
use crate::operation::Operation;
use crate::sale::dialogue::{Ease, LookupPage, OrderPage, Page, ShopPage};
use crate::sale::record::{Closed, Slip};
use crate::sale::shop::Product;
use crate::sale::view::{OrderState, StopReason};
use crate::sale::{Condition, Effect, Event, Illegal, Policy, Record};
use crate::vending::{Planogram, Slot};
use crate::vocabulary::{
    CategoryId, ChargeId, ChargeReport, Created, Evidence, Language, Localized, Mono, OrderId, RailError, Standing,
};

fn closed(desk: &Desk, order: OrderId) -> Option<Closed> {
    desk.order(order).closed
}

#[test]
fn the_number_is_on_disk_before_the_provider_hears_of_it_and_the_code_is_in_both() {
    let mut desk = Desk::new();
    desk.touch("start");
    desk.touch("product:cola");
    let step = desk.touch("pay");
    let [Record::OrderOffered { order, short_code, amount: 300, .. }] = &step.records[..] else { panic!("{step:?}") };
    let [Effect::Create { charge, .. }] = &step.effects[..] else { panic!("{step:?}") };
    assert_eq!((charge.order, charge.amount), (*order, 300));
    assert_eq!(charge.life, Duration::from_secs(150), "with the one extension");
    assert!(charge.description.starts_with(short_code.as_str()), "{}", charge.description);
    assert_eq!(charge.attach, "main/K1");
    assert!(desk.qr().is_none(), "not before the provider has answered");
}

#[test]
fn the_qr_lives_its_time_and_one_extension() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    let open = ChargeReport { standing: Standing::Open, payments: vec![], returned: 0, attach: None };
    let keep = |desk: &mut Desk, seconds: u64| {
        for _ in 0..seconds {
            if desk.wait(1).iter().any(|effect| matches!(effect, Effect::Query { .. })) {
                desk.reported(order, Ok(open.clone()), true);
            }
        }
    };
    keep(&mut desk, 85);
    desk.touch("more-time");
    assert!(matches!(desk.refused("more-time"), Illegal::NotOnPage { .. }), "once");
    keep(&mut desk, 60);
    assert!(desk.qr().is_some());
    keep(&mut desk, 10);
    assert_eq!(closed(&desk, order), Some(Closed::Expired));
    assert!(matches!(desk.page(), Page::Order(OrderPage::Expired { .. })));
    keep(&mut desk, 20);
    assert!(matches!(desk.page(), Page::Shop(ShopPage::Attract { .. })), "the glass does not stay there");
}

#[test]
fn a_lost_condition_takes_the_qr_away_and_closes_the_order() {
    let conditions = [
        (Condition::Door { open: true }, StopReason::DoorOpen),
        (Condition::Tamper { active: true }, StopReason::Tamper),
        (Condition::Board { answers: false }, StopReason::BoardDown),
        (Condition::Glass { dark: Some("unplugged".into()) }, StopReason::GlassDark("unplugged".into())),
        (Condition::Disk { full: true }, StopReason::DiskFull),
        (Condition::Outbox { full: true }, StopReason::OutboxFull),
        (Condition::LedgerFailed { why: "io".into() }, StopReason::LedgerFailed("io".into())),
    ];
    for (condition, reason) in conditions {
        let mut desk = Desk::new();
        let order = desk.offer(&["cola"]);
        desk.hear(Event::Condition(condition));
        assert_eq!(desk.qr(), None, "{reason:?}");
        assert_eq!(closed(&desk, order), Some(Closed::Stopped(reason)));
    }
    let mut desk = Desk::new();
    let order = desk.offer(&["cola", "cola"]);
    desk.operate(Operation::SetStock { slot: slot("A1"), count: 0 });
    assert!(desk.qr().is_some(), "A2 still has two");
    desk.operate(Operation::SetStock { slot: slot("A2"), count: 1 });
    assert_eq!((desk.qr(), closed(&desk, order)), (None, Some(Closed::Stopped(StopReason::SoldOut))));
}

#[test]
fn a_glass_that_can_not_be_touched_keeps_its_qr_and_takes_no_more_orders() {
    let mut desk = Desk::new();
    desk.offer(&["cola"]);
    let touch = |fault: Option<&str>| Event::Condition(Condition::Touch { fault: fault.map(str::to_owned) });
    desk.hear(touch(Some("gone")));
    assert!(desk.qr().is_some(), "who pays now needs no finger");
    assert_eq!(desk.state.stop_reasons(), [StopReason::TouchDown("gone".into())]);
    desk.wait(300);
    assert!(matches!(desk.page(), Page::OutOfService { .. }));
    desk.hear(touch(None));
    assert!(matches!(desk.page(), Page::Shop(ShopPage::Attract { .. })));
}

#[test]
fn the_qr_goes_when_the_lease_is_over() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    let none = || Err(RailError::Unknown("time-out".into()));
    let mut asked = false;
    for second in 1..=30 {
        for effect in desk.wait(1) {
            asked |= matches!(effect, Effect::Query { .. });
        }
        if std::mem::take(&mut asked) {
            desk.reported(order, none(), true);
        }
        assert!(desk.qr().is_some(), "{second} s after the last verified answer");
    }
    desk.wait(1);
    assert_eq!((desk.qr(), closed(&desk, order)), (None, Some(Closed::Stopped(StopReason::RailDown))));
}

#[test]
fn a_door_that_opens_after_payment_stops_what_is_not_yet_energised() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    desk.door(true);
    let delivery = crate::vocabulary::DeliveryId { order, item: 0, attempt: 1 };
    let step = desk.prepared(delivery, 7);
    assert_eq!(refunds(&step).len(), 1);
    assert!(!step.records.iter().any(|record| matches!(record, Record::DeliveryIntended { .. })));
}

#[test]
fn a_touch_that_misses_changes_nothing() {
    let mut desk = Desk::new();
    desk.wait(59);
    // The last verified answer is older than the lease: a touch would ask. One that is refused must not half ask.
    assert!(matches!(desk.refused("add"), Illegal::NotOnPage { .. }));
    let asked = desk.touch("start").effects;
    assert_eq!(asked, [Effect::Probe { rail: wallet() }], "the question was still free to be asked");
    for name in ["product:nothing", "pay", "add", "more-time", "rail:sandbox", "language:xx"] {
        desk.refused(name);
    }
    assert!(matches!(desk.page(), Page::Shop(ShopPage::Choose { .. })));
}

#[test]
fn a_code_from_the_glass_above_an_amount_and_after_unpaid_orders() {
    let mut desk = Desk::with(Policy { confirm_above: Some(300), ..policy() });
    desk.touch("start");
    desk.touch("product:tea");
    assert!(desk.touch("pay").records.is_empty());
    let Page::Shop(ShopPage::Confirm { code, .. }) = desk.page() else { panic!("{:?}", desk.page()) };
    desk.touch("key:ok");
    assert!(matches!(desk.page(), Page::Shop(ShopPage::Confirm { wrong: true, .. })));
    for digit in code.chars() {
        desk.touch(&format!("key:{digit}"));
    }
    assert_eq!(desk.touch("key:ok").records.len(), 1);

    let mut desk = Desk::with(Policy { confirm_after_unpaid: Some(1), ..policy() });
    desk.offer(&["cola"]);
    desk.touch("cancel");
    desk.touch("done");
    desk.touch("start");
    desk.touch("product:cola");
    desk.touch("pay");
    assert!(matches!(desk.page(), Page::Shop(ShopPage::Confirm { .. })));
}

#[test]
fn locked_sells_nothing_until_unlocked() {
    let mut desk = Desk::new();
    desk.touch("start");
    desk.touch("product:cola");
    desk.operate(lock("cleaning"));
    assert!(matches!(desk.page(), Page::OutOfService { .. }));
    assert_eq!(desk.refused("pay"), Illegal::NotSelling(StopReason::Locked("cleaning".into())));
    desk.operate(Operation::Unlock);
    assert_eq!(desk.touch("pay").effects.len(), 1);
    let kinds = desk
        .records
        .iter()
        .map(Record::kind)
        .filter(|kind| !kind.starts_with("operation-") && *kind != "slot-assigned");
    let told = ["boot-started", "kiosk-locked", "sales-stopped", "kiosk-unlocked", "sales-resumed", "order-offered"];
    assert!(kinds.eq(told));
}

#[test]
fn no_provider_no_order_and_one_that_comes_back_sells_again() {
    let mut desk = Desk::new();
    let down = || Event::Probed { rail: wallet(), result: Err(RailError::Unknown("time-out".into())) };
    assert_eq!(desk.wait(60), [Effect::Probe { rail: wallet() }]);
    desk.hear(down());
    assert!(matches!(desk.page(), Page::OutOfService { .. }));
    assert_eq!(desk.wait(3), [Effect::Probe { rail: wallet() }], "sooner while it is away");
    desk.hear(Event::Probed { rail: wallet(), result: Ok(()) });
    assert!(matches!(desk.page(), Page::Shop(ShopPage::Attract { .. })));
}

#[test]
fn a_charge_that_is_not_made_or_made_too_late_is_closed() {
    let mut desk = Desk::new();
    let order = desk.ordered(&["cola"]);
    let charge = ChargeId::of(order, 1);
    desk.touch("cancel");
    let late = Ok(Created { payload: "pay:late".into() });
    let step = desk.hear(Event::Created { charge: charge.clone(), result: late });
    assert!(matches!(step.effects[..], [Effect::Close { .. }]), "{step:?}");
    assert_eq!(desk.qr(), None);

    let mut desk = Desk::new();
    let order = desk.ordered(&["cola"]);
    let refused = RailError::Refused { code: "PARAM".into(), why: "no".into() };
    desk.hear(Event::Created { charge: ChargeId::of(order, 1), result: Err(refused) });
    assert!(desk.order(order).ended, "a verified no: nothing can be paid on it");
    assert_eq!(desk.order(order).state(), OrderState::Cancelled);
    assert_eq!(
        desk.state.conditions.refusing.get(&wallet()).map(String::as_str),
        Some("PARAM: no"),
        "somebody is told"
    );

    desk.wait(15);
    desk.touch("start");
    desk.touch("product:cola");
    desk.touch("pay");
    let charge = ChargeId::of(desk.state.current.unwrap(), 1);
    desk.hear(Event::Created { charge, result: Ok(Created { payload: "pay:well".into() }) });
    assert!(desk.state.conditions.refusing.is_empty(), "until a charge is made again");
}

#[test]
fn languages_on_every_page_and_back_to_the_first() {
    let mut desk = Desk::new();
    desk.touch("start");
    desk.touch("language:zh-Hans");
    assert_eq!(desk.state.dialogue.language, Language::new("zh-Hans"));
    assert_eq!(desk.refused("language:xx"), Illegal::Refused("not a language of this kiosk"));
    desk.wait(61);
    assert_eq!(desk.state.dialogue.language, Language::new("en"), "the next customer begins anew");
}

#[test]
fn who_needs_time_is_warned_and_gets_it_with_one_touch() {
    let mut desk = Desk::new();
    let left = |desk: &Desk| desk.state.view(Mono(desk.now), |_| None).idle_left;
    desk.touch("start");
    desk.wait(39);
    assert_eq!(left(&desk), None);
    desk.wait(2);
    assert_eq!(left(&desk), Some(19));
    desk.wait(10);
    assert_eq!(left(&desk), Some(9), "the count-down goes on by itself");
    desk.touch("more-time");
    assert_eq!(left(&desk), None);
    desk.wait(45);
    assert!(matches!(desk.page(), Page::Shop(ShopPage::Choose { .. })));
    desk.wait(16);
    assert!(matches!(desk.page(), Page::Shop(ShopPage::Attract { .. })));
    assert_eq!(left(&desk), None);
}

#[test]
fn large_type_and_contrast_are_for_this_customer_only() {
    let mut desk = Desk::new();
    let ease = |desk: &Desk| desk.state.view(Mono(desk.now), |_| None).ease;
    desk.touch("ease:large");
    desk.touch("ease:contrast");
    assert_eq!(ease(&desk), Ease { large: true, contrast: true });
    desk.touch("start");
    desk.touch("ease:large");
    assert_eq!(ease(&desk), Ease { large: false, contrast: true });
    desk.touch("cancel");
    assert_eq!(ease(&desk), Ease::default());
    // Chosen on the first page by somebody who then went away.
    desk.touch("language:zh-Hans");
    desk.touch("ease:large");
    desk.wait(61);
    assert_eq!((ease(&desk), desk.state.dialogue.language.tag()), (Ease::default(), "en"));
}

#[test]
fn a_long_shelf_has_pages_and_categories() {
    let drinks = CategoryId::parse("drinks").unwrap();
    let name = Localized([(Language::new("en"), "Drinks".to_owned())].into());
    let mut desk = Desk::with(Policy { categories: vec![(drinks.clone(), name)], ..policy() });
    let products: Vec<Product> = (0..20)
        .map(|nth| Product {
            id: product(&format!("p{nth}")),
            name: Localized::default(),
            price: 100,
            tax: None,
            picture: None,
            category: (nth % 2 == 0).then(|| drinks.clone()),
        })
        .collect();
    let slots = products.iter().map(|product| {
        let of = Slot { product: product.id.clone(), stock: 1, capacity: 1, faulty: None };
        (slot(&format!("S{}", product.id)), of)
    });
    desk.state.shop = Box::new(Planogram::new(products.clone(), slots.collect::<Vec<_>>()));
    let shown = |desk: &Desk| match desk.page() {
        Page::Shop(ShopPage::Choose { tiles, page, pages, .. }) => {
            (tiles[0].product.to_string(), tiles.len(), page, pages)
        }
        page => panic!("{page:?}"),
    };
    desk.touch("start");
    assert_eq!(shown(&desk), ("p0".into(), 8, 0, 3));
    desk.refused("page:back");
    desk.touch("page:next");
    desk.touch("page:next");
    assert_eq!(shown(&desk), ("p16".into(), 4, 2, 3));
    desk.refused("page:next");
    desk.touch("category:drinks");
    assert_eq!(shown(&desk), ("p0".into(), 8, 0, 2));
    desk.touch("page:next");
    assert_eq!(shown(&desk), ("p16".into(), 2, 1, 2));
    // Fewer to a page, more pages; the shelf stays where it was as far as it can.
    desk.touch("ease:large");
    assert_eq!(shown(&desk), ("p8".into(), 4, 1, 3));
    desk.refused("category:none");
    desk.touch("category:all");
    assert_eq!(shown(&desk), ("p0".into(), 4, 0, 5));
}

#[test]
fn an_order_is_looked_up_by_its_code() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    desk.deliver(order, 0, 1, Evidence::Dropped { count: 1 });
    desk.touch("done");
    desk.touch("lookup");
    let code = order.short_code();
    for digit in code.as_str().chars() {
        desk.touch(&format!("key:{digit}"));
    }
    let step = desk.touch("key:ok");
    assert_eq!(step.effects, [Effect::Find { code: code.clone() }]);
    let found = Some(Box::new(desk.order(order)));
    desk.hear(Event::Found { code: code.as_str().into(), order: found });
    let Page::Lookup(LookupPage::Lookup { found: Some(view), .. }) = desk.page() else { panic!("{:?}", desk.page()) };
    assert_eq!((view.short_code, view.state), (code, OrderState::Delivered));
    desk.touch("key:clear");
    desk.touch("key:ok");
    assert!(matches!(desk.page(), Page::Lookup(LookupPage::Lookup { not_found: true, .. })));
}

#[test]
fn a_basket_holds_what_the_machine_has_and_allows() {
    let mut desk = Desk::with(Policy { max_units: 6, ..policy() });
    desk.touch("start");
    for _ in 0..5 {
        desk.touch("product:cola");
    }
    assert_eq!(desk.refused("product:cola"), Illegal::Refused("no more of this product"), "five are there");
    desk.touch("product:tea");
    assert_eq!(desk.refused("add"), Illegal::Refused("no more of this product"), "six are allowed");
    let Page::Shop(ShopPage::Basket { total, .. }) = desk.page() else { panic!("{:?}", desk.page()) };
    assert_eq!(total, 5 * 300 + 450);
}

#[test]
fn order_numbers_rise_whatever_the_clock_does() {
    let mut desk = Desk::new();
    let mut last = None;
    for wall in [Some(1_750_000_000_000), Some(u64::MAX), Some(0), None, Some(1_700_000_000_000), None] {
        desk.wall = wall;
        desk.hear(Event::Probed { rail: wallet(), result: Ok(()) });
        let order = desk.offer(&["tea"]);
        assert!(last < Some(order), "{last:?} then {order}");
        last = Some(order);
        desk.touch("cancel");
        desk.touch("done");
    }
}

#[test]
fn a_receipt_is_recorded_once_even_after_the_customer_has_gone() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.pay(order, 300);
    desk.deliver(order, 0, 1, Evidence::Dropped { count: 1 });
    desk.touch("done");
    let done = || Event::ReceiptDone { order, result: Ok(()) };
    assert_eq!(desk.hear(done()).records, [Record::ReceiptPrinted { order, slip: Slip::Receipt }]);
    assert!(desk.try_hear(done()).is_err());
}

#[test]
fn a_touch_that_is_not_on_the_page_says_which_page_it_was() {
    let mut desk = Desk::new();
    let told = |desk: &mut Desk| match desk.refused("key:7") {
        Illegal::NotOnPage { page, .. } => page,
        other => panic!("{other}"),
    };
    let mut pages = vec![told(&mut desk)];
    for touch in ["start", "product:cola", "pay", "cancel"] {
        desk.touch(touch);
        pages.push(told(&mut desk));
    }
    assert_eq!(pages, ["attract", "choose", "basket", "pay", "cancelled"]);
}
