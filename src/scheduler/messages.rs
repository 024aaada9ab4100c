//! What the scheduler is told and what it answers.

use std::path::PathBuf;

use crate::{
    event::{Event, Progress},
    policy::Retries,
    protocol::WorkerLine,
    system::{device::Device, memory::Memory},
    trial::{Failure, FailureKind, TrialId},
};

/// Characters of a worker's message that are kept.
const MESSAGE_MAX: usize = 4_000;

/// A device's place in the list given to [`Scheduler::new`](super::Scheduler::new).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub usize);

/// A trial that a run has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub trial: TrialId,
    /// Attempts that earlier runs made.
    pub attempts: u32,
    /// Examples of one pass when the trial runs as it was planned, at least 1.
    pub batch: usize,
    /// Examples of one pass at most of its latest attempt, if memory had run out before.
    pub micro_batch: Option<usize>,
    /// The device that its latest attempt had for itself, since memory ran out beside others.
    pub alone: Option<Device>,
    /// The trial whose end it goes on from: it waits while that one is due.
    pub after: Option<TrialId>,
}

/// What a run's trials are held to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Trials of the whole sweep.
    pub planned: u32,
    /// Classes that every outcome counts.
    pub classes: usize,
    /// Further attempts, by what failed.
    pub retries: Retries,
    /// What decides the last bits of numbers, for the log.
    pub arithmetic: String,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
    /// It aborted, or was killed, since this memory ran out.
    OutOfMemory(Memory),
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
    /// A worker that has a trial has said nothing for too long.
    Stalled(Slot),
    /// A worker has had its trial for too long.
    TimeLimit(Slot),
    /// A worker that was to leave is still there.
    LeaveTimeout(Slot),
    /// A worker is gone, and all that it said has been given to `step`.
    Exited(Slot, Exit),
    /// There is space on the disk again, after [`Action::AwaitSpace`].
    SpaceFreed,
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
        /// Examples of one pass at most.
        micro_batch: Option<usize>,
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
    /// Ask the file system for space until there is some: this trial found its disk full, and
    /// nothing is started before [`Input::SpaceFreed`].
    AwaitSpace(TrialId),
    /// Show that a worker waits since this path's disk is full, and that nothing is started meanwhile.
    ShowFull(TrialId, PathBuf),
    /// Show that no worker waits for space any more.
    ShowFreed,
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
            Self::OutOfMemory(memory) => {
                let whose = match memory {
                    Memory::Host => "memory",
                    Memory::Cuda => "GPU memory",
                };
                (FailureKind::OutOfMemory(memory), format!("the worker ran out of {whose}"))
            }
        };
        Failure { kind, message: format!("{message}; see worker.log") }
    }
}

/// A worker's message, shortened to what anybody reads.
pub(super) fn cut(message: String) -> String {
    match message.char_indices().nth(MESSAGE_MAX) {
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
        None => message,
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
    let name = match line {
        WorkerLine::Ready { .. } => "ready",
        WorkerLine::Progress(..) => "progress",
        WorkerLine::Alive(_) => "alive",
        WorkerLine::DiskFull(..) => "disk_full",
        WorkerLine::DiskFreed(_) => "disk_freed",
        WorkerLine::Event(..) => "event",
        WorkerLine::Finished(..) => "finished",
        WorkerLine::Failed(..) => "failed",
        WorkerLine::Stopped(_) => "stopped",
    };
    about(line).map_or_else(|| format!("`{name}`"), |trial| format!("`{name}` about trial {trial}"))
}
