//! Inside of an emulated Raspberry Pi 3, as its first process: the processor's own GPIO block under Debian's kernel. It says
//! what it does; `tests/system/raspberry.rs` is outside and looks at the registers.

use std::fs;
use std::path::Path;
use std::process::Command;

use kioskd::board::BoardEvent;
use rustix::mount::{MountFlags, mount};

use super::lines::{config, start, text};

/// The emulated chip raises no interrupts. The board looks at its inputs with every heartbeat as well, and without
/// debouncing (by interrupts, in the kernel) it sees the wire itself.
const LINES: &str = "[[line]]\nname = \"slot-A1\"\nchip = \"pinctrl-bcm2835\"\noffset = 17\n\
                     [[line]]\nname = \"door\"\nchip = \"pinctrl-bcm2835\"\noffset = 5\ndebounce = \"0ms\"\n";

#[test]
#[ignore = "the first process of an emulated Raspberry Pi"]
fn board() {
    for (kind, place) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        mount(kind, place, kind, MountFlags::empty(), None).unwrap_or_else(|error| panic!("{place}: {error}"));
    }
    say("up");
    let run = |arguments: &[&str]| {
        let output = Command::new("/kioskd").args(arguments).output().unwrap();
        for text in [output.stdout, output.stderr] {
            String::from_utf8_lossy(&text).lines().for_each(|line| say(&format!("{}: {line}", arguments[0])));
        }
    };
    run(&["--version"]);
    run(&["probe"]);
    let board = "door = \"door\"\nheartbeat = \"100ms\"\n";
    let chip = text(board, LINES).replace("pulse = \"200ms\"", "pulse = \"2s\"");
    fs::write("/kiosk.toml", &chip).unwrap();
    run(&["relays-safe", "--config", "/kiosk.toml"]);
    let registers = chip.replace("\"gpiochip\"", "\"rppal\"");
    let registers = registers.replace("chip = \"pinctrl-bcm2835\"\noffset", "bcm");
    fs::write("/registers.toml", registers).unwrap();
    run(&["relays-safe", "--config", "/registers.toml"]);

    let running = start(&config(board, LINES));
    say("open the door");
    running.until(|event| *event == BoardEvent::Door { open: true });
    say("close the door");
    running.until(|event| *event == BoardEvent::Door { open: false });
    say("look at the relay");
    running.deliver(1, None);
    say(&format!("after the pulse: {:?}", running.evidence()));
    running.stop();
    say("over");
    // The first process of a machine never ends.
    loop {
        std::thread::park();
    }
}

/// Without the test harness in between.
fn say(what: &str) {
    use std::io::Write;
    let mut console = fs::OpenOptions::new().write(true).open(Path::new("/dev/console")).unwrap();
    console.write_all(format!("pi: {what}\n").as_bytes()).unwrap();
}
