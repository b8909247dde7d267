//! Outside: prepares the machine, switches it on, cuts its power, and compares what everybody has seen.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process_group};
use rustix::thread::{CpuSet, sched_getaffinity};
use serde_json::Value;
use tempfile::TempDir;

use crate::street::{BEAM, DOOR, EMITTER, SLOTS, TAMPER};
use crate::{Day, Plan, Result, Seen, Sign};
use kioskd_tests::chance::{Chance, seed};
use kioskd_tests::child::command;
use kioskd_tests::double::Double;
use kioskd_tests::machine::{Machine, Setup};

/// Longer than a day with its fifty customers takes.
const PATIENCE: Duration = Duration::from_secs(1_200);

/// About as long as a sale takes here.
const SALE: Duration = Duration::from_secs(14);

/// The machine's case, with what lasts when the power goes.
struct Case {
    outside: TempDir,
    kernel: PathBuf,
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn run(command: &mut Command) -> String {
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The demo's machine on real drivers.
fn config(rail: &str, printer: &str) -> String {
    let mut text = std::fs::read_to_string(repository().join("configs/vending.toml")).unwrap();
    text = text.replace("../assets", "/usr/share/kioskd");
    let mut put = |from: &str, to: &str, with: &str| {
        let begin = text.find(from).unwrap_or_else(|| panic!("no {from}"));
        let end = begin + text[begin..].find(to).unwrap_or_else(|| panic!("no {to}"));
        text.replace_range(begin..end, with);
    };
    let devices = "[glass]\ndriver = \"drm\"\nmode = \"1280x800\"\nfont_sc = \"/usr/share/kioskd/fonts/kioskd-sans-sc.otf\"\n\
         font_tc = \"/usr/share/kioskd/fonts/kioskd-sans-tc.otf\"\n\
         font_sc_bold = \"/usr/share/kioskd/fonts/kioskd-sans-sc-bold.otf\"\n\
         font_tc_bold = \"/usr/share/kioskd/fonts/kioskd-sans-tc-bold.otf\"\n\n[touch]\nname = \"Street glass\"\n\n[board]\n\
         driver = \"gpiochip\"\ndoor = \"door\"\ntamper = \"tamper\"\n[board.drop_sensor]\nemitter = \"drop-emitter\"\n\
         beam = \"drop-beam\"\nfall_time = \"300ms\"\n\n[printer]\ncolumns = 384\n";
    put("[glass]", "[fleet]", &format!("{devices}{printer}\n\n"));
    put("[[rail]]", "[[product]]", rail);
    put("directory = ", "\n", "directory = \"/var/lib/kioskd\"");
    for (from, to) in Setup::fast()
        .config
        .iter()
        .filter(|(from, _)| ["qr_life", "more_time", "grace", "result_timeout"].iter().any(|key| from.starts_with(key)))
    {
        text = text.replace(from, to);
    }
    // A charge lives a minute at least.
    text = text.replace("qr_life = \"6s\"", "qr_life = \"30s\"").replace("more_time = \"0s\"", "more_time = \"30s\"");
    for full in [8, 6, 4] {
        for key in ["stock", "capacity"] {
            text = text.replace(&format!("\n{key} = {full}"), &format!("\n{key} = 1000"));
        }
    }
    let lines = SLOTS.iter().map(|(slot, offset)| (format!("slot-{slot}"), *offset));
    let others = [("drop-beam", BEAM), ("drop-emitter", EMITTER), ("door", DOOR), ("tamper", TAMPER)];
    for (name, offset) in lines.chain(others.map(|(name, offset)| (name.to_owned(), offset))) {
        text += &format!("\n[[line]]\nname = \"{name}\"\nchip = \"pinctrl-bcm2711\"\noffset = {offset}\n");
    }
    text
}

/// The rail of the bank that stands beside the machine.
fn rail(bank: &Double) -> String {
    format!(
        "[[rail]]\nkind = \"wechat\"\nlabel = {{ \"zh-Hant\" = \"微信支付\", \"zh-Hans\" = \"微信支付\", en = \"WeChat Pay\" }}\n\
         base_url = \"http://127.0.0.1:8001\"\nappid = \"{}\"\nmchid = \"{}\"\nserial_no = \"{}\"\n\
         private_key = \"credential:wechat.key\"\napi_v3_key = \"credential:wechat.v3key\"\n\
         notify_url = \"https://pay.example.com/wechat\"\npoll_seconds = 1\ntimeout = \"2s\"\n\n",
        bank.said("appid"),
        bank.said("mchid"),
        bank.said("serial_no")
    )
}

/// What a customer touches on each page, as the demo shows it.
fn plan(day: Day, outside: &Path) -> Plan {
    let demo = Machine::start(&Setup { panel: "1280x800", ..Setup::fast() });
    let steps = [("attract", "start"), ("choose", "product:cola"), ("basket", "pay")];
    let mut products = Vec::new();
    let sign = |(page, target): (&str, &str)| {
        let state = demo.until(page);
        let found = state["targets"].as_array().unwrap().iter().find(|found| found["name"] == target).unwrap();
        let at = |key: &str| found[key].as_u64().unwrap() as u32;
        let screen = image::load_from_memory(&demo.bytes("/api/screen.png")).unwrap().into_rgb8();
        if page == "choose" {
            let middle = |target: &Value| {
                let at = |place: &str, size: &str| {
                    (target[place].as_u64().unwrap() + target[size].as_u64().unwrap() / 2) as u32
                };
                target["name"].as_str().unwrap().starts_with("product:").then(|| (at("x", "w"), at("y", "h")))
            };
            products = state["targets"].as_array().unwrap().iter().filter_map(middle).collect();
        }
        let picture = format!("{page}.png");
        let (x, y) = (at("x"), at("y"));
        image::imageops::crop_imm(&screen, x, y, at("w"), at("h")).to_image().save(outside.join(&picture)).unwrap();
        demo.tap(target);
        Sign { target: target.into(), x, y, picture }
    };
    let pages = steps.map(sign).into();
    Plan { day, pages, products }
}

impl Case {
    fn new(day: Day) -> Self {
        let kernel = run(&mut command(repository().join("tests/lab/kernel")));
        let outside = tempfile::tempdir().unwrap();
        let at = |name: &str| outside.path().join(name);
        // Makes its keys.
        let printer = match day {
            Day::Offline { .. } => "driver = \"tcp\"\naddress = \"127.0.0.1:9100\"\nstatus_every = \"1h\"",
            // Somebody waits for each of its troubles.
            Day::Troubles => "driver = \"usb\"\nmodel = \"Paper 58\"\nstatus_every = \"1s\"",
            _ => "driver = \"usb\"\nmodel = \"Paper 58\"",
        };
        let bank = Double::start("wechat/double.py", &at("provider"));
        let mut config = config(&rail(&bank), printer);
        if let Day::Offline { .. } = day {
            // As seldom as on a machine that nobody tests.
            config = config.replace("poll_seconds = 1", "poll_seconds = 3");
            config = config.replace("reconnect_max = \"2s\"", "reconnect_max = \"5min\"");
            // Hours without a customer are made of what the machine does by itself.
            config = config.replace("[board]\n", "[board]\nheartbeat = \"1min\"\n");
            config = config.replace("[glass]\n", "[glass]\ntheme = \"/outside/theme.toml\"\n");
            std::fs::write(at("theme.toml"), "slide_time = \"10min\"\n").unwrap();
        }
        std::fs::write(at("kiosk.toml"), config).unwrap();
        drop(bank);
        std::fs::set_permissions(outside.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let python =
            std::env::var_os("KIOSKD_PY").map_or_else(|| repository().join("target/test-tools/py"), PathBuf::from);
        let places = [
            ("repository", repository().to_owned()),
            ("kioskd", env!("CARGO_BIN_EXE_kioskd").into()),
            ("kioskctl", env!("CARGO_BIN_EXE_kioskctl").into()),
            ("street", std::env::current_exe().unwrap()),
            ("python", python.join("bin/python3")),
        ];
        let places: String = places.iter().map(|(name, path)| format!("{name}='{}'\n", path.display())).collect();
        std::fs::write(at("places"), places).unwrap();
        std::fs::write(at("disk"), []).unwrap();
        run(command("mke2fs").args(["-q", "-t", "ext4"]).arg(at("disk")).arg("64M"));
        let case = Self { outside, kernel: kernel.into() };
        case.plan(&plan(day, case.outside.path()));
        case
    }

    fn at(&self, name: &str) -> PathBuf {
        self.outside.path().join(name)
    }

    fn plan(&self, plan: &Plan) {
        std::fs::write(self.at("plan.json"), serde_json::to_vec(plan).unwrap()).unwrap();
    }

    fn switch_on(&self) -> Running<'_> {
        self.switch_on_with(&[])
    }

    fn switch_on_with(&self, more: &[&str]) -> Running<'_> {
        let console = std::fs::File::create(self.at("console")).unwrap();
        let mut kernel = command("taskset");
        kernel
            .args(["--cpu-list", &one_processor()])
            .arg(&self.kernel)
            .args(["mem=1024M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet", "loglevel=4"])
            .args(["con0=fd:0,fd:1", "con=null", "ssl=null"])
            .args(more)
            .arg(format!("ubda={}", self.at("disk").display()))
            .arg(format!("init={}", repository().join("tests/system/boot").display()))
            .arg(format!("lab={}", self.outside.path().display()))
            .stdin(Stdio::null())
            .stdout(console.try_clone().unwrap())
            .stderr(console)
            .process_group(0);
        Running { child: kioskd_tests::child::Running::start(&mut kernel), case: self }
    }

    fn seen(&self) -> Vec<Seen> {
        let text = std::fs::read_to_string(self.at("world")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn said(&self) -> String {
        let tail = |name: &str| {
            let text = String::from_utf8_lossy(&std::fs::read(self.at(name)).unwrap_or_default()).into_owned();
            let lines: Vec<&str> = text.lines().collect();
            format!("--- {name}\n{}\n", lines[lines.len().saturating_sub(60)..].join("\n"))
        };
        ["console", "street.log", "journal", "world"].map(tail).concat()
    }

    fn result(&self) -> Result {
        let text = std::fs::read(self.at("result.json")).unwrap_or_else(|_| {
            keep(self);
            panic!("no result:\n{}", self.said())
        });
        serde_json::from_slice(&text).unwrap()
    }
}

/// The machine is several processes that wait for each other; where they need not wake each other on another processor,
/// it is more than twice as fast.
pub fn one_processor() -> String {
    let allowed = sched_getaffinity(None).unwrap();
    (0..CpuSet::MAX_CPU).rfind(|&processor| allowed.is_set(processor)).expect("a processor").to_string()
}

struct Running<'a> {
    child: kioskd_tests::child::Running,
    case: &'a Case,
}

impl Running<'_> {
    /// Until it has switched itself off.
    fn ended(self) {
        self.ended_within(PATIENCE);
    }

    fn ended_within(mut self, patience: Duration) {
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < patience, "it never switched itself off:\n{}", self.case.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn cut_power(self) {}
}

/// A power cut, wherever it is: the kernel itself is killed, with all that is on the machine.
impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
    }
}

