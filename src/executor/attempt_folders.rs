//! The files of attempts that workers of a cluster make: each attempt has a folder of its own.
//!
//! A worker that was taken for dead may come back and go on writing. It has its own folder, so that nothing that it
//! writes reaches a later attempt: that one begins with hard links to the files of the latest checkpoint, and no worker
//! changes a file in place. Only what the log is about to call the end of an attempt is taken into the trial's folder.

use std::io::{self, Write as _};

use super::connection::RemoteNote;
use crate::{
    event::Event,
    mailbox::{GivenAttempt, Titled},
    results::{ResultsError, SweepFolder, TrialFolder},
    system::files::{self, Place},
    trial::TrialId,
};

/// Folders with files that a later attempt begins with.
const CHECKPOINTS: [&str; 3] = ["last", "last.before", "best"];
/// Files that an attempt is given, and those that are put together with those of other attempts.
const NOT_TAKEN: [&str; 2] = ["trial.json", "worker.log"];

/// Notes for a worker the attempt that it is to make in `folder`.
pub(super) fn note(
    sweep: &SweepFolder,
    folder: &TrialFolder,
    attempt: GivenAttempt,
    title: String,
    note: &mut RemoteNote,
) {
    let below = folder.path().strip_prefix(sweep.path()).unwrap_or(folder.path());
    note.attempts.push(attempt);
    note.logs.push(Titled { folder: below.display().to_string(), title });
}

/// Takes the files of an attempt into its trial's folder, before the log says by `event` how it ended. After a failure the
/// rest is done when it is called again.
pub(super) fn gather(
    sweep: &SweepFolder,
    trial: TrialId,
    attempt: u32,
    event: &Event,
) -> Result<(), ResultsError> {
    if !matches!(event, Event::Finished(_) | Event::Paused { .. } | Event::Failed { .. } | Event::Interrupted)
    {
        return Ok(());
    }
    let own = sweep.attempt(trial, attempt);
    if !own.place().is_folder() {
        return Ok(());
    }
    let home = sweep.trial(trial);
    let io = ResultsError::io("take over", own.path());
    add_log(&own, &home).map_err(&io)?;
    // After a failure the worker may live on: its files stay where they are until the next attempt has linked them.
    if matches!(event, Event::Finished(_) | Event::Paused { .. } | Event::Failed { retry: false, .. }) {
        take(&own, &home).map_err(&io)?;
        (1..=attempt)
            .map(|number| sweep.attempt(trial, number))
            .filter(|folder| folder.place().is_folder())
            .try_for_each(|folder| files::remove_folder(folder.place()))
            .map_err(&io)?;
    }
    Ok(())
}

/// Makes the folder of an attempt, with the job and the latest checkpoint of earlier attempts. Folders of earlier attempts
/// are removed then. After a failure it may be called again.
pub(super) fn make(sweep: &SweepFolder, trial: TrialId, attempt: u32) -> Result<TrialFolder, ResultsError> {
    let (home, own) = (sweep.trial(trial), sweep.attempt(trial, attempt));
    let path = own.path().to_owned();
    let io = ResultsError::io("create", &path);
    let earlier: Vec<TrialFolder> = (1..attempt)
        .rev()
        .map(|number| sweep.attempt(trial, number))
        .filter(|folder| folder.place().is_folder())
        .collect();
    files::remove_folder(own.place()).map_err(&io)?;
    files::create_folder(own.place()).map_err(&io)?;
    files::link_atomically(&home.job(), &own.job()).map_err(&io)?;
    let sources = earlier.iter().chain([&home]);
    if let Some(source) = sources.into_iter().find(|folder| folder.last().is_folder()) {
        for name in CHECKPOINTS {
            // A worker that lives on may be changing the folder: what does not fit together is found when it is read.
            let _ = link_folder(&source.place().join(name), &own.place().join(name));
        }
    }
    for folder in earlier {
        let _ = files::remove_folder(folder.place());
    }
    Ok(own)
}

/// Takes what the latest attempt on a cluster has left into the trial's folder, for a run on this machine.
pub(super) fn bring_home(sweep: &SweepFolder, trial: TrialId, attempts: u32) {
    let folders = || (1..=attempts).rev().map(|number| sweep.attempt(trial, number));
    let left: Vec<TrialFolder> = folders().filter(|folder| folder.place().is_folder()).collect();
    let home = sweep.trial(trial);
    if let Some(own) = left.iter().find(|folder| folder.last().is_folder()) {
        for name in CHECKPOINTS {
            let to = home.place().join(name);
            // A worker that lives on may be changing the folder: what does not fit together is found when it is read.
            let _ = files::remove_folder(&to).and_then(|()| link_folder(&own.place().join(name), &to));
        }
    }
    for folder in left {
        let _ = add_log(&folder, &home);
        let _ = files::remove_folder(folder.place());
    }
}

