//! Builds a model from named parameters, and takes it apart into them, under Hugging Face's names.

use burn::{
    module::Param,
    nn::{Embedding, Linear},
    tensor::{Tensor, TensorData, backend::Backend},
};

use super::{
    classifier::{Classifier, ModelOptions},
    layers::{Encoder, Layer, LayerNorm, Product},
};
use crate::{
    settings::{MatmulPrecision, Pooling},
    train::{
        encoder::{
            config::EncoderConfig,
            family::{Family, MEAN_OUTPUT},
            source::{Fresh, ParameterSource, SourceError},
            weights::Weights,
        },
        tensors::values,
    },
};

impl<B: Backend> Classifier<B> {
    /// Builds the model from named parameters.
    ///
    /// # Errors
    /// When `source` lacks a parameter.
    pub(crate) fn build(
        config: &EncoderConfig,
        ModelOptions { pooling, precision }: ModelOptions,
        classes: usize,
        source: &dyn ParameterSource,
        device: &B::Device,
    ) -> Result<Self, SourceError> {
        let family = config.family();
        let builder = Builder { config, family, precision, source, device };
        let width = config.hidden_size;
        let layers =
            (0..config.num_hidden_layers).map(|index| builder.layer(index)).collect::<Result<_, _>>()?;
        let token_types = match config.type_vocab_size {
            0 => None,
            rows => Some(builder.embedding("token_type", rows)?),
        };
        Ok(Self {
            encoder: Encoder {
                words: builder.embedding("word", config.vocab_size)?,
                positions: builder.embedding("position", config.max_position_embeddings)?,
                token_types,
                embedding_norm: builder.norm(&family.encoder("embeddings.LayerNorm"))?,
                layers,
            },
            pooler: match pooling {
                Pooling::Cls => Some(builder.linear(family.head.dense, width, width)?),
                Pooling::Mean => None,
            },
            head: builder.linear(output_name(family, pooling), width, classes)?,
            family,
            positions: config.positions(),
        })
    }

    /// The parameters under their Hugging Face names.
    pub(crate) fn weights(&self) -> Weights {
        let mut weights = Weights::default();
        let (encoder, family) = (&self.encoder, self.family);
        let embeddings = [
            ("word", Some(&encoder.words)),
            ("position", Some(&encoder.positions)),
            ("token_type", encoder.token_types.as_ref()),
        ];
        for (kind, embedding) in embeddings {
            if let Some(weight) = embedding.map(|embedding| embedding.weight.val()) {
                weights.insert(embedding_name(family, kind), weight.dims().to_vec(), values(weight));
            }
        }
        save_norm(&mut weights, &family.encoder("embeddings.LayerNorm"), &encoder.embedding_norm);
        for (index, layer) in encoder.layers.iter().enumerate() {
            let names = &family.layer;
            let of = |part: &str| family.of_layer(index, part);
            let mut save = |names: &[String], product: &Product<B>| {
                save_product(&mut weights, names, product.weight.val(), product.bias.val());
            };
            save(&names.projections.map(of), &layer.projections);
            save(&[of(names.attention_output)], &layer.attention_output);
            save(&[of(names.intermediate)], &layer.intermediate);
            save(&[of(names.output)], &layer.output);
            save_norm(&mut weights, &of(names.attention_norm), &layer.attention_norm);
            save_norm(&mut weights, &of(names.output_norm), &layer.output_norm);
        }
        let pooling = if self.pooler.is_some() { Pooling::Cls } else { Pooling::Mean };
        if let Some(pooler) = &self.pooler {
            save_linear(&mut weights, family.head.dense, pooler);
        }
        save_linear(&mut weights, output_name(family, pooling), &self.head);
        weights
    }
}

fn embedding_name(family: &Family, kind: &str) -> String {
    family.encoder(&format!("embeddings.{kind}_embeddings.weight"))
}

const fn output_name(family: &'static Family, pooling: Pooling) -> &'static str {
    match pooling {
        Pooling::Cls => family.head.output,
        Pooling::Mean => MEAN_OUTPUT,
    }
}

struct Builder<'a, B: Backend> {
    config: &'a EncoderConfig,
    family: &'static Family,
    precision: MatmulPrecision,
    source: &'a dyn ParameterSource,
    device: &'a B::Device,
}

