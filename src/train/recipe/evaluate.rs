//! Measuring a model on a split.

use super::frozen::{ForwardPass, FrozenInput};
use crate::{
    metrics::{Confusion, Scores, Target},
    numbers::count,
    settings::Aggregate,
    train::{
        encoder::model::classifier::Classifier,
        learning::{
            aggregate::aggregate,
            loss::{most_probable, probabilities},
        },
        masks::Masks,
        ops::{fused::Fused, row_sink::RowSink},
        tensors::values,
    },
};

/// Returns the probabilities of the classes of `documents`, which are in order, each once. `on_batch` is called before each
/// batch.
pub(super) fn predict<B: Fused>(
    model: &Classifier<B>,
    input: FrozenInput<'_>,
    documents: &[usize],
    how: Aggregate,
    device: &B::Device,
    on_batch: &mut dyn FnMut(),
) -> Vec<Vec<f64>> {
    let split = input.split();
    let mut all = vec![Vec::new(); split.document_count()];
    let (masks, sink) = (Masks::off(), RowSink::default());
    for documents in split.forward_groups(documents, B::FORWARD_TOKENS_MAX) {
        on_batch();
        let pass = ForwardPass { masks: &masks, sink: &sink };
        let logits = input.logits(model, &documents, pass, device);
        let logits = aggregate(logits, &split.chunk_ranges(&documents), how);
        let [_, classes] = logits.dims();
        for (&document, row) in documents.iter().zip(values(logits).chunks_exact(classes)) {
            all[document] = probabilities(row);
        }
    }
    documents.iter().map(|&document| std::mem::take(&mut all[document])).collect()
}

/// The scores of `probabilities`, which has one row for each of `labels`, the documents' own classes.
//
// The predicted class is the most probable one. The loss is the mean of −ln p of the documents' own classes, in f64,
// without the class weights and the smoothing of training. `metrics` computes the other figures from the counts of
// predicted and true classes.
pub(super) fn score(
    labels: impl Iterator<Item = usize>,
    probabilities: &[Vec<f64>],
    classes: usize,
    target: Target,
) -> Scores {
    let mut confusion = Confusion::new(classes);
    let mut loss = 0.0;
    for (label, row) in labels.zip(probabilities) {
        confusion.add(label, most_probable(row));
        loss -= row[label].ln();
    }
    Scores::new(confusion, loss / count(probabilities.len().max(1)), target)
}
