//! A spec in another format: YAML or JSON instead of TOML, and the sweep files of W&B.
//!
//! Nothing is run from such a file. It is shown as TOML, as far as its meaning is certain.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value as Json};

use super::{
    foreign,
    words::{Meaning, meaning},
};
use crate::settings::{self, SettingKey};

/// Draws that are suggested where a file does not say how many.
const SAMPLES_DEFAULT: u64 = 20;
/// Levels of lists and tables that are followed.
const LEVELS_MAX: usize = 16;

/// What is said about a file in another format.
pub(super) struct Translation {
    pub(super) message: String,
    /// The advice, line by line.
    pub(super) help: Vec<String>,
}

/// Recognises JSON and YAML in `text`, which is not TOML, by its contents and by the ending of `name`.
pub(super) fn recognise(name: &str, text: &str) -> Option<Translation> {
    let ending = Path::new(name).extension().map(|ending| ending.to_string_lossy().to_lowercase());
    let ends = |known: &[&str]| ending.as_deref().is_some_and(|ending| known.contains(&ending));
    if ends(&["json"]) || text.trim_start().starts_with('{') {
        let read = serde_json::from_str(text).ok();
        return Some(translation("JSON", read.as_ref(), name));
    }
    let is_key =
        |line: &str| ["parameters:", "method:", "data:", "name:"].iter().any(|key| line.starts_with(key));
    if ends(&["yaml", "yml"]) || text.lines().any(is_key) {
        return Some(translation("YAML", yaml(text).as_ref(), name));
    }
    None
}

/// What is said about a file in `format` with these contents; `None` if they cannot be read.
fn translation(format: &str, contents: Option<&Json>, name: &str) -> Translation {
    let stem = Path::new(name).file_stem().map_or("sweep".into(), |stem| stem.to_string_lossy());
    let (what, lines) = match contents.and_then(Json::as_object) {
        Some(entries) => match entries.get("parameters").and_then(Json::as_object) {
            Some(parameters) => ("a sweep of W&B", Some(wandb(entries, parameters, &stem))),
            None => (format, tables(entries)),
        },
        None => (format, None),
    };
    let mut help = Vec::new();
    match lines {
        Some(lines) => {
            help.push(format!("as TOML, in a file such as {stem}.toml:"));
            help.push(String::new());
            help.extend(lines);
        }
        None => help.push("write it as TOML; docs/spec.md shows how".to_owned()),
    }
    Translation { message: format!("this is {what}, and a spec is TOML"), help }
}

/// The first document of a YAML text; `None` if it cannot be read, or uses aliases.
fn yaml(text: &str) -> Option<Json> {
    // An alias may stand for any amount of text.
    if text.contains(['&', '*']) {
        return None;
    }
    json(Yaml::load_from_str(text).ok()?.first()?, LEVELS_MAX)
}

fn json(yaml: &Yaml<'_>, levels: usize) -> Option<Json> {
    let below = levels.checked_sub(1)?;
    Some(match yaml {
        Yaml::Value(Scalar::Null) => Json::Null,
        Yaml::Value(Scalar::Boolean(truth)) => Json::Bool(*truth),
        Yaml::Value(Scalar::Integer(int)) => Json::from(*int),
        Yaml::Value(Scalar::FloatingPoint(float)) => Json::from(float.into_inner()),
        Yaml::Value(Scalar::String(text)) => Json::String(text.to_string()),
        Yaml::Sequence(values) => {
            Json::Array(values.iter().map(|value| json(value, below)).collect::<Option<_>>()?)
        }
        Yaml::Mapping(entries) => {
            let entry =
                |(key, value): (&Yaml<'_>, &Yaml<'_>)| Some((key.as_str()?.to_owned(), json(value, below)?));
            Json::Object(entries.iter().map(entry).collect::<Option<_>>()?)
        }
        Yaml::Tagged(_, inner) => json(inner, below)?,
        Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => return None,
    })
}

