//! The picture of a sweep: every validation curve, and test F1 against each swept setting.

mod arranged;
mod curves;
mod layout;
mod quartiles;
mod ranked;
mod related;
mod setting;
mod setting_panel;
mod settings;
mod swarm;

use self::{
    curves::draw_curves,
    layout::{MARGIN, RIGHT, SETTINGS_HEIGHT, SETTINGS_LEGEND, SETTINGS_TOP, WIDTH},
    ranked::{is_unfit, shades},
    setting::{Setting, settings},
    settings::{across, draw_settings, panels},
};
use super::{
    canvas::{self, Canvas, Label},
    error::ReportError,
    names,
    palette::{INK, SOFT},
    panel::TITLE_SIZE,
    text,
};
use crate::{
    leaderboard::{
        Leaderboard, figures,
        verdict::{self, Verdict},
    },
    numbers,
    study::Study,
    trial::State,
};

/// Height of a note at the lower edge.
const NOTE_HEIGHT: f64 = 24.0;

/// Draws the picture.
pub(super) fn png(study: &Study, board: &Leaderboard) -> Result<Vec<u8>, ReportError> {
    let settings = settings(study, board);
    let f1 = format!("test {}", names::f1(board.target, &study.labels));
    let notes = notes(&settings, study, &f1);
    let rows = numbers::count(settings.len().div_ceil(across(settings.len())));
    let top = SETTINGS_TOP + SETTINGS_LEGEND - 26.0 + rows * SETTINGS_HEIGHT;
    let height = top + numbers::count(notes.len()) * NOTE_HEIGHT + 8.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand pixels")]
    let height = height as u32;
    let ranked = shades(board);
    let panels = panels(&settings, &ranked);
    canvas::in_bands(WIDTH, height, |canvas| {
        head(canvas, study, board);
        draw_curves(canvas, study, board, &ranked);
        draw_settings(canvas, &panels, &f1, &ranked);
        for (line, note) in notes.iter().enumerate() {
            let y = top + numbers::count(line) * NOTE_HEIGHT;
            let note = text::fit(note, TITLE_SIZE - 1.0, RIGHT - MARGIN);
            canvas.text((MARGIN, y), &note, Label::new(TITLE_SIZE - 1.0, SOFT));
        }
    })
}

/// What a reader must know about the whole picture: a sentence each.
fn notes(settings: &[Setting], study: &Study, f1: &str) -> Vec<String> {
    let values = settings.iter().flat_map(|setting| setting.values.values());
    let mut names = settings.iter().map(|setting| setting.name.clone()).chain(values.map(figures::value));
    let is_transliterated = |name: &str| text::is_transliterated(name);
    let is_said = is_transliterated(&study.sweep)
        || is_transliterated(f1)
        || names.any(|name| is_transliterated(&name));
    let said = is_said.then(|| text::TRANSLITERATED.to_owned());
    let halted = study.counts().halted;
    let left_out = (halted > 0).then(|| {
        let (s, have, they_are) = if halted == 1 { ("", "has", "it is") } else { ("s", "have", "they are") };
        format!("{halted} halted trial{s} {have} no test figure: {they_are} left out of the panels of {f1}.")
    });
    left_out.into_iter().chain(related::note(settings)).chain(said).collect()
}

/// Draws title, leader and its parameters.
fn head(canvas: &mut Canvas, study: &Study, board: &Leaderboard) {
    let room = RIGHT - MARGIN;
    let title = format!("{} · {}", study.sweep, counts(study));
    canvas.text((MARGIN, 38.0), &text::fit(&title, 25.0, room * 0.87), Label::new(25.0, INK).bold());
    let best = board.leader().map_or_else(
        || no_leader(study).to_owned(),
        |row| {
            let f1 = row.test.as_ref().map_or_else(String::new, |test| {
                let interval = figures::interval(test.f1_low, test.f1_high);
                let name = names::f1(board.target, &study.labels);
                format!("test {name} {} {interval}", figures::share(test.f1))
            });
            let tied = board.rows.iter().filter(|row| row.tied == Some(true)).count();
            let tied =
                if tied == 0 { String::new() } else { format!(", {tied} not distinguishable from it") };
            let verdict =
                row.verdict.filter(|_| is_unfit(row)).map_or_else(String::new, |it| format!(" ({it})"));
            format!("Best by {}: trial {}{verdict} · {f1}{tied}", board.rank_by.describe(), row.trial)
        },
    );
    canvas.text((MARGIN, 72.0), &text::fit(&best, 18.0, room), Label::new(18.0, INK));
    if let Some(row) = board.leader() {
        let params = row.params.0.iter();
        let params: Vec<String> =
            params.map(|(name, value)| format!("{name} = {}", figures::value(value))).collect();
        for line in text::wrap(&params, "    ", TITLE_SIZE, room, 1) {
            canvas.text((MARGIN, 100.0), &line, Label::new(TITLE_SIZE, SOFT));
        }
    }
}

/// Says why there is no leader.
fn no_leader(study: &Study) -> &'static str {
    if !study.is_over() && study.counts().complete == 0 {
        "No trial is complete yet."
    } else if study.trials.is_empty() {
        "There is no trial."
    } else if study.counts().complete == 0 && study.counts().halted > 0 {
        "No trial is complete: all were halted or failed."
    } else if study.counts().complete == 0 {
        "No trial is complete: every one failed."
    } else if study.trials.iter().filter_map(verdict::judge).any(Verdict::is_unfit) {
        "No trial is fit for use: every complete one is collapsed or diverged."
    } else {
        "No trial has a figure to rank by."
    }
}

/// The number of trials, and how many of them are not complete.
fn counts(study: &Study) -> String {
    let count = |state: State| study.trials.iter().filter(|record| record.state == state).count();
    let trials = study.trials.len();
    let mut parts = vec![format!("{trials} trial{}", if trials == 1 { "" } else { "s" })];
    for state in [State::Halted, State::Failed, State::Running, State::Paused, State::Waiting] {
        if count(state) > 0 {
            parts.push(format!("{} {}", count(state), state.as_str()));
        }
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        samples::{self, failed, record, study},
        trial::FailureKind,
    };

    #[test]
    fn a_sweep_that_is_not_over_may_still_have_a_leader() {
        let mut waiting = record(1, &[]);
        waiting.state = State::Waiting;
        assert_eq!(no_leader(&study(vec![waiting])), "No trial is complete yet.");
    }

    #[test]
    fn a_sweep_whose_trials_all_collapsed_has_no_leader() {
        let collapsed = study(vec![samples::collapsed(1, 0.9)]);
        assert!(no_leader(&collapsed).starts_with("No trial is fit for use"));
    }

    #[test]
    fn a_sweep_whose_trials_all_failed_has_no_leader() {
        let broken = failed(record(1, &[0.5]), FailureKind::Panic);
        assert_eq!(no_leader(&study(vec![broken])), "No trial is complete: every one failed.");
    }
}
