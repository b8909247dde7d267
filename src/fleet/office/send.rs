//! Sends one command, and prints what its kiosks say of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;
use rumqttc::{AsyncClient, Event, EventLoop, Packet, Publish, QoS};
use serde_json::{Map, Value, json};

use super::OfficeError;
use super::access::{Access, RECONNECT};
use super::signing::{SigningKey, keyset_version, names_the_run, status};
use crate::fleet::command::{self, Collected, CommandContent, CommandStatus, FileOfParts, Stage, digest};
use crate::fleet::topic::{Address, Filter, Leaf, Name, Topic};
use crate::operation::{Operation, RequestId};
use crate::service;
use crate::signed::jws::Keys;
use crate::signed::keys::KeySource;
use crate::signed::keyset::BadKeyset;

/// Presence and state are retained, so they come at once or not at all.
const RETAINED: Duration = Duration::from_secs(5);

/// Whom a command is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    All,
    Kiosk(Name),
}

/// What `kioskfleet send` was told.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub access: Access,
    pub fleet: Name,
    pub target: Target,
    /// The private key that signs; its name is the file's, or `kid`.
    pub sign: Option<PathBuf>,
    pub kid: Option<String>,
    /// The kiosk's public key: what it has not signed is ignored.
    pub kiosk_key: Option<PathBuf>,
    pub verb: String,
    /// `NAME=VALUE`.
    pub arguments: Vec<String>,
    /// How long to wait for the end of it, or for the next part of its file.
    pub timeout: Duration,
    /// After so long the kiosk refuses it, if it knows the time.
    pub expires: Duration,
    pub json: bool,
    /// Where the file goes that belongs to the answer; `-` is standard output.
    pub save: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Everybody who has answered has done it, and somebody has.
    Successful,
    Failed,
    /// Nobody has said how it ended.
    Silent,
}

/// The message of a command and where it belongs.
pub(super) struct Command {
    pub topic: Topic,
    pub verb: Name,
    pub id: Name,
    pub message: Vec<u8>,
}

/// Sends it, prints what is said of it, and returns when it has ended or the time is up.
///
/// # Errors
/// Nothing was sent, and what to do about it.
pub fn send(wanted: &Wanted, print: impl FnMut(&str) -> std::io::Result<()>) -> Result<Sent, OfficeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(OfficeError::Start)?;
    runtime.block_on(Office::open(wanted, print)?.run())
}

struct Office<'w, P> {
    wanted: &'w Wanted,
    print: P,
    client: AsyncClient,
    events: EventLoop,
    kiosk_key: Option<Keys>,
    /// Whether it names the run of the daemon that it is for.
    live: bool,
    online: bool,
    boot: Option<String>,
    command: Option<Command>,
    /// The last that each kiosk has said.
    said: BTreeMap<Name, Stage>,
    parts: Collected,
    /// A part has come that was not there before.
    progress: bool,
    saved: bool,
}

impl<'w, P: FnMut(&str) -> std::io::Result<()>> Office<'w, P> {
    fn open(wanted: &'w Wanted, print: P) -> Result<Self, OfficeError> {
        let asked = if wanted.rotates() { None } else { Some(wanted.operation()?) };
        let live = asked.as_ref().is_some_and(names_the_run);
        if live && wanted.target == Target::All {
            return Err(OfficeError::LiveToAll(wanted.verb.clone()));
        }
        if !wanted.rotates() && wanted.sign.is_none() {
            return Err(OfficeError::Unsigned);
        }
        let kiosk_key = match (&wanted.target, &wanted.kiosk_key) {
            (Target::Kiosk(kiosk), Some(file)) => {
                Some(Keys::new([(wanted.address(kiosk).to_string(), KeySource::File(file.clone()).signers_key()?)]))
            }
            _ => None,
        };
        if wanted.save.is_none() && asked.is_some_and(|asked| asked.brings_a_file()) {
            return Err(OfficeError::NowhereToSave);
        }
        let (client, events) = wanted.access.open(64)?;
        let (online, boot, command, said) = (false, None, None, BTreeMap::new());
        let (parts, progress, saved) = (Collected::default(), false, false);
        Ok(Self { wanted, print, client, events, kiosk_key, live, online, boot, command, said, parts, progress, saved })
    }

