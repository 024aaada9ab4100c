//! What the tests of several subjects need.

pub(crate) mod trial_bench;
