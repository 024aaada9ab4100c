//! The names and shapes of a checkpoint's tensors, and where their values lie.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::{
    error::{CheckpointError, FileFault, IndexFault},
    safetensors,
    tensor_place::{TensorPlace, Tensors},
    torch,
};
use crate::{
    hub::{ShardIndex, WEIGHT_FILES},
    system::files::{Place, named},
    train::{
        encoder::{
            family,
            source::{Lookup, SourceError},
            weights::Weights,
        },
        model_file,
    },
};

/// How often the bytes of a file may be used, over all tensors. Tied weights share theirs.
const SHARING_MAX: u64 = 4;

/// By name: the file and the place of each tensor of a checkpoint. Integer tensors are left out.
#[derive(Debug, Default)]
pub struct Catalog {
    tensors: BTreeMap<String, (Source, TensorPlace)>,
    /// The beginning of names that was taken off, such as `module.`; empty if there was none.
    wrapper: String,
}

/// A file with parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// In a folder that the user named, or in the hub's cache.
    Named(PathBuf),
    /// In a results folder.
    Result(Place),
}

impl Source {
    fn path(&self) -> &Path {
        match self {
            Self::Named(path) => path,
            Self::Result(place) => place.path(),
        }
    }

    fn open(&self) -> io::Result<File> {
        match self {
            Self::Named(path) => named::open(path),
            Self::Result(place) => place.open(),
        }
    }
}

impl Catalog {
    /// Reads the names and shapes in `folder`.
    ///
    /// # Errors
    /// When the folder has no file with parameters, or a damaged one.
    pub fn open(folder: &Path) -> Result<Self, CheckpointError> {
        let found = WEIGHT_FILES.iter().map(|name| folder.join(name)).find(|path| named::is_file(path));
        let path = found.ok_or_else(|| CheckpointError::Absent { folder: folder.to_owned() })?;
        let catalog = if path.extension().is_some_and(|extension| extension == "json") {
            Self::of_shards(&path)
        } else {
            Self::of_file(&path)
        };
        Ok(catalog?.unwrapped())
    }

    /// Takes off the beginning of names that a wrapper around the model has left, such as `module.` of PyTorch's
    /// `DataParallel`. Names stay as they are unless the wrapper is certain: there is one encoder, and no two names become
    /// one.
    fn unwrapped(mut self) -> Self {
        let wrappers = self.wrappers();
        let [wrapper] = wrappers.as_slice() else { return self };
        if wrapper.is_empty()
            || self.tensors.keys().any(|name| self.tensors.contains_key(&format!("{wrapper}{name}")))
        {
            return self;
        }
        let bare = |name: String| name.strip_prefix(wrapper.as_str()).map(str::to_owned).unwrap_or(name);
        self.tensors =
            std::mem::take(&mut self.tensors).into_iter().map(|(name, place)| (bare(name), place)).collect();
        self.wrapper.clone_from(wrapper);
        self
    }

    /// By encoder in the file: the beginning of its names before those of a model of its family.
    fn wrappers(&self) -> Vec<String> {
        let before = |name: &String| {
            let before = name.strip_suffix(family::WORD_EMBEDDINGS)?;
            let bare = family::PREFIXES.iter().find_map(|prefix| before.strip_suffix(prefix));
            let bare = bare.unwrap_or(before);
            (bare.is_empty() || bare.ends_with('.')).then(|| bare.to_owned())
        };
        self.tensors.keys().filter_map(before).collect()
    }

    /// The beginning of names that was taken off, such as `module.`; empty if there was none.
    #[must_use]
    pub fn wrapper(&self) -> &str {
        &self.wrapper
    }

    /// Reads the names and shapes in one file. A name that ends in `.safetensors` is that of such a file; all
    /// others are taken for PyTorch's.
    ///
    /// # Errors
    /// When the file is missing or damaged.
    pub fn of_file(path: &Path) -> Result<Self, CheckpointError> {
        Self::of_source(&Source::Named(path.to_owned()))
    }

    /// Reads the names and shapes in a file of a results folder, as [`Self::of_file`].
    ///
    /// # Errors
    /// As [`Self::of_file`], and when a link is in the way.
    pub fn of_result(place: &Place) -> Result<Self, CheckpointError> {
        Self::of_source(&Source::Result(place.clone()))
    }

    fn of_source(source: &Source) -> Result<Self, CheckpointError> {
        let tensors = tensors(source)?.into_iter();
        let tensors = tensors.map(|(name, place)| (name, (source.clone(), place))).collect();
        Ok(Self { tensors, wrapper: String::new() })
    }

