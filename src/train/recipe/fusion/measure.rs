//! Measuring several trials on a split at once.

use burn::module::AutodiffModule;

use super::{
    group::Group,
    input::{Part, StackedInput},
    member::Member,
    resident::Parameters,
};
use crate::{
    data::SplitName,
    train::{
        backend::Compute,
        encoder::model::{classifier::Classifier, stacked::StackedHead},
        learning::{aggregate::aggregate_stacked, loss::probabilities},
        observe::Report,
        ops::fused::Fused,
        recipe::trial::Measured,
        tensors::values,
        text::corpus::TokenizedSplit,
    },
};

/// The largest number of chunks in one pass on a device with a memory of its own.
const CHUNKS_MAX: usize = 1_024;

impl<'a, C: Compute> Group<'a, C> {
    /// Measures the current parameters of `members` on the validation set, or their best ones on the test set.
    pub(super) fn measure(&mut self, members: &[Member<'a, C>], split: SplitName) -> Vec<Measured> {
        let Some(first) = members.first() else { return Vec::new() };
        let models: Vec<Classifier<C::InnerBackend>> = members
            .iter()
            .map(|member| match split {
                SplitName::Test => member.learner.best_model().clone(),
                SplitName::Train | SplitName::Validation => member.learner.model.valid(),
            })
            .collect();
        let stack = StackedHead::of(&models.iter().collect::<Vec<_>>());
        let of_split = first.trial.corpus.split(split);
        let mut all = vec![vec![Vec::new(); of_split.document_count()]; members.len()];
        for documents in self.passes(of_split) {
            // A stop waits until the split is measured.
            let _ = self.listener.on_report(first.place, Report::Alive);
            let logits = self.logits(members, &models, &stack, split, &documents);
            for (all, logits) in all.iter_mut().zip(logits) {
                let classes = logits.len() / documents.len();
                for (&document, row) in documents.iter().zip(logits.chunks_exact(classes)) {
                    all[document] = probabilities(row);
                }
            }
        }
        members.iter().zip(all).map(|(member, all)| member.trial.measured(split, all)).collect()
    }

    /// By trial: the logits of `documents`, `[documents · classes]` row by row.
    fn logits(
        &mut self,
        members: &[Member<'a, C>],
        models: &[Classifier<C::InnerBackend>],
        stack: &StackedHead<C::InnerBackend>,
        split: SplitName,
        documents: &[usize],
    ) -> Vec<Vec<f32>> {
        let models: Vec<_> = models.iter().map(|model| || model.clone()).collect();
        let parts: Vec<Part<'_, C::InnerBackend>> = members
            .iter()
            .zip(&models)
            .map(|(Member { trial, .. }, model)| Part {
                input: trial.frozen.input(trial.corpus, split),
                documents,
                model,
            })
            .collect();
        let uploaded = match self.parameters {
            Parameters::ByTrial => None,
            Parameters::Resident(_) => Some((&mut self.uploaded, split)),
        };
        let input = StackedInput::gather(&parts, uploaded, self.device);
        let logits = stack.classify(input.chunks, &mut |chunks| chunks);
        let logits = values(aggregate_stacked(logits, &input.ranges, members[0].trial.settings().aggregate));
        logits.chunks_exact(logits.len() / members.len()).map(<[f32]>::to_vec).collect()
    }

    /// The documents of a split, pass by pass.
    fn passes(&self, split: &TokenizedSplit) -> Vec<Vec<usize>> {
        match self.parameters {
            // As for a trial alone, so that products have the same shapes, and sums the same order.
            Parameters::ByTrial => split.forward_groups(C::InnerBackend::FORWARD_TOKENS_MAX),
            Parameters::Resident(_) => groups_of_chunks(split),
        }
    }
}

/// Cuts the documents of a split into groups of at most [`CHUNKS_MAX`] chunks, or of one document.
fn groups_of_chunks(split: &TokenizedSplit) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut chunks = 0;
    for document in 0..split.document_count() {
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
