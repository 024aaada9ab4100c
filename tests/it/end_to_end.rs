//! The program as users run it: a small sweep by real workers.

mod disturbances;
mod failures;
mod leftovers;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::LazyLock,
};

use serde_json::Value;

use crate::common::{
    place::{Place, copy_folder},
    program::Written,
    results::{Findings, TIME_AND_DEVICE, files_under, id},
    texts::{TINY_SPEC, csv, filler, opinion},
};

const TRIALS: u32 = 4;

static SPEC: LazyLock<String> = LazyLock::new(|| {
    TINY_SPEC.replace("epochs = 2", "epochs = 4")
        + "[early_stopping]
patience = 2
[search.space]
learning_rate = { grid = [3e-4, 2e-3] }
dropout = { grid = [0.0, 0.2] }
"
});

/// Reviews whose class is in one word, some longer than a chunk, one in twelve with the wrong label.
fn rows() -> Vec<(String, &'static str)> {
    let review = |index: usize| {
        let (label, word) = opinion(index);
        let other = if label == "good" { "bad" } else { "good" };
        let label = if index % 12 == 7 { other } else { label };
        (format!("{}，{word}，第{index}次", filler(index)), label)
    };
    (0..240).map(review).collect()
}

fn with_data(place: Place) -> Place {
    place.write("tiny.csv", csv(rows()));
    place
}

/// A folder with the spec and its data.
fn place() -> Place {
    with_data(Place::new("tiny", &SPEC))
}

fn run(place: &Place, devices: &str) -> Written {
    place.run(&["--devices", devices])
}

/// The sweep on two slots, undisturbed.
static UNDISTURBED: LazyLock<Place> = LazyLock::new(|| {
    let place = with_data(Place::shared("tiny", &SPEC));
    run(&place, "cpu:2").succeeded();
    place
});

/// A copy of the undisturbed sweep.
fn copy() -> Place {
    let copy = place();
    copy_folder(&UNDISTURBED.path("results"), &copy.path("results"));
    copy
}

/// What a sweep found out, without where and how long.
fn findings(place: &Place) -> Findings {
    let results = place.results();
    let trials = (1..=TRIALS).map(|id| results.trial(id)).flat_map(|trial| {
        let parameters =
            [trial.best(), trial.last()].into_iter().flat_map(|folder| files_under(folder.path()));
        let tables = [trial.predictions(), trial.metrics()].map(|table| table.path().to_owned());
        parameters.chain(tables).collect::<Vec<_>>()
    });
    let read =
        |path: PathBuf| (path.strip_prefix(results.path()).unwrap().to_owned(), fs::read(&path).unwrap());
    Findings { rows: results.rows_without(&TIME_AND_DEVICE), files: trials.map(read).collect() }
}

/// Asserts that a sweep found out what it finds out undisturbed.
#[track_caller]
fn assert_undisturbed(place: &Place) {
    findings(place).assert_equal(&findings(&UNDISTURBED), "an undisturbed sweep");
}

/// Starts of a sweep of which no trial was started twice.
fn one_start_each() -> BTreeMap<u32, usize> {
    (1..=TRIALS).map(|id| (id, 1)).collect()
}

/// A test document as a trial saw it.
struct Document {
    row: usize,
    label: String,
    predicted: String,
    /// Of `bad` and `good`.
    probabilities: [f64; 2],
}

fn predictions(path: &Path) -> Vec<Document> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let header: Vec<String> = reader.headers().unwrap().iter().map(ToOwned::to_owned).collect();
    assert_eq!(header, ["id", "label", "predicted", "p_bad", "p_good"]);
    let document = |row: csv::StringRecord| Document {
        row: row[0].parse().unwrap(),
        label: row[1].to_owned(),
        predicted: row[2].to_owned(),
        probabilities: [row[3].parse().unwrap(), row[4].parse().unwrap()],
    };
    reader.records().map(|record| document(record.unwrap())).collect()
}

#[test]
fn a_sweep_leaves_the_files_that_are_promised() {
    let expected = [
        "sweep.toml",
        "plan.json",
        "events.jsonl",
        "leaderboard.csv",
        "leaderboard.json",
        "leaderboard.md",
        "report.html",
        "overview.png",
        "leaderboard.png",
    ];
    for file in expected {
        let path = UNDISTURBED.results().path().join(file);
        assert!(fs::metadata(path).unwrap().len() > 0, "{file}");
    }
}

#[test]
fn a_trial_leaves_the_files_that_are_promised() {
    let expected = [
        "best",
        "confusion.png",
        "curve.png",
        "last",
        "metrics.csv",
        "predictions.csv",
        "trial.json",
        "worker.log",
    ];
    for id in 1..=TRIALS {
        let entries = fs::read_dir(UNDISTURBED.results().trial(id).path()).unwrap();
        let names: BTreeSet<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(names, expected.map(ToOwned::to_owned).into());
    }
}

#[test]
fn each_trial_is_started_once() {
    assert_eq!(UNDISTURBED.results().starts(), one_start_each());
}

