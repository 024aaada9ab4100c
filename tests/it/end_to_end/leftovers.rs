//! A sweep that is run again where results lie already, whole or not.

use super::*;

#[test]
fn a_complete_sweep_is_not_trained_again() {
    let place = place();
    run(&place, "cpu:2").succeeded();
    let before = findings(&place);
    run(&place, "cpu:2").succeeded();
    assert_eq!(place.results().starts(), one_start_each());
    findings(&place).assert_equal(&before, "before");
}

#[test]
fn changed_data_is_refused() {
    let place = place();
    run(&place, "cpu:2").succeeded();
    let csv = place.text("tiny.csv");
    place.write("tiny.csv", csv.replacen("，第0次,good", "，第0次,bad", 1));
    let Written { stderr, .. } = run(&place, "cpu:2").with_code(2);
    assert!(
        stderr.contains("tiny.csv holds other documents than before") && stderr.contains("--fresh"),
        "{stderr}"
    );
}

/// A sweep that was moved with its data and run again, and what it had found out before.
static MOVED: LazyLock<(Place, Findings)> = LazyLock::new(|| {
    let place = with_data(Place::shared("tiny", &SPEC));
    run(&place, "cpu:2").succeeded();
    let before = findings(&place);
    let moved = Place::shared("tiny", &SPEC);
    for name in ["tiny.csv", "tiny.toml", "results"] {
        fs::rename(place.path(name), moved.path(name)).unwrap();
    }
    run(&moved, "cpu:2").succeeded();
    (moved, before)
});

#[test]
fn a_project_that_was_moved_is_not_trained_again() {
    let (moved, before) = &*MOVED;
    assert_eq!(moved.results().starts(), one_start_each());
    findings(moved).assert_equal(before, "before");
}

#[test]
fn the_plan_of_a_project_that_was_moved_names_its_new_place() {
    let (moved, _) = &*MOVED;
    let plan = fs::read_to_string(moved.results().plan()).unwrap();
    assert!(plan.contains(moved.path("tiny.csv").to_str().unwrap()), "{plan}");
}

#[test]
fn pictures_that_are_missing_are_drawn() {
    let place = copy();
    let trial = place.results().trial(1);
    fs::remove_file(trial.curve()).unwrap();
    fs::remove_file(trial.confusion()).unwrap();
    run(&place, "cpu:2").succeeded();
    assert!(trial.curve().exists() && trial.confusion().exists());
    assert_eq!(place.results().starts(), one_start_each());
}

#[test]
fn a_complete_trial_without_its_parameters_runs_again() {
    let place = copy();
    fs::remove_dir_all(place.results().trial(3).best()).unwrap();
    let Written { stderr, .. } = run(&place, "cpu:2").succeeded();
    assert!(stderr.contains("trial 0003 is complete, but"), "{stderr}");
    assert_eq!(place.results().starts(), [(1, 1), (2, 1), (3, 2), (4, 1)].into());
    assert_undisturbed(&place);
}

#[test]
fn a_picture_that_cannot_be_drawn_ends_with_5_below_the_leaderboard() {
    let place = copy();
    fs::remove_file(place.results().overview()).unwrap();
    // Nothing can be moved to where a folder with a file stands, as nothing can onto a full disk.
    fs::create_dir_all(place.results().overview().join("in the way")).unwrap();
    let Written { stdout, stderr, .. } = run(&place, "cpu:2").with_code(5);
    assert!(stdout.contains("4 of 4 trials complete") && stdout.contains("test F1"), "{stdout}");
    assert!(stderr.contains("overview.png"), "{stderr}");
}

#[test]
fn without_the_best_parameters_the_export_says_how_to_have_them_again() {
    let place = copy();
    fs::remove_dir_all(place.results().trial(place.results().leader()).path()).unwrap();
    let Written { stderr, .. } = place.sweep(&["export-best", "tiny"]).with_code(5);
    assert!(stderr.contains("run the sweep again"), "{stderr}");
}
