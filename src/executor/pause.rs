//! When the disk is full: how long nothing is started, and the messages about it.

use std::{path::Path, time::Duration};

use tokio::time::Instant;

use crate::{system::disk::Lack, trial::TrialId};

/// Free space, in bytes, at which a run continues in any case.
const ENOUGH: u64 = 64 << 20;
/// The longest time between two looks at the free space.
const INTERVAL_MAX: Duration = Duration::from_mins(1);
/// A pause that begins within this time of the last one looks half as often.
const SOON: Duration = Duration::from_mins(1);

/// Whether a run waits for space, and when it looks again.
#[derive(Debug)]
pub(super) struct Pause {
    /// Time between two looks, at first.
    shortest: Duration,
    every: Duration,
    /// The next look, while the run waits.
    next: Option<Instant>,
    /// Free space when it began.
    free: Option<u64>,
    resumed: Option<Instant>,
    is_announced: bool,
}

impl Pause {
    pub(super) fn new(shortest: Duration) -> Self {
        Self { shortest, every: shortest, next: None, free: None, resumed: None, is_announced: false }
    }

    /// Begins to wait, with `free` bytes of space.
    pub(super) fn begin(&mut self, now: Instant, free: Option<u64>) {
        let is_soon = self.resumed.is_some_and(|resumed| now.duration_since(resumed) < SOON);
        self.every =
            if is_soon { (2 * self.every).min(INTERVAL_MAX.max(self.shortest)) } else { self.shortest };
        (self.next, self.free) = (Some(now + self.every), free);
    }

    /// When to look at the free space again, if the run waits.
    pub(super) const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Notes how much space there is. Returns whether the run continues.
    pub(super) fn look(&mut self, now: Instant, free: Option<u64>) -> bool {
        let is_enough = match (free, self.free) {
            (Some(free), Some(before)) => {
                free >= ENOUGH || free.saturating_sub(before) >= (before / 10).max(1)
            }
            (Some(free), None) => free >= ENOUGH,
            // A file system that does not say how much is free must be tried.
            (None, _) => true,
        };
        self.next = (!is_enough).then_some(now + self.every);
        if is_enough {
            self.resumed = Some(now);
        }
        is_enough
    }

    /// The message that `trial` found the disk of `path` full, unless it was shown before.
    pub(super) fn announce(&mut self, trial: TrialId, path: &Path, lack: Lack) -> Option<String> {
        (!std::mem::replace(&mut self.is_announced, true)).then(|| {
            format!(
                "{} (writing {}): trial {trial} waits and no other starts; nothing is lost; {}; Ctrl-C ends the run",
                what(lack),
                path.display(),
                way_out(lack)
            )
        })
    }

    /// The message that no trial waits for space any more, if the one that it does was shown.
    pub(super) fn end(&mut self) -> Option<&'static str> {
        std::mem::take(&mut self.is_announced).then_some("the disk can be written again: the sweep goes on")
    }
}

/// What is missing, as a clause.
pub(super) fn what(lack: Lack) -> String {
    match lack {
        Lack::Space(None) => "the disk is full".to_owned(),
        Lack::Space(Some(free)) => format!("the disk is full ({} free)", size(free)),
        Lack::Inodes => "the disk has space, but no inode for another file".to_owned(),
        Lack::FileSize(None) => "a file may not grow as long as it must".to_owned(),
        Lack::FileSize(Some(limit)) => {
            format!("a file may not grow beyond {} (`ulimit -f`)", size(limit))
        }
    }
}

/// As [`what`], in few words and of the past.
pub(super) const fn was(lack: Lack) -> &'static str {
    match lack {
        Lack::Space(_) => "the disk was full",
        Lack::Inodes => "the disk had no inode left",
        Lack::FileSize(_) => "a file could not grow (`ulimit -f`)",
    }
}

/// How it goes on.
pub(super) const fn way_out(lack: Lack) -> &'static str {
    match lack {
        Lack::Space(_) => "the sweep goes on by itself once space is freed",
        Lack::Inodes => "the sweep goes on by itself once files are removed (`df -i` counts them)",
        Lack::FileSize(_) => {
            "the limit is inherited, so end the run, allow larger files (`ulimit -f unlimited`), and run the same \
             command again"
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_run_goes_on_with_plenty_of_space_or_a_tenth_more_than_before() {
        let now = Instant::now();
        for (before, free, goes_on) in [
            (Some(1_000), Some(1_000), false),
            (Some(1_000), Some(1_099), false),
            (Some(1_000), Some(1_100), true),
            (Some(0), Some(0), false),
            (Some(0), Some(1), true),
            (Some(1_000), Some(10), false),
            (Some(ENOUGH), Some(ENOUGH), true),
            (None, Some(10), false),
            (Some(0), None, true),
        ] {
            let mut pause = Pause::new(SECOND);
            pause.begin(now, before);
            assert_eq!(pause.look(now + SECOND, free), goes_on, "{before:?} {free:?}");
            assert_eq!(pause.next(), (!goes_on).then_some(now + 2 * SECOND));
        }
    }

    #[test]
    fn a_pause_that_follows_the_last_one_at_once_looks_half_as_often() {
        let mut now = Instant::now();
        let mut pause = Pause::new(SECOND);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            pause.begin(now, Some(0));
            let next = pause.next().unwrap();
            assert_eq!(next - now, Duration::from_secs(seconds));
            assert!(pause.look(next, Some(ENOUGH)));
            now = next;
        }
        pause.begin(now + 2 * SOON, Some(0));
        assert_eq!(pause.next(), Some(now + 2 * SOON + SECOND));
    }

    #[test]
    fn the_user_is_announced_once_that_it_waits_and_once_that_it_goes_on() {
        let mut pause = Pause::new(SECOND);
        assert_eq!(pause.end(), None);
        let space = Lack::Space(Some(12_345));
        let text = pause.announce(TrialId(3), Path::new("/r"), space).unwrap();
        assert!(text.starts_with("the disk is full (12.3 kB free) (writing /r): trial 0003 waits"), "{text}");
        assert_eq!(pause.announce(TrialId(4), Path::new("/r"), Lack::Inodes), None);
        assert!(pause.end().is_some());
        assert_eq!(pause.end(), None);
    }

    #[test]
    fn a_disk_without_inodes_and_a_limit_of_files_are_not_called_a_full_disk() {
        for (lack, what, way_out) in [
            (Lack::Inodes, "no inode", "df -i"),
            (Lack::FileSize(Some(1_000)), "a file may not grow beyond 1.0 kB", "ulimit -f unlimited"),
        ] {
            let text = Pause::new(SECOND).announce(TrialId(1), Path::new("/r"), lack).unwrap();
            assert!(text.contains(what) && text.contains(way_out) && !text.contains("is full"), "{text}");
        }
    }
}
