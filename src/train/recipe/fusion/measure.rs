//! Measuring several trials on a split at once.

use burn::module::AutodiffModule;

use super::{group::Group, member::Member};
use crate::train::{
    backend::Compute,
    encoder::model::classifier::Classifier,
    observe::Report,
    recipe::{
        measured::{FinalFigures, Measured, MeasuredOn},
        side_by_side::{self, Measurement},
    },
};

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The current parameters on the validation set.
    Current,
    /// The best ones.
    Best(MeasuredOn),
}

impl<'a, C: Compute> Group<'a, C> {
    /// What the best parameters of `members` are worth.
    pub(super) fn final_figures(&mut self, members: &[Member<'a, C>]) -> Vec<FinalFigures> {
        let mut measure = |on| self.measure(members, Wanted::Best(on));
        let training = measure(MeasuredOn::TrainingSample);
        let test = measure(MeasuredOn::Test);
        // All of them read the same data.
        let keeps_validation = members.iter().all(|member| member.trial.keeps_validation());
        let validation = keeps_validation.then(|| measure(MeasuredOn::Validation));
        let mut validation = validation.into_iter().flatten();
        let figures = |(training, test)| FinalFigures::new(training, test, validation.next());
        training.into_iter().zip(test).map(figures).collect()
    }

    /// Measures parameters of `members`.
    pub(super) fn measure(&mut self, members: &[Member<'a, C>], wanted: Wanted) -> Vec<Measured> {
        let Some(first) = members.first() else { return Vec::new() };
        let models = members.iter().map(|member| match wanted {
            Wanted::Best(_) => member.learner.best_model().clone(),
            Wanted::Current => member.learner.model.valid(),
        });
        let on = match wanted {
            Wanted::Best(on) => on,
            Wanted::Current => MeasuredOn::Validation,
        };
        let models: Vec<Classifier<C::InnerBackend>> = models.collect();
        if C::ON_HOST {
            let measure = |(member, model): (&Member<'a, C>, _)| {
                let observe = &mut |report| self.listener.on_report(member.place, report);
                member.trial.measure(model, on, observe)
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
            .map(|(Member { trial, .. }, model)| Measurement { input: trial.input(on), model })
            .collect();
        // A stop waits until the split is measured.
        let on_batch = &mut || _ = self.listener.on_report(first.place, Report::Alive);
        let (documents, how) = (first.trial.documents(on), first.trial.settings().aggregate);
        let found = side_by_side::predict(&all, &trials, &documents, how, self.device, on_batch);
        members.iter().zip(found).map(|(member, own)| member.trial.measured(on, &documents, own)).collect()
    }
}
