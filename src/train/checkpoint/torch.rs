//! The containers of `torch.save`: a zip archive since PyTorch 1.6, a row of pickles in older versions.
//!
//! Sources: `torch/serialization.py`, functions `_save` and `_legacy_save`.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    ops::Range,
    os::unix::fs::FileExt,
    path::Path,
};

use zip::{CompressionMethod, ZipArchive};

use super::{
    error::{CheckpointError, FileFault},
    pickle::{self, PickleError, PickledTensor, Unpickled},
    tensor_place::{TensorPlace, Tensors},
};

/// The longest pickle that is read, in bytes. A pickle of tensors holds names and shapes only, and is far shorter.
const PICKLE_MAX: u64 = 1 << 26;
/// The number in a legacy file's first pickle.
const LEGACY_MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
/// Pickles before the storages of a legacy file: magic, version, system, tensors, keys.
const LEGACY_PICKLES: usize = 5;

/// Reads where each float tensor of `file`, which is `length` bytes long, lies.
pub(super) fn tensors(path: &Path, file: File, length: u64) -> Result<Tensors, CheckpointError> {
    let mut magic = [0; 4];
    let is_zip = file.read_exact_at(&mut magic, 0).is_ok() && magic == *b"PK\x03\x04";
    let container = Container { path };
    if is_zip { container.zip(file) } else { container.legacy(file, length) }
}

/// Where a storage, the values of one or more tensors, lies in its file.
#[derive(Clone, Copy)]
struct StoragePlace {
    /// Its first byte.
    start: u64,
    bytes: u64,
}

struct Container<'a> {
    path: &'a Path,
}

