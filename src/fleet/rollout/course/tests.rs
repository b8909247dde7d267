use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const MINUTE: u64 = 60_000;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn kiosks(from: usize, to: usize) -> Vec<Name> {
    (from..to).map(|n| name(&format!("K{n:03}"))).collect()
}

fn rules() -> Rules {
    let minutes = |n: u64| Duration::from_millis(n * MINUTE);
    Rules { enough: 90, timeout: minutes(10), soak: minutes(5), sales_drop: None, pause: false }
}

/// Two waves, of one machine and of ten.
fn course(rules: Rules) -> Course {
    Course::new(rules, vec![kiosks(0, 1), kiosks(1, 11)])
}

/// Carries out whatever is due, and answers with whom was asked.
fn carry_out(course: &mut Course, now: u64) -> Vec<Name> {
    let mut asked = Vec::new();
    loop {
        let Decision { entries, send } = course.decide(Wall(now), true, 4);
        if entries.is_empty() && send.is_empty() {
            return asked;
        }
        entries.iter().for_each(|entry| course.apply(entry));
        for kiosk in send {
            course.apply(&Entry::Sent { kiosk: kiosk.clone(), ctr: 1, exp: 1, at: Wall(now) });
            asked.push(kiosk);
        }
    }
}

fn says(course: &mut Course, kiosk: &Name, stage: Stage, now: u64) -> bool {
    let entry = course.heard(kiosk, stage, Some("because"), Wall(now));
    entry.iter().for_each(|entry| course.apply(entry));
    entry.is_some()
}

fn all_say(course: &mut Course, kiosks: &[Name], stage: Stage, now: u64) {
    for kiosk in kiosks {
        assert!(says(course, kiosk, stage, now), "{kiosk} is asked and has not ended");
    }
}

/// In its soak after the first wave, with the second one's machines still untouched.
fn soaking(rules: Rules) -> Course {
    let mut course = course(rules);
    let asked = carry_out(&mut course, 0);
    all_say(&mut course, &asked, Stage::Successful, 1);
    carry_out(&mut course, 1);
    assert_eq!(course.phase(), Phase::Soaking { wave: 0, since: Wall(1) });
    course
}

#[test]
fn waves_follow_each_other_after_their_soak() {
    let mut course = soaking(rules());
    assert_eq!(carry_out(&mut course, 5 * MINUTE), []);
    let asked = carry_out(&mut course, 5 * MINUTE + 1);
    assert_eq!(asked, kiosks(1, 11));
    assert!(!says(&mut course, &asked[0], Stage::Accepted, 6 * MINUTE));
    all_say(&mut course, &asked[1..], Stage::Successful, 6 * MINUTE);
    carry_out(&mut course, 6 * MINUTE);
    assert_eq!(course.phase(), Phase::Running { wave: 1 }, "one has not said how it ended");
    all_say(&mut course, &asked[..1], Stage::Failed, 7 * MINUTE);
    carry_out(&mut course, 7 * MINUTE);
    assert_eq!(course.count(1), (10, 10, 9));
    carry_out(&mut course, 12 * MINUTE);
    assert_eq!(course.phase(), Phase::Completed);
    let failed = End::Failed { reason: "because".into() };
    assert_eq!(course.unsuccessful().collect::<Vec<_>>(), [(&asked[0], Some(&failed))]);
}

#[test]
fn silence_is_a_failure_and_what_comes_later_changes_nothing() {
    let mut course = course(rules());
    let asked = carry_out(&mut course, 0);
    assert_eq!(asked, kiosks(0, 1));
    says(&mut course, &asked[0], Stage::Executing, 1);
    // Nobody has looked at the clock meanwhile.
    assert!(!says(&mut course, &asked[0], Stage::Successful, 10 * MINUTE));
    assert_eq!(carry_out(&mut course, 10 * MINUTE), []);
    assert_eq!(course.phase(), Phase::Halted { wave: 0 });
    assert_eq!(course.halt(), Some(&Halt::NotEnough { machines: 1, successful: 0, needed: 1 }));
    assert_eq!(course.unsuccessful().collect::<Vec<_>>(), [(&asked[0], Some(&End::Silent))]);
    assert_eq!(carry_out(&mut course, 10_000 * MINUTE), []);
    assert_eq!(course.changed(), asked.into_iter().collect(), "it may have been done");
}

#[test]
fn it_halts_as_soon_as_enough_is_out_of_reach_and_asks_nobody_more() {
    let mut course = Course::new(rules(), vec![kiosks(0, 100)]);
    let Decision { entries, send } = course.decide(Wall(0), true, 20);
    assert_eq!((entries.as_slice(), send.len()), ([Entry::WaveBegun { wave: 0, at: Wall(0) }].as_slice(), 0));
    course.apply(&entries[0]);
    let Decision { send, .. } = course.decide(Wall(0), true, 20);
    assert_eq!(send, kiosks(0, 20));
    for kiosk in &send {
        course.apply(&Entry::Sent { kiosk: kiosk.clone(), ctr: 1, exp: 1, at: Wall(0) });
    }
    all_say(&mut course, &send[..10], Stage::Rejected, 1);
    assert_eq!(course.decide(Wall(1), true, 1).send.len(), 1, "ten of a hundred may fail");
    all_say(&mut course, &send[10..11], Stage::Rejected, 1);
    assert_eq!(carry_out(&mut course, 1), []);
    assert_eq!(course.phase(), Phase::Halted { wave: 0 });
    assert_eq!(course.changed(), send[11..].iter().cloned().collect());
}

