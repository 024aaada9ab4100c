//! The burn backends of this build, and what each of them can do.
//!
//! With [`super::session`], everything particular to one backend, and to burn 0.21's way of
//! choosing one, stands here. The rest of `train` is generic over [`Compute`].

use burn::{backend::Autodiff, tensor::backend::AutodiffBackend};

use super::{
    error::{TrainError, Unfinished},
    exported::Exported,
    observe::Observe,
    ops::fused::Fused,
    together::{Entrant, Listener},
};
use crate::{
    event::Outcome,
    job::{Attempt, Job},
    settings::MatmulPrecision,
    system::device::{Device, GpuBackend},
    system::files::Place,
};

/// A backend that trials can be trained on.
pub(crate) trait Compute: AutodiffBackend<FloatElem = f32, InnerBackend: Fused> + Fused {
    /// Whether tensors live in this process's memory, so that plain loops over
    /// them cost no transfer: dropout masks and AdamW then run as such loops.
    const ON_HOST: bool;
    /// The precisions of products that it has.
    const PRECISIONS: &[MatmulPrecision];
}

/// Those of the CPU's backend.
const CPU_PRECISIONS: &[MatmulPrecision] = if cfg!(feature = "flex") {
    &[MatmulPrecision::F32, MatmulPrecision::Bf16]
} else {
    &[MatmulPrecision::F32]
};
/// Those of CUDA.
const CUDA_PRECISIONS: &[MatmulPrecision] =
    &[MatmulPrecision::F32, MatmulPrecision::Tf32, MatmulPrecision::Bf16];
/// Those that every device has.
const COMMON_PRECISIONS: &[MatmulPrecision] = &[MatmulPrecision::F32];

#[cfg(feature = "flex")]
impl Compute for Autodiff<burn::backend::Flex> {
    const ON_HOST: bool = true;
    const PRECISIONS: &[MatmulPrecision] = CPU_PRECISIONS;
}

#[cfg(feature = "ndarray")]
impl Compute for Autodiff<burn::backend::NdArray> {
    const ON_HOST: bool = true;
    const PRECISIONS: &[MatmulPrecision] = COMMON_PRECISIONS;
}

#[cfg(feature = "cuda")]
impl Compute for Autodiff<burn::backend::Cuda> {
    const ON_HOST: bool = false;
    const PRECISIONS: &[MatmulPrecision] = CUDA_PRECISIONS;
}

#[cfg(feature = "wgpu")]
impl Compute for Autodiff<burn::backend::Wgpu> {
    const ON_HOST: bool = false;
    const PRECISIONS: &[MatmulPrecision] = COMMON_PRECISIONS;
}

/// What a session asks of its device's backend, whichever backend that is.
pub(crate) trait Engine {
    /// Runs a trial; see [`super::Session::run`].
    fn run(
        &mut self,
        job: &Job,
        attempt: Attempt,
        folder: &Place,
        observe: &mut Observe<'_>,
    ) -> Result<Outcome, Unfinished>;

    /// Trains trials together; see [`super::Session::run_together`].
    fn run_together(
        &mut self,
        entrants: &[Entrant<'_>],
        listener: &mut dyn Listener,
    ) -> Result<(), TrainError>;

    /// Classifies texts; see [`super::Session::predict`].
    fn predict(&mut self, model: &Exported, texts: &[&str]) -> Result<Vec<Vec<f64>>, TrainError>;
}

/// Whether a trial with products of this precision can run on `device`.
pub(crate) fn takes(device: Device, precision: MatmulPrecision) -> bool {
    let precisions = match device {
        Device::Cpu { .. } => CPU_PRECISIONS,
        Device::Gpu { backend: GpuBackend::Cuda, .. } => CUDA_PRECISIONS,
        Device::Gpu { backend: GpuBackend::Wgpu, .. } => COMMON_PRECISIONS,
    };
    precisions.contains(&precision)
}
