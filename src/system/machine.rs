//! The processors, memory and GPUs of this machine, and the device slots that a run uses.

use std::{
    io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use serde::Serialize;

use super::{
    device::{Device, GpuBackend},
    files::named,
};

/// Why the devices of a run cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The name is not the name of a device.
    #[error("unknown device `{0}`; write auto, cpu, cpu:2 (a number of slots) or cuda:0,cuda:1")]
    Unknown(String),
    /// The device stands twice in the list.
    #[error("device `{0}` stands twice in the list")]
    Twice(String),
    /// `auto` is in a list, although it chooses all devices by itself.
    #[error("`auto` stands alone, not in a list")]
    AutoInList,
    /// The number of slots is 0.
    #[error("`cpu:0` is no slot; write cpu:1 or more")]
    NoSlot,
    /// The number of slots is far above the number of cores.
    #[error("`cpu:{slots}` is too much: this machine has {cores} cores, so at most cpu:{max}")]
    TooManySlots {
        /// The number of slots that was asked for.
        slots: usize,
        /// Number of cores of the machine.
        cores: usize,
        /// The largest number of slots that is accepted.
        max: usize,
    },
    /// This program was built without GPU support.
    #[error("`{0}` needs a build with the cuda feature: cargo build --release --features cuda")]
    NoCudaBuild(String),
    /// There is no GPU with this index.
    #[error("`cuda:{index}` is not there: this machine has {}", gpus(*found))]
    NoGpu {
        /// The index that was asked for.
        index: usize,
        /// Number of GPUs that were found.
        found: usize,
    },
}

/// The GPUs of a machine, in the words of an error.
fn gpus(found: usize) -> String {
    match found {
        0 => "no NVIDIA GPU (or no driver)".to_owned(),
        1 => "one GPU, cuda:0".to_owned(),
        found => format!("{found} GPUs, cuda:0 to cuda:{}", found - 1),
    }
}

/// This machine, and what this build can use of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Number of threads that this process may use at once, within the limits of affinity and cgroups.
    pub cores: usize,
    /// The processor's name, if known.
    pub processor: Option<String>,
    /// Bytes of memory, if known.
    pub memory_bytes: Option<u64>,
    /// Bytes of memory that are free or could be freed, if known.
    pub memory_available_bytes: Option<u64>,
    /// NVIDIA GPUs in PCI bus order, `cuda:0` first.
    pub gpus: Vec<Gpu>,
    /// Whether this program can use GPUs.
    pub cuda_build: bool,
}

/// One NVIDIA GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gpu {
    /// Index in PCI bus order, from 0.
    pub index: usize,
    /// Name of the model.
    pub name: String,
    /// Address on the PCI bus.
    pub bus: String,
    /// Bytes of memory, if known.
    pub memory_bytes: Option<u64>,
}

impl Machine {
    /// Looks at this machine. GPUs are looked for only `with_gpus`, since a broken driver can take long to
    /// answer.
    #[must_use]
    pub fn detect(with_gpus: bool) -> Self {
        let meminfo = named::read_to_string(Path::new("/proc/meminfo")).unwrap_or_default();
        Self {
            cores: thread::available_parallelism().map_or(1, Into::into),
            processor: processor_name(),
            memory_bytes: memory(&meminfo, "MemTotal:"),
            memory_available_bytes: memory(&meminfo, "MemAvailable:"),
            gpus: if with_gpus { found_gpus() } else { Vec::new() },
            cuda_build: cfg!(feature = "cuda"),
        }
    }

    /// The device slots that `choice` names: `auto`, or a list of `cpu`, `cpu:N` and `cuda:I`.
    ///
    /// # Errors
    /// When a device is unknown, stands twice, or is not there.
    pub fn slots(&self, choice: &str) -> Result<Vec<Device>, DeviceError> {
        if choice.trim() == "auto" {
            let gpus = self.gpus.iter().map(|gpu| Device::gpu(GpuBackend::Cuda, gpu.index));
            let gpus: Vec<Device> = if self.cuda_build { gpus.collect() } else { Vec::new() };
            return Ok(if gpus.is_empty() { self.cpu(self.cores) } else { gpus });
        }
        let mut devices = Vec::new();
        let mut has_cpu = false;
        for name in choice.split(',').map(str::trim) {
            let unknown = || DeviceError::Unknown(name.to_owned());
            let (kind, number) = name.split_once(':').map_or((name, None), |(kind, n)| (kind, Some(n)));
            let number = number.map(|n| n.parse::<usize>().map_err(|_| unknown())).transpose()?;
            let added = match (kind, number) {
                ("auto", None) => return Err(DeviceError::AutoInList),
                ("cpu", _) if has_cpu => return Err(DeviceError::Twice(name.to_owned())),
                ("cpu", slots) => {
                    has_cpu = true;
                    self.cpu_slots(slots.unwrap_or(self.cores))?
                }
                ("cuda", Some(index)) => vec![self.gpu(name, index)?],
                _ => return Err(unknown()),
            };
            if added.iter().any(|device| devices.contains(device)) {
                return Err(DeviceError::Twice(name.to_owned()));
            }
            devices.extend(added);
        }
        Ok(devices)
    }

