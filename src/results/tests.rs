//! Folders by example.

use std::{
    fs::{self, File},
    time::SystemTime,
};

use super::*;
use crate::trial::TrialId;

fn results() -> (tempfile::TempDir, Results) {
    let folder = tempfile::tempdir().unwrap();
    let results = Results::new(folder.path().join("results"));
    (folder, results)
}

#[test]
fn a_second_lock_is_refused_with_the_name_of_the_holder() {
    let (_folder, results) = results();
    let sweep = results.sweep("one");
    let _lock = sweep.lock().unwrap();
    let message = sweep.lock().unwrap_err().to_string();
    assert!(message.contains(&format!("pid {}", std::process::id())), "{message}");
}

#[test]
fn a_lock_has_a_holder_until_it_is_dropped() {
    let (_folder, results) = results();
    let sweep = results.sweep("one");
    let lock = sweep.lock().unwrap();
    assert_eq!(sweep.holder().unwrap().pid, std::process::id());
    drop(lock);
    assert_eq!(sweep.holder(), None);
    sweep.lock().unwrap();
}

#[test]
fn a_folder_with_somebody_elses_files_is_never_taken() {
    let (_folder, results) = results();
    let sweep = results.sweep("photos");
    fs::create_dir_all(sweep.path()).unwrap();
    fs::write(sweep.path().join("holiday.jpg"), "x").unwrap();
    assert!(matches!(sweep.lock(), Err(ResultsError::Foreign(_))));
}

#[test]
fn clearing_removes_only_the_files_that_sweeps_write() {
    let (_folder, results) = results();
    let sweep = results.sweep("one");
    let lock = sweep.lock().unwrap();
    fs::write(sweep.plan(), "{}").unwrap();
    fs::create_dir_all(sweep.trial(TrialId(1)).path()).unwrap();
    fs::write(sweep.path().join("notes.txt"), "mine").unwrap();
    sweep.clear(&lock).unwrap();
    let mut left: Vec<_> =
        fs::read_dir(sweep.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".lock", "notes.txt", "plan.json"]);
}

#[test]
fn what_killed_processes_left_is_removed_wherever_a_run_writes() {
    let (_folder, results) = results();
    let sweep = results.sweep("one");
    let lock = sweep.lock().unwrap();
    let trial = sweep.trial(TrialId(1));
    fs::create_dir_all(trial.best()).unwrap();
    let folders = [sweep.place(), trial.place(), &trial.best()].map(|folder| folder.path().to_owned());
    for folder in &folders {
        fs::write(folder.join(".writing-killed"), "x").unwrap();
        fs::write(folder.join("other"), "x").unwrap();
    }
    sweep.remove_leftovers(&lock);
    for folder in &folders {
        assert!(!folder.join(".writing-killed").exists() && folder.join("other").exists(), "{folder:?}");
    }
}

/// Results with three sweeps whose logs changed at different times.
fn three_sweeps() -> (tempfile::TempDir, Results) {
    let (folder, results) = results();
    for (name, seconds) in [("old", 10), ("new", 30), ("middle", 20)] {
        let sweep = results.sweep(name);
        fs::create_dir_all(sweep.path()).unwrap();
        fs::write(sweep.plan(), "{}").unwrap();
        let log = File::create(sweep.log()).unwrap();
        log.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
    }
    (folder, results)
}

#[test]
fn the_newest_sweep_is_the_one_whose_log_changed_last() {
    let (_folder, results) = three_sweeps();
    assert_eq!(results.find(None).unwrap().name(), "new");
}

#[test]
fn an_unknown_sweep_is_answered_with_the_sweeps_that_exist() {
    let (_folder, results) = three_sweeps();
    let message = results.find(Some("other")).unwrap_err().to_string();
    assert!(message.ends_with("there are: new, middle, old"), "{message}");
}

#[test]
fn results_that_do_not_exist_hold_no_sweep() {
    let (_folder, results) = results();
    assert!(matches!(results.find(None), Err(ResultsError::Empty(_))));
}

#[test]
fn the_cache_is_beside_the_sweeps() {
    let (_folder, results) = results();
    assert_eq!(results.sweep("one").cache(), results.cache());
}

#[test]
fn the_cache_is_not_listed_as_a_sweep() {
    let (_folder, results) = results();
    fs::create_dir_all(results.cache()).unwrap();
    fs::write(results.cache().join("plan.json"), "{}").unwrap();
    assert_eq!(results.list().unwrap(), []);
}
