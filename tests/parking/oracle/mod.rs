//! The product's fees against a reference that another author wrote from `docs/tariff.md` without having seen the product's: it
//! lays a stay out minute by minute. Tariffs and stays are made by chance.

mod make;
mod reference;
mod shrink;
mod site;
mod stays;
mod terms;
mod walk;
mod when;

use std::fmt::Write;

use kioskd::parking::tariff::{
    Bill, Entry, FeeError, Label, Line, Paid, Reason, Stay, Tariff, Visit as Before, due, fee, parse,
};
use kioskd::vocabulary::Wall;
use kioskd_tests::chance::{Chance, seed};
use make::{Maker, ZONES};
use reference::{Answer, Reference, Visit};
use stays::Stays;

/// One question to both.
#[derive(Clone, Copy, PartialEq)]
enum Question {
    Fee,
    Due,
}

/// Parts of an explanation; a long stay has thousands.
const SHOWN: usize = 40;

fn wall(millisecond: i64) -> Wall {
    Wall(u64::try_from(millisecond).unwrap())
}

fn ask(tariff: &Tariff, visit: &Visit, question: Question) -> Result<Bill, FeeError> {
    let label = |text: &String| Label::parse(text).unwrap();
    let mut stay = Stay::new(wall(0), wall(visit.exit));
    stay.entry = visit.entry.map_or(Entry::Lost, |entry| Entry::At(wall(entry)));
    stay.class = visit.class.as_ref().map(label);
    stay.free_used = visit.free_used;
    stay.season = visit.season.as_ref().map(label);
    stay.visit = visit.before.map(|(entry, exit, paid)| Before { entry: wall(entry), exit: wall(exit), paid });
    stay.validations = visit.validations.iter().map(label).collect();
    let paid = visit.paid.iter().map(|&(at, amount)| Paid { at: wall(at), amount }).collect::<Vec<_>>();
    match question {
        Question::Fee => fee(tariff, &stay),
        Question::Due => due(tariff, &stay, &paid),
    }
}

/// What is wrong with the product's answer, if the reference is right.
fn wrong(reference: &Option<Answer>, product: &Result<Bill, FeeError>) -> Option<&'static str> {
    let (answer, bill) = match (reference, product) {
        (None, Err(_)) => return None,
        (Some(answer), Ok(bill)) => (answer, bill),
        (None, Ok(_)) => return Some("the reference refuses"),
        (Some(_), Err(_)) => return Some("the product refuses"),
    };
    if bill.lines.iter().map(|line| line.amount).sum::<i64>() != bill.amount {
        return Some("the lines are not the amount");
    }
    if !bill.lines.iter().all(says_what_it_is) {
        return Some("a line says something else than it is");
    }
    let time = bill.lines.iter().filter(|line| line.reason.is_time()).collect::<Vec<_>>();
    if time.windows(2).any(|pair| pair[0].to != pair[1].from) {
        return Some("the lines of time have a gap");
    }
    if let Some((from, to)) = answer.span {
        let (from, to) = (wall(from * 60_000), wall(to * 60_000));
        let (first, last) = (time.first().map_or(to, |line| line.from), time.last().map_or(from, |line| line.to));
        if (first, last) != (from, to) {
            return Some("the lines of time are not the stay");
        }
    }
    if bill.amount != answer.amount {
        return Some("the amount differs");
    }
    (bill.tax != answer.tax).then_some("the tax differs")
}

/// Whether a line says of itself what it is.
fn says_what_it_is(line: &Line) -> bool {
    let minutes = i64::try_from((line.to.0 - line.from.0) / 60_000).unwrap();
    match line.reason {
        Reason::Free { minutes: told } | Reason::Minutes { minutes: told, .. } => told == minutes,
        Reason::Steps { count, minutes: each, price, .. } => minutes <= count * each && line.amount == count * price,
        _ => true,
    }
}

/// A disagreement about a tariff and a stay.
struct Case {
    parts: Vec<String>,
    visit: Visit,
    question: Question,
}

