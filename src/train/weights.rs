//! Named parameters outside any backend: values, a safetensors file of them, and fresh ones.
//!
//! Names and layouts are Hugging Face's: a linear layer's weight is `[out, in]`.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};
use sha2::{Digest, Sha256};

use super::{checkpoint::CheckpointError, family::Family, layout, masks};
use crate::{fingerprint, system::files};

/// One parameter: shape and row-major values.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// As many values as the shape says.
    pub values: Vec<f32>,
}

/// Parameters by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    tensors: BTreeMap<String, Stored>,
}

/// Why parameters could not be written or used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file could not be written.
    #[error("writing {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A value that a 16-bit float cannot hold.
    #[error("tensor \"{name}\" has values beyond what f16 holds (65504); write it as f32")]
    TooLarge {
        /// The tensor.
        name: String,
    },
    /// A tensor could not be read.
    #[error(transparent)]
    Read(Box<CheckpointError>),
    /// A tensor that the model needs is not there.
    #[error("tensor \"{name}\" is missing")]
    Missing {
        /// The tensor.
        name: String,
    },
    /// A tensor has another shape than the config says.
    #[error("tensor \"{name}\" has shape {found:?}, but config.json asks for {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape by the config.
        expected: Vec<usize>,
    },
}

/// The type of the values in a file that is written.
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
    /// When the file cannot be written; an older one is left as it was then.
    pub fn write(&self, path: &Path, precision: Precision) -> Result<(), WeightsError> {
        let too_large = |value: &f32| value.is_finite() && half::f16::from_f32(*value).is_infinite();
        if precision == Precision::F16
            && let Some((name, _)) = self.iter().find(|(_, stored)| stored.values.iter().any(too_large))
        {
            return Err(WeightsError::TooLarge { name: name.to_owned() });
        }
        files::replace_atomically(path, |temporary| self.write_to(temporary, precision).map(drop))
            .map_err(|source| WeightsError::Write { path: path.to_owned(), source })
    }

    /// Writes a safetensors file, not atomically; the answer is the file's SHA-256.
    pub(crate) fn write_to(&self, path: &Path, precision: Precision) -> io::Result<String> {
        // `transformers` refuses files without this entry.
        let entries = [("format".to_owned(), "pt".to_owned())].into();
        let tensors: Vec<_> = self
            .iter()
            .map(|(name, stored)| (name, stored.shape.as_slice(), stored.values.as_slice()))
            .collect();
        write_safetensors(path, entries, &tensors, precision)
    }
}

/// A tensor to be written: name, shape, values.
pub(crate) type Part<'a> = (&'a str, &'a [usize], &'a [f32]);

/// Writes `parts`, which are in the order of their names, as a safetensors file; the answer is the
/// file's SHA-256. Nothing is copied but a few values at a time.
pub(crate) fn write_safetensors(
    path: &Path,
    entries: HashMap<String, String>,
    parts: &[Part<'_>],
    precision: Precision,
) -> io::Result<String> {
    let mut end = 0;
    let infos = parts.iter().map(|(name, shape, values)| {
        let start = end;
        end += values.len() * precision.size();
        let info = TensorInfo { dtype: precision.dtype(), shape: shape.to_vec(), data_offsets: (start, end) };
        ((*name).to_owned(), info)
    });
    let metadata = Metadata::new(Some(entries), infos.collect()).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&metadata)?;
    // The format wants the data aligned to eight bytes, and spaces before it.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut out = Hashing { file: File::create(path)?, hash: Sha256::new() };
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    let mut bytes = Vec::new();
    for values in parts.iter().flat_map(|(.., values)| values.chunks(VALUES_AT_A_TIME)) {
        bytes.clear();
        precision.append(values, &mut bytes);
        out.write_all(&bytes)?;
    }
    Ok(fingerprint::hex(&out.hash.finalize()))
}

/// Values that are turned into bytes together.
const VALUES_AT_A_TIME: usize = 1 << 18;

/// A file and the digest of what is written into it.
struct Hashing {
    file: File,
    hash: Sha256,
}

impl Write for Hashing {
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

