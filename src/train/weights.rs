//! Named parameters outside any backend: safetensors files, and fresh values.
//!
//! Names and layouts are Hugging Face's: a linear layer's weight is `[out, in]`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::masks;
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

/// Why parameters could not be read, written or used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file could not be read.
    #[error("reading {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is damaged or cut off.
    #[error("{path} is not a whole safetensors file")]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        source: safetensors::SafeTensorError,
    },
    /// The file could not be written.
    #[error("writing {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A tensor of a type that holds no weights.
    #[error("{path}: tensor \"{name}\" has type {dtype}; supported: F32, F16, BF16")]
    Type {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type.
        dtype: String,
    },
    /// A tensor that the encoder needs is not there.
    #[error(
        "tensor \"{name}\" is missing; the checkpoint does not hold the encoder that its config.json describes"
    )]
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

    /// Reads a safetensors file; f16 and bf16 become f32. Integer tensors (position ids) are skipped.
    ///
    /// # Errors
    /// When the file is missing, damaged, or holds floats of another width.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let bytes =
            std::fs::read(path).map_err(|source| WeightsError::Read { path: path.to_owned(), source })?;
        let file = SafeTensors::deserialize(&bytes)
            .map_err(|source| WeightsError::Format { path: path.to_owned(), source })?;
        let mut weights = Self::default();
        for (name, view) in file.tensors() {
            if matches!(view.dtype(), Dtype::I64 | Dtype::I32 | Dtype::U8 | Dtype::BOOL) {
                continue;
            }
            let values = floats(&view).ok_or_else(|| WeightsError::Type {
                path: path.to_owned(),
                name: name.clone(),
                dtype: format!("{:?}", view.dtype()),
            })?;
            weights.insert(name, view.shape().to_vec(), values);
        }
        Ok(weights)
    }

    /// Writes a safetensors file of f32, atomically.
    ///
    /// # Errors
    /// When the file cannot be written; an older one is left as it was then.
    pub fn write(&self, path: &Path) -> Result<(), WeightsError> {
        let failed = |source| WeightsError::Write { path: path.to_owned(), source };
        let bytes: Vec<(&str, &[usize], Vec<u8>)> = self
            .iter()
            .map(|(name, stored)| {
                (name, stored.shape.as_slice(), stored.values.iter().flat_map(|v| v.to_le_bytes()).collect())
            })
            .collect();
        let views = bytes
            .iter()
            .map(|(name, shape, bytes)| Ok((*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|error| failed(std::io::Error::other(error)))?;
        // `transformers` refuses files without this entry.
        let metadata = [("format".to_owned(), "pt".to_owned())].into();
        let file = safetensors::serialize(views, Some(metadata))
            .map_err(|error| failed(std::io::Error::other(error)))?;
        files::write_atomically(path, &file).map_err(failed)
    }
}

fn floats(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let data = view.data();
    match view.dtype() {
        Dtype::F32 => Some(data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
        Dtype::F16 => Some(
            data.as_chunks::<2>().0.iter().map(|bytes| half::f16::from_le_bytes(*bytes).to_f32()).collect(),
        ),
        Dtype::BF16 => Some(
            data.as_chunks::<2>().0.iter().map(|bytes| half::bf16::from_le_bytes(*bytes).to_f32()).collect(),
        ),
        _ => None,
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

/// A checkpoint's parameters; what it may lack (pooler, classifier) begins fresh, as in `transformers`.
pub(crate) struct Pretrained<'a> {
    /// The file's contents.
    pub(crate) weights: &'a Weights,
    /// Seeds what is fresh.
    pub(crate) seed: u64,
    /// Whether pooler and classifier must be there, with the right shape: for inference.
    pub(crate) complete: bool,
}

impl Source for Pretrained<'_> {
    fn take(&self, name: &str, shape: &[usize], start: Fresh) -> Result<Vec<f32>, WeightsError> {
        let optional =
            !self.complete && (name.starts_with("bert.pooler.") || name.starts_with("classifier."));
        // Checkpoints of the bare encoder have no `bert.` before their names; old ones call LayerNorm's
        // parameters gamma and beta.
        let bare = name.strip_prefix("bert.").unwrap_or(name);
        let old =
            bare.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        let found = [name.to_owned(), bare.to_owned(), format!("bert.{old}"), old]
            .iter()
            .find_map(|candidate| self.weights.get(candidate));
        match found {
            Some(stored) if stored.shape == shape => Ok(stored.values.clone()),
            // A classifier of another task.
            Some(_) if optional && name.starts_with("classifier.") => {
                Ok(fresh(self.seed, name, shape, start))
            }
            Some(stored) => Err(WeightsError::Shape {
                name: name.to_owned(),
                found: stored.shape.clone(),
                expected: shape.to_vec(),
            }),
            None if optional => Ok(fresh(self.seed, name, shape, start)),
            None => Err(WeightsError::Missing { name: name.to_owned() }),
        }
    }
}
