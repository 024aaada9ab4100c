//! One table of all evaluations of a sweep, for notebooks and spreadsheets.
//!
//! It is tidy: a row for each evaluation, with every setting of its trial. A trial without an evaluation has one row, so
//! that none is missing. The test figures stand in the row of the evaluation whose parameters were measured.

use std::time::{Duration, UNIX_EPOCH};

use super::runs::{Run, Runs};
use crate::{event::Evaluation, leaderboard::to_csv, settings::KEYS, system::clock, trial::State};

/// Columns before the settings.
const FIRST: [&str; 4] = ["sweep", "trial", "state", "verdict"];
/// Columns behind the settings.
const LAST: [&str; 27] = [
    "repeat",
    "seed",
    "at",
    "seconds",
    "epoch",
    "step",
    "step_learning_rate",
    "train_loss",
    "val_loss",
    "val_accuracy",
    "val_precision",
    "val_recall",
    "val_f1",
    "val_f1_low",
    "val_f1_high",
    "best",
    "test_loss",
    "test_accuracy",
    "test_precision",
    "test_recall",
    "test_f1",
    "test_f1_low",
    "test_f1_high",
    "device",
    "halted_at",
    "reason",
    "fold",
];

/// The table, and the number of its rows without the headings.
pub(super) fn table(runs: &Runs<'_>) -> (String, usize) {
    let settings = KEYS.iter().map(|key| key.name);
    let headings = FIRST.into_iter().chain(settings).chain(LAST).map(ToOwned::to_owned);
    let mut records = vec![headings.collect()];
    for run in &runs.trials {
        let evaluations = run.record.evaluations.iter().map(Some);
        let none = run.record.evaluations.is_empty().then_some(None);
        records.extend(evaluations.chain(none).map(|evaluation| row(&runs.sweep, run, evaluation)));
    }
    let rows = records.len() - 1;
    (to_csv(&records), rows)
}

/// Whether a file begins as such a table does.
pub(super) fn is_table(begin: &[u8]) -> bool {
    let first: String = FIRST.map(|name| format!("{name},")).concat();
    let quoted: String = FIRST.map(|name| format!("\"{name}\",")).concat();
    [first, quoted].iter().any(|first| begin.starts_with(first.as_bytes()))
}

fn row(sweep: &str, run: &Run<'_>, evaluation: Option<&Evaluation>) -> Vec<String> {
    let record = run.record;
    let verdict = run.verdict.map_or_else(String::new, |verdict| verdict.to_string());
    let mut cells = vec![sweep.to_owned(), run.id().0.to_string(), record.state.as_str().to_owned(), verdict];
    cells.extend(run.settings().map(|(_, value)| value.to_string()));
    cells.extend([record.trial.repeat.to_string(), record.trial.seed.to_string()]);
    cells.extend(evaluation.map_or_else(|| vec![String::new(); 14], |evaluation| figures(run, evaluation)));
    let is_best = evaluation.zip(run.best()).is_some_and(|(this, best)| std::ptr::eq(this, best));
    let test = run.test().filter(|_| is_best).map(|test| {
        [test.loss, test.accuracy, test.precision, test.recall, test.f1, test.f1_low, test.f1_high]
    });
    cells.extend(
        test.map_or_else(|| vec![String::new(); 7], |test| test.map(|each| each.to_string()).to_vec()),
    );
    let halted = record.rungs.last().filter(|_| record.state == State::Halted);
    let failure = record.failure.as_ref().filter(|_| record.state == State::Failed);
    cells.extend([
        record.device.map_or_else(String::new, |device| device.to_string()),
        halted.map_or_else(String::new, |halted| halted.decision.epoch.to_string()),
        failure.map_or_else(String::new, |failure| format!("{}: {}", failure.kind, failure.message)),
        record.trial.fold.map_or_else(String::new, |fold| fold.to_string()),
    ]);
    cells
}