impl Case {
    /// `None`: they agree, or there is no such tariff.
    fn wrong(&self) -> Option<&'static str> {
        let text = self.parts.concat();
        let tariff = parse(text.as_bytes()).ok()?;
        let reference = Reference::new(&text);
        wrong(&self.answer(&reference), &ask(&tariff, &self.visit, self.question))
    }

    fn answer(&self, reference: &Reference) -> Option<Answer> {
        match self.question {
            Question::Fee => reference.fee(&self.visit),
            Question::Due => reference.due(&self.visit),
        }
    }

    /// Everything that somebody needs who decides which of them is wrong.
    fn told(&self) -> String {
        let text = self.parts.concat();
        let (tariff, reference) = (parse(text.as_bytes()).unwrap(), Reference::new(&text));
        let shown = |millisecond: i64| {
            let at = wall(millisecond).timestamp().unwrap();
            format!("{at} ({})", at.to_zoned(tariff.zone.clone()).strftime("%a %F %T %:z"))
        };
        let minute = |minute: i64| wall(minute * 60_000).timestamp().unwrap();
        let (visit, mut told) = (&self.visit, String::new());
        let what = if self.question == Question::Fee { "fee" } else { "due" };
        writeln!(told, "{what}: {}\n\n{text}", self.wrong().unwrap_or("they agree")).unwrap();
        writeln!(told, "entry {}", visit.entry.map_or("lost".to_owned(), shown)).unwrap();
        writeln!(told, "exit  {}", shown(visit.exit)).unwrap();
        let Visit { class, free_used, validations, paid, season, before, .. } = visit;
        writeln!(told, "class {class:?}, free minutes used {free_used}, validations {validations:?}").unwrap();
        writeln!(told, "season pass {season:?}").unwrap();
        if let Some((entry, exit, paid)) = before {
            writeln!(told, "visit before from {} to {}, paid {paid}", shown(*entry), shown(*exit)).unwrap();
        }
        if self.question == Question::Due {
            for &(at, amount) in paid {
                writeln!(told, "paid  {} {amount}", shown(at)).unwrap();
            }
        }
        match self.answer(&reference) {
            None => writeln!(told, "\nreference: refused").unwrap(),
            Some(Answer { amount, tax, notes, .. }) => {
                writeln!(told, "\nreference: {amount}, tax {tax}").unwrap();
                for note in notes.iter().take(SHOWN) {
                    let (from, until) = (minute(note.from), minute(note.until));
                    writeln!(told, "  {from} {until} {:>8} {}", note.amount, note.what).unwrap();
                }
            }
        }
        match ask(&tariff, visit, self.question) {
            Err(error) => writeln!(told, "\nproduct: {error}").unwrap(),
            Ok(bill) => {
                writeln!(told, "\nproduct: {}, tax {}", bill.amount, bill.tax).unwrap();
                for line in bill.lines.iter().take(SHOWN) {
                    let (from, to) = (line.from.timestamp().unwrap(), line.to.timestamp().unwrap());
                    writeln!(told, "  {from} {to} {:>8} {:?}", line.amount, line.reason).unwrap();
                }
            }
        }
        told
    }
}

/// What they disagree about in a tariff's stays: the first of them. Counts the questions, and those that have no price.
fn disagreement(parts: Vec<String>, mut chance: Chance, stays: u64, counts: &mut (u64, u64)) -> Option<Case> {
    let text = parts.concat();
    let tariff =
        parse(text.as_bytes()).unwrap_or_else(|problems| panic!("the page allows this tariff: {problems:?}\n{text}"));
    let reference = Reference::new(&text);
    let edges = Stays::new(&reference);
    for _ in 0..stays {
        let visit = edges.make(&reference, &mut chance);
        for question in [Question::Fee, Question::Due] {
            if question == Question::Due && visit.paid.is_empty() {
                continue;
            }
            let case = Case { parts: Vec::new(), visit: visit.clone(), question };
            let answer = case.answer(&reference);
            counts.0 += 1;
            counts.1 += u64::from(answer.is_none());
            if wrong(&answer, &ask(&tariff, &visit, question)).is_some() {
                return Some(Case { parts, ..case });
            }
        }
    }
    None
}

/// So many tariffs with so many stays each. A tariff's chance is its own, so that one can be had again without the others.
fn compare(first: u64, tariffs: u64, stays: u64) {
    let mut counts = (0, 0);
    let mut told = Vec::new();
    for own in (0..tariffs).map(|number| first.wrapping_add(number)) {
        let mut chance = Chance(own);
        let zone = chance.pick(&ZONES);
        let mut maker = Maker(chance);
        let parts = maker.tariff(zone);
        if let Some(case) = disagreement(parts, maker.0, stays, &mut counts) {
            told.push(format!("KIOSKD_SEED={own}: {}", shrink::smaller(case).told()));
            if told.len() == 3 {
                break;
            }
        }
    }
    let (questions, refused) = counts;
    println!("{tariffs} tariffs, {questions} questions, of which {refused} have no price");
    assert!(told.is_empty(), "{}", told.join("\n"));
    assert!(refused * 20 < questions, "most stays have a price");
}

fn long() -> bool {
    std::env::var_os("KIOSKD_LONG").is_some()
}

#[test]
fn another_author_s_reference_asks_for_the_same() {
    let seed = seed("the oracle of fees", || 1);
    let (tariffs, stays) = if long() { (1000, 1000) } else { (300, 150) };
    compare(seed, tariffs, stays);
}

#[test]
fn it_does_for_the_published_tariffs() {
    let stays = if long() { 10_000 } else { 300 };
    for folder in super::FOLDERS {
        for entry in std::fs::read_dir(super::root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let case = disagreement(vec![text], Chance(2), stays, &mut (0, 0)).map(shrink::smaller);
            assert!(case.is_none(), "{}: {}", path.display(), case.unwrap().told());
        }
    }
}
