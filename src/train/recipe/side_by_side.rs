//! The forward pass of several trials at once, on a device; of one trial as of many.
//!
//! Each trial has a part of the batch, padded to a size of a fixed set. What is frozen does not differ from step to
//! step, and is read from the device's memory where there is room for it.

use burn::tensor::{Tensor, backend::Backend};

use super::frozen::{FrozenInput, FrozenPart, Uploaded};
use crate::{
    settings::Aggregate,
    train::{
        encoder::model::{
            batch::{Batch, BatchSize},
            classifier::Classifier,
        },
        learning::{aggregate::DocumentChunks, loss::probabilities},
        masks::Masks,
        ops::{
            fused::Fused,
            inputs::{NO_ROW, RowIds},
        },
        tensors::values_together,
        text::corpus::TokenizedSplit,
    },
};

/// The largest number of chunks of one trial in a pass over what a frozen encoder has returned.
const CHUNKS_MAX: usize = 1_024;

/// The most tokens that empty chunks may bring a pass to, for one trial: as many as a training step computes at once.
const PADDED_TOKENS_MAX: usize = 16_384;

/// What a pass reads of one trial.
pub(super) struct Part<'a, B: Backend> {
    pub(super) input: FrozenInput<'a>,
    pub(super) documents: &'a [usize],
    /// Makes the trial's own model, for activations that are not kept.
    pub(super) model: &'a dyn Fn() -> Classifier<B>,
}

/// The input of a pass, on the device.
pub(super) struct Input<'a, B: Backend> {
    frozen: FrozenPart,
    /// By trial: its chunks.
    trials: Vec<Vec<&'a [u32]>>,
    size: BatchSize,
    /// What the frozen part returns for them, `[trials · rows, width]`.
    activations: Option<Tensor<B, 2>>,
    pub(super) documents: DocumentChunks,
}

