//! Processes that stand still and go on: all of them together, or a worker alone.

use super::*;
use crate::common::program::is_alone;

#[tokio::test]
async fn what_stands_still_together_with_the_orchestrator_has_not_stalled() {
    // The whole process stands still.
    if !is_alone("faults::freezes::what_stands_still_together_with_the_orchestrator_has_not_stalled") {
        return;
    }
    let mut sweep = FaultySweep::new(1, 2, "* * all-freeze");
    sweep.policy().stall_limit = Duration::from_secs(1);
    sweep.policy().time_limit = Some(Duration::from_secs(4));
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), [State::Complete; 2]);
    assert!(sweep.failures(ONE).is_empty() && sweep.failures(TWO).is_empty());
}

#[tokio::test]
async fn a_worker_that_stands_still_alone_has_stalled() {
    let mut sweep = FaultySweep::new(1, 1, "1 1 freeze");
    sweep.policy().stall_limit = Duration::from_secs(1);
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), [State::Complete]);
    assert_eq!(sweep.failures(ONE), [(FailureKind::Stalled, true)]);
}
