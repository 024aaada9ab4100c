//! A checkpoint's tensors: which files hold them, their names and shapes, and their values.
//!
//! A [`Catalog`] is read without the values, so that a checkpoint is judged before
//! anything is trained. Nothing in a file is ever executed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::weights::{Lookup, Weights, WeightsError};
use crate::hub::WEIGHT_FILES;

mod pickle;
mod safetensors;
mod torch;

pub use pickle::PickleError;

/// Tensors of more dimensions than this hold no parameters of an encoder.
const MOST_DIMENSIONS: usize = 8;

/// How often a file's bytes may be used, over all tensors: tied weights share theirs.
const MOST_SHARING: u64 = 4;

/// Why a checkpoint's files could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// No file with parameters is there.
    #[error("{folder} holds none of {}", WEIGHT_FILES.join(", "))]
    Absent {
        /// The folder.
        folder: PathBuf,
    },
    /// A file could not be read.
    #[error("reading {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is damaged or cut off.
    #[error("{path} is not a whole safetensors file: {reason}")]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// An index of shards that cannot be used.
    #[error("{path} is no index of shards: {reason}")]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The index names a tensor that its shard lacks.
    #[error("{path} says that tensor \"{name}\" is in {shard}, but it is not")]
    Shard {
        /// The index.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The shard.
        shard: String,
    },
    /// The file is no archive that `torch.save` writes, or is cut off.
    #[error("{path} is not a whole PyTorch file: {reason}")]
    Torch {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The list of tensors in a PyTorch file is not one.
    #[error("{path} is not a PyTorch file of tensors alone")]
    Pickle {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: PickleError,
    },
    /// A tensor of a type that holds no weights.
    #[error("{path}: tensor \"{name}\" has type {dtype}; supported: F64, F32, F16, BF16")]
    Type {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type.
        dtype: String,
    },
}

/// The type of a tensor's values in its file; all are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Float {
    F64,
    F32,
    F16,
    Bf16,
}

impl Float {
    const fn bytes(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

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

/// Where a tensor lies in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    dtype: Float,
    shape: Vec<usize>,
    /// Byte of the first value.
    start: u64,
    /// Values between neighbours of each dimension; `None`: row-major, without gaps.
    strides: Option<Vec<usize>>,
}

impl Place {
    /// Values from the first one in the file to the last one; `None` when that is no number.
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

    /// Bytes of its values, each counted as often as it occurs.
    fn bytes(&self) -> Option<u64> {
        u64::try_from(count(&self.shape)?).ok()?.checked_mul(self.dtype.bytes() as u64)
    }

    /// The values in `file`, row-major.
    fn read(&self, file: &File) -> io::Result<Vec<f32>> {
        let count = self.span().unwrap_or(0);
        let values = if self.dtype == Float::F32 && cfg!(target_endian = "little") {
            // Straight to where they belong, so that none is in memory twice.
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

    /// Byte after the last value.
    fn end(&self) -> Option<u64> {
        let bytes = self.span()?.checked_mul(self.dtype.bytes())?;
        self.start.checked_add(bytes as u64)
    }
}

/// The product of a shape's sizes, unless it is beyond all memory.
fn count(shape: &[usize]) -> Option<usize> {
    (shape.len() <= MOST_DIMENSIONS).then_some(())?;
    shape
        .iter()
        .try_fold(1_usize, |product, size| product.checked_mul(*size))
        .filter(|&count| count < 1 << 48)
}

/// The tensors of one file, by name.
type Tensors = BTreeMap<String, Place>;

/// Every tensor of a checkpoint: its file, its place there, its shape. Integer tensors are left out.
#[derive(Debug, Default)]
pub struct Catalog {
    tensors: BTreeMap<String, (PathBuf, Place)>,
}

impl Catalog {
    /// Reads the names and shapes in `folder`.
    ///
    /// # Errors
    /// When no file with parameters is there, or one is damaged.
    pub fn open(folder: &Path) -> Result<Self, CheckpointError> {
        let found = WEIGHT_FILES.iter().map(|name| folder.join(name)).find(|path| path.is_file());
        let path = found.ok_or_else(|| CheckpointError::Absent { folder: folder.to_owned() })?;
        if path.extension().is_some_and(|extension| extension == "json") {
            Self::of_shards(&path)
        } else {
            Self::of_file(&path)
        }
    }

    /// Reads the names and shapes in one file, by its ending.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn of_file(path: &Path) -> Result<Self, CheckpointError> {
        let tensors = tensors(path)?.into_iter();
        Ok(Self { tensors: tensors.map(|(name, place)| (name, (path.to_owned(), place))).collect() })
    }

    fn of_shards(path: &Path) -> Result<Self, CheckpointError> {
        #[derive(Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let failed = |reason: String| CheckpointError::Index { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path)
            .map_err(|source| CheckpointError::Read { path: path.to_owned(), source })?;
        let index: Index = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut catalog = Self::default();
        let shards: BTreeSet<&String> = index.weight_map.values().collect();
        for shard in shards {
            // A shard is a file beside its index, whatever the index says.
            if shard.is_empty() || Path::new(shard).file_name() != Some(shard.as_ref()) {
                return Err(failed(format!("{shard:?} is no file name")));
            }
            catalog.tensors.extend(Self::of_file(&folder.join(shard))?.tensors);
        }
        for (name, shard) in &index.weight_map {
            let there = catalog.tensors.get(name).is_some_and(|(path, _)| path.ends_with(shard));
            // Integer tensors stand in the index and not in the catalog.
            if !there && !is_integer_name(name) {
                let (path, name, shard) = (path.to_owned(), name.clone(), shard.clone());
                return Err(CheckpointError::Shard { path, name, shard });
            }
        }
        Ok(catalog)
    }

    /// Every tensor's name and shape.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors.iter().map(|(name, (_, place))| (name.as_str(), place.shape.as_slice()))
    }

