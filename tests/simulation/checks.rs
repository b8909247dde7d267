//! The promises, as what must hold after a step, before an effect, and when all is over.

use std::collections::BTreeMap;

use kioskd::operation::{Operation, Outcome, RequestId};
use kioskd::sale::Order;
use kioskd::sale::dialogue::{OrderPage, Page};
use kioskd::sale::event::Effect;
use kioskd::sale::record::{Record, Settling};
use kioskd::sale::view::Outcome as Fate;
use kioskd::vocabulary::{ClaimSettlement, DeliveryId, OrderId, Outlet};

use crate::run::Run;
use crate::world::ProviderCharge;

pub fn before_an_effect(run: &mut Run, effect: &Effect) {
    let broken = match effect {
        Effect::Deliver { delivery, .. } if tried(run, *delivery) => {
            may_try_relay(run, *delivery).err().map(|what| ("P1", what))
        }
        Effect::Deliver { delivery, .. } => {
            let moves_for_nobody = run.world.door_open || run.world.board_silent;
            let unsafe_now =
                moves_for_nobody.then(|| ("P6", format!("{delivery:?} energised at an open door or a dead board")));
            may_energise(run, *delivery).err().map(|what| ("P1", what)).or(unsafe_now)
        }
        Effect::Refund { refund, .. } => {
            let on_disk = run.journal.of(refund.order).any(|record| {
                matches!(record, Record::RefundRequested { refund: id, amount, .. } if *id == refund.refund && *amount == refund.amount)
            });
            (!on_disk).then(|| ("P3", format!("refund {} of {} is not on disk", refund.refund, refund.amount)))
        }
        Effect::Create { charge, .. } => {
            let on_disk = run.journal.of(charge.order).any(|record| match record {
                Record::OrderOffered { charge: id, .. } | Record::ChargeOffered { charge: id, .. } => {
                    *id == charge.charge
                }
                _ => false,
            });
            (!on_disk).then(|| ("P4", format!("charge {} is not on disk", charge.charge)))
        }
        Effect::Gate { id, .. } => may_ask_lane(run, id).err().map(|what| ("P1", what)),
        Effect::Reboot => may_reboot(run).err().map(|what| ("P4", what.to_owned())),
        Effect::StartAnew => may_start_anew(run).err().map(|what| ("P4", what.to_owned())),
        _ => None,
    };
    if let Some((promise, what)) = broken {
        run.world.breaks(promise, what);
    }
}

fn tried(run: &Run, delivery: DeliveryId) -> bool {
    run.live().pulse.as_ref().is_some_and(|pulse| pulse.delivery == delivery)
}

/// A relay without a sale: once, in maintenance, for a person whose request is on disk and not answered, and while no
/// delivery is open.
fn may_try_relay(run: &Run, delivery: DeliveryId) -> Result<(), String> {
    let told = |what: &str| Err(format!("{delivery:?} tried {what}"));
    if run.world.said.contains_key(&delivery) {
        return told("twice");
    }
    if run.world.board_silent {
        return told("on a dead board");
    }
    let (mut maintenance, mut open) = (false, Vec::new());
    for record in run.journal.all() {
        match record {
            Record::MaintenanceBegun {} => maintenance = true,
            Record::MaintenanceEnded {} => maintenance = false,
            Record::OperationBegun { id, asked: Operation::Pulse { .. }, .. } => open.push(id),
            Record::OperationEnded { id, .. } => open.retain(|other| *other != id),
            _ => {}
        }
    }
    if !maintenance || open.len() != 1 {
        return told(&format!("with {} requests open, in maintenance: {maintenance}", open.len()));
    }
    let delivering = run.live().orders.values().any(kioskd::sale::Order::unresolved);
    if delivering { told("beside a delivery") } else { Ok(()) }
}

/// A lane hears of a wish once, in the run in which it was begun, and before it is answered.
fn may_ask_lane(run: &mut Run, id: &RequestId) -> Result<(), String> {
    let since_start = run.journal.all().iter().rev().take_while(|record| !matches!(record, Record::BootStarted { .. }));
    let about = |record: &&Record| match record {
        Record::OperationBegun { id: of, .. } | Record::OperationEnded { id: of, .. } => of == id,
        _ => false,
    };
    let kinds: Vec<&str> = since_start.filter(about).map(Record::kind).collect();
    if kinds != ["operation-begun"] {
        return Err(format!("a lane is asked by {id}, of which is written {kinds:?}"));
    }
    if run.said.wishes.insert(id.clone()) { Ok(()) } else { Err(format!("a lane is asked twice by {id}")) }
}

