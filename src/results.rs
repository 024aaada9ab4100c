//! Every path under the results folder, atomic writes into it, and its lock.
//!
//! A sweep's folder is ours when it holds `plan.json`; nothing else is ever
//! emptied. One orchestrator at a time holds a folder's lock.

mod beat;
mod error;
mod files;
mod holder;
mod lock;
mod log_tail;
mod sweep_folder;
mod sweeps;
mod trial_folder;
mod turn;

pub(crate) use self::log_tail::TITLE;
pub use self::{
    beat::{SILENCE, Tenure},
    error::ResultsError,
    files::{json, read_json, write_atomic, write_json},
    holder::Holder,
    lock::{Lock, LockTerms},
    log_tail::last_lines,
    sweep_folder::SweepFolder,
    sweeps::Results,
    trial_folder::TrialFolder,
    turn::Turn,
};

#[cfg(test)]
mod tests;