    fn cpu_slots(&self, slots: usize) -> Result<Vec<Device>, DeviceError> {
        // More slots than cores make sense when trials wait for the disk, but not without a limit.
        let max = self.cores.saturating_mul(8).max(64);
        match slots {
            0 => Err(DeviceError::NoSlot),
            slots if slots > max => Err(DeviceError::TooManySlots { slots, cores: self.cores, max }),
            slots => Ok(self.cpu(slots)),
        }
    }

    /// `slots` shares of the processor, as even as they can be.
    fn cpu(&self, slots: usize) -> Vec<Device> {
        let slots = slots.max(1);
        let (each, over) = (self.cores / slots, self.cores % slots);
        let share = |slot| (each + usize::from(slot < over)).max(1);
        (0..slots).map(|slot| Device::Cpu { slot, threads: share(slot) }).collect()
    }

    fn gpu(&self, name: &str, index: usize) -> Result<Device, DeviceError> {
        if !self.cuda_build {
            return Err(DeviceError::NoCudaBuild(name.to_owned()));
        }
        if index >= self.gpus.len() {
            return Err(DeviceError::NoGpu { index, found: self.gpus.len() });
        }
        Ok(Device::gpu(GpuBackend::Cuda, index))
    }
}

/// The value of `CUDA_VISIBLE_DEVICES` with which a worker sees only the GPU of this index. `inherited` is
/// the value of that variable in this process.
#[must_use]
pub fn visible_gpu(index: usize, inherited: Option<&str>) -> String {
    let inherited = inherited.map(str::trim).filter(|list| !list.is_empty());
    let entry = inherited.and_then(|list| list.split(',').map(str::trim).nth(index));
    entry.map_or_else(|| index.to_string(), ToOwned::to_owned)
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

/// The GPUs that this process may use.
fn found_gpus() -> Vec<Gpu> {
    let query = ["--query-gpu=name,pci.bus_id,memory.total", "--format=csv,noheader,nounits"];
    let output = Command::new("nvidia-smi").args(query).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let answer = output.ok().filter(|output| output.status.success());
    let mut all = answer.map(|output| smi(&String::from_utf8_lossy(&output.stdout))).unwrap_or_default();
    if all.is_empty() {
        all = driver(Path::new("/proc/driver/nvidia/gpus"));
    }
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    visible_among(&all, visible.as_deref())
}

/// The GPUs in a list of `nvidia-smi`, which is in PCI bus order.
fn smi(text: &str) -> Vec<Gpu> {
    let gpu = |(index, line): (usize, &str)| {
        let mut fields = line.split(',').map(str::trim);
        let (name, bus) = (fields.next()?.to_owned(), fields.next()?.to_owned());
        let mebibytes = fields.next().and_then(|field| field.parse::<u64>().ok());
        let memory_bytes = mebibytes.and_then(|mebibytes| mebibytes.checked_mul(1 << 20));
        Some(Gpu { index, name, bus, memory_bytes })
    };
    text.lines().filter(|line| !line.trim().is_empty()).enumerate().filter_map(gpu).collect()
}

/// The GPUs in the folder of the NVIDIA driver: a folder for each, named by the bus address.
fn driver(folder: &Path) -> Vec<Gpu> {
    let Ok(mut names) = named::names(folder) else { return Vec::new() };
    names.sort();
    let paths: Vec<PathBuf> = names.into_iter().map(|name| folder.join(name)).collect();
    let gpu = |(index, path): (usize, PathBuf)| {
        let information = named::read_to_string(&path.join("information")).unwrap_or_default();
        let model = information.lines().find_map(|line| line.strip_prefix("Model:"));
        let bus = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Gpu { index, name: model.map_or("NVIDIA GPU", str::trim).to_owned(), bus, memory_bytes: None }
    };
    paths.into_iter().enumerate().map(gpu).collect()
}

/// The GPUs of `all` that `visible` names, the value of `CUDA_VISIBLE_DEVICES`; all GPUs without it. They are
/// numbered anew, as CUDA does. An entry that is not a number counts as a GPU without being looked up.
fn visible_among(all: &[Gpu], visible: Option<&str>) -> Vec<Gpu> {
    let Some(list) = visible.map(str::trim) else { return all.to_vec() };
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "-1");
    let pick = |(index, name): (usize, &str)| match name.parse::<usize>() {
        Ok(number) => all.get(number).map(|gpu| Gpu { index, ..gpu.clone() }),
        Err(_) => Some(Gpu { index, name: name.to_owned(), bus: String::new(), memory_bytes: None }),
    };
    // CUDA ignores the first entry that names no GPU, and all entries behind it.
    names.enumerate().map_while(pick).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn machine(cores: usize, gpus: usize, cuda_build: bool) -> Machine {
        let gpu = |index| Gpu { index, name: format!("GPU {index}"), bus: String::new(), memory_bytes: None };
        Machine {
            cores,
            processor: None,
            memory_bytes: None,
            memory_available_bytes: None,
            gpus: (0..gpus).map(gpu).collect(),
            cuda_build,
        }
    }

    fn threads(devices: &[Device]) -> Vec<usize> {
        devices
            .iter()
            .map(|device| match device {
                Device::Cpu { threads, .. } => *threads,
                Device::Gpu { .. } => 0,
            })
            .collect()
    }

    #[test]
    fn auto_is_one_slot_of_one_thread_for_each_core() {
        assert_eq!(threads(&machine(4, 0, true).slots("auto").unwrap()), [1, 1, 1, 1]);
    }

    #[test]
    fn auto_takes_gpus_only_when_this_build_can_use_them() {
        let gpus = [0, 1].map(|index| Device::gpu(GpuBackend::Cuda, index));
        assert_eq!(machine(1, 2, true).slots("auto").unwrap(), gpus);
        assert_eq!(threads(&machine(1, 2, false).slots("auto").unwrap()), [1]);
    }

    #[test]
    fn threads_are_divided_evenly_with_at_least_one_for_each_slot() {
        assert_eq!(threads(&machine(8, 0, false).slots("cpu:3").unwrap()), [3, 3, 2]);
        assert_eq!(threads(&machine(2, 0, false).slots("cpu:4").unwrap()), [1, 1, 1, 1]);
    }

    #[test]
    fn lists_may_mix_devices() {
        assert_eq!(machine(2, 2, true).slots("cuda:1, cpu:1").unwrap().len(), 2);
    }

    #[test]
    fn wrong_lists_say_what_is_wrong() {
        let message = |choice: &str| machine(2, 1, true).slots(choice).unwrap_err().to_string();
        assert!(message("gpu").starts_with("unknown device `gpu`"));
        assert!(message("").starts_with("unknown device ``"));
        assert!(message("cpu:x").starts_with("unknown device `cpu:x`"));
        assert!(message("cuda").starts_with("unknown device `cuda`"));
        assert_eq!(message("cuda:0,cuda:0"), "device `cuda:0` stands twice in the list");
        assert_eq!(message("cpu,cpu:2"), "device `cpu:2` stands twice in the list");
        assert_eq!(message("auto,cpu"), "`auto` stands alone, not in a list");
        assert_eq!(message("cuda:1"), "`cuda:1` is not there: this machine has one GPU, cuda:0");
        assert_eq!(message("cpu:0"), "`cpu:0` is no slot; write cpu:1 or more");
        assert!(message("cpu:100000").contains("too much"));
        let without = machine(2, 1, false).slots("cuda:0").unwrap_err();
        assert_eq!(without, DeviceError::NoCudaBuild("cuda:0".to_owned()));
    }

    #[test]
    fn a_worker_sees_its_own_gpu_among_those_that_this_process_may_use() {
        assert_eq!(visible_gpu(1, None), "1");
        assert_eq!(visible_gpu(1, Some("2, 5")), "5");
    }

    #[test]
    fn only_gpus_that_this_process_may_use_are_found() {
        let all = machine(1, 6, true).gpus;
        let names: Vec<String> = visible_among(&all, Some("2,5")).into_iter().map(|gpu| gpu.name).collect();
        assert_eq!(names, ["GPU 2", "GPU 5"]);
        assert_eq!(visible_among(&all, Some("")), []);
    }

    #[test]
    fn gpus_are_read_from_what_the_drivers_tool_prints() {
        let gpus = smi("NVIDIA H100 80GB HBM3, 00000000:04:00.0, 81559\nOther, 00000000:05:00.0, [N/A]\n");
        assert_eq!(
            (gpus[0].name.as_str(), gpus[0].memory_bytes),
            ("NVIDIA H100 80GB HBM3", Some(81_559 << 20))
        );
        assert_eq!((gpus[1].index, gpus[1].memory_bytes), (1, None));
    }

    #[test]
    fn gpus_are_read_from_the_drivers_folders() {
        let folder = tempfile::tempdir().unwrap();
        for (bus, model) in [("0000:05:00.0", "B"), ("0000:04:00.0", "A")] {
            fs::create_dir(folder.path().join(bus)).unwrap();
            fs::write(folder.path().join(bus).join("information"), format!("Model: \t {model}\n")).unwrap();
        }
        let names: Vec<String> = driver(folder.path()).into_iter().map(|gpu| gpu.name).collect();
        assert_eq!(names, ["A", "B"]);
    }

    #[test]
    fn memory_is_read_in_kibibytes() {
        assert_eq!(memory("MemTotal:       16 kB\n", "MemTotal:"), Some(16 * 1024));
    }

    #[test]
    fn the_name_of_the_processor_is_read() {
        assert_eq!(processor("model name\t: Some CPU\n"), Some("Some CPU".to_owned()));
    }
}
