//! The classifier: a BERT encoder and its head, faithful to Hugging Face's.
//!
//! Post-LayerNorm, exact GELU; dropout on the embeddings, the attention
//! probabilities, the attention output and the feed-forward output, none inside
//! the feed-forward block (`transformers`, `models/bert/modeling_bert.py`).
//! Query, key and value come of one product. Callers hand over a [`Batch`] and
//! get logits; how tokens are laid out in between is this file's own affair.

use burn::{
    module::{Module, Param},
    nn::{Embedding, LayerNorm, LayerNormConfig, Linear},
    tensor::{Int, Tensor, TensorData, activation, backend::Backend},
};

use super::{
    config::EncoderConfig,
    masks::Masks,
    weights::{Fresh, Source, Weights, WeightsError},
};
use crate::settings::Pooling;

/// Added to the scores of padding: its probability becomes exactly 0.
const MASKED: f32 = -1e9;

/// Chunks, padded to the longest.
pub(crate) struct Batch<B: Backend> {
    /// Token ids, `[chunks, tokens]`.
    ids: Tensor<B, 2, Int>,
    /// 0, or [`MASKED`] for padding, `[chunks, 1, 1, tokens]`; `None` without padding.
    scores: Option<Tensor<B, 4>>,
    /// 1 over the chunk's length, 0 for padding, `[chunks, tokens, 1]`.
    shares: Tensor<B, 3>,
}

impl<B: Backend> Batch<B> {
    /// Pads `chunks` (none empty) with `pad` to the longest.
    pub(crate) fn new(chunks: &[&[u32]], pad: u32, device: &B::Device) -> Self {
        let longest = chunks.iter().map(|chunk| chunk.len()).max().unwrap_or(0);
        let cells = chunks.len() * longest;
        let (mut ids, mut scores, mut shares) =
            (vec![pad.cast_signed(); cells], vec![MASKED; cells], vec![0.0; cells]);
        for (row, chunk) in chunks.iter().enumerate() {
            let start = row * longest;
            #[expect(clippy::cast_precision_loss, reason = "a chunk's length is far below 2^24")]
            let share = 1.0 / chunk.len() as f32;
            for (offset, id) in chunk.iter().enumerate() {
                ids[start + offset] = id.cast_signed();
                scores[start + offset] = 0.0;
                shares[start + offset] = share;
            }
        }
        let padded = chunks.iter().any(|chunk| chunk.len() < longest);
        Self {
            ids: Tensor::from_data(TensorData::new(ids, [chunks.len(), longest]), device),
            scores: padded
                .then(|| Tensor::from_data(TensorData::new(scores, [chunks.len(), 1, 1, longest]), device)),
            shares: Tensor::from_data(TensorData::new(shares, [chunks.len(), longest, 1]), device),
        }
    }
}

#[derive(Module, Debug)]
struct Layer<B: Backend> {
    /// `[hidden, 3 · hidden]`: query, key, value.
    projections: Linear<B>,
    attention_output: Linear<B>,
    attention_norm: LayerNorm<B>,
    intermediate: Linear<B>,
    output: Linear<B>,
    output_norm: LayerNorm<B>,
    #[module(skip)]
    heads: usize,
}

#[derive(Module, Debug)]
struct Encoder<B: Backend> {
    words: Embedding<B>,
    positions: Embedding<B>,
    token_types: Embedding<B>,
    embedding_norm: LayerNorm<B>,
    layers: Vec<Layer<B>>,
}

/// An encoder with a classifier on top.
#[derive(Module, Debug)]
pub(crate) struct Classifier<B: Backend> {
    encoder: Encoder<B>,
    /// Dense and tanh over the first token; without it chunks are mean-pooled.
    pooler: Option<Linear<B>>,
    classifier: Linear<B>,
}

impl<B: Backend> Layer<B> {
    /// `hidden`: `[chunks, tokens, width]`.
    fn forward(&self, hidden: Tensor<B, 3>, scores: Option<&Tensor<B, 4>>, masks: &Masks) -> Tensor<B, 3> {
        let [chunks, tokens, width] = hidden.dims();
        let flat = hidden.reshape([chunks * tokens, width]);
        let attended = self.attend(flat.clone(), scores, masks, [chunks, tokens]);
        let attended = masks.apply(self.attention_output.forward(attended));
        let flat = self.attention_norm.forward(attended + flat);
        let inner = activation::gelu(self.intermediate.forward(flat.clone()));
        let inner = masks.apply(self.output.forward(inner));
        self.output_norm.forward(inner + flat).reshape([chunks, tokens, width])
    }

