//! Every key that `kioskctl` answers programs with stands in the paper. The answers are those on its screens, which
//! `tests/machine/kioskctl.rs` compares with the real ones.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// What is described elsewhere, as a whole; its parts are no keys of the answer.
const ELSEWHERE: [&str; 6] = ["body", "by", "asked", "outcome", "label", "advice"];
/// Tables whose keys are names of the machine.
const NAMES: [&str; 3] = ["devices", "stock", "rails_refusing"];

fn keys(document: &Value, into: &mut BTreeSet<String>) {
    match document {
        Value::Object(fields) => {
            for (key, value) in fields {
                into.insert(key.clone());
                match value {
                    _ if ELSEWHERE.contains(&key.as_str()) => {}
                    Value::Object(named) if NAMES.contains(&key.as_str()) => {
                        named.values().for_each(|of| keys(of, into))
                    }
                    value => keys(value, into),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|of| keys(of, into)),
        _ => {}
    }
}

/// A verb and what it has answered.
fn answers(screen: &str) -> Vec<(&str, Value)> {
    let typed = screen.split("$ kioskctl ").skip(1).filter_map(|part| {
        let (words, rest) = part.split_once('\n')?;
        let (answer, _) = rest.split_once("exit status ")?;
        words.contains("--json").then_some(())?;
        Some((words.split(' ').next()?, serde_json::from_str(answer).ok()?))
    });
    typed.collect()
}

/// The part of the paper that is about a verb.
fn section<'p>(paper: &'p str, verb: &str) -> &'p str {
    let about = |part: &&str| part.lines().next().is_some_and(|head| head.split(", ").any(|name| name == verb));
    paper.split("\n## ").skip(1).find(about).unwrap_or_else(|| panic!("docs/answers.md has no part about {verb}"))
}

#[test]
fn every_key_of_an_answer_is_in_the_paper() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let paper = fs::read_to_string(root.join("docs/answers.md")).unwrap();
    let state = fs::read_to_string(root.join("docs/fleet.md")).unwrap();
    let (mut verbs, mut missing) = (BTreeSet::new(), BTreeSet::new());
    for entry in fs::read_dir(root.join("tests/golden/kioskctl")).unwrap() {
        let screen = fs::read_to_string(entry.unwrap().path()).unwrap();
        for (verb, answer) in answers(&screen) {
            let mut all = BTreeSet::new();
            keys(&answer, &mut all);
            let known = |key: &str| {
                let quoted = format!("`{key}`");
                let part = section(&paper, verb);
                // An export has more tables than one, whose keys other parts have.
                let whole = if verb == "export" { paper.as_str() } else { part };
                whole.contains(&quoted) || verb == "status" && state.contains(key)
            };
            missing.extend(all.iter().filter(|key| !known(key)).map(|key| format!("{verb}: {key}")));
            verbs.insert(verb.to_owned());
        }
    }
    assert!(missing.is_empty(), "docs/answers.md does not say what these are: {missing:#?}");
    assert!(verbs.len() >= 15, "{verbs:?}");
}
