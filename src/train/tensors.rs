//! From tensors to plain values.

use burn::tensor::{Tensor, TensorData, Transaction, backend::Backend};

/// Copies a tensor's values into this process's memory, row-major.
pub(crate) fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    plain(tensor.into_data())
}

/// As [`values`], of several tensors, for which a device is waited for once. Nothing brings them together there: that
/// would be a launch for each, of a kernel of its own for each number of them.
pub(crate) fn values_together<B: Backend, const D: usize>(tensors: Vec<Tensor<B, D>>) -> Vec<Vec<f32>> {
    if tensors.is_empty() {
        return Vec::new();
    }
    let all = tensors.into_iter().fold(Transaction::default(), Transaction::register);
    all.execute().into_iter().map(plain).collect()
}

fn plain(data: TensorData) -> Vec<f32> {
    let data = data.convert::<f32>();
    data.into_vec().unwrap_or_else(|error| unreachable!("converted to f32 just before: {error:?}"))
}
