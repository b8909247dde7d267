//! What is known of the machines, for people and other programs.

use serde::Serialize;
use serde_json::Value;

use super::database::{Cell, Database, DatabaseError};
use crate::fleet::proof::Position;
use crate::fleet::topic::Name;
use crate::ledger::EventDocument;

/// A machine that says it is online has said nothing for so long: telemetry comes every minute.
const SILENT: i64 = 5 * 60 * 1000;

/// One machine, as it was last heard. Times are milliseconds since 1970 by the collector's clock.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Machine {
    pub kiosk: String,
    pub online: Option<bool>,
    /// Since when it is so.
    pub online_ms: Option<i64>,
    /// The last message of any kind; 0: only what a broker had kept.
    pub heard_ms: i64,
    pub state: Option<Value>,
    pub state_ms: Option<i64>,
    pub telemetry: Option<Value>,
    pub telemetry_ms: Option<i64>,
    pub alarms: Vec<Alarm>,
    pub ledgers: Vec<Ledger>,
    /// Messages in its name that were not believed, and why the last was not.
    pub refused: i64,
    pub refused_why: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Alarm {
    pub kind: String,
    pub document: Value,
    pub heard_ms: i64,
}

/// How far a ledger is stored.
#[derive(Debug, Clone, Serialize)]
pub struct Ledger {
    pub ledger: String,
    pub seq: u64,
    pub hash: String,
    /// The kiosk has signed for it.
    pub signed: bool,
    pub stored_ms: i64,
    /// Events and checkpoints of another chain of this ledger.
    pub forks: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    Online,
    Offline,
    /// It is said to be online and says nothing.
    Silent,
    Unknown,
}

impl Presence {
    pub fn word(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Silent => "silent",
            Self::Unknown => "unknown",
        }
    }
}

/// A line of `ls`.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub kiosk: String,
    pub presence: Presence,
    pub heard_ms: i64,
    pub selling: Option<bool>,
    /// Why not.
    pub reasons: Vec<String>,
    pub version: Option<String>,
    /// Orders that a person must settle.
    pub claims: u64,
    /// Orders on which something is open.
    pub settling: u64,
    pub alarms: Vec<String>,
    /// The last event that is stored, of all its ledgers.
    pub seq: u64,
    pub refused: i64,
    pub forks: i64,
}

impl Machine {
    /// `now`: milliseconds since 1970.
    pub fn line(&self, now: i64) -> Line {
        let presence = match self.online {
            Some(true) if now - self.heard_ms > SILENT => Presence::Silent,
            Some(true) => Presence::Online,
            Some(false) => Presence::Offline,
            None => Presence::Unknown,
        };
        let state = self.state.as_ref();
        let of = |key: &str| state.map_or(&Value::Null, |state| &state[key]);
        let kinds = of("reasons").as_array().into_iter().flatten();
        Line {
            kiosk: self.kiosk.clone(),
            presence,
            heard_ms: self.heard_ms,
            selling: of("selling").as_bool(),
            reasons: kinds.filter_map(|reason| Some(reason["kind"].as_str()?.to_owned())).collect(),
            version: of("version").as_str().map(str::to_owned),
            claims: of("claims").as_array().map_or(0, |claims| claims.len() as u64),
            settling: of("settling").as_u64().unwrap_or_default(),
            alarms: self.alarms.iter().map(|alarm| alarm.kind.clone()).collect(),
            seq: self.ledgers.iter().map(|ledger| ledger.seq).sum(),
            refused: self.refused,
            forks: self.ledgers.iter().map(|ledger| ledger.forks).sum(),
        }
    }
}

fn optional(cell: &Cell) -> Option<i64> {
    if let Cell::Number(number) = cell { Some(*number) } else { None }
}

fn json(cell: &Cell) -> Option<Value> {
    serde_json::from_str(cell.text()?).ok()
}

/// The fleets of which something was collected.
pub fn fleets(db: &mut dyn Database) -> Result<Vec<String>, DatabaseError> {
    let rows = db.query("SELECT DISTINCT fleet FROM lease ORDER BY fleet", &[])?;
    Ok(rows.iter().map(|row| row[0].string()).collect())
}

