//! What a sweep says of trials that learned nothing, and of settings with which nothing can be learned.

use std::sync::LazyLock;

use crate::common::{
    checkpoint,
    place::Place,
    program::Written,
    texts::{TINY_SPEC, csv, csv_of_two_words},
};

/// Two trials on texts whose classes nobody can know.
static UNLEARNED: LazyLock<Place> = LazyLock::new(|| {
    let place = Place::shared("tiny", TINY_SPEC);
    let row = |index: usize| {
        (format!("{}，第{index}次", ["很好", "很差"][index % 2]), ["good", "bad"][index / 2 % 2])
    };
    place.write("tiny.csv", csv((0..240).map(row)));
    let space = "search.space.learning_rate={ grid = [1e-5, 2e-5] }";
    place.run(&["--devices", "cpu:1", "--set", space, "--set", "train.epochs=1"]).succeeded();
    place
});

#[test]
fn of_trials_that_learned_nothing_none_is_the_best() {
    let Written { stdout, .. } = UNLEARNED.sweep(&["leaderboard"]).succeeded();
    assert_eq!(stdout.matches("collapsed †").count(), 2, "{stdout}");
    assert!(stdout.contains("\nNo trial is fit for use"), "{stdout}");
}

#[test]
fn a_leaderboard_for_programs_warns_people_that_no_trial_is_fit() {
    let Written { stderr, .. } = UNLEARNED.sweep(&["leaderboard", "--format", "json"]).succeeded();
    assert!(stderr.starts_with("warning: No trial is fit for use"), "{stderr}");
}

#[test]
fn where_no_trial_is_fit_nothing_is_exported() {
    let Written { stderr, .. } = UNLEARNED.sweep(&["export-best", "--out", "none"]).with_code(4);
    assert!(stderr.contains("no trial that is fit for export") && stderr.contains("--trial "), "{stderr}");
    assert!(!UNLEARNED.path("none").exists());
}

/// What the export of the first trial by its number wrote.
static NAMED: LazyLock<Written> =
    LazyLock::new(|| UNLEARNED.sweep(&["export-best", "--trial", "1", "--out", "a model"]).succeeded());

#[test]
fn a_trial_that_learned_nothing_is_exported_by_its_number_with_a_warning() {
    assert!(NAMED.stderr.starts_with("warning: trial 0001 is collapsed"), "{}", NAMED.stderr);
}

#[test]
fn the_card_of_a_trial_that_learned_nothing_says_so() {
    assert!(!NAMED.stdout.is_empty());
    let card = UNLEARNED.text("a model/README.md");
    assert!(card.contains("**Verdict: collapsed.**") && card.contains("chosen by its number"), "{card}");
}

#[test]
fn an_export_ends_with_the_command_that_uses_it() {
    let last = NAMED.stdout.lines().last().unwrap();
    assert_eq!(last, "to classify texts with it: sweep predict --model 'a model' \"a text\"");
}

#[test]
fn a_trial_that_does_not_exist_cannot_be_exported() {
    let Written { stderr, .. } = UNLEARNED.sweep(&["export-best", "--trial", "9"]).with_code(2);
    assert!(
        stderr.contains("tiny has no trial 0009; the first of its 2 trials is 0001, and the last is 0002"),
        "{stderr}"
    );
}

#[test]
fn a_named_trial_needs_no_ranking() {
    UNLEARNED.sweep(&["export-best", "--trial", "1", "--rank", "val-f1"]).with_code(2);
}

/// A place with the tiny spec and its data.
fn place() -> Place {
    let place = Place::new("tiny", TINY_SPEC);
    place.write("tiny.csv", csv_of_two_words(["很好", "很差"], 80));
    place
}

#[test]
fn a_dry_run_warns_of_a_learning_rate_that_ruins_a_training_and_names_its_trials() {
    let space = "search.space.learning_rate={ grid = [1e-3, 0.5] }";
    let Written { stdout, .. } = place().run(&["--dry-run", "--set", space]).succeeded();
    assert!(stdout.contains("warning: learning_rate = 0.5 is above what is usual"), "{stdout}");
    assert!(stdout.contains("(1 of 2 trials: 0002)"), "{stdout}");
}

#[test]
fn a_run_warns_of_a_training_of_one_step_with_warm_up() {
    let settings = ["train.epochs=1", "train.batch_size=64", "train.learning_rate=1e-3"];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let arguments: Vec<&str> = ["--devices", "cpu:1"].into_iter().chain(settings).collect();
    let Written { stderr, .. } = place().run(&arguments).succeeded();
    assert!(stderr.contains("warning: warmup_ratio = 0.1 leaves a learning rate of 0"), "{stderr}");
}

#[test]
fn a_dry_run_says_how_many_configurations_a_range_of_few_values_has() {
    let space = "search={ samples = 50, space = { patience = { int = [1, 2] } } }";
    let Written { stdout, .. } = place().run(&["--dry-run", "--set", space]).succeeded();
    assert!(
        stdout.contains("warning: `samples` = 50 asks for 50 configurations; only 2 different"),
        "{stdout}"
    );
}

#[test]
fn a_dry_run_says_what_becomes_of_a_checkpoints_own_classifier() {
    let place = place();
    checkpoint::write("tiny-bert", &place.path("bert"));
    let Written { stdout, .. } = place.run(&["--dry-run", "--set", "model.checkpoint=\"bert\""]).succeeded();
    assert!(stdout.contains("bert has a classifier of its own for "), "{stdout}");
}
