//! Files and folders that a user named: specs, data, checkpoints, texts, and what the system tells about itself.
//!
//! They are only read, but for those of the system that take an answer. Links are followed, since whoever names a
//! path means what it leads to. A device, a FIFO or a socket is refused instead of being waited for, but for texts
//! and specs that may come through a pipe.

#![expect(clippy::disallowed_methods, reason = "what a user named is read, and links to it are followed")]

use std::{
    fs::{self, File, FileType, Metadata, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

use super::bounded;

/// Opens a regular file for reading.
///
/// # Errors
/// When it cannot be opened, or is a folder, a device, a FIFO or a socket.
pub fn open(path: &Path) -> io::Result<File> {
    // A FIFO is then opened at once instead of waited for, and refused below.
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let file = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() { Ok(file) } else { Err(refusal(kind)) }
}

/// The error for what is no regular file.
fn refusal(kind: FileType) -> io::Error {
    if kind.is_dir() {
        return io::ErrorKind::IsADirectory.into();
    }
    let what = if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    io::Error::other(format!("it is {what}, not a regular file"))
}

/// Opens a file for reading that may also be a pipe, which is waited for.
///
/// # Errors
/// When it cannot be opened.
pub fn open_stream(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Tells the system something by a file that it has for this, such as those of `/proc/self`.
///
/// # Errors
/// When there is no such file, or the system takes nothing.
pub(crate) fn tell_system(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

/// Reads a whole regular file, which is small.
///
/// # Errors
/// As [`open`], and when it is larger than any such file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    bounded::read(open(path)?, bounded::SMALL_BYTES_MAX)
}

/// Reads a whole regular file as text, which is small.
///
/// # Errors
/// As [`read`], and when it is not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// What there is at a path.
///
/// # Errors
/// When there is nothing.
pub fn metadata(path: &Path) -> io::Result<Metadata> {
    fs::metadata(path)
}

/// What a folder is, besides its path: a folder that takes its place is another one. `None` if it cannot be read.
pub(crate) fn identity(folder: &Path) -> Option<impl PartialEq + use<>> {
    let found = fs::metadata(folder).ok()?;
    Some((found.dev(), found.ino(), found.mtime(), found.mtime_nsec()))
}

/// The path behind all links.
///
/// # Errors
/// When there is nothing.
pub fn canonical(path: &Path) -> io::Result<std::path::PathBuf> {
    path.canonicalize()
}

/// Whether there is a regular file.
#[must_use]
pub fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// Whether there is a folder.
#[must_use]
pub fn is_folder(path: &Path) -> bool {
    path.is_dir()
}

/// Whether there is anything.
#[must_use]
pub fn exists(path: &Path) -> bool {
    path.exists()
}

/// The names in a folder.
///
/// # Errors
/// When it cannot be read.
pub fn names(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
        assert_eq!(open(&fifo).unwrap_err().to_string(), "it is a FIFO, not a regular file");
        assert_eq!(
            open(Path::new("/dev/null")).unwrap_err().to_string(),
            "it is a device, not a regular file"
        );
        assert_eq!(open(folder.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn links_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "text").unwrap();
        std::os::unix::fs::symlink("file", folder.path().join("link")).unwrap();
        assert_eq!(read_to_string(&folder.path().join("link")).unwrap(), "text");
        assert_eq!(names(folder.path()).unwrap().len(), 2);
    }
}
