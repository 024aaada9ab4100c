//! What the loop and the thread say to each other.

use std::time::Duration;

use tokio::sync::mpsc;

use super::survey::Found;
use crate::{
    mailbox::{Given, Order, Registration, Titled, WorkerName},
    process::WorkerOutput,
    protocol::WorkerRequest,
    scheduler::WorkerExit,
};

/// How often the files are looked at, and when a worker counts as lost.
#[derive(Clone, Copy, Debug)]
pub struct PostTimes {
    /// Between two looks at messages.
    pub look: Duration,
    /// The silence after which a worker is lost.
    pub lost_after: Duration,
}

/// An order to the thread.
#[derive(Debug)]
pub(in crate::executor) enum PostOrder {
    /// Start a process, and pass on what it says.
    Open { worker: WorkerName, device: usize, session: u32, heard: mpsc::UnboundedSender<RemoteHeard> },
    /// Pass on what a process says that an earlier run has given trials to, from the beginning of these.
    Attach { found: Box<Found>, heard: mpsc::UnboundedSender<RemoteHeard> },
    /// Give an order.
    Order { worker: WorkerName, order: Order },
    /// Give trials to a process.
    Give { worker: WorkerName, session: u32, request: WorkerRequest, logs: Vec<Titled>, given: Given },
    /// All that a process said has been dealt with.
    Forget { worker: WorkerName, session: u32 },
    /// Begin to look: all that an earlier run has left is known.
    Begin,
    /// Let all workers leave. The answer comes once they have left, or the time is over.
    Farewell { patience: Duration },
}

/// What is heard of a process.
#[derive(Debug)]
pub(in crate::executor) enum RemoteHeard {
    Output(WorkerOutput),
    Ended { exit: WorkerExit, words: String },
}

/// What the loop hears of workers.
#[derive(Debug)]
pub(in crate::executor) enum PostEvent {
    /// A worker is there.
    Joined(WorkerName, Box<Registration>),
    /// A worker takes no trial any more.
    Leaving(WorkerName),
    /// A worker is gone. `lost`: without a word; the text says what is known.
    Gone { worker: WorkerName, lost: Option<String> },
    /// Another process has taken the sweep over.
    TakenOver,
    /// All workers have left, or nobody waits for them any more.
    AllLeft,
    /// Something to be said to the user.
    Warning(String),
    /// The workers and jobs by state, in a few words.
    Status(String),
    /// No worker comes any more; the text says why.
    NoMoreWorkers(String),
}
