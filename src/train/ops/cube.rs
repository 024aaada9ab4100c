//! The operations on burn's cubecl backends, CUDA and wgpu: kernels of our own, with gradients by hand.
//!
//! A device is kept busy by few and large launches, and waits for nothing that this process
//! reads. So each operation is one kernel, or a few around the products; dropout masks are
//! computed where they are used, from the same numbers as on the CPU; and the norm of the
//! gradients, the clipping and the optimiser's update stay on the device.
//!
//! What autodiff makes of `select` is a loop over all indices in a few threads (burn-cubecl
//! 0.21, `select_assign`). Packing and padding are each other's gradient (`packing`), and
//! the rows of a table are added up by `embedding`.

#![expect(clippy::cast_possible_truncation, reason = "kernels count in words of 32 bits; see `launch::word`")]

mod attention;
mod autodiff;
mod embedding;
mod graph;
mod inference;
mod launch;
mod loss;
mod masks;
mod means;
mod norm;
mod norm_gradient;
mod optimizer;
mod packing;
mod product;
mod reduction;
mod rows;
mod softmax;
#[cfg(all(test, feature = "wgpu"))]
mod tests;
mod tiling;
