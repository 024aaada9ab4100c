//! Where a model's parameters come from: from a checkpoint, or fresh from a seed.

use std::{io, path::PathBuf};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{family::Family, layout, weights::Weights};
use crate::train::masks;

/// Why a parameter could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file of the checkpoint could not be read.
    #[error("reading {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
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

/// How the values of a fresh parameter are chosen.
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
pub(crate) trait ParameterSource {
    /// Returns the values of the parameter `name`, row-major in `shape`. `fresh` tells how the values are chosen
    /// when the source has none.
    fn take(&self, name: &str, shape: &[usize], fresh: Fresh) -> Result<Vec<f32>, SourceError>;
}

/// Returns the fresh values of the parameter `name`: a function of seed, name and shape alone.
pub(crate) fn fresh_values(seed: u64, name: &str, shape: &[usize], fresh: Fresh) -> Vec<f32> {
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

/// Draws `count` normal values with mean 0.
// Box and Muller 1958: with u and v uniform in (0, 1], √(−2 ln u) · cos(2πv) and √(−2 ln u) · sin(2πv) are two
// independent standard normal values. `rand` alone has no normal distribution.
#[expect(clippy::cast_possible_truncation, reason = "parameters are f32")]
fn normal(rng: &mut ChaCha8Rng, count: usize, deviation: f64) -> Vec<f32> {
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        // `random` is in [0, 1), and the logarithm of 0 is not finite.
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
    /// The shape of the parameter called `name`; `None` when there is no such parameter.
    fn shape(&self, name: &str) -> Option<&[usize]>;

    /// Reads the values of the parameter called `name`, row-major.
    fn values(&self, name: &str) -> Result<Vec<f32>, SourceError>;
}

impl Lookup for Weights {
    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.get(name).map(|stored| stored.shape.as_slice())
    }

    fn values(&self, name: &str) -> Result<Vec<f32>, SourceError> {
        let missing = || SourceError::Missing { name: name.to_owned() };
        self.get(name).map(|stored| stored.values.clone()).ok_or_else(missing)
    }
}

/// A checkpoint's parameters. Those that the checkpoint may lack (the head) are fresh, as in `transformers`.
pub(crate) struct Pretrained<'a> {
    /// The checkpoint's tensors.
    pub(crate) weights: &'a dyn Lookup,
    /// The family whose names the tensors have.
    pub(crate) family: &'static Family,
    /// The seed of fresh parameters.
    pub(crate) seed: u64,
    /// Prefixes of the names of parameters that are fresh although the checkpoint has them.
    pub(crate) reinitialised: Vec<String>,
    /// Whether the checkpoint must have the head, with the right shape: for inference.
    pub(crate) complete: bool,
}

impl ParameterSource for Pretrained<'_> {
    fn take(&self, name: &str, shape: &[usize], fresh: Fresh) -> Result<Vec<f32>, SourceError> {
        let optional = !self.complete && self.family.is_head(name);
        let spellings = layout::spellings(self.family, name);
        let found = spellings.iter().find_map(|name| Some((name, self.weights.shape(name)?)));
        let reinitialised = self.reinitialised.iter().any(|prefix| name.starts_with(prefix));
        match found {
            Some((name, found)) if found == shape && !reinitialised => self.weights.values(name),
            // The checkpoint has no head, or one for other classes; or the parameter is to be reinitialised.
            _ if optional || reinitialised => Ok(fresh_values(self.seed, name, shape, fresh)),
            Some((_, found)) => Err(SourceError::Shape {
                name: name.to_owned(),
                found: found.to_vec(),
                expected: shape.to_vec(),
            }),
            None => Err(SourceError::Missing { name: name.to_owned() }),
        }
    }
}
