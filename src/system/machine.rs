//! The processors, memory and GPUs of this machine.

use std::{
    io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    thread,
};

use serde::Serialize;

use super::{
    device::{Device, GpuBackend},
    files::named,
    gpus::{
        Adapter, Gpu, NvidiaReport,
        child::{self, Question},
        visible,
    },
};
use crate::error_chain::chain;

/// This machine, and what this build can use of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Number of threads that this process may use at once, within the limits of affinity and cgroups.
    pub cores: usize,
    /// The processor's name, if known.
    pub processor: Option<String>,
    /// Bytes of memory, if known.
    pub memory_bytes: Option<u64>,
    /// Bytes of memory that are free or could be freed, if known.
    pub memory_available_bytes: Option<u64>,
    /// The NVIDIA GPUs that may be used, `cuda:0` first.
    pub gpus: Vec<Gpu>,
    /// What wgpu reaches, `wgpu:0` first.
    pub adapters: Vec<Adapter>,
    /// Version of NVIDIA's driver, if there is one.
    pub nvidia_driver: Option<String>,
    /// The newest CUDA version that the driver serves: 1000 · major + 10 · minor.
    pub cuda_version: Option<u32>,
    /// Why there is no NVIDIA GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_nvidia: Option<String>,
    /// Why NVIDIA's driver, which is there, cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken_nvidia: Option<String>,
    /// Why wgpu's drivers cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken_wgpu: Option<String>,
    /// The first entry of `CUDA_VISIBLE_DEVICES` that names no GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_visible: Option<String>,
    /// Whether this program can use NVIDIA's GPUs.
    pub cuda_build: bool,
    /// Whether this program can use GPUs through wgpu.
    pub wgpu_build: bool,
}

impl Machine {
    /// Looks at this machine, but for its GPUs.
    #[must_use]
    pub fn detect() -> Self {
        let meminfo = named::read_to_string(Path::new("/proc/meminfo")).unwrap_or_default();
        Self {
            cores: thread::available_parallelism().map_or(1, Into::into),
            processor: processor_name(),
            memory_bytes: memory(&meminfo, "MemTotal:"),
            memory_available_bytes: memory(&meminfo, "MemAvailable:"),
            cuda_build: GpuBackend::Cuda.is_built(),
            wgpu_build: GpuBackend::Wgpu.is_built(),
            ..Self::default()
        }
    }

    /// Adds NVIDIA's GPUs, as a process of `program` finds them. `visible` is the value of `CUDA_VISIBLE_DEVICES`.
    pub fn look_for_nvidia(&mut self, program: &Path, visible: Option<&str>) {
        let question =
            Question { program, arguments: &[child::NVIDIA], variables: &[], limit: child::ANSWER_MAX };
        match question.ask::<NvidiaReport>() {
            Ok(report) => self.add_nvidia(report, visible),
            Err(error) => {
                let what = "NVIDIA's driver cannot be asked (libnvidia-ml.so.1)";
                self.broken_nvidia = Some(format!("{what}: {}; does `nvidia-smi` work?", chain(&error)));
            }
        }
    }

    fn add_nvidia(&mut self, report: NvidiaReport, visible: Option<&str>) {
        let NvidiaReport { driver, cuda, gpus, fault, is_absent } = report;
        (self.nvidia_driver, self.cuda_version) = (driver, cuda);
        let found = visible::visible(&gpus, visible);
        (self.gpus, self.unknown_visible) = (found.gpus, found.unknown);
        if is_absent {
            self.no_nvidia = fault;
        } else {
            self.broken_nvidia = fault;
        }
        if self.gpus.is_empty() && !gpus.is_empty() {
            let list = visible.unwrap_or_default();
            self.no_nvidia = Some(format!("CUDA_VISIBLE_DEVICES=\"{list}\" leaves none of {}", gpus.len()));
        }
    }

    /// Adds what wgpu reaches, as a process of `program` finds it.
    pub fn look_for_adapters(&mut self, program: &Path) {
        let question =
            Question { program, arguments: &[child::ADAPTERS], variables: &[], limit: child::ANSWER_MAX };
        match question.ask() {
            Ok(adapters) => self.adapters = adapters,
            Err(error) => {
                let what = "the graphics drivers cannot be asked";
                self.broken_wgpu = Some(format!("{what}: {}; does `vulkaninfo` work?", chain(&error)));
            }
        }
    }

    /// What NVML tells of a device, if it is one of NVIDIA's GPUs.
    #[must_use]
    pub fn nvidia(&self, device: Device) -> Option<&Gpu> {
        match device {
            Device::Gpu { backend: GpuBackend::Cuda, index } => self.gpus.get(index),
            Device::Gpu { backend: GpuBackend::Wgpu, .. } | Device::Cpu { .. } => None,
        }
    }

