//! A back end that knows only the kiosk's public key: the ledger's totals made again from the events, and everything
//! found that was done to them on the way. Also what docs/fleet.md says about it, typed as it stands there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kioskd::fleet::command::{self, CommandContent};
use kioskd::fleet::keygen::keygen;
use kioskd::fleet::proof::{Position, Refused, Sums, Totals, Verdict, Verifier};
use kioskd::fleet::topic::Name;
use kioskd::ledger::{EventDocument, FILE, Reader};
use kioskd::operation::Operation;
use kioskd::sale::{Condition, event::Event};
use kioskd::signed::jws::{Keys, PublicKey, Purpose, Signer};
use kioskd::signed::statement::TestReport;
use serde_json::Value;

use crate::kit::{self, Dice, Shop};

const KID: &str = "main/K1";

fn key(name: &str) -> Signer {
    let directory = tempfile::tempdir().unwrap();
    let pair = keygen(directory.path(), &Name::parse(name).unwrap()).unwrap();
    Signer::from_pem(&std::fs::read(pair.private).unwrap(), KID).unwrap()
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Message {
    Event(Name, Vec<u8>),
    Checkpoint(Vec<u8>),
}

impl Message {
    fn bytes(&mut self) -> &mut Vec<u8> {
        let (Message::Event(_, bytes) | Message::Checkpoint(bytes)) = self;
        bytes
    }

    fn is_event(&self) -> bool {
        matches!(self, Message::Event(..))
    }
}

/// What the kiosk publishes of its ledger: batches, and before each its checkpoint.
fn told(directory: &Path, signer: &Signer, dice: &mut Dice) -> Vec<Message> {
    let ledger = Reader::open(directory).unwrap().ledger().unwrap();
    told_under(&ledger, directory, signer, 0, dice)
}

/// The same after event `from`, and under whatever number.
fn told_under(ledger: &str, directory: &Path, signer: &Signer, from: u64, dice: &mut Dice) -> Vec<Message> {
    let reader = Reader::open(directory).unwrap();
    let (own, mut seq, mut messages) = (reader.ledger().unwrap(), from, Vec::new());
    loop {
        let batch = reader.events_after(seq, 1 + dice.below(9)).unwrap();
        let Some(last) = batch.last() else { return messages };
        seq = last.seq;
        let here = Position { ledger: ledger.to_owned(), seq, hash: last.hash.clone() };
        messages.push(Message::Checkpoint(signer.sign(Purpose::Checkpoint, &here).unwrap()));
        let event = |line: &kioskd::ledger::EventLine| {
            Message::Event(Name::parse(&line.kind).unwrap(), line.document.replacen(&own, ledger, 1).into_bytes())
        };
        messages.extend(batch.iter().map(event));
    }
}

/// What a back end holds in the end, and what it has noticed.
struct Heard {
    stored: Vec<String>,
    totals: Totals,
    refused: Vec<Refused>,
    /// Early, again, in another's place.
    odd: usize,
    verifier: Verifier,
}

impl Heard {
    fn new(key: &PublicKey) -> Self {
        let verifier = Verifier::new(KID, key.clone());
        Self { stored: Vec::new(), totals: Totals::default(), refused: Vec::new(), odd: 0, verifier }
    }

    fn hear<'m>(&mut self, messages: impl IntoIterator<Item = &'m Message>) {
        for message in messages {
            let taken = match message {
                Message::Event(kind, payload) => self.verifier.event(kind, payload),
                Message::Checkpoint(message) => self.verifier.checkpoint(message),
            };
            match taken.map(|(_, taken)| taken) {
                Ok(Verdict::Proved { events, discarded }) => {
                    self.odd += discarded;
                    for proved in events {
                        self.totals.take(&proved.event);
                        self.stored.push(proved.document);
                    }
                }
                Ok(Verdict::Waits) => {}
                Ok(Verdict::Again | Verdict::Early) => self.odd += 1,
                Err(refused) => self.refused.push(refused),
            }
        }
    }

    /// Something is not as the kiosk said it.
    fn noticed(&self, ledger: &str) -> bool {
        let open = self.verifier.position(ledger).is_none_or(|here| self.verifier.promised(ledger) != Some(here.seq));
        open || self.verifier.waiting(ledger) > 0 || self.odd > 0 || !self.refused.is_empty()
    }
}

