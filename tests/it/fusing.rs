//! Trials that one worker trains together: they leave what they leave alone, whatever befalls them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
    thread,
    time::Duration,
};

use rustix::process::{Signal, kill_process};
use sweep::{
    event::{Event, Outcome},
    trial::FailureKind,
};

use crate::common::{
    place::Place,
    program::{Running, Written, is_gone_soon},
    results::{Findings, TIME_AND_DEVICE, id, trial_files},
    texts::{TINY_SPEC, csv, filler, opinion},
};

const TRIALS: u32 = 6;
/// Evaluations in the log of a sweep that is in the midst: two or three of each trial, or some of the first.
const EVALUATIONS: usize = 16;
const ALONE: [&str; 4] = ["--devices", "cpu:1", "--fuse", "off"];
const TOGETHER: [&str; 4] = ["--devices", "cpu:1", "--fuse", "16"];

/// Heads over frozen encoders. Steps are so quick that many are needed to interrupt them on the way.
static SPEC: LazyLock<String> = LazyLock::new(|| {
    TINY_SPEC.replace("epochs = 2", "epochs = 30\nschedule = \"constant\"\nwarmup_ratio = 0")
        + "[model]
freeze = \"encoder\"
[early_stopping]
patience = 6
[run]
checkpoint_every = 20
[search.space]
learning_rate = { grid = [1e-4, 2e-3, 8e-2] }
dropout = { grid = [0.0, 0.2] }
"
});

/// Trials whose whole encoder learns.
static WHOLE: LazyLock<String> = LazyLock::new(|| {
    SPEC.replace("freeze = \"encoder\"", "freeze = 0")
        .replace("epochs = 30", "epochs = 4")
        .replace("8e-2", "5e-4")
});

fn place() -> Place {
    with_data(Place::new("tiny", &SPEC))
}

fn with_data(place: Place) -> Place {
    let rows = (0..200).map(|index| {
        let (label, word) = opinion(index);
        (format!("{}，{word}，第{index}次", filler(index)), label)
    });
    place.write("tiny.csv", csv(rows.collect::<Vec<_>>()));
    place
}

/// The sweep by a worker that trains one trial after another.
static APART: LazyLock<Place> = LazyLock::new(|| {
    let place = with_data(Place::shared("tiny", &SPEC));
    place.run(&ALONE).succeeded();
    place
});

/// The sweep by a worker that trains all trials together.
static FUSED: LazyLock<Place> = LazyLock::new(|| {
    let place = with_data(Place::shared("tiny", &SPEC));
    place.run(&TOGETHER).succeeded();
    place
});

/// The sweep of whole encoders by a worker that trains one trial after another.
static WHOLE_APART: LazyLock<Place> = LazyLock::new(|| {
    let place = with_data(Place::shared("tiny", &WHOLE));
    place.run(&ALONE).succeeded();
    place
});

fn findings(place: &Place) -> Findings {
    let results = place.results();
    let files = (1..=TRIALS).flat_map(|id| {
        let files = trial_files(results.trial(id).path());
        files.into_iter().map(move |(name, bytes)| (PathBuf::from(format!("{id}/{name}")), bytes))
    });
    Findings { rows: results.rows_without(&TIME_AND_DEVICE), files: files.collect() }
}

#[track_caller]
fn assert_as_apart(place: &Place, context: &str) {
    findings(place).assert_equal(&findings(&APART), context);
}

/// By trial: the other trials of each of its attempts.
fn company(place: &Place) -> BTreeMap<u32, Vec<usize>> {
    let mut company: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for record in place.results().records() {
        if let (Some(trial), Event::Started { with, .. }) = (record.trial, record.event) {
            company.entry(trial.0).or_default().push(with.len());
        }
    }
    company
}

fn outcomes(place: &Place) -> BTreeMap<u32, Outcome> {
    let records = place.results().records().into_iter();
    let outcome = |record: sweep::event::Record| match record.event {
        Event::Finished(outcome) => Some((record.trial.unwrap().0, outcome)),
        _ => None,
    };
    records.filter_map(outcome).collect()
}

/// Starts the sweep, and waits until its log has so many evaluations.
fn begin(place: &Place, arguments: &[&str]) -> Running {
    let running = Running::start(&mut place.run_command(arguments));
    let log = place.results().log();
    while !fs::read_to_string(log.path()).is_ok_and(|log| log.matches("\"evaluated\"").count() >= EVALUATIONS)
    {
        assert!(running.is_alive(), "it ended before it had made {EVALUATIONS} evaluations");
        thread::sleep(Duration::from_millis(2));
    }
    running
}

/// Kills the program in the midst, with SIGKILL, and waits until its worker has left.
fn kill_in_the_midst(place: &Place, arguments: &[&str]) {
    let running = begin(place, arguments);
    let workers = running.workers();
    running.kill();
    assert!(workers.into_iter().all(is_gone_soon));
    assert!(outcomes(place).len() < TRIALS as usize, "it was killed too late to show anything");
}

fn has_resumed(place: &Place) -> bool {
    place.results().records().iter().any(|record| matches!(record.event, Event::Resumed { .. }))
}

#[test]
fn trials_together_leave_the_bytes_and_figures_that_they_leave_alone() {
    assert_as_apart(&FUSED, "together");
}

#[test]
fn all_trials_are_given_to_one_worker_at_once() {
    let all = |others| (1..=TRIALS).map(|id| (id, vec![others])).collect::<BTreeMap<_, _>>();
    assert_eq!((company(&APART), company(&FUSED)), (all(0), all(TRIALS as usize - 1)));
}