fn count(seen: &[Seen], which: impl Fn(&Seen) -> bool) -> usize {
    seen.iter().filter(|seen| which(seen)).count()
}

/// To the cent, order by order: what the provider has and what the ledger says; what was kept was delivered, what was
/// delivered fell, and what fell besides is of an order that says it does not know.
fn agree(seen: &[Seen], result: &Result) {
    let orders = result.orders["orders"].as_array().unwrap();
    for charge in result.book["charges"].as_array().unwrap() {
        let order = orders.iter().find(|order| order["id"] == charge["order"]);
        let order = order.unwrap_or_else(|| panic!("no order for {charge}"));
        assert_eq!(
            (&order["paid"], &order["refunded"]),
            (&charge["paid"], &charge["refunded"]),
            "{order:#} {charge:#}"
        );
    }
    let items = |outcome: &str| -> Vec<&Value> {
        let items = orders.iter().flat_map(|order| order["items"].as_array().unwrap());
        items.filter(|item| item["outcome"] == outcome).collect()
    };
    for order in orders {
        let kept = order["paid"].as_i64().unwrap() - order["refunded"].as_i64().unwrap();
        let delivered = order["items"].as_array().unwrap().iter().filter(|item| item["outcome"] == "delivered");
        assert_eq!(kept, delivered.map(|item| item["price"].as_i64().unwrap()).sum::<i64>(), "{order:#}");
    }
    let fell = count(seen, |seen| matches!(seen, Seen::Fell { .. }));
    let (delivered, unknown) = (items("delivered").len(), items("unknown").len());
    assert!((delivered..=delivered + unknown).contains(&fell), "{fell} fell, {delivered} delivered, {unknown} unknown");
    println!("{fell} fell; {delivered} delivered, {unknown} whose end nobody could see; {}", result.verified.trim());
    let again = count(seen, |seen| matches!(seen, Seen::TouchedAgain { .. }));
    println!("{again} touches came to nothing");
    assert!(again <= 1, "a customer has to touch twice: {seen:?}");
    println!(
        "first frame {:?} ms after the process's start, {} KiB of memory",
        result.first_frames_ms,
        result.memory >> 10
    );
    println!("{} events at the back end", result.events);
}

