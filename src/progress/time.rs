//! Spans of time in words, and how long a run will still take.

use std::time::{Duration, Instant};

use crate::study::Study;

/// Forecast of the time that a run takes, from the time that it took so far. Trials are counted as numbers,
/// since running ones count as fractions.
pub(super) struct TimeForecast {
    /// Time at which the run began.
    pub(super) since: Instant,
    /// Trials that had ended before the run began.
    pub(super) before: f64,
    /// All trials of the sweep, with those that may come to confirm the best.
    pub(super) total: f64,
    /// Trials that have ended.
    pub(super) ended: f64,
}

impl TimeForecast {
    /// A forecast for a run of `study` that begins at `since`.
    pub(super) fn new(since: Instant, study: &Study) -> Self {
        let before = count(ended(study));
        Self { since, before, total: total(study), ended: before }
    }

    /// The time left, where `running` is the sum of the shares that running trials have done.
    ///
    /// Trials that stop early are not foreseen, so it is rather too long. `None` before a hundredth of a
    /// trial is done.
    pub(super) fn left(&self, now: Instant, running: f64) -> Option<Duration> {
        let done = self.ended + running - self.before;
        let rest = self.total - self.ended - running;
        let elapsed = now.duration_since(self.since).as_secs_f64();
        let seconds = elapsed * rest / done;
        (done > 0.01).then(|| Duration::try_from_secs_f64(seconds.max(0.0)).ok()).flatten()
    }
}

/// The number of trials that are complete, halted or failed.
pub(super) fn ended(study: &Study) -> usize {
    let counts = study.counts();
    counts.complete + counts.halted + counts.failed
}

/// The number of all trials, with those that may come to confirm the best.
pub(super) fn total(study: &Study) -> f64 {
    count(study.trials.len() + study.confirmations_to_come())
}

/// A number of trials as a factor.
pub(super) fn count(trials: usize) -> f64 {
    f64::from(u32::try_from(trials).unwrap_or(u32::MAX))
}

/// A span of time in its two largest units: `45 s`, `2 min 10 s`, `1 h 5 min`.
#[must_use]
pub fn duration(span: Duration) -> String {
    let seconds = span.as_secs() + u64::from(span.subsec_millis() >= 500);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A span of time as a clock shows it: `0:07`, `12:40`, `1:05:00`.
pub(super) fn clock(span: Duration) -> String {
    let seconds = span.as_secs() + u64::from(span.subsec_millis() >= 500);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_hours_only_if_there_are_any() {
        let texts = [0.4, 59.6, 760.0, 3900.0, 360_000.0].map(|s| clock(Duration::from_secs_f64(s)));
        assert_eq!(texts, ["0:00", "1:00", "12:40", "1:05:00", "100:00:00"]);
    }

    #[test]
    fn the_time_left_counts_only_what_this_run_did() {
        let since = Instant::now();
        let forecast = TimeForecast { since, before: 4.0, total: 10.0, ended: 5.0 };
        let now = since + Duration::from_mins(1);
        assert_eq!(forecast.left(now, 1.0), Some(Duration::from_mins(2)));
        assert_eq!(TimeForecast { before: 5.0, ..forecast }.left(now, 0.0), None);
    }

    #[test]
    fn spans_of_time_have_at_most_two_units() {
        let texts = [0.4, 59.4, 130.0, 3900.0].map(|s| duration(Duration::from_secs_f64(s)));
        assert_eq!(texts, ["0 s", "59 s", "2 min 10 s", "1 h 5 min"]);
    }
}
