//! Shared by the readers of all sections: typed access to the tree, and reports of wrong keys and values.

use std::path::Path;

use super::{
    document::{Content, KeyValue, Node},
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
            self.findings.error(node.at, message, value_help(key, &node.content));
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
        let help = format!("write [{name}] on a line of its own, and its keys below it");
        self.findings.error(entry.node.at, message, help);
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
            self.findings.error(entry.key_at, message, unknown_help(&entry.key, known));
        }
    }
}

/// Advice for a value that `key` does not take.
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

/// A value as messages quote it: a scalar as written, otherwise its kind.
pub(super) fn found(content: &Content) -> String {
    match content {
        Content::Text(text) => format!("\"{text}\""),
        Content::Int(int) => int.to_string(),
        Content::Float(float) => Value::Float(*float).to_string(),
        Content::Truth(truth) => truth.to_string(),
        Content::Date(_) | Content::Huge | Content::List(_) | Content::Table(_) => content.kind().to_owned(),
    }
}
