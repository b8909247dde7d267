//! The link's task: connects, tells, sends, listens; and again, for ever.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rumqttc::{ConnectionError, Event, Outgoing, Packet, Publish, QoS, SubscribeReasonCode};

use super::ack::{self, Complaints, Refused};
use super::desk::Desk;
use super::pipe::{OFFLINE, ONLINE, Pipe};
use super::twin::Twins;
use super::window::{Due, Moved, Pace, Window};
use super::{FleetEvent, Outbox, OutboxEvent, Pay, Settings};
use crate::fleet::proof::Position;
use crate::fleet::topic::{Filter, Leaf, Name, Topic};
use crate::fleet::turn;
use crate::signed::jws::{self, Purpose};

/// A connection that lasted so long counts as good: the next try comes soon.
const GOOD: Duration = Duration::from_secs(60);
/// How long the goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);
/// More alarms than a kiosk has kinds of; the rest is somebody's joke.
const STRANGE: usize = 256;
/// Somebody says we are offline: contradict, but not more often than this.
const CONTRADICT: Duration = Duration::from_secs(1);

pub(super) struct Session<O, F> {
    settings: Settings,
    outbox: O,
    ledger: String,
    on: F,
    desk: Arc<Desk>,
    window: Window,
    complaints: Complaints,
    twins: Twins,
    /// The cursor has moved and the kiosk has not heard of it.
    untold: bool,
    told_cursor: Option<Instant>,
    /// Everything in the outbox after the window's last was seen; reading again needs a reason.
    caught_up: bool,
    /// The outbox could not be read; not again before.
    read_again: Option<Instant>,
    /// The last reason told for not being connected.
    told: Option<String>,
}

enum End {
    Stopped,
    Lost { why: String, good: bool },
}

/// What belongs to one connection.
struct Connection {
    pipe: Pipe,
    up: Option<Instant>,
    /// rumqttc pings, so something happens at least once a keep-alive interval.
    heard: Instant,
    announced: Instant,
    /// Somebody said that we are offline.
    contradict: bool,
    progress: bool,
    /// Alarms that the broker shows and nobody has raised, so far.
    strange: BTreeSet<Name>,
    leaving: Option<Instant>,
}

