//! The bytes of a cache entry: a copy in memory, or mapped. This file and the matrix products alone use `unsafe`.
//!
//! The module is private to [`super`], so that no files but entries are ever mapped.

use std::{
    fs::File,
    io,
    marker::PhantomData,
    ops::{Deref, Range},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytemuck::Pod;
use memmap2::Mmap;

use super::digest::digest;

/// The bytes that the copies of one worker have at most, all together.
///
/// What is in a copy no other process can change. An entry that finds no room is mapped: its pages are then those
/// of all workers, and its digest is compared again before anything counts that was computed from it.
const COPIES_MAX: u64 = 128 << 20;

/// How many bytes of entries a worker may still copy into its memory.
#[derive(Clone, Debug)]
pub(crate) struct CopyRoom(Arc<AtomicU64>);

impl Default for CopyRoom {
    fn default() -> Self {
        Self::of(COPIES_MAX)
    }
}

impl CopyRoom {
    /// Room for `bytes` bytes.
    pub(crate) fn of(bytes: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes)))
    }

    /// Takes `bytes` bytes, if there are as many.
    fn take(&self, bytes: u64) -> bool {
        let take = |left: u64| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// An entry's bytes in this process's own memory.
#[derive(Debug)]
pub(super) struct Copied {
    /// Aligned for every type of numbers.
    words: Vec<u64>,
    bytes: usize,
    room: CopyRoom,
}

impl Drop for Copied {
    fn drop(&mut self) {
        self.room.0.fetch_add(self.bytes as u64, Ordering::Relaxed);
    }
}

/// The bytes of an entry, which stay as long as one of the clones lives.
#[derive(Clone, Debug)]
pub(super) enum EntryBytes {
    Copied(Arc<Copied>),
    Mapped(Arc<Mmap>),
}

impl EntryBytes {
    /// Reads the first `bytes` bytes of `file` into memory; `None` when there is no room for them.
    ///
    /// # Errors
    /// When the file cannot be read, or has fewer bytes.
    pub(super) fn copied(file: &File, bytes: u64, room: &CopyRoom) -> io::Result<Option<Self>> {
        let Ok(length) = usize::try_from(bytes) else { return Ok(None) };
        if !room.take(bytes) {
            return Ok(None);
        }
        let words = vec![0; length.div_ceil(size_of::<u64>())];
        let mut copied = Copied { words, bytes: length, room: room.clone() };
        let into = bytemuck::cast_slice_mut(&mut copied.words);
        std::os::unix::fs::FileExt::read_exact_at(file, into.get_mut(..length).unwrap_or_default(), 0)?;
        Ok(Some(Self::Copied(Arc::new(copied))))
    }

    /// Maps the whole of `file`, an entry.
    ///
    /// # Errors
    /// When the system refuses, as it does for an empty file.
    #[expect(unsafe_code, reason = "mapping is unsafe since files can change; entries are checked again")]
    pub(super) fn mapped(file: &File) -> io::Result<Self> {
        // SAFETY: an entry is written under another name, gets its own by a rename, and is never
        // changed or cut from then on by this program, only unlinked; the bytes stay while a map of
        // them does. If something else writes into it, the numbers are wrong until their digest is
        // compared again; if something else cuts it, the kernel ends the process (SIGBUS).
        let map = unsafe { Mmap::map(file) }?;
        Ok(Self::Mapped(Arc::new(map)))
    }
}

impl Deref for EntryBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Copied(copied) => {
                bytemuck::cast_slice(&copied.words).get(..copied.bytes).unwrap_or_default()
            }
            Self::Mapped(map) => map,
        }
    }
}

/// A mapped entry whose bytes are not those that it was opened with.
#[derive(Debug, thiserror::Error)]
#[error("the cache's entry {} changed while the trial used it", path.display())]
pub struct ChangedEntry {
    /// The entry's file.
    path: PathBuf,
}

/// What an entry was when it was opened.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) path: PathBuf,
    pub(super) digest: [u8; 32],
}

/// An entry's bytes, with what they were.
#[derive(Clone, Debug)]
pub(super) struct OpenBytes {
    pub(super) bytes: EntryBytes,
    pub(super) origin: Arc<Origin>,
}

/// Numbers in memory or in an entry. A clone shares them.
#[derive(Clone, Debug)]
pub(crate) struct Numbers<T>(Backing<T>);

#[derive(Clone, Debug)]
enum Backing<T> {
    /// Shared, so that a clone costs nothing.
    Memory(Arc<Vec<T>>),
    /// Bytes of an entry. Their number and their alignment fit `T`.
    Entry(OpenBytes, Range<usize>, PhantomData<T>),
}

impl<T: Pod> Numbers<T> {
    /// The numbers in `bytes` of an entry; `None` when the bytes' number or alignment does not fit `T`.
    pub(super) fn of_entry(entry: &OpenBytes, bytes: Range<usize>) -> Option<Self> {
        bytemuck::try_cast_slice::<u8, T>(entry.bytes.get(bytes.clone())?).ok()?;
        Some(Self(Backing::Entry(entry.clone(), bytes, PhantomData)))
    }

    /// Compares the whole entry that the numbers stand in with its digest again, if the entry is mapped. Numbers in
    /// this process's own memory need no comparison.
    ///
    /// # Errors
    /// When the entry has changed, so that what was computed from the numbers may be wrong.
    pub(crate) fn verify(&self) -> Result<(), ChangedEntry> {
        match &self.0 {
            Backing::Entry(OpenBytes { bytes: EntryBytes::Mapped(map), origin }, ..)
                if digest(map) != origin.digest =>
            {
                Err(ChangedEntry { path: origin.path.clone() })
            }
            Backing::Entry(..) | Backing::Memory(_) => Ok(()),
        }
    }
}

impl<T> From<Vec<T>> for Numbers<T> {
    fn from(numbers: Vec<T>) -> Self {
        Self(Backing::Memory(Arc::new(numbers)))
    }
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T: Pod> Deref for Numbers<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Backing::Memory(numbers) => numbers,
            Backing::Entry(OpenBytes { bytes: all, .. }, bytes, _) => {
                let numbers = all.get(bytes.clone()).and_then(|bytes| bytemuck::try_cast_slice(bytes).ok());
                numbers.unwrap_or_else(|| unreachable!("it was cast when it was opened"))
            }
        }
    }
}
