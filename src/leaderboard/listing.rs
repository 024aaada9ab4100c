//! The leaderboard's columns, and the leaderboard as Markdown, CSV and JSON.
//!
//! JSON and CSV hold every digit. JSON holds every character too, while a cell of CSV is never a formula and
//! speaks to no terminal. Tables are for people: they hold no more digits than a reader can distinguish.

use super::{
    board::{HaltedAt, Leaderboard, LeaderboardRow},
    document::{Document, rows_to_json},
    figures, spreadsheet,
    test_figures::{TestCounts, TestFigures},
    winner::Winner,
};
use crate::trial::State;

/// Largest width of a swept setting's column, in terminal columns.
const PARAM_COLUMNS_MAX: usize = 24;
/// Largest width of the reason of a failure in a footnote, in terminal columns.
const REASON_COLUMNS_MAX: usize = 160;

/// A column of the leaderboard.
pub(super) struct Column {
    pub(super) heading: String,
    /// Whether cells are aligned to the right.
    pub(super) right: bool,
    /// Gives the cell of a row.
    pub(super) cell: Box<dyn Fn(&LeaderboardRow) -> String>,
}

impl Column {
    fn new(heading: &str, right: bool, cell: impl Fn(&LeaderboardRow) -> String + 'static) -> Self {
        Self {
            heading: figures::shorten(&figures::plain(heading), PARAM_COLUMNS_MAX),
            right,
            cell: Box::new(cell),
        }
    }
}

/// A figure as `show` writes it; [`figures::NOTHING`] if there is none.
fn or_nothing<T>(figure: Option<T>, show: impl Fn(T) -> String) -> String {
    figure.map_or_else(|| figures::NOTHING.to_owned(), show)
}

/// A trial's value of the swept setting `name`.
fn param(row: &LeaderboardRow, name: &str) -> String {
    let value = row.params.0.iter().find(|(key, _)| key == name);
    or_nothing(value, |(_, value)| figures::shorten(&figures::value(value), PARAM_COLUMNS_MAX))
}

/// Test F1 with its 95 % interval, and the mark of a tie with the leader.
fn test_f1(row: &LeaderboardRow) -> String {
    or_nothing(row.test.as_ref(), |test| {
        let mark = if row.tied == Some(true) { figures::TIE_MARK } else { " " };
        format!("{} {} {mark}", figures::share(test.f1), figures::interval(test.f1_low, test.f1_high))
    })
}

/// F1 on the clean part of the test set with its 95 % interval.
fn clean_f1(row: &LeaderboardRow) -> String {
    or_nothing(row.clean.as_ref(), |clean| {
        format!("{} {}", figures::share(clean.f1), figures::interval(clean.f1_low, clean.f1_high))
    })
}

/// The state; of a halted trial, where it was halted.
fn state(row: &LeaderboardRow) -> String {
    row.halted.map_or_else(|| row.state.as_str().to_owned(), HaltedAt::describe)
}

/// The verdict; of a trial that has none, its state.
pub(super) fn verdict_or_state(row: &LeaderboardRow) -> String {
    if row.verdict.is_some() { verdict(row) } else { state(row) }
}

/// The verdict, and the mark of a trial that comes last because of it.
fn verdict(row: &LeaderboardRow) -> String {
    let mark = if row.is_put_last() { format!(" {}", figures::UNFIT_MARK) } else { String::new() };
    or_nothing(row.verdict, |verdict| format!("{verdict}{mark}"))
}

impl Leaderboard {
    /// The columns of a table for people. The state is shown only if a trial is not complete, the seed only
    /// if trials differ in nothing else.
    pub(super) fn columns(&self) -> Vec<Column> {
        let mut columns = vec![
            Column::new("rank", true, |row| or_nothing(row.rank, |rank| rank.to_string())),
            Column::new("trial", true, |row| row.trial.to_string()),
        ];
        if self.rows.iter().any(|row| row.state != State::Complete) {
            columns.push(Column::new("state", false, state));
        }
        for name in &self.swept {
            let key = name.clone();
            columns.push(Column::new(name, true, move |row| param(row, &key)));
        }
        let recipe = |row: &LeaderboardRow| format!("{} {:?}", row.params, row.fold);
        let mut seeds: Vec<_> = self.rows.iter().map(recipe).collect();
        seeds.sort_unstable();
        if self.folds.is_some() {
            columns.push(Column::new("fold", true, |row| or_nothing(row.fold, |fold| fold.to_string())));
        }
        if seeds.windows(2).any(|pair| pair[0] == pair[1]) {
            columns.push(Column::new("seed", true, |row| row.seed.to_string()));
        }
        columns.push(Column::new("test F1 [95 %]  ", false, test_f1));
        if self.rows.iter().any(|row| row.clean.is_some()) {
            columns.push(Column::new("clean F1 [95 %]", false, clean_f1));
        }
        columns.extend([
            Column::new("accuracy", true, |row| {
                or_nothing(row.test.as_ref(), |test| figures::share(test.accuracy))
            }),
            Column::new("val F1", true, |row| or_nothing(row.val_f1, figures::share)),
            Column::new("val loss", true, |row| or_nothing(row.val_loss, loss)),
            Column::new("train loss", true, |row| or_nothing(row.train_loss, loss)),
            Column::new("best epoch", true, |row| or_nothing(row.best_epoch, figures::number)),
            Column::new("verdict", false, verdict),
            Column::new("time", true, |row| or_nothing(row.seconds, figures::duration)),
            Column::new("device", false, |row| or_nothing(row.device.as_deref(), figures::plain)),
        ]);
        columns
    }

