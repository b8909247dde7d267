//! What the kiosk has put down for the link to send: the newest state, the alarms, the newest telemetry.
//!
//! Policy: putting down never waits and never fails, whether or not there is a network. Only the newest of each is kept,
//! so weeks offline cost no memory. State and alarms are retained by the broker and so are told again on every
//! connection, cleared alarms too, because a broker may have forgotten or remembered the wrong thing. A question to the
//! gateway is the exception: one that can't go out now is refused, and its asker decides.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::fleet::topic::{Leaf, Name};

/// Questions that wait for room in the pipe; whoever asks does so few at a time.
const QUESTIONS: usize = 32;

/// A message of the link's own, not from the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub leaf: Leaf,
    pub payload: String,
    /// QoS 1 and retained; otherwise it is sent once and forgotten.
    pub retained: bool,
}

#[derive(Debug, Default)]
pub(super) struct Desk {
    inner: Mutex<Inner>,
    bell: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    state: Option<String>,
    /// `None`: cleared.
    alarms: BTreeMap<Name, Option<String>>,
    telemetry: Option<String>,
    /// In the order they were asked; none while there is no connection.
    questions: VecDeque<Vec<u8>>,
    connected: bool,
    state_due: bool,
    alarms_due: BTreeSet<Name>,
    news: bool,
    stop: bool,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something and wakes the link.
    fn put(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.lock());
        self.bell.notify_one();
    }

    pub fn state(&self, document: String) {
        self.put(|inner| {
            inner.state_due |= inner.state.as_ref() != Some(&document);
            inner.state = Some(document);
        });
    }

    pub fn alarm(&self, kind: Name, body: Option<String>) {
        self.put(|inner| {
            if inner.alarms.get(&kind) != Some(&body) {
                inner.alarms_due.insert(kind.clone());
            }
            inner.alarms.insert(kind, body);
        });
    }

    pub fn telemetry(&self, values: String) {
        self.put(|inner| inner.telemetry = Some(values));
    }

    /// `false`: there is no connection, or too many wait.
    pub fn ask(&self, message: Vec<u8>) -> bool {
        let mut inner = self.lock();
        let room = inner.connected && inner.questions.len() < QUESTIONS;
        if room {
            inner.questions.push_back(message);
            self.bell.notify_one();
        }
        room
    }

    /// The oldest question, which goes out now.
    pub fn take_question(&self) -> Option<Vec<u8>> {
        self.lock().questions.pop_front()
    }

    pub fn news(&self) {
        self.put(|inner| inner.news = true);
    }

    pub fn stop(&self) {
        self.put(|inner| inner.stop = true);
    }

    /// Waits until something was put down. For one waiter.
    pub async fn bell(&self) {
        self.bell.notified().await;
    }

    pub fn stopped(&self) -> bool {
        self.lock().stop
    }

    /// Whether the outbox may have something new, asked since the last time.
    pub fn take_news(&self) -> bool {
        std::mem::take(&mut self.lock().news)
    }

    pub fn is_set(&self, kind: &Name) -> bool {
        self.lock().alarms.get(kind).is_some_and(Option::is_some)
    }

    /// A new connection: everything retained is due again. Telemetry from before is old.
    pub fn connected(&self) {
        let mut inner = self.lock();
        inner.connected = true;
        inner.telemetry = None;
        inner.state_due = inner.state.is_some();
        inner.alarms_due = inner.alarms.keys().cloned().collect();
    }

    /// The connection has ended, or is about to.
    pub fn disconnected(&self) {
        let mut inner = self.lock();
        inner.connected = false;
        inner.questions.clear();
    }

    /// What is due now, the alarms first.
    pub fn due(&self) -> Vec<Note> {
        let inner = self.lock();
        let mut notes = Vec::new();
        for kind in &inner.alarms_due {
            let payload = inner.alarms.get(kind).cloned().flatten().unwrap_or_default();
            notes.push(Note { leaf: Leaf::Alarm(kind.clone()), payload, retained: true });
        }
        if inner.state_due {
            let payload = inner.state.clone().unwrap_or_default();
            notes.push(Note { leaf: Leaf::State, payload, retained: true });
        }
        if let Some(payload) = inner.telemetry.clone() {
            notes.push(Note { leaf: Leaf::Telemetry, payload, retained: false });
        }
        notes
    }

    /// The note is on its way. What was put down meanwhile stays due.
    pub fn sent(&self, note: &Note) {
        let mut inner = self.lock();
        match &note.leaf {
            Leaf::Alarm(kind) => {
                let newest = inner.alarms.get(kind).and_then(Option::as_deref).unwrap_or_default();
                let unchanged = newest == note.payload;
                inner.alarms_due.retain(|due| due != kind || !unchanged);
            }
            Leaf::State => inner.state_due = inner.state.as_ref() != Some(&note.payload),
            Leaf::Telemetry if inner.telemetry.as_ref() == Some(&note.payload) => inner.telemetry = None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(desk: &Desk) -> Vec<(String, String)> {
        desk.due().into_iter().map(|note| (note.leaf.to_string(), note.payload)).collect()
    }

    fn send_all(desk: &Desk) {
        desk.due().iter().for_each(|note| desk.sent(note));
    }

    fn pair(leaf: &str, payload: &str) -> (String, String) {
        (leaf.into(), payload.into())
    }

    #[test]
    fn the_newest_is_sent_once_and_again_on_a_new_connection() {
        let door = Name::parse("door").unwrap();
        let desk = Desk::default();
        desk.state("1".into());
        desk.state("2".into());
        desk.telemetry("3".into());
        desk.telemetry("4".into());
        desk.alarm(door.clone(), Some("{}".into()));
        assert_eq!(leaves(&desk), [pair("alarm/door", "{}"), pair("state", "2"), pair("telemetry", "4")]);
        send_all(&desk);
        desk.state("2".into());
        assert_eq!(leaves(&desk), []);
        desk.alarm(door.clone(), None);
        assert!(!desk.is_set(&door));
        assert_eq!(leaves(&desk), [pair("alarm/door", "")]);
        send_all(&desk);
        desk.telemetry("5".into());
        desk.connected();
        assert_eq!(leaves(&desk), [pair("alarm/door", ""), pair("state", "2")]);
    }

    #[test]
    fn questions_are_refused_when_they_cannot_go_out_now() {
        let desk = Desk::default();
        assert!(!desk.ask(vec![1]));
        desk.connected();
        for n in 0..QUESTIONS {
            assert!(desk.ask(vec![n as u8]));
        }
        assert!(!desk.ask(vec![99]));
        assert_eq!(desk.take_question(), Some(vec![0]));
        assert!(desk.ask(vec![99]));
        desk.disconnected();
        assert!(!desk.ask(vec![1]));
        desk.connected();
        assert_eq!(desk.take_question(), None, "what was asked on the former connection is not asked on the new one");
    }

    #[test]
    fn what_changes_while_it_is_sent_stays_due() {
        let desk = Desk::default();
        desk.state("1".into());
        let notes = desk.due();
        desk.state("2".into());
        desk.sent(&notes[0]);
        assert_eq!(leaves(&desk), [pair("state", "2")]);
    }
}
