//! Whole runs with real processes that fail in every way that a worker can.

mod disk;
mod freezes;
mod gpus;
mod growing;
mod interrupts;
mod memory;
mod misbehaviour;
mod rerun;
mod shortages;
mod table;

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::process::Pid;
use sweep::{
    event::{Event, Record},
    executor::{self, Ended, Notice, Observer, Painter, Program, Run, StartLimits, Workers},
    job::Job,
    policy::{Policy, Retries},
    results::{Results, Tenure, read_json},
    sampler::FixedPlan,
    scheduler::Packing,
    study::Study,
    system::device::Device,
    trial::{FailureKind, State, TrialId},
};
use tokio::sync::mpsc;

use crate::common::{place::Place, plan::plan, results::SweepResults};

const ONE: TrialId = TrialId(1);
const TWO: TrialId = TrialId(2);
const THREE: TrialId = TrialId(3);

/// A sweep in a folder of its own, with a fake worker that has a script.
struct FaultySweep {
    place: Place,
    run: Run,
    drawn: Arc<Mutex<Vec<TrialId>>>,
}

impl FaultySweep {
    fn new(slots: usize, trials: u32, script: &str) -> Self {
        let place = Place::empty();
        let program = place.path("worker");
        // A copy could be busy: another thread's child may have it open for writing.
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_fake-worker"), &program).unwrap();
        let folder = Results::new(place.path("results")).sweep("faults");
        fs::create_dir_all(folder.path()).unwrap();
        let devices = (0..slots).map(|slot| Device::Cpu { slot, threads: 1 }).collect();
        // Long enough that a busy machine never makes a test fail; nothing here waits for it.
        let workers = Workers {
            program: Program::at(program),
            leave: Duration::from_mins(1),
            space: Duration::from_millis(10),
            start: StartLimits { rest: Duration::from_millis(10), ..StartLimits::default() },
            visible: Vec::new(),
            packing: Packing::default(),
        };
        let mut plan = plan("faults", trials);
        plan.policy = Policy { retries: Retries { signal: 1, ..Retries::default() }, ..Policy::default() };
        let (again, continued, tenure) = (Vec::new(), Vec::new(), Tenure::default());
        let run = Run { folder, tenure, plan, again, continued, devices, cluster: None, workers };
        let sweep = Self { place, run, drawn: Arc::default() };
        sweep.script(script);
        sweep
    }

    /// How the sweep is run.
    fn policy(&mut self) -> &mut Policy {
        &mut self.run.plan.policy
    }