impl<O: Outbox, F: Fn(FleetEvent) + Send + 'static> Session<O, F> {
    pub fn new(settings: Settings, outbox: O, on: F, desk: Arc<Desk>) -> Self {
        let now = Instant::now();
        let cursor = outbox.cursor().unwrap_or_else(|error| {
            // Harmless: the first acknowledgement says where the back end is.
            warn(&error, "the acknowledged cursor could not be read; starting from the first event");
            0
        });
        let pace = Pace { first: settings.retry_first, last: settings.retry_last, probe: settings.probe };
        Self {
            window: Window::new(cursor, settings.window(), pace, now),
            ledger: outbox.ledger(),
            complaints: Complaints::new(now),
            // Longer than the other would wait before it comes again.
            twins: Twins::new(settings.boot.clone(), settings.back_off_max * 2),
            untold: false,
            told_cursor: None,
            caught_up: false,
            read_again: None,
            told: None,
            settings,
            outbox,
            on,
            desk,
        }
    }

    pub async fn run(mut self) {
        let mut pause = jitter(self.settings.start_delay);
        let mut failures = 0u32;
        while self.pause(pause).await {
            let end = self.connection().await;
            self.desk.disconnected();
            self.tell_cursor(Instant::now());
            match end {
                End::Stopped => return,
                End::Lost { why, good } => {
                    if good && !self.twins.suspected() {
                        failures = 0;
                    }
                    if self.told.as_ref() != Some(&why) {
                        self.told = Some(why.clone());
                        (self.on)(FleetEvent::Disconnected { why });
                    }
                }
            }
            pause = jitter(back_off(failures, self.settings.back_off_unit, self.settings.back_off_max));
            failures = failures.saturating_add(1);
        }
    }

    /// `false` when the link is to stop.
    async fn pause(&mut self, pause: Duration) -> bool {
        let end = tokio::time::Instant::now() + pause;
        loop {
            if self.desk.stopped() {
                return false;
            }
            tokio::select! {
                () = tokio::time::sleep_until(end) => return !self.desk.stopped(),
                () = self.desk.bell() => {}
            }
        }
    }

    async fn connection(&mut self) -> End {
        let Some((pipe, events)) = Pipe::open(&self.settings) else {
            return End::Lost { why: "TLS to the broker is not set up".into(), good: false };
        };
        let now = Instant::now();
        let mut connection = Connection {
            pipe,
            up: None,
            heard: now,
            announced: now,
            contradict: false,
            progress: false,
            strange: BTreeSet::new(),
            leaving: None,
        };
        let c = &mut connection;
        let mut poll = pin!(turn(events));
        loop {
            let now = Instant::now();
            if let Some(end) = self.look_after(c, now) {
                return end;
            }
            if c.up.is_some() {
                self.hand_over(c, now);
            }
            let wake = tokio::time::Instant::from_std(self.deadline(c));
            tokio::select! {
                (events, event) = &mut poll => {
                    poll.set(turn(events));
                    c.heard = Instant::now();
                    match event {
                        Ok(event) => if let Some(end) = self.handle(c, event) { return end },
                        Err(error) => return c.lost(why(&error)),
                    }
                }
                () = self.desk.bell() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Everything that time or the kiosk asks for.
    fn look_after(&mut self, c: &mut Connection, now: Instant) -> Option<End> {
        if self.desk.stopped() && c.leaving.is_none() {
            if c.up.is_none() {
                return Some(End::Stopped);
            }
            c.leaving = Some(now);
            self.desk.disconnected();
            for note in self.desk.due() {
                c.pipe.publish(&self.topic(note.leaf), QoS::AtLeastOnce, note.retained, note.payload, now);
            }
            c.pipe.publish(&self.topic(Leaf::Presence), QoS::AtLeastOnce, true, OFFLINE, now);
        }
        if let Some(since) = c.leaving
            && now >= since + GOODBYE
        {
            return Some(End::Stopped);
        }
        if c.pipe.oldest().is_some_and(|since| now >= since + self.settings.puback_timeout) {
            return Some(c.lost("the broker does not take what is published".into()));
        }
        if now >= c.heard + self.silence() {
            return Some(c.lost("the connection hangs".into()));
        }
        if c.contradict && c.leaving.is_none() && now >= c.announced + CONTRADICT && c.pipe.takes_notes() {
            c.contradict = false;
            self.announce(c, now);
        }
        if let Some(up) = c.up
            && !c.strange.is_empty()
            && now >= up + self.settings.alarm_grace
        {
            self.clear_strange(c, now);
        }
        // Without a connection nothing can be overdue; it all starts again with the next.
        if c.up.is_some()
            && let Some(due) = self.window.tick(now)
        {
            self.caught_up = false;
            self.untold |= matches!(due, Due::WentBack(_));
        }
        if self.tell_at().is_none_or(|at| now >= at) {
            self.tell_cursor(now);
        }
        if let Some(why) = self.twins.news(c.up, now) {
            (self.on)(FleetEvent::Twin { why });
        }
        None
    }

    /// Before this the kiosk is not to hear of the cursor again.
    fn tell_at(&self) -> Option<Instant> {
        self.told_cursor.map(|at| at + self.settings.tell_every)
    }

    fn tell_cursor(&mut self, now: Instant) {
        if std::mem::take(&mut self.untold) {
            self.told_cursor = Some(now);
            (self.on)(FleetEvent::Acknowledged { seq: self.window.cursor() });
        }
    }

    /// When [`look_after`](Self::look_after) has something to do at the latest.
    fn deadline(&self, c: &Connection) -> Instant {
        let connected = c.up.is_some();
        [
            Some(c.heard + self.silence()),
            c.pipe.oldest().map(|since| since + self.settings.puback_timeout),
            c.leaving.map(|since| since + GOODBYE),
            // With a full pipe it is the broker's turn.
            c.up.filter(|_| !c.strange.is_empty() && c.pipe.takes_notes()).map(|up| up + self.settings.alarm_grace),
            (c.contradict && c.leaving.is_none() && c.pipe.takes_notes()).then(|| c.announced + CONTRADICT),
            self.window.deadline().filter(|_| connected),
            self.read_again.filter(|_| connected && c.leaving.is_none()),
            self.tell_at().filter(|_| self.untold),
            self.twins.deadline(c.up),
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(c.heard)
    }

    /// After so long without a sign of the event loop the connection is not alive.
    fn silence(&self) -> Duration {
        self.settings.keep_alive.max(Duration::from_secs(1)) * 2 + Duration::from_secs(10)
    }

    /// Puts into the pipe what fits: the notes first, because they are few and new, then the events.
    fn hand_over(&mut self, c: &mut Connection, now: Instant) {
        if c.leaving.is_some() {
            if c.pipe.is_empty() {
                // Refused only while the channel is full; then the next turn asks again.
                c.pipe.disconnect();
            }
            return;
        }
        for note in self.desk.due() {
            let qos = if note.retained { QoS::AtLeastOnce } else { QoS::AtMostOnce };
            let topic = self.topic(note.leaf.clone());
            if c.pipe.publish(&topic, qos, note.retained, note.payload.clone(), now) {
                self.desk.sent(&note);
            }
        }
        while c.pipe.takes_questions()
            && let Some(question) = self.desk.take_question()
        {
            c.pipe.ask(&self.topic(Leaf::PayRequest), question, now);
        }
        if self.desk.take_news() {
            self.caught_up = false;
        }
        if self.read_again.is_some_and(|at| now < at) {
            return;
        }
        self.read_again = None;
        while !self.caught_up {
            let Some((after, limit)) = self.window.room() else { return };
            let limit = limit.min(c.pipe.room());
            // One more than the events: their checkpoint.
            if limit == 0 || !c.pipe.takes_notes() {
                return;
            }
            match self.send_batch(c, after, limit, now) {
                Ok(true) => {}
                Ok(false) => self.caught_up = true,
                Err(error) => {
                    warn(&error, "the outbox could not be read");
                    self.read_again = Some(now + self.settings.retry_first);
                    return;
                }
            }
        }
    }

    /// `false` when there was less than was asked for.
    fn send_batch(
        &mut self,
        c: &mut Connection,
        after: u64,
        limit: usize,
        now: Instant,
    ) -> Result<bool, super::OutboxError> {
        let events = self.outbox.after(after, limit)?;
        let more = events.len() >= limit;
        if let Some(last) = events.iter().take(limit).next_back()
            && !self.vouch(c, last, now)
        {
            return Ok(false);
        }
        for (event, expected) in events.into_iter().take(limit).zip(after + 1..) {
            if event.seq != expected {
                let gap = format!("event {} came where {expected} was due", event.seq);
                return Err(super::OutboxError(gap.into()));
            }
            let kind = Name::parse(&event.kind).unwrap_or_else(|error| {
                tracing::error!(%error, seq = event.seq, "the event's kind fits no topic");
                // The document says what it is; holding it back would hold back all after it.
                Name::parse("other").expect("a plain word is a name")
            });
            if !c.pipe.publish(&self.topic(Leaf::Event(kind)), QoS::AtLeastOnce, false, event.payload, now) {
                return Ok(false);
            }
            self.window.published(event.seq, now);
        }
        Ok(more)
    }

    /// Signs for everything up to an event that is about to be published. `false`: no room.
    fn vouch(&self, c: &mut Connection, last: &OutboxEvent, now: Instant) -> bool {
        let Some(signer) = &self.settings.signer else { return true };
        let here = Position { ledger: self.ledger.clone(), seq: last.seq, hash: last.hash.clone() };
        let signed = signer.sign(Purpose::Checkpoint, &here).expect("texts and a number always become JSON");
        c.pipe.publish(&self.topic(Leaf::Checkpoint), QoS::AtLeastOnce, false, signed, now)
    }

    fn handle(&mut self, c: &mut Connection, event: Event) -> Option<End> {
        let now = Instant::now();
        match event {
            Event::Incoming(Packet::ConnAck(_)) => self.connected(c, now),
            Event::Incoming(Packet::PubAck(taken)) => c.pipe.taken(taken.pkid),
            Event::Incoming(Packet::Publish(message)) => self.listen(c, &message, now),
            Event::Incoming(Packet::SubAck(ack)) if ack.return_codes.contains(&SubscribeReasonCode::Failure) => {
                tracing::warn!(
                    "the broker refuses a subscription; its access rules must let a kiosk read its own topics"
                );
            }
            Event::Outgoing(Outgoing::Publish(number)) => c.pipe.went_out(number),
            Event::Outgoing(Outgoing::Disconnect) => return Some(End::Stopped),
            _ => {}
        }
        None
    }

    fn connected(&mut self, c: &mut Connection, now: Instant) {
        c.up = Some(now);
        self.told = None;
        self.caught_up = false;
        self.window.connected(now);
        self.desk.connected();
        // The channel is empty and has room for many more than these. Before the first question: its answer is heard.
        c.pipe.subscribe(self.topic(Leaf::Ack), QoS::AtLeastOnce);
        c.pipe.subscribe(self.topic(Leaf::Presence), QoS::AtMostOnce);
        // Before our own goes out: what comes first is what stood there.
        self.twins.connected();
        c.pipe.subscribe(self.topic(Leaf::State), QoS::AtMostOnce);
        c.pipe.subscribe(Filter::Alarms(self.settings.address.clone()), QoS::AtMostOnce);
        if self.settings.pay {
            c.pipe.subscribe(self.topic(Leaf::PayReply), QoS::AtLeastOnce);
            c.pipe.subscribe(self.topic(Leaf::PayNotice), QoS::AtLeastOnce);
        }
        self.announce(c, now);
        (self.on)(FleetEvent::Connected);
    }

    fn announce(&self, c: &mut Connection, now: Instant) {
        c.announced = now;
        c.pipe.publish(&self.topic(Leaf::Presence), QoS::AtLeastOnce, true, ONLINE, now);
    }

    fn listen(&mut self, c: &mut Connection, message: &Publish, now: Instant) {
        let Ok(Topic::Kiosk(address, leaf)) = message.topic.parse() else { return };
        if address != self.settings.address {
            return;
        }
        match leaf {
            Leaf::Ack => self.acknowledged(c, &message.payload, now),
            // The will of a connection that the broker gave up only now, or a lie.
            Leaf::Presence if !message.retain && c.leaving.is_none() && message.payload != ONLINE.as_bytes() => {
                c.contradict = true;
            }
            Leaf::State if self.twins.state(&message.payload, now) => {
                // We are shown, and need not be told each time. Where it is refused it costs only that.
                c.pipe.unsubscribe(self.topic(Leaf::State));
            }
            // Raised by a former run and never cleared, unless this run raises it in time.
            Leaf::Alarm(kind) if message.retain && !message.payload.is_empty() && c.strange.len() < STRANGE => {
                c.strange.insert(kind);
            }
            Leaf::PayReply if self.settings.pay => self.pay(Pay::Reply, &message.payload),
            Leaf::PayNotice if self.settings.pay => self.pay(Pay::Notice, &message.payload),
            _ => {}
        }
    }

    fn pay(&self, channel: Pay, payload: &[u8]) {
        let message = payload[..payload.len().min(jws::LONGEST + 1)].to_vec();
        (self.on)(FleetEvent::Pay { channel, message });
    }

    fn acknowledged(&mut self, c: &mut Connection, payload: &[u8], now: Instant) {
        let back_end = self.settings.back_end.as_ref();
        let refused = match ack::verify(payload, back_end, &self.ledger, &self.outbox) {
            Ok(seq) => {
                if let Moved::To(_) = self.window.acknowledged(seq, now) {
                    c.progress = true;
                    self.caught_up = false;
                    self.untold = true;
                }
                return;
            }
            Err(Refused::Outbox(error)) => return warn(&error, "an acknowledgement could not be checked"),
            Err(refused) => refused,
        };
        if back_end.is_some() && matches!(refused, Refused::NoSuchEvent(_) | Refused::OtherHash(_)) {
            self.twins.contradicted(now);
        }
        if self.complaints.allowed(now) {
            (self.on)(FleetEvent::AckRejected { why: refused.to_string() });
        }
    }

    fn clear_strange(&self, c: &mut Connection, now: Instant) {
        let Connection { pipe, strange, .. } = c;
        strange.retain(|kind| {
            // Kept for the next turn only when there was no room.
            !self.desk.is_set(kind)
                && !pipe.publish(&self.topic(Leaf::Alarm(kind.clone())), QoS::AtLeastOnce, true, "", now)
        });
    }

    fn topic(&self, leaf: Leaf) -> Topic {
        self.settings.address.topic(leaf)
    }
}

impl Connection {
    fn lost(&self, why: String) -> End {
        End::Lost { why, good: self.progress || self.up.is_some_and(|up| up.elapsed() >= GOOD) }
    }
}

fn why(error: &ConnectionError) -> String {
    match error {
        ConnectionError::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

fn warn(error: &super::OutboxError, what: &str) {
    tracing::warn!(%error, cause = %error.0, "{what}");
}

/// `unit * 2^failures`, at most `max`.
fn back_off(failures: u32, unit: Duration, max: Duration) -> Duration {
    unit.saturating_mul(2u32.saturating_pow(failures)).min(max)
}

/// A random part of it.
fn jitter(most: Duration) -> Duration {
    // Without random numbers the kiosk has other troubles; waiting the whole of it is safe.
    let part = getrandom::u32().unwrap_or(u32::MAX);
    most.mul_f64(f64::from(part) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_get_rarer_up_to_the_limit_and_are_spread() {
        let (unit, max) = (Duration::from_secs(1), Duration::from_secs(300));
        let waits: Vec<u64> = (0..12).map(|n| back_off(n, unit, max).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(back_off(u32::MAX, unit, max), max);
        let spread: BTreeSet<u128> = (0..64).map(|_| jitter(max).as_nanos()).collect();
        assert!(spread.len() > 60);
        assert!(spread.iter().all(|nanos| *nanos <= max.as_nanos()));
    }
}
