//! Two trials side by side: of one sweep, of two, and where they cannot be compared.

use std::{collections::BTreeMap, fs, sync::LazyLock};

use serde_json::Value;

use crate::common::{
    place::Place,
    texts::{csv, filler, opinion},
};

/// A sweep over learning rates, of which the first learns nothing.
fn spec(name: &str, data: &str, rates: &str) -> String {
    format!(
        "name = {name:?}\nseed = 5\n[data]\npath = {data:?}\npositive = \"good\"\n[text]\nchunk_length = 16\n\
         chunk_stride = 4\n[train]\nepochs = 3\nbatch_size = 8\n[search.space]\n\
         learning_rate = {{ grid = [{rates}] }}\n"
    )
}

fn rows() -> Vec<(String, &'static str)> {
    (0..160)
        .map(|index| (format!("{}，{}{index}", filler(index), opinion(index).1), opinion(index).0))
        .collect()
}

/// Sweeps over the same documents, `tiny` and `again`, and one over others.
fn run_all(place: &Place) {
    place.write("tiny.csv", csv(rows()));
    place.write("other.csv", csv(rows().into_iter().take(120)));
    for (name, data, rates) in
        [("other", "other.csv", "3e-3"), ("again", "tiny.csv", "2e-3"), ("tiny", "tiny.csv", "1e-6, 3e-3")]
    {
        place.write(format!("{name}.toml"), spec(name, data, rates));
        place.sweep(&["run", &format!("{name}.toml"), "--devices", "cpu:1"]).succeeded();
    }
}

static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let place = Place::shared("tiny", "");
    run_all(&place);
    place
});

fn compared(place: &Place, arguments: &[&str]) -> Value {
    let written = place.sweep(&[&["compare", "--format", "json"], arguments].concat()).succeeded();
    serde_json::from_str(&written.stdout).unwrap()
}

fn tiny() -> Value {
    compared(&PLACE, &["1", "2", "tiny"])
}

/// Label and prediction of each test document of a trial, by its row.
fn predictions(place: &Place, trial: u32) -> BTreeMap<u64, (String, String)> {
    let bytes = place.results_of("tiny").trial(trial).predictions().read().unwrap();
    let mut reader = csv::Reader::from_reader(&bytes[..]);
    let row = |row: csv::StringRecord| (row[0].parse().unwrap(), (row[1].to_owned(), row[2].to_owned()));
    reader.records().map(|found| row(found.unwrap())).collect()
}

#[test]
fn the_counts_are_those_of_the_predictions_of_both() {
    let (first, second) = (predictions(&PLACE, 1), predictions(&PLACE, 2));
    let count = |of: [bool; 2]| {
        let is_right = |(label, predicted): &(String, String)| label == predicted;
        let pairs = first.iter().filter(|(id, each)| [is_right(each), is_right(&second[*id])] == of);
        u64::try_from(pairs.count()).unwrap()
    };
    let found = &tiny()["test"];
    for (name, of) in [
        ("both_right", [true, true]),
        ("only_first", [true, false]),
        ("only_second", [false, true]),
        ("both_wrong", [false, false]),
    ] {
        assert_eq!(found[name], count(of), "{name}");
    }
    assert_eq!(found["documents"], first.len());
}

#[test]
fn the_difference_is_that_of_the_test_figures() {
    let found = tiny();
    let f1 = |trial: usize| found["trials"][trial]["test"]["f1"].as_f64().unwrap();
    let difference = found["test"]["difference"].as_f64().unwrap();
    assert!((difference - (f1(0) - f1(1))).abs() < 1e-12, "{found}");
}

