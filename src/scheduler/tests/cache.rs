//! What follows when entries of the cache change under a trial, by example.

use super::*;

const BUS: i32 = rustix::process::Signal::BUS.as_raw();

/// Lets the next attempt begin. Returns whether it uses no cache.
fn begun(scheduler: &mut Scheduler) -> bool {
    let actions = scheduler.step(Input::Line(SLOT, READY));
    let Some(Action::Run { trials, .. }) = actions.last() else { panic!("{actions:?}") };
    trials[0].without_cache
}

fn changed_entry(scheduler: &mut Scheduler) -> Vec<Action> {
    let actions = scheduler.step(Input::Line(SLOT, WorkerLine::Failed(T1, failure(FailureKind::Cache))));
    scheduler.step(Input::Exited(SLOT, WorkerExit::Code(1)));
    plain(actions)
}

fn lost_pages(scheduler: &mut Scheduler) -> Vec<Action> {
    plain(scheduler.step(Input::Exited(SLOT, WorkerExit::Signal(BUS))))
}

#[test]
fn after_an_entry_changed_the_trial_is_tried_again_with_the_cache_and_then_without() {
    for fault in [changed_entry, lost_pages] {
        let mut scheduler = busy(1, 1);
        assert_eq!(fault(&mut scheduler)[0], failed(T1, FailureKind::Cache, true));
        assert!(!begun(&mut scheduler));
        assert_eq!(fault(&mut scheduler)[0], failed(T1, FailureKind::Cache, true));
        assert!(begun(&mut scheduler));
    }
}

#[test]
fn entries_that_change_use_up_no_retries_of_other_failures() {
    let mut scheduler = busy(1, 1);
    for _ in 0..2 {
        lost_pages(&mut scheduler);
        begun(&mut scheduler);
    }
    let actions = plain(scheduler.step(Input::Exited(SLOT, WorkerExit::Signal(9))));
    assert_eq!(actions[0], failed(T1, FailureKind::Signal(9), true));
}

#[test]
fn without_a_cache_the_signal_is_one_like_others() {
    let mut scheduler = with_slots(cpu(1), &[pending(T1)], Terms { has_cache: false, ..terms(1) });
    scheduler.step(Input::Begin);
    scheduler.step(Input::Line(SLOT, READY));
    assert_eq!(lost_pages(&mut scheduler)[0], failed(T1, FailureKind::Signal(BUS), true));
}

#[test]
fn a_trial_that_uses_no_cache_any_more_is_charged_for_the_signal() {
    let mut scheduler = busy(1, 1);
    for _ in 0..2 {
        lost_pages(&mut scheduler);
        begun(&mut scheduler);
    }
    assert_eq!(lost_pages(&mut scheduler)[0], failed(T1, FailureKind::Signal(BUS), true));
    begun(&mut scheduler);
    assert_eq!(lost_pages(&mut scheduler)[0], failed(T1, FailureKind::Signal(BUS), false));
}

#[test]
fn a_worker_that_blames_the_cache_without_end_is_not_believed() {
    let mut scheduler = busy(1, 1);
    for _ in 0..3 {
        assert_eq!(changed_entry(&mut scheduler)[0], failed(T1, FailureKind::Cache, true));
        begun(&mut scheduler);
    }
    assert_eq!(changed_entry(&mut scheduler)[0], failed(T1, FailureKind::Cache, false));
}
