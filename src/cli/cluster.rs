//! `sweep run` on a cluster: its options, and what `--dry-run` says of its jobs.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueEnum};

use super::{
    exit::{Stop, with_causes},
    terminal::eprint_lossy,
};
use crate::{
    display,
    executor::{self, ClusterRun, PostTimes, SlurmRun},
    policy::spell_time,
    results::SweepFolder,
    slurm::{self, BatchJob, Mode, Slurm, SlurmOptions},
    spec::ExecutorSpec,
    system::device::GpuBackend,
};

/// Between two looks at what workers have written: their next trials wait for it.
const LOOK: Duration = Duration::from_millis(250);
/// How long workers are waited for at the end of a run.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct ClusterArgs {
    /// Where trials run: on this machine, or as jobs of a Slurm cluster; sets executor.kind
    #[arg(long, value_name = "KIND")]
    executor: Option<ExecutorKind>,
    /// Workers on the cluster at once, each a job; sets executor.workers
    #[arg(long, value_name = "N")]
    workers: Option<u32>,
    /// The partition that jobs are submitted to; sets executor.partition
    #[arg(long, value_name = "PARTITION")]
    partition: Option<String>,
    /// On Ctrl-C leave the jobs on the cluster as they are, without asking
    #[arg(long, conflicts_with = "cancel")]
    detach: bool,
    /// On Ctrl-C cancel the jobs on the cluster, without asking
    #[arg(long)]
    cancel: bool,
}

/// Where trials run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ExecutorKind {
    /// This machine
    Local,
    /// A Slurm cluster
    Slurm,
}

/// What becomes of the jobs at Ctrl-C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnInterrupt {
    /// The user is asked; without a terminal the jobs are left.
    Ask,
    /// They are left.
    Detach,
    /// They are cancelled.
    Cancel,
}

impl ClusterArgs {
    /// The options as `--set` writes them.
    pub(super) fn overrides(&self) -> impl Iterator<Item = String> + use<> {
        let kind = self.executor.map(|kind| match kind {
            ExecutorKind::Local => "executor.kind=local".to_owned(),
            ExecutorKind::Slurm => "executor.kind=slurm".to_owned(),
        });
        let workers = self.workers.map(|workers| format!("executor.workers={workers}"));
        // In quotes: a partition may be called `8`.
        let quoted = |text: &String| toml::Value::String(text.clone()).to_string();
        let partition = self.partition.as_ref().map(|name| format!("executor.partition={}", quoted(name)));
        [kind, workers, partition].into_iter().flatten()
    }

    /// What becomes of the jobs at Ctrl-C.
    pub(super) const fn on_interrupt(&self) -> OnInterrupt {
        match (self.detach, self.cancel) {
            (true, _) => OnInterrupt::Detach,
            (false, true) => OnInterrupt::Cancel,
            (false, false) => OnInterrupt::Ask,
        }
    }

    /// Refuses options that mean nothing to a run on this machine.
    pub(super) fn check(&self, executor: &ExecutorSpec) -> Result<(), Stop> {
        let option = match (executor, self.on_interrupt()) {
            (ExecutorSpec::Slurm(_), _) | (ExecutorSpec::Local, OnInterrupt::Ask) => return Ok(()),
            (ExecutorSpec::Local, OnInterrupt::Detach) => "--detach",
            (ExecutorSpec::Local, OnInterrupt::Cancel) => "--cancel",
        };
        Err(Stop::usage(format!(
            "{option} says what becomes of jobs on a cluster, and this sweep runs on this machine: add --executor slurm, \
             or leave it out"
        )))
    }
}

/// The workers of a run on a cluster; `None` on this machine.
///
/// # Errors
/// On a machine without Slurm.
pub(super) fn cluster_run(executor: &ExecutorSpec) -> Result<Option<ClusterRun>, Stop> {
    let ExecutorSpec::Slurm(options) = executor else { return Ok(None) };
    let slurm = Slurm::find().map_err(|error| Stop::usage(with_causes(&error)))?;
    if options.gpus.is_some() && !GpuBackend::Cuda.is_built() {
        eprint_lossy(
            "warning: this build cannot use the GPUs that `gpus` in [executor] asks for, and trials run on processors: \
             cargo build --release --features cuda\n",
        );
    }
    let times = PostTimes { look: LOOK, lost_after: options.lost_after };
    let slurm = SlurmRun { slurm, options: (**options).clone(), program: program()? };
    Ok(Some(ClusterRun { times, patience: PATIENCE, slurm: Some(slurm) }))
}

