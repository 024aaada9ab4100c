//! Why a checkpoint's files could not be read.

use std::{io, path::PathBuf};

use super::pickle::PickleError;
use crate::hub::WEIGHT_FILES;

/// Why a checkpoint's files could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The folder has no file with parameters.
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
        /// The system's error.
        source: io::Error,
    },
    /// A safetensors file is damaged or cut off.
    #[error("{path} is not a whole safetensors file")]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: FileFault,
    },
    /// An index of shards that cannot be used.
    #[error("{path} is no index of shards")]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: IndexFault,
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
    #[error("{path} is not a whole PyTorch file")]
    Torch {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: FileFault,
    },
    /// The pickle in a PyTorch file is no list of tensors.
    #[error("{path} is not a PyTorch file of tensors alone")]
    Pickle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
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

/// What is wrong with a file of tensors.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// The file is too short for any header.
    #[error("it has {length} bytes")]
    TooShort {
        /// Bytes of the file.
        length: u64,
    },
    /// The header is longer than the file.
    #[error("its header of {header} bytes goes beyond its end")]
    HeaderBeyondEnd {
        /// Bytes of the header, by its first eight bytes.
        header: u64,
    },
    /// The header is longer than any real one.
    #[error("its header has {header} bytes, more than {max}")]
    HeaderTooLong {
        /// Bytes of the header.
        header: u64,
        /// The longest header that is read.
        max: u64,
    },
    /// The header is no list of tensors.
    #[error(transparent)]
    Header(serde_json::Error),
    /// The tensors of the header do not fill the file.
    #[error("it has {length} bytes, its header speaks of {expected}")]
    Length {
        /// Bytes of the file.
        length: u64,
        /// Bytes by the header.
        expected: String,
    },
    /// The zip archive cannot be read.
    #[error(transparent)]
    Zip(zip::result::ZipError),
    /// The zip archive has no list of tensors.
    #[error("it has no data.pkl")]
    NoList,
    /// The values are not little-endian.
    #[error("its byte order is {found:?}, not little")]
    ByteOrder {
        /// The byte order that the file names.
        found: String,
    },
    /// The values are compressed.
    #[error("{entry} is compressed")]
    Compressed {
        /// The archive's entry.
        entry: String,
    },
    /// The archive does not tell where an entry begins.
    #[error("{entry} lies nowhere")]
    Nowhere {
        /// The archive's entry.
        entry: String,
    },
    /// The file is in none of the containers of `torch.save`.
    #[error("it is neither a zip archive nor a row of pickles")]
    NoContainer,
    /// The first pickle is not that of `torch.save`.
    #[error("it does not begin as torch.save begins")]
    Magic,
    /// A storage goes beyond the file's end.
    #[error("storage {key} goes beyond its end")]
    StorageBeyondEnd {
        /// The storage's key.
        key: String,
    },
    /// A storage that no tensor uses has no known size, so that nothing after it can be found.
    #[error("storage {key} belongs to no tensor")]
    StorageOfNoTensor {
        /// The storage's key.
        key: String,
    },
    /// A tensor uses a storage that is not there.
    #[error("storage {key} is missing")]
    NoStorage {
        /// The storage's key.
        key: String,
    },
    /// A tensor goes beyond its storage.
    #[error("tensor \"{name}\" goes beyond its storage")]
    BeyondStorage {
        /// The tensor.
        name: String,
    },
    /// A tensor goes beyond the file's end.
    #[error("tensor \"{name}\" goes beyond its end")]
    BeyondEnd {
        /// The tensor.
        name: String,
    },
    /// The tensors share the file's bytes more often than any real checkpoint.
    #[error("its tensors have {tensors} bytes, but it has {length}")]
    TooMuchSharing {
        /// Bytes of all tensors.
        tensors: u64,
        /// Bytes of the file.
        length: u64,
    },
}

/// What is wrong with an index of shards.
#[derive(Debug, thiserror::Error)]
pub enum IndexFault {
    /// The index is no JSON of the known form.
    #[error(transparent)]
    Json(serde_json::Error),
    /// A shard is not a file beside the index.
    #[error("{shard:?} is no file name")]
    ShardName {
        /// The shard.
        shard: String,
    },
}
