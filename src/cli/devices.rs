//! `sweep devices`: shows the processors, memory and GPUs of this machine.

use clap::Args;

use super::{
    args::ListingFormat,
    exit::{Exit, Stop},
    gpus,
    terminal::{print, print_json},
};
use crate::{
    display,
    plan::size,
    system::{
        gpus::{Adapter, Gpu, cuda_version},
        machine::{Machine, running_program},
    },
};

#[derive(Debug, Args)]
pub(super) struct DevicesArgs {
    /// How it is written
    #[arg(long, value_enum, default_value_t = ListingFormat::Table)]
    format: ListingFormat,
}

pub(super) fn devices(args: &DevicesArgs) -> Result<Exit, Stop> {
    let mut machine = Machine::detect();
    gpus::look_for_nvidia(&mut machine);
    if machine.wgpu_build {
        machine.look_for_adapters(&running_program());
    }
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
        let free = free.map_or_else(String::new, |free| format!(", {} available", size(free)));
        lines.push(format!("memory   {}{free}", size(total)));
    }
    lines.extend(nvidia(machine));
    lines.extend(machine.adapters.iter().map(adapter));
    lines.extend(machine.broken_wgpu.iter().map(|why| format!("wgpu     {why}")));
    lines.extend(missing_builds(machine).map(|what| format!("note     {what}")));
    match machine.slots("auto") {
        Ok(slots) => {
            let names: Vec<String> = slots.iter().map(ToString::to_string).collect();
            lines.push(format!("auto     {}", names.join(",")));
        }
        Err(error) => lines.push(format!("auto     {error}")),
    }
    display::message(&(lines.join("\n"))) + "\n"
}

/// The lines about NVIDIA's GPUs.
fn nvidia(machine: &Machine) -> Vec<String> {
    let mut lines: Vec<String> = machine.gpus.iter().map(gpu).collect();
    if let Some(driver) = machine.nvidia_driver.as_ref().filter(|_| !lines.is_empty()) {
        let cuda = machine
            .cuda_version
            .map_or_else(String::new, |number| format!(", CUDA {}", cuda_version(number)));
        lines.push(format!("cuda     driver {driver}{cuda}"));
    }
    let why = machine.broken_nvidia.as_deref().or(machine.no_nvidia.as_deref());
    if let Some(why) = why {
        lines.push(format!("cuda     {why}"));
    } else if lines.is_empty() {
        lines.push("cuda     no NVIDIA GPU found".to_owned());
    }
    if let Some(entry) = &machine.unknown_visible {
        lines.push(format!(
            "note     CUDA_VISIBLE_DEVICES: `{entry}` names no GPU of this machine alone, or one again; CUDA ignores it and \
             all behind it"
        ));
    }
    lines
}

/// What this program was not built with.
fn missing_builds(machine: &Machine) -> impl Iterator<Item = String> {
    let missing = [
        (!machine.cuda_build).then_some(("CUDA (NVIDIA GPUs)", "cuda")),
        (!machine.wgpu_build).then_some(("wgpu (GPUs of all makers)", "wgpu")),
    ];
    missing.into_iter().flatten().map(|(what, feature)| {
        format!("this program was built without {what}; cargo build --release --features {feature} adds it")
    })
}

/// The line of a GPU of NVIDIA's.
fn gpu(gpu: &Gpu) -> String {
    let free = gpu.memory_free_bytes.map_or_else(String::new, |bytes| format!(" ({} free)", size(bytes)));
    let memory = gpu.memory_bytes.map_or_else(String::new, |bytes| format!(", {}{free}", size(bytes)));
    let rest = listed(&[&gpu.bus, &gpu.uuid]);
    let users = match gpu.processes.len() {
        0 => String::new(),
        1 => ", used by one process".to_owned(),
        users => format!(", used by {users} processes"),
    };
    let fault = gpu.fault.as_ref().map_or_else(String::new, |fault| format!(": {fault}"));
    format!("cuda:{:<3} {}{memory}{rest}{users}{fault}", gpu.index, gpu.name)
}

/// The texts that are not empty, each behind a comma.
fn listed(texts: &[&str]) -> String {
    let texts = texts.iter().filter(|text| !text.is_empty());
    texts.fold(String::new(), |listed, text| listed + ", " + text)
}

/// The line of a device that wgpu reaches.
fn adapter(adapter: &Adapter) -> String {
    let Adapter { index, name, api, kind, bus, driver, .. } = adapter;
    let rest = listed(&[bus, driver]);
    format!("wgpu:{index:<3} {name}, {}, {api}{rest}", kind.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::gpus::AdapterKind;

    fn machine() -> Machine {
        Machine {
            cores: 2,
            processor: Some("Some CPU".to_owned()),
            memory_bytes: Some(16_000_000_000),
            memory_available_bytes: Some(8_000_000_000),
            ..Machine::default()
        }
    }

    fn gpu() -> Gpu {
        Gpu {
            name: "NVIDIA X".to_owned(),
            bus: "00000000:04:00.0".to_owned(),
            memory_bytes: Some(80_000_000_000),
            memory_free_bytes: Some(79_000_000_000),
            uuid: "GPU-ab".to_owned(),
            ..Gpu::default()
        }
    }

    #[test]
    fn a_build_without_gpu_support_says_so_beside_a_gpu() {
        let driver = Some("580.82.07".to_owned());
        let machine =
            Machine { gpus: vec![gpu()], nvidia_driver: driver, cuda_version: Some(13_000), ..machine() };
        assert_eq!(
            describe(&machine),
            "cpu      2 threads, Some CPU\n\
             memory   16.0 GB, 8.0 GB available\n\
             cuda:0   NVIDIA X, 80.0 GB (79.0 GB free), 00000000:04:00.0, GPU-ab\n\
             cuda     driver 580.82.07, CUDA 13.0\n\
             note     this program was built without CUDA (NVIDIA GPUs); cargo build --release --features cuda adds it\n\
             note     this program was built without wgpu (GPUs of all makers); cargo build --release --features wgpu \
             adds it\n\
             auto     cpu:0,cpu:1\n"
        );
    }

    #[test]
    fn a_driver_that_cannot_be_used_is_told_with_what_auto_makes_of_it() {
        let broken = Some("its module is not loaded".to_owned());
        let machine = Machine { broken_nvidia: broken, cuda_build: true, wgpu_build: true, ..machine() };
        let lines = describe(&machine);
        assert!(
            lines.contains("\ncuda     its module is not loaded\nauto     GPUs cannot be used: its"),
            "{lines}"
        );
    }

    #[test]
    fn an_adapter_is_told_with_its_kind_and_interface() {
        let adapter = Adapter {
            index: 0,
            name: "llvmpipe".to_owned(),
            api: "vulkan".to_owned(),
            kind: AdapterKind::Software,
            of_kind: 0,
            bus: String::new(),
            driver: "Mesa 25".to_owned(),
        };
        let machine = Machine { adapters: vec![adapter], wgpu_build: true, cuda_build: true, ..machine() };
        let lines = describe(&machine);
        assert!(
            lines.ends_with("wgpu:0   llvmpipe, software, vulkan, Mesa 25\nauto     cpu:0,cpu:1\n"),
            "{lines}"
        );
    }
}
