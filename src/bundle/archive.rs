//! The file of a bundle: a compressed tar whose manifest has the hash of every other member, and beside it a seal: the kiosk's
//! signed word for the hash of the manifest.

use std::io::{self, Write};

use flate2::{Compression, GzBuilder};
use serde_json::{Map, Value, json};

use crate::config::Redaction;
use crate::operation::Digest;

/// Everything stands in one folder of this name.
pub const FOLDER: &str = "kioskd-bundle";
pub const MANIFEST: &str = "manifest.json";
/// What the packing says of where it was done: nothing (RFC 1952 §2.3.1).
pub const SYSTEM: u8 = 255;
pub const SEAL: &str = "manifest.jws";

/// A longer member, in bytes, is left out.
const LONGEST: usize = 16 << 20;

/// The members of a bundle as they come together.
#[derive(Default)]
pub struct Archive {
    members: Vec<(String, Vec<u8>)>,
    /// What should have been there, and why it is not.
    left_out: Map<String, Value>,
    redaction: Redaction,
}

/// A bundle.
pub struct Packed {
    pub file: Vec<u8>,
    pub manifest: Value,
}

impl Archive {
    /// `redaction`: what stands in no member.
    pub fn new(redaction: Redaction) -> Self {
        Self { redaction, ..Self::default() }
    }

    pub fn text(&mut self, name: &str, text: &str) {
        self.put(name, self.redaction.text(text));
    }

    pub fn json(&mut self, name: &str, document: &Value) {
        self.put(name, format!("{:#}\n", self.redaction.document(document)));
    }

    pub fn without(&mut self, name: &str, why: impl ToString) {
        self.left_out.insert(name.into(), self.redaction.text(&why.to_string()).into());
    }

    pub fn left_out(&self) -> &Map<String, Value> {
        &self.left_out
    }

    fn put(&mut self, name: &str, text: String) {
        match text.len() {
            0..=LONGEST => self.members.push((name.into(), text.into_bytes())),
            length => self.without(name, format!("too long: {length} bytes")),
        }
    }

    /// Puts the manifest first, with its signature or why it has none, and packs all of it. Where that becomes larger than
    /// `most` bytes the longest members are left out.
    ///
    /// # Errors
    /// It does not become so small.
    pub fn pack(
        mut self,
        facts: &Value,
        seal: impl Fn(&Digest) -> Result<String, String>,
        made: u64,
        most: usize,
    ) -> io::Result<Packed> {
        loop {
            let (manifest, head) = self.manifest(facts, &seal);
            let file = pack(head.iter().chain(&self.members), made)?;
            if file.len() <= most {
                return Ok(Packed { file, manifest });
            }
            let lengths = self.members.iter().enumerate().map(|(at, (_, bytes))| (bytes.len(), at));
            let Some((length, at)) = lengths.max() else { return Err(io::ErrorKind::FileTooLarge.into()) };
            let (name, _) = self.members.remove(at);
            self.without(&name, format!("left out so that the bundle is no larger than {most} bytes: {length} bytes"));
        }
    }

    /// What says of all the others what they are.
    fn manifest(
        &self,
        facts: &Value,
        seal: impl Fn(&Digest) -> Result<String, String>,
    ) -> (Value, Vec<(String, Vec<u8>)>) {
        let named = |(name, bytes): &(String, Vec<u8>)| json!({ "name": name, "bytes": bytes.len(), "sha256": Digest::of(bytes) });
        let members: Value = self.members.iter().map(named).collect();
        let mut manifest = json!({ "made": facts, "members": members, "left_out": self.left_out });
        let mut head = vec![(MANIFEST.to_owned(), format!("{manifest:#}\n").into_bytes())];
        match seal(&Digest::of(&head[0].1)) {
            Ok(seal) => head.push((SEAL.into(), seal.into_bytes())),
            Err(why) => {
                manifest["unsigned"] = why.into();
                head[0].1 = format!("{manifest:#}\n").into_bytes();
            }
        }
        (manifest, head)
    }
}

fn pack<'m>(members: impl IntoIterator<Item = &'m (String, Vec<u8>)>, made: u64) -> io::Result<Vec<u8>> {
    let packed = GzBuilder::new().mtime(0).operating_system(SYSTEM).write(Vec::new(), Compression::default());
    let mut tar = tar::Builder::new(packed);
    for (name, bytes) in members {
        let mut head = tar::Header::new_ustar();
        head.set_size(bytes.len() as u64);
        head.set_mode(0o600);
        head.set_mtime(made);
        tar.append_data(&mut head, format!("{FOLDER}/{name}"), bytes.as_slice())?;
    }
    let mut file = tar.into_inner()?.finish()?;
    file.flush()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It does not get shorter by packing.
    fn noise(length: usize) -> String {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + ((state >> 33) % 26) as u8)
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn what_makes_it_too_large_is_left_out_by_name_and_the_rest_is_sealed() {
        let mut archive = Archive::default();
        archive.text("small.txt", "small");
        archive.text("large.txt", &noise(60_000));
        archive.text("larger.txt", &noise(90_000));
        archive.text("endless.txt", &"x".repeat(LONGEST + 1));
        assert!(archive.left_out()["endless.txt"].as_str().unwrap().contains("too long"));
        let sealed = |digest: &Digest| Ok(digest.to_string());
        let Packed { file, manifest } = archive.pack(&json!({}), sealed, 0, 80_000).unwrap();
        assert!(file.len() <= 80_000 && file.len() > 30_000, "{}", file.len());
        let names: Vec<&Value> = manifest["members"].as_array().unwrap().iter().map(|member| &member["name"]).collect();
        assert_eq!(names, ["small.txt", "large.txt"]);
        assert!(manifest["left_out"]["larger.txt"].as_str().unwrap().ends_with(": 90000 bytes"), "{manifest:#}");
        // The seal is that of the manifest that is in it.
        let mut seen = Vec::new();
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file.as_slice()));
        for entry in tar.entries().unwrap() {
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut entry.unwrap(), &mut bytes).unwrap();
            seen.push(bytes);
        }
        assert_eq!(seen.len(), 4);
        assert_eq!(seen[1], Digest::of(&seen[0]).as_str().as_bytes());

        let archive = Archive::default();
        let unsigned = |_: &Digest| Err("nobody signs here".to_owned());
        assert_eq!(archive.pack(&json!({}), unsigned, 0, 1_000).unwrap().manifest["unsigned"], "nobody signs here");
        assert!(Archive::default().pack(&json!({}), unsigned, 0, 10).is_err());
    }

    #[test]
    fn what_is_kept_back_is_in_no_member() {
        let mut archive = Archive::new(Redaction::of(b"[service]\npin = \"HUSHHUSH\""));
        archive.text("a.txt", "HUSHHUSH");
        archive.json("b.json", &json!({ "told": "HUSHHUSH" }));
        archive.without("c.txt", "HUSHHUSH can't be read");
        let all = format!(
            "{:?} {:?}",
            archive.left_out,
            archive.members.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes)).collect::<Vec<_>>()
        );
        assert!(!all.contains("HUSH") && all.matches("(removed)").count() == 3, "{all}");
    }
}
