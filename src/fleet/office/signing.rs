//! The key with which a person of the office signs, and what a kiosk answers to what was signed.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use super::OfficeError;
use super::counter;
use crate::fleet::command::{CommandContent, CommandStatus};
use crate::operation::{Operation, Timing};
use crate::signed::jws::{Keys, PublicKey, Purpose, Signer};
use crate::signed::keys::KeySource;
use crate::signed::keyset::KeysetContent;

/// A private key in a file, with its counter beside it.
#[derive(Debug)]
pub struct SigningKey {
    file: PathBuf,
    signer: Signer,
}

impl SigningKey {
    /// The key's name is the file's, or `kid`.
    ///
    /// # Errors
    /// The file is not there, or is no key.
    pub fn open(file: &Path, kid: Option<&str>) -> Result<Self, OfficeError> {
        Ok(Self { file: file.into(), signer: KeySource::named_signer(file, kid)? })
    }

    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    pub fn public(&self) -> PublicKey {
        self.signer.public()
    }

    /// The first of the key's next numbers, of which so many are used up then.
    pub fn counters(&self, count: u64) -> Result<u64, OfficeError> {
        counter::take(&self.file, count)
    }

    /// The same content is always the same message.
    pub fn command(&self, content: &CommandContent) -> Result<Vec<u8>, OfficeError> {
        Ok(self.signer.sign(Purpose::Command, content)?)
    }
}

/// Whether a command has to name the run of the daemon that it is for.
pub fn names_the_run(operation: &Operation) -> bool {
    operation.timing() != Timing::Any
}

/// What a kiosk says of a command, and whether that is certain. With its key what it has not signed is nothing.
pub fn status(keys: Option<&Keys>, payload: &[u8]) -> Option<(CommandStatus, bool)> {
    if let Some(keys) = keys {
        let opened = keys.open::<CommandStatus>(Purpose::CommandStatus, payload);
        return opened
            .inspect_err(|why| tracing::warn!(%why, "what the kiosk has not signed is ignored"))
            .ok()
            .map(|(status, _)| (status, true));
    }
    let content = unverified(payload).unwrap_or_else(|| payload.to_vec());
    serde_json::from_slice(&content).ok().map(|status| (status, false))
}

/// Of a keyset's message, whoever has signed it.
pub fn keyset_version(message: &[u8]) -> Option<u64> {
    let content: KeysetContent = serde_json::from_slice(&unverified(message)?).ok()?;
    Some(content.version)
}

/// The content of a signed message, whoever has signed it.
pub fn unverified(message: &[u8]) -> Option<Vec<u8>> {
    let message: Value = serde_json::from_slice(message).ok()?;
    BASE64_URL_SAFE_NO_PAD.decode(message["payload"].as_str()?).ok()
}
