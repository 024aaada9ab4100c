//! Chunks as the tensors that a model takes.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData, backend::Backend};

use crate::{
    numbers::small_count,
    train::{
        encoder::config::Positions,
        ops::{
            inputs::{Packing, RowIds},
            row_sink::RowSink,
        },
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
        let mut starts = vec![0];
        let mut tokens: Vec<u32> = Vec::new();
        for chunk in chunks {
            tokens.extend(*chunk);
            starts.push(tokens.len());
        }
        Self {
            ids: RowIds::new(tokens, device),
            packing: Arc::new(Packing::new(starts)),
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
    pub(super) fn position_rows(&self, positions: Positions) -> RowIds<B> {
        let rows = (0..self.packing.sequences()).flat_map(|chunk| {
            let (start, length) = self.packing.sequence(chunk);
            positions.rows(&self.ids.on_host[start..][..length])
        });
        RowIds::new(rows.map(i32::cast_unsigned).collect(), &self.ids.on_device.device())
    }

    /// The row of each chunk's first token, `[chunks]`.
    pub(super) fn first_rows(&self) -> RowIds<B> {
        let starts = &self.packing.starts[..self.packing.sequences()];
        let rows = starts.iter().map(|&row| u32::try_from(row).unwrap_or(u32::MAX)).collect();
        RowIds::new(rows, &self.ids.on_device.device())
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
        Tensor::from_data(TensorData::new(shares, [chunks, rows]), &self.ids.on_device.device())
    }
}
