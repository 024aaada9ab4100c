//! The passes of a step, and the losses that are shown.

use super::member::Member;
use crate::train::{backend::Compute, error::TrainError, learning::loss::cross_entropy};

/// A member after a step, or the place and the error of one that cannot go on.
pub(super) type Stepped<'a, C> = Result<Member<'a, C>, (usize, TrainError)>;

/// The documents of one pass of a step: of each trial, those of its micro-batch with the same number, if it has one.
pub(super) struct Pass<'a> {
    pub(super) number: usize,
    pub(super) documents: Vec<&'a [usize]>,
}

impl<'a> Pass<'a> {
    /// The passes over `micro_batches`, by trial.
    pub(super) fn all(micro_batches: &'a [Vec<Vec<usize>>]) -> impl Iterator<Item = Self> {
        let count = micro_batches.iter().map(Vec::len).max().unwrap_or(0);
        (0..count).map(|number| {
            let documents = micro_batches.iter().map(|own| own.get(number).map_or(&[][..], Vec::as_slice));
            Self { number, documents: documents.collect() }
        })
    }

    /// Whether the trial at this place among those that make the step has documents in the pass.
    pub(super) fn has(&self, trial: usize) -> bool {
        !self.documents[trial].is_empty()
    }
}

/// Adds the plain cross-entropy of a pass to each trial's own. `logits`: `[trials · documents · classes]`.
pub(super) fn add_losses<C: Compute>(
    losses: &mut [f64],
    logits: &[f32],
    members: &[Member<'_, C>],
    pass: &Pass<'_>,
) {
    let slabs = logits.chunks_exact(logits.len() / members.len());
    for ((loss, slab), (member, documents)) in losses.iter_mut().zip(slabs).zip(members.iter().zip(&pass.documents)) {
        let labels: Vec<usize> =
            documents.iter().map(|&document| member.trial.corpus.train.label(document)).collect();
        let classes = member.trial.data.labels().len();
        *loss += cross_entropy(&slab[..labels.len() * classes], &labels);
    }
}
