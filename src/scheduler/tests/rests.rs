//! Slots that rest, since no worker can be started or the machine is short of something.

use super::*;

fn no_process(slot: Slot) -> Input {
    Input::SpawnFailed(slot, "no process".to_owned())
}

#[test]
fn a_slot_that_cannot_start_a_worker_rests_and_its_trial_waits_as_if_nothing_had_happened() {
    let mut scheduler = scheduler(1, 2);
    scheduler.step(Input::Begin);
    for _ in 0..200 {
        assert_eq!(scheduler.step(no_process(SLOT)), [Action::Rest(SLOT, "no process".to_owned())]);
        assert_eq!(scheduler.step(Input::Rested(SLOT)), [spawn(T1)]);
    }
    assert_eq!(scheduler.step(Input::Line(SLOT, READY)), [started(T1, 1), run(T1)]);
}

#[test]
fn other_slots_go_on_while_one_rests_with_its_trial_first() {
    let mut scheduler = busy(2, 4);
    let third = TrialId(3);
    let actions = scheduler.step(Input::Exited(SLOT, WorkerExit::Signal(9)));
    assert_eq!(actions[1..], [spawn(third)]);
    scheduler.step(no_process(SLOT));
    let actions = scheduler.step(Input::Line(Slot(1), WorkerLine::Finished(T2, outcome())));
    let given = vec![GivenTrial { trial: third, micro_batch: None, without_cache: false }];
    assert_eq!(actions.last(), Some(&Action::Run { slot: Slot(1), trials: given }));
}

#[test]
fn a_worker_that_ends_before_it_is_ready_is_no_failure_of_its_trial() {
    for exit in [WorkerExit::Code(101), WorkerExit::Code(0), WorkerExit::Signal(9)] {
        let mut scheduler = scheduler(1, 1);
        scheduler.step(Input::Begin);
        let actions = scheduler.step(Input::Exited(SLOT, exit));
        assert!(matches!(&actions[..], [Action::Rest(SLOT, why)] if why.contains("before it was ready")));
        assert_eq!(scheduler.step(Input::Rested(SLOT)), [spawn(T1)]);
    }
}

#[test]
fn a_worker_that_finds_the_machine_short_of_something_lets_its_slot_rest_after_its_end() {
    let mut scheduler = busy(1, 2);
    let actions =
        plain(scheduler.step(Input::Line(SLOT, WorkerLine::Failed(T1, failure(FailureKind::Shortage)))));
    assert_eq!(actions, [failed(T1, FailureKind::Shortage, true), Action::Leave(SLOT)]);
    let rest = Action::Rest(SLOT, "m".to_owned());
    assert_eq!(scheduler.step(Input::Exited(SLOT, WorkerExit::Code(1))), [rest]);
    assert_eq!(scheduler.step(Input::Rested(SLOT)), [spawn(T1)], "it resumes before others begin");
}

#[test]
fn trials_that_cannot_be_given_for_a_shortage_are_not_failed_however_often() {
    let mut scheduler = busy(1, 1);
    for attempt in 2..200 {
        let actions = plain(scheduler.step(Input::Short(SLOT, "no file".to_owned())));
        assert_eq!(actions, [failed(T1, FailureKind::Shortage, true), Action::Kill(SLOT)]);
        scheduler.step(Input::Exited(SLOT, WorkerExit::Signal(9)));
        scheduler.step(Input::Rested(SLOT));
        assert_eq!(scheduler.step(Input::Line(SLOT, READY)), [started(T1, attempt), run(T1)]);
    }
}

#[test]
fn a_wish_to_stop_ends_a_run_whose_slots_rest() {
    let mut scheduler = scheduler(2, 2);
    scheduler.step(Input::Begin);
    scheduler.step(no_process(SLOT));
    scheduler.step(no_process(Slot(1)));
    assert_eq!(scheduler.step(Input::Interrupt), ended(true));
}

#[test]
fn a_slot_that_fails_to_start_after_a_wish_to_stop_does_not_rest() {
    let mut scheduler = busy(2, 3);
    scheduler.step(Input::Exited(SLOT, WorkerExit::Signal(9)));
    scheduler.step(Input::Interrupt);
    assert_eq!(scheduler.step(Input::Exited(SLOT, WorkerExit::Code(1))), []);
}
