//! The footnotes of a leaderboard: whole sentences about how far the ranking can be believed.

use std::fmt::Write as _;

use super::{
    board::{BinaryClasses, Leaderboard, LeaderboardRow, NOTE_TRIALS_MAX},
    clean::Unclean,
    figures,
    rank_by::RankBy,
    uncompared::Uncompared,
    verdict::Verdict,
};
use crate::trial::State;

impl Leaderboard {
    /// What a reader must know before trusting the ranking: whole sentences.
    #[must_use]
    pub fn footnotes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.nothing_fit().into_iter().chain(self.put_last_note()).collect();
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
        notes.extend(self.confirmed_notes());
        notes.extend(self.halted_note());
        notes.extend(self.uncompared_notes());
        notes.extend(self.memory_notes());
        notes.extend(self.provenance_notes());
        notes.extend(self.processors_note());
        notes.extend(self.positive_note());
        notes.extend(self.unclean.as_ref().filter(|_| self.has_figures()).map(Unclean::note));
        notes.extend(self.class_notes());
        notes.extend(self.folds_note());
        notes.extend(self.leader_note());
        notes.extend(self.winner_notes());
        notes
    }

    /// Says whose F1 the figures are, and what of the data bounds them, for a table without clean figures.
    pub(super) fn data_notes(&self) -> Vec<String> {
        let unclean = self.unclean.as_ref().filter(|_| self.has_figures()).map(Unclean::note_without_figures);
        self.positive_note().into_iter().chain(unclean).chain(self.class_notes()).collect()
    }

    /// Says which classes a split lacks, and what that does to F1.
    fn class_notes(&self) -> impl Iterator<Item = String> {
        let warnings = self.class_warnings.iter().filter(|_| self.has_figures());
        warnings.map(|warning| format!("{}.", sentence(&figures::plain(warning))))
    }

    /// Says that trials ran on processors of several kinds.
    fn processors_note(&self) -> Option<String> {
        let each: Vec<String> = self
            .processors
            .iter()
            .map(|(name, count)| format!("{count} on {}", figures::plain(name)))
            .collect();
        (!each.is_empty()).then(|| {
            format!(
                "Trials ran on processors whose last digits differ: {}. The log says which ran where.",
                each.join(", ")
            )
        })
    }

    /// Says what trials of different folds have in common.
    fn folds_note(&self) -> Option<String> {
        self.folds.map(|folds| {
            format!(
                "Each trial validates on one of {folds} folds and trains on the others: validation figures of different \
                 folds are of different documents. By configuration, `sweep leaderboard` has the figures over all folds."
            )
        })
    }

    /// Warns that every ranked trial is unfit for use; `None` if there is a leader, or no ranked trial at all.
    #[must_use]
    pub fn nothing_fit(&self) -> Option<String> {
        let is_ranked = self.rows.first().is_some_and(|row| row.rank.is_some());
        (is_ranked && self.leader().is_none()).then(|| {
            "No trial is fit for use: every complete one is collapsed or diverged, and none is the best."
                .to_owned()
        })
    }

    /// Says that the leader could be trained better, and what shows it.
    fn leader_note(&self) -> Option<String> {
        let leader = self.leader()?;
        let verdict = leader.verdict.filter(|it| matches!(it, Verdict::Overfit | Verdict::Underfit))?;
        let evidence = leader.evidence.as_ref()?;
        Some(format!("Trial {} leads with the verdict {verdict}. {}", leader.trial, evidence.text))
    }

    /// Says how many trials were halted, what that saved, and what is not known of them.
    fn halted_note(&self) -> Option<String> {
        let halted = self.rows.iter().filter(|row| row.halted.is_some()).count();
        let (saved, planned) = (self.epochs_saved, self.epochs_planned);
        let share = 100 * saved / planned.max(1);
        let (were, its, they, it) = match halted {
            1 => ("was", "its", "It is", "it"),
            _ => ("were", "their", "They are", "they"),
        };
        (halted > 0).then(|| {
            format!(
                "{halted} of {} trials {were} halted after an epoch, by {its} place among those that were compared there, which \
                 saved up to {saved} of {planned} epochs ({share} %). {they} not measured on the test set; what {it} would \
                 have reached is not known.",
                self.rows.len()
            )
        })
    }

    /// Says how many trials come last whatever their figures, and why.
    fn put_last_note(&self) -> Option<String> {
        let reason = |verdict: Verdict| {
            let count = self.put_last().filter(|row| row.verdict == Some(verdict)).count();
            let they = if count == 1 { "which" } else { "each of which" };
            (count > 0).then(|| format!("{count} {verdict}, {they} {}", verdict.describe()))
        };
        let reasons: Vec<String> =
            [Verdict::Collapsed, Verdict::Diverged].into_iter().filter_map(reason).collect();
        let (mark, reasons) = (figures::UNFIT_MARK, reasons.join("; "));
        (!reasons.is_empty()).then(|| format!("{mark} last, whatever the figures: {reasons}."))
    }

    /// The figure that ranks the trials, with the class whose F1 it is: `test F1 of 好评`.
    #[must_use]
    pub fn ranked_by(&self) -> String {
        let figure = self.rank_by.describe();
        match (self.rank_by, &self.binary) {
            (RankBy::TestF1 | RankBy::ValF1, Some(BinaryClasses { positive, .. })) => {
                format!("{figure} of {}", figures::plain(positive))
            }
            _ => figure.to_owned(),
        }
    }

    /// Whether any trial has a figure.
    fn has_figures(&self) -> bool {
        self.rows.iter().any(|row| row.val_f1.is_some())
    }

    /// Says which class's F1 it is, and whether that is a guess.
    fn positive_note(&self) -> Option<String> {
        let binary = self.binary.as_ref().filter(|_| self.has_figures());
        let BinaryClasses { positive, negative, is_guess } = binary?;
        let name = figures::plain(positive);
        Some(if *is_guess {
            format!(
                "F1 is that of class {name}: a guess, since it sorts last. To say it, write in [data]: positive = {} \
                 or positive = {}.",
                toml(positive),
                toml(negative),
            )
        } else {
            format!("F1 is that of class {name}.")
        })
    }

    /// Says how many trials stand below the first `rows`, how many of them failed or learned nothing, and how
    /// to see them.
    pub(super) fn hidden(&self, rows: usize) -> Option<String> {
        let hidden = self.rows.get(rows..).filter(|hidden| !hidden.is_empty())?;
        let count = |is: fn(&LeaderboardRow) -> bool| hidden.iter().filter(|row| is(row)).count();
        let kinds = [
            (count(|row| row.state == State::Failed), "failed"),
            (count(|row| row.verdict == Some(Verdict::Collapsed)), "collapsed"),
            (count(|row| row.state == State::Complete && row.verdict == Some(Verdict::Diverged)), "diverged"),
            (count(|row| row.state == State::Halted), "halted"),
            (count(|row| matches!(row.state, State::Waiting | State::Running | State::Paused)), "not over"),
        ];
        let kinds: Vec<String> = kinds
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, kind)| format!("{count} {kind}"))
            .collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
        let (count, total) = (hidden.len(), self.rows.len());
        let are = if count == 1 { "is" } else { "are" };
        Some(format!(
            "{count} of {total} trials{kinds} {are} not shown; `--top all` of `sweep leaderboard` shows all."
        ))
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
}

