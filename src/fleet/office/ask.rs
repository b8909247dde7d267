//! Asks every machine of a fleet at once how it is, by an `inspect` command, and gathers what they answer in a given time.
//!
//! Policy: nothing that a broker has kept counts. An inspection is an answer when the kiosk has signed it, and has signed in the status
//! of this very command that it is the one. Machines are known by their keys, so a stranger can invent none.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Event, Packet, Publish, QoS};
use serde_json::Value;

use super::OfficeError;
use super::access::{Access, RECONNECT};
use super::send::{Command, Target, Wanted};
use super::signing::status;
use crate::fleet::collector::Machine;
use crate::fleet::command::{CommandStatus, Stage};
use crate::fleet::inspection::Inspection;
use crate::fleet::topic::{Address, Filter, Leaf, Name, Told, Topic};
use crate::operation::{Digest, Operation};
use crate::signed::jws::{Keys, PublicKey};
use crate::signed::keys::KeySource;
use crate::signed::statement::Statement;

/// A state of more bytes is none of ours.
const LONGEST: usize = 128 << 10;

/// What is asked, and of whom.
#[derive(Debug, Clone)]
pub struct Question {
    pub access: Access,
    pub fleet: Name,
    /// The private key that signs the command; its name is the file's, or `kid`.
    pub sign: PathBuf,
    pub kid: Option<String>,
    /// `KIOSK.pem` of each machine.
    pub keys: PathBuf,
    pub wait: Duration,
}

/// What a machine has said since it was asked.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub inspection: Option<Inspection>,
    /// The last that it has said of the command, where it has not done it.
    pub refused: Option<String>,
    /// Nobody has signed it.
    pub state: Option<Value>,
    pub online: Option<bool>,
    /// Messages in its name that its key has not signed.
    pub forged: u64,
}

impl Answer {
    /// Whether it has said anything.
    pub fn is_heard(&self) -> bool {
        self.state.is_some() || self.refused.is_some() || self.inspection.is_some()
    }

    /// As the collector would know it by this alone; `now` in milliseconds since 1970.
    pub fn machine(self, kiosk: &Name, now: i64) -> Machine {
        let heard = self.is_heard();
        // Who answers is there; a presence comes only when it changes.
        let online = self.online.or_else(|| heard.then_some(true));
        Machine {
            kiosk: kiosk.to_string(),
            online,
            heard_ms: if heard { now } else { 0 },
            state_ms: self.state.as_ref().map(|_| now),
            state: self.state,
            refused: i64::try_from(self.forged).unwrap_or(i64::MAX),
            ..Machine::default()
        }
    }
}

/// One machine while it is asked.
struct Asked {
    key: PublicKey,
    answer: Answer,
    /// The newest of its inspections, and its message's digest.
    newest: Option<(Inspection, Digest)>,
    /// Which one it says is the answer.
    named: Option<Digest>,
}

/// Asks, waits, and answers by machine: one that has said nothing is there too.
///
/// # Errors
/// Nobody could be asked.
pub fn ask(question: &Question) -> Result<BTreeMap<Name, Answer>, OfficeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(OfficeError::Start)?;
    let mut asked = machines(question)?;
    runtime.block_on(run(question, &mut asked))?;
    Ok(asked.into_iter().map(|(kiosk, asked)| (kiosk, asked.answer())).collect())
}

/// Those whose keys are in the register.
fn machines(question: &Question) -> Result<BTreeMap<Name, Asked>, OfficeError> {
    let failed = |source| OfficeError::File { path: question.keys.clone(), source };
    let mut machines = BTreeMap::new();
    for entry in std::fs::read_dir(&question.keys).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let stem = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".pem"));
        if let Some(kiosk) = stem.and_then(|stem| Name::parse(stem).ok()) {
            let key = KeySource::File(path).signers_key()?;
            machines.insert(kiosk, Asked { key, answer: Answer::default(), newest: None, named: None });
        }
    }
    if machines.is_empty() { Err(OfficeError::NoKeys(question.keys.clone())) } else { Ok(machines) }
}

async fn run(question: &Question, asked: &mut BTreeMap<Name, Asked>) -> Result<(), OfficeError> {
    let (client, mut events) = question.access.open(64)?;
    let wanted = question.command();
    let (mut command, mut unreachable): (Option<Command>, _) = (None, None);
    let mut until = Instant::now() + question.wait;
    loop {
        let left = tokio::time::Instant::from_std(until);
        let Ok(event) = tokio::time::timeout_at(left, events.poll()).await else { break };
        match event {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                unreachable = None;
                question.subscribe(&client);
                // Of a connection that was lost nobody knows what it has carried; the same message is the same command.
                publish(&client, command.as_ref());
            }
            // What is asked after the last subscription is heard.
            Ok(Event::Incoming(Packet::SubAck(_))) if command.is_none() => {
                command = Some(wanted.command(None)?);
                publish(&client, command.as_ref());
                until = Instant::now() + question.wait;
            }
            Ok(Event::Incoming(Packet::Publish(message))) => {
                if let Some(command) = &command {
                    question.hear(asked, command, &message);
                }
            }
            Ok(_) => {}
            Err(error) => {
                unreachable = Some(error.to_string());
                tokio::time::sleep(RECONNECT).await;
            }
        }
        if asked.values().all(Asked::is_answered) {
            break;
        }
    }
    match (command, unreachable) {
        (None, why) => Err(OfficeError::Unreachable(why.unwrap_or_else(|| "it takes no subscription".into()))),
        (Some(_), _) => Ok(()),
    }
}

