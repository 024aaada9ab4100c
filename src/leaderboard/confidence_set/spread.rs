//! How far the true F1s of several models may lie apart, given their observed F1s.
//!
//! The true F1s are taken as drawn from a normal distribution whose spread is not known (Rubin 1981, "Estimation in
//! parallel randomized experiments", Journal of Educational Statistics 6). Every spread up to a largest one is as likely as
//! any other beforehand, as Gelman (2006, "Prior distributions for variance parameters in hierarchical models", Bayesian
//! Analysis 1) advises. A few observed F1s leave many spreads likely. So a chance is a mean over all of these, since the one
//! that fits best would make it too certain.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::numbers::count;

/// Number of spreads, from none to the largest.
const SPREADS: usize = 24;
/// The largest spread, in standard deviations of what is observed.
const LARGEST: f64 = 2.5;
/// Chance beforehand that all models are equally good, as far as chances of being the best are concerned. Chosen by
/// simulation (`benches/statistics/`), so that these are lower bounds: without it, some are stated a little too high.
const EQUAL: f64 = 0.3;
/// Points of the normal distribution over which a chance is summed, and the distance between them.
const POINTS: i32 = 40;
const STEP: f64 = 0.1;
/// No noise is smaller than this.
const NOISE_MIN: f64 = 1e-10;

/// What the observed F1s of some models leave likely of their true F1s.
pub(super) struct Spread<'a> {
    observed: &'a [f64],
    /// The variance of each model's error.
    noise: Vec<f64>,
    /// The standard deviations of true F1s that are considered, ascending from 0.
    deviations: Vec<f64>,
    /// How likely each of them is, if every one was as likely beforehand.
    chances: Vec<f64>,
    /// How likely it is that all models are equally good, if that was as likely as [`EQUAL`] beforehand.
    equal: f64,
}

/// The normal distribution of a model's true F1.
#[derive(Clone, Copy)]
pub(super) struct Bell {
    mean: f64,
    deviation: f64,
}

impl<'a> Spread<'a> {
    /// Estimates it for two or more models. `noise` is the variance of each model's error less the mean error of all.
    pub(super) fn estimate(observed: &'a [f64], noise: &[f64]) -> Self {
        let models = count(observed.len());
        // What is left of a variance without the mean of so many is smaller by this factor.
        let noise: Vec<f64> =
            noise.iter().map(|own| (own * models / (models - 1.0)).max(NOISE_MIN)).collect();
        let mean = observed.iter().sum::<f64>() / models;
        let squares: f64 = observed.iter().map(|f1| (f1 - mean) * (f1 - mean)).sum();
        let seen = (squares / (models - 1.0)).max(noise.iter().sum::<f64>() / models).sqrt();
        let deviations: Vec<f64> =
            (0..SPREADS).map(|place| LARGEST * seen * count(place) / count(SPREADS - 1)).collect();
        let mut spread = Self { observed, noise, deviations, chances: Vec::new(), equal: 0.0 };
        let logs: Vec<f64> =
            spread.deviations.iter().map(|&deviation| spread.log_likelihood(deviation)).collect();
        let highest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let likely: Vec<f64> = logs.iter().map(|log| (log - highest).exp()).collect();
        let sum: f64 = likely.iter().sum();
        let (none, any) = (EQUAL * likely[0], (1.0 - EQUAL) * sum / count(SPREADS));
        spread.equal = none / (none + any);
        spread.chances = likely.into_iter().map(|each| each / sum).collect();
        spread
    }

    /// The mean of the true F1s that is likeliest with a spread, and how much is known of it.
    fn mean(&self, deviation: f64) -> (f64, f64) {
        let known = |noise: &f64| 1.0 / (noise + deviation * deviation);
        let sum: f64 = self.noise.iter().map(known).sum();
        let mean = self.observed.iter().zip(&self.noise).map(|(f1, noise)| f1 * known(noise)).sum::<f64>();
        (mean / sum, sum)
    }

    /// How likely what is observed is with a spread, but for a constant.
    fn log_likelihood(&self, deviation: f64) -> f64 {
        let (mean, known) = self.mean(deviation);
        let of_model = |(f1, noise): (&f64, &f64)| {
            let variance = noise + deviation * deviation;
            variance.ln() + (f1 - mean) * (f1 - mean) / variance
        };
        -0.5 * (self.observed.iter().zip(&self.noise).map(of_model).sum::<f64>() + known.ln())
    }

    /// What is likely of each model's true F1 if nothing is known of those of the others, so that any spread is possible.
    pub(super) fn unrelated(&self) -> Vec<Bell> {
        let of_model = |(&mean, noise): (&f64, &f64)| Bell { mean, deviation: noise.sqrt() };
        self.observed.iter().zip(&self.noise).map(of_model).collect()
    }

