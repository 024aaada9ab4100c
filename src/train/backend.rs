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
};
use crate::{
    event::Outcome,
    job::{Attempt, Job},
    system::device::Device,
    system::files::Place,
};

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

#[cfg(feature = "wgpu")]
impl Compute for Autodiff<burn::backend::Wgpu> {
    const ON_HOST: bool = false;
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

    /// Classifies texts; see [`super::Session::predict`].
    fn predict(&mut self, model: &Exported, texts: &[&str]) -> Result<Vec<Vec<f64>>, TrainError>;
}

/// Whether a trial with `matmul_precision = "bf16"` can run on `device`.
pub(crate) const fn takes_bf16(device: Device) -> bool {
    match device {
        Device::Cpu { .. } => cfg!(feature = "flex"),
        Device::Gpu { .. } => false,
    }
}
