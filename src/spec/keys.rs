//! The keys that a spec may have and their sections, to help with a key in the wrong place.

use crate::{
    nearest::nearest,
    policy::{self, Retries},
    settings::KEYS,
};

/// Tables and keys at the top of a spec.
pub(super) const TOP: [&str; 9] =
    ["name", "seed", "data", "model", "text", "train", "early_stopping", "search", "run"];

/// Keys of `[data]`.
pub(super) const DATA: [&str; 12] = [
    "path",
    "split",
    "train",
    "validation",
    "test",
    "text",
    "label",
    "positive",
    "average",
    "encoding",
    "duplicates",
    "limit",
];

/// Keys of `[search]`.
pub(super) const SEARCH: [&str; 3] = ["samples", "repeats", "space"];

/// Each key of `[run]` and `[run.retries]` with its table.
///
/// The kinds of failure `data`, `checkpoint` and `time_limit` are left out: they share their names with
/// keys of other tables.
pub(super) fn run_keys() -> impl Iterator<Item = (&'static str, &'static str)> {
    let elsewhere = ["data", "checkpoint", "time_limit"];
    let kinds = Retries::KEYS.into_iter().filter(move |name| !elsewhere.contains(name));
    kinds.map(|name| (name, "run.retries")).chain(policy::KEYS.map(|name| (name, "run")))
}

/// Advice for the unknown key `key` in a table whose keys are `known`.
pub(super) fn unknown_help(key: &str, known: &[&str]) -> String {
    if let Some(near) = nearest(key, known.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    // Where two tables have a key of the same name, the later table of this list is suggested.
    let elsewhere = DATA
        .iter()
        .map(|name| (*name, "data"))
        .chain(run_keys())
        .chain(SEARCH.map(|name| (name, "search")))
        .chain(KEYS.iter().map(|key| (key.name, key.section.name())))
        .collect::<Vec<_>>();
    if let Some((name, section)) = elsewhere.iter().rev().find(|(name, _)| *name == key) {
        return format!("`{name}` belongs in [{section}]");
    }
    let near = nearest(key, elsewhere.iter().rev().map(|(name, _)| *name));
    match elsewhere.iter().rev().find(|(name, _)| Some(*name) == near) {
        Some((name, section)) => format!("did you mean `{name}` in [{section}]?"),
        None if matches!(key, "name" | "seed") => format!("`{key}` stands above all [tables]"),
        None => format!("the keys here are {}", known.join(", ")),
    }
}
