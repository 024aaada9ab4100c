//! Folds: whole sweeps of them, on any number of slots and after any interruption, and what is shown of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::LazyLock,
};

use serde_json::Value;
use sweep::{event::Event, plan::Plan};

use crate::common::{
    place::Place,
    program::Running,
    results::{Findings, TIME_AND_DEVICE, trial_files},
    texts::{TINY_SPEC, csv_of_opinions},
};

/// Two configurations with three folds each.
static FOLDED: LazyLock<String> = LazyLock::new(|| spec(TINY_SPEC, 3));

fn spec(spec: &str, folds: u32) -> String {
    spec.replace("[data]\n", &format!("[data]\nfolds = {folds}\n")).replace("epochs = 2", "epochs = 6")
        + "[search.space]\nlearning_rate = { grid = [1e-2, 5e-3] }\n"
}

fn with_data(place: Place) -> Place {
    place.write("tiny.csv", csv_of_opinions(60));
    place
}

fn place(spec: &str) -> Place {
    with_data(Place::new("tiny", spec))
}

/// The sweep on one slot, without an interruption.
static UNDISTURBED: LazyLock<Place> = LazyLock::new(|| {
    let place = with_data(Place::shared("tiny", &FOLDED));
    place.run(&["--devices", "cpu:1"]).succeeded();
    place
});

/// The rows of the leaderboard and the files of all trials.
fn findings(place: &Place) -> Findings {
    let results = place.results();
    let rows = results.rows_without(&TIME_AND_DEVICE);
    let files = rows.iter().flat_map(|row| {
        let id = crate::common::results::id(row);
        let files = trial_files(results.trial(id).path());
        files.into_iter().map(move |(name, bytes)| (PathBuf::from(format!("{id}/{name}")), bytes))
    });
    Findings { files: files.collect(), rows: rows.clone() }
}

fn plan(place: &Place) -> Plan {
    serde_json::from_slice(&fs::read(place.results().plan()).unwrap()).unwrap()
}

/// By configuration: the documents of the tables `file` of its trials.
fn documents(place: &Place, file: &str) -> BTreeMap<String, Vec<u64>> {
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for trial in plan(place).trials {
        let path = place.results().trial(trial.id.0).path().join(file);
        let mut reader = csv::Reader::from_path(path).unwrap();
        let ids = reader.records().map(|row| row.unwrap()[0].parse::<u64>().unwrap());
        found.entry(trial.params.to_string()).or_default().extend(ids);
    }
    found
}

fn configurations(place: &Place) -> Vec<Value> {
    let shown = place.sweep(&["leaderboard", "--format", "json"]).succeeded().stdout;
    serde_json::from_str(&shown).unwrap()
}

#[test]
fn every_document_of_train_and_validation_is_predicted_once_by_each_configuration() {
    let (out_of_fold, test) =
        (documents(&UNDISTURBED, "validation.csv"), documents(&UNDISTURBED, "predictions.csv"));
    assert_eq!(out_of_fold.len(), 2);
    for (params, ids) in &out_of_fold {
        let different: BTreeSet<u64> = ids.iter().copied().collect();
        assert_eq!((ids.len(), different.len()), (51, 51), "{params}");
        let test: BTreeSet<u64> = test[params].iter().copied().collect();
        assert_eq!(test.len(), 9);
        assert!(different.is_disjoint(&test));
    }
}

