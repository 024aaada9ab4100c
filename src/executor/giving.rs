//! How the worker of a slot is started, and how it is given its trials.

use std::path::{Path, PathBuf};

use super::{
    attempt_folders,
    connection::{Connection, RemoteNote},
    deadlines::Limits,
    error::ExecutorError,
    state::Loop,
    watch::{Command, Post, Worker},
};
use crate::{
    error_chain::chain,
    job::Attempt,
    mailbox::GivenAttempt,
    process::Process,
    protocol::{Assignment, WorkerRequest},
    results::{ResultsError, TrialFolder},
    scheduler::{GivenTrial, Input, Slot},
    system::{device::Device, files::Place},
    trial::TrialId,
};

/// What a worker is told with its trials.
#[derive(Default)]
struct Handed {
    trials: Vec<Assignment>,
    /// Where its standard error goes, as lines of a log on this machine.
    logs: Vec<(Place, String)>,
    note: RemoteNote,
}

impl Loop<'_> {
    /// Starts a worker for the slot.
    pub(super) async fn spawn(
        &mut self,
        slot: Slot,
        device: Device,
        trial: TrialId,
    ) -> Result<Vec<Input>, ExecutorError> {
        let folder = match self.prepare(trial).await {
            Err(error) if error.shortage().is_some() => {
                return Ok(vec![Input::SpawnFailed(slot, chain(&error))]);
            }
            folder => folder?,
        };
        let limits = Limits::new(self.run.workers.leave, &self.run.plan.policy);
        let post = Post { slot, device, inbox: self.inbox.clone() };
        if let Some(connection) = self.open_session(slot) {
            self.workers.insert(slot, Worker::watch(connection, limits.with_delay(), post));
            return Ok(Vec::new());
        }
        match Process::start(&self.run.workers.start_of_process(), device, self.oom_kills.clone()) {
            Ok(process) => {
                let worker = Worker::watch(Connection::Local(Box::new(process)), limits, post);
                // Its attempt begins once the worker is ready.
                worker.log_to(&[(folder.worker_log(), title(trial, self.study.attempts(trial) + 1, device))]);
                self.workers.insert(slot, worker);
                Ok(Vec::new())
            }
            Err(error) => {
                let name = Path::new(&self.run.workers.program.name).display();
                Ok(vec![Input::SpawnFailed(slot, format!("cannot start {name}: {error}"))])
            }
        }
    }

    /// Gives a worker its trials.
    pub(super) async fn give(
        &mut self,
        slot: Slot,
        given: Vec<GivenTrial>,
    ) -> Result<Vec<Input>, ExecutorError> {
        let mut handed = Handed::default();
        for given in given {
            match self.hand(slot, given, &mut handed).await {
                // What the machine is short of may be what this worker holds.
                Err(error) if error.shortage().is_some() => {
                    return Ok(vec![Input::Short(slot, chain(&error))]);
                }
                done => done?,
            }
        }
        let Handed { trials, logs, note } = handed;
        if let Some(worker) = self.worker(slot) {
            worker.log_to(&logs);
        }
        self.order(slot, Command::Send(WorkerRequest::Run { trials }, note));
        Ok(Vec::new())
    }

    /// Makes all that an attempt at a trial needs, and adds it to what the slot's worker is told.
    async fn hand(
        &mut self,
        slot: Slot,
        GivenTrial { trial, micro_batch, without_cache }: GivenTrial,
        handed: &mut Handed,
    ) -> Result<(), ExecutorError> {
        let home = self.prepare(trial).await?;
        let attempt = self.study.attempts(trial);
        let Some(worker) = self.worker(slot) else { return Ok(()) };
        let (title, is_remote) = (title(trial, attempt, worker.device), worker.is_remote);
        handed.logs.push((home.worker_log(), title.clone()));
        let mut folder = home;
        if is_remote {
            folder = self.attempt_folder(trial, attempt).await?;
            let given = GivenAttempt { trial, attempt };
            attempt_folders::note(&self.run.folder, &folder, given, title, &mut handed.note);
        }
        // A worker may be started anywhere.
        let sweep = self.run.folder.path();
        let sweep = std::path::absolute(sweep).map_err(ResultsError::io("resolve", sweep))?;
        // The numbers of a file system differ from one machine of a network to another.
        let identity = if is_remote { None } else { Some(self.run.folder.identity()?) };
        let folder = self.below(&folder);
        let sharing = self.sharing(slot, trial);
        let record = self.study.trial(trial);
        let pause_after = record.and_then(|record| record.next_pause(self.study.search.as_ref()));
        let attempt = Attempt { micro_batch, sharing, pause_after, without_cache };
        handed.trials.push(Assignment { trial, sweep, identity, folder, attempt });
        Ok(())
    }

    /// The path of a trial's folder below the sweep's.
    fn below(&self, folder: &TrialFolder) -> PathBuf {
        folder.path().strip_prefix(self.run.folder.path()).unwrap_or(folder.path()).to_owned()
    }
}

/// The line that separates attempts in `worker.log`.
fn title(trial: TrialId, attempt: u32, device: Device) -> String {
    format!("trial {trial}, attempt {attempt} on {device}")
}