fn publish(client: &AsyncClient, command: Option<&Command>) {
    if let Some(Command { topic, message, .. }) = command {
        drop(client.try_publish(topic.to_string(), QoS::AtLeastOnce, false, message.clone()));
    }
}

impl Question {
    fn command(&self) -> Wanted {
        Wanted {
            access: self.access.clone(),
            fleet: self.fleet.clone(),
            target: Target::All,
            sign: Some(self.sign.clone()),
            kid: self.kid.clone(),
            kiosk_key: None,
            verb: Operation::Inspect.verb().to_owned(),
            arguments: Vec::new(),
            timeout: self.wait,
            // Whoever gets it later has nobody left to answer to.
            expires: self.wait + Duration::from_secs(60),
            json: false,
            save: None,
        }
    }

    /// In one packet, so that its answer is about all of them.
    fn subscribe(&self, client: &AsyncClient) {
        let told = [Told::Presence, Told::State, Told::Inspections];
        let told = told.map(|told| Filter::Told { fleet: self.fleet.clone(), told });
        let filters = told.into_iter().chain([Filter::EveryonesStatuses(self.fleet.clone())]);
        let filters = filters.map(|filter| rumqttc::SubscribeFilter::new(filter.to_string(), QoS::AtLeastOnce));
        // The channel is empty at the start of a connection, so there is room.
        drop(client.try_subscribe_many(filters));
    }

    fn hear(&self, asked: &mut BTreeMap<Name, Asked>, command: &Command, message: &Publish) {
        let Ok(Topic::Kiosk(address, leaf)) = message.topic.parse() else { return };
        let Some(machine) = asked.get_mut(&address.kiosk).filter(|_| address.fleet == self.fleet) else { return };
        match leaf {
            // It may be from before.
            _ if message.retain || message.payload.len() > LONGEST => {}
            Leaf::Presence => machine.answer.online = Some(message.payload == "online"),
            Leaf::State => machine.answer.state = serde_json::from_slice(&message.payload).ok(),
            Leaf::Inspection => machine.inspected(&address, &message.payload),
            Leaf::CommandStatus { verb, id } if verb == command.verb && id == command.id => {
                let keys = Keys::new([(address.to_string(), machine.key.clone())]);
                match status(Some(&keys), &message.payload) {
                    Some((status, _)) => machine.status(status),
                    None => machine.answer.forged += 1,
                }
            }
            _ => {}
        }
    }
}

impl Asked {
    fn inspected(&mut self, address: &Address, payload: &[u8]) {
        let opened = Inspection::open(payload, &self.key).ok().filter(|(_, by)| *by == address.to_string());
        match opened {
            None => self.answer.forged += 1,
            Some((inspection, _)) => {
                if self.newest.as_ref().is_none_or(|(newest, _)| inspection.is_newer(newest)) {
                    self.newest = Some((inspection, Digest::of(payload)));
                }
            }
        }
    }

    fn status(&mut self, status: CommandStatus) {
        match status.status {
            Stage::Accepted | Stage::Executing => {}
            Stage::Successful => self.named = status.inspection,
            Stage::Failed | Stage::Rejected => self.answer.refused = status.reason,
        }
    }

    fn is_answered(&self) -> bool {
        self.answer.refused.is_some()
            || self.newest.as_ref().is_some_and(|(_, digest)| self.named.as_ref() == Some(digest))
                && self.answer.state.is_some()
    }

    fn answer(self) -> Answer {
        let named = self.named;
        let inspection = self.newest.filter(|(_, digest)| named.as_ref() == Some(digest));
        Answer { inspection: inspection.map(|(inspection, _)| inspection), ..self.answer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::inspection::tests::well;
    use crate::signed::jws::{Purpose, Signer};

    /// RFC 8037, appendix A.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";

    #[test]
    fn only_the_inspection_that_the_kiosk_names_is_an_answer() {
        let signer = |kid: &str| Signer::from_pem(PRIVATE.as_bytes(), kid).unwrap();
        let name = |text: &str| Name::parse(text).unwrap();
        let address = Address { fleet: name("street"), kiosk: name("K0001") };
        let key = signer("x").public();
        let mut asked = Asked { key, answer: Answer::default(), newest: None, named: None };
        let sign = |kid: &str, seq| signer(kid).sign(Purpose::Inspection, &Inspection { seq, ..well() }).unwrap();
        let named = |message: &[u8]| {
            let inspection = Some(Digest::of(message));
            CommandStatus { inspection, ..CommandStatus::new("inspect", "c1", Stage::Successful) }
        };
        let [old, new] = [sign("street/K0001", 7), sign("street/K0001", 8)];
        asked.inspected(&address, &old);
        asked.inspected(&address, &sign("street/K0002", 9));
        asked.inspected(&address, b"{}");
        assert_eq!(asked.answer.forged, 2);
        asked.status(named(&new));
        assert!(!asked.is_answered(), "what somebody has repeated is not what it has named");
        asked.inspected(&address, &new);
        asked.inspected(&address, &old);
        assert!(!asked.is_answered(), "its state has not come");
        asked.answer.state = Some(Value::Null);
        assert!(asked.is_answered());
        assert_eq!(asked.answer().inspection.map(|said| said.seq), Some(8));
    }
}
