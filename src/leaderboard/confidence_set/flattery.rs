//! By how much the test F1 of a winner flatters it, where the test set has chosen the winner, and how likely the winner
//! is truly the best.
//!
//! The winner's F1 is too high on average, since luck is a part of what made it win. A bootstrap shows how much, but not
//! one that takes the observed F1s for the truth: these are spread by luck too, so that too few models seem to be near
//! the top. So the true F1s are estimated first, as a distribution (empirical Bayes): normal, with the spread that is
//! left of the observed one without the noise, and then bent towards the observed F1s by a few steps of the EM
//! algorithm. A round draws a true F1 for each model from what its observed F1 leaves likely, adds the error of a
//! resample of the documents, and asks which model wins. The mean error of these winners is the expected optimism.
//!
//! How far the true F1s lie apart is only roughly known, and with much noise this matters. The figure is then replaced by
//! a lower bound: the optimism if nothing is supposed of how they lie. Each is then as far from the observed one as its own
//! noise makes likely, so that they lie too far apart. The chance that the winner is the best is a mean over all likely
//! spreads ([`Spread`]).
//!
//! Only the models that may be best by the confidence set take part. `benches/statistics/` measures how far both figures
//! are from the truth.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    SamePredictions,
    models::Models,
    resamples::{self, RESAMPLES},
    spread::Spread,
};
use crate::{
    metrics::{Average, Target},
    numbers::count,
};

/// Number of models that take part at most, those of highest F1.
const MODELS_MAX: usize = 200;
/// Points of the grid on which the distribution of the true F1s is estimated.
const GRID: usize = 81;
/// Steps of the EM algorithm. Many steps make the distribution one of a few points, which fits the noise; without any
/// step, a group of clearly worse models would pass for spread among the best.
const STEPS: usize = 50;
/// Seed of the true F1s that are drawn: any fixed number.
const SEED: u64 = 0xf1a7;

/// The largest standard error of the F1s with which the optimism is told within 0.3 points (`benches/statistics/`).
const ERROR_MAX: f64 = 0.02;

/// With fewer documents nothing is said of the chance to be the best, and the optimism is a bound: near the ends of the
/// scale, resamples of so few show less noise than there is.
const DOCUMENTS_MIN: usize = 50;

/// What is known of a winner that was chosen by the F1 on these documents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flattery {
    /// By how much the F1 of such a winner is too high on average, from 0 to 1.
    pub optimism: f64,
    /// Whether `optimism` is a lower bound, because the F1s are too noisy to tell it exactly.
    pub is_bound: bool,
    /// How likely the winner is truly the best at least, from 0 to 1; `None` with too few documents. If no other model may be
    /// best, it is the confidence of the set. Models with the winner's predictions share it equally: nothing tells them
    /// apart.
    pub chance: Option<f64>,
    /// Number of models that may be best, the winner included.
    pub candidates: usize,
}

/// How much the F1 of the first model flatters it, where `p_values` are those of the confidence set of the best model.
///
/// Models with p > `level` may be best. `classes` is the number of classes of the task.
#[must_use]
pub fn flattery(
    same: &SamePredictions,
    target: Target,
    classes: usize,
    (p_values, level): (&[f64], f64),
) -> Flattery {
    let models = Models::new(same, target);
    let candidates = 1 + p_values.iter().skip(1).filter(|p| **p > level).count();
    let may_be_best = |place: &usize| {
        let mut came = models.places.iter().zip(p_values);
        *place == models.places[0] || came.any(|(own, p)| own == place && *p > level)
    };
    let members: Vec<usize> =
        (0..models.different.len()).filter(may_be_best).take(MODELS_MAX.max(models.places[0] + 1)).collect();
    let confidence = 1.0 - level;
    let Some(winner) = members.iter().position(|&place| place == models.places[0]) else {
        unreachable!("the first model is a member")
    };
    let documents = models.labels.len();
    let has_few = documents < DOCUMENTS_MIN;
    let alike = models.places.iter().filter(|place| **place == models.places[0]).count();
    let chance = |best: f64| (!has_few).then(|| best.min(confidence) / count(alike));
    let shown = |f1: f64| shown(f1, target, (classes, documents));
    let observed: Vec<f64> = members.iter().map(|&place| shown(models.different[place].f1)).collect();
    let mut errors = resamples::f1s(&models, &members);
    for (errors, observed) in errors.iter_mut().zip(&observed) {
        for error in errors {
            *error = shown(*error) - observed;
        }
    }
    if members.len() < 2 {
        let is_bound = has_few || are_noisy(&errors);
        return Flattery { optimism: 0.0, is_bound, chance: chance(confidence), candidates };
    }
    let noise = noise(&errors);
    let spread = Spread::estimate(&observed, &noise);
    let is_bound = has_few || are_noisy(&errors);
    let optimism = expected(&observed, &errors, &noise, (&spread, is_bound));
    Flattery { optimism, is_bound, chance: chance(spread.chance_of_best(winner)), candidates }
}

