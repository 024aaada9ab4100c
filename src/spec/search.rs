//! The `[search]` section, apart from its space.

use super::{
    confirm,
    document::{Content, KeyValue, Node},
    draft::SpecDraft,
    halving, keys,
    problem::At,
    reader::{Reader, choice, found, whole_number},
    sweep::{Domain, RangeSampler},
};
use crate::{
    policy::parse_time,
    search::{Budget, GENERATION},
    settings::{self, Value},
};

/// Draws for each grid cell.
const SAMPLES_MAX: u32 = 10_000;
/// Seeds for each configuration.
const REPEATS_MAX: u32 = 1_000;
/// Configurations in all.
const TRIALS_MAX: u32 = 10_000;
/// Configurations of a generation.
const GENERATION_MAX: u32 = 1_000;
/// Epochs that a budget may name: more than anybody has.
const EPOCHS_MAX: i64 = 1_000_000_000;

/// Reads the section into `draft`, whose settings have been read.
pub(super) fn read(reader: &mut Reader<'_>, draft: &mut SpecDraft) {
    let root = reader.root;
    let Some(search) = reader.table(root, "search") else { return };
    reader.refuse_unknown(search, Some("search"), &keys::SEARCH);
    let number = |reader: &mut Reader<'_>, name, min, max, help| {
        search.get(name).and_then(|entry| whole_number(reader, entry, min, max, help))
    };
    draft.samples = number(reader, "samples", 1, SAMPLES_MAX, "it is the number of draws for each grid cell")
        .unwrap_or(1);
    draft.repeats =
        number(reader, "repeats", 1, REPEATS_MAX, "it is the number of seeds for each configuration")
            .unwrap_or(1);
    draft.search.trials =
        number(reader, "trials", 1, TRIALS_MAX, "it is the number of configurations in all");
    let help = "so many configurations are compared with each other; it is part of the plan and no matter of devices";
    draft.search.generation = number(reader, "generation", 2, GENERATION_MAX, help).unwrap_or(GENERATION);
    draft.search.budget = search.get("budget").and_then(|entry| budget(reader, entry));
    draft.sampler = sampler(reader, search);
    super::space::read(reader, search, draft);
    draft.search.enqueue =
        search.get("enqueue").map(|entry| enqueue(reader, entry, draft)).unwrap_or_default();
    draft.search.history = search.get("history").map(|entry| history(reader, entry)).unwrap_or_default();
    counts(reader, search, draft);
    if let Some(table) = reader.table(search, "halving") {
        draft.search.halving = halving::read(reader, table, draft);
    }
    if let (Some(entry), Some(table)) = (search.get("confirm"), reader.table(search, "confirm")) {
        draft.search.confirm = confirm::read(reader, (table, entry.key_at), draft);
    }
}

/// How configurations are found: at random, or by Sobol points where their number is said.
fn sampler(reader: &mut Reader<'_>, search: &Node) -> RangeSampler {
    let is_counted = search.get("trials").is_some() || search.get("budget").is_some();
    let default = if is_counted { RangeSampler::Sobol } else { RangeSampler::Random };
    let Some(entry) = search.get("sampler") else { return default };
    let help = "\"sobol\" covers the space evenly, \"random\" draws each number by itself, \"tpe\" learns from results";
    choice(reader, entry, &RangeSampler::NAMES, help).unwrap_or(default)
}

/// What the search may take: `{ epochs = 300 }` or `{ time = "2h" }`.
fn budget(reader: &mut Reader<'_>, entry: &KeyValue) -> Option<Budget> {
    let help = "write budget = { epochs = 300 }, or budget = { time = \"2h\" }";
    let Content::Table(entries) = &entry.node.content else {
        let message = format!("`budget` must be a table, not {}", found(&entry.node.content));
        reader.findings.error(entry.node.at, message, help);
        return None;
    };
    reader.refuse_unknown(&entry.node, Some("search.budget"), &keys::BUDGET);
    let known: Vec<&KeyValue> =
        entries.iter().filter(|entry| keys::BUDGET.contains(&entry.key.as_str())).collect();
    match known.as_slice() {
        [] => {
            if entries.is_empty() {
                reader.findings.error(entry.node.at, "the budget says nothing", help);
            }
            None
        }
        [own] => amount(reader, own),
        [_, second, ..] => {
            reader.findings.error(
                second.key_at,
                "a budget is of `epochs` or of `time`, not of both",
                "keep one of them",
            );
            None
        }
    }
}

