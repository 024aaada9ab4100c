//! Measuring several trials on a split at once.

use burn::module::AutodiffModule;

use super::{group::Group, member::Member};
use crate::{
    data::SplitName,
    train::{
        backend::Compute,
        encoder::model::classifier::Classifier,
        observe::Report,
        recipe::{
            side_by_side::{self, Measurement},
            trial::Measured,
        },
    },
};

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The current parameters on the validation set.
    Current,
    /// The best ones on a split.
    Best(SplitName),
}

impl<'a, C: Compute> Group<'a, C> {
    /// Measures parameters of `members`.
    pub(super) fn measure(&mut self, members: &[Member<'a, C>], wanted: Wanted) -> Vec<Measured> {
        let Some(first) = members.first() else { return Vec::new() };
        let models = members.iter().map(|member| match wanted {
            Wanted::Best(_) => member.learner.best_model().clone(),
            Wanted::Current => member.learner.model.valid(),
        });
        let split = match wanted {
            Wanted::Best(split) => split,
            Wanted::Current => SplitName::Validation,
        };
        let models: Vec<Classifier<C::InnerBackend>> = models.collect();
        if C::ON_HOST {
            let measure = |(member, model): (&Member<'a, C>, _)| {
                let observe = &mut |report| self.listener.on_report(member.place, report);
                member.trial.measure(model, split, observe)
            };
            return members.iter().zip(&models).map(measure).collect();
        }
        let resident = self.resident.as_ref().filter(|_| wanted == Wanted::Current);
        let all = if let Some(resident) = resident.filter(|resident| resident.is_of(members)) {
            resident.model().valid()
        } else {
            let learning = first.learner.model.learning();
            Classifier::side_by_side(&models.iter().collect::<Vec<_>>(), &learning)
        };
        let models: Vec<_> = models.iter().map(|model| || model.clone()).collect();
        let trials: Vec<Measurement<'_, C::InnerBackend>> = members
            .iter()
            .zip(&models)
            .map(|(Member { trial, .. }, model)| Measurement {
                input: trial.frozen.input(trial.corpus, split),
                model,
            })
            .collect();
        // A stop waits until the split is measured.
        let on_batch = &mut || _ = self.listener.on_report(first.place, Report::Alive);
        let how = first.trial.settings().aggregate;
        let found = side_by_side::predict(&all, &trials, how, self.device, on_batch);
        members.iter().zip(found).map(|(member, own)| member.trial.measured(split, own)).collect()
    }
}
