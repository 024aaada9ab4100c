//! Locks on file systems of every kind, with the answers that the system would give there.

use std::fs;

use super::*;

type Answer<'a> = &'a dyn Fn(&File, LockKind) -> Result<(), TryLockError>;

#[expect(clippy::unnecessary_wraps, reason = "an answer among others")]
fn free(_: &File, _: LockKind) -> Result<(), TryLockError> {
    Ok(())
}

fn held(_: &File, _: LockKind) -> Result<(), TryLockError> {
    Err(TryLockError::WouldBlock)
}

fn unsupported(_: &File, _: LockKind) -> Result<(), TryLockError> {
    Err(TryLockError::Error(io::Error::from_raw_os_error(Errno::NOLCK.raw_os_error())))
}

fn elsewhere() -> Holder {
    Holder { host: "node7".to_owned(), pid: 3, started: Some(1), since: "2026-01-05T10:22:07Z".to_owned() }
}

/// A process of this machine that is over.
fn dead() -> Holder {
    let me = Holder::this_process();
    Holder { started: me.started.map(|ticks| ticks - 1), ..me }
}

fn system<'a>(
    lock: Answer<'a>,
    is_shared: &'a dyn Fn(&File) -> bool,
    pause: &'a dyn Fn(Duration),
) -> System<'a> {
    System { lock, is_shared, pause, waits: &|_, _| (), me: Holder::this_process() }
}

/// A folder whose lock file names `holder`.
struct LockedFolder {
    root: tempfile::TempDir,
}

impl LockedFolder {
    fn new(holder: Option<&Holder>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let place = Self { root };
        if let Some(holder) = holder {
            fs::write(place.lock(), serde_json::to_vec(holder).unwrap()).unwrap();
        }
        place
    }

    fn lock(&self) -> Place {
        Place::named(self.root.path()).join(".lock")
    }

    fn take(&self, lock: Answer<'_>, shared: bool) -> Result<Lock, ResultsError> {
        self.take_with(lock, shared, &|_| ())
    }

    /// As [`Self::take`]; `pause` is what happens while it waits.
    fn take_with(
        &self,
        lock: Answer<'_>,
        shared: bool,
        pause: &dyn Fn(Duration),
    ) -> Result<Lock, ResultsError> {
        Lock::take_on(self.root.path(), &self.lock(), &system(lock, &|_| shared, pause))
    }

    fn holder(&self, lock: Answer<'_>, shared: bool) -> Option<Holder> {
        holder_on(&self.lock(), &system(lock, &|_| shared, &|_| ()))
    }

    /// The signs of life of `holder`, up to this one.
    fn give_signs(&self, holder: &Holder, beat: &str) {
        let signs = serde_json::json!({ "holder": holder, "beat": beat });
        fs::write(self.root.path().join(".lock.beat"), signs.to_string()).unwrap();
    }

    /// The message of a refusal, with the folder as `here`.
    fn refused(&self, lock: Answer<'_>, shared: bool) -> String {
        let before = fs::read(self.lock()).unwrap();
        let message = self.take(lock, shared).unwrap_err().to_string();
        assert_eq!(fs::read(self.lock()).unwrap(), before, "the holder's name stays");
        message.replace(&self.root.path().display().to_string(), "here")
    }
}

#[test]
fn a_lock_that_is_taken_names_this_process_until_it_is_given_back() {
    for answer in [&free as Answer<'_>, &unsupported] {
        let place = LockedFolder::new(None);
        let lock = place.take(answer, false).unwrap();
        assert_eq!(read(&place.lock()).pid, std::process::id());
        assert_eq!(lock.taken_over(), None);
        drop(lock);
        assert!(!read(&place.lock()).is_known());
        assert_eq!(fs::read_dir(place.root.path()).unwrap().count(), 1, "the guard is gone");
        place.take(answer, false).unwrap();
    }
}

#[test]
fn a_lock_that_the_kernel_says_is_held_is_refused() {
    let me = Holder::this_process();
    let message = LockedFolder::new(Some(&me)).refused(&held, false);
    assert_eq!(message, format!("here is locked by {me}; wait for it, or end it first"));
}

