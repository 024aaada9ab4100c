//! The encoder's own operations: one form in plain tensor operations, one fused for the CPU.
//!
//! Hidden states are packed: the tokens of all sequences of a batch one after
//! another, `[tokens, width]`, no padding. [`Fused`] is the interface; a backend
//! takes the plain form ([`plain`]) or overrides it ([`flex`], whose loops and
//! hand-written gradients stand in [`kernels`], [`attention`] and [`first`]; [`gemm`] has the
//! large products, [`product`] the small ones). Both forms
//! draw the same dropout masks on the CPU and are tested equal.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Int, Tensor, backend::Backend};

use super::masks::Drop;
use crate::settings::MatmulPrecision;

#[cfg(feature = "flex")]
mod attention;
#[cfg(feature = "flex")]
mod first;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod gemm;
#[cfg(feature = "flex")]
mod kernels;
#[cfg(feature = "flex")]
mod product;

mod plain;
#[cfg(all(test, feature = "flex"))]
mod tests;

/// Where each sequence of a packed batch stands.
#[derive(Debug)]
pub(crate) struct Packing {
    /// The first row of each sequence, and the number of rows at last.
    pub(crate) starts: Vec<usize>,
}

impl Packing {
    /// Number of sequences.
    pub(crate) fn sequences(&self) -> usize {
        self.starts.len() - 1
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    /// First row and length of a sequence.
    pub(crate) fn sequence(&self, index: usize) -> (usize, usize) {
        (self.starts[index], self.starts[index + 1] - self.starts[index])
    }

    /// The longest sequence.
    pub(crate) fn longest(&self) -> usize {
        (0..self.sequences()).map(|index| self.sequence(index).1).max().unwrap_or(0)
    }
}

/// What [`Fused::packed_attention`] and [`Fused::first_attention`] need besides tensors.
#[derive(Clone, Debug)]
pub(crate) struct Attention {
    pub(crate) packing: Arc<Packing>,
    pub(crate) heads: usize,
    /// On the probabilities. Element (sequence, head, query, key) has the number
    /// `first(sequence) + (head · queries + query) · length + key`, where `first` counts the elements
    /// of the sequences before.
    pub(crate) drop: Drop,
}

impl Attention {
    /// The number of the first probability of each sequence, and of all at last, where every token asks.
    pub(crate) fn firsts(&self) -> Vec<usize> {
        let mut firsts = vec![0];
        for index in 0..self.packing.sequences() {
            let (_, length) = self.packing.sequence(index);
            firsts.push(firsts[index] + self.heads * length * length);
        }
        firsts
    }

    /// The number of the first probability of a sequence where its first token alone asks.
    pub(crate) fn first_of_one(&self, sequence: usize) -> usize {
        self.heads * self.packing.starts[sequence]
    }
}

/// What [`Fused::residual_norm`] takes.
pub(crate) struct Norm<B: Backend> {
    /// `[rows, width]`
    pub(crate) input: Tensor<B, 2>,
    /// Added to each row of the input, `[width]`.
    pub(crate) bias: Tensor<B, 1>,
    /// `[rows, width]`
    pub(crate) residual: Tensor<B, 2>,
    /// `[width]`
    pub(crate) gamma: Tensor<B, 1>,
    /// `[width]`
    pub(crate) beta: Tensor<B, 1>,
    /// Added to the variance.
    pub(crate) epsilon: f64,
    /// On input + bias.
    pub(crate) before: Drop,
    /// On the result.
    pub(crate) after: Drop,
}

/// The gradients of some rows of a matrix.
#[derive(Debug, Default)]
pub(crate) struct RowGradients {
    /// Which rows; a row can come more than once, and its gradients add up.
    pub(crate) rows: Vec<u32>,
    /// `[rows, width]`
    pub(crate) values: Vec<f32>,
}

/// Where a backward pass leaves the gradients of the word embeddings that its batch has read: a few rows
/// of a large matrix.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowSink(Arc<Mutex<Vec<RowGradients>>>);

impl RowSink {
    /// What has been left here, which is then gone.
    pub(crate) fn take(&self) -> Vec<RowGradients> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[cfg(feature = "flex")]
    fn put(&self, gradients: RowGradients) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(gradients);
    }
}

/// Whether products of bf16 are faster here than those of f32.
pub(crate) fn has_bf16() -> bool {
    #[cfg(feature = "flex")]
    return gemm::has_bf16();
    #[cfg(not(feature = "flex"))]
    false
}

/// The operations. Element numbers of dropout masks are row-major places, if nothing else is said.
pub(crate) trait Fused: Backend {
    /// Whether [`Self::product`] heeds [`MatmulPrecision::Bf16`].
    const HAS_BF16: bool = false;

    /// `input`, `[rows, inputs]`, times `weight`, `[inputs, outputs]`, and so their gradients. Where the
    /// backend has no other, factors are f32.
    fn product(
        input: Tensor<Self, 2>,
        weight: Tensor<Self, 2>,
        precision: MatmulPrecision,
    ) -> Tensor<Self, 2> {
        let _ = precision;
        input.matmul(weight)
    }

    /// Rows `ids`, `[tokens]`, of `table`, `[entries, width]`: `[tokens, width]`. Where the backend can,
    /// the gradient goes to `sink` row by row, and the table itself has none.
    fn embedding_rows(
        table: Tensor<Self, 2>,
        ids: Tensor<Self, 1, Int>,
        sink: Option<&RowSink>,
    ) -> Tensor<Self, 2> {
        let _ = sink;
        table.select(0, ids)
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

    /// Softmax attention of each sequence's first token over the hidden states themselves.
    ///
    /// A head's score of a token with the state `x` is `(x Wk) · q = x · (Wk q)`, and its result is
    /// `(Σ p x) Wv`: keys and values of single tokens are never made. `hidden`: `[rows, width]`. `asked`:
    /// each head's scaled `Wk q`, `[heads · sequences, width]`, head by head. Result: `Σ p x` and `Σ p`,
    /// with dropout on `p`, `[heads · sequences, width + 1]`. The keys' bias adds the same to all scores
    /// of a head, which softmax takes out again.
    fn first_attention(
        hidden: Tensor<Self, 2>,
        asked: Tensor<Self, 2>,
        attention: &Attention,
    ) -> Tensor<Self, 2> {
        plain::first_attention(hidden, asked, attention)
    }
}

#[cfg(feature = "ndarray")]
impl Fused for burn::backend::NdArray {}
#[cfg(feature = "ndarray")]
impl Fused for burn::backend::Autodiff<burn::backend::NdArray> {}
#[cfg(feature = "cuda")]
impl Fused for burn::backend::Cuda {}
#[cfg(feature = "cuda")]
impl Fused for burn::backend::Autodiff<burn::backend::Cuda> {}
