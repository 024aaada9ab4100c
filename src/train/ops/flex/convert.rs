//! Between burn's tensors and slices.

use burn::{
    backend::flex::FlexTensor,
    tensor::{Tensor, TensorData, TensorPrimitive, backend::Backend, ops::FloatTensor},
};

use crate::settings::MatmulPrecision;
use crate::train::{
    masks::Dropout,
    ops::{
        cls_attention::ClsInput,
        gemm::{self, view::View},
        kernels::NormInput,
    },
};

/// Makes a tensor row-major and without gaps.
pub(super) fn flat(tensor: FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some() { tensor } else { tensor.to_contiguous() }
}

/// The values of a tensor that [`flat`] has returned.
pub(super) fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().unwrap_or_else(|| unreachable!("tensors are f32, and this one is without gaps"))
}

/// The values of a tensor, row-major. They are not copied when nothing else holds the tensor.
pub(super) fn owned(tensor: FlexTensor) -> Vec<f32> {
    let values = flat(tensor).into_data().into_vec();
    values.unwrap_or_else(|error| unreachable!("tensors are f32: {error:?}"))
}

pub(super) fn columns(matrix: &FlexTensor) -> usize {
    matrix.layout().shape()[1]
}

pub(super) fn view(matrix: &FlexTensor) -> View<'_> {
    View::new(slice(matrix), columns(matrix))
}

/// The inputs of CLS attention, hidden states and projected queries, which [`flat`] has returned.
pub(super) fn cls_input(inputs: &[FlexTensor; 2]) -> ClsInput<'_> {
    let [hidden, projected_queries] = inputs.each_ref().map(slice);
    ClsInput { hidden, projected_queries, width: columns(&inputs[0]) }
}

/// A matrix of rows of `width` values.
pub(super) fn matrix(values: Vec<f32>, width: usize) -> FlexTensor {
    let rows = values.len() / width;
    FlexTensor::from_data(TensorData::new(values, [rows, width]))
}

pub(super) fn vector(values: Vec<f32>) -> FlexTensor {
    let width = values.len();
    FlexTensor::from_data(TensorData::new(values, [width]))
}

pub(super) fn primitive<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}

pub(super) fn tensor<B: Backend, const D: usize>(primitive: FloatTensor<B>) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(primitive))
}

/// The product of two matrices that [`flat`] has returned.
pub(super) fn product(a: &FlexTensor, b: &FlexTensor, precision: MatmulPrecision) -> FlexTensor {
    matrix(gemm::product(view(a), view(b), precision), columns(b))
}

/// The tensors that a norm takes besides its input. [`flat`] has returned them.
pub(super) struct NormTensors {
    /// Bias, residual, gamma, beta.
    pub(super) parts: [FlexTensor; 4],
    pub(super) epsilon: f64,
}

impl NormTensors {
    pub(super) fn width(&self) -> usize {
        slice(&self.parts[2]).len()
    }

    #[expect(clippy::cast_possible_truncation, reason = "tensors are f32")]
    pub(super) fn input(&self, before: Dropout, after: Dropout) -> NormInput<'_> {
        let [bias, residual, gamma, beta] = self.parts.each_ref().map(slice);
        NormInput { bias, residual, gamma, beta, epsilon: self.epsilon as f32, before, after }
    }
}
