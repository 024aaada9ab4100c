//! Which configurations are run again with further seeds, once the search is over: from the state of a sweep alone.
//!
//! The choice rests on the trials of the search and on their figures on validation. Trials that confirm a configuration
//! have no part in it, so that it is the same before the first of them is planned, between two of them, and after the last.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use super::trial_record::TrialRecord;
use crate::{
    numbers::count,
    search::{self, Confirm, Figures, RungFigure, Seen},
    trial::{Confirmation, State, Trial, TrialId},
};

/// A configuration that is to be confirmed, with the further seeds that are not planned yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Unconfirmed<'a> {
    /// Its first trial.
    pub trial: &'a Trial,
    /// The numbers of the seeds, at least one.
    pub repeats: Vec<u32>,
    /// Why it is confirmed.
    pub why: Confirmation,
}

/// The configurations of `trials` that are still to be confirmed, the best first, where the search is over.
///
/// The best by validation are chosen, each by the mean over its complete trials. Equal ones go by the other figure, then by
/// number, as on the leaderboard. A configuration without a complete trial, of which no trial is fit for use, or with a
/// figure that is not finite, is not among them.
pub(super) fn unconfirmed<'a>(trials: &'a [TrialRecord], confirm: &Confirm) -> Vec<Unconfirmed<'a>> {
    let configurations = Configuration::all(trials);
    let missing = chosen(&configurations, confirm).into_iter().filter_map(|(configuration, why)| {
        let is_missing = |repeat: &u32| !configuration.repeats.contains(repeat);
        let repeats: Vec<u32> = confirm.further().filter(is_missing).collect();
        let trial = &configuration.trials.first()?.trial;
        (!repeats.is_empty()).then_some(Unconfirmed { trial, repeats, why })
    });
    missing.collect()
}

/// Trials that are to be planned at most to confirm some of `trials`, before the search is over.
pub(super) fn bound(trials: &[TrialRecord], confirm: &Confirm) -> usize {
    let is_out = |record: &TrialRecord| matches!(record.state, State::Failed | State::Halted);
    let is_of_search = |record: &&TrialRecord| record.trial.confirms.is_none();
    let firsts = trials.iter().filter(is_of_search).filter(|record| record.trial.repeat == 0);
    let candidates = firsts.filter(|record| !is_out(record)).count();
    let planned = trials.iter().filter(|record| record.trial.confirms.is_some()).count();
    confirm.trials_max(candidates).saturating_sub(planned)
}

/// A configuration.
struct Configuration<'a> {
    /// Its trials of the search, in the order of their numbers, at least one.
    trials: Vec<&'a TrialRecord>,
    /// The numbers of its seeds, those that confirm it included.
    repeats: BTreeSet<u32>,
}

impl<'a> Configuration<'a> {
    /// Those of some trials, in the order of the numbers of their first ones.
    fn all(trials: &'a [TrialRecord]) -> Vec<Self> {
        let mut all: BTreeMap<String, Self> = BTreeMap::new();
        for record in trials {
            let own = all
                .entry(record.trial.params.to_string())
                .or_insert_with(|| Self { trials: Vec::new(), repeats: BTreeSet::new() });
            own.repeats.insert(record.trial.repeat);
            if record.trial.confirms.is_none() {
                own.trials.push(record);
            }
        }
        let mut all: Vec<Self> = all.into_values().filter(|own| !own.trials.is_empty()).collect();
        for own in &mut all {
            own.trials.sort_by_key(|record| record.trial.id);
        }
        all.sort_by_key(Self::id);
        all
    }

    /// The number of its first trial.
    fn id(&self) -> Option<TrialId> {
        self.trials.first().map(|record| record.trial.id)
    }

    /// Its figures on validation, and the number of trials that these are the mean of; `None` if it is not compared.
    fn figures(&self) -> Option<(Figures, usize)> {
        let complete = || self.trials.iter().filter(|record| record.state == State::Complete);
        let is_fit = complete().any(|record| !record.has_diverged() && !record.has_collapsed());
        let scores: Vec<_> =
            complete().filter_map(|record| record.outcome.as_ref()).map(|it| &it.validation).collect();
        let number = scores.len();
        let mean = |sum: f64| sum / count(number);
        let loss = mean(scores.iter().map(|scores| scores.loss).sum());
        let f1 = mean(scores.iter().map(|scores| scores.f1).sum());
        (is_fit && loss.is_finite() && f1.is_finite()).then_some((Figures { loss, f1 }, number))
    }
}

/// The configurations that are to be confirmed, the best first, each with the reason.
fn chosen<'a, 'b>(
    configurations: &'b [Configuration<'a>],
    confirm: &Confirm,
) -> Vec<(&'b Configuration<'a>, Confirmation)> {
    let compared = configurations.iter().filter_map(|own| Some((own, own.figures()?)));
    let mut compared: Vec<(&Configuration<'a>, (Figures, usize))> = compared.collect();
    // Equal figures go by the order in which they are given.
    compared.sort_by(|(_, (one, _)), (_, (other, _))| match confirm.by {
        RungFigure::ValLoss => other.f1.total_cmp(&one.f1),
        RungFigure::ValF1 => one.loss.total_cmp(&other.loss),
        RungFigure::Both => Ordering::Equal,
    });
    let seen: Vec<Seen> = compared.iter().map(|(_, (figures, _))| Seen::There(*figures)).collect();
    let whole = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let of = whole(compared.len());
    let places = search::places(&seen, confirm.by);
    let reasons = compared.into_iter().zip(places).filter_map(|((own, (figures, seeds)), place)| {
        let (place, Figures { loss, f1 }) = (whole(place?).saturating_add(1), figures);
        let why = Confirmation { trial: own.id()?, place, of, by: confirm.by, loss, f1, seeds: whole(seeds) };
        (place <= confirm.top).then_some((own, why))
    });
    let mut chosen: Vec<_> = reasons.collect();
    chosen.sort_by_key(|(_, why)| why.place);
    chosen
}

#[cfg(test)]
mod tests;