    /// The headings of a table, and the cells of every row.
    pub(crate) fn cells(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let columns = self.columns();
        let row = |row: &LeaderboardRow| {
            columns.iter().map(|column| (column.cell)(row).trim_end().to_owned()).collect()
        };
        (
            columns.iter().map(|column| column.heading.trim_end().to_owned()).collect(),
            self.rows.iter().map(row).collect(),
        )
    }

    /// Says why trials failed: a sentence for each.
    pub(crate) fn failures(&self) -> impl Iterator<Item = String> {
        self.rows.iter().filter_map(|row| {
            let reason = figures::shorten(&figures::plain(row.reason.as_ref()?), REASON_COLUMNS_MAX);
            Some(format!("Trial {} failed: {reason}", row.trial))
        })
    }

    /// A Markdown document: heading, table, footnotes.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        self.to_markdown_of(usize::MAX)
    }

    /// As [`Self::to_markdown`], with the first `rows` rows. The notes are about all rows.
    #[must_use]
    pub fn to_markdown_of(&self, rows: usize) -> String {
        let columns = self.columns();
        let cells = |row| columns.iter().map(|column| (column.cell)(row)).collect();
        Document {
            title: &self.sweep,
            order: &format!("Ranked by {}.", self.ranked_by()),
            headings: columns.iter().map(|column| (column.heading.clone(), column.right)).collect(),
            rows: self.rows.iter().take(rows).map(cells).collect(),
            notes: self.hidden(rows).into_iter().chain(self.footnotes()).chain(self.failures()).collect(),
        }
        .to_markdown()
    }

    /// The rows as a JSON array, with a line break at its end. A figure that is not finite is `null`.
    #[must_use]
    pub fn to_json(&self) -> String {
        rows_to_json(&self.rows)
    }

    /// The rows as CSV with a line of headings: the fields of a JSON row, with a column for each swept
    /// setting and `test_` before the names of test figures. A text is written as [`figures::cell`] does.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let binary = self.target.positive().is_some();
        let rows = self.rows.iter().map(|row| self.csv_row(row, binary));
        let records: Vec<Vec<String>> = std::iter::once(self.csv_headings(binary)).chain(rows).collect();
        spreadsheet::to_csv(&records)
    }

    fn csv_headings(&self, binary: bool) -> Vec<String> {
        let counts: &[&str] = if binary {
            &["tp", "fp", "tn", "fn"]
        } else {
            &["confusion", "macro_f1", "micro_f1", "weighted_f1"]
        };
        let test = ["loss", "accuracy", "precision", "recall", "f1", "f1_low", "f1_high"];
        let own = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let mut headings = own(&["rank", "trial", "state"]);
        headings.extend(self.swept.iter().cloned());
        headings.extend(own(&["seed", "best_epoch", "epochs_run", "stopped_early"]));
        headings.extend(own(&["train_loss", "val_loss", "val_f1"]));
        headings.extend(test.iter().chain(counts).map(|name| format!("test_{name}")));
        headings.extend(own(&["verdict", "seconds", "device", "tied", "p_value", "reason", "micro_batch"]));
        headings.extend(own(&["warm_started_from", "reused_from", "positive"]));
        headings.extend(own(&["halted_at", "rung", "generation", "place", "of"]));
        headings.extend(own(&["chosen_by", "optimism", "chance_best", "candidates"]));
        headings.extend(own(&["validation_choice", "validation_choice_f1"]));
        headings.extend(own(&["validation_choice_f1_low", "validation_choice_f1_high"]));
        headings.extend(own(&["generalisation_loss", "loss_gap", "f1_change", "evidence"]));
        let clean = ["documents", "accuracy", "f1", "f1_low", "f1_high"];
        headings.extend(clean.map(|name| format!("clean_{name}")));
        headings.extend(own(&["train_f1", "f1_gap"]));
        headings.push("confirms".to_owned());
        headings.push("fold".to_owned());
        headings.push("optimism_is_bound".to_owned());
        headings
    }

    fn csv_row(&self, row: &LeaderboardRow, binary: bool) -> Vec<String> {
        let mut fields = vec![text(row.rank), row.trial.0.to_string(), row.state.as_str().to_owned()];
        fields.extend(
            self.swept
                .iter()
                .map(|name| text(row.params.0.iter().find(|(key, _)| key == name).map(|(_, value)| value))),
        );
        fields.extend([row.seed.to_string(), text(row.best_epoch), text(row.epochs_run)]);
        fields.extend([text(row.stopped_early), text(row.train_loss), text(row.val_loss), text(row.val_f1)]);
        fields.extend(csv_test(row.test.as_ref(), binary));
        fields.extend([text(row.verdict), text(row.seconds), text(row.device.as_ref()), text(row.tied)]);
        fields.extend([text(row.p_value), text(row.reason.as_ref()), text(row.micro_batch)]);
        fields.extend([text(row.warm_started_from.map(|trial| trial.0)), text(row.reused_from.as_ref())]);
        fields.push(text(row.positive.as_ref()));
        let halted = row.halted.as_ref();
        fields.extend([text(halted.map(|at| at.epoch)), text(halted.map(|at| at.rung))]);
        fields.push(text(halted.map(|at| at.generation)));
        fields.extend([text(halted.and_then(|at| at.place)), text(halted.and_then(|at| at.of))]);
        fields.extend(csv_winner(row.winner.as_ref()));
        let evidence = row.evidence.as_ref();
        fields.push(text(evidence.and_then(|it| it.generalisation_loss)));
        fields.push(text(evidence.and_then(|it| it.loss_gap)));
        fields.push(text(evidence.and_then(|it| it.f1_change)));
        fields.push(text(evidence.map(|it| &it.text)));
        let clean = row.clean.as_ref();
        fields.extend([text(clean.map(|it| it.documents)), text(clean.map(|it| it.accuracy))]);
        fields.extend([text(clean.map(|it| it.f1)), text(clean.map(|it| it.f1_low))]);
        fields.push(text(clean.map(|it| it.f1_high)));
        fields.extend([text(evidence.and_then(|it| it.train_f1)), text(evidence.and_then(|it| it.f1_gap))]);
        fields.push(text(row.confirms.as_ref().map(|why| why.trial.0)));
        fields.push(text(row.fold));
        fields.push(text(row.winner.as_ref().and_then(|it| it.optimism_is_bound)));
        fields
    }
}

