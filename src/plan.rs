//! The trials of a sweep, as `plan.json` keeps them.

use serde::{Deserialize, Serialize};

use crate::{data::DataSpec, trial::Trial};

/// What a spec comes to: the trials, and what is common to them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The sweep's name.
    pub sweep: String,
    /// The spec's seed.
    pub seed: u64,
    /// Class names.
    pub labels: Vec<String>,
    /// The class whose F1 counts; `None`: macro.
    pub positive: Option<usize>,
    /// Names of the swept settings, in the order of the spec.
    pub swept: Vec<String>,
    /// The data, with absolute paths.
    pub data: DataSpec,
    /// The trials, numbered from 1.
    pub trials: Vec<Trial>,
}
