//! `sweep list`: the sweeps of the results folder.
//!
//! A folder that cannot be read is a row of the list, with the reason: it hides no other sweep.

use std::time::SystemTime;

use clap::Args;
use serde::Serialize;

use super::{
    args::ListingFormat,
    exit::{Exit, Stop},
    open::{OpenedSweep, read},
    terminal::{eprint_lossy, print, print_json, table},
};
use crate::{
    display::{self, plain, shorten},
    leaderboard::{self, RankBy},
    report::ListedSweep,
    results::{Results, SweepFolder},
    study::{Counts, Study},
    system::clock,
    trial::TrialId,
};

/// Largest width of the reason why a folder cannot be read, in terminal columns.
const REASON_COLUMNS_MAX: usize = 200;

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// How it is written
    #[arg(long, value_enum, default_value_t = ListingFormat::Table)]
    format: ListingFormat,
}

/// How a sweep stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum SweepState {
    /// A process runs it now.
    Running,
    /// No process runs it, and trials wait.
    Interrupted,
    /// Every trial is complete.
    Complete,
    /// No trial waits, and some failed.
    Failed,
    /// The folder cannot be read.
    Damaged,
}

impl SweepState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Damaged => "damaged",
        }
    }

    /// The state of a sweep with these trials.
    const fn of(counts: Counts, is_running: bool) -> Self {
        match counts {
            _ if is_running => Self::Running,
            Counts { waiting: 0, running: 0, paused: 0, failed: 0, .. } => Self::Complete,
            Counts { waiting: 0, running: 0, paused: 0, .. } => Self::Failed,
            Counts { .. } => Self::Interrupted,
        }
    }
}

/// A sweep in the list. Figures are those of the trial that validation F1 chooses.
#[derive(Serialize)]
struct SweepRow {
    sweep: String,
    state: SweepState,
    counts: Option<Counts>,
    best_trial: Option<TrialId>,
    best_val_f1: Option<f64>,
    best_test_f1: Option<f64>,
    /// Time of the last change, as RFC 3339 in UTC.
    changed: Option<String>,
    /// Why the folder cannot be read.
    damage: Option<String>,
}

pub(super) fn list(args: &ListArgs, results: &Results) -> Result<Exit, Stop> {
    let rows: Vec<SweepRow> = results.folders()?.iter().map(row).collect();
    if args.format == ListingFormat::Json {
        print_json(&rows)?;
    } else if rows.is_empty() {
        eprint_lossy(&format!(
            "{} holds no sweep; `sweep run SPEC` makes one\n",
            display::path(results.root())
        ));
    } else {
        print(&describe(&rows))?;
    }
    Ok(Exit::Complete)
}

/// The row of a sweep, for a page.
pub(super) fn listed(folder: &SweepFolder) -> ListedSweep {
    let row = row(folder);
    let mut cells = line(&row);
    cells.remove(0);
    let is_readable = row.damage.is_none();
    ListedSweep { name: row.sweep, is_readable, cells, damage: row.damage }
}

/// The row of a sweep.
fn row(folder: &SweepFolder) -> SweepRow {
    let damaged = |stop: Stop| SweepRow {
        sweep: folder.name(),
        state: SweepState::Damaged,
        counts: None,
        best_trial: None,
        best_val_f1: None,
        best_test_f1: None,
        changed: folder.last_change().map(clock::seconds),
        damage: Some(stop.message),
    };
    read(folder.clone()).map_or_else(damaged, |opened| healthy(opened, folder.last_change()))
}

/// The row of a sweep that can be read.
fn healthy(OpenedSweep { folder, mut study, .. }: OpenedSweep, changed: Option<SystemTime>) -> SweepRow {
    let is_running = folder.holder().is_some();
    if !is_running {
        study.settle();
    }
    let counts = study.counts();
    let best = best(&study);
    SweepRow {
        sweep: folder.name(),
        state: SweepState::of(counts, is_running),
        counts: Some(counts),
        best_trial: best.map(|best| best.0),
        best_val_f1: best.and_then(|best| best.1),
        best_test_f1: best.and_then(|best| best.2),
        changed: changed.map(clock::seconds),
        damage: None,
    }
}

/// The trial that validation F1 chooses, with its F1 on the validation set and on the test set.
fn best(study: &Study) -> Option<(TrialId, Option<f64>, Option<f64>)> {
    let board = leaderboard::build(study, RankBy::ValF1, &|_| None);
    // Where every trial is unfit for use, none is the best.
    board.leader()?;
    let chosen = board.chosen_by_validation?;
    let row = board.rows.iter().find(|row| row.trial == chosen)?;
    Some((chosen, row.val_f1, row.test.as_ref().map(|test| test.f1)))
}

/// The list as a table, and below it why folders cannot be read.
fn describe(rows: &[SweepRow]) -> String {
    let names = ["sweep", "state", "trials", "failed", "best", "val F1", "test F1", "changed (UTC)"];
    let mut cells = vec![names.map(ToOwned::to_owned).to_vec()];
    cells.extend(rows.iter().map(line));
    let damage = |row: &SweepRow| {
        let reason = shorten(&plain(row.damage.as_ref()?), REASON_COLUMNS_MAX);
        Some(format!("{} cannot be read: {reason}\n", plain(&row.sweep)))
    };
    let damaged: String = rows.iter().filter_map(damage).collect();
    let gap = if damaged.is_empty() { "" } else { "\n" };
    table(&cells) + gap + &damaged
}

/// The cells of a sweep's row.
fn line(row: &SweepRow) -> Vec<String> {
    let figure = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.4}"));
    let total = |counts: Counts| {
        let Counts { waiting, running, complete, failed, paused, halted } = counts;
        waiting + running + complete + failed + paused + halted
    };
    let counts = |text: fn(Counts, usize) -> String| {
        row.counts.map_or_else(String::new, |counts| text(counts, total(counts)))
    };
    vec![
        plain(&row.sweep),
        row.state.as_str().to_owned(),
        counts(|counts, total| format!("{}/{total}", counts.complete)),
        counts(|counts, _| if counts.failed > 0 { counts.failed.to_string() } else { String::new() }),
        row.best_trial.map_or_else(String::new, |trial| trial.to_string()),
        figure(row.best_val_f1),
        figure(row.best_test_f1),
        // Seconds and the zone say little to people.
        row.changed
            .as_ref()
            .map_or_else(String::new, |time| time.replace('T', " ").chars().take(16).collect()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_sweep_follows_from_its_trials_and_from_who_runs_it() {
        let counts = |complete, failed, waiting| Counts { waiting, complete, failed, ..Counts::default() };
        for (counts, is_running, state) in [
            (counts(4, 0, 0), false, SweepState::Complete),
            (counts(3, 1, 0), false, SweepState::Failed),
            (counts(3, 0, 1), false, SweepState::Interrupted),
            (counts(3, 1, 1), false, SweepState::Interrupted),
            (counts(0, 0, 4), true, SweepState::Running),
        ] {
            assert_eq!(SweepState::of(counts, is_running), state);
        }
    }
}
