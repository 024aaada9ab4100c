//! A classifier from its folder, kept for one block of texts after another.

use super::{evaluate, frozen::FrozenInput};
use crate::{
    checkpoint::Checkpoint,
    settings::Lowercase,
    train::{
        backend::Compute,
        checkpoint::catalog::Catalog,
        encoder::{
            model::classifier::{Classifier, ModelOptions},
            source::Pretrained,
        },
        error::TrainError,
        exported::Exported,
        inspect::{embeddings_for, fits},
        text::{corpus::TokenizedSplit, text_encoder::TextEncoder},
    },
};

/// A model that is ready to classify.
pub(super) struct Predictor<C: Compute> {
    model: Exported,
    encoder: TextEncoder,
    classifier: Classifier<C::InnerBackend>,
}

impl<C: Compute> Predictor<C> {
    /// Reads the tokenizer and the parameters of `model`.
    pub(super) fn open(model: &Exported, device: &C::Device) -> Result<Self, TrainError> {
        let Exported { folder, config, recipe, .. } = model;
        let encoder = TextEncoder::open(&Checkpoint::Folder(folder.clone()), Lowercase::Tokenizer)?;
        embeddings_for(&encoder, config)?;
        let (length, window) = (recipe.chunk_length, config.window());
        if length > window {
            return Err(TrainError::Window { length, window });
        }
        let classes = model.labels.len();
        let catalog = Catalog::open(folder)?;
        fits(config, recipe.pooling, classes, &catalog)
            .map_err(|source| TrainError::Misfit { folder: folder.clone(), source })?;
        let options = ModelOptions { pooling: recipe.pooling, precision: recipe.matmul_precision };
        let source = Pretrained {
            weights: &catalog,
            family: config.family(),
            seed: 0,
            reinitialised: Vec::new(),
            complete: true,
        };
        let classifier = Classifier::build(config, options, classes, &source, device)?;
        Ok(Self { model: model.clone(), encoder, classifier })
    }

    /// Whether it was opened from `model`.
    pub(super) fn is_of(&self, model: &Exported) -> bool {
        self.model == *model
    }

    /// Returns the probabilities of each text's classes, in the order of `texts`.
    pub(super) fn predict(&self, texts: &[&str], device: &C::Device) -> Result<Vec<Vec<f64>>, TrainError> {
        let split = TokenizedSplit::new(texts, &self.encoder, self.model.recipe.chunking())?;
        let (input, aggregate) = (FrozenInput::tokens(&split), self.model.recipe.aggregate);
        let documents = split.spread(split.document_count());
        Ok(evaluate::predict(&self.classifier, input, &documents, aggregate, device, &mut || {}))
    }
}
