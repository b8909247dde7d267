//! The plan of a rollout: a TOML file that says what is sent to whom, in which waves, and what is enough.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::RolloutError;
use super::course::Rules;
use crate::config::Span;
use crate::fleet::command::{self, LONGEST};
use crate::fleet::office::names_the_run;
use crate::fleet::topic::Name;
use crate::operation::{Digest, KeyName, Operation};
use crate::signed::jws::Keys;
use crate::signed::keys::KeySource;

/// Stands in the name of a file for a machine's own name.
const KIOSK: &str = "{kiosk}";
/// Beside its arguments a command has about so many bytes, and base64 makes four of three.
const ENVELOPE: usize = 700;

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    fleet: Name,
    machines: Machines,
    verb: String,
    #[serde(default)]
    arguments: Map<String, Value>,
    undo: Option<Order>,
    waves: Vec<Size>,
    #[serde(default = "enough")]
    enough: u8,
    #[serde(default = "timeout")]
    timeout: Span,
    #[serde(default = "soak")]
    soak: Span,
    sales_drop: Option<u8>,
    window: Option<Window>,
    #[serde(default)]
    time_zone: Option<String>,
    #[serde(default)]
    pause_after_each_wave: bool,
    #[serde(default = "per_second")]
    per_second: u32,
    kiosk_keys: Option<String>,
    approval: Option<Approval>,
}

fn enough() -> u8 {
    95
}

fn timeout() -> Span {
    Span::seconds(600)
}

fn soak() -> Span {
    Span::seconds(3600)
}

fn per_second() -> u32 {
    10
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Machines {
    Listed(Vec<Name>),
    /// `online`, or a file with one a line.
    Named(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Approval {
    keys: BTreeMap<KeyName, PathBuf>,
}

/// A verb and what it has beside it. A text that begins with `@` is the name of a file that holds it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub verb: String,
    #[serde(default)]
    arguments: Map<String, Value>,
}

/// How far a wave goes, with those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
enum Size {
    Machines(usize),
    Percent(usize),
}

impl TryFrom<Value> for Size {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let percent = |text: &str| text.strip_suffix('%')?.trim().parse().ok().filter(|n| (1..=100).contains(n));
        match &value {
            Value::Number(number) => number.as_u64().filter(|n| *n > 0).map(|n| Self::Machines(n as usize)),
            Value::String(text) => percent(text).map(Self::Percent),
            _ => None,
        }
        .ok_or_else(|| "a wave is written 1 or more, for so many machines, or \"1%\" to \"100%\"".into())
    }
}

/// When a wave may begin: minutes since midnight, from and until; over midnight where the end is earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Window {
    from: u16,
    until: u16,
}

impl TryFrom<String> for Window {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let minute = |time: &str| {
            let (hour, minute) = time.trim().split_once(':')?;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60).then_some(hour * 60 + minute)
        };
        let times = text.split_once('-').and_then(|(from, until)| Some((minute(from)?, minute(until)?)));
        let (from, until) = times.ok_or("a window is written \"02:00-05:00\"")?;
        if from == until { Err("a window has a beginning and another end".into()) } else { Ok(Self { from, until }) }
    }
}

impl Window {
    pub fn is_open(self, minute_of_day: u16) -> bool {
        let Self { from, until } = self;
        if from < until {
            (from..until).contains(&minute_of_day)
        } else {
            minute_of_day >= from || minute_of_day < until
        }
    }
}

/// A plan that was read and makes sense.
#[derive(Debug)]
pub struct Plan {
    /// As it is written.
    pub text: String,
    pub fleet: Name,
    pub rules: Rules,
    pub order: Order,
    pub undo: Option<Order>,
    pub window: Option<Window>,
    pub time_zone: String,
    pub per_second: u32,
    sizes: Vec<Size>,
    /// `None`: those that are online when it begins.
    machines: Option<Vec<Name>>,
    kiosk_keys: Option<String>,
    approval: BTreeMap<KeyName, PathBuf>,
    folder: PathBuf,
    machines_file: Option<PathBuf>,
}

/// What stands in the files that a plan names, by the names they have there.
pub type Texts = BTreeMap<String, String>;

