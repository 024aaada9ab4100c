//! The scheduler's inputs and its actions.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    event::{Event, Progress, RemotePlace},
    policy::{Fuse, Retries},
    protocol::WorkerLine,
    system::{device::Device, memory::Memory},
    trial::{Failure, FailureKind, TrialId},
};

/// Characters of a worker's message that are kept.
const MESSAGE_CHARS_MAX: usize = 4_000;

/// A place for one worker process at a time. The executor numbers its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub usize);

/// A machine, or what has memory of its own as one has: the job of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(pub usize);

impl Host {
    /// The machine that the orchestrator runs on.
    pub const LOCAL: Self = Self(0);
}

/// A slot of another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteSlot {
    /// Whose memory it has.
    pub host: Host,
    /// What the log says of it.
    pub place: RemotePlace,
    /// Whether it takes one trial, and no other after it.
    pub is_for_one: bool,
}

/// A trial that a run has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingTrial {
    /// The trial's number.
    pub trial: TrialId,
    /// Attempts that earlier runs made.
    pub earlier_attempts: u32,
    /// Examples of one forward and backward pass when the trial runs as it was planned, at least 1.
    pub pass_examples: usize,
    /// The largest number of examples in one pass of its latest attempt, if memory had run out before.
    pub micro_batch: Option<usize>,
    /// The device that its latest attempt had for itself, since memory ran out beside other trials.
    pub alone: Option<Device>,
    /// The trial whose final checkpoint it starts from: it waits until that trial is over.
    pub prefix: Option<TrialId>,
    /// The number of its shape: trials of one shape can be trained together. `None`: it is trained alone.
    pub shape: Option<usize>,
}

/// What holds for all trials of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Trials of the whole sweep when the run begins.
    pub planned: u32,
    /// Classes that every outcome counts.
    pub classes: usize,
    /// Further attempts, by what failed.
    pub retries: Retries,
    /// What decides the last bits of numbers, for the log.
    pub arithmetic: String,
    /// What a reader of the figures must know about the data, for the log.
    pub notes: Vec<String>,
    /// Whether a trial's end, or its pause, may be followed by further trials.
    pub grows: bool,
    /// How many trials a worker is given at once, which it trains together.
    pub fuse: Fuse,
    /// Whether workers use the cache.
    pub has_cache: bool,
    /// How GPUs get further slots.
    pub packing: Packing,
    /// Whether slots may join although there is none for the moment.
    pub awaits_slots: bool,
}

