//! The classifier: an encoder of the BERT kind and its head, faithful to Hugging Face's.
//!
//! Post-LayerNorm, exact GELU; dropout on the embeddings, the attention
//! probabilities, the attention output and the feed-forward output, none inside
//! the feed-forward block (`transformers`, `models/bert/modeling_bert.py`). What
//! other families do otherwise is data: [`Family`].
//!
//! Query, key and value come of one product. Tokens are packed, without padding;
//! the operations between the products are those of [`Fused`]. Callers hand over
//! a [`Batch`] and get logits; the layout is this file's own affair.

use std::{ops::Range, sync::Arc};

use burn::{
    module::{Module, Param},
    nn::{Embedding, Linear},
    tensor::{Int, Tensor, TensorData, activation::relu, backend::Backend},
};

use super::{
    family::{Family, HeadActivation},
    masks::{Drop, Masks},
    ops::{Attention, Fused, Norm, Packing, RowSink},
};
use crate::settings::{MatmulPrecision, Pooling, Settings};

mod build;

/// How the parameters are used, which their files do not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) pooling: Pooling,
    pub(crate) precision: MatmulPrecision,
}

impl Form {
    pub(crate) const fn of(settings: &Settings) -> Self {
        Self { pooling: settings.pooling, precision: settings.matmul_precision }
    }
}

#[cfg(test)]
impl From<Pooling> for Form {
    fn from(pooling: Pooling) -> Self {
        Self { pooling, precision: MatmulPrecision::F32 }
    }
}

/// Which tokens of the last layer are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queries {
    /// Every token: one row of output for each row of input.
    All,
    /// The first of each chunk, all that CLS pooling reads: one row a chunk.
    First,
    /// As `First`, by a longer way on which a row does not depend on the chunks beside it, to the bit.
    FirstEach,
}

/// Chunks, one after another.
pub(crate) struct Batch<B: Backend> {
    /// Token ids, `[tokens]`.
    ids: Tensor<B, 1, Int>,
    /// Each token's place in its chunk, `[tokens]`.
    positions: Tensor<B, 1, Int>,
    packing: Arc<Packing>,
    /// What the lower layers make of it, `[tokens, width]`, and how many they are, where that is known.
    below: Option<(usize, Tensor<B, 2>)>,
    /// Where the gradients of the word embeddings go, if not with the others.
    sink: Option<RowSink>,
}

impl<B: Backend> Batch<B> {
    /// The same, above the lowest `layers` layers, which gave `hidden`, `[tokens, width]`.
    pub(crate) fn above(self, layers: usize, hidden: Tensor<B, 2>) -> Self {
        Self { below: Some((layers, hidden)), ..self }
    }

    /// A batch of `chunks`, none of them empty.
    pub(crate) fn new(chunks: &[&[u32]], device: &B::Device) -> Self {
        let mut starts = vec![0];
        let (mut ids, mut positions) = (Vec::new(), Vec::new());
        for chunk in chunks {
            ids.extend(chunk.iter().map(|id| id.cast_signed()));
            positions.extend((0..).take(chunk.len()));
            starts.push(ids.len());
        }
        Self {
            ids: indices(ids, device),
            positions: indices(positions, device),
            packing: Arc::new(Packing { starts }),
            below: None,
            sink: None,
        }
    }

    /// The same, with the gradients of the word embeddings going to `sink`, where the backend can.
    pub(crate) fn with_sink(self, sink: &RowSink) -> Self {
        Self { sink: Some(sink.clone()), ..self }
    }

    /// The row of each chunk's first token.
    fn firsts(&self) -> Tensor<B, 1, Int> {
        let starts = &self.packing.starts[..self.packing.sequences()];
        let rows = starts.iter().map(|&row| i32::try_from(row).unwrap_or(i32::MAX)).collect();
        indices(rows, &self.ids.device())
    }

    /// `[chunks, tokens]`: one over its length for each token of a chunk.
    fn shares(&self) -> Tensor<B, 2> {
        let (chunks, rows) = (self.packing.sequences(), self.packing.rows());
        let mut shares = vec![0.0_f32; chunks * rows];
        for chunk in 0..chunks {
            let (start, length) = self.packing.sequence(chunk);
            #[expect(clippy::cast_precision_loss, reason = "a chunk's length is far below 2^24")]
            shares[chunk * rows + start..][..length].fill(1.0 / length as f32);
        }
        Tensor::from_data(TensorData::new(shares, [chunks, rows]), &self.ids.device())
    }
}

fn indices<B: Backend>(values: Vec<i32>, device: &B::Device) -> Tensor<B, 1, Int> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

#[derive(Module, Debug)]
struct LayerNorm<B: Backend> {
    gamma: Param<Tensor<B, 1>>,
    beta: Param<Tensor<B, 1>>,
    #[module(skip)]
    epsilon: f64,
}

/// A matrix and a bias that the operation after the product adds.
#[derive(Module, Debug)]
struct Product<B: Backend> {
    /// `[inputs, outputs]`
    weight: Param<Tensor<B, 2>>,
    /// `[outputs]`
    bias: Param<Tensor<B, 1>>,
}