/// The amount of a budget.
fn amount(reader: &mut Reader<'_>, entry: &KeyValue) -> Option<Budget> {
    let budget = match (entry.key.as_str(), &entry.node.content) {
        ("epochs", Content::Int(epochs @ 1..=EPOCHS_MAX)) => u64::try_from(*epochs).ok().map(Budget::Epochs),
        ("time", Content::Text(text)) => {
            parse_time(text).map(|time| time.as_secs()).filter(|seconds| *seconds > 0).map(Budget::Seconds)
        }
        _ => None,
    };
    if budget.is_none() {
        let found = found(&entry.node.content);
        let (expected, help) = match entry.key.as_str() {
            "epochs" => ("a whole number from 1 to 1000000000", "it is the sum over all trials"),
            _ => (
                "a time of whole seconds such as \"2h\"",
                "it is the time in which the sweep runs, pauses between runs left out",
            ),
        };
        let message = format!("`{}` of a budget must be {expected}, not {found}", entry.key);
        reader.findings.error(entry.node.at, message, help);
    }
    budget
}

/// The sweeps whose results count as known.
fn history(reader: &mut Reader<'_>, entry: &KeyValue) -> Vec<String> {
    let names = match &entry.node.content {
        Content::List(names) => names.iter().map(|name| match &name.content {
            Content::Text(text) if !text.is_empty() => Some(text.clone()),
            _ => None,
        }),
        other => {
            let message = format!("`history` must be a list of sweeps, not {}", found(other));
            let help = "write history = [\"first\"], with the names of sweeps on the same data";
            reader.findings.error(entry.node.at, message, help);
            return Vec::new();
        }
    };
    let names: Option<Vec<String>> = names.collect();
    let names = names.map(|names| {
        let mut distinct: Vec<String> = Vec::new();
        for name in names {
            if !distinct.contains(&name) {
                distinct.push(name);
            }
        }
        distinct
    });
    if names.is_none() {
        let help = "write history = [\"first\"], with the names of sweeps on the same data";
        reader.findings.error(entry.node.at, "`history` must be a list of sweeps' names", help);
    }
    names.unwrap_or_default()
}

/// The configurations that come first.
fn enqueue(reader: &mut Reader<'_>, entry: &KeyValue, draft: &SpecDraft) -> Vec<Vec<(String, Value)>> {
    let help = "write [[search.enqueue]] on a line of its own, and below it values of swept settings";
    let Content::List(tables) = &entry.node.content else {
        let message = format!("`enqueue` must be a list of tables, not {}", found(&entry.node.content));
        reader.findings.error(entry.node.at, message, help);
        return Vec::new();
    };
    let mut listed: Vec<Vec<(String, Value)>> = Vec::new();
    for table in tables {
        let Content::Table(entries) = &table.content else {
            let message = format!("`enqueue` must be a list of tables, and holds {}", found(&table.content));
            reader.findings.error(table.at, message, help);
            continue;
        };
        let values: Vec<Option<(String, Value)>> =
            entries.iter().map(|entry| enqueued_value(reader, entry, draft)).collect();
        let Some(values) = values.into_iter().collect::<Option<Vec<_>>>() else { continue };
        if listed.iter().any(|other| is_same(other, &values)) {
            let help = "no configuration is tried twice; for several seeds of each, set `repeats`";
            reader.findings.error(table.at, "this configuration is enqueued already", help);
        } else {
            listed.push(values);
        }
    }
    listed
}

fn is_same(one: &[(String, Value)], other: &[(String, Value)]) -> bool {
    one.len() == other.len() && one.iter().all(|value| other.contains(value))
}

