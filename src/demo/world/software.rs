//! The two copies of the software that the simulated machine has, and its boot loader. The program is the same in both.

use serde_json::{Value, json};

use crate::operation::Version;
use crate::world::CopyAsk;

/// So often a copy is started without being called good.
const ATTEMPTS: u32 = 3;

/// Copies A and B.
#[derive(Debug)]
pub struct Copies {
    versions: [Version; 2],
    left: [u32; 2],
    /// The first with an attempt left starts.
    order: Vec<usize>,
    running: usize,
    boot: u64,
}

impl Default for Copies {
    fn default() -> Self {
        let version = Version::parse(env!("CARGO_PKG_VERSION")).expect("a package's version is one");
        Self { versions: [version.clone(), version], left: [ATTEMPTS; 2], order: vec![0, 1], running: 0, boot: 0 }
    }
}

impl Copies {
    /// The boot loader: the machine is switched on.
    pub fn start(&mut self) {
        self.boot += 1;
        if self.order.iter().all(|&copy| self.left[copy] == 0) {
            self.order.iter().for_each(|&copy| self.left[copy] = ATTEMPTS);
        }
        if let Some(&next) = self.order.iter().find(|&&copy| self.left[copy] > 0) {
            self.left[next] -= 1;
            self.running = next;
        }
    }

    pub fn asked(&mut self, ask: CopyAsk) -> Value {
        let (here, other) = (self.running, 1 - self.running);
        match ask {
            CopyAsk::Look => {}
            CopyAsk::Write => self.never(other),
            CopyAsk::Written { version } => {
                self.versions[other] = version;
                self.first(other);
            }
            CopyAsk::Good { next } => {
                self.left[here] = ATTEMPTS;
                if next {
                    self.first(here);
                }
            }
            CopyAsk::OtherNext => self.first(other),
            CopyAsk::OtherNever => self.never(other),
        }
        let spare = self.order.contains(&other) && self.left[other] > 0;
        let name = if here == 0 { "A" } else { "B" };
        json!({ "running": name, "version": self.versions[here], "boot": self.boot, "spare": spare })
    }

    fn first(&mut self, copy: usize) {
        self.order.retain(|&one| one != copy);
        self.order.insert(0, copy);
        self.left[copy] = ATTEMPTS;
    }

    fn never(&mut self, copy: usize) {
        self.order.retain(|&one| one != copy);
        self.left[copy] = 0;
    }
}
