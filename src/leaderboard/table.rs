//! The leaderboard on a terminal: a table with aligned columns.
//!
//! A narrow terminal gets rank, trial, test F1 and verdict, and of the other columns as many as fit, swept settings first.
//! One that is too narrow for these four gets a block of lines for each trial instead.

use std::fmt::Write as _;

use super::{
    board::{Leaderboard, LeaderboardRow},
    figures,
    listing::{self, Column},
};
use crate::display::wrap;

/// Columns that every table has.
const ESSENTIAL: [&str; 4] = ["rank", "trial", "test F1 [95 %]  ", VERDICT];
/// On a narrow terminal, this column says the state of a trial that has no verdict.
const VERDICT: &str = "verdict";
const STATE: &str = "state";
/// Columns that a narrow terminal has after the swept settings, in the order in which they are chosen.
const WISHED: [&str; 10] = [
    "fold",
    "seed",
    "clean F1 [95 %]",
    "val F1",
    "best epoch",
    "accuracy",
    "val loss",
    "train loss",
    "time",
    "device",
];
/// Spaces between two columns.
const GAP: usize = 2;

/// A column with the cells of the rows that are shown.
pub(super) struct TableColumn {
    heading: String,
    right: bool,
    cells: Vec<String>,
    /// Width of the widest cell or of the heading, in terminal columns.
    width: usize,
}

impl TableColumn {
    fn new(column: &Column, rows: &[LeaderboardRow]) -> Self {
        Self::of(&column.heading, column.right, rows.iter().map(|row| (column.cell)(row)).collect())
    }

    pub(super) fn of(heading: &str, right: bool, cells: Vec<String>) -> Self {
        let heading = heading.to_owned();
        let width = cells.iter().chain([&heading]).map(|cell| figures::columns(cell)).max().unwrap_or(0);
        Self { heading, right, cells, width }
    }
}

impl Leaderboard {
    /// The table with every column, then the footnotes. Ends with a line break.
    #[must_use]
    pub fn to_table(&self) -> String {
        self.to_table_within(None, usize::MAX)
    }

    /// The table of the first `rows` rows, then the footnotes, which are about all rows.
    ///
    /// `width` is the largest width of a line, in terminal columns; `None` for no limit. Footnotes are broken
    /// between words.
    #[must_use]
    pub fn to_table_within(&self, width: Option<usize>, rows: usize) -> String {
        let hidden = self.hidden(rows);
        let rows = self.rows.get(..rows).unwrap_or(&self.rows);
        let all: Vec<TableColumn> =
            self.columns().iter().map(|column| TableColumn::new(column, rows)).collect();
        let (mut table, mut left_out) = (aligned(&all, rows.len()), Vec::new());
        if let Some(width) = width.filter(|width| widest(&table) > *width) {
            (table, left_out) = match self.chosen(rows, width) {
                Some((chosen, others)) => (aligned(&chosen, rows.len()), others),
                None => (stacked(&all, rows.len()), left_out),
            };
        }
        let mut notes: Vec<String> =
            hidden.into_iter().chain(self.footnotes()).chain(self.failures()).collect();
        if let Some(width) = width.filter(|_| !left_out.is_empty()) {
            let names = left_out.join(", ");
            notes.push(format!(
                "Left out to fit {width} columns: {names}. sweep leaderboard --wide shows every column."
            ));
        }
        if !notes.is_empty() {
            let lines = notes
                .iter()
                .flat_map(|note| width.map_or_else(|| vec![note.clone()], |width| wrap(note, width)));
            let _ = write!(table, "\n{}\n", lines.collect::<Vec<_>>().join("\n"));
        }
        table
    }

