//! Slots that join and leave while a run lasts, and trials that are added.

use super::*;

const OTHER: Slot = Slot(1);

#[test]
fn a_slot_that_joins_late_gets_the_next_trial() {
    let mut scheduler = busy(1, 2);
    let actions = scheduler.step(Input::SlotJoined(OTHER, cpu(2)[1]));
    assert!(matches!(actions[0], Action::Spawn { slot: OTHER, trial: T2, .. }), "{actions:?}");
}

#[test]
fn a_slot_that_left_gets_no_more_work() {
    let mut scheduler = busy(2, 3);
    assert_eq!(scheduler.step(Input::SlotLeft(OTHER)), []);
    let actions = scheduler.step(Input::Line(OTHER, WorkerLine::Finished(T2, outcome())));
    assert_eq!(actions[1..], [Action::Leave(OTHER)]);
    assert_eq!(scheduler.step(Input::Exited(OTHER, WorkerExit::Code(0))), []);
}

#[test]
fn the_run_ends_when_every_slot_has_left() {
    let mut scheduler = busy(1, 2);
    scheduler.step(Input::SlotLeft(SLOT));
    scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome())));
    // A trial is left for the next run.
    assert_eq!(scheduler.step(Input::Exited(SLOT, WorkerExit::Code(0))), ended(true));
}

#[test]
fn a_trial_that_is_added_runs_after_the_others() {
    let mut scheduler = busy(1, 1);
    assert_eq!(scheduler.step(Input::TrialAdded(pending(T2))), []);
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome())));
    assert_eq!(actions[1..], [started(T2, 1), run(T2)]);
}

#[test]
fn a_trial_that_is_added_while_the_last_worker_leaves_starts_another() {
    let mut scheduler = busy(1, 1);
    scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome())));
    scheduler.step(Input::TrialAdded(pending(T2)));
    assert_eq!(scheduler.step(Input::Exited(SLOT, WorkerExit::Code(0))), [spawn(T2)]);
}
