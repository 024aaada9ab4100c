//! Writing in spite of a full disk.

use std::{thread, time::Duration};

use crate::train::{
    error::{TrainError, Unfinished},
    observe::{Observe, Report},
};

/// Time between two attempts to write to a full disk.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Calls `write`, again and again while the disk is full, and returns what it returns.
///
/// # Errors
/// When `write` fails otherwise, or when a stop is asked for while the disk is full.
pub(super) fn persist<T>(
    observe: &mut Observe<'_>,
    write: &mut dyn FnMut() -> Result<T, TrainError>,
) -> Result<T, Unfinished> {
    let mut is_waiting = false;
    loop {
        let error = match write() {
            Ok(written) if is_waiting => {
                observe(Report::DiskFreed)?;
                return Ok(written);
            }
            Ok(written) => return Ok(written),
            Err(error) => error,
        };
        let Some(path) = error.full_disk() else { return Err(error.into()) };
        let report = if is_waiting { Report::Alive } else { Report::DiskFull(path.to_owned()) };
        is_waiting = true;
        observe(report)?;
        thread::sleep(RETRY_EVERY);
    }
}
