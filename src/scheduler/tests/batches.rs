//! Workers that are given several trials at once.

use super::*;

const T3: TrialId = TrialId(3);

/// A scheduler with one slot whose worker has the first two of three trials.
fn busy_with_two() -> Scheduler {
    let all = [T1, T2, T3].map(pending);
    let mut scheduler = with_slots(cpu(1), &all, Terms { trials_per_worker: 2, ..terms(3) });
    scheduler.step(Input::Begin);
    scheduler.step(Input::Line(SLOT, READY));
    scheduler
}

fn given(trial: TrialId) -> GivenTrial {
    GivenTrial { trial, micro_batch: None, without_cache: false }
}

#[test]
fn a_worker_is_given_as_many_trials_as_the_terms_say() {
    let all = [T1, T2, T3].map(pending);
    let mut scheduler = with_slots(cpu(1), &all, Terms { trials_per_worker: 2, ..terms(3) });
    scheduler.step(Input::Begin);
    let actions = scheduler.step(Input::Line(SLOT, READY));
    let run = Action::Run { slot: SLOT, trials: vec![given(T1), given(T2)] };
    assert_eq!(actions, [started(T1, 1), started(T2, 1), run]);
}

#[test]
fn it_is_given_others_once_all_of_them_are_over() {
    let mut scheduler = busy_with_two();
    let finished = |trial| Input::Line(SLOT, WorkerLine::Finished(trial, outcome()));
    assert_eq!(scheduler.step(finished(T2)).len(), 1, "the other one still runs");
    let actions = scheduler.step(finished(T1));
    assert_eq!(actions[1..], [started(T3, 1), run(T3)]);
}

#[test]
fn each_trial_is_asked_to_stop() {
    let mut scheduler = busy_with_two();
    assert_eq!(scheduler.step(Input::Interrupt), [Action::Stop(SLOT, T1), Action::Stop(SLOT, T2)]);
}

#[test]
fn the_failure_of_one_is_none_of_the_others() {
    let mut scheduler = busy_with_two();
    let actions = plain(scheduler.step(Input::TimeLimit(SLOT, T1)));
    assert_eq!(actions, [failed(T1, FailureKind::TimeLimit, false), Action::Kill(SLOT)]);
    let actions = scheduler.step(Input::Exited(SLOT, WorkerExit::Signal(9)));
    assert_eq!(actions, [spawn(T2)], "it resumes before the third, in a process of its own");
}

#[test]
fn a_process_that_dies_fails_all_its_trials() {
    let mut scheduler = busy_with_two();
    let actions = plain(scheduler.step(Input::Exited(SLOT, WorkerExit::Signal(9))));
    let kind = || FailureKind::Signal(9);
    assert_eq!(actions[..2], [failed(T1, kind(), true), failed(T2, kind(), true)]);
}
