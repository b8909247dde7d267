//! Makes a disagreement smaller for as long as it stays one.

use std::time::{Duration, Instant};

use super::{Case, Visit};

/// Of the stay, everything that may be simpler.
fn simpler(visit: &Visit) -> Vec<Visit> {
    let mut all = Vec::new();
    let mut with = |change: &dyn Fn(&mut Visit)| {
        let mut other = visit.clone();
        change(&mut other);
        all.push(other);
    };
    with(&|visit| visit.class = None);
    with(&|visit| visit.free_used = 0);
    with(&|visit| visit.season = None);
    with(&|visit| visit.before = None);
    for number in 0..visit.validations.len() {
        with(&|visit| _ = visit.validations.remove(number));
    }
    for number in 0..visit.paid.len() {
        with(&|visit| _ = visit.paid.remove(number));
        with(&|visit| visit.paid[number].0 -= visit.paid[number].0 % 60_000);
        with(&|visit| visit.paid[number].1 = 0);
    }
    with(&|visit| visit.exit -= visit.exit % 60_000);
    if let Some(entry) = visit.entry {
        with(&|visit| visit.entry = Some(entry - entry % 60_000));
        let length = (visit.exit - entry) / 60_000;
        for part in [length / 2, length / 4, length / 8, 1440, 60, 1] {
            if 0 < part && part <= length {
                with(&|visit| visit.exit -= part * 60_000);
                with(&|visit| visit.entry = Some(entry + part * 60_000));
            }
        }
    }
    all
}

/// Of the tariff: without one part, or without one line or one step of a part.
fn shorter(parts: &[String]) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for number in (0..parts.len()).rev() {
        let mut without = parts.to_vec();
        let part = without.remove(number);
        all.push(without);
        let mut with = |other: String| {
            let mut parts = parts.to_vec();
            parts[number] = other;
            all.push(parts);
        };
        let lines = part.lines().collect::<Vec<_>>();
        for gone in 1..lines.len() {
            // `from` and `first` go together with what is behind them.
            let pair = ["from", "first"].iter().any(|key| lines[gone].starts_with(key));
            let left = lines.iter().enumerate().filter(|(line, _)| *line != gone && !(pair && *line == gone + 1));
            with(left.map(|(_, line)| format!("{line}\n")).collect());
        }
        if let Some((before, after)) = part.split_once(" }, {") {
            let (kept, _) = before.rsplit_once("{ ").unwrap();
            with(format!("{kept}{{{after}"));
            let end = part.rfind(", {").unwrap();
            with(format!("{}]\n", &part[..end]));
        }
    }
    all
}

/// A stay of years takes long to ask about; whoever looks at it can wait so long.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn smaller(mut case: Case) -> Case {
    let wrong = case.wrong();
    let begun = Instant::now();
    let stays_wrong = |case: &Case| case.wrong() == wrong;
    loop {
        let stays = simpler(&case.visit).into_iter().map(|visit| (case.parts.clone(), visit));
        let tariffs = shorter(&case.parts).into_iter().map(|parts| (parts, case.visit.clone()));
        let candidates = stays.chain(tariffs).filter(|(parts, visit)| *parts != case.parts || *visit != case.visit);
        let found = candidates
            .map(|(parts, visit)| Case { parts, visit, question: case.question })
            .find(|candidate| stays_wrong(candidate));
        match found {
            Some(found) => case = found,
            None => return case,
        }
        if begun.elapsed() > PATIENCE {
            return case;
        }
    }
}
