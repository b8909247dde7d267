//! Whatever the daemon runs beside its loop is started here, under a name, and no end of it goes unheard.
//!
//! Policy: a *part* lives as long as the daemon. One that returns without having been told to, or panics, is reported to
//! whoever made the supervisor; the kiosk ends then, with an error that names the part, and systemd starts it again from
//! disk. A *job* is expected to end: what came of it, a panic too, goes to whoever asked for it.
//!
//! Nobody waits for a part for ever: one that hangs must not keep the daemon from ending.

use std::any::Any;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// How a part has ended, by its own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It was told to stop, or those it worked for have gone.
    Told,
    Failed(String),
}

/// A part that nobody had told to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub part: &'static str,
    pub why: String,
}

/// Starts parts and jobs. Cheap to share.
#[derive(Clone)]
pub struct Supervisor(Arc<dyn Fn(Ended) + Send + Sync>);

/// A thread that was started. Dropping it leaves the thread alone.
pub struct Thread(Receiver<Infallible>);

impl Supervisor {
    /// `ended` is called from the part that has ended; it must not block.
    pub fn new(ended: impl Fn(Ended) + Send + Sync + 'static) -> Self {
        Self(Arc::new(ended))
    }

    /// A part with a thread of its own. The kernel calls the thread like the part, without its article.
    ///
    /// # Errors
    /// No thread for it.
    pub fn thread(&self, part: &'static str, run: impl FnOnce() -> End + Send + 'static) -> std::io::Result<Thread> {
        let (alive, over) = channel();
        let its = self.clone();
        let name = part.trim_start_matches("the ").replace(' ', "-");
        std::thread::Builder::new().name(name).spawn(move || {
            its.hear(part, catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| End::Failed(said(&*panic))));
            drop(alive);
        })?;
        Ok(Thread(over))
    }

    /// A part that is a task. One that is aborted, or whose runtime ends, was told to.
    pub fn task(
        &self,
        runtime: &Handle,
        part: &'static str,
        run: impl Future<Output = End> + Send + 'static,
    ) -> JoinHandle<()> {
        let its = self.clone();
        runtime.spawn(async move { its.hear(part, caught(run).await.unwrap_or_else(End::Failed)) })
    }

    /// A task that is expected to end. `then` gets what came of it, or the words of its panic.
    pub fn job<T: Send + 'static>(
        &self,
        runtime: &Handle,
        part: &'static str,
        work: impl Future<Output = T> + Send + 'static,
        then: impl FnOnce(Result<T, String>) + Send + 'static,
    ) {
        self.task(runtime, part, async move {
            then(caught(work).await);
            End::Told
        });
    }

    fn hear(&self, part: &'static str, end: End) {
        if let End::Failed(why) = end {
            (self.0)(Ended { part, why });
        }
    }
}

impl Thread {
    /// Waits for its end, and says whether it has come.
    pub fn wait(&self, at_most: Duration) -> bool {
        self.0.recv_timeout(at_most) == Err(RecvTimeoutError::Disconnected)
    }
}

