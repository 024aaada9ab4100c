//! What a run is given, and how it ended.

use std::{io, time::Duration};

use super::{fleet::SlurmRun, post::PostTimes, rests::StartLimits};
use crate::{
    plan::Plan,
    process::{Program, WorkerStart},
    results::{ResultsError, SweepFolder, Tenure},
    scheduler::Packing,
    study::Study,
    system::device::Device,
    trial::TrialId,
};

/// How workers are started, and how long they and the disk are waited for. The limits of a trial
/// and of a start stand in the plan's policy.
#[derive(Clone, Debug)]
pub struct Workers {
    /// The program; it is called as `PROGRAM worker --device DEVICE --threads N`.
    pub program: Program,
    /// From the end of its standard input to the end of the process.
    pub leave: Duration,
    /// From one look at the free space to the next while the disk is full, at first.
    pub space: Duration,
    /// How long it is tried to start one.
    pub start: StartLimits,
    /// What `CUDA_VISIBLE_DEVICES` calls `cuda:0`, `cuda:1` and so on. A GPU without a name is called by its number.
    pub visible: Vec<String>,
    /// How GPUs get further slots.
    pub packing: Packing,
}

impl Workers {
    /// How one of them is started.
    pub(super) fn start_of_process(&self) -> WorkerStart<'_> {
        WorkerStart { program: &self.program, visible: &self.visible }
    }

    /// Workers of this very program.
    ///
    /// # Errors
    /// When the system does not tell where the program is.
    pub fn of_this_program() -> io::Result<Self> {
        let (leave, space) = (Duration::from_secs(10), Duration::from_secs(3));
        let (start, packing) = (StartLimits::default(), Packing::default());
        Ok(Self { program: Program::running()?, leave, space, start, visible: Vec::new(), packing })
    }
}

/// How the workers of a cluster are reached.
#[derive(Clone, Debug)]
pub struct ClusterRun {
    /// How often their files are looked at, and when one counts as lost.
    pub times: PostTimes,
    /// How long workers are waited for that leave at the end of the run.
    pub patience: Duration,
    /// How jobs are submitted; `None`: workers come by themselves.
    pub slurm: Option<SlurmRun>,
}

/// One run of a sweep. The sweep's lock must be held while it lasts.
#[derive(Clone, Debug)]
pub struct Run {
    /// Where everything is kept.
    pub folder: SweepFolder,
    /// The right to write there.
    pub tenure: Tenure,
    /// The trials; those that the log says are complete are left alone.
    pub plan: Plan,
    /// Trials that are run although the log says that they are over: their files are gone, or they
    /// failed and the user wants them to be tried again.
    pub again: Vec<TrialId>,
    /// Halted trials that are to go on to their end.
    pub continued: Vec<TrialId>,
    /// The device slots, at least one; none where workers of a cluster do the work.
    pub devices: Vec<Device>,
    /// Workers of a cluster, which do all the work.
    pub cluster: Option<ClusterRun>,
    /// The processes.
    pub workers: Workers,
}

impl Run {
    /// Checks that the folder is where it was, and that no other process has taken the sweep over.
    pub(super) fn check(&self) -> Result<(), ResultsError> {
        self.folder.check()?;
        self.tenure.check()
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// The sweep as it stands now.
    pub study: Study,
    /// Whether trials were left undone at the user's wish.
    pub interrupted: bool,
    /// Whether the workers of a cluster go on with their trials: the user has only ended this program.
    pub is_detached: bool,
    /// Whether the user did not want to wait for the observers' own work, such as pictures.
    pub is_hurried: bool,
}
