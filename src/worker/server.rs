//! A worker at work: how it begins and ends a trial.

use std::{
    fs::{File, TryLockError},
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use super::{
    endings::{ended, failed, panicked},
    output::{Closed, send},
    reporter::{Reporter, Talk},
    requests::Requests,
    training::Train,
};
use crate::{
    error_chain::chain,
    job::Job,
    protocol::{Assignment, WorkerLine},
    results::{TrialFolder, read_json},
    system::{files::Place, panics::Panics, shortage::Shortage},
    train::Ending,
    trial::{FailureKind, TrialId},
};

/// How long another process that works in the trial's folder is waited for; longer than [`GRACE`].
const OTHERS_LEAVE: Duration = Duration::from_secs(30);
/// Time between two looks whether that process is gone.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A worker at work.
pub(super) struct Server<W> {
    pub(super) output: W,
    pub(super) requests: Requests,
    pub(super) panics: Panics,
    /// The GPU memory that this process has, when it is to be told.
    pub(super) measure: Box<dyn FnMut() -> Option<u64>>,
}

impl<W: Write> Server<W> {
    pub(super) fn send(&mut self, line: &WorkerLine) -> Result<(), Closed> {
        send(&mut self.output, line)
    }

    /// Waits until no other process works in a trial's folder: a worker whose orchestrator was killed may
    /// not have left yet. Where the file system has no locks, nothing is waited for. An error is the line
    /// that says how the trial ended instead.
    fn lock(&mut self, id: TrialId, place: &Place) -> Result<Option<File>, Box<WorkerLine>> {
        let folder = match place.open_as_folder() {
            Ok(folder) => folder,
            Err(error) if Shortage::of(&error).is_some() => {
                let message = format!("cannot open {}: {error}", place.display());
                return Err(Box::new(failed(id, FailureKind::Disk, &message)));
            }
            Err(_) => return Ok(None),
        };
        // Counted in looks, not by a clock: the clock goes on while both processes stand still.
        let mut looks = 0;
        loop {
            match folder.try_lock() {
                Ok(()) => return Ok(Some(folder)),
                Err(TryLockError::Error(_)) => return Ok(None),
                Err(TryLockError::WouldBlock) if LOOK_EVERY * looks > OTHERS_LEAVE => {
                    let message = format!("another process still works in {}; end it", place.display());
                    return Err(Box::new(failed(id, FailureKind::Spawn, &message)));
                }
                Err(TryLockError::WouldBlock) if self.requests.stop.has(id) => {
                    return Err(Box::new(WorkerLine::Stopped(id)));
                }
                Err(TryLockError::WouldBlock) => {
                    looks += 1;
                    thread::sleep(LOOK_EVERY);
                }
            }
        }
    }

    /// Opens a trial's folder, waits until no other process works in it, and reads its job. An error is the line that
    /// says how the trial ended instead.
    pub(super) fn begin(
        &mut self,
        order: &Assignment,
    ) -> Result<(TrialFolder, Option<File>, Job), Box<WorkerLine>> {
        let disk = |message: String| Box::new(failed(order.trial, FailureKind::Disk, &message));
        let folder = open(order).map_err(disk)?;
        let lock = self.lock(order.trial, folder.place())?;
        let job = read_json(&folder.job()).map_err(|error| disk(chain(&error)))?;
        Ok((folder, lock, job))
    }

    /// Runs one trial. Returns the line that says how it ended.
    pub(super) fn attempt(
        &mut self,
        order: &Assignment,
        train: &mut dyn Train,
    ) -> Result<WorkerLine, Closed> {
        let id = order.trial;
        let (folder, _lock, job) = match self.begin(order) {
            Ok(begun) => begun,
            Err(line) => return Ok(*line),
        };
        let mut talk = Talk::new(&mut self.output, &self.requests.stop, &self.panics);
        let mut reporter = Reporter::new(id);
        // After a panic nothing of the trial is used again: the process leaves.
        let ending = catch_unwind(AssertUnwindSafe(|| {
            let observe = &mut |report| talk.on_report(&mut reporter, report);
            train.alone(&job, order.attempt, folder.place(), observe)
        }));
        if talk.is_closed {
            return Err(Closed);
        }
        if let Some(elsewhere) = self.panics.elsewhere() {
            return Ok(WorkerLine::Failed(id, panicked(elsewhere)));
        }
        let Ok(ending) = ending else { return Ok(WorkerLine::Failed(id, panicked(&self.panics.last()))) };
        if matches!(ending, Ok(Ending::Complete(_)))
            && let Some(bytes) = (self.measure)()
        {
            self.send(&WorkerLine::GpuMemory(id, bytes))?;
        }
        Ok(ended(id, ending, reporter.not_finite))
    }
}

/// Opens and holds the sweep's folder, and returns the trial's folder in it. An error is the message for the user.
fn open(order: &Assignment) -> Result<TrialFolder, String> {
    let sweep = Place::named(&order.sweep);
    let found = sweep.identity().map_err(|error| format!("cannot open {}: {error}", sweep.display()))?;
    if order.identity.is_some_and(|wanted| wanted != found) {
        return Err(format!("{} is another folder than when the run began", sweep.display()));
    }
    Ok(TrialFolder::new(sweep.join(&order.folder)))
}
