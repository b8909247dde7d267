//! Pictures that come from the fleet: fetched over HTTPS from another's server, seen on the glass, swept when nothing names
//! them; and what is no picture, or a bomb, is refused with its reason and leaves nothing behind.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::{Rgb, RgbImage};
use kioskd_tests::double::Double;
use kioskd_tests::machine::Setup;
use kioskd_tests::site::certificates;
use kioskd_tests::{PATIENCE, wait_for};
use serde_json::{Value, json};

use crate::commands::Office;
use crate::fleet::{kiosk_of, memory};

const TRIAL: (&str, &str) = ("start_delay = \"0s\"", "trial = \"20s\"\nstart_delay = \"0s\"");
const RED: [u8; 3] = [250, 10, 20];
const GREEN: [u8; 3] = [10, 240, 30];

struct Fleet {
    office: Office,
    server: Double,
    folder: tempfile::TempDir,
}

impl Fleet {
    /// `limits`: more of `[media]`.
    fn start(limits: &str) -> Self {
        Self::with(limits, "local = true\n")
    }

    fn with(limits: &str, local: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certificates(folder.path(), &[]);
        let server = Double::start("media/server.py", folder.path());
        let media = format!("[media]\nca = \"{}/ca.pem\"\n{local}{limits}\n[glass]\n", folder.path().display());
        let soon = ("browse_timeout = \"60s\"", "browse_timeout = \"8s\"");
        let config = vec![TRIAL, soon, ("[glass]\n", &*media.leak())];
        Self { office: Office::with(Setup { config, ..Setup::default() }), server, folder }
    }

    /// Puts a file onto the server. Its name there and its SHA-256 by another program.
    fn put(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let told = kioskd_tests::child::command("sha256sum").arg(&path).output().unwrap();
        String::from_utf8(told.stdout).unwrap()[..64].to_owned()
    }

    fn how(&self, name: &str, how: &str) {
        std::fs::write(self.folder.path().join(format!("{name}.how")), how).unwrap();
    }

    fn medium(&self, name: &str, sha256: &str) -> Value {
        json!({ "sha256": sha256, "url": format!("{}/{name}", self.server.url()) })
    }

    /// Where each request for it began.
    fn asked(&self, name: &str) -> Vec<usize> {
        let all = std::fs::read_to_string(self.folder.path().join("asked")).unwrap_or_default();
        let its = all.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        its.map(|begin| begin.parse().unwrap()).collect()
    }

    fn sends(&self, words: &[&str]) -> (bool, Vec<String>) {
        let (key, kiosk) = (self.office.key("config.key"), self.office.key("kiosk.pem"));
        let options = ["--kiosk", "K0001", "--sign", &key, "--kiosk-key", &kiosk, "--timeout", "60"];
        let words: Vec<&str> = ["set-media"].iter().chain(words).copied().collect();
        let (well, lines, error) = self.office.send_with(&options, &words);
        assert!(!lines.is_empty(), "{error}");
        (well, lines)
    }

    fn cola(&self, name: &str, sha256: &str) -> (bool, Vec<String>) {
        self.sends(&[&format!("products={}", json!({ "cola": self.medium(name, sha256) }))])
    }

    /// That it has no effect, and why.
    fn refused(&self, (well, lines): (bool, Vec<String>), end: &str, why: &str) {
        let last = lines.last().unwrap();
        assert!(!well && lines.len() == 3, "{lines:?}: {why}");
        assert!(last.starts_with(&format!("K0001 {end}: ")) && last.contains(why), "{last}: {why}");
        assert_eq!(self.there(), BTreeSet::new(), "{why}");
    }

    fn there(&self) -> BTreeSet<String> {
        let files = std::fs::read_dir(self.office.machine.state.join("media"));
        let files = files.into_iter().flatten().map(|file| file.unwrap().file_name().into_string().unwrap());
        files.collect()
    }

    fn glass(&self) -> RgbImage {
        image::load_from_memory(&self.office.machine.bytes("/api/screen.png")).unwrap().into_rgb8()
    }

    fn shows(&self, color: [u8; 3]) -> bool {
        self.glass().pixels().filter(|pixel| pixel.0 == color).count() > 400
    }
}

fn picture(color: [u8; 3]) -> Vec<u8> {
    noisy(60, 60, |_, _| Rgb(color))
}

/// Far more bytes than a plain one.
fn noise(width: u32, height: u32) -> Vec<u8> {
    let mut seed = 1u32;
    noisy(width, height, |_, _| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Rgb([(seed >> 8) as u8, (seed >> 16) as u8, (seed >> 24) as u8])
    })
}

