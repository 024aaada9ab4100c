//! Whose turn it is to write a sweep's leaderboard and pictures.
//!
//! `sweep report` may draw while a run draws too. Each of them waits for its turn before it reads the state of the
//! sweep, so that what is written last shows the latest state. A run that empties the folder and begins anew does so
//! in a turn of its own.

use std::{
    fs::{File, TryLockError},
    thread,
    time::{Duration, Instant},
};

use crate::system::files::Place;

/// How long a process waits for its turn. After this time it goes on without: another process that was stopped in its
/// turn must not stop a run.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Time between two attempts.
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(10);

/// The turn of this process, which ends when the value is dropped.
#[derive(Debug)]
pub struct Turn {
    /// The sweep's folder, with a lock of the kernel.
    _folder: File,
    since: Instant,
}

impl Turn {
    /// Waits for the turn in `folder`; `None` if others took theirs for too long, or the file system has no locks.
    pub(super) fn take(folder: &Place) -> Option<Self> {
        Self::take_within(folder, WAIT_MAX)
    }

    fn take_within(folder: &Place, wait_max: Duration) -> Option<Self> {
        let folder = folder.open_as_folder().ok()?;
        let begun = Instant::now();
        loop {
            match folder.try_lock() {
                Ok(()) => return Some(Self { _folder: folder, since: Instant::now() }),
                Err(TryLockError::WouldBlock) if begun.elapsed() < wait_max => {
                    thread::sleep(ATTEMPT_INTERVAL);
                }
                Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return None,
            }
        }
    }

    /// Whether nobody can have gone on without a turn since this one began.
    #[must_use]
    pub fn was_respected(&self) -> bool {
        self.since.elapsed() < WAIT_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_turn_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::named(folder.path());
        let turn = Turn::take(&place).unwrap();
        assert!(turn.was_respected());
        assert!(Turn::take_within(&place, Duration::ZERO).is_none());
        drop(turn);
        assert!(Turn::take_within(&place, Duration::ZERO).is_some());
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_turn() {
        assert!(Turn::take(&Place::named("/no/such/folder")).is_none());
    }
}
