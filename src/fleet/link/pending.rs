//! Holds what the kiosk wants the link to send: the newest state, the alarms, the newest telemetry, requests to the
//! gateway, what is said of commands, what a lane tells its site.
//!
//! Policy: handing over never waits and never fails, whether or not there is a network. Only the newest of each is
//! kept, so weeks offline take no memory. The broker retains state and alarms, so they are published again on every
//! connection, cleared alarms too, because a broker may have forgotten or kept the wrong thing. Requests to the gateway
//! are the exception: one that can't be sent now is refused, and the caller decides.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rumqttc::QoS;
use tokio::sync::Notify;

use super::files::{Files, NoFile};
use crate::fleet::command::{CommandStatus, Sending};
use crate::fleet::topic::{Leaf, Name};

/// So many requests may wait for room in the client; the gateway's client has only a few open at a time.
const REQUESTS: usize = 32;

/// On so many connections an inspection is sent.
const OFFERS: u8 = 3;

/// So many statuses of commands wait for the connection; one more, and the oldest that is not final is dropped.
const STATUSES: usize = 64;

/// A message that does not come from the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub leaf: Leaf,
    pub payload: String,
    pub retained: bool,
}

impl Message {
    /// Telemetry is sent once and forgotten.
    pub fn qos(&self) -> QoS {
        if self.leaf == Leaf::Telemetry { QoS::AtMostOnce } else { QoS::AtLeastOnce }
    }
}

#[derive(Debug, Default)]
pub(super) struct Pending {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    state: Option<String>,
    /// The alarms by kind; `None` is a cleared one.
    alarms: BTreeMap<Name, Option<String>>,
    telemetry: Option<String>,
    /// The newest; it is said again on the next connections, because nobody acknowledges it. A broker that ends a connection
    /// because it may not be said would end each of them, so they are few.
    inspection: Option<String>,
    inspection_due: bool,
    /// On so many connections it is still sent.
    inspection_offers: u8,
    /// Requests in the order they were made; there are none without a connection.
    requests: VecDeque<Vec<u8>>,
    /// What is still to be said of commands, the oldest first.
    statuses: VecDeque<CommandStatus>,
    files: Files,
    /// The newest that this lane tells its site.
    facts: Option<Vec<u8>>,
    facts_due: bool,
    /// The events after this number are to be sent again.
    resend: Option<u64>,
    connected: bool,
    state_due: bool,
    alarms_due: BTreeSet<Name>,
    outbox_changed: bool,
    stop: bool,
}

impl Inner {
    fn say_first(&mut self, status: CommandStatus) {
        if self.statuses.len() < STATUSES {
            self.statuses.push_front(status);
        }
    }
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something and wakes the link.
    fn put(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.lock());
        self.changed.notify_one();
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

    /// What is to be said of every part, and the state once more.
    pub fn inspection(&self, message: String) {
        self.put(|inner| {
            inner.state_due = inner.state.is_some();
            (inner.inspection, inner.inspection_due, inner.inspection_offers) = (Some(message), true, OFFERS);
        });
    }

    /// What this lane tells its site.
    pub fn facts(&self, message: Vec<u8>) {
        self.put(|inner| {
            inner.facts_due |= inner.facts.as_ref() != Some(&message);
            inner.facts = Some(message);
        });
    }

    /// Whether that is due; `None` when there is nothing to tell.
    pub fn facts_due(&self) -> Option<bool> {
        let inner = self.lock();
        inner.facts.as_ref().map(|_| inner.facts_due)
    }

    /// Takes the newest, to tell it now. It is kept for the next time.
    pub fn take_facts(&self) -> Option<Vec<u8>> {
        let mut inner = self.lock();
        inner.facts_due = false;
        inner.facts.clone()
    }

    /// What was taken could not go.
    pub fn facts_not_told(&self) {
        self.lock().facts_due = true;
    }

    pub fn telemetry(&self, values: String) {
        self.put(|inner| inner.telemetry = Some(values));
    }

    /// Hands over a request to the gateway; `false` when there is no connection or too many wait.
    pub fn ask(&self, message: Vec<u8>) -> bool {
        let mut inner = self.lock();
        let room = inner.connected && inner.requests.len() < REQUESTS;
        if room {
            inner.requests.push_back(message);
            self.changed.notify_one();
        }
        room
    }

    /// Takes the oldest request, to send it now.
    pub fn take_request(&self) -> Option<Vec<u8>> {
        self.lock().requests.pop_front()
    }

    /// Hands over what is to be said of a command; it waits for a connection.
    pub fn status(&self, status: CommandStatus) {
        self.put(|inner| {
            inner.statuses.push_back(status);
            if inner.statuses.len() > STATUSES {
                // Who hears the end of it can do without how it went.
                let less = inner.statuses.iter().position(|known| !known.status.is_final()).unwrap_or(0);
                inner.statuses.remove(less);
            }
        });
    }

