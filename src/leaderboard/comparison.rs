//! The paired tests of all trials against the leader, and what is said of those that were not made.

use super::{
    Leaderboard, Row,
    paired::{self, Prediction},
};
use crate::{metrics::Target, trial::TrialId};

/// Trials that are compared with the leader: those that rank next to it. With more of them, a
/// single test could hardly stay under the level once it is corrected for all.
pub(super) const COMPARED_MAX: usize = 200;

/// Trials of a note that are listed one by one.
const UNCOMPARED_SHOWN: usize = 5;

/// Level of the paired tests, after correction.
const LEVEL: f64 = 0.05;

/// Why a trial was not compared with the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncompared {
    /// It has no predictions on the test set.
    Missing,
    /// Its predictions cannot be read, or are not as many as were measured.
    Damaged,
    /// Its predictions are about other documents than the leader's.
    OtherDocuments,
}

impl Uncompared {
    const ALL: [Self; 3] = [Self::Missing, Self::Damaged, Self::OtherDocuments];

    /// What is wrong with a `predictions.csv`, and what helps.
    const fn describe(self) -> &'static str {
        match self {
            Self::Missing => "is missing; running the sweep again trains the trial anew",
            Self::Damaged => "is damaged; once it is deleted, running the sweep again trains the trial anew",
            Self::OtherDocuments => "is about other documents than the leader's",
        }
    }
}

/// What came of the paired tests.
#[derive(Default)]
pub(super) struct Compared {
    /// How many there were.
    pub(super) tests: usize,
    /// Why others were not made.
    pub(super) uncompared: Vec<(TrialId, Uncompared)>,
    /// Ranked trials beyond [`COMPARED_MAX`].
    pub(super) beyond: usize,
}

/// Fills in what the paired tests say.
pub(super) fn compare(
    rows: &mut [Row],
    target: Target,
    predictions: &dyn Fn(TrialId) -> Option<Vec<Prediction>>,
) -> Compared {
    let mut uncompared = Vec::new();
    let mut ranked = rows.iter_mut().filter(|row| row.rank.is_some());
    let Some(leader) = ranked.next() else { return Compared::default() };
    leader.tied = Some(false);
    let mut others: Vec<&mut Row> = ranked.collect();
    let beyond = others.len().saturating_sub(COMPARED_MAX);
    others.truncate(COMPARED_MAX);
    if others.is_empty() {
        return Compared::default();
    }
    let Some(best) = predictions(leader.trial) else {
        return Compared { uncompared: vec![(leader.trial, Uncompared::Missing)], ..Compared::default() };
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
            Err(why) => uncompared.push((row.trial, why)),
        }
    }
    for (row, value) in tested.into_iter().zip(paired::holm(&values)) {
        row.p_value = Some(value);
        row.tied = Some(value > LEVEL);
    }
    Compared { tests: values.len(), uncompared, beyond }
}

impl Leaderboard {
    /// Notes whose predictions are there but cannot be used.
    pub fn mark_damaged(&mut self, trials: &[TrialId]) {
        for (_, why) in self.uncompared.iter_mut().filter(|(trial, _)| trials.contains(trial)) {
            *why = Uncompared::Damaged;
        }
    }

    /// Why trials were not compared: a sentence for each reason.
    pub(super) fn uncompared_notes(&self) -> impl Iterator<Item = String> {
        Uncompared::ALL.into_iter().filter_map(|why| self.uncompared_note(why))
    }

    /// Which trials were not compared for this reason.
    fn uncompared_note(&self, why: Uncompared) -> Option<String> {
        let trials = || self.uncompared.iter().filter(|(_, reason)| *reason == why).map(|(trial, _)| *trial);
        let first = trials().next()?;
        let told: Vec<String> = trials().take(UNCOMPARED_SHOWN).map(|trial| trial.to_string()).collect();
        let (count, told) = (trials().count(), told.join(", "));
        let why = why.describe();
        Some(if self.leader().is_some_and(|leader| leader.trial == first) {
            format!("No trial was compared with the leader: predictions.csv of trial {first} {why}.")
        } else if count == 1 {
            format!("Trial {first} was not compared with the leader: its predictions.csv {why}.")
        } else {
            let more = match count.saturating_sub(UNCOMPARED_SHOWN) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!(
                "Trials {told}{more} were not compared with the leader: the predictions.csv of each {why}."
            )
        })
    }
}
