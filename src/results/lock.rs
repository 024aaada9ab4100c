//! The lock of a sweep's folder: a lock of the kernel on a file that names its holder.
//!
//! The kernel releases its lock when the process ends, however it ends. Where a file
//! system has no such locks, the file itself is the lock, and a holder of this machine
//! that has ended no longer counts. On a network file system the kernel's lock may not
//! reach other machines, so a file that names another machine counts as a lock in any case.

use std::{
    fs::{File, TryLockError},
    io::{self, Read, Seek, Write},
    path::Path,
    thread,
    time::Duration,
};

use rustix::io::Errno;

use super::{error::ResultsError, holder::Holder};
use crate::system::files::{self, Place};

/// File systems that several machines may share, by their type number in `statfs(2)`.
const SHARED_FILE_SYSTEMS: [u32; 10] = [
    0x6969,      // NFS
    0x517B,      // SMB
    0xFF53_4D42, // CIFS
    0xFE53_4D42, // SMB 2
    0x0BD0_0BD0, // Lustre
    0x6573_5546, // FUSE: sshfs, GlusterFS and others
    0x00C3_6400, // Ceph
    0x4750_4653, // GPFS
    0x1983_0326, // BeeGFS
    0x0102_1997, // 9P
];
/// Number of attempts to take a lock that is held although its file names no running process: `sweep status`
/// holds the lock for an instant while it looks, and a holder writes its name only after it has the lock.
const LOCK_ATTEMPTS_MAX: u32 = 20;
/// Time between two attempts.
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(10);
/// Bytes of a lock file that are read.
const HOLDER_BYTES_MAX: u64 = 1 << 16;
/// Number of attempts to create a guard. Its owner writes and syncs a file meanwhile, which takes longer.
const GUARD_ATTEMPTS_MAX: u32 = 500;

/// The calls to the operating system that locking needs. Tests replace them.
struct System<'a> {
    /// Tries to take the kernel's lock on a file.
    lock: &'a dyn Fn(&File, LockKind) -> Result<(), TryLockError>,
    /// Whether several machines may use the file system of a file.
    is_shared: &'a dyn Fn(&File) -> bool,
    /// Waits for [`ATTEMPT_INTERVAL`].
    pause: &'a dyn Fn(),
    /// This process.
    me: Holder,
}

/// Which other locks the kernel's lock excludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LockKind {
    /// Every other lock.
    Exclusive,
    /// Exclusive locks only.
    Shared,
}

fn kernel_lock(file: &File, kind: LockKind) -> Result<(), TryLockError> {
    match kind {
        LockKind::Exclusive => file.try_lock(),
        LockKind::Shared => file.try_lock_shared(),
    }
}

fn pause() {
    thread::sleep(ATTEMPT_INTERVAL);
}

impl System<'static> {
    /// The operating system itself.
    fn real() -> Self {
        Self { lock: &kernel_lock, is_shared: &is_shared, pause: &pause, me: Holder::this_process() }
    }
}

#[cfg(target_os = "linux")]
fn is_shared(file: &File) -> bool {
    // The width and the sign of `f_type` depend on the machine; all type numbers have 32 bits.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "32 bits count")]
    rustix::fs::fstatfs(file).is_ok_and(|system| SHARED_FILE_SYSTEMS.contains(&(system.f_type as u32)))
}

#[cfg(not(target_os = "linux"))]
fn is_shared(_: &File) -> bool {
    false
}

/// Whether an error of locking means that the file system has no locks.
fn is_unsupported(error: &io::Error) -> bool {
    let without = [Errno::NOTSUP, Errno::NOLCK, Errno::NOSYS].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| without.contains(&code))
}

/// The process that holds the lock with the file `lock` now, if one does.
pub(super) fn holder(lock: &Place) -> Option<Holder> {
    holder_on(lock, &System::real())
}

