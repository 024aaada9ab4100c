//! The format of an entry.
//!
//! ```text
//!  0  magic and version, 16 bytes
//! 16  SHA-256 of everything from byte 48 on
//! 48  length of the head, u64 little-endian
//! 56  the head, JSON: kind, what of, and type and count of each array; then spaces
//!     the arrays in order, each from a multiple of 64 on, in the machine's byte order
//! ```

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, sync::Arc};

use bytemuck::Pod;
use rustix::fs::{FallocateFlags, fallocate};
use serde::{Deserialize, Serialize};

use super::{
    digest::{digest, file_digest},
    kind::Kind,
    mapped::{CopyRoom, EntryBytes, Numbers, OpenBytes, Origin},
};
use crate::system::files::Place;

const MAGIC: &[u8; 16] = b"sweep cache v1\r\n";
/// Where the digest stands.
const DIGEST: u64 = 16;
/// Where the head begins.
const HEAD: usize = 56;
/// The largest number of bytes of a head that is read.
const HEAD_MAX: u64 = 1 << 16;
/// Arrays begin at multiples of this many bytes.
const ALIGNMENT: usize = 64;

/// The head of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EntryHead {
    pub(crate) kind: Kind,
    /// What the entry was computed from, for people.
    pub(crate) about: String,
    /// The type of each array's numbers, and how many there are.
    pub(super) arrays: Vec<(Type, u64)>,
}

/// The type of an array's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Type {
    U32,
    U64,
    F32,
}

impl Type {
    const fn size(self) -> u64 {
        match self {
            Self::U32 | Self::F32 => 4,
            Self::U64 => 8,
        }
    }
}

/// Numbers that an array can hold.
pub(crate) trait Number: Pod {
    const TYPE: Type;
}

impl Number for u32 {
    const TYPE: Type = Type::U32;
}
impl Number for u64 {
    const TYPE: Type = Type::U64;
}
impl Number for f32 {
    const TYPE: Type = Type::F32;
}

/// Why a file is no entry.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EntryError {
    /// It cannot be read.
    #[error("cannot be read")]
    Read(#[from] io::Error),
    /// Its bytes are not those that were written; the text says what is wrong.
    #[error("is damaged: {0}")]
    Damaged(&'static str),
}

impl EntryError {
    /// Whether there is no such file.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Read(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl EntryHead {
    /// The head of an entry with these arrays.
    pub(crate) fn new(kind: Kind, about: String, arrays: &[(Type, usize)]) -> Self {
        let arrays = arrays.iter().map(|&(kind, count)| (kind, count as u64)).collect();
        Self { kind, about, arrays }
    }

    /// Returns the bytes of the file up to the first array, with zeros for the digest; and the offsets at which each
    /// array begins and the file ends.
    fn layout(&self) -> io::Result<(Vec<u8>, Vec<u64>)> {
        let json = serde_json::to_vec(self)?;
        let mut bytes = MAGIC.to_vec();
        bytes.resize(HEAD - size_of::<u64>(), 0);
        bytes.extend((json.len() as u64).to_le_bytes());
        bytes.extend(json);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), b' ');
        let places = self.places(bytes.len() as u64);
        let places = places.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        Ok((bytes, places))
    }

    /// Returns the offsets at which each array begins and the file ends, when the first array begins at `start`.
    fn places(&self, start: u64) -> Option<Vec<u64>> {
        let mut places = vec![start];
        let mut at = start;
        for (kind, count) in &self.arrays {
            at = at
                .checked_add(count.checked_mul(kind.size())?)?
                .checked_next_multiple_of(ALIGNMENT as u64)?;
            places.push(at);
        }
        Some(places)
    }

    /// Bytes of a whole entry with this head.
    pub(super) fn file_length(&self) -> u64 {
        self.layout().ok().and_then(|(_, places)| places.last().copied()).unwrap_or(u64::MAX)
    }

    /// Reads the head of `file` alone, for a listing. Its digest is not checked.
    pub(super) fn read(file: &File) -> Result<Self, EntryError> {
        let cut_off = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => EntryError::Damaged("it is cut off"),
            _ => EntryError::Read(error),
        };
        let mut start = [0; HEAD];
        file.read_exact_at(&mut start, 0).map_err(cut_off)?;
        let length = head_length(&start).ok_or(EntryError::Damaged("it does not begin as entries do"))?;
        let mut json = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact_at(&mut json, HEAD as u64).map_err(cut_off)?;
        Self::parse(&json)
    }

    fn parse(json: &[u8]) -> Result<Self, EntryError> {
        serde_json::from_slice(json).map_err(|_| EntryError::Damaged("its head cannot be understood"))
    }
}