    async fn run(mut self) -> Result<Sent, OfficeError> {
        let start = Instant::now();
        let (mut until, mut unreachable) = (start + RETAINED.min(self.wanted.timeout), None);
        loop {
            let left = tokio::time::Instant::from_std(until);
            let Ok(event) = tokio::time::timeout_at(left, self.events.poll()).await else { break };
            match event {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    unreachable = None;
                    self.subscribe();
                    // The connection it was sent on is lost; a kiosk that has it says again what came of it.
                    self.publish();
                }
                Ok(Event::Incoming(Packet::Publish(message))) => {
                    self.hear(&message)?;
                    if std::mem::take(&mut self.progress) {
                        until = Instant::now() + self.wanted.timeout;
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    unreachable = Some(error.to_string());
                    tokio::time::sleep(RECONNECT).await;
                }
            }
            if self.command.is_none() && self.ready() {
                self.command = Some(self.wanted.command(self.boot.take())?);
                self.publish();
                until = Instant::now() + self.wanted.timeout;
            }
            if self.wanted.target != Target::All && self.said.values().any(|stage| stage.is_final()) {
                break;
            }
        }
        if self.command.is_none() {
            let name = self.wanted.target.to_string();
            return Err(match unreachable {
                Some(why) => OfficeError::Unreachable(why),
                None if !self.online => OfficeError::Offline(name),
                None => OfficeError::NoState(name),
            });
        }
        let ended: Vec<&Stage> = self.said.values().filter(|stage| stage.is_final()).collect();
        Ok(match ended.as_slice() {
            [] => Sent::Silent,
            all if all.len() < self.said.len() => Sent::Silent,
            all if all.iter().all(|stage| **stage == Stage::Successful) => {
                // Said of a command that was done in an earlier run, or before.
                if self.wanted.save.is_some() && !self.saved {
                    return Err(OfficeError::NoFile(self.wanted.target.to_string()));
                }
                Sent::Successful
            }
            _ => Sent::Failed,
        })
    }

    fn ready(&self) -> bool {
        self.online && (self.boot.is_some() || !self.live)
    }

    /// The channel is empty at the start of a connection, so there is room.
    fn subscribe(&mut self) {
        let subscribe = |topic: String| drop(self.client.try_subscribe(topic, QoS::AtLeastOnce));
        let Wanted { fleet, target, .. } = self.wanted;
        match target {
            Target::Kiosk(kiosk) => {
                let topic = |leaf| self.wanted.address(kiosk).topic(leaf).to_string();
                subscribe(Filter::CommandStatuses(self.wanted.address(kiosk)).to_string());
                subscribe(topic(Leaf::Presence));
                if self.live {
                    subscribe(topic(Leaf::State));
                }
            }
            Target::All => {
                subscribe(Filter::EveryonesStatuses(fleet.clone()).to_string());
                self.online = true;
            }
        }
    }

    fn publish(&mut self) {
        if let Some(Command { topic, message, .. }) = &self.command {
            drop(self.client.try_publish(topic.to_string(), QoS::AtLeastOnce, false, message.clone()));
        }
    }