fn sales(sales: u32, kill_every: u32) {
    let case = Case::new(Day::Sales { sales, kill_every });
    case.switch_on().ended();
    keep(&case);
    let (result, seen) = (case.result(), case.seen());
    agree(&seen, &result);
    let kills = sales / kill_every;
    let orders = result.orders["orders"].as_array().unwrap();
    assert_eq!(count(&seen, |seen| matches!(seen, Seen::Paid { .. })), sales as usize);
    assert_eq!(orders.iter().filter(|order| order["state"] == "delivered").count(), (sales - kills) as usize);
    // One edge on and one edge off for each, no more.
    let on: Vec<u64> = seen
        .iter()
        .filter_map(|seen| if let Seen::RelayOn { at_us, .. } = seen { Some(*at_us) } else { None })
        .collect();
    assert_eq!(on.len(), sales as usize, "{}", case.said());
    assert_eq!(count(&seen, |seen| matches!(seen, Seen::RelayOff { .. })), sales as usize);
    let receipts: Vec<&String> =
        seen.iter().filter_map(|seen| if let Seen::Receipt { text } = seen { Some(text) } else { None }).collect();
    assert_eq!(receipts.len(), sales as usize);
    for order in orders {
        let id = order["id"].as_str().unwrap();
        assert!(receipts.iter().any(|text| text.contains(id)), "no slip of order {id}: {receipts:?}");
    }
    let offs: Vec<u64> = seen
        .iter()
        .filter_map(|seen| if let Seen::Killed { off_after_ms } = seen { Some(*off_after_ms) } else { None })
        .collect();
    assert_eq!(offs.len(), kills as usize);
    assert!(offs.iter().all(|off| *off < 1_000), "relays were off after {offs:?} ms");
    assert_eq!(result.made_safe, kills * SLOTS.len() as u32, "ExecStopPost said each relay, each time");
    // The same orders in the same sequence: each has one payment and one edge.
    let mut late: Vec<u64> =
        on.iter().zip(&result.paid_us).map(|(on, paid)| on.saturating_sub(*paid) / 1_000).collect();
    late.sort_unstable();
    println!(
        "{sales} sales; from the journal's order-paid to the relay's edge, with the sensor's self-test: {} ms, at most {} ms",
        late[late.len() / 2],
        late[late.len() - 1]
    );
    println!("{kills} daemons killed in a pulse; their relays were off after {offs:?} ms");
}

