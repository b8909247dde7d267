use super::*;
use crate::config::ConfigError;
use crate::fleet::keygen::keygen;
use crate::fleet::topic::Name;
use crate::kiosk::{check, start};
use crate::sale::event::{Condition, Effect};
use crate::sale::presented::Presented;
use crate::sale::{self, Record, State, Step};
use crate::vocabulary::{Mono, Stamp};

fn configured(file: &str, this: &str, that: &str) -> Result<Config, ConfigError> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(this), "{this}");
    check::parse(&path, text.replacen(this, that, 1).as_bytes())
}

#[test]
fn an_entry_by_plates_has_a_loop() {
    let by_plate = configured("parking-entry.toml", "places = 12", "places = 12\ntickets = \"plate\"").unwrap();
    assert_eq!(by_plate.parking.unwrap().tickets, Tickets::Plate);
    let plain = configured("parking-entry.toml", "places = 12", "places = 13").unwrap();
    assert_eq!(plain.parking.unwrap().tickets, Tickets::Paper);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/parking-entry.toml");
    let text = std::fs::read_to_string(&path).unwrap().replace("places = 12", "places = 12\ntickets = \"plate\"");
    let blind = text.replace("presence = \"loop-presence\"", "");
    let wrong = check::parse(&path, blind.as_bytes()).unwrap_err().to_string();
    assert!(wrong.contains("without a loop the gate would open for a car that only passes by"), "{wrong}");
    let wrong = configured("parking-exit.toml", "mode = \"exit\"", "mode = \"exit\"\ntickets = \"plate\"");
    let wrong = wrong.unwrap_err().to_string();
    assert!(wrong.contains("cars come in at an entry alone"), "{wrong}");
}

#[test]
fn an_entry_alone_does_without_a_screen() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/parking-entry.toml");
    let blind = |text: &str| {
        let glass = "driver = \"simulated\"\nwidth = 800\nheight = 1280\n";
        assert!(text.contains(glass));
        check::parse(&path, text.replace(glass, "driver = \"none\"\n").as_bytes())
    };
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(matches!(blind(&text).unwrap().glass.panel, crate::config::Panel::None));
    let wrong = blind(&text.replace("mode = \"entry\"", "mode = \"exit\"")).unwrap_err().to_string();
    assert!(wrong.contains("only an entry of a car park can do without a screen"), "{wrong}");
}

#[test]
fn a_season_pass_is_signed_by_the_sites_key_and_says_which_of_the_tariff_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["site-1", "site-9"] {
        keygen(folder.path(), &Name::parse(name).unwrap()).unwrap();
    }
    let config = configured("parking-entry.toml", "tariffs/short.toml", "tariffs/city.toml").unwrap();
    let mut parking = config.parking.unwrap();
    let order = SeasonOrder {
        number: 17,
        season: "office".into(),
        until: jiff::civil::date(2026, 12, 31),
        plate: Some(Plate::typed("KN AB 120").unwrap()),
    };
    let mut unsigned = parking.clone();
    unsigned.keys_in(folder.path());
    unsigned.issuing_key = None;
    let wrong = season_pass(&unsigned, &order).unwrap_err().to_string();
    assert!(wrong.contains("nothing is signed without the site's private key"), "{wrong}");

    std::fs::rename(folder.path().join("site-1.key"), folder.path().join("site.key")).unwrap();
    parking.keys_in(folder.path());
    let text = season_pass(&parking, &order).unwrap();
    let keys = keys(&parking, SiteNumber::new(parking.site).unwrap()).unwrap();
    let Code::Season(season) = Code::read(&text, &keys).unwrap() else { panic!("{text}") };
    assert_eq!((season.number, season.season, season.plate), (17, 0, order.plate.clone()));
    assert_eq!(season.until.to_string(), "2026-12-31 15:59Z", "the last minute of the day there");
    let wrong = season_pass(&parking, &SeasonOrder { season: "night".into(), ..order.clone() }).unwrap_err();
    assert_eq!(wrong.to_string(), "the tariff has no season pass `night`; there is: office");
    let late = SeasonOrder { until: jiff::civil::date(2200, 1, 1), ..order };
    assert!(matches!(season_pass(&parking, &late), Err(ParkingError::Until(_))));
}

#[test]
fn what_a_tariff_and_the_listed_passes_say_is_checked_with_the_configuration() {
    let listed = |passes: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/parking-entry.toml");
        let text = std::fs::read_to_string(&path).unwrap().replace("tariffs/short.toml", "tariffs/city.toml");
        check::parse(&path, format!("{text}\n{passes}").as_bytes())
    };
    let one = |number: u32, rest: &str| format!("[[parking.passes]]\nnumber = {number}\n{rest}\n");
    let office =
        |number, plate: &str| one(number, &format!("season = \"office\"\nuntil = 2026-12-31\nplate = \"{plate}\""));
    let config = listed(&(office(17, "KN AB 120") + &one(18, "withdrawn = true"))).unwrap();
    let (_, passes) = offer(&config, config.parking.as_ref().unwrap()).unwrap();
    let pass = passes.of(&Plate::typed("knab120").unwrap()).unwrap();
    assert_eq!((pass.number, pass.until.to_string().as_str()), (17, "2026-12-31 15:59Z"));
    assert!(passes.is_withdrawn(18) && !passes.is_withdrawn(17));
    for (passes, said) in [
        (office(17, "KN AB 120") + &office(17, "XY 9"), "pass 17 is listed twice; leave one of them out"),
        (office(17, "KN AB 120") + &one(17, "withdrawn = true"), "pass 17 is listed twice"),
        (office(17, "KN AB 120") + &office(18, "kn-ab-120"), "passes 17 and 18 are both of the car KNAB120"),
        (office(17, "K!"), "pass 17: a plate has letters and digits only"),
        (one(17, ""), "pass 17: it needs `season`; write it, or withdrawn = true"),
        (one(17, "season = \"office\"\nuntil = 2026-12-31"), "pass 17: it needs `plate`"),
        (office(17, "XY 9").replace("office", "night"), "the tariff has no season pass `night`; there is: office"),
    ] {
        let wrong = listed(&passes).unwrap_err().to_string();
        assert!(wrong.contains(said), "{wrong}");
    }
    let wrong = configured("parking-entry.toml", "\"CNY\"", "\"EUR\"").unwrap_err().to_string();
    assert!(wrong.contains("the tariff is in CNY and the kiosk in EUR"), "{wrong}");
    let wrong = configured("parking-entry.toml", "tariffs/short.toml", "parking-exit.toml").unwrap_err().to_string();
    assert!(wrong.contains("parking-exit.toml:"), "{wrong}");
}

