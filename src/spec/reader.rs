//! Shared by the readers of all sections: typed access to the tree, and reports of wrong keys and values.

use std::path::Path;

use serde_json::Value as Json;

use super::{
    document::{Content, KeyValue, Node},
    foreign,
    keys::unknown_help,
    problem::{At, Findings},
    text::SpecText,
};
use crate::{
    nearest::nearest,
    settings::{SettingKey, Settings, Value, ValueKind},
};

/// A spec's tree with the list of findings that reading it adds to.
pub(super) struct Reader<'a> {
    pub(super) root: &'a Node,
    pub(super) spec: &'a SpecText<'a>,
    pub(super) findings: &'a mut Findings,
}

impl<'a> Reader<'a> {
    /// The value of `node` for `key` in the setting's own type: `1` becomes `1.0` for a rate. A value that
    /// the setting does not take is an error.
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
            self.findings.error(node.at, message, value_help(key, node));
        }
        canonical
    }

    /// The table called `name` in `parent`, `None` if it is absent; a value that is no table is an error.
    pub(super) fn table<'n>(&mut self, parent: &'n Node, name: &str) -> Option<&'n Node> {
        let entry = parent.get(name)?;
        if matches!(entry.node.content, Content::Table(_)) {
            return Some(&entry.node);
        }
        let message = format!("`{name}` must be a table, not {}", entry.node.content.kind());
        self.findings.error(entry.node.at, message, table_help(name, &entry.node.json()));
        None
    }

    /// The text of `entry`; an empty text and a value that is no text are errors.
    pub(super) fn text(&mut self, entry: &KeyValue) -> Option<String> {
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

    /// The folder that a path written at `at` is relative to.
    pub(super) fn base(&self, at: At) -> &'a Path {
        if at.source == 0 { self.spec.base } else { self.spec.working }
    }

    /// Reports every key of `table` that is not in `known`. `section` is the table's name, `None` at the top.
    pub(super) fn refuse_unknown(&mut self, table: &Node, section: Option<&str>, known: &[&str]) {
        let Content::Table(entries) = &table.content else { return };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let place = section.map_or("at the top of the spec".to_owned(), |name| format!("in [{name}]"));
            let message = format!("unknown key `{}` {place}", entry.key);
            let help = unknown_help(&entry.key, &entry.node.json(), section, known);
            self.findings.error(entry.key_at, message, help);
        }
    }
}

/// The whole number of `entry`, from `min` to `max`; anything else is an error.
pub(super) fn whole_number(
    reader: &mut Reader<'_>,
    entry: &KeyValue,
    min: u32,
    max: u32,
    help: &str,
) -> Option<u32> {
    let number = match entry.node.content {
        Content::Int(number) => u32::try_from(number).ok().filter(|number| (min..=max).contains(number)),
        _ => None,
    };
    if number.is_none() {
        let found = found(&entry.node.content);
        let message = format!("`{}` must be a whole number from {min} to {max}, not {found}", entry.key);
        reader.findings.error(entry.node.at, message, help);
    }
    number
}

/// Advice for a value that stands where the table `name` belongs.
fn table_help(name: &str, value: &Json) -> String {
    let quoted = value.as_str().map(|text| foreign::quoted(&Value::Text(text.to_owned())));
    let shares = value.as_array().map(|shares| shares.iter().filter_map(Json::as_f64).collect::<Vec<f64>>());
    match (name, quoted, shares.as_deref(), value.as_u64()) {
        ("split", _, Some([train, validation, test]), _)
            if (train + validation + test - 1.0).abs() < 1e-6 =>
        {
            format!("write split = {{ train = {train}, validation = {validation}, test = {test} }}")
        }
        ("split", ..) => {
            "write split = { train = 0.70, validation = 0.15, test = 0.15 }, or the like".to_owned()
        }
        ("limit", _, _, Some(limit @ 1..)) => {
            format!("write limit = {{ train = {limit} }}; each split has its own")
        }
        ("limit", ..) => "write limit = { train = 2000 }, or the like; each split has its own".to_owned(),
        ("halving", ..) => {
            "write [search.halving] on a line of its own, and its keys, if any, below it".to_owned()
        }
        ("confirm", ..) => "write confirm = { top = 5, repeats = 4 }, or the like".to_owned(),
        ("space", ..) => "write [search.space] on a line of its own, and its settings below it".to_owned(),
        ("data", Some(path), ..) => {
            format!("at the end of the spec, write [data] and below it path = {path}")
        }
        ("model", Some(name), ..) => {
            format!("at the end of the spec, write [model] and below it checkpoint = {name}")
        }
        ("early_stopping", ..) if value.is_boolean() => {
            "a trial always stops early: remove it; how patiently says patience = 2, or the like, in [early_stopping]"
                .to_owned()
        }
        ("train" | "text", Some(value), ..) => format!("write {name} = {value} in [data]"),
        _ => format!("write [{name}] on a line of its own, and its keys below it"),
    }
}

