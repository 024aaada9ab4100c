//! Performs what the scheduler decides: processes, deadlines, the log.
//!
//! One loop owns the log and the scheduler; each worker process has a task of its
//! own that turns lines, exits and deadlines into inputs. The loop waits for
//! nothing but those; observers that take long, such as the one that draws
//! pictures, work on a thread of their own.

mod attempt_folders;
mod cleaner;
mod cluster;
mod connection;
mod crew;
mod deadlines;
mod error;
mod event_loop;
mod fleet;
mod giving;
mod gpus;
mod growth;
mod leftovers;
mod observer;
mod painter;
mod pause;
mod pending;
mod post;
mod prefixes;
mod resting;
mod rests;
mod retention;
mod reusable;
mod reuse;
mod setup;
mod signals;
mod space;
mod state;
mod watch;

pub use self::{
    error::ExecutorError,
    event_loop::run,
    fleet::{ClusterStatus, JobStatus, SlurmRun, WorkerStatus, batch_job, cancel_jobs, prefix},
    observer::{Notice, Observer, Warnings},
    painter::{Draw, Painter},
    post::PostTimes,
    rests::StartLimits,
    setup::{ClusterRun, Ended, Run, Workers},
    signals::interrupts,
};
pub use crate::process::Program;
