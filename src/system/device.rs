//! What trials run on: CPU slots and GPUs.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};

use super::files::named;

/// A device slot, which runs one trial at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "WrittenDevice", into = "WrittenDevice")]
pub enum Device {
    /// Some threads of the processor.
    Cpu {
        /// Number of the slot, from 0.
        slot: usize,
        /// Threads that the slot's worker may use, at least 1.
        threads: usize,
    },
    /// A GPU.
    Gpu {
        /// What reaches it.
        backend: GpuBackend,
        /// Its number among the backend's GPUs, from 0.
        index: usize,
    },
}

/// What reaches a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GpuBackend {
    /// CUDA, for NVIDIA's GPUs, which it numbers in PCI bus order.
    Cuda,
    /// wgpu, for GPUs of all makers: Vulkan, Metal or DirectX 12.
    Wgpu,
}

impl GpuBackend {
    /// All backends.
    pub const ALL: [Self; 2] = [Self::Cuda, Self::Wgpu];

    /// Its name before the colon in `cuda:0`; also the name of the package's feature.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Wgpu => "wgpu",
        }
    }

    /// The backend of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|backend| backend.name() == name)
    }

    /// Whether this program was built with it.
    #[must_use]
    pub const fn is_built(self) -> bool {
        match self {
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Wgpu => cfg!(feature = "wgpu"),
        }
    }
}

impl Device {
    /// The GPU with this number.
    #[must_use]
    pub const fn gpu(backend: GpuBackend, index: usize) -> Self {
        Self::Gpu { backend, index }
    }

    /// Whether both compute with the same code: on the processor, or through the same backend.
    #[must_use]
    pub fn is_of_kind(self, other: Self) -> bool {
        let backend = |device: Self| match device {
            Self::Cpu { .. } => None,
            Self::Gpu { backend, .. } => Some(backend),
        };
        backend(self) == backend(other)
    }

    /// The GPU of this name, such as `cuda:0`.
    #[must_use]
    pub fn gpu_of_name(name: &str) -> Option<Self> {
        let (backend, index) = name.split_once(':')?;
        Some(Self::gpu(GpuBackend::of_name(backend)?, index.parse().ok()?))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu { slot, .. } => write!(f, "cpu:{slot}"),
            Self::Gpu { backend, index } => write!(f, "{}:{index}", backend.name()),
        }
    }
}

/// A device as logs have it. Each backend has a form of its own: logs had one for CUDA before there were others.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Device", rename_all = "snake_case")]
enum WrittenDevice {
    Cpu { slot: usize, threads: usize },
    Cuda { index: usize },
    Wgpu { index: usize },
}

impl From<WrittenDevice> for Device {
    fn from(written: WrittenDevice) -> Self {
        match written {
            WrittenDevice::Cpu { slot, threads } => Self::Cpu { slot, threads },
            WrittenDevice::Cuda { index } => Self::gpu(GpuBackend::Cuda, index),
            WrittenDevice::Wgpu { index } => Self::gpu(GpuBackend::Wgpu, index),
        }
    }
}

impl From<Device> for WrittenDevice {
    fn from(device: Device) -> Self {
        match device {
            Device::Cpu { slot, threads } => Self::Cpu { slot, threads },
            Device::Gpu { backend: GpuBackend::Cuda, index } => Self::Cuda { index },
            Device::Gpu { backend: GpuBackend::Wgpu, index } => Self::Wgpu { index },
        }
    }
}

/// Whether the kernel has NVIDIA's driver, as far as can be told without loading any of it.
#[must_use]
pub fn has_nvidia_driver() -> bool {
    named::exists(Path::new("/proc/driver/nvidia/version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_of_two_backends_are_of_two_kinds() {
        let [cuda, wgpu] = GpuBackend::ALL.map(|backend| Device::gpu(backend, 0));
        assert!(cuda.is_of_kind(Device::gpu(GpuBackend::Cuda, 7)) && !cuda.is_of_kind(wgpu));
        let cpu = Device::Cpu { slot: 0, threads: 1 };
        assert!(cpu.is_of_kind(Device::Cpu { slot: 3, threads: 2 }) && !cpu.is_of_kind(cuda));
    }

    #[test]
    fn devices_are_written_as_in_older_logs() {
        for (device, text) in [
            (Device::Cpu { slot: 1, threads: 2 }, r#"{"cpu":{"slot":1,"threads":2}}"#),
            (Device::gpu(GpuBackend::Cuda, 3), r#"{"cuda":{"index":3}}"#),
            (Device::gpu(GpuBackend::Wgpu, 0), r#"{"wgpu":{"index":0}}"#),
        ] {
            assert_eq!(serde_json::to_string(&device).unwrap(), text);
            assert_eq!(serde_json::from_str::<Device>(text).unwrap(), device);
        }
    }
}
