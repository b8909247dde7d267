//! Starts the processes of a simulated fleet, adds up what they say, and ends them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::share::Figures;
use super::{Options, SHARE, SimulateError, folders};
use crate::console::{complain, say};

/// Coming to rest takes at most so long: a repeat, and a machine that was without power.
const REST: Duration = Duration::from_secs(180);
/// The ends of so many ledgers.
const END: Duration = Duration::from_secs(60);
/// Connects of a second are complete when every process has said them.
const SETTLED: u64 = 3;

/// How it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    Well,
    /// Something was not acknowledged, did not start or was not written.
    Wrong,
}

struct Shares {
    children: Vec<Child>,
    said: UnboundedReceiver<(usize, Option<String>)>,
    newest: Vec<Figures>,
    /// New connections of all, by second.
    connects: BTreeMap<u64, u64>,
    peak: u64,
}

/// Runs the fleet. `arguments` start this program as one of its processes; the first machine and their count are added to them.
///
/// # Errors
/// It could not begin, or a process has ended by itself.
pub fn run(options: &Options, program: &Path, arguments: &[OsString], json: bool) -> Result<Came, SimulateError> {
    std::fs::create_dir_all(&options.state).map_err(SimulateError::file(&options.state))?;
    if !folders::is_in_memory(&options.state) {
        complain(format_args!(
            "kioskfleet: {} is on a disk, and each sale waits for it: what is measured is the disk. A folder on tmpfs, like \
             /dev/shm, is not waited for",
            options.state.display()
        ));
    }
    let bar = std::io::stderr().is_terminal() && !json;
    folders::prepare(&options.state, &options.fleet, 1..options.machines + 1, |number| {
        if bar && number % 100 == 0 {
            eprint!("\r\x1b[Kfolders: {number} of {}", options.machines);
        }
    })?;
    if bar {
        eprint!("\r\x1b[K");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut shares = Shares::start(options, program, arguments)?;
        let came = shares.turn(options, json).await;
        shares.end().await;
        came
    })
}