/// The expected optimism, or a lower bound of it.
fn expected(
    observed: &[f64],
    errors: &[Vec<f64>],
    noise: &[f64],
    (spread, is_bound): (&Spread<'_>, bool),
) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    if is_bound {
        let truths = spread.unrelated();
        optimism(errors, |model| truths[model].draw(&mut rng))
    } else {
        let truths = Truths::estimate(observed, noise);
        optimism(errors, |model| truths.draw(model, rng.random()))
    }
}

/// Whether the F1s have a larger standard error than one with which the optimism is told.
fn are_noisy(errors: &[Vec<f64>]) -> bool {
    let variance: f64 = errors.iter().map(|own| variance(own.iter().copied())).sum();
    variance / count(errors.len()) > ERROR_MAX * ERROR_MAX
}

/// The F1 that people see, of a sum over the classes that count, with so many classes and documents.
pub(super) fn shown(f1: f64, target: Target, (classes, documents): (usize, usize)) -> f64 {
    match target {
        Target::Class(_) => f1,
        // The F1 of a class that every document is of, which `models` computes, is 2a / (1 + a), where a is the accuracy.
        Target::Average(Average::Micro) => f1 / (2.0 - f1),
        Target::Average(Average::Macro) => f1 / count(classes.max(1)),
        Target::Average(Average::Weighted) => f1 / count(documents.max(1)),
    }
}

/// The mean error of the model that wins, where `truth` gives a round's true F1 of each model.
fn optimism(errors: &[Vec<f64>], mut truth: impl FnMut(usize) -> f64) -> f64 {
    let mut sum = 0.0;
    for round in 0..RESAMPLES {
        let seen = errors.iter().enumerate().map(|(model, own)| {
            // No F1 is above 1.
            let truth = truth(model).min(1.0);
            let error = own[round].min(1.0 - truth);
            (truth + error, error)
        });
        // Of equal F1s, the first.
        sum += seen.fold((f64::NEG_INFINITY, 0.0), |best, own| if own.0 > best.0 { own } else { best }).1;
    }
    (sum / count(RESAMPLES)).max(0.0)
}

/// What is likely of the models' true F1s.
struct Truths {
    /// The points of the grid, ascending.
    grid: Vec<f64>,
    /// For each model, the chance that its F1 is at most that of each point. Without a model, all F1s are the first point.
    cumulative: Vec<Vec<f64>>,
}

