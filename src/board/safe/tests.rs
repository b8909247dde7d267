//! Relays of a machine whose configuration was changed while it ran.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use embedded_hal::digital::{ErrorType, InputPin};

use super::*;
use crate::board::{Backend, SimulatedI2c};

/// Whether each wire is on, by its offset; and those that another program holds.
#[derive(Clone, Default)]
struct Chip {
    on: Arc<Mutex<BTreeMap<u32, bool>>>,
    busy: Arc<Mutex<BTreeSet<u32>>>,
}

impl Chip {
    fn with(on: &[u32]) -> Self {
        let chip = Self::default();
        *chip.on.lock().unwrap() = on.iter().map(|offset| (*offset, true)).collect();
        chip
    }

    fn still_on(&self) -> Vec<u32> {
        self.on.lock().unwrap().iter().filter(|(_, on)| **on).map(|(offset, _)| *offset).collect()
    }
}

struct Bench {
    chip: Chip,
    wiring: Wiring,
}

impl Locate for Bench {
    fn whereabouts(&self, line: &str) -> Result<String, BoardError> {
        match self.wiring.line(line).offset {
            Some(offset) => Ok(format!("offset {offset}")),
            None => Err(BoardError::Line { line: line.into(), why: "no line is called so".into() }),
        }
    }
}

struct Wire(Chip, u32);

impl ErrorType for Wire {
    type Error = Infallible;
}

impl OutputPin for Wire {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.on.lock().unwrap().insert(self.1, false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        unreachable!("nothing is switched on")
    }
}

impl InputPin for Wire {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(false)
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(true)
    }
}

impl Backend for Bench {
    type Output = Wire;
    type Input = Wire;
    type Bus = SimulatedI2c;

    fn output(&self, line: &str) -> Result<Wire, BoardError> {
        let place = self.whereabouts(line)?;
        let offset = self.wiring.line(line).offset.unwrap();
        if self.chip.busy.lock().unwrap().contains(&offset) {
            return Err(BoardError::Busy { line: line.into(), place, by: "somebody".into() });
        }
        Ok(Wire(self.chip.clone(), offset))
    }

    fn input(&self, line: &str) -> Result<Wire, BoardError> {
        self.output(line)
    }

    fn bus(&self) -> Result<SimulatedI2c, BoardError> {
        Err(BoardError::NoWorld)
    }

    fn untouched(never: &Infallible) -> bool {
        match *never {}
    }
}

/// Slots by name and offset, as `load_wiring` reads them.
fn wiring(slots: &[(&str, u32)]) -> Wiring {
    let mut text = "[board]\ndriver = \"gpiochip\"\n".to_owned();
    for (slot, offset) in slots {
        text += &format!("[[slot]]\nname = \"{slot}\"\nline = \"slot-{slot}\"\n");
        text += &format!("[[line]]\nname = \"slot-{slot}\"\nchip = \"/dev/gpiochip0\"\noffset = {offset}\n");
    }
    toml::from_str(&text).unwrap()
}

fn typo() -> Result<Wiring, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kiosk.toml");
    std::fs::write(&file, "[board]\ndriver = \"gpiochip\"\n[[slot]\nname = \"A1\"\n").unwrap();
    config::load_wiring(&file)
}

/// A run that claims these.
fn run(chip: &Chip, claims: &Claims, slots: &[(&str, u32)]) {
    let open = |wiring| Ok(Bench { chip: chip.clone(), wiring });
    announce(&open(wiring(slots)).unwrap(), wiring(slots), open, claims).unwrap();
}

/// And its end.
fn after(chip: &Chip, claims: &Claims, config: Result<Wiring, ConfigError>) -> (bool, Vec<String>) {
    let mut said = Vec::new();
    let told = |told| {
        said.push(match told {
            SafeReport::Relay(made) => made.to_string(),
            SafeReport::Claims(error) => error.to_string(),
            SafeReport::Config(error) => error.to_string(),
        });
    };
    let open = |wiring| Ok(Bench { chip: chip.clone(), wiring });
    let safe = Sweep { open, tried: BTreeSet::new(), safe: true, told }.all(Some(claims), config);
    (safe, said)
}

fn slots_claimed(claims: &Claims) -> Vec<Vec<String>> {
    let names = |wiring: &Wiring| wiring.slots.iter().map(|slot| slot.name.clone()).collect();
    claims.read().unwrap().iter().map(names).collect()
}

