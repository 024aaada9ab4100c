//! From the text of `--devices` to device slots.

use super::{
    device::{Device, GpuBackend},
    machine::Machine,
};

/// The text for all devices of a kind, behind its colon.
const ALL: &str = "*";

/// Why the devices of a run cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// The name is not the name of a device.
    #[error(
        "unknown device `{0}`; write auto, cpu, cpu:2 (a number of slots), cuda (all GPUs), or a list such as \
         cuda:0,cuda:2-3"
    )]
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
    /// This program was built without the backend.
    #[error("`{name}` needs a build with the {feature} feature: cargo build --release --features {feature}")]
    NotBuilt {
        /// The device that was asked for.
        name: String,
        /// The feature of the package.
        feature: &'static str,
    },
    /// There is no such GPU.
    #[error("`{name}` is not there: this machine has {found}")]
    NoGpu {
        /// The device that was asked for.
        name: String,
        /// What there is instead, and why.
        found: String,
    },
    /// The drivers cannot be asked.
    #[error("GPUs cannot be used: {fault}. To run without them, write --devices cpu")]
    Driver {
        /// What is wrong, and what to do.
        fault: String,
    },
    /// A GPU is there and cannot be used.
    #[error("{device} ({name}) cannot be used: {fault}")]
    Faulty {
        /// The GPU.
        device: Device,
        /// Its model.
        name: String,
        /// What is wrong, and what to do.
        fault: String,
    },
}

impl Machine {
    /// The device slots that `choice` names: `auto`, or a list of `cpu`, `cpu:N`, and GPUs by their backend: `cuda` or
    /// `cuda:*` for all, `cuda:1` for one, `cuda:1-3` for some. All of wgpu's are its GPUs, without software.
    ///
    /// # Errors
    /// When a device is unknown, stands twice, or is not there.
    pub fn slots(&self, choice: &str) -> Result<Vec<Device>, DeviceError> {
        if choice.trim() == "auto" {
            return self.auto();
        }
        let mut devices = Vec::new();
        let mut has_cpu = false;
        for name in choice.split(',').map(str::trim) {
            let (kind, which) =
                name.split_once(':').map_or((name, None), |(kind, which)| (kind, Some(which)));
            let added = match (kind, GpuBackend::of_name(kind)) {
                ("auto", _) if which.is_none() => return Err(DeviceError::AutoInList),
                ("cpu", _) if has_cpu => return Err(DeviceError::Twice(name.to_owned())),
                ("cpu", _) => {
                    has_cpu = true;
                    let slots = which.map(|which| which.parse().map_err(|_| unknown(name))).transpose()?;
                    self.cpu_slots(slots.unwrap_or(self.cores))?
                }
                (_, Some(backend)) => self.gpu_slots(name, backend, which)?,
                (_, None) => return Err(unknown(name)),
            };
            if added.iter().any(|device| devices.contains(device)) {
                return Err(DeviceError::Twice(name.to_owned()));
            }
            devices.extend(added);
        }
        Ok(devices)
    }