impl Plan {
    /// Reads and checks the file `path`.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub fn read(path: &Path) -> Result<Self, RolloutError> {
        let text = read(path)?;
        Self::parse(path, text)
    }

    /// Checks what stands, or stood, in the file `path`.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub fn parse(path: &Path, text: String) -> Result<Self, RolloutError> {
        let wrong = |why: String| RolloutError::Plan { path: path.into(), why };
        let written: Written = toml::from_str(&text).map_err(|error| wrong(error.to_string().trim_end().into()))?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut machines_file = None;
        let machines = match written.machines {
            Machines::Listed(machines) => Some(machines),
            Machines::Named(word) if word == "online" => None,
            Machines::Named(file) => {
                let file = folder.join(file);
                let listed = read(&file)?;
                let names = listed.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
                let names: Result<Vec<Name>, _> = names.map(Name::parse).collect();
                let names = names.map_err(|error| RolloutError::Plan { path: file.clone(), why: error.to_string() })?;
                machines_file = Some(file);
                Some(names)
            }
        };
        if let Some(machines) = &machines {
            let mut once = BTreeSet::new();
            if let Some(twice) = machines.iter().find(|kiosk| !once.insert(*kiosk)) {
                return Err(wrong(format!("`{twice}` stands twice among the machines")));
            }
            if machines.is_empty() {
                return Err(wrong("there are no machines in it".into()));
            }
        }
        let order = Order { verb: written.verb, arguments: written.arguments };
        let zone = written.time_zone.unwrap_or_else(|| "UTC".into());
        let checks = [
            (!(1..=100).contains(&written.enough), "enough is a percentage, 1 to 100"),
            (written.sales_drop.is_some_and(|drop| !(1..=99).contains(&drop)), "sales_drop is a percentage, 1 to 99"),
            (written.per_second == 0, "per_second is 1 or more"),
            (written.timeout.0 < Duration::from_secs(1), "timeout is 1s or more"),
            (written.waves.last() != Some(&Size::Percent(100)), "the last of waves is \"100%\""),
            (
                written.sales_drop.is_some() && written.soak.0.is_zero(),
                "sales are compared in the soak, so soak is not 0s",
            ),
            (machines.is_none() && order.is_each_its_own(), "a file for each machine needs a list of machines"),
            (written.approval.as_ref().is_some_and(|approval| approval.keys.is_empty()), "approval.keys has a key"),
        ];
        if let Some((_, why)) = checks.into_iter().find(|(wrong, _)| *wrong) {
            return Err(wrong(why.into()));
        }
        if jiff::tz::TimeZone::get(&zone).is_err() {
            return Err(wrong(format!("`{zone}` is not a time zone; write one like Asia/Shanghai")));
        }
        let rules = Rules {
            enough: written.enough,
            timeout: written.timeout.0,
            soak: written.soak.0,
            sales_drop: written.sales_drop,
            pause: written.pause_after_each_wave,
        };
        Ok(Self {
            text,
            fleet: written.fleet,
            rules,
            order,
            undo: written.undo,
            window: written.window,
            time_zone: zone,
            per_second: written.per_second,
            sizes: written.waves,
            machines,
            kiosk_keys: written.kiosk_keys,
            approval: written.approval.map(|approval| approval.keys).unwrap_or_default(),
            folder,
            machines_file,
        })
    }

    pub fn machines(&self) -> Option<&[Name]> {
        self.machines.as_deref()
    }

    /// What stands in the files that it names.
    ///
    /// # Errors
    /// One of them can't be read.
    pub fn texts(&self) -> Result<Texts, RolloutError> {
        let machines = self.machines.as_deref().unwrap_or_default();
        let mut names = BTreeSet::new();
        for order in [Some(&self.order), self.undo.as_ref()].into_iter().flatten() {
            for file in order.files() {
                match file.contains(KIOSK) {
                    true => names.extend(machines.iter().map(|kiosk| file.replace(KIOSK, kiosk.as_str()))),
                    false => drop(names.insert(file.to_owned())),
                }
            }
        }
        names.into_iter().map(|name| read(&self.folder.join(&name)).map(|text| (name, text))).collect()
    }

    /// What somebody approves: the plan, its list of machines, and every byte that will be sent.
    ///
    /// # Errors
    /// A file can't be read.
    pub fn digest(&self, texts: &Texts) -> Result<String, RolloutError> {
        let machines = self.machines_file.as_deref().map(read).transpose()?;
        let whole = json!({ "plan": self.text, "machines": machines, "files": texts });
        Ok(Digest::of(whole.to_string().as_bytes()).to_string())
    }

    /// The waves over these machines, none of them empty.
    pub fn waves(&self, machines: &[Name]) -> Vec<Vec<Name>> {
        let (mut waves, mut begun) = (Vec::new(), 0);
        for size in &self.sizes {
            let until = match size {
                Size::Machines(count) => *count,
                Size::Percent(percent) => (machines.len() * percent).div_ceil(100),
            };
            if let Some(wave) = machines.get(begun..until.min(machines.len())).filter(|wave| !wave.is_empty()) {
                waves.push(wave.to_vec());
                begun += wave.len();
            }
        }
        waves
    }

    /// Whose approval counts.
    ///
    /// # Errors
    /// A key can't be read.
    pub fn approvers(&self) -> Result<Option<Keys>, RolloutError> {
        if self.approval.is_empty() {
            return Ok(None);
        }
        let key = |(name, file): (&KeyName, &PathBuf)| {
            let key = KeySource::File(self.folder.join(file)).signers_key()?;
            Ok::<_, RolloutError>((name.to_string(), key))
        };
        Ok(Some(Keys::new(self.approval.iter().map(key).collect::<Result<Vec<_>, _>>()?)))
    }

    /// The key of one machine, where the plan says where they are.
    ///
    /// # Errors
    /// It can't be read.
    pub fn kiosk_key(&self, kiosk: &Name) -> Result<Option<Keys>, RolloutError> {
        let Some(pattern) = &self.kiosk_keys else { return Ok(None) };
        let file = self.folder.join(pattern.replace(KIOSK, kiosk.as_str()));
        Ok(Some(Keys::new([(format!("{}/{kiosk}", self.fleet), KeySource::File(file).signers_key()?)])))
    }
}

