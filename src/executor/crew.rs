//! The workers of a cluster as the loop knows them.

use std::{collections::BTreeMap, time::Duration};

use tokio::{sync::watch, task::JoinHandle};

use super::{
    fleet::{Demand, Roster},
    post::{Found, PostOffice},
};
use crate::{
    mailbox::{Mailbox, WorkerName},
    scheduler::{Host, Slot},
    slurm::Slurm,
};

/// The workers of a cluster as the loop knows them.
pub(super) struct Cluster {
    pub(super) mailbox: Mailbox,
    pub(super) post: PostOffice,
    /// The slots of workers: whose each one is, which device of it, and the process there now.
    pub(super) slots: BTreeMap<Slot, RemoteSlot>,
    /// What an earlier run has given to workers.
    pub(super) found: Vec<Found>,
    pub(super) hosts: BTreeMap<WorkerName, Host>,
    pub(super) patience: Duration,
    /// The number of the latest process.
    pub(super) sessions: u32,
    pub(super) roster: Roster,
    pub(super) demand: watch::Sender<Demand>,
    /// Trials that have ended in this run.
    pub(super) ended: usize,
    pub(super) fleet: Option<FleetTask>,
}

/// The task that keeps the jobs. Dropping it ends the task, and no job.
pub(super) struct FleetTask {
    pub(super) task: JoinHandle<()>,
    pub(super) slurm: Slurm,
    pub(super) prefix: String,
}

impl Drop for FleetTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whose a slot is.
pub(super) struct RemoteSlot {
    pub(super) worker: WorkerName,
    pub(super) device: usize,
    pub(super) session: Option<u32>,
}
