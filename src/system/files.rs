//! Writing files so that none is ever seen half-written, and none is lost when the power goes.
//!
//! Every durable change of a results folder is made here or by the log; each of
//! their steps is a write point at which `failpoints` can crash the process.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tempfile::TempPath;

pub(crate) mod failpoints;

/// How the names of files begin that are being written.
pub(crate) const TEMPORARY: &str = ".writing-";

/// Writes `bytes` to `path`: to a temporary file beside it, synced, then renamed.
///
/// A reader, or a crash at any instant, sees the old contents or the new, never a mixture. The
/// folder is created if it is missing.
///
/// # Errors
/// When any step fails; what stood at `path` before is untouched then.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_atomically(path, |temporary| fs::write(temporary, bytes))
}

/// As [`write_atomically`], with contents that `write` puts into the file at the path it is given.
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

/// As [`replace_atomically`], but nothing is synced: a crash of the machine may leave the new name on a file
/// that is not whole. For what checks itself and can be made again, in a folder that exists.
pub(crate) fn replace_unsynced(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    failpoints::check_space()?;
    let temporary = temporary_in(folder_of(path))?;
    write(&temporary)?;
    temporary.persist(path).map_err(|error| error.error)
}

/// Writes the new file `path` and syncs it. For files in a folder that is given its name later.
pub(crate) fn write_new(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    failpoints::check_space()?;
    write(path)?;
    failpoints::wrote(path);
    sync_file(path)
}

/// Makes `link` another name of `file`, in place of what stands there; a copy where the file system has no links.
pub(crate) fn link_atomically(file: &Path, link: &Path) -> io::Result<()> {
    let folder = folder_of(link);
    create_folder(folder)?;
    if is_same_file(file, link) {
        // To rename one name of a file to another one of it does nothing, and leaves both.
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

/// Gives the folder `new`, whose files are synced, the name `current`; what has that name becomes
/// `before`, in place of what has that one.
///
/// After a crash at any instant one of `current` and `before` is whole, if one was.
pub(crate) fn rotate_folders(new: &Path, current: &Path, before: &Path) -> io::Result<()> {
    sync_folder(new)?;
    if current.exists() {
        remove_folder(before)?;
        failpoints::rename(current, before)?;
    }
    failpoints::rename(new, current)?;
    sync_folder(folder_of(current))
}

/// Gives a folder another name beside it.
pub(crate) fn rename_folder(from: &Path, to: &Path) -> io::Result<()> {
    failpoints::rename(from, to)?;
    sync_folder(folder_of(to))
}

/// Removes a folder and all in it, if it is there.
pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => {
            failpoints::point("removed a folder");
            Ok(())
        }
    }
}

/// Makes a folder and those above it that are missing, so that they last.
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

fn is_there(folder: &Path) -> bool {
    folder.as_os_str().is_empty() || folder.is_dir()
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

fn temporary_in(folder: &Path) -> io::Result<TempPath> {
    // Temporary files are private by default; results are for whomever the umask admits.
    let mode = Permissions::from_mode(0o666);
    let file = tempfile::Builder::new().prefix(TEMPORARY).permissions(mode).tempfile_in(folder)?;
    Ok(file.into_temp_path())
}

fn rename_temporary(temporary: TempPath, path: &Path) -> io::Result<()> {
    failpoints::rename(&temporary, path)?;
    // Nothing has that name any more.
    let _: Result<PathBuf, _> = temporary.keep();
    Ok(())
}

pub(crate) fn sync_file(path: &Path) -> io::Result<()> {
    File::options().append(true).open(path)?.sync_all()?;
    failpoints::synced(path);
    Ok(())
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    failpoints::synced_folder(path);
    Ok(())
}

/// Appends `bytes` to `file`, which stands at `path` and is `length` bytes long, and syncs it if asked to.
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

/// Whether an operation failed since the disk, or what a user may have of it, is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
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
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a").join("b.txt");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(path.parent().unwrap()), ["b.txt"]);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_contents_and_nothing_else() {
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
    fn folders_move_up_and_the_oldest_goes() {
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
    fn a_link_takes_the_place_of_what_stood_there_and_outlives_the_file() {
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
