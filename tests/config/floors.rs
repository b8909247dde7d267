//! The house has floors: no room imports one above it, and no two files of a room import each other.
//!
//! Excused are modules of tests, a file with its own folder, and `src/bin`, which nobody imports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::children::sources;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The rooms from the top to the bottom, as the library's map has them.
fn rooms() -> Vec<String> {
    let library = fs::read_to_string(source().join("lib.rs")).unwrap();
    let declared: BTreeSet<&str> =
        library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let map = library.lines().filter(|line| line.starts_with("//! - ") || line.starts_with("//!   "));
    let words = map.flat_map(|line| line.split('`').skip(1).step_by(2));
    let rooms: Vec<String> = words.filter(|word| declared.contains(word)).map(str::to_owned).collect();
    assert_eq!(rooms.iter().map(String::as_str).collect::<BTreeSet<_>>(), declared, "the map has all rooms");
    assert_eq!(rooms.len(), declared.len(), "the map has each room once");
    rooms
}

/// Without comments and modules of tests.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" {
            let item = lines.find(|line| !line.starts_with("#[")).unwrap_or_default();
            if item.ends_with('{') {
                lines.find(|line| *line == "}");
            }
        } else if !line.trim_start().starts_with("//") {
            code += line;
            code.push('\n');
        }
    }
    code
}

type Names = Vec<String>;

/// Every path that stands at the beginning of `text`, with those of its braces; and what is behind.
fn path<'t>(mut text: &'t str, before: &Names, found: &mut Vec<Names>) -> &'t str {
    let mut names = before.clone();
    loop {
        text = text.trim_start();
        if let Some(group) = text.strip_prefix('{') {
            text = group;
            loop {
                text = path(text, &names, found).trim_start();
                text = match text.strip_prefix(',') {
                    Some(next) => next.trim_start(),
                    None => return text.strip_prefix('}').unwrap_or(text),
                };
                if let Some(rest) = text.strip_prefix('}') {
                    return rest;
                }
            }
        }
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        if end > 0 && &text[..end] != "self" {
            names.push(text[..end].to_owned());
        }
        text = &text[end..];
        match text.strip_prefix("::") {
            Some(rest) => text = rest,
            None => break,
        }
    }
    // A second name for it.
    if let Some(name) = text.strip_prefix(" as ") {
        text = &name[name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len())..];
    }
    found.push(names);
    text
}

/// Every path of `code` behind one of `starts`, which is its first name.
fn paths(code: &str, starts: &[&str]) -> Vec<Names> {
    let mut found = Vec::new();
    for start in starts {
        for (at, _) in code.match_indices(start) {
            if !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                path(&code[at..], &Names::new(), &mut found);
            }
        }
    }
    found
}

/// A file as a module.
struct File {
    module: Names,
    code: String,
}

fn files() -> Vec<File> {
    let source = source();
    let mut files = Vec::new();
    for path in sources(&source) {
        let module = path.strip_prefix(&source).unwrap().with_extension("");
        let mut module: Names = module.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        module.retain(|part| part != "mod");
        if module[0] != "bin" && module[0] != "lib" && !module.iter().any(|part| part == "tests") {
            files.push(File { module, code: code(&fs::read_to_string(path).unwrap()) });
        }
    }
    files
}

#[test]
fn no_room_imports_one_above_it() {
    let rooms = rooms();
    let floor = |room: &String| rooms.iter().position(|known| known == room);
    let mut wrong = Vec::new();
    let mut seen = 0;
    for File { module, code } in files() {
        let own = floor(&module[0]).unwrap_or_else(|| panic!("{module:?} is in no room of the map"));
        for path in paths(code.as_str(), &["crate::"]) {
            let other = path.get(1).and_then(&floor).unwrap_or_else(|| panic!("{module:?}: {path:?} is no room's"));
            seen += 1;
            if other < own {
                wrong.push(format!("{} imports {}", module.join("::"), path.join("::")));
            }
        }
    }
    assert!(seen > 500, "only {seen} paths were seen");
    assert!(wrong.is_empty(), "a room that is above:\n{}", wrong.join("\n"));
}

#[test]
fn no_two_files_of_a_room_import_each_other() {
    let files = files();
    let all: BTreeSet<&Names> = files.iter().map(|file| &file.module).collect();
    let absolute = |module: &Names, path: &Names| -> Names {
        let up = path.iter().take_while(|name| *name == "super").count();
        let base = match path.first().map(String::as_str) {
            Some("crate") => return path[1..].to_vec(),
            _ if up > 0 => &module[..module.len().saturating_sub(up)],
            // A name of the module's own.
            _ => module,
        };
        [base, &path[up..]].concat()
    };
    // What a module calls by a name of its own, by that name.
    let mut renamed: BTreeMap<Names, Names> = BTreeMap::new();
    for File { module, code } in &files {
        for (at, _) in code.match_indices("use ") {
            let mut found = Vec::new();
            path(&code[at + 4..], &Names::new(), &mut found);
            for path in found.iter().filter(|path| path.len() > 1) {
                let name = [module.as_slice(), &path[path.len() - 1..]].concat();
                renamed.insert(name, absolute(module, path));
            }
        }
    }
    let home = |path: &Names| -> Option<&Names> {
        let mut path = path.clone();
        for _ in 0..8 {
            let known = (1..=path.len()).rev().find_map(|length| renamed.get(&path[..length]).map(|to| (length, to)));
            match known {
                Some((length, to)) if *to != path => path = [to.as_slice(), &path[length..]].concat(),
                _ => break,
            }
        }
        (1..=path.len()).rev().find_map(|length| all.get(&path[..length].to_vec()).copied())
    };
    let mut imports: BTreeSet<(&Names, &Names)> = BTreeSet::new();
    for File { module, code } in &files {
        for path in paths(code, &["crate::", "super::"]) {
            let Some(other) = home(&absolute(module, &path)) else { continue };
            let related = other.starts_with(module) || module.starts_with(other);
            if other[0] == module[0] && !related {
                imports.insert((module, other));
            }
        }
    }
    assert!(imports.len() > 100, "only {} imports were seen", imports.len());
    let circles: Vec<String> = imports
        .iter()
        .filter(|(one, other)| one < other && imports.contains(&(*other, *one)))
        .map(|(one, other)| (one.join("::"), other.join("::")))
        .map(|(one, other)| format!("{one} and {other}"))
        .collect();
    assert!(circles.is_empty(), "files that import each other:\n{}", circles.join("\n"));
}
