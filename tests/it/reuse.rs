//! A sweep takes over what other sweeps have trained, where it is the same and whole, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    process::Command,
    sync::LazyLock,
};

use serde_json::{Value, json};
use sweep::results::TrialFolder;

use crate::common::{
    checkpoint,
    place::Place,
    program::Written,
    results::{Files, differences, id, trial_files, without},
    texts::{TINY_SPEC, csv_of_two_words},
};

static SPEC: LazyLock<String> = LazyLock::new(|| TINY_SPEC.replacen("\"tiny\"", "\"first\"", 1));

fn write_data(place: &Place, bad: &str) {
    place.write("tiny.csv", csv_of_two_words(["很好", bad], 80));
}

/// Trains the sweep `first` over the learning rates 0.001 and 0.003.
fn with_first(place: Place) -> Place {
    write_data(&place, "很差");
    run(&place, "first", "1e-3, 3e-3", &[]);
    place
}

/// A place with the sweep `first`.
fn place() -> Place {
    with_first(Place::new("tiny", &SPEC))
}

fn command(place: &Place, name: &str, rates: &str, further: &[&str]) -> Command {
    let mut command = place.run_command(&["--devices", "cpu:2", "--set", &format!("name={name}")]);
    command.args(["--set", &format!("search.space.learning_rate={{ grid = [{rates}] }}")]);
    for set in further {
        command.args(["--set", set]);
    }
    command
}

/// Runs a sweep to its end: what it wrote.
#[track_caller]
fn run(place: &Place, name: &str, rates: &str, further: &[&str]) -> String {
    Written::by(&mut command(place, name, rates, further)).succeeded().stderr
}

/// As [`run`], taking over what there is.
#[track_caller]
fn reuse(place: &Place, name: &str, rates: &str, further: &[&str]) -> String {
    run(place, name, rates, &[&["run.reuse=true"], further].concat())
}

fn trial(place: &Place, name: &str, id: u32) -> TrialFolder {
    place.results_of(name).trial(id)
}

/// The trials that were given to a worker.
fn trained(place: &Place, name: &str) -> BTreeSet<u32> {
    place.results_of(name).starts().into_keys().collect()
}

/// The rows of the leaderboard by trial, without what depends on the other trials.
fn rows(place: &Place, name: &str) -> BTreeMap<u32, Value> {
    let rows = place.results_of(name).rows_without(&["rank", "tied", "p_value"]);
    rows.into_iter().map(|row| (id(&row), row)).collect()
}

/// A sweep `second` that took over its first trial from `first`, and what its run wrote.
static TAKEN_OVER: LazyLock<(Place, String)> = LazyLock::new(|| {
    let place = with_first(Place::shared("tiny", &SPEC));
    let written = reuse(&place, "second", "3e-3, 5e-3", &[]);
    (place, written)
});

/// The trial that was taken over, in `first` and in `second`.
fn theirs_and_ours() -> [TrialFolder; 2] {
    [("first", 2), ("second", 1)].map(|(name, id)| trial(&TAKEN_OVER.0, name, id))
}

#[test]
fn a_run_names_the_trials_that_it_takes_over() {
    let written = &TAKEN_OVER.1;
    assert!(written.contains("trial 0001 is reused from first/0002"), "{written}");
}

#[test]
fn a_trial_that_another_sweep_has_is_not_trained() {
    assert_eq!(trained(&TAKEN_OVER.0, "second"), [2].into());
}

#[test]
fn a_trial_is_taken_over_to_the_byte() {
    let [theirs, ours] = theirs_and_ours().map(|trial| trial_files(trial.path()));
    assert_eq!(differences(&ours, &theirs), [""; 0]);
}

#[test]
fn parameters_that_are_taken_over_take_no_space_twice() {
    let [theirs, ours] = theirs_and_ours().map(|trial| fs::metadata(trial.best_parameters()).unwrap().ino());
    assert_eq!(ours, theirs);
}

#[test]
fn a_trial_that_was_taken_over_has_its_pictures() {
    let [_, ours] = theirs_and_ours();
    assert!(ours.curve().exists() && ours.confusion().exists());
}

#[test]
fn a_trial_that_was_taken_over_has_nothing_that_only_resuming_needs() {
    let [_, ours] = theirs_and_ours();
    assert!(!ours.last_state().exists());
    assert!(!ours.path().join("reused.new").exists());
}

#[test]
fn a_row_that_was_taken_over_names_its_origin() {
    let row = &rows(&TAKEN_OVER.0, "second")[&1];
    assert_eq!(row["reused_from"], json!({ "sweep": "first", "trial": 2 }));
}