/// The board goes down between sales, and after it is on disk what came of the request.
fn may_reboot(run: &Run) -> Result<(), &'static str> {
    let (mut asked, mut done) = (Vec::new(), false);
    for record in run.journal.all() {
        match record {
            Record::BootStarted { .. } => (asked, done) = (Vec::new(), false),
            Record::OperationBegun { id, asked: Operation::Reboot, .. } => asked.push(id),
            Record::OperationEnded { id, outcome } if asked.contains(&id) => {
                done = matches!(outcome, Outcome::Changed { .. });
            }
            _ => {}
        }
    }
    let state = run.live();
    if !done {
        return Err("the board is restarted, and no request for that has ended");
    }
    let sells = state.busy() || state.stop_reasons().is_empty() || state.orders.values().any(Order::unresolved);
    if sells { Err("the board is restarted in the middle of a sale") } else { Ok(()) }
}

/// The daemon starts anew between sales, and after it is on disk with which configuration.
fn may_start_anew(run: &Run) -> Result<(), &'static str> {
    let since_start = run.journal.all().iter().rev().take_while(|record| !matches!(record, Record::BootStarted { .. }));
    let mut changes = since_start.filter(|record| {
        matches!(record, Record::ConfigTried { .. } | Record::ConfigKept { .. } | Record::ConfigRejected { .. })
    });
    match changes.next() {
        Some(Record::ConfigTried { .. } | Record::ConfigRejected { .. }) if !run.live().busy() => Ok(()),
        Some(Record::ConfigTried { .. } | Record::ConfigRejected { .. }) => Err("starts anew in the middle of a sale"),
        _ => Err("starts anew, and no other configuration is in force"),
    }
}

/// Each configuration that was tried was kept or rejected, and who had asked for it was told just that, once.
fn configurations(run: &mut Run) {
    let mut open = None;
    let mut broken = None;
    for record in run.journal.all() {
        match (record, &open) {
            (Record::ConfigTried { id, .. }, None) => open = Some((id.clone(), None)),
            (Record::ConfigKept { .. }, Some((id, None))) => open = Some((id.clone(), Some(true))),
            (Record::ConfigRejected { .. }, Some((id, None))) => open = Some((id.clone(), Some(false))),
            (Record::OperationEnded { id, outcome }, Some((tried, kept))) if id == tried => {
                if *kept != Some(matches!(outcome, Outcome::Changed { .. })) {
                    broken = Some(format!("{id} ended {outcome:?}, and kept is {kept:?}"));
                }
                open = None;
            }
            (Record::ConfigTried { .. } | Record::ConfigKept { .. } | Record::ConfigRejected { .. }, _) => {
                broken = Some(format!("{record:?} while {open:?}"));
            }
            _ => {}
        }
    }
    let waits = run.live().configuration.trial.is_some();
    if let Some(what) = broken.or_else(|| (open.is_some() && !waits).then(|| format!("{open:?} never ends"))) {
        run.world.breaks("P4", what);
    }
}

/// P1 and P8: once, for a payment that the provider knows and that fits, in time, and another slot only after a proven no.
fn may_energise(run: &Run, delivery: DeliveryId) -> Result<(), String> {
    let told = |what: &str| Err(format!("{delivery:?} energised {what}"));
    if run.world.said.contains_key(&delivery) {
        return told("twice");
    }
    let records: Vec<&Record> = run.journal.of(delivery.order).collect();
    let intended = records.iter().any(|record| {
        matches!(record, Record::DeliveryIntended { item, attempt, .. } if (*item, *attempt) == (delivery.item, delivery.attempt))
    });
    if !intended {
        return told("without its intent on disk");
    }
    let Some(order) = run.journal.order(delivery.order) else { return told("without an order") };
    if order.grant().is_some() {
        // Its first record is its entitlement; nobody gets a second try after a restart.
        let given = matches!(records.first(), Some(Record::OrderGranted { .. })) && order.charges.is_empty();
        return if given { may_try_again(run, delivery) } else { told("for a grant that is not on disk") };
    }
    let closed = records.iter().position(|record| record.kind() == "order-closed");
    let paid = records.iter().position(|record| record.kind() == "order-paid");
    if paid.is_none() || closed < paid && closed.is_some() {
        return told("for an order that was not paid in time");
    }
    let fits = order.charges.iter().filter_map(|charge| run.world.book.get(&charge.id)).any(|charge| {
        charge.payments.iter().any(|payment| {
            payment.amount == order.amount() && payment.order == order.id && payment.currency == order.currency
        })
    });
    if !fits {
        return told("without a payment of its amount, currency and order");
    }
    may_try_again(run, delivery)
}

