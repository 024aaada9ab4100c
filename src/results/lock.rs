//! The lock of a sweep's folder: a lock of the kernel on a file that names its holder.
//!
//! The kernel releases its lock when the process ends, however it ends. Where a file
//! system has no such locks, the file itself is the lock, and a holder of this machine
//! that has ended no longer counts. On a network file system the kernel's lock may not
//! reach other machines, so a file that names another machine counts as a lock until its
//! holder has given no sign of life for long enough.

use std::{
    fs::{File, TryLockError},
    io::{self, Seek, Write},
    path::Path,
    thread,
    time::Duration,
};

use rustix::io::Errno;

use super::{
    beat::{self, Beating, FirstSign, SILENCE, Sign, Tenure},
    error::ResultsError,
    holder::{self, Holder},
};
use crate::system::files::{self, Place};

/// File systems that several machines may share, by their type number in `statfs(2)`.
const SHARED_FILE_SYSTEMS: [u32; 15] = [
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
    0x0116_1970, // GFS2
    0x7461_636F, // OCFS2
    0xAAD7_AAEA, // PanFS
    0x2003_0528, // OrangeFS
    0x5346_414F, // AFS
];
/// Number of attempts to take a lock that is held although its file names no running process: `sweep status`
/// holds the lock for an instant while it looks, and a holder writes its name only after it has the lock.
const LOCK_ATTEMPTS_MAX: u32 = 20;
/// Time between two attempts.
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(10);
/// Number of attempts to create a guard. Its owner writes and syncs a file meanwhile, which takes longer.
const GUARD_ATTEMPTS_MAX: u32 = 500;

/// The calls to the operating system that locking needs. Tests replace them.
struct System<'a> {
    /// Tries to take the kernel's lock on a file.
    lock: &'a dyn Fn(&File, LockKind) -> Result<(), TryLockError>,
    /// Whether several machines may use the file system of a file.
    is_shared: &'a dyn Fn(&File) -> bool,
    /// Waits.
    pause: &'a dyn Fn(Duration),
    /// Hears of a process of another machine that is given so much time for a sign of life.
    waits: &'a dyn Fn(&Holder, Duration),
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

impl<'a> System<'a> {
    /// The operating system itself.
    fn real(waits: &'a dyn Fn(&Holder, Duration)) -> Self {
        let me = Holder::this_process();
        Self { lock: &kernel_lock, is_shared: &is_shared, pause: &thread::sleep, waits, me }
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
    holder_on(lock, &System::real(&|_, _| ()))
}

fn holder_on(lock: &Place, system: &System<'_>) -> Option<Holder> {
    let file = lock.open().ok()?;
    let named = read(lock);
    match (system.lock)(&file, LockKind::Shared) {
        Err(TryLockError::WouldBlock) => Some(read(lock)),
        Err(TryLockError::Error(error)) if is_unsupported(&error) => {
            Some(named).filter(Holder::is_known).filter(|holder| !has_ended(holder, system))
        }
        Ok(()) => Some(named).filter(|holder| may_be_elsewhere(holder, &file, lock, system)),
        Err(TryLockError::Error(_)) => None,
    }
}

/// Whether a holder is a process of this machine that has ended.
fn has_ended(holder: &Holder, system: &System<'_>) -> bool {
    holder.host == system.me.host && holder.is_dead()
}

/// Whether a holder is a process of another machine, which the kernel's lock of this one may not know.
fn may_be_elsewhere(holder: &Holder, file: &File, lock: &Place, system: &System<'_>) -> bool {
    holder.is_known()
        && holder.host != system.me.host
        && ((system.is_shared)(file) || beat::is_given_by(holder, lock))
}

/// The holder that a lock file names.
fn read(lock: &Place) -> Holder {
    holder::read(lock).unwrap_or_default()
}

/// The right to write into a sweep's folder, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    taken_over: Option<Holder>,
    tenure: Tenure,
    /// Signs of life, where other machines may use the folder.
    beating: Option<Beating>,
}

/// How a lock is taken.
pub struct LockTerms<'a> {
    /// Whether other machines certainly use the folder, whatever the file system says.
    pub is_shared: bool,
    /// Hears of a process of another machine that may hold the lock, and how long a sign of life is waited for.
    pub waits: &'a dyn Fn(&Holder, Duration),
}

impl Lock {
    /// Takes the lock of `folder`, whose lock file is `lock`.
    pub(super) fn take(folder: &Path, lock: &Place, terms: &LockTerms<'_>) -> Result<Self, ResultsError> {
        let system = System::real(terms.waits);
        let is_shared = |file: &File| terms.is_shared || (system.is_shared)(file);
        Self::take_on(folder, lock, &System { is_shared: &is_shared, ..system })
    }

    /// The process that held the lock before and ended without releasing it.
    #[must_use]
    pub const fn taken_over(&self) -> Option<&Holder> {
        self.taken_over.as_ref()
    }

    /// The right to write, as it can be checked now and then.
    #[must_use]
    pub fn tenure(&self) -> Tenure {
        self.tenure.clone()
    }

