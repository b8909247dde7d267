//! Topics as a type that builds and parses.
//!
//! Policy: what stands between two slashes is a [`Name`], checked once where it enters; so no fleet, kiosk, kind or
//! command number can add a level, a wildcard or a second meaning. Whatever does not parse is not ours.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::vocabulary::BadName;

const ROOT: &str = "kiosk/v1";
/// Stands where a kiosk's name would; no kiosk can have it.
const EVERYONE: &str = "all";
/// Likewise. An access list that gives a kiosk everything below its name would give one of this name every lane's word.
const SITE: &str = "site";
/// A site has no lane with a higher number.
const LAST_LANE: u8 = 99;
/// Longer than the longest topic of ours; protects the parser from megabytes.
const LONGEST: usize = 512;

/// One level of a topic: 1 to 64 of `0-9 A-Z a-z _ -`, and neither `all` nor `site`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    pub const MAX: usize = 64;

    pub fn parse(text: &str) -> Result<Self, BadName> {
        let fits = (1..=Self::MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
            && text != EVERYONE
            && text != SITE;
        if fits {
            return Ok(Self(text.to_owned()));
        }
        // The text may come from the network: what is quoted of it is bounded.
        let text = text.chars().take(Self::MAX).collect();
        Err(BadName { what: "topic level (letters, digits, `_` and `-`, at most 64, neither `all` nor `site`)", text })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        Self::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

/// One kiosk of one fleet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    pub fleet: Name,
    pub kiosk: Name,
}

/// `fleet/kiosk`: how a kiosk is called outside of topics, in signatures and in a provider's book.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.fleet, self.kiosk)
    }
}

impl Address {
    pub fn topic(&self, leaf: Leaf) -> Topic {
        Topic::Kiosk(self.clone(), leaf)
    }
}

/// Every topic there is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    Kiosk(Address, Leaf),
    /// A command to every kiosk of the fleet.
    Everyone {
        fleet: Name,
        verb: Name,
        id: Name,
    },
    /// Retained, signed by the lane: what it tells the other lanes of its car park.
    Facts {
        fleet: Name,
        /// From 1.
        site: u16,
        /// 1 to 99.
        lane: u8,
    },
}

/// What stands below one kiosk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leaf {
    /// Retained `online`; the last will is `offline`.
    Presence,
    /// Retained JSON: what the kiosk is and does.
    State,
    /// Flat JSON of numbers.
    Telemetry,
    /// From the outbox, by kind: `order-paid`.
    Event(Name),
    /// Signed by the kiosk: the chain of its events up to one that is published with it or was before.
    Checkpoint,
    /// Signed by the kiosk: how it is in every part; daily, and when it is asked.
    Inspection,
    /// From the back end: the highest contiguous event it holds.
    Ack,
    /// Retained until cleared by an empty message.
    Alarm(Name),
    Command {
        verb: Name,
        id: Name,
    },
    CommandStatus {
        verb: Name,
        id: Name,
    },
    PayRequest,
    PayReply,
    PayNotice,
    /// From a camera: the number plate of a car at the kiosk's gate, as text. Never retained.
    Plate,
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Topic::Kiosk(Address { fleet, kiosk }, leaf) => write!(f, "{ROOT}/{fleet}/{kiosk}/{leaf}"),
            Topic::Everyone { fleet, verb, id } => write!(f, "{ROOT}/{fleet}/{EVERYONE}/cmd/{verb}/{id}"),
            Topic::Facts { fleet, site, lane } => write!(f, "{ROOT}/{fleet}/{SITE}/{site}/lane/{lane}/facts"),
        }
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Leaf::Presence => f.write_str("presence"),
            Leaf::State => f.write_str("state"),
            Leaf::Telemetry => f.write_str("telemetry"),
            Leaf::Event(kind) => write!(f, "event/{kind}"),
            Leaf::Checkpoint => f.write_str("checkpoint"),
            Leaf::Inspection => f.write_str("inspection"),
            Leaf::Ack => f.write_str("ack"),
            Leaf::Alarm(kind) => write!(f, "alarm/{kind}"),
            Leaf::Command { verb, id } => write!(f, "cmd/{verb}/{id}"),
            Leaf::CommandStatus { verb, id } => write!(f, "cmd/{verb}/{id}/status"),
            Leaf::PayRequest => f.write_str("pay/request"),
            Leaf::PayReply => f.write_str("pay/reply"),
            Leaf::PayNotice => f.write_str("pay/notice"),
            Leaf::Plate => f.write_str("plate"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTopic {
    #[error("not a topic of ours")]
    Foreign,
    #[error("a level of the topic can't be read")]
    Level(#[from] BadName),
}

impl FromStr for Topic {
    type Err = BadTopic;

    fn from_str(text: &str) -> Result<Self, BadTopic> {
        if text.len() > LONGEST {
            return Err(BadTopic::Foreign);
        }
        let rest = text.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix('/')).ok_or(BadTopic::Foreign)?;
        let levels: Vec<&str> = rest.split('/').collect();
        let [fleet, whom, leaf @ ..] = levels.as_slice() else { return Err(BadTopic::Foreign) };
        let fleet = Name::parse(fleet)?;
        if *whom == EVERYONE {
            let ["cmd", verb, id] = leaf else { return Err(BadTopic::Foreign) };
            return Ok(Topic::Everyone { fleet, verb: Name::parse(verb)?, id: Name::parse(id)? });
        }
        if *whom == SITE {
            let [site, "lane", lane, "facts"] = leaf else { return Err(BadTopic::Foreign) };
            let lane = number::<u8>(lane).filter(|lane| *lane <= LAST_LANE).ok_or(BadTopic::Foreign)?;
            return Ok(Topic::Facts { fleet, site: number(site).ok_or(BadTopic::Foreign)?, lane });
        }
        let address = Address { fleet, kiosk: Name::parse(whom)? };
        let leaf = match leaf {
            ["presence"] => Leaf::Presence,
            ["state"] => Leaf::State,
            ["telemetry"] => Leaf::Telemetry,
            ["event", kind] => Leaf::Event(Name::parse(kind)?),
            ["checkpoint"] => Leaf::Checkpoint,
            ["inspection"] => Leaf::Inspection,
            ["ack"] => Leaf::Ack,
            ["alarm", kind] => Leaf::Alarm(Name::parse(kind)?),
            ["cmd", verb, id] => Leaf::Command { verb: Name::parse(verb)?, id: Name::parse(id)? },
            ["cmd", verb, id, "status"] => Leaf::CommandStatus { verb: Name::parse(verb)?, id: Name::parse(id)? },
            ["pay", "request"] => Leaf::PayRequest,
            ["pay", "reply"] => Leaf::PayReply,
            ["pay", "notice"] => Leaf::PayNotice,
            ["plate"] => Leaf::Plate,
            _ => return Err(BadTopic::Foreign),
        };
        Ok(Topic::Kiosk(address, leaf))
    }
}

/// From 1, and written in the one way in which it is built.
fn number<T: FromStr + fmt::Display + Default + PartialEq>(text: &str) -> Option<T> {
    text.parse().ok().filter(|number: &T| *number != T::default() && number.to_string() == text)
}

/// What every kiosk tells its back end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Presence,
    State,
    Telemetry,
    Events,
    Checkpoints,
    Inspections,
    Alarms,
}

