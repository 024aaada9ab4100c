//! Sweeps that are run again.

use super::*;

/// A sweep whose first trial fails as it would again, after its run.
async fn not_finite() -> (FaultySweep, Ended) {
    let sweep = FaultySweep::new(1, 2, "1 * no-number");
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), [State::Failed, State::Complete]);
    (sweep, ended)
}

#[tokio::test]
async fn a_failure_that_would_come_again_is_not_tried_again() {
    let (sweep, _) = not_finite().await;
    assert_eq!(sweep.failures(ONE), [(FailureKind::NonFinite { step: 7 }, false)]);
}

#[tokio::test]
async fn after_a_failure_the_next_trial_has_a_fresh_process() {
    let (sweep, _) = not_finite().await;
    assert_ne!(sweep.pids(ONE), sweep.pids(TWO));
}

#[tokio::test]
async fn a_failure_that_would_come_again_is_not_tried_again_by_the_next_run() {
    let (sweep, _) = not_finite().await;
    let records = sweep.results().records();
    sweep.run().await;
    assert_eq!(sweep.results().records(), records);
}

/// A complete sweep that was run again for its second trial.
async fn second_trial_again() -> (FaultySweep, Ended) {
    let mut sweep = FaultySweep::new(1, 2, "");
    sweep.run().await;
    sweep.run.again = vec![TWO];
    let ended = sweep.run().await;
    (sweep, ended)
}

#[tokio::test]
async fn of_complete_trials_only_the_one_that_is_asked_for_runs_again() {
    let (sweep, ended) = second_trial_again().await;
    assert_eq!(states(&ended.study), [State::Complete; 2]);
    assert_eq!(sweep.attempts(), [1, 2]);
}

#[tokio::test]
async fn the_log_of_a_trial_that_ran_again_replays_to_the_end_of_the_run() {
    let (sweep, ended) = second_trial_again().await;
    sweep.assert_replays(&ended);
}

#[tokio::test]
async fn a_second_run_of_a_complete_sweep_ends_as_the_first() {
    let sweep = FaultySweep::new(1, 2, "");
    let first = sweep.run().await;
    assert_eq!(sweep.run().await, first);
}

#[tokio::test]
async fn a_second_run_of_a_complete_sweep_logs_nothing() {
    let sweep = FaultySweep::new(1, 2, "");
    sweep.run().await;
    let records = sweep.results().records();
    sweep.run().await;
    assert_eq!(sweep.results().records(), records);
}

/// A sweep whose second trial was given up, with a worker that would complete it now.
async fn second_trial_given_up() -> FaultySweep {
    let sweep = FaultySweep::new(1, 2, "2 * killed");
    assert_eq!(states(&sweep.run().await.study), [State::Complete, State::Failed]);
    sweep.script("");
    sweep
}

#[tokio::test]
async fn failed_trials_stay_failed_when_nobody_asks_for_them() {
    let sweep = second_trial_given_up().await;
    let records = sweep.results().records();
    assert_eq!(states(&sweep.run().await.study), [State::Complete, State::Failed]);
    assert_eq!(sweep.results().records(), records, "nothing was run");
}

#[tokio::test]
async fn failed_trials_are_tried_again_when_the_user_asks_for_them() {
    let mut sweep = second_trial_given_up().await;
    sweep.run().await;
    sweep.run.again = vec![TWO];
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), [State::Complete; 2]);
    assert_eq!((sweep.pids(ONE).len(), ended.study.trials[1].attempts), (1, 3));
}
