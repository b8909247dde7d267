//! What `kioskctl why` tells of an order, against what the world has seen: the provider's own book, and what truly fell. The
//! runs are written into real ledgers, which every boot opens anew.

use std::collections::BTreeMap;

use kioskd::ledger::{Reader, Story};
use kioskd::vocabulary::{Money, OrderId};
use serde_json::Value;

use crate::parking::Parking;
use crate::run::Run;
use crate::trade::{Trade, Vending};
use crate::world::ProviderCharge;

/// What the stories together have told, so that a world in which nothing happens proves nothing.
#[derive(Debug, Default)]
struct Told {
    orders: usize,
    boots: usize,
    payments: usize,
    refunds: usize,
    fell: usize,
    unknown: usize,
    claims: usize,
}

fn stories_agree(trade: &dyn Trade, seeds: std::ops::RangeInclusive<u64>) -> Told {
    let mut told = Told::default();
    for seed in seeds {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let mut run = Run::new(trade, seed, None, false);
        run.journal.keep_in(folder.path());
        run.play_out();
        assert_eq!(run.world.broken, None, "seed {seed}");
        let reader = Reader::open(folder.path()).unwrap();
        assert!(reader.verify().is_ok(), "seed {seed}");
        for id in run.journal.orders() {
            let story = reader.why(Some(&id.to_string())).unwrap().expect("an order has a story");
            agrees(&run, &reader, id, &story, &mut told).unwrap_or_else(|what| panic!("seed {seed}: {what}\n{story}"));
        }
    }
    told
}

fn agrees(run: &Run, reader: &Reader, id: OrderId, story: &Story, told: &mut Told) -> Result<(), String> {
    let (json, text) = (story.json(), story.to_string());
    let order = run.journal.order(id).expect("it is in memory too");
    let charges: Vec<(_, &ProviderCharge)> = run.world.book.iter().filter(|(_, c)| c.order == Some(id)).collect();

    let paid: i64 = charges.iter().map(|(_, charge)| charge.paid()).sum();
    let back: i64 = charges.iter().map(|(_, charge)| charge.refunded() + charge.returned).sum();
    if (&json["paid"], &json["refunded"]) != (&paid.into(), &back.into()) {
        return Err(format!("the provider has taken {paid} and given back {back}"));
    }
    let money = |amount| Money { amount, currency: order.currency };
    let now = text.lines().find(|line| line.trim_start().starts_with("now: ")).unwrap_or_default();
    if !now.contains(&format!("paid {}, given back {}", money(paid), money(back))) {
        return Err(format!("what is now does not say {} and {}", money(paid), money(back)));
    }

    let lines: Vec<&Value> = json["lines"].as_array().into_iter().flatten().collect();
    if lines.len() != run.journal.of(id).count() {
        return Err(format!("{} records, {} lines", run.journal.of(id).count(), lines.len()));
    }
    if let Some(mute) = lines.iter().find(|line| line["text"] == line["kind"]) {
        return Err(format!("there are no words for {mute}"));
    }

    // By unit, counted from one as people do.
    let (mut said, mut unsaid) = (BTreeMap::new(), Vec::new());
    for line in &lines {
        let Some((unit, what)) = line["text"].as_str().and_then(|text| text.strip_prefix("unit ")?.split_once(": "))
        else {
            continue;
        };
        let unit: u32 = unit.parse().map_err(|_| format!("`{unit}` is no unit"))?;
        match (line["kind"].as_str(), what.split_once(" fell from ")) {
            (Some("item-delivered"), Some((count, _))) => drop(said.insert(unit, count.parse().unwrap_or(0))),
            (Some("item-delivered"), None) => drop(said.insert(unit, 1)),
            (Some("item-unknown"), _) => unsaid.push(unit),
            _ => {}
        }
    }
    let mut fell: BTreeMap<u32, u32> = BTreeMap::new();
    for (delivery, count) in run.world.fell.iter().filter(|(delivery, _)| delivery.order == id) {
        if *count > 0 && !unsaid.contains(&(delivery.item + 1)) {
            *fell.entry(delivery.item + 1).or_default() += count;
        }
    }
    if said != fell {
        return Err(format!("by unit, {fell:?} fell"));
    }

    let mut names: Vec<String> = vec![id.to_string()];
    for (number, charge) in &charges {
        names.push(number.to_string());
        names.extend(charge.payments.iter().map(|payment| payment.id.to_string()));
        names.extend(charge.refunds.keys().map(ToString::to_string));
    }
    for name in names {
        let named = reader.why(Some(&name)).map_err(|error| error.to_string())?;
        if named.is_none_or(|named| named.json()["order"] != id.to_string()) {
            return Err(format!("it is not found by {name}"));
        }
    }

    told.orders += 1;
    told.boots += text.matches("~~ the daemon was started anew ~~").count();
    told.payments += charges.iter().map(|(_, charge)| charge.payments.len()).sum::<usize>();
    told.refunds += charges.iter().map(|(_, charge)| charge.refunds.len()).sum::<usize>();
    told.fell += said.len();
    told.unknown += unsaid.len();
    told.claims += usize::from(order.claim.is_some());
    Ok(())
}

#[test]
fn each_story_is_what_the_world_saw() {
    let told = stories_agree(&Vending, 1..=600);
    println!("{told:?}");
    assert!(told.orders > 800 && told.payments > 180 && told.refunds > 120 && told.fell > 180, "{told:?}");
    assert!(told.boots > 400 && told.unknown > 8 && told.claims > 12, "{told:?}");
}

#[test]
fn of_a_car_park_too() {
    let told = stories_agree(&Parking, 1..=200);
    println!("{told:?}");
    assert!(told.orders > 600 && told.payments > 60 && told.fell > 300, "{told:?}");
}
