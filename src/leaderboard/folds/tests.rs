//! Configurations over folds by example: 400 documents of two classes, of which fold 1 has the first 200.

use super::*;
use crate::{
    leaderboard::{ConfigurationRow, Configurations, build, configurations},
    metrics::Scores,
    samples::{failed, record, study},
    settings::Value,
    study::{Study, TrialRecord},
    trial::{FailureKind, Params},
};

const BINARY: Target = Target::Class(1);

/// Predictions for the documents of a fold, of which those with these numbers are wrong.
fn predictions(fold: u32, wrong: std::ops::Range<u64>) -> Vec<Prediction> {
    let first = 200 * u64::from(fold - 1);
    let predict = |id: u64| {
        let label = usize::from(id % 2 == 1);
        Prediction { id, label, predicted: if wrong.contains(&(id - first)) { 1 - label } else { label } }
    };
    (first..first + 200).map(predict).collect()
}

/// A trial of this configuration, repeat and fold, whose predictions on its fold have so many documents wrong.
fn trial(id: u32, (rate, repeat, fold): (f64, u32, u32), wrong: u64) -> TrialRecord {
    let mut record = record(id, &[0.6, 0.5]);
    let mut confusion = Confusion::new(2);
    for each in predictions(fold, 0..wrong) {
        confusion.add(each.label, each.predicted);
    }
    record.outcome.as_mut().unwrap().validation = Scores::new(confusion, 0.5, BINARY);
    record.trial.params = Params(vec![("learning_rate".to_owned(), Value::Float(rate))]);
    (record.trial.repeat, record.trial.fold) = (repeat, Some(fold));
    record
}

/// A sweep of two folds.
fn folded(trials: Vec<TrialRecord>) -> Study {
    Study { folds: Some(2), ..study(trials) }
}

/// Two configurations: one that has 4 and 36 documents of its folds wrong, and one that has 80 and 90.
fn two() -> Study {
    let wrong = [4, 36, 80, 90];
    let of = |id: u32| {
        let rate = if id < 3 { 1e-5 } else { 2e-5 };
        trial(id, (rate, 0, 2 - id % 2), wrong[id as usize - 1])
    };
    folded((1..=4).map(of).collect())
}

/// The configurations of `study`, whose trials have the first documents of their folds wrong.
fn ranked(study: &Study, rank_by: RankBy) -> Configurations {
    let board = build(study, rank_by, &|_| None);
    let out_of_fold = |id: TrialId| {
        let record = study.trial(id)?;
        let confusion = &record.outcome.as_ref()?.validation.confusion;
        let wrong = confusion.total() - confusion.true_positives(0) - confusion.true_positives(1);
        Some(predictions(record.trial.fold?, 0..wrong))
    };
    configurations(&board, &|_| None, &out_of_fold)
}

fn figures(row: &ConfigurationRow) -> &FoldFigures {
    row.folds.as_ref().unwrap()
}

fn ids(row: &ConfigurationRow) -> Vec<u32> {
    row.trials.iter().map(|trial| trial.0).collect()
}

#[test]
fn out_of_fold_f1_is_that_of_all_documents_together() {
    let rows = ranked(&two(), RankBy::ValF1).rows;
    let found = figures(&rows[0]);
    // 40 of 400 documents are wrong, half of each class: F1 is the accuracy.
    assert_eq!((found.documents, found.complete, found.of, found.repeats), (400, 2, 2, 1));
    let f1 = found.f1.unwrap();
    assert!((f1.mean - 0.9).abs() < 1e-12 && f1.sd.is_none(), "{f1:?}");
    let mut all = Confusion::new(2);
    for each in [predictions(1, 0..4), predictions(2, 0..36)].concat() {
        all.add(each.label, each.predicted);
    }
    assert_eq!((f1.low, f1.high), all.f1_interval(BINARY));
}

