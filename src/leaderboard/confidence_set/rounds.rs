//! Rounds of random signs, and how often they reach what was observed.
//!
//! A round draws a sign for each document, which all models share, and computes every pair's t with these signs.
//! Shared signs keep the dependence between the pairs: models that agree on most documents move together.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    models::{Model, Models},
    pair::{Coefficients, Pair},
};

/// Number of rounds that are computed together, by instructions that work on several of them at once.
const LANES: usize = 256;
/// Number of times that [`LANES`] rounds are computed.
const BLOCKS: u32 = 8;
/// Number of rounds. The standard error of a p-value near .05 is then under .005.
pub(super) const ROUNDS: u32 = 2_048;
const _: () = assert!(ROUNDS as usize == BLOCKS as usize * LANES, "every round is in a block");
/// Seed of the signs: any fixed number, so that the same predictions give the same p-values.
const SEED: u64 = 0x5eed;
/// A round whose t is below the observed one by less than this share counts as equal. Where few documents tell two
/// models apart, many rounds have exactly the observed t, but for rounding.
const ROUNDING_ERROR: f64 = 1e-4;

/// One figure for each round of a block.
type Lanes = [f32; LANES];

/// Sums over the documents of the signs of a round, for one model and one class.
#[derive(Clone)]
struct Sums {
    /// Over the documents that the model rightly predicts as of the class.
    hits: Lanes,
    /// Over the documents that the model predicts as of the class.
    named: Lanes,
}

/// The p-value of each step: the share of rounds in which the largest |t| over the pairs of this step and of all
/// later steps is at least the first pair's observed t.
pub(super) fn p_values(models: &Models, steps: &[Vec<Pair>]) -> Vec<f64> {
    let mut reached = vec![0_u32; steps.len()];
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let arch = pulp::Arch::new();
    for _ in 0..BLOCKS {
        let sums = signed_sums(models, &mut rng);
        let mut maxima: Lanes = [0.0; LANES];
        for (pairs, reached) in steps.iter().zip(&mut reached).rev() {
            for pair in pairs {
                let terms = pair.coefficients(models).zip(sums[pair.better].iter().zip(&sums[pair.worse]));
                arch.dispatch(Raise { maxima: &mut maxima, terms });
            }
            let observed = pairs.first().map_or(0.0, |pair| single(pair.t * (1.0 - ROUNDING_ERROR)));
            *reached += maxima.iter().map(|&maximum| u32::from(maximum >= observed)).sum::<u32>();
        }
    }
    // The observed signs count as a round too. Without this round, p could be 0, and the test would reject too
    // often (Noreen 1989, "Computer-intensive methods for testing hypotheses").
    reached.into_iter().map(|reached| f64::from(reached + 1) / f64::from(ROUNDS + 1)).collect()
}

/// Raises each maximum to a pair's |t| in its round, with this processor's vector instructions. They compute what
/// any processor would.
struct Raise<'a, T> {
    maxima: &'a mut Lanes,
    terms: T,
}

impl<'a, T: Iterator<Item = (Coefficients, (&'a Sums, &'a Sums))>> pulp::WithSimd for Raise<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let mut t: Lanes = [0.0; LANES];
        for (coefficients, (better, worse)) in self.terms {
            let (hit, named) = (single(coefficients.hit), single(coefficients.named));
            for (lane, t) in t.iter_mut().enumerate() {
                *t += hit * (better.hits[lane] - worse.hits[lane])
                    - named * (better.named[lane] - worse.named[lane]);
            }
        }
        for (maximum, t) in self.maxima.iter_mut().zip(t) {
            *maximum = if t.abs() > *maximum { t.abs() } else { *maximum };
        }
    }
}

/// Draws the signs of a block of rounds, and sums them for each model and class that counts.
///
/// Only differences between models matter. So the sums are taken over the documents for which a model differs from
/// the first model, with the first model's own sums subtracted.
fn signed_sums(models: &Models, rng: &mut ChaCha8Rng) -> Vec<Vec<Sums>> {
    let zero = Sums { hits: [0.0; LANES], named: [0.0; LANES] };
    let mut sums = vec![vec![zero; models.terms.len()]; models.different.len()];
    let Some((first, others)) = models.different.split_first() else { return sums };
    let term_of: BTreeMap<u32, usize> =
        models.terms.iter().enumerate().map(|(place, term)| (term.class, place)).collect();
    for (document, &label) in models.labels.iter().enumerate() {
        let signs = signs(rng);
        let usual = first.predicted[document];
        let differs = |model: &Model| model.predicted[document] != usual;
        for (place, model) in others.iter().enumerate().filter(|(_, model)| differs(model)) {
            let sums = &mut sums[place + 1];
            for (class, sign) in [(model.predicted[document], 1.0), (usual, -1.0)] {
                if let Some(&term) = term_of.get(&class) {
                    add(&mut sums[term].named, sign, &signs);
                    if class == label {
                        add(&mut sums[term].hits, sign, &signs);
                    }
                }
            }
        }
    }
    sums
}

/// Adds `sign` times the signs to the sums.
fn add(sums: &mut Lanes, sign: f32, signs: &Lanes) {
    for (sum, each) in sums.iter_mut().zip(signs) {
        *sum += sign * each;
    }
}

/// A random sign for each round, 1 or −1.
fn signs(rng: &mut ChaCha8Rng) -> Lanes {
    let mut signs: Lanes = [1.0; LANES];
    for part in signs.chunks_mut(64) {
        let bits = rng.next_u64();
        for (place, sign) in part.iter_mut().enumerate() {
            if bits >> place & 1 == 1 {
                *sign = -1.0;
            }
        }
    }
    signs
}

/// The number in single precision, whose rounding errors [`ROUNDING_ERROR`] allows for.
#[expect(clippy::cast_possible_truncation, reason = "rounds; no statistic is too large for single precision")]
fn single(number: f64) -> f32 {
    number as f32
}
