//! What shells and `man` get of the command line, tried by bash and groff themselves.

use std::path::Path;

use kioskd_tests::child::command;

use super::verbs;

const KIOSKCTL: &str = env!("CARGO_BIN_EXE_kioskctl");

/// What bash offers for the last of these words.
fn offered(words: &str) -> Vec<String> {
    let script = format!(
        "source <({KIOSKCTL} completions bash) && COMP_WORDS=({words}) && COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)) && \
         _kioskctl kioskctl \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let told = command("bash").args(["--norc", "--noprofile", "-c", &script]).output().unwrap();
    assert!(told.status.success() && told.stderr.is_empty(), "{}", String::from_utf8_lossy(&told.stderr));
    let mut words: Vec<String> = String::from_utf8(told.stdout).unwrap().lines().map(str::to_owned).collect();
    words.sort_unstable();
    words
}

#[test]
fn bash_completes_verbs_options_and_values() {
    assert_eq!(offered("kioskctl stat"), ["status"]);
    assert_eq!(offered("kioskctl sett"), ["settle", "settle-claim"]);
    assert_eq!(offered("kioskctl refill --a"), ["--add"]);
    assert_eq!(offered("kioskctl maintenance o"), ["off", "on"]);
    assert_eq!(offered("kioskctl settle-claim 482913 p"), ["paid-outside"]);
    assert!(!offered("kioskctl \"\"").contains(&"man".to_owned()), "it is hidden");
}

#[test]
fn the_scripts_of_other_shells_know_every_verb() {
    for shell in ["zsh", "fish"] {
        let told = command(KIOSKCTL).args(["completions", shell]).output().unwrap();
        let script = String::from_utf8(told.stdout).unwrap();
        for verb in verbs() {
            assert!(
                script.contains(&format!("{verb}:")) || script.contains(&format!("-a \"{verb}\"")),
                "{shell}: {verb}"
            );
        }
    }
}

#[test]
fn every_verb_has_a_page_of_the_manual_that_groff_likes() {
    let folder = tempfile::tempdir().unwrap();
    let told = command(KIOSKCTL).arg("man").arg(folder.path()).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let groff = |page: &Path| {
        let told = command("groff")
            .args(["-man", "-ww", "-K", "utf8", "-T", "utf8", "-P", "-bcou"])
            .arg(page)
            .output()
            .unwrap();
        assert!(told.status.success() && told.stderr.is_empty(), "{}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap()
    };
    let whole = groff(&folder.path().join("kioskctl.1"));
    for verb in verbs().iter().filter(|verb| *verb != "help") {
        assert!(whole.contains(&format!("kioskctl-{verb}(1)")), "{verb} is not in\n{whole}");
        let page = groff(&folder.path().join(format!("kioskctl-{verb}.1")));
        assert!(page.contains("SYNOPSIS") && page.contains("Example"), "{page}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), verbs().len(), "one for all, and none for help");
    let told = command(KIOSKCTL).args(["man", "/nowhere"]).output().unwrap();
    assert_eq!(told.status.code(), Some(2), "{}", String::from_utf8_lossy(&told.stderr));
}
