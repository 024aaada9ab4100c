//! What a reader of the leaderboard by configuration must know: whole sentences.

use super::{
    configurations::{ConfigurationRow, Configurations},
    figures::{TIE_MARK, UNFIT_MARK},
    folds::{FoldComparison, FoldFigures},
    rank_by::RankBy,
};

impl Configurations {
    /// What a reader must know before trusting the figures: whole sentences.
    #[must_use]
    pub fn footnotes(&self) -> Vec<String> {
        let mut notes = match &self.comparison {
            Some(comparison) => self.fold_notes(comparison),
            None => self.seed_notes(),
        };
        let unfit: usize = self.rows.iter().map(|row| row.unfit).sum();
        if unfit > 0 {
            notes.push(format!(
                "{unfit} trials are collapsed or diverged; their figures are part of the means of their configurations."
            ));
        }
        notes.extend(self.data_notes.iter().cloned());
        notes.extend(self.choice_note());
        notes
    }

    fn count(&self, is: impl Fn(&ConfigurationRow) -> bool) -> usize {
        self.rows.iter().filter(|row| is(row)).count()
    }

    /// About seeds that are one row.
    fn seed_notes(&self) -> Vec<String> {
        let mut notes = vec![
            "Figures are means over the seeds of a configuration; ± is the standard deviation between them. The interval \
             is that of the mean, over seeds and test documents together."
                .to_owned(),
        ];
        let single = self.count(|row| row.seeds == 1);
        if single > 0 {
            notes.push(format!(
                "{single} of {} configurations have a single complete trial: the interval of these covers the choice of \
                 documents, and not the chance of training. More seeds come with `repeats` in [search], and for the best alone with \
                 `confirm`.",
                self.rows.len()
            ));
        }
        notes.extend(self.confirmed_notes());
        let open: usize = self.rows.iter().map(|row| row.trials.len() - row.seeds).sum();
        if open > 0 {
            notes.push(format!("{open} trials are not complete, and are left out of the figures."));
        }
        notes
    }

    /// Says which seeds confirm a configuration, and what a place above the confirmed ones is worth.
    fn confirmed_notes(&self) -> Vec<String> {
        let Some(first) = self.rows.iter().position(|row| row.confirming > 0) else { return Vec::new() };
        let mut notes = vec![
            "Seeds such as 1 + 4: those of the search, and those that were added to confirm the best by validation."
                .to_owned(),
        ];
        let seeds = self.rows.get(first).map_or(0, |row| row.seeds);
        let above = self.rows.iter().take(first).filter(|row| row.seeds < seeds).count();
        if above > 0 {
            let (stand, them) = if above == 1 { ("1 stands", "it") } else { ("Some stand", "them") };
            notes.push(format!(
                "{stand} above the first confirmed configuration with fewer seeds ({above} of {}): the best of many single \
                 trials owes its place to luck in part, and more seeds would probably bring {them} down.",
                self.rows.len()
            ));
        }
        notes
    }

    /// About folds that are one row.
    fn fold_notes(&self, comparison: &FoldComparison) -> Vec<String> {
        let FoldComparison { folds, compared, uncompared, .. } = *comparison;
        let figures = || self.rows.iter().filter_map(|row| row.folds.as_ref());
        let documents = figures().map(|own| own.documents).max().unwrap_or(0);
        let repeats = figures().map(|own| own.of / folds as usize).max().unwrap_or(1);
        let each = if repeats > 1 { format!(" in each of {repeats} repeats") } else { String::new() };
        let of = if documents > 0 { format!(" of all {documents}") } else { String::new() };
        let mut notes = vec![format!(
            "A configuration is trained once for each of {folds} folds{each}. Out-of-fold F1 is that{of} documents of train \
             and validation, each predicted by the trial that has not seen it. The other figures are means over these trials; \
             ± is the standard deviation between them."
        )];
        if compared > 0 {
            let tied = figures().filter(|own| own.tied == Some(true)).count();
            let by = match self.rank_by {
                RankBy::TestF1 => "a paired test of out-of-fold F1 (p > .05, corrected for their number)",
                RankBy::ValF1 | RankBy::ValLoss => "the model confidence set of out-of-fold F1 (p > .05)",
            };
            let first = if repeats > 1 { " Of several repeats, the first one is compared." } else { "" };
            notes.push(format!(
                "{TIE_MARK} not distinguishable from the leader: {tied} of {compared} compared by {by}.{first}"
            ));
        }
        if uncompared > 0 {
            notes.push(format!(
                "{uncompared} {} not compared with the leader, since validation.csv of a trial is missing or damaged.",
                if uncompared == 1 { "configuration was" } else { "configurations were" }
            ));
        }
        notes.extend(self.incomplete_note());
        let last = self.count(ConfigurationRow::is_put_last);
        if last > 0 {
            notes.push(format!(
                "{UNFIT_MARK} last, whatever the figures: {last} {} predictions over all folds are no better than chance, or \
                 all of whose trials are collapsed or diverged.",
                if last == 1 { "configuration, whose" } else { "configurations, whose" }
            ));
        }
        notes
    }

    /// Says which configurations lack a fold.
    fn incomplete_note(&self) -> Option<String> {
        let lacks = |row: &ConfigurationRow| row.folds.as_ref().is_some_and(FoldFigures::is_incomplete);
        let (incomplete, without) = (self.count(lacks), self.count(|row| lacks(row) && row.seeds == 0));
        let (have, they) = if incomplete == 1 { ("has", "it") } else { ("have", "they") };
        let what = match without {
            0 => "what is left counts by its whole repeats".to_owned(),
            _ if without == incomplete => format!("{they} {have} no figures"),
            some => format!("{some} of them have no figures, the others count by their whole repeats"),
        };
        (incomplete > 0).then(|| {
            format!(
                "{incomplete} of {} configurations {have} folds that are not complete: {what}, since folds are not equally \
                 hard, and a mean over fewer of them could not be compared.",
                self.rows.len()
            )
        })
    }

    /// Says what the choice of the first configuration does to its figures.
    fn choice_note(&self) -> Option<String> {
        let fit = self.count(|row| row.rank.is_some() && !row.is_put_last());
        if self.count(|row| row.rank.is_some()) < 2 || fit == 0 {
            return None;
        }
        let flattery = self.comparison.as_ref().and_then(|it| it.flattery);
        match (&self.comparison, self.rank_by) {
            (None, RankBy::TestF1) => Some(
                "Picking the best configuration by its test F1 is optimistic; `--rank val-f1` does not."
                    .to_owned(),
            ),
            (Some(_), RankBy::TestF1) => Some(
                "Picking the best configuration by its test F1 is optimistic; `--rank val-f1` ranks by out-of-fold F1, and \
                 leaves test F1 unflattered."
                    .to_owned(),
            ),
            (Some(_), RankBy::ValF1) => Some(match flattery {
                Some(it) if it.optimism >= 0.0005 => format!(
                    // What the models of the folds owe to their training documents flatters too, and is not known.
                    "Picking the best configuration by its out-of-fold F1 makes this figure optimistic: here by at least \
                     {:.1} points on average. It does not flatter its test F1.",
                    100.0 * it.optimism
                ),
                _ => "Out-of-fold F1 has chosen the best configuration, so that its test F1 is not flattered by the choice."
                    .to_owned(),
            }),
            (None, RankBy::ValF1 | RankBy::ValLoss) | (Some(_), RankBy::ValLoss) => None,
        }
    }
}
