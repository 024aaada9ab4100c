//! The format of MLflow: its store in files, which `mlflow ui` opens and `mlflow migrate-filestore` reads.
//!
//! The sweep is an experiment, and each trial that has begun a run of it. Settings are parameters, and evaluations metrics
//! by step. The ids are digests of what identifies sweep and trial, so that the same results give the same files.

use std::{
    fmt::Write as _,
    path::{Component, Path},
};

use super::{
    runs::{Run, Runs},
    times::{Milliseconds, TrialTimes},
};
use crate::{
    chance::digest, display::plain, event::Evaluation, metrics::Scores, system::files::many::Files,
    trial::State,
};

/// The least id of an experiment. MLflow's own have eighteen digits too.
const EXPERIMENT_MIN: u64 = 100_000_000_000_000_000;
/// Experiments have ids below this many above the least.
const EXPERIMENTS: u64 = 900_000_000_000_000_000;

/// `RunStatus`
const RUNNING: u8 = 1;
const FINISHED: u8 = 3;
const FAILED: u8 = 4;
const KILLED: u8 = 5;

/// The files of a store whose folder has the absolute path `root`.
pub(super) fn files(runs: &Runs<'_>, root: &Path) -> Files {
    let experiment = experiment_id(runs);
    let place = format!("{}/{experiment}", uri(root));
    let latest = runs.trials.iter().filter_map(|run| run.times).map(TrialTimes::latest).max();
    let about = yaml(&[
        ("artifact_location", Yaml::Text(&place)),
        ("creation_time", Yaml::Number(runs.begun)),
        ("experiment_id", Yaml::Text(&experiment)),
        ("last_update_time", Yaml::Number(latest.unwrap_or(runs.begun))),
        ("lifecycle_stage", Yaml::Text("active")),
        ("name", Yaml::Text(&runs.sweep)),
    ]);
    let mut files = Files::from([(format!("{experiment}/meta.yaml"), about)]);
    for run in &runs.trials {
        let Some(times) = run.times else { continue };
        let id = run_id(runs, run);
        let mut add =
            |name: &str, bytes: Vec<u8>| _ = files.insert(format!("{experiment}/{id}/{name}"), bytes);
        add("meta.yaml", meta(run, times, [&experiment, &id, &format!("{place}/{id}/artifacts")]));
        // Without these folders MLflow does not take it for a run.
        add("metrics/", Vec::new());
        add("artifacts/", Vec::new());
        for (name, value) in parameters(run) {
            add(&format!("params/{name}"), value.into_bytes());
        }
        for (name, lines) in metrics(run, times) {
            add(&format!("metrics/{name}"), lines.into_bytes());
        }
        for (name, value) in tags(runs, run) {
            add(&format!("tags/{name}"), value.into_bytes());
        }
    }
    files
}

/// The id of the sweep: a number, as MLflow's own are.
fn experiment_id(runs: &Runs<'_>) -> String {
    let hash = digest(&["mlflow experiment", &runs.sweep, &runs.begun.to_string()]);
    let mut first = [0; 8];
    first.copy_from_slice(hash.split_at(8).0);
    (EXPERIMENT_MIN + u64::from_be_bytes(first) % EXPERIMENTS).to_string()
}

/// The id of a trial: 32 hexadecimal digits.
fn run_id(runs: &Runs<'_>, run: &Run<'_>) -> String {
    let hash = digest(&["mlflow run", &runs.sweep, &runs.begun.to_string(), &run.id().to_string()]);
    hash.iter().take(16).fold(String::new(), |mut id, byte| {
        // Writing to a string does not fail.
        let _ = write!(id, "{byte:02x}");
        id
    })
}

fn meta(run: &Run<'_>, times: &TrialTimes, [experiment, id, artifacts]: [&str; 3]) -> Vec<u8> {
    let status = match run.record.state {
        State::Complete => FINISHED,
        State::Failed => FAILED,
        State::Halted => KILLED,
        State::Waiting | State::Running | State::Paused => RUNNING,
    };
    yaml(&[
        ("artifact_uri", Yaml::Text(artifacts)),
        ("end_time", times.ended.map_or(Yaml::Null, Yaml::Number)),
        ("entry_point_name", Yaml::Text("")),
        ("experiment_id", Yaml::Text(experiment)),
        ("lifecycle_stage", Yaml::Text("active")),
        ("run_id", Yaml::Text(id)),
        ("run_name", Yaml::Text(&run.id().to_string())),
        ("run_uuid", Yaml::Text(id)),
        ("source_name", Yaml::Text("")),
        // `SourceType.LOCAL`
        ("source_type", Yaml::Number(4)),
        ("source_version", Yaml::Text("")),
        ("start_time", Yaml::Number(times.begun)),
        ("status", Yaml::Number(status.into())),
        ("tags", Yaml::Nothing),
        ("user_id", Yaml::Text("")),
    ])
}

