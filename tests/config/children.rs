//! What tests start ends with them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use kioskd_tests::child::{Running, command};

const PATIENCE: Duration = Duration::from_secs(30);

fn is_there(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // One that is dead and not yet waited for does nothing any more.
    state.rsplit(')').next().and_then(|fields| fields.split_whitespace().next()).is_some_and(|state| state != "Z")
}

fn gone(pid: u32) -> bool {
    let begin = Instant::now();
    while is_there(pid) && begin.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    !is_there(pid)
}

fn sleeper() -> Running {
    Running::start(command("sleep").arg("600"))
}

#[test]
fn a_child_ends_with_a_test_that_fails() {
    let (tell, pid) = std::sync::mpsc::channel();
    let failed = std::thread::spawn(move || {
        let child = sleeper();
        tell.send(child.id()).unwrap();
        assert!(!is_there(child.id()), "this is the failure");
    });
    assert!(failed.join().is_err());
    assert!(gone(pid.recv().unwrap()));
}

/// A thread that has started one and ended is not the end of the test.
#[test]
fn a_child_lives_as_long_as_its_guard() {
    let mut child = std::thread::spawn(sleeper).join().unwrap();
    std::thread::spawn(|| ()).join().unwrap();
    assert!(child.try_wait().unwrap().is_none() && is_there(child.id()));
    child.end();
    assert!(gone(child.id()));
}

#[test]
fn a_child_ends_with_a_test_that_is_killed() {
    let mut test = command(std::env::current_exe().unwrap());
    test.args(["--exact", "children::is_killed_with_a_child", "--ignored", "--nocapture"]).stdout(Stdio::piped());
    let mut test = Running::start(&mut test);
    let mut lines = BufReader::new(test.stdout.take().unwrap()).lines().map_while(Result::ok);
    let child: u32 = lines.find_map(|line| line.strip_prefix("child ")?.parse().ok()).expect("a child");
    // From here on the kernel knows whose it is.
    let name = || std::fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
    let begin = Instant::now();
    while name().trim() != "sleep" {
        assert!(begin.elapsed() < PATIENCE, "it is `{}`", name());
        std::thread::sleep(Duration::from_millis(10));
    }
    test.end();
    assert!(gone(child));
}

#[test]
#[ignore = "another test starts and kills it"]
fn is_killed_with_a_child() {
    let child = sleeper();
    println!("\nchild {}", child.id());
    std::thread::sleep(PATIENCE);
    panic!("nobody has killed it");
}

pub fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let files = files.into_iter().filter(|file| file.extension().is_some_and(|end| end == "rs"));
    files.chain(folders.iter().flat_map(|folder| sources(folder))).collect()
}

/// But what runs inside of the laboratory's machine, which ends with the machine.
#[test]
fn no_test_starts_a_program_in_another_way() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let inside =
        ["guest", "street", "office", "offline", "troubles"].map(|part| tests.join(format!("system/{part}.rs")));
    let own = [tests.join("support/child.rs"), tests.join("config/children.rs")];
    let is_free = |file: &PathBuf| file.starts_with(tests.join("lab")) || inside.contains(file) || own.contains(file);
    let all = sources(&tests);
    assert!(inside.iter().chain(&own).all(|file| all.contains(file)), "a file that is named here has gone");
    let mut found = Vec::new();
    for file in all.iter().filter(|file| !is_free(file)) {
        let text = std::fs::read_to_string(file).unwrap();
        let starts = |line: &str| ["Command::new(", "Process::new(", ".spawn()"].iter().any(|way| line.contains(way));
        let lines = text.lines().enumerate().filter(|(_, line)| starts(line));
        found.extend(lines.map(|(nth, line)| format!("{}:{}: {}", file.display(), nth + 1, line.trim())));
    }
    assert!(found.is_empty(), "start it with tests/support/child.rs:\n{}", found.join("\n"));
}
