//! The folder of one trial.

use std::path::{Path, PathBuf};

/// One trial's folder, `results/<name>/trials/0003/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialFolder {
    path: PathBuf,
}

impl TrialFolder {
    /// The trial in `path`, which need not exist.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `trial.json`: the job that a worker reads.
    #[must_use]
    pub fn job(&self) -> PathBuf {
        self.path.join("trial.json")
    }

    /// `metrics.csv`: one row for each evaluation.
    #[must_use]
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.csv")
    }

    /// `curve.png`: losses and validation F1 by epoch.
    #[must_use]
    pub fn curve(&self) -> PathBuf {
        self.path.join("curve.png")
    }

    /// `confusion.png`: the confusion matrix of the test set.
    #[must_use]
    pub fn confusion(&self) -> PathBuf {
        self.path.join("confusion.png")
    }

    /// `predictions.csv`: the predictions on the test set.
    #[must_use]
    pub fn predictions(&self) -> PathBuf {
        self.path.join("predictions.csv")
    }

    /// `best/`: the parameters of the best epoch.
    #[must_use]
    pub fn best(&self) -> PathBuf {
        self.path.join("best")
    }

    /// `best/model.safetensors`: the parameters themselves.
    #[must_use]
    pub fn best_parameters(&self) -> PathBuf {
        self.best().join("model.safetensors")
    }

    /// `last/`: the latest checkpoint, with everything that resuming needs.
    #[must_use]
    pub fn last(&self) -> PathBuf {
        self.path.join("last")
    }

    /// `last/state.safetensors`: the training state that belongs to the parameters in `last/`.
    #[must_use]
    pub fn last_state(&self) -> PathBuf {
        self.last().join("state.safetensors")
    }

    /// `worker.log`: what the worker wrote to its standard error.
    #[must_use]
    pub fn worker_log(&self) -> PathBuf {
        self.path.join("worker.log")
    }
}