#[test]
fn the_test_documents_are_those_of_a_sweep_without_folds() {
    let plain = place(&FOLDED);
    plain.run(&["--devices", "cpu:2", "--set", "data.folds=none", "--set", "epochs=1"]).succeeded();
    let test = |place: &Place| fs::read_to_string(place.results().trial(1).predictions()).unwrap();
    let ids = |text: String| {
        text.lines().map(|line| line.split(',').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(test(&plain)), ids(test(&UNDISTURBED)));
    let digest = |place: &Place| plan(place).fingerprints.data.unwrap().test;
    assert_eq!(digest(&plain), digest(&UNDISTURBED));
    assert!(!plain.results().trial(1).path().join("validation.csv").exists());
}

#[test]
fn more_slots_give_the_same_bytes() {
    let place = place(&FOLDED);
    place.run(&["--devices", "cpu:2"]).succeeded();
    findings(&place).assert_equal(&findings(&UNDISTURBED), "cpu:2");
    assert_eq!(configurations(&place), configurations(&UNDISTURBED));
}

#[test]
fn killed_and_resumed_a_sweep_of_folds_comes_to_the_same() {
    let place = place(&FOLDED);
    for mark in ["trial 0001 is complete", "trial 0004 is complete"] {
        let mut running = Running::start(&mut place.run_command(&["--devices", "cpu:2"]));
        running.wait_for(mark);
        running.kill();
    }
    place.run(&["--devices", "cpu:1"]).succeeded();
    findings(&place).assert_equal(&findings(&UNDISTURBED), "killed");
}

#[test]
fn trials_of_one_fold_are_trained_together_and_those_of_others_are_not() {
    let spec = FOLDED.replace("[text]", "[model]\nfreeze = \"encoder\"\n[text]");
    let (alone, together) = (place(&spec), place(&spec));
    alone.run(&["--devices", "cpu:1", "--fuse", "off"]).succeeded();
    together.run(&["--devices", "cpu:1", "--fuse", "8"]).succeeded();
    findings(&together).assert_equal(&findings(&alone), "together");
    let folds: BTreeMap<u32, Option<u32>> =
        plan(&together).trials.iter().map(|trial| (trial.id.0, trial.fold)).collect();
    let mut groups = 0;
    for record in together.results().records() {
        if let (Some(id), Event::Started { with, .. }) = (record.trial, record.event) {
            groups += with.len();
            assert!(with.iter().all(|other| folds[&other.0] == folds[&id.0]));
        }
    }
    assert!(groups > 0, "none was trained with another one");
}

#[test]
fn without_a_cache_the_bytes_are_the_same() {
    let place = place(&FOLDED);
    place.run(&["--devices", "cpu:1", "--set", "cache=none"]).succeeded();
    findings(&place).assert_equal(&findings(&UNDISTURBED), "no cache");
}

#[test]
fn tokenised_texts_are_shared_by_all_folds() {
    let shown = UNDISTURBED.sweep(&["cache"]).succeeded().stdout;
    let texts = shown.lines().filter(|line| line.contains("chunks of 16")).count();
    assert_eq!(texts, 2, "one entry for what is folded, and one for test: {shown}");
}

#[test]
fn the_leaderboard_shows_configurations_unless_trials_are_asked_for() {
    let shown = UNDISTURBED.sweep(&["leaderboard"]).succeeded().stdout;
    assert!(shown.contains("out-of-fold F1 [95 %]"), "{shown}");
    assert!(shown.contains("Out-of-fold F1 is that of all 51 documents of train and validation"), "{shown}");
    let rows = configurations(&UNDISTURBED);
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[0]["folds"]["complete"], &rows[0]["folds"]["documents"]), (&3.into(), &51.into()));
    let by_trial =
        UNDISTURBED.sweep(&["leaderboard", "--by", "trial", "--format", "json"]).succeeded().stdout;
    let trials: Vec<Value> = serde_json::from_str(&by_trial).unwrap();
    let folds: BTreeSet<u64> = trials.iter().map(|row| row["fold"].as_u64().unwrap()).collect();
    assert_eq!((trials.len(), folds), (6, BTreeSet::from([1, 2, 3])));
}

