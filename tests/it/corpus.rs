//! What the fuzzers began with and what they found, read again: nothing of it may panic.

use std::{fs, path::PathBuf};

use sweep::fuzzing;

use crate::common::repository;

/// Gives every file of a fuzzer's corpus to `read`.
fn replay(target: &str, read: fn(&[u8])) {
    let folder = repository().join("tests/fuzz/corpus").join(target);
    let files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 2, "{target} has lost its corpus");
    for file in files {
        read(&fs::read(&file).unwrap());
    }
}

#[test]
fn specs_of_any_kind_are_read() {
    replay("spec", fuzzing::spec);
}

#[test]
fn logs_of_any_kind_are_read() {
    replay("log", fuzzing::log);
}

#[test]
fn workers_may_say_anything() {
    replay("worker_lines", fuzzing::worker_lines);
}

#[test]
fn safetensors_files_of_any_kind_are_read() {
    replay("safetensors", fuzzing::safetensors);
}

#[test]
fn torch_files_of_any_kind_are_read() {
    replay("torch", fuzzing::torch);
}

#[test]
fn tokenizers_of_any_kind_are_read() {
    replay("tokenizer", fuzzing::tokenizer);
}

#[test]
fn encoders_of_any_shape_are_read() {
    replay("config", fuzzing::config);
}

#[test]
fn resumable_checkpoints_of_any_kind_are_read() {
    replay("state", fuzzing::state);
}
