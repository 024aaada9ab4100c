//! The folder in which a model is made before it takes its place, and what killed processes left of such folders.
//!
//! A process holds a lock of the kernel on its folder, which ends when the process does. So a folder without a lock
//! is nobody's, and is removed by the next export to the same parent folder or the next run of the sweep there. A
//! model that a crash left in it on its way out of its place is put back first.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::error::ExportError;
use crate::system::files::{self, FolderIdentity, Place, exchange};

/// Beginning of the names of such folders.
const PREFIX: &str = ".tmp-export-";
/// The same of folders that their processes hold. Earlier versions held none.
const HELD_PREFIX: &str = ".tmp-export-held-";
/// The folder with what was moved out of its place.
const ASIDE: &str = "aside";
/// The age from which a folder of an earlier version is nobody's.
const EARLIER_AGE_MIN: Duration = Duration::from_hours(24);
/// Number of attempts to make a folder that no other process removes before it is held.
const ATTEMPTS_MAX: u32 = 100;

/// How often a folder is looked at while other exports take its place.
const LOOKS_MAX: u32 = 20;

/// Refuses a folder that an export may not replace.
type Refuse<'a> = &'a dyn Fn(&Place) -> Result<(), ExportError>;

/// Puts what `write` writes into a new folder in the place `out`, unless `refuse` refuses what stands there. `read` gives what
/// is needed for it, before anything is made.
///
/// # Errors
/// Those of the three, and when a folder cannot be made or exchanged. `out` is then unchanged.
pub(super) fn replace<T>(
    out: &Place,
    refuse: Refuse<'_>,
    read: impl FnOnce() -> Result<T, ExportError>,
    write: impl FnOnce(&T, &Place) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    look(out, refuse)?;
    let unwritten = |place: &Place, source| ExportError::Write { path: place.path().to_owned(), source };
    let parent = parent_of(out).map_err(|source| unwritten(out, source))?;
    let read = read()?;
    files::create_folder(&parent).map_err(|source| unwritten(&parent, source))?;
    remove_leftovers(&parent);
    let staging = Staging::within(&parent).map_err(|source| unwritten(&parent, source))?;
    let new = staging.join(out.name());
    write(&read, &new)?;
    // The folder may have changed while the new one was written.
    look(out, refuse)?;
    // The old folder is removed together with the temporary one.
    exchange::put_in_place(&new, out, &staging.aside()).map_err(|source| unwritten(out, source))
}

/// Asks `refuse` about a folder. One that another export replaces meanwhile is looked at again.
fn look(folder: &Place, refuse: Refuse<'_>) -> Result<(), ExportError> {
    let mut looks = 1;
    loop {
        let before = folder.identity().ok();
        let found = refuse(folder);
        if found.is_ok() || looks >= LOOKS_MAX || folder.identity().ok() == before {
            return found;
        }
        looks += 1;
    }
}