/// At most `limit` machines whose names come after `after`, by name; or the one named `only`.
pub fn machines(
    db: &mut dyn Database,
    fleet: &str,
    after: &str,
    only: Option<&Name>,
    limit: i64,
) -> Result<Vec<Machine>, DatabaseError> {
    let (after, upto) = (only.map_or(after, |_| ""), only.map(Name::as_str));
    let query =
        "SELECT kiosk, heard_ms, online, online_ms, state, state_ms, telemetry, telemetry_ms, refused, refused_why
                 FROM kiosk WHERE fleet = $1 AND kiosk > $2 AND (CAST($3 AS TEXT) IS NULL OR kiosk = $3)
                 ORDER BY kiosk LIMIT $4";
    let rows = db.query(query, &[fleet.into(), after.into(), upto.into(), limit.into()])?;
    let machine = |row: &Vec<Cell>| Machine {
        kiosk: row[0].string(),
        heard_ms: row[1].number(),
        online: optional(&row[2]).map(|online| online != 0),
        online_ms: optional(&row[3]),
        state: json(&row[4]),
        state_ms: optional(&row[5]),
        telemetry: json(&row[6]),
        telemetry_ms: optional(&row[7]),
        refused: row[8].number(),
        refused_why: row[9].text().map(str::to_owned),
        ..Machine::default()
    };
    let mut machines: Vec<Machine> = rows.iter().map(machine).collect();
    let (Some(first), Some(last)) = (machines.first(), machines.last()) else { return Ok(machines) };
    let range: [Cell; 3] = [fleet.into(), first.kiosk.as_str().into(), last.kiosk.as_str().into()];
    let alarms = "SELECT kiosk, kind, document, heard_ms FROM alarm
                  WHERE fleet = $1 AND kiosk >= $2 AND kiosk <= $3 ORDER BY kiosk, kind";
    let alarms = db.query(alarms, &range)?;
    let books = "SELECT kiosk, ledger, seq, hash, CAST(length(seal) AS BIGINT), stored_ms,
                    (SELECT count(*) FROM fork WHERE fork.fleet = book.fleet AND fork.kiosk = book.kiosk
                                                 AND fork.ledger = book.ledger)
                 FROM book WHERE fleet = $1 AND kiosk >= $2 AND kiosk <= $3 ORDER BY kiosk, ledger";
    let books = db.query(books, &range)?;
    let of = |machines: &mut [Machine], kiosk: &Cell| {
        let kiosk = kiosk.text().unwrap_or_default();
        machines.iter().position(|machine| machine.kiosk == kiosk)
    };
    for row in &alarms {
        if let Some(at) = of(&mut machines, &row[0]) {
            let document = json(&row[2]).unwrap_or_default();
            machines[at].alarms.push(Alarm { kind: row[1].string(), document, heard_ms: row[3].number() });
        }
    }
    for row in &books {
        if let Some(at) = of(&mut machines, &row[0]) {
            machines[at].ledgers.push(Ledger {
                ledger: row[1].string(),
                seq: row[2].count(),
                hash: row[3].string(),
                signed: row[4].number() > 0,
                stored_ms: row[5].number(),
                forks: row[6].number(),
            });
        }
    }
    Ok(machines)
}

/// What a kiosk has said of itself last that its key has signed, and when it came.
#[derive(Debug, Clone)]
pub struct Inspected {
    pub kiosk: String,
    pub message: String,
    pub heard_ms: i64,
}

/// At most `limit`, of kiosks whose names come after `after`, by name.
pub fn inspections(
    db: &mut dyn Database,
    fleet: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<Inspected>, DatabaseError> {
    let query =
        "SELECT kiosk, message, heard_ms FROM inspection WHERE fleet = $1 AND kiosk > $2 ORDER BY kiosk LIMIT $3";
    let rows = db.query(query, &[fleet.into(), after.into(), limit.into()])?;
    let found =
        |row: &Vec<Cell>| Inspected { kiosk: row[0].string(), message: row[1].string(), heard_ms: row[2].number() };
    Ok(rows.iter().map(found).collect())
}

/// What a kiosk has said of the newest commands.
#[derive(Debug, Clone, Serialize)]
pub struct Command {
    pub verb: String,
    pub id: String,
    pub status: Value,
    pub verified: bool,
    pub heard_ms: i64,
}

pub fn commands(db: &mut dyn Database, fleet: &str, kiosk: &str, limit: i64) -> Result<Vec<Command>, DatabaseError> {
    let query = "SELECT verb, id, document, verified, heard_ms FROM command WHERE fleet = $1 AND kiosk = $2
                 ORDER BY heard_ms DESC, id LIMIT $3";
    let rows = db.query(query, &[fleet.into(), kiosk.into(), limit.into()])?;
    let command = |row: &Vec<Cell>| Command {
        verb: row[0].string(),
        id: row[1].string(),
        status: json(&row[2]).unwrap_or_default(),
        verified: row[3].number() != 0,
        heard_ms: row[4].number(),
    };
    Ok(rows.iter().map(command).collect())
}

/// A ledger, its position, and the kiosk's word for it.
#[derive(Debug, Clone)]
pub struct Book {
    pub kiosk: String,
    pub at: Position,
    pub seal: String,
}

/// All ledgers of a fleet or of one kiosk, by kiosk.
pub fn books(db: &mut dyn Database, fleet: &str, only: Option<&Name>) -> Result<Vec<Book>, DatabaseError> {
    let query = "SELECT kiosk, ledger, seq, hash, seal FROM book
                 WHERE fleet = $1 AND (CAST($2 AS TEXT) IS NULL OR kiosk = $2) ORDER BY kiosk, stored_ms, ledger";
    let rows = db.query(query, &[fleet.into(), only.map(Name::as_str).into()])?;
    let book = |row: &Vec<Cell>| Book {
        kiosk: row[0].string(),
        at: Position { ledger: row[1].string(), seq: row[2].count(), hash: row[3].string() },
        seal: row[4].string(),
    };
    Ok(rows.iter().map(book).collect())
}

const EVENT: &str = "ledger, seq, hash, prev, boot, mono, ts, order_id, kind, text";

/// At most `limit` events of a ledger after `seq`, in order.
pub fn events_after(
    db: &mut dyn Database,
    (fleet, kiosk, ledger): (&str, &str, &str),
    seq: u64,
    limit: i64,
) -> Result<Vec<EventDocument>, DatabaseError> {
    let query = format!(
        "SELECT {EVENT} FROM event WHERE fleet = $1 AND kiosk = $2 AND ledger = $3 AND seq > $4 ORDER BY seq LIMIT $5"
    );
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    let rows = db.query(&query, &[fleet.into(), kiosk.into(), ledger.into(), seq.into(), limit.into()])?;
    Ok(rows.iter().map(|row| event(row)).collect())
}

fn event(row: &[Cell]) -> EventDocument {
    EventDocument {
        ledger: row[0].string(),
        seq: row[1].count(),
        hash: row[2].string(),
        prev: row[3].string(),
        boot: row[4].string(),
        mono: row[5].count(),
        ts: optional(&row[6]).and_then(|ts| u64::try_from(ts).ok()),
        order: row[7].text().map(str::to_owned),
        kind: row[8].string(),
        text: row[9].string(),
    }
}
