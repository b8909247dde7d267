//! The car park around kiosks that a test plays.

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use serde_json::json;

use super::super::world::tests::{Bench, FakeKiosk};
use super::*;
use crate::fleet::keygen::keygen;
use crate::fleet::topic::Name;
use crate::parking::tariff::Label;
use crate::parking::ticket::{
    ClassNumber, Code, EntryTime, KeyNumber, LaneNumber, Minute, Owner, SiteKey, Ticket, TicketNumber,
};
use crate::signed::keys::KeySource;
use crate::world::{Ask, LineName, Unsolicited};

const PATIENCE: Duration = Duration::from_secs(30);

struct Rig {
    park: Arc<Park>,
    benches: Vec<Bench>,
    /// Signs tickets, as a lane does.
    issuer: Issuer,
    /// Kiosk and plate, as the cameras say them.
    read: Mutex<Receiver<(String, String)>>,
    _folder: tempfile::TempDir,
}

fn key(folder: &Path, number: u8) -> KeySource {
    let name = format!("site-{number}");
    keygen(folder, &Name::parse(&name).unwrap()).unwrap();
    KeySource::File(folder.join(format!("{name}.key")))
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
        let stations: Vec<_> = ["parking-entry.toml", "parking-pay-station.toml", "parking-exit.toml"]
            .map(|file| Station::of(&crate::kiosk::check::load(&configs.join(file)).unwrap()).unwrap())
            .into();
        let [own, shop] = [1, 9].map(|number| key(folder.path(), number).signer("k").unwrap());
        let owners = [(1, Owner::Site, &own), (9, Owner::Shop(Label::parse(SHOP).unwrap()), &shop)];
        let keys =
            owners.map(|(number, owner, signer)| SiteKey { number: KeyNumber(number), owner, key: signer.public() });
        let keys = SiteKeys::new(stations[0].site, keys.into()).unwrap();
        let shop = Issuer::new(shop, KeyNumber(9), &keys).unwrap();
        let issuer = Issuer::new(own, KeyNumber(1), &keys).unwrap();
        let benches: Vec<_> = stations.iter().map(|_| Bench::new()).collect();
        let worlds: Vec<_> = benches.iter().map(|bench| Arc::clone(&bench.world)).collect();
        std::fs::copy(folder.path().join("site-1.key"), folder.path().join("site.key")).unwrap();
        let entry = crate::kiosk::check::load(&configs.join("parking-entry.toml")).unwrap();
        let mut office = entry.parking.unwrap();
        office.keys_in(folder.path());
        let (says, read) = channel();
        let camera: Says = Box::new(move |kiosk, plate| says.send((kiosk.to_owned(), plate.to_owned())).is_ok());
        let site = Site { stations, keys, shop, office };
        let park = Park::open(site, folder.path(), &worlds, Some(camera)).unwrap();
        Self { park, benches, issuer, read: Mutex::new(read), _folder: folder }
    }

    fn kiosk(&self, nth: usize) -> FakeKiosk {
        let line = |name: &str, kind: &str| LineName { name: name.into(), kind: kind.into() };
        let mut lines = vec![line("gate-raise", "relay"), line("gate-lower", "relay")];
        let inputs = ["loop-presence", "loop-safety", "loop-closing", "gate-opened", "gate-closed", "ticket-button"];
        lines.extend(inputs.map(|name| line(name, "input")));
        self.benches[nth].kiosk_with(lines)
    }

    fn ticket(&self, serial: u32) -> String {
        let number = TicketNumber::new(LaneNumber::new(1).unwrap(), serial).unwrap();
        let entry = EntryTime::Known(Minute::new(14_000_000).unwrap());
        self.issuer.issue(&Code::Ticket(Ticket { number, entry, class: ClassNumber::default() })).unwrap()
    }

    fn run(&self, errand: Value) -> Result<Value, errand::CantDo> {
        self.park.run(serde_json::from_value(errand).unwrap())
    }

    fn car(&self) -> Value {
        self.park.report()["cars"][0].clone()
    }

    fn until(&self, what: &str, there: impl Fn(&Value) -> bool) {
        let by = Instant::now() + PATIENCE;
        while !there(&self.park.report()) {
            assert!(Instant::now() < by, "{what}: {:#}", self.park.report());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Waits until the line is told to have this level; at the start each is told once.
fn hears(kiosk: &FakeKiosk, line: &str, active: bool) {
    loop {
        match kiosk.heard.recv_timeout(PATIENCE).expect(line) {
            Unsolicited::Input { line: other, active: level } if other == line && level == active => return,
            _ => {}
        }
    }
}

fn prints(kiosk: &FakeKiosk, code: &str) {
    let qr = qrcode::QrCode::with_error_correction_level(code, qrcode::EcLevel::M).unwrap();
    let (modules, dots) = (qr.width(), 4);
    let (left, rows) = (40, (modules + 8) * dots);
    let mut picture = vec![0u8; rows * 48];
    let dark = |(nth, color)| (color == qrcode::Color::Dark).then_some(nth);
    for nth in qr.to_colors().into_iter().enumerate().filter_map(dark) {
        let (x, y) = (nth % modules, nth / modules);
        for (dx, dy) in (0..dots * dots).map(|dot| (dot % dots, dot / dots)) {
            let (x, y) = (left + x * dots + dx, (y + 4) * dots + dy);
            picture[y * 48 + x / 8] |= 0x80 >> (x % 8);
        }
    }
    let [low, high, ..] = rows.to_le_bytes();
    let bytes = [&[0x1d, b'v', b'0', 0, 48, 0, low, high][..], &picture, &[0x1d, b'V', 0]].concat();
    kiosk.wire.ask(Ask::PrinterWrite { bytes }, PATIENCE).unwrap();
}

#[test]
fn a_kiosk_feels_a_car_moves_its_arm_and_the_driver_reads_the_paper() {
    let rig = Rig::new();
    let kiosk = rig.kiosk(0);
    assert!(rig.benches[0].world.machine.get_line("gate-closed").unwrap(), "from the beginning");
    rig.run(json!({ "car": "new", "do": "arrive" })).unwrap();
    hears(&kiosk, "loop-presence", true);
    assert_eq!((&rig.car()["where"], &rig.car()["ticket"]), (&json!("entry"), &Value::Null));

    let code = rig.ticket(1);
    std::thread::scope(|scope| {
        let taken = scope.spawn(|| rig.run(json!({ "car": "car-1", "do": "take-ticket" })).unwrap());
        hears(&kiosk, "ticket-button", true);
        hears(&kiosk, "ticket-button", false);
        prints(&kiosk, &code);
        assert_eq!(taken.join().unwrap()["ticket"], code.as_str());
    });
    let number = TicketNumber::new(LaneNumber::new(1).unwrap(), 1).unwrap();
    assert_eq!(rig.car()["holds"][0]["number"], number.to_string());

    let relay = |line: &str, active| kiosk.wire.ask(Ask::SetLine { line: line.into(), active }, PATIENCE).unwrap();
    rig.run(json!({ "car": "car-1", "do": "drive" })).unwrap();
    relay("gate-raise", true);
    hears(&kiosk, "gate-closed", false);
    relay("gate-raise", false);
    rig.until("open", |site| site["gates"][0]["open"] == true);
    hears(&kiosk, "loop-safety", true);
    hears(&kiosk, "loop-closing", true);
    hears(&kiosk, "loop-closing", false);
    rig.until("inside", |site| site["cars"][0]["where"] == "inside");
    relay("gate-lower", true);
    rig.until("closed", |site| site["gates"][0]["arm"] == 0.0);
    let gate = rig.park.report()["gates"][0].clone();
    assert_eq!((&gate["opened"], &gate["saved"], &gate["open"]), (&json!(1), &json!(0), &json!(false)));

    // What is shown at the pay station is what was read.
    let pay = rig.kiosk(1);
    rig.run(json!({ "car": "car-1", "do": "show" })).unwrap();
    let Unsolicited::Scanned { text } = pay.heard.recv_timeout(PATIENCE).unwrap() else { panic!() };
    assert_eq!(text, code);
    // A validation is the shop's, and the driver's to show.
    let stamp = rig.run(json!({ "car": "car-1", "do": "validate", "percent": 50 })).unwrap()["validation"].clone();
    rig.run(json!({ "car": "car-1", "do": "show", "what": "validation" })).unwrap();
    let Unsolicited::Scanned { text } = pay.heard.recv_timeout(PATIENCE).unwrap() else { panic!() };
    assert_eq!(stamp, text.as_str());
    assert!(Code::read_validation(&text, &rig.park.keys).is_ok());
}

#[test]
fn a_paper_is_the_one_who_stands_there_and_a_copy_is_as_good() {
    let rig = Rig::new();
    let kiosk = rig.kiosk(0);
    let code = rig.ticket(2);
    prints(&kiosk, &code);
    rig.run(json!({ "car": "new", "do": "arrive" })).unwrap();
    rig.until("a ticket", |site| site["cars"][0]["ticket"] == code.as_str());
    let copy = rig.run(json!({ "car": "car-1", "do": "copy" })).unwrap();
    assert_eq!(copy["copy"], "car-2");
    let cars = rig.park.report()["cars"].clone();
    assert_eq!((&cars[1]["where"], &cars[1]["ticket"]), (&json!("inside"), &cars[0]["ticket"]));
    rig.run(json!({ "car": "car-1", "do": "lose" })).unwrap();
    assert_eq!(rig.car()["holds"], json!([]));
    let none = rig.run(json!({ "car": "car-1", "do": "show" }));
    assert!(matches!(none, Err(errand::CantDo::HoldsNone { .. })), "{none:?}");
}

#[test]
fn the_clock_is_wound_for_all_kiosks_and_kept() {
    let rig = Rig::new();
    let kiosks = [0, 1, 2].map(|nth| rig.kiosk(nth));
    let before = rig.park.now();
    rig.run(json!({ "clock": "+2h" })).unwrap();
    for kiosk in &kiosks {
        let told = std::iter::from_fn(|| kiosk.heard.recv_timeout(PATIENCE).ok()).find_map(|said| match said {
            Unsolicited::Clock { offset_ms } => Some(offset_ms),
            _ => None,
        });
        assert_eq!(told, Some(7_200_000));
    }
    assert!(rig.park.now().duration_since(before).as_secs() >= 7_200);
    assert_eq!(std::fs::read_to_string(&rig.park.clock).unwrap(), "7200000");
    assert_eq!(rig.run(json!({ "clock": "+400d" })), Err(errand::CantDo::Clock));
}

#[test]
fn cameras_that_are_on_say_the_plate_of_the_car_at_the_column_again_and_again() {
    let rig = Rig::new();
    let _kiosk = rig.kiosk(0);
    rig.run(json!({ "car": "new", "do": "arrive" })).unwrap();
    rig.until("at the column", |site| site["gates"][0]["presence"] == true);
    let site = rig.park.report();
    assert_eq!((&site["cameras"], &site["gates"][0]["read"]), (&json!(false), &Value::Null));
    rig.run(json!({ "cameras": true })).unwrap();
    let plate = rig.car()["plate"].as_str().unwrap().to_owned();
    // What was said while they were off would stand before these.
    for _ in 0..2 {
        assert_eq!(rig.read.lock().unwrap().recv_timeout(PATIENCE).unwrap(), ("entry-1".to_owned(), plate.clone()));
    }
    assert_eq!(rig.park.report()["gates"][0]["read"], plate.as_str());
    rig.run(json!({ "car": "car-1", "do": "back-out" })).unwrap();
    rig.until("nobody there", |site| site["gates"][0]["read"] == Value::Null);
    assert_eq!(rig.park.report()["gates"][1]["read"], Value::Null);
}

#[test]
fn the_office_signs_a_season_pass_for_one_car_and_its_copy_is_as_good() {
    let rig = Rig::new();
    let number = rig.run(json!({ "car": "new", "do": "season-pass" })).unwrap()["season"].clone();
    let car = rig.car();
    let code = car["holds"][0]["code"].as_str().unwrap();
    let Ok(Code::Season(pass)) = Code::read(code, &rig.park.keys) else { panic!("{code}") };
    assert_eq!((pass.number.to_string(), pass.season), (number.as_str().unwrap().to_owned(), 0));
    assert_eq!(pass.plate.unwrap().as_str(), car["plate"]);
    assert!(pass.until.wall() > crate::vocabulary::Wall(rig.park.now().as_millisecond() as u64 + 29 * 86_400_000));
    let copy = rig.run(json!({ "car": "car-1", "do": "copy" })).unwrap()["copy"].clone();
    let cars = rig.park.report()["cars"].clone();
    assert_eq!((copy, &cars[1]["where"]), (json!("car-2"), &json!("street")));
    assert_eq!(cars[1]["holds"], car["holds"]);
    let nowhere = rig.run(json!({ "car": "car-1", "do": "type-plate" }));
    assert!(matches!(nowhere, Err(errand::CantDo::Nowhere(_))), "{nowhere:?}");
    for (errand, what) in [
        (json!({ "car": "car-1", "do": "type-plate", "kiosk": "entry-1" }), "entry-1"),
        (json!({ "car": "car-1", "do": "type-plate", "kiosk": "pay-1", "text": "A/1" }), "`/`"),
        (json!({ "car": "car-1", "do": "type-plate", "kiosk": "pay-1", "text": "京A1" }), "`京`"),
    ] {
        let why = rig.run(errand.clone()).unwrap_err().to_string();
        assert!(why.contains(what), "{errand}: {why}");
    }
}
