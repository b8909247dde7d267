//! A technician at a machine with one trouble after the other: `kioskctl test` names each, and says what to do about it.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use image::RgbImage;
use kioskd::demo::paper::PaperLevel;
use kioskd::screen::drm::screenshot;
use kioskd_tests::child::Running;

use crate::Seen;
use crate::guest::{OUTSIDE, STATE, Street, run, until};
use crate::ssh::{by, over};
use crate::street::{DOOR, Finger, Order};
use crate::troubles::{CONFIG, CONNECTOR};

/// The kernel believes that the network sets its clock, until somebody sets it by hand.
const SYNCHRONISED: &str = "import ctypes, struct
timex = ctypes.create_string_buffer(struct.pack('@Iqqqqi', 0x0004 | 0x0008 | 0x0010, 0, 0, 0, 0, 0), 208)
assert ctypes.CDLL(None, use_errno=True).adjtimex(timex) >= 0, ctypes.get_errno()";

/// Among the slips.
const TEST_PAGE: u32 = 999;

/// Where the picture has its marks, in pixels of 1280x800.
const MARKS: [(&str, (u32, u32)); 3] =
    [("the top left", (128, 80)), ("the top right", (1_152, 80)), ("the bottom left", (128, 720))];

impl Street {
    /// `kioskctl test --quick` needs nobody at the machine.
    pub fn troubles_found(&mut self) {
        run("python3", &["-c", SYNCHRONISED]);
        let well = until("a machine that is well", || quick().filter(|says| says.ends_with(" 0 wrong\n")));
        assert!(well.contains("well     time           the network sets the clock\n"), "{well}");

        // Without its clients the office notices nothing.
        drop(self.office.take());
        run("systemctl", &["stop", "lab-broker"]);
        found("fleet          disconnected", "look at the network and [fleet] broker");
        run("systemctl", &["start", "lab-broker"]);
        self.office();

        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let began = Instant::now();
        run("date", &["--set", "@31536000"]);
        found("clock          unset", "set the time: timedatectl; a board without a battery needs the network");
        run("date", &["--set", &format!("@{}", now + began.elapsed().as_secs())]);
        // A time that can be right, and that nobody has set.
        found("time           nobody sets the clock", "look at the network and timedatectl");
        run("python3", &["-c", SYNCHRONISED]);

        let full = format!("{STATE}/full");
        let room = run("df", &["--output=avail", "--block-size=1", STATE]);
        run("fallocate", &["--length", room.lines().nth(1).unwrap().trim(), &full]);
        found("disk           the disk is full", "make room on the disk of the state directory");
        fs::remove_file(full).unwrap();

        fs::write(CONNECTOR, "off").unwrap();
        found("glass          dark", "look at the screen's power and cable");
        fs::write(CONNECTOR, "detect").unwrap();

        self.paper.set_roll(PaperLevel::Out);
        found("printer        paper-out", "look at paper, cover, power and cable");
        self.paper.set_roll(PaperLevel::Ok);

        self.finger = None;
        found("touch          unusable", "look at its cable; kioskd probe lists the input devices");
        // Somebody puts it back the wrong way round.
        self.finger = Some(Finger::turned(1280, 800));
        until("a machine that is well again", || quick().filter(|says| says.ends_with(" 0 wrong\n")));
        self.eye.page(0);
    }

    /// What it takes somebody at the machine to find: a motor without a wire, a drop sensor that sees nothing, and a touch
    /// sensor that was put in turned. The line that they are told to write is the right one.
    pub fn troubles_found_by_hand(&mut self) {
        self.board.tell(Order::Empty(true));
        self.board.tell(Order::Unplug(Some("A1")));
        let says = self.by_hand(&["A1", "A2", "A3"]);
        fs::write(Path::new(OUTSIDE).join("wiring-test.txt"), &says).unwrap();
        for line in [
            "wrong    relay A1       it did not move; the sensor counted 0\n           -> look at its wire, its relay and",
            "well     relay A2       it moved; the sensor counted 0\n",
            "well     relay A3       it moved; no sensor can say what fell\n",
            "wrong    drop_sensor    failed-self-test\n           -> clean the light barrier",
            "well     door           the kiosk sees that it is open\n",
            "well     door           the kiosk sees that it is closed\n",
            "well     paper          a test page came out whole\n",
            "wrong    touch          touches come out turned by 90 degrees counterclockwise\n           -> write calibration",
        ] {
            assert!(says.contains(line), "no {line} in {says}");
        }
        assert!(says.contains(" 3 wrong\non record as bus-"), "{says}");
        self.board.tell(Order::Unplug(None));
        self.board.tell(Order::Blind(false));

        let line = says.split("-> write ").nth(1).unwrap().split(" under [touch]").next().unwrap();
        let right = fs::read_to_string(CONFIG).unwrap();
        fs::write(CONFIG, right.replace("[touch]\n", &format!("[touch]\n{line}\n"))).unwrap();
        run("systemctl", &["restart", "kioskd"]);
        let (x, y) = self.eye.page(0);
        self.finger.as_mut().unwrap().tap(x, y);
        self.eye.page(1);
        let says = self.by_hand(&[]);
        assert!(says.contains("well     touch          each touch came out where it was made\n"), "{says}");

        fs::write(CONFIG, right).unwrap();
        self.finger = Some(Finger::new(1280, 800));
        run("systemctl", &["restart", "kioskd"]);
        self.board.tell(Order::Empty(false));
        self.eye.page(0);
    }

