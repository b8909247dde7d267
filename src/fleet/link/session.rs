//! The link's task: it connects to the broker, publishes, receives, and connects again when the connection is lost.

mod site;

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rumqttc::{ConnectionError, Event, EventLoop, Outgoing, Packet, Publish, QoS, SubscribeReasonCode};
use tokio::net::TcpStream;

use super::ack::{self, Refused};
use super::client::{MqttClient, OFFLINE, ONLINE};
use super::duplicate::DuplicateDetector;
use super::facts::{self, Hearing, SiteTopics, Telling};
use super::pending::Pending;
use super::plates::{Heard, Plates};
use super::window::{Due, Moved, Pace, Window};
use super::{Broker, FleetEvent, LinkConfig, Outbox, OutboxEvent, Pay};
use crate::fleet::back_off::{jitter, reconnect};
use crate::fleet::command::{self, Addressee, CommandStatus};
use crate::fleet::poll_once;
use crate::fleet::proof::Position;
use crate::fleet::rate_limiter::RateLimiter;
use crate::fleet::topic::{Address, Filter, Leaf, Name, Topic};
use crate::signed::jws::{self, Purpose};

/// A connection that lasted so long counts as good: after it the next try comes soon.
const GOOD: Duration = Duration::from_secs(60);
/// Disconnecting may take so long.
const DISCONNECT: Duration = Duration::from_secs(2);
/// A broker that takes no connection within this can't be reached.
const REACH: Duration = Duration::from_secs(10);
/// So many stale alarms are remembered; a kiosk has fewer kinds, so more of them are somebody else's doing.
const STALE_ALARMS: usize = 256;
/// Refused acknowledgements, and lanes' messages, are reported so often at once, and then so rarely.
const COMPLAINTS: u32 = 10;
const COMPLAIN_EVERY: Duration = Duration::from_secs(1);
/// When somebody else publishes that this kiosk is offline, it announces itself again, at most this often.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Session<O, F> {
    config: LinkConfig,
    outbox: O,
    ledger: String,
    on: F,
    pending: Arc<Pending>,
    window: Window,
    rate_limiter: RateLimiter,
    duplicates: DuplicateDetector,
    telling: Telling,
    hearing: Hearing,
    facts_rejected: u64,
    facts_complaints: RateLimiter,
    plates: Plates,
    /// The cursor has moved, and the kiosk has not been told yet.
    cursor_unreported: bool,
    cursor_reported: Option<Instant>,
    /// The outbox was read to its end; it is read again only when there is a reason.
    caught_up: bool,
    /// The outbox could not be read, and is not read again before this.
    read_again: Option<Instant>,
    /// The last reason reported for not being connected.
    reported: Option<String>,
    /// The next connection is to the second broker.
    away: bool,
}

enum End {
    Stopped,
    Lost { why: String, good: bool },
}

/// What belongs to one connection.
struct Connection {
    client: MqttClient,
    up: Option<Instant>,
    /// rumqttc pings, so something happens at least once a keep-alive interval.
    last_traffic: Instant,
    announced: Instant,
    /// Somebody else published that this kiosk is offline.
    announce_again: bool,
    progress: bool,
    /// Alarms that the broker retains and this run has not raised so far.
    stale_alarms: BTreeSet<Name>,
    closing: Option<Instant>,
}

