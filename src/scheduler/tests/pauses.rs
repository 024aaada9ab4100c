//! Trials that pause, and go on later.

use super::*;

/// A slot that is at work on the first of two trials of a search that halts trials.
fn begun() -> Scheduler {
    let all = [T1, T2].map(pending);
    let mut scheduler = with_slots(cpu(1), &all, Terms { grows: true, ..terms(2) });
    scheduler.step(Input::Begin);
    scheduler.step(Input::Line(SLOT, READY));
    scheduler
}

fn pause(scheduler: &mut Scheduler, trial: TrialId) -> Vec<Action> {
    scheduler.step(Input::Line(SLOT, WorkerLine::Paused(trial, 2)))
}

#[test]
fn a_worker_waits_for_what_is_decided_before_it_gets_the_next_trial() {
    let mut scheduler = begun();
    let paused = [Action::Log(Some(T1), Event::Paused { epoch: 2 }), Action::Free(SLOT)];
    assert_eq!(pause(&mut scheduler, T1), paused);
    // The trial goes on, before the one that was planned after it, and in the same process.
    assert_eq!(scheduler.step(Input::TrialAdded(pending(T1))), []);
    let next = scheduler.step(Input::Freed(SLOT));
    assert!(matches!(next[0], Action::Log(Some(T1), Event::Started { attempt: 2, .. })), "{next:?}");
    assert!(matches!(&next[1], Action::Run { trials, .. } if trials[0].trial == T1), "{next:?}");
}

#[test]
fn a_trial_that_is_not_promoted_is_never_run_again_and_the_run_ends() {
    let mut scheduler = begun();
    pause(&mut scheduler, T1);
    scheduler.step(Input::Freed(SLOT));
    pause(&mut scheduler, T2);
    assert_eq!(scheduler.step(Input::Freed(SLOT)), [Action::Leave(SLOT)]);
    let end = scheduler.step(Input::Exited(SLOT, WorkerExit::Code(0)));
    assert_eq!(end.last(), Some(&Action::End));
    assert!(!scheduler.was_interrupted());
}

#[test]
fn what_failed_before_a_pause_still_counts_after_it() {
    let mut scheduler = begun();
    let killed = |scheduler: &mut Scheduler| {
        let actions = scheduler.step(Input::Exited(SLOT, WorkerExit::Signal(9)));
        actions.into_iter().find_map(|action| match action {
            Action::Log(Some(T1), Event::Failed { retry, .. }) => Some(retry),
            _ => None,
        })
    };
    assert_eq!(killed(&mut scheduler), Some(true));
    // The other trial comes first, then the second attempt.
    scheduler.step(Input::Line(SLOT, READY));
    scheduler.step(Input::Line(SLOT, WorkerLine::Finished(T2, outcome())));
    scheduler.step(Input::Freed(SLOT));
    scheduler.step(Input::Exited(SLOT, WorkerExit::Code(0)));
    scheduler.step(Input::Line(SLOT, READY));
    pause(&mut scheduler, T1);
    scheduler.step(Input::TrialAdded(pending(T1)));
    scheduler.step(Input::Freed(SLOT));
    assert_eq!(killed(&mut scheduler), Some(false), "one retry was allowed");
}
