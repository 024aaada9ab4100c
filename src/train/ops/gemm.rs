//! Large matrix products, straight into new memory: those of f32 by the `gemm` crate.
//!
//! burn's own product clears its result first and then moves it. This file, `gemm/bf16.rs` and the
//! cache's map are the only places with `unsafe`.

use gemm::Parallelism;
use rayon::prelude::*;

use crate::settings::MatmulPrecision;

#[cfg(target_arch = "x86_64")]
mod bf16;

/// Multiplications from which threads share a product: 192³, burn's own bound.
const SHARED_FROM: usize = 192 * 192 * 192;

/// A matrix, or one that is turned.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// From a row to the next, and from a column to the next.
    strides: [isize; 2],
}

impl<'a> View<'a> {
    /// Row-major, with so many columns.
    pub(super) fn new(values: &'a [f32], columns: usize) -> Self {
        let rows = values.len() / columns.max(1);
        Self { values, rows, columns, strides: [columns.cast_signed(), 1] }
    }

    /// The transpose.
    pub(super) const fn turned(self) -> Self {
        let [row, column] = self.strides;
        Self { rows: self.columns, columns: self.rows, strides: [column, row], ..self }
    }
}

/// Whether this processor has the instructions that make products of bf16 the faster ones.
pub(super) fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return bf16::is_supported();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// `a · b`, row-major, of factors that `precision` rounds.
///
/// # Panics
/// When the columns of `a` are not as many as the rows of `b`.
pub(super) fn product(a: View<'_>, b: View<'_>, precision: MatmulPrecision) -> Vec<f32> {
    assert_eq!(a.columns, b.rows, "the matrices of a product fit");
    let (rows, depth, columns) = (a.rows, a.columns, b.columns);
    let count = rows * columns;
    if depth == 0 || count == 0 {
        return vec![0.0; count];
    }
    let is_shared = rows.saturating_mul(columns).saturating_mul(depth) >= SHARED_FROM;
    match precision {
        MatmulPrecision::F32 => product_f32(a, b, is_shared),
        #[cfg(target_arch = "x86_64")]
        MatmulPrecision::Bf16 if bf16::is_supported() => bf16::product(a, b, is_shared),
        MatmulPrecision::Bf16 => {
            let [left, right] = [a, b].map(|factor| rounded(factor.values));
            product_f32(View { values: &left, ..a }, View { values: &right, ..b }, is_shared)
        }
    }
}

/// What is left of `values` in bf16.
fn rounded(values: &[f32]) -> Vec<f32> {
    values.par_iter().map(|&value| half::bf16::from_f32(value).to_f32()).collect()
}

/// No side is 0.
#[expect(unsafe_code, reason = "the crate takes pointers")]
fn product_f32(a: View<'_>, b: View<'_>, is_shared: bool) -> Vec<f32> {
    let (rows, depth, columns) = (a.rows, a.columns, b.columns);
    let count = rows * columns;
    let parallelism = if is_shared { Parallelism::Rayon(0) } else { Parallelism::None };
    let mut result: Vec<f32> = Vec::with_capacity(count);
    let ([a_row, a_column], [b_row, b_column]) = (a.strides, b.strides);
    // SAFETY: a view holds `rows · columns` values, and its strides, which only `new` and `turned` make,
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
