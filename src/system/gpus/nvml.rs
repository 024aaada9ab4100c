//! NVIDIA's management library (NVML): names, memory, processes, instances (MIG).
//!
//! Asked in a child process, by `sweep devices` and before a run; and by a worker about its own use of memory.

use std::path::Path;

use nvml_wrapper::{
    Device as NvmlDevice, Nvml, enums::device::UsedGpuMemory, error::NvmlError,
    struct_wrappers::device::ProcessInfo,
};

use super::report::{Gpu, GpuProcess, NvidiaReport};
use crate::system::files::named;

/// Asks NVML for all GPUs.
pub(crate) fn report() -> NvidiaReport {
    let nvml = match Nvml::init() {
        Ok(nvml) => nvml,
        Err(error) => {
            let is_absent = matches!(error, NvmlError::LibloadingError(_));
            return NvidiaReport { fault: Some(no_nvml(&error)), is_absent, ..NvidiaReport::default() };
        }
    };
    let cuda = nvml.sys_cuda_driver_version().ok().and_then(|version| u32::try_from(version).ok());
    let (gpus, fault) = match nvml.device_count() {
        Ok(count) => (all(&nvml, count), None),
        Err(error) => (Vec::new(), Some(format!("NVML cannot count the GPUs: {error}"))),
    };
    NvidiaReport { driver: nvml.sys_driver_version().ok(), cuda, gpus, fault, is_absent: false }
}

/// Why there is no NVML, and what to do.
fn no_nvml(error: &NvmlError) -> String {
    match error {
        NvmlError::LibloadingError(_) => {
            "NVIDIA's driver is not there (no libnvidia-ml.so.1); install it, or give the container its `utility` part"
                .to_owned()
        }
        NvmlError::DriverNotLoaded => {
            "NVIDIA's driver is installed, but its kernel module is not loaded: `modprobe nvidia`, or restart the machine"
                .to_owned()
        }
        NvmlError::LibRmVersionMismatch => {
            "the kernel module of NVIDIA's driver is of another version than its libraries: restart the machine"
                .to_owned()
        }
        NvmlError::NoPermission => {
            "this user may not use NVIDIA's driver: access to /dev/nvidia* is missing".to_owned()
        }
        other => format!("NVIDIA's driver cannot be asked (NVML): {other}"),
    }
}

fn all(nvml: &Nvml, count: u32) -> Vec<Gpu> {
    let mut whole: Vec<(Gpu, Option<NvmlDevice<'_>>)> = (0..count).map(|index| whole(nvml, index)).collect();
    // Those without an address last.
    whole.sort_by(|(one, _), (other, _)| {
        (one.bus.is_empty(), &one.bus).cmp(&(other.bus.is_empty(), &other.bus))
    });
    let mut gpus = Vec::new();
    for (physical, (gpu, device)) in whole.into_iter().enumerate() {
        let instances = device.as_ref().and_then(instances).unwrap_or_default();
        if instances.is_empty() {
            gpus.push(Gpu { physical, ..gpu });
        } else {
            let parts = instances.into_iter().map(|part| Gpu { physical, bus: gpu.bus.clone(), ..part });
            gpus.extend(parts);
        }
    }
    for (index, gpu) in gpus.iter_mut().enumerate() {
        gpu.index = index;
    }
    gpus
}

/// A GPU by its number in NVML. One that cannot be reached has a fault and keeps its place.
fn whole(nvml: &Nvml, index: u32) -> (Gpu, Option<NvmlDevice<'_>>) {
    match nvml.device_by_index(index) {
        Ok(device) => (of(&device), Some(device)),
        Err(error) => {
            let (name, fault) = ("NVIDIA GPU".to_owned(), Some(format!("it cannot be reached: {error}")));
            (Gpu { name, fault, ..Gpu::default() }, None)
        }
    }
}

fn of(device: &NvmlDevice<'_>) -> Gpu {
    let memory = device.memory_info();
    let fault = match &memory {
        Err(error @ (NvmlError::GpuLost | NvmlError::ResetRequired)) => Some(error.to_string()),
        _ => None,
    };
    let memory = memory.ok();
    Gpu {
        name: device.name().unwrap_or_else(|_| "NVIDIA GPU".to_owned()),
        bus: device.pci_info().map(|info| info.bus_id).unwrap_or_default(),
        memory_bytes: memory.as_ref().map(|memory| memory.total),
        memory_free_bytes: memory.as_ref().map(|memory| memory.free),
        uuid: device.uuid().unwrap_or_default(),
        processes: device.running_compute_processes().unwrap_or_default().iter().map(process).collect(),
        fault,
        ..Gpu::default()
    }
}

/// The instances of a GPU that is divided; `None` if it is not.
fn instances(device: &NvmlDevice<'_>) -> Option<Vec<Gpu>> {
    if device.mig_mode().ok()?.current == 0 {
        return None;
    }
    // Places may be empty.
    let places = 0..device.mig_device_count().ok()?;
    Some(places.filter_map(|place| device.mig_device_by_index(place).ok()).map(|part| of(&part)).collect())
}

fn process(info: &ProcessInfo) -> GpuProcess {
    let path = format!("/proc/{}/comm", info.pid);
    let name = named::read_to_string(Path::new(&path)).ok().map(|name| name.trim().to_owned());
    let memory_bytes = match info.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => Some(bytes),
        UsedGpuMemory::Unavailable => None,
    };
    GpuProcess { pid: info.pid, name, memory_bytes }
}

/// Bytes of memory that this process has on the GPU of this name (`GPU-…`, `MIG-…`), if NVML tells.
pub(crate) fn own_memory(uuid: &str) -> Option<u64> {
    let nvml = Nvml::init().ok()?;
    let processes = nvml.device_by_uuid(uuid).ok()?.running_compute_processes().ok()?;
    let own = processes.iter().find(|process| process.pid == std::process::id())?;
    process(own).memory_bytes
}

/// The model of the GPU of this name, with the CUDA version that its driver serves.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub(crate) fn model(uuid: &str) -> Option<String> {
    let nvml = Nvml::init().ok()?;
    let cuda = u32::try_from(nvml.sys_cuda_driver_version().ok()?).ok()?;
    let name = nvml.device_by_uuid(uuid).ok()?.name().ok()?;
    Some(format!("{name} CUDA {}", super::report::cuda_version(cuda)))
}
