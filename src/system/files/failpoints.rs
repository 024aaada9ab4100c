//! Crashes and full disks on purpose, for tests. Without the variables below nothing happens.
//!
//! `SWEEP_CRASH=ROLE:NUMBER:HOW:MARK` kills (SIGKILL) the process at the write point of this
//! number, counted from 1. ROLE is `worker` or `orchestrator`. HOW is `kill` or `power`; with
//! `power`, all changes that were not synced are undone first, as in a power cut. The file MARK
//! is created at the crash. While it exists nothing crashes, so a test has only one crash.
//!
//! `SWEEP_DISK_FULL=FILE` makes every write fail with a full disk while FILE exists.

#![expect(clippy::disallowed_methods, reason = "crashes that tests order")]

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::process::{Signal, getpid, kill_process};

/// A change that is not synced, so that a power cut may undo it.
#[derive(Debug)]
enum Unsynced {
    /// The contents of this file were written.
    Written(PathBuf),
    /// The file was appended to; it had this length before.
    Appended(PathBuf, u64),
    /// A file was renamed. `kept` is a link to the file that had the new name before.
    Renamed { from: PathBuf, to: PathBuf, kept: Option<PathBuf> },
    /// These two folders were exchanged.
    Exchanged(PathBuf, PathBuf),
    /// This folder was created.
    Created(PathBuf),
}

/// The crash that a test has ordered.
struct Crash {
    /// Number of the write point, from 1.
    number: u64,
    /// Whether changes that are not synced are undone.
    power: bool,
    /// The file that is created at the crash.
    mark: PathBuf,
}

static CRASH: LazyLock<Option<Crash>> = LazyLock::new(|| {
    let order = std::env::var("SWEEP_CRASH").ok()?;
    let is_worker = std::env::args().nth(1).is_some_and(|command| command == "worker");
    parse(&order, if is_worker { "worker" } else { "orchestrator" })
});
static FULL: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| std::env::var_os("SWEEP_DISK_FULL").map(PathBuf::from));
static POINTS: AtomicU64 = AtomicU64::new(0);
static UNSYNCED: Mutex<Vec<Unsynced>> = Mutex::new(Vec::new());

/// Reads the value of `SWEEP_CRASH`; `None` if it is for the other role or malformed.
fn parse(order: &str, role: &str) -> Option<Crash> {
    let mut words = order.splitn(4, ':');
    let is_meant = words.next()? == role;
    let number = words.next()?.parse().ok()?;
    let power = words.next()? == "power";
    let mark = PathBuf::from(words.next()?);
    is_meant.then_some(Crash { number, power, mark })
}

/// A write point; `what` has just been done.
pub(crate) fn point(what: &str) {
    let Some(crash) = &*CRASH else { return };
    if POINTS.fetch_add(1, Ordering::SeqCst) + 1 != crash.number {
        return;
    }
    let Ok(mut mark) = fs::File::options().write(true).create_new(true).open(&crash.mark) else { return };
    // Helps to understand a test that failed.
    let _ = io::Write::write_all(&mut mark, format!("{what}\n").as_bytes());
    if crash.power {
        let mut unsynced = UNSYNCED.lock().unwrap_or_else(PoisonError::into_inner);
        unsynced.drain(..).rev().for_each(Unsynced::undo);
    }
    let _ = kill_process(getpid(), Signal::KILL);
    loop {
        std::thread::park();
    }
}

/// An error as long as a test pretends that the disk is full.
pub(crate) fn check_space() -> io::Result<()> {
    match &*FULL {
        Some(file) if file.exists() => Err(io::ErrorKind::StorageFull.into()),
        _ => Ok(()),
    }
}

/// Remembers a change that is not synced.
fn note(change: impl FnOnce() -> Unsynced) {
    if CRASH.as_ref().is_some_and(|crash| crash.power) {
        UNSYNCED.lock().unwrap_or_else(PoisonError::into_inner).push(change());
    }
}

/// Forgets the changes that are now synced.
fn forget(is_synced: impl Fn(&Unsynced) -> bool) {
    if CRASH.as_ref().is_some_and(|crash| crash.power) {
        let mut unsynced = UNSYNCED.lock().unwrap_or_else(PoisonError::into_inner);
        for change in unsynced.extract_if(.., |change| is_synced(change)) {
            if let Unsynced::Renamed { kept: Some(kept), .. } = change {
                let _ = fs::remove_file(kept);
            }
        }
    }
}

/// Call when a file was written and is not synced.
pub(crate) fn wrote(path: &Path) {
    note(|| Unsynced::Written(path.to_owned()));
    point("wrote a file");
}

/// Call when a file that had `length` bytes was appended to and is not synced.
pub(crate) fn appended(path: &Path, length: u64) {
    note(|| Unsynced::Appended(path.to_owned(), length));
    point("appended to a file");
}

