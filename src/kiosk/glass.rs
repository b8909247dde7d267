//! The glass's own thread: it draws the newest view and nothing else, so that painting never delays a relay. Views that
//! come faster than they can be drawn are skipped. It looks after the panel too: a panel that went dark is switched on
//! again with the newest view, and at night a panel that nobody looks at is dimmed or switched off until somebody
//! touches it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::clock::Clock;
use crate::config::{Hours, Theme};
use crate::dbus::{Picture, Screenshot};
use crate::sale::Touch;
use crate::sale::dialogue::{Page, ShopPage, View};
use crate::screen::text::Typesetter;
use crate::screen::{Backlight, Glass, Moment, Panel, PanelError, Ready};
use crate::service::{End, Heartbeat, Part, Supervisor};
use crate::vocabulary::{Corner, Point, Target};
use crate::world::Scene;

#[derive(Debug, Clone, PartialEq)]
pub struct GlassContent {
    pub view: View,
    /// Over the view, for a finger.
    pub mark: Option<Corner>,
    /// The order in the `state` document's form.
    pub order: Value,
}

#[derive(Default)]
struct Mailbox {
    newest: Option<GlassContent>,
    /// Somebody wants to know whether anybody is there.
    nudged: bool,
    /// A finger came, whatever it hit.
    touched: bool,
    /// Who wants a picture of what is shown.
    pictures: Vec<Picture>,
    closed: bool,
}

/// So many may wait for a picture; more get none.
const PICTURES: usize = 16;

/// Hand over views; ask what a finger hit.
#[derive(Clone, Default)]
pub struct GlassHandle {
    mailbox: Arc<(Mutex<Mailbox>, Condvar)>,
    targets: Arc<Mutex<Vec<Target>>>,
    size: Arc<Mutex<(u32, u32)>>,
    heartbeat: Heartbeat,
}

impl GlassHandle {
    pub fn show(&self, showing: GlassContent) {
        let (mailbox, changed) = &*self.mailbox;
        let mut mailbox = mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        mailbox.newest = Some(showing);
        changed.notify_one();
    }

    /// Asks for a picture of what the customer sees; it comes after the newest view is drawn.
    pub fn picture(&self, wanted: Picture) {
        let (mailbox, changed) = &*self.mailbox;
        let mut mailbox = mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        if mailbox.pictures.len() < PICTURES {
            mailbox.pictures.push(wanted);
            return changed.notify_one();
        }
        drop(mailbox);
        wanted(Err("too many want a picture at once; ask again".into()));
    }

    pub fn close(&self) {
        let (mailbox, changed) = &*self.mailbox;
        mailbox.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        changed.notify_one();
    }