#[test]
fn figures_that_were_taken_over_are_those_of_the_other_sweep_with_their_time() {
    let [theirs, ours] = [("first", 2), ("second", 1)].map(|(name, id)| {
        let row = rows(&TAKEN_OVER.0, name).remove(&id).unwrap();
        ["trial", "device", "reused_from", "winner"].into_iter().fold(row, without)
    });
    assert_eq!(ours, theirs);
}

#[test]
fn the_leaderboard_names_the_trials_that_were_taken_over() {
    let board = fs::read_to_string(TAKEN_OVER.0.results_of("second").leaderboard("md")).unwrap();
    assert!(board.contains("0001 from first/0002."), "{board}");
}

/// As [`TAKEN_OVER`], once the other sweep is gone.
fn without_the_first() -> Place {
    let place = place();
    reuse(&place, "second", "3e-3, 5e-3", &[]);
    fs::remove_dir_all(place.results_of("first").path()).unwrap();
    place
}

#[test]
fn what_was_taken_over_lasts_when_the_other_sweep_goes() {
    let place = without_the_first();
    let records = place.results_of("second").records().len();
    reuse(&place, "second", "3e-3, 5e-3", &[]);
    assert_eq!(place.results_of("second").records().len(), records);
}

#[test]
fn a_model_that_was_taken_over_can_be_exported_when_the_other_sweep_is_gone() {
    without_the_first().sweep(&["export-best", "second", "--trial", "1"]).succeeded();
}

#[test]
fn a_sweep_of_which_everything_is_there_trains_nothing() {
    let place = place();
    reuse(&place, "second", "3e-3, 1e-3", &[]);
    assert_eq!(trained(&place, "second"), [].into());
    assert_eq!(rows(&place, "second").len(), 2);
}

#[test]
fn keep_applies_to_trials_that_were_taken_over() {
    let place = place();
    reuse(&place, "second", "3e-3, 1e-3", &[]);
    reuse(&place, "third", "3e-3, 1e-3", &["run.keep=1"]);
    assert_eq!(trained(&place, "third"), [].into());
    let kept = (1..=2).filter(|id| trial(&place, "third", *id).best_parameters().exists()).count();
    let f1 = |row: &Value| row["test"]["f1"].as_f64();
    let is_tie =
        rows(&place, "third").values().map(f1).collect::<Vec<_>>().windows(2).all(|pair| pair[0] == pair[1]);
    assert_eq!(kept, if is_tie { 2 } else { 1 });
    assert!((1..=2).all(|id| trial(&place, "first", id).best_parameters().exists()));
}

#[test]
fn without_the_wish_everything_is_trained() {
    let place = place();
    run(&place, "unasked", "3e-3", &[]);
    assert_eq!(trained(&place, "unasked"), [1].into());
}

#[test]
fn where_anything_of_the_recipe_differs_everything_is_trained() {
    let place = place();
    for (name, change) in [
        ("seed", "seed=6"),
        ("epochs", "epochs=3"),
        ("limit", "data.limit.test=8"),
        ("class", "data.positive=bad"),
    ] {
        reuse(&place, name, "3e-3", &[change]);
        assert_eq!(trained(&place, name), [1].into(), "{change}");
    }
}

#[test]
fn where_the_data_differs_everything_is_trained() {
    let place = place();
    write_data(&place, "不好");
    reuse(&place, "other-data", "3e-3", &[]);
    assert_eq!(trained(&place, "other-data"), [1].into());
    // The first data again: now there is something to take over.
    write_data(&place, "很差");
    reuse(&place, "same-data", "3e-3", &[]);
    assert_eq!(trained(&place, "same-data"), [].into());
}

/// Does harm to a trial, and asserts that it is trained, and not taken over for the reason `why`.
fn assert_trained_after(why: &str, harm: impl FnOnce(&TrialFolder)) {
    let place = place();
    harm(&trial(&place, "first", 2));
    let written = reuse(&place, "second", "1e-3, 3e-3", &[]);
    assert!(written.contains("trial 0002 is that of first/0002, but") && written.contains(why), "{written}");
    assert_eq!(trained(&place, "second"), [2].into());
    assert!(!trial(&place, "second", 2).path().join("reused.new").exists());
}

#[test]
fn a_trial_whose_parameters_are_cut_is_trained() {
    assert_trained_after("model.safetensors is not what", |trial| {
        fs::write(trial.best_parameters(), "cut").unwrap();
    });
}

#[test]
fn a_trial_that_lacks_predictions_is_trained() {
    assert_trained_after("predictions.csv is not what", |trial| {
        let text = fs::read_to_string(trial.predictions()).unwrap();
        let cut: String = text.split_inclusive('\n').take(5).collect();
        fs::write(trial.predictions(), cut).unwrap();
    });
}

