//! The thread that reads and writes the files of a cluster's workers.
//!
//! The loop never waits for the file system of a cluster: it gives orders and hears what has come. A worker is lost once
//! no new sign of life was seen for long, by the clock of this machine; no clocks of two machines are compared. What
//! cannot be read, or cannot be seen yet, means nothing: it is looked for again.

mod desk;
mod session;
mod survey;

use std::{
    sync::mpsc as blocking,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use self::desk::Desk;
pub(super) use self::survey::{Found, survey};
use crate::{
    mailbox::{Given, Mailbox, Order, Registration, Titled, WorkerName},
    process::WorkerOutput,
    protocol::WorkerRequest,
    scheduler::WorkerExit,
    system::threads,
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
pub(super) enum PostOrder {
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
pub(super) enum RemoteHeard {
    Output(WorkerOutput),
    Ended { exit: WorkerExit, words: String },
}

/// What the loop hears of workers.
#[derive(Debug)]
pub(super) enum PostEvent {
    /// A worker is there.
    Joined(WorkerName, Box<Registration>),
    /// A worker takes no trial any more.
    Leaving(WorkerName),
    /// A worker is gone. `lost`: without a word; the text says what is known.
    Gone { worker: WorkerName, lost: Option<String> },
    /// All workers have left, or nobody waits for them any more.
    AllLeft,
    /// Something to be said to the user.
    Warning(String),
    /// The workers and jobs by state, in a few words.
    Status(String),
    /// No worker comes any more; the text says why.
    NoMoreWorkers(String),
}

/// The way to the thread.
#[derive(Clone, Debug)]
pub(super) struct PostOffice(blocking::Sender<PostOrder>);

impl PostOffice {
    pub(super) fn send(&self, order: PostOrder) {
        // Without the thread, the run is over.
        let _ = self.0.send(order);
    }

    /// Starts the thread. `events` hears of workers; those in `known` have been heard of before.
    pub(super) fn open(
        mailbox: Mailbox,
        times: PostTimes,
        events: mpsc::UnboundedSender<PostEvent>,
    ) -> std::io::Result<Self> {
        let (sender, orders) = blocking::channel();
        threads::start(move || Desk::new(mailbox, times, events).work(&orders))?;
        Ok(Self(sender))
    }
}

impl Desk {
    fn work(mut self, orders: &blocking::Receiver<PostOrder>) {
        let mut next = Instant::now();
        loop {
            let now = Instant::now();
            match orders.recv_timeout(next.saturating_duration_since(now)) {
                Ok(order) => {
                    self.obey(order, Instant::now());
                    self.obey_all(orders);
                }
                Err(blocking::RecvTimeoutError::Timeout) => {}
                Err(blocking::RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() >= next {
                self.look(Instant::now());
                next = Instant::now() + self.times.look;
            }
        }
    }

    fn obey_all(&mut self, orders: &blocking::Receiver<PostOrder>) {
        while let Ok(order) = orders.try_recv() {
            self.obey(order, Instant::now());
        }
    }
}