#[test]
fn the_figures_of_single_folds_are_a_mean_and_a_deviation() {
    let row = &ranked(&two(), RankBy::ValF1).rows[0];
    let of_two = [1.0 - 4.0 / 200.0, 1.0 - 36.0 / 200.0];
    assert!((row.val_f1.unwrap() - of_two.iter().sum::<f64>() / 2.0).abs() < 1e-9);
    assert!((row.val_f1_sd.unwrap() - (of_two[0] - of_two[1]) / 2.0_f64.sqrt()).abs() < 1e-9);
}

#[test]
fn a_configuration_is_told_from_the_first_one_by_all_documents() {
    let configurations = ranked(&two(), RankBy::ValF1);
    let found: Vec<_> = configurations.rows.iter().map(|row| figures(row).tied).collect();
    assert_eq!(found, [Some(false), Some(false)]);
    assert!(figures(&configurations.rows[1]).p_value.unwrap() < 0.01);
    let notes = configurations.footnotes();
    assert!(notes[1].contains("0 of 1 compared by the model confidence set of out-of-fold F1"), "{notes:?}");
}

#[test]
fn configurations_that_err_alike_are_not_told_apart() {
    let mut study = two();
    for (id, wrong) in [(3, 5), (4, 34)] {
        let trial = trial(id, (2e-5, 0, 2 - id % 2), wrong);
        study.trials[id as usize - 1] = trial;
    }
    let rows = ranked(&study, RankBy::ValF1).rows;
    assert_eq!((ids(&rows[0]), figures(&rows[1]).tied), (vec![3, 4], Some(true)));
}

#[test]
fn a_fold_that_is_missing_takes_the_figures_and_the_rank() {
    let mut study = two();
    study.trials[1] = failed(study.trials[1].clone(), FailureKind::Exit(1));
    let configurations = ranked(&study, RankBy::ValF1);
    assert_eq!(configurations.rows.iter().map(ids).collect::<Vec<_>>(), [vec![3, 4], vec![1, 2]]);
    let row = &configurations.rows[1];
    assert_eq!((row.rank, row.val_f1, row.test_f1, row.val_loss), (None, None, None, None));
    assert_eq!((figures(row).complete, figures(row).of, figures(row).f1), (1, 2, None));
    let table = configurations.to_table_within(None, usize::MAX);
    assert!(table.lines().nth(2).unwrap().contains("1 of 2"), "{table}");
    let note = "1 of 2 configurations has folds that are not complete: it has no figures, since folds are not equally hard, \
                and a mean over fewer of them could not be compared.";
    assert!(configurations.footnotes().contains(&note.to_owned()), "{table}");
}

#[test]
fn validation_f1_ranks_by_all_documents_and_test_f1_by_its_mean() {
    let mut study = two();
    for (trial, wrong) in study.trials.iter_mut().zip([90, 90, 10, 10]) {
        trial.outcome.as_mut().unwrap().test = crate::samples::scores(wrong, 0.4);
    }
    for (rank_by, first) in [(RankBy::ValF1, 1), (RankBy::TestF1, 3)] {
        let configurations = ranked(&study, rank_by);
        assert_eq!(ids(&configurations.rows[0])[0], first, "{rank_by:?}");
    }
    let markdown = ranked(&study, RankBy::ValF1).to_markdown_of(9);
    assert!(markdown.contains("Configurations, ranked by out-of-fold F1 of 好评."), "{markdown}");
    let markdown = ranked(&study, RankBy::TestF1).to_markdown_of(9);
    assert!(markdown.contains("Configurations, ranked by the mean of test F1 of 好评."), "{markdown}");
    assert!(markdown.contains("a paired test of out-of-fold F1"), "{markdown}");
}

#[test]
fn repeats_are_whole_or_do_not_count() {
    // Of two repeats, the second one has 20 and 20 documents wrong; then its last fold is not over.
    let wrong = [4, 36, 20, 20];
    let of = |id: u32| trial(id, (1e-5, (id - 1) / 2, 2 - id % 2), wrong[id as usize - 1]);
    let mut study = folded((1..=4).map(of).collect());
    let whole = ranked(&study, RankBy::ValF1);
    let f1 = figures(&whole.rows[0]).f1.unwrap();
    assert_eq!((figures(&whole.rows[0]).repeats, f1.sd), (2, Some(0.0)));
    assert!(
        whole.footnotes()[0].contains("for each of 2 folds in each of 2 repeats"),
        "{:?}",
        whole.footnotes()
    );
    study.trials[3].state = State::Waiting;
    let rows = ranked(&study, RankBy::ValF1).rows;
    assert_eq!((figures(&rows[0]).repeats, figures(&rows[0]).complete, rows[0].seeds), (1, 3, 2));
    assert_eq!(rows[0].rank, Some(1));
}

