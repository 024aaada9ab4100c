//! A search whose further trials depend on results, or on what earlier ones took: one generation after another.
//!
//! Generation g is planned once all generations before g - 1 are over, from their results alone. So devices have work
//! while a generation comes to its end, and what is planned does not depend on which trial of generation g - 1 is faster.

use std::time::Duration;

use super::proposal::{Proposal, Sampler};
use crate::{
    numbers::{count, count_u64},
    plan::{self, Known},
    policy::spell_time,
    search::{Budget, RungFigure},
    spec::Spec,
    study::{Study, TrialRecord},
    tpe::Outcome,
    trial::State,
};

/// Plans the generations of a spec whose search grows.
#[derive(Clone, Debug)]
pub struct Growing(Spec);

impl Growing {
    /// The search of `spec`.
    #[must_use]
    pub const fn new(spec: Spec) -> Self {
        Self(spec)
    }
}

impl Sampler for Growing {
    fn ask(&mut self, study: &Study) -> Proposal {
        let spec = &self.0;
        let configurations = Configurations::of(study);
        let (planned, size) = (configurations.0.len(), spec.search.generation as usize);
        let most = spec.search.trials.map_or(usize::MAX, |trials| trials as usize);
        if planned >= most {
            return Proposal::default();
        }
        // A generation that is not whole, since `trials` was lower before, is filled first.
        let (next, wanted) = (planned / size, (size - planned % size).min(most - planned));
        // Results of generations before this one may be known.
        let known_before = next.saturating_sub(1);
        if !configurations.are_over(size, known_before) {
            return Proposal::default();
        }
        if let Some(why) = self.is_spent(study, &configurations, known_before, wanted) {
            return Proposal { trials: Vec::new(), ended: Some(why) };
        }
        let by = RungFigure::from(spec.settings.monitor);
        let known: Vec<Known> = configurations.known(size, known_before, by);
        let trials = plan::grown(spec, &known, u32::try_from(wanted).unwrap_or(u32::MAX), study.next_id());
        let is_used_up = trials.is_empty();
        let ended =
            is_used_up.then(|| format!("all {planned} configurations of the search space are planned"));
        Proposal { trials, ended }
    }
}

impl Growing {
    /// Says that the budget does not pay for `wanted` further configurations, if it does not. Of generations whose
    /// results may not be known yet, and of the further one, the most that they can take counts.
    fn is_spent(
        &self,
        study: &Study,
        configurations: &Configurations<'_>,
        known: usize,
        wanted: usize,
    ) -> Option<String> {
        let spec = &self.0;
        match spec.search.budget? {
            Budget::Epochs(most) => {
                let size = spec.search.generation as usize;
                let (over, others) = configurations.0.split_at(configurations.0.len().min(known * size));
                let spent: f64 = over.iter().flatten().map(|record| epochs(record)).sum();
                let bound = |size: usize| spec.epochs_max(u32::try_from(size).unwrap_or(u32::MAX));
                let is_spent = spent + count_u64(bound(others.len()) + bound(wanted)) > count_u64(most);
                is_spent.then(|| format!("another generation might exceed the budget of {most} epochs"))
            }
            Budget::Seconds(most) => {
                let is_spent = study.elapsed.seconds() >= u128::from(most);
                is_spent.then(|| format!("the budget of {} is spent", spell_time(Duration::from_secs(most))))
            }
        }
    }
}

/// Epochs that a trial trained, as far as its search let it.
fn epochs(record: &TrialRecord) -> f64 {
    let halted = record.rungs.last().filter(|_| record.is_out());
    let halted = halted.map(|last| count(last.decision.epoch));
    let run = record.outcome.as_ref().map(|outcome| outcome.epochs_run);
    halted.or(run).or(record.evaluations.last().map(|last| last.epoch)).unwrap_or(0.0)
}

/// The configurations of a search in the order in which they were planned, each with its repeats and folds. Trials that
/// confirm one of them are no part of it.
struct Configurations<'a>(Vec<Vec<&'a TrialRecord>>);

impl<'a> Configurations<'a> {
    fn of(study: &'a Study) -> Self {
        let mut all: Vec<Vec<&TrialRecord>> = Vec::new();
        for record in study.of_search() {
            match all.last_mut() {
                Some(own) if !record.trial.is_first_of_configuration() => own.push(record),
                _ => all.push(vec![record]),
            }
        }
        Self(all)
    }

    /// Whether the first `generations` generations are over.
    fn are_over(&self, size: usize, generations: usize) -> bool {
        let is_over =
            |record: &TrialRecord| record.is_out() || matches!(record.state, State::Complete | State::Failed);
        self.0.iter().take(generations * size).flatten().all(|record| is_over(record))
    }

    /// What is known of each configuration, where results of the first `generations` generations count.
    fn known(&self, size: usize, generations: usize, by: RungFigure) -> Vec<Known> {
        let known = |(at, own): (usize, &Vec<&TrialRecord>)| {
            let outcome = if at < generations * size { outcome(own, by) } else { Outcome::Running };
            Some(Known { params: own.first()?.trial.params.clone(), outcome })
        };
        self.0.iter().enumerate().filter_map(known).collect()
    }
}

/// What came of a configuration: the mean over its repeats. One that has lost a fold has failed: folds are not equally
/// hard, so that a mean over fewer of them says nothing beside the others.
fn outcome(repeats: &[&TrialRecord], by: RungFigure) -> Outcome {
    let halted: Vec<&TrialRecord> = repeats.iter().copied().filter(|record| record.is_out()).collect();
    if let Some(decision) = halted.first().and_then(|first| first.rungs.last()).map(|last| &last.decision) {
        let score = by.score(decision.loss, decision.f1);
        return Outcome::Halted { epoch: u32::try_from(decision.epoch).unwrap_or(u32::MAX), score };
    }
    let has_lost = |record: &&TrialRecord| record.trial.fold.is_some() && record.state == State::Failed;
    if repeats.iter().any(has_lost) {
        return Outcome::Failed;
    }
    let scores: Vec<f64> = repeats
        .iter()
        .filter_map(|record| record.outcome.as_ref().filter(|_| record.state == State::Complete))
        .map(|outcome| by.score(outcome.validation.loss, outcome.validation.f1))
        .collect();
    if scores.is_empty() {
        return Outcome::Failed;
    }
    Outcome::Complete { score: scores.iter().sum::<f64>() / count(scores.len()) }
}
