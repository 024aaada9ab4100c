//! The leaderboard by configuration as a table, Markdown, JSON and CSV.

use std::fmt::Write as _;

use super::{
    configurations::{ConfigurationRow, Configurations},
    document::{Document, rows_to_json},
    listing::text,
    spreadsheet,
    table::{TableColumn, aligned, stacked, widest},
};
use crate::display::wrap;

impl Configurations {
    /// The table of the first `rows` rows, then the footnotes, which are about all rows. A table that is wider than
    /// `width` terminal columns is a block of lines for each configuration instead.
    #[must_use]
    pub fn to_table_within(&self, width: Option<usize>, rows: usize) -> String {
        let (headings, cells) = self.cells(rows);
        let column = |(at, (heading, right)): (usize, &(String, bool))| {
            TableColumn::of(heading, *right, cells.iter().map(|row| row[at].clone()).collect())
        };
        let columns: Vec<TableColumn> = headings.iter().enumerate().map(column).collect();
        let mut table = aligned(&columns, cells.len());
        if width.is_some_and(|width| widest(&table) > width) {
            table = stacked(&columns, cells.len());
        }
        let notes = self.hidden(rows).into_iter().chain(self.footnotes());
        let lines: Vec<String> = notes
            .flat_map(|note| width.map_or_else(|| vec![note.clone()], |width| wrap(&note, width)))
            .collect();
        let _ = write!(table, "\n{}\n", lines.join("\n"));
        table
    }

    /// A Markdown document: heading, table of the first `rows` rows, footnotes.
    #[must_use]
    pub fn to_markdown_of(&self, rows: usize) -> String {
        let (headings, cells) = self.cells(rows);
        Document {
            title: &self.sweep,
            order: &format!("Configurations, ranked by the mean of {}.", self.ranked_by),
            headings,
            rows: cells,
            notes: self.hidden(rows).into_iter().chain(self.footnotes()).collect(),
        }
        .to_markdown()
    }

    /// The rows as a JSON array, with a line break at its end. A figure that is not finite is `null`.
    #[must_use]
    pub fn to_json(&self) -> String {
        rows_to_json(&self.rows)
    }

    /// The rows as CSV with a line of headings: the fields of a JSON row, with a column for each swept setting.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let own = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let mut headings = own(&["rank"]);
        headings.extend(self.swept.iter().cloned());
        headings.extend(own(&["seeds", "unfit", "test_f1", "test_f1_sd", "test_f1_low", "test_f1_high"]));
        headings.extend(own(&["val_f1", "val_f1_sd", "val_loss", "trials", "confirming"]));
        let row = |row: &ConfigurationRow| {
            let value = |name: &String| row.params.0.iter().find(|(key, _)| key == name);
            let mut fields = vec![text(row.rank)];
            fields.extend(self.swept.iter().map(|name| text(value(name).map(|(_, value)| value))));
            fields.extend([row.seeds.to_string(), row.unfit.to_string()]);
            fields.extend([text(row.test_f1.map(|f1| f1.mean)), text(row.test_f1.and_then(|f1| f1.sd))]);
            fields.extend([text(row.test_f1.map(|f1| f1.low)), text(row.test_f1.map(|f1| f1.high))]);
            fields.extend([text(row.val_f1), text(row.val_f1_sd), text(row.val_loss)]);
            fields.push(row.trials.iter().map(|trial| trial.0.to_string()).collect::<Vec<_>>().join(" "));
            fields.push(row.confirming.to_string());
            fields
        };
        let records: Vec<Vec<String>> = std::iter::once(headings).chain(self.rows.iter().map(row)).collect();
        spreadsheet::to_csv(&records)
    }

    /// Says how many configurations stand below the first `rows`, and how to see them.
    fn hidden(&self, rows: usize) -> Option<String> {
        let (hidden, total) = (self.rows.len().saturating_sub(rows), self.rows.len());
        let are = if hidden == 1 { "is" } else { "are" };
        (hidden > 0).then(|| {
            format!("{hidden} of {total} configurations {are} not shown; `--top all` of `sweep leaderboard` shows all.")
        })
    }
}
