//! Workers that hang, lie, flood or leave others behind, one by one.

use sweep::system::memory::Memory;

use super::*;
use crate::common::program::is_alive;

const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(200);

/// Runs one trial that does `deed` in its first attempt: the kind of the failure.
async fn failure_of(deed: &str) -> FailureKind {
    let mut sweep = FaultySweep::new(1, 2, &format!("1 1 {deed}"));
    sweep.policy().stall_limit = LONG;
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), [State::Complete; 2], "{deed}");
    let failures = sweep.failures(ONE);
    let [(kind, true)] = failures.as_slice() else { panic!("{deed}: {failures:?}") };
    kind.clone()
}

#[tokio::test]
async fn whatever_is_not_in_the_protocol_is_recorded_as_that() {
    for deed in [
        "long-line",
        "broken-utf8",
        "deep",
        "deep-event",
        "ready-twice",
        "three-classes",
        "unasked-stop",
        "foreign-event",
        "foreign",
    ] {
        assert_eq!(failure_of(deed).await, FailureKind::Protocol, "{deed}");
    }
}

#[tokio::test]
async fn the_end_of_a_process_is_recorded_by_its_code_or_signal() {
    assert_eq!(failure_of("exit").await, FailureKind::Exit(3));
    assert_eq!(failure_of("abort").await, FailureKind::Signal(6));
    assert_eq!(failure_of("segfault").await, FailureKind::Signal(11));
    assert_eq!(failure_of("half-an-outcome").await, FailureKind::Signal(9));
}

#[tokio::test]
async fn a_failure_that_a_worker_reports_is_recorded_by_its_kind() {
    assert_eq!(failure_of("panic").await, FailureKind::Panic);
    assert_eq!(failure_of("disk").await, FailureKind::Disk);
    assert_eq!(failure_of("changed-entry").await, FailureKind::Cache);
}

#[tokio::test]
async fn a_trial_whose_cache_loses_pages_again_and_again_goes_on_without_it() {
    let mut sweep = FaultySweep::new(1, 1, "1 * lost-pages-of-the-cache");
    sweep.policy().retries = Retries { signal: 0, ..Retries::default() };
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), [State::Complete]);
    assert_eq!(sweep.failures(ONE), vec![(FailureKind::Cache, true); 2]);
}

#[tokio::test]
async fn gpu_memory_that_ran_out_is_recorded_as_that() {
    assert_eq!(failure_of("no-gpu-memory").await, FailureKind::OutOfMemory(Memory::Gpu));
}

/// Asserts that a worker that hangs is killed, and its trial completed by another one.
async fn assert_killed_when_stalled(deed: &str) {
    let mut sweep = FaultySweep::new(1, 1, &format!("* 1 {deed}"));
    sweep.policy().stall_limit = Duration::from_secs(1);
    sweep.policy().retries.stalled = 5;
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), [State::Complete]);
    assert_eq!(sweep.failures(ONE)[0], (FailureKind::Stalled, true));
    assert!(!is_alive(sweep.pids(ONE)[0]));
}

#[tokio::test]
async fn a_worker_that_hangs_is_killed() {
    assert_killed_when_stalled("hang").await;
}

#[tokio::test]
async fn a_worker_that_hangs_is_killed_even_if_it_is_deaf_to_signals() {
    assert_killed_when_stalled("hang-deaf").await;
}

#[tokio::test]
async fn a_worker_that_talks_for_ever_ends_at_its_time_limit() {
    let mut sweep = FaultySweep::new(1, 2, "1 * chatter");
    sweep.policy().stall_limit = LONG;
    sweep.policy().time_limit = Some(Duration::from_millis(500));
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study)[0], State::Failed);
    assert_eq!(sweep.failures(ONE), [(FailureKind::TimeLimit, false)]);
}

#[tokio::test]
async fn a_worker_whose_output_ends_while_it_lives_is_ended() {
    let mut sweep = FaultySweep::new(1, 1, "* 1 closed-output");
    sweep.run.workers.leave = SHORT;
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), [State::Complete]);
    assert_eq!(sweep.failures(ONE), [(FailureKind::Protocol, true)]);
}

/// A sweep whose workers flood their outputs, and one of whom reports its outcome twice, after its run.
async fn floods_with_a_second_outcome() -> (FaultySweep, Ended) {
    let sweep = FaultySweep::new(2, 4, "1 1 good-flood\n2 1 twice\n3 1 flood");
    let ended = sweep.run().await;
    (sweep, ended)
}

#[tokio::test]
async fn floods_with_a_second_outcome_fail_no_trial() {
    let (sweep, ended) = floods_with_a_second_outcome().await;
    assert_eq!(states(&ended.study), [State::Complete; 4]);
    assert!(sweep.failures(ONE).is_empty() && sweep.failures(TWO).is_empty());
}

#[tokio::test]
async fn a_second_outcome_is_a_fault_of_the_worker_that_has_another_trial_by_then() {
    let (sweep, _) = floods_with_a_second_outcome().await;
    let others = [sweep.failures(THREE), sweep.failures(TrialId(4))].concat();
    assert!(others.iter().all(|failure| *failure == (FailureKind::Protocol, true)), "{others:?}");
}

#[tokio::test]
async fn a_worker_that_stays_after_its_last_trial_is_killed() {
    let mut sweep = FaultySweep::new(1, 1, "* * finished-and-stays");
    sweep.run.workers.leave = SHORT;
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), [State::Complete]);
    assert!(!is_alive(sweep.pids(ONE)[0]));
}

#[tokio::test]
async fn what_a_worker_started_is_killed_with_it() {
    let sweep = FaultySweep::new(1, 1, "* 1 orphan");
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), [State::Complete]);
    let orphan = fs::read_to_string(sweep.run.folder.trial(ONE).path().join("orphan")).unwrap();
    assert!(!is_alive(pid(&orphan)));
}
