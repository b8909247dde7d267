//! The file of a bundle: a compressed tar whose manifest has the hash of every other member, and beside it a seal: the kiosk's
//! signed word for the hash of the manifest.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use flate2::{Compression, GzBuilder};
use kioskd::console::Out;
use kioskd::operation::Digest;
use serde_json::{Map, Value, json};

/// Everything stands in one folder of this name.
pub const FOLDER: &str = "kioskd-bundle";
pub const MANIFEST: &str = "manifest.json";
/// What the packing says of where it was done: nothing (RFC 1952 §2.3.1).
pub const SYSTEM: u8 = 255;
pub const SEAL: &str = "manifest.jws";

#[derive(Default)]
pub struct Archive {
    members: Vec<(String, Vec<u8>)>,
    /// What should have been there, and why it is not.
    left_out: Map<String, Value>,
}

impl Archive {
    pub fn text(&mut self, name: &str, text: impl Into<String>) {
        self.members.push((name.into(), text.into().into_bytes()));
    }

    pub fn json(&mut self, name: &str, document: &Value) {
        self.text(name, format!("{document:#}\n"));
    }

    pub fn without(&mut self, name: &str, why: impl ToString) {
        self.left_out.insert(name.into(), why.to_string().into());
    }

    pub fn left_out(&self) -> &Map<String, Value> {
        &self.left_out
    }

    /// Puts the manifest first, with its signature or why it has none, and writes all of it: into a new file that only its owner
    /// may read, or to standard output where `into` is `-`.
    pub fn write(
        mut self,
        into: &Path,
        facts: Value,
        seal: impl FnOnce(&Digest) -> Result<String, String>,
        made: u64,
    ) -> anyhow::Result<Value> {
        let members = self
            .members
            .iter()
            .map(|(name, bytes)| json!({ "name": name, "bytes": bytes.len(), "sha256": Digest::of(bytes) }));
        let mut manifest = json!({ "made": facts, "members": members.collect::<Value>(), "left_out": self.left_out });
        let mut written = format!("{manifest:#}\n").into_bytes();
        match seal(&Digest::of(&written)) {
            Ok(seal) => self.members.insert(0, (SEAL.into(), seal.into_bytes())),
            Err(why) => {
                manifest["unsigned"] = why.into();
                written = format!("{manifest:#}\n").into_bytes();
            }
        }
        self.members.insert(0, (MANIFEST.into(), written));
        if into == Path::new("-") {
            self.pack(Out, made)?;
        } else {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(into);
            let file = file.map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => anyhow::anyhow!("{} is there already; name a new file", into.display()),
                _ => anyhow::anyhow!("{}: {error}", into.display()),
            })?;
            self.pack(&file, made).and_then(|()| file.sync_all()).with_context(|| into.display().to_string())?;
        }
        Ok(manifest)
    }

    fn pack(&self, into: impl Write, made: u64) -> io::Result<()> {
        let mut tar =
            tar::Builder::new(GzBuilder::new().mtime(0).operating_system(SYSTEM).write(into, Compression::default()));
        for (name, bytes) in &self.members {
            let mut head = tar::Header::new_ustar();
            head.set_size(bytes.len() as u64);
            head.set_mode(0o600);
            head.set_mtime(made);
            tar.append_data(&mut head, format!("{FOLDER}/{name}"), bytes.as_slice())?;
        }
        tar.into_inner()?.finish()?.flush()
    }
}
