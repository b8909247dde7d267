//! What only a board's kernel can show: relays that pulse, die in the middle and are made safe, input devices that come
//! and go. `tests/lab/run` runs these on a machine of its own; everywhere else they are ignored.

mod gate;
mod input;
mod lines;
mod raspberry;

/// The project may be under the machine's own folder for temporary files, so nothing lies on that; what is written goes
/// elsewhere.
#[test]
#[ignore = "needs the laboratory: tests/lab runs it"]
fn the_project_is_seen_wherever_it_is() {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let places: Vec<&str> = mounts.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    assert!(places.contains(&"/") && !places.contains(&"/tmp"), "{places:?}");
    tempfile::tempdir().unwrap();
}
