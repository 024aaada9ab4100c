//! Writing files so that no reader sees a half-written one, and none is lost in a power cut.
//!
//! Every durable change of a results folder is made here or by the log. Each step of a
//! change is a write point, at which `failpoints` can crash the process in tests.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tempfile::TempPath;

pub(crate) mod failpoints;

/// Beginning of the names of files that are not yet written completely.
pub(crate) const TEMPORARY: &str = ".writing-";

/// Replaces the contents of `path` by `bytes`: writes a temporary file beside it, syncs it, and renames it.
///
/// A reader, and a crash at any instant, sees either the old contents or the new ones. The folder is created
/// if it is missing.
///
/// # Errors
/// When any step fails. The old contents then stay.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_atomically(path, |temporary| fs::write(temporary, bytes))
}

/// Replaces the contents of `path` like [`write_atomically`], by the file that `write` writes at a given
/// path.
///
/// # Errors
/// As [`write_atomically`].
pub(crate) fn replace_atomically(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    failpoints::check_space()?;
    let folder = folder_of(path);
    create_folder(folder)?;
    let temporary = temporary_in(folder)?;
    write(&temporary)?;
    failpoints::wrote(&temporary);
    sync_file(&temporary)?;
    rename_temporary(temporary, path)?;
    sync_folder(folder)
}

/// Replaces the contents of `path` like [`replace_atomically`], but without syncing, in a folder that exists.
///
/// A crash of the machine may leave an incomplete file under the new name. So this is for files that are
/// checked when they are read, and can be made again.
pub(crate) fn replace_unsynced(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    failpoints::check_space()?;
    let temporary = temporary_in(folder_of(path))?;
    write(&temporary)?;
    temporary.persist(path).map_err(|error| error.error)
}

/// Writes the new file `path` and syncs it, without a temporary file: for folders that are renamed when
/// complete.
pub(crate) fn write_new(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    failpoints::check_space()?;
    write(path)?;
    failpoints::wrote(path);
    sync_file(path)
}

/// Makes `link` another name of `file`, replacing the file that had the name. Where the file system has no
/// hard links, it is a copy.
pub(crate) fn link_atomically(file: &Path, link: &Path) -> io::Result<()> {
    let folder = folder_of(link);
    create_folder(folder)?;
    if is_same_file(file, link) {
        // Renaming a hard link to another link of the same file does nothing, and would leave both.
        return sync_folder(folder);
    }
    let temporary = temporary_in(folder)?;
    fs::remove_file(&temporary)?;
    if fs::hard_link(file, &temporary).is_err() {
        fs::copy(file, &temporary)?;
        failpoints::wrote(&temporary);
        sync_file(&temporary)?;
    }
    rename_temporary(temporary, link)?;
    sync_folder(folder)
}

/// Renames the folder `new`, whose files are synced, to `current`. The old `current` is renamed to `before`,
/// and the old `before` is removed.
///
/// After a crash at any instant, one of `current` and `before` is complete, if one was complete earlier.
pub(crate) fn rotate_folders(new: &Path, current: &Path, before: &Path) -> io::Result<()> {
    sync_folder(new)?;
    if current.exists() {
        remove_folder(before)?;
        failpoints::rename(current, before)?;
    }
    failpoints::rename(new, current)?;
    sync_folder(folder_of(current))
}

/// Renames a folder within its parent folder.
pub(crate) fn rename_folder(from: &Path, to: &Path) -> io::Result<()> {
    failpoints::rename(from, to)?;
    sync_folder(folder_of(to))
}

/// Removes a folder with its contents, if it exists.
pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => {
            failpoints::point("removed a folder");
            Ok(())
        }
    }
}

/// Creates a folder and its missing parents, and syncs each name.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !is_there(folder)).collect();
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !folder.is_dir() => {
                return Err(error);
            }
            _ => {}
        }
        failpoints::created(folder);
        sync_folder(folder_of(folder))?;
    }
    Ok(())
}

/// Whether a folder exists; the empty path is the current folder.
fn is_there(folder: &Path) -> bool {
    folder.as_os_str().is_empty() || folder.is_dir()
}

/// The folder that holds `path`.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Whether two paths are names of the same file.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

/// A new temporary file in the folder, removed when it is dropped.
fn temporary_in(folder: &Path) -> io::Result<TempPath> {
    // Temporary files are private by default, but results should have the permissions that the umask allows.
    let mode = Permissions::from_mode(0o666);
    let file = tempfile::Builder::new().prefix(TEMPORARY).permissions(mode).tempfile_in(folder)?;
    Ok(file.into_temp_path())
}

/// Renames a temporary file.
fn rename_temporary(temporary: TempPath, path: &Path) -> io::Result<()> {
    failpoints::rename(&temporary, path)?;
    // The temporary name is gone, so there is nothing to remove when it is dropped.
    let _: Result<PathBuf, _> = temporary.keep();
    Ok(())
}

/// Syncs the contents of a file to the disk.
pub(crate) fn sync_file(path: &Path) -> io::Result<()> {
    File::options().append(true).open(path)?.sync_all()?;
    failpoints::synced(path);
    Ok(())
}

/// Syncs the names in a folder to the disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    failpoints::synced_folder(path);
    Ok(())
}

/// Appends `bytes` to `file`, and syncs it if `sync` is true. `path` and `length` are its path and present
/// length.
pub(crate) fn append(file: &mut File, path: &Path, length: u64, bytes: &[u8], sync: bool) -> io::Result<()> {
    failpoints::check_space()?;
    file.write_all(bytes)?;
    failpoints::appended(path, length);
    if sync {
        file.sync_data()?;
        failpoints::synced(path);
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
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_without_leaving_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a").join("b.txt");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(path.parent().unwrap()), ["b.txt"]);
    }

    #[test]
    fn a_write_that_fails_leaves_only_the_old_contents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.txt");
        write_atomically(&path, b"one").unwrap();
        let failed = replace_atomically(&path, |temporary| {
            fs::write(temporary, "tw")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(is_full(&failed.unwrap_err()));
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(names(folder.path()), ["b.txt"]);
    }

    #[test]
    fn folders_are_rotated() {
        let root = tempfile::tempdir().unwrap();
        let [new, current, before] = ["new", "current", "before"].map(|name| root.path().join(name));
        for content in ["1", "2", "3"] {
            fs::create_dir(&new).unwrap();
            write_new(&new.join("file"), |path| fs::write(path, content)).unwrap();
            rotate_folders(&new, &current, &before).unwrap();
        }
        assert_eq!(names(root.path()), ["before", "current"]);
        assert_eq!(fs::read(current.join("file")).unwrap(), b"3");
        assert_eq!(fs::read(before.join("file")).unwrap(), b"2");
    }

    #[test]
    fn a_link_replaces_a_file_for_good() {
        let root = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| root.path().join(name));
        fs::write(&file, "new").unwrap();
        fs::write(&link, "old").unwrap();
        link_atomically(&file, &link).unwrap();
        link_atomically(&file, &link).unwrap();
        assert_eq!(names(root.path()), ["file", "link"]);
        fs::remove_file(&file).unwrap();
        assert_eq!(fs::read(&link).unwrap(), b"new");
        assert_eq!(names(root.path()), ["link"]);
    }
}
