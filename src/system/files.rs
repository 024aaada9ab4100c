//! Writing files so that no reader sees a half-written one, and none is lost in a power cut.
//!
//! Every durable change of a results folder is made here or by the log, at a [`Place`]. Each step of a
//! change is a write point, at which `failpoints` can crash the process in tests.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

mod about;
mod beneath;
mod bounded;
pub(crate) mod exchange;
pub(crate) mod failpoints;
pub(crate) mod many;
pub mod named;
mod place;
pub(crate) mod unfinished;

pub(crate) use self::about::{About, Kind};
#[cfg(test)]
pub(crate) use self::beneath::is_refusal;
pub(crate) use self::bounded::SMALL_BYTES_MAX;
pub use self::{about::FolderIdentity, place::Place};

/// Beginning of the names of files that are not yet written completely.
pub(crate) const TEMPORARY: &str = ".writing-";
/// Number of names that are tried for a temporary file.
const NAMES_MAX: u32 = 1000;

/// Replaces the contents of `place` by `bytes`: writes a temporary file beside it, syncs it, and renames it.
///
/// A reader, and a crash at any instant, sees either the old contents or the new ones. The folder is created
/// if it is missing.
///
/// # Errors
/// When any step fails. The old contents then stay.
pub fn write_atomically(place: &Place, bytes: &[u8]) -> io::Result<()> {
    replace_atomically(place, |file| file.write_all(bytes))
}

/// Replaces the contents of `place` like [`write_atomically`], by what `write` writes into an empty file.
///
/// # Errors
/// As [`write_atomically`].
pub(crate) fn replace_atomically(
    place: &Place,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    failpoints::check_space()?;
    let folder = folder_of(place)?;
    create_folder(&folder)?;
    let mut temporary = Temporary::in_folder(&folder)?;
    write(&mut temporary.file)?;
    failpoints::wrote(temporary.place.path());
    sync(&temporary.file, &temporary.place)?;
    temporary.rename(place)?;
    sync_folder(&folder)
}

/// Replaces the contents of `place` like [`replace_atomically`], but without syncing, in a folder that exists.
///
/// A crash of the machine may leave an incomplete file under the new name. So this is for files that are
/// checked when they are read, and can be made again.
pub(crate) fn replace_unsynced(
    place: &Place,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    failpoints::check_space()?;
    let mut temporary = Temporary::in_folder(&folder_of(place)?)?;
    write(&mut temporary.file)?;
    temporary.place.rename(place)?;
    temporary.is_renamed = true;
    Ok(())
}

/// Replaces the contents of `place` by a file that was closed before it got its name, without syncing: on the file
/// system of a network, other machines can read a file once it is closed. The file is called `temporary` first, in the
/// same folder, a name that nobody else uses.
pub(crate) fn replace_closed(place: &Place, temporary: &str, bytes: &[u8]) -> io::Result<()> {
    failpoints::check_space()?;
    let written = place.beside(temporary);
    let make = || match written.make_file() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            written.remove_file()?;
            written.make_file()
        }
        file => file,
    };
    let done = make().and_then(|mut file| file.write_all(bytes)).and_then(|()| written.rename(place));
    if done.is_err() {
        let _ = written.remove_file();
    }
    done
}

/// Writes the new file `place` and syncs it, without a temporary file: for folders that are renamed when
/// complete.
pub(crate) fn write_new(place: &Place, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    failpoints::check_space()?;
    let mut file = place.make_file()?;
    write(&mut file)?;
    failpoints::wrote(place.path());
    sync(&file, place)
}

/// Makes `link` another name of `file`, replacing the file that had the name. Where the file system has no
/// hard links, it is a copy.
pub(crate) fn link_atomically(file: &Place, link: &Place) -> io::Result<()> {
    let folder = folder_of(link)?;
    create_folder(&folder)?;
    if is_same_file(file, link) {
        // Renaming a hard link to another link of the same file does nothing, and would leave both.
        return sync_folder(&folder);
    }
    // Opening it refuses what is no regular file.
    let mut source = file.open()?;
    let mut temporary = Temporary::in_folder(&folder)?;
    temporary.place.remove_file()?;
    if file.link(&temporary.place).is_err() {
        temporary.file = temporary.place.make_file()?;
        io::copy(&mut source, &mut temporary.file)?;
        failpoints::wrote(temporary.place.path());
        sync(&temporary.file, &temporary.place)?;
    }
    temporary.rename(link)?;
    sync_folder(&folder)
}