    /// NVIDIA's GPUs where there are any, else other GPUs, else the processor. A driver that is there and does not
    /// work is an error: nobody means the processor then.
    fn auto(&self) -> Result<Vec<Device>, DeviceError> {
        for backend in GpuBackend::ALL.into_iter().filter(|backend| self.is_built(*backend)) {
            if let Some(fault) = self.driver_fault(backend) {
                return Err(DeviceError::Driver { fault: fault.to_owned() });
            }
            let gpus = self.gpus_of(backend);
            if !gpus.is_empty() {
                return gpus.into_iter().map(|index| self.usable(Device::gpu(backend, index))).collect();
            }
        }
        Ok(self.cpu(self.cores))
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

    /// The GPUs of one entry of a list: all of them, one, or a range.
    fn gpu_slots(
        &self,
        name: &str,
        backend: GpuBackend,
        which: Option<&str>,
    ) -> Result<Vec<Device>, DeviceError> {
        let number = |text: &str| text.parse::<usize>().map_err(|_| unknown(name));
        let wanted = match which {
            None | Some(ALL) => None,
            Some(which) => match which.split_once('-') {
                Some((first, last)) => Some(number(first)?..=number(last)?),
                None => Some(number(which)?..=number(which)?),
            },
        };
        if !self.is_built(backend) {
            return Err(DeviceError::NotBuilt { name: name.to_owned(), feature: backend.name() });
        }
        if let Some(fault) = self.driver_fault(backend) {
            return Err(DeviceError::Driver { fault: fault.to_owned() });
        }
        let there = self.count_of(backend);
        let missing = || DeviceError::NoGpu { name: name.to_owned(), found: self.found(backend) };
        let indices = match wanted {
            None => self.gpus_of(backend),
            Some(range) if range.is_empty() => return Err(unknown(name)),
            Some(range) if *range.end() >= there => return Err(missing()),
            Some(range) => range.collect(),
        };
        if indices.is_empty() {
            return Err(missing());
        }
        indices.into_iter().map(|index| self.usable(Device::gpu(backend, index))).collect()
    }

    /// The device, unless its driver says that it cannot be used.
    fn usable(&self, device: Device) -> Result<Device, DeviceError> {
        match self.nvidia(device).and_then(|gpu| Some((gpu, gpu.fault.clone()?))) {
            Some((gpu, fault)) => Err(DeviceError::Faulty { device, name: gpu.name.clone(), fault }),
            None => Ok(device),
        }
    }

    /// Number of devices that the backend reaches.
    fn count_of(&self, backend: GpuBackend) -> usize {
        match backend {
            GpuBackend::Cuda => self.gpus.len(),
            GpuBackend::Wgpu => self.adapters.len(),
        }
    }

    /// The numbers of the backend's GPUs, without software.
    fn gpus_of(&self, backend: GpuBackend) -> Vec<usize> {
        match backend {
            GpuBackend::Cuda => (0..self.gpus.len()).collect(),
            GpuBackend::Wgpu => {
                let gpus = self.adapters.iter().filter(|adapter| adapter.is_gpu());
                gpus.map(|adapter| adapter.index).collect()
            }
        }
    }

    /// What there is of a backend, in the words of an error.
    fn found(&self, backend: GpuBackend) -> String {
        let (there, name) = (self.count_of(backend), backend.name());
        let software = self.gpus_of(backend).len() < there;
        match (there, backend) {
            (0, GpuBackend::Cuda) => {
                let why = self.no_nvidia.as_deref().unwrap_or("none, or CUDA_VISIBLE_DEVICES hides them");
                format!("no NVIDIA GPU that may be used ({why})")
            }
            (0, GpuBackend::Wgpu) => {
                "no device that wgpu reaches; install the GPU's Vulkan driver (such as mesa-vulkan-drivers)"
                    .to_owned()
            }
            (there, GpuBackend::Wgpu) if software => {
                format!("no further GPU for wgpu; {name}:{} is software on the processor", there - 1)
            }
            (1, _) => format!("one GPU, {name}:0"),
            (there, _) => format!("{there} GPUs, {name}:0 to {name}:{}", there - 1),
        }
    }
}

fn unknown(name: &str) -> DeviceError {
    DeviceError::Unknown(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{
        super::gpus::{Adapter, AdapterKind, Gpu},
        *,
    };

    fn machine(cores: usize, gpus: usize, cuda_build: bool) -> Machine {
        let gpu = |index| Gpu { index, name: format!("GPU {index}"), ..Gpu::default() };
        Machine { cores, gpus: (0..gpus).map(gpu).collect(), cuda_build, ..Machine::default() }
    }

    fn adapter(index: usize, kind: AdapterKind) -> Adapter {
        let (name, api) = (format!("adapter {index}"), "vulkan".to_owned());
        Adapter { index, name, api, kind, of_kind: 0, bus: String::new(), driver: String::new() }
    }

    /// A machine with a GPU and software for wgpu.
    fn with_adapters() -> Machine {
        let adapters = vec![adapter(0, AdapterKind::Integrated), adapter(1, AdapterKind::Software)];
        Machine { adapters, wgpu_build: true, ..machine(2, 0, false) }
    }

    fn threads(devices: &[Device]) -> Vec<usize> {
        let of = |device: &Device| match device {
            Device::Cpu { threads, .. } => *threads,
            Device::Gpu { .. } => 0,
        };
        devices.iter().map(of).collect()
    }

    fn cuda(indices: &[usize]) -> Vec<Device> {
        indices.iter().map(|index| Device::gpu(GpuBackend::Cuda, *index)).collect()
    }

    #[test]
    fn auto_is_one_slot_of_one_thread_for_each_core() {
        assert_eq!(threads(&machine(4, 0, true).slots("auto").unwrap()), [1, 1, 1, 1]);
    }

    #[test]
    fn auto_takes_gpus_only_when_this_build_can_use_them() {
        assert_eq!(machine(1, 2, true).slots("auto").unwrap(), cuda(&[0, 1]));
        assert_eq!(threads(&machine(1, 2, false).slots("auto").unwrap()), [1]);
    }

    #[test]
    fn auto_takes_other_gpus_where_there_is_none_of_nvidia() {
        let both = Machine { gpus: machine(1, 1, true).gpus, cuda_build: true, ..with_adapters() };
        assert_eq!(both.slots("auto").unwrap(), cuda(&[0]));
        assert_eq!(with_adapters().slots("auto").unwrap(), [Device::gpu(GpuBackend::Wgpu, 0)]);
    }

    #[test]
    fn auto_never_takes_software_for_a_gpu() {
        let software = Machine { adapters: vec![adapter(0, AdapterKind::Software)], ..with_adapters() };
        assert_eq!(threads(&software.slots("auto").unwrap()), [1, 1]);
        let refusal = software.slots("wgpu").unwrap_err().to_string();
        assert!(
            refusal.ends_with("no further GPU for wgpu; wgpu:0 is software on the processor"),
            "{refusal}"
        );
        assert_eq!(software.slots("wgpu:0").unwrap(), [Device::gpu(GpuBackend::Wgpu, 0)]);
    }

    #[test]
    fn a_driver_that_does_not_work_is_an_error_and_no_reason_for_the_processor() {
        let broken = Machine { broken_nvidia: Some("it is old".to_owned()), ..machine(2, 0, true) };
        for choice in ["auto", "cuda", "cuda:0"] {
            let error = broken.slots(choice).unwrap_err().to_string();
            assert_eq!(error, "GPUs cannot be used: it is old. To run without them, write --devices cpu");
        }
        assert_eq!(threads(&broken.slots("cpu:1").unwrap()), [2]);
    }

    #[test]
    fn a_gpu_with_a_fault_is_an_error() {
        let mut lost = machine(2, 2, true);
        lost.gpus[1].fault = Some("it is lost".to_owned());
        assert_eq!(lost.slots("cuda:0").unwrap(), cuda(&[0]));
        for choice in ["auto", "cuda", "cuda:1"] {
            assert_eq!(
                lost.slots(choice).unwrap_err().to_string(),
                "cuda:1 (GPU 1) cannot be used: it is lost"
            );
        }
    }

    #[test]
    fn gpus_are_named_one_by_one_by_range_or_all_at_once() {
        let machine = machine(2, 8, true);
        for (choice, indices) in [
            ("cuda", vec![0, 1, 2, 3, 4, 5, 6, 7]),
            ("cuda:*", vec![0, 1, 2, 3, 4, 5, 6, 7]),
            ("cuda:5,cuda:1", vec![5, 1]),
            ("cuda:0,cuda:4-6", vec![0, 4, 5, 6]),
        ] {
            assert_eq!(machine.slots(choice).unwrap(), cuda(&indices), "{choice}");
        }
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
        for unknown in ["gpu", "", "cpu:x", "cuda:x", "cuda:2-1", "auto:1", "cuda:1-"] {
            assert!(
                message(unknown).starts_with(&format!("unknown device `{unknown}`")),
                "{}",
                message(unknown)
            );
        }
        assert_eq!(message("cuda:0,cuda"), "device `cuda` stands twice in the list");
        assert_eq!(message("cpu,cpu:2"), "device `cpu:2` stands twice in the list");
        assert_eq!(message("auto,cpu"), "`auto` stands alone, not in a list");
        assert_eq!(message("cuda:0-1"), "`cuda:0-1` is not there: this machine has one GPU, cuda:0");
        assert_eq!(message("cpu:0"), "`cpu:0` is no slot; write cpu:1 or more");
        assert!(message("cpu:100000").contains("too much"));
        assert!(message("wgpu").ends_with("cargo build --release --features wgpu"));
    }

    #[test]
    fn a_machine_without_gpus_says_why() {
        let none = Machine { no_nvidia: Some("no driver".to_owned()), ..machine(2, 0, true) };
        let error = none.slots("cuda").unwrap_err().to_string();
        assert_eq!(error, "`cuda` is not there: this machine has no NVIDIA GPU that may be used (no driver)");
    }
}