#[derive(Module, Debug)]
struct Layer<B: Backend> {
    /// Query, key, value: `[hidden, 3 · hidden]`.
    projections: Product<B>,
    attention_output: Product<B>,
    attention_norm: LayerNorm<B>,
    intermediate: Product<B>,
    output: Product<B>,
    output_norm: LayerNorm<B>,
    #[module(skip)]
    heads: usize,
    /// Of its products, where every token asks.
    #[module(skip)]
    precision: MatmulPrecision,
}

#[derive(Module, Debug)]
struct Encoder<B: Backend> {
    words: Embedding<B>,
    positions: Embedding<B>,
    /// Only the first row is used: a text is one segment.
    token_types: Option<Embedding<B>>,
    embedding_norm: LayerNorm<B>,
    layers: Vec<Layer<B>>,
}

/// An encoder with a classifier on top.
#[derive(Module, Debug)]
pub(crate) struct Classifier<B: Backend> {
    encoder: Encoder<B>,
    /// The dense layer over the first token; without it chunks are mean-pooled.
    pooler: Option<Linear<B>>,
    head: Linear<B>,
    #[module(skip)]
    family: &'static Family,
    /// The row of a first token in the position embeddings.
    #[module(skip)]
    first_position: usize,
}

impl<B: Fused> LayerNorm<B> {
    fn forward(
        &self,
        input: Tensor<B, 2>,
        bias: Tensor<B, 1>,
        residual: Tensor<B, 2>,
        [before, after]: [Drop; 2],
    ) -> Tensor<B, 2> {
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        B::residual_norm(Norm { input, bias, residual, gamma, beta, epsilon: self.epsilon, before, after })
    }
}

impl<B: Fused> Product<B> {
    /// `[rows, inputs]` to `[rows, outputs]`, without the bias.
    fn of(&self, input: Tensor<B, 2>, precision: MatmulPrecision) -> Tensor<B, 2> {
        B::product(input, self.weight.val(), precision)
    }
}

impl<B: Fused> Layer<B> {
    /// `hidden`: `[tokens, width]`; the result has a row for each query.
    fn forward(
        &self,
        hidden: Tensor<B, 2>,
        batch: &Batch<B>,
        masks: &Masks,
        queries: Queries,
        family: &Family,
    ) -> Tensor<B, 2> {
        // Where only first tokens ask there are few products, and two ways to the same figures: rounding would
        // make of a difference in their last bits one that shows.
        let precision = if queries == Queries::All { self.precision } else { MatmulPrecision::F32 };
        let attention = Attention { packing: batch.packing.clone(), heads: self.heads, drop: masks.next() };
        let (attended, residual) = match queries {
            Queries::All | Queries::FirstEach => {
                let projected = self.projections.of(hidden.clone(), precision);
                let attended = B::packed_attention(projected, self.projections.bias.val(), &attention);
                match queries {
                    Queries::All => (attended, hidden),
                    _ => (attended.select(0, batch.firsts()), hidden.select(0, batch.firsts())),
                }
            }
            Queries::First => {
                let firsts = hidden.clone().select(0, batch.firsts());
                (self.attend_first(hidden, firsts.clone(), &attention), firsts)
            }
        };
        let output = self.attention_output.of(attended, precision);
        let drop = if family.attention_output_dropout { masks.next() } else { Drop::off() };
        let drops = [drop, Drop::off()];
        let attended = self.attention_norm.forward(output, self.attention_output.bias.val(), residual, drops);
        let inner = self.intermediate.of(attended.clone(), precision);
        let inner = self.output.of(B::bias_gelu(inner, self.intermediate.bias.val()), precision);
        let drops = [masks.next(), Drop::off()];
        self.output_norm.forward(inner, self.output.bias.val(), attended, drops)
    }
}

impl<B: Fused> Layer<B> {
    /// What the first tokens, `firsts`, `[chunks, width]`, gather from `hidden`, `[tokens, width]`; see
    /// [`Fused::first_attention`].
    fn attend_first(
        &self,
        hidden: Tensor<B, 2>,
        firsts: Tensor<B, 2>,
        attention: &Attention,
    ) -> Tensor<B, 2> {
        let ([chunks, width], heads) = (firsts.dims(), self.heads);
        let size = width / heads;
        let (weight, bias) = (self.projections.weight.val(), self.projections.bias.val());
        let matrix = |part: usize| weight.clone().narrow(1, part * width, width);
        let bias = |part: usize| bias.clone().narrow(0, part * width, width);
        #[expect(clippy::cast_precision_loss, reason = "a head's size is small")]
        let scale = 1.0 / (size as f64).sqrt();
        let queries = (firsts.matmul(matrix(0)) + bias(0).unsqueeze()).mul_scalar(scale);
        let queries = queries.reshape([chunks, heads, size]).swap_dims(0, 1);
        let keys = matrix(1).reshape([width, heads, size]).permute([1, 2, 0]);
        let asked = queries.matmul(keys).reshape([heads * chunks, width]);
        let found = B::first_attention(hidden, asked, attention).reshape([heads, chunks, width + 1]);
        let values = matrix(2).reshape([width, heads, size]).swap_dims(0, 1);
        let gathered = found.clone().narrow(2, 0, width).matmul(values);
        let shift = found.narrow(2, width, 1).mul(bias(2).reshape([heads, 1, size]));
        (gathered + shift).swap_dims(0, 1).reshape([chunks, width])
    }
}