    /// Reads every value.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_all(&self) -> Result<Weights, CheckpointError> {
        self.load(&self.tensors.keys().cloned().collect())
    }

    /// Reads the values of the tensors called `names`, as f32; names that are not there are left out.
    ///
    /// A hostile file may say that a tensor is far larger than the file: judge shapes before.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn load(&self, names: &BTreeSet<String>) -> Result<Weights, CheckpointError> {
        let mut weights = Weights::default();
        let mut open: Option<(&PathBuf, File)> = None;
        for (name, (path, place)) in self.tensors.iter().filter(|(name, _)| names.contains(*name)) {
            let failed = |source| CheckpointError::Read { path: path.clone(), source };
            let file = match &open {
                Some((known, file)) if *known == path => file,
                _ => &open.insert((path, File::open(path).map_err(failed)?)).1,
            };
            weights.insert(name, place.shape.clone(), place.read(file).map_err(failed)?);
        }
        Ok(weights)
    }
}

/// Each tensor is read when it is asked for, so that a checkpoint is never in memory as a whole.
impl Lookup for Catalog {
    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|(_, place)| place.shape.as_slice())
    }

    fn values(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let missing = || WeightsError::Missing { name: name.to_owned() };
        let (path, place) = self.tensors.get(name).ok_or_else(missing)?;
        let read = File::open(path).and_then(|file| place.read(&file));
        read.map_err(|source| {
            WeightsError::Read(Box::new(CheckpointError::Read { path: path.clone(), source }))
        })
    }
}

/// `position_ids` and the like, which hold no parameters.
fn is_integer_name(name: &str) -> bool {
    name.ends_with("_ids")
}

fn tensors(path: &Path) -> Result<Tensors, CheckpointError> {
    let read = |source| CheckpointError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read)?;
    let length = file.metadata().map_err(read)?.len();
    let is_safetensors = path.extension().is_some_and(|extension| extension == "safetensors");
    let damaged = |reason: String| match path.to_owned() {
        path if is_safetensors => CheckpointError::Safetensors { path, reason },
        path => CheckpointError::Torch { path, reason },
    };
    let tensors = if is_safetensors {
        safetensors::tensors(path, &file, length)?
    } else {
        torch::tensors(path, file, length)?
    };
    // A tensor may take several of its values from one place, or tensors the same: not without bound.
    let beyond = |place: &Place| {
        place.end().is_none_or(|end| end > length) || place.bytes().is_none_or(|bytes| bytes > length)
    };
    if let Some((name, _)) = tensors.iter().find(|(_, place)| beyond(place)) {
        return Err(damaged(format!("tensor \"{name}\" goes beyond its end")));
    }
    let together = tensors.values().filter_map(Place::bytes).fold(0_u64, u64::saturating_add);
    if together > length.saturating_mul(MOST_SHARING) {
        return Err(damaged(format!("its tensors have {together} bytes, but it has {length}")));
    }
    Ok(tensors)
}

/// The values of a tensor with gaps or turned dimensions, row-major.
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
    fn a_turned_tensor_is_read_row_by_row() {
        // [[1, 2, 3], [4, 5, 6]] turned: its rows are the columns.
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(gather(&values, &[3, 2], &[1, 3]), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(gather(&values, &[2, 3], &[3, 1]), values);
    }

    #[test]
    fn a_shape_beyond_all_memory_is_no_shape() {
        let place = |shape: Vec<usize>, strides| Place { dtype: Float::F32, shape, start: 0, strides };
        assert_eq!(place(vec![usize::MAX, 2], None).end(), None);
        assert_eq!(place(vec![2, 3], Some(vec![usize::MAX, 1])).end(), None);
        assert_eq!(place(vec![2, 3], Some(vec![1, 2])).end(), Some(24));
        assert_eq!(place(vec![1; 9], None).end(), None);
    }
}
