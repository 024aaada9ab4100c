//! A sweep's state: the fold of its events over its plan.

use crate::{
    device::Device,
    event::{Evaluation, Outcome, Prepared},
    trial::{Failure, State, Trial},
};

/// A sweep as far as its log tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// Its name.
    pub sweep: String,
    /// Class names.
    pub labels: Vec<String>,
    /// The class whose F1 counts; `None`: macro.
    pub positive: Option<usize>,
    /// Names of the swept settings, in the order of the spec.
    pub swept: Vec<String>,
    /// Every planned trial, in the order of the plan.
    pub trials: Vec<TrialRecord>,
}

/// A trial as far as the log tells.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialRecord {
    /// What was planned.
    pub trial: Trial,
    /// Where it stands.
    pub state: State,
    /// Attempts begun.
    pub attempts: u32,
    /// Where the latest attempt ran.
    pub device: Option<Device>,
    /// From the latest attempt.
    pub prepared: Option<Prepared>,
    /// Of the latest attempt, in order.
    pub evaluations: Vec<Evaluation>,
    /// When complete.
    pub outcome: Option<Outcome>,
    /// The latest failure, also when a retry followed.
    pub failure: Option<Failure>,
}
