//! What trials share and can be computed again, in `<results>/.cache/`.
//!
//! An entry is a file that is named by the SHA-256 of what decides its contents, never by a
//! path or a time. It is written beside its place and renamed, and never changed afterwards,
//! so that any number of processes may read and write the same entry. Its own digest is
//! checked when it is opened. What cannot be read or written is computed again: the cache
//! fails nothing, and changes no number.
//!
//! Who finds no entry gets a `Claim`: the right to make it, by a lock that others wait for
//! and that the kernel frees when its holder dies.

mod entry;
mod mapped;

use std::{
    fmt::Display,
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub(crate) use self::{
    entry::{Draft, Entry, Head, Number},
    mapped::Numbers,
};
use crate::{fingerprint, system::files};

/// Between two looks at a lock that somebody else holds.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What a killed process left is removed when it is older: nobody writes to it any more.
const STALE: Duration = Duration::from_hours(1);
/// Characters of an entry's name.
const NAME: usize = 64;

/// Where the cache is, and how large it may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheSpec {
    /// Its folder, as an absolute path; made when it is missing, but not the one that it is in.
    pub folder: PathBuf,
    /// Bytes of all entries together at most.
    pub bytes: u64,
}

/// What an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Token ids of a split's chunks.
    Text,
    /// Hidden states of every token after the frozen layers.
    Hidden,
    /// What a wholly frozen encoder makes of each chunk.
    Pooled,
}

impl Kind {
    /// Its name in listings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Hidden => "hidden",
            Self::Pooled => "pooled",
        }
    }
}

/// An entry's name: a digest of what decides its contents.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(String);

impl Key {
    /// The key of `parts`, which must hold all that the contents depend on, the version of the code
    /// that makes them included.
    pub(crate) fn of<'a>(kind: Kind, parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        let order: &[u8] = if cfg!(target_endian = "little") { b"little" } else { b"big" };
        for part in [kind.as_str().as_bytes(), order].into_iter().chain(parts) {
            // After its length, so that no two lists of parts are alike.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(fingerprint::hex(&hash.finalize()))
    }
}

/// The one who waited or worked was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped;

/// What is there under a key.
pub(crate) enum Found {
    /// The entry.
    Entry(Entry),
    /// Nothing.
    Absent(Claim),
}

/// The right to make an entry, as long as it lives.
pub(crate) struct Claim {
    /// Where the entry goes; `None` when nothing can be kept.
    place: Option<Place>,
}

struct Place {
    spec: CacheSpec,
    path: PathBuf,
    /// Held while the entry is made; without one (on a file system that knows no locks) several may make it.
    lock: Option<File>,
}

/// The cache as a worker uses it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cache {
    spec: Option<CacheSpec>,
}

impl Cache {
    /// The cache that `spec` describes; without one, nothing is found and nothing kept.
    pub(crate) const fn new(spec: Option<CacheSpec>) -> Self {
        Self { spec }
    }

    /// The bound.
    pub(crate) fn bytes(&self) -> u64 {
        self.spec.as_ref().map_or(0, |spec| spec.bytes)
    }

    /// Whether an entry with this head may be kept at all.
    pub(crate) fn has_room_for(&self, head: &Head) -> bool {
        head.file_length() <= self.bytes()
    }

    /// Looks for the entry of `key`. While somebody else makes it, this waits, and `go_on` is asked
    /// now and then whether to.
    ///
    /// # Errors
    /// When `go_on` said no.
    pub(crate) fn find(&self, key: &Key, go_on: &mut dyn FnMut() -> bool) -> Result<Found, Stopped> {
        let Some(spec) = self.spec.clone() else { return Ok(Found::Absent(Claim { place: None })) };
        let path = spec.folder.join(&key.0);
        if let Some(entry) = open(&path) {
            return Ok(Found::Entry(entry));
        }
        let lock_path = lock_path(&path);
        let lock = make_folder(&spec.folder).and_then(|()| lock_file(&lock_path));
        let mut place = Place { spec, path, lock: None };
        let Ok(lock) = lock else { return Ok(Found::Absent(Claim { place: Some(place) })) };
        loop {
            match lock.try_lock() {
                Err(TryLockError::WouldBlock) => {}
                Ok(()) => {
                    place.lock = Some(lock);
                    break;
                }
                Err(TryLockError::Error(_)) => break,
            }
            if !go_on() {
                return Err(Stopped);
            }
            thread::sleep(LOOK_EVERY);
        }
        // Whoever held the lock may have made it.
        let made = open(&place.path);
        let claim = Claim { place: Some(place) };
        Ok(made.map_or(Found::Absent(claim), Found::Entry))
    }
}

