//! Copies of the software that only the simulated world knows of. A bundle is a text of two lines, `version=` and
//! `compatible=`; the program that runs is always the same.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{Answer, Installer, Mark, Tell};
use crate::operation::Version;
use crate::sale::software::{Copies, Manifest, Software};
use crate::world::{Ask, CopyAsk, DEVICE_TIMEOUT, World};

/// For each part of an installation, so that it can be watched, and cut.
const PART: Duration = Duration::from_millis(150);

pub struct Simulated(pub Arc<World>);

/// What the world says of its copies.
#[derive(Deserialize)]
struct Told {
    running: String,
    version: Version,
    boot: u64,
    spare: bool,
}

impl Simulated {
    async fn ask(&self, ask: CopyAsk) -> Result<Value, String> {
        self.0.ask_async(Ask::Copies { ask }, DEVICE_TIMEOUT).await.map_err(|error| error.to_string())
    }
}

impl Installer for Simulated {
    fn look(&self) -> Answer<'_, Software> {
        Box::pin(async {
            let told = self.ask(CopyAsk::Look).await;
            match told.and_then(|told| serde_json::from_value(told).map_err(|error| error.to_string())) {
                Ok(Told { running, version, boot, spare }) => Software {
                    version: Some(version),
                    kernel_boot: boot.to_string(),
                    copies: Copies::Two { running, compatible: "kioskd-demo".into(), spare },
                },
                Err(why) => Software { version: None, kernel_boot: String::new(), copies: Copies::Unknown { why } },
            }
        })
    }

    fn manifest<'a>(&'a self, bundle: &'a Path) -> Answer<'a, Result<Manifest, String>> {
        let read = || {
            let text = std::fs::read_to_string(bundle).map_err(|error| error.to_string())?;
            let value = |key: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(key));
                line.map(str::to_owned).ok_or_else(|| format!("no bundle: it has no line {key}"))
            };
            Ok(Manifest { version: value("version=")?, compatible: value("compatible=")? })
        };
        Box::pin(std::future::ready(read()))
    }

    fn install<'a>(&'a self, bundle: &'a Path, tell: Tell) -> Answer<'a, Result<(), String>> {
        Box::pin(async move {
            let version = self.manifest(bundle).await?.version;
            let version = Version::parse(&version).ok_or("its version is none")?;
            self.ask(CopyAsk::Write).await?;
            for (percent, part) in [(40, "verifying"), (80, "copying"), (100, "installed")] {
                tell(format!("{percent} %: {part}"));
                tokio::time::sleep(PART).await;
            }
            self.ask(CopyAsk::Written { version }).await.map(drop)
        })
    }

    fn mark(&self, mark: Mark) -> Answer<'_, Result<(), String>> {
        let ask = match mark {
            Mark::Good => CopyAsk::Good { next: false },
            Mark::GoodAndNext => CopyAsk::Good { next: true },
            Mark::OtherNext => CopyAsk::OtherNext,
            Mark::OtherNever => CopyAsk::OtherNever,
        };
        Box::pin(async { self.ask(ask).await.map(drop) })
    }
}
