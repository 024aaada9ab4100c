//! The encoder's own operations: one form in plain tensor operations, one fused for the CPU, one for GPUs.
//!
//! Hidden states are packed: the tokens of all sequences of a batch one after
//! another, `[tokens, width]`, no padding. [`fused::Fused`] is the interface. A backend
//! takes the plain form (`plain`) or overrides it (`flex`, `cube`). The loops and hand-written
//! gradients of `flex` stand in `kernels`, `attention` and `cls_attention`; `gemm` has the
//! large products, `product` the small ones. `cube` has the kernels for CUDA and wgpu. All forms
//! draw the same dropout masks, and tests compare them.

#[cfg(feature = "flex")]
mod attention;
#[cfg(feature = "flex")]
mod cls_attention;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod cube;
#[cfg(feature = "flex")]
mod flex;
pub(super) mod fused;
#[cfg(feature = "flex")]
mod gemm;
pub(super) mod inputs;
#[cfg(feature = "flex")]
mod kernels;
mod plain;
#[cfg(feature = "flex")]
mod product;
pub(super) mod row_sink;
#[cfg(all(test, feature = "flex"))]
mod tests;

/// Whether this processor has instructions that make a trial with `matmul_precision = "bf16"` faster than one
/// with f32.
pub(crate) fn has_bf16() -> bool {
    #[cfg(feature = "flex")]
    return gemm::has_bf16();
    #[cfg(not(feature = "flex"))]
    false
}

/// Whether this machine has a Vulkan driver, in software perhaps.
#[cfg(all(test, feature = "wgpu"))]
pub(super) fn has_vulkan() -> bool {
    let folders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    let is_filled =
        |folder: &&str| std::path::Path::new(folder).read_dir().is_ok_and(|mut files| files.next().is_some());
    folders.iter().any(is_filled)
}
