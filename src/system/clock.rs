//! Times of the clock on the wall, as text.
//!
//! A clock may be wrong by centuries, and files may have any date. What the text cannot hold is shown as
//! the first or the last time that it can.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second of the year 9999, counted from 1970.
const LAST_SECOND: u64 = 253_402_300_799;

fn last() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(LAST_SECOND)
}

/// A time as RFC 3339 in UTC, without fractions of a second.
#[must_use]
pub fn seconds(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time.clamp(UNIX_EPOCH, last())).to_string()
}

/// A time as RFC 3339 in UTC, with milliseconds.
#[must_use]
pub fn milliseconds(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time.clamp(UNIX_EPOCH, last())).to_string()
}

/// The time that [`milliseconds`] has written; `None` for another text.
#[must_use]
pub fn parse(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(text).ok()
}

/// Time since the machine started, in which it was suspended too where the system counts that.
#[must_use]
pub fn since_start() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = rustix::time::ClockId::Monotonic;
    let rustix::time::Timespec { tv_sec, tv_nsec } = rustix::time::clock_gettime(clock);
    Duration::new(u64::try_from(tv_sec).unwrap_or_default(), u32::try_from(tv_nsec).unwrap_or_default())
}

/// What is wrong with the clock of this machine if it shows this time.
#[must_use]
pub fn fault(now: SystemTime) -> Option<&'static str> {
    if now < UNIX_EPOCH {
        Some("the clock of this machine shows a time before 1970")
    } else if now > last() {
        Some("the clock of this machine shows a time after 9999")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_has_a_text() {
        let day = Duration::from_hours(24);
        for (time, text) in [
            (UNIX_EPOCH, "1970-01-01T00:00:00Z"),
            (UNIX_EPOCH + day, "1970-01-02T00:00:00Z"),
            (UNIX_EPOCH - day, "1970-01-01T00:00:00Z"),
            (last(), "9999-12-31T23:59:59Z"),
            (last() + 400 * 365 * day, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(seconds(time), text);
            assert_eq!(milliseconds(time).replace(".000", ""), text);
        }
    }

    #[test]
    fn a_clock_that_is_wrong_by_centuries_is_named() {
        assert_eq!(fault(SystemTime::now()), None);
        assert!(fault(UNIX_EPOCH - Duration::from_secs(1)).is_some_and(|fault| fault.contains("1970")));
        assert!(fault(last() + Duration::from_secs(1)).is_some_and(|fault| fault.contains("9999")));
    }
}
