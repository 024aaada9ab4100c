//! One training at a time in a process.
//!
//! burn-autodiff 0.21 keeps the graphs of all threads in one place, and what one
//! thread cleans up there after a backward pass (`runtime/graph.rs`,
//! `cleanup_orphaned_entries`) may be a part of the graph that another is still
//! building: gradients are lost without a word. Workers train one trial at a time;
//! whoever uses the library from several threads waits here.

use std::sync::{Mutex, MutexGuard, PoisonError};

static TRAINING: Mutex<()> = Mutex::new(());

/// Waits until nothing else in this process builds a graph.
pub(crate) fn exclusive() -> MutexGuard<'static, ()> {
    // A panic elsewhere leaves nothing behind that this thread would use.
    TRAINING.lock().unwrap_or_else(PoisonError::into_inner)
}
