//! Results that trials share and that can be computed again, in `<results>/.cache/`.
//!
//! An entry is a file that is named by the SHA-256 of everything that decides its contents,
//! never by a path or a time. It is written under a temporary name and renamed, and never
//! changed afterwards, so that any number of processes may read and write the same entry.
//! Its own digest is checked when it is opened. An entry that cannot be read or written is
//! computed again: the cache fails no trial, and changes no number.
//!
//! Other programs can change a file all the same. So a worker copies entries into its own memory
//! while there is room (`CopyRoom`). The others are mapped, and their digests are compared again
//! before a checkpoint or an outcome counts (`Numbers::verify`).
//!
//! A search that finds no entry returns a `Claim`, the right to make the entry. The claim
//! holds a lock that others wait for and that the kernel frees when its holder dies.

mod digest;
mod entry;
mod kind;
mod mapped;
mod stopped;

use std::{
    fmt::Display,
    fs::{File, TryLockError},
    io::{self, Write},
    path::PathBuf,
    thread,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub(crate) use self::{
    entry::{Entry, EntryDraft, EntryHead, Number},
    mapped::{CopyRoom, Numbers},
    stopped::GoOn,
};
pub use self::{kind::Kind, mapped::ChangedEntry, stopped::Stopped};
use crate::{
    display::plain,
    error_chain::chain,
    fingerprint,
    system::files::{self, About, Place},
};

/// Time between two looks at a lock that somebody else holds.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Age from which a temporary file or a lock is taken for the remains of a killed process, and removed.
const STALE: Duration = Duration::from_hours(1);
/// Characters of an entry's name.
const NAME_LENGTH: usize = 64;

/// Where the cache is, and how large it may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheSpec {
    /// Its folder, as an absolute path. It is made when it is missing, but its parent folder is not.
    pub folder: PathBuf,
    /// The largest number of bytes of all entries together.
    pub bytes: u64,
}

impl CacheSpec {
    /// The folder. Links above it are followed, but it is none itself.
    fn place(&self) -> Place {
        Place::of(&self.folder)
    }
}

/// An entry's name: a digest of everything that decides its contents.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EntryKey(String);

impl EntryKey {
    /// Returns the key of `parts`. They must hold everything that the contents depend on, the version of the code
    /// that computes them included.
    pub(crate) fn of<'a>(kind: Kind, parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        let order: &[u8] = if cfg!(target_endian = "little") { b"little" } else { b"big" };
        for part in [kind.as_str().as_bytes(), order].into_iter().chain(parts) {
            // Each part after its length: otherwise "ab", "c" and "a", "bc" would have the same digest.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(fingerprint::hex(&hash.finalize()))
    }
}

/// The result of a search in the cache.
pub(crate) enum CacheEntry {
    /// The entry is there.
    Present(Entry),
    /// The entry is not there, and the caller may make it.
    Absent(Claim),
}

/// The right to make an entry, as long as it lives.
pub(crate) struct Claim {
    /// Where the entry goes; `None` when the cache can keep nothing.
    destination: Option<Destination>,
}

struct Destination {
    /// The cache's folder.
    folder: Place,
    /// The largest number of bytes of all entries together.
    bytes_max: u64,
    room: CopyRoom,
    entry: Place,
    /// Held while the entry is made. Without it, on a file system that knows no locks, several processes may make
    /// the entry at once.
    lock: Option<File>,
}

/// The cache as a worker uses it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cache {
    spec: Option<CacheSpec>,
    /// For copies of entries in memory.
    room: CopyRoom,
}

impl Cache {
    /// The cache that `spec` describes. Without a spec, no entry is found and none is kept. Entries are copied into
    /// memory while `room` has room.
    pub(crate) const fn new(spec: Option<CacheSpec>, room: CopyRoom) -> Self {
        Self { spec, room }
    }

