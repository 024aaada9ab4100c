//! The leaderboard as a table: its heading, a row for each trial, its footnotes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::words::{isolated, scroll_box};
use crate::{
    leaderboard::{Configurations, Leaderboard, LeaderboardRow, figures::html as escape},
    trial::TrialId,
};

/// Configurations that the page shows.
const CONFIGURATIONS_MAX: usize = 100;

/// The heading and the rows of a table.
pub(super) struct Table {
    /// The row of headings.
    pub(super) head: String,
    /// The row of each trial, by its number.
    pub(super) rows: BTreeMap<u32, String>,
}

/// The table of the trials. Those in `pictured` link to their pictures.
pub(super) fn table(board: &Leaderboard, pictured: &BTreeSet<TrialId>) -> Table {
    let (headings, cells) = board.cells();
    let mut head = "<tr>".to_owned();
    for heading in &headings {
        let class = if heading == "trial" { " class=\"id\"" } else { "" };
        let _ = write!(head, "<th scope=\"col\"{class}>{}</th>", escape(heading));
    }
    head.push_str("</tr>");
    let leader = board.leader().map(|row| row.trial);
    let row = |(row, cells): (&LeaderboardRow, &Vec<String>)| {
        let is_linked = pictured.contains(&row.trial);
        (row.trial.0, html(row, (&headings, cells), leader == Some(row.trial), is_linked))
    };
    Table { head, rows: board.rows.iter().zip(&cells).map(row).collect() }
}

/// The row of a trial.
fn html(
    row: &LeaderboardRow,
    (headings, cells): (&[String], &[String]),
    is_best: bool,
    is_linked: bool,
) -> String {
    let class = if is_best { " class=\"best\"" } else { "" };
    let mut html = format!(
        "<tr id=\"row-{}\" data-trial=\"{}\" data-state=\"{}\"{class}>",
        row.trial,
        row.trial.0,
        row.state.as_str()
    );
    for (heading, cell) in headings.iter().zip(cells) {
        let cell = isolated(cell);
        let _ = match heading.as_str() {
            "trial" if is_linked => {
                write!(html, "<td class=\"id\"><a href=\"#trial-{}\">{cell}</a></td>", row.trial)
            }
            "trial" => write!(html, "<td class=\"id\">{cell}</td>"),
            // What is shown as minutes is sorted as seconds.
            "time" => write!(html, "<td data-v=\"{}\">{cell}</td>", row.seconds.unwrap_or(f64::NAN)),
            _ => write!(html, "<td>{cell}</td>"),
        };
    }
    html.push_str("</tr>");
    html
}

/// The configurations of a sweep with folds: a table, and its footnotes.
pub(super) fn configurations(configurations: &Configurations) -> String {
    let (headings, rows) = configurations.cells(CONFIGURATIONS_MAX);
    let mut html = format!(
        "<h2>Configurations</h2>\n<p>Ranked by {}.</p>\n{}<table>\n<thead><tr>",
        escape(configurations.ranked_by()),
        scroll_box("Configurations over all folds")
    );
    for (heading, _) in &headings {
        let _ = write!(html, "<th scope=\"col\">{}</th>", escape(heading.trim_end()));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in &rows {
        let cells: Vec<String> =
            row.iter().map(|cell| format!("<td>{}</td>", isolated(cell.trim_end()))).collect();
        let _ = writeln!(html, "<tr>{}</tr>", cells.concat());
    }
    html.push_str("</tbody></table></div>\n");
    for note in configurations.hidden(CONFIGURATIONS_MAX).into_iter().chain(configurations.footnotes()) {
        let _ = writeln!(html, "<p class=\"soft\">{}</p>", escape(&note));
    }
    html
}

/// What ranks, above the table.
pub(super) fn ranking(board: &Leaderboard) -> String {
    format!("<p>Ranked by {}.</p>", escape(&board.ranked_by()))
}

/// The footnotes, and why trials failed.
pub(super) fn notes(board: &Leaderboard) -> String {
    let mut html = String::new();
    for note in board.footnotes().into_iter().chain(board.failures()) {
        let _ = writeln!(html, "<p class=\"soft\">{}</p>", escape(&note));
    }
    html
}