impl Truths {
    /// Estimates the true F1s of models with these observed F1s and this noise.
    fn estimate(observed: &[f64], noise: &[f64]) -> Self {
        let models = count(observed.len());
        let mean = observed.iter().sum::<f64>() / models;
        let squares: f64 = observed.iter().map(|f1| (f1 - mean) * (f1 - mean)).sum();
        let spread = (squares - noise.iter().sum::<f64>()) / (models - 1.0);
        let low = observed.iter().copied().fold(f64::INFINITY, f64::min);
        let high = observed.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if spread <= 0.0 || high <= low {
            return Self { grid: vec![mean], cumulative: Vec::new() };
        }
        let step = (high - low) / count(GRID - 1);
        let grid: Vec<f64> = (0..GRID).map(|point| low + step * count(point)).collect();
        let bell = |x: f64, variance: f64| (-0.5 * x * x / variance).exp();
        let likelihoods: Vec<Vec<f64>> = observed
            .iter()
            .zip(noise)
            .map(|(f1, noise)| grid.iter().map(|point| bell(f1 - point, noise.max(step * step))).collect())
            .collect();
        let mut prior: Vec<f64> = grid.iter().map(|point| bell(point - mean, spread)).collect();
        for _ in 0..STEPS {
            let posteriors: Vec<Vec<f64>> = likelihoods.iter().map(|each| posterior(&prior, each)).collect();
            prior = (0..GRID).map(|point| posteriors.iter().map(|each| each[point]).sum()).collect();
        }
        let cumulative = |likelihood: &Vec<f64>| {
            let sums = posterior(&prior, likelihood).into_iter().scan(0.0, |sum, chance| {
                *sum += chance;
                Some(*sum)
            });
            sums.collect()
        };
        let cumulative = likelihoods.iter().map(cumulative).collect();
        Self { grid, cumulative }
    }

    /// The true F1 of a model below which it is with the chance `uniform`.
    fn draw(&self, model: usize, uniform: f64) -> f64 {
        let below = self.cumulative.get(model).map_or(0, |all| all.partition_point(|sum| *sum <= uniform));
        self.grid[below.min(self.grid.len() - 1)]
    }
}

/// The chance of each point, given what was observed.
fn posterior(prior: &[f64], likelihood: &[f64]) -> Vec<f64> {
    let products: Vec<f64> = prior.iter().zip(likelihood).map(|(a, b)| a * b).collect();
    let sum: f64 = products.iter().sum();
    if sum > 0.0 { products.iter().map(|each| each / sum).collect() } else { prior.to_vec() }
}

/// The variance of each model's error less the mean error of all models, which no comparison sees.
fn noise(errors: &[Vec<f64>]) -> Vec<f64> {
    let shared: Vec<f64> = (0..RESAMPLES)
        .map(|round| errors.iter().map(|each| each[round]).sum::<f64>() / count(errors.len()))
        .collect();
    errors.iter().map(|own| variance(own.iter().zip(&shared).map(|(own, shared)| own - shared))).collect()
}

