//! A program in a terminal of its own, by tmux.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::PATIENCE;
use crate::child::{Running, command};
use crate::machine::wait_at_most;

/// A terminal with one program in it. Its server runs in the foreground and ends with it.
pub struct Terminal {
    folder: TempDir,
    _server: Running,
}

impl Terminal {
    /// `environment`: `NAME=VALUE`, for the program alone.
    pub fn start((columns, rows): (u16, u16), environment: &[&str], program: &Path, words: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Running::start(tmux(&folder).arg("-D").env("LC_ALL", "C.UTF-8"));
        let terminal = Self { folder, _server: server };
        let up = wait_at_most(PATIENCE, || terminal.tmux(&["set-option", "-g", "history-limit", "0"]));
        assert!(up.is_some(), "tmux does not start");
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let mut start = vec!["new-session", "-d", "-x", &columns, "-y", &rows, "-c"];
        start.extend([terminal.folder.path().to_str().unwrap(), "env"]);
        start.extend(environment);
        // What it said last stays readable, and so does how it ended.
        start.extend(["sh", "-c", "\"$0\" \"$@\"; echo ended with $?; read _", program.to_str().unwrap()]);
        start.extend(words);
        terminal.tmux(&start).unwrap();
        terminal
    }

    fn tmux(&self, words: &[&str]) -> Option<String> {
        // Never another server than the one that ends with the test.
        let done = tmux(&self.folder).arg("-N").args(words).output().unwrap();
        done.status.success().then(|| String::from_utf8(done.stdout).unwrap())
    }

    /// With the sequences that colour it.
    pub fn colored(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"]).unwrap()
    }

    /// Where the program was started.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"]).unwrap()
    }

    /// Waits until all of this is on the screen.
    pub fn until(&self, texts: &[&str]) -> String {
        let seen = wait_at_most(PATIENCE, || {
            let screen = self.screen();
            texts.iter().all(|text| screen.contains(text)).then_some(screen)
        });
        seen.unwrap_or_else(|| panic!("{texts:?} is not on the screen:\n{}", self.screen()))
    }

    pub fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]).unwrap();
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.tmux(&["resize-window", "-x", &columns, "-y", &rows]).unwrap();
    }
}

fn tmux(folder: &TempDir) -> Command {
    let mut tmux = command("tmux");
    tmux.env_remove("TMUX").env("TERM", "xterm-256color").arg("-S").arg(folder.path().join("socket"));
    tmux.args(["-f", "/dev/null"]);
    tmux
}