    /// Softmax attention; `flat` and the result: `[chunks · tokens, width]`.
    fn attend(
        &self,
        flat: Tensor<B, 2>,
        scores: Option<&Tensor<B, 4>>,
        masks: &Masks,
        [chunks, tokens]: [usize; 2],
    ) -> Tensor<B, 2> {
        let [_, width] = flat.dims();
        let size = width / self.heads;
        let projected = self.projections.forward(flat).reshape([chunks, tokens, 3 * self.heads, size]);
        let projected = projected.swap_dims(1, 2);
        let part = |index: usize| projected.clone().narrow(1, index * self.heads, self.heads);
        #[expect(clippy::cast_precision_loss, reason = "a head's size is small")]
        let scale = 1.0 / (size as f64).sqrt();
        let mut logits = part(0).mul_scalar(scale).matmul(part(1).swap_dims(2, 3));
        if let Some(scores) = scores {
            logits = logits + scores.clone();
        }
        let probabilities = masks.apply(activation::softmax(logits, 3));
        probabilities.matmul(part(2)).swap_dims(1, 2).reshape([chunks * tokens, width])
    }
}

impl<B: Backend> Classifier<B> {
    /// Logits of each chunk, `[chunks, classes]`.
    pub(crate) fn forward(&self, batch: &Batch<B>, masks: &Masks) -> Tensor<B, 2> {
        let hidden = self.encode(batch, masks);
        let [chunks, _, width] = hidden.dims();
        let pooled = match &self.pooler {
            Some(pooler) => {
                let first = hidden.narrow(1, 0, 1).reshape([chunks, width]);
                pooler.forward(first).tanh()
            }
            None => hidden.mul(batch.shares.clone()).sum_dim(1).reshape([chunks, width]),
        };
        self.classifier.forward(masks.apply(pooled))
    }

    /// Hidden states of the last layer, `[chunks, tokens, width]`.
    pub(crate) fn encode(&self, batch: &Batch<B>, masks: &Masks) -> Tensor<B, 3> {
        let encoder = &self.encoder;
        let [_, tokens] = batch.ids.dims();
        let words = encoder.words.forward(batch.ids.clone());
        let positions = encoder.positions.weight.val().narrow(0, 0, tokens).unsqueeze::<3>();
        let token_type = encoder.token_types.weight.val().narrow(0, 0, 1).unsqueeze::<3>();
        let embedded = encoder.embedding_norm.forward(words + positions + token_type);
        let mut hidden = masks.apply(embedded);
        for layer in &encoder.layers {
            hidden = layer.forward(hidden, batch.scores.as_ref(), masks);
        }
        hidden
    }

    /// Builds the model from named parameters.
    ///
    /// # Errors
    /// What `source` says of a parameter that it lacks.
    pub(crate) fn build(
        config: &EncoderConfig,
        pooling: Pooling,
        classes: usize,
        source: &dyn Source,
        device: &B::Device,
    ) -> Result<Self, WeightsError> {
        let builder = Builder { config, source, device };
        let width = config.hidden_size;
        let embeddings = "bert.embeddings";
        let layers =
            (0..config.num_hidden_layers).map(|index| builder.layer(index)).collect::<Result<_, _>>()?;
        Ok(Self {
            encoder: Encoder {
                words: builder.embedding(&format!("{embeddings}.word_embeddings"), config.vocab_size)?,
                positions: builder.embedding(
                    &format!("{embeddings}.position_embeddings"),
                    config.max_position_embeddings,
                )?,
                token_types: builder
                    .embedding(&format!("{embeddings}.token_type_embeddings"), config.type_vocab_size)?,
                embedding_norm: builder.norm(&format!("{embeddings}.LayerNorm"))?,
                layers,
            },
            pooler: match pooling {
                Pooling::Cls => Some(builder.linear(&["bert.pooler.dense".to_owned()], width, width)?),
                Pooling::Mean => None,
            },
            classifier: builder.linear(&["classifier".to_owned()], width, classes)?,
        })
    }

    /// The parameters under their Hugging Face names.
    pub(crate) fn weights(&self) -> Weights {
        let mut weights = Weights::default();
        let encoder = &self.encoder;
        for (name, embedding) in [
            ("word_embeddings", &encoder.words),
            ("position_embeddings", &encoder.positions),
            ("token_type_embeddings", &encoder.token_types),
        ] {
            let weight = embedding.weight.val();
            weights.insert(format!("bert.embeddings.{name}.weight"), weight.dims().to_vec(), values(weight));
        }
        save_norm(&mut weights, "bert.embeddings.LayerNorm", &encoder.embedding_norm);
        for (index, layer) in encoder.layers.iter().enumerate() {
            let names = LayerNames::new(index);
            save_linear(&mut weights, &names.projections, &layer.projections);
            save_linear(&mut weights, &[names.attention_output], &layer.attention_output);
            save_norm(&mut weights, &names.attention_norm, &layer.attention_norm);
            save_linear(&mut weights, &[names.intermediate], &layer.intermediate);
            save_linear(&mut weights, &[names.output], &layer.output);
            save_norm(&mut weights, &names.output_norm, &layer.output_norm);
        }
        if let Some(pooler) = &self.pooler {
            save_linear(&mut weights, &["bert.pooler.dense".to_owned()], pooler);
        }
        save_linear(&mut weights, &["classifier".to_owned()], &self.classifier);
        weights
    }
}

