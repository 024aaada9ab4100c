//! The factors of a product.

/// A matrix or its transpose, without a copy.
#[derive(Clone, Copy)]
pub(in crate::train::ops) struct View<'a> {
    pub(super) values: &'a [f32],
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Values from a row to the next, and from a column to the next.
    pub(super) strides: [isize; 2],
}

impl<'a> View<'a> {
    /// A row-major matrix of `columns` columns.
    pub(in crate::train::ops) fn new(values: &'a [f32], columns: usize) -> Self {
        let rows = values.len() / columns.max(1);
        Self { values, rows, columns, strides: [columns.cast_signed(), 1] }
    }

    /// The transpose.
    pub(in crate::train::ops) const fn transposed(self) -> Self {
        let [row, column] = self.strides;
        Self { rows: self.columns, columns: self.rows, strides: [column, row], ..self }
    }
}
