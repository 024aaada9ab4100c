//! The header of a safetensors file.

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use safetensors::{Dtype, tensor::Metadata};

use super::{CheckpointError, Float, Place, Tensors};

/// A header names some hundred tensors, each on some hundred bytes; this is far more than any has.
const LONGEST_HEADER: u64 = 10_000_000;

/// Where each float tensor of `file`, `length` bytes long, lies.
pub(super) fn tensors(path: &Path, file: &File, length: u64) -> Result<Tensors, CheckpointError> {
    let damaged = |reason: String| CheckpointError::Safetensors { path: path.to_owned(), reason };
    let read = |source| CheckpointError::Read { path: path.to_owned(), source };
    if length < 8 {
        return Err(damaged(format!("it has {length} bytes")));
    }
    let mut size = [0; 8];
    file.read_exact_at(&mut size, 0).map_err(read)?;
    let header = u64::from_le_bytes(size);
    if header > length - 8 {
        return Err(damaged(format!("its header of {header} bytes goes beyond its end")));
    }
    if header > LONGEST_HEADER {
        return Err(damaged(format!("its header has {header} bytes, more than {LONGEST_HEADER}")));
    }
    let mut json = vec![0; usize::try_from(header).unwrap_or(0)];
    file.read_exact_at(&mut json, 8).map_err(read)?;
    let metadata: Metadata = serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?;
    let start = 8 + header;
    // Every offset lies between them, as the library makes sure.
    let expected = start.checked_add(metadata.data_len() as u64);
    if expected != Some(length) {
        let expected = expected.map_or_else(|| "far more".to_owned(), |expected| expected.to_string());
        return Err(damaged(format!("it has {length} bytes, its header speaks of {expected}")));
    }
    let mut tensors = Tensors::new();
    for (name, info) in metadata.tensors() {
        let dtype = match info.dtype {
            Dtype::F64 => Float::F64,
            Dtype::F32 => Float::F32,
            Dtype::F16 => Float::F16,
            Dtype::BF16 => Float::Bf16,
            Dtype::I64 | Dtype::I32 | Dtype::I16 | Dtype::I8 | Dtype::U8 | Dtype::BOOL => continue,
            other => {
                let (path, dtype) = (path.to_owned(), format!("{other:?}"));
                return Err(CheckpointError::Type { path, name, dtype });
            }
        };
        let start = start + info.data_offsets.0 as u64;
        tensors.insert(name, Place { dtype, shape: info.shape.clone(), start, strides: None });
    }
    Ok(tensors)
}
