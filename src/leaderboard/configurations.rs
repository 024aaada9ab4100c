//! The leaderboard by configuration: trials that differ by their seed alone are one row.

use serde::Serialize;

use super::{
    board::{Leaderboard, LeaderboardRow},
    confidence_set::{SamePredictions, shared_variance},
    figures::{self, NOTHING},
    predictions::Prediction,
    rank_by::RankBy,
    seeds::{OverSeeds, standard_deviation},
};
use crate::{
    metrics::Target,
    trial::{Params, State, TrialId},
};

/// The configurations of a sweep, best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Configurations {
    pub(super) sweep: String,
    pub(super) rank_by: RankBy,
    /// The figure that ranks, with the class whose F1 it is.
    pub(super) ranked_by: String,
    pub(super) swept: Vec<String>,
    /// Those with a figure to rank by, then the others in the order of the leaderboard.
    pub rows: Vec<ConfigurationRow>,
}

/// One configuration. Serialised, it is one element of `sweep leaderboard --by configuration --format json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfigurationRow {
    /// Place from 1, by the mean over seeds; equal means share a rank. `None` without a complete trial.
    pub rank: Option<usize>,
    /// The values of the swept settings.
    pub params: Params,
    /// Its trials, in the order of the plan.
    pub trials: Vec<TrialId>,
    /// Complete trials: those whose figures count.
    pub seeds: usize,
    /// Complete trials that are unfit for use by their verdict. Their figures count all the same.
    pub unfit: usize,
    /// Test F1 over the seeds.
    pub test_f1: Option<OverSeeds>,
    /// Mean validation F1.
    pub val_f1: Option<f64>,
    /// Standard deviation of validation F1 between seeds; `None` with fewer than two.
    pub val_f1_sd: Option<f64>,
    /// Mean validation loss.
    pub val_loss: Option<f64>,
    /// Those of the complete trials that were added after the search, to confirm it.
    pub confirming: usize,
}

