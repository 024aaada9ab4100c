//! How a worker is reached: over the pipes of a process of this machine, or through the files of a cluster.

use std::{io, process::ExitStatus};

use tokio::{sync::mpsc, time::Instant};

use super::post::{PostOffice, PostOrder, RemoteHeard};
use crate::{
    mailbox::{Given, GivenAttempt, Order, Titled, WorkerName},
    process::{Process, WorkerLog, WorkerOutput},
    protocol::WorkerRequest,
    scheduler::WorkerExit,
};

/// A worker that can be reached.
pub(super) enum Connection {
    /// A process of this machine.
    Local(Box<Process>),
    /// A process of a cluster's pilot.
    Remote(RemoteWorker),
}

/// What is heard of a worker.
pub(super) enum Heard {
    /// It is over. What it said last may still be read.
    Ended(End),
    /// It has said something; `None`: it will say no more.
    Output(Option<WorkerOutput>),
}

/// How a worker ended.
pub(super) enum End {
    Process(io::Result<ExitStatus>),
    Remote(WorkerExit),
}

/// What a worker of a cluster is told besides its request.
#[derive(Clone, Debug, Default)]
pub(super) struct RemoteNote {
    /// The attempts that it is to make.
    pub(super) attempts: Vec<GivenAttempt>,
    /// Where its standard error goes.
    pub(super) logs: Vec<Titled>,
}

impl Connection {
    /// The next thing that is heard; output only as long as it `is_open`. It may be dropped without losing anything.
    pub(super) async fn next(&mut self, is_open: bool) -> Heard {
        match self {
            Self::Local(process) => {
                let Process { child, lines, .. } = &mut **process;
                tokio::select! {
                    biased;
                    status = child.wait() => Heard::Ended(End::Process(status)),
                    output = lines.next(), if is_open => Heard::Output(output),
                }
            }
            Self::Remote(remote) => remote.next().await,
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the request cannot be written as JSON. A worker that cannot be reached is gone, which its end will say.
    pub(super) async fn send(&mut self, request: WorkerRequest, note: RemoteNote) -> serde_json::Result<()> {
        match self {
            Self::Local(process) => process.send(&request).await,
            Self::Remote(remote) => {
                remote.send(request, note);
                Ok(())
            }
        }
    }

    /// Asks it to leave.
    pub(super) fn close_input(&mut self) {
        match self {
            Self::Local(process) => process.close_input(),
            Self::Remote(remote) => remote.close(),
        }
    }

    /// Whether it has not been asked to leave.
    pub(super) const fn is_wanted(&self) -> bool {
        match self {
            Self::Local(process) => process.is_wanted(),
            Self::Remote(remote) => remote.is_wanted,
        }
    }

    /// Asks it to end (SIGTERM).
    pub(super) fn terminate(&self) {
        match self {
            Self::Local(process) => process.terminate(),
            Self::Remote(remote) => remote.end(false),
        }
    }

    /// Ends it (SIGKILL).
    pub(super) fn kill(&mut self) {
        match self {
            Self::Local(process) => process.kill(),
            Self::Remote(remote) => remote.end(true),
        }
    }

    /// The loop is gone, by an error or since the user leaves a cluster's jobs running. A process of this machine has to
    /// end then; the worker of a cluster goes on, and the next run hears of it.
    pub(super) fn abandon(&self) {
        if let Self::Local(process) = self {
            process.kill_group();
        }
    }

    /// Ends what a dead process left behind.
    pub(super) fn kill_group(&self) {
        if let Self::Local(process) = self {
            process.kill_group();
        }
    }

    /// The next line of a dead process, until its output is closed or the time is over.
    pub(super) async fn last_line(&mut self, until: Instant) -> Option<Option<WorkerOutput>> {
        match self {
            Self::Local(process) => process.last_line(until).await,
            // All that it said came before its end.
            Self::Remote(_) => Some(None),
        }
    }

    /// Waits until the standard error of a dead process has been taken in, `until` at the latest.
    pub(super) async fn drain_errors(&mut self, is_output_open: bool, until: Instant) {
        if let Self::Local(process) = self {
            process.drain_errors(is_output_open, until).await;
        }
    }

    /// What that end means.
    pub(super) fn exit(&self, end: End) -> WorkerExit {
        match (self, end) {
            (Self::Local(process), End::Process(status)) => process.exit(&status),
            (_, End::Remote(exit)) => exit,
            (Self::Remote(_), End::Process(_)) => WorkerExit::Code(-1),
        }
    }

    /// Where its standard error goes.
    pub(super) fn log(&self) -> WorkerLog {
        match self {
            Self::Local(process) => process.log(),
            Self::Remote(remote) => remote.log.clone(),
        }
    }

    pub(super) const fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_))
    }
}

/// A process of a cluster's pilot.
pub(super) struct RemoteWorker {
    pub(super) worker: WorkerName,
    pub(super) session: u32,
    /// The place of its device among those of its pilot.
    pub(super) device: usize,
    pub(super) post: PostOffice,
    pub(super) heard: mpsc::UnboundedReceiver<RemoteHeard>,
    log: WorkerLog,
    is_wanted: bool,
}

impl RemoteWorker {
    pub(super) fn new(
        worker: WorkerName,
        session: u32,
        device: usize,
        post: PostOffice,
        heard: mpsc::UnboundedReceiver<RemoteHeard>,
    ) -> Self {
        Self { worker, session, device, post, heard, log: WorkerLog::default(), is_wanted: true }
    }

    async fn next(&mut self) -> Heard {
        match self.heard.recv().await {
            Some(RemoteHeard::Output(output)) => Heard::Output(Some(output)),
            Some(RemoteHeard::Ended { exit, words }) => {
                self.log.note(&words);
                Heard::Ended(End::Remote(exit))
            }
            None => Heard::Ended(End::Remote(WorkerExit::Lost("its files are not read any more".to_owned()))),
        }
    }

    fn order(&self, order: Order) {
        self.post.send(PostOrder::Order { worker: self.worker.clone(), order });
    }

    fn send(&self, request: WorkerRequest, note: RemoteNote) {
        let (worker, session) = (self.worker.clone(), self.session);
        let RemoteNote { attempts, logs } = note;
        if matches!(request, WorkerRequest::Run { .. }) {
            let given = Given { order: 0, first: 1, device: self.device, trials: attempts };
            self.post.send(PostOrder::Give { worker, session, request, logs, given });
        } else {
            self.order(Order::Send { session, request, logs });
        }
    }

    fn close(&mut self) {
        self.is_wanted = false;
        self.order(Order::Close { session: self.session });
    }

    fn end(&self, is_kill: bool) {
        self.order(Order::End { session: self.session, is_kill });
    }
}
