//! Outside of an emulated Raspberry Pi 3: its GPIO registers, read and written as if by probes on the header.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kioskd_tests::child::{Running, command};

/// BCM2835 ARM Peripherals, section 6.1: level, set and clear of lines 0 to 31.
const GPLEV0: u32 = 0x3f20_0034;
const GPSET0: u32 = 0x3f20_001c;
const GPCLR0: u32 = 0x3f20_0028;
const RELAY: u32 = 17;
const DOOR: u32 = 5;
const PATIENCE: Duration = Duration::from_secs(300);

struct Raspberry {
    /// Ends with the machine.
    _emulator: Running,
    probes: BufReader<UnixStream>,
    console: mpsc::Receiver<String>,
}

impl Raspberry {
    fn switch_on() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/raspberry");
        let made = command(script).stderr(Stdio::inherit()).output().unwrap();
        assert!(made.status.success());
        let made = PathBuf::from(String::from_utf8(made.stdout).unwrap().trim());
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("probes");
        let listener = UnixListener::bind(&socket).unwrap();
        let mut emulator = command("qemu-system-aarch64");
        emulator
            .args(["-M", "raspi3b", "-display", "none", "-monitor", "none", "-no-reboot", "-serial", "stdio"])
            .args(["-accel", "tcg", "-qtest-log", "none", "-qtest"])
            .arg(format!("unix:{}", socket.display()))
            .args(["-kernel", "-dtb", "-initrd"].iter().flat_map(|option| [PathBuf::from(option), made.join(&option[1..])]))
            .args(["-append", "console=ttyAMA0,115200 rdinit=/lab loglevel=3 panic=1 -- --exact raspberry::board --ignored --nocapture"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut emulator = Running::start(&mut emulator);
        let probes = BufReader::new(listener.accept().unwrap().0);
        let (tell, console) = mpsc::channel();
        let lines = BufReader::new(emulator.stdout.take().unwrap()).split(b'\n');
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim().to_owned();
                println!("{line}");
                drop(tell.send(line));
            }
        });
        Self { _emulator: emulator, probes, console }
    }

    fn ask(&mut self, what: &str) -> String {
        self.probes.get_mut().write_all(format!("{what}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        while !answer.starts_with("OK") {
            answer.clear();
            assert_ne!(self.probes.read_line(&mut answer).unwrap(), 0, "the emulator is gone");
        }
        answer.trim().to_owned()
    }

    fn high(&mut self, line: u32) -> bool {
        let answer = self.ask(&format!("readl {GPLEV0:#x}"));
        let level = u64::from_str_radix(answer.trim_start_matches("OK 0x"), 16).unwrap();
        level >> line & 1 == 1
    }

    fn drive(&mut self, line: u32, high: bool) {
        let register = if high { GPSET0 } else { GPCLR0 };
        self.ask(&format!("writel {register:#x} {:#x}", 1u32 << line));
    }

    /// Everything said until it says that.
    fn until(&self, what: &str) -> Vec<String> {
        let mut said = Vec::new();
        let wanted = format!("pi: {what}");
        while said.last().is_none_or(|line: &String| !line.starts_with(&wanted)) {
            said.push(
                self.console.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("`{what}` never came after {said:#?}")),
            );
        }
        said
    }
}

/// The daemon built for it, on the real driver of its GPIO block.
#[test]
#[ignore = "takes long: tests/run --long"]
fn long_raspberry_pi() {
    let mut pi = Raspberry::switch_on();
    let said = pi.until("open the door").join("\n");
    assert!(said.contains("pinctrl-bcm2835"), "the probe finds the chip");
    assert!(said.contains("relays-safe: slot A1: line slot-A1 is inactive"), "by the kernel's chip");
    // The registers are not to be had here; it says so and what to use instead.
    assert!(said.contains("rppal") || said.contains("/dev/gpiomem") || said.contains("Raspberry"), "{said}");
    assert!(!pi.high(RELAY), "the relay is off from the first moment");
    pi.drive(DOOR, true);
    pi.until("close the door");
    pi.drive(DOOR, false);
    pi.until("look at the relay");
    let wait = |pi: &mut Raspberry, high: bool| {
        let began = Instant::now();
        while pi.high(RELAY) != high {
            assert!(began.elapsed() < PATIENCE, "the relay never became {high}");
        }
        Instant::now()
    };
    let on = wait(&mut pi, true);
    let off = wait(&mut pi, false);
    println!("the relay was on for {:?}", off - on);
    pi.until("over");
    assert!(!pi.high(RELAY));
}
