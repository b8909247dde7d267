//! The panel's life, on cards that can be pulled out.

use super::fake::{FakeMachine, connector, mode};
use super::*;

const CARD: &str = "/dev/dri/card0";
const HDMI: &str = "HDMI-A-1";

fn machine(modes: &[Mode]) -> FakeMachine {
    FakeMachine::with(&[(CARD, &[connector(31, HDMI, modes)])])
}

fn opened(machine: &FakeMachine, wanted: Wanted) -> DrmPanel<FakeMachine> {
    DrmPanel::open(machine.clone(), wanted).unwrap()
}

fn scene() -> Scene {
    Scene::default()
}

fn frame((width, height): (u32, u32), color: u32) -> Frame {
    let mut frame = Frame::black(width as i32, height as i32);
    frame.pixels.fill(color);
    frame
}

/// Tends, and presents a frame of one colour if it may; the size, or why it is dark.
fn paint(panel: &mut DrmPanel<FakeMachine>, color: u32) -> Result<(u32, u32), String> {
    let ready = panel.tend().map_err(|error| error.to_string())?;
    let frame = frame(ready.size, color);
    panel.present(&frame, &[frame.bounds()], &scene()).map_err(|error| error.to_string())?;
    Ok(ready.size)
}

fn shows(machine: &FakeMachine, card: &str, color: u32) -> bool {
    let shown = machine.card(card, |card| card.shows());
    shown.is_some_and(|pixels| !pixels.is_empty() && pixels.iter().all(|pixel| *pixel == color))
}

fn dark(result: Result<(u32, u32), String>) -> String {
    result.expect_err("it is lit")
}

fn mistake(cards: &FakeMachine, wanted: Wanted) -> String {
    DrmPanel::open(cards.clone(), wanted).err().expect("no mistake was found").to_string()
}

#[test]
fn the_first_picture_comes_with_the_mode_and_the_next_by_a_flip() {
    let machine = machine(&[mode(64, 48, 60)]);
    let mut panel = opened(&machine, Wanted::default());
    assert_eq!(machine.card(CARD, |card| (card.lights, card.probes)), (0, 0), "nothing black before the first picture");
    assert_eq!(panel.tend().unwrap(), Ready { size: (64, 48), blank: true });
    assert_eq!(paint(&mut panel, 0x11), Ok((64, 48)));
    assert!(shows(&machine, CARD, 0x11));
    assert_eq!(panel.tend().unwrap(), Ready { size: (64, 48), blank: false });
    assert_eq!(paint(&mut panel, 0x22), Ok((64, 48)));
    assert!(shows(&machine, CARD, 0x22));
    assert_eq!(machine.card(CARD, |card| (card.lights, card.flips)), (1, 1));
}

/// Each buffer misses every other frame: what it missed must be copied with what is new.
#[test]
fn damage_of_the_frame_before_is_carried_into_the_buffer_that_missed_it() {
    for rotation in [Rotation::None, Rotation::Right, Rotation::Half, Rotation::Left] {
        let machine = machine(&[mode(40, 30, 60)]);
        let mut panel = opened(&machine, Wanted { rotation, ..Wanted::default() });
        let size = panel.tend().unwrap().size;
        let mut picture = frame(size, 0x1);
        panel.present(&picture, &[picture.bounds()], &scene()).unwrap();
        let mut chance = 7u32;
        let mut random = |below: i32| {
            chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (chance >> 16) as i32 % below
        };
        for color in 2..60 {
            let (x, y) = (random(picture.width - 4), random(picture.height - 4));
            let rects = [Rect { x, y, w: 3, h: 4 }, Rect { x: random(picture.width), y: 0, w: 1, h: 1 }];
            for rect in rects {
                for row in rect.y..rect.y + rect.h {
                    let start = (row * picture.width + rect.x) as usize;
                    picture.pixels[start..start + rect.w as usize].fill(color);
                }
            }
            panel.present(&picture, &rects, &scene()).unwrap();
            let mut expected = vec![0; picture.pixels.len() * 4];
            let pitch = 40 * 4;
            Surface { bytes: &mut expected, pitch }.copy(&picture, &[picture.bounds()], rotation, u32::to_le_bytes);
            let shown: Vec<u8> =
                machine.card(CARD, |card| card.shows()).unwrap().iter().flat_map(|pixel| pixel.to_le_bytes()).collect();
            assert!(shown == expected, "{rotation:?}, frame {color}");
            let damage = machine.card(CARD, |card| card.damage.clone());
            let turned = rects.map(|rect| rotation.rect(rect, picture.width, picture.height));
            assert_eq!(damage, turned, "the card is told of what is new only");
        }
    }
}

#[test]
fn a_scene_without_damage_turns_nothing_over() {
    let machine = machine(&[mode(64, 48, 60)]);
    let mut panel = opened(&machine, Wanted::default());
    paint(&mut panel, 1).unwrap();
    panel.present(&frame((64, 48), 1), &[], &scene()).unwrap();
    assert_eq!(machine.card(CARD, |card| card.flips), 0);
}

