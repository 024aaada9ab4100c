//! The store that MLflow reads, read back.

use std::collections::BTreeMap;

use super::*;
use crate::{
    event::{Event, Record},
    export::times::Times,
    samples::{failed, record, started, study},
    study::Study,
    system::clock,
    trial::FailureKind,
};

/// A sweep of a complete trial, one that failed and one that has not begun.
fn sweep() -> Study {
    let mut waiting = record(3, &[]);
    waiting.attempts = 0;
    study(vec![record(1, &[0.6, 0.5]), failed(record(2, &[0.6]), FailureKind::Panic), waiting])
}

fn exported(study: &Study, root: &str) -> Files {
    let (mut times, mut second) = (Times::default(), 0);
    for record in study.trials.iter().filter(|record| record.attempts > 0) {
        let device = record.device.unwrap();
        let mut events = vec![started(1, device)];
        events.extend(record.evaluations.iter().cloned().map(Event::Evaluated));
        events.extend(record.outcome.clone().map(Event::Finished));
        events.extend(record.failure.clone().map(|failure| Event::Failed { failure, retry: false }));
        for event in events {
            second += 1;
            let at = clock::milliseconds(std::time::UNIX_EPOCH + std::time::Duration::from_secs(second));
            times.add(&Record { v: 1, seq: second, at, trial: Some(record.trial.id), event });
        }
    }
    files(&Runs::new(study, &times), Path::new(root))
}

/// The files of the trial called `name`, by their paths in its folder.
fn of_run(files: &Files, name: &str) -> BTreeMap<String, String> {
    let is_name = |(path, bytes): &(&String, &Vec<u8>)| {
        path.ends_with("tags/mlflow.runName") && bytes.as_slice() == name.as_bytes()
    };
    let (path, _) = files.iter().find(is_name).unwrap();
    let folder = path.strip_suffix("tags/mlflow.runName").unwrap();
    let of_folder = files.iter().filter_map(|(path, bytes)| Some((path.strip_prefix(folder)?, bytes)));
    of_folder.map(|(path, bytes)| (path.to_owned(), String::from_utf8(bytes.clone()).unwrap())).collect()
}

/// The entries of a YAML file whose values are JSON too.
fn entries(yaml: &str) -> BTreeMap<String, serde_json::Value> {
    let entry = |line: &str| {
        let (key, value) = line.split_once(": ").unwrap();
        (key.to_owned(), serde_json::from_str(value).unwrap())
    };
    yaml.lines().map(entry).collect()
}

#[test]
fn the_sweep_is_an_experiment_with_its_name() {
    let files = exported(&sweep(), "/results/mlflow");
    let (path, bytes) = files.iter().find(|(path, _)| path.matches('/').count() == 1).unwrap();
    let found = entries(std::str::from_utf8(bytes).unwrap());
    let id = path.strip_suffix("/meta.yaml").unwrap();
    assert_eq!((found["experiment_id"].as_str(), found["name"].as_str()), (Some(id), Some("reviews")));
    assert!(id.len() == 18 && id.bytes().all(|byte| byte.is_ascii_digit()), "{id}");
}

#[test]
fn each_trial_that_has_begun_is_a_run() {
    let files = exported(&sweep(), "/results/mlflow");
    let runs: Vec<&Vec<u8>> =
        files.iter().filter(|(path, _)| path.ends_with("mlflow.runName")).map(|(_, name)| name).collect();
    assert!(
        runs.len() == 2 && runs.iter().all(|name| [b"0001", b"0002"].iter().any(|it| name == it)),
        "{runs:?}"
    );
}

#[test]
fn a_run_ends_as_its_trial_did() {
    let files = exported(&sweep(), "/results/mlflow");
    let of = |name: &str| entries(&of_run(&files, name)["meta.yaml"]);
    let (complete, failed) = (of("0001"), of("0002"));
    // `RunStatus`: FINISHED and FAILED.
    assert_eq!((complete["status"].as_u64(), failed["status"].as_u64()), (Some(3), Some(4)));
    assert_eq!((complete["start_time"].as_u64(), complete["end_time"].as_u64()), (Some(1_000), Some(4_000)));
}

/// MLflow takes no other folder for a run.
#[test]
fn a_run_has_folders_for_metrics_parameters_and_artifacts() {
    let mut study = sweep();
    study.trials[1].evaluations.clear();
    let run = of_run(&exported(&study, "/results/mlflow"), "0002");
    let has = |folder: &str| run.keys().any(|path| path.starts_with(folder));
    assert!(["metrics/", "params/", "artifacts/"].into_iter().all(has), "{:?}", run.keys());
}

#[test]
fn every_setting_is_a_parameter() {
    let files = exported(&sweep(), "/results/mlflow");
    let run = of_run(&files, "0001");
    for key in crate::settings::KEYS {
        let value = key.get(&sweep().trials[0].trial.settings).to_string();
        assert_eq!(run[&format!("params/{}", key.name)], value);
    }
    assert_eq!(run["params/seed"], "1001");
}

#[test]
fn evaluations_are_metrics_by_time_and_step() {
    let run = of_run(&exported(&sweep(), "/results/mlflow"), "0001");
    assert_eq!(run["metrics/val_loss"], "2000 0.6 100\n3000 0.5 200\n");
}

#[test]
fn test_figures_stand_at_the_best_step_and_only_where_a_trial_was_measured() {
    let study = sweep();
    let files = exported(&study, "/results/mlflow");
    let f1 = study.trials[0].outcome.as_ref().unwrap().test.f1;
    assert_eq!(of_run(&files, "0001")["metrics/test_f1"], format!("4000 {f1} 200\n"));
    assert!(!of_run(&files, "0002").keys().any(|path| path.starts_with("metrics/test")));
}

#[test]
fn artifacts_stand_in_the_folder_of_the_export() {
    let files = exported(&sweep(), "/a b/评论#1");
    let found = entries(&of_run(&files, "0001")["meta.yaml"]);
    let uri = found["artifact_uri"].as_str().unwrap();
    assert!(uri.starts_with("file:///a%20b/%E8%AF%84%E8%AE%BA%231/"), "{uri}");
}

#[test]
fn a_text_from_outside_stays_a_text_in_yaml() {
    for (text, expected) in [
        ("a: b # c", r#""a: b # c""#),
        ("a\"b\\c", r#""a\"b\\c""#),
        ("评论\u{202e}\n😡", r#""评论\U0000202E\U0000000A\U0001F621""#),
    ] {
        assert_eq!(quoted(text), expected);
    }
}

#[test]
fn a_reason_is_one_line_that_speaks_to_no_terminal() {
    let mut study = sweep();
    study.trials[1].failure.as_mut().unwrap().message = "a\n\u{1b}[31mb".to_owned();
    let run = of_run(&exported(&study, "/results/mlflow"), "0002");
    assert_eq!(run["tags/reason"], "worker panicked: a  [31mb");
}
