//! Writing files so that none is ever seen half-written.

use std::{
    fs::{File, Permissions},
    io,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// Writes `bytes` to `path`: to a temporary file beside it, synced, then renamed.
///
/// A reader, or a crash at any instant, sees the old contents or the new, never a mixture. The
/// folder is created if it is missing.
///
/// # Errors
/// When any step fails; what stood at `path` before is untouched then.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    // Temporary files are private by default; results are for whomever the umask admits.
    let mode = Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().prefix(".writing-").permissions(mode).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
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
