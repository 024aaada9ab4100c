//! What the leaderboard says of trials that others have computed in part or wholly.

use super::{Leaderboard, Row};

/// Trials of a note that are told one by one.
const TRIALS_SHOWN: usize = 5;

impl Leaderboard {
    /// Which trials went on from others, and which were taken over: a sentence each.
    pub(super) fn origin_notes(&self) -> impl Iterator<Item = String> {
        let went_on = |row: &Row| row.warm_started_from.map(|origin| format!("{} from {origin}", row.trial));
        let reused =
            |row: &Row| row.reused_from.as_ref().map(|origin| format!("{} from {origin}", row.trial));
        let notes = [
            ("Went on where another trial ended, with the time of their own steps only", self.pairs(went_on)),
            ("Taken over from another sweep, and not trained in this one", self.pairs(reused)),
        ];
        notes.into_iter().filter_map(|(what, pairs)| Some(format!("{what}: {}.", pairs?)))
    }

    /// What `tell` says of rows, in the order of their numbers.
    fn pairs(&self, tell: impl Fn(&Row) -> Option<String>) -> Option<String> {
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by_key(|row| row.trial);
        let mut told: Vec<String> = rows.into_iter().filter_map(tell).collect();
        let more = told.len().saturating_sub(TRIALS_SHOWN);
        told.truncate(TRIALS_SHOWN);
        if more > 0 {
            told.push(format!("and {more} more"));
        }
        (!told.is_empty()).then(|| told.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        leaderboard::{RankBy, build},
        samples::{record, study},
        trial::{TrialId, TrialRef},
    };

    #[test]
    fn a_row_and_a_footnote_tell_whose_steps_a_trial_has() {
        let mut trials: Vec<_> = (1..=8).map(|id| record(id, &[0.5])).collect();
        let origin =
            |sweep: Option<&str>| Some(TrialRef { sweep: sweep.map(str::to_owned), trial: TrialId(1) });
        trials[2].inherited_from = origin(Some("other"));
        let board = build(&study(trials.clone()), RankBy::TestF1, &|_| None);
        assert_eq!(
            board.origin_notes().collect::<Vec<_>>(),
            ["Taken over from another sweep, and not trained in this one: 0003 from other/0001."]
        );
        let rows: serde_json::Value = serde_json::from_str(&board.to_json()).unwrap();
        assert_eq!(rows[2]["reused_from"], serde_json::json!({"sweep": "other", "trial": 1}));
        assert!(rows[2]["warm_started_from"].is_null() && rows[1]["reused_from"].is_null());
        assert!(board.to_csv().contains(",,other/0001\n"));
        trials.iter_mut().skip(1).for_each(|trial| trial.inherited_from = origin(None));
        let board = build(&study(trials), RankBy::TestF1, &|_| None);
        let note = board.origin_notes().collect::<String>();
        assert!(note.ends_with("0005 from 0001, 0006 from 0001, and 2 more."), "{note}");
        assert!(board.to_csv().contains(",1,\n") && board.to_table().contains(&note));
    }
}
