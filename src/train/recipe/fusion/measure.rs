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

impl<'a, C: Compute> Group<'a, C> {
    /// What the best parameters of `members` are worth.
    pub(super) fn final_figures(&mut self, members: &[Member<'a, C>]) -> Vec<FinalFigures> {
        let training = self.measure(members, MeasuredOn::TrainingSample);
        let test = self.measure(members, MeasuredOn::Test);
        training.into_iter().zip(test).map(|(training, test)| FinalFigures::new(training, test)).collect()
    }

    /// Measures the current parameters of `members` on the validation set, or else their best ones.
    pub(super) fn measure(&mut self, members: &[Member<'a, C>], on: MeasuredOn) -> Vec<Measured> {
        let Some(first) = members.first() else { return Vec::new() };
        let models = members.iter().map(|member| match on {
            MeasuredOn::TrainingSample | MeasuredOn::Test => member.learner.best_model().clone(),
            MeasuredOn::Validation => member.learner.model.valid(),
        });
        let models: Vec<Classifier<C::InnerBackend>> = models.collect();
        if C::ON_HOST {
            let measure = |(member, model): (&Member<'a, C>, _)| {
                let observe = &mut |report| self.listener.on_report(member.place, report);
                member.trial.measure(model, on, observe)
            };
            return members.iter().zip(&models).map(measure).collect();
        }
        let resident = self.resident.as_ref().filter(|_| on == MeasuredOn::Validation);
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
        members.iter().zip(found).map(|(member, own)| member.trial.measured(on, own)).collect()
    }
}
