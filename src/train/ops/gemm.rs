//! Large matrix products, written straight into new memory. Products of f32 are made by the `gemm` crate.
//!
//! burn's own product fills its result with zeros first and copies it afterwards. This file,
//! `gemm/bf16.rs` and `cache/mapped.rs` are the only places with `unsafe`.

use gemm::Parallelism;
use rayon::prelude::*;

use self::view::View;
use crate::settings::MatmulPrecision;

#[cfg(target_arch = "x86_64")]
mod bf16;
pub(super) mod view;

/// The number of multiplications from which threads share a product: 192³, as in burn's own product. Below it, waking
/// the other threads takes longer than they save.
const SHARED_MIN: usize = 192 * 192 * 192;

/// Whether this processor has instructions that make products of bf16 faster than those of f32.
pub(super) fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return bf16::is_supported();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Returns `a · b`, row-major. Both factors are rounded to `precision` first; sums are in f32.
///
/// # Panics
/// When the number of columns of `a` is not the number of rows of `b`.
// Without the instructions, rounding to bf16 and multiplying in f32 gives the same products, since the product of two
// bf16 (8 significant bits each) is exact in f32 (24 bits). The sums are in another order, so their last bits differ:
// `arithmetic::identity` tells the two apart.
pub(super) fn product(a: View<'_>, b: View<'_>, precision: MatmulPrecision) -> Vec<f32> {
    assert_eq!(a.columns, b.rows, "the matrices of a product fit");
    let (rows, depth, columns) = (a.rows, a.columns, b.columns);
    let count = rows * columns;
    if depth == 0 || count == 0 {
        return vec![0.0; count];
    }
    let is_shared = rows.saturating_mul(columns).saturating_mul(depth) >= SHARED_MIN;
    match precision {
        // tf32 is refused before: a processor has no such numbers.
        MatmulPrecision::F32 | MatmulPrecision::Tf32 => product_f32(a, b, is_shared),
        #[cfg(target_arch = "x86_64")]
        MatmulPrecision::Bf16 if bf16::is_supported() => bf16::product(a, b, is_shared),
        MatmulPrecision::Bf16 => {
            let [left, right] = [a, b].map(|factor| rounded(factor.values));
            product_f32(View { values: &left, ..a }, View { values: &right, ..b }, is_shared)
        }
    }
}

/// Rounds `values` to bf16 and back.
fn rounded(values: &[f32]) -> Vec<f32> {
    values.par_iter().map(|&value| half::bf16::from_f32(value).to_f32()).collect()
}

/// Returns `a · b`, row-major, none of whose three sizes is 0.
#[expect(unsafe_code, reason = "the crate takes pointers")]
fn product_f32(a: View<'_>, b: View<'_>, is_shared: bool) -> Vec<f32> {
    let (rows, depth, columns) = (a.rows, a.columns, b.columns);
    let count = rows * columns;
    let parallelism = if is_shared { Parallelism::Rayon(0) } else { Parallelism::None };
    let mut result: Vec<f32> = Vec::with_capacity(count);
    let ([a_row, a_column], [b_row, b_column]) = (a.strides, b.strides);
    // SAFETY: a view holds `rows · columns` values, and its strides, which only `new` and `transposed` make,
    // stay within them. The result has room for `count` values of rows `columns` apart; it is not read
    // (`read_dst` is false), and all of it is written before its length is set.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            depth,
            result.as_mut_ptr(),
            1,
            columns.cast_signed(),
            false,
            a.values.as_ptr(),
            a_column,
            a_row,
            b.values.as_ptr(),
            b_column,
            b_row,
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
        result.set_len(count);
    }
    result
}

#[cfg(test)]
mod tests;