impl Order {
    fn files(&self) -> impl Iterator<Item = &str> {
        self.arguments.values().filter_map(|value| value.as_str()?.strip_prefix('@'))
    }

    fn is_each_its_own(&self) -> bool {
        self.files().any(|file| file.contains(KIOSK))
    }

    /// What one machine is asked, with the texts of its files in place.
    ///
    /// # Errors
    /// The verb is none, has other arguments, or is for one machine at a time.
    pub fn arguments(&self, kiosk: &Name, texts: &Texts) -> Result<Map<String, Value>, RolloutError> {
        let mut arguments = self.arguments.clone();
        for value in arguments.values_mut() {
            if let Some(file) = value.as_str().and_then(|text| text.strip_prefix('@')) {
                let file = file.replace(KIOSK, kiosk.as_str());
                *value = texts.get(&file).cloned().ok_or(RolloutError::NoText(file))?.into();
            }
        }
        let verb = || self.verb.clone();
        if !Operation::VERBS.contains(&self.verb.as_str()) {
            return Err(RolloutError::Verb(verb()));
        }
        let asked = command::operation(&self.verb, &arguments).ok_or_else(|| RolloutError::Arguments(verb()))?;
        if names_the_run(&asked) || matches!(asked, Operation::RotateKeys { .. }) {
            return Err(RolloutError::OneByOne(verb()));
        }
        let bytes = Value::Object(arguments.clone()).to_string().len();
        if (bytes + ENVELOPE) * 4 / 3 > LONGEST {
            return Err(RolloutError::TooLong { kiosk: kiosk.clone(), bytes });
        }
        Ok(arguments)
    }
}

