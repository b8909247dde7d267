//! The machine's software, and what is asked of who installs it.

use crate::operation::{BundlePlace, Digest, Version};

/// What runs on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Software {
    /// `None` where nobody can say.
    pub version: Option<Version>,
    /// This run of the board's kernel.
    pub kernel_boot: String,
    pub copies: Copies,
}

/// The copies of its software that the machine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copies {
    /// `running`: the one that runs. `spare`: the other could take over.
    Two { running: String, compatible: String, spare: bool },
    /// Whoever knows does not answer, and why.
    Unknown { why: String },
    /// One, and how it is updated.
    One { how: String },
}

/// What the manifest of a bundle says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub version: String,
    pub compatible: String,
}

/// What is asked of who installs software.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateTask {
    /// What runs? Answered with [`UpdateEvent::Seen`]. `clean`: what was fetched for an update is of no use any more.
    Look { clean: bool },
    /// Fetch the bundle, look whether it is the one, and read its manifest.
    Fetch { bundle: BundlePlace, sha256: Digest },
    /// Write the copy that does not run, from the bundle that was fetched.
    Install { bundle: BundlePlace, sha256: Digest },
    /// The copy that runs is good. `next`: it starts next, too, whatever was said before.
    MarkGood { next: bool },
    /// The other copy starts next.
    Return,
    /// The other copy is never started again; then as [`Look`](Self::Look).
    Discard,
}

impl UpdateTask {
    /// The answer where there is none.
    pub fn failed(&self, why: String) -> UpdateEvent {
        match self {
            Self::Look { .. } | Self::Discard => {
                let (version, kernel_boot) = (None, String::new());
                UpdateEvent::Seen(Software { version, kernel_boot, copies: Copies::Unknown { why } })
            }
            Self::Fetch { .. } => UpdateEvent::Fetched(Err(why)),
            Self::Install { .. } => UpdateEvent::Installed(Err(why)),
            Self::MarkGood { .. } => UpdateEvent::MarkedGood(Err(why)),
            Self::Return => UpdateEvent::Returns(Err(why)),
        }
    }
}

/// Its answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateEvent {
    Seen(Software),
    Fetched(Result<Manifest, String>),
    Installed(Result<(), String>),
    MarkedGood(Result<(), String>),
    /// To [`UpdateTask::Return`].
    Returns(Result<(), String>),
}
