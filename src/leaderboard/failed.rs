//! Why a trial failed, as a row of the leaderboard holds it.

use serde::Serialize;

use crate::{study::TrialRecord, trial::State};

/// Why a trial failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// The kind of failure, as the log and `[run.retries]` name it.
    pub kind: &'static str,
    /// The details.
    pub message: String,
    /// The last lines of `worker.log` as [`crate::results::last_lines`] gives them; empty until
    /// [`super::Leaderboard::add_logs`] has read the log.
    pub log: Vec<String>,
}

impl Failed {
    /// The failure of a trial; `None` unless its state is failed.
    pub(super) fn of(record: &TrialRecord) -> Option<Self> {
        let failure = record.failure.as_ref().filter(|_| record.state == State::Failed)?;
        Some(Self { kind: failure.kind.name(), message: failure.message.clone(), log: Vec::new() })
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
    fn a_failed_trial_has_its_failure_in_parts_with_the_end_of_its_log() {
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
}
