//! Whether bytes come at a pace that leads to an end: a server that sends a byte now and then keeps a connection open,
//! and is never silent.

use std::{
    io::{self, Read},
    time::{Duration, Instant},
};

/// Bytes that must come in each window of time.
const WINDOW_BYTES_MIN: u64 = 16 << 10;

/// The bytes of a connection since its current window of time began.
struct Flow {
    window: Duration,
    since: Instant,
    bytes: u64,
}

impl Flow {
    const fn new(window: Duration, now: Instant) -> Self {
        Self { window, since: now, bytes: 0 }
    }

    /// Adds `bytes` that came at `now`.
    ///
    /// # Errors
    /// When a window ends in which too few came.
    fn add(&mut self, bytes: u64, now: Instant) -> io::Result<()> {
        self.bytes += bytes;
        let passed = now.saturating_duration_since(self.since);
        if passed < self.window {
            return Ok(());
        }
        if self.bytes < WINDOW_BYTES_MIN {
            let message = format!("only {} bytes came in {:.0} s", self.bytes, passed.as_secs_f64());
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
        (self.since, self.bytes) = (now, 0);
        Ok(())
    }
}

/// A reader of a connection that must bring 16 KiB in each window of time.
pub(super) struct Flowing<R> {
    input: R,
    flow: Flow,
}

impl<R> Flowing<R> {
    pub(super) fn new(input: R, window: Duration) -> Self {
        Self { input, flow: Flow::new(window, Instant::now()) }
    }
}

impl<R: Read> Read for Flowing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        if read > 0 {
            self.flow.add(read as u64, Instant::now())?;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_mins(1);

    /// Whether a connection that brings `bytes` every two seconds is given up within an hour.
    fn is_given_up(bytes: u64) -> bool {
        let start = Instant::now();
        let mut flow = Flow::new(WINDOW, start);
        (1..=1800).any(|step| flow.add(bytes, start + step * Duration::from_secs(2)).is_err())
    }

    #[test]
    fn a_byte_every_two_seconds_is_no_pace() {
        assert!(is_given_up(1));
    }

    #[test]
    fn a_slow_connection_is_waited_for() {
        assert!(!is_given_up(1 << 10));
    }

    #[test]
    fn a_small_file_may_come_slowly() {
        let start = Instant::now();
        let mut flow = Flow::new(WINDOW, start);
        assert!((1..50).all(|second| flow.add(10, start + Duration::from_secs(second)).is_ok()));
    }
}
