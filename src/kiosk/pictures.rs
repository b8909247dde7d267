//! A picture of the glass for the fleet: in parts, each a message that any broker takes.

use super::Kiosk;
use crate::dbus::Screenshot;
use crate::fleet::command::{CommandStatus, Stage, in_parts};
use crate::fleet::link::StatusSender;
use crate::operation::{Outcome, RequestId};

const VERB: &str = "screenshot";

impl Kiosk {
    /// What is said once it is on record that somebody looks: the picture, and then the end of it.
    pub(super) fn send_picture(&self, sender: StatusSender, id: RequestId) -> impl FnOnce(Outcome) + Send + 'static {
        let (glass, supervisor) = (self.edges.glass.clone(), self.edges.supervisor.clone());
        let runtime = self.edges.runtime.handle().clone();
        move |outcome| {
            let said = CommandStatus::ended(VERB, id.as_str(), &outcome);
            // Asked again it is answered with what is stored, and shows what is there now.
            if !matches!(outcome, Outcome::Changed { .. }) {
                return sender.tell(said);
            }
            glass.picture(Box::new(move |taken| {
                let encode = async move {
                    let Screenshot { frame, .. } = taken?;
                    let encoded = tokio::task::spawn_blocking(move || frame.png()).await;
                    encoded.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
                };
                supervisor.job(&runtime, "a picture for the fleet", encode, move |png| {
                    let png: Result<Vec<u8>, String> = png.and_then(|png| png);
                    let parts =
                        png.and_then(|png| in_parts(VERB, id.as_str(), &png).ok_or("the picture is too large".into()));
                    match parts {
                        Ok((parts, file)) => {
                            parts.into_iter().for_each(|part| sender.tell(part));
                            sender.tell(CommandStatus { file: Some(file), ..said });
                        }
                        Err(why) => {
                            let failed = CommandStatus::new(VERB, id.as_str(), Stage::Failed);
                            sender.tell(CommandStatus { reason: Some(why), ..failed });
                        }
                    }
                });
            }));
        }
    }
}
