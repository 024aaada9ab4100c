//! A log folded over a plan, by example.

use super::*;
use crate::{
    samples::{self, plan},
    system::device::Device,
    trial::{Failure, FailureKind, TrialRef},
};

fn study(events: &[(u32, Event)]) -> Result<Study, StudyError> {
    let records: Vec<Record> = events
        .iter()
        .zip(1..)
        .map(|((trial, event), seq)| Record {
            v: 1,
            seq,
            at: String::new(),
            trial: (*trial > 0).then_some(TrialId(*trial)),
            event: event.clone(),
        })
        .collect();
    Study::replay(&plan(2), &records)
}

fn started(attempt: u32) -> Event {
    let device = Device::Cpu { slot: 0, threads: 1 };
    samples::started(attempt, device)
}

fn failed(kind: FailureKind, retry: bool) -> Event {
    Event::Failed { failure: Failure { kind, message: "m".to_owned() }, retry }
}

#[test]
fn a_trial_that_ran_when_the_orchestrator_died_waits_once_it_begins_again() {
    let begun = Event::SweepStarted {
        version: "0".to_owned(),
        devices: vec![],
        trials: 2,
        arithmetic: None,
        notes: vec![],
    };
    let study = study(&[(0, begun.clone()), (1, started(1)), (0, begun)]).unwrap();
    assert_eq!(study.trials[0].state, State::Waiting);
    assert_eq!(study.to_run(), [(TrialId(1), 1), (TrialId(2), 0)]);
}

#[test]
fn a_record_about_an_unknown_trial_is_refused() {
    let error = study(&[(3, started(1))]).unwrap_err();
    assert_eq!(error, StudyError::UnknownTrial { seq: 1, trial: TrialId(3) });
}

#[test]
fn records_about_a_trial_that_was_removed_say_nothing() {
    let mut plan = plan(2);
    plan.removed.trials.extend(plan.trials.pop());
    plan.removed.retired.push(TrialId(3));
    let record =
        |seq, trial| Record { v: 1, seq, at: String::new(), trial: Some(TrialId(trial)), event: started(1) };
    let study = Study::replay(&plan, &[record(1, 2), record(2, 3), record(3, 1)]).unwrap();
    assert_eq!(study.to_run(), [(TrialId(1), 1)]);
    assert!(Study::replay(&plan, &[record(1, 4)]).is_err());
}

#[test]
fn a_trial_that_the_log_has_added_may_stand_in_a_later_plan() {
    let planned = |plan: &Plan, trial: Trial| {
        let event = Event::TrialPlanned(Box::new(trial));
        let records = [Record { v: 1, seq: 7, at: String::new(), trial: Some(TrialId(2)), event }];
        let twice = [&records[..], &records[..]].concat();
        (Study::replay(plan, &records), Study::replay(plan, &twice))
    };
    let second = plan(2).trials.remove(1);
    let twice = StudyError::PlannedTwice { seq: 7, trial: TrialId(2) };
    let (once, again) = planned(&plan(1), second.clone());
    assert_eq!((once.unwrap().trials.len(), again), (2, Err(twice.clone())));
    let (once, again) = planned(&plan(2), second.clone());
    assert_eq!((once.unwrap().trials.len(), again.unwrap().trials.len()), (2, 2));
    assert_eq!(planned(&plan(2), Trial { seed: 99, ..second }).0, Err(twice));
}

#[test]
fn a_trial_is_pruned_until_it_runs_again() {
    let events = [(1, started(1)), (1, Event::ParametersRemoved)];
    assert!(study(&events).unwrap().trials[0].parameters_removed);
    let mut study = study(&[&events[..], &[(1, started(2))]].concat()).unwrap();
    assert!(!study.trials[0].parameters_removed);
    study.trials[0].parameters_removed = true;
    study.reopen(&[TrialId(1)]);
    assert!(!study.trials[0].parameters_removed);
}

#[test]
fn whose_steps_an_attempt_has_is_known_until_the_next_one_and_evaluations_count_once() {
    let from = Some(TrialRef { sweep: None, trial: TrialId(2) });
    let resumed = Event::Resumed { step: 100, epoch: 1.0, from: from.clone() };
    let evaluated = samples::record(1, &[0.5]).evaluations.remove(0);
    let events = [started(1), Event::Evaluated(evaluated.clone()), resumed, Event::Evaluated(evaluated)];
    let events = events.map(|event| (1, event));
    let record = study(&events).unwrap().trials.remove(0);
    assert_eq!((record.inherited_from, record.evaluations.len()), (from, 1));
    let record = study(&[&events[..], &[(1, started(2))]].concat()).unwrap().trials.remove(0);
    assert_eq!((record.inherited_from, record.evaluations.len()), (None, 0));
}

#[test]
fn a_trials_event_without_a_trial_is_refused() {
    assert_eq!(study(&[(0, Event::Interrupted)]).unwrap_err(), StudyError::NoTrial { seq: 1 });
}

#[test]
fn a_failure_followed_by_a_retry_is_remembered_while_the_trial_waits() {
    let study = study(&[(1, started(1)), (1, failed(FailureKind::Signal(9), true))]).unwrap();
    assert_eq!((study.trials[0].state, study.trials[0].attempts), (State::Waiting, 1));
    assert_eq!(study.trials[0].failure.as_ref().unwrap().kind, FailureKind::Signal(9));
}

#[test]
fn failed_trials_are_left_alone_until_they_are_reopened() {
    let mut study =
        study(&[(1, failed(FailureKind::Data, false)), (2, failed(FailureKind::Panic, true))]).unwrap();
    assert_eq!(study.counts(), Counts { failed: 1, waiting: 1, ..Counts::default() });
    assert_eq!(study.to_run(), [(TrialId(2), 0)]);
    assert_eq!(study.failed(), [TrialId(1)]);
    study.reopen(&[TrialId(1)]);
    assert_eq!(study.to_run(), [(TrialId(1), 0), (TrialId(2), 0)]);
    assert!(study.trials[0].failure.is_some(), "why it failed is not forgotten");
}

#[test]
fn how_an_attempt_was_made_to_fit_into_memory_is_remembered_until_the_trial_is_reopened() {
    let device = Device::Cpu { slot: 0, threads: 1 };
    let small = Event::Started {
        attempt: 2,
        device,
        micro_batch: Some(8),
        alone: true,
        with: Vec::new(),
        worker: None,
    };
    let json = serde_json::to_string(&small).unwrap();
    assert!(json.contains(r#""micro_batch":8,"alone":true"#), "{json}");
    let mut study = study(&[(1, small)]).unwrap();
    assert_eq!((study.trials[0].micro_batch, study.trials[0].alone), (Some(8), true));
    study.reopen(&[TrialId(1)]);
    assert_eq!((study.trials[0].micro_batch, study.trials[0].alone), (None, false));
    assert!(!serde_json::to_string(&started(1)).unwrap().contains("micro_batch"));
}
