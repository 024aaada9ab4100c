//! Whole runs with real processes that fail in every way that a worker can.

mod misbehaviour;
mod table;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::process::{Signal, getpid, kill_process};
use sweep::{
    data::{DataSpec, Duplicates, Limit, Source, Split},
    event::{Event, Record},
    executor::{self, Ended, Note, Run, Workers},
    fingerprint::Fingerprints,
    job::Job,
    journal,
    plan::Plan,
    policy::{Policy, Retries},
    results::{Results, SweepFolder, read_json},
    settings::Settings,
    study::Study,
    system::device::Device,
    trial::{FailureKind, Params, State, Trial, TrialId},
};
use tokio::sync::mpsc;

const ONE: TrialId = TrialId(1);
const TWO: TrialId = TrialId(2);

/// A sweep in a folder of its own, with a fake worker that has a script.
struct Bench {
    root: tempfile::TempDir,
    run: Run,
    drawn: Arc<Mutex<Vec<TrialId>>>,
}

fn plan(trials: u32) -> Plan {
    let data = DataSpec {
        source: Source::Single { path: PathBuf::from("/nowhere.csv"), split: Split::default() },
        text: "text".to_owned(),
        label: "label".to_owned(),
        positive: None,
        average: None,
        duplicates: Duplicates::Drop,
        limit: Limit::default(),
        seed: 1,
    };
    let trial = |id| Trial {
        id: TrialId(id),
        params: Params::default(),
        repeat: 0,
        seed: u64::from(id),
        settings: Settings::default(),
    };
    Plan {
        sweep: "faults".to_owned(),
        seed: 1,
        labels: vec!["0".to_owned(), "1".to_owned()],
        positive: Some(1),
        average: None,
        swept: Vec::new(),
        scales: BTreeMap::new(),
        data,
        fingerprints: Fingerprints::default(),
        hub: BTreeMap::new(),
        policy: Policy { retries: Retries { signal: 1, ..Retries::default() }, ..Policy::default() },
        trials: (1..=trials).map(trial).collect(),
        removed: sweep::plan::Removed::default(),
    }
}

impl Bench {
    fn new(slots: usize, trials: u32, script: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let program = root.path().join("worker");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_fake-worker"), &program).unwrap();
        let folder = Results::new(root.path().join("results")).sweep("faults");
        fs::create_dir_all(folder.path()).unwrap();
        let devices = (0..slots).map(|slot| Device::Cpu { slot, threads: 1 }).collect();
        // Long enough that a busy machine never makes a test fail; nothing here waits for it.
        let workers = Workers { program, leave: Duration::from_mins(1), space: Duration::from_millis(10) };
        let run = Run { folder, plan: plan(trials), again: Vec::new(), devices, workers };
        let bench = Self { root, run, drawn: Arc::default() };
        bench.script(script);
        bench
    }

    /// How the sweep is run.
    fn policy(&mut self) -> &mut Policy {
        &mut self.run.plan.policy
    }

