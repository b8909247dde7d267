//! The catalogue of what is written down, at the end of `docs/architecture.md`: every kind of record, every key and every
//! word, from the source's doc comments and the examples of [`keys`].

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};
use std::fs;
use std::path::Path;

use kioskd::operation::{Assignment, MediaUrl, Medium, Moment, Operation, Reason, Refusal, Right, TicketText};
use kioskd::sale::Record;
use kioskd::vocabulary::{
    Cause, ClaimSettlement, Currency, Language, Money, OrderId, ProductId, RailName, RefundId, StopReason,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{keys, kit};

/// What each key of a record means, wherever it stands in one.
const KEYS: &[(&str, &str)] = &[
    ("actor", "Who asks, as a [word](#actor)."),
    ("amount", "Money in minor units of the order's currency: 300 is 3.00 CNY."),
    ("asked", "The [operation](#operation) that is asked for."),
    ("at_ms", "Wall clock, milliseconds since 1970 UTC."),
    ("attempt", "Which try at the unit, from 1; each has another outlet."),
    ("base", "SHA-256 of the configuration's file on the machine."),
    ("bundle", "Where the bundle of an update is fetched from."),
    ("before", "The ledger's former number, where it was copied or moved."),
    ("boot", "The number of this run of the daemon, 16 hexadecimal digits."),
    ("by", "Who has asked for it or decided it."),
    ("capacity", "So many units fit into the slot."),
    ("cause", "The [word](#cause) that programs compare."),
    ("charge", "A charge's number, as its provider knows it."),
    ("code", "The provider's own code."),
    ("count", "Units: that lie in the slot, or that the sensor saw fall."),
    ("counted", "Units that the sensor saw fall; none where no sensor can say."),
    ("config", "SHA-256 of a configuration's text; in an operation, that text."),
    ("compatible", "The kind of machine that a bundle is for."),
    ("connected", "Whether the fleet's broker was there."),
    ("copy", "Which of the machine's copies of its software runs, as the boot loader calls it."),
    ("configured", "The languages of the configuration."),
    (
        "counter",
        "The drop sensor's latched count before the delivery, none where it did not answer. In an actor: the command's number under its key.",
    ),
    ("currency", "ISO 4217, three letters."),
    ("detail", "More words, mostly from outside; in `delivery-unknown` and `stopped` the cause or the reason itself."),
    ("do", "The operation, as a [word](#operation)."),
    (
        "fee_estimate",
        "Minor units that the provider keeps of the payment, by the configured rates; none where no rate is configured.",
    ),
    ("from", "The version that runs when an update begins."),
    ("goods", "What is sold: `product:ID`, or `stay:ID` for a car's time in a car park."),
    ("fault", "Why the outlet may not be used."),
    ("grant", "Why nothing is to be paid, as a [word](#grant)."),
    (
        "held",
        "What was where when the trial began, one entry an outlet: `outlet`, `goods`, `count`, `capacity`, `fault`.",
    ),
    ("home", "A fingerprint of the board, the storage and the file."),
    ("hours", "For so many hours nobody has confirmed the refund."),
    ("how", "How the claim was [settled](#claimsettlement)."),
    ("id", "Of a payment, the provider's number; of an operation, the number that the asking side chose."),
    ("in_a_row", "So many one after the other."),
    ("item", "Which unit of the order, from 0."),
    ("items", "The units, one entry each: `goods`, `label`, `price`, `tax`."),
    ("kernel_boot", "The run of the board's kernel, as Linux numbers it."),
    ("key", "The shop's own name for what it has noted."),
    ("kid", "The name of a key of the fleet's."),
    ("kind", "The record's kind; in a reason, the [word](#stopreason)."),
    ("label", "What the goods were called when they were offered, by language."),
    ("lane", "The lane's name in the configuration."),
    ("languages", "What the glass offers, in the order of its switch; a new customer sees the first."),
    ("last", "True where no other outlet will be tried for this unit."),
    ("left", "Minor units."),
    ("ledger", "This ledger's number."),
    ("life_ms", "Milliseconds in which the provider may take a payment: the time on the glass and its one extension."),
    ("max_milli_c", "Thousandths of a degree Celsius."),
    ("minutes", "Minutes."),
    ("operation", "The number of the operation that it belongs to."),
    (
        "note",
        "What happened at the gate: `kind` and what goes with it, as the lane writes it (`src/parking/lane/record.rs`).",
    ),
    ("number", "The report's."),
    ("order", "The order's number. In a payment: the order that the provider says it was for."),
    ("outcome", "What came of the operation, with its [word](#outcome) in `result`."),
    ("outlet", "Where it comes out: `slot:A1`, `gate:exit-1`, or `pass` where nothing moves."),
    ("paid", "Amount and currency that were paid."),
    ("payment", "The verified payment: `id`, `amount`, `currency`, `order`."),
    ("problems", "What is wrong, a line each, with file, line and column."),
    ("price", "Minor units, tax within."),
    ("product", "A product's id in the configuration."),
    ("rail", "A rail's name in the configuration."),
    ("reason", "Why, as a word of its list or in a person's own words."),
    ("reasons", "Why it does not sell, each with its [word](#stopreason) in `kind`."),
    ("refund", "A refund's number, the same however often it is asked for."),
    ("refusal", "Why an operation is not done, as a [word](#refusal)."),
    ("result", "What came of an operation, as a [word](#outcome)."),
    ("report", "The number of a report of what was taken."),
    ("runs", "The version that runs."),
    ("sha256", "Of a bundle's file."),
    ("right", "The [right](#right) that is missing."),
    ("settled_by", "What [settles](#settling) a delivery that no sensor can tell."),
    ("short_code", "The six digits beside the QR, on the receipt and in the payment's description."),
    ("slip", "What the slip [is](#slip)."),
    ("slot", "A slot's name in the configuration."),
    ("state", "What the order [came to](#orderstate)."),
    ("stopped", "Why nothing was sold before, each with its [word](#stopreason) in `kind`; left out where it sold."),
    ("tax", "The rate within the price; none where none is configured."),
    ("text", "The text of the configuration, where it is another than the operation has."),
    ("total", "Minor units that the provider has given back by itself on this charge, all together."),
    ("uid", "A user of this machine."),
    ("until_told", "True where the provider's own word settles the claim; left out where it does not."),
    ("value", "What the shop has noted, in its own form; left out where it has forgotten the key."),
    ("version", "The program's version; of an update, that of the new software, as its bundle says."),
    (
        "why",
        "The cause: a [cause](#cause), or for `order-closed`, `payment-surplus` and a refusal a word of its own list.",
    ),
];

/// One choice of an enum, as its source says it.
struct Choice {
    word: String,
    doc: String,
    /// Names, and what the source says of each.
    fields: Vec<(String, String)>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn kebab(name: &str) -> String {
    let mut word = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.extend(letter.to_lowercase());
    }
    word
}

/// The choices of `pub enum NAME` in a file, which is formatted as rustfmt does.
fn choices(file: &str, name: &str) -> Vec<Choice> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let body = text.split_once(&format!("pub enum {name} {{\n")).unwrap_or_else(|| panic!("{file}: no {name}")).1;
    let body = body.split_once("\n}").unwrap().0;
    let mut found: Vec<Choice> = Vec::new();
    let mut doc = String::new();
    for line in body.lines() {
        let (deep, line) = (line.starts_with("        "), line.trim());
        if let Some(said) = line.strip_prefix("/// ") {
            doc = format!("{doc} {said}").trim().to_owned();
        } else if deep && !line.starts_with("#[") {
            let (field, _) = line.split_once(": ").unwrap_or_else(|| panic!("{file}: {line}"));
            found.last_mut().unwrap().fields.push((field.to_owned(), std::mem::take(&mut doc)));
        } else if !deep && line.starts_with(char::is_uppercase) {
            let end = line.find(|c: char| !c.is_alphanumeric()).unwrap_or(line.len());
            let inside =
                line.split_once(" { ").and_then(|(_, rest)| rest.split_once(" }")).map_or("", |(inside, _)| inside);
            let fields = inside.split(", ").filter_map(|field| field.split_once(": "));
            let fields = fields.map(|(field, _)| (field.to_owned(), String::new())).collect();
            // Free text that stands beside the word.
            let beside = line[end..].starts_with('(').then(|| ("detail".to_owned(), String::new()));
            let fields: Vec<_> = beside.into_iter().chain::<Vec<_>>(fields).collect();
            found.push(Choice { word: kebab(&line[..end]), doc: std::mem::take(&mut doc), fields });
        }
    }
    assert!(found.len() > 1, "{file}: {name} has choices");
    found
}

