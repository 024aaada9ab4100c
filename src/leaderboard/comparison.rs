//! The paired tests of the trials next to the leader against the leader.

use super::{
    board::LeaderboardRow,
    paired::{self, Prediction},
    uncompared::Uncompared,
};
use crate::{metrics::Target, trial::TrialId};

/// Number of trials next to the leader that are compared with it. With more of them, Holm's correction
/// would leave hardly any single test under the significance level.
pub(super) const COMPARED_MAX: usize = 200;

/// Significance level of the paired tests, after Holm's correction.
const SIGNIFICANCE_LEVEL: f64 = 0.05;

/// Which paired tests were made, and which were not.
#[derive(Default)]
pub(super) struct Comparisons {
    /// Number of tests that were made.
    pub(super) tests: usize,
    /// The trials next to the leader without a test, with the reason.
    pub(super) uncompared: Vec<(TrialId, Uncompared)>,
    /// Number of ranked trials beyond [`COMPARED_MAX`].
    pub(super) beyond: usize,
}

/// Compares the ranked rows with the first one, and fills in their `tied` and `p_value`.
pub(super) fn compare(
    rows: &mut [LeaderboardRow],
    target: Target,
    predictions: &dyn Fn(TrialId) -> Option<Vec<Prediction>>,
) -> Comparisons {
    let mut uncompared = Vec::new();
    let mut ranked = rows.iter_mut().filter(|row| row.rank.is_some());
    let Some(leader) = ranked.next() else { return Comparisons::default() };
    leader.tied = Some(false);
    let mut others: Vec<&mut LeaderboardRow> = ranked.collect();
    let beyond = others.len().saturating_sub(COMPARED_MAX);
    others.truncate(COMPARED_MAX);
    if others.is_empty() {
        return Comparisons::default();
    }
    let Some(best) = predictions(leader.trial) else {
        return Comparisons {
            uncompared: vec![(leader.trial, Uncompared::Missing)],
            ..Comparisons::default()
        };
    };
    let rounds = paired::rounds(others.len());
    let (mut tested, mut values) = (Vec::new(), Vec::new());
    for row in others {
        let own = predictions(row.trial).ok_or(Uncompared::Missing);
        let value = own
            .and_then(|own| paired::p_value(&best, &own, target, rounds).ok_or(Uncompared::OtherDocuments));
        match value {
            Ok(value) => {
                tested.push(row);
                values.push(value);
            }
            Err(reason) => uncompared.push((row.trial, reason)),
        }
    }
    for (row, value) in tested.into_iter().zip(paired::holm(&values)) {
        row.p_value = Some(value);
        row.tied = Some(value > SIGNIFICANCE_LEVEL);
    }
    Comparisons { tests: values.len(), uncompared, beyond }
}