    /// The deeds that were done.
    fn deeds(&self) -> Vec<String> {
        let text = fs::read_to_string(self.place.path("worker.deeds")).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    fn script(&self, script: &str) {
        self.place.write("worker.script", script);
    }

    async fn run(&self) -> Ended {
        self.run_interrupted(|_| false).await
    }

    /// Runs, with a wish to stop after each notice that `when` picks.
    async fn run_interrupted(&self, mut when: impl FnMut(&Notice<'_>) -> bool) -> Ended {
        let (sender, interrupts) = mpsc::channel(8);
        let drawn = Arc::clone(&self.drawn);
        let draw: executor::Draw = Box::new(move |_, trials| {
            drawn.lock().unwrap().append(&mut std::mem::take(trials).into_iter().collect());
            Ok(())
        });
        let mut watch = |notice: &Notice<'_>| {
            if when(notice) {
                sender.try_send(()).unwrap();
            }
        };
        run_observed(&self.run, interrupts, draw, &mut watch).await
    }

    fn results(&self) -> SweepResults {
        SweepResults::from(self.run.folder.clone())
    }

    /// Kinds of the failures of `trial`, each with whether it was tried again.
    fn failures(&self, trial: TrialId) -> Vec<(FailureKind, bool)> {
        let failure = |record: Record| match record.event {
            Event::Failed { failure, retry } if record.trial == Some(trial) => Some((failure.kind, retry)),
            _ => None,
        };
        self.results().records().into_iter().filter_map(failure).collect()
    }

    /// The processes that had `trial`, one for each attempt that reached a worker.
    fn pids(&self, trial: TrialId) -> Vec<Pid> {
        let path = self.run.folder.trial(trial).path().join("pids");
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(pid).collect()
    }

    /// How many attempts at each trial reached a worker.
    fn attempts(&self) -> Vec<usize> {
        self.run.plan.trials.iter().map(|trial| self.pids(trial.id).len()).collect()
    }

    fn log(&self, trial: TrialId) -> String {
        fs::read_to_string(self.run.folder.trial(trial).worker_log()).unwrap()
    }

    /// Asserts that the log replays to the study that the run ended with.
    #[track_caller]
    fn assert_replays(&self, ended: &Ended) {
        assert_eq!(Study::replay(&self.run.plan, &self.results().records()).unwrap(), ended.study);
    }
}

/// Runs the trials of the plan, with a painter and another observer.
async fn run_observed(
    run: &Run,
    interrupts: mpsc::Receiver<()>,
    draw: executor::Draw,
    watch: &mut dyn Observer,
) -> Ended {
    let mut painter = Painter::new(draw);
    executor::run(run.clone(), interrupts, &mut FixedPlan, vec![watch, &mut painter]).await.unwrap()
}

fn pid(text: &str) -> Pid {
    Pid::from_raw(text.parse().unwrap()).unwrap()
}

fn states(study: &Study) -> Vec<State> {
    study.trials.iter().map(|trial| trial.state).collect()
}

/// Runs one trial that does `deed` in every attempt: its failures, after which it is given up.
async fn failures_of(deed: &str) -> Vec<FailureKind> {
    let sweep = FaultySweep::new(1, 1, &format!("* * {deed}"));
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), [State::Failed]);
    let failures = sweep.failures(ONE);
    let retries: Vec<bool> = failures.iter().map(|(_, retry)| *retry).collect();
    assert_eq!(retries, [true, false]);
    let pids = sweep.pids(ONE);
    assert!(pids.len() == 2 && pids[0] != pids[1], "a retry is for a fresh process: {pids:?}");
    failures.into_iter().map(|(kind, _)| kind).collect()
}

/// A sweep of three trials on one slot, after its run.
async fn three_trials() -> (FaultySweep, Ended) {
    let sweep = FaultySweep::new(1, 3, "");
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), [State::Complete; 3]);
    (sweep, ended)
}

#[tokio::test]
async fn one_worker_runs_trial_after_trial() {
    let (sweep, _) = three_trials().await;
    assert_eq!(sweep.pids(ONE), sweep.pids(THREE));
}

#[tokio::test]
async fn every_trial_is_drawn_once() {
    let (sweep, _) = three_trials().await;
    assert_eq!(*sweep.drawn.lock().unwrap(), [ONE, TWO, THREE]);
}

#[tokio::test]
async fn a_workers_job_has_the_trial_of_the_plan() {
    let (sweep, _) = three_trials().await;
    let job: Job = read_json(&sweep.run.folder.trial(TWO).job()).unwrap();
    assert_eq!(job.trial, sweep.run.plan.trials[1]);
}

#[tokio::test]
async fn the_log_of_a_run_replays_to_its_end() {
    let (sweep, ended) = three_trials().await;
    sweep.assert_replays(&ended);
}

#[tokio::test]
async fn several_slots_run_each_trial_once() {
    let sweep = FaultySweep::new(3, 7, "");
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), [State::Complete; 7]);
    assert_eq!(sweep.attempts(), [1; 7]);
}

/// A sweep whose second trial is killed once, after its run.
async fn second_trial_killed_once() -> (FaultySweep, Ended) {
    let sweep = FaultySweep::new(1, 3, "2 1 killed");
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), [State::Complete; 3]);
    (sweep, ended)
}

#[tokio::test]
async fn a_worker_killed_once_costs_one_retry() {
    let (sweep, ended) = second_trial_killed_once().await;
    assert_eq!(sweep.failures(TWO), [(FailureKind::Signal(9), true)]);
    assert_eq!(ended.study.trials[1].attempts, 2);
}

#[tokio::test]
async fn a_killed_worker_costs_no_other_trial_an_attempt() {
    let (sweep, _) = second_trial_killed_once().await;
    assert_eq!((sweep.pids(ONE).len(), sweep.pids(THREE).len()), (1, 1));
}

#[tokio::test]
async fn the_evaluations_of_an_attempt_that_failed_are_gone() {
    let (_, ended) = second_trial_killed_once().await;
    assert_eq!(ended.study.trials[1].evaluations.len(), 1);
}

