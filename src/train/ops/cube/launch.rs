//! Tensors on a device as the kernels take them, and the sizes of launches.

use burn::tensor::{DType, Shape, Tensor, TensorPrimitive, backend::Backend, ops::FloatTensor};
use burn_cubecl::{CubeBackend, CubeRuntime, kernel::into_contiguous, tensor::CubeTensor};
use cubecl::prelude::*;

/// The backend of `R`, with the kinds of numbers that this program uses.
pub(super) type Plain<R, BT> = CubeBackend<R, f32, i32, BT>;

/// The largest number of padded tokens in one forward pass without gradients: as many as in a training step, so that a
/// GPU has work for all of its units, and the results of few passes are waited for.
pub(super) const FORWARD_TOKENS_MAX: usize = 16_384;

/// The units of a cube that work on one row together, or on elements side by side.
pub(super) const UNITS: u32 = 128;
/// The most cubes along one axis of a launch: wgpu's bound is 65,535.
const AXIS_MAX: usize = 32_768;

/// Makes a tensor row-major and without gaps.
pub(super) fn flat<R: CubeRuntime>(tensor: CubeTensor<R>) -> CubeTensor<R> {
    into_contiguous(tensor)
}

/// Room for a tensor of f32 on the device of `like`, row-major and without gaps; its values are not set.
pub(super) fn empty<R: CubeRuntime>(like: &CubeTensor<R>, shape: impl Into<Shape>) -> CubeTensor<R> {
    let shape = shape.into();
    let handle = like.client.empty(shape.num_elements() * size_of::<f32>());
    CubeTensor::new_contiguous(like.client.clone(), like.device.clone(), shape, handle, DType::F32)
}

/// One cube for each of `count` parts of the work. There may be some more: kernels compare `CUBE_POS` with the count.
pub(super) fn cubes(count: usize) -> CubeCount {
    let wide = count.clamp(1, AXIS_MAX);
    CubeCount::Static(word(wide), word(count.div_ceil(wide).max(1)), 1)
}

/// Cubes of [`UNITS`] for `count` elements, one unit for each.
pub(super) fn elements(count: usize) -> CubeCount {
    cubes(count.div_ceil(UNITS as usize))
}

pub(super) fn units() -> CubeDim {
    CubeDim::new_1d(UNITS)
}

/// A size as a kernel takes it. No tensor here has 2³² elements.
pub(super) fn word(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// Rows and columns of a matrix.
pub(super) fn matrix<R: CubeRuntime>(tensor: &CubeTensor<R>) -> [usize; 2] {
    let shape = tensor.meta.shape();
    let width = shape[shape.num_dims() - 1];
    [shape.num_elements() / width.max(1), width]
}

/// The same values, row-major, in another shape.
pub(super) fn reshaped<R: CubeRuntime>(tensor: CubeTensor<R>, shape: impl Into<Shape>) -> CubeTensor<R> {
    let CubeTensor { client, handle, device, dtype, .. } = flat(tensor);
    CubeTensor::new_contiguous(client, device, shape.into(), handle, dtype)
}

pub(super) fn primitive<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

pub(super) fn tensor<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}
