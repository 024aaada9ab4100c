//! Where trials come from while a sweep runs.

mod fixed;
mod growing;
mod proposal;

pub use self::{
    fixed::FixedPlan,
    growing::Growing,
    proposal::{Proposal, Sampler},
};