impl<'a, B: Fused> Input<'a, B> {
    /// The input of `parts`, one for each trial, at least one. There is room for `chunks_min` chunks of each trial, unless
    /// they would be more than [`PADDED_TOKENS_MAX`] tokens.
    pub(super) fn of(parts: &[Part<'a, B>], chunks_min: usize, device: &B::Device) -> Self {
        let chunks = |part: &Part<'a, B>| part.input.split().chunks(part.documents);
        let trials: Vec<Vec<&[u32]>> = parts.iter().map(chunks).collect();
        let rows = trials.iter().map(|own| own.iter().map(|chunk| chunk.len()).sum());
        let chunks_max = trials.iter().map(Vec::len).max().unwrap_or(0);
        let longest = trials.iter().flatten().map(|chunk| chunk.len()).max().unwrap_or(1);
        let padded = chunks_min.min(PADDED_TOKENS_MAX / longest.max(1));
        let size = BatchSize::holding(rows.max().unwrap_or(0), chunks_max.max(padded));
        let frozen = parts[0].input.part();
        let activations = match frozen {
            FrozenPart::Nothing => None,
            FrozenPart::Lower(_) => Some(activations(parts, size.rows, device)),
            FrozenPart::Whole => Some(activations(parts, size.chunks, device)),
        };
        let ranges = parts.iter().map(|part| part.input.split().chunk_ranges(part.documents)).collect();
        let split = parts[0].input.split();
        let is_one_each = split.chunk_count() == split.document_count();
        let documents = DocumentChunks::new(ranges, size.chunks, is_one_each);
        Self { frozen, trials, size, activations, documents }
    }

    /// The logits of `model`, which has the parameters of all trials, `[trials · documents, classes]`. `lift` makes
    /// activations a tensor of its backend.
    pub(super) fn logits<C: Fused<Device = B::Device>>(
        self,
        model: &Classifier<C>,
        masks: &Masks,
        how: Aggregate,
        lift: impl Fn(Tensor<B, 2>) -> Tensor<C, 2>,
        device: &B::Device,
    ) -> Tensor<C, 2> {
        let batch = || Batch::side_by_side(&self.trials, self.size, device);
        let logits = match (self.frozen, self.activations.map(lift)) {
            (FrozenPart::Whole, Some(chunks)) => model.classify(chunks, masks),
            (FrozenPart::Lower(layers), Some(hidden)) => {
                model.forward(&batch().with_lower_layers(layers, hidden), masks)
            }
            _ => model.forward(&batch(), masks),
        };
        self.documents.aggregate(logits, how)
    }
}

/// The activations of `parts`, each with `rows` rows, of which its own come first and the others are zero.
fn activations<B: Fused>(parts: &[Part<'_, B>], rows: usize, device: &B::Device) -> Tensor<B, 2> {
    let uploaded: Vec<Option<Uploaded<'_, B>>> =
        parts.iter().map(|part| part.input.uploaded(device)).collect();
    let first = uploaded[0].as_ref();
    let is_first = |own: &Option<Uploaded<'_, B>>| {
        first.zip(own.as_ref()).is_some_and(|(first, own)| first.is_same(own))
    };
    if let Some(first) = first.filter(|_| uploaded.iter().all(is_first)) {
        return read(first, parts, rows, device);
    }
    let own = |(part, uploaded): (&Part<'_, B>, &Option<Uploaded<'_, B>>)| match uploaded {
        Some(uploaded) => read(uploaded, std::slice::from_ref(part), rows, device),
        None => padded(part, rows, device),
    };
    Tensor::cat(parts.iter().zip(&uploaded).map(own).collect(), 0)
}

/// Reads the rows of `parts` from activations in the device's memory.
fn read<B: Fused>(
    uploaded: &Uploaded<'_, B>,
    parts: &[Part<'_, B>],
    rows: usize,
    device: &B::Device,
) -> Tensor<B, 2> {
    let mut ids = Vec::with_capacity(parts.len() * rows);
    for (trial, part) in parts.iter().enumerate() {
        ids.extend(part.input.row_numbers(part.documents).map(|row| u32::try_from(row).unwrap_or(NO_ROW)));
        ids.resize((trial + 1) * rows, NO_ROW);
    }
    B::embedding_rows(uploaded.values.clone(), &RowIds::new(ids, device), None)
}

/// The activations of a part whose rows are not in the device's memory.
fn padded<B: Fused>(part: &Part<'_, B>, rows: usize, device: &B::Device) -> Tensor<B, 2> {
    if part.documents.is_empty() {
        let [_, width] = part.input.activations(part.model, &[0], device).dims();
        return Tensor::zeros([rows, width], device);
    }
    let own = part.input.activations(part.model, part.documents, device);
    let [found, width] = own.dims();
    if found == rows { own } else { Tensor::cat(vec![own, Tensor::zeros([rows - found, width], device)], 0) }
}

/// What is measured of one trial.
#[derive(Clone, Copy)]
pub(super) struct Measurement<'a, B: Backend> {
    pub(super) input: FrozenInput<'a>,
    /// Makes the trial's own model.
    pub(super) model: &'a dyn Fn() -> Classifier<B>,
}

/// By trial: the probabilities of the classes of `documents`, which are in order, each once, and the same for all. `model` has
/// the parameters of all trials. `on_batch` is called before each batch. The device is waited for at the end.
pub(super) fn predict<B: Fused>(
    model: &Classifier<B>,
    trials: &[Measurement<'_, B>],
    documents: &[usize],
    how: Aggregate,
    device: &B::Device,
    on_batch: &mut dyn FnMut(),
) -> Vec<Vec<Vec<f64>>> {
    let split = trials[0].input.split();
    let mut found = Vec::new();
    let groups = groups::<B>(trials[0].input, documents, trials.len());
    for documents in &groups {
        on_batch();
        let parts: Vec<Part<'_, B>> =
            trials.iter().map(|own| Part { input: own.input, documents, model: own.model }).collect();
        let logits = Input::of(&parts, 0, device).logits(model, &Masks::off(), how, |same| same, device);
        found.push(logits);
    }
    let classes = found.first().map_or(1, |logits| logits.dims()[1]);
    let mut measured = vec![vec![Vec::new(); split.document_count()]; trials.len()];
    for (documents, logits) in groups.iter().zip(values_together(found)) {
        // By trial as many rows, of which the last ones may have no document.
        for (own, logits) in measured.iter_mut().zip(logits.chunks_exact(logits.len() / trials.len())) {
            for (&document, row) in documents.iter().zip(logits.chunks_exact(classes)) {
                own[document] = probabilities(row);
            }
        }
    }
    let in_order = |mut own: Vec<Vec<f64>>| {
        documents.iter().map(|&document| std::mem::take(&mut own[document])).collect()
    };
    measured.into_iter().map(in_order).collect()
}

/// `documents`, pass by pass. A pass has no more tokens for many trials than for one.
fn groups<B: Fused>(input: FrozenInput<'_>, documents: &[usize], trials: usize) -> Vec<Vec<usize>> {
    match input.part() {
        FrozenPart::Whole => groups_of_chunks(input.split(), documents),
        FrozenPart::Lower(_) | FrozenPart::Nothing => {
            input.split().forward_groups(documents, B::FORWARD_TOKENS_MAX / trials)
        }
    }
}

/// Cuts documents of a split into groups of at most [`CHUNKS_MAX`] chunks, or of one document.
fn groups_of_chunks(split: &TokenizedSplit, documents: &[usize]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut chunks = 0;
    for &document in documents {
        let own = split.chunk_range(document).len();
        chunks += own;
        match groups.last_mut() {
            Some(group) if chunks <= CHUNKS_MAX => group.push(document),
            _ => {
                groups.push(vec![document]);
                chunks = own;
            }
        }
    }
    groups
}