/// Gives each file in the folder `from` a name in the folder `to`.
fn link_folder(from: &Place, to: &Place) -> io::Result<()> {
    if !from.is_folder() {
        return Ok(());
    }
    files::create_folder(to)?;
    for name in from.names()? {
        files::link_atomically(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

/// Moves what an attempt has made into the trial's folder. After a crash the rest is moved when it is called again.
fn take(own: &TrialFolder, home: &TrialFolder) -> io::Result<()> {
    for name in own.place().names()? {
        let is_taken = name.to_str().is_none_or(|name| !NOT_TAKEN.contains(&name));
        if !is_taken || name.to_string_lossy().starts_with(files::TEMPORARY) {
            continue;
        }
        let (from, to) = (own.place().join(&name), home.place().join(&name));
        if to.is_folder() {
            files::remove_folder(&to)?;
        }
        from.rename(&to)?;
    }
    files::sync_folder(home.place())
}

/// Appends what the workers of an attempt have said to the trial's `worker.log`.
fn add_log(own: &TrialFolder, home: &TrialFolder) -> io::Result<()> {
    let Ok(said) = own.worker_log().read() else { return Ok(()) };
    let mut log = files::open_for_append(&home.worker_log())?;
    let before = log.metadata()?.len();
    if let Err(error) = log.write_all(&said) {
        // Not a part of it now and all of it again later.
        let _ = log.set_len(before);
        return Err(error);
    }
    own.worker_log().remove_file()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::results::Results;

    const T1: TrialId = TrialId(1);

    fn sweep(root: &tempfile::TempDir) -> SweepFolder {
        let sweep = Results::new(root.path()).sweep("a");
        let home = sweep.trial(T1);
        fs::create_dir_all(home.path().join("last")).unwrap();
        fs::write(home.path().join("trial.json"), "job").unwrap();
        fs::write(home.path().join("last/state"), "one").unwrap();
        sweep
    }

    #[test]
    fn an_attempt_begins_with_the_latest_checkpoint_and_what_an_older_worker_writes_does_not_reach_it() {
        let root = tempfile::tempdir().unwrap();
        let sweep = sweep(&root);
        let first = make(&sweep, T1, 1).unwrap();
        assert_eq!(fs::read_to_string(first.path().join("last/state")).unwrap(), "one");
        files::write_atomically(&first.place().join("last").join("state"), b"two").unwrap();
        let held = first.place().held().unwrap();
        let second = make(&sweep, T1, 2).unwrap();
        assert_eq!(fs::read_to_string(second.path().join("last/state")).unwrap(), "two");
        assert!(files::write_atomically(&held.join("last").join("state"), b"late").is_err());
        assert_eq!(fs::read_to_string(second.path().join("last/state")).unwrap(), "two");
        assert_eq!(fs::read_to_string(second.path().join("trial.json")).unwrap(), "job");
    }

    #[test]
    fn a_run_on_this_machine_goes_on_where_an_attempt_on_a_cluster_was() {
        let root = tempfile::tempdir().unwrap();
        let sweep = sweep(&root);
        let own = make(&sweep, T1, 1).unwrap();
        files::write_atomically(&own.place().join("last").join("state"), b"two").unwrap();
        fs::write(own.path().join("worker.log"), "words").unwrap();
        bring_home(&sweep, T1, 2);
        let home = sweep.trial(T1);
        assert_eq!(fs::read_to_string(home.path().join("last/state")).unwrap(), "two");
        assert_eq!(fs::read_to_string(home.worker_log().path()).unwrap(), "words");
        assert!(!own.place().exists());
        bring_home(&sweep, T1, 2);
    }

    #[test]
    fn what_an_attempt_has_made_replaces_what_the_trial_had_and_can_be_taken_again() {
        let root = tempfile::tempdir().unwrap();
        let sweep = sweep(&root);
        let (own, home) = (make(&sweep, T1, 1).unwrap(), sweep.trial(T1));
        fs::write(own.path().join("predictions.csv"), "p").unwrap();
        fs::write(own.path().join("last/state"), "new").unwrap();
        fs::write(own.path().join("worker.log"), "words").unwrap();
        add_log(&own, &home).unwrap();
        take(&own, &home).unwrap();
        take(&own, &home).unwrap();
        for (file, text) in
            [("predictions.csv", "p"), ("last/state", "new"), ("worker.log", "words"), ("trial.json", "job")]
        {
            assert_eq!(fs::read_to_string(home.path().join(file)).unwrap(), text, "{file}");
        }
    }
}
