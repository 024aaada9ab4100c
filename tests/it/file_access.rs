//! The calls that take a path, in the sources and in `docs/file-access.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::common::repository;

/// The last parts of the names of the calls that `clippy.toml` allows in few files only.
fn guarded() -> BTreeSet<String> {
    let clippy = fs::read_to_string(repository().join("clippy.toml")).unwrap();
    let paths = clippy.lines().filter_map(|line| line.trim().strip_prefix("{ path = \"")?.split('"').next());
    paths.map(|path| path.rsplit("::").next().unwrap().to_owned()).collect()
}

/// Names that other functions have too, those of a `Place` among them, so that they tell nothing by themselves.
const COMMON: [&str; 17] = [
    "open",
    "read",
    "write",
    "copy",
    "link",
    "stat",
    "options",
    "exists",
    "metadata",
    "rename",
    "create",
    "mkdir",
    "unlink",
    "remove_file",
    "is_file",
    "create_new",
    "names",
];

/// The guarded calls of a file, without its tests.
fn calls(text: &str, guarded: &BTreeSet<String>) -> BTreeSet<String> {
    let code = text.split("\n#[cfg(test)]\nmod ").next().unwrap();
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//") && !line.contains("fn "));
    let code = code.collect::<Vec<_>>().join("\n");
    let is_called = |name: &&String| {
        code.match_indices(&format!("{name}(")).any(|(at, _)| {
            let before = code[..at].chars().next_back();
            // Not the end of a longer name, and no method of a `Place`, which has names of its own.
            before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
        })
    };
    guarded.iter().filter(is_called).cloned().collect()
}

/// The files whose code may make guarded calls.
fn allowed(folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            allowed(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let name = path.strip_prefix(repository()).unwrap().to_str().unwrap().to_owned();
            // In lib.rs it is the tests that are allowed.
            if text.contains("clippy::disallowed_methods") && name != "src/lib.rs" {
                found.insert(name, text);
            }
        }
    }
}

/// The rows of the page: a file and its calls.
fn rows() -> BTreeMap<String, BTreeSet<String>> {
    let page = fs::read_to_string(repository().join("docs/file-access.md")).unwrap();
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect::<Vec<_>>();
    let rows = page.lines().filter(|line| line.starts_with("| `src/"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        (names(cells[0]).remove(0), names(cells[1]).into_iter().collect())
    })
    .collect()
}

#[test]
fn every_call_that_takes_a_path_stands_on_the_page() {
    let guarded = guarded();
    assert!(guarded.contains("openat2") && guarded.contains("read_to_string") && guarded.len() > 30);
    let mut found = BTreeMap::new();
    allowed(&repository().join("src"), &mut found);
    let rows = rows();
    assert_eq!(rows.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    for (file, text) in &found {
        let made = calls(text, &guarded);
        let missing: Vec<&String> =
            made.difference(&rows[file]).filter(|name| !COMMON.contains(&name.as_str())).collect();
        assert!(missing.is_empty(), "{file} calls {missing:?}, which its row does not name");
        let gone: Vec<&String> = rows[file].difference(&made).collect();
        assert!(gone.is_empty(), "the row of {file} names {gone:?}, which it does not call");
    }
}
