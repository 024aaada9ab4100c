//! The structure of the code against what `docs/ARCHITECTURE.md` says of it.
//!
//! The sources are parsed, not run. With `SWEEP_SOURCES=FOLDER` the report is about another checkout.

mod sources;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use self::sources::Sources;

/// Lines of a file before its tests.
const FILE_MAX: usize = 400;
/// Lines of a function.
const FUNCTION_MAX: usize = 40;

static SOURCES: LazyLock<Sources> = LazyLock::new(|| {
    let root = std::env::var_os("SWEEP_SOURCES").map_or_else(project, PathBuf::from);
    Sources::read(&root.join("src"))
});

fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The rows of the map in ARCHITECTURE.md, from the top floor down: a module and the modules it uses.
fn map() -> Vec<(String, BTreeSet<String>)> {
    let text = fs::read_to_string(project().join("docs/ARCHITECTURE.md")).unwrap();
    let (_, after) = text.split_once("\n## Map\n").unwrap();
    let table = after.split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect();
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let module: BTreeSet<String> = names(cells[0]);
        (module.into_iter().next().unwrap(), names(cells[2]))
    })
    .collect()
}

#[test]
fn the_map_names_every_module_and_what_it_uses() {
    let drawn: BTreeMap<String, BTreeSet<String>> = map().into_iter().collect();
    assert_eq!(drawn, SOURCES.module_uses());
}

#[test]
fn every_arrow_of_the_map_points_down() {
    let rows = map();
    for (at, (module, uses)) in rows.iter().enumerate() {
        let below: BTreeSet<&String> = rows[at + 1..].iter().map(|(name, _)| name).collect();
        let up: Vec<&String> = uses.iter().filter(|used| !below.contains(used)).collect();
        assert!(up.is_empty(), "{module} stands below {up:?}, which it uses");
    }
}

#[test]
fn no_file_uses_one_that_uses_it() {
    assert_eq!(SOURCES.circles(), Vec::<Vec<String>>::new());
}

#[test]
fn every_file_says_what_it_owns() {
    let without: Vec<&String> = SOURCES.files().filter(|(_, file)| !file.has_header).map(|it| it.0).collect();
    assert_eq!(without, Vec::<&String>::new());
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let long: Vec<(&String, usize)> =
        SOURCES.files().map(|(name, file)| (name, file.lines)).filter(|it| it.1 > FILE_MAX).collect();
    assert_eq!(long, Vec::new());
}

#[test]
fn no_function_is_longer_than_a_screen() {
    let long = SOURCES.functions().filter(|it| it.lines > FUNCTION_MAX);
    let long: Vec<String> = long.map(|it| format!("{} has {} lines", it.name, it.lines)).collect();
    assert_eq!(long, Vec::<String>::new());
}

#[test]
fn every_file_that_the_page_names_is_there() {
    let text = fs::read_to_string(project().join("docs/ARCHITECTURE.md")).unwrap();
    let quoted = text.split('`').skip(1).step_by(2);
    let paths = quoted.filter(|name| Path::new(name).extension() == Some("rs".as_ref()));
    let folders = ["src", "tests/it", ""].map(|folder| project().join(folder));
    let is_there = |path: &&str| folders.iter().any(|folder| folder.join(path).exists());
    let missing: Vec<&str> = paths.filter(|path| !is_there(path)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn the_figures_of_the_structure_can_be_shown() {
    let over = |count: usize, all: usize| format!("{count} of {all}");
    let files: Vec<usize> = SOURCES.files().map(|(_, file)| file.lines).collect();
    let functions: Vec<usize> = SOURCES.functions().map(|function| function.lines).collect();
    let long = |lengths: &[usize], most: usize| lengths.iter().filter(|lines| **lines > most).count();
    eprintln!("circles of files            {}", SOURCES.circles().len());
    eprintln!("files over {FILE_MAX} lines         {}", over(long(&files, FILE_MAX), files.len()));
    eprintln!(
        "functions over {FUNCTION_MAX} lines     {}",
        over(long(&functions, FUNCTION_MAX), functions.len())
    );
    for circle in SOURCES.circles() {
        eprintln!("circle: {}", circle.join(", "));
    }
    assert!(!files.is_empty() && !functions.is_empty());
}
