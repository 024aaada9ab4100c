//! The free space of a disk, and what a full one lacks.

use std::{io, path::Path};

use rustix::{
    fs::StatVfs,
    process::{Resource, getrlimit},
};

use super::files::{self, named};

/// Bytes that this user may still write to the file system of `path`. The path need not exist: its nearest
/// folder that exists counts.
///
/// # Errors
/// When the system has no answer for that folder.
pub fn free(path: &Path) -> io::Result<u64> {
    let path = std::path::absolute(path)?;
    free_at(path.ancestors().find(|folder| named::exists(folder)).unwrap_or(&path))
}

/// Bytes that this user may still write to the file system of `path`, which must exist.
///
/// # Errors
/// When the path does not exist, or the system has no answer for it.
pub fn free_at(path: &Path) -> io::Result<u64> {
    Ok(bytes(&rustix::fs::statvfs(path)?))
}

/// As [`free_at`], but nothing where no inode is left, without which no file can be created.
///
/// # Errors
/// As [`free_at`].
pub fn usable_at(path: &Path) -> io::Result<u64> {
    let space = rustix::fs::statvfs(path)?;
    Ok(if has_inodes(&space) { bytes(&space) } else { 0 })
}

const fn bytes(space: &StatVfs) -> u64 {
    space.f_bavail.saturating_mul(space.f_frsize)
}

/// Whether there is an inode for another file. Some file systems do not count them.
const fn has_inodes(space: &StatVfs) -> bool {
    space.f_files == 0 || space.f_favail > 0
}

/// What is missing where nothing can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Space, of which so many bytes are left if that is known.
    Space(Option<u64>),
    /// Inodes: there is space, but for no further file.
    Inodes,
    /// Files may not grow beyond this number of bytes (`ulimit -f`), if it is known.
    FileSize(Option<u64>),
}

impl Lack {
    /// What the error of a write below `path` means, if it means a full disk in some way.
    #[must_use]
    pub fn of(error: &io::Error, path: &Path) -> Option<Self> {
        let space = || nearest(path);
        match error.kind() {
            io::ErrorKind::FileTooLarge => Some(Self::FileSize(file_size_limit())),
            _ if !files::is_full(error) => None,
            _ if space().is_some_and(|space| !has_inodes(&space)) => Some(Self::Inodes),
            _ => Some(Self::Space(space().as_ref().map(bytes))),
        }
    }

    /// What is missing below `path`, where another process could not write.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        let space = nearest(path);
        let free = space.as_ref().map(bytes);
        let limit = file_size_limit();
        if space.is_some_and(|space| !has_inodes(&space)) {
            Self::Inodes
        } else if limit.is_some() && limit < free {
            Self::FileSize(limit)
        } else {
            Self::Space(free)
        }
    }
}

/// The file system of `path`, which need not exist.
fn nearest(path: &Path) -> Option<StatVfs> {
    path.ancestors().find_map(|path| rustix::fs::statvfs(path).ok())
}

/// The largest file that this process may write, in bytes.
fn file_size_limit() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_does_not_exist_has_the_free_space_of_its_nearest_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free(&folder.path().join("not").join("there")).unwrap() > 0);
    }

    #[test]
    fn a_relative_path_has_free_space() {
        assert!(free(Path::new("")).is_err() || free(Path::new("a relative path")).unwrap() > 0);
    }

    #[test]
    fn a_file_that_may_not_grow_is_no_full_disk() {
        let too_large = io::Error::from(rustix::io::Errno::FBIG);
        assert!(matches!(Lack::of(&too_large, Path::new("/")), Some(Lack::FileSize(_))));
        let full = io::Error::from(rustix::io::Errno::NOSPC);
        assert!(matches!(Lack::of(&full, Path::new("/")), Some(Lack::Space(Some(_)) | Lack::Inodes)));
        assert_eq!(Lack::of(&rustix::io::Errno::ACCESS.into(), Path::new("/")), None);
        assert!(matches!(Lack::at(Path::new("/not/there")), Lack::Space(Some(_)) | Lack::Inodes));
    }

    #[test]
    fn a_path_that_must_exist_is_an_error_if_it_does_not() {
        assert!(free_at(Path::new("/")).is_ok());
        assert!(free_at(Path::new("/no/such/place")).is_err());
    }
}