/// The variance of a figure of each resample.
fn variance(all: impl Iterator<Item = f64> + Clone) -> f64 {
    let mean = all.clone().sum::<f64>() / count(RESAMPLES);
    all.map(|each| (each - mean) * (each - mean)).sum::<f64>() / count(RESAMPLES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaderboard::{
        Prediction,
        confidence_set::{Against, p_values},
    };

    const BINARY: Target = Target::Class(1);

    /// A model of 400 documents that has the documents wrong whose number is in this range.
    fn model(wrong: std::ops::Range<u64>) -> Vec<Prediction> {
        let predict = |id: u64| {
            let label = usize::from(id % 2 == 1);
            let errs = wrong.contains(&id);
            Prediction { id, label, predicted: if errs { 1 - label } else { label } }
        };
        (0..400).map(predict).collect()
    }

    fn of(models: &[Vec<Prediction>], target: Target) -> Flattery {
        let mut same = SamePredictions::starting_with(&models[0]);
        assert!(models[1..].iter().all(|model| same.add(model)));
        let p_values = p_values(&same, target, Against::Best);
        flattery(&same, target, 2, (&p_values, 0.05))
    }

    /// Models that have as many documents wrong, each its own.
    fn equal(models: u64) -> Vec<Vec<Prediction>> {
        (0..models).map(|number| model(10 * number..10 * number + 40)).collect()
    }

    #[test]
    fn of_two_equal_models_with_as_many_errors_each_is_the_best_with_even_chances() {
        let two = of(&[model(0..40), model(40..80)], BINARY);
        assert!((two.chance.unwrap() - 0.5).abs() < 1e-9 && two.candidates == 2, "{two:?}");
    }

    #[test]
    fn the_optimism_of_two_equal_models_is_that_of_the_larger_of_two_errors() {
        // Their difference in F1 has a standard error of √80 / 400 = .0224, and E max = .0224 / √(2π) = .0089.
        let two = of(&[model(0..40), model(40..80)], BINARY);
        assert!((two.optimism - 0.0089).abs() < 0.0009, "{two:?}");
    }

    #[test]
    fn of_noisy_f1s_a_lower_bound_is_stated() {
        // Their F1 of .7 has a standard error above 2 points. The difference has one of s = √240 / 400. Where nothing is known
        // of the true F1s, half of the winner's lead is its error: s / (2√π) = .0109, and not s / √(2π) = .0154.
        let two = of(&[model(0..120), model(120..240)], BINARY);
        assert!(two.is_bound && (two.optimism - 0.0109).abs() < 0.0012, "{two:?}");
        assert!(!of(&[model(0..40), model(40..80)], BINARY).is_bound);
    }

    #[test]
    fn more_models_to_choose_from_flatter_more() {
        let optimism = [2, 6, 20].map(|models| of(&equal(models), BINARY).optimism);
        assert!(optimism[0] < optimism[1] && optimism[1] < optimism[2], "{optimism:?}");
    }

    #[test]
    fn a_winner_that_is_tied_with_none_is_not_flattered() {
        let alone = of(&[model(0..10), model(50..200)], BINARY);
        assert_eq!(alone, Flattery { optimism: 0.0, is_bound: false, chance: Some(0.95), candidates: 1 });
    }

    #[test]
    fn a_leader_by_far_is_more_likely_the_best_than_one_by_little() {
        let chance = [36, 30].map(|errors| of(&[model(0..errors), model(100..140)], BINARY).chance.unwrap());
        assert!(0.5 <= chance[0] && chance[0] < chance[1], "{chance:?}");
    }

    #[test]
    fn models_with_the_same_predictions_flatter_nothing_and_share_the_chance() {
        let twins = of(&[model(0..40), model(0..40)], BINARY);
        assert_eq!((twins.optimism, twins.candidates, twins.chance), (0.0, 2, Some(0.475)));
        let [pair, three] = [1, 2].map(|alike| {
            let mut models = vec![model(0..40); alike];
            models.push(model(40..80));
            of(&models, BINARY).chance.unwrap()
        });
        assert!((three - pair / 2.0).abs() < 1e-9, "{three} beside {pair}");
    }

    #[test]
    fn a_few_documents_tell_no_chance_and_no_exact_optimism() {
        let few = |wrong| model(wrong).into_iter().take(DOCUMENTS_MIN - 1).collect::<Vec<_>>();
        for models in [[few(0..0), few(0..0)], [few(0..0), few(0..1)], [few(0..5), few(20..26)]] {
            let told = of(&models, BINARY);
            assert!(told.chance.is_none() && told.is_bound, "{told:?}");
        }
    }

    #[test]
    fn the_order_in_which_the_others_come_plays_no_part() {
        let mut models = equal(6);
        let one = of(&models, BINARY);
        models[1..].reverse();
        assert_eq!(one, of(&models, BINARY));
    }

    #[test]
    fn of_two_balanced_classes_every_average_flatters_about_as_much_as_one_class() {
        let models = equal(6);
        let one = of(&models, BINARY).optimism;
        for average in Average::ALL {
            let other = of(&models, Target::Average(average)).optimism;
            assert!((other - one).abs() < 0.15 * one, "{average:?}: {other} beside {one}");
        }
    }

    #[test]
    fn a_winner_without_an_error_flatters_no_more_than_its_distance_from_the_others() {
        let nearly = of(&[model(0..0), model(0..2), model(10..12)], BINARY);
        assert!(nearly.optimism <= 0.005, "{nearly:?}");
    }
}
