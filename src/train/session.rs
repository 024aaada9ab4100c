//! A worker's warm state: a device, and what the trials on it share.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use burn::backend::Autodiff;

use super::{
    backend::Engine,
    error::TrainError,
    exported::Exported,
    graph_lock::graph_lock,
    observe::{Ending, Observe},
    recipe::trainer::Trainer,
    together::{Entrant, Listener},
};
use crate::{
    job::{Attempt, Job},
    system::{
        device::{Device, GpuBackend},
        files::Place,
        panics::Panics,
    },
};

/// A worker's warm state: the device, and what trials share.
pub struct Session {
    engine: Box<dyn Engine>,
    /// Those after which [`Self::predict`] returns nothing.
    panics: Panics,
}

impl Session {
    /// Opens `device`.
    ///
    /// # Errors
    /// When this build or this machine does not have it.
    pub fn open(device: Device) -> Result<Self, TrainError> {
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        super::kernels::keep(device);
        let engine = match device {
            Device::Cpu { .. } => cpu(),
            Device::Gpu { backend: GpuBackend::Cuda, index } => cuda(index),
            Device::Gpu { backend: GpuBackend::Wgpu, index } => wgpu(index),
        };
        Ok(Self { engine: engine?, panics: Panics::default() })
    }

    /// Has [`Self::predict`] fail once another thread of this process has panicked: a device goes on after that, and
    /// computes what means nothing, or answers no more, which is a panic of the calling thread. To be called by the thread
    /// that uses the session.
    #[must_use]
    pub fn watched(self) -> Self {
        Self { panics: Panics::record(), ..self }
    }

    /// Runs `job` and writes `metrics.csv`, `predictions.csv`, `best/` and `last/` into `folder`.
    ///
    /// The trial resumes from the checkpoint in `last/` if that one is of this job. Otherwise it starts from the
    /// final checkpoint of the prefix trial that `attempt` names, if there is one.
    ///
    /// A full disk is no failure: the trial waits until there is space, or until it is asked to stop.
    ///
    /// `observe` receives every report of the trial, one for each step included. Its error stops the trial.
    ///
    /// # Errors
    /// When the trial fails. The files that it wrote until then stay.
    pub fn run(
        &mut self,
        job: &Job,
        attempt: Attempt,
        folder: &Place,
        observe: &mut Observe<'_>,
    ) -> Result<Ending, TrainError> {
        let _alone = graph_lock();
        match self.engine.run(job, attempt, folder, observe) {
            Ok(outcome) => Ok(Ending::Complete(Box::new(outcome))),
            Err(why) => why.ending(),
        }
    }

    /// Trains `entrants` together, as one model with a leading axis of trials. Each of them leaves the files that
    /// [`Self::run`] writes, may have been begun by [`Self::run`], and may be resumed by it.
    ///
    /// They must have the same [`Settings::fusible`](crate::settings::Settings::fusible) and the same data.
    /// `listener` hears of each trial, and when it is over.
    ///
    /// # Errors
    /// When the trials are not of one shape. A trial's own failure is told to `listener`.
    pub fn run_together(
        &mut self,
        entrants: &[Entrant<'_>],
        listener: &mut dyn Listener,
    ) -> Result<(), TrainError> {
        let _alone = graph_lock();
        self.engine.run_together(entrants, listener)
    }

    /// Returns the probabilities of each text's classes under an exported model, in the order of `texts`.
    ///
    /// The model is kept in memory until a call names another one.
    ///
    /// # Errors
    /// When the model's files cannot be read or do not fit each other, or the device has failed; see [`Self::watched`].
    pub fn predict(&mut self, model: &Exported, texts: &[&str]) -> Result<Vec<Vec<f64>>, TrainError> {
        let found = catch_unwind(AssertUnwindSafe(|| self.engine.predict(model, texts)));
        match (self.panics.elsewhere(), found) {
            (Some(panicked), _) => Err(TrainError::Device { message: panicked.message() }),
            (None, Ok(found)) => found,
            (None, Err(panic)) => resume_unwind(panic),
        }
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
#[expect(clippy::unnecessary_wraps, reason = "other builds have no such backend")]
fn cuda(index: usize) -> Result<Box<dyn Engine>, TrainError> {
    Ok(Box::new(Trainer::<Autodiff<burn::backend::Cuda>>::new(burn::backend::cuda::CudaDevice::new(index))))
}

#[cfg(not(feature = "cuda"))]
fn cuda(_index: usize) -> Result<Box<dyn Engine>, TrainError> {
    Err(TrainError::NoBackend { device: "cuda", feature: "cuda" })
}

#[cfg(feature = "wgpu")]
fn wgpu(index: usize) -> Result<Box<dyn Engine>, TrainError> {
    Ok(Box::new(Trainer::<Autodiff<burn::backend::Wgpu>>::new(wgpu_device(index)?)))
}

/// What burn calls the device that is `wgpu:INDEX` to the user.
///
/// # Errors
/// When there is none.
#[cfg(feature = "wgpu")]
pub(super) fn wgpu_device(index: usize) -> Result<burn::backend::wgpu::WgpuDevice, TrainError> {
    use burn::backend::wgpu::WgpuDevice;

    use crate::system::gpus::{self, AdapterKind};

    let adapters = gpus::adapters();
    let adapter = adapters.get(index).ok_or(TrainError::NoAdapter { index, found: adapters.len() })?;
    Ok(match adapter.kind {
        AdapterKind::Discrete => WgpuDevice::DiscreteGpu(adapter.of_kind),
        AdapterKind::Integrated => WgpuDevice::IntegratedGpu(adapter.of_kind),
        AdapterKind::Virtual => WgpuDevice::VirtualGpu(adapter.of_kind),
        AdapterKind::Software => WgpuDevice::Cpu,
    })
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(_index: usize) -> Result<Box<dyn Engine>, TrainError> {
    Err(TrainError::NoBackend { device: "wgpu", feature: "wgpu" })
}
