//! The configurations for real boards: they pass `kioskd check`, and the wiring guide says the same as they do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kioskd::kiosk::check;
use serde_json::Value;

/// BCM number by the header's pin, as on every 40-pin Raspberry Pi (<https://pinout.xyz>).
const HEADER: [(u32, u32); 26] = [
    (3, 2),
    (5, 3),
    (7, 4),
    (8, 14),
    (10, 15),
    (11, 17),
    (12, 18),
    (13, 27),
    (15, 22),
    (16, 23),
    (18, 24),
    (19, 10),
    (21, 9),
    (22, 25),
    (23, 11),
    (24, 8),
    (26, 7),
    (29, 5),
    (31, 6),
    (32, 12),
    (33, 13),
    (35, 19),
    (36, 16),
    (37, 26),
    (38, 20),
    (40, 21),
];

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_raspberry_pi_is_wired_as_the_guide_says() {
    let fonts = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fonts");
    let text = read("configs/raspberry-pi.toml").replace("/usr/share/kioskd/fonts", fonts.to_str().unwrap());
    let config = check::parse(Path::new("/etc/kioskd/kiosk.toml"), text.as_bytes()).unwrap();

    let guide = read("docs/board.md");
    let cells = |row: &str| row.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect::<Vec<_>>();
    let rows: BTreeMap<String, (String, u32)> = guide
        .lines()
        .map(cells)
        .filter(|row| row.len() > 4 && row[2].starts_with("GPIO") && !row[1].starts_with("I²C"))
        .map(|row| (row[1].clone(), (row[2].clone(), row[3].parse().unwrap())))
        .collect();
    let wired: BTreeMap<String, String> =
        config.lines.iter().map(|line| (line.name.clone(), line.line.clone().unwrap())).collect();
    let said: BTreeMap<String, String> = rows.iter().map(|(name, (gpio, _))| (name.clone(), gpio.clone())).collect();
    assert_eq!(wired, said);
    for (name, (gpio, pin)) in &rows {
        let bcm: u32 = gpio["GPIO".len()..].parse().unwrap();
        assert!(HEADER.contains(&(*pin, bcm)), "{name}: {gpio} is not on pin {pin}");
        // Pulled down from reset until the kiosk starts.
        assert!(
            !name.starts_with("slot-") || (9..=27).contains(&bcm),
            "{name}: a relay on {gpio} is on while it boots"
        );
    }
}

/// systemd ignores what it does not understand, and only says so. `exposure` from 0 to 10, in tenths.
fn systemd_understands(unit: &str, program: &str, exposure: u32) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(unit);
    let text = read(&format!("systemd/{unit}"));
    let (installed, name) = (format!("/usr/bin/{}", Path::new(program).file_name().unwrap().display()), "ExecStart=");
    assert!(text.contains(&format!("{name}{installed} ")), "{unit} does not start {installed}");
    std::fs::write(&file, text.replace(&installed, program)).unwrap();
    let analyze = |arguments: &[&str]| {
        let output = kioskd_tests::child::command("systemd-analyze").args(arguments).arg(&file).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(analyze(&["verify", "--man=no", "--recursive-errors=no"]), (true, String::new()), "{unit}");
    let threshold = format!("--threshold={exposure}");
    let (safe, said) = analyze(&["security", "--no-pager", "--offline=yes", &threshold]);
    assert!(safe, "{unit}: {said}");
}

/// What is open is what a kiosk needs, its devices and the network.
#[test]
fn systemd_understands_the_kiosks_unit() {
    systemd_understands("kioskd.service", env!("CARGO_BIN_EXE_kioskd"), 25);
    systemd_understands("kioskd@.service", env!("CARGO_BIN_EXE_kioskd"), 25);
}

/// One of several on a board has its own files, and everything else like the only one.
#[test]
fn the_unit_of_one_of_several_kiosks_is_the_kiosks_unit_with_its_own_names() {
    let lines = |unit: &str| {
        let unit = read(unit);
        unit.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    };
    let one = lines("systemd/kioskd.service").into_iter().map(|line| {
        let (key, value) = line.split_once('=').unwrap_or((&line, ""));
        match key {
            "Description" => format!("{key}={value}, %i"),
            "ExecStart" | "ExecStopPost" => line.replace("/etc/kioskd/kiosk.toml", "/etc/kioskd/%i.toml"),
            "RuntimeDirectory" | "StateDirectory" => format!("{key}={value}/%i"),
            _ => line,
        }
    });
    assert_eq!(lines("systemd/kioskd@.service"), one.collect::<Vec<_>>());
}

/// The network only.
#[cfg(feature = "back-end")]
#[test]
fn systemd_understands_the_gateways_unit() {
    systemd_understands("kioskfleet-gateway.service", env!("CARGO_BIN_EXE_kioskfleet"), 12);
    let unit = read("systemd/kioskfleet-gateway.service");
    let guide = read("docs/gateway.md");
    let keys = unit.lines().filter_map(|line| line.trim_start_matches("# ").strip_prefix("LoadCredential="));
    let names: Vec<&str> = keys.filter_map(|key| key.split(':').next()).collect();
    assert!(names.len() > 3);
    // Every key of the guide's configuration can be handed over by that name.
    for name in guide.split("\"credential:").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(names.contains(&name), "the unit hands over no {name}");
    }
    assert!(guide.contains("credential:gateway.key"));
}

