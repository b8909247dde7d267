//! What others hold of the link in order to send over it.

use std::sync::Arc;

use super::files::NoFile;
use super::pending::Pending;
use crate::fleet::command::{CommandStatus, LARGEST, Sending, Stage};

/// Sends requests to the gateway over the link.
#[derive(Debug, Clone)]
pub struct RequestSender(Arc<Pending>);

impl RequestSender {
    pub(super) fn new(pending: &Arc<Pending>) -> Self {
        Self(Arc::clone(pending))
    }

    /// Publishes a signed request on `pay/request`. `false`: there is no connection, or too many wait already.
    #[must_use]
    pub fn ask(&self, message: Vec<u8>) -> bool {
        self.0.ask(message)
    }
}

/// Says over the link how far commands have come.
#[derive(Debug, Clone)]
pub struct StatusSender(Arc<Pending>);

impl StatusSender {
    pub(super) fn new(pending: &Arc<Pending>) -> Self {
        Self(Arc::clone(pending))
    }

    /// It is published now or on the next connection, the newest 64.
    pub fn tell(&self, status: CommandStatus) {
        self.0.status(status);
    }

    /// A place for a file that is about to be made, and `end`, which is said when all of it has gone. `None`: the file for this
    /// command is under way already, or the command is said to have failed because there are too many.
    pub fn place(&self, end: CommandStatus) -> Option<FilePlace> {
        match self.0.begin_file(&end.id) {
            Ok(()) => Some(FilePlace { pending: Arc::clone(&self.0), end: Some(end) }),
            Err(NoFile::UnderWay) => None,
            Err(why @ NoFile::TooMany) => {
                self.tell(failed(&end, why.to_string()));
                None
            }
        }
    }
}

/// Says over the link how the kiosk is in every part.
#[derive(Debug, Clone)]
pub struct InspectionSender(Arc<Pending>);

impl InspectionSender {
    pub(super) fn new(pending: &Arc<Pending>) -> Self {
        Self(Arc::clone(pending))
    }

    /// A signed message; it is published now, with the state once more, and the newest one again on the next connections.
    pub fn send(&self, message: String) {
        self.0.inspection(message);
    }
}

fn failed(end: &CommandStatus, why: String) -> CommandStatus {
    CommandStatus { reason: Some(why), ..CommandStatus::new(&end.verb, &end.id, Stage::Failed) }
}

/// A file that somebody waits for. Dropped, its command is said to have failed.
#[derive(Debug)]
pub struct FilePlace {
    pending: Arc<Pending>,
    end: Option<CommandStatus>,
}

impl FilePlace {
    /// It is sent now or on the next connection, a part after the other.
    pub fn send(mut self, file: Vec<u8>) {
        let Some(end) = self.end.take() else { return };
        let length = file.len();
        match Sending::new(end.clone(), file) {
            Some(file) => self.pending.send_file(file),
            None => self.left(&end, format!("its file is too large: {length} bytes, and at most {LARGEST} are sent")),
        }
    }

    /// It could not be made.
    pub fn fail(mut self, why: impl Into<String>) {
        if let Some(end) = self.end.take() {
            self.left(&end, why.into());
        }
    }

    fn left(&self, end: &CommandStatus, why: String) {
        self.pending.leave_file(&end.id);
        self.pending.status(failed(end, why));
    }
}

impl Drop for FilePlace {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            self.left(&end, "nobody has made its file".into());
        }
    }
}
