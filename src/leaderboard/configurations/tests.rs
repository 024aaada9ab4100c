//! Configurations by example.

use super::*;
use crate::{
    leaderboard::{Prediction, build, configuration_formats::trials},
    samples::{collapsed, failed, record, scores, study},
    settings::Value,
    study::TrialRecord,
    trial::FailureKind,
};

/// A complete trial of a learning rate with so many documents of each class wrong on test and on validation.
fn trial(id: u32, rate: f64, wrong: u64) -> TrialRecord {
    let mut record = record(id, &[0.6, 0.5]);
    let outcome = record.outcome.as_mut().unwrap();
    (outcome.test, outcome.validation) = (scores(wrong, 0.4), scores(wrong + 2, 0.5));
    record.trial.params = Params(vec![("learning_rate".to_owned(), Value::Float(rate))]);
    record
}

/// Predictions with so many documents of each class wrong, the same ones first.
fn predictions(wrong: u64) -> Vec<Prediction> {
    let predict = |id: u64| {
        let label = usize::from(id % 2 == 1);
        Prediction { id, label, predicted: if id / 2 < wrong { 1 - label } else { label } }
    };
    (0..400).map(predict).collect()
}

/// Two learning rates of three seeds, and one of a single seed.
fn seven(rank_by: RankBy) -> Configurations {
    let wrong = [10, 30, 20, 30, 14, 30, 50];
    let rates = [1e-5, 2e-5, 1e-5, 2e-5, 1e-5, 2e-5, 3e-5];
    let trials = (1..=7_u32).map(|id| trial(id, rates[id as usize - 1], wrong[id as usize - 1]));
    let board = build(&study(trials.collect()), rank_by, &|_| None);
    configurations(&board, &|id| Some(predictions(wrong[id.0 as usize - 1])), &|_| None)
}

fn ids(row: &ConfigurationRow) -> Vec<u32> {
    row.trials.iter().map(|trial| trial.0).collect()
}

#[test]
fn trials_that_differ_by_their_seed_are_one_row() {
    let rows = seven(RankBy::TestF1).rows;
    let found: Vec<_> = rows.iter().map(|row| (row.rank, ids(row), row.seeds)).collect();
    assert_eq!(found, [(Some(1), vec![1, 3, 5], 3), (Some(2), vec![2, 4, 6], 3), (Some(3), vec![7], 1)]);
}

#[test]
fn a_row_has_the_mean_and_the_standard_deviation_of_its_seeds() {
    // Test F1 is 1 − wrong / 200.
    let f1 = seven(RankBy::TestF1).rows[0].test_f1.unwrap();
    let of_three = [0.95_f64, 0.90, 0.93];
    let mean = of_three.iter().sum::<f64>() / 3.0;
    let square = of_three.iter().map(|f1| (f1 - mean).powi(2)).sum::<f64>() / 2.0;
    assert!((f1.mean - mean).abs() < 1e-9 && (f1.sd.unwrap() - square.sqrt()).abs() < 1e-9, "{f1:?}");
}

#[test]
fn seeds_that_agree_have_about_the_interval_of_one_trial() {
    let row = &seven(RankBy::TestF1).rows[1];
    let f1 = row.test_f1.unwrap();
    let one = scores(30, 0.4);
    assert!((f1.low - one.f1_low).abs() < 1e-6 && (f1.high - one.f1_high).abs() < 1e-6, "{f1:?}");
}

#[test]
fn configurations_are_ranked_by_the_figure_that_is_asked_for() {
    let mut lucky = trial(1, 1e-5, 10);
    lucky.outcome.as_mut().unwrap().validation = scores(80, 0.9);
    let trials = study(vec![lucky, trial(2, 2e-5, 20)]);
    for (rank_by, first) in [(RankBy::TestF1, 1), (RankBy::ValF1, 2), (RankBy::ValLoss, 2)] {
        let board = build(&trials, rank_by, &|_| None);
        assert_eq!(ids(&configurations(&board, &|_| None, &|_| None).rows[0]), [first], "{rank_by:?}");
    }
}

