//! On the lab's kernel, whose card `vkms` shows what it is given to whoever may look.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use drm::Device as _;

use super::*;

/// There is one card.
static ALONE: Mutex<()> = Mutex::new(());

const ALL: [Rotation; 4] = [Rotation::None, Rotation::Right, Rotation::Half, Rotation::Left];

/// Another program that looks at the screen, or wants it.
struct Onlooker(File);

impl AsFd for Onlooker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl drm::Device for Onlooker {}
impl drm::control::Device for Onlooker {}

impl Onlooker {
    fn open() -> Self {
        let path = Machine { legacy: false }.paths().into_iter().next().expect("no card");
        Self(File::options().read(true).write(true).open(path).unwrap())
    }
}

/// The pixels that are scanned out.
fn screen() -> ((u32, u32), Vec<u32>) {
    let picture = screenshot().unwrap();
    let pixels = picture.pixels().map(|rgb| u32::from_be_bytes([0, rgb.0[0], rgb.0[1], rgb.0[2]])).collect();
    (picture.dimensions(), pixels)
}

fn panel(legacy: bool, mode: &str, rotation: Rotation) -> DrmPanel {
    let wanted = Wanted { mode: WantedMode::parse(mode), rotation, ..Wanted::default() };
    DrmPanel::open(Machine { legacy }, wanted).unwrap()
}

/// Noise, so that a pixel in a wrong place is seen.
fn noise((width, height): (u32, u32), seed: u32) -> Frame {
    let mut frame = Frame::black(width as i32, height as i32);
    for (index, pixel) in frame.pixels.iter_mut().enumerate() {
        *pixel = (index as u32).wrapping_mul(2_654_435_761).wrapping_add(seed) & 0x00ff_ffff;
    }
    frame
}

/// Where the pixel at a place of the panel comes from.
fn source(rotation: Rotation, (x, y): (i32, i32), frame: &Frame) -> u32 {
    let (x, y) = match rotation {
        Rotation::None => (x, y),
        Rotation::Right => (y, frame.height - 1 - x),
        Rotation::Half => (frame.width - 1 - x, frame.height - 1 - y),
        Rotation::Left => (frame.width - 1 - y, x),
    };
    frame.pixels[(y * frame.width + x) as usize]
}

fn compare(frame: &Frame, rotation: Rotation, what: &str) {
    let (size, pixels) = screen();
    assert_eq!(rotation.turned(size), (frame.width as u32, frame.height as u32), "{what}");
    let wrong = pixels.iter().enumerate().find(|(index, pixel)| {
        let place = (*index as i32 % size.0 as i32, *index as i32 / size.0 as i32);
        source(rotation, place, frame) != **pixel & 0x00ff_ffff
    });
    assert_eq!(wrong, None, "{what}: {rotation:?}");
}

#[test]
#[ignore = "needs the lab's kernel: tests/lab runs it"]
fn the_screen_has_every_pixel_where_it_belongs() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for legacy in [false, true] {
        for rotation in ALL {
            let mut panel = panel(legacy, "1280x800", rotation);
            let ready = panel.tend().unwrap();
            assert!(ready.blank);
            let mut frame = noise(ready.size, 1);
            panel.present(&frame, &[frame.bounds()], &Scene::default()).unwrap();
            let card = panel.open.values().next().unwrap();
            assert_eq!(card.card.is_atomic(), !legacy);
            compare(&frame, rotation, "first");
            for turn in 0..3 {
                let rects = [
                    Rect { x: 40 + 290 * turn, y: 77, w: 33, h: 301 },
                    Rect { x: 0, y: frame.height - 1 - turn, w: frame.width, h: 1 },
                ];
                let next = noise(ready.size, 1_000 + turn as u32);
                for rect in rects {
                    for y in 0..rect.h {
                        let start = ((rect.y + y) * frame.width + rect.x) as usize;
                        frame.pixels[start..start + rect.w as usize].copy_from_slice(next.row(rect, y));
                    }
                }
                panel.present(&frame, &rects, &Scene::default()).unwrap();
                compare(&frame, rotation, &format!("legacy {legacy}, turn {turn}"));
            }
        }
    }
}

#[test]
#[ignore = "needs the lab's kernel: tests/lab runs it"]
fn flips_follow_the_vertical_blank() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for legacy in [false, true] {
        let mut panel = panel(legacy, "1280x800@60", Rotation::None);
        let size = panel.tend().unwrap().size;
        let frame = noise(size, 3);
        let small = Rect { x: 600, y: 20, w: 80, h: 40 };
        panel.present(&frame, &[frame.bounds()], &Scene::default()).unwrap();
        panel.present(&frame, &[small], &Scene::default()).unwrap();
        let mut gaps = Vec::new();
        let mut before = Instant::now();
        for _ in 0..300 {
            panel.present(&frame, &[small], &Scene::default()).unwrap();
            gaps.push(before.elapsed().as_secs_f64() * 1e3);
            before = Instant::now();
        }
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        gaps.sort_by(f64::total_cmp);
        let at = |part: f64| gaps[(part * (gaps.len() - 1) as f64) as usize];
        println!(
            "flip to flip, legacy {legacy}: mean {mean:.3} ms, p1 {:.3}, p50 {:.3}, p99 {:.3}, max {:.3}",
            at(0.01),
            at(0.5),
            at(0.99),
            at(1.0)
        );
        // A flip that did not wait for the blank would come at once. Later ones are the machine's business.
        assert!((16.0..40.0).contains(&mean), "{mean} ms a flip at 60 Hz");
    }
}

