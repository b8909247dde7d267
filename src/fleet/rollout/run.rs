//! Runs a rollout: reads the plan and what was done of it, speaks with the machines over the broker, and tells a person how
//! it goes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rumqttc::{AsyncClient, Event, Packet, Publish, QoS};
use serde_json::{Map, Value, json};

use super::course::{Course, Decision, End, Entry, Phase, Sent};
use super::journal::{Journal, Line};
use super::plan::{Order, Plan, Texts};
use super::stands::{Stands, Way, still_changed, undoing};
use super::{RolloutError, approval};
use crate::fleet::command::{self, CommandContent, Stage};
use crate::fleet::office::{self, Access, RECONNECT, SigningKey};
use crate::fleet::poll_once;
use crate::fleet::topic::{Address, Filter, Leaf, Name, Told, Topic};
use crate::operation::RequestId;
use crate::signed::jws::Keys;
use crate::vocabulary::Wall;

/// What is retained has come when nothing more came for so long.
const QUIET: Duration = Duration::from_secs(2);
/// So many messages may wait for the broker.
const WAITING: usize = 256;
/// Who has said nothing is asked once more so often, by the same message.
const AGAIN: Duration = Duration::from_secs(15);
/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(200);

/// What `kioskfleet rollout` was told.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub plan: PathBuf,
    pub access: Access,
    /// The private key that signs; its name is the file's, or `kid`.
    pub sign: PathBuf,
    pub kid: Option<String>,
    pub undo: bool,
    /// A person says that it goes on after the wave it has paused after.
    pub proceed: bool,
}

/// How far a wave is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// From 1.
    pub wave: usize,
    pub waves: usize,
    pub machines: usize,
    pub asked: usize,
    pub ended: usize,
    pub successful: usize,
}

/// Who is told how it goes.
pub trait Watch {
    /// Something that stays: a line for people, and a document for programs. People are not told of each that was successful.
    ///
    /// # Errors
    /// It can't be written; the rollout ends, and can be taken up again.
    fn say(&mut self, line: Option<&str>, document: &Value) -> std::io::Result<()>;

    /// How far it is; called often.
    fn progress(&mut self, progress: Progress);
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    Completed,
    /// Of an undo: it is over, and some have not said that they were successful.
    Incomplete,
    Halted,
    /// A person is to look, and to say that it goes on.
    Paused,
}

