//! How a rollout stands: what its journal's lines add up to.

use std::path::Path;
use std::time::Duration;

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};

use super::RolloutError;
use super::course::{Course, End, Entry, Rules};
use super::journal::Line;
use super::plan::{Plan, Texts};
use crate::fleet::topic::Name;

/// Which of the two is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Apply,
    Undo { round: u32 },
}

impl Way {
    pub fn line(self, entry: Entry) -> Line {
        match self {
            Self::Apply => Line::Apply { entry },
            Self::Undo { .. } => Line::Undo { entry },
        }
    }

    /// The same command has the same number, whoever sends it.
    pub fn number(self, digest_of_plan: &str, kiosk: &Name) -> String {
        let way = match self {
            Self::Apply => "apply".to_owned(),
            Self::Undo { round } => format!("undo-{round}"),
        };
        HEXLOWER.encode(&digest(&SHA256, format!("{digest_of_plan}\n{way}\n{kiosk}").as_bytes()).as_ref()[..16])
    }
}

/// A rollout as it stands on disk.
pub struct Stands {
    pub plan: Plan,
    pub digest: String,
    pub texts: Texts,
    pub course: Course,
    /// The last round of it.
    pub undo: Option<(u32, Course)>,
}

impl Stands {
    /// `path` is the plan's; `None`: it has not begun.
    ///
    /// # Errors
    /// The plan as it was when it began can't be read any more.
    pub fn read(path: &Path, lines: &[Line]) -> Result<Option<Self>, RolloutError> {
        let mut stands: Option<Self> = None;
        for line in lines {
            match (line, &mut stands) {
                (Line::Begun { digest, plan, texts, waves, .. }, None) => {
                    let plan = Plan::parse(path, plan.clone())?;
                    let course = Course::new(plan.rules.clone(), waves.clone());
                    let (digest, texts) = (digest.clone(), texts.clone());
                    stands = Some(Self { plan, digest, texts, course, undo: None });
                }
                (Line::Apply { entry }, Some(stands)) => stands.course.apply(entry),
                (Line::UndoBegun { round, machines, .. }, Some(stands)) => {
                    let course = Course::new(undoing(&stands.plan), vec![machines.clone()]);
                    stands.undo = Some((*round, course));
                }
                (Line::Undo { entry }, Some(stands)) => {
                    if let Some((_, course)) = &mut stands.undo {
                        course.apply(entry);
                    }
                }
                (_, None) | (Line::Begun { .. }, Some(_)) => {}
            }
        }
        Ok(stands)
    }
}

/// An undo goes to everybody: that one does not answer is no reason to leave the others as they are.
pub fn undoing(plan: &Plan) -> Rules {
    Rules { enough: 1, soak: Duration::ZERO, sales_drop: None, pause: false, ..plan.rules.clone() }
}

/// Whom an undo is for: whoever may have been changed and has not said in an earlier round that it was undone.
pub fn still_changed(course: &Course, undo: Option<&Course>) -> Vec<Name> {
    let undone = |kiosk: &Name| {
        let sent = undo.and_then(|undo| undo.sent().get(kiosk));
        sent.is_some_and(|sent| sent.end == Some(End::Successful))
    };
    let in_last_round =
        |kiosk: &Name| undo.is_none_or(|undo| undo.waves().iter().flatten().any(|known| known == kiosk));
    course.changed().into_iter().filter(|kiosk| in_last_round(kiosk) && !undone(kiosk)).collect()
}
