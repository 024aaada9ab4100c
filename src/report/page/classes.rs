//! The best trial's figures for each class of the test set, and its confusion matrix.

use std::fmt::Write as _;

use super::{
    confusion,
    words::{isolated, scroll_box},
};
use crate::{
    leaderboard::{
        Averages, Leaderboard, LeaderboardRow,
        figures::{self, html as escape},
    },
    study::Study,
};

/// The part of the page; empty without a leader.
pub(super) fn part(study: &Study, board: &Leaderboard) -> String {
    let Some(leader) = board.leader().filter(|row| row.test.is_some()) else { return String::new() };
    let mut html = format!(
        "<h2>Classes</h2>\n<p>The test set by class, in trial <a href=\"#trial-{0}\">{0}</a>, the best by {1}.</p>\n\
         <div class=\"pair\">\n<div>\n",
        leader.trial,
        escape(&board.ranked_by()),
    );
    class_table(&mut html, board, leader);
    html.push_str("</div>\n<div>\n");
    if let Some(outcome) = study.trial(leader.trial).and_then(|record| record.outcome.as_ref()) {
        html.push_str(&confusion::table(&outcome.test.confusion, &study.labels, &leader.trial.to_string()));
    }
    html.push_str("</div>\n</div>\n");
    html
}

/// Writes the table of the classes with their averages.
fn class_table(html: &mut String, board: &Leaderboard, row: &LeaderboardRow) {
    let Some(test) = &row.test else { return };
    html.push_str(&scroll_box("Classes"));
    html.push_str("<table>\n<thead><tr>");
    for heading in ["class", "precision", "recall", "F1", "documents"] {
        let _ = write!(html, "<th scope=\"col\">{heading}</th>");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for class in &test.classes {
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            isolated(&class.label),
            figures::share(class.precision),
            figures::share(class.recall),
            figures::share(class.f1),
            class.support,
        );
    }
    html.push_str("</tbody></table></div>\n");
    if let Some(Averages { macro_f1, micro_f1, weighted_f1 }) = test.averages {
        let _ = writeln!(
            html,
            "<p class=\"soft\">macro-F1 {}, micro-F1 {}, weighted F1 {}; what ranks here is {}.</p>",
            figures::share(macro_f1),
            figures::share(micro_f1),
            figures::share(weighted_f1),
            board.target.f1_name(),
        );
    }
}
