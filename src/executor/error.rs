//! Why a run cannot go on.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    journal::JournalError,
    results::ResultsError,
    study::StudyError,
    system::{disk::Lack, shortage::Shortage},
};

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The log is unusable.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The log does not fit the plan.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// A trial's folder or `trial.json` cannot be written.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// The user ended the run while nothing could be written.
    #[error(
        "interrupted while {cause}: {records} record{} could not be added to {}. That is safe: once it can be \
         written again, the same command goes on where the log ends",
        if *records == 1 { "" } else { "s" }, log.display()
    )]
    Full {
        /// The log.
        log: PathBuf,
        /// What is missing there, as far as it is known.
        records: usize,
        /// Why it could not be written: a clause such as "the disk was full".
        cause: &'static str,
    },
    /// No worker could be started for so long that the run was given up.
    #[error(
        "no worker can run: {why}. No trial failed for that, and nothing is lost: once workers can be started, the \
         same command goes on where the log ends"
    )]
    NoWorker {
        /// Why, and what can be done.
        why: String,
    },
    /// Every device was set aside.
    #[error(
        "no device is left: {why}. No trial failed for that, and nothing is lost: once the GPU works again, or with \
         other --devices, the same command goes on where the log ends"
    )]
    NoDeviceLeft {
        /// What the last one did.
        why: String,
    },
    /// What was decided about a trial does not follow from the figures in the log.
    #[error(
        "{why}: the log was changed, or a trial was made again on another kind of processor; forget the sweep's \
         results: sweep run SPEC --fresh"
    )]
    Decision {
        /// The trial, what was decided and what follows.
        why: String,
    },
    /// The run has ended, and trials are left that nobody will run.
    #[error(
        "the run ended with trials that wait for nothing ({trials}); this is a bug of this program, please report it"
    )]
    Stuck {
        /// Their numbers.
        trials: String,
    },
    /// There is no device.
    #[error("no device to run trials on")]
    NoDevice,
}

impl ExecutorError {
    /// The system's error, where there is one.
    fn source_error(&self) -> Option<&io::Error> {
        match self {
            Self::Journal(JournalError::Io { source, .. })
            | Self::Results(ResultsError::Io { source, .. }) => Some(source),
            Self::Journal(_)
            | Self::Results(_)
            | Self::Study(_)
            | Self::Full { .. }
            | Self::NoWorker { .. }
            | Self::NoDeviceLeft { .. }
            | Self::Decision { .. }
            | Self::Stuck { .. }
            | Self::NoDevice => None,
        }
    }

    /// What the disk lacks, if it is full in some way.
    pub(super) fn lack(&self, path: &Path) -> Option<Lack> {
        self.source_error().and_then(|error| Lack::of(error, path))
    }

    /// What the machine is short of for the moment.
    pub(super) fn shortage(&self) -> Option<Shortage> {
        self.source_error().and_then(Shortage::of)
    }
}
