//! What the papers for engineers name is there, and what is there is named.

use std::fs;
use std::path::{Path, PathBuf};

const PAPERS: [&str; 3] = ["docs/architecture.md", "CONTRIBUTING.md", "tests/README.md"];

/// Where a path of this repository begins.
const FOLDERS: [&str; 10] =
    ["src/", "tests/", "docs/", "configs/", "assets/", "systemd/", "benches/", "fuzz/", "yocto/", ".github/"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(paper: &str) -> String {
    fs::read_to_string(root().join(paper)).unwrap()
}

/// Every word in backticks that is a path; of a command, each of its words.
fn paths(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let words = quoted.flat_map(str::split_whitespace);
    words.filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder))).collect()
}

/// Every file that a link leads to.
fn links<'t>(paper: &str, text: &'t str) -> Vec<(&'t str, PathBuf)> {
    let folder = root().join(paper).parent().unwrap().to_owned();
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let files = targets.filter(|target| !target.contains("://")).filter_map(|target| target.split('#').next());
    files.filter(|file| !file.is_empty()).map(|file| (file, folder.join(file))).collect()
}

#[test]
fn every_file_that_a_paper_names_is_there() {
    let mut lost = Vec::new();
    for paper in PAPERS {
        let text = read(paper);
        let (paths, links) = (paths(&text), links(paper, &text));
        assert!(paths.len() > 15, "{paper}: only {} paths were seen", paths.len());
        lost.extend(paths.iter().filter(|path| !root().join(path).exists()).map(|path| format!("{paper}: {path}")));
        lost.extend(links.iter().filter(|(_, file)| !file.exists()).map(|(link, _)| format!("{paper}: {link}")));
    }
    assert!(lost.is_empty(), "these are not there:\n{}", lost.join("\n"));
}

#[test]
fn every_test_program_is_in_the_list_of_tests() {
    let text = read("tests/README.md");
    let mut seen = 0;
    for entry in fs::read_dir(root().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        let program = path.join("main.rs").exists() || path.extension().is_some_and(|kind| kind == "rs");
        if program {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(text.contains(&format!("`--test {name}`")), "tests/README.md does not name `--test {name}`");
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} test programs were seen");
}

#[test]
fn a_path_and_a_link_are_seen() {
    let text = "See `src/lib.rs`, `cargo run tests/run`, `sale::next`, src/no.rs and [it](../README.md#here), [x](https://x.y).";
    assert_eq!(paths(text), ["src/lib.rs", "tests/run"]);
    assert_eq!(links("docs/lab.md", text), [("../README.md", root().join("docs/../README.md"))]);
}
