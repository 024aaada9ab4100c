//! A plan that does not grow.

use super::proposal::{Proposal, Sampler};
use crate::study::Study;

/// Proposes nothing: every trial stands in `plan.json` before the run begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct FixedPlan;

impl Sampler for FixedPlan {
    fn ask(&mut self, _study: &Study) -> Proposal {
        Proposal::default()
    }
}
