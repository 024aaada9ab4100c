//! The bytes of a cache entry, mapped into memory: with the matrix products the only places with `unsafe`.
//!
//! Private to [`super`], so that nothing but entries is ever mapped.

use std::{fs::File, io, marker::PhantomData, ops::Deref, ops::Range, sync::Arc};

use bytemuck::Pod;
use memmap2::Mmap;

/// A file that is mapped for reading, until the last user of it is gone.
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
pub(crate) struct Numbers<T>(Place<T>);

#[derive(Clone, Debug)]
enum Place<T> {
    Memory(Vec<T>),
    /// Bytes of an entry that hold whole numbers and begin where such may.
    Entry(Mapped, Range<usize>, PhantomData<T>),
}

impl<T: Pod> Numbers<T> {
    /// Those in `bytes` of an entry; `None` when they are no whole numbers or stand where none may.
    pub(super) fn of_entry(map: &Mapped, bytes: Range<usize>) -> Option<Self> {
        bytemuck::try_cast_slice::<u8, T>(map.get(bytes.clone())?).ok()?;
        Some(Self(Place::Entry(map.clone(), bytes, PhantomData)))
    }
}

impl<T> From<Vec<T>> for Numbers<T> {
    fn from(numbers: Vec<T>) -> Self {
        Self(Place::Memory(numbers))
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
            Place::Memory(numbers) => numbers,
            Place::Entry(map, bytes, _) => {
                let numbers = map.get(bytes.clone()).and_then(|bytes| bytemuck::try_cast_slice(bytes).ok());
                numbers.unwrap_or_else(|| unreachable!("it was cast when it was opened"))
            }
        }
    }
}
