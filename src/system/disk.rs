//! Free space.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_exist_is_asked_for_where_it_would_be() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free(&folder.path().join("not").join("there")).unwrap() > 0);
        assert!(free(Path::new("")).is_err() || free(Path::new("a relative path")).unwrap() > 0);
    }
}
