//! A board as a Markdown document, and its rows as JSON: the forms that trials and configurations share.

use std::fmt::Write as _;

use serde::Serialize;

use super::figures;

/// What a document shows.
pub(super) struct Document<'a> {
    /// Its heading.
    pub(super) title: &'a str,
    /// A sentence that says what its order follows.
    pub(super) order: &'a str,
    /// The headings of its table, each with whether its column is set to the right.
    pub(super) headings: Vec<(String, bool)>,
    /// The cells of its table.
    pub(super) rows: Vec<Vec<String>>,
    /// Sentences below the table.
    pub(super) notes: Vec<String>,
}

impl Document<'_> {
    /// The document as Markdown; no text in it is markup.
    pub(super) fn to_markdown(&self) -> String {
        let mut text =
            format!("# {}\n\n{}\n\n", figures::markdown(self.title), figures::markdown(self.order));
        let mut line = |cells: Vec<String>| {
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        };
        line(self.headings.iter().map(|(heading, _)| figures::markdown(heading.trim_end())).collect());
        line(self.headings.iter().map(|(_, right)| if *right { "--:" } else { "---" }.to_owned()).collect());
        for row in &self.rows {
            line(row.iter().map(|cell| figures::markdown(cell.trim_end())).collect());
        }
        for note in &self.notes {
            let _ = write!(text, "\n{}\n", figures::markdown(note));
        }
        text
    }
}

/// Rows as a JSON array, with a line break at its end. A figure that is not finite is `null`.
pub(super) fn rows_to_json<T: Serialize>(rows: &[T]) -> String {
    let mut text = serde_json::to_string_pretty(rows).unwrap_or_else(|error| {
        unreachable!("rows hold text, numbers and maps with text keys only: {error}")
    });
    text.push('\n');
    figures::json(&text)
}
