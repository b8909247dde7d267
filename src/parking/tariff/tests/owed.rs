//! Lost tickets, and what is owed after a payment.

use super::*;

#[test]
fn a_lost_ticket() {
    let rules = |rule: &str| tariff(&format!("[grace]\nentry = 600\n{HALF_HOURS}{rule}"));
    let of = |tariff: &Tariff, exit: &str| {
        let exit = at(tariff, exit);
        fee(tariff, &Stay { entry: Entry::Lost, ..Stay::new(exit, exit) }).map(|bill| bill.amount)
    };
    assert_eq!(of(&rules(""), "2026-11-30 10:00"), Err(FeeError::NoLostRule));
    assert_eq!(of(&rules("[lost]\nprice = 2000\n"), "2026-11-30 10:00"), Ok(2_000));
    let since = rules("[lost]\nsince = \"06:00\"\nsurcharge = 300\n");
    assert_eq!(of(&since, "2026-11-30 07:00"), Ok(200 + 300), "no grace");
    assert_eq!(of(&since, "2026-11-30 06:00"), Ok(4_800 + 300), "since yesterday");
}

#[test]
fn who_has_paid_has_time_to_leave() {
    let rules = |late: &str| {
        tariff(&format!(
            "[grace]\npayment = 10\nlate = \"{late}\"\n[free]\nminutes = 20\nexceeded = \"lost\"\n{HALF_HOURS}"
        ))
    };
    let owed = |tariff: &Tariff, exit: &str, paid: &[(&str, Minor)]| {
        let paid = paid.iter().map(|(when, amount)| Paid { at: at(tariff, when), amount: *amount });
        let paid: Vec<Paid> = paid.collect();
        due(tariff, &stay(tariff, "2026-11-30 09:00", exit), &paid).unwrap().amount
    };
    let (difference, anew) = (rules("difference"), rules("anew"));
    let paid = ("2026-11-30 10:00", 200);
    for tariff in [&difference, &anew] {
        assert_eq!(owed(tariff, "2026-11-30 10:00", &[]), 200);
        assert_eq!(owed(tariff, "2026-11-30 10:10", &[paid]), 0);
        assert_eq!(owed(tariff, "2026-11-30 10:11", &[paid]), 100, "nothing is free");
    }
    assert_eq!(owed(&difference, "2026-11-30 11:20", &[paid, ("2026-11-30 11:00", 200)]), 100);
    assert_eq!(owed(&anew, "2026-11-30 11:20", &[paid, ("2026-11-30 11:00", 200)]), 100);
    assert_eq!(owed(&difference, "2026-11-30 10:11", &[("2026-11-30 10:00", 900)]), 0, "and nothing back");
}

#[test]
fn a_payment_by_a_clock_that_is_ahead_lets_out() {
    for late in ["difference", "anew"] {
        let tariff = tariff(&format!("[grace]\npayment = 10\nlate = \"{late}\"\n{HALF_HOURS}"));
        let owed = |exit: &str, paid: &str| {
            let paid = [Paid { at: at(&tariff, paid), amount: 100 }];
            due(&tariff, &stay(&tariff, "2026-11-30 09:00", exit), &paid).map(|bill| bill.amount)
        };
        assert_eq!(owed("2026-11-30 10:00", "2026-11-30 10:01"), Ok(0), "paid a minute after it has left");
        // Paid before it came: the time to leave is from the entry on.
        assert_eq!(owed("2026-11-30 09:10", "2026-11-30 08:00"), Ok(0));
        let wanted = if late == "difference" { 100 } else { 200 };
        assert_eq!(owed("2026-11-30 09:40", "2026-11-30 08:00"), Ok(wanted), "anew from the entry on");
        assert_eq!(owed("2026-11-30 08:59", "2026-11-30 10:00"), Err(FeeError::Backwards));
        assert_eq!(owed("2026-11-30 10:00", "1999-11-30 10:00"), Err(FeeError::NoSuchTime));
    }
}

#[test]
fn a_lost_ticket_that_is_paid_is_seen_from_the_first_payment() {
    let rules = |late: &str| {
        tariff(&format!(
            "[grace]\npayment = 10\nlate = \"{late}\"\n{HALF_HOURS}[lost]\nsince = \"06:00\"\nsurcharge = 300\n"
        ))
    };
    let owed = |tariff: &Tariff, exit: &str, paid: &[(&str, Minor)]| {
        let exit = at(tariff, exit);
        let paid: Vec<Paid> =
            paid.iter().map(|(when, amount)| Paid { at: at(tariff, when), amount: *amount }).collect();
        due(tariff, &Stay { entry: Entry::Lost, ..Stay::new(exit, exit) }, &paid).unwrap().amount
    };
    let (difference, anew) = (rules("difference"), rules("anew"));
    let paid = ("2026-11-30 05:30", 4_700 + 300);
    for tariff in [&difference, &anew] {
        assert_eq!(owed(tariff, "2026-11-30 05:30", &[]), 4_700 + 300);
        assert_eq!(owed(tariff, "2026-11-30 05:40", &[paid]), 0);
    }
    // Not from this morning on, which would be less than it has paid.
    assert_eq!(owed(&difference, "2026-11-30 06:31", &[paid]), 300);
    assert_eq!(owed(&difference, "2026-11-30 07:31", &[paid, ("2026-11-30 06:31", 300)]), 200);
    assert_eq!(owed(&anew, "2026-11-30 06:31", &[paid]), 300, "no surcharge");
}

#[test]
fn what_is_owed_has_its_part_of_the_tax() {
    for included in [true, false] {
        let head = format!("tax = {{ rate = \"25%\", included = {included} }}\n[grace]\npayment = 5\n");
        let tariff = tariff(&format!("{head}{HALF_HOURS}"));
        let first = if included { 200 } else { 250 };
        let paid = [Paid { at: at(&tariff, "2026-11-30 10:00"), amount: first }];
        let bill = due(&tariff, &stay(&tariff, "2026-11-30 09:00", "2026-11-30 10:20"), &paid).unwrap();
        assert_eq!((bill.amount, bill.tax), if included { (100, 20) } else { (125, 25) });
    }
}
