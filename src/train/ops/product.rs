//! Small matrix products whose factors stay in the processor's cache, for attention within one sequence.

use pulp::{Simd, WithSimd};

/// Rows and columns of a tile; matrices of [`Multiply`] are padded to them.
pub(super) const TILE_ROWS: usize = 8;
pub(super) const TILE_COLUMNS: usize = 16;

/// A matrix whose rows begin `stride` values apart. Rows and columns are padded to whole tiles.
#[derive(Default)]
pub(super) struct PaddedMatrix {
    pub(super) values: Vec<f32>,
    pub(super) rows: usize,
    pub(super) stride: usize,
}

impl PaddedMatrix {
    /// Makes it a matrix of `rows` by `columns` zeros, padded to whole tiles.
    pub(super) fn reset(&mut self, rows: usize, columns: usize) {
        self.rows = rows.next_multiple_of(TILE_ROWS);
        self.stride = columns.next_multiple_of(TILE_COLUMNS);
        self.values.clear();
        self.values.resize(self.rows * self.stride, 0.0);
    }

    /// As [`Self::reset`], but the values are those that happen to be there.
    fn resize(&mut self, rows: usize, columns: usize) {
        self.rows = rows.next_multiple_of(TILE_ROWS);
        self.stride = columns.next_multiple_of(TILE_COLUMNS);
        self.values.resize(self.rows * self.stride, 0.0);
    }

    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.stride..][..self.stride]
    }

    pub(super) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.values[row * self.stride..][..self.stride]
    }

    /// Makes it the transpose of the upper left `rows` by `columns` of `other`.
    pub(super) fn transpose(&mut self, other: &Self, rows: usize, columns: usize) {
        self.reset(columns, rows);
        transpose(other, self, rows, columns);
    }
}

vectorised! {
    /// Writes the transpose of the upper left `rows` by `columns` of `from` into `to`.
    // In square blocks: however far apart rows begin, the values of one block stay in the nearest cache.
    fn transpose<'a>(from: &'a PaddedMatrix, to: &'a mut PaddedMatrix, rows: usize, columns: usize) {
        const BLOCK: usize = 16;
        let (from, from_stride) = (&from.values, from.stride);
        let (to, to_stride) = (&mut to.values, to.stride);
        for column in (0..columns).step_by(BLOCK) {
            let width = BLOCK.min(columns - column);
            for row in (0..rows).step_by(BLOCK) {
                let height = BLOCK.min(rows - row);
                let mut block = [[0.0_f32; BLOCK]; BLOCK];
                // Rows are padded to whole blocks of columns.
                for offset in 0..height {
                    let source = &from[(row + offset) * from_stride + column..][..BLOCK];
                    for (line, value) in block.iter_mut().zip(source) {
                        line[offset] = *value;
                    }
                }
                for (offset, line) in block.iter().enumerate().take(width) {
                    to[(column + offset) * to_stride + row..][..BLOCK].copy_from_slice(line);
                }
            }
        }
    }
}

/// `c = a · b` over `depth` columns of `a` and rows of `b`; `c` gets as many rows as `rows` needs.
pub(super) struct Multiply<'a> {
    pub(super) a: &'a PaddedMatrix,
    pub(super) b: &'a PaddedMatrix,
    pub(super) c: &'a mut PaddedMatrix,
    pub(super) rows: usize,
    pub(super) depth: usize,
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { a, b, c, rows, depth } = self;
        let columns = b.stride;
        c.resize(rows, columns); // every value is written below
        let lanes = size_of::<S::f32s>() / size_of::<f32>();
        // The sums of a tile take half of the vector registers, 8 rows by 2 vectors of the 32 registers of AVX-512, or 4
        // by 2 of the 16 of AVX2; factors take the others. The last columns may be one vector only.
        let mut column = 0;
        while column < columns {
            let wide = column + 2 * lanes <= columns;
            for row in (0..rows).step_by(TILE_ROWS) {
                match (wide, lanes) {
                    (true, 16..) => tile::<S, 8, 2>(simd, a, b, c, [row, column, depth]),
                    (false, 16..) => tile::<S, 8, 1>(simd, a, b, c, [row, column, depth]),
                    (true, _) => {
                        tile::<S, 4, 2>(simd, a, b, c, [row, column, depth]);
                        tile::<S, 4, 2>(simd, a, b, c, [row + 4, column, depth]);
                    }
                    (false, _) => {
                        tile::<S, 4, 1>(simd, a, b, c, [row, column, depth]);
                        tile::<S, 4, 1>(simd, a, b, c, [row + 4, column, depth]);
                    }
                }
            }
            column += if wide { 2 * lanes } else { lanes };
        }
    }
}

/// Computes the tile of `c` at `row` and `column`: `ROWS` rows by `VECTORS` vectors of columns, over `depth` steps.
// All sums stay in registers for the whole depth. Each step loads VECTORS vectors of `b` and ROWS values of `a`, and
// makes ROWS · VECTORS multiplications of vectors. Every sum is over the same steps in the same order, so that a result
// does not depend on the size of the tile that it stands in.
#[inline(always)]
fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    a: &PaddedMatrix,
    b: &PaddedMatrix,
    c: &mut PaddedMatrix,
    [row, column, depth]: [usize; 3],
) {
    let lanes = size_of::<S::f32s>() / size_of::<f32>();
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    let rows: [&[f32]; ROWS] = std::array::from_fn(|offset| &a.row(row + offset)[..depth]);
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
            let (mut a, mut b, mut c) =
                (PaddedMatrix::default(), PaddedMatrix::default(), PaddedMatrix::default());
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
