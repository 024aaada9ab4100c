//! The text files of a model's folder, read within bounds.
//!
//! Such a folder may come from anyone. What is no regular file is refused and not waited for,
//! and no file fills the memory, however long it is.

use std::{
    io::{self, Read as _},
    path::Path,
};

use crate::system::files::named;

/// Bytes of `config.json` and other files without a vocabulary. The longest known ones, with the names of thousands of
/// classes, have less than a megabyte.
pub(super) const SMALL_BYTES_MAX: u64 = 16 << 20;
/// Bytes of a file with a vocabulary. The longest known one, with 900,000 tokens, has about 60 MB.
pub(super) const VOCABULARY_BYTES_MAX: u64 = 128 << 20;

/// Reads a text file.
///
/// # Errors
/// When it cannot be read, is no regular file, is no UTF-8, or has more than `bytes_max` bytes.
pub(super) fn read(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    named::open(path)?.take(bytes_max + 1).read_to_string(&mut text)?;
    if text.len() as u64 > bytes_max {
        let message = format!("it has more than {} MiB, so it is no such file", bytes_max >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_end_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let error = read(&path, SMALL_BYTES_MAX).unwrap_err().to_string();
        assert_eq!(error, "it has more than 16 MiB, so it is no such file");
    }

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(read(&path, SMALL_BYTES_MAX).unwrap_err().to_string(), "it is a FIFO, not a regular file");
    }
}
