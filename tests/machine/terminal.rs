//! `kioskctl` in a terminal of its own: `top`, and the picture of the glass.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use crate::bus::kit::Bus;
use kioskd_tests::PATIENCE;
use kioskd_tests::child::command;
use kioskd_tests::machine::{Machine, wait_at_most};
use kioskd_tests::terminal::Terminal;

fn in_terminal(bus: &Bus, size: (u16, u16), environment: &[&str], words: &[&str]) -> Terminal {
    let address = format!("DBUS_SYSTEM_BUS_ADDRESS={}", bus.address());
    let environment = [&[address.as_str()], environment].concat();
    Terminal::start(size, &environment, Path::new(env!("CARGO_BIN_EXE_kioskctl")), words)
}

fn start(bus: &Bus) -> Machine {
    let machine = Machine::start(&bus.setup());
    bus.wait_property("Status", "Selling", |selling| *selling == true);
    machine
}

fn decoded(file: &Path) -> String {
    let read = command("zbarimg").args(["--raw", "-q"]).arg(file).output().unwrap();
    String::from_utf8(read.stdout).unwrap().trim().to_owned()
}

#[test]
fn top_shows_the_kiosk_and_does_what_is_asked_and_outlives_it() {
    let mut bus = Bus::start();
    let machine = start(&bus);
    machine.wallet(&machine.offer(&["cola"]), "pay");
    machine.until_state("delivered");
    let top = in_terminal(&bus, (80, 24), &[], &["top"]);
    top.until(&["K0001 of demo sells", "devices   board ok", "┌ glass", "delivered", "3.00 CNY", "q quit"]);
    top.press("Enter");
    top.until(&[" story ", "unit 1: fell from A"]);
    top.press("Escape");
    top.until(&["q quit"]);

    top.press("m");
    top.until(&["Begin maintenance? Nothing is sold meanwhile. y = yes"]);
    top.press("n");
    top.until(&["nothing was done", "K0001 of demo sells"]);
    top.press("m");
    top.press("y");
    top.until(&["K0001 of demo does not sell", "somebody works on it", "-> when the work is done", "done"]);
    top.press("m");
    top.until(&["End maintenance?"]);
    top.press("y");
    top.until(&["K0001 of demo sells"]);
    top.press("u");
    top.until(&["it is not locked"]);

    machine.until("attract");
    let payload = machine.offer(&["tea"]);
    top.press("s");
    top.until(&["kiosk.png has what the customer sees"]);
    assert_eq!(decoded(&top.folder().join("kiosk.png")), payload);

    top.resize(200, 50);
    let wide = |screen: &String| {
        screen.lines().any(|line| line.chars().count() > 150) && screen.contains("waiting-payment  0.00 CNY")
    };
    assert!(wait_at_most(PATIENCE, || Some(top.screen()).filter(wide)).is_some(), "{}", top.screen());
    let colored = wait_at_most(PATIENCE, || Some(top.colored()).filter(|all| all.contains("▀")));
    assert!(colored.is_some(), "the glass is drawn of half blocks");
    // Where there is no room for a picture.
    top.resize(40, 20);
    let narrow = |screen: &String| {
        let whole = format!("└{}┘", "─".repeat(38));
        !screen.contains("┌ glass") && screen.contains("K0001 of demo sells") && screen.matches(&whole).count() == 2
    };
    assert!(wait_at_most(PATIENCE, || Some(top.screen()).filter(narrow)).is_some(), "{}", top.screen());
    top.resize(12, 4);
    top.resize(80, 24);
    top.until(&["┌ glass", "K0001 of demo sells"]);

    let boot = bus.property("Status", "Boot").unwrap();
    machine.world(json!({ "power": "cut" }));
    bus.wait_property("Status", "Boot", |now| *now != boot);
    let boot = bus.property("Status", "Boot").unwrap();
    top.until(&["K0001 of demo sells", boot.as_str().unwrap()]);
    bus.kill();
    top.until(&["no answer: there is no bus"]);
    top.press("r");
    top.until(&["there is no kiosk to ask"]);
    bus.again();
    top.until(&["K0001 of demo sells"]);
    top.press("q");
    top.until(&["ended with 0"]);
}