/// The ledger's own tables, by SQL.
fn sums_of(directory: &Path) -> Sums {
    let db = rusqlite::Connection::open(directory.join(FILE)).unwrap();
    let orders = "SELECT count(*), sum(ended), count(claim), sum(paid), sum(refunded), sum(outstanding) FROM orders";
    let units = |outcome: &str| {
        db.query_row("SELECT count(*) FROM items WHERE outcome = ?1", [outcome], |row| row.get(0)).unwrap()
    };
    db.query_row(orders, [], |row| {
        Ok(Sums {
            orders: row.get(0)?,
            ended: row.get(1)?,
            claims: row.get(2)?,
            paid: row.get(3)?,
            refunded: row.get(4)?,
            outstanding: row.get(5)?,
            delivered: units("delivered"),
            not_delivered: units("not-delivered"),
            unknown: units("unknown"),
        })
    })
    .unwrap()
}

#[test]
fn the_public_key_and_the_events_are_enough_for_the_ledgers_totals() {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(directory.path());
    shop.varied();
    shop.feed(Event::Condition(Condition::Door { open: false }));
    for _ in 0..30 {
        shop.operate(Operation::Refill);
        shop.sell();
    }
    // One that is still open.
    shop.offer(&["tea"]);
    let signer = key("K1");
    let mut heard = Heard::new(&signer.public());
    heard.hear(&told(directory.path(), &signer, &mut Dice(1)));
    assert!(!heard.noticed(shop.ledger.id()), "{:?}", heard.refused);
    let here = heard.verifier.position(shop.ledger.id()).unwrap();
    assert_eq!((here.seq, heard.stored.len() as u64), (shop.ledger.seq(), shop.ledger.seq()));
    let expected = sums_of(directory.path());
    assert_eq!(heard.totals.sums(), BTreeMap::from([("CNY", expected)]));
    assert!(expected.refunded > 0 && expected.delivered > 30 && expected.not_delivered > 0 && expected.unknown > 0);
    assert_eq!(heard.totals.unread(), 0);
    println!("{} events: {expected:?}", here.seq);
}

