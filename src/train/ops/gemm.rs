//! Large matrix products, by the `gemm` crate, straight into new memory.
//!
//! burn's own product clears its result first and then moves it. This file and the cache's map are
//! the only places with `unsafe`.

use gemm::Parallelism;

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

/// `a · b`, row-major.
///
/// # Panics
/// When the columns of `a` are not as many as the rows of `b`.
#[expect(unsafe_code, reason = "the crate takes pointers")]
pub(super) fn product(a: View<'_>, b: View<'_>) -> Vec<f32> {
    assert_eq!(a.columns, b.rows, "the matrices of a product fit");
    let (rows, depth, columns) = (a.rows, a.columns, b.columns);
    let count = rows * columns;
    if depth == 0 || count == 0 {
        return vec![0.0; count];
    }
    let work = rows.saturating_mul(columns).saturating_mul(depth);
    let parallelism = if work >= SHARED_FROM { Parallelism::Rayon(0) } else { Parallelism::None };
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
mod tests {
    use super::*;

    #[test]
    fn a_product_is_that_of_the_definition_whichever_side_is_turned() {
        for (rows, depth, columns) in [(1, 1, 1), (1, 7, 5), (6, 3, 1), (33, 40, 17)] {
            let values = |count: usize, step: usize| -> Vec<f32> {
                (0..count)
                    .map(|index| f32::from(u8::try_from(index * step % 13).unwrap_or(0)) - 6.0)
                    .collect()
            };
            let (a, b) = (values(rows * depth, 5), values(depth * columns, 7));
            let turn = |values: &[f32], columns: usize| -> Vec<f32> {
                let rows = values.len() / columns;
                (0..columns)
                    .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
                    .collect()
            };
            let expected: Vec<f32> = (0..rows * columns)
                .map(|place| {
                    let (row, column) = (place / columns, place % columns);
                    (0..depth).map(|step| a[row * depth + step] * b[step * columns + column]).sum()
                })
                .collect();
            let (a_turned, b_turned) = (turn(&a, depth), turn(&b, columns));
            let plain = View::new(&a, depth);
            let other = View::new(&b, columns);
            assert_eq!(product(plain, other), expected);
            assert_eq!(product(View::new(&a_turned, rows).turned(), other), expected);
            assert_eq!(product(plain, View::new(&b_turned, depth).turned()), expected);
        }
    }

    #[test]
    fn a_product_over_nothing_is_zero_and_one_of_no_rows_is_empty() {
        let none = View { values: &[], rows: 2, columns: 0, strides: [0, 1] };
        assert_eq!(product(none, none.turned()), [0.0; 4]);
        assert!(product(View::new(&[], 3), View::new(&[1.0; 6], 2)).is_empty());
    }
}
