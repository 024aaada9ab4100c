//! Where a tensor lies in its file, and how its values are read from there.

use std::{collections::BTreeMap, fs::File, io, os::unix::fs::FileExt};

/// The largest number of dimensions: tensors with more hold no parameters of an encoder.
const DIMENSIONS_MAX: usize = 8;

/// The number of values from which a shape is taken for damaged: beyond all memory.
const COUNT_MAX: usize = 1 << 48;

/// The type of a tensor's values in its file. All types are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FloatType {
    F64,
    F32,
    F16,
    Bf16,
}

impl FloatType {
    /// Bytes of a value.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// Converts values to f32 from their bytes.
    #[expect(clippy::cast_possible_truncation, reason = "parameters are f32")]
    fn read(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F64 => {
                bytes.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect()
            }
            Self::F32 => bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Self::F16 => {
                let halves = bytes.as_chunks::<2>().0.iter();
                halves.map(|bytes| half::f16::from_le_bytes(*bytes).to_f32()).collect()
            }
            Self::Bf16 => {
                let halves = bytes.as_chunks::<2>().0.iter();
                halves.map(|bytes| half::bf16::from_le_bytes(*bytes).to_f32()).collect()
            }
        }
    }
}

/// The tensors of one file, by name.
pub(super) type Tensors = BTreeMap<String, TensorPlace>;

/// Where a tensor lies in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TensorPlace {
    pub(super) dtype: FloatType,
    pub(super) shape: Vec<usize>,
    /// The byte of the first value.
    pub(super) start: u64,
    /// By dimension: the number of values from one element to the next. `None`: row-major, without gaps.
    pub(super) strides: Option<Vec<usize>>,
}

impl TensorPlace {
    /// The number of values from the first one in the file to the last one; `None` when no memory could hold them.
    fn span(&self) -> Option<usize> {
        let count = count(&self.shape)?;
        let Some(strides) = &self.strides else { return Some(count) };
        if count == 0 {
            return Some(0);
        }
        let furthest = self.shape.iter().zip(strides).try_fold(0_usize, |sum, (size, stride)| {
            (size - 1).checked_mul(*stride).and_then(|far| sum.checked_add(far))
        });
        furthest?.checked_add(1)
    }

    /// Bytes of all elements. A value that stands for several elements counts for each of them.
    pub(super) fn bytes(&self) -> Option<u64> {
        u64::try_from(count(&self.shape)?).ok()?.checked_mul(self.dtype.bytes() as u64)
    }

    /// Reads the values from `file`, row-major.
    pub(super) fn read(&self, file: &File) -> io::Result<Vec<f32>> {
        let count = self.span().unwrap_or(0);
        let values = if self.dtype == FloatType::F32 && cfg!(target_endian = "little") {
            // Straight into the result, so that no value is in memory twice.
            let mut values = vec![0.0_f32; count];
            file.read_exact_at(bytemuck::cast_slice_mut(&mut values), self.start)?;
            values
        } else {
            let mut bytes = vec![0; count * self.dtype.bytes()];
            file.read_exact_at(&mut bytes, self.start)?;
            self.dtype.read(&bytes)
        };
        Ok(match &self.strides {
            None => values,
            Some(strides) => gather(&values, &self.shape, strides),
        })
    }

    /// The byte after the last value; `None` when no file could be that long.
    pub(super) fn end(&self) -> Option<u64> {
        let bytes = self.span()?.checked_mul(self.dtype.bytes())?;
        self.start.checked_add(bytes as u64)
    }
}

/// The product of a shape's sizes; `None` when no memory could hold as many values.
fn count(shape: &[usize]) -> Option<usize> {
    (shape.len() <= DIMENSIONS_MAX).then_some(())?;
    shape
        .iter()
        .try_fold(1_usize, |product, size| product.checked_mul(*size))
        .filter(|&count| count < COUNT_MAX)
}

/// Returns the values of a tensor with gaps or transposed dimensions, row-major.
fn gather(values: &[f32], shape: &[usize], strides: &[usize]) -> Vec<f32> {
    let Some((&rows, rest)) = shape.split_first() else { return values.to_vec() };
    let Some((&stride, rest_strides)) = strides.split_first() else { return values.to_vec() };
    (0..rows)
        .flat_map(|row| {
            let start = (row * stride).min(values.len());
            if rest.is_empty() {
                values[start..].first().copied().into_iter().collect()
            } else {
                gather(&values[start..], rest, rest_strides)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_tensor_is_read_row_by_row() {
        // The transpose of [[1, 2, 3], [4, 5, 6]].
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(gather(&values, &[3, 2], &[1, 3]), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(gather(&values, &[2, 3], &[3, 1]), values);
    }

    #[test]
    fn a_shape_beyond_all_memory_is_no_shape() {
        let place =
            |shape: Vec<usize>, strides| TensorPlace { dtype: FloatType::F32, shape, start: 0, strides };
        assert_eq!(place(vec![usize::MAX, 2], None).end(), None);
        assert_eq!(place(vec![2, 3], Some(vec![usize::MAX, 1])).end(), None);
        assert_eq!(place(vec![2, 3], Some(vec![1, 2])).end(), Some(24));
        assert_eq!(place(vec![1; 9], None).end(), None);
    }
}