/// `label` as a spec writes it, in one line and without what nobody would see.
fn toml(label: &str) -> String {
    let mut text = String::from('"');
    for c in label.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            _ if figures::plain(c.encode_utf8(&mut [0; 4])).starts_with(c) => text.push(c),
            // Writing to a String cannot fail.
            _ => _ = write!(text, "\\U{:08X}", u32::from(c)),
        }
    }
    text + "\""
}

/// `text` with its first letter in upper case.
fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

#[cfg(test)]
mod tests {
    use crate::{
        leaderboard::{Leaderboard, RankBy, build},
        metrics::ClassCounts,
        samples::{failed, one_class_only, record, study},
        trial::FailureKind,
    };

    #[test]
    fn a_footnote_names_the_class_whose_f1_ranks() {
        let mut study = study(vec![record(1, &[0.5])]);
        let notes = |study: &_| build(study, RankBy::TestF1, &|_| None).footnotes();
        assert_eq!(notes(&study)[0], "F1 is that of class 好评.");
        study.positive_is_guess = true;
        assert_eq!(
            notes(&study)[0],
            "F1 is that of class 好评: a guess, since it sorts last. To say it, write in [data]: positive = \"好评\" \
             or positive = \"差评\"."
        );
    }

    #[test]
    fn a_footnote_says_what_an_absent_class_does() {
        let mut study = study(vec![record(1, &[0.5])]);
        study.classes = ClassCounts {
            train: vec![5, 5],
            validation: vec![1, 1],
            test: vec![1, 0],
            ..ClassCounts::default()
        };
        let notes = build(&study, RankBy::TestF1, &|_| None).footnotes();
        assert_eq!(
            notes[1],
            "Test has no document of class `好评`: F1 of 好评 is 0 there, whatever is predicted."
        );
    }

    #[test]
    fn markdown_names_the_class_whose_f1_ranks() {
        let board = build(&study(vec![record(1, &[0.5])]), RankBy::TestF1, &|_| None);
        assert!(board.to_markdown().contains("Ranked by test F1 of 好评."), "{}", board.to_markdown());
    }

    #[test]
    fn json_and_csv_name_the_positive_class() {
        let board = build(&study(vec![record(1, &[0.5])]), RankBy::TestF1, &|_| None);
        assert!(board.to_json().contains("\"positive\": \"好评\""), "{}", board.to_json());
        assert!(
            board.to_csv().lines().next().unwrap().contains(",positive,halted_at,rung,generation,place,of,")
        );
        assert!(board.to_csv().lines().nth(1).unwrap().contains(",好评,,,,,,"));
    }

    #[test]
    fn trials_that_are_not_shown_are_counted_by_their_fate() {
        let mut trials: Vec<_> = (1..=5).map(|id| record(id, &[0.5])).collect();
        trials.push(failed(record(6, &[0.5]), FailureKind::Signal(9)));
        let outcome = trials[1].outcome.as_mut().unwrap();
        (outcome.validation, outcome.test.f1) = (one_class_only(), 0.0);
        let board = build(&study(trials), RankBy::TestF1, &|_| None);
        let note = "3 of 6 trials (1 failed, 1 collapsed) are not shown; `--top all` of `sweep leaderboard` shows all.";
        assert_eq!(board.hidden(3).as_deref(), Some(note));
        assert!(board.to_table_within(None, 3).contains(note) && board.to_markdown_of(3).contains("3 of 6"));
        assert_eq!([board.hidden(6), board.hidden(usize::MAX)], [None, None]);
    }

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
        assert!(with_micro_batches(&[3], 8).to_csv().contains(",8,,,好评,,,,,,"));
    }

    #[test]
    fn of_many_trials_in_micro_batches_five_have_a_footnote_and_the_others_are_counted() {
        let notes = with_micro_batches(&[1, 2, 3, 4, 5, 6, 7], 1).memory_notes();
        assert_eq!(notes.len(), 6);
        assert_eq!(notes[5], "So did 2 more, in micro-batches of some size.");
    }
}
