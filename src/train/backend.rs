//! Which burn backends this build has, and the one that serves a device.
//!
//! Everything particular to a backend, and to burn 0.21's way of choosing one,
//! stands here; the rest of `train` is generic over [`Compute`].

use burn::backend::Autodiff;
use burn::tensor::backend::AutodiffBackend;

use super::{Engine, TrainError, ops::Fused, recipe::Trainer};
use crate::system::device::Device;

/// A backend that trials can be trained on.
pub(crate) trait Compute: AutodiffBackend<FloatElem = f32, InnerBackend: Fused> + Fused {
    /// Whether tensors live in this process's memory, so that plain loops over
    /// them cost no transfer: dropout masks and AdamW then run as such loops.
    const ON_HOST: bool;
}

#[cfg(feature = "flex")]
impl Compute for Autodiff<burn::backend::Flex> {
    const ON_HOST: bool = true;
}

#[cfg(feature = "ndarray")]
impl Compute for Autodiff<burn::backend::NdArray> {
    const ON_HOST: bool = true;
}

#[cfg(feature = "cuda")]
impl Compute for Autodiff<burn::backend::Cuda> {
    const ON_HOST: bool = false;
}

/// Opens the backend that serves `device`.
///
/// # Errors
/// When this build lacks it, or this machine lacks the device.
pub(crate) fn open(device: Device) -> Result<Box<dyn Engine>, TrainError> {
    match device {
        Device::Cpu { .. } => cpu(),
        Device::Cuda { index } => cuda(index),
    }
}

#[cfg(feature = "flex")]
#[expect(clippy::unnecessary_wraps, reason = "other builds have no CPU backend")]
fn cpu() -> Result<Box<dyn Engine>, TrainError> {
    Ok(Box::new(Trainer::<Autodiff<burn::backend::Flex>>::new(burn::backend::flex::FlexDevice)))
}

#[cfg(all(feature = "ndarray", not(feature = "flex")))]
#[expect(clippy::unnecessary_wraps, reason = "other builds have no CPU backend")]
fn cpu() -> Result<Box<dyn Engine>, TrainError> {
    Ok(Box::new(Trainer::<Autodiff<burn::backend::NdArray>>::new(burn::backend::ndarray::NdArrayDevice::Cpu)))
}

#[cfg(not(any(feature = "flex", feature = "ndarray")))]
fn cpu() -> Result<Box<dyn Engine>, TrainError> {
    Err(TrainError::NoBackend { device: "cpu", feature: "flex" })
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<Box<dyn Engine>, TrainError> {
    // cudarc panics where the driver's library is missing.
    if !crate::system::device::cuda_driver_present() {
        return Err(TrainError::NoDriver);
    }
    // The worker sees its own GPU only, as number 0, unless it was started by hand.
    let visible = if std::env::var_os("CUDA_VISIBLE_DEVICES").is_some() { 0 } else { index };
    Ok(Box::new(Trainer::<Autodiff<burn::backend::Cuda>>::new(burn::backend::cuda::CudaDevice::new(visible))))
}

#[cfg(not(feature = "cuda"))]
fn cuda(_index: usize) -> Result<Box<dyn Engine>, TrainError> {
    Err(TrainError::NoBackend { device: "cuda", feature: "cuda" })
}
