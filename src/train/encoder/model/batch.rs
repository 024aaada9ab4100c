//! Chunks as the tensors that a model takes.

use std::sync::Arc;

use burn::tensor::{Int, Tensor, TensorData, backend::Backend};

use crate::{
    numbers::small_count,
    train::{
        encoder::config::Positions,
        ops::{inputs::Packing, row_sink::RowSink},
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

/// Packed chunks: the tokens of all chunks, one chunk after another.
pub(crate) struct Batch<B: Backend> {
    /// Token ids, `[tokens]`.
    pub(super) ids: Tensor<B, 1, Int>,
    /// Token ids in this process's memory, from which positions are computed.
    tokens: Vec<u32>,
    pub(super) packing: Arc<Packing>,
    /// The hidden states of the lowest layers, where they are known and need not be computed.
    pub(super) lower: Option<LowerLayers<B>>,
    /// Where the gradients of the word embeddings go, if not with the other gradients.
    pub(super) sink: Option<RowSink>,
}

impl<B: Backend> Batch<B> {
    /// Packs `chunks`, none of them empty.
    pub(crate) fn new(chunks: &[&[u32]], device: &B::Device) -> Self {
        let mut starts = vec![0];
        let mut tokens: Vec<u32> = Vec::new();
        for chunk in chunks {
            tokens.extend(*chunk);
            starts.push(tokens.len());
        }
        Self {
            ids: indices(tokens.iter().map(|id| id.cast_signed()).collect(), device),
            tokens,
            packing: Arc::new(Packing { starts }),
            lower: None,
            sink: None,
        }
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
    pub(super) fn position_rows(&self, positions: Positions) -> Tensor<B, 1, Int> {
        let rows = (0..self.packing.sequences()).flat_map(|chunk| {
            let (start, length) = self.packing.sequence(chunk);
            positions.rows(&self.tokens[start..][..length])
        });
        indices(rows.collect(), &self.ids.device())
    }

    /// The row of each chunk's first token, `[chunks]`.
    pub(super) fn first_rows(&self) -> Tensor<B, 1, Int> {
        let starts = &self.packing.starts[..self.packing.sequences()];
        let rows = starts.iter().map(|&row| i32::try_from(row).unwrap_or(i32::MAX)).collect();
        indices(rows, &self.ids.device())
    }

    /// The matrix `[chunks, tokens]` whose product with hidden states is each chunk's mean: the element of a chunk
    /// and one of its tokens is 1 / (the chunk's length), all others are 0.
    pub(super) fn mean_matrix(&self) -> Tensor<B, 2> {
        let (chunks, rows) = (self.packing.sequences(), self.packing.rows());
        let mut shares = vec![0.0_f32; chunks * rows];
        for chunk in 0..chunks {
            let (start, length) = self.packing.sequence(chunk);
            shares[chunk * rows + start..][..length].fill(1.0 / small_count(length));
        }
        Tensor::from_data(TensorData::new(shares, [chunks, rows]), &self.ids.device())
    }
}

fn indices<B: Backend>(values: Vec<i32>, device: &B::Device) -> Tensor<B, 1, Int> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}
