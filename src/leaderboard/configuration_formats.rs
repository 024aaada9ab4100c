//! The leaderboard by configuration as a table, Markdown, JSON and CSV.

use std::fmt::Write as _;

use super::{
    configurations::{ConfigurationRow, Configurations},
    document::{Document, rows_to_json},
    figures::{self, NOTHING},
    folds::FoldFigures,
    listing::text,
    spreadsheet,
    table::{TableColumn, aligned, stacked, widest},
};
use crate::{display::wrap, trial::TrialId};

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
            order: &format!("Configurations, ranked by {}.", self.ranked_by),
            headings,
            rows: cells,
            notes: self.hidden(rows).into_iter().chain(self.footnotes()).collect(),
        }
        .to_markdown()
    }

    /// The figure that ranks them, with the class whose F1 it is.
    #[must_use]
    pub fn ranked_by(&self) -> &str {
        &self.ranked_by
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
        headings.extend(own(&["val_f1", "val_f1_sd", "val_loss", "trials"]));
        if self.comparison.is_some() {
            headings.extend(own(&["folds", "folds_of", "whole_repeats", "documents"]));
            headings.extend(own(&["out_of_fold_f1", "out_of_fold_f1_sd", "out_of_fold_f1_low"]));
            headings.extend(own(&["out_of_fold_f1_high", "collapsed", "tied", "p_value"]));
        }
        let row = |row: &ConfigurationRow| {
            let value = |name: &String| row.params.0.iter().find(|(key, _)| key == name);
            let mut fields = vec![text(row.rank)];
            fields.extend(self.swept.iter().map(|name| text(value(name).map(|(_, value)| value))));
            fields.extend([row.seeds.to_string(), row.unfit.to_string()]);
            fields.extend([text(row.test_f1.map(|f1| f1.mean)), text(row.test_f1.and_then(|f1| f1.sd))]);
            fields.extend([text(row.test_f1.map(|f1| f1.low)), text(row.test_f1.map(|f1| f1.high))]);
            fields.extend([text(row.val_f1), text(row.val_f1_sd), text(row.val_loss)]);
            fields.push(row.trials.iter().map(|trial| trial.0.to_string()).collect::<Vec<_>>().join(" "));
            fields.extend(row.folds.as_ref().map(csv_folds).into_iter().flatten());
            fields
        };
        let records: Vec<Vec<String>> = std::iter::once(headings).chain(self.rows.iter().map(row)).collect();
        spreadsheet::to_csv(&records)
    }

    /// The headings of a table, with whether their column is aligned to the right, and the cells of each row.
    pub(crate) fn cells(&self, rows: usize) -> (Vec<(String, bool)>, Vec<Vec<String>>) {
        let mut headings = vec![("rank".to_owned(), true)];
        headings.extend(self.swept.iter().map(|name| (figures::shorten(&figures::plain(name), 24), true)));
        let own: &[(&str, bool)] = if self.comparison.is_some() {
            &[("folds", true), ("out-of-fold F1 [95 %]  ", false), ("val F1", false)]
        } else {
            &[("seeds", true)]
        };
        let test = [("test F1", false), ("[95 %]", false)];
        let validation: &[(&str, bool)] = if self.comparison.is_some() { &[] } else { &[("val F1", false)] };
        let last = [("val loss", true), ("trials", false)];
        let all = own.iter().chain(&test).chain(validation).chain(&last);
        headings.extend(all.map(|(name, right)| ((*name).to_owned(), *right)));
        let cells = |row: &ConfigurationRow| {
            let value = |name: &String| row.params.0.iter().find(|(key, _)| key == name);
            let mut cells = vec![or_nothing(row.rank.map(|rank| rank.to_string()))];
            cells.extend(self.swept.iter().map(|name| {
                or_nothing(value(name).map(|(_, value)| figures::shorten(&figures::value(value), 24)))
            }));
            let val_f1 = with_sd(row.val_f1, row.val_f1_sd);
            let test = [
                with_sd(row.test_f1.map(|f1| f1.mean), row.test_f1.and_then(|f1| f1.sd)),
                or_nothing(row.test_f1.map(|f1| figures::interval(f1.low, f1.high))),
            ];
            match &row.folds {
                Some(folds) => cells.extend(
                    [done(folds), out_of_fold(folds, row.is_put_last()), val_f1].into_iter().chain(test),
                ),
                None => cells.extend([row.seeds.to_string()].into_iter().chain(test).chain([val_f1])),
            }
            cells.push(or_nothing(row.val_loss.map(figures::number)));
            cells.push(trials(&row.trials));
            cells
        };
        (headings, self.rows.iter().take(rows).map(cells).collect())
    }

    /// Says how many configurations stand below the first `rows`, and how to see them.
    pub(crate) fn hidden(&self, rows: usize) -> Option<String> {
        let (hidden, total) = (self.rows.len().saturating_sub(rows), self.rows.len());
        let are = if hidden == 1 { "is" } else { "are" };
        (hidden > 0).then(|| {
            format!("{hidden} of {total} configurations {are} not shown; `--top all` of `sweep leaderboard` shows all.")
        })
    }
}

/// A cell; [`NOTHING`] if there is none.
fn or_nothing(figure: Option<String>) -> String {
    figure.unwrap_or_else(|| NOTHING.to_owned())
}

/// `.912 ± .008`
fn with_sd(mean: Option<f64>, sd: Option<f64>) -> String {
    let sd = sd.map_or_else(String::new, |sd| format!(" ± {}", figures::share(sd)));
    or_nothing(mean.map(|mean| figures::share(mean) + &sd))
}

/// `5`, or `4 of 5` where a fold is not complete.
fn done(folds: &FoldFigures) -> String {
    let FoldFigures { complete, of, .. } = folds;
    if folds.is_incomplete() { format!("{complete} of {of}") } else { of.to_string() }
}

/// F1 over the documents of all folds, with its interval, and the mark of a tie with the leader or of one that is put last.
fn out_of_fold(folds: &FoldFigures, is_put_last: bool) -> String {
    let mark = match folds.tied {
        _ if is_put_last => figures::UNFIT_MARK,
        Some(true) => figures::TIE_MARK,
        Some(false) | None => " ",
    };
    or_nothing(
        folds.f1.map(|f1| {
            format!("{} {} {mark}", with_sd(Some(f1.mean), f1.sd), figures::interval(f1.low, f1.high))
        }),
    )
}

/// The fields of CSV that sweeps with folds alone have.
fn csv_folds(folds: &FoldFigures) -> [String; 11] {
    let FoldFigures { complete, of, repeats, documents, f1, collapsed, tied, p_value, .. } = folds;
    [
        complete.to_string(),
        of.to_string(),
        repeats.to_string(),
        documents.to_string(),
        text(f1.map(|f1| f1.mean)),
        text(f1.and_then(|f1| f1.sd)),
        text(f1.map(|f1| f1.low)),
        text(f1.map(|f1| f1.high)),
        collapsed.to_string(),
        text(*tied),
        text(*p_value),
    ]
}

/// The numbers of some trials: `0001`, `0003 0007`, `0001 to 0005`.
pub(super) fn trials(all: &[TrialId]) -> String {
    match all {
        [first, .., last] if all.len() > 2 && all.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0) => {
            format!("{first} to {last}")
        }
        _ => all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    }
}
