//! Visits of the car park by its API, with the network and without.

use serde_json::json;

use super::kit::Park;

/// With the demo's tariff, after two hours and the seconds that a test takes.
const TWO_HOURS: std::ops::RangeInclusive<i64> = 800..=900;

#[test]
fn the_site_says_what_there_is_and_refuses_what_does_not_fit() {
    let park = Park::open();
    let site = park.site();
    let kiosks: Vec<_> =
        site["kiosks"].as_array().unwrap().iter().map(|kiosk| (kiosk["id"].clone(), kiosk["mode"].clone())).collect();
    assert_eq!(
        kiosks,
        [("entry-1", "entry"), ("pay-1", "pay-station"), ("exit-1", "exit")].map(|(id, mode)| (json!(id), json!(mode)))
    );
    for gate in ["entry-1", "exit-1"].map(|lane| park.gate(lane)) {
        assert_eq!((&gate["open"], &gate["opened"], &gate["arm"]), (&json!(false), &json!(0), &json!(0.0)));
    }
    assert_eq!(site["cars"], json!([]));
    for (errand, status) in [
        (json!({}), 400),
        (json!({ "do": "arrive" }), 400),
        (json!({ "car": "new" }), 400),
        (json!({ "car": "new", "do": "fly" }), 400),
        (json!({ "car": "car-99", "do": "drive" }), 409),
        (json!({ "clock": "2h" }), 400),
        (json!({ "clock": "+400d" }), 400),
        (json!({ "network": "sideways" }), 400),
        (json!({ "cameras": "broken" }), 400),
        (json!({ "network": "up", "kiosk": "exit-9" }), 404),
        (json!({ "lane": "pay-1", "gate": "stuck" }), 404),
        (json!({ "lane": "entry-1", "gate": "missing" }), 400),
        (json!({ "speed": 3 }), 400),
    ] {
        assert_eq!(park.refused(errand.clone()), status, "{errand}");
    }
    let car = park.run(json!({ "car": "new", "do": "arrive" }))["car"].as_str().unwrap().to_owned();
    assert_eq!(park.refused(json!({ "car": car, "do": "lose", "speed": 1 })), 400);
    assert_eq!(park.refused(json!({ "car": car, "do": "show" })), 409, "it holds nothing");
    assert_eq!(park.refused(json!({ "car": car, "do": "type-plate" })), 400, "an entry has no keys");
    assert_eq!(park.refused(json!({ "car": car, "do": "type-plate", "kiosk": "pay-1", "text": "A/1" })), 400);
    let clock = park.site()["clock"].as_str().unwrap().to_owned();
    park.wind("+1d");
    assert_eq!(park.demo.get("/kiosk/entry-1/").0, 200);
    assert_eq!(park.demo.get("/kiosk/entry-1/api/state").0, 200);
    assert_eq!(park.demo.get("/api/kiosk/other/state").0, 404);
    assert!(park.site()["clock"].as_str().unwrap()[..10] > clock[..10]);
}

#[test]
fn a_car_enters_pays_and_leaves_and_each_gate_opens_once() {
    let park = Park::open();
    let car = park.enter();
    park.wind("+2h");
    let amount = park.pay(&car);
    assert!(TWO_HOURS.contains(&amount), "{amount}");
    park.to_the_exit(&car);
    park.out(&car);
    assert_eq!((park.opened("entry-1"), park.opened("exit-1"), park.taken()), (1, 1, amount));
    park.no_arm_fell_on_a_car();
}

#[test]
fn who_leaves_too_late_pays_the_difference_at_the_exit() {
    let park = Park::open();
    let car = park.enter();
    park.wind("+2h");
    let first = park.pay(&car);
    park.wind("+40min");
    park.to_the_exit(&car);
    park.run(json!({ "car": car, "do": "show" }));
    park.page("exit-1", &["stay"]);
    assert_eq!(park.opened("exit-1"), 0);
    let more = park.pay_at("exit-1");
    assert!((200..=400).contains(&more), "{more} after {first}");
    park.run(json!({ "car": car, "do": "drive" }));
    park.is(&car, "gone");
    assert_eq!((park.opened("exit-1"), park.taken()), (1, first + more));
    park.no_arm_fell_on_a_car();
}

#[test]
fn a_lost_ticket_is_paid_by_its_rule() {
    let park = Park::open();
    let car = park.enter();
    park.wind("+2h");
    park.run(json!({ "car": car, "do": "lose" }));
    assert_eq!(park.car(&car)["ticket"], json!(null));
    park.to_the_exit(&car);
    assert_eq!(park.refused(json!({ "car": car, "do": "show" })), 409);
    park.tap("exit-1", "ticket:lost");
    park.page("exit-1", &["lost-ticket"]);
    let amount = park.pay_at("exit-1");
    assert_eq!(amount, 2_000);
    park.run(json!({ "car": car, "do": "drive" }));
    park.is(&car, "gone");
    assert_eq!(park.opened("exit-1"), 1);
}