#[test]
fn a_configuration_that_is_no_better_than_chance_over_all_folds_stands_behind_the_others() {
    // Each fold by itself has a class that it always names, so that single folds may have a high F1.
    let mut study = two();
    for (trial, wrong) in study.trials.iter_mut().zip([[100, 0], [100, 0]]) {
        let mut confusion = Confusion::new(2);
        for (label, wrong) in wrong.into_iter().enumerate() {
            (0..100).for_each(|at| confusion.add(label, if at < wrong { 1 - label } else { label }));
        }
        trial.outcome.as_mut().unwrap().validation = Scores::new(confusion, 0.5, BINARY);
    }
    let configurations = ranked(&study, RankBy::ValF1);
    let last = &configurations.rows[1];
    assert_eq!((ids(last), figures(last).collapsed, figures(last).tied), (vec![1, 2], true, None));
    assert!(figures(last).f1.unwrap().mean > figures(&configurations.rows[0]).f1.unwrap().mean);
    let table = configurations.to_table_within(None, usize::MAX);
    assert!(table.lines().nth(2).unwrap().contains(" †"), "{table}");
    assert!(table.contains("† last, whatever the figures: 1 configuration, whose predictions"), "{table}");
}

#[test]
fn without_predictions_figures_stay_and_the_comparison_is_said_to_be_missing() {
    let study = two();
    let board = build(&study, RankBy::ValF1, &|_| None);
    let configurations =
        configurations(&board, &|_| None, &|id| (id.0 != 4).then(|| predictions(2 - id.0 % 2, 0..5)));
    assert_eq!(figures(&configurations.rows[1]).tied, None);
    assert!(figures(&configurations.rows[1]).f1.is_some());
    let notes = configurations.footnotes();
    assert!(notes[1].starts_with("1 configuration was not compared with the leader"), "{notes:?}");
}

#[test]
fn a_document_that_is_predicted_twice_is_no_out_of_fold_prediction() {
    let trials = [TrialId(1), TrialId(2)];
    let each = |id: TrialId| Some(predictions(id.0, 0..1));
    assert_eq!(pooled(&trials, &each).unwrap().len(), 400);
    assert_eq!(pooled(&trials, &|_| Some(predictions(1, 0..1))), None);
}

#[test]
fn json_and_csv_have_the_figures_of_folds() {
    let configurations = ranked(&two(), RankBy::ValF1);
    let rows: serde_json::Value = serde_json::from_str(&configurations.to_json()).unwrap();
    let keys: Vec<&String> = rows[0]["folds"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["complete", "of", "repeats", "documents", "f1", "collapsed", "tied", "p_value"]);
    let csv = configurations.to_csv();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let headings = reader.headers().unwrap().clone();
    let row = reader.records().next().unwrap().unwrap();
    let at = |name: &str| row[headings.iter().position(|heading| heading == name).unwrap()].to_owned();
    assert_eq!([at("folds"), at("folds_of"), at("whole_repeats"), at("documents")], ["2", "2", "1", "400"]);
    assert_eq!(at("out_of_fold_f1"), rows[0]["folds"]["f1"]["mean"].to_string());
}

#[test]
fn the_leaderboard_by_trial_names_the_fold_and_lets_no_validation_figure_choose() {
    let board = build(&two(), RankBy::TestF1, &|_| None);
    let table = board.to_table();
    let heading = table.lines().next().unwrap();
    assert!(heading.contains("  fold  ") && !heading.contains("seed"), "{table}");
    assert!(table.contains("Each trial validates on one of 2 folds"), "{table}");
    assert_eq!(board.chosen_by_validation, None);
}