fn noisy(width: u32, height: u32, color: impl FnMut(u32, u32) -> Rgb<u8>) -> Vec<u8> {
    let mut png = std::io::Cursor::new(Vec::new());
    RgbImage::from_fn(width, height, color).write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

fn squeezed(bytes: usize) -> Vec<u8> {
    let mut out = ZlibEncoder::new(Vec::new(), Compression::best());
    out.write_all(&vec![0; bytes]).unwrap();
    out.finish().unwrap()
}

/// A PNG that says it is so large; its rows are there and nothing.
fn unfolds(width: u32, height: u32, rows: &[u8]) -> Vec<u8> {
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    let chunks = [("IHDR", head), ("IDAT", rows.to_vec()), ("IEND", Vec::new())];
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in chunks {
        let mut sum = flate2::Crc::new();
        sum.update(&[name.as_bytes(), &data].concat());
        file.extend((data.len() as u32).to_be_bytes());
        file.extend([name.as_bytes(), &data, &sum.sum().to_be_bytes()].concat());
    }
    file
}

fn trail(end: &str) -> Vec<String> {
    ["K0001 accepted", "K0001 executing", end].map(str::to_owned).to_vec()
}

const DONE: &str = "K0001 successful: done";

#[test]
fn a_picture_is_fetched_where_it_broke_off_seen_on_the_glass_and_swept_when_nothing_names_it() {
    let fleet = Fleet::start("");
    let machine = &fleet.office.machine;
    let red = fleet.put("red.png", &picture(RED));
    let noise = noise(400, 300);
    let slide = fleet.put("slide.png", &noise);
    assert!(!fleet.shows(RED));
    fleet.how("slide.png", &format!("break {}", noise.len() / 2));
    let asked = |sha256: &str, name: &str| format!("products={}", json!({ "cola": fleet.medium(name, sha256) }));
    let slides = format!("slides={}", json!([fleet.medium("slide.png", &slide)]));

    // In front of somebody who pays nothing changes.
    let payload = machine.offer(&["cola"]);
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| fleet.sends(&[&asked(&red, "red.png"), &slides]));
        wait_for("both pictures", PATIENCE, || (fleet.there() == [red.clone(), slide.clone()].into()).then_some(()));
        machine.wallet(&payload, "pay");
        machine.until_state("delivered");
        assert_eq!(sent.join().unwrap(), (true, trail(DONE)), "{}", machine.log());
    });
    let half = fleet.asked("slide.png");
    assert!(half.len() == 2 && half[0] == 0 && half[1] > 100_000, "it has gone on where it broke off: {half:?}");
    assert_eq!(fleet.asked("red.png"), [0]);
    machine.until("attract");
    // The slide covers the whole glass while nobody is there; a touch leads to the products.
    wait_for("the slide", PATIENCE, || {
        let glass = fleet.glass();
        let colors: BTreeSet<[u8; 3]> = glass.pixels().map(|pixel| pixel.0).collect();
        (colors.len() > 20_000).then_some(())
    });
    machine.tap("start");
    machine.until("choose");
    assert!(fleet.shows(RED), "{}", machine.log());
    let status = fleet.office.state()["config"].clone();
    assert_eq!((status["origin"].clone(), status.get("missing_media")), (json!("fleet"), None));

    // It outlives a power cut, and is not fetched again.
    fleet.office.cut();
    machine.tap("start");
    machine.until("choose");
    assert!(fleet.shows(RED));
    let again = fleet.sends(&[&asked(&red, "red.png"), &slides]);
    assert_eq!(again, (true, trail("K0001 successful: it was so already")));
    assert_eq!(fleet.asked("red.png"), [0]);

    // Another takes its place: the first is not named any more.
    let green = fleet.put("green.png", &picture(GREEN));
    machine.until("attract");
    let sent = fleet.sends(&[&asked(&green, "green.png"), "slides=[]"]);
    assert_eq!(sent, (true, trail(DONE)), "{}", machine.log());
    machine.wait("the sweep", || (fleet.there() == [green.clone()].into()).then_some(()));
    machine.until("attract");
    machine.tap("start");
    machine.until("choose");
    assert!(fleet.shows(GREEN) && !fleet.shows(RED));
    // Somebody else has thrown it away: the state says so, and it comes again.
    std::fs::remove_file(machine.state.join("media").join(&green)).unwrap();
    fleet.office.cut();
    let missing = || fleet.office.state()["config"].get("missing_media").cloned();
    machine.wait("that it is missed", || (missing() == Some(json!([green]))).then_some(()));
    let sent = fleet.sends(&[&asked(&green, "green.png")]);
    assert_eq!(sent, (true, trail("K0001 successful: it was so already")));
    machine.wait("that it is there", || missing().is_none().then_some(()));
    machine.tap("start");
    machine.until("choose");
    assert!(fleet.shows(GREEN));
    machine.verify();
}

