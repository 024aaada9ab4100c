//! The encoder with its classifier on top.

use std::ops::Range;

use burn::{
    module::Module,
    nn::Linear,
    tensor::{Tensor, TensorData, activation::relu, backend::Backend},
};

pub(crate) use super::layers::Queries;
use super::{batch::Batch, layers::Encoder};
use crate::{
    numbers::count,
    settings::{MatmulPrecision, Pooling, Settings},
    train::{
        encoder::{
            config::Positions,
            family::{Family, HeadActivation},
        },
        masks::{Drops, Masks},
        ops::fused::Fused,
        tensors::values,
    },
};

/// How a model uses its parameters, which their files do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ModelOptions {
    pub(crate) pooling: Pooling,
    pub(crate) precision: MatmulPrecision,
}

impl ModelOptions {
    pub(crate) const fn of(settings: &Settings) -> Self {
        Self { pooling: settings.pooling, precision: settings.matmul_precision }
    }
}

#[cfg(test)]
impl From<Pooling> for ModelOptions {
    fn from(pooling: Pooling) -> Self {
        Self { pooling, precision: MatmulPrecision::F32 }
    }
}

/// An encoder with a classifier on top.
#[derive(Module, Debug)]
pub(crate) struct Classifier<B: Backend> {
    pub(super) encoder: Encoder<B>,
    /// The dense layer over the first token. A model without it mean-pools its chunks.
    pub(super) pooler: Option<Linear<B>>,
    pub(super) head: Linear<B>,
    #[module(skip)]
    pub(super) family: &'static Family,
    #[module(skip)]
    pub(super) positions: Positions,
}

impl<B: Fused> Classifier<B> {
    /// Logits of each chunk, `[chunks, classes]`.
    pub(crate) fn forward(&self, batch: &Batch<B>, masks: &Masks) -> Tensor<B, 2> {
        self.classify(self.pool(batch, masks), masks)
    }

    /// The encoder's output for each chunk, `[chunks, width]`: the hidden state of the first token, or the mean over
    /// all tokens.
    fn pool(&self, batch: &Batch<B>, masks: &Masks) -> Tensor<B, 2> {
        match &self.pooler {
            // Only the rows of first tokens are read from the last layer, so only they are computed.
            Some(_) => self.encode(batch, masks, Queries::First),
            None => B::sequence_means(self.encode(batch, masks, Queries::All), &batch.packing),
        }
    }

    /// Logits, `[chunks, classes]`, from the encoder's output for each chunk, `[chunks, width]`.
    pub(crate) fn classify(&self, chunks: Tensor<B, 2>, masks: &Masks) -> Tensor<B, 2> {
        let head = &self.family.head;
        let chunks = match &self.pooler {
            Some(pooler) => {
                let chunks = if head.dropout_first { B::dropout(chunks, &masks.next()) } else { chunks };
                let dense = B::dense(pooler, chunks);
                match head.activation {
                    HeadActivation::Tanh => dense.tanh(),
                    HeadActivation::Relu => relu(dense),
                }
            }
            None => chunks,
        };
        B::dense(&self.head, B::dropout(chunks, &masks.next()))
    }

    /// The encoder's output for each chunk, `[chunks, width]`, without dropout and without gradients. A chunk's row
    /// does not depend, to the bit, on the chunks beside it.
    pub(crate) fn pool_each(&self, batch: &Batch<B>) -> Tensor<B, 2> {
        if self.pooler.is_some() {
            return self.encode(batch, &Masks::off(), Queries::FirstEach);
        }
        let hidden = self.encode(batch, &Masks::off(), Queries::All);
        let ([_, width], device) = (hidden.dims(), hidden.device());
        let (hidden, chunks) = (values(hidden), batch.packing.sequences());
        // A product with the mean matrix would sum over the tokens of all chunks, in an order that depends on them.
        let mut means = Vec::with_capacity(chunks * width);
        for chunk in 0..chunks {
            let (start, length) = batch.packing.sequence(chunk);
            let mut sums = vec![0.0_f64; width];
            for row in hidden[start * width..][..length * width].chunks_exact(width) {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
            }
            #[expect(clippy::cast_possible_truncation, reason = "tensors are f32")]
            means.extend(sums.into_iter().map(|sum| (sum / count(length)) as f32));
        }
        Tensor::from_data(TensorData::new(means, [chunks, width]), &device)
    }

    /// The hidden states after the lowest `layers` layers, without dropout, `[tokens, width]`.
    pub(crate) fn lower(&self, batch: &Batch<B>, layers: usize) -> Tensor<B, 2> {
        let off = Masks::off();
        self.layers(self.embed(batch, &off), batch, 0..layers, &off, Queries::All)
    }

    /// The hidden states after the last layer, one row for each of its queries.
    pub(crate) fn encode(&self, batch: &Batch<B>, masks: &Masks, queries: Queries) -> Tensor<B, 2> {
        let (first, hidden) = match &batch.lower {
            Some(lower) => (lower.layers, lower.hidden.clone()),
            None => (0, self.embed(batch, masks)),
        };
        self.layers(hidden, batch, first..self.encoder.layers.len(), masks, queries)
    }

    /// The embeddings, `[tokens, width]`.
    fn embed(&self, batch: &Batch<B>, masks: &Masks) -> Tensor<B, 2> {
        let encoder = &self.encoder;
        let words = B::embedding_rows(encoder.words.weight.val(), &batch.ids, batch.sink.as_ref());
        let rows = batch.position_rows(self.positions);
        let positions = B::embedding_rows(encoder.positions.weight.val(), &rows, None);
        let [_, width] = words.dims();
        let token_type = match &encoder.token_types {
            Some(rows) => first_row(rows.weight.val(), batch.packing.trials()),
            None => Tensor::zeros([batch.packing.trials() * width], &words.device()),
        };
        // LayerNorm(words + token type + positions), and dropout on the result: the operation after a product, with
        // the token type as the bias and the positions as the residual.
        let drops = [Drops::off(), masks.next()];
        encoder.embedding_norm.forward(words, token_type, positions, drops)
    }

    /// Runs `hidden`, `[tokens, width]`, through the layers of `range`. `queries` are those of the encoder's last
    /// layer; in all others every token is a query.
    fn layers(
        &self,
        mut hidden: Tensor<B, 2>,
        batch: &Batch<B>,
        range: Range<usize>,
        masks: &Masks,
        queries: Queries,
    ) -> Tensor<B, 2> {
        let last = self.encoder.layers.len() - 1;
        for (index, layer) in self.encoder.layers.iter().enumerate().take(range.end).skip(range.start) {
            let queries = if index == last { queries } else { Queries::All };
            hidden = layer.forward(hidden, batch, masks, queries, self.family);
        }
        hidden
    }
}

/// The first row of each of `trials` tables that stand one after another, `[trials · width]`.
fn first_row<B: Backend>(tables: Tensor<B, 2>, trials: usize) -> Tensor<B, 1> {
    let [rows, width] = tables.dims();
    if trials == 1 {
        return tables.narrow(0, 0, 1).reshape([width]);
    }
    tables.reshape([trials, rows / trials, width]).narrow(1, 0, 1).reshape([trials * width])
}
