//! The glass's own thread: draws the newest view and nothing else, so that painting never delays a relay. Views that come
//! faster than they can be drawn are skipped.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use serde_json::Value;

use crate::sale::view::View;
use crate::screen::{Glass, Panel};
use crate::world::{Scene, Target};

#[derive(Debug, Clone, PartialEq)]
pub struct Showing {
    pub view: View,
    /// The order in the `state` document's form.
    pub order: Value,
}

#[derive(Default)]
struct Mailbox {
    newest: Option<Showing>,
    closed: bool,
}

/// Hand over views; ask what a finger hit.
#[derive(Clone, Default)]
pub struct GlassHandle {
    mailbox: Arc<(Mutex<Mailbox>, Condvar)>,
    targets: Arc<Mutex<Vec<Target>>>,
}

impl GlassHandle {
    pub fn show(&self, showing: Showing) {
        let (mailbox, changed) = &*self.mailbox;
        let mut mailbox = mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        mailbox.newest = Some(showing);
        changed.notify_one();
    }

    pub fn close(&self) {
        let (mailbox, changed) = &*self.mailbox;
        mailbox.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        changed.notify_one();
    }

    /// The enabled target at a place of the panel, as it was last presented.
    pub fn hit(&self, x: i32, y: i32) -> Option<String> {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.iter().find(|target| target.enabled && target.rect.contains(x, y)).map(|target| target.name.clone())
    }

    fn take(&self) -> Option<Showing> {
        let (mailbox, changed) = &*self.mailbox;
        let mut mailbox = mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if mailbox.closed {
                return None;
            }
            if let Some(newest) = mailbox.newest.take() {
                return Some(newest);
            }
            mailbox = changed.wait(mailbox).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Starts the thread. `opened` makes the glass there, so that loading fonts delays nothing else; `presented` is told after
/// every frame.
pub fn spawn<E: std::error::Error + Send + Sync + 'static>(
    handle: GlassHandle,
    mut panel: Box<dyn Panel>,
    opened: impl FnOnce() -> Result<Glass, E> + Send + 'static,
    failed: impl FnOnce(String) + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("glass".into()).spawn(move || {
        let run = || -> Result<(), Box<dyn std::error::Error>> {
            let mut glass = opened()?;
            let mut last = None;
            while let Some(showing) = handle.take() {
                let shown = glass.show(&showing.view);
                let page = showing.view.page.name().to_owned();
                let scene = Scene { page, order: showing.order, targets: shown.targets.clone() };
                if !shown.damage.is_empty() || last.as_ref() != Some(&scene) {
                    // Before the pixels, so that no finger is faster than the page it touches.
                    *handle.targets.lock().unwrap_or_else(PoisonError::into_inner) = shown.targets;
                    panel.present(glass.frame(), &shown.damage, &scene)?;
                    last = Some(scene);
                }
            }
            Ok(())
        };
        if let Err(error) = run() {
            failed(error.to_string());
        }
    })
}
