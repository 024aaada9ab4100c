//! Why Slurm could not be asked.

use std::{io, time::Duration};

/// Why a command of Slurm's failed, or a script cannot be written. None of these says anything about jobs.
#[derive(Debug, thiserror::Error)]
pub enum SlurmError {
    /// The machine has no Slurm, or not all of it.
    #[error(
        "there is no {program} here: `--executor slurm` needs Slurm's commands, so run it on a login node of the \
         cluster (on some clusters after `module load slurm`)"
    )]
    Missing {
        /// The command that was not found.
        program: &'static str,
    },
    /// The program could not be started.
    #[error("cannot start {program}")]
    Start {
        /// The command.
        program: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The program did not end in time, and was ended.
    #[error("{program} gave no answer within {} s", limit.as_secs())]
    Silent {
        /// The command.
        program: &'static str,
        /// The time it had.
        limit: Duration,
    },
    /// The program ended with an error.
    #[error("{program} failed: {words}")]
    Failed {
        /// The command.
        program: &'static str,
        /// Its own words, safe for a terminal.
        words: String,
    },
    /// A text cannot stand in a batch script.
    #[error("{what} has {why}, which a batch script cannot hold")]
    Unwritable {
        /// The text, by what it is.
        what: &'static str,
        /// What it has.
        why: &'static str,
    },
}
