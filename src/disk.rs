//! Free space, and errors that mean that there is none.

use std::{io, path::Path};

/// Bytes that this user may still write to the file system of `path`, which need not exist: of its
/// nearest folder that does.
///
/// # Errors
/// When the system does not tell.
pub fn free(path: &Path) -> io::Result<u64> {
    let path = std::path::absolute(path)?;
    let there = path.ancestors().find(|folder| folder.exists()).unwrap_or(&path);
    let space = rustix::fs::statvfs(there)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

/// Whether an operation failed since the disk is full, or the user's share of it.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_does_not_exist_is_asked_for_where_it_would_be() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free(&folder.path().join("not").join("there")).unwrap() > 0);
        assert!(free(Path::new("")).is_err() || free(Path::new("a relative path")).unwrap() > 0);
    }

    #[test]
    fn a_full_disk_is_told_apart_from_other_errors() {
        let full =
            std::fs::File::options().write(true).open("/dev/full").unwrap().write_all(b"x").unwrap_err();
        assert!(is_full(&full), "{full}");
        assert!(is_full(&io::Error::from_raw_os_error(rustix::io::Errno::DQUOT.raw_os_error())));
        assert!(!is_full(&io::Error::from(io::ErrorKind::PermissionDenied)));
    }
}