    pub fn take_status(&self) -> Option<CommandStatus> {
        self.lock().statuses.pop_front()
    }

    /// One may be made for this command.
    pub fn begin_file(&self, id: &str) -> Result<(), NoFile> {
        self.lock().files.begin(id, Instant::now())
    }

    pub fn send_file(&self, file: Sending) {
        self.put(|inner| inner.files.send(file));
    }

    /// It was not made.
    pub fn leave_file(&self, id: &str) {
        self.lock().files.leave(id);
    }

    /// The next part of a file, or its end. To be called when no part is on its way.
    pub fn take_part(&self) -> Option<CommandStatus> {
        self.lock().files.next()
    }

    /// Puts back what was taken last and could not go.
    pub fn put_back(&self, status: CommandStatus) {
        let mut inner = self.lock();
        match status.part {
            Some(_) => inner.files.put_back(&status),
            None => inner.say_first(status),
        }
    }

    /// Puts back what went and may not have arrived.
    pub fn lost(&self, status: CommandStatus) {
        let mut inner = self.lock();
        let again = if status.part.is_some() { inner.files.lost(&status) } else { Some(status) };
        again.into_iter().for_each(|status| inner.say_first(status));
    }

    pub fn resend(&self, after: u64) {
        self.put(|inner| inner.resend = Some(inner.resend.map_or(after, |known| known.min(after))));
    }

    pub fn take_resend(&self) -> Option<u64> {
        self.lock().resend.take()
    }

    pub fn outbox_changed(&self) {
        self.put(|inner| inner.outbox_changed = true);
    }

    pub fn stop(&self) {
        self.put(|inner| inner.stop = true);
    }