    /// The columns of a table that is at most `width` wide, and the names of all others; `None` if not even the essential
    /// columns fit.
    fn chosen(&self, rows: &[LeaderboardRow], width: usize) -> Option<(Vec<TableColumn>, Vec<String>)> {
        let columns = self.columns().into_iter().filter(|column| column.heading != STATE);
        let columns = columns.map(|column| match column.heading.as_str() {
            VERDICT => Column { cell: Box::new(listing::verdict_or_state), ..column },
            _ => column,
        });
        let columns: Vec<TableColumn> = columns.map(|column| TableColumn::new(&column, rows)).collect();
        let mut by_importance: Vec<usize> = (0..columns.len()).collect();
        by_importance.sort_by_key(|at| self.importance(&columns[*at].heading));
        let mut is_chosen = vec![false; columns.len()];
        let mut used = 0;
        for at in by_importance {
            let with_gap = columns[at].width + if used == 0 { 0 } else { GAP };
            is_chosen[at] = used + with_gap <= width;
            if is_chosen[at] {
                used += with_gap;
            } else if self.importance(&columns[at].heading) == 0 {
                return None;
            }
        }
        let (mut chosen, mut left_out) = (Vec::new(), Vec::new());
        for (column, is_chosen) in columns.into_iter().zip(is_chosen) {
            if is_chosen { chosen.push(column) } else { left_out.push(column.heading.trim_end().to_owned()) }
        }
        Some((chosen, left_out))
    }

    /// The place of a column among those that a narrow table wants, from 0: the essential ones, swept settings, the
    /// wished ones, any other.
    fn importance(&self, heading: &str) -> usize {
        if ESSENTIAL.contains(&heading) {
            return 0;
        }
        if self.swept.iter().any(|name| name == heading) {
            return 1;
        }
        2 + WISHED.iter().position(|wished| *wished == heading).unwrap_or(WISHED.len())
    }
}

/// Width of the widest line, in terminal columns.
pub(super) fn widest(text: &str) -> usize {
    text.lines().map(figures::columns).max().unwrap_or(0)
}