#[test]
#[ignore = "needs the lab's kernel: tests/lab runs it"]
fn another_program_takes_the_screen_and_gives_it_back() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let other = Onlooker::open();
    other.acquire_master_lock().unwrap();
    let mut panel = panel(false, "1280x800", Rotation::None);
    let refused = panel.tend().unwrap_err().to_string();
    assert!(refused.ends_with("another program has the screen"), "{refused}");
    other.release_master_lock().unwrap();
    let frame = noise(panel.tend().unwrap().size, 5);
    panel.present(&frame, &[frame.bounds()], &Scene::default()).unwrap();

    let release = |panel: &DrmPanel| panel.open.values().next().unwrap().card.give_up();
    release(&panel);
    other.acquire_master_lock().unwrap();
    let refused = panel.present(&frame, &[frame.bounds()], &Scene::default()).unwrap_err();
    assert_eq!(refused.to_string(), "another program has taken the screen");
    assert!(panel.tend().is_err());
    other.release_master_lock().unwrap();
    assert!(panel.tend().unwrap().blank);
    let frame = noise((1280, 800), 6);
    panel.present(&frame, &[], &Scene::default()).unwrap();
    compare(&frame, Rotation::None, "back again");

    // And noticed with nothing to draw.
    release(&panel);
    other.acquire_master_lock().unwrap();
    assert!(panel.tend().is_err());
}

#[test]
#[ignore = "needs the lab's kernel: tests/lab runs it"]
fn the_panel_can_be_dark_and_lit_again() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for legacy in [false, true] {
        let mut panel = panel(legacy, "1024x768", Rotation::None);
        let frame = noise(panel.tend().unwrap().size, 8);
        panel.present(&frame, &[frame.bounds()], &Scene::default()).unwrap();
        drop(panel.lose("the test says so".into()));
        assert!(panel.tend().unwrap().blank);
        panel.present(&frame, &[], &Scene::default()).unwrap();
        compare(&frame, Rotation::None, "lit again");

        panel.darken().unwrap();
        assert!(screenshot().is_err(), "something is shown at night");
        assert!(panel.tend().unwrap().blank);
        panel.present(&frame, &[], &Scene::default()).unwrap();
        compare(&frame, Rotation::None, "woken");
    }
}

#[test]
#[ignore = "needs the lab's kernel: tests/lab runs it"]
fn the_cards_are_listed_and_a_mistake_names_what_there_is() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let cards = probe();
    let card = cards.iter().find(|card| card.driver == "vkms").expect("no vkms");
    assert_eq!((card.atomic, &card.problem), (true, &None));
    let virtual_1 = card.connectors.iter().find(|connector| connector.name == "Virtual-1").expect("no connector");
    assert_eq!(virtual_1.status, Status::Connected);
    assert!(virtual_1.modes.iter().any(|mode| mode.to_string() == "1280x800@60"), "{:?}", virtual_1.list_modes());
    let mistake = |wanted| DrmPanel::open(Machine { legacy: false }, wanted).err().unwrap().to_string();
    let message = mistake(Wanted { mode: WantedMode::parse("1281x800"), ..Wanted::default() });
    assert!(message.contains("Virtual-1 has no mode `1281x800`; write one of: "), "{message}");
    let message = mistake(Wanted { connector: Some("HDMI-A-1".into()), ..Wanted::default() });
    assert_eq!(message, "no connector `HDMI-A-1`; write one of: Virtual-1 (connected)");
}

/// Not a promise, a measurement: what a whole frame costs before its flip.
#[test]
#[ignore = "needs the lab's kernel: tests/lab runs it"]
fn what_a_frame_costs() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for mode in ["1280x800", "1920x1080"] {
        for rotation in ALL {
            let began = Instant::now();
            let mut panel = panel(false, mode, rotation);
            let frame = noise(panel.tend().unwrap().size, 9);
            panel.present(&frame, &[frame.bounds()], &Scene::default()).unwrap();
            let lit = began.elapsed();
            let open = panel.open.values_mut().next().unwrap();
            let mut costs = Vec::new();
            for _ in 0..40 {
                let (bytes, pitch) = open.card.pixels(0);
                let began = Instant::now();
                Surface { bytes, pitch }.copy(&frame, &[frame.bounds()], rotation, u32::to_le_bytes);
                costs.push(began.elapsed());
            }
            costs.sort();
            println!("{mode} {rotation:?}: open to lit {lit:?}; a whole frame is copied in {:?}", costs[20]);
        }
    }
}