    /// The name of a device's model.
    #[must_use]
    pub fn name_of(&self, device: Device) -> String {
        let name = match device {
            Device::Cpu { .. } => self.processor.clone(),
            Device::Gpu { backend: GpuBackend::Cuda, index } => {
                self.gpus.get(index).map(|gpu| gpu.name.clone())
            }
            Device::Gpu { backend: GpuBackend::Wgpu, index } => {
                self.adapters.get(index).map(|adapter| adapter.name.clone())
            }
        };
        name.unwrap_or_else(|| "unknown".to_owned())
    }

    /// What `CUDA_VISIBLE_DEVICES` calls each of NVIDIA's GPUs that may be used, in their order.
    #[must_use]
    pub fn visible_names(&self) -> Vec<String> {
        self.gpus.iter().map(visible::name_of).collect()
    }

    /// Whether this program can use the backend.
    #[must_use]
    pub const fn is_built(&self, backend: GpuBackend) -> bool {
        match backend {
            GpuBackend::Cuda => self.cuda_build,
            GpuBackend::Wgpu => self.wgpu_build,
        }
    }

    /// Why the backend's driver, which is there, cannot be used.
    pub(super) fn driver_fault(&self, backend: GpuBackend) -> Option<&str> {
        match backend {
            GpuBackend::Cuda => self.broken_nvidia.as_deref(),
            GpuBackend::Wgpu => self.broken_wgpu.as_deref(),
        }
    }
}

/// The program that this process runs. On Linux the program itself, even where its file was replaced.
#[must_use]
pub(crate) fn running_program() -> PathBuf {
    let own = cfg!(target_os = "linux").then(|| PathBuf::from("/proc/self/exe"));
    own.unwrap_or_else(|| std::env::current_exe().unwrap_or_default())
}

/// Open files that a run needs besides what its workers take: a few for the runtime, which panics without
/// them, and some to write results.
const OPEN_FILES: usize = 10;

/// Checks that this process may open as many further files as a run needs at least.
///
/// # Errors
/// The system's, when it may not.
pub(crate) fn check_open_files() -> io::Result<()> {
    let standard = io::stderr();
    let copies: io::Result<Vec<_>> = (0..OPEN_FILES).map(|_| standard.as_fd().try_clone_to_owned()).collect();
    copies.map(drop).map_err(|error| match error.raw_os_error() {
        // The number is kept: by it, whoever shows the error knows what helps.
        Some(number) => io::Error::other(format!(
            "a run needs at least {OPEN_FILES} more open files: {}",
            io::Error::from_raw_os_error(number)
        )),
        None => error,
    })
}

/// Gives this process the name of the program in lists of processes. A process that is started from
/// `/proc/self/exe` is called `exe` there.
pub(crate) fn name_process() {
    // A name that is not pretty is no reason to stop.
    let _ = named::tell_system(Path::new("/proc/self/comm"), env!("CARGO_PKG_NAME"));
}

/// The name of this machine; empty where it is not known.
pub(crate) fn host_name() -> String {
    let name = named::read_to_string(Path::new("/proc/sys/kernel/hostname"));
    name.map(|name| name.trim().to_owned()).unwrap_or_default()
}

/// The processor's name, if known.
pub(crate) fn processor_name() -> Option<String> {
    named::read_to_string(Path::new("/proc/cpuinfo")).ok().and_then(|text| processor(&text))
}

/// The name of the processor in `/proc/cpuinfo`.
fn processor(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim().to_owned())
}

/// Bytes of memory that are free or could be freed, if known.
pub(crate) fn memory_available() -> Option<u64> {
    memory(&named::read_to_string(Path::new("/proc/meminfo")).ok()?, "MemAvailable:")
}

/// The amount behind `key` in `/proc/meminfo`, in bytes.
fn memory(meminfo: &str, key: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with(key))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_kibibytes() {
        assert_eq!(memory("MemTotal:       16 kB\n", "MemTotal:"), Some(16 * 1024));
    }

    #[test]
    fn the_name_of_the_processor_is_read() {
        assert_eq!(processor("model name\t: Some CPU\n"), Some("Some CPU".to_owned()));
    }

    #[test]
    fn a_variable_that_hides_every_gpu_is_named() {
        let gpus = vec![Gpu { name: "GPU".to_owned(), ..Gpu::default() }];
        let mut machine = Machine::default();
        machine.add_nvidia(NvidiaReport { gpus: gpus.clone(), ..NvidiaReport::default() }, Some("-1"));
        assert_eq!(machine.no_nvidia.as_deref(), Some("CUDA_VISIBLE_DEVICES=\"-1\" leaves none of 1"));
        machine.add_nvidia(NvidiaReport { gpus, ..NvidiaReport::default() }, None);
        assert_eq!(machine.gpus.len(), 1);
    }
}