#[test]
fn test_figures_can_be_computed_again_from_the_predictions() {
    let rows = UNDISTURBED.results().rows();
    assert_eq!(rows.len(), TRIALS as usize);
    for row in rows {
        let predictions = predictions(UNDISTURBED.results().trial(id(&row)).predictions().path());
        let count = |label: &str, predicted: &str| {
            predictions.iter().filter(|each| each.label == label && each.predicted == predicted).count()
        };
        let (tp, fp) = (count("good", "good"), count("bad", "good"));
        let (tn, fn_) = (count("bad", "bad"), count("good", "bad"));
        assert_eq!(tp + fp + tn + fn_, 36, "15 % of 240 documents");
        #[expect(clippy::cast_precision_loss, reason = "counts of a few documents")]
        let ratio = |part: usize, of: usize| if of == 0 { 0.0 } else { part as f64 / of as f64 };
        let loss = |each: &Document| -each.probabilities[usize::from(each.label == "good")].ln();
        let loss = predictions.iter().map(loss).sum::<f64>() / 36.0;
        let test = &row["test"];
        let figure = |name: &str| test[name].as_f64().unwrap();
        assert_eq!(
            [figure("accuracy"), figure("precision"), figure("recall")],
            [ratio(tp + tn, 36), ratio(tp, tp + fp), ratio(tp, tp + fn_)]
        );
        assert!((figure("f1") - ratio(2 * tp, 2 * tp + fp + fn_)).abs() < 1e-12);
        assert!((figure("loss") - loss).abs() < 1e-5, "{} {loss}", figure("loss"));
        let counts = ["tp", "fp", "tn", "fn"].map(|name| test[name].as_u64().unwrap());
        assert_eq!(counts, [tp, fp, tn, fn_].map(|count| count as u64));
        assert!(figure("f1_low") <= figure("f1") && figure("f1") <= figure("f1_high"));
    }
}

#[test]
fn each_trial_is_a_training_of_its_own() {
    let rows = UNDISTURBED.results().rows();
    let losses: BTreeSet<String> = rows.iter().map(|row| row["test"]["loss"].to_string()).collect();
    assert_eq!(losses.len(), TRIALS as usize);
}

#[test]
fn the_number_of_slots_changes_no_figure() {
    let place = place();
    run(&place, "cpu:1").succeeded();
    assert_undisturbed(&place);
}

#[test]
fn the_exported_model_predicts_what_the_trial_predicted() {
    assert_predicts_alike(&UNDISTURBED);
}

#[test]
fn a_model_of_bf16_products_goes_out_as_one() {
    for freeze in ["0", "\"encoder\""] {
        let place = place();
        let settings = [
            &format!("model.freeze={freeze}"),
            "train.matmul_precision=\"bf16\"",
            "search.space.learning_rate={ grid = [2e-3] }",
        ];
        let settings = settings.iter().flat_map(|setting| ["--set", setting]);
        let arguments: Vec<&str> = ["--devices", "cpu:1"].into_iter().chain(settings).collect();
        place.run(&arguments).succeeded();
        assert_predicts_alike(&place);
        assert_eq!(place.json("best/config.json")["sweep"]["matmul_precision"], "bf16");
        if freeze == "0" {
            let found = place.results().rows().remove(0);
            let rows = UNDISTURBED.results().rows();
            let of_f32 = rows.iter().find(|row| row["params"] == found["params"]).unwrap();
            let loss = |row: &Value| row["val_loss"].as_f64().unwrap();
            assert!(loss(&found) != loss(of_f32) && (loss(&found) - loss(of_f32)).abs() < 0.05);
        }
    }
}

/// Asserts that the exported model of the first trial on the leaderboard predicts of the test set what the trial predicted.
fn assert_predicts_alike(place: &Place) {
    let model = place.path("best");
    let model = model.to_str().unwrap();
    let results = place.results();
    let trial = results.leader();
    // By its number: a training that is as short as this one may be unfit for use.
    place.sweep(&["export-best", "tiny", "--trial", &trial.to_string(), "--out", model]).succeeded();
    let expected = predictions(results.trial(trial).predictions().path());
    let rows = rows();
    let texts: Vec<&str> = expected.iter().map(|each| rows[each.row - 1].0.as_str()).collect();

    let mut command = place.command(&["predict", "--format", "json", "--model", model]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(texts.join("\n").as_bytes()).unwrap();
    let written = Written::from(child.wait_with_output().unwrap());
    let answers: Vec<Value> = serde_json::from_str(&written.stdout).unwrap();
    assert_eq!(answers.len(), expected.len());
    for ((answer, expected), text) in answers.iter().zip(&expected).zip(texts) {
        let label = expected.predicted.as_str();
        assert_eq!((&answer["text"], &answer["label"]), (&text.into(), &label.into()));
        for (label, probability) in ["bad", "good"].into_iter().zip(expected.probabilities) {
            assert!((answer["probabilities"][label].as_f64().unwrap() - probability).abs() < 1e-6);
        }
    }
}

/// What a run of a wrong spec leaves and writes.
fn on_a_wrong_spec() -> (Place, Written) {
    let place = place();
    place.write_spec(&SPEC.replace("dropout", "drop_out"));
    let written = run(&place, "cpu:1").with_code(2);
    (place, written)
}

#[test]
fn a_wrong_spec_is_refused_by_what_is_wrong_in_it() {
    let (_, Written { stdout, stderr, .. }) = on_a_wrong_spec();
    assert_eq!(stdout, "");
    assert!(stderr.contains("dropout"), "{stderr}");
}

#[test]
fn a_wrong_spec_creates_nothing() {
    let (place, _) = on_a_wrong_spec();
    assert!(!place.has_results());
}

#[test]
fn a_dry_run_shows_the_plan() {
    let plan = place().run(&["--dry-run"]).succeeded().stdout;
    assert!(plan.contains("trials   4") && plan.contains("learning_rate"), "{plan}");
}

#[test]
fn a_dry_run_creates_nothing() {
    let place = place();
    place.run(&["--dry-run"]).succeeded();
    assert!(!place.has_results());
}