#[test]
fn a_lock_that_is_held_for_a_moment_is_tried_again() {
    for named in [None, Some(dead())] {
        let place = LockedFolder::new(named.as_ref());
        let times = std::cell::Cell::new(0);
        let lock = |_: &File, _: LockKind| {
            times.set(times.get() + 1);
            if times.get() < 3 { Err(TryLockError::WouldBlock) } else { Ok(()) }
        };
        place.take(&lock, false).unwrap();
        assert_eq!(times.get(), 3);
    }
}

#[test]
fn a_lock_that_stays_held_is_refused_although_its_file_names_a_dead_process() {
    let message = LockedFolder::new(Some(&dead())).refused(&held, false);
    assert!(message.contains("is locked by"), "a process does hold it: {message}");
}

#[test]
fn the_lock_of_a_dead_process_is_taken_over_with_or_without_the_kernels_help() {
    for (answer, shared) in [(&free as Answer<'_>, false), (&free, true), (&unsupported, true)] {
        let place = LockedFolder::new(Some(&dead()));
        assert_eq!(place.holder(answer, shared), None);
        assert_eq!(place.take(answer, shared).unwrap().taken_over(), Some(&dead()));
    }
}

#[test]
fn without_the_kernels_help_a_living_process_of_this_machine_keeps_its_lock() {
    let me = Holder::this_process();
    let place = LockedFolder::new(Some(&me));
    assert!(place.refused(&unsupported, true).starts_with("here is locked by pid"));
    assert_eq!(place.holder(&unsupported, true), Some(me));
}

#[test]
fn where_locks_may_not_reach_other_machines_one_that_names_another_is_believed() {
    for answer in [&free as Answer<'_>, &unsupported] {
        let place = LockedFolder::new(Some(&elsewhere()));
        assert_eq!(
            place.refused(answer, true),
            "here may be in use by pid 3 on node7 since 2026-01-05T10:22:07Z, which cannot be asked from this \
             machine; if that process is over: rm here/.lock"
        );
        assert_eq!(place.holder(answer, true), Some(elsewhere()));
        fs::remove_file(place.lock()).unwrap();
        place.take(answer, true).unwrap();
    }
}

#[test]
fn a_process_of_another_machine_that_shows_no_life_is_taken_over() {
    for (answer, shared) in [(&free as Answer<'_>, true), (&unsupported, true), (&free, false)] {
        let place = LockedFolder::new(Some(&elsewhere()));
        place.give_signs(&elsewhere(), "1");
        assert_eq!(
            place.holder(answer, shared),
            Some(elsewhere()),
            "its signs tell that others use the folder"
        );
        let waited = std::cell::Cell::new(Duration::ZERO);
        let lock = place.take_with(answer, shared, &|time| waited.set(waited.get() + time)).unwrap();
        assert_eq!(waited.get(), SILENCE);
        assert_eq!(lock.taken_over(), Some(&elsewhere()));
        assert_eq!(read(&place.lock()).pid, std::process::id());
        lock.tenure().check().unwrap();
        drop(lock);
        assert!(!place.root.path().join(".lock.guard").exists());
    }
}

#[test]
fn a_process_of_another_machine_that_shows_life_keeps_its_lock() {
    for answer in [&free as Answer<'_>, &unsupported] {
        let place = LockedFolder::new(Some(&elsewhere()));
        place.give_signs(&elsewhere(), "1");
        let refused = place.take_with(answer, true, &|_| place.give_signs(&elsewhere(), "2"));
        assert!(matches!(refused, Err(ResultsError::Locked { .. })), "{refused:?}");
        assert_eq!(read(&place.lock()), elsewhere());
    }
}

#[test]
fn a_lock_that_another_machine_gives_back_meanwhile_is_taken() {
    for answer in [&free as Answer<'_>, &unsupported] {
        let place = LockedFolder::new(Some(&elsewhere()));
        place.give_signs(&elsewhere(), "1");
        let gives_back = |_| {
            fs::write(place.lock().path(), "").unwrap();
            let _ = fs::remove_file(place.root.path().join(".lock.beat"));
        };
        let lock = place.take_with(answer, true, &gives_back).unwrap();
        assert_eq!(lock.taken_over(), None);
    }
}

#[test]
fn of_two_that_take_over_from_another_machine_the_later_one_finds_the_first() {
    let place = LockedFolder::new(Some(&elsewhere()));
    place.give_signs(&elsewhere(), "1");
    let third = Holder { host: "login9".to_owned(), ..elsewhere() };
    let waited = std::cell::Cell::new(Duration::ZERO);
    let other = |time| {
        waited.set(waited.get() + time);
        // The other one is first by a moment, and gives signs from then on.
        if waited.get() >= SILENCE {
            place.give_signs(&third, &waited.get().as_millis().to_string());
            fs::write(place.lock().path(), serde_json::to_vec(&third).unwrap()).unwrap();
        }
    };
    let refused = place.take_with(&free, true, &other);
    let Err(ResultsError::Locked { holder, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(holder, third);
}

#[test]
fn a_lock_that_the_kernel_keeps_for_a_machine_that_is_silent_is_for_a_person_to_remove() {
    let place = LockedFolder::new(Some(&elsewhere()));
    place.give_signs(&elsewhere(), "1");
    let refused = place.refused(&held, true);
    assert!(refused.contains("is locked by pid 3 on node7"), "{refused}");
    let beats = fs::File::options().append(true).open(place.root.path().join(".lock.beat")).unwrap();
    beats.set_modified(std::time::SystemTime::now() - 2 * SILENCE).unwrap();
    let refused = place.refused(&held, true);
    assert!(refused.ends_with("if that process is over: rm here/.lock"), "{refused}");
}

#[test]
fn a_lock_that_cannot_be_read_is_not_a_free_one_where_machines_share_it() {
    let place = LockedFolder::new(None);
    fs::create_dir(place.lock().path()).unwrap();
    let error = crate::error_chain::chain(&place.take(&free, true).unwrap_err());
    assert!(error.starts_with("cannot open") || error.starts_with("cannot read"), "{error}");
}

#[test]
fn a_lock_is_not_emptied_by_a_process_that_lost_it() {
    let place = LockedFolder::new(None);
    let lock = place.take(&free, true).unwrap();
    fs::write(place.lock().path(), serde_json::to_vec(&elsewhere()).unwrap()).unwrap();
    drop(lock);
    assert_eq!(read(&place.lock()), elsewhere());
}

#[test]
fn signs_of_life_are_given_only_where_other_machines_may_look() {
    let place = LockedFolder::new(None);
    for shared in [false, true] {
        let lock = place.take(&free, shared).unwrap();
        assert_eq!(place.root.path().join(".lock.beat").exists(), shared);
        drop(lock);
        assert!(!place.root.path().join(".lock.beat").exists());
    }
}

#[test]
fn on_a_disk_of_this_machine_the_kernel_alone_decides() {
    let place = LockedFolder::new(Some(&elsewhere()));
    assert_eq!(place.holder(&free, false), None);
    place.take(&free, false).unwrap();
}

#[test]
fn a_guard_that_was_left_behind_is_named_with_the_command_that_removes_it() {
    let place = LockedFolder::new(None);
    fs::write(place.lock(), "").unwrap();
    fs::write(place.root.path().join(".lock.guard"), "").unwrap();
    let message = place.refused(&unsupported, false);
    assert!(message.contains("may be in use by another process"), "{message}");
    assert!(message.ends_with("rm here/.lock.guard"), "{message}");
}

#[test]
fn of_many_that_take_over_at_once_one_has_the_lock() {
    let place = LockedFolder::new(Some(&dead()));
    let (folder, path) = (place.root.path(), place.lock());
    let taken: Vec<Result<Lock, ResultsError>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let system = system(&unsupported, &|_| false, &thread::sleep);
                    Lock::take_on(folder, &path, &system)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(taken.iter().filter(|lock| lock.is_ok()).count(), 1);
    assert!(taken.iter().all(|lock| lock.is_ok() || matches!(lock, Err(ResultsError::Locked { .. }))));
}

#[test]
fn other_errors_of_locking_are_reported() {
    let broken = |_: &File, _: LockKind| Err(TryLockError::Error(io::ErrorKind::PermissionDenied.into()));
    let message = crate::error_chain::chain(&LockedFolder::new(None).take(&broken, false).unwrap_err());
    assert!(message.starts_with("cannot lock"), "{message}");
}
