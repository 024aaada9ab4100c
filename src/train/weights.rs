//! Named parameters outside any backend: values, a safetensors file of them, and fresh ones.
//!
//! Names and layouts are Hugging Face's: a linear layer's weight is `[out, in]`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::{Dtype, tensor::TensorView};

use super::{family::Family, layout, masks};
use crate::files;

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
        let failed = |source| WeightsError::Write { path: path.to_owned(), source };
        let too_large = |value: &f32| value.is_finite() && half::f16::from_f32(*value).is_infinite();
        if precision == Precision::F16
            && let Some((name, _)) = self.iter().find(|(_, stored)| stored.values.iter().any(too_large))
        {
            return Err(WeightsError::TooLarge { name: name.to_owned() });
        }
        let bytes: Vec<(&str, &[usize], Vec<u8>)> = self
            .iter()
            .map(|(name, stored)| (name, stored.shape.as_slice(), precision.bytes(&stored.values)))
            .collect();
        let views = bytes
            .iter()
            .map(|(name, shape, bytes)| {
                Ok((*name, TensorView::new(precision.dtype(), shape.to_vec(), bytes)?))
            })
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|error| failed(std::io::Error::other(error)))?;
        // `transformers` refuses files without this entry.
        let metadata = [("format".to_owned(), "pt".to_owned())].into();
        let file = safetensors::serialize(views, Some(metadata))
            .map_err(|error| failed(std::io::Error::other(error)))?;
        files::write_atomically(path, &file).map_err(failed)
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

    fn bytes(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::F16 => values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()).collect(),
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

/// A checkpoint's parameters; what it may lack (the head) begins fresh, as in `transformers`.
pub(crate) struct Pretrained<'a> {
    /// The file's contents.
    pub(crate) weights: &'a Weights,
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
        let found = layout::spellings(self.family, name).iter().find_map(|name| self.weights.get(name));
        let anew = self.anew.iter().any(|part| name.starts_with(part));
        match found {
            Some(stored) if stored.shape == shape && !anew => Ok(stored.values.clone()),
            // A classifier of another task, or none; or what is to begin anew.
            _ if optional || anew => Ok(fresh(self.seed, name, shape, start)),
            Some(stored) => Err(WeightsError::Shape {
                name: name.to_owned(),
                found: stored.shape.clone(),
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
