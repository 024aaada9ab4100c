//! A sweep of three classes from its spec to everything that shows its figures.

use std::sync::LazyLock;

use serde_json::Value;
use sweep::{
    leaderboard::read_predictions,
    metrics::{Average, Confusion, Target},
};

use crate::common::{
    place::{Place, copy_folder},
    program::Written,
    results::id,
    texts::csv,
};

const SPEC: &str = r#"
name = "three"
[data]
path = "three.csv"
average = "weighted"
[text]
chunk_length = 16
chunk_stride = 4
[train]
epochs = 2
batch_size = 8
[early_stopping]
monitor = "val_f1"
[search.space]
learning_rate = { grid = [3e-4, 2e-3] }
"#;

/// Class names that a table, a page or a terminal could stumble over, in their order.
const LABELS: [&str; 3] = ["\u{1b}[31mred | <b>", "so, \"so\"", "很 好"];

/// 180 texts, the first class being the rarest; one in nine has the wrong class.
fn row(index: usize) -> (String, &'static str) {
    let class = [0, 1, 2, 1, 2, 2][index % 6];
    let label = LABELS[if index % 9 == 4 { (class + 1) % 3 } else { class }];
    (format!("{}，第{index}次", ["很差", "一般", "喜欢"][class]), label)
}

/// The sweep, complete, and what its run wrote.
struct Complete {
    place: Place,
    run: Written,
}

static COMPLETE: LazyLock<Complete> = LazyLock::new(|| {
    let place = Place::shared("three", SPEC);
    place.write("three.csv", csv((0..180).map(row)));
    let run = place.run(&["--devices", "cpu:1"]).succeeded();
    Complete { place, run }
});

fn place() -> &'static Place {
    &COMPLETE.place
}

/// The counts of a trial's `predictions.csv`.
fn counts(trial: u32) -> Confusion {
    let mut counts = Confusion::new(3);
    let labels = LABELS.map(str::to_owned);
    for each in read_predictions(&place().results().trial(trial).predictions(), &labels).unwrap() {
        counts.add(each.label, each.predicted);
    }
    counts
}

#[test]
fn a_run_never_speaks_to_the_terminal() {
    let Written { stdout, stderr, .. } = &COMPLETE.run;
    assert!(!stdout.contains('\u{1b}') && !stderr.contains('\u{1b}'));
}

#[test]
fn the_plan_says_which_average_counts() {
    let plan = place().json("results/three/plan.json");
    assert_eq!((&plan["average"], &plan["positive"]), (&"weighted".into(), &Value::Null));
    assert_eq!(plan["data"]["average"], "weighted");
}

#[test]
fn a_trials_job_says_which_average_counts() {
    let job = place().json("results/three/trials/0001/trial.json");
    assert_eq!(job["data"]["average"], "weighted");
}

#[test]
fn a_dry_run_says_which_average_counts() {
    let shown = place().run(&["--dry-run"]).stdout;
    assert!(shown.contains("weighted by their documents (weighted F1)"), "{shown}");
}

#[test]
fn a_dry_run_never_speaks_to_the_terminal() {
    let shown = place().run(&["--dry-run"]).stdout;
    assert!(!shown.contains('\u{1b}'), "{shown}");
}

fn assert_near(value: &Value, expected: f64, what: &str) {
    assert!((value.as_f64().unwrap() - expected).abs() < 1e-12, "{what}: {value} {expected}");
}

#[test]
fn the_figures_of_a_row_follow_from_its_predictions() {
    let rows = place().results().rows();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let (counts, test) = (counts(id(&row)), &row["test"]);
        let weighted = counts.rates(Target::Average(Average::Weighted));
        let (low, high) = counts.f1_interval(Target::Average(Average::Weighted));
        for (name, expected) in [
            ("f1", weighted.f1),
            ("precision", weighted.precision),
            ("recall", weighted.recall),
            ("f1_low", low),
            ("f1_high", high),
            ("weighted_f1", weighted.f1),
            ("macro_f1", counts.rates(Target::Average(Average::Macro)).f1),
            ("micro_f1", counts.accuracy()),
        ] {
            assert_near(&test[name], expected, name);
        }
    }
}