/// A layer's Hugging Face names.
struct LayerNames {
    projections: [String; 3],
    attention_output: String,
    attention_norm: String,
    intermediate: String,
    output: String,
    output_norm: String,
}

impl LayerNames {
    fn new(index: usize) -> Self {
        let layer = format!("bert.encoder.layer.{index}");
        Self {
            projections: ["query", "key", "value"].map(|part| format!("{layer}.attention.self.{part}")),
            attention_output: format!("{layer}.attention.output.dense"),
            attention_norm: format!("{layer}.attention.output.LayerNorm"),
            intermediate: format!("{layer}.intermediate.dense"),
            output: format!("{layer}.output.dense"),
            output_norm: format!("{layer}.output.LayerNorm"),
        }
    }
}

struct Builder<'a, B: Backend> {
    config: &'a EncoderConfig,
    source: &'a dyn Source,
    device: &'a B::Device,
}

impl<B: Backend> Builder<'_, B> {
    fn layer(&self, index: usize) -> Result<Layer<B>, WeightsError> {
        let names = LayerNames::new(index);
        let (width, inner) = (self.config.hidden_size, self.config.intermediate_size);
        Ok(Layer {
            projections: self.linear(&names.projections, width, width)?,
            attention_output: self.linear(&[names.attention_output], width, width)?,
            attention_norm: self.norm(&names.attention_norm)?,
            intermediate: self.linear(&[names.intermediate], width, inner)?,
            output: self.linear(&[names.output], inner, width)?,
            output_norm: self.norm(&names.output_norm)?,
            heads: self.config.num_attention_heads,
        })
    }

    /// One layer for several Hugging Face ones over the same input, side by side.
    fn linear(&self, names: &[String], inputs: usize, outputs: usize) -> Result<Linear<B>, WeightsError> {
        let columns = names.len() * outputs;
        let mut weight = vec![0.0; inputs * columns];
        let mut bias = Vec::with_capacity(columns);
        let start = Fresh::Normal(self.config.initializer_range);
        for (part, name) in names.iter().enumerate() {
            let rows = self.source.take(&format!("{name}.weight"), &[outputs, inputs], start)?;
            for (output, row) in rows.chunks_exact(inputs).enumerate() {
                for (input, &value) in row.iter().enumerate() {
                    weight[input * columns + part * outputs + output] = value;
                }
            }
            bias.extend(self.source.take(&format!("{name}.bias"), &[outputs], Fresh::Zeros)?);
        }
        Ok(Linear { weight: self.param(weight, [inputs, columns]), bias: Some(self.param(bias, [columns])) })
    }

    fn embedding(&self, name: &str, rows: usize) -> Result<Embedding<B>, WeightsError> {
        let width = self.config.hidden_size;
        let start = Fresh::Normal(self.config.initializer_range);
        let values = self.source.take(&format!("{name}.weight"), &[rows, width], start)?;
        Ok(Embedding { weight: self.param(values, [rows, width]) })
    }

    fn norm(&self, name: &str) -> Result<LayerNorm<B>, WeightsError> {
        let width = self.config.hidden_size;
        let mut norm = LayerNormConfig::new(width).with_epsilon(self.config.layer_norm_eps).init(self.device);
        norm.gamma = self.param(self.source.take(&format!("{name}.weight"), &[width], Fresh::Ones)?, [width]);
        norm.beta =
            Some(self.param(self.source.take(&format!("{name}.bias"), &[width], Fresh::Zeros)?, [width]));
        Ok(norm)
    }

    fn param<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<B, D>> {
        Param::from_data(TensorData::new(values, shape), self.device)
    }
}

/// A tensor's values in this process's memory, row-major.
pub(crate) fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    let data = tensor.into_data().convert::<f32>();
    data.into_vec().unwrap_or_else(|error| unreachable!("converted to f32 just before: {error:?}"))
}

fn save_linear<B: Backend>(weights: &mut Weights, names: &[String], linear: &Linear<B>) {
    let [inputs, columns] = linear.weight.val().dims();
    let outputs = columns / names.len();
    let rows = values(linear.weight.val().transpose());
    for (name, rows) in names.iter().zip(rows.chunks_exact(outputs * inputs)) {
        weights.insert(format!("{name}.weight"), vec![outputs, inputs], rows.to_vec());
    }
    if let Some(bias) = &linear.bias {
        for (name, bias) in names.iter().zip(values(bias.val()).chunks_exact(outputs)) {
            weights.insert(format!("{name}.bias"), vec![outputs], bias.to_vec());
        }
    }
}

fn save_norm<B: Backend>(weights: &mut Weights, name: &str, norm: &LayerNorm<B>) {
    let width = norm.gamma.val().dims()[0];
    weights.insert(format!("{name}.weight"), vec![width], values(norm.gamma.val()));
    if let Some(beta) = &norm.beta {
        weights.insert(format!("{name}.bias"), vec![width], values(beta.val()));
    }
}
