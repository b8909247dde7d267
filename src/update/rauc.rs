//! The proxy of RAUC, on the system's bus.
//!
//! Policy: an installation has ended when RAUC says `Completed`, and nothing else means that: its `Operation` becomes idle
//! whenever somebody else asks it something. Whether another copy could take over is its own word, by the boot loader's
//! variables: a copy that is being written, or that fell back, is not `good`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use zbus::connection::Builder;
use zbus::export::ordered_stream::OrderedStreamExt as _;
use zbus::{Connection, DynamicType, MatchRule, Message, MessageStream, OwnedVariant};

use super::{Answer, Installer, Mark, Tell, kernel_boot, version};
use crate::sale::software::{Copies, Manifest, Software};

const NAME: &str = "de.pengutronix.rauc";
const INSTALLER: &str = "de.pengutronix.rauc.Installer";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// For an answer; a bundle is checked in that time, too.
const PATIENCE: Duration = Duration::from_secs(120);
/// RAUC says something that often while it installs, or is looked after.
const SILENCE: Duration = Duration::from_secs(5);
const LONGEST_INSTALL: Duration = Duration::from_secs(3600);
/// What it answers while it installs.
const BUSY: &str = "lready processing a different method";

pub struct Rauc {
    pub release: PathBuf,
}

impl Installer for Rauc {
    fn look(&self) -> Answer<'_, Software> {
        Box::pin(async {
            let copies = match copies().await {
                Ok(copies) => copies,
                Err(why) => Copies::Unknown { why },
            };
            Software { version: version(&self.release), kernel_boot: kernel_boot(), copies }
        })
    }

    fn manifest<'a>(&'a self, bundle: &'a Path) -> Answer<'a, Result<Manifest, String>> {
        Box::pin(async {
            let rauc = Bus::connect().await?;
            let told = rauc.call("Info", &bundle.to_string_lossy().as_ref()).await?;
            let (compatible, version) = told.body().deserialize().map_err(|error| not_asked(&error))?;
            Ok(Manifest { version, compatible })
        })
    }

    fn install<'a>(&'a self, bundle: &'a Path, tell: Tell) -> Answer<'a, Result<(), String>> {
        Box::pin(async move { Bus::connect().await?.install(bundle, &tell).await })
    }

    fn mark(&self, mark: Mark) -> Answer<'_, Result<(), String>> {
        Box::pin(async move {
            let rauc = Bus::connect().await?;
            match mark {
                Mark::Good => rauc.call("Mark", &("good", "booted")).await.map(drop),
                Mark::OtherNext => rauc.call("Mark", &("active", "other")).await.map(drop),
                Mark::OtherNever => rauc.call("Mark", &("bad", "other")).await.map(drop),
                Mark::GoodAndNext => {
                    let marked = rauc.call("Mark", &("good", "booted")).await?;
                    let (booted, _): (String, String) =
                        marked.body().deserialize().map_err(|error| not_asked(&error))?;
                    let next: String = rauc.call("GetPrimary", &()).await?.body().deserialize().unwrap_or_default();
                    if next != booted {
                        rauc.call("Mark", &("active", "booted")).await?;
                    }
                    Ok(())
                }
            }
        })
    }
}

struct Bus(Connection);

impl Bus {
    async fn connect() -> Result<Self, String> {
        let connection = Builder::system().method_timeout(PATIENCE).build().await;
        connection.map(Self).map_err(|error| not_asked(&error))
    }

    async fn call<A: serde::Serialize + DynamicType>(&self, method: &str, arguments: &A) -> Result<Message, String> {
        let called = self.0.call_method(Some(NAME), "/", Some(INSTALLER), method, arguments).await;
        called.map_err(|error| not_asked(&error))
    }

    async fn property(&self, name: &str) -> Result<String, String> {
        let told = self.0.call_method(Some(NAME), "/", Some(PROPERTIES), "Get", &(INSTALLER, name)).await;
        let value: Result<OwnedVariant, _> = told.and_then(|told| told.body().deserialize());
        value.and_then(String::try_from).map_err(|error| not_asked(&error))
    }

