//! What there is at a place: its kind, length and time, and what tells it from all others.
#![expect(clippy::disallowed_methods, reason = "asks what a path leads to, and opens nothing")]

use std::{
    fs::File,
    io,
    path::Path,
    time::{Duration, SystemTime},
};

use rustix::fs::{FileType, Stat, fstat};
use serde::{Deserialize, Serialize};

/// What tells one folder from all others of a machine, whatever its path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderIdentity {
    device: u64,
    inode: u64,
}

/// What there is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    File,
    Folder,
    /// A link, a device, a FIFO or a socket.
    Other,
}

/// What there is at a place, and how it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    pub(crate) kind: Kind,
    /// Bytes.
    pub(crate) length: u64,
    /// Time of the last change; the year 1970 if it lies before.
    pub(crate) modified: SystemTime,
    pub(super) identity: FolderIdentity,
}

impl About {
    pub(super) fn of(stat: &Stat) -> Self {
        // The widths and signs of these numbers differ between systems.
        #[expect(clippy::cast_sign_loss, clippy::useless_conversion, reason = "see above")]
        let (length, device, inode) = (stat.st_size as u64, u64::from(stat.st_dev), u64::from(stat.st_ino));
        let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
        let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            _ => Kind::Other,
        };
        let since = Duration::new(seconds, nanoseconds);
        let modified = SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH);
        Self { kind, length, modified, identity: FolderIdentity { device, inode } }
    }

    /// Whether both are the same file.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl FolderIdentity {
    /// The folder that is open.
    pub(crate) fn of(folder: &File) -> io::Result<Self> {
        Ok(About::of(&fstat(folder)?).identity)
    }

    /// The folder that has the path `path` now, for all who follow links.
    ///
    /// # Errors
    /// When there is nothing at the path.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Ok(About::of(&rustix::fs::stat(path)?).identity)
    }
}
