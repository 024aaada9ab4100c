//! Which of several models may be the best one: the model confidence set.
//!
//! The model confidence set (Hansen, Lunde and Nason 2011, "The model confidence set", Econometrica 79) allows for
//! the fact that the best-looking model was chosen by the same documents. It begins with all models. In each step
//! it tests the hypothesis that all models still in the set are equally good, with the largest t of any two of them
//! (their range statistic), and then drops the model that is worst by this t. A model's p-value is the largest one
//! of the steps up to the step that drops it. The models with p > .05 hold all truly best models in at least 95 %
//! of test sets.
//!
//! The order in which models drop does not depend on the rounds of random signs ([`rounds`]), so each round serves
//! all steps. No p-value needs a correction for the number of models: the largest t of a round is over as many
//! pairs as the observed one.
//!
//! A leader that was chosen by other documents is no best-looking model of these documents. The other models are
//! then compared with this one alone, by the step-down test of the largest t (Romano and Wolf 2005, "Exact and
//! approximate stepdown methods for multiple hypothesis testing", Journal of the American Statistical Association
//! 100), with the same signs.

mod flattery;
mod models;
mod pair;
mod resamples;
mod rounds;
mod shared;
mod spread;
mod sums;

pub use self::{
    flattery::{Flattery, flattery},
    models::SamePredictions,
    shared::shared_variance,
};
use self::{models::Models, pair::Pair};
use crate::metrics::Target;

/// What the models are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// The best model by the same predictions, whichever model this is.
    Best,
    /// The first model, which other documents have chosen.
    First,
}

/// The p-value of each model: of the hypothesis that it is as good as the best one, or as the first one.
///
/// The same models give the same values in any order. Models with the same predictions have the same value, and
/// the best or the first model has 1.
#[must_use]
pub fn p_values(same: &SamePredictions, target: Target, against: Against) -> Vec<f64> {
    let models = Models::new(same, target);
    let (dropped, steps): (Vec<usize>, Vec<Vec<Pair>>) = match against {
        Against::Best => by_elimination(&models),
        Against::First => by_distance(&models),
    }
    .into_iter()
    .unzip();
    let mut of_models = vec![1.0; models.different.len()];
    let mut least = 0.0_f64;
    for (model, p) in dropped.into_iter().zip(rounds::p_values(&models, &steps)) {
        least = least.max(p);
        of_models[model] = least;
    }
    models.places.iter().map(|&place| of_models[place]).collect()
}

/// The models in the order in which they drop, each with the pairs that it makes with the models that stay. The
/// first pair has the largest t.
///
/// Models stay if no document tells them apart from the best one.
fn by_elimination(models: &Models) -> Vec<(usize, Vec<Pair>)> {
    let count = models.different.len();
    let mut pairs: Vec<Pair> = (0..count)
        .flat_map(|better| (better + 1..count).filter_map(move |worse| Pair::new(models, better, worse)))
        .collect();
    // A stable sort: pairs of equal t keep the order of the models.
    pairs.sort_by(|a, b| b.t.total_cmp(&a.t));
    let mut step_of: Vec<Option<usize>> = vec![None; count];
    let mut steps = Vec::new();
    for pair in &pairs {
        if step_of[pair.better].is_none() && step_of[pair.worse].is_none() {
            step_of[pair.worse] = Some(steps.len());
            steps.push((pair.worse, Vec::new()));
        }
    }
    for pair in pairs {
        let ends = [pair.better, pair.worse].into_iter().filter_map(|model| step_of[model]);
        if let Some(step) = ends.min() {
            steps[step].1.push(pair);
        }
    }
    steps
}

/// The other models by their |t| against the first one, each with this pair.
fn by_distance(models: &Models) -> Vec<(usize, Vec<Pair>)> {
    let chosen = models.places[0];
    let pair =
        |other: usize| Pair::new(models, chosen.min(other), chosen.max(other)).map(|pair| (other, pair));
    let mut pairs: Vec<(usize, Pair)> =
        (0..models.different.len()).filter(|&other| other != chosen).filter_map(pair).collect();
    pairs.sort_by(|(_, a), (_, b)| b.t.total_cmp(&a.t));
    pairs.into_iter().map(|(other, pair)| (other, vec![pair])).collect()
}

#[cfg(test)]
mod tests;
