//! A classifier from its folder, kept for one block of texts after another.

use super::{
    Exported, TrainError,
    backend::Compute,
    checkpoint::Catalog,
    corpus::Split,
    evaluate,
    frozen::Below,
    model::{Classifier, Form},
    text::TextEncoder,
    weights::Pretrained,
};
use crate::{checkpoint::Checkpoint, settings::Lowercase};

/// A model that is ready to classify.
pub(crate) struct Predictor<C: Compute> {
    model: Exported,
    encoder: TextEncoder,
    classifier: Classifier<C::InnerBackend>,
}

impl<C: Compute> Predictor<C> {
    /// Reads the tokenizer and the parameters of `model`.
    pub(crate) fn open(model: &Exported, device: &C::Device) -> Result<Self, TrainError> {
        let Exported { folder, config, recipe, .. } = model;
        let encoder = TextEncoder::open(&Checkpoint::Folder(folder.clone()), Lowercase::Tokenizer)?;
        let (tokens, rows) = (encoder.vocabulary(), config.vocab_size);
        if tokens > rows {
            return Err(TrainError::Vocabulary { tokens, rows });
        }
        let (length, window) = (recipe.chunk_length, config.window());
        if length > window {
            return Err(TrainError::Window { length, window });
        }
        let classes = model.labels.len();
        let catalog = Catalog::open(folder)?;
        super::fits(config, recipe.pooling, classes, &catalog)
            .map_err(|source| TrainError::Misfit { folder: folder.clone(), source })?;
        let form = Form { pooling: recipe.pooling, precision: recipe.matmul_precision };
        let family = config.family();
        let source = Pretrained { weights: &catalog, family, seed: 0, anew: Vec::new(), complete: true };
        let classifier = Classifier::build(config, form, classes, &source, device)?;
        Ok(Self { model: model.clone(), encoder, classifier })
    }

    /// Whether it was opened from `model`.
    pub(crate) fn is_of(&self, model: &Exported) -> bool {
        self.model == *model
    }

    /// The probabilities of each text's classes, in the order of `texts`; batches are of like length.
    pub(crate) fn predict(&self, texts: &[&str], device: &C::Device) -> Result<Vec<Vec<f64>>, TrainError> {
        let split = Split::new(texts, Vec::new(), &self.encoder, self.model.recipe.chunking())?;
        let aggregate = self.model.recipe.aggregate;
        Ok(evaluate::predict(&self.classifier, &split, Below::NOTHING, aggregate, device, &mut || {}))
    }
}
