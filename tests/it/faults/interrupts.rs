//! Sweeps that their user interrupts, and orchestrators that die.

use rustix::process::{Signal, getpid, kill_process};

use super::*;
use crate::common::program::{is_alive, is_alone};

fn is_evaluated(notice: &Notice<'_>, trial: TrialId) -> bool {
    matches!(notice, Notice::Logged(Record { trial: Some(id), event: Event::Evaluated(_), .. }, _) if *id == trial)
}

#[tokio::test]
async fn an_interrupted_sweep_is_completed_by_running_it_again() {
    let sweep = FaultySweep::new(1, 3, "2 1 until-stopped");
    let ended = sweep.run_interrupted(|notice| is_evaluated(notice, TWO)).await;
    assert!(ended.interrupted);
    assert_eq!(states(&ended.study), [State::Complete, State::Waiting, State::Waiting]);
    assert!(sweep.failures(TWO).is_empty());
    let ended = sweep.run().await;
    assert!(!ended.interrupted);
    assert_eq!(states(&ended.study), [State::Complete; 3]);
    assert_eq!((sweep.pids(ONE).len(), sweep.pids(TWO).len()), (1, 2));
}

#[tokio::test]
async fn a_worker_that_does_not_stop_is_terminated_by_the_second_interrupt() {
    let sweep = FaultySweep::new(1, 1, "* * until-terminated");
    let mut stops = 0;
    let ended = sweep
        .run_interrupted(|notice| {
            stops += u32::from(matches!(notice, Notice::Stopping(_)));
            is_evaluated(notice, ONE) || matches!(notice, Notice::Stopping(1))
        })
        .await;
    assert_eq!((states(&ended.study), ended.interrupted), (vec![State::Waiting], true));
    assert_eq!(stops, 2);
}

#[tokio::test]
async fn a_worker_that_ignores_termination_is_killed_by_the_third_interrupt() {
    let sweep = FaultySweep::new(1, 1, "* * until-killed");
    let wish = |notice: &Notice<'_>| is_evaluated(notice, ONE) || matches!(notice, Notice::Stopping(1 | 2));
    let ended = sweep.run_interrupted(wish).await;
    assert_eq!((states(&ended.study), ended.interrupted), (vec![State::Waiting], true));
}

/// Interrupts a worker that does `deed`, twice if it is to be asked `again`, and asserts that its process is
/// gone when the run ends.
async fn assert_gone_after(deed: &str, again: bool) {
    let mut sweep = FaultySweep::new(1, 1, &format!("* * {deed}"));
    sweep.run.workers.leave = Duration::from_millis(200);
    let wish =
        |notice: &Notice<'_>| is_evaluated(notice, ONE) || (again && matches!(notice, Notice::Stopping(1)));
    let ended = sweep.run_interrupted(wish).await;
    assert_eq!((states(&ended.study), ended.interrupted), (vec![State::Waiting], true));
    assert!(!is_alive(sweep.pids(ONE)[0]));
}

#[tokio::test]
async fn a_worker_that_is_deaf_to_a_stop_is_gone_when_the_run_ends() {
    assert_gone_after("deaf-to-stop", true).await;
}

#[tokio::test]
async fn a_worker_that_stopped_its_trial_but_stays_is_gone_when_the_run_ends() {
    assert_gone_after("stays-after-stop", false).await;
}

#[tokio::test]
async fn an_orchestrator_that_died_at_any_record_is_taken_over_by_the_next_run() {
    let sweep = FaultySweep::new(1, 2, "1 1 killed");
    let ended = sweep.run().await;
    let log = fs::read_to_string(sweep.run.folder.log()).unwrap();
    let lines: Vec<&str> = log.split_inclusive('\n').collect();
    sweep.script("");
    for kept in 0..lines.len() {
        // The record after the last whole one is torn in the middle.
        let torn = &lines[kept][..lines[kept].len() / 2];
        fs::write(sweep.run.folder.log(), lines[..kept].concat() + torn).unwrap();
        let again = sweep.run().await;
        assert_eq!(states(&again.study), states(&ended.study), "cut after {kept} records");
        let outcomes = |study: &Study| study.trials.iter().map(|t| t.outcome.clone()).collect::<Vec<_>>();
        assert_eq!(outcomes(&again.study), outcomes(&ended.study));
    }
}

#[tokio::test]
async fn the_signals_of_a_closing_terminal_are_wishes_to_stop() {
    // A whole process has their handlers, and keeps them.
    if !is_alone("faults::interrupts::the_signals_of_a_closing_terminal_are_wishes_to_stop") {
        return;
    }
    let mut interrupts = executor::interrupts().unwrap();
    for signal in [Signal::HUP, Signal::INT, Signal::TERM] {
        kill_process(getpid(), signal).unwrap();
        assert_eq!(interrupts.recv().await, Some(()));
    }
}
