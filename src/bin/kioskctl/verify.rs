//! Whether what a kiosk has given away is as it was, and whose it is: the report of a test, and a bundle for support. No kiosk is
//! asked, and no ledger.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use flate2::bufread::GzDecoder;
use kioskd::bundle::{FOLDER, MANIFEST, SEAL, SYSTEM};
use kioskd::console::say;
use kioskd::operation::Digest;
use kioskd::signed::jws::{LONGEST, PublicKey};
use kioskd::signed::statement::{BundleSeal, NotTheirs, Statement, TestReport};
use kioskd::vocabulary::{one_line, plural};
use serde_json::{Value, json};

pub fn report(file: &Path, key: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let key = public_key(key)?;
    // One byte more than a report has is enough to see that it is none.
    let document = read(file, LONGEST as u64 + 1)?;
    let (report, by) =
        TestReport::read(&document, &key).with_context(|| format!("{} does not hold", file.display()))?;
    match json {
        true => say(format_args!("{:#}", json!({ "signed_by": by, "report": report })))?,
        false => {
            say(format_args!("{} holds, signed by {}\n{}", file.display(), plain(&by), plain(&report.to_string())))?
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a bundle unpacks to, at most.
const UNPACKED: u64 = 256 << 20;

pub fn bundle(file: &Path, key: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let key = public_key(key)?;
    let holds = || format!("{} does not hold", file.display());
    let members = unpacked(&read(file, UNPACKED)?).with_context(holds)?;
    let (seal, by, count) = sealed(&members, &key).with_context(holds)?;
    match json {
        true => say(format_args!("{:#}", json!({ "signed_by": by, "seal": seal, "members": count })))?,
        false => {
            let (by, seal) = (plain(&by), plain(&seal.to_string()));
            say(format_args!("{} holds, signed by {by}\n{seal}: {}", file.display(), plural(count as u64, "member")))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Name and content of each member, in order.
fn unpacked(file: &[u8]) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut whole = Vec::new();
    let mut packed = GzDecoder::new(file);
    (&mut packed).take(UNPACKED).read_to_end(&mut whole)?;
    ensure!((whole.len() as u64) < UNPACKED, "it unpacks to more than {UNPACKED} bytes");
    ensure!(packed.into_inner().is_empty(), "something stands behind its end");
    // Nothing that no hash covers.
    let bare = file.get(3..8) == Some(&[0; 5]) && file.get(9) == Some(&SYSTEM);
    ensure!(bare, "it was packed by another program");
    let mut members = Vec::new();
    for entry in tar::Archive::new(whole.as_slice()).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let name = path.strip_prefix(FOLDER).and_then(|rest| rest.strip_prefix('/'));
        let name =
            name.filter(|_| entry.header().entry_type().is_file()).context("it has what is no member of a bundle")?;
        let name = name.to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        members.push((name, bytes));
    }
    Ok(members)
}

/// The seal holds for the manifest, and the manifest for everything else: neither more nor less, and in this order.
fn sealed(members: &[(String, Vec<u8>)], key: &PublicKey) -> anyhow::Result<(BundleSeal, String, usize)> {
    let [(first, manifest), rest @ ..] = members else { bail!("it is empty") };
    ensure!(first == MANIFEST, "it does not begin with {MANIFEST}");
    let [(second, seal), rest @ ..] = rest else { bail!(NotTheirs::Unsigned) };
    ensure!(second == SEAL, NotTheirs::Unsigned);
    let (seal, by) = BundleSeal::open(seal, key)?;
    ensure!(seal.sha256 == Digest::of(manifest), "{MANIFEST} is not what was sealed");
    let manifest: Value = serde_json::from_slice(manifest)?;
    let named = manifest["members"].as_array().context("its manifest names no members")?;
    ensure!(named.len() == rest.len(), "its manifest names {} members, and it has {}", named.len(), rest.len());
    for (named, (name, bytes)) in named.iter().zip(rest) {
        let is = json!({ "name": name, "bytes": bytes.len(), "sha256": Digest::of(bytes) });
        ensure!(*named == is, "{name} is not what the manifest says");
    }
    Ok((seal, by, rest.len()))
}

/// A kiosk that is somebody else's by now commands no terminal.
fn plain(text: &str) -> String {
    text.lines().map(|line| one_line(line).collect::<String>()).collect::<Vec<_>>().join("\n")
}

/// Of one kiosk, as `kioskfleet keygen` and openssl write it.
fn public_key(file: &Path) -> anyhow::Result<PublicKey> {
    let pem = read(file, LONGEST as u64)?;
    PublicKey::from_pem(&pem).with_context(|| {
        format!("{} is no Ed25519 public key in PEM; the kiosk's is beside its signing_key, K0001.pem", file.display())
    })
}

fn read(file: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let opened = File::open(file).and_then(|open| open.take(most).read_to_end(&mut bytes));
    opened.with_context(|| file.display().to_string())?;
    Ok(bytes)
}
