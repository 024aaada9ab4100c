//! Whole files in memory, up to a bound: a file of another kind, or a hole of a terabyte, does not fill the memory.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Bytes of a plan or of another file of results that is read whole. The plan of a million trials has about 1 GB.
pub(crate) const RESULTS_BYTES_MAX: u64 = 4 << 30;
/// Bytes of a file of a configuration or tokenizer, or of an index of weights. The tokenizer of a million tokens has
/// about 60 MB.
pub(crate) const SMALL_BYTES_MAX: u64 = 256 << 20;

/// Reads the file at `path`, which has at most `bytes_max` bytes.
///
/// # Errors
/// When it cannot be read, or is larger.
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let too_large = || {
        let message = format!("it is larger than any such file: more than {} MiB", bytes_max >> 20);
        io::Error::new(io::ErrorKind::FileTooLarge, message)
    };
    let file = File::open(path)?;
    // Looked at first, so that a file with a hole is not read up to the bound.
    if file.metadata()?.len() > bytes_max {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max { Err(too_large()) } else { Ok(bytes) }
}

/// Reads the text file at `path`, which has at most `bytes_max` bytes.
///
/// # Errors
/// As [`read`], and when it is not UTF-8.
pub(crate) fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    String::from_utf8(read(path, bytes_max)?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "1234").unwrap();
        assert_eq!(read_text(&path, 4).unwrap(), "1234");
        assert_eq!(read(&path, 3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_file_that_never_ends_is_read_up_to_the_bound() {
        assert_eq!(read(Path::new("/dev/zero"), 1 << 20).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