#[test]
fn what_is_no_picture_or_a_bomb_is_refused_and_leaves_nothing() {
    let fleet = Fleet::start("max_size = \"1 MiB\"\nmax_total = \"1500 KiB\"\npatience = \"20s\"");
    let machine = &fleet.office.machine;
    let red = fleet.put("red.png", &picture(RED));
    let boot = fleet.office.state()["boot"].clone();
    let kiosk = kiosk_of(&machine.state);
    let (before, _) = memory(kiosk);
    let rejected = |name: &str, bytes: &[u8], why: &str| {
        let sha256 = fleet.put(name, bytes);
        fleet.refused(fleet.cola(name, &sha256), "rejected", why);
    };
    // 1 MiB that unfolds to a gigabyte, and 14 gigabytes said by the head alone.
    let gigabyte = squeezed(1 << 30);
    assert!(gigabyte.len() < 1 << 20);
    rejected("bomb.png", &unfolds(16_384, 16_384, &gigabyte), "it unfolds to more than 4096 pixels a side");
    rejected("head.png", &unfolds(60_000, 60_000, &squeezed(100)), "it unfolds to more than");
    rejected("square.png", &unfolds(4_096, 4_096, &squeezed(64 << 20)), "or 40 MiB");
    rejected("cut.png", &picture(RED)[..100], "the picture of cola: it is damaged");
    rejected("text.png", b"<html>log in to our network</html>", "it is not a PNG or JPEG picture");
    rejected("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "it is not a PNG or JPEG picture");
    rejected("liar.jpg", &[&b"\xff\xd8\xff"[..], &picture(RED)].concat(), "it is damaged");
    rejected("large.png", &noise(1_000, 500), "it is larger than [media] max_size, 1 MiB");
    let (after, most) = memory(kiosk);
    assert!(after < before + (24 << 10), "memory in KiB: {before}, then {after}");
    assert!(most < before + (96 << 10), "memory in KiB: {before}, at most {most}");

    // Another file than was asked for; and of two that are right only together too much.
    fleet.refused(fleet.cola("red.png", &"0".repeat(64)), "rejected", &format!("its SHA-256 is {red}"));
    let (one, other) = (fleet.put("one.png", &noise(600, 550)), fleet.put("other.png", &noise(600, 560)));
    let both = json!([fleet.medium("one.png", &one), fleet.medium("other.png", &other)]);
    let (well, lines) = fleet.sends(&[&format!("slides={both}")]);
    assert!(
        !well && lines.last().unwrap().contains("all pictures together are larger than [media] max_total"),
        "{lines:?}"
    );
    assert_eq!(fleet.there().len(), 1, "the one that is right is there for another command");

    // Whoever leads elsewhere.
    fleet.how("red.png", "to http://127.0.0.1:9/red.png");
    let (well, lines) = fleet.cola("red.png", &red);
    assert!(!well && lines.last().unwrap().starts_with("K0001 failed: the picture of cola: "), "{lines:?}");
    assert!(
        lines.last().unwrap().contains("leads to http://127.0.0.1:9/red.png, and only HTTPS is gone to"),
        "{lines:?}"
    );
    assert_eq!(fleet.there(), BTreeSet::new());
    // The right is another key's.
    let key = fleet.office.key("office.key");
    let words = ["set-media", &format!("logo={}", fleet.medium("red.png", &red))];
    let (well, lines, _) = fleet.office.send_with(&["--kiosk", "K0001", "--sign", &key], &words);
    assert!(!well && lines.last().unwrap().ends_with("who asks may not change the configuration"), "{lines:?}");
    assert_eq!(fleet.office.state()["boot"], boot, "nothing of it has started the kiosk anew");
    assert_eq!(fleet.office.state()["config"]["origin"], "file");

    // A configuration can't name what is not there.
    let config = std::fs::read_to_string(file(&fleet)).unwrap();
    let own = kioskd_tests::repository().join("assets/pictures/cola.png");
    let config = config.replace(own.to_str().unwrap(), &format!("sha256:{red}"));
    let new = fleet.folder.path().join("new.toml");
    std::fs::write(&new, config).unwrap();
    let key = fleet.office.key("config.key");
    let words = ["apply-config", &format!("config=@{}", new.display())];
    let (_, lines, _) = fleet.office.send_with(&["--kiosk", "K0001", "--sign", &key], &words);
    assert!(lines.last().unwrap().ends_with("is not on this machine; send it with set-media first"), "{lines:?}");
    machine.verify();
}

fn file(fleet: &Fleet) -> PathBuf {
    let state = fleet.office.machine.state.parent().unwrap();
    let files = std::fs::read_dir(state).unwrap().map(|entry| entry.unwrap().path());
    files.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "toml")).unwrap()
}