/// Begins a rollout, or takes it up where it stands, and returns when it has ended, halted or paused.
///
/// # Errors
/// It could not begin or go on. What was done is on disk.
pub fn run(wanted: &Wanted, watch: &mut impl Watch) -> Result<Came, RolloutError> {
    let key = SigningKey::open(&wanted.sign, wanted.kid.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(office::OfficeError::Start)?;
    let (mut journal, lines) = Journal::open(&wanted.plan)?;
    let stands = match Stands::read(&wanted.plan, &lines)? {
        Some(stands) => stands,
        None if wanted.undo => return Err(RolloutError::NotBegun),
        None => runtime.block_on(begin(wanted, &key, &mut journal, watch))?,
    };
    let Stands { plan, digest, texts, mut course, undo } = stands;
    let (way, order, course) = if wanted.undo {
        let order = plan.undo.clone().ok_or(RolloutError::NoUndo)?;
        let (round, course) = match undo {
            Some((round, undo)) if undo.phase() != Phase::Completed && undo.halt().is_none() => (round, undo),
            before => {
                let round = before.as_ref().map_or(1, |(round, _)| round + 1);
                let machines = still_changed(&course, before.as_ref().map(|(_, undo)| undo));
                if machines.is_empty() {
                    tell(watch, "there is nothing to undo", json!({ "said": "nothing-to-undo" }))?;
                    return Ok(Came::Completed);
                }
                journal.write(&[Line::UndoBegun { round, machines: machines.clone(), at: wall() }])?;
                (round, Course::new(undoing(&plan), vec![machines]))
            }
        };
        (Way::Undo { round }, order, course)
    } else {
        if undo.is_some() {
            return Err(RolloutError::Undone);
        }
        let now = Plan::read(&wanted.plan)?;
        if now.digest(&now.texts()?)? != digest {
            return Err(RolloutError::Changed);
        }
        if wanted.proceed {
            go_on(&mut course, &mut journal, watch)?;
        }
        (Way::Apply, plan.order.clone(), course)
    };
    for kiosk in course.waves().iter().flatten() {
        order.arguments(kiosk, &texts)?;
    }
    let room = Room { plan, digest, texts, order, way, key, journal, watch, course };
    runtime.block_on(room.run(wanted))
}

fn go_on(course: &mut Course, journal: &mut Journal, watch: &mut impl Watch) -> Result<(), RolloutError> {
    let entry = course.proceed(wall()).ok_or_else(|| {
        RolloutError::NotWaiting(match course.phase() {
            Phase::Halted { .. } => "it has halted",
            Phase::Completed => "it is complete",
            Phase::Soaking { .. } => "the soak is not over",
            Phase::Waiting { .. } | Phase::Running { .. } | Phase::Paused { .. } => "it goes on by itself",
        })
    })?;
    journal.write(&[Line::Apply { entry: entry.clone() }])?;
    course.apply(&entry);
    tell_entry(watch, &entry, course)
}

/// Takes down, before anything is sent, everything that will be.
async fn begin(
    wanted: &Wanted,
    key: &SigningKey,
    journal: &mut Journal,
    watch: &mut impl Watch,
) -> Result<Stands, RolloutError> {
    let plan = Plan::read(&wanted.plan)?;
    let texts = plan.texts()?;
    let digest = plan.digest(&texts)?;
    if let Some(by) = approval::check(&wanted.plan, &plan, &digest, &key.public())? {
        tell(watch, &format!("approved by {by}"), json!({ "said": "approved", "by": by }))?;
    }
    let machines = match plan.machines() {
        Some(machines) => machines.to_vec(),
        None => online(wanted, &plan.fleet, &digest).await?,
    };
    for kiosk in &machines {
        plan.order.arguments(kiosk, &texts)?;
        plan.undo.as_ref().map(|undo| undo.arguments(kiosk, &texts)).transpose()?;
        plan.kiosk_key(kiosk)?;
    }
    let waves = plan.waves(&machines);
    let line = format!("{} machines in {} waves", machines.len(), waves.len());
    tell(watch, &line, json!({ "said": "begun", "digest": digest, "waves": waves }))?;
    let (text, at) = (plan.text.clone(), wall());
    let begun = Line::Begun { digest: digest.clone(), plan: text, texts: texts.clone(), waves: waves.clone(), at };
    journal.write(&[begun])?;
    let course = Course::new(plan.rules.clone(), waves);
    Ok(Stands { plan, digest, texts, course, undo: None })
}

/// Whoever the broker says is online, in an order that says nothing about where they stand.
async fn online(wanted: &Wanted, fleet: &Name, digest_of_plan: &str) -> Result<Vec<Name>, RolloutError> {
    let (client, mut events) = wanted.access.open(WAITING)?;
    let mut online = BTreeSet::new();
    let mut until = Instant::now() + QUIET * 5;
    let mut why = None;
    while let Ok(event) = tokio::time::timeout_at(tokio::time::Instant::from_std(until), events.poll()).await {
        match event {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                let filter = Filter::Told { fleet: fleet.clone(), told: Told::Presence }.to_string();
                drop(client.try_subscribe(filter, QoS::AtLeastOnce));
                (why, until) = (None, Instant::now() + QUIET);
            }
            Ok(Event::Incoming(Packet::Publish(message))) => {
                if let Ok(Topic::Kiosk(Address { kiosk, .. }, Leaf::Presence)) = message.topic.parse() {
                    // What the broker has kept comes first; machines that come and go meanwhile never end.
                    if message.retain {
                        until = Instant::now() + QUIET;
                    }
                    match message.payload == "online" {
                        true => online.insert(kiosk),
                        false => online.remove(&kiosk),
                    };
                }
            }
            Ok(_) => {}
            Err(error) => {
                why = Some(error.to_string());
                tokio::time::sleep(RECONNECT).await;
            }
        }
    }
    if let Some(why) = why {
        return Err(office::OfficeError::Unreachable(why).into());
    }
    if online.is_empty() {
        return Err(RolloutError::NobodyOnline);
    }
    let mut machines: Vec<Name> = online.into_iter().collect();
    machines.sort_by_cached_key(|kiosk| Way::Apply.number(digest_of_plan, kiosk));
    Ok(machines)
}

/// Everything that a course needs to go on.
struct Room<'w, W> {
    plan: Plan,
    digest: String,
    texts: Texts,
    order: Order,
    way: Way,
    key: SigningKey,
    journal: Journal,
    watch: &'w mut W,
    course: Course,
}