/// The network and a folder of its own. What it types is what `kioskfleet` takes, and every key it names is handed over.
#[cfg(feature = "back-end")]
#[test]
fn systemd_understands_the_collectors_unit_and_kioskfleet_its_command() {
    systemd_understands("kioskfleet-collector.service", env!("CARGO_BIN_EXE_kioskfleet"), 12);
    let unit = read("systemd/kioskfleet-collector.service").replace("\\\n", "");
    let value = |line: &str, key: &str| line.trim_start_matches("# ").strip_prefix(key).map(str::to_owned);
    let handed = unit.lines().filter_map(|line| value(line, "LoadCredential="));
    let handed: Vec<String> = handed.map(|key| key.split(':').next().unwrap().to_owned()).collect();
    let typed = unit.lines().find_map(|line| value(line, "ExecStart=/usr/bin/kioskfleet ")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let here = |path: &str| path.replace("/var/lib/kioskfleet", folder.path().to_str().unwrap());
    let store = here(&unit.lines().find_map(|line| value(line, "Environment=DATABASE=")).unwrap());
    for key in typed.split("credential:").skip(1).map(|rest| rest.split(' ').next().unwrap()).chain(["database"]) {
        assert!(handed.iter().any(|name| name == key), "the unit hands over no {key}");
    }
    let variables = [("${BROKER}", "mqtt://127.0.0.1:1"), ("${FLEET}", "street"), ("${DATABASE}", store.as_str())];
    let typed = variables.iter().fold(typed, |typed, (name, value)| typed.replace(name, value));
    let mut collect = kioskd_tests::child::command(env!("CARGO_BIN_EXE_kioskfleet"));
    let output = collect.args(typed.split_whitespace()).env_remove("CREDENTIALS_DIRECTORY").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    // It has understood all of it, and stands on nothing here.
    assert!(output.status.code() == Some(1) && said.contains("/etc/kioskfleet/kiosks: No such file"), "{said}");
    assert!(read("docs/collector.md").contains("systemd/kioskfleet-collector.service"));
}

/// Every node that is named in a folder's sources, tests aside.
fn nodes(folder: &Path, into: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            nodes(&path, into);
            continue;
        }
        if path.ends_with("lab.rs") || path.ends_with("tests.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let strings = code.flat_map(|line| line.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>());
        let is_node = |text: &String| text.strip_prefix("/dev/").is_some_and(|rest| !rest.is_empty());
        into.extend(strings.filter(is_node).map(|node| node.replace('^', "")));
    }
}

/// The names of the kernel's groups of devices, as in /proc/devices, by how their nodes begin. `None`: not for a kiosk.
const GROUPS: [(&str, Option<&str>); 15] = [
    ("/dev/dri", Some("drm")),
    ("/dev/fb", Some("fb")),
    ("/dev/input", Some("input")),
    ("/dev/gpiochip", Some("gpiochip")),
    // Up to the Raspberry Pi 4, in the kernels that came with it; the 5's and newer kernels'.
    ("/dev/gpiomem", Some("bcm2835-gpiomem")),
    ("/dev/gpiomem", Some("rpi-gpiomem")),
    ("/dev/usb", Some("usb")),
    ("/dev/ttyUSB", Some("ttyUSB")),
    ("/dev/ttyACM", Some("ttyACM")),
    ("/dev/ttyAMA", Some("ttyAMA")),
    ("/dev/ttyS", Some("ttyS")),
    ("/dev/serial", Some("ttyUSB")),
    ("/dev/i2c-", Some("i2c")),
    // All of the memory: root's, and only where there is no /dev/gpiomem.
    ("/dev/mem", None),
    ("/dev/watchdog", None),
];

/// What the drivers open, ours and the one for a Pi's registers, the unit allows.
#[test]
fn the_unit_allows_every_device_that_a_driver_opens() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut opened = BTreeSet::new();
    for room in ["board", "input", "printer", "screen", "config"] {
        nodes(&root.join("src").join(room), &mut opened);
    }
    let arguments = ["metadata", "--format-version=1", "--locked", "--offline"];
    let metadata = kioskd_tests::child::command(env!("CARGO")).args(arguments).current_dir(root).output().unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let rppal = metadata["packages"].as_array().unwrap().iter().find(|package| package["name"] == "rppal").unwrap();
    let rppal = Path::new(rppal["manifest_path"].as_str().unwrap()).parent().unwrap().join("src/gpio");
    nodes(&rppal, &mut opened);
    for node in ["/dev/gpiomem", "/dev/gpiomem0", "/dev/gpiochip", "/dev/fb0", "/dev/i2c-1"] {
        assert!(opened.iter().any(|opened| opened.starts_with(node)), "{node} is not even looked for: {opened:?}");
    }

    let unit = read("systemd/kioskd.service");
    let allowed: Vec<&str> =
        unit.lines().filter_map(|line| line.strip_prefix("DeviceAllow=char-")?.strip_suffix(" rw")).collect();
    let allows = |group: &str| {
        allowed.iter().any(|pattern| match pattern.split('*').collect::<Vec<_>>()[..] {
            [whole] => whole == group,
            ["", part, ""] => group.contains(part),
            _ => panic!("{pattern}"),
        })
    };
    for node in &opened {
        let groups: Vec<_> = GROUPS.iter().filter(|(begins, _)| node.starts_with(begins)).collect();
        assert!(!groups.is_empty(), "{node}: whose is it?");
        for group in groups.iter().filter_map(|(_, group)| *group) {
            assert!(allows(group), "{node} needs DeviceAllow=char-{group} rw");
        }
    }
}

/// What ExecStopPost reads must still be there when it runs, and after it.
#[test]
fn the_unit_keeps_what_was_claimed() {
    let unit = read("systemd/kioskd.service");
    for line in ["RuntimeDirectory=kioskd", "RuntimeDirectoryPreserve=yes"] {
        assert!(unit.lines().any(|said| said == line), "{line}");
    }
}