#[test]
fn the_second_use_of_a_copied_ticket_is_refused() {
    let park = Park::open();
    let car = park.enter();
    park.wind("+2h");
    park.pay(&car);
    let copy = park.run(json!({ "car": car, "do": "copy" }))["copy"].as_str().unwrap().to_owned();
    assert_eq!(park.car(&copy)["ticket"], park.car(&car)["ticket"]);
    park.to_the_exit(&car);
    park.out(&car);
    park.to_the_exit(&copy);
    park.page("exit-1", &["ticket"]);
    park.run(json!({ "car": copy, "do": "show" }));
    park.run(json!({ "car": copy, "do": "drive" }));
    // The pay station refuses it too, and by its answer the exit has had time to open.
    park.run(json!({ "car": copy, "do": "show", "kiosk": "pay-1" }));
    park.page("pay-1", &["ticket"]);
    assert_eq!((park.car(&copy)["where"].clone(), park.opened("exit-1")), (json!("exit"), 1));
}

#[test]
fn a_shops_stamp_takes_an_hour_away_once() {
    let park = Park::open();
    let (car, other) = (park.enter(), park.enter());
    park.wind("+2h");
    park.run(json!({ "car": car, "do": "validate" }));
    let show = |car: &str, what: &str| park.run(json!({ "car": car, "do": "show", "kiosk": "pay-1", "what": what }));
    show(&car, "ticket");
    park.page("pay-1", &["stay"]);
    let glass = || park.demo.get(&Park::at("pay-1", "screen.png"));
    let before = glass();
    show(&car, "validation");
    // The bill with it is on the glass before it is paid.
    kioskd_tests::wait_for("another bill", kioskd_tests::PATIENCE, || (glass() != before).then_some(()));
    let amount = park.pay_at("pay-1");
    assert!((400..=500).contains(&amount), "{amount}");
    park.page("pay-1", &["pass", "thanks"]);
    park.tap("pay-1", "done");
    assert!(TWO_HOURS.contains(&park.pay(&other)));
}

#[test]
fn without_a_broker_all_of_it_goes_on_and_nothing_paid_is_asked_for_again_when_it_is_back() {
    let park = Park::open();
    park.run(json!({ "network": "no-broker" }));
    let car = park.enter();
    park.wind("+2h");
    let amount = park.pay(&car);
    park.to_the_exit(&car);
    park.out(&car);
    assert_eq!(park.taken(), amount, "by the pass alone");
    let (late, stays) = (park.enter(), park.enter());
    park.wind("+2h");
    park.pay(&late);
    park.run(json!({ "network": "up" }));
    // What was paid without a network is asked for by nobody.
    park.to_the_exit(&late);
    park.out(&late);
    assert_eq!((park.opened("entry-1"), park.opened("exit-1")), (3, 2));
    assert_eq!(park.car(&stays)["where"], "inside");
    park.no_arm_fell_on_a_car();
}

#[test]
fn a_car_that_backs_out_and_one_that_tailgates_move_no_arm_onto_a_car() {
    let park = Park::open();
    let first = park.run(json!({ "car": "new", "do": "arrive" }))["car"].as_str().unwrap().to_owned();
    park.at_the_arm(&first);
    park.run(json!({ "car": first, "do": "take-ticket" }));
    park.run(json!({ "car": first, "do": "back-out" }));
    park.is(&first, "street");
    park.closed("entry-1");
    let cars = [(); 2].map(|()| park.run(json!({ "car": "new", "do": "arrive" }))["car"].as_str().unwrap().to_owned());
    park.at_the_arm(&cars[0]);
    park.run(json!({ "car": cars[0], "do": "take-ticket" }));
    for car in &cars {
        park.run(json!({ "car": car, "do": "drive" }));
    }
    for car in &cars {
        park.is(car, "inside");
    }
    park.closed("entry-1");
    park.no_arm_fell_on_a_car();
}

#[test]
fn a_gate_that_is_stuck_does_not_open_and_fire_opens_every_gate() {
    let park = Park::open();
    park.run(json!({ "lane": "entry-1", "gate": "stuck" }));
    let car = park.run(json!({ "car": "new", "do": "arrive" }))["car"].as_str().unwrap().to_owned();
    park.at_the_arm(&car);
    let (status, _) = park.ask(json!({ "car": car, "do": "take-ticket" }));
    assert!([200, 409].contains(&status), "{status}");
    assert_eq!(park.opened("entry-1"), 0);
    park.run(json!({ "lane": "entry-1", "gate": "ok" }));
    park.run(json!({ "fire": true }));
    kioskd_tests::wait_for("open gates", kioskd_tests::PATIENCE, || {
        ["entry-1", "exit-1"].iter().all(|lane| park.gate(lane)["open"] == true).then_some(())
    });
    park.run(json!({ "car": car, "do": "drive" }));
    park.is(&car, "inside");
    park.run(json!({ "fire": false }));
    for lane in ["entry-1", "exit-1"] {
        park.closed(lane);
    }
    park.no_arm_fell_on_a_car();
}