/// What is known only while somebody listens.
struct Heard {
    connected: bool,
    /// Their commands are to be published now, for the first time or once more.
    due: BTreeSet<Name>,
    /// They have the command, so it is not sent again but after a new connection.
    accepted: BTreeSet<Name>,
    keys: BTreeMap<Name, Option<Keys>>,
    /// The newest order-paid of each machine, by the number of its ledger.
    newest: BTreeMap<(Name, String), u64>,
}

impl<W: Watch> Room<'_, W> {
    async fn run(mut self, wanted: &Wanted) -> Result<Came, RolloutError> {
        let (client, events) = wanted.access.open(WAITING)?;
        let mut heard = Heard {
            connected: false,
            due: BTreeSet::new(),
            accepted: BTreeSet::new(),
            keys: BTreeMap::new(),
            newest: BTreeMap::new(),
        };
        let mut poll = pin!(poll_once(events));
        let (mut asked_again, mut sent_until) = (Instant::now(), Instant::now());
        let mut unreachable = None;
        loop {
            if let Some(came) = self.go_on(&mut heard, &mut sent_until)? {
                // What was published last may still be on its way, and nothing of it matters.
                return Ok(came);
            }
            if asked_again.elapsed() >= AGAIN {
                asked_again = Instant::now();
                let silent =
                    self.course.open().map(|(kiosk, _)| kiosk).filter(|kiosk| !heard.accepted.contains(*kiosk));
                heard.due.extend(silent.cloned());
            }
            self.publish(&client, &mut heard)?;
            let wake = tokio::time::sleep(TICK);
            tokio::select! {
                (events, event) = &mut poll => {
                    match event {
                        Ok(Event::Incoming(Packet::ConnAck(_))) => {
                            unreachable = None;
                            heard.connected = true;
                            self.subscribe(&client);
                            // Of what was said meanwhile nothing may have come.
                            heard.accepted.clear();
                            heard.due.extend(self.course.open().map(|(kiosk, _)| kiosk.clone()));
                        }
                        Ok(Event::Incoming(Packet::Publish(message))) => self.hear(&message, &mut heard)?,
                        Ok(_) => {}
                        Err(error) => {
                            heard.connected = false;
                            if unreachable.is_none() {
                                let line = format!("the broker can't be reached: {error}");
                                tell(self.watch, &line, json!({ "said": "unreachable", "why": error.to_string() }))?;
                            }
                            unreachable = Some(());
                            tokio::time::sleep(RECONNECT).await;
                        }
                    }
                    poll.set(poll_once(events));
                }
                () = wake => {}
            }
        }
    }

    /// Does whatever is due, until nothing is or it is over.
    fn go_on(&mut self, heard: &mut Heard, sent_until: &mut Instant) -> Result<Option<Came>, RolloutError> {
        loop {
            let now = wall();
            let clock = Instant::now();
            let each = Duration::from_secs(1) / self.plan.per_second;
            // What was not sent in a second is not made up for.
            *sent_until = (*sent_until).max(clock.checked_sub(Duration::from_secs(1)).unwrap_or(clock));
            let room = (clock.saturating_duration_since(*sent_until).as_nanos() / each.as_nanos().max(1)) as usize;
            let room = if heard.connected { room } else { 0 };
            let may_begin = heard.connected && self.may_begin(now);
            let Decision { entries, send } = self.course.decide(now, may_begin, room);
            if entries.is_empty() && send.is_empty() {
                break;
            }
            for entry in entries {
                self.take(entry)?;
            }
            if !send.is_empty() {
                *sent_until += each * u32::try_from(send.len()).unwrap_or(u32::MAX);
                self.ask(send, heard, now)?;
            }
        }
        if let Phase::Running { wave } = self.course.phase() {
            let (asked, ended, successful) = self.course.count(wave);
            let (waves, machines) = (self.course.waves().len(), self.course.waves()[wave].len());
            self.watch.progress(Progress { wave: wave + 1, waves, machines, asked, ended, successful });
        }
        Ok(match self.course.phase() {
            Phase::Halted { .. } => {
                self.name_the_unsuccessful()?;
                Some(Came::Halted)
            }
            Phase::Completed => {
                let all = self.name_the_unsuccessful()?;
                let undone = matches!(self.way, Way::Undo { .. });
                Some(if undone && !all { Came::Incomplete } else { Came::Completed })
            }
            Phase::Paused { wave } => {
                let line =
                    format!("paused after wave {}; look at its machines, then type it with --continue", wave + 1);
                tell(self.watch, &line, json!({ "said": "paused", "wave": wave + 1 }))?;
                Some(Came::Paused)
            }
            Phase::Waiting { .. } | Phase::Running { .. } | Phase::Soaking { .. } => None,
        })
    }

    fn may_begin(&self, now: Wall) -> bool {
        let Some(window) = self.plan.window.filter(|_| self.way == Way::Apply) else { return true };
        let local = now.timestamp().and_then(|now| now.in_tz(&self.plan.time_zone).ok());
        local.is_some_and(|now| {
            window.is_open(u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs()))
        })
    }

    /// A fact: on disk, then known, then told.
    fn take(&mut self, entry: Entry) -> Result<(), RolloutError> {
        self.journal.write(&[self.way.line(entry.clone())])?;
        self.course.apply(&entry);
        tell_entry(self.watch, &entry, &self.course)
    }

    /// Makes the commands of machines that were not asked before. They are sent as they are on disk now.
    fn ask(&mut self, kiosks: Vec<Name>, heard: &mut Heard, now: Wall) -> Result<(), RolloutError> {
        let first = self.key.counters(kiosks.len() as u64)?;
        let exp = (now.0 / 1_000).saturating_add(self.plan.rules.timeout.as_secs());
        let sent =
            kiosks.iter().zip(first..).map(|(kiosk, ctr)| Entry::Sent { kiosk: kiosk.clone(), ctr, exp, at: now });
        let sent: Vec<Entry> = sent.collect();
        let lines: Vec<Line> = sent.iter().map(|entry| self.way.line(entry.clone())).collect();
        self.journal.write(&lines)?;
        sent.iter().for_each(|entry| self.course.apply(entry));
        heard.due.extend(kiosks);
        Ok(())
    }

    /// The same bytes, however often it is asked for.
    fn message(&self, kiosk: &Name, sent: &Sent) -> Result<(Topic, Vec<u8>), RolloutError> {
        let args: Map<String, Value> = self.order.arguments(kiosk, &self.texts)?;
        let id = self.way.number(&self.digest, kiosk);
        let address = Address { fleet: self.plan.fleet.clone(), kiosk: kiosk.clone() };
        let content = CommandContent {
            aud: command::one(&address),
            jti: RequestId::parse(&id).expect("hexadecimal digits are a number"),
            verb: self.order.verb.clone(),
            args,
            ctr: sent.ctr,
            nonce: None,
            exp: Some(sent.exp),
        };
        let name = |text: &str| Name::parse(text).expect("a verb and hexadecimal digits are levels of a topic");
        let leaf = Leaf::Command { verb: name(&self.order.verb), id: name(&id) };
        Ok((address.topic(leaf), self.key.command(&content)?))
    }

    fn publish(&self, client: &AsyncClient, heard: &mut Heard) -> Result<(), RolloutError> {
        while heard.connected
            && let Some(kiosk) = heard.due.pop_first()
        {
            let Some(sent) = self.course.sent().get(&kiosk).filter(|sent| sent.end.is_none()) else { continue };
            let (topic, message) = self.message(&kiosk, sent)?;
            if client.try_publish(topic.to_string(), QoS::AtLeastOnce, false, message).is_err() {
                heard.due.insert(kiosk);
                break;
            }
        }
        Ok(())
    }

    /// The channel is empty at the start of a connection, so there is room.
    fn subscribe(&self, client: &AsyncClient) {
        let fleet = || self.plan.fleet.clone();
        let subscribe = |filter: Filter| drop(client.try_subscribe(filter.to_string(), QoS::AtLeastOnce));
        subscribe(Filter::EveryonesStatuses(fleet()));
        subscribe(Filter::Told { fleet: fleet(), told: Told::Presence });
        if self.plan.rules.sales_drop.is_some() {
            let kind = Name::parse("order-paid").expect("a word is a name");
            subscribe(Filter::Events { fleet: fleet(), kind });
        }
    }

    fn hear(&mut self, message: &Publish, heard: &mut Heard) -> Result<(), RolloutError> {
        let Ok(Topic::Kiosk(Address { kiosk, .. }, leaf)) = message.topic.parse() else { return Ok(()) };
        match leaf {
            Leaf::CommandStatus { verb, id } => {
                let Some(sent) = self.course.sent().get(&kiosk).cloned() else { return Ok(()) };
                if verb.as_str() == self.order.verb && id.as_str() == self.way.number(&self.digest, &kiosk) {
                    self.answered(&kiosk, &sent, &message.payload, heard)?;
                }
            }
            // It was away when it was asked, and may not have heard it.
            Leaf::Presence
                if message.payload == "online"
                    && self.course.open().any(|(open, _)| *open == kiosk)
                    && !heard.accepted.contains(&kiosk) =>
            {
                heard.due.insert(kiosk);
            }
            Leaf::Event(_) => self.sold(kiosk, &message.payload, heard),
            _ => {}
        }
        Ok(())
    }

    fn answered(&mut self, kiosk: &Name, sent: &Sent, payload: &[u8], heard: &mut Heard) -> Result<(), RolloutError> {
        if !heard.keys.contains_key(kiosk) {
            heard.keys.insert(kiosk.clone(), self.plan.kiosk_key(kiosk)?);
        }
        let keys = heard.keys.get(kiosk).and_then(Option::as_ref);
        let Some((status, _)) = office::status(keys, payload) else { return Ok(()) };
        // Anybody may send a message under this number, and is told that it counts for nothing.
        if let Some(about) = &status.message
            && *about != command::digest(&self.message(kiosk, sent)?.1)
        {
            return Ok(());
        }
        if matches!(status.status, Stage::Accepted | Stage::Executing) {
            heard.accepted.insert(kiosk.clone());
        }
        match self.course.heard(kiosk, status.status, status.reason.as_deref(), wall()) {
            Some(entry) => self.take(entry),
            None => Ok(()),
        }
    }

    /// An event may come twice, and what was sold before the soak may come in it.
    fn sold(&mut self, kiosk: Name, payload: &[u8], heard: &mut Heard) {
        let Phase::Soaking { since, .. } = self.course.phase() else { return };
        let Ok(event) = serde_json::from_slice::<Value>(payload) else { return };
        let (Some(ledger), Some(seq)) = (event["ledger"].as_str(), event["seq"].as_u64()) else { return };
        if event["ts"].as_u64().is_some_and(|ts| ts < since.0) {
            return;
        }
        let newest = heard.newest.entry((kiosk.clone(), ledger.to_owned())).or_default();
        if seq > *newest {
            *newest = seq;
            self.course.sold(&kiosk);
        }
    }

    /// Whether there are none.
    fn name_the_unsuccessful(&mut self) -> Result<bool, RolloutError> {
        let mut all = true;
        for (kiosk, end) in self.course.unsuccessful() {
            all = false;
            let (word, reason) = match end {
                None => ("not-ended", None),
                Some(End::Silent) => ("silent", None),
                Some(End::Failed { reason }) => ("failed", Some(reason)),
                Some(End::Rejected { reason }) => ("rejected", Some(reason)),
                Some(End::Successful) => continue,
            };
            let more = reason.map(|reason| format!(": {}", crate::vocabulary::one_line(reason).collect::<String>()));
            let line = format!("{kiosk} {word}{}", more.unwrap_or_default());
            let document = json!({ "said": "unsuccessful", "kiosk": kiosk, "end": word, "reason": reason });
            tell(self.watch, &line, document)?;
        }
        Ok(all)
    }
}

