//! A full disk under the orchestrator itself, or a machine that is short of something when the log is
//! written: it waits, and loses nothing.
//!
//! A write that finds the disk full is repeated until it succeeds, and nothing is acted
//! on before it is logged. Workers wait meanwhile, since their lines are not taken in. If
//! the user ends the run instead, the workers leave as if the orchestrator had died, and
//! the next run repeats their work since the last checkpoint.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use tokio::{sync::mpsc, time::sleep};

use super::{
    attempt_folders,
    error::ExecutorError,
    observer::{Notice, Observers},
    pause,
    setup::Run,
    state::Loop,
    watch::Command,
};
use crate::{
    byte_size::ByteSize,
    cache::CacheSpec,
    error_chain::chain,
    event::{Event, Record},
    job::Job,
    journal::Journal,
    protocol::WorkerLine,
    results::{ResultsError, TrialFolder, write_json},
    scheduler::{Input, Scheduler},
    study::Study,
    system::{disk::Lack, files, shortage::Shortage},
    trial::TrialId,
};

/// Between two tries.
const EVERY: Duration = Duration::from_secs(1);

/// Why a write was given up.
#[derive(Debug)]
enum Unwritten {
    /// The user did not want to wait any longer; a clause says for what.
    Interrupted(&'static str),
    /// For another reason than one that is waited out.
    Failed(ExecutorError),
}

/// Where, and how long, space is waited for.
struct Patience<'a> {
    folder: &'a Path,
    /// Between two tries.
    every: Duration,
    /// Whether the user has asked to stop, so that nothing is waited for.
    is_stopping: bool,
    /// Whether a shortage is waited out too. If not, it is for the caller to get out of the way.
    is_patient: bool,
}

/// What is waited out.
#[derive(Clone, Copy, Debug)]
enum Obstacle {
    Full(Lack),
    Short(Shortage),
}

impl Obstacle {
    /// What it was, as a clause.
    const fn was(self) -> &'static str {
        match self {
            Self::Full(lack) => pause::was(lack),
            Self::Short(_) => "the machine was short of something",
        }
    }
}

impl Patience<'_> {
    /// What an error means that is waited out.
    fn obstacle(&self, error: &ExecutorError) -> Option<Obstacle> {
        let short = || error.shortage().filter(|_| self.is_patient).map(Obstacle::Short);
        error.lack(self.folder).map(Obstacle::Full).or_else(short)
    }

    /// Does what `write` does, again and again while an obstacle is waited out. The observers hear of it
    /// twice at most: when waiting begins, and when it ends.
    async fn wait<T>(
        &self,
        mut write: impl FnMut() -> Result<T, ExecutorError>,
        interrupts: &mut mpsc::Receiver<()>,
        observers: &mut Observers<'_>,
    ) -> Result<T, Unwritten> {
        let (mut is_announced, mut is_listening) = (false, true);
        loop {
            let error = match write() {
                Ok(done) if is_announced => {
                    observers.notify(&Notice::Resolved(GOES_ON.to_owned()));
                    return Ok(done);
                }
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let Some(obstacle) = self.obstacle(&error) else { return Err(Unwritten::Failed(error)) };
            if self.is_stopping {
                return Err(Unwritten::Interrupted(obstacle.was()));
            }
            if !std::mem::replace(&mut is_announced, true) {
                observers.notify(&Notice::Warning(waiting(obstacle, &error)));
            }
            tokio::select! {
                interrupt = interrupts.recv(), if is_listening => match interrupt {
                    Some(()) => return Err(Unwritten::Interrupted(obstacle.was())),
                    None => is_listening = false,
                },
                () = sleep(self.every) => {}
            }
        }
    }
}

/// What the user hears once waiting is over.
const GOES_ON: &str = "the disk can be written again: the sweep goes on";

fn waiting(obstacle: Obstacle, error: &ExecutorError) -> String {
    let (what, way_out) = match obstacle {
        Obstacle::Full(lack) => (pause::what(lack), pause::way_out(lack)),
        Obstacle::Short(shortage) => ("the machine is short of something".to_owned(), shortage.remedy()),
    };
    format!("{what}: {}. Nothing is lost: everything waits; {way_out}. Ctrl-C ends the run", chain(error))
}

fn patience<'a>(run: &'a Run, scheduler: &Scheduler, is_patient: bool) -> Patience<'a> {
    let is_stopping = scheduler.is_stopping();
    Patience { folder: run.folder.path(), every: EVERY, is_stopping, is_patient }
}