impl<B: Fused> Classifier<B> {
    /// Logits of each chunk, `[chunks, classes]`.
    pub(crate) fn forward(&self, batch: &Batch<B>, masks: &Masks) -> Tensor<B, 2> {
        self.classify(self.pool(batch, masks), masks)
    }

    /// What the encoder makes of each chunk, `[chunks, width]`: its first token's hidden state, or their mean.
    pub(crate) fn pool(&self, batch: &Batch<B>, masks: &Masks) -> Tensor<B, 2> {
        match &self.pooler {
            // Of the last layer, only the first tokens are read.
            Some(_) => self.encode(batch, masks, Queries::First),
            None => batch.shares().matmul(self.encode(batch, masks, Queries::All)),
        }
    }

    /// Logits, `[chunks, classes]`, from what [`Self::pool`] gives.
    pub(crate) fn classify(&self, chunks: Tensor<B, 2>, masks: &Masks) -> Tensor<B, 2> {
        let head = &self.family.head;
        let chunks = match &self.pooler {
            Some(pooler) => {
                let chunks = if head.dropout_first { masks.next().apply(chunks) } else { chunks };
                let dense = pooler.forward(chunks);
                match head.activation {
                    HeadActivation::Tanh => dense.tanh(),
                    HeadActivation::Relu => relu(dense),
                }
            }
            None => chunks,
        };
        self.head.forward(masks.next().apply(chunks))
    }

    /// As [`Self::pool`], without dropout and without gradients, and so that a chunk's row does not depend on
    /// the chunks beside it.
    pub(crate) fn pool_each(&self, batch: &Batch<B>) -> Tensor<B, 2> {
        if self.pooler.is_some() {
            return self.encode(batch, &Masks::off(), Queries::FirstEach);
        }
        let hidden = self.encode(batch, &Masks::off(), Queries::All);
        let ([_, width], device) = (hidden.dims(), hidden.device());
        let (hidden, chunks) = (values(hidden), batch.packing.sequences());
        let mut means = Vec::with_capacity(chunks * width);
        for chunk in 0..chunks {
            let (start, length) = batch.packing.sequence(chunk);
            let mut sums = vec![0.0_f64; width];
            for row in hidden[start * width..][..length * width].chunks_exact(width) {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
            }
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                reason = "tensors are f32"
            )]
            means.extend(sums.into_iter().map(|sum| (sum / length as f64) as f32));
        }
        Tensor::from_data(TensorData::new(means, [chunks, width]), &device)
    }

    /// What the lowest `layers` layers make of each token without dropout, `[tokens, width]`.
    pub(crate) fn lower(&self, batch: &Batch<B>, layers: usize) -> Tensor<B, 2> {
        let off = Masks::off();
        self.layers(self.embed(batch, &off), batch, 0..layers, &off, Queries::All)
    }

    /// Hidden states of the last layer, a row for each of its queries.
    pub(crate) fn encode(&self, batch: &Batch<B>, masks: &Masks, queries: Queries) -> Tensor<B, 2> {
        let (first, hidden) = match &batch.below {
            Some((layers, hidden)) => (*layers, hidden.clone()),
            None => (0, self.embed(batch, masks)),
        };
        self.layers(hidden, batch, first..self.encoder.layers.len(), masks, queries)
    }

    /// The embeddings, `[tokens, width]`.
    fn embed(&self, batch: &Batch<B>, masks: &Masks) -> Tensor<B, 2> {
        let encoder = &self.encoder;
        let words = B::embedding_rows(encoder.words.weight.val(), batch.ids.clone(), batch.sink.as_ref());
        let first = i32::try_from(self.first_position).unwrap_or(0);
        let positions = encoder.positions.weight.val().select(0, batch.positions.clone() + first);
        let [_, width] = words.dims();
        let token_type = match &encoder.token_types {
            Some(rows) => rows.weight.val().narrow(0, 0, 1).reshape([width]),
            None => Tensor::zeros([width], &words.device()),
        };
        let drops = [Drop::off(), masks.next()];
        encoder.embedding_norm.forward(words, token_type, positions, drops)
    }

    /// `hidden`, `[tokens, width]`, through these layers; `queries` are those of the encoder's last one.
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

/// A tensor's values in this process's memory, row-major.
pub(crate) fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    let data = tensor.into_data().convert::<f32>();
    data.into_vec().unwrap_or_else(|error| unreachable!("converted to f32 just before: {error:?}"))
}
