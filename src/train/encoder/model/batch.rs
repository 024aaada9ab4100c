//! Chunks as the tensors that a model takes.

use std::sync::Arc;

use burn::tensor::{Tensor, backend::Backend};

use crate::train::{
    encoder::config::Positions,
    ops::{
        inputs::{NO_ROW, Packing, RowIds},
        row_sink::RowSink,
    },
};

/// The hidden states that the lowest layers of an encoder return for a batch.
#[derive(Clone)]
pub(super) struct LowerLayers<B: Backend> {
    /// The number of these layers.
    pub(super) layers: usize,
    /// `[tokens, width]`
    pub(super) hidden: Tensor<B, 2>,
}

/// Packed chunks: the tokens of all chunks, one chunk after another; or those of several trials, trial by trial.
pub(crate) struct Batch<B: Backend> {
    /// Token ids, `[tokens]`.
    pub(super) ids: RowIds<B>,
    pub(super) packing: Arc<Packing>,
    /// The hidden states of the lowest layers, where they are known and need not be computed.
    pub(super) lower: Option<LowerLayers<B>>,
    /// Where the gradients of the word embeddings go, if not with the other gradients.
    pub(super) sink: Option<RowSink>,
}

impl<B: Backend> Batch<B> {
    /// Packs `chunks`, none of them empty.
    pub(crate) fn new(chunks: &[&[u32]], device: &B::Device) -> Self {
        let packing = Packing::new(chunks.iter().map(|chunk| chunk.len()));
        Self::of(RowIds::new(chunks.concat(), device), packing)
    }

    /// Packs the chunks of several trials, none of them empty, side by side: each trial has as many rows and chunks as
    /// `size` says, its own ones first.
    pub(crate) fn side_by_side(trials: &[Vec<&[u32]>], size: BatchSize, device: &B::Device) -> Self {
        let mut ids = Vec::with_capacity(trials.len() * size.rows);
        for (trial, chunks) in trials.iter().enumerate() {
            ids.extend(chunks.iter().copied().flatten());
            ids.resize((trial + 1) * size.rows, NO_ROW);
        }
        let lengths = |chunks: &Vec<&[u32]>| chunks.iter().map(|chunk| chunk.len()).collect();
        let lengths: Vec<Vec<usize>> = trials.iter().map(lengths).collect();
        let packing = Packing::side_by_side(&lengths, size.rows, size.chunks);
        Self::of(RowIds::of_tables(trials.len(), ids, device), packing)
    }

    fn of(ids: RowIds<B>, packing: Packing) -> Self {
        Self { ids, packing: Arc::new(packing), lower: None, sink: None }
    }

    /// Gives the batch the hidden states, `[tokens, width]`, that the lowest `layers` layers return for it.
    pub(crate) fn with_lower_layers(self, layers: usize, hidden: Tensor<B, 2>) -> Self {
        Self { lower: Some(LowerLayers { layers, hidden }), ..self }
    }

    /// Sends the gradients of the word embeddings to `sink`, where the backend can.
    pub(crate) fn with_sink(self, sink: &RowSink) -> Self {
        Self { sink: Some(sink.clone()), ..self }
    }

    /// Each token's row in the position embeddings, `[tokens]`.
    pub(super) fn position_rows(&self, positions: Positions) -> RowIds<B> {
        let mut rows = vec![NO_ROW; self.packing.rows()];
        for chunk in 0..self.packing.sequences() {
            let (start, length) = self.packing.sequence(chunk);
            let own = positions.rows(&self.ids.on_host[start..][..length]);
            rows[start..].iter_mut().zip(own).for_each(|(row, own)| *row = own.cast_unsigned());
        }
        RowIds::of_tables(self.packing.trials(), rows, &self.ids.on_device.device())
    }

    /// The row of each chunk's first token, `[chunks]`.
    pub(super) fn first_rows(&self) -> RowIds<B> {
        let row = |chunk| match self.packing.sequence(chunk) {
            (_, 0) => NO_ROW,
            (start, _) => u32::try_from(start).unwrap_or(u32::MAX),
        };
        let rows = (0..self.packing.sequences()).map(row).collect();
        RowIds::new(rows, &self.ids.on_device.device())
    }
}

/// The size of a trial's part of a batch of several trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchSize {
    pub(crate) rows: usize,
    pub(crate) chunks: usize,
}

impl BatchSize {
    /// The smallest of a fixed set of sizes that holds `rows` rows and `chunks` chunks: there are few sizes, for which
    /// kernels are chosen and compiled once.
    pub(crate) fn holding(rows: usize, chunks: usize) -> Self {
        Self { rows: rounded(rows, ROWS_STEP), chunks: rounded(chunks, CHUNKS_STEP) }
    }
}

/// All numbers of rows and of chunks are multiples of these: what kernels read at once divides them.
const ROWS_STEP: usize = 64;
const CHUNKS_STEP: usize = 8;

/// The next number in a series of multiples of `step` with at most eight numbers for each doubling: less than an eighth, or
/// than one step, is padding.
fn rounded(number: usize, step: usize) -> usize {
    let number = number.max(1);
    number.next_multiple_of(step.max(number.next_power_of_two() / 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_few_sizes_and_none_is_much_too_large() {
        let sizes: std::collections::BTreeSet<usize> =
            (1..=16_384).map(|rows| rounded(rows, ROWS_STEP)).collect();
        assert!(sizes.len() < 70, "{}", sizes.len());
        for rows in 1..=16_384 {
            let size = rounded(rows, ROWS_STEP);
            assert!(
                size >= rows
                    && size.is_multiple_of(ROWS_STEP)
                    && size - rows < ROWS_STEP.max(rows.div_ceil(8))
            );
        }
    }

    #[test]
    fn a_last_smaller_batch_has_the_size_of_the_others() {
        assert_eq!(BatchSize::holding(100, 5), BatchSize::holding(128, 8));
    }
}