#[test]
fn documents_are_shown_with_their_row_their_text_and_what_each_predicted() {
    let found = compared(&PLACE, &["1", "2", "tiny", "--documents", "3"]);
    let (first, second) = (predictions(&PLACE, 1), predictions(&PLACE, 2));
    let differing: Vec<u64> =
        first.iter().filter(|(id, each)| **each != second[*id]).map(|(id, _)| *id).collect();
    let documents = found["documents"].as_array().unwrap();
    assert_eq!(documents.len(), 3);
    for (document, id) in documents.iter().zip(differing) {
        let (text, label) = &rows()[usize::try_from(id).unwrap() - 1];
        assert_eq!(
            (&document["id"], &document["text"], &document["label"]),
            (&id.into(), &text[..].into(), &(*label).into())
        );
        assert_eq!(document["predicted"], serde_json::json!([first[&id].1, second[&id].1]));
    }
}

#[test]
fn settings_that_are_the_same_are_not_shown() {
    let found = tiny();
    let names: Vec<&Value> = found["settings"].as_array().unwrap().iter().map(|each| &each["name"]).collect();
    assert_eq!(names, ["learning_rate", "seed"]);
    assert_eq!(found["settings"][0]["values"], serde_json::json!([1e-6, 3e-3]));
}

#[test]
fn two_sweeps_are_compared_by_their_best_trials() {
    let found = compared(&PLACE, &["tiny", "again"]);
    let chosen = |at: usize| {
        let trial = &found["trials"][at];
        serde_json::json!([trial["sweep"], trial["trial"], trial["best_by"]])
    };
    assert_eq!(chosen(0), serde_json::json!(["tiny", 2, "test F1"]));
    assert_eq!(chosen(1), serde_json::json!(["again", 1, "test F1"]));
    assert!(found["test"].is_object(), "{found}");
}

#[test]
fn trials_and_sweeps_may_be_named_by_folders_and_numbers() {
    let by_folder = compared(&PLACE, &["results/tiny/", "results/again/1"]);
    let by_name = compared(&PLACE, &["tiny/2", "again/0001"]);
    for found in [by_folder, by_name] {
        assert_eq!(
            (&found["trials"][0]["trial"], &found["trials"][1]["sweep"]),
            (&2.into(), &"again".into())
        );
    }
}

#[test]
fn sweeps_over_other_test_documents_have_no_paired_test_and_the_reason_is_said() {
    let written = PLACE.sweep(&["compare", "tiny", "other"]).succeeded();
    let said = written.stdout.replace("\n  ", " ");
    assert!(said.contains("No paired test. Their test documents are not the same"), "{said}");
    assert!(said.contains("Their validation figures are of different documents"), "{said}");
    assert!(!said.contains("difference in test F1"), "{said}");
}

#[test]
fn what_does_not_exist_or_is_one_and_the_same_is_refused() {
    for (arguments, code) in [
        (&["1", "9", "tiny"][..], 2),
        (&["2", "2", "tiny"], 2),
        (&["tiny", "tiny/2"], 2),
        (&["tiny", "again", "other"], 2),
        (&["tiny", "nothing"], 5),
        (&["tiny/1", "nothing/1"], 5),
    ] {
        let written = PLACE.sweep(&[&["compare"], arguments].concat());
        assert_eq!(written.code, Some(code), "{arguments:?}: {}{}", written.stdout, written.stderr);
    }
}

#[test]
fn no_text_is_shown_of_data_that_has_changed() {
    let place = Place::empty();
    run_all(&place);
    place.write("tiny.csv", csv(rows().into_iter().map(|(text, label)| (text + "!", label))));
    let found = compared(&place, &["1", "2", "tiny"]);
    assert!(found["documents"].as_array().unwrap().iter().all(|each| each["text"].is_null()), "{found}");
    assert!(found["notes"].to_string().contains("the data has changed"), "{found}");
    // Predictions that are damaged say nothing either.
    let file = place.path("results/tiny/trials/0001/predictions.csv");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("good,", "bad,", 1)).unwrap();
    let found = compared(&place, &["1", "2", "tiny"]);
    assert!(found["test"].is_null() && found["not_tested"].to_string().contains("is damaged"), "{found}");
}
