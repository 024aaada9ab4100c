//! What is known of the GPUs of this machine.
//!
//! The drivers are asked in processes of their own ([`child`]), since a driver may crash or never answer: the process
//! that runs a sweep loads none. NVIDIA's GPUs are told by NVML (`nvml`), those of all makers by wgpu
//! (`adapters`). Which of NVIDIA's GPUs may be used is said by `CUDA_VISIBLE_DEVICES` ([`visible`]).

mod adapters;
pub mod child;
mod nvml;
mod report;
pub(crate) mod trouble;
pub mod visible;

#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub(crate) use self::nvml::model;
pub use self::report::{Adapter, AdapterKind, Gpu, GpuProcess, NvidiaReport, cuda_version};
pub(crate) use self::{
    adapters::adapters,
    nvml::{own_memory, report as nvidia_report},
};
