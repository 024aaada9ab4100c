//! A classifier from its folder, kept for one block of texts after another.

use super::{
    Exported, TrainError,
    backend::Compute,
    corpus::Split,
    evaluate, exported,
    model::Classifier,
    text::TextEncoder,
    weights::{Pretrained, Weights},
};

/// A model that is ready to classify.
pub(crate) struct Predictor<C: Compute> {
    model: Exported,
    encoder: TextEncoder,
    classifier: Classifier<C::InnerBackend>,
}

impl<C: Compute> Predictor<C> {
    /// Reads the tokenizer and the parameters of `model`.
    pub(crate) fn open(model: &Exported, device: &C::Device) -> Result<Self, TrainError> {
        let encoder = TextEncoder::open(&model.folder.to_string_lossy())?;
        let weights = Weights::read(&model.folder.join(exported::WEIGHTS))?;
        let source = Pretrained { weights: &weights, seed: 0, complete: true };
        let (pooling, classes) = (model.recipe.pooling, model.labels.len());
        let classifier = Classifier::build(&model.config, pooling, classes, &source, device)?;
        Ok(Self { model: model.clone(), encoder, classifier })
    }

    /// Whether it was opened from `model`.
    pub(crate) fn is_of(&self, model: &Exported) -> bool {
        self.model == *model
    }

    /// The probabilities of each text's classes, in the order of `texts`; batches are of like length.
    pub(crate) fn predict(&self, texts: &[&str], device: &C::Device) -> Result<Vec<Vec<f64>>, TrainError> {
        let split = Split::new(texts, Vec::new(), &self.encoder, self.model.recipe.chunking())?;
        Ok(evaluate::predict(&self.classifier, &split, self.model.recipe.aggregate, device))
    }
}