/// Call when a folder was created and its parent is not synced.
pub(crate) fn created(path: &Path) {
    note(|| Unsynced::Created(path.to_owned()));
    point("made a folder");
}

/// Call when a file was synced.
pub(crate) fn synced(path: &Path) {
    forget(|change| match change {
        Unsynced::Written(file) | Unsynced::Appended(file, _) => file == path,
        Unsynced::Renamed { .. } | Unsynced::Exchanged(..) | Unsynced::Created(_) => false,
    });
    point("synced a file");
}

/// Call when a folder was synced: the names in it survive a power cut.
pub(crate) fn synced_folder(path: &Path) {
    forget(|change| match change {
        Unsynced::Created(name) | Unsynced::Renamed { to: name, .. } => is_in(name, path),
        Unsynced::Exchanged(one, other) => [one, other].iter().any(|name| is_in(name, path)),
        Unsynced::Written(_) | Unsynced::Appended(..) => false,
    });
    point("synced a folder");
}

/// Whether `folder` holds the file or folder `name`. The current folder is written as `.`, or not at all.
fn is_in(name: &Path, folder: &Path) -> bool {
    let parent = name.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or_else(|| Path::new(".")) == folder
}

/// Call before something gets the name `to`: keeps the file that has the name now, so that a power cut can
/// bring it back.
pub(crate) fn keep(to: &Path) -> Option<PathBuf> {
    let power = CRASH.as_ref().is_some_and(|crash| crash.power);
    let kept = to.with_extension(format!("kept-{}", POINTS.load(Ordering::SeqCst)));
    (power && fs::hard_link(to, &kept).is_ok()).then_some(kept)
}

/// Call when a file or folder was renamed and its folder is not synced.
pub(crate) fn renamed(from: &Path, to: &Path, kept: Option<PathBuf>) {
    note(|| Unsynced::Renamed { from: from.to_owned(), to: to.to_owned(), kept });
    point("renamed");
}

/// Call when two folders were exchanged and their parents are not synced.
pub(crate) fn exchanged(one: &Path, other: &Path) {
    note(|| Unsynced::Exchanged(one.to_owned(), other.to_owned()));
    point("exchanged two folders");
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn swap(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn swap(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Unsynced {
    /// Undoes the change as a power cut may.
    fn undo(self) {
        let undone = match self {
            Self::Written(file) => halve(&file),
            Self::Appended(file, length) => cut(&file, length),
            Self::Renamed { from, to, kept } => {
                fs::rename(&to, from).and_then(|()| kept.map_or(Ok(()), |kept| fs::rename(kept, to)))
            }
            Self::Exchanged(one, other) => swap(&one, &other),
            Self::Created(folder) => fs::remove_dir_all(folder),
        };
        // An error means that the file is gone already.
        let _ = undone;
    }
}

/// Cuts a file in half, as if the rest had not reached the disk.
fn halve(file: &Path) -> io::Result<()> {
    let file = fs::File::options().write(true).open(file)?;
    file.set_len(file.metadata()?.len() / 2)
}

/// Cuts what was appended after `length` in half, which leaves a torn line.
fn cut(file: &Path, length: u64) -> io::Result<()> {
    let file = fs::File::options().write(true).open(file)?;
    let appended = file.metadata()?.len().saturating_sub(length);
    file.set_len(length + appended / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_may_have_colons_in_its_path() {
        let crash = parse("worker:12:power:/tmp/a:b", "worker").unwrap();
        assert_eq!((crash.number, crash.power, crash.mark.to_str()), (12, true, Some("/tmp/a:b")));
    }

    #[test]
    fn an_order_for_another_role_is_ignored() {
        assert!(parse("worker:12:power:/tmp/a", "orchestrator").is_none());
    }

    #[test]
    fn an_order_without_a_number_is_ignored() {
        assert!(parse("worker:many:kill:/tmp/a", "worker").is_none());
    }

    #[test]
    fn a_power_cut_takes_back_a_name_and_what_it_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to, kept] = ["new", "file", "kept"].map(|name| folder.path().join(name));
        fs::write(&to, "new").unwrap();
        fs::write(&kept, "old").unwrap();
        Unsynced::Renamed { from: from.clone(), to: to.clone(), kept: Some(kept) }.undo();
        assert_eq!((fs::read(&from).unwrap(), fs::read(&to).unwrap()), (b"new".to_vec(), b"old".to_vec()));
        Unsynced::Written(to.clone()).undo();
        assert_eq!(fs::read(&to).unwrap(), b"o");
        fs::write(&to, "whole\ntorn line\n").unwrap();
        Unsynced::Appended(to.clone(), 6).undo();
        assert_eq!(fs::read(&to).unwrap(), b"whole\ntorn ");
    }
}
