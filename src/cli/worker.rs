//! `sweep worker`: serves trials on one device. Only `sweep run` starts it.

use clap::Args;

use super::exit::{Exit, Stop};
use crate::{
    system::{device::Device, machine},
    worker,
};

#[derive(Debug, Args)]
pub(super) struct WorkerArgs {
    /// cpu:SLOT, cuda:INDEX or wgpu:INDEX
    #[arg(long)]
    device: String,
    /// Threads that training may use
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
}

pub(super) fn serve(args: &WorkerArgs) -> Result<Exit, Stop> {
    let number = |text: &str| text.parse::<usize>().ok();
    let device = match args.device.split_once(':') {
        Some(("cpu", slot)) => number(slot).map(|slot| Device::Cpu { slot, threads: args.threads.into() }),
        Some(_) | None => Device::gpu_of_name(&args.device),
    };
    let device = device.ok_or_else(|| Stop::usage(format!("unknown device `{}`", args.device)))?;
    machine::name_process();
    match worker::run(device).map_err(|error| Stop::internal(&error))? {
        worker::Left::Quietly => Ok(Exit::Complete),
        worker::Left::AfterFailure => Ok(Exit::Internal),
    }
}
