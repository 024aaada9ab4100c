//! How the spec reader asks its caller about checkpoints: it reads no model files itself.

use crate::checkpoint::{Checkpoint, CheckpointFacts};

/// A checkpoint that a spec names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Built in, an existing folder, or a hub model with or without a commit.
    pub checkpoint: &'a Checkpoint,
    /// How the spec writes it.
    pub written: &'a str,
    /// The name of the sweep, if the spec has a valid one.
    pub sweep: Option<&'a str>,
}

/// A checkpoint that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// The checkpoint of trials' settings; for a hub model, the id with its commit.
    pub checkpoint: Checkpoint,
    /// The properties that the spec is checked against.
    pub facts: CheckpointFacts,
}

/// Why a checkpoint cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong with the checkpoint.
    pub message: String,
    /// Advice; `None` for the advice that fits any folder.
    pub help: Option<String>,
}

/// Looks at a checkpoint.
pub type Inspect<'a> = dyn Fn(Wanted<'_>) -> Result<Inspected, Refusal> + 'a;