#[test]
fn a_power_cut_in_the_middle_leaves_no_half_picture_and_the_next_command_goes_on() {
    let fleet = Fleet::start("");
    let machine = &fleet.office.machine;
    let noise = noise(400, 300);
    let sha256 = fleet.put("noise.png", &noise);
    fleet.how("noise.png", "hold 200000");
    let before = fleet.office.state()["config"].clone();
    let part = machine.state.join("media").join(format!("{sha256}.part"));
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| fleet.cola("noise.png", &sha256));
        machine.wait("its half", || (std::fs::metadata(&part).ok()?.len() >= 200_000).then_some(()));
        machine.world(json!({ "power": "cut" }));
        let (well, lines) = sent.join().unwrap();
        let end = lines.last().unwrap();
        assert!(!well && end.starts_with("K0001 failed: the machine started anew"), "never left in between: {lines:?}");
    });
    machine.until("attract");
    assert_eq!(fleet.there(), [format!("{sha256}.part")].into(), "not in use, and not thrown away");
    assert_eq!(fleet.office.state()["config"], before);
    std::fs::remove_file(fleet.folder.path().join("noise.png.how")).unwrap();
    assert_eq!(fleet.cola("noise.png", &sha256), (true, trail(DONE)), "{}", machine.log());
    assert_eq!(fleet.there(), [sha256.clone()].into());
    let asked = fleet.asked("noise.png");
    assert!(asked.len() == 2 && asked[1] >= 200_000, "it has gone on: {asked:?}");
    assert_eq!(std::fs::read(machine.state.join("media").join(&sha256)).unwrap(), noise);
    machine.verify();
}

#[test]
fn what_a_configuration_that_was_given_up_has_named_is_swept() {
    let fleet = Fleet::start("");
    let machine = &fleet.office.machine;
    let red = fleet.put("red.png", &picture(RED));
    fleet.how("red.png", "hold 100");
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| fleet.cola("red.png", &red));
        machine.wait("its beginning", || (!fleet.asked("red.png").is_empty()).then_some(()));
        // It will not reach the fleet.
        machine.world(json!({ "network": "down" }));
        std::fs::remove_file(fleet.folder.path().join("red.png.how")).unwrap();
        machine.wait("the trial", || (fleet.there() == [red.clone()].into()).then_some(()));
        machine.wait("the way back", || (fleet.office.state()["config"]["rejected"].is_object()).then_some(()));
        machine.wait("the sweep", || fleet.there().is_empty().then_some(()));
        machine.world(json!({ "network": "up" }));
        let (well, lines) = sent.join().unwrap();
        assert!(
            !well && lines.last().unwrap().starts_with("K0001 failed: the kiosk could not sell with it"),
            "{lines:?}"
        );
    });
    machine.until("attract");
    machine.tap("start");
    machine.until("choose");
    assert!(!fleet.shows(RED) && fleet.office.state()["config"]["origin"] == "file");
    machine.verify();
}

#[test]
fn a_server_that_is_away_is_asked_again_for_a_time_and_this_machine_is_none() {
    let fleet = Fleet::start("patience = \"5s\"");
    let red = fleet.put("red.png", &picture(RED));
    // For what can't be used anyway nobody is asked.
    let milk = format!("products={}", json!({ "milk": fleet.medium("red.png", &red) }));
    fleet.refused(fleet.sends(&[&milk]), "rejected", "there is no product `milk`");
    assert_eq!(fleet.asked("red.png"), Vec::<usize>::new());
    fleet.how("red.png", "says 503");
    let began = std::time::Instant::now();
    fleet.refused(fleet.cola("red.png", &red), "failed", "the server answers 503");
    let asked = fleet.asked("red.png").len();
    // Five seconds, and what a busy machine adds to them.
    assert!(began.elapsed() < PATIENCE && (2..40).contains(&asked), "{asked}");
    fleet.refused(fleet.cola("none.png", &red), "failed", "the server answers 404");
    fleet.how("red.png", "hold 100");
    fleet.refused_with_a_part(fleet.cola("red.png", &red), "could not be fetched");
    drop(fleet);

    let fleet = Fleet::with("patience = \"5s\"", "");
    let red = fleet.put("red.png", &picture(RED));
    fleet.refused(fleet.cola("red.png", &red), "failed", "is an address of this machine or of its link");
    assert_eq!(fleet.asked("red.png"), Vec::<usize>::new());
}

impl Fleet {
    fn refused_with_a_part(&self, (well, lines): (bool, Vec<String>), why: &str) {
        let last = lines.last().unwrap();
        assert!(!well && last.starts_with("K0001 failed: ") && last.contains(why), "{lines:?}");
        assert!(self.there().iter().all(|name| name.ends_with(".part")), "{:?}", self.there());
    }
}
