//! Workers that cannot be started, for a moment or for good, and machines that are short of something.

use std::{os::unix::fs::symlink, path::Path};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use sweep::executor::ExecutorError;
use tempfile::TempDir;

use super::*;
use crate::common::{
    program::{Running, Written, is_alone},
    texts::{TINY_SPEC, csv_of_two_words},
};

/// What the user of a run hears.
#[derive(Default)]
struct Heard {
    warnings: Vec<String>,
    resolved: usize,
}

/// Runs the sweep, and calls `at_warning` at each warning.
async fn run_heard(
    sweep: &FaultySweep,
    at_warning: &mut dyn FnMut(),
) -> (Result<Ended, ExecutorError>, Heard) {
    let (_sender, interrupts) = mpsc::channel(1);
    let mut heard = Heard::default();
    let mut watch = |notice: &Notice<'_>| match notice {
        Notice::Warning(text) => {
            heard.warnings.push(text.clone());
            at_warning();
        }
        Notice::Resolved(_) => heard.resolved += 1,
        Notice::Logged(..)
        | Notice::Progress(..)
        | Notice::Stopping(_)
        | Notice::Workers(_)
        | Notice::Note(_) => {}
    };
    let ended = executor::run(sweep.run.clone(), interrupts, &mut FixedPlan, vec![&mut watch]).await;
    (ended, heard)
}

/// Asserts that every trial is complete after one attempt, without any failure in the log.
#[track_caller]
fn assert_nothing_failed(sweep: &FaultySweep, ended: &Ended) {
    for trial in &ended.study.trials {
        assert_eq!((trial.state, trial.attempts), (State::Complete, 1));
        assert!(sweep.failures(trial.trial.id).is_empty());
    }
}

/// A sweep of two trials whose program is not there, after its run was given up, with its error.
async fn without_program() -> (FaultySweep, String) {
    let mut sweep = FaultySweep::new(2, 2, "");
    sweep.run.workers.program = Program::at(sweep.place.path("missing"));
    sweep.run.workers.start = StartLimits { rest: Duration::from_millis(1), give_up: Duration::from_secs(1) };
    let (ended, _) = run_heard(&sweep, &mut || {}).await;
    (sweep, ended.unwrap_err().to_string())
}

#[tokio::test]
async fn a_program_that_cannot_be_started_ends_the_run_and_says_why() {
    let (_, error) = without_program().await;
    assert!(error.starts_with("no worker can run: cannot start ") && error.contains("missing"), "{error}");
    assert!(error.contains("No such file") && error.contains("No trial failed"), "{error}");
}

#[tokio::test]
async fn a_program_that_cannot_be_started_fails_no_trial() {
    let (mut sweep, _) = without_program().await;
    let study = Study::replay(&sweep.run.plan, &sweep.results().records()).unwrap();
    assert_eq!(states(&study), [State::Waiting; 2]);
    sweep.run.workers.program = Program::at(sweep.place.path("worker"));
    assert_nothing_failed(&sweep, &sweep.run().await);
}

#[tokio::test]
async fn a_program_that_is_gone_for_a_moment_costs_nothing() {
    let sweep = FaultySweep::new(2, 4, "");
    let program = sweep.place.path("worker");
    fs::remove_file(&program).unwrap();
    let mut back = || symlink(env!("CARGO_BIN_EXE_fake-worker"), &program).unwrap();
    let (ended, heard) = run_heard(&sweep, &mut back).await;
    assert_nothing_failed(&sweep, &ended.unwrap());
    assert_eq!((heard.warnings.len(), heard.resolved), (1, 1), "{:?}", heard.warnings);
}

#[tokio::test]
async fn a_wish_to_stop_is_heard_while_no_worker_can_be_started() {
    let mut sweep = FaultySweep::new(2, 2, "");
    sweep.run.workers.program = Program::at(sweep.place.path("missing"));
    let ended = sweep.run_interrupted(|notice| matches!(notice, Notice::Warning(_))).await;
    assert!(ended.interrupted);
    assert_eq!(states(&ended.study), [State::Waiting; 2]);
}

#[tokio::test]
async fn workers_that_end_before_they_are_ready_cost_nothing() {
    let sweep = FaultySweep::new(2, 4, "start 1 exit-unready\nstart 2 killed-unready\nstart 3 short-unready");
    let (ended, heard) = run_heard(&sweep, &mut || {}).await;
    assert_nothing_failed(&sweep, &ended.unwrap());
    assert_eq!(sweep.deeds().len(), 3);
    assert!(heard.warnings.iter().all(|text| text.contains("before it was ready")), "{:?}", heard.warnings);
}

#[tokio::test]
async fn a_worker_that_finds_no_file_to_spare_costs_its_trial_nothing() {
    let script = (1..=12).map(|attempt| format!("1 {attempt} short\n")).collect::<Vec<_>>().concat();
    let mut sweep = FaultySweep::new(1, 2, &script);
    sweep.run.workers.start.rest = Duration::from_micros(1);
    let ended = sweep.run().await;
    assert_eq!(states(&ended.study), [State::Complete; 2]);
    assert_eq!(sweep.failures(ONE), vec![(FailureKind::Shortage, true); 12]);
}

