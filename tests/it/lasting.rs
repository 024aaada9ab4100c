//! What lasts of a sweep by real workers when its spec changes, when parameters are not all kept,
//! and when its folder cannot be used.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::LazyLock};

use rustix::process::Signal;

use crate::common::{
    place::Place,
    program::{Running, Written},
    results::{TIME_AND_DEVICE, id},
    texts::{TINY_SPEC, csv_of_two_words},
};

fn with_data(place: Place) -> Place {
    place.write("tiny.csv", csv_of_two_words(["很好", "很差"], 80));
    place
}

fn place() -> Place {
    with_data(Place::new("tiny", TINY_SPEC))
}

fn shared() -> Place {
    with_data(Place::shared("tiny", TINY_SPEC))
}

/// Runs the spec with these learning rates and further settings.
fn run(place: &Place, rates: &str, further: &[&str]) -> Written {
    let space = format!("search.space.learning_rate={{ grid = [{rates}] }}");
    place.run(&[&["--devices", "cpu:2", "--set", &space], further].concat())
}

/// As [`run`], to its end: what it wrote on standard error.
#[track_caller]
fn complete(place: &Place, rates: &str, further: &[&str]) -> String {
    run(place, rates, further).succeeded().stderr
}

/// Learning rates by trial, as the leaderboard shows them.
fn rates(place: &Place) -> BTreeMap<u32, f64> {
    let rows = place.results().rows();
    rows.iter().map(|row| (id(row), row["params"]["learning_rate"].as_f64().unwrap())).collect()
}

/// The trials whose best parameters are there.
fn kept(place: &Place) -> Vec<u32> {
    (1..=9).filter(|id| place.results().trial(*id).best_parameters().exists()).collect()
}

/// A sweep over two rates of which then one is replaced, and what the run with the new one wrote.
static REPLACED: LazyLock<(Place, String)> = LazyLock::new(|| {
    let place = shared();
    complete(&place, "1e-3, 3e-3", &[]);
    let written = complete(&place, "5e-3, 3e-3", &[]);
    (place, written)
});

#[test]
fn a_changed_search_space_is_described() {
    let written = &REPLACED.1;
    assert!(written.contains("`learning_rate` takes 0.005 instead of 0.001"), "{written}");
    assert!(written.contains("trials: 1 kept, 1 new, 1 removed"), "{written}");
}

#[test]
fn of_a_changed_search_space_only_what_is_new_is_trained() {
    assert_eq!(REPLACED.0.results().starts(), [(1, 1), (2, 1), (3, 1)].into());
    assert_eq!(rates(&REPLACED.0), [(3, 0.005), (2, 0.003)].into());
}

#[test]
fn trials_that_a_changed_search_space_has_no_more_are_not_shown() {
    for command in [["leaderboard", "tiny"], ["status", "tiny"]] {
        let shown = REPLACED.0.sweep(&command).stdout;
        assert!(shown.contains("0003") && !shown.contains("0001"), "{shown}");
    }
}

#[test]
fn trials_that_a_changed_search_space_has_no_more_are_not_in_the_report() {
    let page = fs::read_to_string(REPLACED.0.results().report()).unwrap();
    assert!(page.contains("trial-0003") && !page.contains("trial-0001"));
}

#[test]
fn the_spec_that_is_kept_has_the_changed_search_space() {
    assert!(fs::read_to_string(REPLACED.0.results().spec()).unwrap().contains("5e-3"));
}

#[test]
fn trials_that_come_back_are_not_trained_again() {
    let place = place();
    complete(&place, "1e-3, 3e-3", &[]);
    let first = place.results().rows();
    complete(&place, "5e-3, 3e-3", &[]);
    let written = complete(&place, "1e-3, 3e-3", &[]);
    assert!(written.contains("1 kept, 0 new, 1 back again, 1 removed"), "{written}");
    assert_eq!(place.results().starts(), [(1, 1), (2, 1), (3, 1)].into());
    assert_eq!(place.results().rows(), first);
}

/// A complete sweep over two rates, for dry runs.
static FOR_DRY_RUNS: LazyLock<Place> = LazyLock::new(|| {
    let place = shared();
    complete(&place, "1e-3, 3e-3", &[]);
    place
});