#[test]
fn a_wave_begins_only_in_its_window_and_goes_on_outside_of_it() {
    let mut course = course(rules());
    assert_eq!(course.decide(Wall(0), false, 4), Decision::default());
    course.apply(&Entry::WaveBegun { wave: 0, at: Wall(1) });
    assert_eq!(course.decide(Wall(2), false, 4).send, kiosks(0, 1));
}

#[test]
fn after_a_wave_it_waits_for_a_person_where_the_plan_says_so() {
    let mut course = soaking(Rules { pause: true, ..rules() });
    assert_eq!(course.proceed(Wall(2)), None, "the soak is not over");
    carry_out(&mut course, 5 * MINUTE + 1);
    assert_eq!(course.phase(), Phase::Paused { wave: 0 });
    assert_eq!(carry_out(&mut course, 1_000 * MINUTE), []);
    let on = course.proceed(Wall(1_000 * MINUTE)).unwrap();
    course.apply(&on);
    let asked = carry_out(&mut course, 1_000 * MINUTE);
    all_say(&mut course, &asked, Stage::Successful, 1_000 * MINUTE);
    carry_out(&mut course, 2_000 * MINUTE);
    carry_out(&mut course, 2_005 * MINUTE);
    assert_eq!(course.phase(), Phase::Completed, "nothing comes after the last");
    assert_eq!(course.proceed(Wall(2_005 * MINUTE)), None);
}

#[test]
fn machines_that_sell_less_than_the_others_halt_it() {
    let drop = || Rules { sales_drop: Some(30), ..rules() };
    let sell = |course: &mut Course, own: usize, others: usize| {
        (0..own).for_each(|_| course.sold(&name("K000")));
        (0..others).for_each(|nth| course.sold(&name(&format!("K{:03}", 1 + nth % 10))));
    };
    let end = |own, others| {
        let mut course = soaking(drop());
        assert_eq!(course.decide(Wall(2), true, 4), Decision::default());
        sell(&mut course, own, others);
        course.decide(Wall(5 * MINUTE + 2), true, 4).entries
    };
    let good = [Entry::WaveGood { wave: 0, at: Wall(5 * MINUTE + 2) }];
    assert_eq!(end(14, 200), good, "20 are expected, of which 14 may be left");
    let why = Halt::SalesDrop { sold: 13, expected: 20 };
    assert_eq!(end(13, 200), [Entry::Halted { wave: 0, why, at: Wall(5 * MINUTE + 2) }]);
    assert_eq!(end(0, 99), [], "too few to tell: it goes on listening");
    // A person may end that.
    let mut course = soaking(drop());
    assert!(course.decide(Wall(2), true, 4).entries.is_empty());
    assert_eq!(course.proceed(Wall(2)), None);
    assert!(course.proceed(Wall(9 * MINUTE)).is_some());
    // Nobody was listening: what was sold meanwhile is not known, and the soak begins anew.
    let mut course = super::tests::course(drop());
    course.apply(&Entry::WaveBegun { wave: 0, at: Wall(0) });
    course.apply(&Entry::WaveEnded { wave: 0, at: Wall(1) });
    assert_eq!(course.decide(Wall(60 * MINUTE), true, 4), Decision::default());
    assert_eq!(course.proceed(Wall(65 * MINUTE - 1)), None);
    assert!(course.proceed(Wall(65 * MINUTE)).is_some());
}

#[test]
fn the_waves_before_are_compared_with_too() {
    let rules = Rules { sales_drop: Some(30), soak: Duration::ZERO, ..rules() };
    let mut course = Course::new(rules, vec![kiosks(0, 2), kiosks(2, 4)]);
    for entry in [Entry::WaveBegun { wave: 1, at: Wall(0) }, Entry::WaveEnded { wave: 1, at: Wall(1) }] {
        course.apply(&entry);
    }
    (0..30).for_each(|_| course.sold(&name("K001")));
    (0..10).for_each(|_| course.sold(&name("K002")));
    let why = Halt::SalesDrop { sold: 10, expected: 30 };
    assert_eq!(course.decide(Wall(1), true, 4).entries, [Entry::Halted { wave: 1, why, at: Wall(1) }]);
}

