//! Stand-ins for parts that are built elsewhere; each is replaced by the real one.

use std::{
    error::Error,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use super::Rank;
use crate::{plan::Plan, results::SweepFolder, settings::Value, study::Study, trial::TrialId};

/// A spec that was read: its plan, and its text with the overrides taken in.
pub(super) struct SpecRead {
    pub(super) plan: Plan,
    pub(super) text: String,
}

/// Reads a spec; here: a plan as JSON.
pub(super) fn read_spec(path: &Path, overrides: &[String]) -> Result<SpecRead, String> {
    let _ = overrides;
    let text =
        fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let plan = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(SpecRead { plan, text })
}

#[expect(clippy::unnecessary_wraps, reason = "a stand-in")]
/// Draws the curve and the confusion matrix of each of `trials`.
pub(super) fn draw_trials(
    folder: &SweepFolder,
    study: &Study,
    trials: &[TrialId],
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let _ = (folder, study, trials);
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "a stand-in")]
/// Writes `leaderboard.{csv,json,md}`.
pub(super) fn write_leaderboard(
    folder: &SweepFolder,
    study: &Study,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let _ = (folder, study);
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "a stand-in")]
/// Draws `overview.png` and writes `report.html`.
pub(super) fn draw_sweep(folder: &SweepFolder, study: &Study) -> Result<(), Box<dyn Error + Send + Sync>> {
    let _ = (folder, study);
    Ok(())
}

/// The leaderboard as text; `top`: its first rows only.
pub(super) fn leaderboard(study: &Study, format: &str, rank: Rank, top: Option<usize>) -> String {
    let _ = (format, rank);
    let complete = study.trials.iter().filter_map(|trial| Some((trial, trial.outcome.as_ref()?)));
    let mut rows: Vec<_> = complete.collect();
    rows.sort_by(|(_, a), (_, b)| b.test.f1.total_cmp(&a.test.f1));
    rows.truncate(top.unwrap_or(usize::MAX));
    let row = |(trial, outcome): &(&crate::study::TrialRecord, &crate::event::Outcome)| {
        format!("{} {} {}\n", trial.trial.id, trial.trial.params, Value::Float(outcome.test.f1))
    };
    rows.iter().map(row).collect()
}

/// Exports the best trial's model; the answer is where to.
pub(super) fn export_best(
    sweep: (&SweepFolder, &Plan, &Study),
    rank: Rank,
    out: Option<&Path>,
) -> Result<PathBuf, Box<dyn Error + Send + Sync>> {
    let _ = (sweep, rank, out);
    Err("not built yet".into())
}

/// Classifies texts; without any, those of `input`. The answer is what to print.
pub(super) fn predict(
    model: &Path,
    texts: &[String],
    input: &mut dyn Read,
    json: bool,
) -> Result<String, Box<dyn Error + Send + Sync>> {
    let _ = (model, texts, input, json);
    Err("not built yet".into())
}
