//! The page of a sweep: one file that opens from the disk, asks no server for anything, and can be read without scripts.
//!
//! Its charts are drawn here, as SVG; the script beside this file lets readers sort, filter and compare. Texts from data,
//! spec and error messages are escaped.

mod board;
mod classes;
mod confusion;
mod curves;
mod data;
mod effects;
mod index;
mod leaks;
mod plot;
mod predictions;
mod settings;
mod shade;
mod state;
mod thinned;
mod trials;
mod words;

use std::{collections::BTreeSet, fmt::Write as _};

pub use self::{
    index::{ListedSweep, index},
    predictions::{Inspection, Mistake},
    state::{PageState, Shown, policy, program},
};
use crate::{
    effects::{Effects, Figure},
    leaderboard::{
        Configurations, Leaderboard,
        figures::{self, html as escape},
    },
    study::{Counts, Study},
    trial::TrialId,
};

/// What a page is made of.
#[derive(Clone, Copy)]
pub struct PageInput<'a> {
    /// The sweep.
    pub study: &'a Study,
    /// Its leaderboard.
    pub board: &'a Leaderboard,
    /// Its configurations over all folds; `None` without folds.
    pub configurations: Option<&'a Configurations>,
    /// The text of its spec.
    pub spec: &'a str,
    /// The trials with pictures; the others are shown in the leaderboard only.
    pub pictured: &'a BTreeSet<TrialId>,
    /// What a look at the leader's predictions has found.
    pub inspection: Option<&'a Inspection>,
    /// Who runs the sweep now, for a page that is shown while it runs.
    pub runner: Option<&'a str>,
}

/// The page of a sweep, in parts: configurations over folds, leaderboard, curves, settings, classes, mistakes, calibration, trials, spec.
#[must_use]
pub fn page(input: &PageInput<'_>) -> PageState {
    let PageInput { study, board, spec, pictured, .. } = *input;
    let shades = shade::classes(board);
    let table = board::table(board, pictured);
    let spec = format!("<h2>Spec</h2>\n<pre tabindex=\"0\">{}</pre>\n", escape(spec));
    let curves = format!(
        "<h2>Curves</h2>\n<div id=\"curves\"><div class=\"wide\">{}</div></div>\n",
        curves::all(study, board, &shades)
    );
    PageState {
        title: study.sweep.clone(),
        meta: data::meta(study, board),
        head: table.head,
        order: board.rows.iter().map(|row| row.trial.0).collect(),
        rows: table.rows,
        trials: data::trials(study, board, &shades),
        parts: vec![
            ("summary", summary(input)),
            ("configurations", input.configurations.map(board::configurations).unwrap_or_default()),
            ("ranking", format!("<h2>Leaderboard</h2>\n{}", board::ranking(board))),
            (state::BEHIND_TABLE, board::notes(board)),
            ("curves", curves),
            ("settings", settings_part(study, board, &shades)),
            ("importance", importance(study)),
            ("classes", classes::part(study, board)),
            ("predictions", predictions::part(input.inspection, &study.labels)),
            ("leaks", leaks::part(study)),
            ("trials", trials::part(study, board, pictured)),
            ("spec", spec),
        ],
    }
}

/// The page of a sweep that cannot be read, with the reason.
#[must_use]
pub fn unreadable(sweep: &str, why: &str) -> PageState {
    let summary = format!("<p>This sweep cannot be read: {}</p>", escape(&figures::plain(why)));
    PageState { title: sweep.to_owned(), parts: vec![("summary", summary)], ..PageState::default() }
}

/// How the sweep stands, and its best trial.
fn summary(input: &PageInput<'_>) -> String {
    let Counts { waiting, running, complete, failed, paused, halted } = input.study.counts();
    let counts = [
        (complete, "complete"),
        (halted, "halted"),
        (failed, "failed"),
        (running, "running"),
        (paused, "paused"),
        (waiting, "waiting"),
    ];
    let counts = counts.iter().filter(|(count, state)| *count > 0 || *state == "complete");
    let counts: Vec<String> = counts.map(|(count, state)| format!("{count} {state}")).collect();
    let mut html = format!("<p>{} trials: {}.", input.study.trials.len(), counts.join(", "));
    if let most @ 1.. = input.study.confirmations_to_come() {
        let _ = write!(html, " At most {most} more confirm the best.");
    }
    let f1 = input.board.target.f1_name();
    if let Some((row, test)) = input.board.leader().and_then(|row| Some((row, row.test.as_ref()?))) {
        let _ = write!(
            html,
            " The best is trial <a href=\"#row-{0}\">{0}</a>, with test {f1} {1} {2}.",
            row.trial,
            figures::share(test.f1),
            figures::interval(test.f1_low, test.f1_high),
        );
    }
    if let Some(runner) = input.runner {
        let _ = write!(html, " <span class=\"soft\">{}</span>", escape(&figures::plain(runner)));
    }
    html.push_str("</p>\n");
    html
}

/// What each setting did, once the sweep is over.
fn importance(study: &Study) -> String {
    if study.is_over() { effects::part(&Effects::of(study, Figure::ValF1)) } else { String::new() }
}

/// The swept settings; empty without one.
fn settings_part(
    study: &Study,
    board: &Leaderboard,
    shades: &std::collections::BTreeMap<TrialId, &'static str>,
) -> String {
    let (parallel, panels) =
        (settings::parallel(study, board, shades), settings::panels(study, board, shades));
    if parallel.is_empty() {
        return String::new();
    }
    format!(
        "<h2>Settings</h2>\n<div id=\"parallel\">{parallel}</div>\n\
         <p class=\"soft\">A line is a trial, from its settings to its F1; a dot is a trial's test F1. Colours go by rank, and \
         the best trial has one of its own.</p>\n{panels}"
    )
}

#[cfg(test)]
mod tests;