/// The lines of a file that has our own keys, or others: tables as they are.
fn tables(entries: &Map<String, Json>) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    table(entries, "", &mut lines)?;
    Some(lines)
}

/// Adds the lines of the table at `path`: its values first, then the tables in it.
fn table(entries: &Map<String, Json>, path: &str, lines: &mut Vec<String>) -> Option<()> {
    let is_table = |key: &str, value: &Json| {
        let is_section =
            path.is_empty() || (path == "search" && key == "space") || (path == "run" && key == "retries");
        is_section && value.is_object()
    };
    for (key, value) in entries.iter().filter(|(key, value)| !is_table(key, value)) {
        lines.push(format!("{} = {}", foreign::bare(key)?, foreign::toml(value)?));
    }
    for (key, value) in entries.iter().filter(|(key, value)| is_table(key, value)) {
        let key = foreign::bare(key)?;
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        lines.extend([String::new(), format!("[{path}]")]);
        table(value.as_object()?, &path, lines)?;
    }
    Some(())
}

/// The lines of a sweep file of W&B.
fn wandb(entries: &Map<String, Json>, parameters: &Map<String, Json>, stem: &str) -> Vec<String> {
    let name = entries.get("name").and_then(Json::as_str).unwrap_or(stem);
    let mut search = Search::default();
    for (word, described) in parameters {
        search.add(word, described);
    }
    let mut lines = vec![
        format!("name = \"{}\"", folder_name(name)),
        String::new(),
        "[data]".to_owned(),
        "path = \"reviews.csv\"  # your file, with the columns `text` and `label`".to_owned(),
    ];
    for (section, settings) in &search.fixed {
        lines.extend([String::new(), format!("[{section}]")]);
        lines.extend(settings.iter().cloned());
    }
    if search.has_range {
        let samples = entries.get("run_cap").and_then(Json::as_u64).unwrap_or(SAMPLES_DEFAULT);
        lines.extend([String::new(), "[search]".to_owned(), format!("samples = {samples}")]);
    }
    if !search.space.is_empty() {
        lines.extend([String::new(), "[search.space]".to_owned()]);
        lines.extend(search.space);
    }
    lines.extend(search.notes);
    if entries.get("method").and_then(Json::as_str).is_some_and(|method| method != "grid") {
        let mut note = String::from("# every list is tried in full");
        let _ = write!(
            note,
            "{}",
            if search.has_range { ", with `samples` draws from the ranges in each cell" } else { "" }
        );
        lines.push(note);
    }
    lines
}

/// The parameters of a sweep file, by what becomes of them.
#[derive(Default)]
struct Search {
    /// Lines of fixed settings, by section.
    fixed: BTreeMap<&'static str, Vec<String>>,
    space: Vec<String>,
    has_range: bool,
    /// Comments about what has no counterpart.
    notes: Vec<String>,
}

impl Search {
    /// Adds the parameter `word`.
    fn add(&mut self, word: &str, described: &Json) {
        let key: Result<&'static SettingKey, &str> = match (settings::key(word), meaning(word)) {
            (Some(key), _) => Ok(key),
            (None, Some(Meaning::Setting(name))) => settings::key(name).ok_or(""),
            (None, Some(Meaning::Note(note))) => Err(note),
            (None, Some(Meaning::Key(..)) | None) => Err("no setting of this name"),
        };
        let key = match key {
            Ok(key) => key,
            Err(why) => return self.notes.push(comment(word, why)),
        };
        if let Some(value) = described.get("value").and_then(|value| foreign::fixed(key, value)) {
            let line = format!("{} = {}", key.name, foreign::quoted(&value));
            self.fixed.entry(key.section.name()).or_default().push(line);
        } else if let Some(domain) = foreign::domain(key, described) {
            self.has_range |= !domain.starts_with("{ grid");
            self.space.push(format!("{} = {domain}", key.name));
        } else {
            self.notes.push(comment(word, "not certain what to write; a grid, uniform, log_uniform or int"));
        }
    }
}

/// A comment of TOML about a parameter.
fn comment(word: &str, why: &str) -> String {
    format!("# {}: {why}", word.replace(char::is_control, " "))
}