impl Told {
    pub const ALL: [Self; 7] = [
        Self::Presence,
        Self::State,
        Self::Telemetry,
        Self::Events,
        Self::Checkpoints,
        Self::Inspections,
        Self::Alarms,
    ];
}

/// What can be subscribed to besides one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All that is said in a fleet.
    Fleet(Name),
    /// One of the things that every kiosk of a fleet tells.
    Told { fleet: Name, told: Told },
    /// All alarms of one kiosk.
    Alarms(Address),
    /// All commands to one kiosk.
    Commands(Address),
    /// All commands to every kiosk of a fleet.
    EveryonesCommands(Name),
    /// What one kiosk says of commands.
    CommandStatuses(Address),
    /// What every kiosk of a fleet says of commands.
    EveryonesStatuses(Name),
    /// What the lanes of a site tell each other.
    Facts { fleet: Name, site: u16 },
    /// The events of one kind of every kiosk of a fleet.
    Events { fleet: Name, kind: Name },
    /// What every kiosk of a fleet asks the gateway.
    PayRequests(Name),
    /// The same, each message to only one of the clients of a group (`$share`, MQTT 5 §4.8.2; brokers have it for 3.1.1).
    SharedPayRequests { fleet: Name, group: Name },
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Filter::Fleet(fleet) => write!(f, "{ROOT}/{fleet}/#"),
            Filter::Told { fleet, told } => {
                let leaf = match told {
                    Told::Presence => "presence",
                    Told::State => "state",
                    Told::Telemetry => "telemetry",
                    Told::Events => "event/+",
                    Told::Checkpoints => "checkpoint",
                    Told::Inspections => "inspection",
                    Told::Alarms => "alarm/+",
                };
                write!(f, "{ROOT}/{fleet}/+/{leaf}")
            }
            Filter::Alarms(Address { fleet, kiosk }) => write!(f, "{ROOT}/{fleet}/{kiosk}/alarm/+"),
            Filter::Commands(Address { fleet, kiosk }) => write!(f, "{ROOT}/{fleet}/{kiosk}/cmd/+/+"),
            Filter::EveryonesCommands(fleet) => write!(f, "{ROOT}/{fleet}/{EVERYONE}/cmd/+/+"),
            Filter::CommandStatuses(Address { fleet, kiosk }) => write!(f, "{ROOT}/{fleet}/{kiosk}/cmd/+/+/status"),
            Filter::EveryonesStatuses(fleet) => write!(f, "{ROOT}/{fleet}/+/cmd/+/+/status"),
            Filter::Facts { fleet, site } => write!(f, "{ROOT}/{fleet}/{SITE}/{site}/lane/+/facts"),
            Filter::Events { fleet, kind } => write!(f, "{ROOT}/{fleet}/+/{}", Leaf::Event(kind.clone())),
            Filter::PayRequests(fleet) => write!(f, "{ROOT}/{fleet}/+/{}", Leaf::PayRequest),
            Filter::SharedPayRequests { fleet, group } => {
                write!(f, "$share/{group}/{}", Filter::PayRequests(fleet.clone()))
            }
        }
    }
}