/// A value of an enqueued configuration.
fn enqueued_value(reader: &mut Reader<'_>, entry: &KeyValue, draft: &SpecDraft) -> Option<(String, Value)> {
    let swept = draft.space.iter().find(|swept| swept.name == entry.key);
    let (Some(swept), Some(key)) = (swept, settings::key(&entry.key)) else {
        let message = format!("`{}` is enqueued, and no swept setting", entry.key);
        let names: Vec<&str> = draft.space.iter().map(|swept| swept.name.as_str()).collect();
        let help = match (settings::key(&entry.key), names.is_empty()) {
            (Some(_), _) => {
                format!("sweep it in [search.space], or remove it here; swept are {}", names.join(", "))
            }
            (None, false) => format!("swept are {}", names.join(", ")),
            (None, true) => "sweep settings in [search.space] first".to_owned(),
        };
        reader.findings.error(entry.key_at, message, help);
        return None;
    };
    let value = reader.setting(key, &entry.node)?;
    let is_within = match (&swept.domain, value.as_f64()) {
        (Domain::Grid(values), _) => values.contains(&value),
        (Domain::Uniform(low, high) | Domain::LogUniform(low, high), Some(number)) => {
            (*low..=*high).contains(&number)
        }
        (Domain::Int(low, high), _) => matches!(value, Value::Int(int) if (*low..=*high).contains(&int)),
        (_, None) => false,
    };
    if !is_within {
        let message =
            format!("`{}` = {value} is enqueued, and lies outside of what [search.space] allows", entry.key);
        reader.findings.error(
            entry.node.at,
            message,
            "widen the range or the grid, or remove the value here",
        );
        return None;
    }
    Some((entry.key.clone(), value))
}

/// Keys that say how many configurations there are, and contradict each other.
fn counts(reader: &mut Reader<'_>, search: &Node, draft: &SpecDraft) {
    let at = |name: &str| search.get(name).map(|entry| entry.key_at);
    let mut refuse = |at: At, message: &str, help: &str| reader.findings.error(at, message, help);
    let is_counted = search.get("trials").is_some() || search.get("budget").is_some();
    if let (Some(samples), true) = (at("samples"), is_counted) {
        let message = "`samples` counts draws of each grid cell, `trials` and `budget` all configurations";
        refuse(samples, message, "remove `samples`: grids and ranges are drawn together then");
    }
    if let (Some(at), true, false) = (at("sampler"), draft.sampler == RangeSampler::Tpe, is_counted) {
        let help = "add trials = 32, or the like, to [search]";
        refuse(at, "\"tpe\" chooses one configuration after another, and nothing says how many", help);
    }
    if let (Some(at), true) = (at("history"), draft.sampler != RangeSampler::Tpe) {
        let help = "write sampler = \"tpe\" in [search], or remove `history`";
        refuse(at, "`history` is what a search learns from, and this one learns from nothing", help);
    }
    if let (Some(at), false) = (at("enqueue"), is_counted) {
        let help = "add trials = 32, or the like, to [search]; those that are enqueued count among them";
        refuse(at, "`enqueue` puts configurations before others, and nothing says how many there are", help);
    }
    if let (Some(at), true) = (
        at("enqueue"),
        draft.search.trials.is_some_and(|trials| (trials as usize) < draft.search.enqueue.len()),
    ) {
        refuse(at, "more configurations are enqueued than `trials` allows", "raise `trials` in [search]");
    }
    space(reader, search, draft, is_counted);
}

/// A space that the way to search cannot serve.
fn space(reader: &mut Reader<'_>, search: &Node, draft: &SpecDraft, is_counted: bool) {
    let is_swept = |name: &str| draft.space.iter().any(|swept| swept.name == name);
    if is_counted && draft.space.is_empty() && reader.findings.is_clean() {
        let at =
            search.get("trials").or_else(|| search.get("budget")).map_or(search.at, |entry| entry.key_at);
        let help = "name a range in [search.space], or use `repeats` for several seeds of one configuration";
        reader.findings.error(
            at,
            "the search counts configurations, and there is only one: nothing is swept",
            help,
        );
    }
    if draft.search.grows(draft.sampler) && is_swept("checkpoint") {
        let at = reader.root.place("search.space.checkpoint");
        let message = "`checkpoint` is swept, and which configurations come is not known beforehand";
        let help =
            "use sampler = \"sobol\" with `trials` and without `budget`, or a sweep for each checkpoint";
        reader.findings.error(at, message, help);
    }
}
