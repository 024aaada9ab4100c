//! From tensors to plain values.

use burn::tensor::{Tensor, backend::Backend};

/// Copies a tensor's values into this process's memory, row-major.
pub(crate) fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    let data = tensor.into_data().convert::<f32>();
    data.into_vec().unwrap_or_else(|error| unreachable!("converted to f32 just before: {error:?}"))
}