/// What is known of the choice of the leader: eight fields.
fn csv_winner(winner: Option<&Winner>) -> [String; 8] {
    let choice = winner.and_then(|it| it.validation_choice);
    [
        text(winner.map(|it| it.chosen_by.as_str())),
        text(winner.and_then(|it| it.optimism)),
        text(winner.and_then(|it| it.chance_best)),
        text(winner.and_then(|it| it.candidates)),
        text(choice.map(|it| it.trial.0)),
        text(choice.map(|it| it.f1)),
        text(choice.map(|it| it.f1_low)),
        text(choice.map(|it| it.f1_high)),
    ]
}

/// The test figures of a row: eleven fields in a binary task, and eleven in any other.
fn csv_test(test: Option<&TestFigures>, binary: bool) -> Vec<String> {
    let Some(test) = test else { return vec![String::new(); 11] };
    let mut fields: Vec<String> =
        [test.loss, test.accuracy, test.precision, test.recall, test.f1, test.f1_low, test.f1_high]
            .iter()
            .map(f64::to_string)
            .collect();
    match &test.counts {
        TestCounts::Binary { tp, fp, tn, fn_ } if binary => {
            fields.extend([tp, fp, tn, fn_].map(ToString::to_string));
        }
        // Only where the log disagrees with the plan about the task: its matrix has no place in these
        // columns.
        TestCounts::Matrix { .. } if binary => fields.extend(std::iter::repeat_n(String::new(), 4)),
        TestCounts::Binary { tp, fp, tn, fn_ } => fields.push(format!("[[{tn},{fp}],[{fn_},{tp}]]")),
        TestCounts::Matrix { confusion } => {
            let row = |row: &Vec<u64>| {
                format!("[{}]", row.iter().map(u64::to_string).collect::<Vec<_>>().join(","))
            };
            fields.push(format!("[{}]", confusion.rows().iter().map(row).collect::<Vec<_>>().join(",")));
        }
    }
    if !binary {
        let averages = test.averages.as_ref();
        let averages = averages.map(|each| [each.macro_f1, each.micro_f1, each.weighted_f1]);
        fields.extend(averages.map_or_else(Default::default, |each| each.map(|f1| f1.to_string())));
    }
    fields
}

/// A field of CSV; empty if there is none.
pub(super) fn text<T: ToString>(field: Option<T>) -> String {
    field.map_or_else(String::new, |field| field.to_string())
}

/// A loss with three decimals, unless it is huge.
fn loss(loss: f64) -> String {
    if loss.is_finite() && loss.abs() < 1e5 { format!("{loss:.3}") } else { figures::number(loss) }
}