/// Open files of this process.
fn open_files() -> u64 {
    fs::read_dir("/proc/self/fd").unwrap().count() as u64
}

#[tokio::test]
async fn open_files_that_are_lacking_for_a_moment_cost_nothing() {
    // The limit is that of the whole process.
    if !is_alone("faults::shortages::open_files_that_are_lacking_for_a_moment_cost_nothing") {
        return;
    }
    let before = getrlimit(Resource::Nofile);
    // From no file to spare up to as many as one worker needs.
    for spare in [4, 6, 8, 10, 12, 14, 16, 18] {
        let sweep = FaultySweep::new(2, 6, "3 1 killed");
        let tight = Rlimit { current: Some(open_files() + spare), ..before };
        setrlimit(Resource::Nofile, tight).unwrap();
        let mut lift = || setrlimit(Resource::Nofile, before).unwrap();
        let (ended, heard) = run_heard(&sweep, &mut lift).await;
        lift();
        let ended = ended.unwrap();
        assert_eq!(states(&ended.study), [State::Complete; 6], "{spare} to spare");
        let charged = sweep.failures(THREE).into_iter().filter(|(kind, _)| *kind != FailureKind::Shortage);
        assert_eq!(charged.collect::<Vec<_>>(), [(FailureKind::Signal(9), true)]);
        assert!(heard.warnings.iter().all(|text| text.contains("ulimit -n")), "{:?}", heard.warnings);
        assert!(spare > 4 || !heard.warnings.is_empty());
    }
}

/// The folder of a real sweep of six trials, with the program in it under the name `sweep`.
fn place_of_real_sweep() -> TempDir {
    // Where the program is, so that it can have a second name there.
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let spec = TINY_SPEC.to_owned()
        + "[search.space]\nlearning_rate = { grid = [1e-4, 2e-4, 3e-4, 4e-4, 5e-4, 6e-4] }\n";
    fs::write(place.path().join("tiny.toml"), spec).unwrap();
    fs::write(place.path().join("tiny.csv"), csv_of_two_words(["喜欢", "讨厌"], 120)).unwrap();
    fs::hard_link(env!("CARGO_BIN_EXE_sweep"), place.path().join("sweep")).unwrap();
    place
}

fn run_with(place: &Path, program: impl AsRef<OsStr>, arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    command.args(arguments).current_dir(place).stdin(std::process::Stdio::null());
    command
}

#[test]
fn workers_are_the_program_that_was_started_though_its_file_was_replaced() {
    let place = place_of_real_sweep();
    let program = place.path().join("sweep");
    let mut running =
        Running::start(&mut run_with(place.path(), &program, &["run", "tiny.toml", "--devices", "cpu:1"]));
    running.wait_for("0001");
    fs::remove_file(&program).unwrap();
    fs::write(&program, "#!/bin/sh\ntouch was-run\n").unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for worker in running.workers() {
        kill_process(worker, Signal::KILL).unwrap();
    }
    let written = running.end().with_code(0);
    assert!(!written.stderr.contains("cannot start"), "{}", written.stderr);
    assert!(!place.path().join("was-run").exists());
}

#[test]
fn a_sweep_with_few_open_files_uses_fewer_slots_and_completes() {
    let place = place_of_real_sweep();
    let program = place.path().join("sweep");
    let script = "ulimit -n 26 && exec \"$0\" run tiny.toml --devices cpu:4";
    let written = Written::by(&mut run_with(place.path(), "sh", &["-c", script, program.to_str().unwrap()]));
    let written = written.with_code(0);
    assert!(written.stderr.contains("ulimit -n 1024"), "{}", written.stderr);
}

/// A real sweep whose files may have this number of blocks of 512 bytes.
fn with_small_files(place: &Path, blocks: u32) -> std::process::Command {
    let program = place.join("sweep");
    let script = format!("ulimit -f {blocks} && exec \"$0\" run tiny.toml --devices cpu:1");
    run_with(place, "sh", &["-c", &script, program.to_str().unwrap()])
}

#[test]
fn a_file_that_may_not_grow_is_named_where_nothing_can_begin() {
    let place = place_of_real_sweep();
    let written = Written::by(&mut with_small_files(place.path(), 1)).with_code(5);
    assert!(written.stderr.contains("results/tiny/"), "{}", written.stderr);
    assert!(written.stderr.contains("ulimit -f unlimited"), "{}", written.stderr);
}

#[test]
fn a_trial_whose_files_may_not_grow_waits_and_can_be_interrupted() {
    let place = place_of_real_sweep();
    let mut running = Running::start(&mut with_small_files(place.path(), 200));
    running.wait_for("a file may not grow beyond 102.4 kB (`ulimit -f`)");
    running.signal(Signal::INT);
    running.end().with_code(130);
}