/// Opens a file for appending, and makes it if it is missing. A file that has another name elsewhere, by a hard
/// link, is replaced by a copy first, so that nothing is appended to what the other name stands for.
pub(crate) fn open_for_append(place: &Place) -> io::Result<File> {
    use std::os::unix::fs::MetadataExt;

    let file = place.open_for_append()?;
    if file.metadata()?.nlink() <= 1 {
        return Ok(file);
    }
    replace_atomically(place, |copy| io::copy(&mut place.open()?, copy).map(drop))?;
    place.open_for_append()
}

/// Renames the folder `new`, whose files are synced, to `current`. The old `current` is renamed to `before`,
/// and the old `before` is removed.
///
/// After a crash at any instant, one of `current` and `before` is complete, if one was complete earlier.
pub(crate) fn rotate_folders(new: &Place, current: &Place, before: &Place) -> io::Result<()> {
    sync_folder(new)?;
    if current.exists() {
        remove_folder(before)?;
        rename(current, before)?;
    }
    rename(new, current)?;
    sync_folder(&folder_of(current)?)
}

/// Renames a folder or file within its parent folder.
pub(crate) fn rename_folder(from: &Place, to: &Place) -> io::Result<()> {
    rename(from, to)?;
    sync_folder(&folder_of(to)?)
}

/// Removes a folder with its contents, if it exists. Links in it, and one in its place, are removed themselves.
pub(crate) fn remove_folder(place: &Place) -> io::Result<()> {
    match place.remove() {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => {
            failpoints::point("removed a folder");
            Ok(())
        }
    }
}

/// Creates a folder and its missing parents, and syncs each name. Folders above the named one are made too.
pub(crate) fn create_folder(place: &Place) -> io::Result<()> {
    if let Some(root) = place.root_to_open() {
        create_named_folder(root)?;
    }
    if place.is_folder() {
        return Ok(());
    }
    if let Some(parent) = place.parent() {
        create_folder(&parent)?;
        match place.make_folder() {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !place.is_folder() => {
                // Opening says what is in the way.
                place.open_as_folder()?;
                return Err(error);
            }
            _ => {}
        }
        failpoints::created(place.path());
        sync_folder(&parent)?;
    }
    Ok(())
}

/// Creates a folder that a user named, and its missing parents, and syncs each name.
#[expect(clippy::disallowed_methods, reason = "above the named folder, links are followed")]
fn create_named_folder(path: &Path) -> io::Result<()> {
    let is_there = |folder: &Path| folder.as_os_str().is_empty() || folder.is_dir();
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !is_there(folder)).collect();
    for folder in missing.into_iter().rev() {
        match std::fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !folder.is_dir() => {
                return Err(error);
            }
            _ => {}
        }
        failpoints::created(folder);
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_folder(&Place::named(parent.unwrap_or_else(|| Path::new("."))))?;
    }
    Ok(())
}