impl Container<'_> {
    fn damaged(&self, source: FileFault) -> CheckpointError {
        CheckpointError::Torch { path: self.path.to_owned(), source }
    }

    fn pickle(&self, source: PickleError) -> CheckpointError {
        CheckpointError::Pickle { path: self.path.to_owned(), source }
    }

    fn read(&self, source: std::io::Error) -> CheckpointError {
        CheckpointError::Read { path: self.path.to_owned(), source }
    }

    fn zip(&self, file: File) -> Result<Tensors, CheckpointError> {
        let damaged = |error| self.damaged(FileFault::Zip(error));
        let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
        let names = archive.file_names().filter_map(Result::ok).map(std::borrow::Cow::into_owned);
        let list = { names }.find(|name| name.ends_with("/data.pkl"));
        let list = list.ok_or_else(|| self.damaged(FileFault::NoList))?;
        let root = list.trim_end_matches("data.pkl").to_owned();
        if let Some(order) = archive.index_for_name(&format!("{root}byteorder")) {
            let mut text = String::new();
            let entry = archive.by_index(order).map_err(damaged)?;
            entry.take(16).read_to_string(&mut text).map_err(|error| self.read(error))?;
            if text != "little" {
                return Err(self.damaged(FileFault::ByteOrder { found: text }));
            }
        }
        let mut bytes = Vec::new();
        let entry = archive.by_name(&list).map_err(damaged)?;
        entry.take(PICKLE_MAX).read_to_end(&mut bytes).map_err(|error| self.read(error))?;
        let (value, _) = pickle::read(&bytes).map_err(|error| self.pickle(error))?;
        let mut storages: HashMap<String, StoragePlace> = HashMap::new();
        self.places(value.tensors().map_err(|error| self.pickle(error))?, |tensor| {
            if let Some(known) = storages.get(&tensor.storage) {
                return Ok(*known);
            }
            let name = format!("{root}data/{}", tensor.storage);
            let entry = archive.by_name(&name).map_err(damaged)?;
            if entry.compression() != CompressionMethod::Stored {
                return Err(self.damaged(FileFault::Compressed { entry: name.clone() }));
            }
            let nowhere = || self.damaged(FileFault::Nowhere { entry: name.clone() });
            let start = entry.data_start().ok_or_else(nowhere)?;
            let place = StoragePlace { start, bytes: entry.size() };
            storages.insert(tensor.storage.clone(), place);
            Ok(place)
        })
    }

    fn legacy(&self, mut file: File, length: u64) -> Result<Tensors, CheckpointError> {
        let mut bytes = Vec::new();
        file.by_ref().take(PICKLE_MAX).read_to_end(&mut bytes).map_err(|error| self.read(error))?;
        let (pickles, rest) = self.legacy_pickles(&bytes)?;
        let at = (bytes.len() - rest.len()) as u64;
        let tensors = pickles[3].tensors().map_err(|error| self.pickle(error))?;
        let sizes = pickles[3].item_sizes();
        let keys = pickles[4].texts().map_err(|error| self.pickle(error))?;
        let storages = self.legacy_storages(&mut file, at..length, keys, &sizes)?;
        self.places(tensors, |tensor| {
            let known = storages.get(&tensor.storage).copied();
            known.ok_or_else(|| self.damaged(FileFault::NoStorage { key: tensor.storage.clone() }))
        })
    }

    /// Reads the pickles at the beginning of a legacy file, and returns them with the rest of `bytes`.
    fn legacy_pickles<'b>(&self, bytes: &'b [u8]) -> Result<(Vec<Unpickled>, &'b [u8]), CheckpointError> {
        let mut rest = bytes;
        let mut pickles = Vec::new();
        for index in 0..LEGACY_PICKLES {
            let (value, after) = pickle::read(rest).map_err(|error| match index {
                0 => self.damaged(FileFault::NoContainer),
                _ => self.pickle(error),
            })?;
            if index == 0 && value.int() != Some(LEGACY_MAGIC) {
                return Err(self.damaged(FileFault::Magic));
            }
            pickles.push(value);
            rest = after;
        }
        Ok((pickles, rest))
    }

    /// Finds the storages of a legacy file, which stand one after another in `range`, each after its number of values.
    ///
    /// `keys`: the storages in their order. `sizes`: by key, the bytes of a value.
    fn legacy_storages(
        &self,
        file: &mut File,
        range: Range<u64>,
        keys: Vec<String>,
        sizes: &HashMap<&str, usize>,
    ) -> Result<HashMap<String, StoragePlace>, CheckpointError> {
        let mut at = range.start;
        let mut storages = HashMap::new();
        for key in keys {
            let beyond_end = || self.damaged(FileFault::StorageBeyondEnd { key: key.clone() });
            let mut count = [0; 8];
            file.seek(SeekFrom::Start(at))
                .and_then(|_| file.read_exact(&mut count))
                .map_err(|_| beyond_end())?;
            let of_no_tensor = || self.damaged(FileFault::StorageOfNoTensor { key: key.clone() });
            let item = sizes.get(key.as_str()).copied().ok_or_else(of_no_tensor)?;
            let bytes = u64::from_le_bytes(count).checked_mul(item as u64);
            let end = bytes.and_then(|bytes| at.checked_add(8)?.checked_add(bytes));
            let end = end.filter(|end| *end <= range.end).ok_or_else(beyond_end)?;
            let place = StoragePlace { start: at + 8, bytes: end - at - 8 };
            storages.insert(key, place);
            at = end;
        }
        Ok(storages)
    }

    /// Computes where tensors lie in the file. `storage` returns the place of a tensor's storage.
    fn places(
        &self,
        tensors: Vec<(String, PickledTensor)>,
        mut storage: impl FnMut(&PickledTensor) -> Result<StoragePlace, CheckpointError>,
    ) -> Result<Tensors, CheckpointError> {
        let mut places = Tensors::new();
        for (name, tensor) in tensors {
            let Some(dtype) = tensor.float else { continue };
            let StoragePlace { start, bytes } = storage(&tensor)?;
            let beyond = || self.damaged(FileFault::BeyondStorage { name: name.clone() });
            let offset = (tensor.offset as u64).checked_mul(dtype.bytes() as u64).ok_or_else(beyond)?;
            let row_major = is_row_major(&tensor.shape, &tensor.strides);
            let strides = (!row_major).then_some(tensor.strides);
            let place =
                TensorPlace { dtype, shape: tensor.shape, start: start.saturating_add(offset), strides };
            if place.end().is_none_or(|end| end > start.saturating_add(bytes)) {
                return Err(beyond());
            }
            places.insert(name, place);
        }
        Ok(places)
    }
}

fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1_usize;
    shape.iter().zip(strides).rev().all(|(size, stride)| {
        let fits = *size == 1 || *stride == expected;
        expected = expected.saturating_mul(*size);
        fits
    })
}

#[cfg(test)]
mod tests;