/// A sweep whose second trial dies in every attempt, after its run.
async fn second_trial_always_dies() -> (FaultySweep, Ended) {
    let sweep = FaultySweep::new(2, 3, "2 * killed-before-a-word");
    let ended = sweep.run().await;
    (sweep, ended)
}

#[tokio::test]
async fn a_trial_whose_worker_always_dies_is_given_up() {
    let (sweep, _) = second_trial_always_dies().await;
    assert_eq!(sweep.failures(TWO), [(FailureKind::Signal(9), true), (FailureKind::Signal(9), false)]);
}

#[tokio::test]
async fn the_others_complete_when_a_trial_is_given_up() {
    let (_, ended) = second_trial_always_dies().await;
    assert_eq!(states(&ended.study), [State::Complete, State::Failed, State::Complete]);
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
async fn a_worker_that_stays_after_its_failure_is_killed() {
    let mut sweep = FaultySweep::new(1, 2, "1 * failed-and-stays");
    sweep.run.workers.leave = Duration::from_millis(50);
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), [State::Failed, State::Complete]);
}

#[tokio::test]
async fn a_flood_on_standard_error_blocks_no_trial() {
    let ended = FaultySweep::new(1, 1, "* * flood").run().await;
    assert_eq!(states(&ended.study), [State::Complete]);
}

#[tokio::test]
async fn a_flood_on_standard_error_does_not_fill_the_disk() {
    let sweep = FaultySweep::new(1, 1, "* * flood");
    sweep.run().await;
    let log = sweep.log(ONE);
    assert!(log.starts_with("=== trial 0001, attempt 1 on cpu:0\nxxx") && log.len() < 2 << 20);
}

#[tokio::test]
async fn a_worker_that_never_gets_ready_is_given_up() {
    let mut sweep = FaultySweep::new(1, 1, "start unready");
    sweep.policy().start_up_limit = Duration::from_millis(50);
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), [State::Failed]);
    let kind = FailureKind::StartupTimeout;
    assert_eq!(sweep.failures(ONE), [(kind.clone(), true), (kind, false)]);
}

/// A sweep of two trials whose folder's name is not UTF-8, after its run.
async fn folder_that_cannot_be_named() -> (FaultySweep, Ended) {
    let mut sweep = FaultySweep::new(1, 2, "");
    let folder = sweep.place.path(OsStr::from_bytes(b"r\xff"));
    sweep.run.folder = Results::new(folder).sweep("faults");
    fs::create_dir_all(sweep.run.folder.path()).unwrap();
    let ended = sweep.run().await;
    (sweep, ended)
}

#[tokio::test]
async fn a_folder_that_cannot_be_named_to_a_worker_fails_its_trials() {
    let (sweep, ended) = folder_that_cannot_be_named().await;
    assert_eq!(states(&ended.study), [State::Failed; 2]);
    assert_eq!(sweep.failures(TWO), [(FailureKind::Spawn, true), (FailureKind::Spawn, false)]);
}

#[tokio::test]
async fn a_trial_whose_folder_cannot_be_named_says_why_it_failed() {
    let (_, ended) = folder_that_cannot_be_named().await;
    let message = &ended.study.trials[0].failure.as_ref().unwrap().message;
    assert!(message.contains("UTF-8"), "{message}");
}

/// The end of a sweep of which nothing can be drawn, and the messages to its user.
async fn without_paper() -> (Ended, Vec<String>) {
    let sweep = FaultySweep::new(1, 1, "");
    let (_sender, interrupts) = mpsc::channel(1);
    let mut warnings = Vec::new();
    let draw: executor::Draw = Box::new(|_, _| Err("no paper".into()));
    let mut watch = |notice: &Notice<'_>| {
        if let Notice::Warning(text) = notice {
            warnings.push(text.clone());
        }
    };
    let ended = run_observed(&sweep.run, interrupts, draw, &mut watch).await;
    (ended, warnings)
}

#[tokio::test]
async fn drawing_that_fails_is_reported_to_the_user() {
    assert_eq!(without_paper().await.1, ["cannot draw: no paper"]);
}

#[tokio::test]
async fn drawing_that_fails_fails_no_trial() {
    assert_eq!(states(&without_paper().await.0.study), [State::Complete]);
}