#[test]
fn top_without_colours_or_without_a_terminal() {
    let bus = Bus::start();
    let _machine = start(&bus);
    let top = in_terminal(&bus, (80, 24), &["NO_COLOR=1"], &["top"]);
    top.until(&["K0001 of demo sells", "q quit"]);
    let all = top.colored();
    assert!(!all.contains("\u{1b}[32m") && !all.contains("\u{1b}[38;"), "{all:?}");
    top.press("C-c");
    top.until(&["ended with 0"]);
    let told = command(env!("CARGO_BIN_EXE_kioskctl")).arg("top").output().unwrap();
    assert_eq!(told.status.code(), Some(2));
    let says = String::from_utf8(told.stderr).unwrap();
    assert_eq!(says.trim(), "kioskctl: top needs a terminal; `kioskctl status` says the same once");
}

/// The code that is drawn of half blocks, read by another's decoder.
fn code_on(screen: &str) -> Option<String> {
    let lines: Vec<Vec<char>> = screen
        .lines()
        .skip_while(|line| !line.starts_with("the code on the glass:"))
        .skip(1)
        .take_while(|line| !line.starts_with("ended"))
        .map(|line| line.chars().collect())
        .collect();
    let mut light = BTreeMap::new();
    for (row, line) in lines.iter().enumerate() {
        for (x, drawn) in line.iter().enumerate() {
            light.insert((x, 2 * row), matches!(drawn, '█' | '▀'));
            light.insert((x, 2 * row + 1), matches!(drawn, '█' | '▄'));
        }
    }
    const SCALE: usize = 4;
    let wide = lines.iter().map(Vec::len).max()?;
    let at = |x: usize, y: usize| if light.get(&(x / SCALE, y / SCALE)).is_none_or(|light| *light) { 255 } else { 0 };
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(wide * SCALE, lines.len() * 2 * SCALE, at);
    image.detect_grids().iter().find_map(|grid| grid.decode().ok()).map(|(_, text)| text)
}

#[test]
fn a_screenshot_goes_to_a_file_a_pipe_or_the_terminal() {
    let bus = Bus::start();
    let machine = start(&bus);
    let payload = machine.offer(&["cola"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("glass.png");
    let kioskctl = |words: &[&str]| {
        let mut kioskctl = command(env!("CARGO_BIN_EXE_kioskctl"));
        kioskctl.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address()).args(words).output().unwrap()
    };
    let told = kioskctl(&["screenshot", file.to_str().unwrap()]);
    assert!(told.status.success(), "{told:?}");
    assert_eq!(decoded(&file), payload);
    let shown = image::load_from_memory(&machine.bytes("/api/screen.png")).unwrap().to_rgb8();
    let taken = image::load_from_memory(&std::fs::read(&file).unwrap()).unwrap().to_rgb8();
    assert_eq!(taken.dimensions(), shown.dimensions());
    let told = kioskctl(&["screenshot", "--json", file.to_str().unwrap()]);
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["code"], payload);
    let piped = kioskctl(&["screenshot"]);
    std::fs::write(&file, &piped.stdout).unwrap();
    assert_eq!(decoded(&file), payload);
    let told = kioskctl(&["screenshot", "/nowhere/glass.png"]);
    assert_eq!(told.status.code(), Some(2));
    assert!(String::from_utf8(told.stderr).unwrap().contains("/nowhere/glass.png could not be written: "));

    let terminal = in_terminal(&bus, (100, 100), &[], &["screenshot"]);
    let drawn = terminal.until(&["the code on the glass:", "ended with 0"]);
    assert!(drawn.lines().take(10).any(|line| line.contains('▀')), "the picture is drawn of half blocks:\n{drawn}");
    assert_eq!(code_on(&drawn).as_deref(), Some(payload.as_str()), "{drawn}");
    let narrow = in_terminal(&bus, (30, 40), &[], &["screenshot"]);
    let told = narrow.until(&["ended with 0"]);
    assert!(told.replace('\n', "").contains("wider terminal; it says kioskpay://"), "{told}");
}

#[test]
fn a_restart_of_the_board_is_asked_about_first() {
    let bus = Bus::start();
    let _machine = start(&bus);
    let boot = bus.property("Status", "Boot").unwrap();
    let asked = |key, told: &[&str]| {
        let shell = in_terminal(&bus, (80, 24), &[], &["reboot"]);
        shell.until(&["Restart the board? Nothing is sold until it is up again. y = yes"]);
        shell.press(key);
        shell.press("Enter");
        shell.until(told);
    };
    asked("n", &["kioskctl: nothing was done", "ended with 1"]);
    assert_eq!(bus.property("Status", "Boot").as_ref(), Some(&boot));
    asked("y", &["the board restarts", "ended with 0"]);
    bus.wait_property("Status", "Boot", |now| *now != boot);
}
