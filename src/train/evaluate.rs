//! Measuring a model on a split.

use std::ops::Range;

use super::{
    corpus::Split,
    features::Features,
    heads,
    masks::Masks,
    model::{self, Batch, Classifier},
    ops::Fused,
};
use crate::{
    metrics::{Confusion, Scores, Target},
    settings::Aggregate,
};

/// Padded tokens of one forward pass without gradients.
pub(crate) const TOKENS: usize = 8_192;

/// The probabilities of each document's classes, in the split's order; with `features`, the encoder
/// is not run. `alive` is called now and then.
pub(crate) fn predict<B: Fused>(
    model: &Classifier<B>,
    split: &Split,
    features: Option<&Features>,
    aggregate: Aggregate,
    device: &B::Device,
    alive: &mut dyn FnMut(),
) -> Vec<Vec<f64>> {
    let mut all = vec![Vec::new(); split.len()];
    for documents in split.within(&split.by_length(), TOKENS) {
        alive();
        let (chunks, ranges) = gather(split, &documents);
        let logits = match features {
            Some(features) => model.classify(features.rows(split, &documents, device), &Masks::off()),
            None => model.forward(&Batch::new(&chunks, device), &Masks::off()),
        };
        let logits = heads::aggregate(logits, &ranges, aggregate);
        let [_, classes] = logits.dims();
        for (&document, row) in documents.iter().zip(model::values(logits).chunks_exact(classes)) {
            all[document] = heads::probabilities(row);
        }
    }
    all
}

/// The chunks of `documents` and each document's place among them.
pub(crate) fn gather<'a>(split: &'a Split, documents: &[usize]) -> (Vec<&'a [u32]>, Vec<Range<usize>>) {
    let mut chunks = Vec::new();
    let ranges = documents
        .iter()
        .map(|&document| {
            let start = chunks.len();
            chunks.extend(split.document(document));
            start..chunks.len()
        })
        .collect();
    (chunks, ranges)
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