/// The running program, at its own path: nodes start it too.
fn program() -> Result<PathBuf, Stop> {
    std::env::current_exe()
        .map_err(|error| Stop::internal(&format!("cannot find the running program: {error}")))
}

/// The workers that a run on a cluster would have for so many trials, for the plan; `None` on this machine.
pub(super) fn devices(executor: &ExecutorSpec, trials: usize) -> Option<String> {
    let ExecutorSpec::Slurm(options) = executor else { return None };
    let workers = options.workers_for(trials);
    let jobs = match options.mode {
        Mode::Pilot if workers == 1 => "1 worker on Slurm".to_owned(),
        Mode::Pilot => format!("up to {workers} workers on Slurm"),
        Mode::JobPerTrial => format!("Slurm, a job for each trial, up to {workers} at once"),
    };
    let partition = options.partition.iter().map(|name| format!("partition {name}"));
    let gpus = options.gpus.iter().map(|gpus| format!("gpus {gpus}"));
    let cpus = std::iter::once(if options.cpus == 1 {
        "1 cpu".to_owned()
    } else {
        format!("{} cpus", options.cpus)
    });
    let time = options.time.iter().map(|time| format!("{} at most", spell_time(*time)));
    let each: Vec<String> = partition.chain(gpus).chain(cpus).chain(time).collect();
    Some(format!("{jobs} ({})", each.join(", ")))
}

/// The batch script that a run would submit, for people.
pub(super) fn describe_job(options: &SlurmOptions, folder: &SweepFolder) -> Result<String, Stop> {
    let script =
        slurm::script(options, &first_job(folder)?).map_err(|error| Stop::usage(with_causes(&error)))?;
    let note = match Slurm::find() {
        Ok(_) => String::new(),
        Err(error) => format!("\nnote: {error}\n"),
    };
    Ok(display::message(&format!(
        "\nbatch script of each worker, which a run gives to sbatch:\n\n{script}{note}"
    )))
}

/// The job of a first worker.
fn first_job(folder: &SweepFolder) -> Result<BatchJob, Stop> {
    let place = absolute(folder.path())?;
    Ok(executor::batch_job(format!("{}1", executor::prefix(&place)), program()?, place))
}

/// `path` from the root on: jobs begin in other folders.
fn absolute(path: &Path) -> Result<PathBuf, Stop> {
    std::path::absolute(path)
        .map_err(|error| Stop::internal(&format!("cannot find the working folder: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> ClusterArgs {
        ClusterArgs { executor: None, workers: None, partition: None, detach: false, cancel: false }
    }

    #[test]
    fn options_are_overrides_of_the_section() {
        let args = ClusterArgs {
            executor: Some(ExecutorKind::Slurm),
            workers: Some(4),
            partition: Some("8 \"a\"".to_owned()),
            ..none()
        };
        let overrides: Vec<String> = args.overrides().collect();
        assert_eq!(overrides, ["executor.kind=slurm", "executor.workers=4", "executor.partition='8 \"a\"'"]);
        assert_eq!(none().overrides().count(), 0);
    }

    #[test]
    fn jobs_are_neither_left_nor_cancelled_where_there_are_none() {
        let args = ClusterArgs { detach: true, ..none() };
        assert!(args.check(&ExecutorSpec::Local).unwrap_err().message.starts_with("--detach says"));
        assert!(args.check(&ExecutorSpec::Slurm(Box::default())).is_ok());
        assert!(none().check(&ExecutorSpec::Local).is_ok());
    }

    #[test]
    fn the_plan_says_which_jobs_there_would_be() {
        let of = |options: SlurmOptions| devices(&ExecutorSpec::Slurm(Box::new(options)), 12).unwrap();
        assert_eq!(of(SlurmOptions::default()), "up to 12 workers on Slurm (1 cpu)");
        let options = SlurmOptions {
            workers: Some(4),
            partition: Some("gpu".to_owned()),
            gpus: Some("a100:1".to_owned()),
            cpus: 8,
            time: Some(std::time::Duration::from_hours(2)),
            ..SlurmOptions::default()
        };
        assert_eq!(of(options), "up to 4 workers on Slurm (partition gpu, gpus a100:1, 8 cpus, 2h at most)");
        assert_eq!(devices(&ExecutorSpec::Local, 12), None);
    }
}
