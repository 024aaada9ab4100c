//! Where trials come from while a sweep runs.

mod confirming;
mod fixed;
mod growing;
mod proposal;

pub use self::{
    confirming::Confirming,
    fixed::FixedPlan,
    growing::Growing,
    proposal::{Proposal, Sampler},
};
