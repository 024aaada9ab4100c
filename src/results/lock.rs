//! The lock of a sweep's folder: the kernel's, on a file that says who holds it.

use std::{
    fs::{self, File, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use super::ResultsError;

/// Who holds a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The machine's name.
    pub host: String,
    /// The process; 0 when unknown.
    pub pid: u32,
    /// Since when, as RFC 3339 in UTC.
    pub since: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.pid == 0 {
            // The holder has the lock, but has not written its name yet.
            return f.write_str("another process");
        }
        write!(f, "pid {} on {} since {}", self.pid, self.host, self.since)
    }
}

impl Holder {
    fn this_process() -> Self {
        let host = fs::read_to_string("/proc/sys/kernel/hostname")
            .or_else(|_| std::env::var("HOSTNAME"))
            .map_or_else(|_| "this machine".to_owned(), |name| name.trim().to_owned());
        let since = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        Self { host, pid: std::process::id(), since }
    }
}

fn read_holder(file: &mut File) -> Holder {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    read.ok().and_then(|_| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// Who holds the lock file `path` now, if anybody does.
pub(super) fn holder(path: &Path) -> Option<Holder> {
    let mut file = File::open(path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(read_holder(&mut file)),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// The right to write into a sweep's folder.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock file `path` of `folder`.
    pub(super) fn take(folder: &Path, path: &Path) -> Result<Self, ResultsError> {
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(ResultsError::io("open", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(ResultsError::Locked {
                    folder: folder.to_owned(),
                    holder: read_holder(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(ResultsError::io("lock", path)(source)),
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.write_all(&serde_json::to_vec(&Holder::this_process())?)
        };
        write(&mut file).map_err(ResultsError::io("write", path))?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Only courtesy: closing the file gives the lock back too.
        let _ = self.file.set_len(0);
    }
}