#[test]
fn a_slot_that_was_taken_out_of_the_file_does_not_stay_on() {
    let folder = tempfile::tempdir().unwrap();
    let (claims, chip) = (Claims::at(folder.path()), Chip::with(&[17, 27]));
    run(&chip, &claims, &[("A1", 17), ("A2", 27)]);
    let (safe, said) = after(&chip, &claims, Ok(wiring(&[("A1", 17), ("B1", 22)])));
    assert!(safe);
    assert_eq!(chip.still_on(), [0u32; 0]);
    let wanted = [
        "slot A1: line slot-A1 is inactive (offset 17)",
        "slot A2: line slot-A2 is inactive (offset 27)",
        // Of the new configuration, and not driven by anybody yet.
        "slot B1: line slot-B1 is inactive (offset 22)",
    ];
    assert_eq!(said, wanted, "each wire once");
    assert!(slots_claimed(&claims).is_empty(), "what is safe is nobody's claim");
}

#[test]
fn a_typo_in_the_file_leaves_nothing_on() {
    let folder = tempfile::tempdir().unwrap();
    let (claims, chip) = (Claims::at(folder.path()), Chip::with(&[17]));
    let (safe, said) = after(&chip, &claims, typo());
    assert!(!safe && said.len() == 1 && chip.still_on() == [17], "nobody knows of anything: {said:?}");
    run(&chip, &claims, &[("A1", 17)]);
    let (safe, said) = after(&chip, &claims, typo());
    assert!(safe, "{said:?}");
    assert_eq!(chip.still_on(), [0u32; 0]);
    assert!(said[1].contains("kiosk.toml:3:"), "and the file's fault is told: {said:?}");
}

#[test]
fn what_could_not_be_made_safe_is_not_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let (claims, chip) = (Claims::at(folder.path()), Chip::with(&[17, 27]));
    run(&chip, &claims, &[("A1", 17), ("A2", 27)]);
    chip.busy.lock().unwrap().insert(27);
    let (safe, said) = after(&chip, &claims, Ok(wiring(&[("A1", 17)])));
    assert!(!safe && said[1].contains("COULD NOT BE MADE INACTIVE"), "{said:?}");
    assert_eq!((chip.still_on(), slots_claimed(&claims)), (vec![27], vec![vec!["A2".to_owned()]]));

    // The next run does not drive it, and keeps it in mind; when it is free it goes off before anything else.
    run(&chip, &claims, &[("A1", 17)]);
    assert_eq!(slots_claimed(&claims), [["A1"], ["A2"]]);
    run(&chip, &claims, &[("A1", 17)]);
    assert_eq!(slots_claimed(&claims), [["A1"], ["A2"]], "once");
    chip.busy.lock().unwrap().clear();
    run(&chip, &claims, &[("A1", 17)]);
    assert_eq!((chip.still_on(), slots_claimed(&claims)), (vec![], vec![vec!["A1".to_owned()]]));
}

#[test]
fn claims_that_are_damaged_are_told_and_the_file_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let (claims, chip) = (Claims::at(folder.path()), Chip::with(&[17]));
    run(&chip, &claims, &[("A1", 17)]);
    std::fs::write(folder.path().join("relays.json"), "[{").unwrap();
    let (safe, said) = after(&chip, &claims, Ok(wiring(&[("A1", 17)])));
    assert!(!safe, "there may have been more");
    assert!(said[0].contains("relays.json is damaged") && said.len() == 2, "{said:?}");
    assert_eq!(chip.still_on(), [0u32; 0]);
    let none = Claims::at(&folder.path().join("nowhere"));
    assert!(none.read().unwrap().is_empty());
    assert!(none.write(&[wiring(&[])]).is_err());
}

#[test]
fn the_relays_of_a_gate_are_made_safe_too() {
    let folder = tempfile::tempdir().unwrap();
    let (claims, chip) = (Claims::at(folder.path()), Chip::with(&[4, 5, 6]));
    let mut text = "[board]\ndriver = \"gpiochip\"\n[gate]\nname = \"entry-1\"\nraise = \"up\"\nlower = \"down\"\nsign = \"full\"\n".to_owned();
    for (name, offset) in [("up", 4), ("down", 5), ("full", 6)] {
        text += &format!("[[line]]\nname = \"{name}\"\nchip = \"/dev/gpiochip0\"\noffset = {offset}\n");
    }
    let gate = || toml::from_str::<Wiring>(&text).unwrap();
    let open = |wiring| Ok(Bench { chip: chip.clone(), wiring });
    announce(&open(gate()).unwrap(), gate(), open, &claims).unwrap();
    chip.busy.lock().unwrap().insert(5);
    let (safe, said) = after(&chip, &claims, typo());
    assert!(!safe && chip.still_on() == [5], "{said:?}");
    let left = claims.read().unwrap().remove(0).relays();
    assert_eq!(left.iter().map(|relay| relay.line.as_str()).collect::<Vec<_>>(), ["down"], "it is not forgotten");
    chip.busy.lock().unwrap().clear();
    let (safe, said) = after(&chip, &claims, Ok(gate()));
    assert!(safe && chip.still_on().is_empty(), "{said:?}");
    assert_eq!(said[0], "the gate's lower: line down is inactive (offset 5)");
}
