//! Footnotes about trials that use the work of other trials: a checkpoint to start from, or whole results.

use super::board::{Leaderboard, LeaderboardRow, NOTE_TRIALS_MAX};

impl Leaderboard {
    /// Names the trials that started from another trial's final checkpoint, and the trials whose results
    /// were reused from another sweep: a sentence for each of the two, if there are any.
    pub(super) fn provenance_notes(&self) -> impl Iterator<Item = String> {
        let warm_started =
            |row: &LeaderboardRow| row.warm_started_from.map(|source| format!("{} from {source}", row.trial));
        let reused = |row: &LeaderboardRow| {
            row.reused_from.as_ref().map(|source| format!("{} from {source}", row.trial))
        };
        let notes = [
            (
                "Started from another trial's final checkpoint, with the time of their own steps only",
                self.list_trials(warm_started),
            ),
            ("Taken over from another sweep, and not trained in this one", self.list_trials(reused)),
        ];
        notes.into_iter().filter_map(|(statement, trials)| Some(format!("{statement}: {}.", trials?)))
    }

    /// Joins what `describe` gives for each row, in the order of the trials' numbers; the first
    /// [`NOTE_TRIALS_MAX`] are listed and the others counted. `None` if `describe` gives nothing.
    fn list_trials(&self, describe: impl Fn(&LeaderboardRow) -> Option<String>) -> Option<String> {
        let mut rows: Vec<&LeaderboardRow> = self.rows.iter().collect();
        rows.sort_by_key(|row| row.trial);
        let mut listed: Vec<String> = rows.into_iter().filter_map(describe).collect();
        let more = listed.len().saturating_sub(NOTE_TRIALS_MAX);
        listed.truncate(NOTE_TRIALS_MAX);
        if more > 0 {
            listed.push(format!("and {more} more"));
        }
        (!listed.is_empty()).then(|| listed.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        leaderboard::{Leaderboard, RankBy, build},
        samples::{record, study},
        trial::{TrialId, TrialRef},
    };

    fn trial_one(sweep: Option<&str>) -> TrialRef {
        TrialRef { sweep: sweep.map(str::to_owned), trial: TrialId(1) }
    }

    /// Of eight trials, the third is reused from another sweep.
    fn with_a_reused_trial() -> Leaderboard {
        let mut trials: Vec<_> = (1..=8).map(|id| record(id, &[0.5])).collect();
        trials[2].inherited_from = Some(trial_one(Some("other")));
        build(&study(trials), RankBy::TestF1, &|_| None)
    }

    /// Of eight trials, all but the first started from the final checkpoint of the first.
    fn with_warm_started_trials() -> Leaderboard {
        let mut trials: Vec<_> = (1..=8).map(|id| record(id, &[0.5])).collect();
        trials.iter_mut().skip(1).for_each(|trial| trial.inherited_from = Some(trial_one(None)));
        build(&study(trials), RankBy::TestF1, &|_| None)
    }

    #[test]
    fn a_footnote_names_reused_trials_and_their_sources() {
        assert_eq!(
            with_a_reused_trial().provenance_notes().collect::<Vec<_>>(),
            ["Taken over from another sweep, and not trained in this one: 0003 from other/0001."]
        );
    }

    #[test]
    fn a_json_row_has_the_trial_that_was_reused() {
        let rows: serde_json::Value = serde_json::from_str(&with_a_reused_trial().to_json()).unwrap();
        assert_eq!(rows[2]["reused_from"], serde_json::json!({"sweep": "other", "trial": 1}));
        assert!(rows[2]["warm_started_from"].is_null() && rows[1]["reused_from"].is_null());
    }

    #[test]
    fn a_csv_row_has_the_trial_that_was_reused() {
        assert!(with_a_reused_trial().to_csv().contains(",,other/0001,好评,,,,,,,,,,\n"));
    }

    #[test]
    fn a_footnote_names_five_warm_started_trials_and_counts_the_others() {
        let board = with_warm_started_trials();
        let note = board.provenance_notes().collect::<String>();
        assert!(note.starts_with("Started from another trial's final checkpoint, with"), "{note}");
        assert!(note.ends_with("0005 from 0001, 0006 from 0001, and 2 more."), "{note}");
        assert!(board.to_table().contains(&note));
    }

    #[test]
    fn a_csv_row_has_the_trial_that_it_started_from() {
        assert!(with_warm_started_trials().to_csv().contains(",1,,好评,,,,,,,,,,\n"));
    }
}
