//! Which trials are not distinguishable from the leader on the test set.

use super::{
    board::LeaderboardRow,
    confidence_set::{self, Against, Flattery, SamePredictions},
    predictions::Prediction,
    rank_by::RankBy,
    uncompared::Uncompared,
};
use crate::{
    metrics::{Average, Target},
    trial::TrialId,
};

/// Number of trials next to the leader that are compared with it, by the F1 of one class. The time grows with the
/// square of the trials: with this number, about a second.
const COMPARED_MAX: usize = 1_000;

/// A trial with a lower p-value is distinguishable from the leader.
pub(super) const SIGNIFICANCE_LEVEL: f64 = 0.05;

/// Which trials were compared with the leader, and which were not.
#[derive(Default)]
pub(super) struct Comparisons {
    /// Number of trials that were compared.
    pub(super) tests: usize,
    /// The trials next to the leader that were not compared, with the reason.
    pub(super) uncompared: Vec<(TrialId, Uncompared)>,
    /// Number of ranked trials that were too many to be compared.
    pub(super) beyond: usize,
    /// How much its test F1 flatters the leader, if the test set has chosen it among trials that could be compared.
    pub(super) flattery: Option<Flattery>,
}

/// Compares the ranked rows with the first one, and fills in their `tied` and `p_value`.
///
/// If the test set has chosen the leader, the comparison allows for this choice: it is the model confidence set.
pub(super) fn compare(
    rows: &mut [LeaderboardRow],
    rank_by: RankBy,
    target: Target,
    predictions: &dyn Fn(TrialId) -> Option<Vec<Prediction>>,
) -> Comparisons {
    let mut uncompared = Vec::new();
    let mut ranked = rows.iter_mut().filter(|row| row.rank.is_some());
    let Some(leader) = ranked.next() else { return Comparisons::default() };
    leader.tied = Some(false);
    let classes = leader.test.as_ref().map_or(0, |test| test.classes.len());
    let mut others: Vec<&mut LeaderboardRow> = ranked.collect();
    if others.is_empty() {
        return Comparisons::default();
    }
    let Some(best) = predictions(leader.trial) else {
        let uncompared = vec![(leader.trial, Uncompared::Missing)];
        return Comparisons { uncompared, ..Comparisons::default() };
    };
    let most = compared_max(&best, target);
    let beyond = others.len().saturating_sub(most);
    others.truncate(most);
    let mut same = SamePredictions::starting_with(&best);
    let mut compared = Vec::new();
    for row in others {
        match predictions(row.trial) {
            None => uncompared.push((row.trial, Uncompared::Missing)),
            Some(own) if same.add(&own) => compared.push(row),
            Some(_) => uncompared.push((row.trial, Uncompared::OtherDocuments)),
        }
    }
    let p_values = confidence_set::p_values(&same, target, against(rank_by));
    let tests = compared.len();
    let flattery = (rank_by == RankBy::TestF1 && tests > 0)
        .then(|| confidence_set::flattery(&same, target, classes, (&p_values, SIGNIFICANCE_LEVEL)));
    for (row, p) in compared.into_iter().zip(p_values.into_iter().skip(1)) {
        row.p_value = Some(p);
        row.tied = Some(p > SIGNIFICANCE_LEVEL);
    }
    Comparisons { tests, uncompared, beyond, flattery }
}

/// What the trials are compared with: only a ranking by test F1 chooses the leader by the test set.
const fn against(rank_by: RankBy) -> Against {
    match rank_by {
        RankBy::TestF1 => Against::Best,
        RankBy::ValF1 | RankBy::ValLoss => Against::First,
    }
}

/// Number of trials next to the leader that are compared with it.
///
/// The time grows with the classes whose F1 counts too, so that fewer trials are compared by the average of many.
pub(super) fn compared_max(best: &[Prediction], target: Target) -> usize {
    let classes = match target {
        Target::Class(_) | Target::Average(Average::Micro) => 1,
        Target::Average(Average::Macro | Average::Weighted) => {
            best.iter().map(|each| each.label.max(each.predicted) + 1).max().unwrap_or(1)
        }
    };
    (COMPARED_MAX * COMPARED_MAX / classes).isqrt()
}
