//! The tests of the program and of the library from outside, in one binary.
//!
//! They share one process. So no test may change what a process has once, such as a variable, the current
//! folder or a signal's handler: `common::program::is_alone` gives such a test a process of its own.

#![expect(clippy::disallowed_methods, reason = "the files here are its own")]
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails a test")]

mod common;

mod architecture;
mod beside;
mod caches;
mod checkpoints;
mod classes;
mod cli;
mod cluster;
mod compare;
mod corpus;
mod crash;
mod data_files;
mod end_to_end;
mod export;
mod export_figures;
mod faults;
mod file_access;
mod folds;
mod fusing;
mod gpus;
mod hostile;
mod hostile_models;
mod hub;
mod injection;
mod lasting;
mod leaks;
mod links;
mod older_results;
mod predict;
mod prefixes;
mod readme;
mod resuming;
mod reuse;
mod search;
mod serve;
mod sharing;
mod slurm;
mod training;
mod unfit;
mod verify;
mod wrong_specs;