/// Where somebody wants to look at the slips afterwards.
fn keep(case: &Case) {
    if let Some(place) = std::env::var_os("KIOSKD_KEEP") {
        run(command("cp").arg("-r").arg(case.outside.path()).arg(place));
    }
}

/// The power goes in the middle of sales; then everything must agree. `fails`: the disk takes no more writes before that.
fn cuts(cuts: u64, fails: bool) {
    // Other moments each time.
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let mut chance = Chance(seed("power cuts", now));
    let case = Case::new(Day::UntilTheCut);
    let opened = || count(&case.seen(), |seen| matches!(seen, Seen::Open));
    for cut in 1..=cuts {
        let began = Instant::now();
        let before = opened();
        let failing = Duration::from_secs(30 + chance.time(SALE * 2).as_secs());
        if fails {
            std::fs::write(case.at("disk_fails_after"), failing.as_secs().to_string()).unwrap();
        }
        let running = case.switch_on();
        if fails {
            std::thread::sleep(failing + chance.time(Duration::from_secs(5)));
        } else {
            while opened() == before {
                assert!(began.elapsed() < PATIENCE, "it never opened:\n{}", case.said());
                std::thread::sleep(Duration::from_millis(20));
            }
            std::thread::sleep(chance.time(SALE));
        }
        running.cut_power();
        println!("cut {cut} came {} ms after the machine was switched on", began.elapsed().as_millis());
        std::io::stdout().flush().unwrap();
    }
    let _ = std::fs::remove_file(case.at("disk_fails_after"));
    let plan: Plan = serde_json::from_slice(&std::fs::read(case.at("plan.json")).unwrap()).unwrap();
    case.plan(&Plan { day: Day::Sales { sales: 1, kill_every: 2 }, ..plan });
    case.switch_on().ended();
    keep(&case);
    agree(&case.seen(), &case.result());
    let sold = count(&case.seen(), |seen| matches!(seen, Seen::Paid { .. }));
    println!("{cuts} power cuts, {sold} payments, the last after them");
}

