//! `sweep probe`: asks drivers, in a process of its own. Only this program starts it (`system::gpus::child`).

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{
    exit::{Exit, Stop},
    terminal::print,
};
use crate::{
    system::{device::Device, gpus},
    train,
};

#[derive(Debug, Args)]
pub(super) struct ProbeArgs {
    #[arg(value_enum)]
    question: Question,
    /// The device to try
    #[arg(long)]
    device: Option<String>,
    /// The newest CUDA version that the driver serves
    #[arg(long)]
    driver_cuda: Option<u32>,
}

/// What a driver is asked.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Question {
    /// The GPUs that NVML knows
    Nvidia,
    /// The adapters that wgpu reaches
    Adapters,
    /// Whether a device works
    Works,
}

pub(super) fn probe(args: &ProbeArgs) -> Result<Exit, Stop> {
    match args.question {
        Question::Nvidia => answer(&gpus::nvidia_report()),
        Question::Adapters => answer(&gpus::adapters()),
        Question::Works => {
            let device = args.device.as_deref().and_then(Device::gpu_of_name);
            let device = device.ok_or_else(|| Stop::usage("no such device"))?;
            // The answer says what the panic says.
            std::panic::set_hook(Box::new(|_| {}));
            answer(&train::attempt(device, args.driver_cuda).err())
        }
    }
}

/// Prints one JSON value.
fn answer(value: &impl Serialize) -> Result<Exit, Stop> {
    let json = serde_json::to_string(value).map_err(|error| Stop::internal(&error))?;
    print(&(json + "\n"))?;
    Ok(Exit::Complete)
}