/// The cells from `at` to `best`.
fn figures(run: &Run<'_>, evaluation: &Evaluation) -> Vec<String> {
    let at = clock::milliseconds(UNIX_EPOCH + Duration::from_millis(run.time_of(evaluation)));
    let validation = &evaluation.validation;
    let is_best = run.best().is_some_and(|best| std::ptr::eq(best, evaluation));
    vec![
        at,
        evaluation.seconds.to_string(),
        evaluation.epoch.to_string(),
        evaluation.step.to_string(),
        evaluation.learning_rate.to_string(),
        evaluation.train_loss.to_string(),
        validation.loss.to_string(),
        validation.accuracy.to_string(),
        validation.precision.to_string(),
        validation.recall.to_string(),
        validation.f1.to_string(),
        validation.f1_low.to_string(),
        validation.f1_high.to_string(),
        is_best.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        export::times::Times,
        samples::{failed, record, study},
        trial::FailureKind,
    };

    /// The rows of the table of a complete trial, a failed one and one that has not begun, by their headings.
    fn rows(reason: &str) -> Vec<BTreeMap<String, String>> {
        let mut waiting = record(3, &[]);
        waiting.state = State::Waiting;
        let mut broken = failed(record(2, &[0.6]), FailureKind::Panic);
        broken.failure.as_mut().unwrap().message = reason.to_owned();
        let study = study(vec![record(1, &[0.6, 0.5, 0.55]), broken, waiting]);
        let times = Times::default();
        let (table, rows) = table(&Runs::new(&study, &times));
        assert!(is_table(table.as_bytes()), "{table}");
        let mut reader = csv::Reader::from_reader(table.as_bytes());
        let headings = reader.headers().unwrap().clone();
        let row = |row: csv::StringRecord| {
            headings.iter().zip(row.iter()).map(|(name, cell)| (name.to_owned(), cell.to_owned())).collect()
        };
        let found: Vec<_> = reader.records().map(|found| row(found.unwrap())).collect();
        assert_eq!(found.len(), rows);
        found
    }

    fn column<'a>(rows: &'a [BTreeMap<String, String>], name: &str) -> Vec<&'a str> {
        rows.iter().map(|row| row[name].as_str()).collect()
    }

    #[test]
    fn each_evaluation_is_a_row_and_no_trial_is_missing() {
        let rows = rows("m");
        assert_eq!(column(&rows, "trial"), ["1", "1", "1", "2", "3"]);
        assert_eq!(column(&rows, "val_loss"), ["0.6", "0.5", "0.55", "0.6", ""]);
        assert_eq!(column(&rows, "state"), ["complete", "complete", "complete", "failed", "waiting"]);
    }

    #[test]
    fn a_row_has_every_setting_of_its_trial() {
        let rows = rows("m");
        for key in KEYS {
            assert!(rows.iter().all(|row| !row[key.name].is_empty()), "{}", key.name);
        }
    }

    #[test]
    fn test_figures_stand_in_the_row_of_the_evaluation_that_was_measured() {
        let rows = rows("m");
        assert_eq!(column(&rows, "best"), ["false", "true", "false", "true", ""]);
        let measured: Vec<bool> = column(&rows, "test_f1").iter().map(|cell| !cell.is_empty()).collect();
        assert_eq!(measured, [false, true, false, false, false]);
    }

    #[test]
    fn a_reason_is_no_formula() {
        let rows = rows("\u{1b}[31m\n\u{202e}x");
        let reason = &rows[3]["reason"];
        assert!(
            reason.starts_with("worker panicked: ") && !reason.contains(['\u{1b}', '\u{202e}']),
            "{reason:?}"
        );
    }

    #[test]
    fn names_of_columns_stand_once() {
        let mut names: Vec<&str> =
            FIRST.into_iter().chain(KEYS.iter().map(|key| key.name)).chain(LAST).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn another_table_is_not_taken_for_ours() {
        assert!(!is_table(b"text,label\na,b\n") && !is_table(b"sweep\n"));
    }
}
