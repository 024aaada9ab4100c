//! Hyperparameter sweeps for fine-tuning text classifiers, with honest numbers.
//!
//! A spec (TOML) becomes a plan of trials, which worker processes run one per
//! device slot. Everything that happens is appended to one event log; live
//! progress, resuming, the leaderboard and the pictures are folds of that log.
//!
//! The map of the modules, the invariants and a glossary stand in `docs/ARCHITECTURE.md`, which is
//! compared with the sources by a test. Dependencies point down only.

#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests make the files that the code meets"))]

pub mod byte_size;
pub mod cache;
mod chance;
pub mod checkpoint;
pub mod cli;
pub mod data;
pub mod display;
pub mod effects;
mod error_chain;
pub mod event;
pub mod executor;
pub mod export;
pub mod fingerprint;
#[doc(hidden)]
pub mod fuzzing;
pub mod halving;
pub mod hub;
pub mod integrity;
pub mod job;
pub mod journal;
pub mod leaderboard;
pub mod metrics;
mod nearest;
mod numbers;
pub mod plan;
pub mod policy;
pub mod predict;
pub mod progress;
pub mod protocol;
pub mod report;
pub mod results;
pub mod sampler;
#[cfg(test)]
mod samples;
pub mod scheduler;
pub mod search;
pub mod serve;
pub mod settings;
pub mod slurm;
pub mod spec;
pub mod study;
pub mod system;
pub mod tpe;
pub mod train;
pub mod trial;
pub mod worker;