fn may_try_again(run: &Run, delivery: DeliveryId) -> Result<(), String> {
    if delivery.attempt > 1 {
        let before = DeliveryId { attempt: delivery.attempt - 1, ..delivery };
        let proven = run
            .world
            .said
            .get(&before)
            .is_some_and(|(evidence, boot)| *boot == run.world.boot && crate::run::is_tested_no(evidence));
        if !proven {
            return Err(format!("{delivery:?} energised from another slot without a proven no in the same boot"));
        }
    }
    Ok(())
}

pub fn after_a_step(run: &mut Run, records: &[Record]) {
    if let Some(what) = code_without_lease(run) {
        run.world.breaks("P6", what);
    }
    if run.failed() {
        // What is remembered is ahead of what could be written, and nothing is done for it.
        return;
    }
    if let Some(what) = silence(run) {
        run.world.breaks("P2", what);
    }
    if let Some(what) = stock(run) {
        run.world.breaks("P4", what);
    }
    if run.mutated() {
        // A mutant may differ in memory; it is caught by what it does.
        return;
    }
    let touched = records.iter().filter_map(Record::order).collect::<std::collections::BTreeSet<_>>();
    for id in touched {
        let live = run.live().orders.get(&id).map(durable);
        let folded = run.journal.order(id).map(|order| durable(&order));
        if live.is_some() && live != folded {
            run.world.breaks("P4", format!("what is remembered is not what was written: {live:?} {folded:?}"));
        }
    }
}

/// What operators were told has to hold after a restart.
pub fn after_a_start(run: &mut Run) {
    let locked = run.live().conditions.locked.is_some();
    if run.said.locked.is_some_and(|said| said != locked) {
        run.world.breaks("P4", format!("a person was told the opposite of locked: {locked}"));
    }
}

/// The shop is what was written of it: slots hold what was put there, less what was written to have fallen.
fn stock(run: &Run) -> Option<String> {
    let (known, written) = (run.live().shop.outlets(), run.journal.shop(run.shop.as_ref()).outlets());
    let restarted = run.journal.restarted(run.shop.as_ref()).outlets();
    let found = if known != written { written } else { restarted };
    (known != found).then(|| format!("outlets are known as {known:?}, and the records say {found:?}"))
}

/// A refund that nobody confirms is a claim, some minutes after it should be.
fn silence(run: &Run) -> Option<String> {
    let patience = run.policy.silent_claim_after.as_millis() as u64 + 180_000;
    let open = run.live().orders.values().filter(|order| !order.ended && order.claim.is_none());
    let refunds = open.flat_map(|order| order.charges.iter().flat_map(|charge| &charge.refunds));
    let silent = refunds.filter(|refund| refund.pending()).find(|refund| {
        let asked = run.world.refund_asked.get(&refund.id);
        asked.is_some_and(|asked| run.world.now.saturating_sub((*asked).max(run.boot_at)) > patience)
    });
    silent.map(|refund| format!("nobody has confirmed refund {} for hours, and nobody was told", refund.id))
}

/// P6, by the world's own knowledge.
fn code_without_lease(run: &Run) -> Option<String> {
    let state = run.live();
    let rail = &state.current_order()?.live()?.rail;
    let Page::Order(OrderPage::Pay { qr: Some(_), .. }) = state.view(run.now(), |_| None).page else { return None };
    if run.world.door_open {
        return Some("the code is up while the door is open".into());
    }
    if let Some((which, _)) = run.blocked.iter().find(|(which, on)| **on && **which != "touch") {
        return Some(format!("the code is up in spite of the {which}"));
    }
    if run.said.locked == Some(true) {
        return Some("the code is up at a locked kiosk".into());
    }
    let lease = state.policy.lease.as_millis() as u64;
    let age = run.world.verified.get(rail).map(|at| run.world.now - at);
    // A second for the tick that takes it away.
    age.is_none_or(|age| age > lease + 1_000).then(|| format!("the code is up {age:?} ms after a verified answer"))
}

