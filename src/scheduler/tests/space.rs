//! What follows when a disk is full, by example.

use super::*;

fn full(trial: TrialId) -> WorkerLine {
    WorkerLine::DiskFull(trial, "/full".into())
}

fn disk_full(trial: TrialId) -> WorkerLine {
    WorkerLine::Failed(trial, failure(FailureKind::DiskFull))
}

#[test]
fn a_full_disk_fails_no_trial_and_nothing_starts_until_there_is_space() {
    let mut scheduler = busy(2, 3);
    let actions = plain(scheduler.step(Input::Line(SLOT, disk_full(T1))));
    let failed = failed(T1, FailureKind::DiskFull, true);
    assert_eq!(actions, [failed, Action::AwaitSpace(T1), Action::Leave(SLOT)]);
    assert_eq!(scheduler.step(Input::Exited(SLOT, WorkerExit::Code(1))), []);
    let actions = scheduler.step(Input::Line(Slot(1), WorkerLine::Finished(T2, outcome())));
    assert_eq!(actions[1..], [Action::Leave(Slot(1))]);
    assert_eq!(scheduler.step(Input::Exited(Slot(1), WorkerExit::Code(0))), [], "the run is not over");
    let actions = scheduler.step(Input::SpaceFreed);
    assert_eq!(actions[0], spawn(T1), "it goes on before others begin");
}

#[test]
fn however_often_the_disk_is_full_the_trial_is_not_given_up() {
    let mut scheduler = busy(1, 1);
    for _ in 0..200 {
        let actions = scheduler.step(Input::Line(SLOT, disk_full(T1)));
        assert!(actions.contains(&Action::AwaitSpace(T1)));
        scheduler.step(Input::Exited(SLOT, WorkerExit::Code(1)));
        scheduler.step(Input::SpaceFreed);
        scheduler.step(Input::Line(SLOT, READY));
    }
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome())));
    assert_eq!(actions[0], Action::Log(Some(T1), Event::Finished(outcome())));
}

#[test]
fn two_trials_on_a_full_disk_ask_for_space_once() {
    let mut scheduler = busy(2, 2);
    scheduler.step(Input::Line(SLOT, disk_full(T1)));
    let actions = scheduler.step(Input::Line(Slot(1), disk_full(T2)));
    assert!(!actions.iter().any(|action| matches!(action, Action::AwaitSpace(_))), "{actions:?}");
}

#[test]
fn while_a_worker_waits_for_space_nothing_starts() {
    let mut scheduler = busy(2, 4);
    assert_eq!(scheduler.step(Input::Line(SLOT, full(T1))), [Action::ShowFull(T1, "/full".into())]);
    assert_eq!(scheduler.step(Input::Line(SLOT, full(T1))), [], "it has been told");
    scheduler.step(Input::Line(Slot(1), WorkerLine::Finished(T2, outcome())));
    assert_eq!(scheduler.step(Input::Exited(Slot(1), WorkerExit::Code(0))), []);
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::DiskFreed(T1)));
    assert_eq!(actions[0], Action::ShowFreed);
    assert!(matches!(actions[1], Action::Spawn { slot: Slot(1), trial: TrialId(3), .. }), "{actions:?}");
}

#[test]
fn a_worker_that_dies_while_it_waits_for_space_waits_no_longer() {
    let mut scheduler = busy(1, 1);
    scheduler.step(Input::Line(SLOT, full(T1)));
    let actions = plain(scheduler.step(Input::Exited(SLOT, WorkerExit::Signal(9))));
    assert_eq!(actions[0], Action::ShowFreed);
    assert_eq!(actions[1], failed(T1, FailureKind::Signal(9), true));
    assert_eq!(actions[2..], [spawn(T1)]);
}

#[test]
fn the_user_may_end_a_run_that_waits_for_space() {
    let mut scheduler = busy(1, 2);
    scheduler.step(Input::Line(SLOT, disk_full(T1)));
    scheduler.step(Input::Exited(SLOT, WorkerExit::Code(1)));
    assert_eq!(scheduler.step(Input::Interrupt), ended(true));
}
