//! The order in which batches take documents, and which documents are measured together.

use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::corpus::TokenizedSplit;
use crate::train::masks;

/// Batches whose documents are sorted by length together. More of them pad less, fewer mix better; the number
/// is that of `group_by_length` in `transformers` (`trainer_pt_utils.py`, `get_length_grouped_indices`).
const SORTED_TOGETHER: usize = 50;

/// Seed of the documents that [`TokenizedSplit::spread`] draws: any fixed number.
const SPREAD_SEED: u64 = 0x5A3D;

impl TokenizedSplit {
    /// Returns the batches of an epoch. Each document stands in exactly one batch, documents of like length stand
    /// together, and the batches come in random order. The result is a function of the split, `batch_size`,
    /// `seed` and `epoch` alone.
    pub(crate) fn epoch_batches(&self, batch_size: usize, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
        let mut rng = ChaCha8Rng::seed_from_u64(masks::key(&[seed, 0xDA7A, epoch]));
        let mut order: Vec<usize> = (0..self.document_count()).collect();
        order.shuffle(&mut rng);
        let mut batches: Vec<Vec<usize>> = Vec::with_capacity(self.document_count().div_ceil(batch_size));
        for together in order.chunks_mut(batch_size.saturating_mul(SORTED_TOGETHER)) {
            // A stable sort: documents of equal length stay shuffled.
            together.sort_by_key(|&document| self.longest_chunk(document));
            batches.extend(together.chunks(batch_size).map(<[usize]>::to_vec));
        }
        batches.shuffle(&mut rng);
        batches
    }

    /// Cuts `documents` into consecutive groups. The chunks of a group, padded to its longest one, have at most
    /// `tokens_max` tokens; a document that is longer by itself is a group of its own.
    pub(crate) fn groups(&self, documents: &[usize], tokens_max: usize) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let (mut chunks, mut longest) = (0, 0);
        for &document in documents {
            let count = self.chunk_range(document).len();
            let length = self.longest_chunk(document).max(longest);
            match groups.last_mut() {
                Some(group) if (chunks + count) * length <= tokens_max => {
                    group.push(document);
                    (chunks, longest) = (chunks + count, length);
                }
                _ => {
                    groups.push(vec![document]);
                    (chunks, longest) = (count, self.longest_chunk(document));
                }
            }
        }
        groups
    }

    /// So many documents of the split, spread over it, in order; all of them if it has no more. Each is drawn from one of
    /// equal parts: every second document of a file, say, may be of one class. The result is a function of the two numbers.
    pub(crate) fn spread(&self, documents: usize) -> Vec<usize> {
        let all = self.document_count();
        let sample = documents.min(all);
        let mut rng = ChaCha8Rng::seed_from_u64(SPREAD_SEED);
        let part = |index: usize| index * all / sample..(index + 1) * all / sample;
        (0..sample).map(|index| rng.random_range(part(index))).collect()
    }

    /// The groups in which `documents` are run where no gradients are wanted, shortest documents first, with at most
    /// `tokens_max` padded tokens each, or one document.
    pub(crate) fn forward_groups(&self, documents: &[usize], tokens_max: usize) -> Vec<Vec<usize>> {
        let mut order = documents.to_vec();
        order.sort_by_key(|&document| self.longest_chunk(document));
        self.groups(&order, tokens_max)
    }
}
