//! Lines and forecasts by example.

use super::*;
use crate::{samples::plan, trial::FailureKind};

fn record(trial: u32, event: Event) -> Record {
    Record { v: 1, seq: 1, at: String::new(), trial: Some(TrialId(trial)), event }
}

#[test]
fn a_failure_says_whether_it_is_tried_again() {
    let study = Study::new(&plan(2));
    let failure = Failure { kind: FailureKind::Signal(9), message: "killed".to_owned() };
    let text = |retry| line(&record(2, Event::Failed { failure: failure.clone(), retry }), &study).unwrap();
    assert_eq!(text(true), "trial 0002 failed: killed; it is tried again");
    assert_eq!(text(false), "trial 0002 failed: killed");
}

#[test]
fn a_second_attempt_says_so() {
    let study = Study::new(&plan(1));
    let started = |attempt, micro_batch, alone| {
        let event = Event::Started { attempt, device: Device::Cuda { index: 1 }, micro_batch, alone };
        line(&record(1, event), &study).unwrap()
    };
    assert_eq!(started(2, None, false), "trial 0001 starts on cuda:1 (attempt 2)");
    let small = "trial 0001 starts alone on cuda:1 in micro-batches of 8 (attempt 5)";
    assert_eq!(started(5, Some(8), true), small);
}

#[test]
fn an_interrupted_sweep_says_how_to_go_on() {
    let study = Study::new(&plan(3));
    let record = Record { trial: None, ..record(1, Event::SweepEnded { interrupted: true }) };
    let text = line(&record, &study).unwrap();
    assert_eq!(text, "interrupted: 3 of 3 trials wait; the same command goes on with them");
}

#[test]
fn one_trial_is_no_plural_and_without_settings_there_is_no_colon() {
    let mut study = Study::new(&plan(1));
    let about_all = |event| Record { trial: None, ..record(1, event) };
    let devices = vec![Device::Cpu { slot: 0, threads: 1 }];
    let begun = Event::SweepStarted { version: String::new(), devices, trials: 1, arithmetic: None };
    assert_eq!(line(&about_all(begun), &study).unwrap(), "sweep test: 1 trial, on cpu:0");
    let interrupted = about_all(Event::SweepEnded { interrupted: true });
    let text = line(&interrupted, &study).unwrap();
    assert_eq!(text, "interrupted: 1 of 1 trial waits; the same command goes on with it");
    let dropout = ("dropout".to_owned(), crate::settings::Value::Float(0.1));
    study.trials[0].trial.params.0.push(dropout);
    let device = Device::Cuda { index: 1 };
    let event = Event::Started { attempt: 1, device, micro_batch: None, alone: false };
    assert_eq!(line(&record(1, event), &study).unwrap(), "trial 0001 starts on cuda:1: dropout=0.1");
}

#[test]
fn a_message_cannot_speak_to_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = Study::new(&plan(1));
    let failure = Failure { kind: FailureKind::Data, message: "label \u{1b}[31m".to_owned() };
    study.apply(&record(1, Event::Failed { failure, retry: false })).unwrap();
    let mut out = Vec::new();
    summary(&mut out, &study, "", &crate::results::Results::new(folder.path()).sweep("test")).unwrap();
    assert!(!out.contains(&0x1b), "{}", String::from_utf8_lossy(&out));
}

#[test]
fn the_time_left_counts_only_what_this_run_did() {
    let since = Instant::now();
    let forecast = Forecast { since, before: 4.0, total: 10.0, ended: 5.0 };
    let now = since + Duration::from_mins(1);
    assert_eq!(forecast.left(now, 1.0), Some(Duration::from_mins(2)));
    assert_eq!(Forecast { before: 5.0, ..forecast }.left(now, 0.0), None);
}

#[test]
fn spans_of_time_are_said_in_two_units_at_most() {
    let texts = [0.4, 59.4, 130.0, 3900.0].map(|s| duration(Duration::from_secs_f64(s)));
    assert_eq!(texts, ["0 s", "59 s", "2 min 10 s", "1 h 5 min"]);
}

#[test]
fn the_summary_names_failures_and_only_pictures_that_exist() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = crate::results::Results::new(folder.path()).sweep("test");
    std::fs::create_dir(sweep.path()).unwrap();
    std::fs::write(sweep.overview(), "").unwrap();
    let mut study = Study::new(&plan(2));
    let failure = Failure { kind: FailureKind::Data, message: "no such file".to_owned() };
    study.apply(&record(1, Event::Failed { failure, retry: false })).unwrap();
    let mut out = Vec::new();
    summary(&mut out, &study, "rank\n1\n", &sweep).unwrap();
    let text = String::from_utf8(out).unwrap().replace(&folder.path().display().to_string(), "results");
    assert_eq!(
        text,
        "test: 0 of 2 trials complete, 1 failed, 1 waits\n  trial 0001 failed: no such file\n  \
         failed trial stays failed; to try it again: sweep run SPEC --retry-failed\n\n\
         rank\n1\n\noverview  results/test/overview.png\nresults   results/test\n"
    );
}

#[test]
fn a_tokenizer_that_does_not_know_the_texts_is_warned_of_once() {
    let mut study = Study::new(&plan(2));
    let prepared = |share: f64| Prepared {
        train_documents: 10,
        train_chunks: 10,
        validation_documents: 1,
        test_documents: 1,
        long_documents: 0,
        duplicates_dropped: 0,
        unknown_share: share,
        parameters: 1,
        steps: 1,
        seconds: 0.0,
    };
    assert_eq!(line(&record(1, Event::Prepared(prepared(0.02))), &study), None);
    let warned = record(1, Event::Prepared(prepared(0.031)));
    let text = line(&warned, &study).unwrap();
    assert!(text.starts_with("warning: 3.1 % of the training texts' tokens are unknown"), "{text}");
    study.apply(&warned).unwrap();
    assert_eq!(line(&record(2, Event::Prepared(prepared(0.031))), &study), None);
}
