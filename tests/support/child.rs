//! Programs that tests start. Each ends with its test, however that ends: by its number when the test lets it go, and by
//! the kernel when the test's own process is killed. Nothing else in the tests starts a program; `tests/config` says so.

use std::ffi::OsStr;
use std::io::{Result, Write};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{LazyLock, mpsc};

/// A program by its name or path: to be run to its end (`output`, `status`), or a [`Running`] one.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(found(program.as_ref()));
    command
}

/// Debian keeps daemons in sbin, which is not on everybody's `PATH`. What is missing fails the test by its name.
pub fn found(program: &OsStr) -> PathBuf {
    let mut places = std::env::var_os("PATH").unwrap_or_default();
    places.push(":/usr/sbin:/sbin");
    let mut tried = std::env::split_paths(&places).map(|place| place.join(program));
    let found =
        if Path::new(program).components().count() > 1 { Some(program.into()) } else { tried.find(|at| at.is_file()) };
    found
        .filter(|at: &PathBuf| at.is_file())
        .unwrap_or_else(|| panic!("there is no {}; tests/run installs it", program.display()))
}

/// A program that is killed when this is dropped.
pub struct Running(Child);

type Birth = (Command, mpsc::Sender<Result<Child>>);

/// To the kernel the parent is the thread that started a child. Tests are threads that end; this one stays.
static NURSERY: LazyLock<mpsc::Sender<Birth>> = LazyLock::new(|| {
    let (ask, births) = mpsc::channel::<Birth>();
    std::thread::spawn(move || births.iter().for_each(|(mut command, tell)| drop(tell.send(command.spawn()))));
    ask
});

impl Running {
    /// Uses the command up.
    pub fn start(command: &mut Command) -> Self {
        let told = format!("{command:?}");
        assert!(told.contains("--pdeathsig"), "{told} is not made by `command`");
        let (tell, born) = mpsc::channel();
        NURSERY.send((std::mem::replace(command, Command::new("")), tell)).expect("the nursery never ends");
        Self(born.recv().expect("the nursery answers").unwrap_or_else(|error| panic!("{told}: {error}")))
    }

    /// Tells it something and waits for its end.
    pub fn answer(command: &mut Command, question: &[u8]) -> Output {
        let mut child = Self::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()));
        let (mut stdin, mut said) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let mut wrong = child.stderr.take().expect("piped");
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        std::thread::scope(|scope| {
            // One that ends before it has heard everything says why.
            scope.spawn(move || drop(stdin.write_all(question)));
            scope.spawn(|| std::io::copy(&mut wrong, &mut stderr));
            std::io::copy(&mut said, &mut stdout).expect("its answer");
        });
        Output { status: child.wait().expect("it was started here"), stdout, stderr }
    }

    /// Killed and gone.
    pub fn end(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Deref for Running {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
