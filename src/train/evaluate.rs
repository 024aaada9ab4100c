//! Measuring a model on a split.

use std::ops::Range;

use super::{
    corpus::Split,
    frozen::Below,
    heads,
    masks::Masks,
    model::{self, Classifier},
    ops::{Fused, RowSink},
};
use crate::{
    metrics::{Confusion, Scores, Target},
    settings::Aggregate,
};

/// Padded tokens of one forward pass without gradients.
pub(crate) const TOKENS: usize = 2_048;

/// The probabilities of each document's classes, in the split's order; only what is above `below` need be
/// run. `alive` is called now and then.
pub(crate) fn predict<B: Fused>(
    model: &Classifier<B>,
    split: &Split,
    below: Below<'_>,
    aggregate: Aggregate,
    device: &B::Device,
    alive: &mut dyn FnMut(),
) -> Vec<Vec<f64>> {
    let mut all = vec![Vec::new(); split.len()];
    for documents in split.within(&split.by_length(), TOKENS) {
        alive();
        let logits = below.logits(model, split, &documents, (&Masks::off(), &RowSink::default()), device);
        let logits = heads::aggregate(logits, &ranges(split, &documents), aggregate);
        let [_, classes] = logits.dims();
        for (&document, row) in documents.iter().zip(model::values(logits).chunks_exact(classes)) {
            all[document] = heads::probabilities(row);
        }
    }
    all
}

/// The chunks of `documents`, in order.
pub(crate) fn chunks<'a>(split: &'a Split, documents: &[usize]) -> Vec<&'a [u32]> {
    documents.iter().flat_map(|&document| split.document(document)).collect()
}

/// Each document's place among the chunks of `documents`.
pub(crate) fn ranges(split: &Split, documents: &[usize]) -> Vec<Range<usize>> {
    let mut end = 0;
    let range = |&document: &usize| {
        let start = end;
        end += split.places(document).len();
        start..end
    };
    documents.iter().map(range).collect()
}

/// The figures of `probabilities`, one row a document of `split`.
#[expect(clippy::cast_precision_loss, reason = "counts of documents are far below 2^53")]
pub(crate) fn score(split: &Split, probabilities: &[Vec<f64>], classes: usize, target: Target) -> Scores {
    let mut confusion = Confusion::new(classes);
    let mut loss = 0.0;
    for (document, row) in probabilities.iter().enumerate() {
        let label = split.label(document);
        confusion.add(label, heads::most_probable(row));
        loss -= row[label].ln();
    }
    Scores::new(confusion, loss / probabilities.len().max(1) as f64, target)
}