    /// Waits until something was handed over. There may be one waiter.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    pub fn stopped(&self) -> bool {
        self.lock().stop
    }

    /// Whether the outbox may have something new since this was called last.
    pub fn take_outbox_changed(&self) -> bool {
        std::mem::take(&mut self.lock().outbox_changed)
    }

    pub fn is_set(&self, kind: &Name) -> bool {
        self.lock().alarms.get(kind).is_some_and(Option::is_some)
    }

    /// There is a new connection: everything retained is due again, and telemetry from before it is dropped.
    pub fn connected(&self) {
        let mut inner = self.lock();
        inner.connected = true;
        inner.telemetry = None;
        inner.state_due = inner.state.is_some();
        inner.inspection_due = inner.inspection.is_some() && inner.inspection_offers > 0;
        inner.alarms_due = inner.alarms.keys().cloned().collect();
        inner.facts_due = inner.facts.is_some();
    }

    /// The connection has ended, or is about to.
    pub fn disconnected(&self) {
        let mut inner = self.lock();
        inner.connected = false;
        inner.requests.clear();
    }

    /// What is due now, the alarms first.
    pub fn due(&self) -> Vec<Message> {
        let inner = self.lock();
        let mut messages = Vec::new();
        for kind in &inner.alarms_due {
            let payload = inner.alarms.get(kind).cloned().flatten().unwrap_or_default();
            messages.push(Message { leaf: Leaf::Alarm(kind.clone()), payload, retained: true });
        }
        if inner.state_due {
            let payload = inner.state.clone().unwrap_or_default();
            messages.push(Message { leaf: Leaf::State, payload, retained: true });
        }
        if let Some(payload) = inner.inspection.clone().filter(|_| inner.inspection_due) {
            messages.push(Message { leaf: Leaf::Inspection, payload, retained: false });
        }
        if let Some(payload) = inner.telemetry.clone() {
            messages.push(Message { leaf: Leaf::Telemetry, payload, retained: false });
        }
        messages
    }

    /// A message was sent. What was handed over meanwhile stays due.
    pub fn sent(&self, message: &Message) {
        let mut inner = self.lock();
        match &message.leaf {
            Leaf::Alarm(kind) => {
                let newest = inner.alarms.get(kind).and_then(Option::as_deref).unwrap_or_default();
                let unchanged = newest == message.payload;
                inner.alarms_due.retain(|due| due != kind || !unchanged);
            }
            Leaf::State => inner.state_due = inner.state.as_ref() != Some(&message.payload),
            Leaf::Inspection => {
                inner.inspection_due = inner.inspection.as_ref() != Some(&message.payload);
                inner.inspection_offers = inner.inspection_offers.saturating_sub(u8::from(!inner.inspection_due));
            }
            Leaf::Telemetry if inner.telemetry.as_ref() == Some(&message.payload) => inner.telemetry = None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::command::Stage;

    fn leaves(pending: &Pending) -> Vec<(String, String)> {
        pending.due().into_iter().map(|message| (message.leaf.to_string(), message.payload)).collect()
    }

    fn send_all(pending: &Pending) {
        pending.due().iter().for_each(|message| pending.sent(message));
    }

    fn pair(leaf: &str, payload: &str) -> (String, String) {
        (leaf.into(), payload.into())
    }

    #[test]
    fn the_newest_is_sent_once_and_again_on_a_new_connection() {
        let door = Name::parse("door").unwrap();
        let pending = Pending::default();
        pending.state("1".into());
        pending.state("2".into());
        pending.telemetry("3".into());
        pending.telemetry("4".into());
        pending.alarm(door.clone(), Some("{}".into()));
        assert_eq!(leaves(&pending), [pair("alarm/door", "{}"), pair("state", "2"), pair("telemetry", "4")]);
        send_all(&pending);
        pending.state("2".into());
        assert_eq!(leaves(&pending), []);
        pending.alarm(door.clone(), None);
        assert!(!pending.is_set(&door));
        assert_eq!(leaves(&pending), [pair("alarm/door", "")]);
        send_all(&pending);
        pending.telemetry("5".into());
        pending.connected();
        assert_eq!(leaves(&pending), [pair("alarm/door", ""), pair("state", "2")]);
    }

    #[test]
    fn an_inspection_goes_out_with_the_state_and_again_on_the_next_connections() {
        let pending = Pending::default();
        pending.state("1".into());
        send_all(&pending);
        pending.inspection("2".into());
        let due = pending.due();
        assert!(due.iter().all(|message| message.qos() == QoS::AtLeastOnce) && !due[1].retained);
        assert_eq!(leaves(&pending), [pair("state", "1"), pair("inspection", "2")]);
        send_all(&pending);
        assert_eq!(leaves(&pending), []);
        for _ in 1..OFFERS {
            pending.connected();
            assert_eq!(leaves(&pending), [pair("state", "1"), pair("inspection", "2")]);
            send_all(&pending);
        }
        pending.connected();
        assert_eq!(leaves(&pending), [pair("state", "1")], "it is not what every connection ends with");
        pending.inspection("3".into());
        assert_eq!(leaves(&pending), [pair("state", "1"), pair("inspection", "3")]);
    }

    #[test]
    fn questions_are_refused_when_they_cannot_go_out_now() {
        let pending = Pending::default();
        assert!(!pending.ask(vec![1]));
        pending.connected();
        for n in 0..REQUESTS {
            assert!(pending.ask(vec![n as u8]));
        }
        assert!(!pending.ask(vec![99]));
        assert_eq!(pending.take_request(), Some(vec![0]));
        assert!(pending.ask(vec![99]));
        pending.disconnected();
        assert!(!pending.ask(vec![1]));
        pending.connected();
        assert_eq!(pending.take_request(), None, "what was asked on the former connection is not asked on the new one");
    }

    #[test]
    fn what_is_said_of_commands_waits_for_the_connection_and_ends_come_before_how_it_went() {
        let pending = Pending::default();
        let status = |id: usize, stage| CommandStatus::new("lock", id.to_string(), stage);
        for id in 0..40 {
            pending.status(status(id, Stage::Executing));
            pending.status(status(id, Stage::Successful));
        }
        pending.connected();
        let mut waiting: Vec<CommandStatus> = std::iter::from_fn(|| pending.take_status()).collect();
        assert_eq!(waiting.len(), STATUSES);
        assert_eq!(waiting.iter().filter(|status| status.status == Stage::Successful).count(), 40);
        // What was taken and did not arrive comes back to where it was.
        let [last, before] = [waiting.pop().unwrap(), waiting.pop().unwrap()];
        pending.put_back(last.clone());
        pending.put_back(before.clone());
        assert_eq!([pending.take_status(), pending.take_status()], [Some(before), Some(last)]);
        for id in 0..100 {
            pending.status(status(id, Stage::Failed));
        }
        assert_eq!(pending.take_status(), Some(status(36, Stage::Failed)), "the oldest goes");
        assert_eq!(pending.take_resend(), None);
        pending.resend(9);
        pending.resend(12);
        assert_eq!((pending.take_resend(), pending.take_resend()), (Some(9), None));
    }

    #[test]
    fn what_a_lane_tells_is_due_when_it_is_new_and_on_each_connection() {
        let pending = Pending::default();
        pending.connected();
        assert_eq!((pending.facts_due(), pending.take_facts()), (None, None));
        pending.facts(b"1".to_vec());
        pending.facts(b"2".to_vec());
        assert_eq!((pending.facts_due(), pending.take_facts()), (Some(true), Some(b"2".to_vec())));
        pending.facts(b"2".to_vec());
        assert_eq!(pending.facts_due(), Some(false));
        pending.connected();
        assert_eq!((pending.facts_due(), pending.take_facts()), (Some(true), Some(b"2".to_vec())));
        pending.facts_not_told();
        assert_eq!(pending.facts_due(), Some(true));
    }

    #[test]
    fn what_changes_while_it_is_sent_stays_due() {
        let pending = Pending::default();
        pending.state("1".into());
        let messages = pending.due();
        pending.state("2".into());
        pending.sent(&messages[0]);
        assert_eq!(leaves(&pending), [pair("state", "2")]);
    }
}
