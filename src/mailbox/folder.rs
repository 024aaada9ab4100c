//! The folder of the hand-over, and how files in it are written, read and counted.

use std::{
    ffi::OsString,
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    results::SweepFolder,
    system::files::{self, Place},
};

/// The folder's name in the sweep's folder.
pub const CLUSTER: &str = "cluster";
/// In it, the folder where Slurm writes what jobs print, and the file by which nodes see that they share it.
pub const LOGS: &str = "logs";
/// See [`LOGS`].
pub const PROBE: &str = "probe";

/// The files of one sweep.
#[derive(Clone, Debug)]
pub struct Mailbox {
    root: Place,
    /// What temporary files of this writer are called.
    temporary: String,
}

/// Operations on the file system by all values of this process.
static OPERATIONS: AtomicU64 = AtomicU64::new(0);

/// Operations on the file system, such as opening, reading or renaming a file, that handing over has taken in this
/// process so far.
#[must_use]
pub fn operations() -> u64 {
    OPERATIONS.load(Ordering::Relaxed)
}

impl Mailbox {
    /// The files of the sweep in `folder`, as `writer` sees them: names of writers differ.
    #[must_use]
    pub fn new(folder: &SweepFolder, writer: &str) -> Self {
        Self::at(folder.place().join(CLUSTER), writer)
    }

    /// The files in the folder `root`.
    #[must_use]
    pub fn at(root: Place, writer: &str) -> Self {
        let temporary = format!("{}{writer}", files::TEMPORARY);
        Self { root, temporary }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Place {
        &self.root
    }

    /// Makes the folders that are missing.
    ///
    /// # Errors
    /// When one cannot be made.
    pub fn make(&self) -> io::Result<()> {
        ["workers", "beats", "in", "given", "out", LOGS, "jobs"]
            .iter()
            .try_for_each(|name| files::create_folder(&self.root.join(name)))
    }

    /// What was intended and done about jobs.
    #[must_use]
    pub fn jobs(&self) -> Place {
        self.root.join("jobs")
    }

    /// The file by which a pilot sees that it has the same folder.
    #[must_use]
    pub fn probe(&self) -> Place {
        self.root.join(PROBE)
    }

    /// The state of workers and jobs, for `sweep status`.
    #[must_use]
    pub fn status(&self) -> Place {
        self.root.join("status.json")
    }

    /// Removes all hand-over files; what jobs printed stays.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn clear(&self) -> io::Result<()> {
        self.remove(&self.status())?;
        ["workers", "beats", "in", "given", "out", "jobs"].iter().try_for_each(|name| {
            tally(1);
            files::remove_folder(&self.root.join(name))
        })
    }

    /// Writes `value` as JSON, as the only writer of `place`.
    ///
    /// # Errors
    /// When it cannot be written; what was there before stays.
    pub fn write(&self, place: &Place, value: &impl Serialize) -> io::Result<()> {
        // Created, written, closed and renamed.
        tally(4);
        let mut bytes = serde_json::to_vec(value).map_err(io::Error::other)?;
        bytes.push(b'\n');
        files::replace_closed(place, &self.temporary, &bytes)
    }

    /// Reads what [`Self::write`] wrote. A file that is not whole yet is an error like any other: it is read again later.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read<T: DeserializeOwned>(&self, place: &Place) -> io::Result<T> {
        tally(3);
        serde_json::from_slice(&place.read()?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Removes a file that may be gone already.
    ///
    /// # Errors
    /// When it is still there.
    pub fn remove(&self, place: &Place) -> io::Result<()> {
        tally(1);
        match place.remove_file() {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The names in a folder, temporary ones left out; none if there is no folder.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn names(&self, folder: &Place) -> io::Result<Vec<String>> {
        tally(3);
        let names = match folder.names() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            names => names?,
        };
        let whole =
            |name: OsString| name.into_string().ok().filter(|name| !name.starts_with(files::TEMPORARY));
        Ok(names.into_iter().filter_map(whole).collect())
    }
}

/// Counts operations that are made.
pub(super) fn tally(operations: u64) {
    OPERATIONS.fetch_add(operations, Ordering::Relaxed);
}