impl<O: Outbox, F: Fn(FleetEvent) + Send + 'static> Session<O, F> {
    pub fn new(config: LinkConfig, outbox: O, on: F, pending: Arc<Pending>) -> Self {
        let now = Instant::now();
        let cursor = outbox.cursor().unwrap_or_else(|error| {
            // Harmless: the first acknowledgement says where the back end is.
            warn(&error, "the acknowledged cursor could not be read; starting from the first event");
            0
        });
        let pace = Pace { first: config.retry_first, last: config.retry_last, probe: config.probe };
        Self {
            window: Window::new(cursor, config.window(), pace, now),
            ledger: outbox.ledger(),
            rate_limiter: RateLimiter::new(COMPLAINTS, COMPLAIN_EVERY, now),
            // It is longer than the other kiosk would wait before it connects again.
            duplicates: DuplicateDetector::new(config.boot.clone(), config.back_off_max * 2),
            telling: Telling::new(now),
            hearing: Hearing::new(now),
            facts_rejected: 0,
            facts_complaints: RateLimiter::new(COMPLAINTS, COMPLAIN_EVERY, now),
            plates: Plates::new(now),
            cursor_unreported: false,
            cursor_reported: None,
            caught_up: false,
            read_again: None,
            reported: None,
            away: false,
            config,
            outbox,
            on,
            pending,
        }
    }

    pub async fn run(mut self) {
        let mut pause = jitter(self.config.start_delay);
        let mut failures = 0u32;
        while self.pause(pause).await {
            let end = self.connection().await;
            self.pending.disconnected();
            if self.telling.disconnected() {
                tracing::warn!(
                    "connections to the broker end over what this lane tells its site, so it is told more rarely; \
                     the broker must take messages of 128 KiB and let the kiosk write its lane's facts"
                );
            }
            self.report_cursor(Instant::now());
            match end {
                End::Stopped => return,
                End::Lost { why, good } => {
                    if good && !self.duplicates.suspected() {
                        failures = 0;
                    }
                    // A broker that was there a moment ago is most likely there again soon.
                    self.away = self.config.fallback.is_some() && !self.away && !good;
                    if self.reported.as_ref() != Some(&why) {
                        self.reported = Some(why.clone());
                        (self.on)(FleetEvent::Disconnected { why });
                    }
                }
            }
            let LinkConfig { back_off_unit, back_off_max, start_delay, .. } = self.config;
            pause = jitter(reconnect(failures, back_off_unit, back_off_max, start_delay));
            failures = failures.saturating_add(1);
        }
    }

    /// `false` when the link is to stop.
    async fn pause(&mut self, pause: Duration) -> bool {
        let end = tokio::time::Instant::now() + pause;
        loop {
            if self.pending.stopped() {
                return false;
            }
            tokio::select! {
                () = tokio::time::sleep_until(end) => return !self.pending.stopped(),
                () = self.pending.changed() => {}
            }
        }
    }

    async fn connection(&mut self) -> End {
        let fallback = self.config.fallback.as_ref().filter(|_| self.away);
        let (client, events) = match MqttClient::open(&self.config, fallback.unwrap_or(&self.config.broker)) {
            Ok(opened) => opened,
            Err(why) => return End::Lost { why, good: false },
        };
        let now = Instant::now();
        let mut connection = Connection {
            client,
            up: None,
            last_traffic: now,
            announced: now,
            announce_again: false,
            progress: false,
            stale_alarms: BTreeSet::new(),
            closing: None,
        };
        let end = self.serve(&mut connection, events).await;
        // Newest first, so that the oldest comes to stand first.
        let unsaid: Vec<CommandStatus> = connection.client.unacknowledged_statuses().collect();
        unsaid.into_iter().rev().for_each(|status| self.pending.lost(status));
        end
    }

    async fn serve(&mut self, conn: &mut Connection, events: EventLoop) -> End {
        let mut poll = pin!(poll_once(events));
        let mut first_is_back = pin!(self.first_is_back());
        loop {
            let now = Instant::now();
            if let Some(end) = self.housekeeping(conn, now) {
                return end;
            }
            if conn.up.is_some() {
                self.send_pending(conn, now);
            }
            let wake = tokio::time::Instant::from_std(self.deadline(conn));
            tokio::select! {
                (events, event) = &mut poll => {
                    poll.set(poll_once(events));
                    conn.last_traffic = Instant::now();
                    match event {
                        Ok(event) => if let Some(end) = self.handle(conn, event) { return end },
                        Err(error) => return conn.lost(why(&error)),
                    }
                }
                () = &mut first_is_back => return conn.lost("it goes back to the first broker".into()),
                () = self.pending.changed() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// While the kiosk is at the second broker: when somebody listens at the first again.
    fn first_is_back(&self) -> impl Future<Output = ()> + use<O, F> {
        let Broker { host, port, .. } = self.config.broker.clone();
        let (away, every) = (self.away, self.config.home_every);
        async move {
            if !away {
                return std::future::pending().await;
            }
            let host = host.trim_matches(['[', ']']);
            loop {
                tokio::time::sleep(every / 2 + jitter(every / 2)).await;
                let reached = tokio::time::timeout(REACH, TcpStream::connect((host, port))).await;
                if reached.is_ok_and(|connected| connected.is_ok()) {
                    return;
                }
            }
        }
    }

    /// Does whatever is due by time or because the kiosk stops. Answers with the connection's end, if this is it.
    fn housekeeping(&mut self, conn: &mut Connection, now: Instant) -> Option<End> {
        if self.pending.stopped() && conn.closing.is_none() {
            if conn.up.is_none() {
                return Some(End::Stopped);
            }
            conn.closing = Some(now);
            self.pending.disconnected();
            for message in self.pending.due() {
                conn.client.publish(
                    &self.topic(message.leaf),
                    QoS::AtLeastOnce,
                    message.retained,
                    message.payload,
                    now,
                );
            }
            let heard_first = conn.up.is_some_and(|up| now >= up + facts::EVERY);
            if heard_first && self.pending.facts_due() == Some(true) {
                self.tell_facts(conn, now);
            }
            conn.client.publish(&self.topic(Leaf::Presence), QoS::AtLeastOnce, true, OFFLINE, now);
        }
        if let Some(since) = conn.closing
            && now >= since + DISCONNECT
        {
            return Some(End::Stopped);
        }
        if conn.client.oldest_pending().is_some_and(|since| now >= since + self.config.puback_timeout) {
            return Some(conn.lost("the broker does not take what is published".into()));
        }
        if now >= conn.last_traffic + self.silence() {
            return Some(conn.lost("the connection hangs".into()));
        }
        if conn.announce_again
            && conn.closing.is_none()
            && now >= conn.announced + ANNOUNCE_EVERY
            && conn.client.has_room()
        {
            conn.announce_again = false;
            self.announce(conn, now);
        }
        if let Some(up) = conn.up
            && !conn.stale_alarms.is_empty()
            && now >= up + self.config.alarm_grace
        {
            self.clear_stale_alarms(conn, now);
        }
        // Without a connection nothing can be overdue; it all starts again with the next.
        if conn.up.is_some()
            && let Some(due) = self.window.tick(now)
        {
            self.caught_up = false;
            self.cursor_unreported |= matches!(due, Due::WentBack(_));
        }
        if self.report_at().is_none_or(|at| now >= at) {
            self.report_cursor(now);
        }
        self.hand_on(now);
        if let Some(why) = self.duplicates.change(conn.up, now) {
            (self.on)(FleetEvent::Duplicate { why });
        }
        None
    }

    /// The kiosk is not told of the cursor again before this.
    fn report_at(&self) -> Option<Instant> {
        self.cursor_reported.map(|at| at + self.config.report_every)
    }

    fn report_cursor(&mut self, now: Instant) {
        if std::mem::take(&mut self.cursor_unreported) {
            self.cursor_reported = Some(now);
            (self.on)(FleetEvent::Acknowledged { seq: self.window.cursor() });
        }
    }

    /// When [`housekeeping`](Self::housekeeping) must run at the latest.
    fn deadline(&self, conn: &Connection) -> Instant {
        let connected = conn.up.is_some();
        [
            Some(conn.last_traffic + self.silence()),
            conn.client.oldest_pending().map(|since| since + self.config.puback_timeout),
            conn.closing.map(|since| since + DISCONNECT),
            // A full client waits for the broker.
            conn.up
                .filter(|_| !conn.stale_alarms.is_empty() && conn.client.has_room())
                .map(|up| up + self.config.alarm_grace),
            (conn.announce_again && conn.closing.is_none() && conn.client.has_room())
                .then(|| conn.announced + ANNOUNCE_EVERY),
            self.window.deadline().filter(|_| connected),
            self.read_again.filter(|_| connected && conn.closing.is_none()),
            self.report_at().filter(|_| self.cursor_unreported),
            self.facts_at(conn),
            self.hearing.deadline(),
            self.duplicates.deadline(conn.up),
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(conn.last_traffic)
    }

    /// After so long without a sign of the event loop the connection is not alive.
    fn silence(&self) -> Duration {
        self.config.keep_alive.max(Duration::from_secs(1)) * 2 + Duration::from_secs(10)
    }

    /// Publishes what the client has room for: first the messages, because they are few and new, then the events.
    fn send_pending(&mut self, conn: &mut Connection, now: Instant) {
        if conn.closing.is_some() {
            if conn.client.is_empty() {
                // It is refused only while the channel is full; then the next round tries again.
                conn.client.disconnect();
            }
            return;
        }
        for message in self.pending.due() {
            let (qos, topic) = (message.qos(), self.topic(message.leaf.clone()));
            if conn.client.publish(&topic, qos, message.retained, message.payload.clone(), now) {
                self.pending.sent(&message);
            }
        }
        while conn.client.has_request_room()
            && let Some(request) = self.pending.take_request()
        {
            conn.client.ask(&self.topic(Leaf::PayRequest), request, now);
        }
        while let Some(status) = self.pending.take_status() {
            if !self.publish_status(conn, &status, now) {
                self.pending.put_back(status);
                break;
            }
        }
        // The next when the broker has taken the one before.
        while !conn.client.has_part()
            && let Some(status) = self.pending.take_part()
        {
            if !self.publish_status(conn, &status, now) {
                self.pending.put_back(status);
                break;
            }
        }
        if let Some(after) = self.pending.take_resend()
            && after < self.window.cursor()
            && let Moved::To(_) = self.window.acknowledged(after, now)
        {
            self.caught_up = false;
            self.cursor_unreported = true;
        }
        self.send_events(conn, now);
        // Last, because nothing else is as long.
        if self.facts_at(conn).is_some_and(|at| now >= at) {
            self.tell_facts(conn, now);
        }
    }

    fn send_events(&mut self, conn: &mut Connection, now: Instant) {
        if self.pending.take_outbox_changed() {
            self.caught_up = false;
        }
        if self.read_again.is_some_and(|at| now < at) {
            return;
        }
        self.read_again = None;
        while !self.caught_up {
            let Some((after, limit)) = self.window.room() else { return };
            let limit = limit.min(conn.client.room());
            // One more than the events: their checkpoint.
            if limit == 0 || !conn.client.has_room() {
                return;
            }
            match self.send_batch(conn, after, limit, now) {
                Ok(true) => {}
                Ok(false) => self.caught_up = true,
                Err(error) => {
                    warn(&error, "the outbox could not be read");
                    self.read_again = Some(now + self.config.retry_first);
                    return;
                }
            }
        }
    }

    /// `false` when there is no room now.
    fn publish_status(&self, conn: &mut Connection, status: &CommandStatus, now: Instant) -> bool {
        let (Ok(verb), Ok(id)) = (Name::parse(&status.verb), Name::parse(&status.id)) else {
            // Numbers with a dot come from elsewhere than a topic, and nobody waits for them there.
            return true;
        };
        let payload = match &self.config.signer {
            Some(signer) => signer.sign(Purpose::CommandStatus, status),
            None => serde_json::to_vec(status),
        };
        let payload = payload.expect("texts and numbers always become JSON");
        conn.client.publish_status(&self.topic(Leaf::CommandStatus { verb, id }), status, payload, now)
    }

    /// Publishes a checkpoint and the events it covers. `false` when there were fewer events than `limit`.
    fn send_batch(
        &mut self,
        conn: &mut Connection,
        after: u64,
        limit: usize,
        now: Instant,
    ) -> Result<bool, super::OutboxError> {
        let events = self.outbox.after(after, limit)?;
        let more = events.len() >= limit;
        if let Some(last) = events.iter().take(limit).next_back()
            && !self.sign_checkpoint(conn, last, now)
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
            if !conn.client.publish(&self.topic(Leaf::Event(kind)), QoS::AtLeastOnce, false, event.payload, now) {
                return Ok(false);
            }
            self.window.published(event.seq, now);
        }
        Ok(more)
    }

    /// Publishes the signed checkpoint of an event that is about to be published. `false` when there is no room.
    fn sign_checkpoint(&self, conn: &mut Connection, last: &OutboxEvent, now: Instant) -> bool {
        let Some(signer) = &self.config.signer else { return true };
        let here = Position { ledger: self.ledger.clone(), seq: last.seq, hash: last.hash.clone() };
        let signed = signer.sign(Purpose::Checkpoint, &here).expect("texts and a number always become JSON");
        conn.client.publish(&self.topic(Leaf::Checkpoint), QoS::AtLeastOnce, false, signed, now)
    }

    fn handle(&mut self, conn: &mut Connection, event: Event) -> Option<End> {
        let now = Instant::now();
        match event {
            Event::Incoming(Packet::ConnAck(_)) => self.connected(conn, now),
            Event::Incoming(Packet::PubAck(taken)) if conn.client.packet_acknowledged(taken.pkid) => {
                self.telling.taken();
            }
            Event::Incoming(Packet::Publish(message)) => self.listen(conn, &message, now),
            Event::Incoming(Packet::SubAck(ack)) if ack.return_codes.contains(&SubscribeReasonCode::Failure) => {
                tracing::warn!(
                    "the broker refuses a subscription; its access rules must let a kiosk read its own topics, and a lane its site's"
                );
            }
            Event::Outgoing(Outgoing::Publish(number)) => conn.client.packet_sent(number),
            Event::Outgoing(Outgoing::Disconnect) => return Some(End::Stopped),
            _ => {}
        }
        None
    }

    fn connected(&mut self, conn: &mut Connection, now: Instant) {
        conn.up = Some(now);
        self.reported = None;
        self.caught_up = false;
        self.window.connected(now);
        self.pending.connected();
        self.telling.connected(now);
        // The channel is empty and has room for many more than these. They come before the first request, so that its
        // answer is received.
        conn.client.subscribe(self.topic(Leaf::Ack), QoS::AtLeastOnce);
        conn.client.subscribe(self.topic(Leaf::Presence), QoS::AtMostOnce);
        // It comes before our own state is published: the first state received is the retained one.
        self.duplicates.connected(self.away);
        conn.client.subscribe(self.topic(Leaf::State), QoS::AtMostOnce);
        conn.client.subscribe(Filter::Alarms(self.config.address.clone()), QoS::AtMostOnce);
        if self.config.pay {
            conn.client.subscribe(self.topic(Leaf::PayReply), QoS::AtLeastOnce);
            conn.client.subscribe(self.topic(Leaf::PayNotice), QoS::AtLeastOnce);
        }
        if self.config.commands.is_some() {
            let Address { fleet, .. } = &self.config.address;
            conn.client.subscribe(Filter::Commands(self.config.address.clone()), QoS::AtLeastOnce);
            conn.client.subscribe(Filter::EveryonesCommands(fleet.clone()), QoS::AtLeastOnce);
        }
        if let Some(SiteTopics { site, .. }) = self.config.site {
            let fleet = self.config.address.fleet.clone();
            conn.client.subscribe(Filter::Facts { fleet, site }, QoS::AtLeastOnce);
        }
        if self.config.plates {
            // The broker keeps none for later: a car that came meanwhile is not there any more.
            conn.client.subscribe(self.topic(Leaf::Plate), QoS::AtMostOnce);
        }
        self.announce(conn, now);
        tracing::debug!(second_broker = self.away, "the link is up");
        (self.on)(FleetEvent::Connected);
    }

    fn announce(&self, conn: &mut Connection, now: Instant) {
        conn.announced = now;
        conn.client.publish(&self.topic(Leaf::Presence), QoS::AtLeastOnce, true, ONLINE, now);
    }

    fn listen(&mut self, conn: &mut Connection, message: &Publish, now: Instant) {
        let leaf = match message.topic.parse() {
            Ok(Topic::Kiosk(address, leaf)) if address == self.config.address => leaf,
            Ok(Topic::Everyone { fleet, verb, id }) if fleet == self.config.address.fleet => {
                return self.command(Addressee::Everyone, &verb, &id, &message.payload);
            }
            Ok(Topic::Facts { fleet, site, lane }) if fleet == self.config.address.fleet => {
                return self.facts(site, lane, &message.payload, now);
            }
            Err(_) => return self.facts_of_nobody(&message.topic, now),
            _ => return,
        };
        match leaf {
            Leaf::Ack => self.acknowledged(conn, &message.payload, now),
            // It is the last will of an old connection that the broker closed only now, or forged.
            Leaf::Presence if !message.retain && conn.closing.is_none() && message.payload != ONLINE.as_bytes() => {
                conn.announce_again = true;
            }
            Leaf::State if self.duplicates.state(&message.payload, now) => {
                // The broker retains our own state, and need not send it each time. A refusal costs only that.
                conn.client.unsubscribe(self.topic(Leaf::State));
            }
            // An earlier run raised it and never cleared it, unless this run raises it in time.
            Leaf::Alarm(kind)
                if message.retain && !message.payload.is_empty() && conn.stale_alarms.len() < STALE_ALARMS =>
            {
                conn.stale_alarms.insert(kind);
            }
            Leaf::Command { verb, id } => self.command(Addressee::ThisKiosk, &verb, &id, &message.payload),
            Leaf::PayReply if self.config.pay => self.pay(Pay::Reply, &message.payload),
            Leaf::PayNotice if self.config.pay => self.pay(Pay::Notice, &message.payload),
            Leaf::Plate if self.config.plates => self.plate(message, now),
            _ => {}
        }
    }

    fn command(&self, to: Addressee, verb: &Name, id: &Name, message: &[u8]) {
        let Some(desk) = &self.config.commands else { return };
        match desk.open(to, verb, id, message) {
            Ok(request) => (self.on)(FleetEvent::Command(Box::new(request))),
            Err(why) if desk.is_told() => {
                let status = CommandStatus::rejected(verb.as_str(), id.as_str(), why.to_string());
                self.pending.status(CommandStatus { message: Some(command::digest(message)), ..status });
                (self.on)(FleetEvent::CommandRejected);
            }
            Err(_) => {}
        }
    }

    fn pay(&self, channel: Pay, payload: &[u8]) {
        let message = payload[..payload.len().min(jws::LONGEST + 1)].to_vec();
        (self.on)(FleetEvent::Pay { channel, message });
    }

    fn plate(&mut self, message: &Publish, now: Instant) {
        match self.plates.hear(&message.payload, message.retain, now) {
            Heard::Plate(plate) => (self.on)(FleetEvent::PlateSeen { plate }),
            Heard::Rejected { why, count } => (self.on)(FleetEvent::PlateRejected { why, count }),
            Heard::Nothing => {}
        }
    }

    fn acknowledged(&mut self, conn: &mut Connection, payload: &[u8], now: Instant) {
        let back_end = self.config.back_end.as_ref();
        let refused = match ack::verify(payload, back_end, &self.ledger, &self.outbox) {
            Ok(seq) => {
                if let Moved::To(_) = self.window.acknowledged(seq, now) {
                    conn.progress = true;
                    self.caught_up = false;
                    self.cursor_unreported = true;
                }
                return;
            }
            Err(Refused::Outbox(error)) => return warn(&error, "an acknowledgement could not be checked"),
            Err(refused) => refused,
        };
        if back_end.is_some() && matches!(refused, Refused::NoSuchEvent(_) | Refused::OtherHash(_)) {
            self.duplicates.contradicted(now);
        }
        if self.rate_limiter.allowed(now) {
            (self.on)(FleetEvent::AckRejected { why: refused.to_string() });
        }
    }

    fn clear_stale_alarms(&self, conn: &mut Connection, now: Instant) {
        let Connection { client, stale_alarms, .. } = conn;
        stale_alarms.retain(|kind| {
            // It is kept for the next round only when there was no room.
            !self.pending.is_set(kind)
                && !client.publish(&self.topic(Leaf::Alarm(kind.clone())), QoS::AtLeastOnce, true, "", now)
        });
    }

    fn topic(&self, leaf: Leaf) -> Topic {
        self.config.address.topic(leaf)
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
