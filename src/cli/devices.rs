//! `sweep devices`: shows the processors, memory and GPUs of this machine.

use clap::Args;

use super::{
    args::ListingFormat,
    exit::{Exit, Stop},
    terminal::{print, print_json},
};
use crate::system::machine::{Gpu, Machine};

#[derive(Debug, Args)]
pub(super) struct DevicesArgs {
    /// How it is written
    #[arg(long, value_enum, default_value_t = ListingFormat::Table)]
    format: ListingFormat,
}

pub(super) fn devices(args: &DevicesArgs) -> Result<Exit, Stop> {
    let machine = Machine::detect(true);
    match args.format {
        ListingFormat::Json => print_json(&machine)?,
        ListingFormat::Table => print(&describe(&machine))?,
    }
    Ok(Exit::Complete)
}

/// A line for each part of the machine, and for the slots that `auto` stands for.
fn describe(machine: &Machine) -> String {
    let mut lines = vec![format!(
        "cpu      {} thread{}{}",
        machine.cores,
        if machine.cores == 1 { "" } else { "s" },
        machine.processor.as_ref().map_or_else(String::new, |name| format!(", {name}")),
    )];
    if let Some(total) = machine.memory_bytes {
        let free = machine.memory_available_bytes;
        let free = free.map_or_else(String::new, |free| format!(", {} available", gigabytes(free)));
        lines.push(format!("memory   {}{free}", gigabytes(total)));
    }
    lines.extend(machine.gpus.iter().map(gpu));
    if machine.gpus.is_empty() {
        lines.push("cuda     no NVIDIA GPU found (no driver, or none visible)".to_owned());
    }
    if !machine.cuda_build {
        let what =
            "this program was built without GPU support; cargo build --release --features cuda adds it";
        lines.push(format!("note     {what}"));
    }
    if let Ok(slots) = machine.slots("auto") {
        let names: Vec<String> = slots.iter().map(ToString::to_string).collect();
        lines.push(format!("auto     {}", names.join(",")));
    }
    lines.join("\n") + "\n"
}

/// The line of a GPU.
fn gpu(gpu: &Gpu) -> String {
    let memory = gpu.memory_bytes.map_or_else(String::new, |bytes| format!(", {}", gigabytes(bytes)));
    let bus = if gpu.bus.is_empty() { String::new() } else { format!(", at {}", gpu.bus) };
    format!("cuda:{:<3} {}{memory}{bus}", gpu.index, gpu.name)
}

/// A number of bytes in gigabytes, with one decimal.
fn gigabytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let gigabytes = bytes as f64 / 1e9;
    format!("{gigabytes:.1} GB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_gpu_support_says_so_beside_a_gpu() {
        let gpu = Gpu {
            index: 0,
            name: "NVIDIA X".to_owned(),
            bus: "0000:04:00.0".to_owned(),
            memory_bytes: Some(80_000_000_000),
        };
        let machine = Machine {
            cores: 2,
            processor: Some("Some CPU".to_owned()),
            memory_bytes: Some(16_000_000_000),
            memory_available_bytes: Some(8_000_000_000),
            gpus: vec![gpu],
            cuda_build: false,
        };
        assert_eq!(
            describe(&machine),
            "cpu      2 threads, Some CPU\n\
             memory   16.0 GB, 8.0 GB available\n\
             cuda:0   NVIDIA X, 80.0 GB, at 0000:04:00.0\n\
             note     this program was built without GPU support; cargo build --release --features cuda adds it\n\
             auto     cpu:0,cpu:1\n"
        );
    }
}