    /// Of the picture, in pixels, as the customer sees it.
    pub fn size(&self) -> (u32, u32) {
        *self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The enabled target at a place of the panel, as it was last presented. On a glass that is switched off for the night
    /// there is none, but it wakes.
    pub fn hit(&self, at: Point) -> Option<Touch> {
        // Looked for before the glass hears of the finger: the one that wakes it must not hit what it will show.
        let hit = {
            let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
            let there = targets.iter().find(|target| target.enabled && target.rect.contains(at));
            there.and_then(|target| target.name.parse().ok())
        };
        let (mailbox, changed) = &*self.mailbox;
        mailbox.lock().unwrap_or_else(PoisonError::into_inner).touched = true;
        changed.notify_one();
        hit
    }

    /// What the watchdog looks at: the glass answers between two frames, so a frame that never ends is seen.
    pub fn part(&self) -> Part {
        let mailbox = Arc::clone(&self.mailbox);
        let nudge = move || {
            let (mailbox, changed) = &*mailbox;
            mailbox.lock().unwrap_or_else(PoisonError::into_inner).nudged = true;
            changed.notify_one();
        };
        Part { name: "the glass", heartbeat: self.heartbeat.clone(), nudge: Box::new(nudge) }
    }

    /// What has come, after waiting for it at most that long, or for a nudge.
    fn take(&self, wait: Option<Duration>) -> Result<News, Closed> {
        let (mailbox, changed) = &*self.mailbox;
        let mut mailbox = mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing = |mailbox: &mut Mailbox| {
            mailbox.newest.is_none()
                && mailbox.pictures.is_empty()
                && !(mailbox.nudged || mailbox.touched || mailbox.closed)
        };
        mailbox = match wait {
            None => changed.wait_while(mailbox, nothing).unwrap_or_else(PoisonError::into_inner),
            Some(wait) => changed.wait_timeout_while(mailbox, wait, nothing).unwrap_or_else(PoisonError::into_inner).0,
        };
        mailbox.nudged = false;
        self.heartbeat.beat();
        let news = News {
            showing: mailbox.newest.take(),
            touched: std::mem::take(&mut mailbox.touched),
            pictures: std::mem::take(&mut mailbox.pictures),
        };
        if mailbox.closed { Err(Closed) } else { Ok(news) }
    }

    fn set_targets(&self, targets: Vec<Target>) {
        *self.targets.lock().unwrap_or_else(PoisonError::into_inner) = targets;
    }
}

struct News {
    showing: Option<GlassContent>,
    touched: bool,
    pictures: Vec<Picture>,
}

/// Nobody wants the glass any more.
struct Closed;

/// When nobody needs the light.
#[derive(Debug, Clone, Copy)]
pub struct Night {
    pub hours: Hours,
    /// Per cent; 0 switches the panel off.
    pub brightness: u8,
    /// Since the last touch, and since the first page came back.
    pub after: Duration,
}

/// What a glass is furnished with.
pub struct Face {
    pub type_: Typesetter,
    pub theme: Theme,
    /// The kiosk's time zone, for slides that have their hours, and for the night.
    pub zone: String,
    pub night: Option<Night>,
}

/// Starts the thread. `face` loads it there, so that nothing else waits for them; `seen` is told whenever the glass
/// goes dark, with the reason, and when it is lit again.
pub fn start<E: std::error::Error + Send + Sync + 'static>(
    handle: GlassHandle,
    panel: Box<dyn Panel>,
    face: impl FnOnce() -> Result<Face, E> + Send + 'static,
    seen: impl Fn(Option<String>) + Send + 'static,
    supervisor: &Supervisor,
) -> std::io::Result<()> {
    supervisor.thread("the glass", move || {
        let run = || -> Result<(), Box<dyn std::error::Error>> {
            // The panel says how large it is.
            let Face { type_, theme, zone, night } = face()?;
            let glass = Glass::new(0, 0, type_, theme);
            let driver = Driver {
                handle,
                panel,
                glass,
                zone,
                seen,
                ready: false,
                blank: true,
                newest: None,
                attract_since: None,
                night,
                backlight: Backlight::default(),
                brightness: None,
                touched: Instant::now(),
                last: None,
                told: None,
            };
            Ok(driver.run()?)
        };
        run().map_or_else(|error| End::Failed(error.to_string()), |()| End::Told)
    })?;
    Ok(())
}

struct Driver<S> {
    handle: GlassHandle,
    panel: Box<dyn Panel>,
    glass: Glass,
    zone: String,
    seen: S,
    /// The panel can be presented to.
    ready: bool,
    /// It shows nothing of ours.
    blank: bool,
    newest: Option<GlassContent>,
    /// Since when the first page is shown, which changes by itself.
    attract_since: Option<Instant>,
    night: Option<Night>,
    backlight: Backlight,
    /// As it was last set, per cent. Only one with nights sets it.
    brightness: Option<u8>,
    /// When last, or the start.
    touched: Instant,
    last: Option<Scene>,
    /// What `seen` was last told.
    told: Option<Option<String>>,
}

impl<S: Fn(Option<String>)> Driver<S> {
    fn run(mut self) -> Result<(), PanelError> {
        let every = self.panel.tended_every();
        self.tend()?;
        let mut tended = Instant::now();
        loop {
            let tend = every.map(|every| every.saturating_sub(tended.elapsed()));
            let wanted = match self.handle.take(tend.into_iter().chain(self.next_turn()).min()) {
                Err(Closed) => return Ok(()),
                Ok(news) => self.take(news),
            };
            if every.is_some_and(|every| tended.elapsed() >= every) {
                self.tend()?;
                tended = Instant::now();
            }
            if self.ready {
                self.dim()?;
            }
            if self.ready && self.brightness != Some(0) {
                self.draw()?;
            }
            wanted.into_iter().for_each(|wanted| wanted(self.picture()));
        }
    }

