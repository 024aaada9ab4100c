//! What the operations take besides plain tensors.

use std::{
    any::Any,
    sync::{Arc, OnceLock},
};

use burn::tensor::{Int, Tensor, TensorData, backend::Backend};

use crate::train::masks::Dropout;

/// Where each sequence of a packed batch stands.
#[derive(Debug)]
pub(crate) struct Packing {
    /// The first row of each sequence, and at the end the number of rows.
    pub(crate) starts: Vec<usize>,
    /// What a backend keeps in its device's memory of this; it is made and read by that backend alone.
    #[cfg_attr(
        not(any(feature = "cuda", feature = "wgpu")),
        expect(dead_code, reason = "only GPUs keep something")
    )]
    pub(super) on_device: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Packing {
    pub(crate) const fn new(starts: Vec<usize>) -> Self {
        Self { starts, on_device: OnceLock::new() }
    }

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

    /// The length of the longest sequence.
    pub(crate) fn longest(&self) -> usize {
        (0..self.sequences()).map(|index| self.sequence(index).1).max().unwrap_or(0)
    }
}

/// The rows that are read from a table, here and on the device.
#[derive(Clone, Debug)]
pub(crate) struct RowIds<B: Backend> {
    /// `[tokens]`
    pub(crate) on_device: Tensor<B, 1, Int>,
    pub(crate) on_host: Arc<[u32]>,
}

impl<B: Backend> RowIds<B> {
    pub(crate) fn new(ids: Vec<u32>, device: &B::Device) -> Self {
        let signed: Vec<i32> = ids.iter().map(|id| id.cast_signed()).collect();
        Self {
            on_device: Tensor::from_data(TensorData::from(signed.as_slice()), device),
            on_host: ids.into(),
        }
    }
}

/// What the two kinds of attention take besides tensors.
#[derive(Clone, Debug)]
pub(crate) struct Attention {
    pub(crate) packing: Arc<Packing>,
    pub(crate) heads: usize,
    /// Dropout on the probabilities. Element (sequence, head, query, key) has the number
    /// `first(sequence) + (head · queries + query) · length + key`, where `first` counts the elements
    /// of the sequences before.
    pub(crate) drop: Dropout,
}

impl Attention {
    /// By sequence: the number of its first probability where every token is a query. At the end: the number of all
    /// probabilities.
    pub(crate) fn first_elements(&self) -> Vec<usize> {
        let mut firsts = vec![0];
        for index in 0..self.packing.sequences() {
            let (_, length) = self.packing.sequence(index);
            firsts.push(firsts[index] + self.heads * length * length);
        }
        firsts
    }

    /// The number of a sequence's first probability where only the first token of each sequence is a query.
    pub(crate) fn first_cls_element(&self, sequence: usize) -> usize {
        self.heads * self.packing.starts[sequence]
    }
}

/// What [`super::fused::Fused::residual_norm`] takes.
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
    /// Dropout on input + bias.
    pub(crate) before: Dropout,
    /// Dropout on the result.
    pub(crate) after: Dropout,
}

/// A parameter with its gradient and its two moments, flat.
pub(crate) struct AdamWTensors<T> {
    pub(crate) value: T,
    pub(crate) gradient: T,
    pub(crate) moments: [T; 2],
}

impl<T> AdamWTensors<T> {
    /// The same of another kind of tensor.
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    pub(super) fn map<U>(self, change: impl Fn(T) -> U) -> AdamWTensors<U> {
        let Self { value, gradient, moments } = self;
        AdamWTensors { value: change(value), gradient: change(gradient), moments: moments.map(change) }
    }
}

/// The numbers of one update of one parameter, as [`crate::train::learning::adamw`] names them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamWNumbers {
    /// 1 − η λ
    pub(crate) keep: f32,
    /// η / (1 − β₁ᵗ)
    pub(crate) step_size: f32,
    /// √(1 − β₂ᵗ)
    pub(crate) root: f32,
}
