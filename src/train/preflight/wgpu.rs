//! Whether a device that wgpu reaches works.

use std::panic::catch_unwind;

use burn::{backend::Wgpu, tensor::Tensor};

use super::super::session::wgpu_device;
use crate::error_chain::panic_text;

/// Computes a little on the adapter, and looks at the result.
pub(super) fn attempt(index: usize) -> Result<(), String> {
    let device = wgpu_device(index).map_err(|error| error.to_string())?;
    let computed = catch_unwind(move || {
        let sum = Tensor::<Wgpu, 1>::from_floats([1.0, 2.0, 4.0], &device).sum();
        sum.into_data().to_vec::<f32>().unwrap_or_default()
    });
    match computed {
        Ok(sum) if sum == [7.0] => Ok(()),
        Ok(sum) => Err(format!("it computes wrongly: 1 + 2 + 4 = {sum:?}; update its driver")),
        Err(panic) => {
            let said = panic_text(&*panic);
            Err(format!("its driver does not work: {said}; update the driver, or use other devices"))
        }
    }
}
