//! The containers of `torch.save`: a zip archive since PyTorch 1.6, a row of pickles before.
//!
//! Sources: `torch/serialization.py`, functions `_save` and `_legacy_save`.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::Path,
};

use zip::{CompressionMethod, ZipArchive};

use super::{
    CheckpointError, Place, Tensors,
    pickle::{self, PickleError, Tensor},
};

/// A pickle of tensors holds names and shapes only; this is far more than any has.
const LONGEST_PICKLE: u64 = 1 << 26;
/// What a legacy file's first pickle says.
const LEGACY_MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
/// Pickles before the storages of a legacy file: magic, version, system, tensors, keys.
const LEGACY_PICKLES: usize = 5;

/// Where each float tensor of `file`, `length` bytes long, lies.
pub(super) fn tensors(path: &Path, file: File, length: u64) -> Result<Tensors, CheckpointError> {
    let mut magic = [0; 4];
    let is_zip = file.read_exact_at(&mut magic, 0).is_ok() && magic == *b"PK\x03\x04";
    let reader = Reader { path };
    if is_zip { reader.zip(file) } else { reader.legacy(file, length) }
}

struct Reader<'a> {
    path: &'a Path,
}

impl Reader<'_> {
    fn damaged(&self, reason: impl Into<String>) -> CheckpointError {
        CheckpointError::Torch { path: self.path.to_owned(), reason: reason.into() }
    }

    fn pickle(&self, source: PickleError) -> CheckpointError {
        CheckpointError::Pickle { path: self.path.to_owned(), source }
    }

    fn read(&self, source: std::io::Error) -> CheckpointError {
        CheckpointError::Read { path: self.path.to_owned(), source }
    }

    fn zip(&self, file: File) -> Result<Tensors, CheckpointError> {
        let damaged = |error: zip::result::ZipError| self.damaged(error.to_string());
        let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
        let names = archive.file_names().filter_map(Result::ok).map(std::borrow::Cow::into_owned);
        let list = { names }.find(|name| name.ends_with("/data.pkl"));
        let list = list.ok_or_else(|| self.damaged("it has no data.pkl"))?;
        let root = list.trim_end_matches("data.pkl").to_owned();
        if let Some(order) = archive.index_for_name(&format!("{root}byteorder")) {
            let mut text = String::new();
            let entry = archive.by_index(order).map_err(damaged)?;
            entry.take(16).read_to_string(&mut text).map_err(|error| self.read(error))?;
            if text != "little" {
                return Err(self.damaged(format!("its byte order is {text:?}, not little")));
            }
        }
        let mut bytes = Vec::new();
        let entry = archive.by_name(&list).map_err(damaged)?;
        entry.take(LONGEST_PICKLE).read_to_end(&mut bytes).map_err(|error| self.read(error))?;
        let (value, _) = pickle::read(&bytes).map_err(|error| self.pickle(error))?;
        let mut storages: HashMap<String, (u64, u64)> = HashMap::new();
        self.places(value.tensors().map_err(|error| self.pickle(error))?, |tensor| {
            if let Some(known) = storages.get(&tensor.storage) {
                return Ok(*known);
            }
            let name = format!("{root}data/{}", tensor.storage);
            let entry = archive.by_name(&name).map_err(damaged)?;
            if entry.compression() != CompressionMethod::Stored {
                return Err(self.damaged(format!("{name} is compressed")));
            }
            let start = entry.data_start().ok_or_else(|| self.damaged(format!("{name} lies nowhere")))?;
            let place = (start, entry.size());
            storages.insert(tensor.storage.clone(), place);
            Ok(place)
        })
    }

    fn legacy(&self, mut file: File, length: u64) -> Result<Tensors, CheckpointError> {
        let mut bytes = Vec::new();
        file.by_ref().take(LONGEST_PICKLE).read_to_end(&mut bytes).map_err(|error| self.read(error))?;
        let mut rest = bytes.as_slice();
        let mut pickles = Vec::new();
        for index in 0..LEGACY_PICKLES {
            let (value, after) = pickle::read(rest).map_err(|error| match index {
                0 => self.damaged("it is neither a zip archive nor a row of pickles"),
                _ => self.pickle(error),
            })?;
            if index == 0 && value.int() != Some(LEGACY_MAGIC) {
                return Err(self.damaged("it does not begin as torch.save begins"));
            }
            pickles.push(value);
            rest = after;
        }
        let mut at = (bytes.len() - rest.len()) as u64;
        let tensors = pickles[3].tensors().map_err(|error| self.pickle(error))?;
        let sizes: HashMap<&str, usize> =
            tensors.iter().map(|(_, tensor)| (tensor.storage.as_str(), tensor.item)).collect();
        let mut storages = HashMap::new();
        for key in pickles[4].texts().map_err(|error| self.pickle(error))? {
            let mut count = [0; 8];
            file.seek(SeekFrom::Start(at))
                .and_then(|_| file.read_exact(&mut count))
                .map_err(|_| self.damaged(format!("storage {key} goes beyond its end")))?;
            // A storage that no tensor uses has no known size, and nothing after it can be found.
            let item = sizes.get(key.as_str()).copied();
            let item = item.ok_or_else(|| self.damaged(format!("storage {key} belongs to no tensor")))?;
            let bytes = u64::from_le_bytes(count).checked_mul(item as u64);
            let end = bytes.and_then(|bytes| at.checked_add(8)?.checked_add(bytes));
            let end = end.filter(|end| *end <= length);
            let end = end.ok_or_else(|| self.damaged(format!("storage {key} goes beyond its end")))?;
            storages.insert(key, (at + 8, end - at - 8));
            at = end;
        }
        self.places(tensors, |tensor| {
            let known = storages.get(&tensor.storage).copied();
            known.ok_or_else(|| self.damaged(format!("storage {} is missing", tensor.storage)))
        })
    }

    /// Places tensors in the file; `storage` says where a tensor's storage begins, and its bytes.
    fn places(
        &self,
        tensors: Vec<(String, Tensor)>,
        mut storage: impl FnMut(&Tensor) -> Result<(u64, u64), CheckpointError>,
    ) -> Result<Tensors, CheckpointError> {
        let mut places = Tensors::new();
        for (name, tensor) in tensors {
            let Some(dtype) = tensor.float else { continue };
            let (start, bytes) = storage(&tensor)?;
            let beyond = || self.damaged(format!("tensor \"{name}\" goes beyond its storage"));
            let offset = (tensor.offset as u64).checked_mul(dtype.bytes() as u64).ok_or_else(beyond)?;
            let row_major = is_row_major(&tensor.shape, &tensor.strides);
            let strides = (!row_major).then_some(tensor.strides);
            let place = Place { dtype, shape: tensor.shape, start: start.saturating_add(offset), strides };
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
