//! The footnotes of a leaderboard: whole sentences about how far the ranking can be believed.

use super::{
    board::{Leaderboard, LeaderboardRow, NOTE_TRIALS_MAX},
    figures,
    rank_by::RankBy,
    uncompared::Uncompared,
};

impl Leaderboard {
    /// What a reader must know before trusting the ranking: whole sentences.
    #[must_use]
    pub fn footnotes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let tied = self.rows.iter().filter(|row| row.tied == Some(true)).count();
        if self.comparisons > 0 {
            let (mark, compared) = (figures::TIE_MARK, self.comparisons);
            let by = match self.rank_by {
                RankBy::TestF1 => "the model confidence set of test F1 (p > .05)",
                RankBy::ValF1 | RankBy::ValLoss => {
                    "a paired test of test F1 (p > .05, corrected for their number)"
                }
            };
            notes.push(format!(
                "{mark} not distinguishable from the leader: {tied} of {compared} compared by {by}."
            ));
        }
        if self.beyond_comparison > 0 {
            let behind = self.rows.iter().skip(1).filter(|row| row.rank.is_some()).count();
            notes.push(format!(
                "Only the {} trials next to the leader are compared with it, not the {} behind them.",
                behind - self.beyond_comparison,
                self.beyond_comparison,
            ));
        }
        notes.extend(self.uncompared_notes());
        notes.extend(self.memory_notes());
        notes.extend(self.provenance_notes());
        notes.extend(self.optimism_note());
        notes
    }

    /// Says why trials were not compared: a sentence for each reason.
    fn uncompared_notes(&self) -> impl Iterator<Item = String> {
        Uncompared::ALL.into_iter().filter_map(|reason| self.uncompared_note(reason))
    }

    /// Says which trials were not compared for this reason.
    fn uncompared_note(&self, reason: Uncompared) -> Option<String> {
        let trials = || self.uncompared.iter().filter(|(_, why)| *why == reason).map(|(trial, _)| *trial);
        let first = trials().next()?;
        let listed: Vec<String> = trials().take(NOTE_TRIALS_MAX).map(|trial| trial.to_string()).collect();
        let (count, listed) = (trials().count(), listed.join(", "));
        let fault = reason.describe();
        Some(if self.leader().is_some_and(|leader| leader.trial == first) {
            format!("No trial was compared with the leader: predictions.csv of trial {first} {fault}.")
        } else if count == 1 {
            format!("Trial {first} was not compared with the leader: its predictions.csv {fault}.")
        } else {
            let more = match count.saturating_sub(NOTE_TRIALS_MAX) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!(
                "Trials {listed}{more} were not compared with the leader: the predictions.csv of each {fault}."
            )
        })
    }

    /// Says which trials ran in smaller batches after running out of memory: a sentence each.
    fn memory_notes(&self) -> Vec<String> {
        let micro_batch = |row: &LeaderboardRow| Some((row.trial, row.micro_batch?));
        let mut notes: Vec<String> = self
            .rows
            .iter()
            .filter_map(micro_batch)
            .take(NOTE_TRIALS_MAX)
            .map(|(trial, size)| {
                format!("Trial {trial} ran in micro-batches of {size} after running out of memory.")
            })
            .collect();
        let more = self.rows.iter().filter_map(micro_batch).count() - notes.len();
        if more > 0 {
            notes.push(format!("So did {more} more, in micro-batches of some size."));
        }
        notes
    }

    /// Warns that the test score of a winner is optimistic if that score picked it among several trials.
    fn optimism_note(&self) -> Option<String> {
        let leader = self.leader().filter(|_| self.rank_by == RankBy::TestF1)?;
        if self.rows.iter().filter(|row| row.rank.is_some()).count() < 2 {
            return None;
        }
        let row = self.rows.iter().find(|row| Some(row.trial) == self.chosen_by_validation)?;
        let f1 = row.test.as_ref().map_or(f64::NAN, |test| test.f1);
        let choice = if row.trial == leader.trial {
            "validation F1 chooses the same trial".to_owned()
        } else {
            format!("validation F1 would have chosen trial {} (test F1 {})", row.trial, figures::share(f1))
        };
        Some(format!("Picking the winner by its test score is optimistic; {choice}."))
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        leaderboard::{Leaderboard, RankBy, build},
        samples::{record, study},
    };

    /// Seven trials, some of which ran in micro-batches of this size.
    fn with_micro_batches(trials_in_batches: &[usize], size: usize) -> Leaderboard {
        let mut trials: Vec<_> = (1..=7).map(|id| record(id, &[0.5])).collect();
        for trial in trials_in_batches {
            trials[trial - 1].micro_batch = Some(size);
        }
        build(&study(trials), RankBy::TestF1, &|_| None)
    }

    #[test]
    fn a_footnote_names_a_trial_that_ran_in_micro_batches() {
        let board = with_micro_batches(&[3], 8);
        assert_eq!(
            board.memory_notes(),
            ["Trial 0003 ran in micro-batches of 8 after running out of memory."]
        );
        assert!(board.to_table().contains("micro-batches of 8"));
    }

    #[test]
    fn a_csv_row_has_the_size_of_its_micro_batches() {
        assert!(with_micro_batches(&[3], 8).to_csv().contains(",8,,\n"));
    }

    #[test]
    fn of_many_trials_in_micro_batches_five_have_a_footnote_and_the_others_are_counted() {
        let notes = with_micro_batches(&[1, 2, 3, 4, 5, 6, 7], 1).memory_notes();
        assert_eq!(notes.len(), 6);
        assert_eq!(notes[5], "So did 2 more, in micro-batches of some size.");
    }
}