#[test]
fn the_figures_of_a_class_follow_from_the_predictions() {
    for row in place().results().rows() {
        let counts = counts(id(&row));
        for (class, label) in LABELS.into_iter().enumerate() {
            let (found, rates) = (&row["test"]["classes"][class], counts.rates(Target::Class(class)));
            assert_eq!((&found["label"], &found["support"]), (&label.into(), &counts.support(class).into()));
            assert_near(&found["precision"], rates.precision, label);
            assert_near(&found["recall"], rates.recall, label);
            assert_near(&found["f1"], rates.f1, label);
        }
    }
}

/// The validation figures of each evaluation in the log.
fn validations() -> Vec<Value> {
    let log = place().text("results/three/events.jsonl");
    let records = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let evaluations = records.map(|record| record["event"]["evaluated"].clone());
    let validations: Vec<Value> =
        evaluations.filter(Value::is_object).map(|evaluation| evaluation["validation"].clone()).collect();
    assert_eq!(validations.len(), 4);
    validations
}

#[test]
fn each_evaluation_in_the_log_names_the_average() {
    for validation in validations() {
        assert_eq!(validation["average"], "weighted");
    }
}

#[test]
fn the_f1_of_each_evaluation_in_the_log_is_that_of_the_average() {
    for validation in validations() {
        let rows: Vec<Vec<u64>> = serde_json::from_value(validation["confusion"].clone()).unwrap();
        let mut counts = Confusion::new(3);
        for (truth, row) in rows.iter().enumerate() {
            for (predicted, &count) in row.iter().enumerate() {
                (0..count).for_each(|_| counts.add(truth, predicted));
            }
        }
        assert_near(&validation["f1"], counts.rates(Target::Average(Average::Weighted)).f1, "f1");
    }
}

#[test]
fn everything_can_be_made_again_from_the_log() {
    let copy = Place::empty();
    copy_folder(&place().path("results"), &copy.path("results"));
    let files = ["leaderboard.json", "leaderboard.csv", "leaderboard.md", "report.html"];
    let texts = |place: &Place| files.map(|file| place.text(format!("results/three/{file}")));
    for file in files {
        std::fs::remove_file(copy.path("results/three").join(file)).unwrap();
    }
    copy.sweep(&["report"]).succeeded();
    assert_eq!(texts(&copy), texts(place()));
}

#[test]
fn a_table_has_a_column_for_each_average() {
    let table = place().text("results/three/leaderboard.csv");
    assert!(table.lines().next().unwrap().contains("test_macro_f1,test_micro_f1,test_weighted_f1"));
}

#[test]
fn class_names_in_the_report_are_whole_but_no_markup() {
    let page = place().text("results/three/report.html");
    assert!(page.contains("[31mred | &lt;b&gt;</td>") && page.contains("so, &quot;so&quot;</td>"), "{page}");
}

#[test]
fn the_report_has_no_control_characters_of_class_names() {
    let page = place().text("results/three/report.html");
    assert!(!page.contains('\u{1b}'), "{page}");
}

#[test]
fn the_report_says_what_ranks() {
    let page = place().text("results/three/report.html");
    assert!(page.contains("what ranks here is weighted F1"), "{page}");
}

/// The model card of the first trial.
static CARD: LazyLock<String> = LazyLock::new(|| {
    place().sweep(&["export-best", "--trial", "1", "--out", "best"]).succeeded();
    place().text("best/README.md")
});

#[test]
fn class_names_in_a_model_card_are_whole_but_no_markup() {
    assert!(
        CARD.contains("\n|  \\[31mred \\| &lt;b&gt; | ") && CARD.contains("| so, \"so\" | "),
        "{}",
        *CARD
    );
}

#[test]
fn a_model_card_has_the_figures_of_all_averages() {
    assert!(CARD.contains("| Weighted F1 |") && CARD.contains("\nMacro-F1 "), "{}", *CARD);
}