/// `name` as a name that a sweep may have.
pub(super) fn folder_name(name: &str) -> String {
    let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut allowed: String = name.chars().map(|c| if is_allowed(c) { c } else { '-' }).collect();
    for double in ["--", ".."] {
        while allowed.contains(double) {
            allowed = allowed.replace(double, &double[..1]);
        }
    }
    let trimmed: String = allowed.trim_matches(['-', '.', '_']).chars().take(60).collect();
    if trimmed.is_empty() { "sweep".to_owned() } else { trimmed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{SpecText, parse};

    /// The TOML that is shown for a file; it must be a spec.
    fn shown(name: &str, text: &str) -> String {
        let help = recognise(name, text).unwrap().help;
        let toml = help.get(2..).unwrap().join("\n") + "\n";
        let base = Path::new("/");
        let spec = parse(&SpecText { name: "a.toml", text: &toml, overrides: &[], base, working: base });
        assert!(spec.is_ok(), "{}\n{toml}", spec.map(|_| ()).unwrap_err().render(false));
        toml
    }

    #[test]
    fn a_sweep_of_wandb_is_shown_as_far_as_it_is_certain() {
        let yaml = "program: train.py\nmethod: bayes\nname: my sweep\nrun_cap: 30\nmetric:\n  name: eval/f1\n  goal: maximize\n\
                    parameters:\n  learning_rate:\n    distribution: log_uniform_values\n    min: 1e-5\n    max: 1e-3\n  \
                    per_device_train_batch_size:\n    values: [8, 16]\n  num_train_epochs:\n    value: 3\n  optimizer:\n    \
                    values: [\"adam\", \"sgd\"]\n  beta:\n    distribution: beta\n    max: 3\n";
        let toml = shown("sweep.yaml", yaml);
        for line in [
            "name = \"my-sweep\"",
            "epochs = 3",
            "samples = 30",
            "learning_rate = { log_uniform = [1e-5, 0.001] }",
            "batch_size = { grid = [8, 16] }",
            "# beta: no setting of this name",
        ] {
            assert!(toml.lines().any(|it| it == line), "{line}\n{toml}");
        }
        assert!(toml.contains("# optimizer: the optimiser is always AdamW"), "{toml}");
    }

    #[test]
    fn a_spec_in_json_is_shown_as_toml() {
        let json = r#"{"name": "x", "data": {"path": "a.csv", "split": {"train": 0.8, "validation": 0.1, "test": 0.1}},
                       "search": {"samples": 3, "space": {"dropout": {"uniform": [0.0, 0.3]}}}}"#;
        let toml = shown("spec.json", json);
        assert!(toml.contains("[search.space]\ndropout = { uniform = [0, 0.3] }\n"), "{toml}");
        assert!(toml.contains("split = { train = 0.8, validation = 0.1, test = 0.1 }\n"), "{toml}");
    }

    #[test]
    fn yaml_with_our_keys_is_shown_as_toml() {
        let toml = shown("a.yml", "name: x\ndata:\n  path: a.csv\ntrain:\n  epochs: 2\n");
        assert_eq!(toml, "name = \"x\"\n\n[data]\npath = \"a.csv\"\n\n[train]\nepochs = 2\n");
    }

    #[test]
    fn what_cannot_be_read_is_named_without_a_translation() {
        for (name, text) in
            [("a.json", "{"), ("a.yaml", "a: ["), ("a.yaml", "a: &x [1]\nb: *x\n"), ("a.json", "[1]")]
        {
            assert_eq!(recognise(name, text).unwrap().help.len(), 1, "{text}");
        }
        assert!(recognise("a.toml", "epochs = two").is_none());
    }

    #[test]
    fn a_name_is_made_one_that_a_folder_may_have() {
        let names = ["my sweep", "../x", "a..b", "情感 分类", "?"].map(folder_name);
        assert_eq!(names, ["my-sweep", "x", "a.b", "情感-分类", "sweep"]);
    }
}
