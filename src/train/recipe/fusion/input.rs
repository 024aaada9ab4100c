//! What the stacked classifier reads: each trial's activations, padded to the same number of chunks.

use std::ops::Range;

use burn::tensor::{Int, Tensor, TensorData, backend::Backend};

use crate::{
    data::SplitName,
    train::{
        encoder::model::classifier::Classifier,
        ops::fused::Fused,
        recipe::frozen::{Activations, FrozenInput},
        text::corpus::TokenizedSplit,
    },
};

/// What one pass reads of one trial.
pub(super) struct Part<'a, B: Backend> {
    pub(super) input: FrozenInput<'a>,
    pub(super) documents: &'a [usize],
    /// Makes the trial's model, for activations that are not kept.
    pub(super) model: &'a dyn Fn() -> Classifier<B>,
}

/// The input of one pass.
pub(super) struct StackedInput<B: Backend> {
    /// The encoder's output for each chunk, `[trials, chunks, width]`; `[1, chunks, width]` where it is the same for all.
    /// Rows beyond a trial's own chunks mean nothing.
    pub(super) chunks: Tensor<B, 3>,
    /// By trial, or once for all: the range of each document's chunks.
    pub(super) ranges: Vec<Vec<Range<usize>>>,
}

/// By split, in the order of [`SplitName::ALL`]: the activations that all trials of the last pass shared, and what they
/// are in the device's memory. They live as long as the trials.
pub(super) struct Uploaded<B: Backend>([Option<(*const Activations, Tensor<B, 2>)>; 3]);

impl<B: Backend> Default for Uploaded<B> {
    fn default() -> Self {
        Self([None, None, None])
    }
}

impl<B: Fused> Uploaded<B> {
    /// The activations that all of `parts` share, if they do. They are uploaded unless those of the last pass were the same.
    fn get(&mut self, split: SplitName, parts: &[Part<'_, B>], device: &B::Device) -> Option<Tensor<B, 2>> {
        let shared = shared(parts)?;
        let place = SplitName::ALL.iter().position(|name| *name == split)?;
        if let Some((known, tensor)) = &self.0[place]
            && std::ptr::eq(*known, shared)
        {
            return Some(tensor.clone());
        }
        let shape = [shared.values.len() / shared.width.max(1), shared.width];
        let tensor = Tensor::from_data(TensorData::new(shared.values.to_vec(), shape), device);
        self.0[place] = Some((std::ptr::from_ref(shared), tensor.clone()));
        Some(tensor)
    }
}

/// The activations that all of `parts` read from, if they are the same and kept.
fn shared<'a, B: Backend>(parts: &[Part<'a, B>]) -> Option<&'a Activations> {
    let first = parts.first()?.input.kept()?;
    parts.iter().all(|part| part.input.kept().is_some_and(|own| std::ptr::eq(own, first))).then_some(first)
}

impl<B: Fused> StackedInput<B> {
    /// Gathers the input of `parts`, one for each trial. `uploaded`: where activations that all trials share may stay in
    /// the device's memory, with the name of their split.
    pub(super) fn gather(
        mut parts: &[Part<'_, B>],
        uploaded: Option<(&mut Uploaded<B>, SplitName)>,
        device: &B::Device,
    ) -> Self {
        if shared(parts).is_some() && parts.iter().all(|part| part.documents == parts[0].documents) {
            parts = &parts[..1];
        }
        let ranges = |part: &Part<'_, B>| part.input.split().chunk_ranges(part.documents);
        let ranges: Vec<Vec<Range<usize>>> = parts.iter().map(ranges).collect();
        let rows = ranges.iter().map(|own| own.last().map_or(0, |last| last.end)).max().unwrap_or(0);
        let resident = uploaded.and_then(|(uploaded, split)| uploaded.get(split, parts, device));
        let chunks = match resident {
            Some(all) => select(all, parts, rows, device),
            None => copy(parts, rows, device),
        };
        Self { chunks, ranges }
    }
}

/// Reads rows of `all`, which lies in the device's memory.
fn select<B: Fused>(
    all: Tensor<B, 2>,
    parts: &[Part<'_, B>],
    rows: usize,
    device: &B::Device,
) -> Tensor<B, 3> {
    let [_, width] = all.dims();
    let mut places = Vec::with_capacity(parts.len() * rows);
    for (index, part) in parts.iter().enumerate() {
        places.extend(chunks(part.input.split(), part.documents));
        places.resize((index + 1) * rows, 0);
    }
    let places = Tensor::<B, 1, Int>::from_data(TensorData::from(places.as_slice()), device);
    all.select(0, places).reshape([parts.len(), rows, width])
}

/// The numbers of the chunks of `documents`.
fn chunks(split: &TokenizedSplit, documents: &[usize]) -> impl Iterator<Item = i32> {
    let chunks = documents.iter().flat_map(|&document| split.chunk_range(document));
    chunks.map(|chunk| i32::try_from(chunk).unwrap_or(i32::MAX))
}

/// Copies the rows of `parts` from this process's memory.
fn copy<B: Fused>(parts: &[Part<'_, B>], rows: usize, device: &B::Device) -> Tensor<B, 3> {
    let mut values = Vec::new();
    let mut ends = Vec::with_capacity(parts.len());
    for part in parts {
        part.input.append_rows(part.model, part.documents, device, &mut values);
        ends.push(values.len());
    }
    let widest = parts.iter().map(|part| chunks(part.input.split(), part.documents).count());
    // Every part that has chunks has rows of the same width.
    let own: usize = widest.clone().sum();
    let width = values.len() / own.max(1);
    if own < parts.len() * rows {
        let mut padded = vec![0.0; parts.len() * rows * width];
        let mut start = 0;
        for (slab, &end) in padded.chunks_exact_mut((rows * width).max(1)).zip(&ends) {
            slab[..end - start].copy_from_slice(&values[start..end]);
            start = end;
        }
        values = padded;
    }
    Tensor::from_data(TensorData::new(values, [parts.len(), rows, width]), device)
}
