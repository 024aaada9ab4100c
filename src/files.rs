//! Writing files so that none is ever seen half-written.

use std::{fs::File, io, io::Write, path::Path};

/// Writes `bytes` to `path`: to a temporary file beside it, synced, then renamed.
///
/// The folder is created if it is missing.
///
/// # Errors
/// When any step fails; what stood at `path` before is untouched then.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".tmp-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    // Temporary files are private; results are as readable as any other file.
    let mode = File::open(folder)?.metadata()?.permissions();
    std::fs::set_permissions(file.path(), readable(&mode))?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

/// A file's permissions from its folder's: the same without execution.
#[cfg(unix)]
fn readable(folder: &std::fs::Permissions) -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    std::fs::Permissions::from_mode(folder.mode() & 0o666)
}

#[cfg(not(unix))]
fn readable(folder: &std::fs::Permissions) -> std::fs::Permissions {
    folder.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a").join("b.txt");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