    /// The deeds that were done.
    fn deeds(&self) -> Vec<String> {
        let text = fs::read_to_string(self.root.path().join("worker.deeds")).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    fn script(&self, script: &str) {
        fs::write(self.root.path().join("worker.script"), script).unwrap();
    }

    async fn run(&self) -> Ended {
        self.run_interrupted(|_| false).await
    }

    /// Runs, with a wish to stop after each note that `when` picks.
    async fn run_interrupted(&self, mut when: impl FnMut(&Note<'_>) -> bool) -> Ended {
        let (sender, interrupts) = mpsc::channel(8);
        let drawn = Arc::clone(&self.drawn);
        let draw: executor::Draw = Box::new(move |_, trials| {
            drawn.lock().unwrap().extend(trials);
            Ok(())
        });
        let mut watch = |note: Note<'_>| {
            if when(&note) {
                sender.try_send(()).unwrap();
            }
        };
        executor::run(self.run.clone(), interrupts, draw, &mut watch).await.unwrap()
    }

    fn folder(&self) -> &SweepFolder {
        &self.run.folder
    }

    fn records(&self) -> Vec<Record> {
        journal::replay(&self.folder().log()).unwrap().records
    }

    /// Kinds of the failures of `trial`, each with whether it was tried again.
    fn failures(&self, trial: TrialId) -> Vec<(FailureKind, bool)> {
        let failure = |record: Record| match record.event {
            Event::Failed { failure, retry } if record.trial == Some(trial) => Some((failure.kind, retry)),
            _ => None,
        };
        self.records().into_iter().filter_map(failure).collect()
    }

    /// The processes that had `trial`, one for each attempt that reached a worker.
    fn pids(&self, trial: TrialId) -> Vec<u32> {
        let text = fs::read_to_string(self.folder().trial(trial).path().join("pids")).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    fn log(&self, trial: TrialId) -> String {
        fs::read_to_string(self.folder().trial(trial).worker_log()).unwrap()
    }
}

fn states(study: &Study) -> Vec<State> {
    study.trials.iter().map(|trial| trial.state).collect()
}

/// Runs one trial that does `deed` in every attempt: its failures, after which it is given up.
async fn failures_of(deed: &str) -> Vec<FailureKind> {
    let bench = Bench::new(1, 1, &format!("* * {deed}"));
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Failed]);
    let failures = bench.failures(ONE);
    let retries: Vec<bool> = failures.iter().map(|(_, retry)| *retry).collect();
    assert_eq!(retries, [true, false]);
    let pids = bench.pids(ONE);
    assert!(pids.len() == 2 && pids[0] != pids[1], "a retry is for a fresh process: {pids:?}");
    failures.into_iter().map(|(kind, _)| kind).collect()
}

#[tokio::test]
async fn one_worker_runs_trial_after_trial_and_every_one_is_drawn() {
    let bench = Bench::new(1, 3, "");
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Complete; 3]);
    assert_eq!(bench.pids(ONE), bench.pids(TrialId(3)));
    assert_eq!(*bench.drawn.lock().unwrap(), [ONE, TWO, TrialId(3)]);
    let job: Job = read_json(&bench.folder().trial(TWO).job()).unwrap();
    assert_eq!(job.trial, bench.run.plan.trials[1]);
    assert_eq!(Study::replay(&bench.run.plan, &bench.records()).unwrap(), ended.study);
}

#[tokio::test]
async fn slots_share_the_trials_and_no_trial_runs_twice() {
    let bench = Bench::new(3, 7, "");
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Complete; 7]);
    assert!((1..=7).all(|trial| bench.pids(TrialId(trial)).len() == 1));
}

#[tokio::test]
async fn a_worker_killed_once_costs_one_retry_and_no_other_trial() {
    let bench = Bench::new(1, 3, "2 1 killed");
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Complete; 3]);
    assert_eq!(bench.failures(TWO), [(FailureKind::Signal(9), true)]);
    assert_eq!(ended.study.trials[1].attempts, 2);
    assert_eq!(ended.study.trials[1].evaluations.len(), 1, "those of the first attempt are gone");
    assert_eq!((bench.pids(ONE).len(), bench.pids(TrialId(3)).len()), (1, 1));
}

#[tokio::test]
async fn a_trial_whose_worker_always_dies_is_given_up_and_the_others_complete() {
    let bench = Bench::new(2, 3, "2 * killed-before-a-word");
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Complete, State::Failed, State::Complete]);
    assert_eq!(bench.failures(TWO), [(FailureKind::Signal(9), true), (FailureKind::Signal(9), false)]);
}

#[tokio::test]
async fn a_worker_that_prints_garbage_is_ended() {
    assert_eq!(failures_of("garbage").await, [FailureKind::Protocol, FailureKind::Protocol]);
}

#[tokio::test]
async fn a_worker_that_talks_about_another_trial_is_ended() {
    assert_eq!(failures_of("foreign").await, [FailureKind::Protocol, FailureKind::Protocol]);
}

#[tokio::test]
async fn a_worker_that_leaves_without_a_word_fails_its_trial() {
    assert_eq!(failures_of("mute").await, [FailureKind::Exit(0), FailureKind::Exit(0)]);
}

#[tokio::test]
async fn half_a_line_does_not_count() {
    assert_eq!(failures_of("half-a-line").await, [FailureKind::Exit(0), FailureKind::Exit(0)]);
}