#[test]
fn on_the_cpu_trials_are_not_fused_by_themselves() {
    let place = place();
    place.run(&["--devices", "cpu:1", "--set", "train.epochs=1"]).succeeded();
    assert!(company(&place).values().flatten().all(|others| *others == 0));
}

#[test]
fn trials_that_stop_early_leave_before_the_others() {
    let ends: Vec<u32> = FUSED
        .results()
        .records()
        .into_iter()
        .filter_map(|record| matches!(record.event, Event::Finished(_)).then_some(record.trial?.0))
        .collect();
    let outcomes = outcomes(&FUSED);
    let epochs: Vec<f64> = ends.iter().map(|id| outcomes[id].epochs_run).collect();
    assert!(epochs.is_sorted() && epochs.first() < epochs.last(), "{ends:?} {epochs:?}");
    assert!(outcomes[&ends[0]].stopped_early);
}

#[test]
fn each_trial_counts_its_share_of_the_time() {
    let records = FUSED.results().records();
    let at = |record: &sweep::event::Record| humantime::parse_rfc3339(&record.at).unwrap();
    let passed = at(records.last().unwrap()).duration_since(at(&records[0])).unwrap().as_secs_f64();
    let sum: f64 = outcomes(&FUSED).values().map(|outcome| outcome.seconds).sum();
    // The log's times are whole seconds at worst.
    assert!(sum > 0.0 && sum <= passed + 1.0, "{sum} of {passed}");
}

#[test]
fn every_log_of_a_worker_begins_with_its_own_trial() {
    for id in 1..=TRIALS {
        let log = fs::read_to_string(FUSED.results().trial(id).worker_log().path()).unwrap();
        assert!(log.starts_with(&format!("=== trial {id:04}, attempt 1 on cpu:0")), "{log}");
    }
}

#[test]
fn after_kill_9_a_fused_sweep_resumes_fused_or_alone() {
    for arguments in [TOGETHER, ALONE] {
        let place = place();
        kill_in_the_midst(&place, &TOGETHER);
        place.run(&arguments).succeeded();
        assert!(has_resumed(&place));
        assert_as_apart(&place, &format!("then {arguments:?}"));
    }
}

#[test]
fn after_kill_9_a_sweep_of_single_trials_resumes_fused() {
    let place = place();
    kill_in_the_midst(&place, &ALONE);
    place.run(&TOGETHER).succeeded();
    assert!(has_resumed(&place));
    assert_as_apart(&place, "then together");
}

#[test]
fn whole_encoders_together_leave_what_they_leave_alone() {
    let place = with_data(Place::new("tiny", &WHOLE));
    place.run(&TOGETHER).succeeded();
    assert!(company(&place).values().all(|attempts| *attempts == [TRIALS as usize - 1]));
    findings(&place).assert_equal(&findings(&WHOLE_APART), "whole encoders together");
}

#[test]
fn after_kill_9_whole_encoders_go_on_together_or_alone() {
    for [first, then] in [[TOGETHER, ALONE], [ALONE, TOGETHER]] {
        let place = with_data(Place::new("tiny", &WHOLE));
        kill_in_the_midst(&place, &first);
        place.run(&then).succeeded();
        assert!(has_resumed(&place));
        findings(&place).assert_equal(&findings(&WHOLE_APART), &format!("{first:?}, then {then:?}"));
    }
}

#[test]
fn after_ctrl_c_a_fused_sweep_goes_on() {
    let place = place();
    let running = begin(&place, &TOGETHER);
    running.signal(Signal::INT);
    let Written { stderr, .. } = running.end().with_code(130);
    assert!(stderr.contains("the same command goes on"), "{stderr}");
    place.run(&TOGETHER).succeeded();
    assert!(has_resumed(&place));
    assert_as_apart(&place, "after Ctrl-C");
}

#[test]
fn a_killed_worker_fails_its_trials_together_and_each_goes_on_alone() {
    let place = place();
    let running = begin(&place, &TOGETHER);
    kill_process(running.workers()[0], Signal::KILL).unwrap();
    running.end().succeeded();
    let failures: BTreeMap<u32, bool> = place
        .results()
        .records()
        .into_iter()
        .filter_map(|record| match record.event {
            Event::Failed { failure, retry } => {
                assert_eq!(failure.kind, FailureKind::Signal(9));
                Some((record.trial.unwrap().0, retry))
            }
            _ => None,
        })
        .collect();
    assert!(failures.len() > 1 && failures.values().all(|retry| *retry), "{failures:?}");
    for (trial, attempts) in company(&place) {
        let expected = if failures.contains_key(&trial) { vec![5, 0] } else { vec![5] };
        assert_eq!(attempts, expected, "trial {trial}");
    }
    assert_as_apart(&place, "after a kill");
}

#[test]
fn a_trial_whose_loss_is_not_finite_fails_by_itself() {
    let place = place();
    place.write_spec(&SPEC.replace("8e-2", "1e38"));
    place.run(&TOGETHER).with_code(3);
    let rows = place.results().rows();
    let failed: Vec<u32> = rows.iter().filter(|row| row["state"] == "failed").map(id).collect();
    assert_eq!(failed.len(), 2, "both trials with that rate");
    assert!(company(&place).values().all(|attempts| *attempts == [5]), "one attempt each, together");
    let apart = APART.results();
    for id in (1..=TRIALS).filter(|id| !failed.contains(id)) {
        let (own, expected) = (place.results().trial(id), apart.trial(id));
        assert!(same_files(own.path(), expected.path()), "trial {id}");
    }
}

fn same_files(one: &Path, other: &Path) -> bool {
    trial_files(one) == trial_files(other)
}
