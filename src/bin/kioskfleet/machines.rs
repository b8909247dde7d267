//! `kioskfleet ls` and `kioskfleet show`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use kioskd::console::{Table, ago, complain, say};
use kioskd::fleet::collector::{Line, Machine, Presence};
use kioskd::fleet::office;
use kioskd::fleet::topic::Name;
use kioskd::vocabulary::one_line;
use serde_json::{Value, json};

use crate::inspect::AskArguments;
use crate::name;
use crate::place::CollectedArguments;

#[derive(Args)]
pub struct LsArguments {
    #[command(flatten)]
    pub collected: CollectedArguments,
    #[command(flatten)]
    pub asked: AskArguments,
    /// With --broker: the machines' public keys, KIOSK.pem each; the machines are those.
    #[arg(long, value_name = "DIR", requires = "broker")]
    pub keys: Option<PathBuf>,
    /// Only the machines of which this is so; several: of which any is.
    #[arg(long, value_name = "WHAT")]
    pub only: Vec<Only>,
    /// One JSON document a line.
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Only {
    /// Not connected.
    Offline,
    /// Said to be connected, and not heard for five minutes.
    Silent,
    /// Connected and not selling.
    NotSelling,
    /// With an alarm.
    Alarm,
    /// With an order that a person must settle.
    Claim,
    /// Of which messages were not believed, or whose ledger was copied.
    Doubtful,
}

impl Only {
    fn holds(self, line: &Line) -> bool {
        match self {
            Self::Offline => line.presence == Presence::Offline,
            Self::Silent => line.presence == Presence::Silent,
            Self::NotSelling => line.selling == Some(false),
            Self::Alarm => !line.alarms.is_empty(),
            Self::Claim => line.claims > 0,
            Self::Doubtful => line.refused > 0 || line.forks > 0,
        }
    }
}

pub fn wanted(only: &[Only], line: &Line) -> bool {
    only.is_empty() || only.iter().any(|only| only.holds(line))
}

pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or_default()
}

pub const HEADS: [&str; 10] =
    ["KIOSK", "PRESENCE", " HEARD", "SELLS", "VERSION", " CLAIMS", " SETTLING", " EVENTS", "ALARMS", "DOUBTS"];

/// As it is shown to people: what a machine has said commands nothing in their terminal.
pub fn cells(line: &Line, now: i64) -> [String; 10] {
    let sells = match line.selling {
        Some(true) => "yes".to_owned(),
        Some(false) => format!("no: {}", line.reasons.join(", ")),
        None => String::new(),
    };
    let number = |number: u64| if number == 0 { String::new() } else { number.to_string() };
    let doubts = match (line.forks, line.refused) {
        (0, 0) => String::new(),
        (0, refused) => format!("{refused} refused"),
        (..) => "its ledger was copied".to_owned(),
    };
    [
        line.kiosk.clone(),
        line.presence.word().to_owned(),
        ago(line.heard_ms, now),
        sells,
        line.version.clone().unwrap_or_default(),
        number(line.claims),
        number(line.settling),
        line.seq.to_string(),
        line.alarms.join(", "),
        doubts,
    ]
    .map(|cell| one_line(&cell).collect())
}

