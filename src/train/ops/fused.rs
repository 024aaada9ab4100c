//! The interface of the operations, with the plain form as the default.
//!
//! On devices the parameters of several trials may stand one after another in one tensor: matrices `[trials · inputs,
//! outputs]`, vectors `[trials · width]`, tables `[trials · entries, width]`. Rows then are those of the first trial, of the
//! second one and so on, as many of each. Shapes tell the number of trials, and nothing of one trial reaches
//! another. The forms for the processor's memory take one trial.

use std::sync::Arc;

use burn::{
    nn::Linear,
    tensor::{Tensor, backend::Backend},
};

use super::{
    inputs::{AdamWTensors, Attention, Norm, Packing, RowIds, UpdateNumbers},
    plain,
    row_sink::RowSink,
};
use crate::{settings::MatmulPrecision, train::masks::Drops};

/// The encoder's operations. Elements of dropout masks are numbered row-major, unless an operation tells otherwise.
pub(crate) trait Fused: Backend {
    /// The largest number of padded tokens in one forward pass without gradients: few enough for the hidden states to
    /// stay in a processor's cache.
    const FORWARD_TOKENS_MAX: usize = 2_048;

    /// `input`, `[rows, inputs]`, times `weight`, `[inputs, outputs]`. The products of the gradients have the same
    /// precision. A backend without it computes in f32.
    fn product(
        input: Tensor<Self, 2>,
        weight: Tensor<Self, 2>,
        precision: MatmulPrecision,
    ) -> Tensor<Self, 2> {
        let _ = precision;
        input.matmul(weight)
    }

    /// `a`, `[…, m, k]`, times `b`, `[…, k, n]`, in f32. The dimensions before the last two are equal.
    fn multiply<const D: usize>(a: Tensor<Self, D>, b: Tensor<Self, D>) -> Tensor<Self, D> {
        a.matmul(b)
    }

    /// `input`, `[rows, inputs]`, times the weight of `layer`, plus its bias.
    fn dense(layer: &Linear<Self>, input: Tensor<Self, 2>) -> Tensor<Self, 2> {
        layer.forward(input)
    }

    /// Rows `ids`, `[tokens]`, of `table`, `[entries, width]`, or of several tables one after another: `[tokens, width]`. Where the backend can, the gradient
    /// goes to `sink` row by row, and the table has no gradient of its own.
    fn embedding_rows(table: Tensor<Self, 2>, ids: &RowIds<Self>, sink: Option<&RowSink>) -> Tensor<Self, 2> {
        let _ = sink;
        table.select(0, ids.on_device.clone())
    }

    /// The dropout of a matrix, elements numbered row-major.
    fn dropout(input: Tensor<Self, 2>, drop: &Drops) -> Tensor<Self, 2> {
        drop.alone().apply(input)
    }

    /// GELU(input + bias), exact; `[rows, width]`, `[width]`.
    fn bias_gelu(input: Tensor<Self, 2>, bias: Tensor<Self, 1>) -> Tensor<Self, 2> {
        plain::gelu(input, bias)
    }

    /// after(LayerNorm(before(input + bias) + residual)), `[rows, width]`.
    fn residual_norm(norm: Norm<Self>) -> Tensor<Self, 2> {
        plain::norm(norm)
    }

    /// Softmax attention within each sequence. `projected`: queries, keys and values side by side,
    /// `[rows, 3 · width]`, to which `bias`, `[3 · width]`, is added. Result: `[rows, width]`.
    fn packed_attention(
        projected: Tensor<Self, 2>,
        bias: Tensor<Self, 1>,
        attention: &Attention,
    ) -> Tensor<Self, 2> {
        plain::attention(projected, bias, attention)
    }

    /// Softmax attention of each sequence's first token over the hidden states themselves, without keys and values.
    ///
    /// `hidden`: `[rows, width]`. `projected_queries`: each head's `Wk q`, the scaled query times the matrix of the
    /// keys, `[heads · sequences, width]`, head by head (and trial by trial around that). Result, `[heads · sequences, width + 1]`: `Σ p x` over the
    /// tokens x of the sequence and `Σ p`, where p are the probabilities, the softmax of `x · (Wk q)`, after dropout.
    fn cls_attention(
        hidden: Tensor<Self, 2>,
        projected_queries: Tensor<Self, 2>,
        attention: &Attention,
    ) -> Tensor<Self, 2> {
        plain::cls_attention(hidden, projected_queries, attention)
    }

    /// The mean of each sequence's rows, `[sequences, width]`, from `hidden`, `[rows, width]`; zeros for an empty one.
    fn sequence_means(hidden: Tensor<Self, 2>, packing: &Arc<Packing>) -> Tensor<Self, 2> {
        Self::multiply(plain::mean_matrix(packing, &hidden.device()), hidden)
    }

    /// Two losses of `logits`, `[trials · documents, classes]`, `[trials]` each: Σ `targets` · ln p over documents and
    /// classes, which has a gradient, and Σ −ln p of the documents' own classes, which has none. A document without a label
    /// has no part in the second one.
    fn losses(
        logits: Tensor<Self, 2>,
        targets: Tensor<Self, 2>,
        labels: &[Option<usize>],
        trials: usize,
    ) -> [Tensor<Self, 1>; 2] {
        plain::losses(logits, targets, labels, trials)
    }

    /// By trial the norm of all `gradients` as one vector, the factor that brings it to at most the trial's number of
    /// `norms_max`, which is 1 where that is 0, and the value of `beside`, which is read with them: `[trials · 3]`.
    /// `None` without gradients. Nothing waits for the device.
    fn clipping(
        gradients: Vec<Tensor<Self, 1>>,
        beside: Tensor<Self, 1>,
        norms_max: &[f32],
    ) -> Option<Tensor<Self, 1>> {
        plain::clipping(gradients, beside, norms_max)
    }

    /// The update of one parameter by AdamW. `clipping`: what [`Self::clipping`] has returned. The gradient comes back
    /// as it was.
    fn adamw(
        tensors: AdamWTensors<Tensor<Self, 1>>,
        clipping: Tensor<Self, 1>,
        numbers: UpdateNumbers<Self>,
    ) -> AdamWTensors<Tensor<Self, 1>> {
        plain::adamw(tensors, clipping, numbers)
    }
}

#[cfg(feature = "ndarray")]
impl Fused for burn::backend::NdArray {}
#[cfg(feature = "ndarray")]
impl Fused for burn::backend::Autodiff<burn::backend::NdArray> {}
