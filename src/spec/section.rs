//! The sections of a spec whose keys are settings, and what all sections share.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    Parameter, Spec, SpecText, checks, data,
    document::{self, Content, Entry, Node},
    problem::{At, Findings},
    run, space,
};
use crate::{
    data::DataSpec,
    nearest::nearest,
    policy::Policy,
    settings::{KEYS, Section, SettingKey, Settings, Value, ValueKind},
};

/// Tables and keys at the top of a spec.
const TOP: [&str; 9] = ["name", "seed", "data", "model", "text", "train", "early_stopping", "search", "run"];

/// A spec in the making; what is missing has been reported.
pub(super) struct Draft {
    pub(super) name: Option<String>,
    pub(super) seed: Option<u64>,
    pub(super) data: Option<DataSpec>,
    pub(super) settings: Settings,
    pub(super) chosen: Vec<Chosen>,
    pub(super) space: Vec<Parameter>,
    pub(super) samples: u32,
    pub(super) repeats: u32,
    pub(super) policy: Policy,
    pub(super) checkpoint_base: PathBuf,
}

/// The values that a spec gives to a setting: one, the grid's, or a range's two bounds.
pub(super) struct Chosen {
    pub(super) key: &'static SettingKey,
    pub(super) values: Vec<(Value, At)>,
}

/// Reads and notes: the tree, where paths start, and what is wrong.
pub(super) struct Reader<'a> {
    pub(super) root: &'a Node,
    pub(super) spec: &'a SpecText<'a>,
    pub(super) findings: &'a mut Findings,
}

impl Draft {
    /// The spec, if nothing is missing.
    pub(super) fn complete(self) -> Option<Spec> {
        Some(Spec {
            name: self.name?,
            seed: self.seed?,
            data: self.data?,
            settings: self.settings,
            space: self.space,
            samples: self.samples,
            repeats: self.repeats,
            policy: self.policy,
            checkpoint_base: self.checkpoint_base,
            checkpoints: BTreeMap::new(),
        })
    }

    /// Every value that a setting takes in some trial, and where it is said; the default's place is `root`'s.
    pub(super) fn values(&self, name: &str, root: &Node) -> Vec<(Value, At)> {
        if let Some(chosen) = self.chosen.iter().find(|chosen| chosen.key.name == name) {
            return chosen.values.clone();
        }
        let key = KEYS.iter().find(|key| key.name == name);
        key.map(|key| (key.get(&self.settings), root.place(key.section.name()))).into_iter().collect()
    }
}

/// Reads all of a spec that can be read without looking at files; `None` when it is no TOML.
pub(super) fn read(spec: &SpecText<'_>, findings: &mut Findings) -> Option<(Node, Draft)> {
    let root = document::parse(spec.name, spec.text, spec.overrides, findings)?;
    let mut reader = Reader { root: &root, spec, findings };
    reader.refuse_unknown(&root, None, &TOP);
    let name = reader.name();
    let seed = reader.seed();
    let mut draft = Draft {
        name,
        seed,
        data: data::read(&mut reader, seed.unwrap_or(0)),
        settings: Settings::default(),
        chosen: Vec::new(),
        space: Vec::new(),
        samples: 1,
        repeats: 1,
        policy: run::read(&mut reader),
        checkpoint_base: reader.base(root.place("search.space.checkpoint")).to_owned(),
    };
    for section in [Section::Model, Section::Text, Section::Train, Section::EarlyStopping] {
        reader.section(section, &mut draft);
    }
    space::read(&mut reader, &mut draft);
    checks::check(&mut reader, &draft);
    Some((root, draft))
}

impl<'a> Reader<'a> {
    fn name(&mut self) -> Option<String> {
        let Some(entry) = self.root.get("name") else {
            self.findings.error(
                self.root.at,
                "the spec has no `name`",
                "add a line such as name = \"first\"; it names the results folder",
            );
            return None;
        };
        let name = self.text(entry)?;
        let good = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let fault = if name.chars().count() > 64 || name.len() > 200 {
            "is longer than 64 characters"
        } else if !name.starts_with(char::is_alphanumeric) {
            "does not start with a letter or a digit"
        } else if name.contains("..") || !name.chars().all(good) {
            "has characters that a folder's name should not have"
        } else {
            return Some(name);
        };
        let help = "use letters, digits, `-`, `_` and single `.`; it names the results folder";
        self.findings.error(entry.node.at, format!("the name {fault}"), help);
        None
    }

    fn seed(&mut self) -> Option<u64> {
        let Some(entry) = self.root.get("seed") else { return Some(0) };
        let seed = match entry.node.content {
            Content::Int(seed) => u64::try_from(seed).ok(),
            _ => None,
        };
        if seed.is_none() {
            let found = found(&entry.node.content);
            let message = format!("`seed` must be a whole number from 0 to 2^63 - 1, not {found}");
            self.findings.error(entry.node.at, message, "any such number will do, for example seed = 42");
        }
        seed
    }

