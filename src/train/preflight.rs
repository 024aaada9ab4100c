//! Whether a GPU works, found out before any trial starts.
//!
//! Asked in a child process with the environment that a worker will have, since a driver may crash.

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(feature = "wgpu")]
mod wgpu;

use crate::system::device::{Device, GpuBackend};

/// Tries the device. `driver_cuda` is the newest CUDA version that the driver serves, if known.
///
/// # Errors
/// What is wrong, and what to do.
pub(crate) fn attempt(device: Device, driver_cuda: Option<u32>) -> Result<(), String> {
    match device {
        Device::Cpu { .. } => Ok(()),
        Device::Gpu { backend: GpuBackend::Cuda, index } => cuda(index, driver_cuda),
        Device::Gpu { backend: GpuBackend::Wgpu, index } => wgpu(index),
    }
}

#[cfg(feature = "cuda")]
fn cuda(index: usize, driver_cuda: Option<u32>) -> Result<(), String> {
    cuda::attempt(index, driver_cuda)
}

#[cfg(not(feature = "cuda"))]
fn cuda(_index: usize, _driver_cuda: Option<u32>) -> Result<(), String> {
    Err("this program was built without the feature cuda".to_owned())
}

#[cfg(feature = "wgpu")]
fn wgpu(index: usize) -> Result<(), String> {
    wgpu::attempt(index)
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(_index: usize) -> Result<(), String> {
    Err("this program was built without the feature wgpu".to_owned())
}
