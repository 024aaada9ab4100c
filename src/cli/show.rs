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
    effects::{Effects, Figure, Observed},
    executor::Draw,
    integrity,
    leaderboard::{self, Configurations, Leaderboard, Prediction, RankBy},
    report::{self, Charted, PageInput},
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
        let whole = predictions(folder, study, id);
        if whole.is_none() && folder.trial(id).predictions().exists() {
            damaged.borrow_mut().push(id);
        }
        whole
    };
    let mut board = leaderboard::build(study, rank, &predictions);
    board.mark_damaged(&damaged.borrow());
    board.add_logs(&|id| results::last_lines(&folder.trial(id).worker_log()));
    board
}

/// The leaderboard by configuration.
pub(super) fn configurations(folder: &SweepFolder, study: &Study, rank: RankBy) -> Configurations {
    let board = leaderboard::build(study, rank, &|_| None);
    let out_of_fold =
        |id: TrialId| integrity::out_of_fold(&folder.trial(id), study.trial(id)?, &study.labels);
    leaderboard::configurations(&board, &|id| predictions(folder, study, id), &out_of_fold)
}

/// The figure that chooses among configurations over folds: out-of-fold F1, which leaves the test set untouched by the
/// choice.
pub(super) const FOLDS_RANK: RankBy = RankBy::ValF1;

/// The leaderboard by configuration of a sweep with folds, for people.
pub(super) fn over_folds(folder: &SweepFolder, study: &Study) -> Option<Configurations> {
    study.folds.map(|_| configurations(folder, study, FOLDS_RANK))
}

/// The predictions of a trial on the test set, if its file is whole.
fn predictions(folder: &SweepFolder, study: &Study, id: TrialId) -> Option<Vec<Prediction>> {
    integrity::predictions(&folder.trial(id), study.trial(id)?, &study.labels)
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

/// Draws the pictures of the sweep that take some time, and what [`draw_sweep`] draws.
pub(super) fn draw_whole_sweep(
    folder: &SweepFolder,
    study: &Study,
    board: &Leaderboard,
    pictured: &BTreeSet<TrialId>,
    inspector: &mut Inspector,
) -> DrawResult {
    let observed = Observed::of(study, Figure::ValF1);
    let effects = Effects::of_observed(&study.sweep, &observed);
    let calibration = inspector.inspect(study, board).and_then(|it| it.calibration.as_ref());
    let charted = Charted { study, board, observed: &observed, effects: &effects, calibration };
    report::draw_charts(&charted, &|chart| folder.chart(chart.file()))?;
    draw_sweep(folder, study, board, pictured, inspector)
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
    let configurations = over_folds(folder, study);
    let configurations = configurations.as_ref();
    let input = PageInput { study, board, configurations, spec: &spec, pictured, inspection, runner: None };
    report::write_page(&input, &folder.report())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::{report::Chart, results::Results};

    #[test]
    fn a_fresh_run_leaves_no_chart_of_the_run_before() {
        let root = tempfile::tempdir().unwrap();
        let folder = Results::new(root.path()).sweep("a");
        fs::create_dir(folder.path()).unwrap();
        fs::write(folder.plan().path(), "{}").unwrap();
        for chart in Chart::ALL {
            fs::write(folder.chart(chart.file()).path(), "").unwrap();
        }
        folder.clear(&folder.lock().unwrap()).unwrap();
        assert!(Chart::ALL.iter().all(|chart| !folder.chart(chart.file()).exists()));
    }
}
