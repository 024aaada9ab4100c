//! Resamples of the documents, and each model's F1 in them.
//!
//! In a resample each document counts 0, 1, 2 or more times: a Poisson number of mean 1, as in a bootstrap that draws
//! with replacement from endlessly many documents (Hanley and `MacGibbon` 2006, "Creating non-parametric
//! bootstrap samples using Poisson frequencies"). All models share the numbers, which keeps the dependence between them.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    models::{Counts, Models},
    sums::{LANES, Lanes, Sums, add, differences},
};

/// Number of times that [`LANES`] resamples are computed.
const BLOCKS: usize = 4;
/// Number of resamples.
pub(super) const RESAMPLES: usize = BLOCKS * LANES;
/// Seed of the resamples: any fixed number, so that the same predictions give the same figures.
const SEED: u64 = 0xb007;
/// For k from 0, the share of Poisson numbers of mean 1 that are at most k, in parts of 65,536. Rounded so, the mean is
/// still 1 exactly.
const AT_MOST: [u16; 8] = [24_109, 48_219, 60_273, 64_292, 65_296, 65_497, 65_531, 65_535];

/// The F1 of each of the models at these places in each resample.
pub(super) fn f1s(models: &Models, members: &[usize]) -> Vec<Vec<f64>> {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut f1s = vec![Vec::with_capacity(RESAMPLES); members.len()];
    for _ in 0..BLOCKS {
        let block = Block::draw(models, members, &mut rng);
        for (member, f1s) in f1s.iter_mut().enumerate() {
            f1s.extend((0..LANES).map(|lane| block.f1(models, member, lane)));
        }
    }
    f1s
}

/// The counts of some resamples.
struct Block {
    /// For each class that counts, the documents of this class.
    of_class: Vec<Lanes>,
    /// Likewise, the sums of the first member.
    first: Vec<Sums>,
    /// The sums of each member less those of the first one.
    differences: Vec<Vec<Sums>>,
}

impl Block {
    fn draw(models: &Models, members: &[usize], rng: &mut ChaCha8Rng) -> Self {
        let terms = models.terms.len();
        let (mut of_class, mut first) = (vec![[0.0; LANES]; terms], vec![Sums::ZERO; terms]);
        let weights = |document: usize| {
            let weights = poisson(rng);
            let label = models.labels[document];
            let predicted = members.first().map(|&first| models.different[first].predicted[document]);
            for (place, term) in models.terms.iter().enumerate() {
                if term.class == label {
                    add(&mut of_class[place], 1.0, &weights);
                }
                if Some(term.class) == predicted {
                    add(&mut first[place].named, 1.0, &weights);
                    if term.class == label {
                        add(&mut first[place].hits, 1.0, &weights);
                    }
                }
            }
            weights
        };
        let differences = differences(models, members, weights);
        Self { of_class, first, differences }
    }

    /// The F1 that counts of a member in a resample.
    fn f1(&self, models: &Models, member: usize, lane: usize) -> f64 {
        let of_term = |(place, weight): (usize, f64)| {
            let (first, own) = (&self.first[place], &self.differences[member][place]);
            let hits = f64::from(first.hits[lane] + own.hits[lane]);
            let named = f64::from(first.named[lane] + own.named[lane]);
            weight * Counts { hits, both: named + f64::from(self.of_class[place][lane]) }.f1()
        };
        models.terms.iter().map(|term| term.weight).enumerate().map(of_term).sum()
    }
}

/// A Poisson number of mean 1 for each resample of a block.
fn poisson(rng: &mut ChaCha8Rng) -> Lanes {
    let mut counts: Lanes = [0.0; LANES];
    for part in counts.chunks_mut(4) {
        let bits = rng.next_u64();
        for (place, count) in part.iter_mut().enumerate() {
            let [low, high, ..] = (bits >> (16 * place)).to_le_bytes();
            let uniform = u16::from_le_bytes([low, high]);
            let above: u8 = AT_MOST.iter().map(|&at_most| u8::from(uniform >= at_most)).sum();
            *count = f32::from(above);
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_counts_once_on_average_and_more_than_once_in_a_quarter_of_the_resamples() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let all: Vec<f32> = (0..400).flat_map(|_| poisson(&mut rng)).collect();
        let share = |is: fn(f32) -> bool| {
            f64::from(u32::try_from(all.iter().filter(|count| is(**count)).count()).unwrap()) / 102_400.0
        };
        assert!((share(|count| count < 0.5) - 0.3679).abs() < 0.006, "{}", share(|count| count < 0.5));
        assert!((share(|count| count > 1.5) - 0.2642).abs() < 0.006, "{}", share(|count| count > 1.5));
        assert!((f64::from(all.iter().sum::<f32>()) / 102_400.0 - 1.0).abs() < 0.012);
    }
}