/// The sale of the demo's entry, with keys that are made for it, and a car that may come.
struct Entry {
    state: State,
    at: Stamp,
    _keys: tempfile::TempDir,
}

impl Entry {
    fn new(tickets: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["site-1", "site-9", "lane-1", "lane-2", "lane-3"] {
            keygen(folder.path(), &Name::parse(name).unwrap()).unwrap();
        }
        std::fs::rename(folder.path().join("site-1.key"), folder.path().join("site.key")).unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/parking-entry.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("places = 12", tickets).replace("tariffs/short.toml", "tariffs/city.toml");
        let mut config = check::parse(&path, text.as_bytes()).unwrap();
        config.parking.as_mut().unwrap().keys_in(folder.path());
        let state = State::of(start::policy(&config), start::shop(&config).unwrap());
        let at = Stamp { now: Mono(1_000_000), wall: Some(Wall(1_795_996_800_000)), entropy: 1 };
        let mut entry = Self { state, at, _keys: folder };
        entry.hears(Event::Condition(Condition::Board { answers: true }));
        entry
    }

    fn hears(&mut self, event: Event) -> Step {
        self.at.now = self.at.now + std::time::Duration::from_secs(1);
        self.at.entropy += 1;
        sale::next(&mut self.state, &self.at, event).unwrap()
    }

    fn car(&mut self, there: bool) -> Step {
        self.hears(Event::Condition(Condition::CarWaits { there }))
    }

    fn sees(&mut self, plate: &str) -> Step {
        self.hears(Event::PlateSeen { plate: plate.into() })
    }
}

fn lets_in(step: &Step) -> bool {
    step.records.iter().any(|record| matches!(record, Record::OrderGranted { .. }))
}

fn prints(step: &Step) -> bool {
    step.effects.iter().any(|effect| matches!(effect, Effect::Print { .. }))
}

#[test]
fn a_car_whose_plate_was_read_is_let_in_as_it_comes_to_the_loop() {
    let mut entry = Entry::new("places = 12\ntickets = \"plate\"");
    entry.car(false);
    assert!(!lets_in(&entry.sees("KN AB 120")), "nobody is there yet");
    let step = entry.car(true);
    assert!(lets_in(&step) && !prints(&step), "without a button, and without a ticket: {step:?}");
    assert!(!lets_in(&entry.sees("KN AB 120")) && !lets_in(&entry.car(false)), "once");
    // One whose plate is read when it stands there.
    let mut entry = Entry::new("places = 12\ntickets = \"plate\"");
    assert!(!lets_in(&entry.car(true)));
    assert!(lets_in(&entry.sees("KN AB 120")));
}

#[test]
fn where_tickets_are_on_paper_a_plate_alone_lets_nobody_in() {
    let mut entry = Entry::new("places = 12");
    entry.car(true);
    assert!(!lets_in(&entry.sees("KN AB 120")));
    let step = entry.hears(Event::Presented(Presented::NoTicketYet));
    assert!(lets_in(&step) && prints(&step));
    let note = step.records.iter().find_map(|record| match record {
        Record::ShopNoted { value: Some(value), .. } => Some(value.to_string()),
        _ => None,
    });
    assert!(note.as_ref().is_some_and(|note| note.contains("KNAB120")), "{note:?}");
}

#[test]
fn a_car_with_a_listed_pass_is_let_in_by_its_plate_where_others_take_tickets() {
    let mut entry = Entry::new(
        "places = 12\n[[parking.passes]]\nnumber = 17\nseason = \"office\"\nuntil = 2026-12-31\nplate = \"KN AB 120\"",
    );
    entry.car(true);
    let step = entry.sees("KN AB 120");
    assert!(lets_in(&step) && !prints(&step), "{step:?}");
    entry.car(false);
    entry.car(true);
    assert!(!lets_in(&entry.sees("XY 9")), "that is another's");
}

#[test]
fn a_machine_that_sells_products_hears_of_no_plate() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/vending.toml");
    let config = check::load(&path).unwrap();
    let mut state = State::of(start::policy(&config), start::shop(&config).unwrap());
    let at = Stamp { now: Mono(1), wall: None, entropy: 1 };
    assert!(sale::next(&mut state, &at, Event::PlateSeen { plate: "KN AB 120".into() }).is_err());
}
