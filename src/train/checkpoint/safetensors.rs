//! The header of a safetensors file.

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use safetensors::{Dtype, tensor::Metadata};

use super::{
    error::{CheckpointError, FileFault},
    tensor_place::{FloatType, TensorPlace, Tensors},
};

/// The longest header that is read, in bytes. A real one names some hundred tensors in some hundred bytes each.
const HEADER_MAX: u64 = 10_000_000;

/// Reads where each float tensor of `file`, which is `length` bytes long, lies.
pub(super) fn tensors(path: &Path, file: &File, length: u64) -> Result<Tensors, CheckpointError> {
    let (metadata, start) = read_header(path, file, length)?;
    let mut tensors = Tensors::new();
    for (name, info) in metadata.tensors() {
        let dtype = match info.dtype {
            Dtype::F64 => FloatType::F64,
            Dtype::F32 => FloatType::F32,
            Dtype::F16 => FloatType::F16,
            Dtype::BF16 => FloatType::Bf16,
            Dtype::I64 | Dtype::I32 | Dtype::I16 | Dtype::I8 | Dtype::U8 | Dtype::BOOL => continue,
            other => {
                let (path, dtype) = (path.to_owned(), format!("{other:?}"));
                return Err(CheckpointError::Type { path, name, dtype });
            }
        };
        let start = start + info.data_offsets.0 as u64;
        tensors.insert(name, TensorPlace { dtype, shape: info.shape.clone(), start, strides: None });
    }
    Ok(tensors)
}

/// Reads and checks the header. Returns it with the byte at which the values begin.
fn read_header(path: &Path, file: &File, length: u64) -> Result<(Metadata, u64), CheckpointError> {
    let damaged = |source| CheckpointError::Safetensors { path: path.to_owned(), source };
    let read = |source| CheckpointError::Read { path: path.to_owned(), source };
    if length < 8 {
        return Err(damaged(FileFault::TooShort { length }));
    }
    let mut size = [0; 8];
    file.read_exact_at(&mut size, 0).map_err(read)?;
    let header = u64::from_le_bytes(size);
    if header > length - 8 {
        return Err(damaged(FileFault::HeaderBeyondEnd { header }));
    }
    if header > HEADER_MAX {
        return Err(damaged(FileFault::HeaderTooLong { header, max: HEADER_MAX }));
    }
    let mut json = vec![0; usize::try_from(header).unwrap_or(0)];
    file.read_exact_at(&mut json, 8).map_err(read)?;
    let metadata: Metadata =
        serde_json::from_slice(&json).map_err(|error| damaged(FileFault::Header(error)))?;
    let start = 8 + header;
    // The library has checked that every tensor lies within this length.
    let expected = start.checked_add(metadata.data_len() as u64);
    if expected != Some(length) {
        let expected = expected.map_or_else(|| "far more".to_owned(), |expected| expected.to_string());
        return Err(damaged(FileFault::Length { length, expected }));
    }
    Ok((metadata, start))
}
