//! A machine whose cards can be pulled out, hang and be taken away.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::card::{Card, Cards, Connector, Mode, Status};
use crate::vocabulary::Rect;

#[derive(Clone, Default)]
pub struct FakeMachine(Arc<Mutex<BTreeMap<PathBuf, FakeCard>>>);

/// What the test does to a card, and what it sees of it.
#[derive(Default)]
pub struct FakeCard {
    pub connectors: Vec<Connector>,
    /// The modes that only a probe finds: the kernel knows those of the panel before.
    pub unprobed: Vec<Mode>,
    pub open_fails: Option<io::ErrorKind>,
    /// Another program is master.
    pub taken: bool,
    pub ours: bool,
    /// Flips are taken and never done.
    pub hangs: bool,
    pub refuses_light: bool,
    pub probes: u32,
    pub lights: u32,
    pub flips: u32,
    pub darkened: u32,
    pub size: (u32, u32),
    buffers: [Vec<u8>; 2],
    front: Option<usize>,
    pending: Option<usize>,
    pub damage: Vec<Rect>,
}

pub fn mode(width: u32, height: u32, refresh: u32) -> Mode {
    Mode { width, height, refresh: refresh * 1_000, interlaced: false, preferred: false }
}

pub fn connector(id: u32, name: &str, modes: &[Mode]) -> Connector {
    let status = if modes.is_empty() { Status::Disconnected } else { Status::Connected };
    Connector { id, name: name.into(), status, modes: modes.to_vec() }
}

impl FakeMachine {
    pub fn with(cards: &[(&str, &[Connector])]) -> Self {
        let machine = Self::default();
        for (path, connectors) in cards {
            let card = FakeCard { connectors: connectors.to_vec(), ..FakeCard::default() };
            machine.lock().insert(path.into(), card);
        }
        machine
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, FakeCard>> {
        self.0.lock().unwrap()
    }

    /// Does something to a card, or looks at it.
    pub fn card<T>(&self, path: &str, what: impl FnOnce(&mut FakeCard) -> T) -> T {
        what(self.lock().get_mut(Path::new(path)).expect("no such card"))
    }

    pub fn pull_out(&self, path: &str) {
        self.lock().remove(Path::new(path));
    }
}

impl FakeCard {
    pub fn unplug(&mut self, name: &str) {
        self.plug(name, &[]);
        // As the kernel does: the modes stay until somebody probes.
        self.unprobed.clear();
    }

    /// What the kernel's list still says of the panel before stays until the next probe.
    pub fn plug(&mut self, name: &str, modes: &[Mode]) {
        let connector = self.connectors.iter_mut().find(|connector| connector.name == name).expect("no such connector");
        connector.status = if modes.is_empty() { Status::Disconnected } else { Status::Connected };
        self.unprobed = modes.to_vec();
    }

    /// The pixels on the panel, row by row.
    pub fn shows(&self) -> Option<Vec<u32>> {
        let bytes = &self.buffers[self.front?];
        Some(bytes.chunks_exact(4).map(|pixel| u32::from_le_bytes(pixel.try_into().unwrap())).collect())
    }
}

impl Cards for FakeMachine {
    type Card = OpenFake;

    fn paths(&self) -> Vec<PathBuf> {
        self.lock().keys().cloned().collect()
    }

    fn open(&self, path: &Path) -> io::Result<OpenFake> {
        let mut cards = self.lock();
        let card = cards.get_mut(path).ok_or(io::ErrorKind::NotFound)?;
        if let Some(kind) = card.open_fails {
            return Err(kind.into());
        }
        card.ours = !card.taken;
        Ok(OpenFake { machine: self.clone(), path: path.to_owned(), buffers: Default::default() })
    }
}

pub struct OpenFake {
    machine: FakeMachine,
    path: PathBuf,
    buffers: [Vec<u8>; 2],
}

impl OpenFake {
    fn with<T>(&self, what: impl FnOnce(&mut FakeCard) -> io::Result<T>) -> io::Result<T> {
        let gone = || io::Error::other("no such device");
        what(self.machine.lock().get_mut(&self.path).ok_or_else(gone)?)
    }

    fn as_master<T>(&self, what: impl FnOnce(&mut FakeCard) -> io::Result<T>) -> io::Result<T> {
        self.with(|card| {
            card.ours &= !card.taken;
            if card.ours { what(card) } else { Err(io::ErrorKind::PermissionDenied.into()) }
        })
    }
}

impl Card for OpenFake {
    fn connectors(&self, probe: bool) -> io::Result<Vec<Connector>> {
        self.with(|card| {
            if probe {
                card.probes += 1;
                let fresh = std::mem::take(&mut card.unprobed);
                for connector in &mut card.connectors {
                    match connector.status {
                        Status::Disconnected => connector.modes.clear(),
                        _ if !fresh.is_empty() => connector.modes.clone_from(&fresh),
                        _ => {}
                    }
                }
            }
            Ok(card.connectors.clone())
        })
    }

    fn status(&self, connector: &Connector) -> io::Result<Status> {
        self.with(|card| {
            let found = card.connectors.iter().find(|known| known.id == connector.id);
            found.map(|found| found.status).ok_or_else(|| io::ErrorKind::NotFound.into())
        })
    }

    fn is_master(&self) -> io::Result<bool> {
        self.with(|card| {
            card.ours &= !card.taken;
            Ok(card.ours)
        })
    }

    fn become_master(&self) -> io::Result<()> {
        self.with(|card| {
            card.ours = !card.taken;
            if card.ours { Ok(()) } else { Err(io::ErrorKind::ResourceBusy.into()) }
        })
    }

    fn make_buffers(&mut self, width: u32, height: u32) -> io::Result<()> {
        let bytes = (width * height * 4) as usize;
        if self.buffers[0].len() != bytes {
            self.buffers = [vec![0; bytes], vec![0; bytes]];
        }
        self.with(|card| {
            card.size = (width, height);
            Ok(())
        })
    }

    fn pixels(&mut self, buffer: usize) -> (&mut [u8], usize) {
        // The panel would show what is written to its buffer: that is a tear.
        let (shown, pitch) =
            self.with(|card| Ok((card.front == Some(buffer), card.size.0 as usize * 4))).unwrap_or((false, 0));
        assert!(!shown, "buffer {buffer} is on the panel");
        (&mut self.buffers[buffer], pitch)
    }

    fn light(&mut self, connector: &Connector, mode: &Mode, buffer: usize) -> io::Result<()> {
        let pixels = self.buffers[buffer].clone();
        self.as_master(|card| {
            card.lights += 1;
            let known = card.connectors.iter().find(|known| known.id == connector.id).expect("no such connector");
            if card.refuses_light || !known.modes.contains(mode) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            card.buffers[buffer] = pixels;
            card.front = Some(buffer);
            Ok(())
        })
    }

    fn flip(&mut self, buffer: usize, damage: &[Rect]) -> io::Result<()> {
        let pixels = self.buffers[buffer].clone();
        self.as_master(|card| {
            assert!(card.front.is_some(), "nothing is lit");
            card.flips += 1;
            card.buffers[buffer] = pixels;
            card.pending = Some(buffer);
            card.damage = damage.to_vec();
            Ok(())
        })
    }

    fn flipped(&mut self, _timeout: Duration) -> io::Result<bool> {
        self.with(|card| {
            if card.hangs {
                return Ok(false);
            }
            card.front = card.pending.take();
            Ok(true)
        })
    }

    fn darken(&mut self) -> io::Result<()> {
        self.as_master(|card| {
            card.darkened += 1;
            card.front = None;
            card.pending = None;
            Ok(())
        })
    }
}
