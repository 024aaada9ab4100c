//! What every sampler is asked, and what it answers.

use crate::{study::Study, trial::Trial};

/// Proposes trials from what is known so far.
///
/// The same study must give the same answer: a run that is killed and started again asks again, with
/// the study that the log gives. Each trial needs a number of its own that the study does not have.
pub trait Sampler {
    /// The trials to add to the plan now. Asked when a run begins, and after each trial that ends or is halted.
    fn ask(&mut self, study: &Study) -> Proposal;
}

/// The answer of a [`Sampler`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proposal {
    /// The trials to add.
    pub trials: Vec<Trial>,
    /// Why the search plans no further trial, once that is so: a sentence without a full stop. Trials that confirm its best
    /// configurations may still come.
    pub ended: Option<String>,
}
