//! The free space of a disk.

use std::{io, path::Path};

use super::files::named;

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
    let space = rustix::fs::statvfs(path)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
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
    fn a_path_that_must_exist_is_an_error_if_it_does_not() {
        assert!(free_at(Path::new("/")).is_ok());
        assert!(free_at(Path::new("/no/such/place")).is_err());
    }
}
