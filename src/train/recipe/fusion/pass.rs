//! The passes of a step, and the losses that are shown.

use std::collections::BTreeMap;

use super::member::Member;
use crate::train::{backend::Compute, error::TrainError, learning::loss::cross_entropy};

/// A member after a step, or the place and the error of one that cannot go on.
pub(super) type Stepped<'a, C> = Result<Member<'a, C>, Box<(usize, TrainError)>>;

/// The documents of one pass of a step: of each trial, those of its micro-batch with the same number.
pub(super) struct Pass<'a> {
    /// The number of the micro-batches.
    pub(super) number: usize,
    pub(super) parts: Vec<PassPart<'a>>,
}

/// What a pass reads of one trial.
#[derive(Clone, Copy)]
pub(super) struct PassPart<'a> {
    /// The trial's place among those that make the step.
    pub(super) trial: usize,
    /// Empty if the trial has no micro-batch of this number.
    pub(super) documents: &'a [usize],
}

impl<'a> Pass<'a> {
    /// The passes over `micro_batches`, by trial.
    pub(super) fn all(micro_batches: &'a [Vec<Vec<usize>>]) -> impl Iterator<Item = Self> {
        let count = micro_batches.iter().map(Vec::len).max().unwrap_or(0);
        (0..count).map(|number| {
            let documents =
                micro_batches.iter().map(move |own| own.get(number).map_or(&[][..], Vec::as_slice));
            let parts = documents.enumerate().map(|(trial, documents)| PassPart { trial, documents });
            Self { number, parts: parts.collect() }
        })
    }

    /// Passes over the same documents, each over trials that have the same number of chunks and of documents: products then
    /// have the shapes that they have for a trial alone, and their sums the same order. Trials without documents are in none.
    pub(super) fn by_shape<C: Compute>(
        &self,
        members: &[Member<'_, C>],
    ) -> impl Iterator<Item = Self> + use<'a, C> {
        let mut by_shape: BTreeMap<(usize, usize), Vec<PassPart<'a>>> = BTreeMap::new();
        for &part in self.parts.iter().filter(|part| !part.documents.is_empty()) {
            let train = &members[part.trial].trial.corpus.train;
            let chunks = part.documents.iter().map(|&document| train.chunk_range(document).len()).sum();
            by_shape.entry((chunks, part.documents.len())).or_default().push(part);
        }
        let number = self.number;
        by_shape.into_values().map(move |parts| Self { number, parts })
    }
}

/// Adds the plain cross-entropy of a pass to each trial's own. `logits`: `[trials of the pass · documents · classes]`.
pub(super) fn add_losses<C: Compute>(
    losses: &mut [f64],
    logits: &[f32],
    members: &[Member<'_, C>],
    pass: &Pass<'_>,
) {
    let slabs = logits.chunks_exact(logits.len() / pass.parts.len());
    for (&PassPart { trial, documents }, slab) in pass.parts.iter().zip(slabs) {
        let running = &members[trial].trial;
        let labels: Vec<usize> =
            documents.iter().map(|&document| running.corpus.train.label(document)).collect();
        let classes = running.data.labels().len();
        losses[trial] += cross_entropy(&slab[..labels.len() * classes], &labels);
    }
}