#[test]
#[ignore = "boots the laboratory: tests/run does"]
fn from_finger_to_paper() {
    sales(10, 5);
}

#[test]
#[ignore = "boots the laboratory: tests/run does"]
fn power_cuts() {
    cuts(5, false);
}

/// Each of them is told to the fleet and to the customer, what can be sold still is, and it ends by itself.
#[test]
#[ignore = "boots the laboratory: tests/run does"]
fn troubles() {
    let case = Case::new(Day::Troubles);
    case.switch_on().ended();
    keep(&case);
    agree(&case.seen(), &case.result());
    let seen = case.seen();
    let state = |wanted: &str| {
        let found = seen.iter().find_map(|seen| match seen {
            Seen::Trouble { what, state, .. } if what == wanted => Some(state.clone()),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("there was no `{wanted}`"))
    };
    for what in ["no printer", "no touch", "no screen", "jam", "door", "tamper", "broken configuration", "no board"] {
        println!("{what}: {}", state(what));
    }
    println!("{}", std::fs::read_to_string(case.at("bus.md")).unwrap());
    let journal = std::fs::read_to_string(case.at("journal")).unwrap();
    assert!(journal.contains("System is rebooting"), "logind has not restarted the machine");
}

/// Weeks pass in minutes, because time passes where nobody has anything to do. The broker is away all the while.
fn offline(hours: u64, minutes: u64) {
    let case = Case::new(Day::Offline { hours, minutes });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    // In nanoseconds; certificates are of today.
    let start = format!("time-travel-start={}", now * 1_000_000_000);
    let began = Instant::now();
    case.switch_on_with(&["time-travel=inf-cpu", &start]).ended_within(Duration::from_secs(8 * 3_600));
    println!("{hours} hours in {} s", began.elapsed().as_secs());
    keep(&case);
    let (result, seen) = (case.result(), case.seen());
    agree(&seen, &result);
    let quarters: Vec<[u64; 4]> = seen
        .iter()
        .filter_map(|seen| match *seen {
            Seen::Quarter { sales, own, memory, disk } => Some([sales, own, memory, disk]),
            _ => None,
        })
        .collect();
    assert_eq!(quarters.len(), 4);
    let text = std::fs::read_to_string(case.at("events")).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (nth, event) in events.iter().enumerate() {
        assert_eq!(event["seq"], nth as u64 + 1);
    }
    let sold = result.orders["orders"].as_array().unwrap().len();
    assert!(sold as u64 >= hours * 60 / minutes - 1, "{sold} orders");
    for (quarter, [sales, own, memory, disk]) in (1..).zip(&quarters) {
        println!(
            "after {} hours: {sales} sales, {} KiB of memory ({} KiB its own), {} KiB of ledger",
            quarter * hours / 4,
            memory >> 10,
            own >> 10,
            disk >> 10
        );
    }
    println!("{sold} sales; {} events arrived in order once the broker was back", events.len());
    let ([first_sales, _, first, first_disk], [last_sales, _, last, last_disk]) = (quarters[0], quarters[3]);
    assert!(last < 2 * first, "the memory grows: {quarters:?}");
    assert!(
        last_disk / last_sales < 2 * first_disk / first_sales,
        "the ledger grows faster than its sales: {quarters:?}"
    );
}

#[test]
#[ignore = "boots the laboratory: tests/run does"]
fn hours_offline() {
    offline(4, 10);
}

#[test]
#[ignore = "takes long: tests/run --long"]
fn long_a_day_offline() {
    offline(24, 10);
}

/// A month, or as many KIOSKD_HOURS, with a customer every ten or KIOSKD_MINUTES.
#[test]
#[ignore = "takes hours: by hand"]
fn by_hand_offline() {
    let number = |name, usual| std::env::var(name).map_or(usual, |text: String| text.parse().expect(name));
    offline(number("KIOSKD_HOURS", 30 * 24), number("KIOSKD_MINUTES", 10));
}

#[test]
#[ignore = "takes long: tests/run --long"]
fn long_from_finger_to_paper() {
    sales(50, 10);
}

#[test]
#[ignore = "boots the laboratory: tests/run does"]
fn power_cuts_of_a_disk_that_fails() {
    cuts(2, true);
}

#[test]
#[ignore = "takes long: tests/run --long"]
fn long_power_cuts_of_a_disk_that_fails() {
    cuts(20, true);
}

#[test]
#[ignore = "takes long: tests/run --long"]
fn long_power_cuts() {
    cuts(50, false);
}