fn holder_on(lock: &Place, system: &System<'_>) -> Option<Holder> {
    let file = lock.open().ok()?;
    let named = read(lock);
    match (system.lock)(&file, LockKind::Shared) {
        Err(TryLockError::WouldBlock) => Some(read(lock)),
        Err(TryLockError::Error(error)) if is_unsupported(&error) => {
            Some(named).filter(Holder::is_known).filter(|holder| !has_ended(holder, system))
        }
        Ok(()) if (system.is_shared)(&file) => {
            Some(named).filter(|holder| holder.is_known() && holder.host != system.me.host)
        }
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// Whether a holder is a process of this machine that has ended.
fn has_ended(holder: &Holder, system: &System<'_>) -> bool {
    holder.host == system.me.host && holder.is_dead()
}

/// The holder that a lock file names.
fn read(lock: &Place) -> Holder {
    let mut text = String::new();
    let read = lock.open().and_then(|file| file.take(HOLDER_BYTES_MAX).read_to_string(&mut text));
    read.map_or_else(|_| Holder::default(), |_| Holder::parse(&text))
}

/// The right to write into a sweep's folder, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    taken_over: Option<Holder>,
}

impl Lock {
    /// Takes the lock of `folder`, whose lock file is `lock`.
    pub(super) fn take(folder: &Path, lock: &Place) -> Result<Self, ResultsError> {
        Self::take_on(folder, lock, &System::real())
    }

    /// The process that held the lock before and ended without releasing it.
    #[must_use]
    pub const fn taken_over(&self) -> Option<&Holder> {
        self.taken_over.as_ref()
    }

    fn take_on(folder: &Path, lock: &Place, system: &System<'_>) -> Result<Self, ResultsError> {
        let path = lock.path();
        let mut file = lock.open_or_make().map_err(ResultsError::io("open", path))?;
        refuse_other_names(&file, path)?;
        let mut attempts = 0;
        loop {
            let result = (system.lock)(&file, LockKind::Exclusive);
            let named = read(lock);
            match result {
                Ok(()) => {
                    if named.is_known() && named.host != system.me.host && (system.is_shared)(&file) {
                        return Err(doubtful(folder, path, named));
                    }
                    match write(&mut file, &system.me) {
                        // On a full disk the file names no holder; the kernel's lock holds all the same.
                        Err(error) if files::is_full(&error) => {}
                        written => written.map_err(ResultsError::io("write", path))?,
                    }
                    return Ok(Self { file, taken_over: Some(named).filter(Holder::is_known) });
                }
                Err(TryLockError::WouldBlock) => {
                    attempts += 1;
                    if attempts >= LOCK_ATTEMPTS_MAX || (named.is_known() && !has_ended(&named, system)) {
                        return Err(ResultsError::Locked { folder: folder.to_owned(), holder: named });
                    }
                    (system.pause)();
                }
                Err(TryLockError::Error(error)) if is_unsupported(&error) => {
                    return Self::take_file(folder, lock, file, system);
                }
                Err(TryLockError::Error(source)) => return Err(ResultsError::io("lock", path)(source)),
            }
        }
    }

    /// Takes the lock where the file system has no locks. Only the process that owns the guard may decide
    /// whether the lock is free.
    fn take_file(
        folder: &Path,
        lock: &Place,
        mut file: File,
        system: &System<'_>,
    ) -> Result<Self, ResultsError> {
        let path = lock.path();
        let guard = Guard::make(folder, lock, system)?;
        let named = read(lock);
        if named.is_known() && !has_ended(&named, system) {
            let is_here = named.host == system.me.host;
            return Err(if is_here {
                ResultsError::Locked { folder: folder.to_owned(), holder: named }
            } else {
                doubtful(folder, path, named)
            });
        }
        write(&mut file, &system.me).map_err(ResultsError::io("write", path))?;
        drop(guard);
        Ok(Self { file, taken_over: Some(named).filter(Holder::is_known) })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Needed only where the file is the lock: the kernel's lock is released when the file is closed.
        let _ = self.file.set_len(0).and_then(|()| self.file.sync_all());
    }
}

/// Refuses a lock file that has another name by a hard link: writing into it would write into a file that may be
/// somebody else's.
fn refuse_other_names(file: &File, path: &Path) -> Result<(), ResultsError> {
    use std::os::unix::fs::MetadataExt;

    let names = file.metadata().map_err(ResultsError::io("open", path))?.nlink();
    if names > 1 {
        let source = io::Error::other(format!("it has {names} names (hard links); remove this one"));
        return Err(ResultsError::io("use", path)(source));
    }
    Ok(())
}

/// The error for a lock that a process of another machine may hold.
fn doubtful(folder: &Path, lock: &Path, holder: Holder) -> ResultsError {
    ResultsError::Doubtful { folder: folder.to_owned(), lock: lock.to_owned(), holder }
}

/// Writes the holder into the lock file.
fn write(file: &mut File, holder: &Holder) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&serde_json::to_vec(holder)?)?;
    file.sync_all()
}

/// A file that only one process at a time can create. It protects the decision whether the lock is free.
struct Guard(Place);

impl Guard {
    fn make(folder: &Path, lock: &Place, system: &System<'_>) -> Result<Self, ResultsError> {
        let guard = lock.beside(format!("{}.guard", lock.name()));
        let path = guard.path();
        let mut attempts = 0;
        loop {
            match guard.make_file() {
                Ok(_) => return Ok(Self(guard)),
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists && attempts < GUARD_ATTEMPTS_MAX =>
                {
                    attempts += 1;
                    (system.pause)();
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(doubtful(folder, path, Holder::default()));
                }
                Err(error) => return Err(ResultsError::io("create", path)(error)),
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.remove_file();
    }
}

#[cfg(test)]
mod tests;