/// What fits into the memory of GPUs, and how they get further slots once a trial has shown how much it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packing {
    /// Bytes of memory of each GPU that this run may fill. A GPU that is not named keeps its slots.
    pub room: BTreeMap<Device, u64>,
    /// The most slots of one GPU.
    pub slots_max: usize,
    /// The most trials that fit together, on GPUs of which that is known.
    pub fused_max: BTreeMap<Device, usize>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerExit {
    /// It returned this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
    /// It aborted, or was killed, because this memory ran out.
    OutOfMemory(Memory),
    /// Its machine is gone or silent; the text says what is known.
    Lost(String),
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a few a second, none kept")]
pub enum Input {
    /// The run begins. Comes once, after the slots that it begins with have joined.
    Begin,
    /// A slot is there, and a worker may be started in it. A slot may join at any time.
    SlotJoined(Slot, Device),
    /// A slot of another machine is there.
    RemoteJoined {
        /// The slot.
        slot: Slot,
        /// What it computes on.
        device: Device,
        /// What is known of it.
        remote: RemoteSlot,
        /// The trials that its worker has had since an earlier run. It is heard from the beginning of their attempts.
        trials: Vec<TrialId>,
    },
    /// No slot joins any more.
    NoMoreSlots,
    /// A slot gets no more work. Its worker, if it has one, may do what it was given.
    SlotLeft(Slot),
    /// There is one trial more to be run: the plan has grown by it, or it goes on after a pause.
    TrialAdded(PendingTrial),
    /// A worker is done with its trials, and all that follows from its last line has been said: it may have the next
    /// ones. After [`Action::Free`].
    Freed(Slot),
    /// The worker of a slot could not be started; the text says why.
    SpawnFailed(Slot, String),
    /// A slot has rested, after [`Action::Rest`].
    Rested(Slot),
    /// A worker sent a line.
    Line(Slot, WorkerLine),
    /// A worker sent something that is not in the protocol; the text says what.
    Garbage(Slot, String),
    /// A worker could not be sent its trials; the text says why.
    Unsent(Slot, String),
    /// A worker could not be sent its trials, since this machine is short of something; the text says of what.
    Short(Slot, String),
    /// A worker has not reported ready in time.
    StartupTimeout(Slot),
    /// A worker that has trials has sent nothing for too long.
    Stalled(Slot),
    /// A worker has had this trial for too long.
    TimeLimit(Slot, TrialId),
    /// A worker that was asked to leave is still there.
    LeaveTimeout(Slot),
    /// A worker is gone, and every line that it sent has been given to `step`.
    Exited(Slot, WorkerExit),
    /// There is space on the disk again, after [`Action::AwaitSpace`].
    SpaceFreed,
    /// The user wants to stop.
    Interrupt,
}

/// A trial that a worker is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenTrial {
    /// The trial's number.
    pub trial: TrialId,
    /// The largest number of examples in one pass; `None`: as planned.
    pub micro_batch: Option<usize>,
    /// Whether it uses no cache.
    pub without_cache: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a few a second, none kept")]
pub enum Action {
    /// Start the slot's worker. Its first trial counts as begun once the worker is ready.
    Spawn {
        /// The slot.
        slot: Slot,
        /// What the worker computes on.
        device: Device,
        /// Its first trial, whose `worker.log` takes the worker's standard error.
        trial: TrialId,
    },
    /// Send the worker its trials. It trains several of them together.
    Run {
        /// The slot.
        slot: Slot,
        /// The trials, at least one.
        trials: Vec<GivenTrial>,
    },
    /// Ask the worker to stop this trial at the next step.
    Stop(Slot, TrialId),
    /// Close the worker's standard input, which asks it to leave, and watch that it does.
    Leave(Slot),
    /// Ask the worker's process to end (SIGTERM).
    Terminate(Slot),
    /// End the worker's process (SIGKILL).
    Kill(Slot),
    /// Append to the log.
    Log(Option<TrialId>, Event),
    /// Answer with [`Input::Freed`], after the trials that follow from what was logged before.
    Free(Slot),
    /// Show how far a trial is.
    Show(TrialId, Progress),
    /// Let the slot rest for a while, longer each time: no worker could be started in it, or its worker
    /// found the machine short of something. The text says why. Nothing is started in the slot before
    /// [`Input::Rested`].
    Rest(Slot, String),
    /// Ask the file system for space until there is some: this trial found its disk full, and
    /// nothing is started before [`Input::SpaceFreed`].
    AwaitSpace(TrialId),
    /// Show that a worker waits because the disk of this path is full, and that nothing is started meanwhile.
    ShowFull(TrialId, PathBuf),
    /// Show that no worker waits for space any more.
    ShowFreed,
    /// Let further slots of a device join, until it has this number: so many workers that take `bytes` of its memory fit.
    Pack {
        /// The GPU.
        device: Device,
        /// Its slots, with the one that it has.
        slots: usize,
        /// Bytes that a worker takes.
        bytes: u64,
    },
    /// Show that a device is set aside; the text says what it did.
    ShowLost(Device, String),
    /// The run is over: no process is left, and no trial that this run has to do.
    End,
}

impl WorkerExit {
    /// What a worker that ended in this way before it was given a trial is said to have done.
    pub(super) fn unready(self) -> String {
        let how = match self {
            Self::Code(code) => format!("exit code {code}"),
            Self::Signal(signal) => format!("signal {signal}"),
            Self::OutOfMemory(_) => "memory ran out".to_owned(),
            Self::Lost(why) => why,
        };
        format!("the worker ended before it was ready ({how})")
    }

    /// The failure of a trial whose worker ended while it had the trial.
    pub(super) fn failure(self) -> Failure {
        let (kind, message) = match self {
            Self::Code(0) => (FailureKind::Exit(0), "the worker left without a word".to_owned()),
            Self::Code(code) => (FailureKind::Exit(code), format!("the worker exited with code {code}")),
            // Hardly anybody else sends SIGKILL: the kernel, or a batch system, ran out of memory.
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
                    Memory::Gpu => "GPU memory",
                };
                (FailureKind::OutOfMemory(memory), format!("the worker ran out of {whose}"))
            }
            Self::Lost(why) => {
                let message = format!("the worker is lost: {why}");
                return Failure { kind: FailureKind::WorkerLost, message };
            }
        };
        Failure { kind, message: format!("{message}; see worker.log") }
    }
}

/// A worker's message, shortened to [`MESSAGE_CHARS_MAX`] characters and an ellipsis.
pub(super) fn shortened(message: String) -> String {
    match message.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
        None => message,
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
        WorkerLine::GpuMemory(..) => "gpu_memory",
        WorkerLine::Finished(..) => "finished",
        WorkerLine::Failed(..) => "failed",
        WorkerLine::AllFailed(_) => "all_failed",
        WorkerLine::Stopped(_) => "stopped",
        WorkerLine::Paused(..) => "paused",
    };
    line.trial().map_or_else(|| format!("`{name}`"), |trial| format!("`{name}` about trial {trial}"))
}
