//! Rows of published tariffs. Where the comment says "published", the amount stands in the source; the others were worked out
//! by hand from the published rule. docs/tariff.md names the rows that a file can't express.

use kioskd::parking::tariff::{Entry, Stay, fee};

use super::{amount, at, minutes, published};

#[test]
fn singapore() {
    let hdb = published("hdb-2022");
    // Published: instead of 7.20.
    assert_eq!(amount(&hdb, "2026-11-30 00:00", "2026-11-30 06:00"), 500);
    assert_eq!(amount(&hdb, "2026-11-30 10:00", "2026-11-30 10:15"), 0);
    assert_eq!(amount(&hdb, "2026-11-30 10:00", "2026-11-30 10:16"), 32, "the grace is lost");
    assert_eq!(amount(&hdb, "2026-11-30 10:00", "2026-11-30 11:01"), 122);
    assert_eq!(amount(&hdb, "2026-11-30 22:15", "2026-12-01 07:15"), 30 + 500 + 30, "split at both ends of the night");
}

#[test]
fn beijing() {
    let beijing = published("beijing-class-1");
    assert_eq!(amount(&beijing, "2026-11-30 08:00", "2026-11-30 09:14"), 1_000);
    assert_eq!(amount(&beijing, "2026-11-30 08:00", "2026-11-30 09:15"), 1_375);
    assert_eq!(amount(&beijing, "2026-11-30 08:00", "2026-11-30 08:14"), 0);
    assert_eq!(amount(&beijing, "2026-11-30 19:00", "2026-12-01 07:00"), 600);
}

#[test]
fn taipei() {
    let wanban = published("taipei-wanban-2002");
    assert_eq!(amount(&wanban, "2026-11-30 17:00", "2026-11-30 18:00"), 2_000);
    assert_eq!(amount(&wanban, "2026-11-30 17:15", "2026-11-30 18:15"), 2_000, "the step from 17:45 on is by day");
    assert_eq!(amount(&wanban, "2026-11-30 17:15", "2026-11-30 18:16"), 2_500);
    assert_eq!(amount(&wanban, "2026-11-30 07:45", "2026-11-30 08:15"), 500);
}

#[test]
fn hong_kong() {
    let mall = published("hong-kong-mall");
    assert_eq!(amount(&mall, "2026-11-30 09:00", "2026-11-30 20:00"), 13_500);
    assert_eq!(amount(&mall, "2026-11-30 09:00", "2026-11-30 11:00"), 5_400);
    assert_eq!(amount(&mall, "2026-11-30 09:00", "2026-12-01 00:00"), 20_000, "135 and 81, and the cap of the day");
    assert_eq!(amount(&mall, "2026-11-28 09:00", "2026-11-28 20:00"), 14_500);
    assert_eq!(amount(&mall, "2026-11-30 20:00", "2026-12-01 01:00"), 5 * 2_700, "midnight begins a block anew");
}

#[test]
fn singen() {
    let singen = published("singen-stadthalle");
    assert_eq!(amount(&singen, "2026-11-30 10:00", "2026-11-30 10:01"), 100);
    assert_eq!(amount(&singen, "2026-11-30 10:00", "2026-11-30 10:40"), 100);
    assert_eq!(amount(&singen, "2026-11-30 10:00", "2026-11-30 10:41"), 150);
    assert_eq!(amount(&singen, "2026-11-30 18:00", "2026-12-01 02:00"), 400);
    assert_eq!(amount(&singen, "2026-11-30 06:00", "2026-11-30 18:00"), 1_000);
    assert_eq!(amount(&singen, "2026-12-01 01:59", "2026-12-01 02:00"), 400);
}

#[test]
fn zweibruecken() {
    let zw = published("zweibruecken");
    assert_eq!(amount(&zw, "2026-11-30 07:00", "2026-11-30 13:00"), 300);
    assert_eq!(amount(&zw, "2026-11-30 07:00", "2026-11-30 14:00"), 400);
    assert_eq!(amount(&zw, "2026-11-30 07:00", "2026-12-01 07:00"), 900);
    let lost = Stay { entry: Entry::Lost, ..Stay::new(at(&zw, "2026-11-30 08:00"), at(&zw, "2026-11-30 14:00")) };
    assert_eq!(fee(&zw, &lost).unwrap().amount, 400, "from the opening on");
}