/// Every key in a document but those of `label`, which are languages.
fn all_keys(document: &Value, found: &mut BTreeSet<String>) {
    match document {
        Value::Object(object) => {
            for (key, value) in object {
                found.insert(key.clone());
                if key != "label" {
                    all_keys(value, found);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| all_keys(value, found)),
        _ => {}
    }
}

fn named(fields: &[(String, String)]) -> String {
    fields.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn section(page: &mut String, name: &str, introduction: &str, columns: &[&str], rows: &[Vec<String>]) {
    let _ = write!(
        page,
        "\n### {name}\n\n{introduction}\n\n| {} |\n|{}\n",
        columns.join(" | "),
        "---|".repeat(columns.len())
    );
    for row in rows {
        let _ = writeln!(page, "| {} |", row.join(" | "));
    }
}

/// A list of words without sentences of its own.
fn words(page: &mut String, file: &str, name: &str, introduction: &str) {
    let rows: Vec<_> = choices(file, name)
        .into_iter()
        .map(|Choice { word, doc, fields }| vec![format!("`{word}`"), named(&fields), doc])
        .collect();
    section(page, name, introduction, &["word", "beside it", "when"], &rows);
}

/// A list of words, each with the sentence that people read, by an example of every one.
fn said<T: Serialize + Display>(page: &mut String, file: &str, name: &str, tag: &str, introduction: &str, all: &[T]) {
    let mut rows = Vec::new();
    for Choice { word, doc, fields } in choices(file, name) {
        let example = all.iter().find(|one| json!(one)[tag] == *word);
        let sentence = example.unwrap_or_else(|| panic!("no example of {name} {word}")).to_string();
        rows.push(vec![format!("`{word}`"), named(&fields), sentence, doc]);
    }
    assert_eq!(rows.len(), all.len(), "each {name} once");
    section(page, name, introduction, &["word", "beside it", "what people read", "when"], &rows);
}

fn reasons() -> Vec<StopReason> {
    use StopReason::*;
    let words = || String::from("WORDS");
    vec![
        Locked(words()),
        Maintenance,
        DoorOpen,
        Tamper,
        BoardDown,
        GlassDark(words()),
        TouchDown(words()),
        RailDown,
        LedgerFailed(words()),
        DiskFull,
        OutboxFull,
        SoldOut,
        Full,
        OutletFaulty,
        CoolingDown,
        SelfCheck("WORDS".into()),
    ]
}

fn causes() -> Vec<Cause> {
    let refund = || RefundId::parse("R_1_1").unwrap();
    let detail = || String::from("WORDS");
    vec![
        Cause::MoneyReturned,
        Cause::Stopped { reason: StopReason::DoorOpen },
        Cause::Restarted,
        Cause::EnergisedBeforeRestart,
        Cause::NothingFell,
        Cause::NothingFellAnywhere,
        Cause::NoOutletLeft,
        Cause::Withdrawn,
        Cause::SensorFailed,
        Cause::Board { detail: detail() },
        Cause::MotorNotHome,
        Cause::TooWarm { max_milli_c: 8_500, minutes: 30 },
        Cause::RefundFailed,
        Cause::RefundRefused { code: "CODE".into(), detail: detail() },
        Cause::PaidInOtherCurrency { paid: Money { amount: 300, currency: Currency::from_code("EUR").unwrap() } },
        Cause::DeliveryUnknown { detail: Box::new(Cause::SensorFailed) },
        Cause::NoRefund { refund: refund() },
        Cause::GoodsGoneMoneyBack,
        Cause::RefundSilent { refund: refund(), hours: 6 },
        Cause::RailRemoved { rail: RailName::parse("wechat").unwrap() },
        Cause::Printer { detail: detail() },
        Cause::NoReboot { detail: detail() },
        Cause::Gate { detail: detail() },
        Cause::CantSell { reasons: vec![StopReason::SoldOut] },
        Cause::FleetNotReached,
        Cause::NotStarted { detail: detail() },
        Cause::MediaNotFetched { detail: detail() },
        Cause::FileChanged,
        Cause::UpdateFailed { detail: detail() },
        Cause::FellBack { detail: detail() },
    ]
}

fn refusals() -> Vec<Refusal> {
    vec![
        Refusal::NoRight { right: Right::Motion },
        Refusal::NotLive,
        Refusal::InMidSale,
        Refusal::NumberTaken,
        Refusal::NoSuchSlot,
        Refusal::NoSuchGate,
        Refusal::NoGate,
        Refusal::NotACarPark,
        Refusal::NoSuchTicket,
        Refusal::NoSuchProduct,
        Refusal::NothingIsKeptHere,
        Refusal::HoldsLess { capacity: 9 },
        Refusal::NoRoom { slot: kit::slot("A1"), count: 7, capacity: 9 },
        Refusal::NoneLeft,
        Refusal::CannotDeliver { reason: StopReason::DoorOpen },
        Refusal::NotReady,
        Refusal::NoOpenClaim,
        Refusal::OnlyByProvider,
        Refusal::NotInMaintenance,
        Refusal::RelayIsTried,
        Refusal::NoSuchReport,
        Refusal::BadLanguages { configured: ["zh-Hant", "en"].map(Language::new).into() },
        Refusal::Expired,
        Refusal::CounterUsed,
        Refusal::OnlyByRoot,
        Refusal::OnlyByFleet,
        Refusal::BadConfig { problems: vec!["/etc/kioskd/kiosk.toml:38:9: a price is missing".into()] },
        Refusal::BadMedia { problems: vec!["the picture of cola: it is not a PNG or JPEG picture".into()] },
        Refusal::ConfigIsTried,
        Refusal::NoSuchOrder,
        Refusal::OrderIsOpen,
        Refusal::ClaimIsOpen,
        Refusal::LessIsLeft { left: 300 },
        Refusal::NoInstaller { how: "WORDS".into() },
        Refusal::UpdateUnderWay { version: keys::version() },
        Refusal::FellBackBefore,
        Refusal::OlderThanRuns { runs: keys::version() },
        Refusal::OtherMachine { compatible: "KIND".into() },
    ]
}

fn operations() -> Vec<Operation> {
    let slot = || kit::slot("A1");
    let product = || ProductId::parse("cola").unwrap();
    let reason = || Reason::parse("WORDS").unwrap();
    vec![
        Operation::Lock { reason: reason() },
        Operation::Unlock,
        Operation::SetStock { slot: slot(), count: 3 },
        Operation::Refill,
        Operation::RefillSlots { slots: [slot()].into() },
        Operation::AddStock { units: [(slot(), std::num::NonZeroU32::MIN)].into() },
        Operation::SettleClaim { order: OrderId::from_parts(1_795_392_000_000, 7), how: ClaimSettlement::Refund },
        Operation::Refund { order: OrderId::from_parts(1_795_392_000_000, 7), amount: Some(300) },
        Operation::Vend { product: product() },
        Operation::TestVend { slot: slot() },
        Operation::Maintenance { on: true },
        Operation::Pulse { outlet: kit::outlet("A1") },
        Operation::Raise { reason: reason() },
        Operation::KeepOpen { reason: reason() },
        Operation::Release { reason: reason() },
        Operation::VoidTicket { ticket: TicketText::parse("03-0004567-9").unwrap(), reason: reason() },
        Operation::CarsInside { cars: 120, reason: reason() },
        Operation::CashUp,
        Operation::PrintReport { number: 7 },
        Operation::PrintTest,
        Operation::Languages { languages: serde_json::from_value(json!(["zh-Hant", "en"])).unwrap() },
        Operation::Reboot,
        Operation::RecordTest {
            checks: serde_json::from_value(json!([{ "part": "board", "result": "well", "says": "ok" }])).unwrap(),
        },
        Operation::RotateKeys { version: 4, keyset: serde_json::from_value(json!("MESSAGE")).unwrap() },
        Operation::ResendEvents { after: 1041 },
        Operation::ApplyConfig { config: serde_json::from_value(json!("[kiosk]\nid = …")).unwrap() },
        Operation::SetPrices { prices: [(product(), 320)].into() },
        Operation::SetPlanogram {
            slots: [(slot(), Assignment { product: product(), stock: Some(8), capacity: None })].into(),
        },
        Operation::SetMedia {
            products: [(
                product(),
                Medium { sha256: keys::sha256(), url: MediaUrl::parse("https://media.example.com/cola.png").unwrap() },
            )]
            .into(),
            slides: None,
            logo: None,
        },
        Operation::Screenshot,
        Operation::Logs { lines: std::num::NonZeroU32::new(100), since: Moment::parse("2026-11-30T09:00:00Z") },
        Operation::Bundle,
        Operation::Inspect,
        Operation::InstallUpdate {
            bundle: keys::bundle(),
            sha256: keys::sha256(),
            version: keys::version(),
            compatible: None,
            retry: false,
            downgrade: false,
        },
    ]
}

fn record_kinds(page: &mut String) {
    let file = "src/sale/record.rs";
    let examples: Vec<(Record, Value)> = keys::one_of_each().into_iter().map(|r| (r.clone(), json!(r))).collect();
    let mut wanted = BTreeSet::new();
    examples.iter().for_each(|(_, written)| all_keys(written, &mut wanted));
    let kinds = choices(file, "Record");
    wanted.extend(kinds.iter().flat_map(|kind| kind.fields.iter().map(|(name, _)| name.clone())));
    for (name, place) in
        [("Cause", "src/vocabulary/cause.rs"), ("Refusal", "src/operation/mod.rs"), ("Outcome", "src/operation/mod.rs")]
    {
        wanted.extend(choices(place, name).into_iter().flat_map(|one| one.fields).map(|(name, _)| name));
    }
    wanted.insert("tax".into());
    let known: BTreeSet<String> = KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
    let (new, old): (Vec<_>, Vec<_>) = (wanted.difference(&known).collect(), known.difference(&wanted).collect());
    assert!(new.is_empty() && old.is_empty(), "KEYS lacks {new:?} and has in vain {old:?}");

    *page += "\n### Kinds\n\nA key that is *optional* is left out, or `null`, where there is nothing to say. The examples have them all; their values\nare only examples.\n";
    assert_eq!(kinds.len(), examples.len());
    for Choice { word, doc, fields } in kinds {
        let (_, written) =
            examples.iter().find(|(record, _)| record.kind() == word).unwrap_or_else(|| panic!("{word}"));
        assert!(!doc.is_empty(), "the record `{word}` has no doc comment");
        let _ = write!(page, "\n#### {word}\n\n{doc}\n");
        for (name, meaning) in fields.iter().filter(|(_, meaning)| !meaning.is_empty()) {
            let _ = write!(page, "\n`{name}`: {meaning}\n");
        }
        let optional = optional(written);
        if !optional.is_empty() {
            let _ = write!(page, "\nOptional: {}.\n", optional.join(", "));
        }
        let _ = write!(page, "\n```json\n{written}\n```\n");
    }
    let rows: Vec<_> = KEYS.iter().map(|(key, meaning)| vec![format!("`{key}`"), (*meaning).to_owned()]).collect();
    section(page, "Keys", "What a key means wherever it stands in a record.", &["key", "meaning"], &rows);
}

/// Keys without which the record is read as well.
fn optional(written: &Value) -> Vec<String> {
    let keys = written.as_object().unwrap().keys().filter(|key| *key != "kind");
    let lacks = |key: &&String| {
        let mut less = written.clone();
        less.as_object_mut().unwrap().remove(*key);
        serde_json::from_value::<Record>(less).is_ok()
    };
    keys.filter(lacks).map(|key| format!("`{key}`")).collect()
}

fn render() -> String {
    let mut page = String::new();
    record_kinds(&mut page);
    let (record, cause, operation) = ("src/sale/record.rs", "src/vocabulary/cause.rs", "src/operation/mod.rs");
    let why = "Why something came out otherwise than it should. The word stands in `cause`.";
    said(&mut page, cause, "Cause", "cause", why, &causes());
    let why = "Why the machine does not sell. The word stands in `kind`, more words in `detail`.";
    said(&mut page, cause, "StopReason", "kind", why, &reasons());
    let why = "Why an operation is not done, and has no effect. The word stands in `refusal`.";
    said(&mut page, operation, "Refusal", "refusal", why, &refusals());

    let mut rows = Vec::new();
    let all = operations();
    for Choice { word, doc, fields } in choices(operation, "Operation") {
        let one = all.iter().find(|one| one.verb() == word).unwrap_or_else(|| panic!("no example of {word}"));
        let rights: Vec<String> =
            one.needs().iter().map(|right| format!("`{}`", json!(right).as_str().unwrap())).collect();
        let timing = match one.timing() {
            kioskd::operation::Timing::Any => "at any time",
            kioskd::operation::Timing::Live => "live",
            kioskd::operation::Timing::LiveBetweenSales => "live, between sales",
        };
        rows.push(vec![format!("`{word}`"), named(&fields), rights.join(" and "), timing.into(), doc]);
    }
    let what = "What may be asked. The word stands in `do`.";
    section(&mut page, "Operation", what, &["word", "beside it", "rights", "when it may be done", "what"], &rows);
    words(&mut page, operation, "Right", "What somebody must be allowed.");
    words(&mut page, operation, "Actor", "Who asks. The word stands in `actor`.");
    words(&mut page, operation, "Outcome", "What came of an operation. The word stands in `result`.");
    words(
        &mut page,
        "src/vocabulary/goods.rs",
        "Grant",
        "Why an order may be delivered although nothing is paid for it.",
    );
    words(
        &mut page,
        record,
        "Closed",
        "Why an order ended without a payment that counts. The word stands in `reason`.",
    );
    words(&mut page, record, "Surplus", "Why a payment buys nothing.");
    words(&mut page, record, "Settling", "What settles a delivery that no sensor can tell.");
    words(&mut page, cause, "ClaimSettlement", "How a claim is settled.");
    words(&mut page, record, "Slip", "What a printed slip says that it is.");
    words(&mut page, "src/sale/view.rs", "OrderState", "What an order has come to.");
    page += "\n";
    page
}

/// The rooms as the library's map has them, without the links of rustdoc.
fn map() -> String {
    let library = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let lines = library.lines().filter_map(|line| line.strip_prefix("//! "));
    let list: Vec<&str> = lines.filter(|line| line.starts_with("- ") || line.starts_with("  ")).collect();
    let list = list.join("\n").replace("[event](sale::Event)", "event").replace("[`", "`").replace("`]", "`");
    format!("\n{list}\n\n")
}

#[test]
fn the_architecture_says_what_the_source_says() {
    let path = root().join("docs/architecture.md");
    let mut page = fs::read_to_string(&path).unwrap();
    for (name, wanted) in [("map", map()), ("catalogue", render())] {
        let (begin, end) = (format!("<!-- made from the source: {name} -->\n"), format!("<!-- end: {name} -->"));
        let from = page.find(&begin).unwrap_or_else(|| panic!("no {begin}")) + begin.len();
        let to = page.find(&end).unwrap_or_else(|| panic!("no {end}"));
        if std::env::var_os("KIOSKD_WRITE").is_some() {
            page.replace_range(from..to, &wanted);
            fs::write(&path, &page).unwrap();
        } else {
            let written = &page[from..to];
            assert!(
                written == wanted,
                "the {name} of docs/architecture.md is out of date; KIOSKD_WRITE=1 writes it anew"
            );
        }
    }
}
