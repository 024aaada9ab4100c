//! Threads, where a machine may have none to spare.

use std::{io, sync::LazyLock, thread};

use rayon::ThreadPoolBuilder;

/// Whether as many threads as the pool has can be started. A pool that fails to start cannot be started
/// again, so that this is tried out first.
static CAN_START: LazyLock<bool> = LazyLock::new(|| {
    let count = thread::available_parallelism().map_or(1, Into::into);
    let threads: Vec<io::Result<thread::JoinHandle<()>>> = (0..count).map(|_| start(|| ())).collect();
    let is_whole = threads.iter().all(Result::is_ok);
    threads.into_iter().flatten().for_each(|thread| _ = thread.join());
    is_whole
});
static HAS_POOL: LazyLock<bool> =
    LazyLock::new(|| *CAN_START && ThreadPoolBuilder::new().build_global().is_ok());

/// Whether the pool of threads that computes in parallel could be started. Without it, nothing may be
/// computed in parallel: rayon would panic.
///
/// A worker has a pool of its own making, and does not ask.
pub fn has_pool() -> bool {
    *HAS_POOL
}

/// Makes sure that there is a pool, of this thread alone if the machine has no other to spare. To be called
/// on the thread that will compute.
///
/// # Errors
/// When not even that can be had.
pub fn ensure_pool() -> io::Result<()> {
    if has_pool() {
        return Ok(());
    }
    let alone = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global();
    alone.map_err(|error| io::Error::other(format!("no thread can be started: {error}")))
}

/// Starts a thread.
///
/// # Errors
/// When the machine has none to spare.
pub fn start<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<thread::JoinHandle<T>> {
    thread::Builder::new().spawn(work)
}
