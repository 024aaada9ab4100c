//! The keys that a spec may have and their sections, to help with a key in the wrong place.

use serde_json::Value as Json;

use super::foreign;
use crate::{
    nearest::nearest,
    policy::{self, Retries},
    settings::{self, KEYS},
    slurm,
};

/// Tables and keys at the top of a spec.
pub(super) const TOP: [&str; 10] =
    ["name", "seed", "data", "model", "text", "train", "early_stopping", "search", "run", "executor"];

/// Keys of `[data]`.
pub(super) const DATA: [&str; 14] = [
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
    "group",
    "limit",
    "folds",
];

/// Keys of `duplicates` where it is a table.
pub(super) const DUPLICATES: [&str; 4] = ["exact", "normalised", "near", "near_threshold"];

/// Keys of `[search]`.
pub(super) const SEARCH: [&str; 11] = [
    "trials",
    "samples",
    "sampler",
    "repeats",
    "budget",
    "generation",
    "halving",
    "confirm",
    "enqueue",
    "history",
    "space",
];

/// Keys of `[search.halving]`.
pub(super) const HALVING: [&str; 3] = ["eta", "first", "by"];

/// Keys of `confirm`.
pub(super) const CONFIRM: [&str; 3] = ["top", "repeats", "by"];

/// Keys of `budget`.
pub(super) const BUDGET: [&str; 2] = ["epochs", "time"];

/// Each key of `[run]` and `[run.retries]` with its table.
///
/// The kinds of failure `data`, `checkpoint` and `time_limit` are left out: they share their names with
/// keys of other tables.
pub(super) fn run_keys() -> impl Iterator<Item = (&'static str, &'static str)> {
    let elsewhere = ["data", "checkpoint", "time_limit"];
    let kinds = Retries::KEYS.into_iter().filter(move |name| !elsewhere.contains(name));
    kinds.map(|name| (name, "run.retries")).chain(policy::KEYS.map(|name| (name, "run")))
}

/// Each key of `[executor]` with its table.
///
/// Keys whose names say little by themselves are left out.
fn executor_keys() -> impl Iterator<Item = (&'static str, &'static str)> {
    let vague = ["kind", "mode", "time", "extra", "poll"];
    slurm::KEYS.into_iter().filter(move |name| !vague.contains(name)).map(|name| (name, "executor"))
}

/// Advice for the unknown key `key` with this value in the table `section`, whose keys are `known`.
pub(super) fn unknown_help(key: &str, value: &Json, section: Option<&str>, known: &[&str]) -> String {
    if let Some(advice) = foreign::advice(key, value, section, known) {
        return advice;
    }
    if let Some(near) = nearest(key, known.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    // Where two tables have a key of the same name, the later table of this list is suggested.
    let elsewhere = DATA
        .iter()
        .map(|name| (*name, "data"))
        .chain(DUPLICATES.map(|name| (name, "data.duplicates")))
        .chain(executor_keys())
        .chain(run_keys())
        .chain(SEARCH.map(|name| (name, "search")))
        .chain(KEYS.iter().map(|key| (key.name, key.section.name())))
        .collect::<Vec<_>>();
    if let Some((name, section)) = elsewhere.iter().rev().find(|(name, _)| *name == key) {
        return belongs(name, value, section);
    }
    let near = nearest(key, elsewhere.iter().rev().map(|(name, _)| *name));
    match elsewhere.iter().rev().find(|(name, _)| Some(*name) == near) {
        Some((name, section)) => format!("did you mean `{name}` in [{section}]?"),
        None if matches!(key, "name" | "seed") => format!("`{key}` stands above all [tables]"),
        None => format!("the keys here are {}", known.join(", ")),
    }
}

/// Advice for the key `name` in the wrong place, which belongs in [section].
fn belongs(name: &str, value: &Json, section: &str) -> String {
    if let Some(domain) = settings::key(name).and_then(|key| foreign::domain(key, value)) {
        return format!("several values are tried in [search.space]: write {name} = {domain} there");
    }
    match (value, foreign::toml(value)) {
        (Json::Object(_), _) if matches!(name, "space" | "retries") => {
            format!("`{name}` belongs in [{section}]: write [{section}.{name}] instead of [{name}]")
        }
        (Json::Object(_), Some(line)) => {
            format!(
                "`{name}` belongs in [{section}]: remove [{name}], and below [{section}] write {name} = {line}"
            )
        }
        _ => format!("`{name}` belongs in [{section}]"),
    }
}
