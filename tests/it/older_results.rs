//! Results folders of earlier versions: they are read as the version that wrote them read them.
//!
//! `tests/fixtures/results-log-1` holds two sweeps that a program with log version 1 ran: trials that
//! were interrupted, killed, over their time limit, started from other trials' final checkpoints,
//! resumed from damaged checkpoints, taken over from the other sweep, and parameters that `keep`
//! removed. The tables of parameters are left out.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;
use sweep::{job::Job, journal, plan::Plan, study::Study};

use crate::common::{
    program::{self, Written},
    repository,
};

/// Sweeps of the fixture.
const SWEEPS: [&str; 2] = ["older", "newer"];

fn results() -> PathBuf {
    repository().join("tests/fixtures/results-log-1")
}

fn json(path: &str) -> Value {
    serde_json::from_slice(&fs::read(results().join(path)).unwrap()).unwrap()
}

/// The events of a sweep's log, as JSON: as that program wrote them.
fn events(sweep: &str) -> Vec<Value> {
    let text = fs::read_to_string(results().join(sweep).join("events.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].clone()).collect()
}

fn kind(event: &Value) -> String {
    match event {
        Value::String(name) => name.clone(),
        other => other.as_object().unwrap().keys().next().unwrap().clone(),
    }
}

/// The study of a sweep, and the events that were read as this version writes them.
fn replay(sweep: &str) -> (Study, Vec<Value>) {
    let plan: Plan = serde_json::from_value(json(&format!("{sweep}/plan.json"))).unwrap();
    let (mut study, mut events) = (Study::new(&plan), Vec::new());
    journal::scan(
        &sweep::system::files::Place::of(results().join(sweep).join("events.jsonl")),
        &mut |record| {
            study.apply(&record).unwrap();
            events.push(serde_json::to_value(&record.event).unwrap());
        },
    )
    .unwrap();
    (study, events)
}

#[test]
fn the_fixture_has_every_event_of_version_1() {
    let kinds: BTreeSet<String> = SWEEPS.iter().flat_map(|sweep| events(sweep)).map(|it| kind(&it)).collect();
    let expected = [
        "sweep_started",
        "started",
        "prepared",
        "evaluated",
        "resumed",
        "checkpoint_damaged",
        "finished",
        "failed",
        "interrupted",
        "pruned",
        "sweep_ended",
    ];
    assert_eq!(kinds, expected.map(str::to_owned).into());
}

#[test]
fn every_event_of_version_1_is_read_unchanged_but_for_its_name() {
    for sweep in SWEEPS {
        let renamed = |event: Value| match event.as_str() {
            Some("pruned") => Value::from("parameters_removed"),
            _ => event,
        };
        let written: Vec<Value> = events(sweep).into_iter().map(renamed).collect();
        assert_eq!(replay(sweep).1, written, "{sweep}");
    }
}

#[test]
fn the_trials_of_a_log_of_version_1_stand_where_they_stood() {
    let (study, _) = replay("older");
    assert_eq!((study.counts().complete, study.counts().failed), (7, 2));
    let removed = study.trials.iter().filter(|record| record.parameters_removed);
    assert_eq!(removed.map(|record| record.trial.id.0).collect::<Vec<_>>(), [7]);
}

#[test]
fn a_plan_beside_a_log_of_version_1_is_written_as_it_was() {
    for sweep in SWEEPS {
        let written = json(&format!("{sweep}/plan.json"));
        let plan: Plan = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&plan).unwrap(), written, "{sweep}");
    }
}

#[test]
fn a_job_beside_a_log_of_version_1_is_written_as_it_was() {
    let written = json("older/trials/0007/trial.json");
    let job: Job = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(&job).unwrap(), written);
}

#[test]
fn the_leaderboard_is_the_one_of_that_program_but_for_renamed_fields_and_comparisons() {
    for sweep in SWEEPS {
        let mut command = program::sweep(&["leaderboard", sweep, "--format", "json", "--results"]);
        let written = Written::by(command.arg(results())).succeeded();
        let found: Value = serde_json::from_str(&written.stdout).unwrap();
        let mut expected = json(&format!("{sweep}/leaderboard.json"));
        for row in expected.as_array_mut().unwrap() {
            let row = row.as_object_mut().unwrap();
            let from = row.remove("went_on_from").unwrap();
            row.insert("warm_started_from".to_owned(), from);
            // None of these trials learned anything, so that none is a leader to compare the others with.
            assert!(row["verdict"] == "collapsed" || row["rank"].is_null(), "{row:?}");
            for field in ["tied", "p_value"] {
                row.insert(field.to_owned(), Value::Null);
            }
        }
        let mut found = found;
        for row in found.as_array_mut().unwrap() {
            for added in ["positive", "halted", "winner", "evidence", "clean", "fold", "confirms"] {
                let field = row.as_object_mut().unwrap().remove(added);
                assert!(field.is_some(), "{added}, a field that this program has added");
            }
        }
        assert_eq!(found, expected, "{sweep}");
    }
}
