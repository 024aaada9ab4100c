//! Removes files that complete trials do not need any more, on a thread beside the loop.
//!
//! Always after the log says so: a crash in between leaves files that the next run removes.

use std::{io, sync::mpsc as blocking, thread::JoinHandle};

use super::observer::Warnings;
use crate::{
    results::TrialFolder,
    system::{
        files::{self, Place},
        threads,
    },
};

/// The files of a complete trial that are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needless {
    /// All but the parameters: only resuming the trial would need the rest.
    Checkpoints,
    /// The parameters too.
    Parameters,
}

/// The thread and the way to it.
pub(super) struct Cleaner {
    orders: blocking::Sender<(TrialFolder, Needless)>,
    /// Without it, files are removed where the order is given.
    thread: Option<JoinHandle<()>>,
    warnings: Warnings,
}

impl Cleaner {
    /// Starts the thread. `warnings` hears of files that cannot be removed.
    pub(super) fn start(warnings: Warnings) -> Self {
        let (orders, queue) = blocking::channel::<(TrialFolder, Needless)>();
        let heard = warnings.clone();
        let work = move || queue.into_iter().for_each(|(trial, what)| clean_or_warn(&trial, what, &heard));
        Self { orders, thread: threads::start(work).ok(), warnings }
    }

    /// Orders a removal.
    pub(super) fn clean(&self, trial: TrialFolder, what: Needless) {
        if self.thread.is_some() {
            let _ = self.orders.send((trial, what));
        } else {
            clean_or_warn(&trial, what, &self.warnings);
        }
    }

    /// Waits until every removal is done.
    pub(super) fn finish(self) {
        drop(self.orders);
        let _ = self.thread.map(JoinHandle::join);
    }
}

fn clean_or_warn(trial: &TrialFolder, what: Needless, warnings: &Warnings) {
    if let Err(error) = clean(trial, what) {
        // It costs space and nothing else.
        let path = trial.path().display();
        warnings.send(format!("cannot remove what {path} does not need any more: {error}"));
    }
}

fn clean(trial: &TrialFolder, what: Needless) -> io::Result<()> {
    let last = trial.last();
    for name in ["last.new", "last.before", "reused.new"] {
        gone(files::remove_folder(&trial.place().join(name)))?;
    }
    match what {
        Needless::Checkpoints => reduce(&last),
        Needless::Parameters => {
            gone(files::remove_folder(&last))?;
            gone(files::remove_folder(&trial.best()))
        }
    }
}

/// Leaves only the parameters in `last/`.
fn reduce(last: &Place) -> io::Result<()> {
    // First the file that makes it a checkpoint: without it nobody expects the rest.
    gone(last.join("state.safetensors").remove_file())?;
    let names = match last.names() {
        Err(error) => return gone(Err(error)),
        Ok(names) => names,
    };
    for name in names {
        if name != "model.safetensors" {
            gone(last.join(name).remove_file())?;
        }
    }
    Ok(())
}

/// Takes "nothing is there" for success.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(())
        }
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::samples::names;

    /// A trial's folder with all that a worker leaves there.
    fn trial() -> (tempfile::TempDir, TrialFolder) {
        let root = tempfile::tempdir().unwrap();
        for folder in ["best", "last", "last.before", "last.new", "reused.new"] {
            fs::create_dir(root.path().join(folder)).unwrap();
            for file in ["model.safetensors", "best.safetensors", "state.safetensors"] {
                fs::write(root.path().join(folder).join(file), "x").unwrap();
            }
        }
        fs::write(root.path().join("predictions.csv"), "x").unwrap();
        let trial = TrialFolder::new(Place::named(root.path()));
        (root, trial)
    }

    #[test]
    fn a_complete_trial_keeps_its_parameters_and_no_more() {
        let (_root, trial) = trial();
        clean(&trial, Needless::Checkpoints).unwrap();
        assert_eq!(names(trial.path()), ["best", "last", "predictions.csv"]);
        assert_eq!(names(trial.last().path()), ["model.safetensors"]);
        clean(&trial, Needless::Checkpoints).unwrap();
    }

    #[test]
    fn a_trial_whose_parameters_are_removed_keeps_its_tables() {
        let (_root, trial) = trial();
        clean(&trial, Needless::Parameters).unwrap();
        assert_eq!(names(trial.path()), ["predictions.csv"]);
        clean(&trial, Needless::Parameters).unwrap();
        clean(&TrialFolder::new(trial.place().join("nowhere")), Needless::Parameters).unwrap();
    }

    #[test]
    fn what_cannot_be_removed_is_a_warning() {
        let (_root, trial) = trial();
        let state = trial.last().join("state.safetensors");
        fs::remove_file(&state).unwrap();
        fs::create_dir(&state).unwrap();
        let (sender, mut warnings) = Warnings::channel();
        let cleaner = Cleaner::start(sender);
        cleaner.clean(trial, Needless::Checkpoints);
        cleaner.finish();
        let warning = warnings.blocking_recv().unwrap();
        assert!(warning.starts_with("cannot remove what"), "{warning}");
    }
}