    fn of_shards(path: &Path) -> Result<Self, CheckpointError> {
        let failed = |source| CheckpointError::Index { path: path.to_owned(), source };
        let text = model_file::read(path, model_file::SMALL_BYTES_MAX)
            .map_err(|source| CheckpointError::Read { path: path.to_owned(), source })?;
        let index: ShardIndex =
            serde_json::from_str(&text).map_err(|error| failed(IndexFault::Json(error)))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut catalog = Self::default();
        let shards: BTreeSet<&String> = index.weight_map.values().collect();
        for shard in shards {
            // Otherwise an index could name any file of the machine.
            if shard.is_empty() || Path::new(shard).file_name() != Some(shard.as_ref()) {
                return Err(failed(IndexFault::ShardName { shard: shard.clone() }));
            }
            catalog.tensors.extend(Self::of_file(&folder.join(shard))?.tensors);
        }
        for (name, shard) in &index.weight_map {
            let there = catalog.tensors.get(name).is_some_and(|(source, _)| source.path().ends_with(shard));
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
    /// When a file cannot be read.
    pub fn load_all(&self) -> Result<Weights, CheckpointError> {
        self.load(&self.tensors.keys().cloned().collect())
    }

    /// Reads the values of the tensors called `names`, as f32. Names that the catalog lacks are left out.
    ///
    /// Callers check shapes first: tensors that share bytes may be larger than their file.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn load(&self, names: &BTreeSet<String>) -> Result<Weights, CheckpointError> {
        let mut weights = Weights::default();
        let mut open: Option<(&Source, File)> = None;
        for (name, (source, place)) in self.tensors.iter().filter(|(name, _)| names.contains(*name)) {
            let failed = |error| CheckpointError::Read { path: source.path().to_owned(), source: error };
            let file = match &open {
                Some((known, file)) if *known == source => file,
                _ => &open.insert((source, source.open().map_err(failed)?)).1,
            };
            weights.insert(name, place.shape.clone(), place.read(file).map_err(failed)?);
        }
        Ok(weights)
    }
}

/// Each tensor is read when a model takes it, so that a checkpoint is never in memory as a whole.
impl Lookup for Catalog {
    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|(_, place)| place.shape.as_slice())
    }

    fn values(&self, name: &str) -> Result<Vec<f32>, SourceError> {
        let missing = || SourceError::Missing { name: name.to_owned() };
        let (source, place) = self.tensors.get(name).ok_or_else(missing)?;
        let read = source.open().and_then(|file| place.read(&file));
        read.map_err(|error| SourceError::Read { path: source.path().to_owned(), source: error })
    }
}

/// Whether `name` is that of a tensor of integers, such as `position_ids`, which holds no parameters.
fn is_integer_name(name: &str) -> bool {
    name.ends_with("_ids")
}

/// Reads where the float tensors of a file lie, and checks that they lie within it.
fn tensors(source: &Source) -> Result<Tensors, CheckpointError> {
    let path = source.path();
    let read = |source| CheckpointError::Read { path: path.to_owned(), source };
    let file = source.open().map_err(read)?;
    let length = file.metadata().map_err(read)?.len();
    let is_safetensors = path.extension().is_some_and(|extension| extension == "safetensors");
    let damaged = |source: FileFault| match path.to_owned() {
        path if is_safetensors => CheckpointError::Safetensors { path, source },
        path => CheckpointError::Torch { path, source },
    };
    let tensors = if is_safetensors {
        safetensors::tensors(path, &file, length)?
    } else {
        torch::tensors(path, file, length)?
    };
    // Strides of 0 repeat values, and tensors may share bytes. A hostile file could so ask for more memory than there is.
    let beyond = |place: &TensorPlace| {
        place.end().is_none_or(|end| end > length) || place.bytes().is_none_or(|bytes| bytes > length)
    };
    if let Some((name, _)) = tensors.iter().find(|(_, place)| beyond(place)) {
        return Err(damaged(FileFault::BeyondEnd { name: name.clone() }));
    }
    let bytes = tensors.values().filter_map(TensorPlace::bytes).fold(0_u64, u64::saturating_add);
    if bytes > length.saturating_mul(SHARING_MAX) {
        return Err(damaged(FileFault::TooMuchSharing { tensors: bytes, length }));
    }
    Ok(tensors)
}
