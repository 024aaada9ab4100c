//! Trials that go on where others end.

use super::*;

const T3: TrialId = TrialId(3);

/// A scheduler that has begun on this number of slots, with trials numbered from 1, some of which wait for another.
fn begun(slots: usize, after: &[Option<TrialId>]) -> Scheduler {
    let all: Vec<PendingTrial> = (1..)
        .zip(after)
        .map(|(id, &after)| PendingTrial { prefix: after, ..super::pending(TrialId(id)) })
        .collect();
    let mut scheduler = with_slots(cpu(slots), &all, terms(3));
    scheduler.step(Input::Begin);
    for slot in 0..slots {
        scheduler.step(Input::Line(Slot(slot), READY));
    }
    scheduler
}

fn running(scheduler: &Scheduler) -> Vec<TrialId> {
    scheduler.slots.all().into_iter().flat_map(|slot| scheduler.slots.trials(slot)).collect()
}

#[test]
fn a_trial_lets_others_go_first_while_the_one_is_due_that_it_goes_on_from() {
    let scheduler = begun(2, &[None, Some(T1), None]);
    assert_eq!(running(&scheduler), [T1, T3]);
}

#[test]
fn it_is_next_when_that_one_is_complete_whoever_has_waited_longer() {
    let mut scheduler = begun(1, &[None, None, Some(T1)]);
    scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome())));
    assert_eq!(running(&scheduler), [T3]);
}

#[test]
fn it_runs_too_when_that_one_fails_but_not_before_its_last_attempt() {
    let mut scheduler = begun(1, &[Some(T2), None]);
    assert_eq!(running(&scheduler), [T2]);
    scheduler.step(Input::Exited(SLOT, WorkerExit::Signal(9)));
    assert_eq!(running(&scheduler), [T2], "it is tried again");
    scheduler.step(Input::Line(SLOT, READY));
    scheduler.step(Input::Exited(SLOT, WorkerExit::Signal(9)));
    assert_eq!(running(&scheduler), [T1]);
}

#[test]
fn it_waits_for_nobody_who_is_not_due() {
    assert_eq!(running(&begun(1, &[Some(TrialId(9))])), [T1]);
}

#[test]
fn a_slot_that_had_nothing_to_do_meanwhile_is_used_again() {
    let mut scheduler = begun(2, &[None, Some(T1), Some(T1)]);
    assert_eq!(running(&scheduler), [T1]);
    scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T1, outcome())));
    assert_eq!(running(&scheduler), [T2, T3]);
}

#[test]
fn an_interrupted_run_leaves_it_waiting() {
    let mut scheduler = begun(1, &[None, Some(T1)]);
    scheduler.step(Input::Interrupt);
    scheduler.step(Input::Line(SLOT, WorkerLine::Stopped(T1)));
    let actions = scheduler.step(Input::Exited(SLOT, WorkerExit::Code(0)));
    assert_eq!(actions, ended(true));
}
