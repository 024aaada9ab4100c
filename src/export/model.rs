//! The model that is exported: a trial with its best parameters.

use std::path::Path;

use super::error::ExportError;
use crate::{
    event::Outcome,
    job::Job,
    train::{self, Catalog, Precision, Weights},
};

/// The model of a trial, and what an export says about it.
pub struct Model<'a> {
    /// The trial, with its settings and data.
    pub job: &'a Job,
    /// The trial's folder.
    pub folder: &'a Path,
    /// The names of the classes, in the order of the logits.
    pub labels: &'a [String],
    /// The trial's figures.
    pub outcome: &'a Outcome,
    /// The number type in which the parameters are written.
    pub precision: Precision,
}

impl Model<'_> {
    /// Reads the trial's best parameters.
    ///
    /// # Errors
    /// When they are missing or damaged, or their shapes do not fit the model.
    pub(super) fn parameters(&self) -> Result<Weights, ExportError> {
        let path = self.folder.join("best").join("model.safetensors");
        if !path.is_file() {
            return Err(ExportError::Parameters { path });
        }
        let catalog = Catalog::of_file(&path)?;
        let settings = &self.job.trial.settings;
        let config = train::encoder_config(&settings.checkpoint)?;
        let names = train::fits(&config, settings.pooling, self.labels.len(), &catalog)
            .map_err(|source| ExportError::Misfit { path, source })?;
        Ok(catalog.load(&names)?)
    }
}