#[test]
fn an_entry_is_read_as_it_was_written() {
    let kiosk = name("K1");
    let entries = [
        Entry::Sent { kiosk: kiosk.clone(), ctr: 7, exp: 8, at: Wall(9) },
        Entry::Ended { kiosk: kiosk.clone(), end: End::Silent, at: Wall(9) },
        Entry::Ended { kiosk, end: End::Failed { reason: "no".into() }, at: Wall(9) },
        Entry::Halted { wave: 1, why: Halt::SalesDrop { sold: 1, expected: 2 }, at: Wall(9) },
    ];
    for entry in entries {
        let text = serde_json::to_string(&entry).unwrap();
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry, "{text}");
    }
}

#[derive(Debug, Clone)]
enum Happens {
    /// Any machine says anything, be it for the second time, or without having been asked.
    Says {
        kiosk: usize,
        stage: Stage,
    },
    Passes {
        minutes: u64,
    },
    /// The program is killed, and another takes up what is on disk.
    Restart,
    Sells {
        kiosk: usize,
    },
    Continue,
}

fn happens() -> impl Strategy<Value = Happens> {
    let stage = prop_oneof![
        1 => Just(Stage::Accepted),
        1 => Just(Stage::Executing),
        8 => Just(Stage::Successful),
        1 => Just(Stage::Failed),
        1 => Just(Stage::Rejected),
    ];
    prop_oneof![
        20 => (0..14_usize, stage).prop_map(|(kiosk, stage)| Happens::Says { kiosk, stage }),
        6 => (0..8_u64).prop_map(|minutes| Happens::Passes { minutes }),
        2 => Just(Happens::Restart),
        2 => (0..14_usize).prop_map(|kiosk| Happens::Sells { kiosk }),
        1 => Just(Happens::Continue),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever is said, lost, said twice or said out of order, and however often the program is killed.
    #[test]
    fn no_wave_begins_without_enough_that_said_so(
        what in prop::collection::vec(happens(), 0..160),
        enough in 50..101_u8,
        pause: bool,
        sales_drop in prop::option::of(1..100_u8),
    ) {
        let rules = Rules { enough, pause, sales_drop, ..rules() };
        let waves = vec![kiosks(0, 2), kiosks(2, 6), kiosks(6, 14)];
        let fresh = || Course::new(rules.clone(), waves.clone());
        let (mut course, mut disk, mut now) = (fresh(), Vec::<Entry>::new(), 1_000);
        // What the machines themselves know: when each was asked first, and whether it said in time that it was successful.
        let mut asked = BTreeMap::<Name, u64>::new();
        let mut said = BTreeMap::<Name, Stage>::new();
        let mut ended_at = BTreeMap::<usize, u64>::new();
        for what in what {
            match what {
                Happens::Says { kiosk, stage } => {
                    let kiosk = name(&format!("K{kiosk:03}"));
                    if let Some(entry) = course.heard(&kiosk, stage, None, Wall(now)) {
                        course.apply(&entry);
                        disk.push(entry);
                    }
                    if stage.is_final() && asked.get(&kiosk).is_some_and(|at| now < at + 10 * MINUTE) {
                        said.entry(kiosk).or_insert(stage);
                    }
                }
                Happens::Passes { minutes } => now += minutes * MINUTE,
                Happens::Restart => {
                    let stood = course.phase();
                    course = fresh();
                    disk.iter().for_each(|entry| course.apply(entry));
                    prop_assert_eq!(course.phase(), stood);
                }
                Happens::Sells { kiosk } => course.sold(&name(&format!("K{kiosk:03}"))),
                Happens::Continue => {
                    if let Some(entry) = course.proceed(Wall(now)) {
                        course.apply(&entry);
                        disk.push(entry);
                    }
                }
            }
            loop {
                let halted = course.halt().is_some();
                let Decision { entries, send } = course.decide(Wall(now), true, 3);
                if entries.is_empty() && send.is_empty() {
                    break;
                }
                prop_assert!(send.is_empty() || !halted, "nothing is sent after a halt");
                for entry in entries {
                    match &entry {
                        Entry::WaveEnded { wave, .. } => drop(ended_at.insert(*wave, now)),
                        Entry::WaveBegun { wave, .. } if *wave > 0 => {
                            let before = &waves[wave - 1];
                            let good = before.iter().filter(|kiosk| said.get(*kiosk) == Some(&Stage::Successful));
                            prop_assert!(good.count() * 100 >= before.len() * usize::from(enough));
                            prop_assert!(before.iter().all(|kiosk| asked.contains_key(kiosk)));
                            prop_assert!(now >= ended_at[&(wave - 1)] + 5 * MINUTE, "the soak");
                        }
                        _ => {}
                    }
                    course.apply(&entry);
                    disk.push(entry);
                }
                for kiosk in send {
                    let Phase::Running { wave } = course.phase() else { panic!("{:?}", course.phase()) };
                    prop_assert!(waves[wave].contains(&kiosk));
                    prop_assert!(asked.insert(kiosk.clone(), now).is_none(), "each is asked anew once");
                    let entry = Entry::Sent { kiosk, ctr: 1, exp: 1, at: Wall(now) };
                    course.apply(&entry);
                    disk.push(entry);
                }
            }
        }
    }
}
