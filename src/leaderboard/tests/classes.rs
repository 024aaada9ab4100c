//! Rows and figures where there are more than two classes.

use super::*;

#[test]
fn with_three_classes_a_row_holds_the_matrix() {
    let mut confusion = Confusion::new(3);
    confusion.add(0, 2);
    let mut many = trial(1, 20);
    many.outcome.as_mut().unwrap().test = Scores::new(confusion, 1.0, MACRO);
    let board = build(&of_three_classes(vec![many]), RankBy::TestF1, &none);
    let rows: serde_json::Value = serde_json::from_str(&board.to_json()).unwrap();
    assert_eq!(rows[0]["test"]["confusion"][0][2], 1);
    assert!(rows[0]["test"].get("tp").is_none());
    assert!(board.to_csv().contains("\"[[0,0,1],[0,0,0],[0,0,0]]\""), "{}", board.to_csv());
}

/// Names that a table, a page or a terminal could stumble over.
const NAMES: [&str; 3] = ["so, so", "\"很好\" | <b>", "a\u{1b}[31m_b"];

fn of_three_classes(trials: Vec<TrialRecord>) -> Study {
    Study { labels: NAMES.map(str::to_owned).to_vec(), target: MACRO, ..study(trials) }
}

/// A complete trial with the confusion matrix of `metrics::tests`, scored by `target`.
fn three_class_trial(id: u32, target: Target) -> TrialRecord {
    let mut confusion = Confusion::new(3);
    for (truth, row) in [[30, 5, 5], [4, 40, 2], [1, 3, 20]].into_iter().enumerate() {
        for (predicted, count) in row.into_iter().enumerate() {
            (0..count).for_each(|_| confusion.add(truth, predicted));
        }
    }
    let mut trial = trial(id, 20);
    trial.outcome.as_mut().unwrap().test = Scores::new(confusion, 0.5, target);
    trial
}

/// The test figures of a row with three classes, as JSON.
fn three_class_figures() -> serde_json::Map<String, serde_json::Value> {
    let board = build(&of_three_classes(vec![three_class_trial(1, MACRO)]), RankBy::TestF1, &none);
    let rows: serde_json::Value = serde_json::from_str(&board.to_json()).unwrap();
    rows[0]["test"].as_object().unwrap().clone()
}

fn is_near(value: &serde_json::Value, expected: f64) -> bool {
    (value.as_f64().unwrap() - expected).abs() < 1e-9
}

#[test]
fn with_three_classes_test_figures_have_the_promised_fields_in_order() {
    let keys = three_class_figures().keys().cloned().collect::<Vec<_>>().join(" ");
    let promised =
        "loss accuracy precision recall f1 f1_low f1_high confusion macro_f1 micro_f1 weighted_f1 classes";
    assert_eq!(keys, promised);
}

#[test]
fn with_three_classes_a_row_has_each_average() {
    let test = three_class_figures();
    assert!(is_near(&test["macro_f1"], 0.811_792_518) && is_near(&test["f1"], 0.811_792_518));
    assert!(is_near(&test["micro_f1"], 0.818_181_818) && is_near(&test["weighted_f1"], 0.817_931_505));
}

#[test]
fn with_three_classes_a_row_has_each_class_under_its_own_name() {
    let test = three_class_figures();
    assert_eq!(test["classes"].as_array().unwrap().len(), 3);
    for (class, name) in NAMES.into_iter().enumerate() {
        assert_eq!(test["classes"][class]["label"], name);
    }
}

#[test]
fn each_class_has_its_own_figures() {
    let test = three_class_figures();
    assert!(is_near(&test["classes"][2]["recall"], 0.833_333_333));
    assert_eq!(test["classes"][1]["support"], 46);
}

#[test]
fn the_average_that_the_target_names_is_shown_as_f1() {
    for (average, f1) in Average::ALL.into_iter().zip([".812", ".818", ".818"]) {
        let target = Target::Average(average);
        let study = Study { target, ..of_three_classes(vec![three_class_trial(1, target)]) };
        let board = build(&study, RankBy::TestF1, &none);
        assert_eq!(board.target, target);
        assert!(board.to_table().contains(f1), "{average:?}\n{}", board.to_table());
    }
}

#[test]
fn with_three_classes_csv_has_a_column_for_each_average() {
    let waiting = TrialRecord { state: State::Waiting, outcome: None, ..trial(2, 20) };
    let board = build(&of_three_classes(vec![three_class_trial(1, MACRO), waiting]), RankBy::TestF1, &none);
    let text = board.to_csv();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headings = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let at = headings.iter().position(|heading| heading == "test_macro_f1").unwrap();
    assert_eq!(
        headings.iter().skip(at).take(3).collect::<Vec<_>>(),
        ["test_macro_f1", "test_micro_f1", "test_weighted_f1"]
    );
    assert!(rows[0][at].starts_with("0.81179") && rows[0][at + 2].starts_with("0.81793"), "{text}");
    assert_eq!((&rows[1][at], &rows[1][at + 1], &rows[1][at + 2]), ("", "", ""));
}