/// What a future comes to; a panic in it becomes its words.
async fn caught<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let mut work = pin!(work);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
        Err(panic) => Poll::Ready(Err(said(&*panic))),
    })
    .await
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it has panicked: {}", text.unwrap_or("without words"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn watched() -> (Supervisor, Receiver<Ended>) {
        let (tell, ended) = channel();
        (Supervisor::new(move |end| drop(tell.send(end))), ended)
    }

    fn ended(part: &'static str, why: &str) -> Ended {
        Ended { part, why: why.into() }
    }

    #[test]
    fn a_thread_that_ends_is_named_and_one_that_was_told_to_is_not() {
        let (supervisor, heard) = watched();
        let thread = supervisor.thread("the calm one", || End::Told).unwrap();
        assert!(thread.wait(PATIENCE));
        let thread = supervisor.thread("the wilful one", || End::Failed("it had enough".into())).unwrap();
        assert!(thread.wait(PATIENCE));
        let thread = supervisor.thread("the clumsy one", || panic!("on {}", "purpose")).unwrap();
        assert!(thread.wait(PATIENCE), "its end is seen although it panicked");
        let all: Vec<_> = heard.try_iter().collect();
        let clumsy = ended("the clumsy one", "it has panicked: on purpose");
        assert_eq!(all, [ended("the wilful one", "it had enough"), clumsy]);

        let (hold, held) = channel::<()>();
        let hangs = supervisor.thread("the slow one", move || held.recv().map_or(End::Told, |()| End::Told)).unwrap();
        assert!(!hangs.wait(Duration::from_millis(1)), "nobody waits for ever");
        drop(hold);
        assert!(hangs.wait(PATIENCE));
    }

    #[test]
    fn a_task_that_ends_is_named_and_a_job_answers_whoever_asked() {
        let (supervisor, heard) = watched();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let on = runtime.handle();
        let told = supervisor.task(on, "the told one", async { End::Told });
        runtime.block_on(told).unwrap();
        let aborted = supervisor.task(on, "the aborted one", std::future::pending());
        aborted.abort();
        assert!(runtime.block_on(aborted).unwrap_err().is_cancelled());
        let panics = async {
            tokio::task::yield_now().await;
            panic!("on purpose")
        };
        runtime.block_on(supervisor.task(on, "the clumsy one", panics)).unwrap();
        assert_eq!(heard.recv_timeout(PATIENCE), Ok(ended("the clumsy one", "it has panicked: on purpose")));

        let (tell, answers) = channel();
        let also = tell.clone();
        supervisor.job(on, "a good job", async { 7 }, move |answer| drop(tell.send(answer)));
        assert_eq!(answers.recv_timeout(PATIENCE), Ok(Ok(7)));
        supervisor.job(on, "a bad job", async { panic!("on purpose") }, move |answer| drop(also.send(answer)));
        assert_eq!(answers.recv_timeout(PATIENCE), Ok(Err("it has panicked: on purpose".into())));
        drop(runtime);
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [], "a job's end is no part's");
    }

    /// Where threads and tasks may be started otherwise, and why that end is heard too.
    const ELSEWHERE: [(&str, &str); 9] = [
        ("src/service/supervisor.rs", "this is where"),
        (
            "src/board/worker.rs",
            "watches the counter during one pulse; the scope waits for it, and passes its panic on",
        ),
        ("src/dbus/service.rs", "encoding a picture blocks; awaited on the spot, a panic is that call's fault"),
        ("src/input/watch.rs", "opening a device blocks; awaited on the spot, a panic is that device's fault"),
        (
            "src/kiosk/configuration.rs",
            "a check blocks; awaited on the spot, a panic is a configuration that is refused",
        ),
        ("src/kiosk/files.rs", "making a file blocks; awaited on the spot, a panic is that command's fault"),
        ("src/kiosk/pin.rs", "a check blocks; awaited on the spot, a panic is a PIN that lets nobody in"),
        ("src/update/fetch.rs", "a download blocks; awaited on the spot, a panic is a bundle that was not fetched"),
        ("src/payment/http.rs", "an exchange blocks; awaited on the spot, a panic is an answer that was lost"),
    ];

    /// They run in other processes than the daemon: the back end's, those of a simulated fleet, the parent of the demo's kiosk,
    /// and a technician's.
    const OTHERS: [&str; 6] = [
        "src/fleet/gateway/",
        "src/fleet/collector/",
        "src/simulate/",
        "src/demo/",
        "src/bin/kioskctl/",
        "src/bin/kioskfleet/",
    ];

    fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, into);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                into.push(path);
            }
        }
    }

    #[test]
    fn nothing_of_the_daemon_runs_unsupervised() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        sources(&root.join("src"), &mut files);
        let mut found = BTreeSet::new();
        for file in files {
            let name = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let test = name.ends_with("/tests.rs") || name.contains("/tests/") || name.ends_with("/lab.rs");
            if test || OTHERS.iter().any(|other| name.starts_with(other)) {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let starts = ["spawn(", "spawn_scoped(", "spawn_blocking(", "spawn_local(", "thread::Builder", "JoinSet"];
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            if code.into_iter().any(|line| starts.iter().any(|start| line.contains(start))) {
                found.insert(name);
            }
        }
        let allowed: BTreeSet<String> = ELSEWHERE.iter().map(|(file, _)| (*file).to_owned()).collect();
        assert_eq!(found, allowed, "start it through the supervisor, or say here why its end is heard all the same");
    }
}
