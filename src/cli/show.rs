//! What people look at, made from a study and put into the sweep's folder.

use std::{cell::RefCell, collections::BTreeSet, error::Error, fs};

use crate::{
    executor::Draw,
    leaderboard::{self, Leaderboard, RankBy},
    report,
    results::{self, SweepFolder},
    study::{Study, TrialRecord},
    system::files,
    trial::{State, TrialId},
};

type Made = Result<(), Box<dyn Error + Send + Sync>>;

/// What a run draws into `folder` while it lasts: the pictures of trials that ended, and the leaderboard.
#[must_use]
pub fn drawing(folder: SweepFolder) -> Draw {
    Box::new(move |study, trials| {
        let board = leaderboard(&folder, study, RankBy::TestF1);
        let pictured = report::pictured(&board);
        let trials: BTreeSet<TrialId> = trials.iter().filter(|id| pictured.contains(id)).copied().collect();
        draw_trials(&folder, study, &trials)?;
        write_leaderboard(&folder, &board)
    })
}

/// The leaderboard, with its paired tests where predictions are there.
pub(super) fn leaderboard(folder: &SweepFolder, study: &Study, rank: RankBy) -> Leaderboard {
    let damaged = RefCell::new(Vec::new());
    let predictions = |id: TrialId| {
        // A trial without the file is ranked all the same, only not compared.
        let path = folder.trial(id).predictions();
        let read = leaderboard::read_predictions(&path, &study.labels);
        let measured =
            study.trial(id).and_then(|record| Some(record.outcome.as_ref()?.test.confusion.total()));
        let whole = read.ok().filter(|found| measured.is_none_or(|count| count == found.len() as u64));
        if whole.is_none() && path.exists() {
            damaged.borrow_mut().push(id);
        }
        whole
    };
    let mut board = leaderboard::build(study, rank, &predictions);
    board.mark_damaged(&damaged.borrow());
    board.add_logs(&|id| results::last_lines(&folder.trial(id).worker_log()));
    board
}

/// Draws the pictures that trials of `board` lack: the run in which they ended was killed, or they
/// only now stand where pictures are shown.
pub(super) fn draw_missing(folder: &SweepFolder, study: &Study, board: &Leaderboard) -> Made {
    let lacks_picture = |record: &&TrialRecord| {
        let trial = folder.trial(record.trial.id);
        match record.state {
            State::Complete => !trial.curve().exists() || !trial.confusion().exists(),
            State::Failed => !record.evaluations.is_empty() && !trial.curve().exists(),
            State::Waiting | State::Running => false,
        }
    };
    let pictured = report::pictured(board);
    let shown = study.trials.iter().filter(|record| pictured.contains(&record.trial.id));
    let trials = shown.filter(lacks_picture).map(|record| record.trial.id).collect();
    draw_trials(folder, study, &trials)
}

/// Draws the pictures of each of `trials` that has something to draw.
pub(super) fn draw_trials(folder: &SweepFolder, study: &Study, trials: &BTreeSet<TrialId>) -> Made {
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
    let write = |extension: &str, text: String| {
        files::write_atomically(&folder.leaderboard(extension), text.as_bytes())
    };
    write("csv", board.to_csv())?;
    write("json", board.to_json())?;
    write("md", board.to_markdown())?;
    Ok(())
}

/// Draws `overview.png` and writes `report.html`.
pub(super) fn draw_sweep(
    folder: &SweepFolder,
    study: &Study,
    board: &Leaderboard,
    pictured: &BTreeSet<TrialId>,
) -> Made {
    report::draw_overview(study, board, &folder.overview())?;
    let spec = fs::read_to_string(folder.spec()).unwrap_or_default();
    report::write_page(study, board, (&spec, pictured), &folder.report())?;
    Ok(())
}