impl Loop<'_> {
    /// Does what `write` does, and waits for space first if there is none. If it `is_patient`, a shortage is waited out too;
    /// if not, it is an error. `records`: how many the log lacks if the user does not wait.
    ///
    /// A folder that is gone or elsewhere gets nothing that somebody would look for in vain, and one that another process has
    /// taken over gets nothing that it does not know of.
    async fn patiently<T>(
        &mut self,
        is_patient: bool,
        records: usize,
        mut write: impl FnMut(&Run, &Study, &mut Journal) -> Result<T, ExecutorError>,
    ) -> Result<T, ExecutorError> {
        let Self { run, study, journal, scheduler, interrupts, observers, .. } = self;
        let write = || {
            run.check()?;
            write(run, study, journal)
        };
        patience(run, scheduler, is_patient)
            .wait(write, interrupts, observers)
            .await
            .map_err(|why| self.unwritten(why, records))
    }

    /// Appends to the log.
    pub(super) async fn append(
        &mut self,
        trial: Option<TrialId>,
        event: Event,
    ) -> Result<Record, ExecutorError> {
        let at = SystemTime::now();
        self.patiently(true, 1, |_, _, journal| Ok(journal.append(trial, event.clone(), at)?)).await
    }

    /// Takes home the files of an attempt on a cluster before the log says by `event` how it ended.
    pub(super) async fn gather_files(
        &mut self,
        trial: Option<TrialId>,
        event: &Event,
    ) -> Result<(), ExecutorError> {
        let Some(trial) = trial.filter(|_| self.cluster.is_some()) else { return Ok(()) };
        self.patiently(true, 1, |run, study, _| {
            Ok(attempt_folders::gather(&run.folder, trial, study.attempts(trial), event)?)
        })
        .await
    }

    /// Makes the folder of an attempt on a cluster. What the machine is short of may be held by workers, who wait for the
    /// loop.
    pub(super) async fn attempt_folder(
        &mut self,
        trial: TrialId,
        attempt: u32,
    ) -> Result<TrialFolder, ExecutorError> {
        self.patiently(false, 0, |run, _, _| Ok(attempt_folders::make(&run.folder, trial, attempt)?)).await
    }

    /// Makes the trial's folder with all that a worker needs. A shortage is an error, as for [`Self::attempt_folder`].
    pub(super) async fn prepare(&mut self, id: TrialId) -> Result<TrialFolder, ExecutorError> {
        let is_local = self.cluster.is_none();
        self.patiently(false, 0, |run, study, _| {
            let folder = prepare(run, study, id)?;
            if is_local {
                attempt_folders::bring_home(&run.folder, id, study.attempts(id));
            }
            Ok(folder)
        })
        .await
    }

    fn unwritten(&self, why: Unwritten, records: usize) -> ExecutorError {
        match why {
            Unwritten::Interrupted(cause) => {
                ExecutorError::Full { log: self.run.folder.log().path().to_owned(), records, cause }
            }
            Unwritten::Failed(error) => error,
        }
    }

    /// Ends every worker without logging anything. Returns how many records are not logged therefore.
    pub(super) async fn leave(&mut self, inbox: &mut mpsc::Receiver<Input>) -> usize {
        let mut records = 0;
        self.order_all(|| Command::Leave);
        while !self.workers.is_empty() {
            tokio::select! {
                Some(input) = inbox.recv() => match input {
                    Input::Exited(slot, _) => _ = self.workers.remove(&slot),
                    Input::LeaveTimeout(slot) => self.order(slot, Command::Kill),
                    Input::Line(_, WorkerLine::Event(..) | WorkerLine::Finished(..) | WorkerLine::Failed(..)) => {
                        records += 1;
                    }
                    _ => {}
                },
                Some(()) = self.interrupts.recv() => {
                    self.order_all(|| Command::Kill);
                }
            }
        }
        records
    }
}

/// The cache that workers share, if they may have one.
fn cache(run: &Run) -> Result<Option<CacheSpec>, ExecutorError> {
    let Some(ByteSize(bytes)) = run.plan.policy.cache else { return Ok(None) };
    let path = run.folder.cache();
    let folder = std::path::absolute(&path).map_err(ResultsError::io("resolve", path.path()))?;
    // The job is JSON, which can hold a path only if it is text.
    Ok(folder.to_str().is_some().then_some(CacheSpec { folder, bytes }))
}

