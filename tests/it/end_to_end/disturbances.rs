//! Processes of a sweep that are killed, stopped or stand still, compared with the same sweep undisturbed.

use rustix::process::{Signal, kill_process};
use sweep::{event::Event, trial::FailureKind};

use super::*;
use crate::common::program::{Running, is_gone_soon};

/// Starts the sweep, and waits for a line with `mark`.
fn start(place: &Place, devices: &str, mark: &str) -> Running {
    let mut running = Running::start(&mut place.run_command(&["--devices", devices]));
    running.wait_for(mark);
    running
}

/// The sweep whose only worker is killed with its second trial.
static WORKER_KILLED: LazyLock<Place> = LazyLock::new(|| {
    let place = with_data(Place::shared("tiny", &SPEC));
    let running = start(&place, "cpu:1", "trial 0002 starts");
    let workers = running.workers();
    assert_eq!(workers.len(), 1);
    kill_process(workers[0], Signal::KILL).unwrap();
    running.end().succeeded();
    place
});

#[test]
fn a_killed_worker_costs_one_retry() {
    let failures: Vec<_> = WORKER_KILLED
        .results()
        .records()
        .into_iter()
        .filter_map(|record| match record.event {
            Event::Failed { failure, retry } => Some((record.trial.unwrap().0, failure.kind, retry)),
            _ => None,
        })
        .collect();
    assert_eq!(failures, [(2, FailureKind::Signal(9), true)]);
    assert_eq!(WORKER_KILLED.results().starts(), [(1, 1), (2, 2), (3, 1), (4, 1)].into());
}

#[test]
fn a_killed_worker_changes_no_figure() {
    assert_undisturbed(&WORKER_KILLED);
}

#[test]
fn after_ctrl_c_the_same_command_finishes_without_repeating_anything() {
    let place = place();
    let running = start(&place, "cpu:1", "trial 0001 is complete");
    running.signal(Signal::INT);
    let Written { stderr, .. } = running.end().with_code(130);
    assert!(stderr.contains("the same command goes on"), "{stderr}");
    let results = place.results();
    assert!(matches!(results.records().last().unwrap().event, Event::SweepEnded { interrupted: true }));
    let waiting = results.rows().iter().filter(|row| row["state"] == "waiting").count();
    assert!(waiting >= 1, "it stopped too late to show anything");

    run(&place, "cpu:1").succeeded();
    assert_eq!(place.results().starts()[&1], 1);
    assert_undisturbed(&place);
}

/// The sweep whose orchestrator was killed and then run again, and whether the first one's workers left.
static ORCHESTRATOR_KILLED: LazyLock<(Place, bool)> = LazyLock::new(|| {
    let place = with_data(Place::shared("tiny", &SPEC));
    let running = start(&place, "cpu:2", "is complete");
    let workers = running.workers();
    assert_eq!(workers.len(), 2);
    running.kill();
    let have_left = workers.into_iter().all(is_gone_soon);
    run(&place, "cpu:2").succeeded();
    (place, have_left)
});

#[test]
fn the_workers_of_a_killed_orchestrator_leave() {
    let (_, have_left) = &*ORCHESTRATOR_KILLED;
    assert!(have_left);
}

#[test]
fn the_run_after_a_killed_orchestrator_completes_the_sweep() {
    let (place, _) = &*ORCHESTRATOR_KILLED;
    assert_undisturbed(place);
}

#[test]
fn a_worker_that_stands_still_is_replaced() {
    let place = place();
    place.write_spec(&(SPEC.clone() + "[run]\nstall_limit = \"3s\"\nretries.stalled = 9\n"));
    let running = start(&place, "cpu:1", "trial 0002 starts");
    kill_process(running.workers()[0], Signal::STOP).unwrap();
    let Written { stderr, .. } = running.end().succeeded();
    assert!(stderr.contains("the worker said nothing for too long (`stall_limit` in [run])"), "{stderr}");
    assert_undisturbed(&place);
}