#[test]
fn a_plate_that_was_read_is_paid_by_typing_it_and_opens_the_exit_by_itself() {
    let park = Park::open();
    assert_eq!(park.site()["cameras"], false);
    park.run(json!({ "cameras": true }));
    let car = park.enter();
    let plate = park.car(&car)["plate"].as_str().unwrap().to_owned();
    let number = park.car(&car)["holds"][0]["number"].as_str().unwrap().to_owned();
    park.wind("+2h");
    // Who has typed one character wrong chooses what was meant.
    let wrong = format!("{}{}", &plate[..5], if plate.ends_with('7') { 1 } else { 7 });
    park.types(&car, &wrong, &format!("stay:{number}"));
    assert_eq!(park.state("pay-1")["page"], "plate");
    park.tap("pay-1", &format!("stay:{number}"));
    park.page("pay-1", &["stay"]);
    park.tap("pay-1", "cancel");
    park.page("pay-1", &["ticket"]);
    park.types(&car, &plate, "pay");
    let amount = park.pay_at("pay-1");
    assert!(TWO_HOURS.contains(&amount), "{amount}");
    park.done_at_the_pay_station();
    // Whoever types another's plate drives out with no pass of its driver.
    assert_eq!(park.holds(&car, "pass"), 0);
    park.to_the_exit(&car);
    assert_eq!(park.gate("exit-1")["read"], plate);
    park.drives_out(&car);
    assert_eq!((park.opened("entry-1"), park.opened("exit-1"), park.taken()), (1, 1, amount));
    park.no_arm_fell_on_a_car();
}

#[test]
fn what_was_paid_at_a_pay_station_that_was_cut_off_opens_the_exit_as_soon_as_that_hears_of_it() {
    let park = Park::open();
    park.run(json!({ "cameras": true }));
    // Nobody hears the camera, nor the entry; the ticket is as good as ever.
    park.run(json!({ "network": "no-broker", "kiosk": "entry-1" }));
    let unheard = park.enter();
    park.run(json!({ "network": "up", "kiosk": "entry-1" }));
    let car = park.enter();
    park.wind("+2h");
    let plate = park.car(&car)["plate"].as_str().unwrap().to_owned();
    park.types(&car, &plate, "pay");
    park.run(json!({ "network": "no-broker", "kiosk": "pay-1" }));
    let mut amount = park.pay_at("pay-1");
    park.done_at_the_pay_station();
    park.to_the_exit(&car);
    park.page("exit-1", &["stay"]);
    assert_eq!(park.opened("exit-1"), 0, "it has not heard that it was paid");
    park.run(json!({ "network": "up", "kiosk": "pay-1" }));
    park.drives_out(&car);
    park.closed("exit-1");
    assert_eq!((park.opened("exit-1"), park.taken()), (1, amount));
    amount += park.pay(&unheard);
    park.to_the_exit(&unheard);
    park.out(&unheard);
    assert_eq!((park.opened("entry-1"), park.opened("exit-1"), park.taken()), (2, 2, amount));
    park.no_arm_fell_on_a_car();
}

#[test]
fn a_season_pass_has_one_car_inside_at_a_time_and_pays_nothing() {
    let park = Park::open();
    let show = |car: &str| park.run(json!({ "car": car, "do": "show" }));
    let car = park.new_car("season-pass");
    park.run(json!({ "car": car, "do": "arrive" }));
    park.at_the_arm(&car);
    assert_eq!(show(&car)["shown"], "season");
    park.run(json!({ "car": car, "do": "drive" }));
    park.is(&car, "inside");
    park.closed("entry-1");
    assert_eq!(park.holds(&car, "ticket"), 0);
    let copy = park.run(json!({ "car": car, "do": "copy" }))["copy"].as_str().unwrap().to_owned();
    park.run(json!({ "car": copy, "do": "arrive" }));
    park.at_the_arm(&copy);
    show(&copy);
    park.run(json!({ "car": copy, "do": "drive" }));
    // Long after it would have opened.
    park.wind("+2h");
    park.run(json!({ "car": car, "do": "leave" }));
    park.at_the_arm(&car);
    assert_eq!((park.car(&copy)["where"].clone(), park.opened("entry-1")), (json!("entry"), 1));
    show(&car);
    park.run(json!({ "car": car, "do": "drive" }));
    park.is(&car, "gone");
    park.closed("exit-1");
    // With its own car out it is free again; without a camera nobody knows that this is another.
    kioskd_tests::wait_for("a pass that is free again", kioskd_tests::PATIENCE, || {
        show(&copy);
        (park.gate("entry-1")["arm"] != 0.0).then_some(())
    });
    park.is(&copy, "inside");
    assert_eq!((park.holds(&copy, "ticket"), park.opened("entry-1"), park.opened("exit-1")), (0, 2, 1));
    assert_eq!(park.taken(), 0);
    park.no_arm_fell_on_a_car();
}
