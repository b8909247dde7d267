//! When a provider is asked again, and when the last time.

use super::desk::{Desk, planogram, policy, refunds};
use crate::sale::recover::Recovered;
use crate::sale::view::OrderState;
use crate::sale::{Effect, Event, State};
use crate::vocabulary::{
    BootId, ChargeId, ChargeReport, Evidence, Mono, OrderId, Payment, RailError, RefundId, RefundReport, Standing,
};

fn unknown<T>() -> Result<T, RailError> {
    Err(RailError::Unknown("time-out".into()))
}

fn says(standing: Standing, payments: &[Payment]) -> Result<ChargeReport, RailError> {
    Ok(ChargeReport { standing, payments: payments.into(), returned: 0, attach: None })
}

/// What the first charge of an order and its first refund get for an answer, at once.
struct Provider {
    close: Result<Option<ChargeReport>, RailError>,
    query: Result<ChargeReport, RailError>,
    refund: Result<RefundReport, RailError>,
}

impl Provider {
    fn that(query: Result<ChargeReport, RailError>) -> Self {
        Self { close: Ok(None), query, refund: unknown() }
    }

    /// Answers for so many seconds; what it was asked, by the second of the run.
    fn answers(&self, desk: &mut Desk, order: OrderId, open: Vec<Effect>, seconds: u64) -> Vec<(u64, &'static str)> {
        let end = desk.now + seconds * 1_000;
        let (mut open, mut heard) = (open, Vec::new());
        loop {
            while let Some(effect) = open.pop() {
                let (charge, refund) = (ChargeId::of(order, 1), RefundId::of(&ChargeId::of(order, 1), 1));
                let (told, event) = match effect {
                    Effect::Query { .. } => {
                        ("query", Event::Reported { charge, result: self.query.clone(), asked: true })
                    }
                    Effect::Close { .. } => ("close", Event::CloseAnswered { charge, result: self.close.clone() }),
                    Effect::Refund { .. } => {
                        ("refund", Event::RefundAnswered { refund, charge, result: self.refund.clone() })
                    }
                    Effect::QueryRefund { .. } => {
                        ("refunded?", Event::RefundAnswered { refund, charge, result: self.refund.clone() })
                    }
                    Effect::Probe { rail } => {
                        desk.hear(Event::Probed { rail, result: Ok(()) });
                        continue;
                    }
                    _ => continue,
                };
                heard.push((desk.now / 1_000, told));
                assert!(heard.len() < 1_000, "it is asked without end: {heard:?}");
                open.extend(desk.hear(event).effects);
            }
            let Some(wake) = desk.state.next_wake(Mono(desk.now)).filter(|wake| wake.0 <= end) else {
                desk.now = end;
                return heard;
            };
            desk.now = wake.0;
            open.extend(desk.hear(Event::Tick).effects);
        }
    }
}

/// An order whose customer has just left, and what is asked because of that.
fn left() -> (Desk, OrderId, Vec<Effect>) {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    let asked = desk.touch("cancel").effects;
    (desk, order, asked)
}

/// The same question at each of these seconds.
fn at(name: &'static str, seconds: &[u64]) -> Vec<(u64, &'static str)> {
    seconds.iter().map(|second| (*second, name)).collect()
}

#[test]
fn a_code_on_the_glass_is_asked_after_every_few_seconds_and_less_often_where_nobody_answers() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    let open = Provider::that(says(Standing::Open, &[]));
    assert_eq!(open.answers(&mut desk, order, vec![], 10), at("query", &[2, 5, 8]));
    assert_eq!(Provider::that(unknown()).answers(&mut desk, order, vec![], 10), at("query", &[11, 12, 14, 18]));
    assert_eq!(open.answers(&mut desk, order, vec![], 10), at("query", &[26, 29]), "and as before once it is back");
    // The provider said by itself that nothing is paid: that answers no question that is out.
    assert!(desk.wait(3).iter().any(|effect| matches!(effect, Effect::Query { .. })));
    desk.reported(order, says(Standing::Open, &[]), false);
    desk.reported(order, unknown(), false);
    assert!(!desk.wait(10).iter().any(|effect| matches!(effect, Effect::Query { .. })), "one question at a time");
}

#[test]
fn a_charge_that_stays_open_is_closed_again_and_again_until_a_close_holds() {
    let (mut desk, order, asked) = left();
    let open = Provider::that(says(Standing::Open, &[]));
    let times = [0, 1, 3, 7, 15, 31, 63, 123, 183, 243];
    let both = |second: &u64| [(*second, "close"), (*second, "query")];
    let told: Vec<_> = times.iter().flat_map(both).collect();
    assert_eq!(open.answers(&mut desk, order, asked, 300), told);
    assert!(!desk.order(order).ended, "somebody may still pay it, whatever its life was to be");
    let closed = Provider::that(says(Standing::Closed, &[]));
    assert_eq!(closed.answers(&mut desk, order, vec![], 300), [(303, "close"), (303, "query")]);
    assert_eq!((desk.order(order).ended, desk.order(order).state()), (true, OrderState::Cancelled));

    // A close that nobody answers is repeated as well.
    let (mut desk, order, asked) = left();
    let silent = Provider { close: unknown(), ..Provider::that(unknown()) };
    assert_eq!(silent.answers(&mut desk, order, asked, 200), at("close", &[0, 1, 3, 7, 15, 31, 63, 123, 183]));
    assert!(!desk.order(order).ended);
}

