//! What others hear of the kiosk's state: the glass, the fleet, the service manager and the world.
//!
//! Policy: after every event what each of them should know is made anew from the state, and told where it differs from what
//! was told last. Nothing is told because something happened, so nothing can be forgotten.

use serde_json::Value;

use super::glass::Showing;
use super::{Kiosk, documents};
use crate::ledger::LedgerError;
use crate::sale;
use crate::sale::event::{Command, Event};
use crate::service::{self, Say};
use crate::world::{Question, ToWorld};

impl Kiosk {
    /// Glass, state document and alarms follow the state.
    pub(super) fn show(&mut self) {
        let now = self.clock.now();
        let code = |order: &sale::Order| Some(self.letterhead.code(order, &self.state));
        let showing = Showing { view: self.state.view(now, code), order: documents::order(&self.state) };
        if self.shown.as_ref() != Some(&showing) {
            self.edges.glass.show(showing.clone());
            self.shown = Some(showing);
        }
        let document =
            documents::state(&self.config, &self.boot, &self.state, self.ledger.as_ref(), &self.printer, &self.faults);
        if document != self.told {
            if let Some(link) = &self.link {
                link.state(document.clone());
            }
            service::say(&Say::Status(&documents::status(&self.state)));
            self.tell(&ToWorld::State { document: document.clone() });
            self.told = document;
        }
        let mut alarms = documents::alarms(&self.state, self.rejections, &self.printer, &self.faults, now);
        alarms.extend(self.ledger.as_ref().and_then(documents::moved).map(|body| ("ledger-moved".into(), body)));
        if let Some(link) = &self.link {
            for (kind, body) in &alarms {
                if self.alarms.get(kind) != Some(body) {
                    link.alarm(kind, Some(body.clone()));
                }
            }
            for kind in self.alarms.keys().filter(|kind| !alarms.contains_key(*kind)) {
                link.alarm(kind, None);
            }
        }
        self.alarms = alarms;
    }

    /// What only the kiosk knows, for the world's page.
    pub(super) fn answer(&mut self, id: u64, ask: &Question) {
        let answer = match (ask, &self.reader) {
            (Question::Refill, _) => {
                self.step(Event::Command(Command::Refill));
                Value::Null
            }
            (_, None) => Value::Null,
            (Question::Orders, Some(reader)) => {
                reader.orders(usize::MAX >> 1).unwrap_or_else(|error| told_error(&error))
            }
            (Question::Why { order }, Some(reader)) => match reader.why(order.as_deref()) {
                Ok(Some(story)) => {
                    let mut told = story.json();
                    told["text"] = story.to_string().into();
                    told
                }
                Ok(None) => Value::Null,
                Err(error) => told_error(&error),
            },
        };
        self.tell(&ToWorld::Answer { id, answer });
    }

    fn tell(&self, message: &ToWorld) {
        if let Some(world) = &self.world
            && let Err(error) = world.tell(message, &[])
        {
            tracing::debug!(%error, "the world does not listen");
        }
    }
}

fn told_error(error: &LedgerError) -> Value {
    serde_json::json!({ "error": error.to_string() })
}