impl LsArguments {
    pub fn list(&self) -> anyhow::Result<ExitCode> {
        let (question, now) = (self.asked.question(self.collected.fleet(), self.keys.as_deref())?, now());
        let mut rows = Vec::new();
        let mut tell = |machine: Machine| -> anyhow::Result<()> {
            let line = machine.line(now);
            if wanted(&self.only, &line) {
                match self.json {
                    true => say(json!(line))?,
                    false => rows.push(cells(&line, now)),
                }
            }
            Ok(())
        };
        match question {
            Some(question) => {
                office::ask(&question)?
                    .into_iter()
                    .try_for_each(|(kiosk, answer)| tell(answer.machine(&kiosk, now)))?;
            }
            None => self.collected.open()?.machines::<anyhow::Error>(tell)?,
        }
        if !self.json && !rows.is_empty() {
            say(Table::new(HEADS, rows))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args)]
pub struct ShowArguments {
    #[command(flatten)]
    collected: CollectedArguments,
    /// The kiosk's name.
    #[arg(value_parser = name)]
    kiosk: Name,
    /// How many of the newest events.
    #[arg(long, value_name = "N", default_value_t = 10)]
    events: u16,
    /// One JSON document.
    #[arg(long)]
    json: bool,
}

impl ShowArguments {
    pub fn show(&self) -> anyhow::Result<ExitCode> {
        let mut collected = self.collected.open()?;
        let Some(machine) = collected.machine(&self.kiosk)? else {
            complain(format_args!(
                "kioskfleet: nothing was heard of {} in the fleet {}",
                self.kiosk,
                collected.fleet()
            ));
            return Ok(ExitCode::FAILURE);
        };
        let commands = collected.commands(&self.kiosk, 16)?;
        let events = collected.newest(&self.kiosk, self.events)?;
        if self.json {
            let mut document = json!(machine);
            (document["commands"], document["events"]) = (json!(commands), json!(events));
            say(document)?;
            return Ok(ExitCode::SUCCESS);
        }
        let now = now();
        for (what, value) in lines(&machine, now) {
            say(format_args!("{what:<12} {}", one_line(&value).collect::<String>()))?;
        }
        if !events.is_empty() {
            let row = |event: &kioskd::ledger::EventDocument| {
                [event.seq.to_string(), time(event.ts), event.kind.clone(), event.order.clone().unwrap_or_default()]
            };
            say(format_args!("\n{}", Table::new([" EVENT", "TIME", "KIND", "ORDER"], events.iter().map(row))))?;
        }
        if !commands.is_empty() {
            let row = |command: &kioskd::fleet::collector::Command| {
                let text = |key: &str| command.status[key].as_str().unwrap_or_default().to_owned();
                [ago(command.heard_ms, now), command.verb.clone(), command.id.clone(), text("status"), text("reason")]
            };
            let heads = [" HEARD", "COMMAND", "NUMBER", "STATUS", "REASON"];
            say(format_args!("\n{}", Table::new(heads, commands.iter().map(row))))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn time(ts: Option<u64>) -> String {
    let at = ts.and_then(|ts| Timestamp::from_millisecond(i64::try_from(ts).ok()?).ok());
    at.map_or_else(String::new, |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// One machine, a line each of what is known.
fn lines(machine: &Machine, now: i64) -> Vec<(String, String)> {
    let line = machine.line(now);
    let mut all = vec![("kiosk".to_owned(), line.kiosk.clone())];
    let mut put = |what: &str, value: String| {
        if !value.is_empty() {
            all.push((what.to_owned(), value));
        }
    };
    let since = machine.online_ms.map_or_else(String::new, |since| format!(" for {}", ago(since, now)));
    put("presence", format!("{}{since}", line.presence.word()));
    put("heard", if line.heard_ms > 0 { format!("{} ago", ago(line.heard_ms, now)) } else { String::new() });
    let state = machine.state.as_ref().unwrap_or(&Value::Null);
    put("state", machine.state_ms.map_or_else(String::new, |then| format!("of {} ago", ago(then, now))));
    put(
        "sells",
        match line.selling {
            Some(true) => "yes".to_owned(),
            Some(false) => format!("no: {}", line.reasons.join(", ")),
            None => String::new(),
        },
    );
    put("version", line.version.clone().unwrap_or_default());
    for (slot, stock) in state["stock"].as_object().into_iter().flatten() {
        let product = stock["product"].as_str().unwrap_or_default();
        put(&format!("slot {slot}"), format!("{product} {} of {}", stock["count"], stock["capacity"]));
    }
    for fault in state["faults"].as_array().into_iter().flatten() {
        let what = fault["slot"].as_str().or(fault["device"].as_str()).unwrap_or_default();
        put("fault", format!("{what}: {}", fault["why"].as_str().unwrap_or_default()));
    }
    for claim in state["claims"].as_array().into_iter().flatten() {
        let text = |key: &str| claim[key].as_str().unwrap_or_default();
        put("claim", format!("{} ({}): {}", text("order"), text("short_code"), text("why")));
    }
    put("settling", if line.settling > 0 { line.settling.to_string() } else { String::new() });
    for alarm in &machine.alarms {
        put("alarm", format!("{} for {}", alarm.kind, ago(alarm.heard_ms, now)));
    }
    for ledger in &machine.ledgers {
        let signed = if ledger.signed { "signed" } else { "not signed" };
        let forks = if ledger.forks > 0 {
            format!("; it was copied: {} of another chain", ledger.forks)
        } else {
            String::new()
        };
        put("ledger", format!("{} to event {}, {signed}{forks}", ledger.ledger, ledger.seq));
    }
    let why = machine.refused_why.as_deref().unwrap_or_default();
    put("refused", if line.refused > 0 { format!("{}, the last: {why}", line.refused) } else { String::new() });
    all
}
