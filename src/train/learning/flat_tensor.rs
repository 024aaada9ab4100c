//! The values of one parameter, gradient or moment as a row of numbers.

use std::borrow::Cow;

use burn::tensor::{Tensor, backend::AutodiffBackend};

use crate::train::tensors::values;

/// The values of one parameter on the device, flat.
pub(crate) type DeviceTensor<B> = Tensor<<B as AutodiffBackend>::InnerBackend, 1>;

/// A gradient or moment of one parameter, flat.
pub(crate) enum FlatTensor<B: AutodiffBackend> {
    /// In this process's memory.
    Host(Vec<f32>),
    /// In the device's memory.
    Device(DeviceTensor<B>),
}

impl<B: AutodiffBackend> FlatTensor<B> {
    /// The values in this process's memory.
    pub(crate) fn on_host(&self) -> Cow<'_, [f32]> {
        match self {
            Self::Host(values) => Cow::Borrowed(values),
            Self::Device(tensor) => Cow::Owned(values(tensor.clone())),
        }
    }
}