    /// Who is RAUC now.
    async fn owner(&self) -> Option<String> {
        let bus = Some("org.freedesktop.DBus");
        let told = self.0.call_method(bus, "/org/freedesktop/DBus", bus, "GetNameOwner", &NAME).await;
        told.and_then(|told| told.body().deserialize()).ok()
    }

    async fn install(&self, bundle: &Path, tell: &Tell) -> Result<(), String> {
        let rule = MatchRule::builder().msg_type(zbus::message::Type::Signal).sender(NAME).path("/").build();
        let rule = rule.map_err(|error| not_asked(&error))?;
        // Before it begins, so that its end can't be missed.
        let mut heard = MessageStream::for_match_rule(rule, &self.0, None).await.map_err(|error| not_asked(&error))?;
        // A run of the daemon before may have begun one. What comes of that nobody knows here, so it is done once more.
        let asked = Instant::now();
        loop {
            let options: HashMap<&str, OwnedVariant> = HashMap::new();
            match self.call("InstallBundle", &(bundle.to_string_lossy().as_ref(), options)).await {
                Ok(_) => break,
                Err(why) if why.contains(BUSY) && asked.elapsed() < LONGEST_INSTALL => {
                    tell("waiting until RAUC has ended what it does".into());
                    drop(tokio::time::timeout(SILENCE, heard.next()).await);
                }
                Err(why) => return Err(why),
            }
        }
        let (began, owner) = (Instant::now(), self.owner().await);
        loop {
            let said = match tokio::time::timeout(SILENCE, heard.next()).await {
                Ok(Some(Ok(said))) => said,
                Ok(Some(Err(error))) => return Err(not_asked(&error)),
                Ok(None) => return Err("the system's bus has ended in the middle of the installation".into()),
                Err(_) if owner.is_none() || self.owner().await != owner => {
                    return Err("RAUC has ended in the middle of the installation; journalctl -u rauc says why".into());
                }
                Err(_) if began.elapsed() > LONGEST_INSTALL => {
                    return Err(format!("RAUC has installed for {} s and more", LONGEST_INSTALL.as_secs()));
                }
                Err(_) => continue,
            };
            match said.header().member().map(|member| member.to_string()).as_deref() {
                Some("Completed") => {
                    return match said.body().deserialize::<i32>() {
                        Ok(0) => Ok(()),
                        _ => Err(self.property("LastError").await?),
                    };
                }
                Some("PropertiesChanged") => {
                    if let Some(text) = progress(&said) {
                        tell(text);
                    }
                }
                _ => {}
            }
        }
    }
}

/// What RAUC does, from a change of its properties. For the whole copy it says the same percentage.
fn progress(said: &Message) -> Option<String> {
    let body = said.body();
    let (_, mut changed, _): (String, HashMap<String, OwnedVariant>, Vec<String>) = body.deserialize().ok()?;
    let (percent, text, _) = <(i32, String, i32)>::try_from(changed.remove("Progress")?).ok()?;
    Some(format!("{percent} %: {text}"))
}

async fn copies() -> Result<Copies, String> {
    let rauc = Bus::connect().await?;
    let compatible = rauc.property("Compatible").await?;
    let told = rauc.call("GetSlotStatus", &()).await?;
    let slots: Vec<(String, HashMap<String, OwnedVariant>)> =
        told.body().deserialize().map_err(|error| not_asked(&error))?;
    let said = |slot: &HashMap<String, OwnedVariant>, key: &str| {
        slot.get(key).and_then(|value| <&str>::try_from(value).ok()).map(str::to_owned)
    };
    let bootable = || slots.iter().filter_map(|(_, slot)| Some((slot, said(slot, "bootname")?)));
    let running = bootable().find(|(slot, _)| said(slot, "state").as_deref() == Some("booted"));
    let Some((_, running)) = running else {
        return Err("RAUC does not know which of its slots was started; look at rauc status".into());
    };
    let spare = bootable().any(|(slot, name)| name != running && said(slot, "boot-status").as_deref() == Some("good"));
    Ok(Copies::Two { running, compatible, spare })
}

fn not_asked(error: &zbus::Error) -> String {
    match error {
        zbus::Error::MethodError(_, Some(words), _) => words.clone(),
        error => format!("RAUC can't be asked ({error}); look at systemctl status rauc"),
    }
}
