//! The bytes of a cache entry, mapped into memory. This file and the matrix products alone use `unsafe`.
//!
//! The module is private to [`super`], so that no files but entries are ever mapped.

use std::{fs::File, io, marker::PhantomData, ops::Deref, ops::Range, sync::Arc};

use bytemuck::Pod;
use memmap2::Mmap;

/// A file that stays mapped for reading as long as one of its clones lives.
#[derive(Clone, Debug)]
pub(super) struct Mapped(Arc<Mmap>);

impl Mapped {
    /// Maps the whole of `file`, an entry.
    ///
    /// # Errors
    /// When the system refuses, as it does for an empty file.
    #[expect(unsafe_code, reason = "mapping is unsafe since files can change; entries do not")]
    pub(super) fn new(file: &File) -> io::Result<Self> {
        // SAFETY: an entry is written under another name, gets its own by a rename, and is never
        // changed or cut from then on, only unlinked; the bytes stay while a map of them does.
        let map = unsafe { Mmap::map(file) }?;
        Ok(Self(Arc::new(map)))
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Numbers in memory or in an entry.
#[derive(Clone, Debug)]
pub(crate) struct Numbers<T>(Backing<T>);

#[derive(Clone, Debug)]
enum Backing<T> {
    Memory(Vec<T>),
    /// Bytes of an entry. Their number and their alignment fit `T`.
    Entry(Mapped, Range<usize>, PhantomData<T>),
}

impl<T: Pod> Numbers<T> {
    /// The numbers in `bytes` of an entry; `None` when the bytes' number or alignment does not fit `T`.
    pub(super) fn of_entry(map: &Mapped, bytes: Range<usize>) -> Option<Self> {
        bytemuck::try_cast_slice::<u8, T>(map.get(bytes.clone())?).ok()?;
        Some(Self(Backing::Entry(map.clone(), bytes, PhantomData)))
    }
}

impl<T> From<Vec<T>> for Numbers<T> {
    fn from(numbers: Vec<T>) -> Self {
        Self(Backing::Memory(numbers))
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
            Backing::Entry(map, bytes, _) => {
                let numbers = map.get(bytes.clone()).and_then(|bytes| bytemuck::try_cast_slice(bytes).ok());
                numbers.unwrap_or_else(|| unreachable!("it was cast when it was opened"))
            }
        }
    }
}
