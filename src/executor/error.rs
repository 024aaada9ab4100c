//! Why a run cannot go on.

use std::path::PathBuf;

use crate::{journal::JournalError, results::ResultsError, study::StudyError, system::files};

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
    /// The user ended the run while the disk was full.
    #[error(
        "interrupted while the disk was full: {records} record{} could not be added to {}. That is safe: once there \
         is space, the same command goes on where the log ends",
        if *records == 1 { "" } else { "s" }, log.display()
    )]
    Full {
        /// The log.
        log: PathBuf,
        /// What is missing there, as far as it is known.
        records: usize,
    },
    /// There is no device.
    #[error("no device to run trials on")]
    NoDevice,
}

impl ExecutorError {
    /// Whether it means that the disk is full.
    pub(super) fn is_full_disk(&self) -> bool {
        match self {
            Self::Journal(JournalError::Io { source, .. })
            | Self::Results(ResultsError::Io { source, .. }) => files::is_full(source),
            Self::Journal(_) | Self::Results(_) | Self::Study(_) | Self::Full { .. } | Self::NoDevice => {
                false
            }
        }
    }
}
