//! What trials run on: CPU slots and CUDA GPUs.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::files::named;

/// A device slot, which runs one trial at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// Some threads of the processor.
    Cpu {
        /// Number of the slot, from 0.
        slot: usize,
        /// Threads that the slot's worker may use, at least 1.
        threads: usize,
    },
    /// The GPU with this index, in PCI bus order.
    Cuda {
        /// Index of the GPU, from 0.
        index: usize,
    },
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu { slot, .. } => write!(f, "cpu:{slot}"),
            Self::Cuda { index } => write!(f, "cuda:{index}"),
        }
    }
}

/// Whether NVIDIA's driver library can be found, which `burn-cuda` needs at run time.
#[must_use]
pub fn cuda_driver_present() -> bool {
    named::exists(std::path::Path::new("/proc/driver/nvidia/version"))
}
