//! Rounds of random signs, and how often they reach what was observed.
//!
//! A round draws a sign for each document, which all models share, and computes every pair's t with these signs.
//! Shared signs keep the dependence between the pairs: models that agree on most documents move together.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    models::Models,
    pair::{Coefficients, Pair},
    sums::{LANES, Lanes, Sums, differences},
};

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

/// The p-value of each step: the share of rounds in which the largest |t| over the pairs of this step and of all
/// later steps is at least the first pair's observed t.
pub(super) fn p_values(models: &Models, steps: &[Vec<Pair>]) -> Vec<f64> {
    let mut reached = vec![0_u32; steps.len()];
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let members: Vec<usize> = (0..models.different.len()).collect();
    let arch = pulp::Arch::new();
    for _ in 0..BLOCKS {
        let sums = differences(models, &members, |_| signs(&mut rng));
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
