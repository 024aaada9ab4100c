//! What people look at, made from a study and put into the sweep's folder.

use std::{error::Error, fs};

use crate::{
    files,
    leaderboard::{self, Leaderboard, RankBy},
    report,
    results::SweepFolder,
    study::Study,
    trial::{State, TrialId},
};

type Made = Result<(), Box<dyn Error + Send + Sync>>;

/// The leaderboard, with its paired tests where predictions are there.
pub(super) fn leaderboard(folder: &SweepFolder, study: &Study, rank: RankBy) -> Leaderboard {
    let predictions = |id: TrialId| {
        // A trial without the file is ranked all the same, only not compared.
        leaderboard::read_predictions(&folder.trial(id).predictions(), &study.labels).ok()
    };
    leaderboard::build(study, rank, &predictions)
}

/// Draws the pictures of each of `trials` that has something to draw.
pub(super) fn draw_trials(folder: &SweepFolder, study: &Study, trials: &[TrialId]) -> Made {
    for record in study.trials.iter().filter(|record| trials.contains(&record.trial.id)) {
        let trial = folder.trial(record.trial.id);
        if !record.evaluations.is_empty() {
            report::draw_curve(record, study, &trial.curve())?;
        }
        if record.state == State::Complete {
            report::draw_confusion(record, study, &trial.confusion())?;
        }
    }
    Ok(())
}

/// Writes `leaderboard.{csv,json,md}`.
pub(super) fn write_leaderboard(folder: &SweepFolder, board: &Leaderboard) -> Made {
    for (extension, text) in [("csv", board.to_csv()), ("json", board.to_json()), ("md", board.to_markdown())]
    {
        files::write_atomically(&folder.leaderboard(extension), text.as_bytes())?;
    }
    Ok(())
}

/// Draws `overview.png` and writes `report.html`.
pub(super) fn draw_sweep(folder: &SweepFolder, study: &Study, board: &Leaderboard) -> Made {
    report::draw_overview(study, board, &folder.overview())?;
    let spec = fs::read_to_string(folder.spec()).unwrap_or_default();
    report::write_page(study, board, &spec, &folder.report())?;
    Ok(())
}