    fn hear(&mut self, message: &Publish) -> Result<(), OfficeError> {
        let Ok(Topic::Kiosk(address, leaf)) = message.topic.parse() else { return Ok(()) };
        match leaf {
            Leaf::Presence => self.online = message.payload == "online",
            Leaf::State => {
                let state: Option<Value> = serde_json::from_slice(&message.payload).ok();
                self.boot = state.and_then(|state| state["boot"].as_str().map(str::to_owned));
            }
            Leaf::CommandStatus { verb, id } => {
                let Some(command) = self.command.as_ref().filter(|sent| sent.verb == verb && sent.id == id) else {
                    return Ok(());
                };
                let known = self.said.get(&address.kiosk);
                let heard = status(self.kiosk_key.as_ref(), &message.payload);
                if let Some(part) = heard.as_ref().and_then(|(status, _)| status.part.as_ref()) {
                    self.progress |= self.parts.take(part);
                    return Ok(());
                }
                if let Some((status, verified)) = heard
                    && known.is_none_or(|stage| !stage.is_final())
                    && known != Some(&status.status)
                    // Anybody may send a message under this number, and is told that it counts for nothing.
                    && status.message.as_ref().is_none_or(|about| *about == digest(&command.message))
                {
                    self.said.insert(address.kiosk.clone(), status.status);
                    if let Some(file) = &status.file {
                        self.save(file)?;
                    }
                    self.say(&address.kiosk, &status, verified)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The file of the answer, which came before its end.
    fn save(&mut self, file: &FileOfParts) -> Result<(), OfficeError> {
        let Some(path) = &self.wanted.save else { return Ok(()) };
        let whole = self.parts.whole(file).ok_or(OfficeError::PartsMissing)?;
        self.saved = true;
        if self.wanted.to_standard_output() {
            let mut out = std::io::stdout().lock();
            return out.write_all(&whole).and_then(|()| out.flush()).map_err(OfficeError::Print);
        }
        service::replace(path, &whole).map_err(|source| OfficeError::File { path: path.clone(), source })
    }

    fn say(&mut self, kiosk: &Name, status: &CommandStatus, verified: bool) -> Result<(), OfficeError> {
        let line = if self.wanted.json {
            let mut document = json!(status);
            (document["kiosk"], document["verified"]) = (kiosk.as_str().into(), verified.into());
            document.to_string()
        } else {
            let outcome = status.outcome.as_ref().filter(|_| status.status == Stage::Successful);
            let more = status.reason.clone().or_else(|| outcome.map(ToString::to_string));
            let more = more.map(|more| format!(": {}", crate::vocabulary::one_line(&more).collect::<String>()));
            let stage = json!(status.status);
            format!("{kiosk} {}{}", stage.as_str().unwrap_or_default(), more.unwrap_or_default())
        };
        (self.print)(&line).map_err(OfficeError::Print)
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Kiosk(kiosk) => kiosk.fmt(f),
        }
    }
}

impl Wanted {
    fn address(&self, kiosk: &Name) -> Address {
        Address { fleet: self.fleet.clone(), kiosk: kiosk.clone() }
    }

    /// Where the file goes, and nothing else then.
    pub fn to_standard_output(&self) -> bool {
        self.save.as_ref().is_some_and(|path| path.as_os_str() == "-")
    }

    /// A keyset is its root's own message.
    fn rotates(&self) -> bool {
        self.verb == "rotate-keys"
    }

    fn operation(&self) -> Result<Operation, OfficeError> {
        let known = Operation::VERBS;
        if !known.contains(&self.verb.as_str()) {
            return Err(OfficeError::Verb(self.verb.clone(), known.join(", ")));
        }
        let pairs = self.arguments.iter().map(|text| text.split_once('=').ok_or(OfficeError::Argument(text.clone())));
        let pairs: Vec<(&str, &str)> = pairs.collect::<Result<_, _>>()?;
        let read = pairs.into_iter().map(|(name, value)| Ok((name, contents(value)?)));
        let read: Vec<(&str, Cow<'_, str>)> = read.collect::<Result<_, OfficeError>>()?;
        let pairs: Vec<(&str, &str)> = read.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        operation(&self.verb, &pairs).ok_or(OfficeError::Arguments(self.verb.clone()))
    }

    /// Signs it; its counter is used up then.
    pub(super) fn command(&self, boot: Option<String>) -> Result<Command, OfficeError> {
        let (id, message) = match &self.sign {
            _ if self.rotates() => self.keyset()?,
            Some(key) => self.signed(key, boot)?,
            None => return Err(OfficeError::Unsigned),
        };
        let named = |text: &str| Name::parse(text).map_err(|_| OfficeError::Verb(text.to_owned(), String::new()));
        let (verb, id) = (named(&self.verb)?, named(&id)?);
        let topic = match &self.target {
            Target::Kiosk(kiosk) => self.address(kiosk).topic(Leaf::Command { verb: verb.clone(), id: id.clone() }),
            Target::All => Topic::Everyone { fleet: self.fleet.clone(), verb: verb.clone(), id: id.clone() },
        };
        Ok(Command { topic, verb, id, message })
    }

    fn signed(&self, key: &std::path::Path, nonce: Option<String>) -> Result<(String, Vec<u8>), OfficeError> {
        let key = SigningKey::open(key, self.kid.as_deref())?;
        let mut document = serde_json::to_value(self.operation()?)?;
        let mut args = document.as_object_mut().map(std::mem::take).unwrap_or_default();
        args.remove("do");
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| OfficeError::Random)?;
        let id = HEXLOWER.encode(&random);
        let aud = match &self.target {
            Target::Kiosk(kiosk) => command::one(&self.address(kiosk)),
            Target::All => command::everyone(&self.fleet),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let content = CommandContent {
            aud,
            jti: RequestId::parse(&id).ok_or(OfficeError::Random)?,
            verb: self.verb.clone(),
            args,
            ctr: key.counters(1)?,
            nonce,
            exp: Some(now.saturating_add(self.expires).as_secs()),
        };
        Ok((id, key.command(&content)?))
    }

    fn keyset(&self) -> Result<(String, Vec<u8>), OfficeError> {
        let file = match self.arguments.as_slice() {
            [one] => one.strip_prefix("keyset=").ok_or_else(|| OfficeError::Argument(one.clone()))?,
            _ => return Err(OfficeError::Arguments(self.verb.clone())),
        };
        let message = std::fs::read(file).map_err(|source| OfficeError::File { path: file.into(), source })?;
        let version = keyset_version(&message).ok_or(BadKeyset::Text)?;
        Ok((format!("keyset-{version}"), message.trim_ascii_end().to_vec()))
    }
}

/// What was typed, or after an `@` what is in the file of that name.
fn contents(value: &str) -> Result<Cow<'_, str>, OfficeError> {
    let Some(file) = value.strip_prefix('@') else { return Ok(value.into()) };
    let failed = |source| OfficeError::File { path: file.into(), source };
    let mut text = String::new();
    // One byte more than a command takes is enough to be refused.
    let most = command::LONGEST as u64 + 1;
    File::open(file).and_then(|file| file.take(most).read_to_string(&mut text)).map_err(failed)?;
    Ok(text.into())
}

/// An operation of what was typed: `3` may be a number or the name of a slot, whichever fits.
fn operation(verb: &str, pairs: &[(&str, &str)]) -> Option<Operation> {
    if pairs.len() > 8 {
        return None;
    }
    (0..1_u32 << pairs.len()).find_map(|texts| {
        let mut args = Map::new();
        for (nth, (name, value)) in pairs.iter().enumerate() {
            let text = || Value::from(*value);
            let typed =
                if texts >> nth & 1 == 1 { text() } else { serde_json::from_str(value).unwrap_or_else(|_| text()) };
            if args.insert((*name).to_owned(), typed).is_some() {
                return None;
            }
        }
        command::operation(verb, &args)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Reason;
    use crate::vocabulary::SlotId;

    #[test]
    fn arguments_are_typed_as_their_operation_wants_them() {
        let slot = |name: &str| SlotId::parse(name).unwrap();
        assert_eq!(operation("unlock", &[]), Some(Operation::Unlock));
        let set = operation("set-stock", &[("slot", "12"), ("count", "3")]);
        assert_eq!(set, Some(Operation::SetStock { slot: slot("12"), count: 3 }));
        let reason = operation("lock", &[("reason", "closed until 9")]);
        assert_eq!(reason, Some(Operation::Lock { reason: Reason::parse("closed until 9").unwrap() }));
        assert_eq!(
            operation("lock", &[("reason", "9")]),
            Some(Operation::Lock { reason: Reason::parse("9").unwrap() })
        );
        assert_eq!(operation("maintenance", &[("on", "true")]), Some(Operation::Maintenance { on: true }));
        let slots = operation("refill-slots", &[("slots", r#"["A1","A2"]"#)]);
        assert_eq!(slots, Some(Operation::RefillSlots { slots: [slot("A1"), slot("A2")].into() }));
        for bad in [
            ("lock", &[][..]),
            ("lock", &[("reason", "a"), ("reason", "b")]),
            ("unlock", &[("now", "1")]),
            ("set-stock", &[("slot", "A1"), ("count", "many")]),
            ("open-safe", &[]),
        ] {
            assert_eq!(operation(bad.0, bad.1), None, "{bad:?}");
        }
    }
}