fn parameters(run: &Run<'_>) -> Vec<(&'static str, String)> {
    let settings = run.settings().map(|(name, value)| (name, value.to_string()));
    let trial = &run.record.trial;
    let own = [("seed", trial.seed.to_string()), ("repeat", trial.repeat.to_string())];
    settings.chain(own).chain(trial.fold.map(|fold| ("fold", fold.to_string()))).collect()
}

/// A figure of an evaluation.
type Figure = fn(&Evaluation) -> f64;

/// The metrics that have a value for each evaluation.
const BY_STEP: [(&str, Figure); 8] = [
    ("epoch", |each| each.epoch),
    ("train_loss", |each| each.train_loss),
    ("val_loss", |each| each.validation.loss),
    ("val_accuracy", |each| each.validation.accuracy),
    ("val_precision", |each| each.validation.precision),
    ("val_recall", |each| each.validation.recall),
    ("val_f1", |each| each.validation.f1),
    ("step_learning_rate", |each| each.learning_rate),
];

/// A line of a metric.
fn line(at: Milliseconds, value: f64, step: u64) -> String {
    format!("{at} {value} {step}\n")
}

/// The lines of each metric: time, value and step.
fn metrics(run: &Run<'_>, times: &TrialTimes) -> Vec<(&'static str, String)> {
    let evaluations = &run.record.evaluations;
    let mut metrics = Vec::new();
    for (name, figure) in BY_STEP.iter().filter(|_| !evaluations.is_empty()) {
        let lines = evaluations.iter().map(|each| line(run.time_of(each), figure(each), each.step));
        metrics.push((*name, lines.collect::<String>()));
    }
    let Some(best) = run.best() else { return metrics };
    let at = run.time_of(best);
    for (name, value) in [
        ("best_epoch", best.epoch),
        ("best_val_f1", best.validation.f1),
        ("best_val_loss", best.validation.loss),
    ] {
        metrics.push((name, line(at, value, best.step)));
    }
    let measured = run.test().map_or_else(Vec::new, |test| measured(test).to_vec());
    let at = times.ended.unwrap_or(at);
    metrics.extend(measured.into_iter().map(|(name, value)| (name, line(at, value, best.step))));
    metrics
}

/// The figures on the test set.
const fn measured(test: &Scores) -> [(&'static str, f64); 7] {
    [
        ("test_f1", test.f1),
        ("test_f1_low", test.f1_low),
        ("test_f1_high", test.f1_high),
        ("test_accuracy", test.accuracy),
        ("test_precision", test.precision),
        ("test_recall", test.recall),
        ("test_loss", test.loss),
    ]
}

fn tags(runs: &Runs<'_>, run: &Run<'_>) -> Vec<(&'static str, String)> {
    let record = run.record;
    let failure = record.failure.as_ref().filter(|_| record.state == State::Failed);
    let tags = [
        ("mlflow.runName", Some(run.id().to_string())),
        ("mlflow.source.name", Some("sweep".to_owned())),
        ("mlflow.source.type", Some("LOCAL".to_owned())),
        ("sweep", Some(runs.sweep.clone())),
        ("state", Some(record.state.as_str().to_owned())),
        ("verdict", run.verdict.map(|verdict| verdict.to_string())),
        ("device", record.device.map(|device| device.to_string())),
        ("reason", failure.map(|failure| plain(&format!("{}: {}", failure.kind, failure.message)))),
    ];
    tags.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// A value in YAML.
enum Yaml<'a> {
    Text(&'a str),
    Number(u64),
    Null,
    /// A list without entries.
    Nothing,
}

/// A YAML file with these keys.
fn yaml(entries: &[(&str, Yaml<'_>)]) -> Vec<u8> {
    let mut text = String::new();
    for (key, value) in entries {
        let value = match value {
            Yaml::Text(value) => quoted(value),
            Yaml::Number(value) => value.to_string(),
            Yaml::Null => "null".to_owned(),
            Yaml::Nothing => "[]".to_owned(),
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{key}: {value}");
    }
    text.into_bytes()
}

/// A text in double quotes. Whatever is neither a letter nor a digit nor ASCII is an escape: YAML has no other way to write
/// some characters.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        let _ = match c {
            '"' | '\\' => write!(quoted, "\\{c}"),
            ' '..='~' => write!(quoted, "{c}"),
            _ if c.is_alphanumeric() => write!(quoted, "{c}"),
            _ => write!(quoted, "\\U{:08X}", u32::from(c)),
        };
    }
    quoted + "\""
}

/// The address of a folder: every byte that may mean something else there is an escape.
fn uri(folder: &Path) -> String {
    let mut uri = String::from("file://");
    for part in folder.components().filter(|part| !matches!(part, Component::RootDir)) {
        uri.push('/');
        for byte in part.as_os_str().as_encoded_bytes() {
            let _ = match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    write!(uri, "{}", char::from(*byte))
                }
                _ => write!(uri, "%{byte:02X}"),
            };
        }
    }
    uri
}

#[cfg(test)]
mod tests;