#[test]
fn stoke() {
    let stoke = published("stoke-on-trent");
    // Published: 1.40, 2.80, 4.20 and 4.40.
    for (until, pence) in [("12:00", 140), ("13:00", 280), ("14:00", 420), ("15:00", 440)] {
        assert_eq!(amount(&stoke, "2026-11-30 11:00", &format!("2026-11-30 {until}")), pence);
    }
    // Published: all day by the time of the entry.
    for (entry, pence) in [("07:29", 400), ("07:30", 600), ("09:29", 600), ("09:30", 500)] {
        assert_eq!(amount(&stoke, &format!("2026-11-30 {entry}"), "2026-11-30 14:30"), pence, "{entry}");
    }
    assert_eq!(amount(&stoke, "2026-11-30 09:30", "2026-11-30 18:00"), 500);
    // Published: the evening from 16, 17, 18 and 19 o'clock on.
    for (entry, pence) in [("16:00", 450), ("17:00", 400), ("18:00", 350), ("19:00", 300)] {
        assert_eq!(amount(&stoke, &format!("2026-11-30 {entry}"), "2026-11-30 23:59"), pence, "{entry}");
    }
    assert_eq!(amount(&stoke, "2026-11-29 08:00", "2026-11-29 20:00"), 300);
}

#[test]
fn grenoble() {
    let street = published("grenoble-street");
    // Published.
    let entry = at(&street, "2026-11-30 09:00");
    for (stay, cents) in [(15, 50), (60, 200), (120, 400), (240, 650), (480, 1_050)] {
        assert_eq!(fee(&street, &Stay::new(entry, minutes(entry, stay))).unwrap().amount, cents, "{stay}");
    }
}

#[test]
fn santa_rosa() {
    let third = published("santa-rosa-3rd");
    assert_eq!(amount(&third, "2026-11-30 09:00", "2026-11-30 10:00"), 0);
    assert_eq!(amount(&third, "2026-11-30 09:00", "2026-11-30 11:00"), 100);
    assert_eq!(amount(&third, "2026-11-30 09:00", "2026-11-30 23:00"), 1_000);
    assert_eq!(amount(&third, "2026-12-01 00:00", "2026-12-01 06:00"), 0, "an hour, and the night");
}

#[test]
fn reading() {
    let reading = published("reading-barta");
    assert_eq!(amount(&reading, "2026-11-30 09:00", "2026-11-30 10:00"), 200);
    assert_eq!(amount(&reading, "2026-11-30 09:00", "2026-11-30 10:01"), 300);
    assert_eq!(amount(&reading, "2026-11-30 09:00", "2026-11-30 23:59"), 1_400);
    let lost =
        Stay { entry: Entry::Lost, ..Stay::new(at(&reading, "2026-11-30 08:00"), at(&reading, "2026-11-30 09:00")) };
    assert_eq!(fee(&reading, &lost).unwrap().amount, 1_400);
}

#[test]
fn the_auditor() {
    let auditor = published("pt-auditor-2009");
    let out = |exit: &str| amount(&auditor, "2009-03-10 20:45", exit);
    // Published: in at 20:45, the maximum at 23:46, another two dollars at 00:01.
    assert_eq!(out("2009-03-10 23:45"), 1_800);
    assert_eq!(out("2009-03-10 23:46"), 2_000);
    assert_eq!(out("2009-03-11 00:00"), 2_000);
    assert_eq!(out("2009-03-11 00:01"), 2_200);
}

#[test]
fn a_teaching_exercise() {
    // Published: 12.28 and 22.50.
    assert_eq!(amount(&published("exercise-short-stay"), "2017-09-07 16:50", "2017-09-09 19:15"), 1_228);
    assert_eq!(amount(&published("exercise-long-stay"), "2017-09-07 07:50", "2017-09-09 05:20"), 2_250);
}

#[test]
fn two_graces() {
    // Published: 63 minutes are 2.50, and with six minutes of grace at the end 2.00.
    let with = published("two-graces");
    assert_eq!(amount(&with, "2026-11-30 09:00", "2026-11-30 10:03"), 200);
    let without = kioskd::parking::tariff::Tariff { grace: Default::default(), ..with };
    assert_eq!(amount(&without, "2026-11-30 09:00", "2026-11-30 10:03"), 250);
}

#[test]
fn parkcalc() {
    let short = published("parkcalc-short-term");
    let entry = at(&short, "2026-11-30 09:00");
    // Published.
    for (stay, cents) in [(12 * 60, 2_400), (24 * 60 + 30, 2_500), (25 * 60, 2_600)] {
        assert_eq!(fee(&short, &Stay::new(entry, minutes(entry, stay))).unwrap().amount, cents, "{stay}");
    }
}

#[test]
fn arndale() {
    let arndale = published("arndale-sample");
    let entry = at(&arndale, "2026-11-30 09:00");
    for (hours, pence) in [(1, 370), (2, 670), (3, 920), (4, 1_220), (5, 1_520), (24, 2_050), (25, 2_420)] {
        assert_eq!(fee(&arndale, &Stay::new(entry, minutes(entry, hours * 60))).unwrap().amount, pence, "{hours}");
    }
}
