//! Where trials come from while a sweep runs.

use crate::{study::Study, trial::Trial};

/// Proposes trials from what is known so far.
///
/// The same study must give the same answer: a run that is killed and started again asks again, with
/// the study that the log gives. Each trial needs a number of its own that the study does not have.
pub trait Sampler {
    /// The trials to add to the plan now. Asked when a run begins, and after each trial that ends.
    fn ask(&mut self, study: &Study) -> Vec<Trial>;
}

/// Proposes nothing: every trial stands in `plan.json` before the run begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct FixedPlan;

impl Sampler for FixedPlan {
    fn ask(&mut self, _study: &Study) -> Vec<Trial> {
        Vec::new()
    }
}
