//! The picture of a sweep: every validation curve, and test F1 against each swept setting.

mod curves;
mod layout;
mod ranked;
mod settings;

use self::{
    curves::draw_curves,
    layout::{MARGIN, RIGHT, SETTINGS_HEIGHT, SETTINGS_TOP, WIDTH},
    ranked::shades,
    settings::{across, draw_settings, settings},
};
use super::{
    canvas::{self, Canvas, Label},
    error::ReportError,
    palette::{INK, SOFT},
    panel::TITLE_SIZE,
    text,
};
use crate::{
    leaderboard::{
        Leaderboard, figures,
        verdict::{self, Verdict},
    },
    study::Study,
    trial::State,
};

/// Draws the picture.
pub(super) fn png(study: &Study, board: &Leaderboard) -> Result<Vec<u8>, ReportError> {
    let settings = settings(study, board);
    let rows = settings.len().div_ceil(across(settings.len()));
    #[expect(clippy::cast_precision_loss, reason = "few rows")]
    let height = SETTINGS_TOP + rows as f64 * SETTINGS_HEIGHT + 16.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand pixels")]
    let height = height as u32;
    let ranked = shades(board);
    let f1 = format!("test {}", board.target.f1_name());
    canvas::in_bands(WIDTH, height, |canvas| {
        head(canvas, study, board);
        draw_curves(canvas, study, board, &ranked);
        draw_settings(canvas, &settings, &f1, &ranked);
    })
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
                format!("test {} {} {interval}", board.target.f1_name(), figures::share(test.f1))
            });
            let tied = board.rows.iter().filter(|row| row.tied == Some(true)).count();
            let tied =
                if tied == 0 { String::new() } else { format!(", {tied} not distinguishable from it") };
            format!("Best by {}: trial {} · {f1}{tied}", board.rank_by.describe(), row.trial)
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
    if !study.is_over() {
        "No trial is complete yet."
    } else if study.trials.is_empty() {
        "There is no trial."
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
    for state in [State::Failed, State::Running, State::Waiting] {
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
