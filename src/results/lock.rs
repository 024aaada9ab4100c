//! The lock of a sweep's folder: the kernel's, on a file that says who holds it.
//!
//! The kernel drops its lock when the process ends, however it ends. Where a file
//! system has no such locks, the file itself is the lock, and a holder of this
//! machine that is dead is no holder. On a network file system a lock may not
//! reach other machines: a file that names another one is believed, lock or not.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Seek, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::io::Errno;

use super::{Holder, ResultsError};
use crate::system::files;

/// File systems that several machines may share, by their number in `statfs(2)`.
const SHARED: [u32; 10] = [
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
/// How often a lock is tried that nobody living seems to hold, and the time between: `sweep status` holds it
/// for an instant while it looks, and a holder writes its name just after it has it.
const TRIES: u32 = 20;
const BETWEEN: Duration = Duration::from_millis(10);
/// How often a guard is tried: its holder writes a file and syncs it.
const GUARD_TRIES: u32 = 500;

/// What the system says; tests have another one.
struct System<'a> {
    /// Takes the kernel's lock, for one or for many.
    lock: &'a dyn Fn(&File, Kind) -> Result<(), TryLockError>,
    /// Whether several machines may use the file system of a path.
    is_shared: &'a dyn Fn(&Path) -> bool,
    /// Lets a moment pass.
    pause: &'a dyn Fn(),
    me: Holder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Exclusive,
    Shared,
}

fn kernel_lock(file: &File, kind: Kind) -> Result<(), TryLockError> {
    match kind {
        Kind::Exclusive => file.try_lock(),
        Kind::Shared => file.try_lock_shared(),
    }
}

fn pause() {
    thread::sleep(BETWEEN);
}

impl System<'static> {
    fn real() -> Self {
        Self { lock: &kernel_lock, is_shared: &is_shared, pause: &pause, me: Holder::this_process() }
    }
}

#[cfg(target_os = "linux")]
fn is_shared(path: &Path) -> bool {
    // The type's width and sign depend on the machine; the numbers have 32 bits.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "32 bits count")]
    rustix::fs::statfs(path).is_ok_and(|system| SHARED.contains(&(system.f_type as u32)))
}

#[cfg(not(target_os = "linux"))]
fn is_shared(_: &Path) -> bool {
    false
}

/// Whether the file system has no locks.
fn is_unsupported(error: &io::Error) -> bool {
    let without = [Errno::NOTSUP, Errno::NOLCK, Errno::NOSYS].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| without.contains(&code))
}

/// Who holds the lock file `path` now, if anybody does.
pub(super) fn holder(path: &Path) -> Option<Holder> {
    holder_by(path, &System::real())
}

fn holder_by(path: &Path, system: &System<'_>) -> Option<Holder> {
    let file = File::open(path).ok()?;
    let named = read(path);
    match (system.lock)(&file, Kind::Shared) {
        Err(TryLockError::WouldBlock) => Some(read(path)),
        Err(TryLockError::Error(error)) if is_unsupported(&error) => {
            Some(named).filter(Holder::is_known).filter(|holder| !is_over(holder, system))
        }
        Ok(()) if (system.is_shared)(path) => {
            Some(named).filter(|holder| holder.is_known() && holder.host != system.me.host)
        }
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// Whether a holder is one of this machine and dead.
fn is_over(holder: &Holder, system: &System<'_>) -> bool {
    holder.host == system.me.host && holder.is_dead()
}

/// What the lock file says.
fn read(path: &Path) -> Holder {
    Holder::parse(&fs::read_to_string(path).unwrap_or_default())
}

/// The right to write into a sweep's folder, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    taken_over: Option<Holder>,
}

impl Lock {
    /// Takes the lock file `path` of `folder`.
    pub(super) fn take(folder: &Path, path: &Path) -> Result<Self, ResultsError> {
        Self::take_by(folder, path, &System::real())
    }

    /// The process that held the lock before and ended without giving it back.
    #[must_use]
    pub const fn taken_over(&self) -> Option<&Holder> {
        self.taken_over.as_ref()
    }

    fn take_by(folder: &Path, path: &Path, system: &System<'_>) -> Result<Self, ResultsError> {
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(ResultsError::io("open", path))?;
        let mut tries = 0;
        loop {
            let result = (system.lock)(&file, Kind::Exclusive);
            let named = read(path);
            match result {
                Ok(()) => {
                    if named.is_known() && named.host != system.me.host && (system.is_shared)(path) {
                        return Err(doubtful(folder, path, named));
                    }
                    match write(&mut file, &system.me) {
                        // Whoever is kept out does not learn by whom, and no more.
                        Err(error) if files::is_full(&error) => {}
                        written => written.map_err(ResultsError::io("write", path))?,
                    }
                    return Ok(Self { file, taken_over: Some(named).filter(Holder::is_known) });
                }
                Err(TryLockError::WouldBlock) => {
                    tries += 1;
                    if tries >= TRIES || (named.is_known() && !is_over(&named, system)) {
                        return Err(ResultsError::Locked { folder: folder.to_owned(), holder: named });
                    }
                    (system.pause)();
                }
                Err(TryLockError::Error(error)) if is_unsupported(&error) => {
                    return Self::take_file(folder, path, file, system);
                }
                Err(TryLockError::Error(source)) => return Err(ResultsError::io("lock", path)(source)),
            }
        }
    }

    /// Takes the lock without the kernel's help: whoever makes the guard decides, and nobody else.
    fn take_file(
        folder: &Path,
        path: &Path,
        mut file: File,
        system: &System<'_>,
    ) -> Result<Self, ResultsError> {
        let guard = Guard::make(folder, path, system)?;
        let named = read(path);
        if named.is_known() && !is_over(&named, system) {
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
        // With the kernel's lock this is only courtesy: closing the file gives that back too.
        let _ = self.file.set_len(0).and_then(|()| self.file.sync_all());
    }
}

fn doubtful(folder: &Path, lock: &Path, holder: Holder) -> ResultsError {
    ResultsError::Doubtful { folder: folder.to_owned(), lock: lock.to_owned(), holder }
}

fn write(file: &mut File, holder: &Holder) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&serde_json::to_vec(holder)?)?;
    file.sync_all()
}

/// A file that one process at a time can make, while it decides who has the lock.
struct Guard(PathBuf);

impl Guard {
    fn make(folder: &Path, lock: &Path, system: &System<'_>) -> Result<Self, ResultsError> {
        let mut path = lock.as_os_str().to_owned();
        path.push(".guard");
        let path = PathBuf::from(path);
        let mut tries = 0;
        loop {
            match File::create_new(&path) {
                Ok(_) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < GUARD_TRIES => {
                    tries += 1;
                    (system.pause)();
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(doubtful(folder, &path, Holder::default()));
                }
                Err(error) => return Err(ResultsError::io("create", &path)(error)),
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests;