/// An order without what a restart asks anew.
fn durable(order: &Order) -> Order {
    let mut order = order.clone();
    order.preparing = None;
    order.deadline = Default::default();
    order.extended = false;
    order.printing = None;
    for attempt in order.items.iter_mut().flat_map(|item| &mut item.attempts) {
        attempt.this_boot = false;
    }
    for charge in &mut order.charges {
        charge.watch = Default::default();
        charge.refunds.iter_mut().for_each(|refund| refund.watch = Default::default());
    }
    order
}

pub fn at_the_end(run: &mut Run) {
    let mut sold: BTreeMap<OrderId, Vec<ProviderCharge>> = BTreeMap::new();
    for (id, charge) in std::mem::take(&mut run.world.book) {
        let order = charge.order.and_then(|order| run.journal.order(order));
        if order.as_ref().is_none_or(|order| order.charge(&id).is_none()) {
            run.world.breaks("P2", format!("the provider has charge {id}, the ledger has not: {order:?}"));
        }
        if charge.payments.is_empty() && !run.world.close_asked.contains(&id) {
            run.world.breaks("P2", format!("charge {id} was never paid and never closed: {order:?}"));
        }
        sold.entry(charge.order.unwrap()).or_default().push(charge);
    }
    for (order, charges) in sold {
        let Some(order) = run.journal.order(order) else { continue };
        if let Err((promise, what)) = money(run, &order, &charges) {
            run.world.breaks(promise, format!("{what}; charges {charges:?}; order {order:?}"));
        }
    }
    operations(run);
    if let Err(what) = run.trade.check(run.live(), run.journal.all(), &run.world.out) {
        run.world.breaks("P4", what);
    }
    let mut refunds: Vec<_> = run.journal.all().iter().filter_map(refund_number).collect();
    refunds.sort_unstable();
    if let Some(twice) = refunds.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone()) {
        run.world.breaks("P3", format!("two refunds have the number {twice}"));
    }
    for id in run.journal.orders() {
        let Some(order) = run.journal.order(id) else { continue };
        if order.grant().is_some() && !order.ended {
            run.world.breaks("P2", format!("a granted order never ended: {order:?}"));
        }
        if let Err((promise, what)) = goods(run, &order) {
            run.world.breaks(promise, format!("{what}: {order:?}"));
        }
    }
}

/// What people have asked for is done once, and what they were told of it is what was done.
fn operations(run: &mut Run) {
    configurations(run);
    for (id, outcome) in std::mem::take(&mut run.said.answers) {
        let records = run.journal.all();
        let about = |record: &&Record| match record {
            Record::OperationBegun { id: of, .. } | Record::OperationEnded { id: of, .. } => *of == id,
            _ => false,
        };
        let kinds: Vec<&str> = records.iter().filter(about).map(Record::kind).collect();
        let asked = run.said.asked.iter().find(|request| request.id == id).map(|request| &request.asked);
        let kept = match (&outcome, asked) {
            (Outcome::Changed { order: Some(order), .. }, _) => {
                run.journal.order(*order).is_some_and(|o| o.grant().is_some())
            }
            (Outcome::Energised { .. }, Some(Operation::Pulse { .. })) => true,
            (Outcome::Energised { .. }, _) => false,
            (Outcome::Changed { order: None, .. }, Some(Operation::SettleClaim { order, .. })) => {
                run.journal.of(*order).any(|record| matches!(record, Record::ClaimSettled { by: Some(_), .. }))
            }
            _ => true,
        };
        if kinds != ["operation-begun", "operation-ended"] || !kept {
            run.world.breaks("P4", format!("{asked:?} was answered {outcome:?}, and written is {kinds:?}"));
        }
    }
    let cut = |record: &Record| match record {
        Record::CashedUp { number, .. } => Some(*number),
        _ => None,
    };
    let told = |record: &Record| match record {
        Record::OperationEnded { outcome: Outcome::Changed { report, .. }, .. } => *report,
        _ => None,
    };
    let (cuts, told) = (run.journal.all().iter().filter_map(cut), run.journal.all().iter().filter_map(told));
    let (cuts, told): (Vec<u32>, Vec<u32>) = (cuts.collect(), told.collect());
    if cuts != told || !cuts.iter().copied().eq(1..=cuts.len() as u32) {
        run.world.breaks("P4", format!("the reports {cuts:?} were cut, and {told:?} were told"));
    }
    let free = |record: &&Record| matches!(record, Record::OrderGranted { by: Some(_), .. });
    let granted = run.journal.all().iter().filter(free).count();
    let begun = |record: &&Record| {
        matches!(record, Record::OperationEnded { outcome: Outcome::Changed { order: Some(_), .. }, .. })
    };
    let asked = run.journal.all().iter().filter(begun).count();
    if granted != asked {
        run.world.breaks("P1", format!("{granted} orders were granted to people, who asked for {asked}"));
    }
}