impl Shares {
    fn start(options: &Options, program: &Path, arguments: &[OsString]) -> Result<Self, SimulateError> {
        let (tell, said) = unbounded_channel();
        let mut children = Vec::new();
        let processes = options.machines.div_ceil(SHARE).max(1);
        let mut first = 1;
        for nth in 0..processes {
            let count = (options.machines + nth) / processes;
            let mut child = Command::new(program);
            child.args(arguments).arg(format!("--share={first}:{count}"));
            // A ctrl-c at the terminal is for the parent; its children end when their standard input does.
            child.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).kill_on_drop(true);
            let mut child = child.spawn()?;
            if let Some(out) = child.stdout.take() {
                let (tell, index) = (tell.clone(), children.len());
                tokio::spawn(async move {
                    let mut lines = BufReader::new(out).lines();
                    while let Ok(Some(line)) = lines.next_line().await {
                        drop(tell.send((index, Some(line))));
                    }
                    drop(tell.send((index, None)));
                });
            }
            children.push(child);
            first += count;
        }
        let newest = vec![Figures::default(); children.len()];
        Ok(Self { children, said, newest, connects: BTreeMap::new(), peak: 0 })
    }

    async fn turn(&mut self, options: &Options, json: bool) -> Result<Came, SimulateError> {
        let begun = Instant::now();
        let mut interrupted = Box::pin(tokio::signal::ctrl_c());
        let mut report = tokio::time::interval(options.report);
        report.tick().await;
        let mut all_connected = false;
        // Until when it sells, and then until when it may come to rest.
        let (mut until, mut resting) = (options.long.map(|long| begun + long), false);
        loop {
            let end = tokio::time::sleep_until(until.unwrap_or(begun + Duration::from_secs(1 << 31)).into());
            let over = tokio::select! {
                said = self.said.recv() => {
                    match said {
                        Some((index, Some(line))) => self.hear(index, &line)?,
                        Some((index, None)) => return Err(SimulateError::Ended(format!("number {}", index + 1))),
                        None => return Err(SimulateError::Ended("all".into())),
                    }
                    false
                }
                _ = report.tick() => {
                    self.say("running", begun, json)?;
                    false
                }
                _ = &mut interrupted => true,
                () = end => true,
            };
            let sum = self.sum();
            if !all_connected && sum.reached >= options.machines {
                all_connected = true;
                self.say("all-connected", begun, json)?;
            }
            if resting && (sum.restless == 0 || over) {
                self.say("ended", begun, json)?;
                let wrong = sum.restless + sum.failed + sum.dead + (sum.made - sum.acknowledged.min(sum.made));
                return Ok(if wrong > 0 { Came::Wrong } else { Came::Well });
            }
            if over && !resting {
                if !options.check {
                    self.say("ended", begun, json)?;
                    return Ok(Came::Well);
                }
                (until, resting) = (Some(Instant::now() + REST), true);
                interrupted = Box::pin(tokio::signal::ctrl_c());
                for (child, newest) in self.children.iter_mut().zip(&mut self.newest) {
                    newest.restless = newest.machines;
                    if let Some(input) = &mut child.stdin {
                        input.write_all(b"rest\n").await?;
                    }
                }
            }
        }
    }

    fn hear(&mut self, index: usize, line: &str) -> Result<(), SimulateError> {
        let figures: Figures = serde_json::from_str(line)?;
        *self.connects.entry(figures.second).or_default() += figures.connects;
        let settled = figures.second.saturating_sub(SETTLED);
        while let Some(entry) = self.connects.first_entry().filter(|entry| *entry.key() <= settled) {
            self.peak = self.peak.max(entry.remove());
        }
        if let Some(newest) = self.newest.get_mut(index) {
            *newest = figures;
        }
        Ok(())
    }

    fn sum(&self) -> Figures {
        let mut sum = Figures::default();
        for one in &self.newest {
            sum.machines += one.machines;
            sum.started += one.started;
            sum.connected += one.connected;
            sum.reached += one.reached;
            sum.made += one.made;
            sum.acknowledged += one.acknowledged;
            sum.sold += one.sold;
            sum.cuts += one.cuts;
            sum.losses += one.losses;
            sum.commands += one.commands;
            sum.failed += one.failed;
            sum.dead += one.dead;
            sum.restless += one.restless;
            sum.memory += one.memory;
            sum.why = sum.why.or_else(|| one.why.clone());
        }
        sum
    }

    /// Of the seconds since this was called last, the one with the most new connections.
    fn take_peak(&mut self) -> u64 {
        std::mem::take(&mut self.peak)
    }

    fn say(&mut self, said: &str, begun: Instant, json: bool) -> Result<(), SimulateError> {
        let sum = self.sum();
        let peak = self.take_peak();
        let seconds = begun.elapsed().as_secs();
        let each = sum.memory / sum.started.max(1) / 1024;
        if json {
            let mut document = json!(sum);
            let more = json!({ "said": said, "seconds": seconds, "connects_peak": peak, "memory_each_kib": each });
            if let (Some(document), Some(more)) = (document.as_object_mut(), more.as_object()) {
                ["second", "connects"].into_iter().for_each(|key| drop(document.remove(key)));
                document.extend(more.clone());
            }
            return Ok(say(document)?);
        }
        let Figures { machines, connected, made, acknowledged, sold, cuts, losses, commands, dead, .. } = sum;
        say(format_args!(
            "{seconds} s {said}: {connected} of {machines} connected, at most {peak} connects/s; {sold} sold, {made} events, \
             {} not acknowledged; {commands} commands, {cuts} power cuts, {losses} network losses, {dead} dead; {each} KiB each{}",
            made.saturating_sub(acknowledged),
            sum.why.map(|why| format!("; {why}")).unwrap_or_default(),
        ))?;
        Ok(())
    }

    /// Their input ends, and then they do; who does not is killed.
    async fn end(&mut self) {
        for child in &mut self.children {
            drop(child.stdin.take());
        }
        for child in &mut self.children {
            if tokio::time::timeout(END, child.wait()).await.is_err() {
                complain("kioskfleet: a process of simulated machines does not end, and is killed");
            }
        }
    }
}