/// Advice for a value that `key` does not take.
fn value_help(key: &SettingKey, node: &Node) -> String {
    match (&key.kind, &node.content) {
        (ValueKind::Choice(names), Content::Text(text)) => match nearest(text, names.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => match foreign::choice(names, text) {
                Some(like) => format!("the nearest is {} = \"{like}\"", key.name),
                None => key.about.to_owned(),
            },
        },
        (ValueKind::Choice(names), Content::Truth(truth)) => {
            let words = if *truth { ["yes", "balanced"] } else { ["no", "none"] };
            words.iter().find(|word| names.contains(word)).map_or_else(
                || format!("{}: {}", key.name, key.about),
                |word| format!("write {} = \"{word}\"", key.name),
            )
        }
        (ValueKind::Freeze, Content::Truth(true)) => {
            "write freeze = \"encoder\", so that only the head learns".to_owned()
        }
        (ValueKind::Freeze, Content::Truth(false)) => "write freeze = 0".to_owned(),
        (ValueKind::Int { .. } | ValueKind::Float { .. }, Content::Text(text))
            if text.parse::<f64>().is_ok() =>
        {
            format!("write it without quotes: {text}")
        }
        (ValueKind::Int { .. }, Content::Float(float)) if float.fract() == 0.0 => {
            format!("write it as a whole number: {} = {float}", key.name)
        }
        (_, Content::List(_) | Content::Table(_)) => match foreign::domain(key, &node.json()) {
            Some(domain) => {
                format!("to try several values, put it into [search.space]: {} = {domain}", key.name)
            }
            None => format!("{}: {}", key.name, key.about),
        },
        _ => format!("{}: {}", key.name, key.about),
    }
}

/// A value as messages quote it: a scalar as written, otherwise its kind.
pub(super) fn found(content: &Content) -> String {
    match content {
        Content::Text(text) => format!("\"{text}\""),
        Content::Int(int) => int.to_string(),
        // `12.0` is no whole number in TOML.
        Content::Float(float) if float.fract() == 0.0 && float.abs() < 1e15 => format!("{float:.1}"),
        Content::Float(float) => Value::Float(*float).to_string(),
        Content::Truth(truth) => truth.to_string(),
        Content::Date(_) | Content::Huge | Content::List(_) | Content::Table(_) => content.kind().to_owned(),
    }
}

/// The value of `choices` whose name the entry gives.
pub(super) fn choice<T: Copy>(
    reader: &mut Reader<'_>,
    entry: &KeyValue,
    choices: &[(&str, T)],
    help: &str,
) -> Option<T> {
    let text = match &entry.node.content {
        Content::Text(text) => text.as_str(),
        _ => "",
    };
    let chosen = choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice);
    if chosen.is_none() {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let (key, names, found) = (&entry.key, names.join(", "), found(&entry.node.content));
        let help = nearest(text, choices.iter().map(|(name, _)| *name))
            .map_or_else(|| help.to_owned(), |near| format!("did you mean \"{near}\"?"));
        reader.findings.error(entry.node.at, format!("`{key}` must be one of {names}, not {found}"), help);
    }
    chosen
}
