//! A second person's word for a plan: a signature over its digest, in a file beside it.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RolloutError;
use super::plan::Plan;
use crate::fleet::office::SigningKey;
use crate::signed::jws::{PublicKey, Purpose};

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Approved {
    fleet: String,
    /// SHA-256 of the plan and of everything that it will send.
    digest: String,
}

/// `plan.toml.approval` beside `plan.toml`.
pub fn beside(plan: &Path) -> PathBuf {
    let mut name = plan.as_os_str().to_owned();
    name.push(".approval");
    name.into()
}

/// Signs a plan as it stands now, and answers with its digest.
///
/// # Errors
/// The plan makes no sense, does not name this key, or the approval can't be written.
pub fn approve(path: &Path, key: &SigningKey) -> Result<String, RolloutError> {
    let plan = Plan::read(path)?;
    let digest = plan.digest(&plan.texts()?)?;
    let content = Approved { fleet: plan.fleet.to_string(), digest: digest.clone() };
    let message = key.signer().sign(Purpose::RolloutApproval, &content)?;
    // What does not count is better not written.
    let approvers = plan.approvers()?.ok_or(RolloutError::NoApproval)?;
    approvers.open::<Approved>(Purpose::RolloutApproval, &message).map_err(RolloutError::NotApproved)?;
    let file = beside(path);
    let failed = |source| RolloutError::File { path: file.clone(), source };
    let mut written = std::fs::File::create(&file).map_err(failed)?;
    written.write_all(&message).and_then(|()| written.write_all(b"\n")).map_err(failed)?;
    written.sync_all().map_err(failed)?;
    Ok(digest)
}

/// Whether a plan that wants an approval has one, by somebody else than who holds `own`. Answers with the name of whoever
/// approved it.
///
/// # Errors
/// It has none that counts.
pub fn check(path: &Path, plan: &Plan, digest: &str, own: &PublicKey) -> Result<Option<String>, RolloutError> {
    let Some(approvers) = plan.approvers()? else { return Ok(None) };
    let file = beside(path);
    let message = std::fs::read(&file).map_err(|_| RolloutError::Unapproved { path: file.clone() })?;
    let opened = approvers.open::<Approved>(Purpose::RolloutApproval, message.trim_ascii_end());
    let (content, kid) = opened.map_err(RolloutError::NotApproved)?;
    if content.fleet != plan.fleet.as_str() || content.digest != digest {
        return Err(RolloutError::OtherApproval);
    }
    if approvers.get(&kid).is_some_and(|key| key == own) {
        return Err(RolloutError::OwnApproval(kid));
    }
    Ok(Some(kid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::keygen::keygen;
    use crate::fleet::topic::Name;

    #[test]
    fn only_another_persons_word_for_this_very_plan_counts() {
        let folder = tempfile::tempdir().unwrap();
        let at = |file: &str| folder.path().join(file);
        for pair in ["office", "boss", "stranger"] {
            keygen(folder.path(), &Name::parse(pair).unwrap()).unwrap();
        }
        let key = |name: &str| SigningKey::open(&at(&format!("{name}.key")), None).unwrap();
        let path = at("plan.toml");
        let write = |reason: &str, approval: &str| {
            let text = format!(
                "fleet = \"street\"\nmachines = [\"K1\"]\nverb = \"lock\"\narguments = {{ reason = \"{reason}\" }}\n\
                 waves = [\"100%\"]\n{approval}"
            );
            std::fs::write(&path, text).unwrap();
        };
        let both = "approval = { keys = { boss = \"boss.pem\", office = \"office.pem\" } }";
        let check = || {
            let plan = Plan::read(&path).unwrap();
            let digest = plan.digest(&plan.texts().unwrap()).unwrap();
            check(&path, &plan, &digest, &key("office").public())
        };
        write("closed", "");
        assert_eq!(check().unwrap(), None);
        assert!(matches!(approve(&path, &key("boss")), Err(RolloutError::NoApproval)));
        write("closed", both);
        assert!(matches!(check(), Err(RolloutError::Unapproved { .. })));
        assert!(matches!(approve(&path, &key("stranger")), Err(RolloutError::NotApproved(_))));
        approve(&path, &key("office")).unwrap();
        assert!(matches!(check(), Err(RolloutError::OwnApproval(_))));
        approve(&path, &key("boss")).unwrap();
        assert_eq!(check().unwrap().as_deref(), Some("boss"));
        write("opened", both);
        assert!(matches!(check(), Err(RolloutError::OtherApproval)));
        std::fs::write(beside(&path), "{}").unwrap();
        assert!(matches!(check(), Err(RolloutError::NotApproved(_))));
    }
}
