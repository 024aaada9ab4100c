//! What people look at: a picture of each trial, one of the sweep, and a page that holds them.
//!
//! Everything is drawn from a [`Study`] and a [`Leaderboard`], at any time and as often as
//! wanted; nothing here reads the log or decides anything. A picture is drawn in memory and
//! then moved to its place, so that a reader never meets half of one.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use crate::{
    leaderboard::Leaderboard,
    study::{Study, TrialRecord},
    system::files,
    trial::TrialId,
};

mod axis;
mod canvas;
mod confusion;
mod curve;
mod overview;
mod page;
mod palette;
mod panel;
mod text;

#[cfg(test)]
mod tests;

pub use page::page;

/// Trials of a sweep of which each has its pictures.
pub const ALL_PICTURED_MAX: usize = 200;
/// Trials that have them in a larger sweep.
pub const PICTURED: usize = 100;

/// Why a picture or a page was not made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The trial has nothing that the picture shows.
    #[error("trial {trial} has no {what} to draw")]
    NothingToDraw {
        /// The trial.
        trial: TrialId,
        /// What it lacks.
        what: &'static str,
    },
    /// A shape could not be drawn: a bug.
    #[error("drawing a picture: {message}")]
    Drawing {
        /// What the drawing library said.
        message: String,
    },
    /// The picture could not be encoded.
    #[error("encoding a picture")]
    Encoding(#[source] png::EncodingError),
    /// The file could not be written.
    #[error("writing {}", path.display())]
    Writing {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes `curve.png`, 1200 by 900 pixels: losses with the best epoch and the stretches of
/// overfitting, and validation F1, by epoch.
///
/// # Errors
/// When the trial has no evaluation yet, or `path` cannot be written.
pub fn draw_curve(record: &TrialRecord, study: &Study, path: &Path) -> Result<(), ReportError> {
    write(path, &curve::png(record, study)?)
}

/// Writes `confusion.png`: the counts on the test set by true and predicted class.
///
/// # Errors
/// When the trial is not complete, or `path` cannot be written.
pub fn draw_confusion(record: &TrialRecord, study: &Study, path: &Path) -> Result<(), ReportError> {
    write(path, &confusion::png(record, study)?)
}

/// Writes `overview.png`, 1500 pixels wide: every validation curve coloured by rank, and test F1
/// against each swept setting.
///
/// # Errors
/// When `path` cannot be written.
pub fn draw_overview(study: &Study, board: &Leaderboard, path: &Path) -> Result<(), ReportError> {
    write(path, &overview::png(study, board)?)
}

/// Writes `report.html`, to stand beside `overview.png` and `trials/`; see [`page`].
///
/// # Errors
/// When `path` cannot be written.
pub fn write_page(
    study: &Study,
    board: &Leaderboard,
    spec: &str,
    pictured: &BTreeSet<TrialId>,
    path: &Path,
) -> Result<(), ReportError> {
    write(path, page(study, board, spec, pictured).as_bytes())
}

/// The trials whose pictures are worth their time and room: all, and of a sweep of many those that
/// stand first on its leaderboard.
#[must_use]
pub fn pictured(board: &Leaderboard) -> BTreeSet<TrialId> {
    let count = if board.rows.len() > ALL_PICTURED_MAX { PICTURED } else { board.rows.len() };
    board.rows.iter().take(count).map(|row| row.trial).collect()
}

/// Writes a temporary file beside `path` and gives it its name.
fn write(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    files::write_atomically(path, bytes)
        .map_err(|source| ReportError::Writing { path: path.to_owned(), source })
}
