//! The classifier: a BERT encoder and its head, faithful to Hugging Face's.
//!
//! Post-LayerNorm, exact GELU; dropout on the embeddings, the attention
//! probabilities, the attention output and the feed-forward output, none inside
//! the feed-forward block (`transformers`, `models/bert/modeling_bert.py`).
//! Query, key and value come of one product. Tokens are packed, without padding;
//! the operations between the products are those of [`Fused`]. Callers hand over
//! a [`Batch`] and get logits; the layout is this file's own affair.

use std::sync::Arc;

use burn::{
    module::{Module, Param},
    nn::{Embedding, Linear},
    tensor::{Int, Tensor, TensorData, backend::Backend},
};

use super::{
    config::EncoderConfig,
    masks::{Drop, Masks},
    ops::{Attention, Fused, Norm, Packing, Queries},
    weights::{Fresh, Source, Weights, WeightsError},
};
use crate::settings::Pooling;

/// Chunks, one after another.
pub(crate) struct Batch<B: Backend> {
    /// Token ids, `[tokens]`.
    ids: Tensor<B, 1, Int>,
    /// Each token's place in its chunk, `[tokens]`.
    positions: Tensor<B, 1, Int>,
    packing: Arc<Packing>,
}

impl<B: Backend> Batch<B> {
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
        }
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
    head: Linear<B>,
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

impl<B: Fused> Layer<B> {
    /// `hidden`: `[tokens, width]`; the result has a row for each query.
    fn forward(
        &self,
        hidden: Tensor<B, 2>,
        batch: &Batch<B>,
        masks: &Masks,
        queries: Queries,
    ) -> Tensor<B, 2> {
        let attention =
            Attention { packing: batch.packing.clone(), heads: self.heads, queries, drop: masks.next() };
        let projected = hidden.clone().matmul(self.projections.weight.val());
        let attended = B::packed_attention(projected, self.projections.bias.val(), &attention);
        let residual = match queries {
            Queries::All => hidden,
            Queries::First => hidden.select(0, batch.firsts()),
        };
        let output = attended.matmul(self.attention_output.weight.val());
        let drops = [masks.next(), Drop::off()];
        let attended = self.attention_norm.forward(output, self.attention_output.bias.val(), residual, drops);
        let inner = attended.clone().matmul(self.intermediate.weight.val());
        let inner = B::bias_gelu(inner, self.intermediate.bias.val()).matmul(self.output.weight.val());
        let drops = [masks.next(), Drop::off()];
        self.output_norm.forward(inner, self.output.bias.val(), attended, drops)
    }
}

impl<B: Fused> Classifier<B> {
    /// Logits of each chunk, `[chunks, classes]`.
    pub(crate) fn forward(&self, batch: &Batch<B>, masks: &Masks) -> Tensor<B, 2> {
        let pooled = match &self.pooler {
            // Of the last layer, only the first tokens are read.
            Some(pooler) => pooler.forward(self.encode(batch, masks, Queries::First)).tanh(),
            None => batch.shares().matmul(self.encode(batch, masks, Queries::All)),
        };
        self.head.forward(masks.next().apply(pooled))
    }

    /// Hidden states of the last layer, a row for each of its queries.
    pub(crate) fn encode(&self, batch: &Batch<B>, masks: &Masks, queries: Queries) -> Tensor<B, 2> {
        let encoder = &self.encoder;
        let words = encoder.words.weight.val().select(0, batch.ids.clone());
        let positions = encoder.positions.weight.val().select(0, batch.positions.clone());
        let [_, width] = words.dims();
        let token_type = encoder.token_types.weight.val().narrow(0, 0, 1).reshape([width]);
        let drops = [Drop::off(), masks.next()];
        let mut hidden = encoder.embedding_norm.forward(words, token_type, positions, drops);
        let last = encoder.layers.len() - 1;
        for (index, layer) in encoder.layers.iter().enumerate() {
            let queries = if index == last { queries } else { Queries::All };
            hidden = layer.forward(hidden, batch, masks, queries);
        }
        hidden
    }
}

