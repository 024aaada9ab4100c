//! A configuration that was run again with further seeds.

use super::seeds::OverSeeds;
use crate::trial::{Confirmation, TrialId};

/// A configuration that was run again with further seeds, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirmed {
    /// Why it was.
    pub why: Confirmation,
    /// Its trials, in the order of their numbers: those of the search and those that confirm it.
    pub trials: Vec<TrialId>,
    /// Complete trials: those whose figures count.
    pub seeds: usize,
    /// Trials that confirm it and are not over.
    pub open: usize,
    /// Test F1 over the seeds.
    pub test_f1: Option<OverSeeds>,
    /// Its place among those that were confirmed, from 1, by the figure that had chosen it, as a mean over the seeds;
    /// `None` without a complete trial.
    pub place: Option<usize>,
}
