//! Trials that run out of memory.

use sweep::system::memory::Memory;

use super::*;

/// The sizes of the passes of each attempt, `None` for whole ones, and whether it was alone.
fn passes(sweep: &FaultySweep, trial: TrialId) -> Vec<(Option<usize>, bool)> {
    let attempt = |record: Record| match record.event {
        Event::Started { micro_batch, alone, .. } if record.trial == Some(trial) => {
            Some((micro_batch, alone))
        }
        _ => None,
    };
    sweep.results().records().into_iter().filter_map(attempt).collect()
}

/// A sweep whose first trial has memory for passes of 8 examples, after its run.
async fn first_trial_too_large() -> (FaultySweep, Ended) {
    let sweep = FaultySweep::new(1, 2, "1 * out-of-memory-above 8");
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), [State::Complete; 2]);
    (sweep, ended)
}

#[tokio::test]
async fn a_trial_that_runs_out_of_memory_is_made_smaller_until_it_fits() {
    let (sweep, ended) = first_trial_too_large().await;
    let sizes = [None, None, Some(16), Some(8)].map(|size| (size, false));
    assert_eq!(passes(&sweep, ONE), sizes);
    assert_eq!(ended.study.trials[0].micro_batch, Some(8));
}

#[tokio::test]
async fn memory_of_the_host_that_ran_out_is_recorded_as_that() {
    let (sweep, _) = first_trial_too_large().await;
    assert_eq!(sweep.failures(ONE), vec![(FailureKind::OutOfMemory(Memory::Host), true); 3]);
    assert!(sweep.log(ONE).contains("memory allocation of"), "{}", sweep.log(ONE));
}

#[tokio::test]
async fn the_trial_after_one_that_ran_out_of_memory_is_whole() {
    let (sweep, _) = first_trial_too_large().await;
    assert_eq!(passes(&sweep, TWO), [(None, false)]);
}

/// A sweep whose second trial has memory for nothing, after its run.
async fn second_trial_fits_nowhere() -> (FaultySweep, Ended) {
    let sweep = FaultySweep::new(2, 4, "2 * no-memory");
    let ended = sweep.run().await;
    (sweep, ended)
}

#[tokio::test]
async fn a_trial_that_fits_nowhere_is_at_last_tried_alone() {
    let (sweep, _) = second_trial_fits_nowhere().await;
    let mut expected =
        [None, None, Some(16), Some(8), Some(4), Some(2), Some(1)].map(|size| (size, false)).to_vec();
    expected.push((Some(1), true));
    assert_eq!(passes(&sweep, TWO), expected);
}

#[tokio::test]
async fn the_others_complete_when_a_trial_fits_nowhere() {
    let (_, ended) = second_trial_fits_nowhere().await;
    assert_eq!(states(&ended.study), [State::Complete, State::Failed, State::Complete, State::Complete]);
}