#[test]
fn a_closed_charge_is_asked_after_until_its_life_and_the_grace_are_over() {
    let (mut desk, order, asked) = left();
    let mut told = vec![(0, "close")];
    told.extend(at("query", &[0, 15, 45, 105, 165, 180]));
    let closed = Provider::that(says(Standing::Closed, &[]));
    assert_eq!(closed.answers(&mut desk, order, asked, 300), told);
    assert!(desk.order(order).ended, "150 s of life, 30 s of grace");

    // A payment told by the provider itself calms the questions; the last one is the same.
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    desk.now += 1_000;
    let payment = desk.payment(order, 300);
    desk.report(order, std::slice::from_ref(&payment), 0);
    desk.deliver(order, 0, 1, Evidence::Dropped { count: 1 });
    let paid = Provider::that(says(Standing::Closed, &[payment]));
    assert_eq!(paid.answers(&mut desk, order, vec![], 300), at("query", &[16, 31, 61, 121, 180]));
    assert_eq!((desk.order(order).ended, desk.order(order).state()), (true, OrderState::Delivered));
}

#[test]
fn what_a_provider_says_by_itself_brings_the_next_question_nearer_where_nothing_is_paid() {
    let (mut desk, order, asked) = left();
    let closed = Provider::that(says(Standing::Closed, &[]));
    closed.answers(&mut desk, order, asked, 50);
    desk.reported(order, says(Standing::Closed, &[]), false);
    assert_eq!(closed.answers(&mut desk, order, vec![], 70), at("query", &[65]), "and not at 105");

    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    let payment = desk.payment(order, 300);
    desk.report(order, std::slice::from_ref(&payment), 0);
    desk.deliver(order, 0, 1, Evidence::Dropped { count: 1 });
    let paid = Provider::that(says(Standing::Closed, std::slice::from_ref(&payment)));
    paid.answers(&mut desk, order, vec![], 70);
    desk.report(order, &[payment], 0);
    assert_eq!(paid.answers(&mut desk, order, vec![], 55), at("query", &[120]), "the same once more is no news");
}

#[test]
fn a_charge_is_final_by_when_the_question_went_and_not_by_when_the_answer_came() {
    let (mut desk, order, _) = left();
    let asked = desk.close_answered(order, 1, Ok(None)).effects;
    assert!(matches!(asked[..], [Effect::Query { .. }]), "{asked:?}");
    desk.wait(200);
    let asked = desk.reported(order, says(Standing::Closed, &[]), true).effects;
    assert!(!desk.order(order).ended, "somebody may have paid while the answer was on its way");
    assert!(matches!(asked[..], [Effect::Query { .. }]), "it is asked again at once: {asked:?}");
    let late = desk.payment(order, 300);
    assert_eq!(refunds(&desk.reported(order, says(Standing::Closed, &[late]), true)).len(), 1);
}

#[test]
fn a_life_is_counted_from_the_start_of_the_daemon_where_the_charge_is_older() {
    let mut desk = Desk::new();
    let order = desk.offer(&["cola"]);
    // The daemon takes up its ledger some time after it has started.
    let recovered = Recovered { orders: vec![desk.order(order)], ..Recovered::default() };
    desk.state = State::new(policy(), planogram());
    desk.state.restore(recovered);
    desk.now = 100_000;
    let asked = desk.hear(Event::Started { boot: BootId::parse("boot-2").unwrap(), version: "1".into() }).effects;
    let closed = Provider::that(says(Standing::Closed, &[]));
    let mut told = vec![(100, "close")];
    told.extend(at("query", &[100, 115, 145, 205, 265, 280]));
    assert_eq!(closed.answers(&mut desk, order, asked, 300), told);
    assert!(desk.order(order).ended);
}

#[test]
fn a_refund_is_asked_after_ever_more_rarely_and_asked_for_again_where_it_never_arrived() {
    let (mut desk, order, mut asked) = left();
    asked.extend(desk.pay(order, 300).effects);
    let paid = says(Standing::Closed, &desk.order(order).charges[0].payments.clone());
    let mut provider = Provider::that(paid);
    let refund = |heard: Vec<(u64, &'static str)>| -> Vec<(u64, &'static str)> {
        heard.into_iter().filter(|(_, name)| name.starts_with("refund")).collect()
    };
    let mut told = vec![(0, "refund")];
    told.extend(at("refunded?", &[1, 3, 7, 15, 31, 63, 123, 183]));
    assert_eq!(refund(provider.answers(&mut desk, order, asked, 200)), told);
    assert!(!desk.order(order).ended, "its charge is final, and the money is not back");
    provider.refund = Ok(RefundReport::Processing);
    assert_eq!(provider.answers(&mut desk, order, vec![], 100), [(243, "refunded?")]);
    provider.refund = Ok(RefundReport::Absent);
    assert_eq!(provider.answers(&mut desk, order, vec![], 100), [(303, "refunded?"), (363, "refund")]);
    provider.refund = Ok(RefundReport::Done);
    assert_eq!(provider.answers(&mut desk, order, vec![], 100), [(423, "refund")]);
    assert_eq!((desk.order(order).ended, desk.order(order).state()), (true, OrderState::Refunded));
}
