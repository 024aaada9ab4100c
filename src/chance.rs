//! Random numbers that depend on nothing but a list of texts.
//!
//! Every random decision of a plan or a split comes from here. `ChaCha8` is a counter-based generator:
//! its output is a fixed function of its key and of a block counter, with no state that a machine or a
//! crate could initialise otherwise. The key is the SHA-256 of the texts that name the decision (such as
//! the seed, the grid cell and the parameter), so that each decision has a stream of its own, and one
//! decision more or fewer changes no other. The steps from the generator's words to bounded numbers and
//! shuffles are written out here, since crates change theirs between versions.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::numbers::count_u64;

/// A stream of random numbers.
pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of `parts`; the same parts in another order have another stream.
    pub(crate) fn new(parts: &[&str]) -> Self {
        Self(ChaCha8Rng::from_seed(digest(parts)))
    }

    /// A whole number from 0 to `bound` - 1; 0 if `bound` is 0.
    ///
    /// This is the high word of the 128-bit product of a random word and `bound` (Lemire, "Fast random
    /// integer generation in an interval", arXiv 1805.10941), without its rejection step: each result's
    /// probability is within 2^-64 of 1 / `bound`, and each call takes exactly one word of the stream.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.0.next_u64()) * u128::from(bound);
        (product >> 64) as u64
    }

    /// A number in [0, 1), a multiple of 2^-53.
    pub(crate) fn unit(&mut self) -> f64 {
        // The upper 53 bits, as many as the significand of an f64 has, over 2^53: exact, and below 1.
        count_u64(self.0.next_u64() >> 11) / 9_007_199_254_740_992.0
    }

    /// Puts `items` in random order (Fisher-Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let chosen = usize::try_from(self.below(last as u64 + 1)).unwrap_or(last);
            items.swap(last, chosen);
        }
    }
}

/// SHA-256 over `parts`, each preceded by its length, so that `["ab", "c"]` and `["a", "bc"]` differ.
pub(crate) fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_depend_on_where_the_parts_are_cut() {
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
    }

    #[test]
    fn the_stream_of_given_parts_never_changes() {
        let mut chance = Chance::new(&["42", "split"]);
        let drawn: Vec<u64> = (0..4).map(|_| chance.below(1000)).collect();
        assert_eq!(drawn, [410, 777, 244, 258]);
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        Chance::new(&["1"]).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<u32>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<u32>>());
    }
}