#[test]
fn a_panel_that_goes_and_comes_back_is_lit_again_with_everything() {
    let machine = machine(&[mode(64, 48, 60)]);
    let mut panel = opened(&machine, Wanted::default());
    paint(&mut panel, 0x11).unwrap();
    machine.card(CARD, |card| card.unplug(HDMI));
    let why = dark(paint(&mut panel, 0x22));
    assert_eq!(why, "no panel is plugged in: HDMI-A-1 (not connected)");
    assert_eq!(machine.card(CARD, |card| card.darkened), 1, "its link is made anew");
    assert!(panel.present(&frame((64, 48), 0x22), &[], &scene()).is_err());

    machine.card(CARD, |card| card.plug(HDMI, &[mode(64, 48, 60)]));
    assert_eq!(panel.tend().unwrap(), Ready { size: (64, 48), blank: true });
    // No damage: all of it is new to the panel.
    panel.present(&frame((64, 48), 0x33), &[], &scene()).unwrap();
    assert!(shows(&machine, CARD, 0x33));
    paint(&mut panel, 0x44).unwrap();
    assert!(shows(&machine, CARD, 0x44));
    assert_eq!(machine.card(CARD, |card| card.lights), 2);
}

#[test]
fn a_panel_of_another_size_is_asked_what_it_can() {
    let machine = machine(&[mode(64, 48, 60)]);
    let wanted = Wanted { mode: WantedMode::parse("64x48"), ..Wanted::default() };
    let mut panel = opened(&machine, wanted);
    paint(&mut panel, 1).unwrap();
    machine.card(CARD, |card| card.unplug(HDMI));
    dark(paint(&mut panel, 2));
    machine.card(CARD, |card| card.plug(HDMI, &[mode(100, 50, 50)]));
    assert_eq!(paint(&mut panel, 3), Ok((100, 50)), "better its own mode than nothing");
    assert!(shows(&machine, CARD, 3));
}

/// Nothing is probed while nothing changes, but for connectors that can't say that something did.
#[test]
fn an_absent_panel_is_looked_for_cheaply() {
    let machine = machine(&[]);
    let mut panel = opened(&machine, Wanted::default());
    for _ in 0..9 * PROBED {
        dark(paint(&mut panel, 1));
    }
    assert_eq!(machine.card(CARD, |card| card.probes), 9);
    machine.card(CARD, |card| card.plug(HDMI, &[mode(64, 48, 60)]));
    assert_eq!(paint(&mut panel, 1), Ok((64, 48)));
}

#[test]
fn a_lost_master_is_dark_until_the_other_has_gone() {
    let machine = machine(&[mode(64, 48, 60)]);
    let mut panel = opened(&machine, Wanted::default());
    paint(&mut panel, 1).unwrap();
    machine.card(CARD, |card| card.taken = true);
    // Between two looks: the flip finds out.
    let picture = frame((64, 48), 2);
    let error = panel.present(&picture, &[picture.bounds()], &scene()).unwrap_err();
    assert_eq!(error.to_string(), "another program has taken the screen");
    for _ in 0..3 {
        assert_eq!(dark(paint(&mut panel, 3)), "/dev/dri/card0: another program has the screen");
    }
    machine.card(CARD, |card| card.taken = false);
    assert_eq!(paint(&mut panel, 4), Ok((64, 48)));
    assert!(shows(&machine, CARD, 4));

    // And with nothing to draw: the look finds out.
    machine.card(CARD, |card| card.taken = true);
    assert!(panel.tend().is_err());
}

#[test]
fn a_flip_that_does_not_come_is_dark_and_tried_anew() {
    let machine = machine(&[mode(64, 48, 60)]);
    let mut panel = opened(&machine, Wanted::default());
    paint(&mut panel, 1).unwrap();
    machine.card(CARD, |card| card.hangs = true);
    assert_eq!(dark(paint(&mut panel, 2)), "the card did not show a frame within 400 ms");
    machine.card(CARD, |card| card.hangs = false);
    paint(&mut panel, 3).unwrap();
    assert!(shows(&machine, CARD, 3));
    assert_eq!(machine.card(CARD, |card| (card.lights, card.darkened)), (2, 1));
}

#[test]
fn a_card_that_does_not_light_stays_dark_and_says_so() {
    let machine = machine(&[mode(64, 48, 60)]);
    machine.card(CARD, |card| card.refuses_light = true);
    let mut panel = opened(&machine, Wanted::default());
    for _ in 0..3 {
        assert!(dark(paint(&mut panel, 1)).starts_with("the card did not take a frame:"));
    }
    machine.card(CARD, |card| card.refuses_light = false);
    paint(&mut panel, 2).unwrap();
}

#[test]
fn a_card_that_is_pulled_out_comes_back_on_another_number() {
    let machine = machine(&[mode(64, 48, 60)]);
    let mut panel = opened(&machine, Wanted::default());
    paint(&mut panel, 1).unwrap();
    machine.pull_out(CARD);
    assert_eq!(dark(paint(&mut panel, 2)), "there is no card in /dev/dri");
    let again = FakeMachine::with(&[("/dev/dri/card1", &[connector(5, "DP-1", &[mode(32, 32, 60)])])]);
    panel.cards = again.clone();
    assert_eq!(paint(&mut panel, 3), Ok((32, 32)));
    assert!(shows(&again, "/dev/dri/card1", 3));
}

