//! What a trial is measured on, and what comes of it.

use super::{
    evaluate,
    frozen::FrozenInput,
    running_trial::RunningTrial,
    side_by_side::{self, Measurement},
};
use crate::{
    data::SplitName,
    event::TrainingSample,
    metrics::Scores,
    train::{
        backend::Compute,
        encoder::model::classifier::Classifier,
        observe::{Observe, Report},
    },
};

/// The largest number of training documents on which a finished trial is measured. There are no more than there are
/// validation documents either, so that this costs at most one more evaluation.
const TRAINING_SAMPLE_MAX: usize = 1_000;

/// What a trial is measured on. Dropout is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MeasuredOn {
    /// The validation set.
    Validation,
    /// A sample of the training documents, which is the same for all trials of a sweep.
    TrainingSample,
    /// The test set.
    Test,
}

/// What a model is worth there.
pub(super) struct Measured {
    pub(super) scores: Scores,
    /// By document: the probabilities of its classes.
    pub(super) probabilities: Vec<Vec<f64>>,
}

/// What a trial's best parameters are worth, once it is over.
pub(super) struct FinalFigures {
    pub(super) training: TrainingSample,
    pub(super) test: Measured,
    /// On the validation set, where its predictions are kept.
    pub(super) validation: Option<Measured>,
}

impl FinalFigures {
    pub(super) fn new(training: Measured, test: Measured, validation: Option<Measured>) -> Self {
        let scores = training.scores;
        let documents = scores.confusion.total();
        Self { training: TrainingSample { documents, scores }, test, validation }
    }
}

impl<C: Compute> RunningTrial<'_, C> {
    /// The input of the learning part there.
    pub(super) fn input(&self, on: MeasuredOn) -> FrozenInput<'_> {
        let (frozen, corpus) = (&self.frozen, self.corpus);
        match on {
            MeasuredOn::Validation => frozen.input(corpus, SplitName::Validation),
            MeasuredOn::TrainingSample => frozen.input(corpus, SplitName::Train).of(corpus.training_texts()),
            MeasuredOn::Test => frozen.input(corpus, SplitName::Test),
        }
    }

    /// The documents of that input that are measured, in order.
    pub(super) fn documents(&self, on: MeasuredOn) -> Vec<usize> {
        let split = self.input(on).split();
        match on {
            MeasuredOn::Validation | MeasuredOn::Test => split.spread(split.document_count()),
            MeasuredOn::TrainingSample => {
                split.spread(self.corpus.validation.document_count().min(TRAINING_SAMPLE_MAX))
            }
        }
    }

    /// Measures `model`.
    pub(super) fn measure(
        &self,
        model: &Classifier<C::InnerBackend>,
        on: MeasuredOn,
        observe: &mut Observe<'_>,
    ) -> Measured {
        // A stop waits until all is measured.
        let mut on_batch = || _ = observe(Report::Alive);
        let (input, documents) = (self.input(on), self.documents(on));
        let aggregate = self.settings().aggregate;
        let probabilities = if C::ON_HOST {
            evaluate::predict(model, input, &documents, aggregate, self.device, &mut on_batch)
        } else {
            let own = Measurement { input, model: &|| model.clone() };
            let mut all =
                side_by_side::predict(model, &[own], &documents, aggregate, self.device, &mut on_batch);
            all.swap_remove(0)
        };
        self.measured(on, &documents, probabilities)
    }

    /// The figures that follow from the probabilities of the classes of `documents`.
    pub(super) fn measured(
        &self,
        on: MeasuredOn,
        documents: &[usize],
        probabilities: Vec<Vec<f64>>,
    ) -> Measured {
        let split = self.input(on).split();
        let labels = documents.iter().map(|&document| split.label(document));
        let scores = evaluate::score(labels, &probabilities, self.data.labels().len(), self.data.target());
        Measured { scores, probabilities }
    }
}
