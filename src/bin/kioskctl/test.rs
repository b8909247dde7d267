//! The wiring test: what the kiosk says of its parts, and then, with a person in front of it, whether each relay moves, the drop
//! sensor counts, the door is seen, a page comes out, and a touch where it is made.
//!
//! Policy: nothing moves that nobody has agreed to, and everything happens in maintenance, which ends with the test unless it was
//! begun before. Who leaves in the middle ends it there. What was found with a person is on record, and so is what somebody wants
//! a report of; what a program may ask for every minute is not.

use std::cell::Cell;
use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use kioskd::console::{Out, complain, say};
use kioskd::dbus::{Check, CheckResult, Client, Done, NoAnswer};
use kioskd::input::Aimed;
use kioskd::operation::Operation;
use kioskd::vocabulary::{Corner, Outlet, SlotId, error_chain};
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::report;
use crate::running::ask;

/// So often, and so many times, the door is looked for.
const LOOK: Duration = Duration::from_millis(250);
const LOOKS: usize = 40;

/// As the kiosk's status calls it.
const SENSOR: &str = "drop_sensor";

/// What a person has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    /// They have enough.
    Leave,
}

pub fn run(arguments: &Arguments, quick: bool, dry: bool, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    // Before somebody has gone through all of it.
    file.map(report::new_file).transpose()?;
    let checks = ask(arguments, async |kiosk| {
        let mut test = Test { kiosk, checks: Vec::new(), quiet: arguments.json, left: Cell::new(false) };
        test.without_a_person().await?;
        if dry {
            test.would_do().await?;
        } else if !quick {
            test.with_a_person().await?;
        }
        Ok(test.checks)
    })?;
    let on_record = !dry && (!quick || file.is_some());
    let request =
        on_record.then(|| report::record(arguments, &checks)).transpose().context("the test is not on record");
    let kept = match (&request, file) {
        (Ok(Some(request)), Some(file)) => report::keep(arguments, request, file).map(Some),
        _ => Ok(None),
    };
    let count = |wanted| checks.iter().filter(|check| check.result == wanted).count();
    let [well, unknown, wrong] = CheckResult::ALL.map(count);
    let recorded = request.as_ref().ok().and_then(Option::as_ref);
    if arguments.json {
        let checks: Vec<Value> = checks.iter().map(Check::json).collect();
        let file = file.filter(|_| matches!(kept, Ok(Some(_))));
        say(format_args!("{:#}", json!({ "checks": checks, "recorded": recorded, "report": file })))?;
    } else {
        say(format_args!("{well} well, {unknown} unknown, {wrong} wrong"))?;
        recorded.map(|request| say(format_args!("on record as {request}"))).transpose()?;
        kept.as_ref().ok().and_then(Option::as_ref).map(say).transpose()?;
    }
    // The findings were told first, for they can't be had again.
    let failed = request.err().or(kept.err());
    if let Some(error) = &failed {
        complain(format_args!("kioskctl: {}", error_chain(error.as_ref())));
    }
    Ok(if wrong == 0 && failed.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Test {
    kiosk: Client,
    checks: Vec<Check>,
    /// The answer is for a program, which wants nothing in between.
    quiet: bool,
    /// Somebody had enough before its end.
    left: Cell<bool>,
}

impl Test {
    fn note(&mut self, check: Check) {
        self.tell(&check.to_string());
        self.checks.push(check);
    }

    fn tell(&self, words: &str) {
        if !self.quiet {
            // Who does not read on has had their answer.
            drop(say(words));
        }
    }

    async fn without_a_person(&mut self) -> Result<(), NoAnswer> {
        for check in self.kiosk.report().await?.checks() {
            self.note(check);
        }
        self.note(match self.kiosk.clock_is_set_by_the_network().await {
            Some(true) => Check::new("time", CheckResult::Well, "the network sets the clock"),
            Some(false) => Check::new("time", CheckResult::Wrong, "nobody sets the clock")
                .advised("look at the network and timedatectl; payments are compared by their time"),
            None => Check::new("time", CheckResult::Unknown, "nobody here can say whether the network sets the clock"),
        });
        Ok(())
    }

    async fn would_do(&self) -> Result<(), NoAnswer> {
        self.tell("with a person it would go on: begin maintenance");
        for (slot, product, _) in self.kiosk.slots().await? {
            self.tell(&format!(
                "  energise the relay of {slot} ({product}), and ask whether it moved and something fell"
            ));
        }
        self.tell("  have the door opened and closed");
        self.tell("  print a test page, and ask whether it is whole");
        self.tell("  show a mark in three corners of the glass, each for a finger; end maintenance");
        Ok(())
    }

    async fn with_a_person(&mut self) -> Result<(), NoAnswer> {
        let before = self.kiosk.reason("maintenance").await?;
        if !before {
            if self.question("Begin maintenance? Nothing is sold meanwhile.") != Answer::Yes {
                self.note_where_left();
                return Ok(());
            }
            self.kiosk.operate(&Operation::Maintenance { on: true }).await?;
        }
        let done = self.part_by_part().await;
        if self.left.get() {
            self.note_where_left();
        }
        // However it went.
        if !before {
            self.kiosk.operate(&Operation::Maintenance { on: false }).await?;
            self.tell("maintenance has ended");
        }
        done
    }

    /// Or what was not tried would look as if it were well.
    fn note_where_left(&mut self) {
        self.note(Check::new("test", CheckResult::Unknown, "left before its end"));
    }

    async fn part_by_part(&mut self) -> Result<(), NoAnswer> {
        let relays = self.relays().await;
        // Each pulse has asked the sensor whether it sees, also where somebody leaves after it.
        self.sensor().await?;
        if relays? == Answer::Leave {
            return Ok(());
        }
        for (open, what) in [(true, "Open the door. Is it open?"), (false, "Close the door. Is it closed?")] {
            match self.question(what) {
                Answer::Yes => self.door(open).await?,
                Answer::No => self.note(Check::new("door", CheckResult::Unknown, "left out")),
                Answer::Leave => return Ok(()),
            }
        }
        match self.question("Print a test page?") {
            Answer::Yes => self.paper().await?,
            Answer::No => self.note(Check::new("paper", CheckResult::Unknown, "left out")),
            Answer::Leave => return Ok(()),
        }
        match self.question("Try the touch of the glass?") {
            Answer::Yes => self.touch().await?,
            Answer::No => self.note(Check::new("touch", CheckResult::Unknown, "left out")),
            Answer::Leave => {}
        }
        Ok(())
    }

    /// `Leave`: the person has enough.
    async fn relays(&mut self) -> Result<Answer, NoAnswer> {
        for (slot, product, count) in self.kiosk.slots().await? {
            match self.question(&format!("Energise the relay of {slot} ({product})?")) {
                Answer::Yes => self.relay(&slot, count).await?,
                Answer::No => self.note(Check::new(format!("relay {slot}"), CheckResult::Unknown, "left out")),
                Answer::Leave => return Ok(Answer::Leave),
            }
        }
        Ok(Answer::Yes)
    }

    /// Where it is otherwise than before the first pulse.
    async fn sensor(&mut self) -> Result<(), NoAnswer> {
        let now = self.kiosk.report().await?.checks().into_iter().find(|check| check.part == SENSOR);
        if let Some(now) = now.filter(|now| !self.checks.contains(now)) {
            self.note(now);
        }
        Ok(())
    }

    async fn paper(&mut self) -> Result<(), NoAnswer> {
        self.kiosk.operate(&Operation::PrintTest).await?;
        let whole = "Is the page whole, with an arrow at both edges, and every character as it should be?";
        self.note(match self.question(whole) {
            Answer::Yes => Check::new("paper", CheckResult::Well, "a test page came out whole"),
            Answer::No => Check::new("paper", CheckResult::Wrong, "the test page is not as it should be").advised(
                "look at paper and head; at its width, [printer] columns, and at how texts get onto it, [printer] text",
            ),
            Answer::Leave => return Ok(()),
        });
        Ok(())
    }

    async fn touch(&mut self) -> Result<(), NoAnswer> {
        let mut touches = Vec::new();
        for corner in Corner::ALL {
            // For people also where the answer is for programs.
            drop(writeln!(io::stderr(), "Touch the mark at {corner} of the glass."));
            match self.kiosk.mark(corner).await? {
                Some(touched) => touches.push(touched),
                None => break,
            }
        }
        let aimed = <[_; 3]>::try_from(touches).ok().map(|all| {
            let [first, ..] = all;
            Aimed { came: all.map(|touched| touched.spot), calibration: first.calibration, rotation: first.rotation }
        });
        self.note(Check::touch(aimed.as_ref()));
        Ok(())
    }

    async fn relay(&mut self, name: &str, count: u32) -> Result<(), NoAnswer> {
        let part = format!("relay {name}");
        let Ok(slot) = SlotId::try_from(name.to_owned()) else { return Ok(()) };
        let counted = match self.kiosk.operate(&Operation::Pulse { outlet: Outlet::Slot(slot) }).await {
            Ok(Done::Energised { counted, .. }) => counted,
            Ok(_) => None,
            Err(NoAnswer::Refused(why)) => {
                let wrong = Check::new(part, CheckResult::Wrong, why);
                self.note(wrong.advised("look at the relay board's power and cables"));
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        let sees = counted.map_or("no sensor can say what fell".to_owned(), |n| format!("the sensor counted {n}"));
        self.tell(&format!("energised; {sees}"));
        let moved = match self.question("Has it moved?") {
            Answer::Yes => Check::new(part, CheckResult::Well, format!("it moved; {sees}")),
            Answer::No => Check::new(part, CheckResult::Wrong, format!("it did not move; {sees}"))
                .advised("look at its wire, its relay and its [[slot]] line; kioskd probe lists the lines"),
            Answer::Leave => return Ok(()),
        };
        let well = moved.result == CheckResult::Well;
        self.note(moved);
        // An empty slot drops nothing, so it shows nothing of the sensor.
        if let Some(counted) = counted.filter(|counted| well && (count > 0 || *counted > 0)) {
            let fell = self.question("Has something fallen?");
            let wrong = match (fell, counted) {
                (Answer::Yes, 0) => Some(format!("something fell from {name}, and it counted nothing")),
                (Answer::No, counted) if counted > 0 => {
                    Some(format!("nothing fell from {name}, and it counted {counted}"))
                }
                _ => None,
            };
            if let Some(says) = wrong {
                let check = Check::new(SENSOR, CheckResult::Wrong, says);
                self.note(check.advised("clean the light barrier, and look at its cables and where it points"));
            }
        }
        Ok(())
    }

    async fn door(&mut self, open: bool) -> Result<(), NoAnswer> {
        let words = if open { "open" } else { "closed" };
        for _ in 0..LOOKS {
            if self.kiosk.reason("door-open").await? == open {
                self.note(Check::new("door", CheckResult::Well, format!("the kiosk sees that it is {words}")));
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        let says = format!("the kiosk does not see that it is {words}");
        let wrong = Check::new("door", CheckResult::Wrong, says);
        self.note(wrong.advised("look at its switch and wire ([board] door)"));
        Ok(())
    }

    /// Asks a person. The end of what is typed is a leave-taking.
    fn question(&self, words: &str) -> Answer {
        loop {
            // The question is for people also where the answer is for programs.
            drop(write!(io::stderr(), "{words} [y]es, [n]o, [q]uit: ").and_then(|()| Out.flush()));
            let mut line = String::new();
            match io::stdin().lock().read_line(&mut line) {
                Ok(0) | Err(_) => return self.leave(),
                Ok(_) => {}
            }
            match line.trim().to_lowercase().as_str() {
                "" | "y" | "yes" => return Answer::Yes,
                "n" | "no" => return Answer::No,
                "q" | "quit" => return self.leave(),
                _ => {}
            }
        }
    }

    fn leave(&self) -> Answer {
        self.left.set(true);
        Answer::Leave
    }
}
