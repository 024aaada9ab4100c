//! Longer and longer pauses while something fails.

use std::time::Duration;

use tokio::time::Instant;

/// Longer and longer pauses while something fails.
#[derive(Debug)]
pub(super) struct BackOff {
    first: Duration,
    longest: Duration,
    /// The next pause.
    pause: Duration,
    until: Option<Instant>,
}

impl BackOff {
    /// Pauses from `first` to `longest`, each twice as long as the one before.
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest: longest.max(first), pause: first, until: None }
    }

    /// It has failed: a pause begins. Returns how long it is.
    pub(super) fn begin(&mut self, now: Instant) -> Duration {
        let pause = self.pause;
        self.until = Some(now + pause);
        self.pause = (2 * pause).min(self.longest);
        pause
    }

    /// It has worked.
    pub(super) const fn end(&mut self) {
        (self.pause, self.until) = (self.first, None);
    }

    /// Whether it may be tried now.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    /// Whether it did not fail the last time.
    pub(super) const fn is_at_rest(&self) -> bool {
        self.until.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let second = Duration::from_secs(1);
        let mut pauses = BackOff::new(2 * second, 10 * second);
        let now = Instant::now();
        assert!(pauses.is_over(now) && pauses.is_at_rest());
        assert_eq!([0; 4].map(|_| pauses.begin(now).as_secs()), [2, 4, 8, 10]);
        assert!(!pauses.is_over(now + 9 * second) && pauses.is_over(now + 10 * second));
        assert!(!pauses.is_at_rest());
        pauses.end();
        assert!(pauses.is_over(now) && pauses.is_at_rest());
        assert_eq!(pauses.begin(now), 2 * second);
    }
}
