//! The workers that a run has heard of, for those who keep its jobs.

use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use crate::mailbox::{Registration, WorkerName};

/// The workers that have been heard of.
pub(in crate::executor) type Roster = Arc<Mutex<Vec<Known>>>;

/// A worker that has been heard of.
#[derive(Clone, Debug)]
pub(in crate::executor) struct Known {
    pub(in crate::executor) name: WorkerName,
    pub(in crate::executor) registration: Registration,
    /// When it was lost, if it was.
    pub(in crate::executor) lost: Option<Instant>,
    pub(in crate::executor) has_left: bool,
}

impl Known {
    /// Whether it is the worker of the job of this name.
    pub(super) fn is_of(&self, job: &str) -> bool {
        self.registration.job_name == job
    }

    /// Whether it has neither left nor been lost.
    pub(in crate::executor) fn is_there(&self) -> bool {
        self.lost.is_none() && !self.has_left
    }
}
