//! A spec as a tree in which every key and value has its place, overrides included.
//!
//! This file does not check keys. It only looks up the table of a bare setting in an override in [`KEYS`]:
//! `epochs` stands for `train.epochs`.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use serde_json::{Map, Value as Json};

use super::{
    problem::{At, Findings},
    translate,
};
use crate::{policy, settings::KEYS};

/// Dots in the key of an override. `search.space.x.grid` has three; the bound keeps the tree shallow.
const KEY_DOTS_MAX: usize = 8;
/// Syntax errors that are reported one by one; a file that is not TOML at all has one on each line.
const SYNTAX_ERRORS_MAX: usize = 10;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) content: Content,
}

/// The content of a value, by its TOML type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Text(String),
    Int(i64),
    Float(f64),
    Truth(bool),
    /// A date or a time.
    Date(String),
    /// A whole number beyond 64 bits.
    Huge,
    List(Vec<Node>),
    Table(Vec<KeyValue>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct KeyValue {
    pub(super) key: String,
    pub(super) key_at: At,
    pub(super) node: Node,
}

impl Content {
    /// The kind of this value, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Truth(_) => "a truth value",
            Self::Date(_) => "a date",
            Self::Huge => "a number beyond 64 bits",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl Node {
    /// The entry of `key`; `None` unless this is a table that has the key.
    pub(super) fn get(&self, key: &str) -> Option<&KeyValue> {
        match &self.content {
            Content::Table(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The place of the value at a dotted path, or else the place of the innermost table on that path.
    pub(super) fn place(&self, path: &str) -> At {
        let mut node = self;
        for key in path.split('.') {
            match node.get(key) {
                Some(entry) => node = &entry.node,
                None => break,
            }
        }
        node.at
    }

    /// This value without its place; null for what JSON does not have.
    pub(super) fn json(&self) -> Json {
        match &self.content {
            Content::Text(text) | Content::Date(text) => Json::String(text.clone()),
            Content::Int(int) => Json::from(*int),
            Content::Float(float) => Json::from(*float),
            Content::Truth(truth) => Json::Bool(*truth),
            Content::Huge => Json::Null,
            Content::List(values) => Json::Array(values.iter().map(Self::json).collect()),
            Content::Table(entries) => Json::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.node.json())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// The value at a dotted path.
    pub(super) fn find(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, |node, key| node.get(key).map(|entry| &entry.node))
    }
}

/// Parses `text` and applies `overrides`; `None` when the text is not TOML.
pub(super) fn parse(name: &str, text: &str, overrides: &[String], findings: &mut Findings) -> Option<Node> {
    let source = findings.add_source(name, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let other = if errors.is_empty() { None } else { translate::recognise(name, text) };
    if let Some(translate::Translation { message, help }) = other {
        findings.error_lines(At { source, start: 0, end: 0 }, &message, &help);
        return None;
    }
    let (mut last_line, mut reported) = (None, 0);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        let line = text.get(..span.start).unwrap_or(text).rfind('\n');
        // A second error on a line is most often a consequence of the first.
        if last_line.replace(line) != Some(line) {
            reported += 1;
            if reported > SYNTAX_ERRORS_MAX {
                break;
            }
            let at = At { source, start: span.start, end: span.end };
            findings.error(at, syntax_message(error.message()), syntax_help(error.message()));
        }
    }
    let start = At { source, start: 0, end: 0 };
    let mut root = Node { at: start, content: Content::Table(entries(table.into_inner(), source, 0)) };
    for text in overrides {
        let source = findings.add_source("--set", text);
        if let Some((path, node)) = parse_override(text, source, findings) {
            put(&mut root, &path, node, findings);
        }
    }
    errors.is_empty().then_some(root)
}

fn syntax_message(message: &str) -> String {
    // A bare word that begins like `true` or `false` is an invalid boolean to the TOML reader.
    if is_bare_word(message) {
        "not readable as TOML: neither a number nor a text in quotes".to_owned()
    } else {
        format!("not readable as TOML: {message}")
    }
}

fn is_bare_word(message: &str) -> bool {
    let begins_like_a_value =
        ["invalid boolean", "invalid float, expected `nan`", "invalid float, expected `inf`"];
    begins_like_a_value.iter().any(|start| message.starts_with(start)) || message.contains("must be quoted")
}

fn syntax_help(message: &str) -> &'static str {
    match message {
        _ if is_bare_word(message) => "write texts in quotes: \"…\"; truth values are true and false",
        "duplicate key" => "each key and each [table] may stand once; remove or join them",
        _ => "a line is `key = value`, a comment or a [table]; lists are [1, 2], inline tables { a = 1 }",
    }
}

/// The entries of a table, in the order of the text.
fn entries(table: DeTable<'_>, source: usize, offset: usize) -> Vec<KeyValue> {
    let mut entries: Vec<KeyValue> = table
        .into_iter()
        .map(|(key, value)| {
            let key_at = at(&key, source, offset);
            KeyValue { key: key.into_inner().into_owned(), key_at, node: node(value, source, offset) }
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_at.start);
    entries
}

/// The place of a parsed part of a text that starts at `offset` of `source`.
fn at<T>(spanned: &Spanned<T>, source: usize, offset: usize) -> At {
    let span = spanned.span();
    At { source, start: span.start + offset, end: span.end + offset }
}

/// A parsed value as a node.
fn node(value: Spanned<DeValue<'_>>, source: usize, offset: usize) -> Node {
    let at = at(&value, source, offset);
    let content = match value.into_inner() {
        DeValue::String(text) => Content::Text(text.into_owned()),
        DeValue::Integer(int) => {
            i64::from_str_radix(int.as_str(), int.radix()).map_or(Content::Huge, Content::Int)
        }
        DeValue::Float(float) => Content::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(truth) => Content::Truth(truth),
        DeValue::Datetime(date) => Content::Date(date.to_string()),
        DeValue::Array(list) => {
            Content::List(list.into_iter().map(|value| node(value, source, offset)).collect())
        }
        DeValue::Table(table) => Content::Table(entries(table, source, offset)),
    };
    Node { at, content }
}

/// One key of the dotted path of an override, and its place.
type Step = (String, At);

/// The path and the value of an override `key=value`.
fn parse_override(text: &str, source: usize, findings: &mut Findings) -> Option<(Vec<Step>, Node)> {
    let whole = At { source, start: 0, end: text.len() };
    let Some((key, value)) = text.split_once('=').filter(|(key, value)| {
        !value.trim().is_empty() && key.split('.').all(|step| !step.trim().is_empty())
    }) else {
        findings.error(whole, "an override is `key=value`", "for example: --set train.epochs=2");
        return None;
    };
    if key.matches('.').count() > KEY_DOTS_MAX {
        findings.error(
            whole,
            "the key of an override has too many dots",
            "for example: --set train.epochs=2",
        );
        return None;
    }
    let mut start = 0;
    let mut path: Vec<Step> = Vec::new();
    for step in key.split('.') {
        path.push((step.trim().to_owned(), At { source, start, end: start + step.len() }));
        start += step.len() + 1;
    }
    if let [(name, at)] = path.as_slice()
        && let Some(table) = table_of(name)
    {
        let at = *at;
        path.splice(0..0, table.split('.').map(|step| (step.to_owned(), at)));
    }
    let offset = key.len() + 1 + (value.len() - value.trim_start().len());
    override_value(value.trim(), source, offset, findings).map(|node| (path, node))
}

/// The table of the key `name`, when an override gives the key without its table.
fn table_of(name: &str) -> Option<&'static str> {
    match name {
        "samples" | "sampler" | "repeats" | "confirm" | "space" => Some("search"),
        "folds" => Some("data"),
        _ if policy::KEYS.contains(&name) => Some("run"),
        _ => KEYS.iter().find(|key| key.name == name).map(|key| key.section.name()),
    }
}

/// The value of an override: TOML, or a bare text if it is not TOML.
fn override_value(value: &str, source: usize, offset: usize, findings: &mut Findings) -> Option<Node> {
    let at = At { source, start: offset, end: offset + value.len() };
    match DeValue::parse(value) {
        Ok(parsed) => Some(match node(parsed, source, offset) {
            Node { content: Content::Date(_), .. } => Node { at, content: Content::Text(value.to_owned()) },
            node => node,
        }),
        Err(error) if value.starts_with(['{', '[', '"', '\'']) => {
            let span = error.span().unwrap_or(0..0);
            let at = At { source, start: span.start + offset, end: span.end + offset };
            findings.error(
                at,
                syntax_message(error.message()),
                "quote the whole override for the shell: --set 'key={ … }'",
            );
            None
        }
        Err(_) => Some(Node { at, content: Content::Text(value.to_owned()) }),
    }
}

/// Puts `node` at `path` and replaces a value that is already there.
fn put(root: &mut Node, path: &[Step], node: Node, findings: &mut Findings) {
    let Some((key, key_at)) = path.first().cloned() else {
        *root = node;
        return;
    };
    let rest = path.get(1..).unwrap_or(&[]);
    let kind = root.content.kind();
    let Content::Table(entries) = &mut root.content else {
        let message = format!("`{key}` cannot be set inside {kind}");
        findings.error(key_at, message, "set the key before the dot instead");
        return;
    };
    let position = entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
        let empty = Node { at: key_at, content: Content::Table(Vec::new()) };
        entries.push(KeyValue { key, key_at, node: empty });
        entries.len() - 1
    });
    if let Some(entry) = entries.get_mut(position) {
        if rest.is_empty() {
            entry.key_at = key_at;
        }
        put(&mut entry.node, rest, node, findings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str, overrides: &[&str]) -> Node {
        let mut findings = Findings::default();
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        let tree = parse("a.toml", text, &overrides, &mut findings).unwrap();
        findings.finish().unwrap();
        tree
    }

    fn content(tree: &Node, path: &str) -> Content {
        tree.find(path).unwrap().content.clone()
    }

    #[test]
    fn keys_stay_in_the_order_of_the_text() {
        let tree = tree("[space]\nz = 1\na = 2\nm.b = 3\n", &["space.b=4", "space.z=5"]);
        let Content::Table(entries) = content(&tree, "space") else { panic!("no table") };
        let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["z", "a", "m", "b"]);
    }

    #[test]
    fn an_override_is_toml_or_else_a_bare_text() {
        let tree =
            tree("", &["a.b=2", "a.c=models/x", "a.d={ grid = [1e-5] }", "a.e = 'x=y'", "a.f=2024-01-01"]);
        assert_eq!(content(&tree, "a.b"), Content::Int(2));
        assert_eq!(content(&tree, "a.c"), Content::Text("models/x".to_owned()));
        assert!(matches!(content(&tree, "a.d.grid"), Content::List(_)));
        assert_eq!(content(&tree, "a.e"), Content::Text("x=y".to_owned()));
        assert_eq!(content(&tree, "a.f"), Content::Text("2024-01-01".to_owned()));
    }

    #[test]
    fn a_bare_setting_in_an_override_finds_its_table() {
        let tree = tree("[train]\nepochs = 5\n", &["epochs=2", "samples=3", "keep=4", "name=x"]);
        assert_eq!(content(&tree, "train.epochs"), Content::Int(2));
        assert_eq!(content(&tree, "search.samples"), Content::Int(3));
        assert_eq!(content(&tree, "run.keep"), Content::Int(4));
        assert_eq!(content(&tree, "name"), Content::Text("x".to_owned()));
    }

    #[test]
    fn places_are_byte_offsets_into_their_own_source() {
        let text = "name = \"é\"\n[train]\nepochs = 5\n";
        let tree = tree(text, &["train.batch_size= 8"]);
        let at = tree.place("train.epochs");
        assert_eq!((at.source, &text[at.start..at.end]), (0, "5"));
        let at = tree.place("train.batch_size");
        assert_eq!((at.source, at.start, at.end), (1, 18, 19));
        let at = tree.place("train.patience");
        assert_eq!(&text[at.start..at.end], "[train]", "what is missing is at its table");
    }
}