impl<B: Backend> Builder<'_, B> {
    fn layer(&self, index: usize) -> Result<Layer<B>, SourceError> {
        let names = &self.family.layer;
        let of = |part: &str| self.family.of_layer(index, part);
        let (width, inner) = (self.config.hidden_size, self.config.intermediate_size);
        Ok(Layer {
            projections: self.product(&names.projections.map(of), width, width)?,
            attention_output: self.product(&[of(names.attention_output)], width, width)?,
            attention_norm: self.norm(&of(names.attention_norm))?,
            intermediate: self.product(&[of(names.intermediate)], width, inner)?,
            output: self.product(&[of(names.output)], inner, width)?,
            output_norm: self.norm(&of(names.output_norm))?,
            heads: self.config.num_attention_heads,
            precision: self.precision,
        })
    }

    fn embedding(&self, kind: &str, rows: usize) -> Result<Embedding<B>, SourceError> {
        let width = self.config.hidden_size;
        let start = Fresh::Normal(self.config.initializer_range);
        let values = self.source.take(&embedding_name(self.family, kind), &[rows, width], start)?;
        Ok(Embedding { weight: self.param(values, [rows, width]) })
    }

    fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear<B>, SourceError> {
        let Product { weight, bias } = self.product(&[name.to_owned()], inputs, outputs)?;
        Ok(Linear { weight, bias: Some(bias) })
    }

    /// Builds one product from several of Hugging Face's linear layers over the same input. The columns of the layers
    /// stand side by side.
    fn product(&self, names: &[String], inputs: usize, outputs: usize) -> Result<Product<B>, SourceError> {
        let columns = names.len() * outputs;
        let mut weight = vec![0.0; inputs * columns];
        let mut bias = Vec::with_capacity(columns);
        let start = Fresh::Normal(self.config.initializer_range);
        for (part, name) in names.iter().enumerate() {
            let rows = self.source.take(&format!("{name}.weight"), &[outputs, inputs], start)?;
            transpose(&rows, inputs, &mut weight[part * outputs..], columns);
            bias.extend(self.source.take(&format!("{name}.bias"), &[outputs], Fresh::Zeros)?);
        }
        Ok(Product { weight: self.param(weight, [inputs, columns]), bias: self.param(bias, [columns]) })
    }

    fn norm(&self, name: &str) -> Result<LayerNorm<B>, SourceError> {
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

/// Writes the transpose of `rows`, a matrix with rows of `width` values, into `transposed`, whose rows begin
/// `stride` values apart.
// By square tiles: value by value, each value would bring a cache line of its own into the cache.
fn transpose(rows: &[f32], width: usize, transposed: &mut [f32], stride: usize) {
    for (band, rows) in rows.chunks(TILE * width).enumerate() {
        for left in (0..width).step_by(TILE) {
            for column in left..width.min(left + TILE) {
                let transposed = &mut transposed[column * stride + band * TILE..];
                for (value, row) in transposed.iter_mut().zip(rows.chunks_exact(width)) {
                    *value = row[column];
                }
            }
        }
    }
}

/// Rows and columns of a tile in [`transpose`]: 16 values of four bytes are a cache line.
const TILE: usize = 16;

/// Takes a product that [`Builder::product`] has built apart into Hugging Face's linear layers.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_of_any_size_are_transposed_side_by_side() {
        for (height, width) in [(1, 1), (3, 50), (TILE, TILE), (2 * TILE + 5, TILE + 3)] {
            let value = |part: usize, row: usize, column: usize| {
                f32::from(u16::try_from((part * height + row) * width + column).unwrap())
            };
            let mut transposed = vec![f32::NAN; 2 * height * width];
            for part in 0..2 {
                let rows: Vec<f32> =
                    (0..height * width).map(|place| value(part, place / width, place % width)).collect();
                transpose(&rows, width, &mut transposed[part * height..], 2 * height);
            }
            for (place, &found) in transposed.iter().enumerate() {
                let (column, row) = (place / (2 * height), place % (2 * height));
                assert_eq!(found, value(row / height, row % height, column));
            }
        }
    }
}