    /// `kioskctl test` with a person who tries these relays and says what they see. Before the last of them the drop
    /// sensor goes blind.
    fn by_hand(&mut self, relays: &[&str]) -> String {
        let mut kioskctl = over("technician", &[], &["kioskctl", "test"]);
        kioskctl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut kioskctl = Running::start(&mut kioskctl);
        let mut before = None;
        while let Some(asked) = next(&mut kioskctl) {
            let yes = match asked.split_once(" the ").map_or("", |(verb, _)| verb) {
                "Energise" => {
                    let slot = relays.iter().find(|slot| asked.contains(&format!("relay of {slot} ")));
                    if slot.is_some() && slot == relays.last() {
                        self.board.tell(Order::Blind(true));
                    }
                    slot.is_some()
                }
                "Open" | "Close" if !relays.is_empty() => {
                    self.board.tell(Order::Drive(DOOR, asked.starts_with("Open")));
                    true
                }
                "Open" | "Close" => false,
                "Touch" => {
                    self.touch_mark(&asked, before.as_ref().expect("the page without a mark"));
                    continue;
                }
                "Try" => {
                    before = screenshot().ok();
                    true
                }
                _ if asked.starts_with("Is the page whole") => {
                    let code = self.paper.receipt(TEST_PAGE);
                    code.starts_with("kioskd test page of K0001 ")
                }
                _ if asked.starts_with("Has it moved?") => turned_since_on(),
                _ if asked.starts_with("Has something fallen?") => false,
                _ => true,
            };
            let answer: &[u8] = if yes { b"y\n" } else { b"n\n" };
            kioskctl.stdin.as_mut().unwrap().write_all(answer).unwrap();
        }
        let mut told = String::new();
        kioskctl.stdout.as_mut().unwrap().read_to_string(&mut told).unwrap();
        told
    }

    fn touch_mark(&mut self, asked: &str, before: &RgbImage) {
        let (_, (x, y)) = MARKS.into_iter().find(|(corner, _)| asked.contains(corner)).unwrap();
        until("a mark", || {
            let now = screenshot().ok()?;
            // A part of it beside its middle is what the page has nowhere.
            (now.get_pixel(x + 30, y) != before.get_pixel(x + 30, y)).then_some(())
        });
        self.eye.keep(&format!("glass-mark-{x}-{y}.png"));
        self.finger.as_mut().expect("a touch sensor").tap(x, y);
    }
}

/// The last relay that was on: whether its motor has turned.
fn turned_since_on() -> bool {
    let text = fs::read_to_string(Path::new(OUTSIDE).join("world")).unwrap();
    let seen = text.lines().map(|line| serde_json::from_str::<Seen>(line).unwrap());
    let since: Vec<Seen> = seen.collect();
    let last = since.iter().rev().find(|seen| matches!(seen, Seen::RelayOn { .. } | Seen::Turned { .. }));
    matches!(last, Some(Seen::Turned { .. }))
}

/// What a person reads next: a question, or what they are to do. `None` when the test is over.
fn next(kioskctl: &mut Running) -> Option<String> {
    let (mut said, mut byte) = (String::new(), [0]);
    let out = kioskctl.stderr.as_mut().unwrap();
    while !said.ends_with("[q]uit: ") && !said.ends_with('\n') {
        if out.read(&mut byte).unwrap() == 0 {
            return None;
        }
        said.push(char::from(byte[0]));
    }
    Some(said)
}

/// `None` where nobody could answer.
fn quick() -> Option<String> {
    let told = by("technician", &["kioskctl", "test", "--quick"]);
    (told.status.code() != Some(2)).then(|| String::from_utf8(told.stdout).unwrap())
}

/// A line that begins so, and what to do about it.
fn found(part: &str, advice: &str) {
    let mut last = String::new();
    let line = format!("wrong    {part}");
    let began = Instant::now();
    loop {
        last = quick().unwrap_or(last);
        let mut lines = last.lines().skip_while(|told| !told.starts_with(&line));
        if lines.next().is_some() {
            let next = lines.next().unwrap_or_default();
            assert!(next.trim_start().starts_with(&format!("-> {advice}")), "{part}: {next}, not {advice}");
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "nobody has found {part}: {last}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