fn tell(watch: &mut impl Watch, line: &str, document: Value) -> Result<(), RolloutError> {
    watch.say(Some(line), &document).map_err(RolloutError::Print)
}

fn tell_entry(watch: &mut impl Watch, entry: &Entry, course: &Course) -> Result<(), RolloutError> {
    watch.say(told(entry, course).as_deref(), &json!(entry)).map_err(RolloutError::Print)
}

/// A fact in words, where people are told of it.
fn told(entry: &Entry, course: &Course) -> Option<String> {
    let machines = |wave: usize| course.waves().get(wave).map_or(0, Vec::len);
    Some(match entry {
        Entry::WaveBegun { wave, .. } => {
            format!("wave {} of {}: {} machines", wave + 1, course.waves().len(), machines(*wave))
        }
        Entry::WaveEnded { wave, .. } => {
            format!("wave {}: {} of {} successful", wave + 1, course.count(*wave).2, machines(*wave))
        }
        Entry::WaveGood { wave, .. } => format!("wave {}: good", wave + 1),
        Entry::Continued { wave, .. } => format!("wave {}: a person says that it goes on", wave + 1),
        Entry::Halted { wave, why, .. } => format!("halted in wave {}: {why}", wave + 1),
        Entry::Completed { .. } => "complete".to_owned(),
        // Those that were not are named in the end, with the reason.
        Entry::Ended { .. } | Entry::Sent { .. } => return None,
    })
}

fn wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