fn read(path: &Path) -> Result<String, RolloutError> {
    std::fs::read_to_string(path).map_err(|source| RolloutError::File { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"
        fleet = "street"
        machines = ["K1", "K2", "K3"]
        verb = "lock"
        arguments = { reason = "closed" }
        waves = [1, "50%", "100%"]
    "#;

    fn names(count: usize) -> Vec<Name> {
        (0..count).map(|n| Name::parse(&format!("K{n}")).unwrap()).collect()
    }

    fn plan(text: &str) -> Result<Plan, RolloutError> {
        Plan::parse(Path::new("plan.toml"), text.to_owned())
    }

    fn with(more: &str) -> Result<Plan, RolloutError> {
        plan(&PLAN.replacen('\n', &format!("\n{more}\n"), 1))
    }

    #[test]
    fn waves_are_shares_of_all_and_none_is_empty() {
        let plan = plan(PLAN).unwrap();
        let lengths = |count| plan.waves(&names(count)).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(200), [1, 99, 100]);
        assert_eq!(lengths(3), [1, 1, 1]);
        assert_eq!(lengths(2), [1, 1]);
        assert_eq!(lengths(1), [1]);
        let waves = plan.waves(&names(7));
        assert_eq!(waves.concat(), names(7), "everybody is in one, in the order of the plan");
    }

    #[test]
    fn a_window_may_go_over_midnight() {
        let window = |text: &str| Window::try_from(text.to_owned());
        let night = window("23:30-05:00").unwrap();
        assert!([23 * 60 + 30, 0, 299].into_iter().all(|minute| night.is_open(minute)));
        assert!([300, 12 * 60, 23 * 60 + 29].into_iter().all(|minute| !night.is_open(minute)));
        let noon = window("12:00 - 13:00").unwrap();
        assert!(noon.is_open(720) && noon.is_open(779) && !noon.is_open(719) && !noon.is_open(780));
        for bad in ["", "2-5", "02:00", "24:00-05:00", "02:60-03:00", "02:00-02:00"] {
            assert!(window(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_plan_that_makes_no_sense_is_refused_with_the_reason() {
        let plan_ok =
            with("soak = \"10min\"\nsales_drop = 30\nwindow = \"02:00-05:00\"\ntime_zone = \"Asia/Shanghai\"");
        assert_eq!(plan_ok.unwrap().rules.sales_drop, Some(30));
        for (more, why) in [
            ("enough = 0", "1 to 100"),
            ("sales_drop = 100", "1 to 99"),
            ("sales_drop = 10\nsoak = \"0s\"", "soak is not 0s"),
            ("per_second = 0", "per_second"),
            ("timeout = \"0s\"", "timeout is 1s"),
            ("timeout = 10", "duration"),
            ("time_zone = \"Moon\"", "not a time zone"),
            ("window = \"2-5\"", "02:00-05:00"),
            ("colour = \"red\"", "colour"),
            ("approval = { keys = {} }", "has a key"),
        ] {
            let told = with(more).unwrap_err().to_string();
            assert!(told.contains(why) && told.contains("plan.toml"), "{more}: {told}");
        }
        let told = plan(&PLAN.replace("\"100%\"", "\"90%\"")).unwrap_err().to_string();
        assert!(told.contains("the last of waves"), "{told}");
        let told = plan(&PLAN.replace("\"K3\"", "\"K1\"")).unwrap_err().to_string();
        assert!(told.contains("`K1` stands twice"), "{told}");
        let told = plan(&PLAN.replace("[1, ", "[0, ")).unwrap_err().to_string();
        assert!(told.contains("1 or more"), "{told}");
        let each = PLAN.replace("[\"K1\", \"K2\", \"K3\"]", "\"online\"").replace("\"closed\"", "\"@{kiosk}.txt\"");
        assert!(plan(&each).unwrap_err().to_string().contains("needs a list"));
    }

    #[test]
    fn a_machine_has_a_file_of_its_own_and_every_byte_is_in_the_digest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.toml");
        let text = PLAN.replace("\"closed\"", "\"@{kiosk}.txt\"").replace("[\"K1\", \"K2\", \"K3\"]", "\"machines\"");
        std::fs::write(folder.path().join("machines"), "# two\nK1\n\nK2\n").unwrap();
        for kiosk in ["K1", "K2"] {
            std::fs::write(folder.path().join(format!("{kiosk}.txt")), kiosk).unwrap();
        }
        let digest = || {
            let plan = Plan::parse(&path, text.clone()).unwrap();
            let texts = plan.texts().unwrap();
            let k2 = Name::parse("K2").unwrap();
            assert_eq!(plan.order.arguments(&k2, &texts).unwrap()["reason"], "K2");
            plan.digest(&texts).unwrap()
        };
        let first = digest();
        assert_eq!(digest(), first);
        std::fs::write(folder.path().join("K1.txt"), "another").unwrap();
        let second = digest();
        assert_ne!(second, first);
        std::fs::write(folder.path().join("machines"), "K2\nK1\n").unwrap();
        assert_ne!(digest(), second);
        std::fs::remove_file(folder.path().join("K1.txt")).unwrap();
        let told = Plan::parse(&path, text.clone()).unwrap().texts().unwrap_err().to_string();
        assert!(told.contains("K1.txt"), "{told}");
    }

    #[test]
    fn what_is_live_is_not_rolled_out() {
        let k1 = Name::parse("K1").unwrap();
        let arguments = |verb: &str, arguments: Value| {
            let arguments = arguments.as_object().cloned().unwrap();
            Order { verb: verb.into(), arguments }.arguments(&k1, &Texts::new())
        };
        assert!(arguments("unlock", json!({})).is_ok());
        assert!(matches!(arguments("reboot", json!({})), Err(RolloutError::OneByOne(_))));
        assert!(matches!(arguments("open-safe", json!({})), Err(RolloutError::Verb(_))));
        assert!(matches!(arguments("lock", json!({})), Err(RolloutError::Arguments(_))));
        let languages = vec!["en"; LONGEST];
        assert!(matches!(arguments("languages", json!({ "languages": languages })), Err(RolloutError::TooLong { .. })));
    }
}