/// Makes the trial's folder with all that a worker needs.
fn prepare(run: &Run, study: &Study, id: TrialId) -> Result<TrialFolder, ExecutorError> {
    let folder = run.folder.trial(id);
    files::create_folder(folder.place()).map_err(ResultsError::io("create", folder.path()))?;
    if let Some(record) = study.trial(id) {
        let job = Job { cache: cache(run)?, ..run.plan.job(&record.trial) };
        write_json(&folder.job(), &job)?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::journal::JournalError;

    static PATIENCE: std::sync::LazyLock<Patience<'_>> = std::sync::LazyLock::new(|| Patience {
        folder: Path::new("/"),
        every: Duration::ZERO,
        is_stopping: false,
        is_patient: true,
    });

    fn failure(kind: io::ErrorKind) -> ExecutorError {
        let (operation, path) = ("append to", "events.jsonl".into());
        JournalError::Io { operation, path, source: kind.into() }.into()
    }

    /// The result of waiting, and the notices, when the first `full` tries find a full disk.
    async fn tried(
        full: usize,
        interrupts: &mut mpsc::Receiver<()>,
    ) -> (Result<usize, Unwritten>, Vec<String>) {
        let (mut tries, mut heard) = (0, Vec::new());
        let write = || {
            tries += 1;
            if tries > full { Ok(tries) } else { Err(failure(io::ErrorKind::StorageFull)) }
        };
        let mut listen = |notice: &Notice<'_>| match notice {
            Notice::Warning(text) | Notice::Resolved(text) => heard.push(text.clone()),
            other => panic!("{other:?}"),
        };
        let answer = PATIENCE.wait(write, interrupts, &mut Observers::new(vec![&mut listen])).await;
        (answer, heard)
    }

    #[tokio::test]
    async fn a_full_disk_is_waited_out_with_one_warning() {
        let (_sender, mut interrupts) = mpsc::channel(1);
        let (answer, heard) = tried(100, &mut interrupts).await;
        assert_eq!(answer.unwrap(), 101);
        let [waits, goes_on] = heard.as_slice() else { panic!("{heard:?}") };
        assert!(waits.starts_with("the disk is full (") && waits.contains("cannot append to events.jsonl"));
        assert!(waits.contains("Nothing is lost") && waits.ends_with("Ctrl-C ends the run"), "{waits}");
        assert_eq!(goes_on, GOES_ON);
    }

    #[tokio::test]
    async fn where_there_is_space_nobody_is_warned() {
        let (_sender, mut interrupts) = mpsc::channel(1);
        let (answer, heard) = tried(0, &mut interrupts).await;
        assert_eq!((answer.unwrap(), heard.len()), (1, 0));
    }

    #[tokio::test]
    async fn waiting_ends_at_the_users_wish() {
        let (sender, mut interrupts) = mpsc::channel(1);
        sender.send(()).await.unwrap();
        let (answer, heard) = tried(usize::MAX, &mut interrupts).await;
        assert!(matches!(answer, Err(Unwritten::Interrupted("the disk was full"))));
        assert_eq!(heard.len(), 1);
    }

    #[tokio::test]
    async fn after_a_wish_to_stop_nothing_is_waited_for() {
        let (_sender, mut interrupts) = mpsc::channel(1);
        let patience = Patience { is_stopping: true, ..*PATIENCE };
        let mut write = || Err::<(), _>(failure(io::ErrorKind::StorageFull));
        let answer = patience.wait(&mut write, &mut interrupts, &mut Observers::new(Vec::new())).await;
        assert!(matches!(answer, Err(Unwritten::Interrupted("the disk was full"))));
        patience.wait(|| Ok(()), &mut interrupts, &mut Observers::new(Vec::new())).await.unwrap();
    }

    #[tokio::test]
    async fn a_closed_channel_of_interrupts_is_no_wish_to_stop() {
        let (sender, mut interrupts) = mpsc::channel(1);
        drop(sender);
        assert_eq!(tried(3, &mut interrupts).await.0.unwrap(), 4);
    }

    /// The error of an append for which the machine lacked open files.
    fn short() -> ExecutorError {
        let (operation, path) = ("append to", "events.jsonl".into());
        JournalError::Io { operation, path, source: rustix::io::Errno::NFILE.into() }.into()
    }

    #[tokio::test]
    async fn a_shortage_is_waited_out_only_where_it_cannot_be_the_workers_doing() {
        let (_sender, mut interrupts) = mpsc::channel(1);
        let mut tries = 0;
        let mut write = || {
            tries += 1;
            if tries > 3 { Ok(tries) } else { Err(short()) }
        };
        let nobody = || Observers::new(Vec::new());
        let answer = PATIENCE.wait(&mut write, &mut interrupts, &mut nobody()).await;
        assert_eq!(answer.unwrap(), 4);
        let hasty = Patience { is_patient: false, ..*PATIENCE };
        let answer = hasty.wait(|| Err::<(), _>(short()), &mut interrupts, &mut nobody()).await;
        assert!(matches!(answer, Err(Unwritten::Failed(_))));
    }

    #[tokio::test]
    async fn other_errors_are_not_waited_out() {
        let (_sender, mut interrupts) = mpsc::channel(1);
        let write = || Err::<(), _>(failure(io::ErrorKind::PermissionDenied));
        let answer = PATIENCE.wait(write, &mut interrupts, &mut Observers::new(Vec::new())).await;
        assert!(matches!(answer, Err(Unwritten::Failed(_))));
    }
}
