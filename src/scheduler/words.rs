//! What the scheduler is told and what it answers.

use crate::{
    device::Device,
    event::{Event, Progress, WorkerLine},
    trial::{Failure, FailureKind, TrialId},
};

/// A device's place in the list given to [`Scheduler::new`](super::Scheduler::new).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub usize);

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a few a second, none kept")]
pub enum Input {
    /// The run begins. Comes first, and once.
    Begin,
    /// The worker of a slot could not be started.
    SpawnFailed(Slot, String),
    /// A worker said something.
    Line(Slot, WorkerLine),
    /// A worker said something that is not in the protocol; the text tells what.
    Garbage(Slot, String),
    /// A worker could not be given its trial; the text tells why.
    Unsent(Slot, String),
    /// A worker has not reported ready in time.
    StartupTimeout(Slot),
    /// A worker that was to leave is still there.
    LeaveTimeout(Slot),
    /// A worker is gone, and all that it said has been given to `step`.
    Exited(Slot, Exit),
    /// The user wants to stop.
    Interrupt,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a few a second, none kept")]
pub enum Action {
    /// Start the slot's worker; its first trial will be `trial`.
    Spawn {
        /// Where.
        slot: Slot,
        /// What the worker works on.
        device: Device,
        /// Whose log takes what it says on standard error.
        trial: TrialId,
    },
    /// Tell the worker to run a trial.
    Run {
        /// Where.
        slot: Slot,
        /// What.
        trial: TrialId,
    },
    /// Tell the worker to stop its trial at the next step.
    Stop(Slot),
    /// Close the worker's standard input, which tells it to leave, and watch that it does.
    Leave(Slot),
    /// Ask the worker's process to end (SIGTERM).
    Terminate(Slot),
    /// End the worker's process (SIGKILL).
    Kill(Slot),
    /// Append to the log.
    Log(Option<TrialId>, Event),
    /// Show how far a trial is.
    Show(TrialId, Progress),
    /// Nothing is left: no process, no trial that this run has to do.
    End,
}

impl Exit {
    /// The failure of a trial whose worker ended so while it had it.
    pub(super) fn failure(self) -> Failure {
        let (kind, message) = match self {
            Self::Code(0) => (FailureKind::Exit(0), "the worker left without a word".to_owned()),
            Self::Code(code) => (FailureKind::Exit(code), format!("the worker exited with code {code}")),
            // Nobody else kills with it as a rule: the kernel, or a batch system, ran out of memory.
            Self::Signal(9) => (
                FailureKind::Signal(9),
                "the worker was killed (signal 9), as happens when memory runs out".to_owned(),
            ),
            Self::Signal(signal) => {
                (FailureKind::Signal(signal), format!("the worker was killed by signal {signal}"))
            }
        };
        Failure { kind, message: format!("{message}; see worker.log") }
    }
}

/// The trial that a line is about.
pub(super) fn about(line: &WorkerLine) -> Option<TrialId> {
    match line {
        WorkerLine::Ready { .. } => None,
        WorkerLine::Progress(trial, _)
        | WorkerLine::Alive(trial)
        | WorkerLine::DiskFull(trial, _)
        | WorkerLine::DiskFreed(trial)
        | WorkerLine::Event(trial, _)
        | WorkerLine::Finished(trial, _)
        | WorkerLine::Failed(trial, _)
        | WorkerLine::Stopped(trial) => Some(*trial),
    }
}

/// The line in words, for messages.
pub(super) fn describe(line: &WorkerLine) -> String {
    match line {
        WorkerLine::Ready { .. } => "`ready`".to_owned(),
        WorkerLine::Progress(trial, _) => format!("`progress` about trial {trial}"),
        WorkerLine::Alive(trial) => format!("`alive` about trial {trial}"),
        WorkerLine::DiskFull(trial, _) => format!("`disk_full` about trial {trial}"),
        WorkerLine::DiskFreed(trial) => format!("`disk_freed` about trial {trial}"),
        WorkerLine::Event(trial, _) => format!("`event` about trial {trial}"),
        WorkerLine::Finished(trial, _) => format!("`finished` about trial {trial}"),
        WorkerLine::Failed(trial, _) => format!("`failed` about trial {trial}"),
        WorkerLine::Stopped(trial) => format!("`stopped` about trial {trial}"),
    }
}