/// Removes the exported folder `folder`: in one step for whoever looks at its place.
///
/// # Errors
/// When it cannot be moved away. What is left then is removed with the next export.
pub fn remove(folder: &Place) -> io::Result<()> {
    let staging = Staging::within(&parent_of(folder)?)?;
    match folder.rename(&staging.join("removed")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The folder that holds `folder`.
fn parent_of(folder: &Place) -> io::Result<Place> {
    folder.parent().ok_or_else(|| io::Error::other("it has no name; name another folder"))
}

/// A folder that is removed with its contents when it is dropped.
pub(super) struct Staging {
    folder: Place,
    /// `None` where the file system has no locks.
    _held: Option<File>,
}

impl Staging {
    /// A new folder in `parent`.
    pub(super) fn within(parent: &Place) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        for _ in 0..ATTEMPTS_MAX {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let folder = parent.join(format!("{HELD_PREFIX}{}-{count}", std::process::id()));
            match folder.make_folder() {
                // A process of another machine, or an earlier one with the same number, may have left the name.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            match hold(&folder) {
                Hold::Held(file) => return Ok(Self { folder, _held: Some(file) }),
                Hold::Unsupported => return Ok(Self { folder, _held: None }),
                // Another process took it for a leftover before it was held.
                Hold::Taken => {}
            }
        }
        Err(io::Error::other("other processes remove the temporary folder again and again"))
    }

    /// Something in the folder.
    pub(super) fn join(&self, name: impl AsRef<Path>) -> Place {
        self.folder.join(name)
    }

    /// Where folders go that are moved out of their places.
    pub(super) fn aside(&self) -> Place {
        self.join(ASIDE)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What stays is removed with the next export.
        let _ = self.folder.remove();
    }
}

/// The answer to the wish to hold a folder.
enum Hold {
    /// It is held as long as the file is open.
    Held(File),
    /// Another process holds it, or it is gone.
    Taken,
    /// The file system has no locks.
    Unsupported,
}

fn hold(folder: &Place) -> Hold {
    let Ok(file) = folder.open_as_folder() else { return Hold::Taken };
    match file.try_lock() {
        Ok(()) if is_at(&file, folder) => Hold::Held(file),
        Ok(()) | Err(TryLockError::WouldBlock) => Hold::Taken,
        Err(TryLockError::Error(_)) => Hold::Unsupported,
    }
}

/// Whether the open folder is the one at `place`.
fn is_at(folder: &File, place: &Place) -> bool {
    matches!((FolderIdentity::of(folder), place.identity()), (Ok(opened), Ok(found)) if opened == found)
}

/// Removes the folders that killed processes left in `parent`. One that cannot be removed stays: it costs space and
/// nothing else.
pub fn remove_leftovers(parent: &Place) {
    for name in parent.names().unwrap_or_default() {
        let (place, name) = (parent.join(&name), name.to_string_lossy());
        if !name.starts_with(PREFIX) {
            continue;
        }
        let Hold::Held(_held) = hold(&place) else { continue };
        if name.starts_with(HELD_PREFIX) {
            let asides = place.join(ASIDE);
            for aside in asides.names().unwrap_or_default() {
                exchange::put_back(&asides.join(aside), parent);
            }
        } else if !is_needless(&place) {
            continue;
        }
        let _ = place.remove();
    }
}

/// Whether the folder of an earlier version is nobody's and holds no model that was moved out of its place.
fn is_needless(folder: &Place) -> bool {
    let changed = folder.about().map(|found| found.modified);
    let is_old = changed.is_ok_and(|time| time.elapsed().is_ok_and(|age| age >= EARLIER_AGE_MIN));
    is_old && !folder.join("old").exists()
}

#[cfg(test)]
mod tests {
    use std::{fs, time::SystemTime};

    use super::*;
    use crate::samples::names;

    /// A folder with the folder that a killed process left, in which are these files.
    fn killed(name: &str, files: &[&str]) -> tempfile::TempDir {
        let parent = tempfile::tempdir().unwrap();
        for file in files {
            let path = parent.path().join(name).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        parent
    }

    #[test]
    fn what_a_killed_process_left_is_removed() {
        let parent = killed(".tmp-export-held-a", &["out/config.json"]);
        remove_leftovers(&Place::named(parent.path()));
        assert_eq!(names(parent.path()), [""; 0]);
    }

    #[test]
    fn the_folder_of_a_living_process_stays_until_it_is_dropped() {
        let parent = tempfile::tempdir().unwrap();
        let staging = Staging::within(&Place::named(parent.path())).unwrap();
        remove_leftovers(&Place::named(parent.path()));
        assert_eq!(names(parent.path()).len(), 1);
        drop(staging);
        assert_eq!(names(parent.path()), [""; 0]);
    }

    #[test]
    fn a_model_on_its_way_out_of_its_place_is_put_back_unless_another_one_is_there() {
        for (others, expected) in [(None, "aside/0/out/config.json"), (Some("out/config.json"), "new")] {
            let parent = killed(".tmp-export-held-a", &["aside/0/out/config.json", "out/config.json"]);
            if let Some(other) = others {
                fs::create_dir(parent.path().join("out")).unwrap();
                fs::write(parent.path().join(other), "new").unwrap();
            }
            remove_leftovers(&Place::named(parent.path()));
            assert_eq!(names(parent.path()), ["out"]);
            assert_eq!(fs::read_to_string(parent.path().join("out/config.json")).unwrap(), expected);
        }
    }

    #[test]
    fn the_folder_of_an_earlier_version_is_removed_when_it_is_old_and_holds_no_earlier_model() {
        for (file, days, expected) in [("model/a", 0, 1), ("model/a", 2, 0), ("old/a", 2, 1)] {
            let parent = killed(".tmp-export-x1Y2z3", &[file]);
            let folder = parent.path().join(".tmp-export-x1Y2z3");
            let age = Duration::from_hours(24 * days);
            let time = SystemTime::now().checked_sub(age).unwrap();
            File::open(&folder).unwrap().set_modified(time).unwrap();
            remove_leftovers(&Place::named(parent.path()));
            assert_eq!(names(parent.path()).len(), expected, "{file} {days}");
        }
    }

    #[test]
    fn other_files_and_links_stay() {
        let parent = killed("notes", &["a"]);
        fs::write(parent.path().join(".tmp-export-held-file"), "").unwrap();
        std::os::unix::fs::symlink("notes", parent.path().join(".tmp-export-held-link")).unwrap();
        remove_leftovers(&Place::named(parent.path()));
        assert_eq!(names(parent.path()), [".tmp-export-held-file", ".tmp-export-held-link", "notes"]);
        assert_eq!(names(&parent.path().join("notes")), ["a"]);
    }
}