    /// The largest number of bytes of all entries together.
    pub(crate) fn bytes_max(&self) -> u64 {
        self.spec.as_ref().map_or(0, |spec| spec.bytes)
    }

    /// Whether an entry with this head may be kept at all.
    pub(crate) fn has_room_for(&self, head: &EntryHead) -> bool {
        head.file_length() <= self.bytes_max()
    }

    /// Looks for the entry of `key`. While another process makes the entry, this waits, and asks `go_on` now and
    /// then.
    ///
    /// # Errors
    /// When `go_on` asks to stop.
    pub(crate) fn find(&self, key: &EntryKey, go_on: &mut GoOn<'_>) -> Result<CacheEntry, Stopped> {
        let Some(spec) = self.spec.clone() else {
            return Ok(CacheEntry::Absent(Claim { destination: None }));
        };
        let folder = spec.place();
        let place = folder.join(&key.0);
        if let Some(entry) = open(&place, &self.room) {
            return Ok(CacheEntry::Present(entry));
        }
        let lock = make_folder(&folder).and_then(|()| lock_place(&place).open_or_make());
        let (room, bytes_max) = (self.room.clone(), spec.bytes);
        let mut destination = Destination { folder, bytes_max, room, entry: place, lock: None };
        let Ok(lock) = lock else {
            return Ok(CacheEntry::Absent(Claim { destination: Some(destination) }));
        };
        loop {
            match lock.try_lock() {
                Err(TryLockError::WouldBlock) => {}
                Ok(()) => {
                    destination.lock = Some(lock);
                    break;
                }
                Err(TryLockError::Error(_)) => break,
            }
            go_on()?;
            thread::sleep(LOOK_EVERY);
        }
        // The process that held the lock may have made the entry.
        let made = open(&destination.entry, &self.room);
        let claim = Claim { destination: Some(destination) };
        Ok(made.map_or(CacheEntry::Absent(claim), CacheEntry::Present))
    }
}