#[test]
fn a_dry_run_describes_the_changes_of_a_run() {
    let Written { stderr, .. } = run(&FOR_DRY_RUNS, "3e-3, 5e-3, 7e-3", &["--dry-run"]).succeeded();
    assert!(stderr.contains("trials: 1 kept, 2 new, 1 removed"), "{stderr}");
}

#[test]
fn a_dry_run_shows_the_changed_plan() {
    let Written { stdout, .. } = run(&FOR_DRY_RUNS, "3e-3, 5e-3, 7e-3", &["--dry-run"]).succeeded();
    assert!(stdout.contains("0002   0.003") && stdout.contains("0003   0.005"), "{stdout}");
    assert!(stdout.contains("of parameters (best and last of each trial)"), "{stdout}");
}

#[test]
fn a_dry_run_of_another_recipe_is_refused_below_its_plan() {
    let refused = run(&FOR_DRY_RUNS, "3e-3", &["--dry-run", "--set", "train.epochs=3"]);
    let Written { stdout, stderr, .. } = refused.with_code(2);
    assert!(stderr.contains("`epochs` was 2 and is now 3") && stderr.contains("--fresh"), "{stderr}");
    assert!(stdout.contains("learning_rate"), "{stdout}");
}

#[test]
fn dry_runs_change_nothing() {
    let records = FOR_DRY_RUNS.results().records();
    run(&FOR_DRY_RUNS, "3e-3, 5e-3, 7e-3", &["--dry-run"]).succeeded();
    run(&FOR_DRY_RUNS, "3e-3", &["--dry-run", "--set", "train.epochs=3"]).with_code(2);
    assert_eq!(FOR_DRY_RUNS.results().records(), records);
    assert_eq!(rates(&FOR_DRY_RUNS).len(), 2);
}

#[test]
fn another_recipe_is_refused_once_a_trial_is_complete() {
    let place = place();
    complete(&place, "1e-3", &[]);
    let before = fs::read(place.results().plan()).unwrap();
    for change in ["train.epochs=3", "seed=6", "model.dropout=0.3", "data.limit.train=20"] {
        let Written { stderr, .. } = run(&place, "1e-3", &["--set", change]).with_code(2);
        assert!(stderr.contains("holds results of another plan") && stderr.contains("--fresh"), "{stderr}");
    }
    assert_eq!(fs::read(place.results().plan()).unwrap(), before);
}

#[test]
fn how_a_sweep_is_run_is_no_part_of_its_recipe() {
    let place = place();
    complete(&place, "1e-3", &[]);
    let written = complete(&place, "1e-3", &["--set", "run.stall_limit=5min"]);
    assert!(!written.contains("has changed"), "{written}");
    assert!(fs::read_to_string(place.results().plan()).unwrap().contains("\"5min\""));
}

const KEEP_THE_BEST: [&str; 2] = ["--set", "run.keep=best-of-sweep"];

/// A sweep of which only the best parameters are kept.
fn with_the_best(place: Place) -> Place {
    complete(&place, "1e-6, 3e-3, 2e-6", &KEEP_THE_BEST);
    place
}

static WITH_THE_BEST: LazyLock<Place> = LazyLock::new(|| with_the_best(shared()));

#[test]
fn only_the_parameters_that_are_to_be_kept_stay() {
    let rows = WITH_THE_BEST.results().rows();
    assert_eq!(rows.iter().filter(|row| row["rank"] == 1).count(), 1, "{rows:?}");
    assert_eq!(kept(&WITH_THE_BEST), [id(&rows[0])]);
}

#[test]
fn trials_without_their_parameters_keep_their_other_files() {
    for id in 1..=3 {
        let trial = WITH_THE_BEST.results().trial(id);
        assert!(trial.predictions().exists() && trial.metrics().exists() && trial.curve().exists());
        assert!(!trial.last().join("state.safetensors").exists());
    }
}

#[test]
fn the_best_model_can_be_exported_when_only_it_is_kept() {
    let best = kept(&WITH_THE_BEST).remove(0).to_string();
    WITH_THE_BEST.sweep(&["export-best", "tiny", "--trial", &best]).succeeded();
}