    fn take_on(folder: &Path, lock: &Place, system: &System<'_>) -> Result<Self, ResultsError> {
        let path = lock.path();
        let file = lock.open_or_make().map_err(ResultsError::io("open", path))?;
        refuse_other_names(&file, path)?;
        let mut attempts = 0;
        loop {
            let result = (system.lock)(&file, LockKind::Exclusive);
            let named = read(lock);
            match result {
                Ok(()) if (system.is_shared)(&file) || may_be_elsewhere(&named, &file, lock, system) => {
                    return Self::take_guarded(folder, lock, file, system, true);
                }
                Ok(()) => return Self::enter(folder, lock, file, named, system, Reach::Kernel),
                Err(TryLockError::WouldBlock) => {
                    attempts += 1;
                    if attempts >= LOCK_ATTEMPTS_MAX || (named.is_known() && !has_ended(&named, system)) {
                        return Err(refusal(folder, lock, named, system));
                    }
                    (system.pause)(ATTEMPT_INTERVAL);
                }
                Err(TryLockError::Error(error)) if is_unsupported(&error) => {
                    return Self::take_guarded(folder, lock, file, system, false);
                }
                Err(TryLockError::Error(source)) => return Err(ResultsError::io("lock", path)(source)),
            }
        }
    }

    /// Takes the lock where the kernel's may not reach everybody, or, unless `has_kernels`, where there is none. Only the
    /// process that owns the guard may decide whether the lock is free.
    fn take_guarded(
        folder: &Path,
        lock: &Place,
        file: File,
        system: &System<'_>,
        has_kernels: bool,
    ) -> Result<Self, ResultsError> {
        loop {
            let mut guard = Guard::make(folder, lock, system)?;
            let named = holder::read(lock).map_err(ResultsError::io("read", lock.path()))?;
            let is_here = named.host == system.me.host;
            let shares = (system.is_shared)(&file) || beat::is_given_by(&named, lock);
            if named.is_known() && is_here && !has_kernels && !named.is_dead() {
                return Err(ResultsError::Locked { folder: folder.to_owned(), holder: named });
            }
            if named.is_known() && !is_here {
                drop(guard);
                match outwait(folder, lock, &named, system)? {
                    Some(again) => guard = again,
                    None => continue,
                }
            }
            let reach = if shares { Reach::Machines } else { Reach::File };
            let taken = Self::enter(folder, lock, file, named, system, reach);
            drop(guard);
            return taken;
        }
    }

    /// Writes this process into the lock file, which named `before`.
    fn enter(
        folder: &Path,
        lock: &Place,
        mut file: File,
        before: Holder,
        system: &System<'_>,
        reach: Reach,
    ) -> Result<Self, ResultsError> {
        let (me, taken_over) = (&system.me, Some(before).filter(Holder::is_known));
        let shares = reach == Reach::Machines;
        // First, so that nobody finds a holder without signs. Without them (the system may be short of something), other
        // machines refuse the lock until a person says that this process is over.
        let first = if shares { FirstSign::give(lock, me).ok() } else { None };
        match write(&mut file, me) {
            Ok(()) => {
                let tenure = if shares { Tenure::new(folder, lock, me) } else { Tenure::default() };
                let beating = first.and_then(|first| first.follow(&tenure));
                Ok(Self { file, taken_over, tenure, beating })
            }
            // On a full disk the file names no holder; the kernel's lock holds all the same.
            Err(error) if reach == Reach::Kernel && files::is_full(&error) => {
                Ok(Self { file, taken_over, tenure: Tenure::default(), beating: None })
            }
            Err(error) => {
                first.into_iter().for_each(FirstSign::withdraw);
                Err(ResultsError::io("write", lock.path())(error))
            }
        }
    }
}

/// What makes a lock one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The kernel's lock, which everybody sees.
    Kernel,
    /// The file, for processes of this machine.
    File,
    /// The file, for processes of other machines too.
    Machines,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if !self.tenure.is_ours() {
            // It is another process's by now.
            return;
        }
        self.beating.take();
        // Needed only where the file is the lock: the kernel's lock is released when the file is closed.
        let _ = self.file.set_len(0).and_then(|()| self.file.sync_all());
    }
}

/// Waits until a process of another machine counts as over. Returns the right to take its lock, or `None` when the
/// lock has changed meanwhile.
fn outwait(
    folder: &Path,
    lock: &Place,
    holder: &Holder,
    system: &System<'_>,
) -> Result<Option<Guard>, ResultsError> {
    match beat::watch(lock, holder, system.waits, system.pause) {
        Sign::Unknown if read(lock) == *holder => Err(doubtful(folder, lock.path(), holder.clone())),
        Sign::Life if read(lock) == *holder => {
            Err(ResultsError::Locked { folder: folder.to_owned(), holder: holder.clone() })
        }
        Sign::Unknown | Sign::Life => Ok(None),
        Sign::Silence(sign) => {
            let guard = Guard::make(folder, lock, system)?;
            let is_same = read(lock) == *holder && beat::is_still(lock, &sign);
            Ok(is_same.then_some(guard))
        }
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

/// The error for a lock that the kernel says is held. Some network file systems keep the lock of a machine that has
/// crashed: whether its process is over is for a person to say.
fn refusal(folder: &Path, lock: &Place, holder: Holder, system: &System<'_>) -> ResultsError {
    let is_silent = || beat::age_of_last(&holder, lock).is_some_and(|age| age > SILENCE);
    if holder.is_known() && holder.host != system.me.host && is_silent() {
        doubtful(folder, lock.path(), holder)
    } else {
        ResultsError::Locked { folder: folder.to_owned(), holder }
    }
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
                    (system.pause)(ATTEMPT_INTERVAL);
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
