//! Leaderboards, pictures and the page of a sweep, written into its folder.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    error::Error,
    time::{Duration, Instant},
};

use rayon::prelude::*;

use super::inspecting::Inspector;
use crate::{
    executor::Draw,
    integrity,
    leaderboard::{self, Leaderboard, RankBy},
    report::{self, PageInput},
    results::{self, ResultsError, SweepFolder},
    study::{Study, TrialRecord},
    system::{files, threads},
    trial::{State, TrialId},
};

/// The result of drawing or writing; the error is printed with its causes.
pub(super) type DrawResult = Result<(), Box<dyn Error + Send + Sync>>;

/// Time for the pictures of trials in one drawing, so that the pictures of the sweep are not late where trials
/// end faster than they are drawn.
const TRIAL_PICTURES_MAX: Duration = Duration::from_millis(250);

/// The function that a run calls when trials have ended: it draws their pictures, and brings the leaderboard,
/// `overview.png` and `report.html` up to date. The page lacks the pictures of trials that are left for later.
#[must_use]
pub fn drawing(folder: SweepFolder) -> Draw {
    let mut inspector = Inspector::of_small_data(folder.clone());
    Box::new(move |study, ended| {
        let _turn = folder.turn();
        let board = leaderboard(&folder, study, RankBy::TestF1);
        let mut pictured = report::pictured(&board);
        let begun = Instant::now();
        while let Some(trial) = ended.pop_first() {
            if pictured.contains(&trial) {
                study.trial(trial).map_or(Ok(()), |record| draw_trial(&folder, study, record))?;
            }
            if begun.elapsed() >= TRIAL_PICTURES_MAX {
                break;
            }
        }
        write_leaderboard(&folder, &board)?;
        pictured.retain(|trial| !ended.contains(trial));
        draw_sweep(&folder, study, &board, &pictured, &mut inspector)
    })
}

/// The leaderboard, with comparisons of the trials whose predictions can be read.
pub(super) fn leaderboard(folder: &SweepFolder, study: &Study, rank: RankBy) -> Leaderboard {
    let damaged = RefCell::new(Vec::new());
    let predictions = |id: TrialId| {
        // A trial without this file is ranked, but not compared with the leader.
        let trial = folder.trial(id);
        let whole = study.trial(id).and_then(|record| integrity::predictions(&trial, record, &study.labels));
        if whole.is_none() && trial.predictions().exists() {
            damaged.borrow_mut().push(id);
        }
        whole
    };
    let mut board = leaderboard::build(study, rank, &predictions);
    board.mark_damaged(&damaged.borrow());
    board.add_logs(&|id| results::last_lines(&folder.trial(id).worker_log()));
    board
}

/// Draws missing pictures of the trials that should have pictures. They are missing if the run in which the
/// trial ended was killed, or if the trial was too low on the leaderboard then.
pub(super) fn draw_missing(
    folder: &SweepFolder,
    study: &Study,
    board: &Leaderboard,
    is_wanted: &(dyn Fn() -> bool + Sync),
) -> DrawResult {
    let lacks_picture = |record: &&TrialRecord| {
        let trial = folder.trial(record.trial.id);
        match record.state {
            State::Complete => !trial.curve().exists() || !trial.confusion().exists(),
            State::Failed | State::Halted => !record.evaluations.is_empty() && !trial.curve().exists(),
            State::Waiting | State::Running | State::Paused => false,
        }
    };
    let pictured = report::pictured(board);
    let shown = study.trials.iter().filter(|record| pictured.contains(&record.trial.id));
    let trials = shown.filter(lacks_picture).map(|record| record.trial.id).collect();
    draw_trials(folder, study, &trials, is_wanted)
}

/// Draws the pictures of these trials on all processors, as long as they are wanted.
pub(super) fn draw_trials(
    folder: &SweepFolder,
    study: &Study,
    trials: &BTreeSet<TrialId>,
    is_wanted: &(dyn Fn() -> bool + Sync),
) -> DrawResult {
    let shown: Vec<&TrialRecord> =
        study.trials.iter().filter(|record| trials.contains(&record.trial.id)).collect();
    let draw = |record: &&TrialRecord| if is_wanted() { draw_trial(folder, study, record) } else { Ok(()) };
    if threads::has_pool() { shown.par_iter().try_for_each(draw) } else { shown.iter().try_for_each(draw) }
}

/// Draws the pictures of a trial, as far as it has evaluations and is complete.
fn draw_trial(folder: &SweepFolder, study: &Study, record: &TrialRecord) -> DrawResult {
    let trial = folder.trial(record.trial.id);
    if !record.evaluations.is_empty() {
        report::draw_curve(record, study, &trial.curve())?;
    }
    if record.state == State::Complete {
        report::draw_confusion(record, study, &trial.confusion())?;
    }
    Ok(())
}

/// Writes `leaderboard.{csv,json,md}`.
pub(super) fn write_leaderboard(folder: &SweepFolder, board: &Leaderboard) -> DrawResult {
    let write = |extension: &str, text: String| {
        let path = folder.leaderboard(extension);
        files::write_atomically(&path, text.as_bytes()).map_err(ResultsError::io("write", path.path()))
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
    inspector: &mut Inspector,
) -> DrawResult {
    report::draw_overview(study, board, &folder.overview())?;
    let spec = folder.spec().read_to_string().unwrap_or_default();
    let inspection = inspector.inspect(study, board);
    let input = PageInput { study, board, spec: &spec, pictured, inspection, runner: None };
    report::write_page(&input, &folder.report())?;
    Ok(())
}
