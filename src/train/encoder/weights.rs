//! Named parameters outside any backend, and safetensors files of them.
//!
//! Names and layouts are Hugging Face's: a linear layer's weight is `[out, in]`.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Write},
    path::PathBuf,
};

use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};
use sha2::{Digest, Sha256};

use crate::{
    fingerprint,
    system::files::{self, Place},
};

/// One parameter: shape and row-major values.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// The values, row-major.
    pub values: Vec<f32>,
}

/// Parameters by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    tensors: BTreeMap<String, Stored>,
}

/// Why parameters could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file could not be written.
    #[error("writing {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A value that a 16-bit float cannot hold.
    #[error("tensor \"{name}\" has values beyond what f16 holds (65504); write it as f32")]
    TooLarge {
        /// The tensor.
        name: String,
    },
}

/// The type that values are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits: the values as they are.
    #[default]
    F32,
    /// 16 bits, IEEE 754; half the size.
    F16,
}

impl Weights {
    /// Adds or replaces a parameter.
    pub fn insert(&mut self, name: impl Into<String>, shape: Vec<usize>, values: Vec<f32>) {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        self.tensors.insert(name.into(), Stored { shape, values });
    }

    /// The parameter called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Stored> {
        self.tensors.get(name)
    }

    /// Every parameter, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Stored)> {
        self.tensors.iter().map(|(name, stored)| (name.as_str(), stored))
    }

    /// Writes a safetensors file, atomically.
    ///
    /// # Errors
    /// When the file cannot be written, or a value is too large for `precision`. An older file stays as it is.
    pub fn write(&self, place: &Place, precision: Precision) -> Result<(), WeightsError> {
        let too_large = |value: &f32| value.is_finite() && half::f16::from_f32(*value).is_infinite();
        if precision == Precision::F16
            && let Some((name, _)) = self.iter().find(|(_, stored)| stored.values.iter().any(too_large))
        {
            return Err(WeightsError::TooLarge { name: name.to_owned() });
        }
        files::replace_atomically(place, |file| self.write_to(file, precision).map(drop))
            .map_err(|source| WeightsError::Write { path: place.path().to_owned(), source })
    }

    /// Writes a safetensors file, not atomically, and returns the file's SHA-256.
    pub(crate) fn write_to(&self, file: &mut File, precision: Precision) -> io::Result<String> {
        // `transformers` refuses files without this entry.
        let entries = [("format".to_owned(), "pt".to_owned())].into();
        let tensors: Vec<_> = self
            .iter()
            .map(|(name, stored)| (name, stored.shape.as_slice(), stored.values.as_slice()))
            .collect();
        write_safetensors(file, entries, &tensors, precision)
    }
}

/// A tensor to be written: name, shape, values.
pub(crate) type NamedTensor<'a> = (&'a str, &'a [usize], &'a [f32]);

/// Writes `tensors`, which are in the order of their names, as a safetensors file, and returns the file's
/// SHA-256. Only [`VALUES_AT_A_TIME`] values are copied at a time.
pub(crate) fn write_safetensors(
    file: &mut File,
    entries: HashMap<String, String>,
    tensors: &[NamedTensor<'_>],
    precision: Precision,
) -> io::Result<String> {
    let mut end = 0;
    let infos = tensors.iter().map(|(name, shape, values)| {
        let start = end;
        end += values.len() * precision.size();
        let info = TensorInfo { dtype: precision.dtype(), shape: shape.to_vec(), data_offsets: (start, end) };
        ((*name).to_owned(), info)
    });
    let metadata = Metadata::new(Some(entries), infos.collect()).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&metadata)?;
    // The format wants the data aligned to eight bytes, and spaces before it.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut out = Hashing { file, hash: Sha256::new() };
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    let mut bytes = Vec::new();
    for values in tensors.iter().flat_map(|(.., values)| values.chunks(VALUES_AT_A_TIME)) {
        bytes.clear();
        precision.append(values, &mut bytes);
        out.write_all(&bytes)?;
    }
    Ok(fingerprint::hex(&out.hash.finalize()))
}

/// Values that are converted to bytes together.
const VALUES_AT_A_TIME: usize = 1 << 18;

/// A file, and the digest of the bytes that are written into it.
struct Hashing<'a> {
    file: &'a mut File,
    hash: Sha256,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Precision {
    /// PyTorch's name.
    pub(crate) const fn torch_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
        }
    }

    const fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
        }
    }

    const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// Appends the bytes of `values`, little-endian.
    pub(crate) fn append(self, values: &[f32], bytes: &mut Vec<u8>) {
        match self {
            Self::F32 => bytes.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            Self::F16 => {
                bytes.extend(values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights with a value that f16 cannot hold.
    fn too_large_for_f16() -> Weights {
        let mut weights = Weights::default();
        weights.insert("a", vec![2], vec![1.0, 7e4]);
        weights
    }

    #[test]
    fn a_value_beyond_f16_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let error = too_large_for_f16().write(&Place::of(&path), Precision::F16).unwrap_err().to_string();
        assert_eq!(error, "tensor \"a\" has values beyond what f16 holds (65504); write it as f32");
    }

    #[test]
    fn no_file_is_written_when_a_value_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        too_large_for_f16().write(&Place::of(&path), Precision::F16).unwrap_err();
        assert!(!path.exists());
    }

    #[test]
    fn a_value_beyond_f16_can_be_written_as_f32() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        too_large_for_f16().write(&Place::of(&path), Precision::F32).unwrap();
        assert!(path.exists());
    }
}