impl<B: Backend> Classifier<B> {
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
                Pooling::Cls => Some(builder.linear("bert.pooler.dense", width, width)?),
                Pooling::Mean => None,
            },
            head: builder.linear("classifier", width, classes)?,
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
            let mut save = |names: &[String], product: &Product<B>| {
                save_product(&mut weights, names, product.weight.val(), product.bias.val());
            };
            save(&names.projections, &layer.projections);
            save(&[names.attention_output], &layer.attention_output);
            save(&[names.intermediate], &layer.intermediate);
            save(&[names.output], &layer.output);
            save_norm(&mut weights, &names.attention_norm, &layer.attention_norm);
            save_norm(&mut weights, &names.output_norm, &layer.output_norm);
        }
        if let Some(pooler) = &self.pooler {
            save_linear(&mut weights, "bert.pooler.dense", pooler);
        }
        save_linear(&mut weights, "classifier", &self.head);
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
            projections: self.product(&names.projections, width, width)?,
            attention_output: self.product(&[names.attention_output], width, width)?,
            attention_norm: self.norm(&names.attention_norm)?,
            intermediate: self.product(&[names.intermediate], width, inner)?,
            output: self.product(&[names.output], inner, width)?,
            output_norm: self.norm(&names.output_norm)?,
            heads: self.config.num_attention_heads,
        })
    }

    fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear<B>, WeightsError> {
        let Product { weight, bias } = self.product(&[name.to_owned()], inputs, outputs)?;
        Ok(Linear { weight, bias: Some(bias) })
    }

    /// One product for several Hugging Face layers over the same input, side by side.
    fn product(&self, names: &[String], inputs: usize, outputs: usize) -> Result<Product<B>, WeightsError> {
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
        Ok(Product { weight: self.param(weight, [inputs, columns]), bias: self.param(bias, [columns]) })
    }

    fn embedding(&self, name: &str, rows: usize) -> Result<Embedding<B>, WeightsError> {
        let width = self.config.hidden_size;
        let start = Fresh::Normal(self.config.initializer_range);
        let values = self.source.take(&format!("{name}.weight"), &[rows, width], start)?;
        Ok(Embedding { weight: self.param(values, [rows, width]) })
    }

    fn norm(&self, name: &str) -> Result<LayerNorm<B>, WeightsError> {
        let width = self.config.hidden_size;
        let gamma = self.source.take(&format!("{name}.weight"), &[width], Fresh::Ones)?;
        let beta = self.source.take(&format!("{name}.bias"), &[width], Fresh::Zeros)?;
        Ok(LayerNorm {
            gamma: self.param(gamma, [width]),
            beta: self.param(beta, [width]),
            epsilon: self.config.layer_norm_eps,
        })
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

/// Takes [`Builder::product`] apart again.
fn save_product<B: Backend>(
    weights: &mut Weights,
    names: &[String],
    weight: Tensor<B, 2>,
    bias: Tensor<B, 1>,
) {
    let [inputs, columns] = weight.dims();
    let outputs = columns / names.len();
    let (rows, bias) = (values(weight.transpose()), values(bias));
    let parts = rows.chunks_exact(outputs * inputs).zip(bias.chunks_exact(outputs));
    for (name, (rows, bias)) in names.iter().zip(parts) {
        weights.insert(format!("{name}.weight"), vec![outputs, inputs], rows.to_vec());
        weights.insert(format!("{name}.bias"), vec![outputs], bias.to_vec());
    }
}

fn save_linear<B: Backend>(weights: &mut Weights, name: &str, linear: &Linear<B>) {
    if let Some(bias) = &linear.bias {
        save_product(weights, &[name.to_owned()], linear.weight.val(), bias.val());
    }
}

fn save_norm<B: Backend>(weights: &mut Weights, name: &str, norm: &LayerNorm<B>) {
    let width = norm.gamma.val().dims()[0];
    weights.insert(format!("{name}.weight"), vec![width], values(norm.gamma.val()));
    weights.insert(format!("{name}.bias"), vec![width], values(norm.beta.val()));
}