/// The length of the head, if `start` are the first bytes of an entry.
fn head_length(start: &[u8]) -> Option<u64> {
    let length = start.get(HEAD - size_of::<u64>()..HEAD)?;
    let length = u64::from_le_bytes(length.try_into().ok()?);
    (start.starts_with(MAGIC) && length <= HEAD_MAX).then_some(length)
}

/// An entry in memory, copied or mapped.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    contents: OpenBytes,
    arrays: Vec<(Type, Range<usize>)>,
}

impl Entry {
    /// Opens the entry at `place` and compares its digest, which reads the whole file. The entry is copied into
    /// memory if `room` has room for it, and mapped otherwise.
    pub(super) fn open(place: &Place, room: &CopyRoom) -> Result<Self, EntryError> {
        const CUT_OFF: EntryError = EntryError::Damaged("it is cut off");
        let file = place.open()?;
        let length = file.metadata()?.len();
        if length < HEAD as u64 {
            return Err(CUT_OFF);
        }
        let (bytes, found) = match EntryBytes::copied(&file, length, room) {
            Ok(Some(bytes)) => {
                // Of the very bytes that are used.
                let found = digest(&bytes);
                (bytes, found)
            }
            // Read and not looked at through the map: a file that is cut at this moment is an error then.
            Ok(None) => (EntryBytes::mapped(&file)?, file_digest(&file)?),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(CUT_OFF),
            Err(error) => return Err(error.into()),
        };
        let json = HEAD..HEAD + usize::try_from(head_length(&bytes).unwrap_or(0)).unwrap_or(0);
        let head = EntryHead::parse(bytes.get(json.clone()).unwrap_or_default())?;
        let start = json.end.next_multiple_of(ALIGNMENT) as u64;
        let places = head.places(start).ok_or(EntryError::Damaged("its head makes no sense"))?;
        if places.last() != Some(&(bytes.len() as u64)) {
            return Err(EntryError::Damaged("its length is not that of its head"));
        }
        if found.as_slice() != bytes.get(16..48).unwrap_or_default() {
            return Err(EntryError::Damaged("its contents are not those that were written"));
        }
        let range = |(&(kind, count), &start): (&(Type, u64), &u64)| {
            let end = start + count * kind.size();
            Some((kind, usize::try_from(start).ok()?..usize::try_from(end).ok()?))
        };
        let arrays = head.arrays.iter().zip(&places).map(range).collect::<Option<_>>();
        let arrays = arrays.ok_or(EntryError::Damaged("it is larger than memory can be"))?;
        let origin = Arc::new(Origin { path: place.path().to_owned(), digest: found });
        Ok(Self { contents: OpenBytes { bytes, origin }, arrays })
    }

    /// The numbers of the array with this index; `None` when there is no such array, or it has another type.
    pub(crate) fn array<T: Number>(&self, index: usize) -> Option<Numbers<T>> {
        let (kind, range) = self.arrays.get(index)?;
        if *kind != T::TYPE {
            return None;
        }
        Numbers::of_entry(&self.contents, range.clone())
    }
}

/// An entry that is being written.
pub(crate) struct EntryDraft {
    file: File,
    /// Type, first byte and count of each array.
    arrays: Vec<(Type, u64, u64)>,
}

impl EntryDraft {
    /// Begins the empty `file` with `head` and zeros for all numbers. The whole space is allocated at once.
    pub(super) fn begin(file: File, head: &EntryHead) -> io::Result<Self> {
        let (bytes, places) = head.layout()?;
        let length = places.last().copied().unwrap_or(0);
        match fallocate(&file, FallocateFlags::empty(), 0, length) {
            // A full disk is noticed now, and not after the numbers have been computed.
            Err(error @ (rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT)) => return Err(error.into()),
            _ => file.set_len(length)?,
        }
        file.write_all_at(&bytes, 0)?;
        let arrays = head.arrays.iter().zip(places).map(|(&(kind, count), start)| (kind, start, count));
        Ok(Self { file, arrays: arrays.collect() })
    }

    /// Writes `numbers` into an array, beginning at its element `at`.
    ///
    /// # Errors
    /// When they cannot be written, or do not fit.
    pub(crate) fn put<T: Number>(&mut self, array: usize, at: usize, numbers: &[T]) -> io::Result<()> {
        let wrong = || io::Error::from(io::ErrorKind::InvalidInput);
        let &(kind, start, count) = self.arrays.get(array).ok_or_else(wrong)?;
        if kind != T::TYPE || (at + numbers.len()) as u64 > count {
            return Err(wrong());
        }
        self.file.write_all_at(bytemuck::cast_slice(numbers), start + at as u64 * kind.size())
    }

    /// Writes the digest.
    pub(super) fn finish(self) -> io::Result<()> {
        self.file.write_all_at(&file_digest(&self.file)?, DIGEST)
    }
}
