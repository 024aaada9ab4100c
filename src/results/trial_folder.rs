//! The folder of one trial.

use std::path::Path;

use crate::system::files::Place;

/// One trial's folder, `results/<name>/trials/0003/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialFolder {
    place: Place,
}

impl TrialFolder {
    /// The trial in the folder `place`, which need not exist.
    #[must_use]
    pub fn new(place: Place) -> Self {
        Self { place }
    }

    /// The folder itself.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The folder's path, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// `trial.json`: the job that a worker reads.
    #[must_use]
    pub fn job(&self) -> Place {
        self.place.join("trial.json")
    }

    /// `metrics.csv`: one row for each evaluation.
    #[must_use]
    pub fn metrics(&self) -> Place {
        self.place.join("metrics.csv")
    }

    /// `curve.png`: losses and validation F1 by epoch.
    #[must_use]
    pub fn curve(&self) -> Place {
        self.place.join("curve.png")
    }

    /// `confusion.png`: the confusion matrix of the test set.
    #[must_use]
    pub fn confusion(&self) -> Place {
        self.place.join("confusion.png")
    }

    /// `predictions.csv`: the predictions on the test set.
    #[must_use]
    pub fn predictions(&self) -> Place {
        self.place.join("predictions.csv")
    }

    /// `validation.csv`: of a trial of a fold, the predictions on that fold.
    #[must_use]
    pub fn out_of_fold(&self) -> Place {
        self.place.join("validation.csv")
    }

    /// `best/`: the parameters of the best epoch.
    #[must_use]
    pub fn best(&self) -> Place {
        self.place.join("best")
    }

    /// `best/model.safetensors`: the parameters themselves.
    #[must_use]
    pub fn best_parameters(&self) -> Place {
        self.best().join("model.safetensors")
    }

    /// `last/`: the latest checkpoint, with everything that resuming needs.
    #[must_use]
    pub fn last(&self) -> Place {
        self.place.join("last")
    }

    /// `last/state.safetensors`: the training state that belongs to the parameters in `last/`.
    #[must_use]
    pub fn last_state(&self) -> Place {
        self.last().join("state.safetensors")
    }

    /// `worker.log`: what the worker wrote to its standard error.
    #[must_use]
    pub fn worker_log(&self) -> Place {
        self.place.join("worker.log")
    }
}
