//! Reports an input's change at once. One thread serves all lines whose edges the kernel queues, and one thread polls
//! each port expander.

use std::io::{PipeReader, PipeWriter};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gpiocdev::Request;
use gpiocdev::line::EdgeKind;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{STOP, Tell};
use crate::service::{End, Supervisor, Thread};

/// Between two questions to an expander.
const ASK: Duration = Duration::from_millis(10);

/// After one that was not answered.
const ASK_SILENT: Duration = Duration::from_millis(500);

/// While it exists, changes are told; dropping it waits a while for the one being told.
pub struct Listening {
    stop: Option<PipeWriter>,
    threads: Vec<Thread>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Every thread sees the other end close.
        drop(self.stop.take());
        for thread in self.threads.drain(..) {
            if !thread.wait(STOP) {
                tracing::error!("a thread that watches inputs hangs");
            }
        }
    }
}

/// A line whose edges the kernel queues.
pub(super) struct EdgeInputs {
    pub request: Arc<Request>,
    pub tell: Tell,
}

/// The inputs of one expander.
pub(super) struct PolledExpander {
    /// The levels of all pins; `None` while it does not answer.
    pub read: Box<dyn FnMut() -> Option<u16> + Send>,
    pub inputs: Vec<PolledPin>,
}

pub(super) struct PolledPin {
    pub pin: u8,
    pub active_low: bool,
    pub steady: Debouncer,
    pub tell: Tell,
}

pub(super) fn start(
    supervisor: &Supervisor,
    edges: Vec<EdgeInputs>,
    asked: Vec<PolledExpander>,
) -> std::io::Result<Listening> {
    let (end, stop) = std::io::pipe()?;
    let mut listening = Listening { stop: Some(stop), threads: Vec::new() };
    if !edges.is_empty() {
        let end = end.try_clone()?;
        listening.threads.push(supervisor.thread("the input watcher", move || follow(edges, &end))?);
    }
    for expander in asked {
        let end = end.try_clone()?;
        let run = move || {
            ask(expander, &end);
            End::Told
        };
        listening.threads.push(supervisor.thread("the expander watcher", run)?);
    }
    Ok(listening)
}

fn follow(mut lines: Vec<EdgeInputs>, end: &PipeReader) -> End {
    loop {
        let mut fds: Vec<PollFd<'_>> = vec![PollFd::new(end, PollFlags::IN)];
        fds.extend(
            lines.iter().map(|line| PollFd::from_borrowed_fd(std::os::fd::AsFd::as_fd(&*line.request), PollFlags::IN)),
        );
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return End::Failed(format!("the inputs can't be watched any more: {error}")),
        }
        let ready: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        drop(fds);
        if !ready[0].is_empty() {
            return End::Told;
        }
        let mut ready = ready[1..].iter();
        // A line that fails is dropped: the board asks it too, and will say that it does not answer.
        lines.retain_mut(|line| match ready.next() {
            Some(flags) if !flags.is_empty() => tell(line),
            _ => true,
        });
    }
}

/// Whether the line is still there.
fn tell(line: &mut EdgeInputs) -> bool {
    while let Ok(true) = line.request.has_edge_event() {
        match line.request.read_edge_event() {
            Ok(event) => (line.tell)(event.kind == EdgeKind::Rising),
            Err(error) => {
                tracing::error!(%error, "an input's changes can't be read any more");
                return false;
            }
        }
    }
    line.request.has_edge_event().is_ok()
}

fn ask(mut expander: PolledExpander, end: &PipeReader) {
    let mut silent = false;
    while !ended(end, if silent { ASK_SILENT } else { ASK }) {
        let levels = (expander.read)();
        silent = levels.is_none();
        let Some(levels) = levels else { continue };
        for input in &mut expander.inputs {
            let active = (levels >> input.pin & 1 == 1) != input.active_low;
            if let Some(active) = input.steady.level(active, Instant::now()) {
                (input.tell)(active);
            }
        }
    }
}

/// Waits, and says whether it is over.
fn ended(end: &PipeReader, pause: Duration) -> bool {
    let timeout = Timespec { tv_sec: 0, tv_nsec: pause.subsec_nanos().into() };
    let mut fds = [PollFd::new(end, PollFlags::IN)];
    !matches!(poll(&mut fds, Some(&timeout)), Ok(0) | Err(rustix::io::Errno::INTR))
}

/// A level counts when it has been seen unchanged for a while.
pub(super) struct Debouncer {
    period: Duration,
    settled: Option<bool>,
    since: Option<(bool, Instant)>,
}

impl Debouncer {
    pub fn new(period: Duration) -> Self {
        Self { period, settled: None, since: None }
    }

    /// The level as seen `now`; `Some` when it has changed for good.
    pub fn level(&mut self, level: bool, now: Instant) -> Option<bool> {
        let (seen, since) = *self.since.get_or_insert((level, now));
        if seen != level {
            self.since = Some((level, now));
        }
        let since = if seen == level { since } else { now };
        if self.settled == Some(level) || now.saturating_duration_since(since) < self.period {
            return None;
        }
        self.settled = Some(level);
        Some(level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bouncing_contact_counts_once() {
        let start = Instant::now();
        let mut steady = Debouncer::new(Duration::from_millis(20));
        let mut told = Vec::new();
        for (at, level) in
            [(0, false), (20, false), (30, true), (35, false), (40, true), (50, true), (60, true), (70, true)]
        {
            let at = start + Duration::from_millis(at);
            told.extend(steady.level(level, at).map(|level| (at.duration_since(start).as_millis(), level)));
        }
        assert_eq!(told, [(20, false), (60, true)]);
        let mut at_once = Debouncer::new(Duration::ZERO);
        assert_eq!(at_once.level(true, start), Some(true));
        assert_eq!(at_once.level(true, start), None);
    }
}
