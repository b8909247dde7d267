//! The way into the service menu: a hidden place that is touched five times, or a key that is turned, and the page that asks
//! for the PIN.
//!
//! Policy: digits are here and in the question whether they are right, and nowhere else; the page knows how many were typed.
//! Wrong ones in a row make the next one wait, longer each time, and the ledger remembers how many there were.

use std::time::Duration;

use super::{Look, Page, Part, Patience, Touch};
use crate::sale::dialogue::Key;
use crate::sale::event::{Effect, Illegal};
use crate::sale::record::Record;
use crate::sale::{State, Turn};
use crate::vocabulary::{Mono, Pin};

/// So many touches within that time; a customer touches the place once, if ever.
const KNOCKS: usize = 5;
const KNOCKING: Duration = Duration::from_secs(3);

/// After so many wrong ones in a row the next waits that long, and twice as long after each more, up to the most.
const FREE: u32 = 2;
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

#[derive(Debug, Clone, Default)]
pub(super) struct At {
    entered: Pin,
    /// What was typed last is being checked.
    asked: bool,
    wrong: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinPage {
    Pin {
        /// Digits.
        typed: usize,
        state: PinState,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinState {
    Typing,
    /// The last one was wrong.
    Wrong,
    Checking,
    /// Nothing is taken for so many seconds.
    Waiting {
        seconds: u64,
    },
}

/// What is known of wrong PINs, whoever typed them.
#[derive(Debug, Clone, Default)]
pub struct PinGuard {
    /// In a row, since the last right one.
    pub wrong: u32,
    /// Before then none is taken.
    until: Option<Mono>,
    /// The answer to a question is still to come.
    checking: bool,
}

impl PinGuard {
    /// After so many wrong ones, the last of them at `now`. After a restart nobody knows how long ago that was.
    pub fn after(wrong: u32, now: Mono) -> Self {
        let wait = |doubled| LONGEST_WAIT.min(FIRST_WAIT.saturating_mul(2_u32.saturating_pow(doubled)));
        let until = wrong.checked_sub(FREE + 1).map(|doubled| now + wait(doubled));
        Self { wrong, until, checking: false }
    }

    fn waits(&self, now: Mono) -> Option<Duration> {
        self.until.filter(|until| now < *until).map(|until| until.since(now))
    }
}

impl PinPage {
    pub(super) fn name(&self) -> &'static str {
        match self {
            PinPage::Pin { .. } => "service-pin",
        }
    }
}

impl Part for At {
    fn touch(&self, turn: &mut Turn<'_>, touch: Touch) -> Result<(), Illegal> {
        match touch {
            Touch::Cancel => turn.begin_anew(),
            Touch::Key(key) => turn.type_pin(self, key),
            touch => return Err(turn.not_here(touch)),
        }
        Ok(())
    }

    fn patience(&self, state: &State) -> Patience {
        let time = state.policy.browse_timeout;
        if state.pin.until.is_some() { Patience::Counting(time) } else { Patience::Warning(time) }
    }

    fn show(&self, state: &State, look: &Look<'_>) -> Page {
        let pin_state = match state.pin.waits(look.now) {
            Some(wait) => PinState::Waiting { seconds: wait.as_millis().div_ceil(1_000) as u64 },
            None if state.pin.checking => PinState::Checking,
            None if self.wrong && self.entered.typed() == 0 => PinState::Wrong,
            None => PinState::Typing,
        };
        Page::Pin(PinPage::Pin { typed: self.entered.typed(), state: pin_state })
    }
}

impl State {
    /// The hidden place can be touched: there is a menu, and this page belongs to nobody.
    pub(super) fn can_knock(&self, page: &Page) -> bool {
        let nobodys = matches!(page, Page::Shop(super::ShopPage::Attract { .. }) | Page::OutOfService { .. });
        // What the menu does is written down first.
        self.policy.service && nobodys && self.conditions.ledger_failed.is_none()
    }
}

impl Turn<'_> {
    pub(super) fn knock(&mut self) -> Result<(), Illegal> {
        if !self.let_in() {
            return Err(self.not_here(Touch::Service));
        }
        let now = self.at.now;
        let knocks = &mut self.state.dialogue.knocks;
        knocks.retain(|at| now.since(*at) <= KNOCKING);
        knocks.push(now);
        if knocks.len() >= KNOCKS {
            self.ask_for_pin();
        }
        Ok(())
    }

    /// The page belongs to nobody, and there is a menu.
    fn let_in(&self) -> bool {
        let look = Look { now: self.at.now, receipt_code: &|_| None };
        self.state.can_knock(&self.state.page(&look)) && self.state.current.is_none()
    }

    fn ask_for_pin(&mut self) {
        self.state.dialogue.knocks.clear();
        self.state.dialogue.visit = super::shop::Visit::default();
        self.go(super::At::Pin(At::default()));
    }

    /// Turned on it asks for the PIN where the hidden place would, and nowhere else; turned off it closes what it has opened.
    pub(in crate::sale) fn service_key(&mut self, on: bool) {
        let open = matches!(self.state.dialogue.at, super::At::Pin(_)) || self.state.dialogue.in_service();
        match on {
            true if self.let_in() => self.ask_for_pin(),
            false if open => self.leave_menu(),
            true | false => {}
        }
    }

    fn type_pin(&mut self, at: &At, key: Key) {
        if self.state.pin.waits(self.at.now).is_some() || self.state.pin.checking {
            return;
        }
        let mut at = at.clone();
        match key {
            Key::Digit(digit) => at.entered.push(digit),
            Key::Clear => at.entered = Pin::default(),
            Key::Ok if at.entered.whole() => {
                self.state.pin.checking = true;
                self.effect(Effect::CheckPin { pin: at.entered });
                at = At { entered: Pin::default(), asked: true, wrong: false };
            }
            Key::Ok => {}
        }
        self.go(super::At::Pin(at));
    }

    /// A wrong one counts whoever has gone meanwhile; a right one opens the menu for who waits for it.
    pub(in crate::sale) fn pin_checked(&mut self, right: bool) -> Result<(), Illegal> {
        if !std::mem::take(&mut self.state.pin.checking) {
            return Err(Illegal::Refused("no PIN was asked about"));
        }
        let waits = matches!(&self.state.dialogue.at, super::At::Pin(At { asked: true, .. }));
        if right && waits {
            self.record(Record::ServiceOpened {});
            self.open_menu();
        } else if !right {
            let in_a_row = self.state.pin.wrong.saturating_add(1);
            self.record(Record::ServicePinRefused { in_a_row });
            if waits {
                self.go(super::At::Pin(At { wrong: true, ..At::default() }));
            }
        }
        Ok(())
    }

    /// The pause is over.
    pub(in crate::sale) fn end_pin_pause(&mut self) {
        let now = self.at.now;
        self.state.pin.until.take_if(|until| now >= *until);
    }
}