    fn section(&mut self, section: Section, draft: &mut Draft) {
        let Some(table) = self.table(self.root, section.name()) else { return };
        let keys = KEYS.iter().filter(|key| key.section == section);
        let names: Vec<&str> = keys.clone().map(|key| key.name).collect();
        self.refuse_unknown(table, Some(section.name()), &names);
        for key in keys {
            let Some(entry) = table.get(key.name) else { continue };
            let Some(value) = self.setting(key, &entry.node) else { continue };
            draft.chosen.push(Chosen { key, values: vec![(value.clone(), entry.node.at)] });
            let value = match &value {
                Value::Text(text) if key.name == "checkpoint" => {
                    Value::Text(resolve(text, self.base(entry.node.at)))
                }
                other => other.clone(),
            };
            if let Err(error) = key.set(&mut draft.settings, &value) {
                self.findings.error(entry.node.at, error.to_string(), key.about);
            }
        }
    }

    /// The value of `node` for `key`, as the setting itself gives it back (`1` is `1.0` to a rate).
    pub(super) fn setting(&mut self, key: &SettingKey, node: &Node) -> Option<Value> {
        let value = match &node.content {
            Content::Text(text) => Some(Value::Text(text.clone())),
            Content::Int(int) => Some(Value::Int(*int)),
            Content::Float(float) => Some(Value::Float(*float)),
            Content::Truth(_) | Content::Date(_) | Content::Huge | Content::List(_) | Content::Table(_) => {
                None
            }
        };
        let canonical = value.and_then(|value| {
            let mut settings = Settings::default();
            key.set(&mut settings, &value).ok().map(|()| key.get(&settings))
        });
        if canonical.is_none() {
            let (expected, found) = (key.kind.describe(), found(&node.content));
            let message = format!("`{}` must be {expected}, not {found}", key.name);
            self.findings.error(node.at, message, value_help(key, &node.content));
        }
        canonical
    }

    /// The table called `name` in `parent`; another kind of value is an error.
    pub(super) fn table<'n>(&mut self, parent: &'n Node, name: &str) -> Option<&'n Node> {
        let entry = parent.get(name)?;
        if matches!(entry.node.content, Content::Table(_)) {
            return Some(&entry.node);
        }
        let message = format!("`{name}` must be a table, not {}", entry.node.content.kind());
        let help = format!("write [{name}] on a line of its own, and its keys below it");
        self.findings.error(entry.node.at, message, help);
        None
    }

    /// The text of `entry`; anything else, or an empty one, is an error.
    pub(super) fn text(&mut self, entry: &Entry) -> Option<String> {
        match &entry.node.content {
            Content::Text(text) if !text.trim().is_empty() => Some(text.clone()),
            other => {
                let message =
                    format!("`{}` must be a text that is not empty, not {}", entry.key, found(other));
                self.findings.error(entry.node.at, message, format!("write {} = \"…\"", entry.key));
                None
            }
        }
    }

    /// What a path written at `at` is relative to.
    pub(super) fn base(&self, at: At) -> &'a Path {
        if at.source == 0 { self.spec.base } else { self.spec.working }
    }

    /// Notes every key of `table` that is not `known`; `section`: its name, `None` at the top.
    pub(super) fn refuse_unknown(&mut self, table: &Node, section: Option<&str>, known: &[&str]) {
        let Content::Table(entries) = &table.content else { return };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let place = section.map_or("at the top of the spec".to_owned(), |name| format!("in [{name}]"));
            let message = format!("unknown key `{}` {place}", entry.key);
            self.findings.error(entry.key_at, message, unknown_help(&entry.key, known));
        }
    }
}

/// The absolute path of a checkpoint written as `text`, or the name of a built-in one.
pub(super) fn resolve(text: &str, base: &Path) -> String {
    if text.starts_with("builtin:") { text.to_owned() } else { absolute(text, base).display().to_string() }
}

/// `text` as a path from `base`, without `.` and doubled slashes.
pub(super) fn absolute(text: &str, base: &Path) -> PathBuf {
    base.join(text).components().collect()
}

fn unknown_help(key: &str, known: &[&str]) -> String {
    if let Some(near) = nearest(key, known.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    let elsewhere = data::KEYS
        .iter()
        .map(|name| (*name, "data"))
        .chain(run::places())
        .chain([("samples", "search"), ("repeats", "search"), ("space", "search")])
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

fn value_help(key: &SettingKey, content: &Content) -> String {
    match (&key.kind, content) {
        (ValueKind::Choice(names), Content::Text(text)) => match nearest(text, names.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => key.about.to_owned(),
        },
        (ValueKind::Int { .. } | ValueKind::Float { .. }, Content::Text(text))
            if text.parse::<f64>().is_ok() =>
        {
            format!("write it without quotes: {} = {text}", key.name)
        }
        (ValueKind::Int { .. }, Content::Float(float)) if float.fract() == 0.0 => {
            format!("write it as a whole number: {} = {float}", key.name)
        }
        (_, Content::List(_) | Content::Table(_)) => {
            format!("to try several values, put it into [search.space]: {} = {{ grid = […] }}", key.name)
        }
        _ => format!("{}: {}", key.name, key.about),
    }
}

/// What was written, for messages.
pub(super) fn found(content: &Content) -> String {
    match content {
        Content::Text(text) => format!("\"{text}\""),
        Content::Int(int) => int.to_string(),
        Content::Float(float) => Value::Float(*float).to_string(),
        Content::Truth(truth) => truth.to_string(),
        Content::Date(_) | Content::Huge | Content::List(_) | Content::Table(_) => content.kind().to_owned(),
    }
}
