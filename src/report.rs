//! Pictures of each trial and of the sweep, and a page that holds them.
//!
//! Everything is drawn from a [`Study`] and a [`Leaderboard`], at any time and as often as
//! wanted; nothing here reads the log or decides anything. A picture is drawn in memory and
//! written to a temporary file that is then renamed, so that a reader never sees half of it.

mod axis;
mod canvas;
mod charts;
mod confusion;
mod curve;
mod curve_points;
mod error;
mod names;
mod overview;
mod page;
mod palette;
mod panel;
mod shapes;
mod text;
mod transliterate;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use self::{
    error::ReportError,
    page::{
        Inspection, ListedSweep, Mistake, PageInput, PageState, Shown, index, page, policy, program,
        unreadable,
    },
};
use crate::{
    effects::{Effects, Observed},
    leaderboard::{Calibration, Leaderboard},
    study::{Study, TrialRecord},
    system::files::{self, Place},
    trial::TrialId,
};

/// Largest number of trials of a sweep in which every trial has its pictures.
pub const ALL_PICTURED_MAX: usize = 200;
/// Number of trials that have pictures in a larger sweep.
pub const PICTURED_IN_LARGE_SWEEP: usize = 100;

/// Writes `curve.png`, 1200 by 900 pixels: the losses and validation F1 of a trial by epoch, with the best
/// epoch and the stretches of overfitting.
///
/// # Errors
/// When the trial has no evaluation yet, or `path` cannot be written.
pub fn draw_curve(record: &TrialRecord, study: &Study, place: &Place) -> Result<(), ReportError> {
    write(place, &curve::png(record, study)?)
}

/// Writes `confusion.png`: the counts on the test set by true and predicted class.
///
/// # Errors
/// When the trial is not complete, or `path` cannot be written.
pub fn draw_confusion(record: &TrialRecord, study: &Study, place: &Place) -> Result<(), ReportError> {
    write(place, &confusion::png(record, study)?)
}

/// Writes `overview.png`, 1500 pixels wide: every validation curve, coloured by rank, and test F1 against
/// each swept setting.
///
/// # Errors
/// When `place` cannot be written.
pub fn draw_overview(study: &Study, board: &Leaderboard, place: &Place) -> Result<(), ReportError> {
    write(place, &overview::png(study, board)?)
}

/// A picture of a whole sweep besides the overview, drawn where there is enough to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chart {
    /// The first trials of the leaderboard as dots with intervals.
    Leaderboard,
    /// How much each setting decided, and the mean figure by its value.
    Importance,
    /// The trials as lines over all settings.
    Parallel,
    /// The cells of two settings of a grid.
    HeatMap,
    /// How far the leader's probabilities can be believed.
    Calibration,
    /// The expected best figure against the number of draws.
    ExpectedBest,
}

impl Chart {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Leaderboard,
        Self::Importance,
        Self::Parallel,
        Self::HeatMap,
        Self::Calibration,
        Self::ExpectedBest,
    ];

    /// The name of its file in the sweep's folder.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Leaderboard => "leaderboard.png",
            Self::Importance => "importance.png",
            Self::Parallel => "parallel.png",
            Self::HeatMap => "heatmap.png",
            Self::Calibration => "calibration.png",
            Self::ExpectedBest => "expected_best.png",
        }
    }
}

/// What the charts of a sweep are drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Charted<'a> {
    /// The sweep.
    pub study: &'a Study,
    /// Its leaderboard.
    pub board: &'a Leaderboard,
    /// The trials by their settings.
    pub observed: &'a Observed,
    /// What the settings did.
    pub effects: &'a Effects,
    /// The calibration of the leader, if there is one.
    pub calibration: Option<&'a Calibration>,
}

/// Writes each chart, 1200 pixels wide (calibration: 820), to the place that `place` gives, and removes what is there where
/// there is too little to show.
///
/// # Errors
/// When a place cannot be written.
pub fn draw_charts(charted: &Charted<'_>, place: &dyn Fn(Chart) -> Place) -> Result<(), ReportError> {
    for chart in Chart::ALL {
        match chart_png(chart, charted) {
            Some(png) => write(&place(chart), &png?)?,
            // A picture of an earlier state would contradict the others. What cannot be removed stays.
            None => _ = place(chart).remove(),
        }
    }
    Ok(())
}

/// A chart, if there is enough to show.
fn chart_png(chart: Chart, charted: &Charted<'_>) -> Option<Result<Vec<u8>, ReportError>> {
    let Charted { study, board, observed, effects, calibration } = *charted;
    match chart {
        Chart::Leaderboard => charts::leaderboard(study, board),
        Chart::Importance => charts::importance(study, effects),
        Chart::Parallel => charts::parallel(study, observed, effects),
        Chart::HeatMap => charts::heat_map(study, effects),
        Chart::Calibration => charts::calibration(study, board, calibration?),
        Chart::ExpectedBest => charts::expected_best(study, effects),
    }
}

/// Writes `report.html`; see [`page`](page()).
///
/// # Errors
/// When `place` cannot be written.
pub fn write_page(input: &PageInput<'_>, place: &Place) -> Result<(), ReportError> {
    write(place, page(input).document(Shown::File).as_bytes())
}

/// The trials that have pictures: all trials, or in a large sweep the first ones on the leaderboard.
#[must_use]
pub fn pictured(board: &Leaderboard) -> BTreeSet<TrialId> {
    let count = if board.rows.len() > ALL_PICTURED_MAX { PICTURED_IN_LARGE_SWEEP } else { board.rows.len() };
    board.rows.iter().take(count).map(|row| row.trial).collect()
}

/// Writes a temporary file beside `place` and renames it.
fn write(place: &Place, bytes: &[u8]) -> Result<(), ReportError> {
    files::write_atomically(place, bytes)
        .map_err(|source| ReportError::Writing { path: place.path().to_owned(), source })
}
