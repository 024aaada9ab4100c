//! The leaderboard on a terminal: a table with aligned columns.
//!
//! A narrow terminal gets fewer columns; one that is too narrow for the remaining columns gets a
//! block of lines for each trial instead.

use std::fmt::Write as _;

use super::{
    board::{Leaderboard, LeaderboardRow},
    figures,
    listing::Column,
};
use crate::display::wrap;

/// Columns that are left out on a narrow terminal, in the order in which they are left out.
const DISPENSABLE: [&str; 8] =
    ["device", "time", "train loss", "seed", "best epoch", "val loss", "accuracy", "clean F1 [95 %]"];

/// A column with the cells of the rows that are shown.
struct TableColumn {
    heading: String,
    right: bool,
    cells: Vec<String>,
    /// Width of the widest cell or of the heading, in terminal columns.
    width: usize,
}

impl TableColumn {
    fn new(column: &Column, rows: &[LeaderboardRow]) -> Self {
        let cells: Vec<String> = rows.iter().map(|row| (column.cell)(row)).collect();
        let heading = column.heading.clone();
        let width = cells.iter().chain([&heading]).map(|cell| figures::columns(cell)).max().unwrap_or(0);
        Self { heading, right: column.right, cells, width }
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
        let all = || -> Vec<TableColumn> {
            self.columns().iter().map(|column| TableColumn::new(column, rows)).collect()
        };
        let mut columns = all();
        let mut left_out = Vec::new();
        let is_too_wide = |table: &str| width.is_some_and(|width| widest(table) > width);
        let mut table = aligned(&columns, rows.len());
        for name in DISPENSABLE {
            if !is_too_wide(&table) {
                break;
            }
            if let Some(at) = columns.iter().position(|column| column.heading == name) {
                columns.remove(at);
                left_out.push(name);
                table = aligned(&columns, rows.len());
            }
        }
        if is_too_wide(&table) {
            left_out.clear();
            table = stacked(&all(), rows.len());
        }
        let mut notes: Vec<String> =
            hidden.into_iter().chain(self.footnotes()).chain(self.failures()).collect();
        if !left_out.is_empty() {
            let names = left_out.join(", ");
            notes.push(format!("Left out to fit the terminal: {names}. --format csv has everything."));
        }
        if !notes.is_empty() {
            let lines = notes
                .iter()
                .flat_map(|note| width.map_or_else(|| vec![note.clone()], |width| wrap(note, width)));
            let _ = write!(table, "\n{}\n", lines.collect::<Vec<_>>().join("\n"));
        }
        table
    }
}

/// Width of the widest line, in terminal columns.
fn widest(text: &str) -> usize {
    text.lines().map(figures::columns).max().unwrap_or(0)
}

/// The table with a line of headings and a line for each of the first `rows` rows.
fn aligned(columns: &[TableColumn], rows: usize) -> String {
    let mut table = String::new();
    for row in std::iter::once(None).chain((0..rows).map(Some)) {
        let mut line = String::new();
        for column in columns {
            let cell =
                row.map_or(Some(&column.heading), |row| column.cells.get(row)).map_or("", String::as_str);
            let pad = " ".repeat(column.width - figures::columns(cell));
            let (before, after) = if column.right { (pad.as_str(), "") } else { ("", pad.as_str()) };
            let _ = write!(line, "{before}{cell}{after}  ");
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

/// A block for each of the first `rows` rows: rank and trial, and below them a line for each other column.
fn stacked(columns: &[TableColumn], rows: usize) -> String {
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

    /// Columns that this leaderboard has at no width.
    const ABSENT: [&str; 2] = ["seed", "clean F1 [95 %]"];

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
    fn lines_keep_to_any_width_by_leaving_columns_out_in_their_order() {
        let mut before = usize::MAX;
        for width in (40..=140).rev() {
            let table = board().to_table_within(Some(width), usize::MAX);
            assert!(widest(&body(&table)) <= width, "{width}\n{table}");
            if table.starts_with("rank 1, trial") {
                assert!(width < 80, "stacked at {width}\n{table}");
                continue;
            }
            let columns = headings(&table).split('|').count();
            assert!(columns <= before, "{width}\n{table}");
            before = columns;
            let gone = DISPENSABLE
                .into_iter()
                .filter(|name| !ABSENT.contains(name) && !headings(&table).contains(name));
            let gone: Vec<&str> = gone.collect();
            assert!(widest(&table) <= width, "{width}\n{table}");
            let unbroken = table.replace("\n  ", " ");
            match unbroken.split_once("Left out to fit the terminal: ") {
                Some((_, names)) => assert!(names.starts_with(&format!("{}. --format csv", gone.join(", ")))),
                None => assert!(gone.is_empty(), "{width}\n{table}"),
            }
        }
    }

    #[test]
    fn eighty_columns_hold_what_decides() {
        let table = board().to_table_within(Some(80), usize::MAX);
        assert!(headings(&table).starts_with("rank|trial|learning_rate|dropout|test F1 [95 %]"), "{table}");
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