/// The table with a line of headings and a line for each of the first `rows` rows.
pub(super) fn aligned(columns: &[TableColumn], rows: usize) -> String {
    let mut table = String::new();
    for row in std::iter::once(None).chain((0..rows).map(Some)) {
        let mut line = String::new();
        for column in columns {
            let cell =
                row.map_or(Some(&column.heading), |row| column.cells.get(row)).map_or("", String::as_str);
            let pad = " ".repeat(column.width - figures::columns(cell));
            let (before, after) = if column.right { (pad.as_str(), "") } else { ("", pad.as_str()) };
            let _ = write!(line, "{before}{cell}{after}{:GAP$}", "");
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

/// A block for each of the first `rows` rows: rank and trial, and below them a line for each other column.
pub(super) fn stacked(columns: &[TableColumn], rows: usize) -> String {
    let (head, rest) = columns.split_at(columns.len().min(2));
    let width = rest.iter().map(|column| figures::columns(column.heading.trim_end())).max().unwrap_or(0);
    let blocks = (0..rows).map(|row| {
        let cell = |column: &TableColumn| column.cells.get(row).map_or("", |cell| cell.trim()).to_owned();
        let head: Vec<String> =
            head.iter().map(|column| format!("{} {}", column.heading, cell(column))).collect();
        rest.iter().fold(head.join(", ") + "\n", |mut block, column| {
            let heading = column.heading.trim_end();
            let pad = " ".repeat(width - figures::columns(heading));
            let _ = writeln!(block, "  {heading}{pad}  {}", cell(column));
            block
        })
    });
    blocks.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        leaderboard::{RankBy, build},
        samples::{record, study},
        settings::Value,
        trial::State,
    };

    fn board() -> Leaderboard {
        let trials = (1..=3).map(|id| record(id, &[0.6, 0.5 + 0.01 * f64::from(id)])).collect();
        build(&study(trials), RankBy::TestF1, &|_| None)
    }

    fn headings(table: &str) -> String {
        table
            .lines()
            .next()
            .unwrap()
            .split("  ")
            .map(str::trim)
            .filter(|s| !s.is_empty())
            .collect::<Vec<_>>()
            .join("|")
    }

    /// The lines above the footnotes.
    fn body(table: &str) -> String {
        table.split("\n\n").next().unwrap().to_owned()
    }

    #[test]
    fn without_a_terminal_nothing_is_left_out() {
        let table = board().to_table();
        let all = "rank|trial|learning_rate|dropout|test F1 [95 %]|accuracy|val F1|val loss|train loss|\
                   best epoch|verdict|time|device";
        assert_eq!(headings(&table), all);
        assert!(!table.contains("Left out"));
    }

    #[test]
    fn lines_keep_to_any_width_and_every_column_is_there_or_named() {
        let all = headings(&board().to_table());
        for width in 43..=140 {
            let table = board().to_table_within(Some(width), usize::MAX);
            assert!(widest(&table) <= width, "{width}\n{table}");
            let unbroken = table.replace("\n  ", " ");
            let named = unbroken.split_once(" columns: ").map_or("", |(_, names)| names);
            let named: Vec<&str> = named
                .split(". sweep leaderboard")
                .next()
                .unwrap()
                .split(", ")
                .filter(|name| !name.is_empty())
                .collect();
            let found = headings(&table);
            let mut both: Vec<&str> = found.split('|').chain(named).collect();
            let mut expected: Vec<&str> = all.split('|').collect();
            both.sort_unstable();
            expected.sort_unstable();
            assert_eq!(both, expected, "{width}\n{table}");
        }
    }

    #[test]
    fn eighty_columns_hold_what_decides_and_settings_before_other_figures() {
        let table = board().to_table_within(Some(80), usize::MAX);
        let expected = "rank|trial|learning_rate|dropout|test F1 [95 %]|val F1|verdict";
        assert_eq!(headings(&table), expected, "{table}");
    }

    #[test]
    fn a_setting_that_fits_is_shown_behind_one_that_does_not() {
        let mut board = board();
        let long = Value::Text("a-checkpoint-with-a-long-name-of-its-own".to_owned());
        for row in &mut board.rows {
            row.params.0.insert(0, ("checkpoint".to_owned(), long.clone()));
        }
        board.swept.insert(0, "checkpoint".to_owned());
        let table = board.to_table_within(Some(63), usize::MAX);
        assert_eq!(headings(&table), "rank|trial|learning_rate|test F1 [95 %]|verdict", "{table}");
        assert!(table.contains("Left out to fit 63 columns: checkpoint, dropout, "), "{table}");
    }

    #[test]
    fn a_narrow_table_says_the_state_of_a_trial_without_a_verdict() {
        let mut trials = vec![record(1, &[0.6, 0.5]), record(2, &[])];
        trials[1].state = State::Waiting;
        let table = build(&study(trials), RankBy::TestF1, &|_| None).to_table_within(Some(60), 2);
        let line = table.lines().find(|line| line.contains("0002")).unwrap();
        assert!(line.ends_with("waiting") && !headings(&table).contains("state"), "{table}");
    }

    #[test]
    fn a_trial_that_fits_no_line_is_a_block_with_every_column() {
        let table = board().to_table_within(Some(40), 2);
        let block = body(&table);
        assert!(block.starts_with("rank 1, trial 0001\n  learning_rate   1e-5\n"), "{block}");
        assert!(block.ends_with("\n  device          cpu:0"), "{block}");
        assert_eq!(table.matches("rank ").count(), 2);
    }

    #[test]
    fn footnotes_count_the_rows_that_are_not_shown_too() {
        let mut board = board();
        board.comparisons = 2;
        board.rows[1].tied = Some(true);
        board.rows[2].tied = Some(true);
        let table = board.to_table_within(None, 1);
        assert!(!table.contains("0003") && table.contains("2 of 2 compared"), "{table}");
    }
}
