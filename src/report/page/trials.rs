//! The trials one by one: curves and confusion of the first ones, links to the pictures of the others, and why trials failed.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{confusion, curves, words::isolated};
use crate::{
    leaderboard::{
        Leaderboard, LeaderboardRow,
        figures::{self, html as escape},
    },
    study::{Study, TrialRecord},
    trial::TrialId,
};

/// Number of trials, first on the leaderboard, whose charts are part of the page without a script.
pub(super) const CHARTS_MAX: usize = 20;

/// The part of the page.
pub(super) fn part(study: &Study, board: &Leaderboard, pictured: &BTreeSet<TrialId>) -> String {
    let mut html = "<h2>Trials</h2>\n".to_owned();
    let rows: Vec<(&LeaderboardRow, &TrialRecord)> = board
        .rows
        .iter()
        .filter(|row| pictured.contains(&row.trial))
        .filter_map(|row| Some((row, study.trial(row.trial)?)))
        .collect();
    let (first, others) = rows.split_at(rows.len().min(CHARTS_MAX));
    html.push_str("<div class=\"grid\">\n");
    for (row, record) in first {
        let _ = writeln!(html, "<figure id=\"trial-{}\">", row.trial);
        charts(&mut html, row, record, &study.labels);
        let _ = writeln!(html, "<figcaption>{}</figcaption>", caption(row));
        evidence(&mut html, row);
        failure(&mut html, row);
        html.push_str("</figure>\n");
    }
    html.push_str("</div>\n");
    links(&mut html, others);
    if pictured.len() < board.rows.len() {
        let _ = writeln!(
            html,
            "<p class=\"soft\">The first {} of {} trials on the leaderboard have pictures; <code>sweep report \
             --all</code> draws those of every one.</p>",
            pictured.len(),
            board.rows.len()
        );
    }
    html
}

/// The number, rank, verdict and parameters of a trial.
fn caption(row: &LeaderboardRow) -> String {
    let rank = row.rank.map_or_else(|| row.state.as_str().to_owned(), |rank| format!("rank {rank}"));
    let verdict = row.verdict.map_or_else(String::new, |verdict| format!(" · {verdict}"));
    let param =
        |(name, value): &(String, _)| format!("{} = {}", escape(name), isolated(&figures::value(value)));
    let params: Vec<String> = row.params.0.iter().map(param).collect();
    format!("<b>{}</b> · {rank}{verdict}<br><span class=\"soft\">{}</span>", row.trial, params.join(", "))
}

/// Writes the charts that a trial has.
fn charts(html: &mut String, row: &LeaderboardRow, record: &TrialRecord, labels: &[String]) {
    let id = row.trial;
    if record.evaluations.is_empty() {
        html.push_str("<p class=\"soft\">No evaluation yet.</p>\n");
    } else {
        let verdict = row.verdict.map_or_else(String::new, |verdict| format!(", verdict {verdict}"));
        let best = row
            .best_epoch
            .map_or_else(String::new, |epoch| format!(", best epoch {}", figures::number(epoch)));
        let words = format!("Losses and validation F1 of trial {id} by epoch{best}{verdict}");
        html.push_str(&curves::of_trial(record, &words));
    }
    if let Some(outcome) = &record.outcome {
        let matrix = confusion::table(&outcome.test.confusion, labels, &id.to_string());
        let _ = writeln!(html, "<details><summary>Confusion on the test set</summary>{matrix}</details>");
    }
}

/// Writes links to the pictures of the trials behind the first ones.
fn links(html: &mut String, others: &[(&LeaderboardRow, &TrialRecord)]) {
    if others.is_empty() {
        return;
    }
    let _ = writeln!(
        html,
        "<h3>Other trials</h3>\n<p>The charts of the first {CHARTS_MAX} trials are part of this page. The pictures of the \
         other {} lie in <code>trials/</code> beside it: their links work as long as the page stays in its folder.</p>\n\
         <ul class=\"others\">",
        others.len(),
    );
    for (row, record) in others {
        let id = row.trial;
        let mut links = Vec::new();
        if !record.evaluations.is_empty() {
            links.push(format!("<a href=\"trials/{id}/curve.png\">losses and F1</a>"));
        }
        if record.outcome.is_some() {
            links.push(format!("<a href=\"trials/{id}/confusion.png\">confusion</a>"));
        }
        let _ = write!(html, "<li id=\"trial-{id}\">{}<br>{}", caption(row), links.join(" · "));
        evidence(html, row);
        failure(html, row);
        html.push_str("</li>\n");
    }
    html.push_str("</ul>\n");
}

/// Writes what the verdict of a trial rests on.
fn evidence(html: &mut String, row: &LeaderboardRow) {
    if let Some(evidence) = &row.evidence {
        let _ = writeln!(html, "<p class=\"soft\">{}</p>", escape(&evidence.text));
    }
}

/// Writes why a trial failed, with the last lines of its worker's log.
fn failure(html: &mut String, row: &LeaderboardRow) {
    if let Some(reason) = &row.reason {
        let _ = writeln!(html, "<p class=\"soft\">{}</p>", escape(reason));
    }
    if let Some(failed) = row.failure.as_ref().filter(|failed| !failed.log.is_empty()) {
        let _ = writeln!(html, "<pre tabindex=\"0\">{}</pre>", escape(&failed.log.join("\n")));
    }
}
