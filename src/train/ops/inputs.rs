//! What the operations take besides plain tensors.

use std::{
    any::Any,
    sync::{Arc, OnceLock},
};

use burn::tensor::{Int, Tensor, TensorData, backend::Backend};

use crate::train::masks::Drops;

/// Where each sequence of a packed batch stands.
///
/// The batches of several trials stand one after another, each with as many rows and as many sequences as the others: a
/// trial's own rows come first, then rows of no sequence, and behind its own sequences there are empty ones.
#[derive(Debug)]
pub(crate) struct Packing {
    /// First row and length of each sequence.
    places: Vec<(usize, usize)>,
    rows: usize,
    trials: usize,
    /// What a backend keeps in its device's memory of this; it is made and read by that backend alone.
    #[cfg_attr(
        not(any(feature = "cuda", feature = "wgpu")),
        expect(dead_code, reason = "only GPUs keep something")
    )]
    pub(super) on_device: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Packing {
    /// Sequences of these lengths, one after another.
    pub(crate) fn new(lengths: impl IntoIterator<Item = usize>) -> Self {
        let (mut places, mut rows) = (Vec::new(), 0);
        for length in lengths {
            places.push((rows, length));
            rows += length;
        }
        Self { places, rows, trials: 1, on_device: OnceLock::new() }
    }

    /// The sequences of several trials, by their lengths, with `rows` rows and `sequences` sequences for each trial.
    pub(crate) fn side_by_side(trials: &[Vec<usize>], rows: usize, sequences: usize) -> Self {
        let mut places = Vec::with_capacity(trials.len() * sequences);
        for (trial, lengths) in trials.iter().enumerate() {
            let own = Self::new(lengths.iter().copied());
            places.extend(own.places.into_iter().map(|(start, length)| (trial * rows + start, length)));
            places.resize((trial + 1) * sequences, (trial * rows + own.rows, 0));
        }
        let (rows, trials) = (rows * trials.len(), trials.len());
        Self { places, rows, trials, on_device: OnceLock::new() }
    }

    /// Number of sequences.
    pub(crate) fn sequences(&self) -> usize {
        self.places.len()
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Number of trials.
    pub(crate) fn trials(&self) -> usize {
        self.trials
    }

    /// First row and length of a sequence.
    pub(crate) fn sequence(&self, index: usize) -> (usize, usize) {
        self.places[index]
    }

    /// The length of the longest sequence.
    pub(crate) fn longest(&self) -> usize {
        self.places.iter().map(|place| place.1).max().unwrap_or(0)
    }
}

/// The rows that are read from a table, here and on the device.
#[derive(Clone, Debug)]
pub(crate) struct RowIds<B: Backend> {
    /// `[tokens]`
    pub(crate) on_device: Tensor<B, 1, Int>,
    pub(crate) on_host: Arc<[u32]>,
    /// The number of tables, of the same size, that stand one after another; each of them is read by the same number of
    /// tokens, and numbers its rows from 0.
    #[cfg_attr(
        not(any(feature = "cuda", feature = "wgpu")),
        expect(dead_code, reason = "only GPUs take several")
    )]
    pub(crate) tables: usize,
}

/// In [`RowIds`]: no row. What is read for it is zero. Only batches that are padded have it.
pub(crate) const NO_ROW: u32 = u32::MAX;

impl<B: Backend> RowIds<B> {
    pub(crate) fn new(ids: Vec<u32>, device: &B::Device) -> Self {
        Self::of_tables(1, ids, device)
    }

    pub(crate) fn of_tables(tables: usize, ids: Vec<u32>, device: &B::Device) -> Self {
        let signed: Vec<i32> = ids.iter().map(|id| id.cast_signed()).collect();
        Self {
            on_device: Tensor::from_data(TensorData::from(signed.as_slice()), device),
            on_host: ids.into(),
            tables,
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
    pub(crate) drop: Drops,
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
        self.heads * self.packing.sequence(sequence).0
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
    pub(crate) before: Drops,
    /// Dropout on the result.
    pub(crate) after: Drops,
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

/// Where the numbers of an update of one parameter stand on the device.
#[derive(Clone, Debug)]
pub(crate) struct UpdateNumbers<B: Backend> {
    /// The numbers of all parameters: of each parameter, by trial, `keep`, `step_size` and `root`.
    pub(crate) table: Tensor<B, 1>,
    /// The place of the parameter's first number.
    pub(crate) first: usize,
    pub(crate) trials: usize,
}