#[test]
fn nothing_is_trained_for_parameters_that_are_not_kept() {
    let place = with_the_best(place());
    let (starts, rows) = (place.results().starts(), place.results().rows());
    complete(&place, "1e-6, 3e-3, 2e-6", &KEEP_THE_BEST);
    complete(&place, "1e-6, 3e-3, 2e-6", &[]);
    assert_eq!(place.results().starts(), starts);
    assert_eq!(place.results().rows(), rows);
}

#[test]
fn a_trial_whose_parameters_were_not_kept_is_not_exported() {
    let gone = if kept(&WITH_THE_BEST) == [1] { "3" } else { "1" };
    let Written { stderr, .. } = WITH_THE_BEST.sweep(&["export-best", "tiny", "--trial", gone]).with_code(5);
    assert!(stderr.contains("`keep` in [run]"), "{stderr}");
}

#[test]
fn parameters_that_are_not_kept_any_more_go_with_the_next_run() {
    let place = place();
    complete(&place, "1e-6, 3e-3", &[]);
    assert_eq!(kept(&place), [1, 2]);
    complete(&place, "1e-6, 3e-3", &["--set", "run.keep=1"]);
    assert_eq!(kept(&place), [2]);
    assert_eq!(place.results().starts(), [(1, 1), (2, 1)].into());
}

/// Starts a run, and lets it find a full disk once its first trial has started; also returns the file whose
/// removal frees the disk.
fn on_a_full_disk(place: &Place) -> (Running, PathBuf) {
    let full = place.path("full");
    let space = "search.space.learning_rate={ grid = [1e-3, 3e-3] }";
    let mut command = place.run_command(&["--devices", "cpu:1", "--set", space]);
    let mut running = Running::start(command.env("SWEEP_DISK_FULL", &full));
    running.wait_for("trial 0001 starts");
    fs::write(&full, "").unwrap();
    running.wait_for(" is full");
    (running, full)
}

/// Asserts that the sweep over two rates found out what it finds out with space on the disk.
fn assert_as_with_space(place: &Place) {
    let undisturbed = self::place();
    complete(&undisturbed, "1e-3, 3e-3", &[]);
    let rows = |place: &Place| place.results().rows_without(&TIME_AND_DEVICE);
    assert_eq!(rows(place), rows(&undisturbed));
}

#[test]
fn a_full_disk_is_waited_out() {
    let place = place();
    let (mut running, full) = on_a_full_disk(&place);
    fs::remove_file(full).unwrap();
    running.wait_for("the disk can be written again");
    running.end().succeeded();
    assert_as_with_space(&place);
    assert_eq!(place.results().starts(), [(1, 1), (2, 1)].into(), "no attempt was lost");
}

#[test]
fn a_run_that_is_ended_while_the_disk_is_full_resumes_once_there_is_space() {
    let place = place();
    let (running, full) = on_a_full_disk(&place);
    running.signal(Signal::INT);
    let text = running.end().with_code(130).stderr;
    assert!(text.contains("interrupted while the disk was full") && text.contains("That is safe"), "{text}");
    fs::remove_file(full).unwrap();
    complete(&place, "1e-3, 3e-3", &[]);
    assert_as_with_space(&place);
}

/// The error of a run that cannot use its folder.
#[track_caller]
fn refused(place: &Place, further: &[&str]) -> String {
    let text = run(place, "1e-3", further).with_code(5).stderr;
    assert!(text.contains("error: ") && !text.contains("panicked"), "{text}");
    text
}

#[test]
fn results_in_a_file_are_a_plain_error() {
    let place = place();
    place.write("a-file", "");
    assert!(refused(&place, &["--results", "a-file"]).contains("a-file"));
}

#[test]
fn results_where_no_folder_can_be_made_are_a_plain_error() {
    assert!(refused(&place(), &["--results", "/proc/sweep"]).contains("/proc/sweep"));
}

#[test]
fn a_lock_that_is_a_folder_is_a_plain_error() {
    let place = place();
    fs::create_dir_all(place.results().path().join(".lock")).unwrap();
    assert!(refused(&place, &[]).contains("cannot open results/tiny/.lock"));
}

#[test]
fn trials_in_a_file_are_a_plain_error() {
    let place = place();
    complete(&place, "1e-3", &[]);
    fs::remove_dir_all(place.results().path().join("trials")).unwrap();
    place.write("results/tiny/trials", "");
    assert!(refused(&place, &[]).contains("results/tiny/trials/0001"));
}