impl Claim {
    /// Makes the entry, with the numbers that `write` fills in. `None` when it cannot be kept, or `write` was
    /// interrupted.
    pub(crate) fn store(
        self,
        head: &Head,
        write: &mut dyn FnMut(&mut Draft) -> io::Result<()>,
    ) -> Option<Entry> {
        let Place { spec, path, .. } = self.place.as_ref()?;
        let length = head.file_length();
        if length > spec.bytes {
            return None;
        }
        make_room(spec, length);
        let stored = files::replace_unsynced(path, |temporary| {
            let mut draft = Draft::begin(temporary, head)?;
            write(&mut draft)?;
            draft.finish()
        });
        match stored {
            Ok(()) => Entry::open(path, false).ok(),
            // Stopped on the way: no trouble.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
            Err(error) => {
                say(path, &format_args!("cannot be written: {error}; the work goes on without it"));
                None
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(Place { path, lock: Some(_), .. }) = &self.place {
            // Who waits for the file that has this name now has it open: it gets the lock all the same.
            let _ = fs::remove_file(lock_path(path));
        }
    }
}

/// Opens the entry at `path`, and notes that it was used; one that is damaged is removed.
fn open(path: &Path) -> Option<Entry> {
    match Entry::open(path, true) {
        Ok(entry) => {
            // What cannot be noted only makes the entry seem older than it is.
            let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
            Some(entry)
        }
        Err(error) if error.is_absence() => None,
        Err(error) => {
            say(path, &format_args!("{error}; it is computed again"));
            let _ = fs::remove_file(path);
            None
        }
    }
}

/// For `worker.log`, where a worker's standard error goes.
fn say(path: &Path, what: &dyn Display) {
    let text = format!("the cache's entry {} {what}", path.display());
    if cfg!(test) {
        // Which the tests' harness captures.
        eprintln!("{text}");
    } else {
        // A reader that is gone is no trouble.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

fn lock_path(entry: &Path) -> PathBuf {
    entry.with_extension("lock")
}

fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    File::options().write(true).create(true).truncate(false).open(path)
}

/// A file of the cache's folder.
struct Item {
    path: PathBuf,
    modified: SystemTime,
    bytes: u64,
    is_entry: bool,
}

/// The files of the cache in `folder`, the least recently used first; others are left out.
fn items(folder: &Path) -> io::Result<Vec<Item>> {
    let files = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files?,
    };
    let mut items: Vec<Item> = files.filter_map(|file| item(&file.ok()?)).collect();
    items.sort_by(|one, other| (one.modified, &one.path).cmp(&(other.modified, &other.path)));
    Ok(items)
}

/// What `file` is, unless it is none of the cache, or is gone.
fn item(file: &fs::DirEntry) -> Option<Item> {
    let name = file.file_name();
    let name = name.to_str()?;
    let is_name =
        |name: &str| name.len() == NAME && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_ours = is_name(name)
        || name.starts_with(files::TEMPORARY)
        || name.strip_suffix(".lock").is_some_and(is_name);
    let about = file.metadata().ok().filter(|about| is_ours && about.is_file())?;
    let (modified, bytes) = (about.modified().ok()?, about.len());
    Some(Item { path: file.path(), modified, bytes, is_entry: is_name(name) })
}

/// Removes the least recently used entries until `bytes` more are within the bound, and what killed processes left.
///
/// Who has an entry open keeps it: only its name goes.
fn make_room(spec: &CacheSpec, bytes: u64) {
    let Ok(items) = items(&spec.folder) else { return };
    let is_stale = |item: &Item| item.modified.elapsed().is_ok_and(|age| age > STALE);
    let mut total: u64 = items.iter().filter(|item| item.is_entry).map(|item| item.bytes).sum();
    for item in items {
        let is_too_much = item.is_entry && total.saturating_add(bytes) > spec.bytes;
        if is_too_much || (!item.is_entry && is_stale(&item)) {
            let removed = fs::remove_file(&item.path);
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
    /// What it holds and what of; `None` when its head cannot be read.
    pub what: Option<(Kind, String)>,
    /// Its size.
    pub bytes: u64,
    /// When it was last used.
    pub used: SystemTime,
}

/// The entries in `folder`, the most recently used first. None are checked.
///
/// # Errors
/// When the folder exists and cannot be read.
pub fn list(folder: &Path) -> io::Result<Vec<Listed>> {
    let listed = |item: Item| {
        let head = File::open(&item.path).ok().and_then(|file| Head::read(&file).ok());
        let name = item.path.file_name()?.to_string_lossy().into_owned();
        let what = head.map(|head| (head.kind, head.about));
        Some(Listed { name, what, bytes: item.bytes, used: item.modified })
    };
    Ok(items(folder)?.into_iter().rev().filter(|item| item.is_entry).filter_map(listed).collect())
}

/// Removes every entry in `folder`, and what killed processes left there; the answer is how many entries, and
/// their bytes.
///
/// # Errors
/// When the folder cannot be read, or an entry not be removed.
pub fn clear(folder: &Path) -> io::Result<(usize, u64)> {
    let mut cleared = (0, 0);
    for item in items(folder)? {
        match fs::remove_file(&item.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ if item.is_entry => cleared = (cleared.0 + 1, cleared.1 + item.bytes),
            _ => {}
        }
    }
    Ok(cleared)
}

#[cfg(test)]
mod tests;
