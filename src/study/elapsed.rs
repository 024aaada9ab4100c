//! How long a sweep has run.

use std::time::{Duration, SystemTime};

use crate::{
    event::{Event, Record},
    system::clock,
};

/// The time in which a sweep ran, pauses between its runs left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Elapsed {
    /// In earlier runs.
    before: Duration,
    /// Times of the first and the latest record of this run.
    run: Option<(SystemTime, SystemTime)>,
}

impl Elapsed {
    pub(super) fn add(&mut self, record: &Record) {
        let Some(now) = clock::parse(&record.at) else { return };
        self.run = match (self.run, &record.event) {
            (Some((begun, _)), event) if !matches!(event, Event::SweepStarted { .. }) => Some((begun, now)),
            _ => {
                self.before += self.of_run();
                Some((now, now))
            }
        };
    }

    /// A clock that was set back counts for nothing.
    fn of_run(&self) -> Duration {
        self.run.and_then(|(begun, latest)| latest.duration_since(begun).ok()).unwrap_or_default()
    }

    /// Whole seconds.
    #[must_use]
    pub fn seconds(&self) -> u128 {
        u128::from((self.before + self.of_run()).as_secs())
    }
}