#[test]
fn out_of_fold_f1_follows_from_the_files() {
    let rows = configurations(&UNDISTURBED);
    for row in &rows {
        let (mut hits, mut both) = (0.0, 0.0);
        for id in row["trials"].as_array().unwrap() {
            let id = u32::try_from(id.as_u64().unwrap()).unwrap();
            let mut reader =
                csv::Reader::from_path(UNDISTURBED.results().trial(id).path().join("validation.csv"))
                    .unwrap();
            for record in reader.records().map(Result::unwrap) {
                let [label, predicted] = [1, 2].map(|column| &record[column] == "good");
                hits += f64::from(u8::from(label && predicted));
                both += f64::from(u8::from(label) + u8::from(predicted));
            }
        }
        let expected = 2.0 * hits / both;
        let found = row["folds"]["f1"]["mean"].as_f64().unwrap();
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
}

#[test]
fn the_page_and_the_table_of_evaluations_name_the_fold() {
    let page = fs::read_to_string(UNDISTURBED.results().report()).unwrap();
    assert!(page.contains("<h2>Configurations</h2>") && page.contains(">fold</th>"), "the page lacks folds");
    let table = fs::read_to_string(UNDISTURBED.results().leaderboard("csv")).unwrap();
    assert!(table.lines().next().unwrap().split(',').any(|column| column == "fold"), "{table}");
}

#[test]
fn a_dry_run_shows_the_folds_and_their_classes() {
    let shown = UNDISTURBED.run(&["--dry-run", "--fresh"]).succeeded().stdout;
    assert!(shown.contains("6: 2 configurations with 3 folds each"), "{shown}");
    assert!(shown.contains("class  fold 1  fold 2  fold 3  all folds  test"), "{shown}");
    assert!(shown.contains("all        17      17      17         51     9"), "{shown}");
    assert!(shown.contains("51 documents are divided into 3 folds"), "{shown}");
}

#[test]
fn folds_that_change_are_another_plan() {
    let place = place(&FOLDED);
    place.run(&["--devices", "cpu:2", "--set", "epochs=1"]).succeeded();
    let refused = place.run(&["--devices", "cpu:2", "--set", "epochs=1", "--set", "folds=4"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("`folds` in [data] is another one"), "{}", refused.stderr);
}

#[test]
fn a_fold_is_exported_with_the_way_to_a_model_of_all_documents() {
    let place = place(&FOLDED);
    place.run(&["--devices", "cpu:2"]).succeeded();
    let exported = place.sweep(&["export-best"]).succeeded().stdout;
    assert!(exported.contains("of the best configuration by out-of-fold F1"), "{exported}");
    assert!(exported.contains("trained on the other 2 of 3 folds"), "{exported}");
    let command = exported.lines().find_map(|line| line.split_once("sweep run SPEC ")).unwrap().1;
    let words: Vec<&str> = command.splitn(6, ' ').collect();
    assert_eq!((words[1], words[3]), ("name=tiny-final", "data.folds=none"), "{command}");
    let search = words[5].trim_matches('\'');
    let arguments = ["--set", words[1], "--set", words[3], "--set", search, "--devices", "cpu:2"];
    place.run(&arguments).succeeded();
    assert_eq!(place.results_of("tiny-final").rows().len(), 1);
    let card = fs::read_to_string(place.results().best_model().path().join("README.md")).unwrap();
    assert!(card.contains("are divided into 3 folds. This model was validated on fold"), "{card}");
}

#[test]
fn another_sweep_takes_over_the_trials_of_folds() {
    let place = place(&FOLDED);
    place.run(&["--devices", "cpu:1"]).succeeded();
    place.write("second.toml", FOLDED.replace("name = \"tiny\"", "name = \"second\""));
    place.sweep(&["run", "second.toml", "--devices", "cpu:1", "--set", "reuse=true"]).succeeded();
    let second = place.results_of("second");
    assert!(second.starts().is_empty(), "a trial was trained again");
    for id in 1..=6 {
        assert_eq!(trial_files(second.trial(id).path()), trial_files(place.results().trial(id).path()));
    }
    place.sweep(&["verify", "second"]).succeeded();
}

#[test]
fn out_of_fold_predictions_are_verified() {
    let place = place(&FOLDED);
    place.run(&["--devices", "cpu:2", "--set", "epochs=1"]).succeeded();
    place.sweep(&["verify"]).succeeded();
    let file = place.results().trial(2).path().join("validation.csv");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("good", "bad", 1)).unwrap();
    let damaged = place.sweep(&["verify"]);
    assert_eq!(damaged.code, Some(5), "{}", damaged.stdout);
    assert!(damaged.stdout.contains("validation.csv"), "{}", damaged.stdout);
}

#[test]
fn a_configuration_whose_predictions_are_gone_keeps_its_figures_and_is_not_compared() {
    let place = place(&FOLDED);
    place.run(&["--devices", "cpu:2"]).succeeded();
    let before = configurations(&place);
    assert!(
        before.iter().all(|row| row["unfit"].as_u64() < Some(3)) && before[1]["folds"]["p_value"].is_number(),
        "{before:?}"
    );
    fs::remove_file(place.results().trial(5).path().join("validation.csv")).unwrap();
    let after = configurations(&place);
    assert!(after.iter().all(|row| row["folds"]["p_value"].is_null()), "{after:?}");
    assert_eq!(before[1]["folds"]["f1"], after[1]["folds"]["f1"]);
    let shown = place.sweep(&["leaderboard"]).succeeded().stdout;
    assert!(shown.contains("1 configuration was not compared with the leader"), "{shown}");
}

#[test]
fn the_settings_of_folds_are_judged_by_configuration() {
    let grid = "learning_rate = { grid = [1e-2, 1e-3, 1e-4] }\ndropout = { grid = [0.0, 0.1, 0.2, 0.3] }\n";
    let spec =
        FOLDED.replace("learning_rate = { grid = [1e-2, 5e-3] }\n", grid).replace("epochs = 6", "epochs = 1");
    let place = place(&spec.replace("folds = 3", "folds = 2"));
    place.run(&["--devices", "cpu:2"]).succeeded();
    let shown = place.sweep(&["effects", "--format", "json"]).succeeded().stdout;
    let effects: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(effects["trials"], 12, "{shown}");
}

#[test]
fn folds_are_halted_together() {
    let search = "[search]\ntrials = 8\n[search.halving]\n[search.space]\n\
                  learning_rate = { log_uniform = [1e-4, 1e-1] }\ndropout = { uniform = [0.0, 0.5] }\n";
    let spec =
        TINY_SPEC.replace("[data]\n", "[data]\nfolds = 2\n").replace("epochs = 2", "epochs = 3") + search;
    let (one, two) = (place(&spec), place(&spec));
    one.run(&["--devices", "cpu:1"]).succeeded();
    two.run(&["--devices", "cpu:2"]).succeeded();
    let rows = |place: &Place| place.results().rows_without(&TIME_AND_DEVICE);
    assert_eq!(rows(&one), rows(&two));
    let mut states: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows(&one) {
        states
            .entry(row["params"].to_string())
            .or_default()
            .insert(row["state"].as_str().unwrap().to_owned());
    }
    assert_eq!(states.len(), 8);
    assert!(states.values().all(|states| states.len() == 1), "{states:?}");
    let complete = states.values().filter(|states| states.contains("complete")).count();
    assert_eq!(complete, 3, "{states:?}");
}

#[test]
fn a_search_that_learns_takes_the_folds_of_a_configuration_as_one() {
    let search = "[search]\ntrials = 20\ngeneration = 4\nsampler = \"tpe\"\n[search.space]\n\
                  learning_rate = { log_uniform = [1e-4, 1e-1] }\n";
    let spec =
        TINY_SPEC.replace("[data]\n", "[data]\nfolds = 2\n").replace("epochs = 2", "epochs = 1") + search;
    let (one, two) = (place(&spec), place(&spec));
    one.run(&["--devices", "cpu:1"]).succeeded();
    two.run(&["--devices", "cpu:2"]).succeeded();
    let rows = |place: &Place| place.results().rows_without(&TIME_AND_DEVICE);
    assert_eq!(rows(&one), rows(&two));
    assert_eq!(rows(&one).len(), 40);
    let text = one.sweep(&["explain", "39"]).succeeded().stdout;
    assert!(text.contains("of a tree-structured Parzen estimator"), "{text}");
    assert!(text.contains("fold        1:"), "{text}");
}