    /// What the customer sees.
    fn picture(&self) -> Result<Screenshot, String> {
        if !self.blank && self.ready {
            let code = self.glass.code().map(str::to_owned);
            return Ok(Screenshot { frame: self.glass.frame().clone(), code });
        }
        Err(match &self.told {
            Some(Some(why)) => format!("the glass is dark: {why}"),
            _ if self.brightness == Some(0) => {
                "the glass is switched off for the night, until somebody touches it".into()
            }
            _ => "nothing has been shown on the glass yet".into(),
        })
    }

    fn tend(&mut self) -> Result<(), PanelError> {
        match self.panel.tend() {
            Ok(Ready { size: (width, height), blank }) => {
                self.glass.resize(width, height);
                *self.handle.size.lock().unwrap_or_else(PoisonError::into_inner) = (width, height);
                self.ready = true;
                self.blank = blank;
                Ok(())
            }
            Err(error) => self.dark(error),
        }
    }

    /// Answers with who wants a picture.
    fn take(&mut self, News { showing, touched, pictures }: News) -> Vec<Picture> {
        if touched {
            self.touched = Instant::now();
        }
        if let Some(showing) = showing {
            let attract = matches!(showing.view.page, Page::Shop(ShopPage::Attract { .. }));
            self.attract_since = attract.then(|| self.attract_since.unwrap_or_else(Instant::now));
            self.newest = Some(showing);
        }
        pictures
    }

    /// Until the first page changes by itself.
    fn next_turn(&self) -> Option<Duration> {
        let turn = self.glass.turn();
        let into = self.attract_since?.elapsed().as_millis() % turn.as_millis().max(1);
        Some(turn.saturating_sub(Duration::from_millis(into as u64)))
    }

    /// Brightness follows the hours and the fingers. By an unknown clock it is day.
    fn dim(&mut self) -> Result<(), PanelError> {
        let Some(night) = self.night else { return Ok(()) };
        let quiet = self.attract_since.is_some_and(|since| since.max(self.touched).elapsed() >= night.after);
        let dark = quiet && Clock::minute_of_day(&self.zone).is_some_and(|now| night.hours.contain(now));
        let percent = if dark { night.brightness } else { 100 };
        if self.brightness.replace(percent) == Some(percent) {
            return Ok(());
        }
        self.backlight.set(percent);
        if percent > 0 {
            return Ok(());
        }
        self.handle.set_targets(Vec::new());
        self.blank = true;
        self.panel.darken().or_else(|error| self.dark(error))
    }

    fn moment(&self) -> Moment {
        let mark = self.newest.as_ref().and_then(|newest| newest.mark);
        let Some(since) = self.attract_since else { return Moment { mark, ..Moment::default() } };
        let turn = since.elapsed().as_millis() / self.glass.turn().as_millis().max(1);
        Moment { turn: turn as u32, minute: Clock::minute_of_day(&self.zone), mark }
    }

    fn draw(&mut self) -> Result<(), PanelError> {
        let moment = self.moment();
        let Some(showing) = &self.newest else { return Ok(()) };
        let shown = self.glass.show_at(&showing.view, moment);
        let page = showing.view.page.name().to_owned();
        let scene = Scene { page, order: showing.order.clone(), targets: shown.targets.clone() };
        if !self.blank && shown.damage.is_empty() && self.last.as_ref() == Some(&scene) {
            return Ok(());
        }
        // Before the pixels, so that no finger is faster than the page it touches.
        self.handle.set_targets(shown.targets);
        if let Err(error) = self.panel.present(self.glass.frame(), &shown.damage, &scene) {
            return self.dark(error);
        }
        self.blank = false;
        self.last = Some(scene);
        self.tell(None);
        Ok(())
    }

    /// Nobody sees anything until the panel has been tended; no finger may hit what can't be seen.
    fn dark(&mut self, error: PanelError) -> Result<(), PanelError> {
        let PanelError::Dark(why) = error else { return Err(error) };
        self.ready = false;
        self.handle.set_targets(Vec::new());
        self.tell(Some(why));
        Ok(())
    }

    fn tell(&mut self, dark: Option<String>) {
        if self.told.as_ref() != Some(&dark) {
            (self.seen)(dark.clone());
            self.told = Some(dark);
        }
    }
}

#[cfg(test)]
mod tests;
