//! What rows of failed trials, and of those that memory was too small for, say about it.

use serde::Serialize;

use super::{Leaderboard, Row};
use crate::{
    study::TrialRecord,
    trial::{State, TrialId},
};

/// Trials of a note that are told one by one.
const TRIALS_SHOWN: usize = 5;

/// Why a trial failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// The kind, as the log and `[run.retries]` name it.
    pub kind: &'static str,
    /// The details.
    pub message: String,
    /// The last lines of `worker.log`, if somebody has looked: as [`crate::results::last_lines`] gives them.
    pub log: Vec<String>,
}

impl Failed {
    pub(super) fn of(record: &TrialRecord) -> Option<Self> {
        let failure = record.failure.as_ref().filter(|_| record.state == State::Failed)?;
        Some(Self { kind: failure.kind.name(), message: failure.message.clone(), log: Vec::new() })
    }
}

impl Leaderboard {
    /// Adds what the workers of failed trials said last.
    pub fn add_logs(&mut self, last_lines: &dyn Fn(TrialId) -> Vec<String>) {
        for row in &mut self.rows {
            if let Some(failed) = &mut row.failure {
                failed.log = last_lines(row.trial);
            }
        }
    }

    /// Which trials did not fit into memory as they were planned: a sentence each.
    pub(super) fn memory_notes(&self) -> Vec<String> {
        let small = |row: &Row| Some((row.trial, row.micro_batch?));
        let mut notes: Vec<String> = self
            .rows
            .iter()
            .filter_map(small)
            .take(TRIALS_SHOWN)
            .map(|(trial, size)| {
                format!("Trial {trial} ran in micro-batches of {size} after running out of memory.")
            })
            .collect();
        let more = self.rows.iter().filter_map(small).count() - notes.len();
        if more > 0 {
            notes.push(format!("So did {more} more, in micro-batches of some size."));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        leaderboard::{RankBy, build},
        samples::{failed, record, study},
        trial::FailureKind,
    };

    #[test]
    fn a_failed_trial_says_why_and_what_its_worker_said_last() {
        let broken = failed(record(2, &[0.6]), FailureKind::Signal(11));
        let mut board = build(&study(vec![record(1, &[0.5]), broken]), RankBy::TestF1, &|_| None);
        board.add_logs(&|id| vec![format!("the end of {id}")]);
        let rows: serde_json::Value = serde_json::from_str(&board.to_json()).unwrap();
        assert!(rows[0]["failure"].is_null() && rows[0]["micro_batch"].is_null());
        let failure = &rows[1]["failure"];
        assert_eq!(failure["kind"], "signal");
        assert_eq!(failure["message"], "it stopped\nthere");
        assert_eq!(failure["log"], serde_json::json!(["the end of 0002"]));
    }

    #[test]
    fn a_footnote_tells_which_trials_ran_in_micro_batches() {
        let mut trials: Vec<_> = (1..=7).map(|id| record(id, &[0.5])).collect();
        trials[2].micro_batch = Some(8);
        let board = build(&study(trials.clone()), RankBy::TestF1, &|_| None);
        assert_eq!(
            board.memory_notes(),
            ["Trial 0003 ran in micro-batches of 8 after running out of memory."]
        );
        assert!(board.to_table().contains("micro-batches of 8") && board.to_csv().contains(",8,,\n"));
        for trial in &mut trials {
            trial.micro_batch = Some(1);
        }
        let board = build(&study(trials), RankBy::TestF1, &|_| None);
        assert_eq!(board.memory_notes().len(), 6);
        assert_eq!(board.memory_notes()[5], "So did 2 more, in micro-batches of some size.");
    }
}