fn refund_number(record: &Record) -> Option<kioskd::vocabulary::RefundId> {
    match record {
        Record::RefundRequested { refund, .. } => Some(refund.clone()),
        _ => None,
    }
}

type Broken = (&'static str, String);

/// P2 and P3: what the provider has kept is what the records say was kept, or a person has been asked.
fn money(run: &Run, order: &Order, charges: &[ProviderCharge]) -> Result<(), Broken> {
    let kept = |charge: &ProviderCharge| charge.paid() - charge.refunded() - charge.returned;
    if let Some(over) = charges.iter().map(kept).find(|kept| *kept < 0) {
        return Err(("P3", format!("{} more given back than was paid", -over)));
    }
    let kept_there: i64 = charges.iter().map(kept).sum();
    let whim = charges.iter().any(|charge| charge.whim);
    if order.claim.is_some() {
        let mut payments = charges.iter().flat_map(|charge| charge.payments.iter().map(move |p| (charge, p)));
        let foreign = payments.any(|(charge, payment)| Some(payment.currency) != charge.currency);
        let held = run
            .journal
            .of(order.id)
            .any(|record| matches!(record, Record::ItemUnknown { settled_by: Settling::Claim, .. }));
        let failed = charges.iter().any(|charge| charge.refund_failed);
        let silent =
            run.journal.of(order.id).any(|record| matches!(record, Record::ClaimOpened { until_told: true, .. }))
                && charges.iter().any(|charge| !charge.refunds.is_empty());
        if !(foreign || held || failed || whim || silent) {
            return Err(("P2", "a claim that nobody needed".into()));
        }
    }
    let by_person = run
        .journal
        .of(order.id)
        .any(|record| matches!(record, Record::ClaimSettled { how, .. } if *how != ClaimSettlement::ByProvider));
    if order.claim_open() {
        return Ok(());
    }
    if !order.ended {
        return Err(("P2", "the order never ended".into()));
    }
    let known = order.charges.iter().flat_map(|c| &c.payments).count();
    let made: usize = charges.iter().map(|charge| charge.payments.len()).sum();
    if known != made {
        return Err(("P2", format!("{made} payments, {known} of them known")));
    }
    let keeps = |item: &&kioskd::sale::order::Item| match item.outcome {
        Fate::Delivered => true,
        Fate::Unknown => item.settled_by == Some(Settling::AssumedDelivered),
        Fate::NotDelivered | Fate::Pending => false,
    };
    let bought = order.bought().is_some();
    let kept_here: i64 = order.items.iter().filter(keeps).filter(|_| bought).map(|item| item.price).sum();
    let kept_here = kept_here - order.given_back;
    // A provider's whim may give back what was delivered. Then, and only then, somebody was told.
    let given_away = whim && order.claim.is_some() && kept_there < kept_here;
    // A person may have paid back by other means, or let the customer have it.
    if kept_here == kept_there || given_away || by_person {
        Ok(())
    } else {
        Err(("P2", format!("kept {kept_there} at the provider, {kept_here} by the records")))
    }
}

/// The sensors of this world are honest or silent: what is recorded as fallen fell, and the reverse.
fn goods(run: &Run, order: &Order) -> Result<(), Broken> {
    for (index, item) in order.items.iter().enumerate() {
        let fell = |attempt: usize| {
            let delivery = DeliveryId { order: order.id, item: index as u32, attempt: attempt as u32 + 1 };
            run.world.fell.get(&delivery).copied().unwrap_or_default()
        };
        let pieces: Vec<u32> = (0..item.attempts.len()).map(fell).collect();
        let dropping = pieces.iter().filter(|count| **count > 0).count();
        if dropping > 1 {
            return Err(("P1", format!("unit {index} fell from {dropping} slots")));
        }
        let nothing_moves = run.journal.of(order.id).any(|record| {
            matches!(record, Record::ItemDelivered { item, outlet: Outlet::Pass, .. } if *item == index as u32)
        });
        match item.outcome {
            Fate::Delivered if nothing_moves != (dropping == 0) => {
                return Err(("P2", format!("unit {index} is recorded as delivered and never fell")));
            }
            Fate::NotDelivered if dropping > 0 => {
                return Err(("P2", format!("unit {index} fell and is recorded as not delivered")));
            }
            _ => {}
        }
    }
    Ok(())
}