/// The configurations of `board`. `predictions` gives a trial's predictions on the test set, if there are any: they show
/// how much of the noise of their F1 the seeds have in common. Without them, all of it counts as common.
#[must_use]
pub fn configurations(
    board: &Leaderboard,
    predictions: &dyn Fn(TrialId) -> Option<Vec<Prediction>>,
) -> Configurations {
    let mut rows: Vec<ConfigurationRow> = grouped(&board.rows)
        .into_iter()
        .map(|trials| ConfigurationRow::new(&trials, board.target, predictions))
        .collect();
    let key = |row: &ConfigurationRow| row.key(board.rank_by);
    // The sort is stable: configurations with equal figures, or without one, keep the order of the leaderboard.
    rows.sort_by(|a, b| match (key(a), key(b)) {
        (Some(a), Some(b)) => a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
    let mut previous: Option<((bool, f64), usize)> = None;
    for (position, row) in rows.iter_mut().enumerate() {
        row.rank = key(row).map(|key| match previous {
            Some((above, rank)) if above.0 == key.0 && above.1.total_cmp(&key.1).is_eq() => rank,
            _ => position + 1,
        });
        previous = key(row).zip(row.rank);
    }
    Configurations {
        sweep: board.sweep.clone(),
        rank_by: board.rank_by,
        ranked_by: board.ranked_by(),
        swept: board.swept.clone(),
        rows,
    }
}

/// The rows of each configuration, in the order of the first row of each.
fn grouped(rows: &[LeaderboardRow]) -> Vec<Vec<&LeaderboardRow>> {
    let mut groups: Vec<Vec<&LeaderboardRow>> = Vec::new();
    let mut places = std::collections::BTreeMap::new();
    for row in rows {
        let place = *places.entry(row.params.to_string()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups
}

impl ConfigurationRow {
    pub(super) fn new(
        rows: &[&LeaderboardRow],
        target: Target,
        predictions: &dyn Fn(TrialId) -> Option<Vec<Prediction>>,
    ) -> Self {
        let complete: Vec<&LeaderboardRow> =
            rows.iter().copied().filter(|row| row.state == State::Complete && row.rank.is_some()).collect();
        let f1s: Vec<(f64, f64, f64)> = complete
            .iter()
            .filter_map(|row| row.test.as_ref())
            .map(|test| (test.f1, test.f1_low, test.f1_high))
            .collect();
        let shared = if f1s.len() > 1 { shared(&complete, target, predictions) } else { 1.0 };
        let val_f1 = || complete.iter().filter_map(|row| row.val_f1);
        let mut trials: Vec<TrialId> = rows.iter().map(|row| row.trial).collect();
        trials.sort_unstable();
        Self {
            rank: None,
            params: rows.first().map(|row| row.params.clone()).unwrap_or_default(),
            trials,
            seeds: complete.len(),
            unfit: complete.iter().filter(|row| row.is_put_last()).count(),
            test_f1: OverSeeds::of(&f1s, shared),
            val_f1: mean(val_f1()),
            val_f1_sd: standard_deviation(val_f1()),
            val_loss: mean(complete.iter().filter_map(|row| row.val_loss)),
            confirming: complete.iter().filter(|row| row.confirms.is_some()).count(),
        }
    }

    /// Whether every seed is unfit for use, and the sort key: the best configuration has the lowest. `None` without a
    /// finite figure.
    fn key(&self, rank_by: RankBy) -> Option<(bool, f64)> {
        let key = match rank_by {
            RankBy::TestF1 => -self.test_f1?.mean,
            RankBy::ValF1 => -self.val_f1?,
            RankBy::ValLoss => self.val_loss?,
        };
        key.is_finite().then_some((self.unfit == self.seeds, key))
    }
}

/// The part of the variance over documents that the trials have in common; 1 unless all have predictions for the same
/// documents.
fn shared(
    rows: &[&LeaderboardRow],
    target: Target,
    predictions: &dyn Fn(TrialId) -> Option<Vec<Prediction>>,
) -> f64 {
    let classes = rows.first().and_then(|row| row.test.as_ref()).map_or(0, |test| test.classes.len());
    let mut same: Option<SamePredictions> = None;
    for row in rows {
        let Some(own) = predictions(row.trial) else { return 1.0 };
        match &mut same {
            None => same = Some(SamePredictions::starting_with(&own)),
            Some(same) => {
                if !same.add(&own) {
                    return 1.0;
                }
            }
        }
    }
    same.map_or(1.0, |same| shared_variance(&same, target, classes))
}

/// The mean; `None` of nothing.
fn mean(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, number) = figures.fold((0.0, 0.0), |(sum, number), figure| (sum + figure, number + 1.0));
    (number > 0.0).then(|| sum / number)
}

impl Configurations {
    /// What a reader must know before trusting the figures: whole sentences.
    #[must_use]
    pub fn footnotes(&self) -> Vec<String> {
        let mut notes = vec![
            "Figures are means over the seeds of a configuration; ± is the standard deviation between them. The interval \
             is that of the mean, over seeds and test documents together."
                .to_owned(),
        ];
        let count = |is: fn(&ConfigurationRow) -> bool| self.rows.iter().filter(|row| is(row)).count();
        let single = count(|row| row.seeds == 1);
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
        let unfit: usize = self.rows.iter().map(|row| row.unfit).sum();
        if unfit > 0 {
            notes.push(format!(
                "{unfit} trials are collapsed or diverged; their figures are part of the means of their configurations."
            ));
        }
        if self.rank_by == RankBy::TestF1 && count(|row| row.rank.is_some()) > 1 {
            notes.push(
                "Picking the best configuration by its test F1 is optimistic; `--rank val-f1` does not."
                    .to_owned(),
            );
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
                 trials owes its place to luck in part, and more seeds would bring {them} down.",
                self.rows.len()
            ));
        }
        notes
    }

    /// The headings of a table, with whether their column is aligned to the right, and the cells of each row.
    pub(super) fn cells(&self, rows: usize) -> (Vec<(String, bool)>, Vec<Vec<String>>) {
        let or_nothing = |figure: Option<String>| figure.unwrap_or_else(|| NOTHING.to_owned());
        let with_sd = |mean: Option<f64>, sd: Option<f64>| {
            let sd = sd.map_or_else(String::new, |sd| format!(" ± {}", figures::share(sd)));
            or_nothing(mean.map(|mean| figures::share(mean) + &sd))
        };
        let mut headings = vec![("rank".to_owned(), true)];
        headings.extend(self.swept.iter().map(|name| (figures::shorten(&figures::plain(name), 24), true)));
        let others = [
            ("seeds", true),
            ("test F1", false),
            ("[95 %]", false),
            ("val F1", false),
            ("val loss", true),
            ("trials", false),
        ];
        headings.extend(others.map(|(name, right)| (name.to_owned(), right)));
        let cells = |row: &ConfigurationRow| {
            let value = |name: &String| row.params.0.iter().find(|(key, _)| key == name);
            let mut cells = vec![or_nothing(row.rank.map(|rank| rank.to_string()))];
            cells.extend(self.swept.iter().map(|name| {
                or_nothing(value(name).map(|(_, value)| figures::shorten(&figures::value(value), 24)))
            }));
            cells.push(match row.confirming {
                0 => row.seeds.to_string(),
                confirming => format!("{} + {confirming}", row.seeds - confirming),
            });
            cells.push(with_sd(row.test_f1.map(|f1| f1.mean), row.test_f1.and_then(|f1| f1.sd)));
            cells.push(or_nothing(row.test_f1.map(|f1| figures::interval(f1.low, f1.high))));
            cells.push(with_sd(row.val_f1, row.val_f1_sd));
            cells.push(or_nothing(row.val_loss.map(figures::number)));
            cells.push(trials(&row.trials));
            cells
        };
        (headings, self.rows.iter().take(rows).map(cells).collect())
    }
}

/// The numbers of some trials: `0001`, `0003 0007`, `0001 to 0005`.
fn trials(all: &[TrialId]) -> String {
    match all {
        [first, .., last] if all.len() > 2 && all.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0) => {
            format!("{first} to {last}")
        }
        _ => all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests;