/// Somebody's own event that continues the chain where it stands, with a hash that is right.
fn invented(ledger: &str, seq: u64, prev: &str, dice: &mut Dice) -> Message {
    let text = format!(r#"{{"kind":"stock-set","slot":"A1","count":{}}}"#, dice.below(1000));
    let (kind, order) = ("stock-set".to_owned(), None);
    let (ledger, prev, boot) = (ledger.to_owned(), prev.to_owned(), "boot-1".to_owned());
    let mut event =
        EventDocument { ledger, seq, hash: String::new(), prev, boot, mono: 5, ts: None, order, kind, text };
    event.hash = event.recomputed();
    Message::Event(Name::parse(&event.kind).unwrap(), serde_json::to_vec(&event).unwrap())
}

#[test]
fn ten_thousand_forgeries_are_found_and_none_is_believed() {
    const TRIES: usize = 10_000;
    let kinds = ["byte", "missing", "repeated", "reordered", "foreign", "invented"];
    let (ours, theirs) = (kit::varied(), kit::varied());
    let (signer, stranger) = (key("K1"), key("K1"));
    let dice = &mut Dice(0x5eed);
    let clean = told(ours.path(), &signer, dice);
    let foreign = told(theirs.path(), &stranger, dice);
    let ledger = Reader::open(ours.path()).unwrap().ledger().unwrap();
    let truth: Vec<String> = clean
        .iter()
        .filter_map(|message| match message {
            Message::Event(_, payload) => Some(String::from_utf8(payload.clone()).unwrap()),
            Message::Checkpoint(_) => None,
        })
        .collect();
    let chain: Vec<EventDocument> = truth.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let mut untouched = Heard::new(&signer.public());
    untouched.hear(&clean);
    assert!(!untouched.noticed(&ledger) && untouched.stored == truth);

    let events: Vec<usize> = (0..clean.len()).filter(|&at| clean[at].is_event()).collect();
    let mut tried = BTreeMap::new();
    for nth in 0..TRIES {
        let kind = kinds[nth % kinds.len()];
        let mut messages = clean.clone();
        let at = events[dice.below(events.len())];
        match kind {
            "byte" => {
                let at = dice.below(messages.len());
                let bytes = messages[at].bytes();
                let byte = dice.below(bytes.len());
                bytes[byte] ^= 1 + dice.below(255) as u8;
            }
            "missing" => drop(messages.remove(at)),
            "repeated" => {
                let again = messages[at].clone();
                messages.insert(at + 1 + dice.below(messages.len() - at), again);
            }
            "reordered" => {
                let other = events[dice.below(events.len())];
                messages.swap(at, other);
                if at == other {
                    messages.swap(at, events[if at == events[0] { 1 } else { 0 }]);
                }
            }
            "foreign" => messages.insert(dice.below(messages.len() + 1), foreign[dice.below(foreign.len())].clone()),
            _ => {
                let after = dice.below(chain.len() + 1);
                let prev = after.checked_sub(1).map_or("0".repeat(64), |before| chain[before].hash.clone());
                let event = invented(&ledger, after as u64 + 1, &prev, dice);
                // Also right in its place, before the true one.
                let place = if dice.below(2) == 0 { dice.below(messages.len()) } else { at };
                messages.insert(place, event);
            }
        }
        let mut heard = Heard::new(&signer.public());
        heard.hear(&messages);
        let told = format!("try {nth}, {kind}");
        assert!(heard.noticed(&ledger), "{told}: not found");
        assert!(truth.starts_with(&heard.stored), "{told}: something was believed");
        // Nobody is out of step: what was lost or gave way the kiosk says again, asked by the acknowledgement.
        heard.hear(&clean);
        assert!(heard.stored == truth, "{told}: out of step after {} of {}", heard.stored.len(), truth.len());
        *tried.entry(kind).or_insert(0) += 1;
    }
    println!("{} events, tries: {tried:?}", truth.len());
}

#[test]
fn a_copied_ledger_is_found_by_its_two_signatures() {
    let one = kit::varied();
    let two = kit::copy_of(one.path());
    let signer = key("K1");
    let mut heard = Heard::new(&signer.public());
    let common = told(one.path(), &signer, &mut Dice(2));
    heard.hear(&common);
    let head = heard.stored.len() as u64;
    // A copy takes a number of its own. This one does not: its board and its disk look the same.
    let number = Reader::open(one.path()).unwrap().ledger().unwrap();
    let mut go_on = |directory: &Path, sales: usize| {
        let mut shop = Shop::open(directory);
        shop.now = 3_600_000 * sales as u64;
        shop.start();
        shop.operate(Operation::Refill);
        for _ in 0..sales {
            shop.sell();
        }
        heard.hear(&told_under(&number, directory, &signer, head, &mut Dice(3)));
        (heard.stored.len() as u64, heard.refused.clone())
    };
    let (after_one, refused) = go_on(one.path(), 2);
    assert!(after_one > head && refused.is_empty());
    let (after_two, refused) = go_on(two.path(), 5);
    assert_eq!(after_two, after_one, "nothing of the other chain is taken");
    assert!(refused.iter().any(|why| matches!(why, Refused::Forked(_))), "{refused:?}");
}

/// The first fenced block of a language after a heading.
fn block<'d>(document: &'d str, heading: &str, language: &str) -> &'d str {
    let rest = &document[document.find(heading).unwrap_or_else(|| panic!("no `{heading}`"))..];
    let (_, rest) =
        rest.split_once(&format!("```{language}\n")).unwrap_or_else(|| panic!("no {language} in {heading}"));
    rest.split_once("```").unwrap().0
}

/// From a heading to another one.
fn between<'d>(document: &'d str, from: &str, to: &str) -> &'d str {
    let rest = &document[document.find(from).unwrap_or_else(|| panic!("no `{from}`"))..];
    &rest[..rest.find(to).unwrap_or_else(|| panic!("no `{to}` behind `{from}`"))]
}