#[test]
fn a_trial_that_lacks_evaluations_is_trained() {
    assert_trained_after("metrics.csv is not what", |trial| fs::write(trial.metrics(), "epoch\n").unwrap());
}

#[test]
fn of_several_the_latest_whole_one_is_taken() {
    let place = place();
    run(&place, "second", "3e-3", &[]);
    run(&place, "third", "3e-3", &[]);
    fs::remove_file(trial(&place, "third", 1).metrics()).unwrap();
    fs::remove_dir_all(trial(&place, "second", 1).last()).unwrap();
    let written = reuse(&place, "fourth", "3e-3", &[]);
    assert!(written.contains("trial 0001 is reused from first/0002"), "{written}");
    fs::remove_file(trial(&place, "first", 2).predictions()).unwrap();
    fs::remove_dir_all(place.results_of("fourth").path()).unwrap();
    reuse(&place, "fifth", "3e-3", &[]);
    assert_eq!(trained(&place, "fifth"), [1].into());
}

/// The sweep `first` after `change` to its log, which is given the log and the arithmetic that it names.
fn with_arithmetic(change: impl FnOnce(&str, &str) -> String) -> Place {
    let place = place();
    let log = place.results_of("first").log();
    let text = fs::read_to_string(&log).unwrap();
    let field = text.split_once("\"arithmetic\":\"").unwrap().1.split_once('"').unwrap().0;
    fs::write(&log, change(&text, field)).unwrap();
    place
}

/// The trials that are trained beside the sweep `first`.
fn trained_beside(place: &Place) -> BTreeSet<u32> {
    reuse(place, "second", "3e-3", &[]);
    trained(place, "second")
}

#[test]
fn a_trial_that_was_computed_by_other_arithmetic_is_not_taken_over() {
    let place = with_arithmetic(|text, field| text.replace(field, "0 another"));
    assert_eq!(trained_beside(&place), [1].into());
}

#[test]
fn a_trial_whose_log_names_no_arithmetic_is_not_taken_over() {
    let place = with_arithmetic(|text, field| {
        let older = text.replace(&format!(",\"arithmetic\":\"{field}\""), "");
        assert_ne!(older, text);
        older
    });
    assert_eq!(trained_beside(&place), [1].into());
}

#[test]
fn a_trial_that_was_computed_by_the_same_arithmetic_is_taken_over() {
    let place = with_arithmetic(|text, _| text.to_owned());
    assert_eq!(trained_beside(&place), [].into());
}

/// A sweep that was trained from the checkpoint `model`, which then moved to `moved`.
fn checkpoint_moved() -> Place {
    let place = place();
    checkpoint::write("tiny-bert", &place.path("model"));
    run(&place, "third", "1e-3", &["checkpoint=model"]);
    fs::rename(place.path("model"), place.path("moved")).unwrap();
    place
}

#[test]
fn a_checkpoint_at_another_place_is_the_same() {
    let place = checkpoint_moved();
    reuse(&place, "moved", "1e-3", &["checkpoint=moved"]);
    assert_eq!(trained(&place, "moved"), [].into());
}

#[test]
fn a_checkpoint_that_was_trained_further_is_another_one() {
    let place = checkpoint_moved();
    let weights = place.path("moved/model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(weights, bytes).unwrap();
    reuse(&place, "further", "1e-3", &["checkpoint=moved"]);
    assert_eq!(trained(&place, "further"), [1].into());
}

#[test]
fn killed_while_it_takes_over_it_ends_the_same() {
    let place = place();
    let mut expected: Option<(Files, Vec<Value>)> = None;
    for number in (1..60).step_by(4) {
        let name = format!("killed-{number}");
        let mark = place.path(format!("mark-{number}"));
        let mut command = command(&place, &name, "3e-3, 1e-3", &["run.reuse=true"]);
        command.env("SWEEP_CRASH", format!("orchestrator:{number}:power:{}", mark.display()));
        // After a late point the sweep was whole already.
        let is_over = Written::by(&mut command).code == Some(0);
        assert_eq!(is_over, !mark.exists());
        reuse(&place, &name, "3e-3, 1e-3", &[]);
        assert_eq!(trained(&place, &name), [].into(), "{number}");
        let files = trial_files(trial(&place, &name, 1).path());
        let rows: Vec<Value> = rows(&place, &name).into_values().map(|row| row["test"].clone()).collect();
        let expected = expected.get_or_insert_with(|| (files.clone(), rows.clone()));
        assert!(files == expected.0 && rows == expected.1, "{number}");
        fs::remove_dir_all(place.results_of(&name).path()).unwrap();
    }
}