impl Claim {
    /// Makes the entry, with the numbers that `write` fills in. Returns `None` when the entry cannot be kept, or
    /// when `write` was interrupted.
    pub(crate) fn store(
        self,
        head: &EntryHead,
        write: &mut dyn FnMut(&mut EntryDraft) -> io::Result<()>,
    ) -> Option<Entry> {
        let Destination { folder, bytes_max, room, entry, .. } = self.destination.as_ref()?;
        let length = head.file_length();
        if length > *bytes_max {
            return None;
        }
        make_room(folder, *bytes_max, length);
        let stored = files::replace_unsynced(entry, |file| {
            let mut draft = EntryDraft::begin(file.try_clone()?, head)?;
            write(&mut draft)?;
            draft.finish()
        });
        match stored {
            Ok(()) => Entry::open(entry, room).ok(),
            // A stop on the way is no trouble to tell of.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
            Err(error) => {
                say(entry, &format_args!("cannot be written: {error}; the work goes on without it"));
                None
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(Destination { entry, lock: Some(_), .. }) = &self.destination {
            // A process that waits for this lock has the file open, and gets the lock although the name is gone.
            let _ = lock_place(entry).remove_file();
        }
    }
}

/// Opens the entry at `place`, and sets its time of use. A damaged entry is removed.
fn open(place: &Place, room: &CopyRoom) -> Option<Entry> {
    match Entry::open(place, room) {
        Ok(entry) => {
            // Without a new time the entry only seems older than it is.
            let _ = place.open().and_then(|file| file.set_modified(SystemTime::now()));
            Some(entry)
        }
        Err(error) if error.is_absence() => None,
        Err(error) => {
            say(place, &format_args!("{}; it is computed again", chain(&error)));
            // Of a link, the link; whatever else is in the way stays.
            let _ = place.remove_file();
            None
        }
    }
}

/// Writes a line about an entry to standard error, which is a worker's `worker.log`.
fn say(entry: &Place, what: &dyn Display) {
    let text = plain(&format!("the cache's entry {} {what}", entry.display()));
    if cfg!(test) {
        // The tests' harness captures what this macro prints.
        eprintln!("{text}");
    } else {
        // A reader that is gone is no trouble.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

fn lock_place(entry: &Place) -> Place {
    entry.beside(format!("{}.lock", entry.name()))
}

fn make_folder(folder: &Place) -> io::Result<()> {
    match folder.make_folder() {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// A file in the cache's folder: an entry, a lock or a temporary file.
struct Item {
    place: Place,
    modified: SystemTime,
    bytes: u64,
    is_entry: bool,
}

/// Returns the cache's files in `folder`, the least recently used first. Files of other programs are left out.
fn items(folder: &Place) -> io::Result<Vec<Item>> {
    let names = match folder.names() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names?,
    };
    let mut items: Vec<Item> =
        names.into_iter().filter_map(|name| item(folder.join(&name), name.to_str()?)).collect();
    items.sort_by(|one, other| (one.modified, one.place.path()).cmp(&(other.modified, other.place.path())));
    Ok(items)
}

/// Returns the file `place` as a file of the cache; `None` when it is not one, or is gone.
fn item(place: Place, name: &str) -> Option<Item> {
    let is_name = |name: &str| {
        name.len() == NAME_LENGTH && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_ours = is_name(name)
        || name.starts_with(files::TEMPORARY)
        || name.strip_suffix(".lock").is_some_and(is_name);
    let about = is_ours.then(|| place.about().ok()).flatten();
    let About { modified, length: bytes, .. } = about.filter(|about| about.kind == files::Kind::File)?;
    Some(Item { place, modified, bytes, is_entry: is_name(name) })
}

/// Removes the least recently used entries until `bytes` more are within the bound, and the remains of killed
/// processes.
///
/// A process that has a removed entry open can still read it: only the entry's name goes.
fn make_room(folder: &Place, bytes_max: u64, bytes: u64) {
    let Ok(items) = items(folder) else { return };
    let is_stale = |item: &Item| item.modified.elapsed().is_ok_and(|age| age > STALE);
    let mut total: u64 = items.iter().filter(|item| item.is_entry).map(|item| item.bytes).sum();
    for item in items {
        let is_too_much = item.is_entry && total.saturating_add(bytes) > bytes_max;
        if is_too_much || (!item.is_entry && is_stale(&item)) {
            let removed = item.place.remove_file();
            if item.is_entry && removed.is_ok() {
                total -= item.bytes;
            }
        }
    }
}

/// An entry as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// What it holds, and a description of what that was computed from; `None` when its head cannot be read.
    pub what: Option<(Kind, String)>,
    /// Its size.
    pub bytes: u64,
    /// When it was last used.
    pub used: SystemTime,
}

/// Lists the entries in `folder`, the most recently used first. Their digests are not checked.
///
/// # Errors
/// When the folder exists and cannot be read.
pub fn list(folder: &Place) -> io::Result<Vec<Listed>> {
    let listed = |item: Item| {
        let head = item.place.open().ok().and_then(|file| EntryHead::read(&file).ok());
        let name = item.place.name();
        let what = head.map(|head| (head.kind, head.about));
        Listed { name, what, bytes: item.bytes, used: item.modified }
    };
    Ok(items(folder)?.into_iter().rev().filter(|item| item.is_entry).map(listed).collect())
}

/// Removes every entry in `folder`, and the remains of killed processes there. Returns the number of entries and
/// their bytes.
///
/// # Errors
/// When the folder cannot be read, or an entry not be removed.
pub fn clear(folder: &Place) -> io::Result<(usize, u64)> {
    let mut cleared = (0, 0);
    for item in items(folder)? {
        match item.place.remove_file() {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ if item.is_entry => cleared = (cleared.0 + 1, cleared.1 + item.bytes),
            _ => {}
        }
    }
    Ok(cleared)
}

#[cfg(test)]
mod tests;
