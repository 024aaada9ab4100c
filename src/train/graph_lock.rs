//! One training at a time in a process.
//!
//! burn-autodiff 0.21 keeps the graphs of all threads in one place. When a thread has
//! made a backward pass it removes orphaned nodes there (`runtime/graph.rs`,
//! `cleanup_orphaned_entries`), and may remove a part of a graph that another thread is
//! still building: gradients are lost without an error. A worker trains one trial at a
//! time anyway; threads of other programs that use this library wait here.

use std::sync::{Mutex, MutexGuard, PoisonError};

static TRAINING: Mutex<()> = Mutex::new(());

/// Waits until no other thread of this process builds a graph, and keeps the others out while the guard lives.
pub(crate) fn graph_lock() -> MutexGuard<'static, ()> {
    // The mutex guards no data that a panic could have left half-written.
    TRAINING.lock().unwrap_or_else(PoisonError::into_inner)
}
