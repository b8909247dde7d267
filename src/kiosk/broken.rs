//! A kiosk that can't start: it shows that on the glass to the customer, with the reason for the technician.
//!
//! Policy: it does so only where a service manager has started it, which would otherwise restart it again and again
//! behind a dark glass. With an invalid configuration it waits until the file has changed; with any other reason it
//! tries again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use super::glass::{self, Face, GlassContent, GlassHandle};
use super::{KioskError, Options};
use crate::config::{self, Panel, PartialConfig, Theme};
use crate::ledger::LedgerError;
use crate::sale::dialogue::{Ease, Page, View};
use crate::screen::open_panel;
use crate::screen::text::{TextError, Typesetter};
use crate::service::{self, Ended, Notification, Supervisor};
use crate::vocabulary::{Currency, Language, Localized};

/// Each language is shown so long; nobody is there to switch it.
const TURN: Duration = Duration::from_secs(4);
/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// What may pass by itself is tried again after so long.
const AGAIN: Duration = Duration::from_secs(10);

/// What came of it.
pub(super) enum Explained {
    /// Nobody would have seen it.
    No,
    /// Until it was worth another try, or until it was told to stop.
    Yes,
}

pub(super) fn explain(options: &Options, error: &KioskError) -> Explained {
    // The glass of a machine that is held is another daemon's.
    if !service::managed() || matches!(error, KioskError::Ledger(LedgerError::Held { .. })) {
        return Explained::No;
    }
    let why = error.to_string();
    tracing::error!("the kiosk can't start: {why}");
    // In a second it may be another file.
    let before = stamp(&options.config);
    let partial = config::load_partial(&options.config);
    if matches!(partial.glass.panel, Panel::Simulated { .. } | Panel::None) {
        return Explained::No;
    }
    let hopeless = matches!(error, KioskError::Config(_));
    let glass = Glass::light(&partial);
    service::notify(&Notification::Ready(&format!("can't start: {why}")));
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Explained::No;
    };
    runtime.block_on(async {
        let Ok(mut term) = signal(SignalKind::terminate()) else { return Explained::No };
        let since = Instant::now();
        loop {
            let languages = glass.languages.len().max(1);
            let nth = (since.elapsed().as_millis() / TURN.as_millis()) as usize % languages;
            glass.show(nth, &why);
            service::notify(&Notification::Alive);
            tokio::select! {
                _ = term.recv() => return Explained::Yes,
                () = tokio::time::sleep(LOOK) => {}
            }
            let past = !hopeless && since.elapsed() >= AGAIN;
            if past || stamp(&options.config) != before || glass.died.load(Ordering::Relaxed) && !hopeless {
                return Explained::Yes;
            }
        }
    })
}

/// Changes when somebody writes to the file, or puts another in its place.
fn stamp(path: &Path) -> Option<(u64, u64, SystemTime)> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path).ok()?;
    Some((found.ino(), found.len(), found.modified().ok()?))
}

struct Glass {
    handle: GlassHandle,
    died: Arc<AtomicBool>,
    languages: Vec<Language>,
    place: Localized,
    view: View,
}

impl Glass {
    fn light(partial: &PartialConfig) -> Self {
        let handle = GlassHandle::default();
        let died: Arc<AtomicBool> = Arc::default();
        // The panel as it likes it best, where it can't be as it was configured.
        let plain = Panel::Drm { card: None, connector: None, mode: None, rotation: 0 };
        let panel = open_panel(&partial.glass.panel, None).or_else(|_| open_panel(&plain, None));
        match panel {
            Ok(panel) => {
                let faces = partial.glass.faces();
                let face = move || {
                    let type_ = Typesetter::load(&faces)?;
                    Ok::<_, TextError>(Face { type_, theme: Theme::default(), zone: "UTC".into(), night: None })
                };
                let failing = Arc::clone(&died);
                let supervisor = Supervisor::new(move |Ended { why, .. }| {
                    tracing::error!(why, "the glass can't show why the kiosk does not start");
                    failing.store(true, Ordering::Relaxed);
                });
                if let Err(error) = glass::start(handle.clone(), panel, face, |_| (), &supervisor) {
                    tracing::error!(%error, "the glass can't show why the kiosk does not start");
                }
            }
            Err(error) => tracing::error!(%error, "the glass can't show why the kiosk does not start"),
        }
        let view = View {
            place: String::new(),
            language: Language::new("en"),
            languages: Vec::new(),
            phone: partial.phone.clone(),
            currency: Currency::NONE,
            ease: Ease::default(),
            idle_left: None,
            service: false,
            page: Page::NotStarted { why: String::new() },
        };
        Self { handle, died, languages: partial.languages.clone(), place: partial.place.clone(), view }
    }

    fn show(&self, nth: usize, why: &str) {
        let mut view = self.view.clone();
        view.page = Page::NotStarted { why: why.to_owned() };
        if let Some(language) = self.languages.get(nth) {
            view.language = language.clone();
            view.place = self.place.get(language).to_owned();
        }
        self.handle.show(GlassContent { view, mark: None, order: Value::Null });
    }
}