#[test]
fn trials_that_are_not_complete_are_no_seeds_and_are_counted() {
    let mut broken = failed(record(2, &[0.6]), FailureKind::Exit(1));
    broken.trial.params = trial(1, 1e-5, 10).trial.params;
    let board = build(&study(vec![trial(1, 1e-5, 10), broken]), RankBy::TestF1, &|_| None);
    let configurations = configurations(&board, &|_| None, &|_| None);
    assert_eq!((configurations.rows[0].seeds, ids(&configurations.rows[0])), (1, vec![1, 2]));
    let notes = configurations.footnotes();
    assert!(
        notes.contains(&"1 trials are not complete, and are left out of the figures.".to_owned()),
        "{notes:?}"
    );
}

#[test]
fn a_configuration_whose_seeds_are_all_unfit_stands_behind_the_others() {
    let board = build(&study(vec![collapsed(1, 0.9), trial(2, 2e-5, 60)]), RankBy::TestF1, &|_| None);
    let configurations = configurations(&board, &|_| None, &|_| None);
    assert_eq!(configurations.rows.iter().map(ids).collect::<Vec<_>>(), [vec![2], vec![1]]);
    assert!(configurations.footnotes().iter().any(|note| note.starts_with("1 trials are collapsed")));
}

#[test]
fn a_footnote_counts_the_configurations_of_a_single_seed() {
    let notes = seven(RankBy::TestF1).footnotes();
    assert!(notes[1].starts_with("1 of 3 configurations have a single complete trial"), "{notes:?}");
}

#[test]
fn what_bounds_the_figures_by_trial_is_said_by_configuration_too() {
    let mut study = study(vec![trial(1, 1e-5, 10), trial(2, 2e-5, 20)]);
    study.target = Target::Class(1);
    let board = build(&study, RankBy::TestF1, &|_| None);
    let said = board.data_notes();
    assert!(said.iter().any(|note| note.starts_with("F1 is that of class")), "{said:?}");
    let notes = configurations(&board, &|_| None, &|_| None).footnotes();
    assert!(said.iter().all(|note| notes.contains(note)), "{notes:?}");
}

#[test]
fn a_table_has_a_line_for_each_configuration() {
    let table = seven(RankBy::TestF1).to_table_within(None, usize::MAX);
    let first = table.lines().nth(1).unwrap();
    assert!(first.contains(".927 ± .025") && first.contains("0001 0003 0005"), "{table}");
    assert_eq!(table.lines().take_while(|line| !line.is_empty()).count(), 4, "{table}");
}

#[test]
fn a_narrow_terminal_gets_a_block_for_each_configuration() {
    let table = seven(RankBy::TestF1).to_table_within(Some(50), 1);
    assert!(table.starts_with("rank 1, learning_rate 1e-5\n  dropout   –\n"), "{table}");
    assert!(table.contains("2 of 3 configurations are not shown"), "{table}");
}

#[test]
fn markdown_has_a_row_for_each_configuration() {
    let text = seven(RankBy::ValF1).to_markdown_of(2);
    assert!(text.contains("ranked by the mean of validation F1"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with('|')).count(), 4, "{text}");
}

#[test]
fn json_has_the_promised_fields_in_order() {
    let rows: serde_json::Value = serde_json::from_str(&seven(RankBy::TestF1).to_json()).unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        keys(&rows[0]).join(" "),
        "rank params trials seeds unfit test_f1 val_f1 val_f1_sd val_loss confirming"
    );
    assert_eq!(keys(&rows[0]["test_f1"]).join(" "), "mean sd low high");
    assert!(rows[2]["test_f1"]["sd"].is_null());
}

#[test]
fn csv_has_one_field_for_each_heading() {
    let text = seven(RankBy::TestF1).to_csv();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headings: Vec<String> = reader.headers().unwrap().iter().map(ToOwned::to_owned).collect();
    let expected = "rank,learning_rate,dropout,seeds,unfit,test_f1,test_f1_sd,test_f1_low,test_f1_high,val_f1,val_f1_sd,val_loss,trials,confirming";
    assert_eq!(headings.join(","), expected);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!((rows.len(), &rows[0][12], &rows[2][6]), (3, "1 3 5", ""));
}

#[test]
fn neighbouring_trials_are_named_by_the_first_and_the_last() {
    let ids = |all: &[u32]| trials(&all.iter().map(|id| TrialId(*id)).collect::<Vec<_>>());
    assert_eq!([ids(&[4]), ids(&[4, 5]), ids(&[4, 5, 6])], ["0004", "0004 0005", "0004 to 0006"]);
    assert_eq!(ids(&[4, 5, 7]), "0004 0005 0007");
}