#[tokio::test]
async fn what_a_dead_worker_left_behind_does_not_hold_the_sweep_up() {
    assert_eq!(failures_of("grandchild").await, [FailureKind::Signal(9), FailureKind::Signal(9)]);
}

#[tokio::test]
async fn a_failure_that_would_come_again_is_not_tried_again_now_or_by_the_next_run() {
    let bench = Bench::new(1, 2, "1 * no-number");
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Failed, State::Complete]);
    assert_eq!(bench.failures(ONE), [(FailureKind::NonFinite { step: 7 }, false)]);
    assert_ne!(bench.pids(ONE), bench.pids(TWO), "after a failure comes a fresh process");
    let records = bench.records();
    bench.run().await;
    assert_eq!(bench.records(), records);
}

#[tokio::test]
async fn a_worker_that_stays_after_its_failure_is_killed() {
    let mut bench = Bench::new(1, 2, "1 * failed-and-stays");
    bench.run.workers.leave = Duration::from_millis(50);
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Failed, State::Complete]);
}

#[tokio::test]
async fn a_flood_on_standard_error_neither_blocks_nor_fills_the_disk() {
    let bench = Bench::new(1, 1, "* * flood");
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Complete]);
    let log = bench.log(ONE);
    assert!(log.starts_with("=== trial 0001, attempt 1 on cpu:0\nxxx") && log.len() < 2 << 20);
}

#[tokio::test]
async fn a_worker_that_never_gets_ready_is_given_up() {
    let mut bench = Bench::new(1, 1, "start unready");
    bench.policy().start_up_limit = Duration::from_millis(50);
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Failed]);
    let kind = FailureKind::StartupTimeout;
    assert_eq!(bench.failures(ONE), [(kind.clone(), true), (kind, false)]);
}

#[tokio::test]
async fn a_program_that_cannot_be_started_fails_every_trial_and_the_run_ends() {
    let mut bench = Bench::new(2, 2, "");
    bench.run.workers.program = bench.root.path().join("missing");
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Failed; 2]);
    assert_eq!(bench.failures(ONE), [(FailureKind::Spawn, true), (FailureKind::Spawn, false)]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_named_to_a_worker_fails_its_trials_and_the_run_ends() {
    let mut bench = Bench::new(1, 2, "");
    let folder = bench.root.path().join(OsStr::from_bytes(b"r\xff"));
    bench.run.folder = Results::new(folder).sweep("faults");
    fs::create_dir_all(bench.folder().path()).unwrap();
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Failed; 2]);
    assert_eq!(bench.failures(TWO), [(FailureKind::Spawn, true), (FailureKind::Spawn, false)]);
    let message = &ended.study.trials[0].failure.as_ref().unwrap().message;
    assert!(message.contains("UTF-8"), "{message}");
}

#[tokio::test]
async fn a_complete_trial_whose_files_are_gone_is_run_again_and_no_other() {
    let mut bench = Bench::new(1, 2, "");
    bench.run().await;
    bench.run.again = vec![TWO];
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Complete; 2]);
    assert_eq!((bench.pids(ONE).len(), bench.pids(TWO).len()), (1, 2));
    assert_eq!(Study::replay(&bench.run.plan, &bench.records()).unwrap(), ended.study);
}

#[tokio::test]
async fn a_second_run_leaves_complete_trials_and_their_log_alone() {
    let bench = Bench::new(1, 2, "");
    let first = bench.run().await;
    let records = bench.records();
    assert_eq!(bench.run().await, first);
    assert_eq!(bench.records(), records);
}

#[tokio::test]
async fn failed_trials_stay_failed_until_the_user_wants_them_to_be_tried_again() {
    let mut bench = Bench::new(1, 2, "2 * killed");
    assert_eq!(states(&bench.run().await.study), [State::Complete, State::Failed]);
    bench.script("");
    let records = bench.records();
    assert_eq!(states(&bench.run().await.study), [State::Complete, State::Failed]);
    assert_eq!(bench.records(), records, "nothing was run");
    bench.run.again = vec![TWO];
    let ended = bench.run().await;
    assert_eq!(states(&ended.study), [State::Complete; 2]);
    assert_eq!((bench.pids(ONE).len(), ended.study.trials[1].attempts), (1, 3));
}

