//! What a contact says of what it watches, and how it can be broken.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A switch that is late says so much later what is the case.
const LATE: Duration = Duration::from_secs(3);
/// A loop that flickers changes so often.
const FLICKER: u128 = 100;

/// A limit switch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SwitchFault {
    #[default]
    Ok,
    Late,
    /// Says the opposite.
    Wrong,
    /// Says nothing: it is never active.
    Dead,
}

/// A loop's presence contact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoopFault {
    #[default]
    Ok,
    /// Says that a car is there.
    Stuck,
    Flickering,
    /// Sees no car.
    Blind,
}

impl LoopFault {
    pub fn says(self, occupied: bool, now: Duration) -> bool {
        match self {
            Self::Ok => occupied,
            Self::Stuck => true,
            Self::Flickering => (now.as_millis() / FLICKER).is_multiple_of(2),
            Self::Blind => false,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Contact {
    fault: SwitchFault,
    is: bool,
    since: Duration,
    /// What a late one still says.
    said: bool,
}

impl Contact {
    pub fn new(is: bool) -> Self {
        Self { fault: SwitchFault::Ok, is, since: Duration::ZERO, said: is }
    }

    pub fn fault(&self) -> SwitchFault {
        self.fault
    }

    pub fn set_fault(&mut self, fault: SwitchFault, now: Duration) {
        self.fault = fault;
        self.follow(self.is, now);
    }

    /// What it watches is so now.
    pub fn follow(&mut self, is: bool, now: Duration) {
        if self.is != is {
            self.is = is;
            self.since = now;
        }
        if self.fault != SwitchFault::Late || now.saturating_sub(self.since) >= LATE {
            self.said = self.is;
        }
    }

    pub fn says(&self) -> bool {
        match self.fault {
            SwitchFault::Ok => self.is,
            SwitchFault::Late => self.said,
            SwitchFault::Wrong => !self.is,
            SwitchFault::Dead => false,
        }
    }

    /// It will say something else by itself.
    pub fn waits(&self) -> bool {
        self.fault == SwitchFault::Late && self.said != self.is
    }
}
