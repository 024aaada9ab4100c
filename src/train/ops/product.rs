//! Small matrix products out of the cache, for one head of one sequence.

use pulp::{Simd, WithSimd};

/// Rows and columns of a tile; matrices of [`multiply`] are padded to them.
pub(super) const TILE_ROWS: usize = 4;
pub(super) const TILE_COLUMNS: usize = 16;

/// A matrix with rows `stride` apart.
#[derive(Default)]
pub(super) struct Matrix {
    pub(super) values: Vec<f32>,
    pub(super) rows: usize,
    pub(super) stride: usize,
}

impl Matrix {
    /// Gives it room for `rows` by `columns`, padded to whole tiles, all zeros.
    pub(super) fn reset(&mut self, rows: usize, columns: usize) {
        self.rows = rows.next_multiple_of(TILE_ROWS);
        self.stride = columns.next_multiple_of(TILE_COLUMNS);
        self.values.clear();
        self.values.resize(self.rows * self.stride, 0.0);
    }

    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.stride..][..self.stride]
    }

    pub(super) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.values[row * self.stride..][..self.stride]
    }

    /// Makes it the transpose of the first `rows` by `columns` of `other`.
    pub(super) fn transpose(&mut self, other: &Self, rows: usize, columns: usize) {
        self.reset(columns, rows);
        for first in (0..rows).step_by(TILE_ROWS) {
            // Rows of `other` are padded to whole tiles, and so are those of the transpose, which what
            // stands beyond `rows` must not reach.
            let source: [&[f32]; TILE_ROWS] =
                std::array::from_fn(|offset| &other.row(first + offset)[..columns]);
            let count = (rows - first).min(TILE_ROWS);
            for (column, row) in self.values.chunks_exact_mut(self.stride).take(columns).enumerate() {
                let tile = source.map(|row| row[column]);
                if count == TILE_ROWS {
                    row[first..first + TILE_ROWS].copy_from_slice(&tile);
                } else {
                    row[first..first + count].copy_from_slice(&tile[..count]);
                }
            }
        }
    }
}

/// `c = a · b` over `depth` columns of `a` and rows of `b`; `c` gets as many rows as `rows` needs.
pub(super) struct Multiply<'a> {
    pub(super) a: &'a Matrix,
    pub(super) b: &'a Matrix,
    pub(super) c: &'a mut Matrix,
    pub(super) rows: usize,
    pub(super) depth: usize,
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { a, b, c, rows, depth } = self;
        let columns = b.stride;
        c.reset(rows, columns);
        let lanes = size_of::<S::f32s>() / size_of::<f32>();
        // Two vectors of columns at a time, where a tile holds as many.
        if lanes * 2 <= TILE_COLUMNS {
            for row in (0..rows).step_by(TILE_ROWS) {
                for column in (0..columns).step_by(lanes * 2) {
                    tile::<S, 2>(simd, a, b, c, [row, column, depth]);
                }
            }
        } else {
            for row in (0..rows).step_by(TILE_ROWS) {
                for column in (0..columns).step_by(lanes) {
                    tile::<S, 1>(simd, a, b, c, [row, column, depth]);
                }
            }
        }
    }
}

#[inline(always)]
fn tile<S: Simd, const VECTORS: usize>(
    simd: S,
    a: &Matrix,
    b: &Matrix,
    c: &mut Matrix,
    [row, column, depth]: [usize; 3],
) {
    let lanes = size_of::<S::f32s>() / size_of::<f32>();
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; TILE_ROWS];
    let rows: [&[f32]; TILE_ROWS] = std::array::from_fn(|offset| &a.row(row + offset)[..depth]);
    for step in 0..depth {
        let (vectors, _) = S::as_simd_f32s(&b.values[step * b.stride + column..][..lanes * VECTORS]);
        for (sums, values) in sums.iter_mut().zip(&rows) {
            let value = simd.splat_f32s(values[step]);
            for (sum, &vector) in sums.iter_mut().zip(vectors) {
                *sum = simd.mul_add_f32s(value, vector, *sum);
            }
        }
    }
    for (offset, sums) in sums.iter().enumerate() {
        let start = (row + offset) * c.stride + column;
        let (places, _) = S::as_mut_simd_f32s(&mut c.values[start..][..lanes * VECTORS]);
        places.copy_from_slice(sums);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_of_any_size_is_that_of_the_definition() {
        for (rows, depth, columns) in [(1, 1, 1), (3, 5, 17), (4, 16, 16), (9, 33, 40)] {
            let value = |row: usize, column: usize| {
                f32::from(u8::try_from((row * 7 + column * 3) % 11).unwrap()) - 5.0
            };
            let (mut a, mut b, mut c) = (Matrix::default(), Matrix::default(), Matrix::default());
            a.reset(rows, depth);
            b.reset(depth, columns);
            (0..rows)
                .for_each(|row| (0..depth).for_each(|column| a.row_mut(row)[column] = value(row, column)));
            (0..depth)
                .for_each(|row| (0..columns).for_each(|column| b.row_mut(row)[column] = value(column, row)));
            pulp::Arch::new().dispatch(Multiply { a: &a, b: &b, c: &mut c, rows, depth });
            for row in 0..rows {
                for column in 0..columns {
                    let expected: f32 = (0..depth).map(|step| value(row, step) * value(column, step)).sum();
                    assert_eq!(c.row(row)[column], expected);
                }
            }
        }
    }
}
