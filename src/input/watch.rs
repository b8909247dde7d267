//! Each device's own task: find it, open it, read it, say when it is gone, and begin again.
//!
//! While a device is away it is looked for once a second. Waiting for word from the kernel instead would take three
//! watches to get right (`/dev/input` itself appears with the first device, the right to read it and its lasting names
//! come later from udev), and nobody notices a second after plugging something in.

use std::time::{Duration, Instant};

use evdev::raw_stream::{EventStream, RawDevice};

use super::find::{self, DeviceDirs};
use super::keypad::Keypad;
use super::scanner::Scanner;
use super::sensor::{Abilities, Sensor};
use super::{DeviceSelector, InputEvent, Report, Role, Snapshot};
use crate::service::End;

const LOOK: Duration = Duration::from_secs(1);

/// After a device has gone that goes again and again it is left alone for longer and longer, up to this: each time
/// sales stop and resume, which is written down.
const LONGEST: Duration = Duration::from_secs(30);

/// One that stayed so long is not such a device.
const STEADY: Duration = Duration::from_secs(10);

impl DeviceSelector {
    pub(super) fn role(&self) -> Role {
        match self {
            DeviceSelector::Touch { .. } => Role::Touch,
            DeviceSelector::Keypad(_) => Role::Keypad,
            DeviceSelector::Scanner(_) => Role::Scanner,
        }
    }

    /// Finds and opens it, for the kiosk alone where it types. It may have to be woken up first, so this blocks.
    fn open(&self, places: &DeviceDirs) -> Result<(RawDevice, Reader), String> {
        let (name, path) = match self {
            DeviceSelector::Touch { config, .. } => (&config.name, &config.path),
            DeviceSelector::Keypad(config) => (&config.name, &config.path),
            DeviceSelector::Scanner(config) => (&config.name, &config.path),
        };
        let found = find::find(places, self.role(), name.as_deref(), path.as_deref())?;
        let wrong = |what: &str| format!("`{}` ({}): {what}", found.name, found.node.display());
        let io = |error: std::io::Error| wrong(&error.to_string());
        let mut device = find::open(&found.node).map_err(io)?;
        let reader = match self {
            DeviceSelector::Touch { config, rotation } => {
                let is = Snapshot::of(&device).map_err(io)?;
                let can = Abilities::of(&device).map_err(io)?;
                let sensor = Sensor::new(can, config.calibration, *rotation, config.debounce.0, &is);
                Reader::Touch(sensor.map_err(|why| wrong(&why))?)
            }
            DeviceSelector::Keypad(_) => Reader::Keypad(Keypad::default()),
            DeviceSelector::Scanner(config) => {
                Reader::Scanner(Scanner::new(config.max_length as usize, config.timeout.0))
            }
        };
        if !matches!(self, DeviceSelector::Touch { .. }) {
            device.grab().map_err(|_| wrong("another program has taken it for itself"))?;
        }
        tracing::info!(role = %self.role(), name = found.name, node = %found.node.display(), "an input device was found");
        Ok((device, reader))
    }
}

enum Reader {
    Touch(Sensor),
    Keypad(Keypad),
    Scanner(Scanner),
}

impl Reader {
    /// True where events were lost and [`resync`](Self::resync) must follow.
    fn take(&mut self, event: evdev::InputEvent, now: Instant, report: &mut Report<'_>) -> bool {
        match self {
            Reader::Touch(sensor) => return sensor.take(event, now, report),
            Reader::Keypad(keypad) => keypad.take(event, now).into_iter().for_each(|key| report(InputEvent::Key(key))),
            Reader::Scanner(scanner) => {
                scanner.take(event, now).into_iter().for_each(|code| report(InputEvent::Scanned(code)));
            }
        }
        false
    }

    fn resync(&mut self, device: &RawDevice, report: &mut Report<'_>) -> std::io::Result<()> {
        if let Reader::Touch(sensor) = self {
            sensor.resync(&Snapshot::of(device)?, Instant::now(), report);
        }
        Ok(())
    }

    /// What is under way comes to nothing.
    fn lost(&mut self, report: &mut Report<'_>) {
        if let Reader::Touch(sensor) = self {
            sensor.resync(&Snapshot::default(), Instant::now(), report);
        }
    }
}

pub(super) async fn tend(
    wanted: DeviceSelector,
    places: DeviceDirs,
    report: impl Fn(InputEvent) + Send + Sync + 'static,
) -> End {
    let role = wanted.role();
    let mut told = None;
    let mut tell = |fault: Option<String>| {
        if told.as_ref() != Some(&fault) {
            report(InputEvent::Device { role, fault: fault.clone() });
            told = Some(fault);
        }
    };
    let mut look = LOOK;
    loop {
        let (its, at) = (wanted.clone(), places.clone());
        let opened = tokio::task::spawn_blocking(move || its.open(&at)).await;
        let opened = match opened {
            Ok(opened) => opened,
            // The daemon ends.
            Err(error) if error.is_cancelled() => return End::Told,
            // One that panics is one that can't be used.
            Err(error) => Err(error.to_string()),
        };
        match opened {
            Ok((device, mut reader)) => {
                tell(None);
                let since = Instant::now();
                let error = read(device, &mut reader, &report).await;
                reader.lost(&mut |event| report(event));
                tell(Some(format!("it has gone ({error})")));
                look = if since.elapsed() >= STEADY { LOOK } else { (look * 2).min(LONGEST) };
                tokio::time::sleep(look).await;
            }
            Err(why) => {
                tell(Some(why));
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// Until it can't be read any more; says why.
async fn read(device: RawDevice, reader: &mut Reader, report: &impl Fn(InputEvent)) -> std::io::Error {
    let mut stream: EventStream = match device.into_event_stream() {
        Ok(stream) => stream,
        Err(error) => return error,
    };
    loop {
        let event = match stream.next_event().await {
            Ok(event) => event,
            Err(error) => return error,
        };
        if reader.take(event, Instant::now(), &mut |event| report(event))
            && let Err(error) = reader.resync(stream.device(), &mut |event| report(event))
        {
            return error;
        }
    }
}
