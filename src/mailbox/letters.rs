//! What orchestrator and pilots write to each other.

use serde::{Deserialize, Serialize};

use crate::{
    protocol::{WorkerLine, WorkerRequest},
    scheduler::WorkerExit,
    system::device::Device,
    trial::TrialId,
};

/// A pilot introduces itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// [`super::MAILBOX_VERSION`] of the pilot.
    pub v: u32,
    /// The version of its program.
    pub version: String,
    /// The name under which its job was submitted; empty without one.
    pub job_name: String,
    /// The number of its Slurm job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<u64>,
    /// The name of its machine.
    pub host: String,
    /// Its process there.
    pub pid: u32,
    /// What it computes on: a process at a time for each.
    pub devices: Vec<Device>,
    /// What decides the last bits of its numbers.
    pub arithmetic: String,
    /// Whether it leaves after one trial.
    pub is_for_one: bool,
}

/// An order to a pilot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Start a worker process.
    Start {
        /// Its number, which no other process of this pilot has.
        session: u32,
        /// The place of its device among those of the registration.
        device: usize,
    },
    /// Write a request to its standard input.
    Send {
        /// The process.
        session: u32,
        /// The request.
        request: WorkerRequest,
        /// Where its standard error goes from now on; unchanged if there is none.
        logs: Vec<Titled>,
    },
    /// Close its standard input: it leaves.
    Close {
        /// The process.
        session: u32,
    },
    /// End it: SIGTERM, or else SIGKILL.
    End {
        /// The process.
        session: u32,
        /// Whether at once.
        is_kill: bool,
    },
    /// Stop all trials with a checkpoint, and leave.
    Leave,
}

/// A `worker.log` and the title of its next part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Titled {
    /// The folder that it is in, below the sweep's folder.
    pub folder: String,
    /// The title.
    pub title: String,
}

/// What a pilot or one of its processes says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "a few a second, none kept")]
pub enum Message {
    /// The trials of this order (its number) were given to the process.
    Given(u64),
    /// A line of the process.
    Line(WorkerLine),
    /// Something that is not in the protocol; the text says what.
    Garbage(String),
    /// The process could not be started; the text says why.
    Unstarted(String),
    /// The process is over.
    Ended {
        /// How.
        exit: WorkerExit,
        /// The end of its standard error.
        words: String,
    },
    /// The pilot is asked to leave by its machine: it takes no trial any more, and has its own stop.
    Leaving(String),
    /// The pilot leaves; all its processes are over.
    Left,
}

/// The trials that a process has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The number of the order that gave them.
    pub order: u64,
    /// The number of the process's first message that nobody had read then.
    pub first: u64,
    /// The place of the process's device among those of the registration.
    pub device: usize,
    /// The trials.
    pub trials: Vec<GivenAttempt>,
}

/// An attempt that a process makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenAttempt {
    /// The trial.
    pub trial: TrialId,
    /// The number of the attempt.
    pub attempt: u32,
}
