//! Whole files in memory, up to a bound: a file of another kind, or a hole of a terabyte, does not fill the memory.

use std::{
    fs::File,
    io::{self, Read as _},
};

/// Bytes of a plan or of another file of results that is read whole. The plan of a million trials has about 1 GB.
pub(super) const RESULTS_BYTES_MAX: u64 = 4 << 30;
/// Bytes of a file that a user or a hub named and that is read whole: a configuration, a tokenizer, an index of weights.
/// The tokenizer of a million tokens has about 60 MB.
pub(crate) const SMALL_BYTES_MAX: u64 = 256 << 20;

/// Reads `file`, which has at most `bytes_max` bytes.
///
/// # Errors
/// When it cannot be read, or is larger.
pub(super) fn read(file: File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let too_large = || {
        let message = format!("it is larger than any such file: more than {} MiB", bytes_max >> 20);
        io::Error::new(io::ErrorKind::FileTooLarge, message)
    };
    // Looked at first, so that a file with a hole is not read up to the bound.
    let length = file.metadata()?.len();
    if length > bytes_max {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max { Err(too_large()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "1234").unwrap();
        let read = |bytes_max| read(File::open(&path).unwrap(), bytes_max);
        assert_eq!(read(4).unwrap(), b"1234");
        assert_eq!(read(3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_file_that_never_ends_is_read_up_to_the_bound() {
        let endless = File::open("/dev/zero").unwrap();
        assert_eq!(read(endless, 1 << 20).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
