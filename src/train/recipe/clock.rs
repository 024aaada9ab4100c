//! The time that a trial takes.

use std::{cell::Cell, time::Instant};

/// Counts the wall-clock seconds of an attempt. While a trial is trained together with others, each second counts as a
/// second divided by their number, so that the seconds of all of them add up to those of the device.
#[derive(Debug)]
pub(super) struct Clock(Cell<Reading>);

#[derive(Clone, Copy, Debug)]
struct Reading {
    /// Seconds until `since`.
    seconds: f64,
    since: Instant,
    /// The trials that share the time from `since` on, this one included.
    sharers: u32,
}

impl Clock {
    /// A clock that begins now, of a trial that has the time for itself.
    pub(super) fn start() -> Self {
        Self(Cell::new(Reading { seconds: 0.0, since: Instant::now(), sharers: 1 }))
    }

    /// The seconds until now.
    pub(super) fn seconds(&self) -> f64 {
        self.at(Instant::now())
    }

    fn at(&self, now: Instant) -> f64 {
        let Reading { seconds, since, sharers } = self.0.get();
        seconds + now.saturating_duration_since(since).as_secs_f64() / f64::from(sharers)
    }

    /// Shares the time from now on among `sharers` trials, this one included.
    pub(super) fn share(&self, sharers: usize) {
        self.share_from(sharers, Instant::now());
    }

    fn share_from(&self, sharers: usize, now: Instant) {
        let sharers = u32::try_from(sharers.max(1)).unwrap_or(u32::MAX);
        if self.0.get().sharers != sharers {
            self.0.set(Reading { seconds: self.at(now), since: now, sharers });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_times_of_trials_side_by_side_add_up_to_the_time_that_passed() {
        let clocks = [Clock::start(), Clock::start(), Clock::start()];
        let begun = clocks[0].0.get().since;
        let after = |seconds| begun + Duration::from_secs(seconds);
        for clock in &clocks {
            clock.0.set(Reading { since: begun, ..clock.0.get() });
            clock.share_from(3, begun);
        }
        assert!(clocks.iter().all(|clock| (clock.at(after(6)) - 2.0).abs() < 1e-9));
        // One of them leaves after six seconds.
        clocks[1..].iter().for_each(|clock| clock.share_from(2, after(6)));
        assert!(clocks[1..].iter().all(|clock| (clock.at(after(10)) - 4.0).abs() < 1e-9));
    }
}