    /// Adds the bytes of `values`, little-endian.
    pub(crate) fn append(self, values: &[f32], bytes: &mut Vec<u8>) {
        match self {
            Self::F32 => bytes.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            Self::F16 => {
                bytes.extend(values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()));
            }
        }
    }
}

/// How a fresh parameter begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fresh {
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
    /// All zeros.
    Zeros,
    /// All ones.
    Ones,
}

/// Where a model's parameters come from.
pub(crate) trait Source {
    /// The values of `name`, row-major in `shape`; `fresh` says how it begins when it is new.
    fn take(&self, name: &str, shape: &[usize], fresh: Fresh) -> Result<Vec<f32>, WeightsError>;
}

/// The fresh values of `name`: a function of seed, name and shape alone.
pub(crate) fn fresh(seed: u64, name: &str, shape: &[usize], fresh: Fresh) -> Vec<f32> {
    let count = shape.iter().product();
    match fresh {
        Fresh::Zeros => vec![0.0; count],
        Fresh::Ones => vec![1.0; count],
        Fresh::Normal(deviation) => {
            let name_key = name.bytes().fold(0, |key, byte| masks::mix(key ^ u64::from(byte)));
            let mut rng = ChaCha8Rng::seed_from_u64(masks::key(&[seed, name_key]));
            normal(&mut rng, count, deviation)
        }
    }
}

/// Box–Muller: `rand` alone has no normal distribution.
#[expect(clippy::cast_possible_truncation, reason = "parameters are f32")]
fn normal(rng: &mut ChaCha8Rng, count: usize, deviation: f64) -> Vec<f32> {
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt() * deviation;
        let angle = std::f64::consts::TAU * rng.random::<f64>();
        values.push((radius * angle.cos()) as f32);
        values.push((radius * angle.sin()) as f32);
    }
    values.truncate(count);
    values
}

/// Parameters by name, in memory or in files.
pub(crate) trait Lookup {
    /// The shape of the one called `name`.
    fn shape(&self, name: &str) -> Option<&[usize]>;

    /// Its values.
    fn values(&self, name: &str) -> Result<Vec<f32>, WeightsError>;
}

impl Lookup for Weights {
    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.get(name).map(|stored| stored.shape.as_slice())
    }

    fn values(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let missing = || WeightsError::Missing { name: name.to_owned() };
        self.get(name).map(|stored| stored.values.clone()).ok_or_else(missing)
    }
}

/// A checkpoint's parameters; what it may lack (the head) begins fresh, as in `transformers`.
pub(crate) struct Pretrained<'a> {
    /// The tensors.
    pub(crate) weights: &'a dyn Lookup,
    /// Whose names they are.
    pub(crate) family: &'static Family,
    /// Seeds what is fresh.
    pub(crate) seed: u64,
    /// Beginnings of the names of what begins fresh although it is there.
    pub(crate) anew: Vec<String>,
    /// Whether the head must be there, with the right shape: for inference.
    pub(crate) complete: bool,
}

impl Source for Pretrained<'_> {
    fn take(&self, name: &str, shape: &[usize], start: Fresh) -> Result<Vec<f32>, WeightsError> {
        let optional = !self.complete && self.family.is_head(name);
        let spellings = layout::spellings(self.family, name);
        let found = spellings.iter().find_map(|name| Some((name, self.weights.shape(name)?)));
        let anew = self.anew.iter().any(|part| name.starts_with(part));
        match found {
            Some((name, found)) if found == shape && !anew => self.weights.values(name),
            // A classifier of another task, or none; or what is to begin anew.
            _ if optional || anew => Ok(fresh(self.seed, name, shape, start)),
            Some((_, found)) => Err(WeightsError::Shape {
                name: name.to_owned(),
                found: found.to_vec(),
                expected: shape.to_vec(),
            }),
            None => Err(WeightsError::Missing { name: name.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_beyond_f16_is_refused_by_name_and_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let mut weights = Weights::default();
        weights.insert("a", vec![2], vec![1.0, 7e4]);
        let error = weights.write(&path, Precision::F16).unwrap_err().to_string();
        assert_eq!(error, "tensor \"a\" has values beyond what f16 holds (65504); write it as f32");
        assert!(!path.exists());
        weights.write(&path, Precision::F32).unwrap();
    }
}
