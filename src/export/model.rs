//! The model that is exported: a trial with its best parameters.

use super::error::ExportError;
use crate::{
    event::Outcome,
    job::Job,
    leaderboard::{RankBy, verdict::Verdict},
    system::files::Place,
    train::{self, Catalog, Precision, Weights},
};

/// The model of a trial, and what an export says about it.
pub struct Model<'a> {
    /// The trial, with its settings and data.
    pub job: &'a Job,
    /// The trial's folder.
    pub folder: &'a Place,
    /// The names of the classes, in the order of the logits.
    pub labels: &'a [String],
    /// The trial's figures.
    pub outcome: &'a Outcome,
    /// How the trial's training went, if it is known.
    pub verdict: Option<Verdict>,
    /// Why this trial is exported.
    pub choice: Choice,
    /// The number type in which the parameters are written.
    pub precision: Precision,
}

/// Why a trial is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It is the best of its sweep by this figure.
    Best(RankBy),
    /// It is of the best configuration of its sweep by this figure over all folds; among its trials, the one with the highest
    /// validation F1.
    BestOverFolds(RankBy),
    /// The user named it.
    Named,
}

impl Choice {
    /// Describes the choice: the end of a sentence that begins with the trial.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Best(figure) => format!("the best by {}", figure.describe()),
            Self::BestOverFolds(figure) => {
                format!(
                    "of the best configuration by {}, the fold with the highest validation F1",
                    over_folds(figure)
                )
            }
            Self::Named => "chosen by its number".to_owned(),
        }
    }
}

/// The name of a figure over all folds.
pub(super) const fn over_folds(figure: RankBy) -> &'static str {
    match figure {
        RankBy::TestF1 => "mean test F1",
        RankBy::ValF1 => "out-of-fold F1",
        RankBy::ValLoss => "mean validation loss",
    }
}

impl Model<'_> {
    /// Reads the trial's best parameters.
    ///
    /// # Errors
    /// When they are missing or damaged, or their shapes do not fit the model.
    pub(super) fn parameters(&self) -> Result<Weights, ExportError> {
        let place = self.folder.join("best").join("model.safetensors");
        let path = place.path().to_owned();
        if !place.is_file() {
            return Err(ExportError::Parameters { path });
        }
        let catalog = Catalog::of_result(&place)?;
        let settings = &self.job.trial.settings;
        let config = train::encoder_config(&settings.checkpoint)?;
        let names = train::fits(&config, settings.pooling, self.labels.len(), &catalog)
            .map_err(|source| ExportError::Misfit { path, source })?;
        Ok(catalog.load(&names)?)
    }
}