#[test]
fn the_card_with_a_panel_is_taken_and_one_that_only_renders_is_passed_over() {
    let lit = connector(9, "DSI-1", &[mode(32, 32, 60)]);
    let machine = FakeMachine::with(&[
        ("/dev/dri/card0", &[]),
        ("/dev/dri/card1", &[connector(31, HDMI, &[])]),
        ("/dev/dri/card2", &[connector(8, HDMI, &[]), lit]),
    ]);
    machine.card(CARD, |card| card.open_fails = Some(io::ErrorKind::Unsupported));
    let mut panel = opened(&machine, Wanted::default());
    paint(&mut panel, 5).unwrap();
    assert!(shows(&machine, "/dev/dri/card2", 5));
}

#[test]
fn a_named_connector_is_the_only_one() {
    let (one, two) = (connector(1, "HDMI-A-1", &[mode(32, 32, 60)]), connector(2, "HDMI-A-2", &[mode(48, 32, 60)]));
    let machine = FakeMachine::with(&[(CARD, &[one, two])]);
    let named = |name: &str| Wanted { connector: Some(name.into()), ..Wanted::default() };
    assert_eq!(paint(&mut opened(&machine, named("HDMI-A-2")), 1), Ok((48, 32)));
    machine.card(CARD, |card| card.unplug("HDMI-A-2"));
    let mut panel = opened(&machine, named("HDMI-A-2"));
    assert!(dark(paint(&mut panel, 1)).contains("HDMI-A-2 (not connected)"));
}

#[test]
fn a_mistake_is_said_at_start_with_what_there_is() {
    let machine = machine(&[mode(64, 48, 60), mode(64, 48, 50), mode(32, 24, 60)]);
    let lacks = |mode: &str| Wanted { mode: WantedMode::parse(mode), ..Wanted::default() };
    let there = "64x48@60, 64x48@50, 32x24@60";
    for wrong in ["65x48", "64x48@75"] {
        let expected = format!("/dev/dri/card0 HDMI-A-1 has no mode `{wrong}`; write one of: {there}");
        assert_eq!(mistake(&machine, lacks(wrong)), expected);
    }
    let unknown = Wanted { connector: Some("HDMI-A-3".into()), ..Wanted::default() };
    assert_eq!(mistake(&machine, unknown), "no connector `HDMI-A-3`; write one of: HDMI-A-1 (connected)");
    let named = Wanted { card: Some(CARD.into()), ..Wanted::default() };
    machine.card(CARD, |card| card.open_fails = Some(io::ErrorKind::Unsupported));
    assert!(mistake(&machine, named).ends_with("; name another card, or none"));
    machine.card(CARD, |card| card.open_fails = Some(io::ErrorKind::PermissionDenied));
    assert_eq!(mistake(&machine, Wanted::default()), "/dev/dri/card0: permission denied; add the user to group video");
}

#[test]
fn what_is_only_not_there_yet_is_no_mistake() {
    let nothing = FakeMachine::default();
    let mut panel = opened(&nothing, Wanted { card: Some("/dev/dri/card7".into()), ..Wanted::default() });
    assert_eq!(dark(paint(&mut panel, 1)), "there is no /dev/dri/card7");
    let mut panel = opened(&nothing, Wanted { connector: Some(HDMI.into()), ..Wanted::default() });
    assert_eq!(dark(paint(&mut panel, 1)), "there is no card in /dev/dri");
}

#[test]
fn the_mode_is_the_wanted_one_else_the_panels_own() {
    let own = Mode { preferred: true, ..mode(1280, 800, 60) };
    let halves = Mode { interlaced: true, ..mode(1920, 1080, 60) };
    let ntsc = Mode { refresh: 59_940, ..mode(1920, 1080, 60) };
    let panel = connector(1, HDMI, &[halves, mode(1920, 1080, 50), ntsc, own]);
    let chosen = |wanted: &str| panel.mode(WantedMode::parse(wanted));
    assert_eq!(panel.mode(None), Some(own));
    assert_eq!(chosen("1280x800"), Some(own));
    assert_eq!(chosen("1920x1080"), Some(mode(1920, 1080, 50)), "the kernel's order, whole pictures first");
    assert_eq!(chosen("1920x1080@60"), Some(ntsc), "59.94 is what people call 60");
    assert_eq!(chosen("1920x1080@24"), None);
    assert_eq!(panel.list_modes(), "1920x1080i@60, 1920x1080@50, 1920x1080@60, 1280x800@60");
    let only = connector(1, HDMI, &[halves]);
    assert_eq!(only.mode(None), Some(halves));
    for wrong in ["", "1280", "1280x", "x800", "1280x800@", "1280x800@-60", "+1280x800", "1280x800i", "1280 x 800"] {
        assert_eq!(WantedMode::parse(wrong), None, "{wrong}");
    }
}
