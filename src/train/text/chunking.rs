//! How a text's tokens are cut into chunks.

use crate::settings::{LongText, Settings};

/// How a text is cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Chunking {
    /// The largest number of tokens in a chunk, special tokens included.
    pub length: usize,
    /// Tokens that neighbouring chunks share.
    pub stride: usize,
    /// How a text that one chunk cannot hold is cut.
    pub long: LongText,
    /// The largest number of chunks of a text; later ones are dropped. 0: no bound.
    pub chunks_max: usize,
}

impl Chunking {
    /// The chunking that `settings` ask for.
    #[must_use]
    pub const fn of(settings: &Settings) -> Self {
        Self {
            length: settings.chunk_length,
            stride: settings.chunk_stride,
            long: settings.long,
            chunks_max: settings.max_chunks,
        }
    }

    /// Chunks of `length` tokens without overlap: each token stands in exactly one chunk.
    #[must_use]
    pub const fn whole(length: usize) -> Self {
        Self { length, stride: 0, long: LongText::Chunk, chunks_max: 0 }
    }

    /// The number of pieces of `tokens` tokens with at most `capacity` tokens each.
    pub(super) fn count(&self, tokens: usize, capacity: usize) -> usize {
        match self.long {
            LongText::Chunk if tokens > capacity => {
                let count = (tokens - capacity).div_ceil(self.step(capacity)) + 1;
                if self.chunks_max > 0 { count.min(self.chunks_max) } else { count }
            }
            LongText::Chunk | LongText::Head | LongText::Tail | LongText::HeadTail => 1,
        }
    }

    /// Tokens from the start of a piece to that of the next.
    fn step(&self, capacity: usize) -> usize {
        capacity.saturating_sub(self.stride).max(1)
    }

    /// Cuts `tokens` into pieces of at most `capacity` tokens, in order. There is at least one piece; it is
    /// empty for an empty text.
    ///
    /// With [`LongText::Chunk`], neighbouring pieces overlap by the stride and together cover every token,
    /// unless there would be more than `chunks_max` pieces. The other kinds give one piece.
    #[must_use]
    pub fn pieces<T: Clone>(&self, tokens: &[T], capacity: usize) -> Vec<Vec<T>> {
        if tokens.len() <= capacity {
            return vec![tokens.to_vec()];
        }
        match self.long {
            LongText::Head => vec![tokens[..capacity].to_vec()],
            LongText::Tail => vec![tokens[tokens.len() - capacity..].to_vec()],
            LongText::HeadTail => {
                // Sun et al. 2019: 128 of 510 tokens from the head.
                let head = (capacity + 2) / 4;
                let tail = tokens.len() - (capacity - head);
                vec![[&tokens[..head], &tokens[tail..]].concat()]
            }
            LongText::Chunk => {
                let step = self.step(capacity);
                let piece = |index: usize| {
                    let start = index * step;
                    tokens[start..tokens.len().min(start + capacity)].to_vec()
                };
                (0..self.count(tokens.len(), capacity)).map(piece).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn chunks_cover_the_whole_text(
            tokens in 0_u32..400, capacity in 6_usize..60, stride in 0_usize..5,
        ) {
            let ids: Vec<u32> = (0..tokens).collect();
            let pieces = Chunking { stride, ..Chunking::whole(0) }.pieces(&ids, capacity);
            let mut covered = pieces[0].clone();
            pieces[1..].iter().for_each(|piece| covered.extend(&piece[stride..]));
            prop_assert_eq!(covered, ids);
        }

        #[test]
        fn chunks_overlap_by_the_stride(
            tokens in 0_u32..400, capacity in 6_usize..60, stride in 0_usize..5,
        ) {
            let ids: Vec<u32> = (0..tokens).collect();
            let pieces = Chunking { stride, ..Chunking::whole(0) }.pieces(&ids, capacity);
            for pair in pieces.windows(2) {
                prop_assert_eq!(&pair[0][pair[0].len() - stride..], &pair[1][..stride]);
                prop_assert!(pair[1].len() > stride);
            }
        }

        #[test]
        fn no_chunk_is_longer_than_its_capacity(
            tokens in 0_u32..400, capacity in 6_usize..60, stride in 0_usize..5,
        ) {
            let ids: Vec<u32> = (0..tokens).collect();
            let pieces = Chunking { stride, ..Chunking::whole(0) }.pieces(&ids, capacity);
            prop_assert!(pieces.iter().all(|piece| piece.len() <= capacity));
        }

        #[test]
        fn one_piece_forms_fill_the_chunk(tokens in 61_u32..400, long in prop::sample::select(vec![LongText::Head, LongText::Tail, LongText::HeadTail])) {
            let ids: Vec<u32> = (0..tokens).collect();
            let pieces = Chunking { long, ..Chunking::whole(0) }.pieces(&ids, 60);
            prop_assert_eq!(pieces.len(), 1);
            prop_assert_eq!(pieces[0].len(), 60);
        }
    }

    #[test]
    fn at_most_the_first_chunks_are_kept() {
        let ids: Vec<u32> = (0..100).collect();
        let chunking = Chunking { chunks_max: 2, ..Chunking::whole(0) };
        assert_eq!(chunking.pieces(&ids, 30).concat(), (0..60).collect::<Vec<_>>());
    }

    #[test]
    fn head_and_tail_are_those_of_sun_et_al() {
        let ids: Vec<u32> = (0..1_000).collect();
        let pieces = Chunking { long: LongText::HeadTail, ..Chunking::whole(512) }.pieces(&ids, 510);
        assert_eq!(pieces[0][127], 127);
        assert_eq!(pieces[0][128], 1_000 - 382);
    }
}