/// The folder that holds `place`.
fn folder_of(place: &Place) -> io::Result<Place> {
    place.parent().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Whether two places are names of the same file.
fn is_same_file(one: &Place, other: &Place) -> bool {
    matches!((one.about(), other.about()), (Ok(one), Ok(other)) if one.is_same(&other))
}

/// A file under a name of its own, which is removed when it is dropped, unless it was renamed.
struct Temporary {
    place: Place,
    file: File,
    is_renamed: bool,
}

impl Temporary {
    fn in_folder(folder: &Place) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // A process of another machine, or an earlier one with the same number, may have left the name.
        for _ in 0..NAMES_MAX {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let place = folder.join(format!("{TEMPORARY}{}-{count}", std::process::id()));
            match place.make_file() {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                file => {
                    let file = file?;
                    // So that `unfinished` leaves the file alone. Where the file system has no locks, files that
                    // killed processes left are never removed.
                    let _ = file.try_lock();
                    return Ok(Self { place, file, is_renamed: false });
                }
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn rename(mut self, to: &Place) -> io::Result<()> {
        rename(&self.place, to)?;
        self.is_renamed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_renamed {
            let _ = self.place.remove_file();
        }
    }
}

/// Renames a file or folder, which is not synced.
fn rename(from: &Place, to: &Place) -> io::Result<()> {
    let kept = failpoints::keep(to.path());
    from.rename(to)?;
    failpoints::renamed(from.path(), to.path(), kept);
    Ok(())
}

/// Syncs the contents of a file to the disk.
fn sync(file: &File, place: &Place) -> io::Result<()> {
    file.sync_all()?;
    failpoints::synced(place.path());
    Ok(())
}

/// Syncs the names in a folder to the disk.
pub(crate) fn sync_folder(place: &Place) -> io::Result<()> {
    place.open_as_folder()?.sync_all()?;
    failpoints::synced_folder(place.path());
    Ok(())
}

/// Appends `bytes` to `file`, and syncs it if `sync` is true. `place` and `length` are its place and present
/// length.
pub(crate) fn append(
    file: &mut File,
    place: &Place,
    length: u64,
    bytes: &[u8],
    sync: bool,
) -> io::Result<()> {
    failpoints::check_space()?;
    file.write_all(bytes)?;
    failpoints::appended(place.path(), length);
    if sync {
        file.sync_data()?;
        failpoints::synced(place.path());
    }
    Ok(())
}

/// Whether an operation failed because the disk, or the user's quota on it, is full, or because a file may not
/// grow as long as it must (`ulimit -f`).
pub(crate) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(folder: &Place) -> Vec<String> {
        let mut names: Vec<String> =
            folder.names().unwrap().into_iter().map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn folder() -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::named(folder.path());
        (folder, place)
    }

    #[test]
    fn a_file_is_replaced_without_leaving_another_one() {
        let (_folder, root) = folder();
        let place = root.join("a").join("b.txt");
        write_atomically(&place, b"one").unwrap();
        write_atomically(&place, b"two").unwrap();
        assert_eq!(place.read().unwrap(), b"two");
        assert_eq!(names(&root.join("a")), ["b.txt"]);
    }

    #[test]
    fn a_write_that_fails_leaves_only_the_old_contents() {
        let (_folder, root) = folder();
        let place = root.join("b.txt");
        write_atomically(&place, b"one").unwrap();
        let failed = replace_atomically(&place, |file| {
            file.write_all(b"tw")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(is_full(&failed.unwrap_err()));
        assert_eq!(place.read().unwrap(), b"one");
        assert_eq!(names(&root), ["b.txt"]);
    }

    #[test]
    fn the_named_folder_and_all_above_it_are_made() {
        let (folder, _) = folder();
        let root = Place::named(folder.path().join("x/y"));
        create_folder(&root.join("z")).unwrap();
        create_folder(&root.join("z")).unwrap();
        assert!(folder.path().join("x/y/z").is_dir());
    }

    #[test]
    fn a_folder_is_not_made_through_a_link() {
        let (folder, root) = folder();
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
        for place in [root.join("link"), root.join("link/a")] {
            let error = create_folder(&place).unwrap_err();
            assert!(is_refusal(&error), "{error}");
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn folders_are_rotated() {
        let (_folder, root) = folder();
        let [new, current, before] = ["new", "current", "before"].map(|name| root.join(name));
        for content in ["1", "2", "3"] {
            new.make_folder().unwrap();
            write_new(&new.join("file"), |file| file.write_all(content.as_bytes())).unwrap();
            rotate_folders(&new, &current, &before).unwrap();
        }
        assert_eq!(names(&root), ["before", "current"]);
        assert_eq!(current.join("file").read().unwrap(), b"3");
        assert_eq!(before.join("file").read().unwrap(), b"2");
    }

    #[test]
    fn a_link_replaces_a_file_for_good() {
        let (_folder, root) = folder();
        let [file, link] = ["file", "link"].map(|name| root.join(name));
        write_atomically(&file, b"new").unwrap();
        write_atomically(&link, b"old").unwrap();
        link_atomically(&file, &link).unwrap();
        link_atomically(&file, &link).unwrap();
        assert_eq!(names(&root), ["file", "link"]);
        file.remove_file().unwrap();
        assert_eq!(link.read().unwrap(), b"new");
        assert_eq!(names(&root), ["link"]);
    }

    #[test]
    fn what_another_name_stands_for_is_not_appended_to() {
        let (folder, root) = folder();
        fs::write(folder.path().join("theirs"), "theirs\n").unwrap();
        fs::hard_link(folder.path().join("theirs"), folder.path().join("log")).unwrap();
        open_for_append(&root.join("log")).unwrap().write_all(b"ours\n").unwrap();
        assert_eq!(root.join("log").read().unwrap(), b"theirs\nours\n");
        assert_eq!(root.join("theirs").read().unwrap(), b"theirs\n");
    }
}