fn is_evaluated(note: &Note<'_>, trial: TrialId) -> bool {
    matches!(note, Note::Logged(Record { trial: Some(id), event: Event::Evaluated(_), .. }, _) if *id == trial)
}

#[tokio::test]
async fn an_interrupted_sweep_is_completed_by_running_it_again() {
    let bench = Bench::new(1, 3, "2 1 until-stopped");
    let ended = bench.run_interrupted(|note| is_evaluated(note, TWO)).await;
    assert!(ended.interrupted);
    assert_eq!(states(&ended.study), [State::Complete, State::Waiting, State::Waiting]);
    assert!(bench.failures(TWO).is_empty());
    let ended = bench.run().await;
    assert!(!ended.interrupted);
    assert_eq!(states(&ended.study), [State::Complete; 3]);
    assert_eq!((bench.pids(ONE).len(), bench.pids(TWO).len()), (1, 2));
}

#[tokio::test]
async fn a_worker_that_does_not_stop_is_terminated_by_the_second_interrupt() {
    let bench = Bench::new(1, 1, "* * until-terminated");
    let mut stops = 0;
    let ended = bench
        .run_interrupted(|note| {
            stops += u32::from(matches!(note, Note::Stopping(_)));
            is_evaluated(note, ONE) || matches!(note, Note::Stopping(1))
        })
        .await;
    assert_eq!((states(&ended.study), ended.interrupted), (vec![State::Waiting], true));
    assert_eq!(stops, 2);
}

#[tokio::test]
async fn a_worker_that_ignores_termination_is_killed_by_the_third_interrupt() {
    let bench = Bench::new(1, 1, "* * until-killed");
    let wish = |note: &Note<'_>| is_evaluated(note, ONE) || matches!(note, Note::Stopping(1 | 2));
    let ended = bench.run_interrupted(wish).await;
    assert_eq!((states(&ended.study), ended.interrupted), (vec![State::Waiting], true));
}

#[tokio::test]
async fn an_orchestrator_that_died_at_any_record_is_taken_over_by_the_next_run() {
    let bench = Bench::new(1, 2, "1 1 killed");
    let ended = bench.run().await;
    let log = fs::read_to_string(bench.folder().log()).unwrap();
    let lines: Vec<&str> = log.split_inclusive('\n').collect();
    bench.script("");
    for kept in 0..lines.len() {
        // The record after the last whole one is torn in the middle.
        let torn = &lines[kept][..lines[kept].len() / 2];
        fs::write(bench.folder().log(), lines[..kept].concat() + torn).unwrap();
        let again = bench.run().await;
        assert_eq!(states(&again.study), states(&ended.study), "cut after {kept} records");
        let outcomes = |study: &Study| study.trials.iter().map(|t| t.outcome.clone()).collect::<Vec<_>>();
        assert_eq!(outcomes(&again.study), outcomes(&ended.study));
    }
}

#[tokio::test]
async fn drawing_that_fails_is_told_and_ends_nothing() {
    let bench = Bench::new(1, 1, "");
    let (_sender, interrupts) = mpsc::channel(1);
    let mut troubles = Vec::new();
    let draw: executor::Draw = Box::new(|_, _| Err("no paper".into()));
    let mut watch = |note: Note<'_>| {
        if let Note::Trouble(text) = note {
            troubles.push(text);
        }
    };
    let ended = executor::run(bench.run.clone(), interrupts, draw, &mut watch).await.unwrap();
    assert_eq!(states(&ended.study), [State::Complete]);
    assert_eq!(troubles, ["cannot draw: no paper"]);
}

#[tokio::test]
async fn the_signals_of_a_closing_terminal_are_wishes_to_stop() {
    let mut interrupts = executor::interrupts().unwrap();
    for signal in [Signal::HUP, Signal::INT, Signal::TERM] {
        kill_process(getpid(), signal).unwrap();
        assert_eq!(interrupts.recv().await, Some(()));
    }
}
