//! `sweep pilot`: the process in a cluster's job. Only the batch script of `sweep run --executor slurm` starts it.

use std::path::PathBuf;

use clap::Args;

use super::{
    exit::{Exit, Stop, with_causes},
    terminal::eprint_lossy,
};
use crate::{
    mailbox::{MAILBOX_VERSION, Registration},
    pilot::{self, Flight, Left, Pace, Signals},
    process::Program,
    slurm::Slurm,
    system::{
        device::{Device, GpuBackend},
        gpus::visible,
        machine,
    },
    train,
};

#[derive(Debug, Args)]
pub(super) struct PilotArgs {
    /// The sweep's folder
    #[arg(long)]
    folder: PathBuf,
    /// The name under which the job was submitted
    #[arg(long, default_value = "")]
    name: String,
    /// Threads that a worker may use, where it computes on the processor
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    cpus: u16,
    /// Leave after one trial
    #[arg(long)]
    one_trial: bool,
}

pub(super) fn fly(args: &PilotArgs) -> Result<Exit, Stop> {
    machine::check_open_files().map_err(|error| Stop::internal(&error))?;
    let flight = flight(args)?;
    let job = flight.registration.job;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Stop::internal(&error))?;
    let left = runtime.block_on(async {
        let signals = Signals::listen().map_err(|error| Stop::internal(&error))?;
        pilot::run(flight, signals).await.map_err(|error| {
            Stop::usage(format!(
                "cannot write in {}: {error}; the results folder must be one that all nodes share, at the same path",
                args.folder.display()
            ))
        })
    })?;
    if left == Left::TimeIsOver
        && let (Some(job), Ok(slurm)) = (job, Slurm::find())
    {
        // Slurm ends this process with the job. Where it does not put the job into the queue again, the orchestrator
        // submits another one.
        if let Err(error) = runtime.block_on(slurm.requeue(job)) {
            eprint_lossy(&format!("{}\n", with_causes(&error)));
        }
    }
    Ok(Exit::Complete)
}

/// What the pilot is given, by its arguments and by what Slurm tells its jobs.
fn flight(args: &PilotArgs) -> Result<Flight, Stop> {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    let visible = gpus_of_the_job();
    let registration = Registration {
        v: MAILBOX_VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        job_name: args.name.clone(),
        job: number("SLURM_JOB_ID"),
        host: std::env::var("SLURMD_NODENAME").unwrap_or_else(|_| machine::host_name()),
        pid: std::process::id(),
        devices: devices(args, visible.len()),
        arithmetic: train::arithmetic::identity(),
        is_for_one: args.one_trial,
    };
    Ok(Flight {
        folder: args.folder.clone(),
        registration,
        restarts: number("SLURM_RESTART_COUNT").and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        program: Program::running().map_err(|error| Stop::internal(&error))?,
        visible,
        pace: Pace::default(),
    })
}

/// What `CUDA_VISIBLE_DEVICES` names, as the batch system sets it for the GPUs of the job.
fn gpus_of_the_job() -> Vec<String> {
    let names = std::env::var(visible::VARIABLE).unwrap_or_default();
    names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The job's GPUs if this build can use them, or else its processor.
fn devices(args: &PilotArgs, gpus: usize) -> Vec<Device> {
    if GpuBackend::Cuda.is_built() && gpus > 0 {
        return (0..gpus).map(|index| Device::gpu(GpuBackend::Cuda, index)).collect();
    }
    vec![Device::Cpu { slot: 0, threads: args.cpus.into() }]
}
