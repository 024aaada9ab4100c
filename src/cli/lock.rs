//! The lock of a sweep's folder, for commands: who is waited for is said.

use super::{exit::Stop, terminal::eprint_lossy};
use crate::{
    display::plain,
    results::{Lock, LockTerms, SweepFolder},
};

/// Takes the lock of `folder`, which other machines use too if `is_shared`.
pub(super) fn take(folder: &SweepFolder, is_shared: bool) -> Result<Lock, Stop> {
    let waits = |holder: &_, time: std::time::Duration| {
        let (name, seconds) = (plain(&folder.name()), time.as_secs());
        eprint_lossy(&format!(
            "{name} may be in use by {holder}: waiting for a sign of life, for {seconds} s at most; if there is none, \
             this command takes the sweep over\n"
        ));
    };
    Ok(folder.lock_on(&LockTerms { is_shared, waits: &waits })?)
}
