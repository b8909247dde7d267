//! Makes a keyset: whose commands count, signed by the fleet's root.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::OfficeError;
use crate::fleet::topic::Name;
use crate::operation::{Actor, KeyName};
use crate::signed::keys::KeySource;
use crate::signed::keyset::{KeyEntry, KeysetContent, Role};

/// One key as it is named on the command line: `NAME=FILE.pem:ROLE,ROLE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChoice {
    pub name: KeyName,
    pub file: PathBuf,
    pub roles: Vec<Role>,
}

impl FromStr for KeyChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "write NAME=FILE.pem:ROLE,ROLE with the roles sell, config and update".to_owned();
        let (name, rest) = text.split_once('=').ok_or_else(form)?;
        let (file, roles) = rest.rsplit_once(':').ok_or_else(form)?;
        let roles: Option<Vec<Role>> = roles.split(',').map(Role::parse).collect();
        let name = KeyName::parse(name).ok_or_else(form)?;
        Ok(Self { name, file: file.into(), roles: roles.ok_or_else(form)? })
    }
}

/// Writes a new keyset to `out`, which must not be there yet.
///
/// # Errors
/// When a key can't be read, or the keyset would not count, or can't be written.
pub fn make_keyset(
    root: &Path,
    fleet: &Name,
    version: u64,
    keys: &[KeyChoice],
    revoked: Vec<KeyName>,
    out: &Path,
) -> Result<(), OfficeError> {
    let root = KeySource::File(root.into()).signer(Actor::ROOT)?;
    let entry = |KeyChoice { name, file, roles }: &KeyChoice| {
        let key = KeySource::File(file.clone()).signers_key()?;
        Ok(KeyEntry::new(name.clone(), &key, roles.clone()))
    };
    let keys = keys.iter().map(entry).collect::<Result<_, OfficeError>>()?;
    let text = KeysetContent { fleet: fleet.to_string(), version, keys, revoked }.sign(&root)?;
    let failed = |source| OfficeError::File { path: out.into(), source };
    let mut file = std::fs::File::create_new(out).map_err(failed)?;
    writeln!(file, "{text}").and_then(|()| file.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::keygen::keygen;
    use crate::operation::Rights;
    use crate::signed::keyset::Keyset;

    #[test]
    fn a_key_is_named_with_its_file_and_roles() {
        let choice: KeyChoice = "office=a=b:c.pem:sell,update".parse().unwrap();
        assert_eq!((choice.name.as_str(), choice.file.to_str().unwrap()), ("office", "a=b:c.pem"));
        assert_eq!(choice.roles, [Role::Sell, Role::Update]);
        for bad in ["", "office", "office=a.pem", "office=a.pem:", "office=a.pem:admin", "a b=a.pem:sell"] {
            assert!(bad.parse::<KeyChoice>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_made_counts_and_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let name = |text: &str| Name::parse(text).unwrap();
        for pair in ["root", "a", "b"] {
            keygen(folder.path(), &name(pair)).unwrap();
        }
        let at = |file: &str| folder.path().join(file);
        let choice = |kid: &str| format!("{kid}={}:sell", at(&format!("{kid}.pem")).display()).parse().unwrap();
        let make =
            |keys: &[KeyChoice]| make_keyset(&at("root.key"), &name("demo"), 2, keys, Vec::new(), &at("keyset.json"));
        assert!(make(&[choice("a")]).unwrap_err().to_string().contains("it has 1 keys"));
        make(&[choice("a"), choice("b")]).unwrap();
        let root = KeySource::File(at("root.pem")).signers_key().unwrap();
        let keyset = Keyset::open(&root, "demo", &std::fs::read(at("keyset.json")).unwrap()).unwrap();
        let sells = Rights { configure: false, update: false, ..Rights::ALL };
        assert_eq!((keyset.version(), keyset.rights("b")), (2, Some(sells)));
        assert!(matches!(make(&[choice("a"), choice("b")]), Err(OfficeError::File { .. })));
    }
}
