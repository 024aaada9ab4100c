//! A sweep whose splits have documents that are alike, from its spec to everything that shows them.

use std::sync::LazyLock;

use sweep::{
    leaderboard::{Prediction, read_predictions},
    metrics::{Confusion, Scores, Target},
};

use crate::common::{place::Place, program::Written, texts::csv};

const SPEC: &str = r#"
name = "leaks"
[data]
train = "train.csv"
validation = "dev.csv"
test = "test.csv"
positive = "good"
[text]
chunk_length = 32
chunk_stride = 4
[train]
epochs = 2
batch_size = 8
"#;

/// A text that is like no other number's: words that follow from the number.
fn text(number: usize) -> String {
    let word = |at: usize| {
        let code = (number * 7_919 + at * 104_729 + 13) % 17_576;
        [code / 676, code / 26 % 26, code % 26].map(|letter| char::from(b'a' + u8::try_from(letter).unwrap()))
    };
    (0..9).map(|at| word(at).iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

fn row(number: usize) -> (String, &'static str) {
    (text(number), ["good", "bad"][number % 2])
}

/// Rows 2 and 5 of test stand in train: nearly, and in other letters. Row 9 is the very text of a row of train.
fn test_row(number: usize) -> (String, &'static str) {
    let (own, label) = row(300 + number);
    let text = match number {
        1 => format!("{} too", text(10)),
        4 => format!("{}!", text(11).to_uppercase()),
        8 => text(12),
        _ => own,
    };
    (text, label)
}

/// The sweep, complete, and what its run wrote.
struct Complete {
    place: Place,
    run: Written,
}

static COMPLETE: LazyLock<Complete> = LazyLock::new(|| {
    let place = Place::shared("leaks", SPEC);
    let twice = |row: (String, &'static str)| (row.0, if row.1 == "good" { "bad" } else { "good" });
    place.write("train.csv", csv((0..60).map(row).chain([twice(row(20))])));
    place.write("dev.csv", csv((100..116).map(row)));
    place.write("test.csv", csv((0..20).map(test_row)));
    let run = place.run(&["--devices", "cpu:1"]).succeeded();
    Complete { place, run }
});

fn place() -> &'static Place {
    &COMPLETE.place
}

/// The predictions on the test documents that are not like others.
fn clean() -> Vec<Prediction> {
    let labels = ["bad", "good"].map(str::to_owned);
    let all = read_predictions(&place().results().trial(1).predictions(), &labels).unwrap();
    assert_eq!(all.len(), 20);
    all.into_iter().filter(|each| ![2, 5].contains(&each.id)).collect()
}

#[test]
fn the_plan_has_the_rows_of_unclean_test_documents() {
    let plan = place().json("results/leaks/plan.json");
    assert_eq!(plan["leaks"]["unclean"], "2 5");
    assert_eq!(plan["leaks"]["test"], 20);
}

#[test]
fn the_clean_figures_are_those_of_the_predictions_on_clean_documents() {
    let mut confusion = Confusion::new(2);
    for each in clean() {
        confusion.add(each.label, each.predicted);
    }
    let scores = Scores::new(confusion, 0.0, Target::Class(1));
    let found = &place().results().rows()[0]["clean"];
    assert_eq!(found["documents"], 18);
    for (name, expected) in [
        ("accuracy", scores.accuracy),
        ("f1", scores.f1),
        ("f1_low", scores.f1_low),
        ("f1_high", scores.f1_high),
    ] {
        assert_eq!(found[name].as_f64().unwrap(), expected, "{name}");
    }
}

#[test]
fn the_leaderboard_shows_the_clean_part_beside_the_whole() {
    let table = place().sweep(&["leaderboard", "leaks"]).succeeded().stdout;
    assert!(table.lines().next().unwrap().contains("clean F1 [95 %]"), "{table}");
    assert!(table.contains("Clean F1 leaves out 2 of 20 test documents"), "{table}");
}

#[test]
fn a_run_warns_of_unclean_test_documents() {
    let warning = "warning: 2 of 20 test documents are like documents of train or validation (1 normalised, 1 near (.70)); \
                   the leaderboard has F1 without them too";
    let unbroken = COMPLETE.run.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(unbroken.contains(warning), "{}", COMPLETE.run.stderr);
}

#[test]
fn a_dry_run_has_a_table_of_documents_that_are_alike() {
    let shown = place().run(&["--dry-run", "--fresh"]).stdout;
    let (_, after) = shown.split_once("\nalike").unwrap_or_else(|| panic!("{shown}"));
    let (table, _) = after.split_once("\ntrial").unwrap();
    insta::assert_snapshot!(format!("alike{table}"));
}

#[test]
fn the_report_names_documents_that_are_alike_by_their_rows() {
    let html = place().text("results/leaks/report.html");
    assert!(html.contains("<section id=\"part-leaks\">") && html.contains("test 2 and train 11"), "{html}");
}

#[test]
fn a_sweep_of_a_version_that_did_not_look_has_no_clean_figures() {
    let copy = Place::new("leaks", SPEC);
    crate::common::place::copy_folder(&place().path("results"), &copy.path("results"));
    let mut plan = copy.json("results/leaks/plan.json");
    plan.as_object_mut().unwrap().remove("leaks").unwrap();
    copy.write("results/leaks/plan.json", plan.to_string());
    let table = copy.sweep(&["leaderboard", "leaks"]).succeeded().stdout;
    assert!(table.contains("test F1") && !table.to_lowercase().contains("clean"), "{table}");
}
