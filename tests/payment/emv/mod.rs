//! Our payment codes as other people's software reads them, and theirs as we do: seven npm packages in pinned versions,
//! run once over some thousand codes made from seeded chance.
//!
//! Where a package is known to be wrong is listed ([`KNOWN`]), with the condition under which it may be. A wrong answer
//! anywhere else fails, and so does an entry that nothing hits any more.

mod schemes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kioskd::emv::tlv;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

type Texts = BTreeMap<String, String>;

/// Of each profile.
const CASES: usize = 400;

#[derive(Serialize)]
struct Case {
    profile: &'static str,
    payload: String,
    /// Every object by its path, `26.01`.
    #[serde(skip)]
    objects: Texts,
    /// What was meant, by the names that the scheme's own reader gives it.
    meant: Texts,
    /// A package that builds codes is to build this one too.
    builder: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Heard {
    Objects(Texts),
    Fields(Texts),
    Text(String),
    #[allow(dead_code, reason = "shown when a test fails")]
    Refused(String),
}

/// Where a package is wrong.
struct Flaw {
    package: &'static str,
    what: &'static str,
    /// Only a case for which this holds may go wrong.
    may: fn(&Case) -> bool,
    /// And it always does: the flaw is understood.
    always: bool,
}

const KNOWN: &[Flaw] = &[
    Flaw {
        package: "emvqr",
        what: "writes a checksum of 00xx with two digits and refuses the right one",
        may: checksum_of_two_digits,
        always: true,
    },
    Flaw {
        package: "steplix-emvqr",
        what: "writes a checksum of 00xx with two digits and refuses the right one",
        may: checksum_of_two_digits,
        always: true,
    },
    Flaw {
        package: "emvqr",
        what: "throws on a merchant category that is not in its list, 0000 and 9999 among them",
        may: |case| matches!(case.objects.get("52").map(String::as_str), Some("0000" | "9999")),
        always: true,
    },
    Flaw {
        package: "steplix-emvqr",
        what: "takes the text of an inner object for objects when it could begin with two characters of ID and a length",
        may: |case| {
            let mut inner = case.objects.iter().filter(|(path, _)| path.contains('.'));
            inner.any(|(_, text)| text.as_bytes().get(2).is_some_and(u8::is_ascii_digit))
        },
        always: false,
    },
    Flaw {
        package: "emvqr",
        what: "takes a card scheme's account, 02 to 25, for a template",
        may: |case| case.objects.keys().any(|path| ("02".."26").contains(&path.as_str())),
        always: true,
    },
    Flaw {
        package: "promptparse",
        what: "sums UTF-16 units and not UTF-8 bytes, and refuses the specification's own sample",
        may: |case| !case.payload.is_ascii(),
        always: true,
    },
];

fn checksum_of_two_digits(case: &Case) -> bool {
    case.payload[case.payload.len() - 4..].starts_with("00")
}

#[test]
fn other_readers_find_what_we_meant() {
    let mut cases = schemes::made(CASES);
    let ours = cases.len();
    cases.extend(published());
    let answers = ask(&cases);
    assert_eq!(answers.len(), cases.len());

    let mut hits = vec![0; KNOWN.len()];
    let mut agreed: BTreeMap<String, usize> = BTreeMap::new();
    for (case, answer) in cases.iter().zip(&answers) {
        for (package, heard) in answer {
            let right = agrees(case, heard);
            let flaws = KNOWN.iter().zip(&mut hits).filter(|(flaw, _)| flaw.package == package && (flaw.may)(case));
            let mut excused = false;
            for (flaw, hits) in flaws {
                assert!(
                    !right || !flaw.always,
                    "{package} is cured, take it off the list: {}: {}",
                    flaw.what,
                    case.payload
                );
                *hits += usize::from(!right);
                excused = true;
            }
            assert!(
                right || excused,
                "{package} on {}: {heard:?}\nmeant {:#?}\n{:#?}",
                case.payload,
                case.objects,
                case.meant
            );
            *agreed.entry(package.clone()).or_default() += usize::from(right);
        }
    }
    for (flaw, hits) in KNOWN.iter().zip(hits) {
        assert!(hits > 0, "nothing hits it any more: {}: {}", flaw.package, flaw.what);
    }
    println!("{ours} codes of ours and {} published: agreed {agreed:?}", cases.len() - ours);
    // None of them may have gone unasked.
    for (package, least) in [
        ("promptparse", 3000),
        ("emvqr", 1500),
        ("steplix-emvqr", 2000),
        ("pix-utils", 2 * CASES),
        ("promptparse/validate", 2 * CASES),
        ("vietnam-qr-pay", CASES),
        ("node:url", CASES),
        ("promptpay-qr", CASES),
        ("@chewhx/paynowqr", 80),
        ("vietnam-qr-pay (builds)", 100),
    ] {
        let count = agreed.get(package).copied().unwrap_or(0);
        assert!(count >= least, "{package} agreed on {count} codes only");
    }
}

fn agrees(case: &Case, heard: &Heard) -> bool {
    match heard {
        Heard::Objects(objects) => {
            // Whether they look into these templates is their affair.
            let [mut objects, mut expected] = [objects.clone(), case.objects.clone()];
            for whole in ["38.01", "64", "91"] {
                fold(&mut objects, whole);
                fold(&mut expected, whole);
            }
            objects == expected
        }
        Heard::Fields(fields) => *fields == case.meant,
        Heard::Text(text) if case.profile == "promptpay" => {
            // Theirs has no labels and another order.
            let theirs = tlv::open(text).unwrap();
            let ours = tlv::open(&case.payload).unwrap();
            theirs.iter().all(|object| ours.contains(object))
        }
        Heard::Text(text) => *text == case.payload,
        Heard::Refused(_) => false,
    }
}

/// `38.01.00` and `38.01.01` as the text of `38.01`.
fn fold(objects: &mut Texts, path: &str) {
    let inside = format!("{path}.");
    let parts: Vec<_> = objects.extract_if(.., |name, _| name.starts_with(&inside)).collect();
    if !parts.is_empty() {
        let text = parts.iter().map(|(name, text)| {
            let id = &name[inside.len()..];
            format!("{id}{:02}{text}", text.chars().count())
        });
        objects.insert(path.to_owned(), text.collect());
    }
}

/// Codes that others published, with what our reader says is in them.
fn published() -> Vec<Case> {
    let golden: Value = serde_json::from_str(include_str!("../../golden/payment/emv.json")).unwrap();
    let entries = golden["published"].as_array().unwrap();
    let case = |entry: &Value| {
        let payload = entry["payload"].as_str().unwrap().to_owned();
        let mut objects = Texts::new();
        for object in tlv::open(&payload).unwrap() {
            let template = matches!(object.id, 26..=51 | 62);
            match template.then(|| object.objects().unwrap()) {
                None => drop(objects.insert(format!("{:02}", object.id), object.value)),
                Some(inside) => {
                    let path = |id: u8| format!("{:02}.{id:02}", object.id);
                    objects.extend(inside.into_iter().map(|part| (path(part.id), part.value)));
                }
            }
        }
        objects.insert("63".to_owned(), payload[payload.len() - 4..].to_owned());
        Case { profile: "", payload, objects, meant: Texts::new(), builder: false }
    };
    entries.iter().map(case).collect()
}

/// Where the packages are: `KIOSKD_NPM`, else `target/test-tools/npm`.
fn packages() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::env::var_os("KIOSKD_NPM").map_or_else(|| root.join("target/test-tools/npm"), PathBuf::from)
}

fn ask(cases: &[Case]) -> Vec<BTreeMap<String, Heard>> {
    let directory = packages();
    let support = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/payment/emv");
    let install = format!(
        "install them (node 20 or later and npm) with:\n  mkdir -p {0} && cp {1}/package*.json {0} && npm ci --prefix {0} \
         --ignore-scripts",
        directory.display(),
        support.display()
    );
    assert!(directory.join("node_modules").is_dir(), "no npm packages in {}; {install}", directory.display());
    let question = serde_json::to_vec(&json!({ "cases": cases })).unwrap();
    let mut node = kioskd_tests::child::command("node");
    let output = kioskd_tests::child::Running::answer(node.arg(support.join("check.mjs")).arg(&directory), &question);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "check.mjs failed; {install}\n{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}