    /// What is likely of each model's true F1 with a spread.
    fn truths(&self, deviation: f64) -> Vec<Bell> {
        let (mean, _) = self.mean(deviation);
        let of_model = |(f1, noise): (&f64, &f64)| {
            let kept = deviation * deviation / (deviation * deviation + noise);
            Bell { mean: mean + kept * (f1 - mean), deviation: (kept * noise).sqrt() }
        };
        self.observed.iter().zip(&self.noise).map(of_model).collect()
    }

    /// The chance that a model's true F1 is the highest.
    pub(super) fn chance_of_best(&self, model: usize) -> f64 {
        let even = 1.0 / count(self.observed.len());
        let with = |deviation: f64| if deviation > 0.0 { best(&self.truths(deviation), model) } else { even };
        let unequal =
            self.deviations.iter().zip(&self.chances).map(|(&deviation, chance)| chance * with(deviation));
        self.equal * even + (1.0 - self.equal) * unequal.sum::<f64>()
    }
}

impl Bell {
    /// A random number of this distribution.
    pub(super) fn draw(self, rng: &mut ChaCha8Rng) -> f64 {
        // Box and Muller (1958). 1 − u is above 0.
        let (one, other): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
        self.mean + self.deviation * (-2.0 * one.ln()).sqrt() * (TAU * other).cos()
    }

    /// The chance of a smaller number than this.
    fn below(self, number: f64) -> f64 {
        0.5 * libm::erfc((self.mean - number) / self.deviation * FRAC_1_SQRT_2)
    }
}

/// The chance that a draw of one of the distributions is the largest of all.
fn best(truths: &[Bell], one: usize) -> f64 {
    let (mut sum, mut weights) = (0.0, 0.0);
    for point in -POINTS..=POINTS {
        let z = STEP * f64::from(point);
        let weight = (-0.5 * z * z).exp();
        let number = truths[one].mean + truths[one].deviation * z;
        let others = truths.iter().enumerate().filter(|(model, _)| *model != one);
        sum += weight * others.map(|(_, other)| other.below(number)).product::<f64>();
        weights += weight;
    }
    sum / weights
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn equal_models_are_the_best_with_equal_chances() {
        let spread = Spread::estimate(&[0.8; 5], &[0.0004; 5]);
        assert!((spread.chance_of_best(2) - 0.2).abs() < 1e-4, "{}", spread.chance_of_best(2));
    }

    #[test]
    fn the_chances_of_all_models_sum_to_one() {
        let spread = Spread::estimate(&[0.8, 0.82, 0.9, 0.77], &[0.0004, 0.0003, 0.0002, 0.0005]);
        let sum: f64 = (0..4).map(|model| spread.chance_of_best(model)).sum();
        assert!((sum - 1.0).abs() < 1e-3, "{sum}");
    }

    #[test]
    fn a_chance_is_the_share_of_draws_in_which_the_model_is_the_best() {
        let truths = [Bell { mean: 0.8, deviation: 0.02 }, Bell { mean: 0.79, deviation: 0.01 }];
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let wins = (0..20_000).filter(|_| truths[0].draw(&mut rng) > truths[1].draw(&mut rng)).count();
        // The difference has a mean of .01 and a deviation of .0224: Φ(.4472) = .6726.
        assert!((best(&truths, 0) - 0.6726).abs() < 1e-4, "{}", best(&truths, 0));
        assert!((count(wins) / 20_000.0 - 0.6726).abs() < 0.014, "{wins}");
    }

    #[test]
    fn of_models_that_differ_by_far_more_than_their_noise_the_best_seems_to_be_so() {
        let observed = [0.5, 0.6, 0.7, 0.8, 0.9];
        let spread = Spread::estimate(&observed, &[1e-6; 5]);
        assert!(spread.chance_of_best(4) > 0.999, "{}", spread.chance_of_best(4));
    }

    #[test]
    fn the_same_lead_tells_more_where_the_noise_is_smaller() {
        let chance = |noise: f64| Spread::estimate(&[0.83, 0.8, 0.79, 0.8], &[noise; 4]).chance_of_best(0);
        assert!(
            0.25 < chance(0.0016) && chance(0.0016) < chance(0.0001),
            "{} {}",
            chance(0.0016),
            chance(0.0001)
        );
    }

    #[test]
    fn models_that_seem_alike_are_likely_closer_together_than_each_by_itself_is() {
        let spread = Spread::estimate(&[0.8, 0.81, 0.79], &[0.0004; 3]);
        let (together, alone) = (spread.truths(0.01), spread.unrelated());
        assert!(together.iter().zip(&alone).all(|(a, b)| a.deviation < b.deviation));
        assert!(together[1].mean < alone[1].mean && (alone[1].mean - 0.81).abs() < 1e-12);
    }
}