impl Filter {
    /// Whether a topic comes by it (MQTT 3.1.1 §4.7).
    pub fn takes(&self, topic: &str) -> bool {
        rumqttc::matches(topic, &self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name() -> impl Strategy<Value = Name> {
        "[0-9A-Za-z_-]{1,64}".prop_filter_map("two are taken", |text| Name::parse(&text).ok())
    }

    fn leaf() -> impl Strategy<Value = Leaf> {
        prop_oneof![
            Just(Leaf::Presence),
            Just(Leaf::State),
            Just(Leaf::Telemetry),
            name().prop_map(Leaf::Event),
            Just(Leaf::Checkpoint),
            Just(Leaf::Inspection),
            Just(Leaf::Ack),
            name().prop_map(Leaf::Alarm),
            (name(), name()).prop_map(|(verb, id)| Leaf::Command { verb, id }),
            (name(), name()).prop_map(|(verb, id)| Leaf::CommandStatus { verb, id }),
            Just(Leaf::PayRequest),
            Just(Leaf::PayReply),
            Just(Leaf::PayNotice),
            Just(Leaf::Plate),
        ]
    }

    fn topic() -> impl Strategy<Value = Topic> {
        prop_oneof![
            8 => (name(), name(), leaf()).prop_map(|(fleet, kiosk, leaf)| Address { fleet, kiosk }.topic(leaf)),
            1 => (name(), name(), name()).prop_map(|(fleet, verb, id)| Topic::Everyone { fleet, verb, id }),
            1 => (name(), 1..=u16::MAX, 1..=99u8).prop_map(|(fleet, site, lane)| Topic::Facts { fleet, site, lane }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_built_parses_to_itself(topic in topic()) {
            let text = topic.to_string();
            prop_assert!(text.len() <= LONGEST);
            prop_assert_eq!(text.parse::<Topic>(), Ok(topic));
        }

        #[test]
        fn what_parses_of_a_site_is_built_the_same(text in "kiosk/v1/[a-z]{1,3}/site/[0-9+ ]{1,6}/lane/[0-9+-]{1,3}(/facts)?") {
            if let Ok(topic) = text.parse::<Topic>() {
                prop_assert_eq!(topic.to_string(), text);
            }
        }

        #[test]
        fn what_parses_is_built_the_same(text in "(kiosk/v1/)?([a-z]{1,3}/){1,3}(event|alarm|cmd|pay|state|ack|all|[a-z+#/ ]{0,4})(/[a-z-]{1,6}){0,3}") {
            if let Ok(topic) = text.parse::<Topic>() {
                prop_assert_eq!(topic.to_string(), text);
            }
        }

        #[test]
        fn any_text_is_a_topic_or_an_error(text in ".{0,600}") {
            if let Ok(topic) = text.parse::<Topic>() {
                prop_assert_eq!(topic.to_string(), text);
            }
        }
    }

    #[test]
    fn the_documented_topics() {
        let name = |text| Name::parse(text).unwrap();
        let k = Address { fleet: name("demo"), kiosk: name("K0001") };
        for (topic, text) in [
            (k.topic(Leaf::Presence), "kiosk/v1/demo/K0001/presence"),
            (k.topic(Leaf::Event(name("order-paid"))), "kiosk/v1/demo/K0001/event/order-paid"),
            (k.topic(Leaf::Checkpoint), "kiosk/v1/demo/K0001/checkpoint"),
            (k.topic(Leaf::Ack), "kiosk/v1/demo/K0001/ack"),
            (k.topic(Leaf::Inspection), "kiosk/v1/demo/K0001/inspection"),
            (k.topic(Leaf::Alarm(name("door"))), "kiosk/v1/demo/K0001/alarm/door"),
            (
                k.topic(Leaf::CommandStatus { verb: name("lock"), id: name("c1") }),
                "kiosk/v1/demo/K0001/cmd/lock/c1/status",
            ),
            (k.topic(Leaf::PayNotice), "kiosk/v1/demo/K0001/pay/notice"),
            (k.topic(Leaf::Plate), "kiosk/v1/demo/K0001/plate"),
            (
                Topic::Everyone { fleet: name("demo"), verb: name("lock"), id: name("c1") },
                "kiosk/v1/demo/all/cmd/lock/c1",
            ),
            (Topic::Facts { fleet: name("demo"), site: 7, lane: 3 }, "kiosk/v1/demo/site/7/lane/3/facts"),
            (Topic::Facts { fleet: name("demo"), site: 65_535, lane: 99 }, "kiosk/v1/demo/site/65535/lane/99/facts"),
        ] {
            assert_eq!(topic.to_string(), text);
            assert_eq!(text.parse(), Ok(topic));
        }
        assert_eq!(Filter::Fleet(name("demo")).to_string(), "kiosk/v1/demo/#");
        let told = |told| Filter::Told { fleet: name("demo"), told }.to_string();
        assert_eq!(told(Told::Events), "kiosk/v1/demo/+/event/+");
        assert_eq!(told(Told::State), "kiosk/v1/demo/+/state");
        assert_eq!(told(Told::Inspections), "kiosk/v1/demo/+/inspection");
        assert_eq!(k.to_string(), "demo/K0001");
        assert_eq!(Filter::Commands(k.clone()).to_string(), "kiosk/v1/demo/K0001/cmd/+/+");
        assert_eq!(Filter::EveryonesCommands(name("demo")).to_string(), "kiosk/v1/demo/all/cmd/+/+");
        assert_eq!(Filter::CommandStatuses(k.clone()).to_string(), "kiosk/v1/demo/K0001/cmd/+/+/status");
        assert_eq!(Filter::EveryonesStatuses(name("demo")).to_string(), "kiosk/v1/demo/+/cmd/+/+/status");
        assert_eq!(told(Told::Presence), "kiosk/v1/demo/+/presence");
        let paid = Filter::Events { fleet: name("demo"), kind: name("order-paid") };
        assert_eq!(paid.to_string(), "kiosk/v1/demo/+/event/order-paid");
        assert_eq!(Filter::Alarms(k).to_string(), "kiosk/v1/demo/K0001/alarm/+");
        assert_eq!(Filter::PayRequests(name("demo")).to_string(), "kiosk/v1/demo/+/pay/request");
        let shared = Filter::SharedPayRequests { fleet: name("demo"), group: name("g") };
        assert_eq!(shared.to_string(), "$share/g/kiosk/v1/demo/+/pay/request");
        let facts = Filter::Facts { fleet: name("demo"), site: 7 };
        assert_eq!(facts.to_string(), "kiosk/v1/demo/site/7/lane/+/facts");
    }

    #[test]
    fn a_filter_takes_what_a_broker_sends_by_it() {
        let facts = Filter::Facts { fleet: Name::parse("demo").unwrap(), site: 7 };
        for taken in ["3", "100", "", "a b"] {
            assert!(facts.takes(&format!("kiosk/v1/demo/site/7/lane/{taken}/facts")), "{taken:?}");
        }
        for other in ["site/8/lane/3/facts", "site/7/lane/3", "site/7/lane/3/facts/x", "K1/ack", ""] {
            assert!(!facts.takes(&format!("kiosk/v1/demo/{other}")), "{other:?}");
        }
        assert!(Filter::Fleet(Name::parse("demo").unwrap()).takes("kiosk/v1/demo/K1/ack"));
    }

    #[test]
    fn names_that_would_break_a_topic_are_refused() {
        let long = "x".repeat(Name::MAX + 1);
        for bad in ["", "a/b", "+", "#", "$SYS", "a b", "ä", "all", "site", "a\0b", long.as_str()] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
        for foreign in [
            "",
            "kiosk/v1",
            "kiosk/v2/demo/K1/ack",
            "kiosk/v1/demo/K1",
            "kiosk/v1/demo/K1/ack/",
            "kiosk/v1/demo/all/ack",
            "kiosk/v1/demo/K1/cmd/lock/c1/done",
            "kiosk/v1/demo/+/ack",
            "kiosk/v1/demo/site/ack",
            "kiosk/v1/demo/site/7/lane/3",
            "kiosk/v1/demo/site/0/lane/3/facts",
            "kiosk/v1/demo/site/65536/lane/3/facts",
            "kiosk/v1/demo/site/7/lane/0/facts",
            "kiosk/v1/demo/site/7/lane/03/facts",
            "kiosk/v1/demo/site/7/lane/100/facts",
            "kiosk/v1/demo/site/7/lane/+/facts",
            "kiosk/v1/demo/site/+7/lane/3/facts",
        ] {
            assert!(foreign.parse::<Topic>().is_err(), "{foreign}");
        }
    }
}
