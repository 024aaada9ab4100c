//! What drivers tell of GPUs, as one process tells it to another.

use serde::{Deserialize, Serialize};

/// One of NVIDIA's GPUs, or an instance of one that is divided (MIG).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    /// Number in PCI bus order among the GPUs that may be used, from 0.
    pub index: usize,
    /// Name of the model.
    pub name: String,
    /// Address on the PCI bus; empty if unknown.
    pub bus: String,
    /// Bytes of memory, if known.
    pub memory_bytes: Option<u64>,
    /// Bytes of memory that nobody uses, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_free_bytes: Option<u64>,
    /// Its name in `CUDA_VISIBLE_DEVICES`: `GPU-…`, or `MIG-…` for an instance. Empty if unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uuid: String,
    /// Number of the whole GPU in PCI bus order, from 0, whether it may be used or not.
    #[serde(default)]
    pub physical: usize,
    /// The processes that use it, as far as the driver tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<GpuProcess>,
    /// Why it cannot be used, if it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// A process that uses a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuProcess {
    /// Its number. In a container it may be the number outside of it.
    pub pid: u32,
    /// The name of its program, if this process may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Bytes of the GPU's memory that it has, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// What NVML tells of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NvidiaReport {
    /// Version of the driver, such as `580.82.07`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// The newest CUDA version that the driver serves: 1000 · major + 10 · minor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cuda: Option<u32>,
    /// All GPUs in PCI bus order; those that are divided are replaced by their instances.
    #[serde(default)]
    pub gpus: Vec<Gpu>,
    /// Why there are none, if NVML could not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Whether that is because there is no driver at all.
    #[serde(default)]
    pub is_absent: bool,
}

/// What kind of device an adapter of wgpu is. The order is that of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdapterKind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the processor's memory.
    Integrated,
    /// A GPU that a virtual machine is given.
    Virtual,
    /// A program that does the work of a GPU on the processor.
    Software,
}

impl AdapterKind {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Discrete => "discrete",
            Self::Integrated => "integrated",
            Self::Virtual => "virtual",
            Self::Software => "software",
        }
    }
}

/// A device that wgpu reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adapter {
    /// Its number, from 0: discrete GPUs first, then integrated ones, virtual ones and software.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// The interface of the operating system: `vulkan`, `metal`, `dx12`.
    pub api: String,
    /// What it is.
    pub kind: AdapterKind,
    /// Its number among the adapters of its kind, from 0.
    pub of_kind: usize,
    /// Address on the PCI bus; empty if unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub bus: String,
    /// The driver, with its version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub driver: String,
}

impl Adapter {
    /// Whether it is a GPU, and not a program that plays one.
    #[must_use]
    pub fn is_gpu(&self) -> bool {
        self.kind != AdapterKind::Software
    }
}

/// The version that a number of CUDA stands for, such as 13.0 for 13000.
#[must_use]
pub fn cuda_version(number: u32) -> String {
    format!("{}.{}", number / 1000, number % 1000 / 10)
}