/// Types what the document says into a shell.
fn shell(directory: &Path, script: &str) -> String {
    let out = kioskd_tests::child::command("sh").arg("-ec").arg(script).current_dir(directory).output().unwrap();
    assert!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn the_recipes_in_the_documentation_hold() {
    let document = include_str!("../../docs/fleet.md");
    let folder = tempfile::tempdir().unwrap();
    let event = block(document, "## Check an event", "json");
    std::fs::write(folder.path().join("event.json"), event).unwrap();
    let told: EventDocument = serde_json::from_str(event).unwrap();
    assert_eq!(told.recomputed(), told.hash);
    assert!(shell(folder.path(), block(document, "## Check an event", "sh")).starts_with(&told.hash));

    // The key is the published one of RFC 8037, so that anybody can make the example again.
    let (checkpoint, pem) =
        (block(document, "## Check a checkpoint", "json"), block(document, "## Check a checkpoint", "text"));
    std::fs::write(folder.path().join("checkpoint.json"), checkpoint).unwrap();
    std::fs::write(folder.path().join("K0001.pem"), pem).unwrap();
    let said = shell(folder.path(), block(document, "## Check a checkpoint", "sh"));
    assert!(said.contains("Signature Verified Successfully"), "{said}");
    let position: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(position, serde_json::json!({ "ledger": told.ledger, "seq": told.seq, "hash": told.hash }));
    report(document, pem);
    let mut verifier = Verifier::new("street/K0001", PublicKey::from_pem(pem.as_bytes()).unwrap());
    assert!(verifier.checkpoint(checkpoint.trim().as_bytes()).is_ok());

    let heading = "### What a command is";
    let command = block(document, heading, "json");
    std::fs::write(folder.path().join("command.json"), command).unwrap();
    std::fs::write(folder.path().join("office.pem"), pem).unwrap();
    let said = shell(folder.path(), block(document, heading, "sh"));
    assert!(said.contains("Signature Verified Successfully"), "{said}");
    let keys = Keys::new([("office".to_owned(), PublicKey::from_pem(pem.as_bytes()).unwrap())]);
    let (content, _) = keys.open::<CommandContent>(Purpose::Command, command.trim().as_bytes()).unwrap();
    assert_eq!(serde_json::to_string(&content).unwrap(), said.lines().last().unwrap());
    assert!(command::operation(&content.verb, &content.args).is_some());
}

#[test]
fn every_verb_of_a_command_is_in_the_documentation() {
    let rows = between(include_str!("../../docs/fleet.md"), "## Commands\n", "### What a command is");
    let rows = rows.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let verbs: BTreeSet<&str> = rows.map(|(verb, _)| verb).collect();
    assert_eq!(verbs, Operation::VERBS.into());
}

/// The report of a test in the same document, typed as it stands there, and with a byte changed.
fn report(document: &str, pem: &str) {
    let folder = tempfile::tempdir().unwrap();
    let heading = "## Check the report of a test";
    let (example, script) = (block(document, heading, "json"), block(document, heading, "sh"));
    std::fs::write(folder.path().join("K0001.pem"), pem).unwrap();
    std::fs::write(folder.path().join("K0001.report"), example).unwrap();
    let said = shell(folder.path(), script);
    assert!(said.contains("Signature Verified Successfully"), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    let [.., head, report] = lines.as_slice() else { panic!("{said}") };
    assert_eq!(*head, r#"{"alg":"EdDSA","kid":"street/K0001","typ":"test-report"}"#);
    let key = PublicKey::from_pem(pem.as_bytes()).unwrap();
    let (read, by) = TestReport::read(example.as_bytes(), &key).unwrap();
    assert_eq!((by.as_str(), serde_json::to_string(&read).unwrap().as_str()), ("street/K0001", *report));
    let keys = between(document, heading, "## Acknowledge");
    for key in serde_json::from_str::<Value>(report).unwrap().as_object().unwrap().keys() {
        let said = key == "checks" && keys.contains("`checks[].result`") || keys.contains(&format!("`{key}`"));
        assert!(said, "the document does not say what `{key}` is");
    }
    let changed = example.replacen("eyJraW9zayI6IkswMDAx", "eyJraW9zayI6IkswMDAy", 1);
    assert_ne!(changed, example);
    std::fs::write(folder.path().join("K0001.report"), changed).unwrap();
    let mut sh = kioskd_tests::child::command("sh");
    let out = sh.arg("-ec").arg(script).current_dir(folder.path()).output().unwrap();
    assert!(!out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
}
