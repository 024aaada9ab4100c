//! A full disk under the orchestrator itself: it waits, and loses nothing.
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
    error::ExecutorError,
    observer::{Notice, Observers},
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
    plan::size,
    protocol::WorkerLine,
    results::{ResultsError, TrialFolder, write_json},
    scheduler::{Input, Scheduler},
    study::Study,
    system::{disk, files},
    trial::TrialId,
};

/// Between two tries.
const EVERY: Duration = Duration::from_secs(1);

/// Why a write was given up.
#[derive(Debug)]
enum Unwritten {
    /// The user did not want to wait any longer.
    Interrupted,
    /// For another reason than a full disk.
    Failed(ExecutorError),
}

/// Where, and how long, space is waited for.
struct Patience<'a> {
    folder: &'a Path,
    /// Between two tries.
    every: Duration,
    /// Whether the user has asked to stop, so that nothing is waited for.
    is_stopping: bool,
}

impl Patience<'_> {
    /// Does what `write` does, again and again while the disk is full. The observers hear of it twice at
    /// most: when waiting begins, and when it ends.
    async fn wait<T>(
        &self,
        mut write: impl FnMut() -> Result<T, ExecutorError>,
        interrupts: &mut mpsc::Receiver<()>,
        observers: &mut Observers<'_>,
    ) -> Result<T, Unwritten> {
        let (mut is_announced, mut is_listening) = (false, true);
        loop {
            match write() {
                Ok(done) => {
                    if is_announced {
                        observers.notify(&Notice::Resolved(
                            "there is space on the disk again: the sweep goes on".to_owned(),
                        ));
                    }
                    return Ok(done);
                }
                Err(error) if !error.is_full_disk() => return Err(Unwritten::Failed(error)),
                Err(_) if self.is_stopping => return Err(Unwritten::Interrupted),
                Err(error) if !is_announced => {
                    is_announced = true;
                    observers.notify(&Notice::Warning(waiting(&error, disk::free(self.folder).ok())));
                }
                Err(_) => {}
            }
            tokio::select! {
                interrupt = interrupts.recv(), if is_listening => match interrupt {
                    Some(()) => return Err(Unwritten::Interrupted),
                    None => is_listening = false,
                },
                () = sleep(self.every) => {}
            }
        }
    }
}

fn waiting(error: &ExecutorError, free: Option<u64>) -> String {
    let free = free.map_or_else(String::new, |free| format!(" ({} free)", size(free)));
    format!(
        "the disk is full{free}: {}. Nothing is lost: everything waits, and goes on by itself once there is \
         space. Ctrl-C ends the run",
        chain(error)
    )
}

fn patience<'a>(run: &'a Run, scheduler: &Scheduler) -> Patience<'a> {
    Patience { folder: run.folder.path(), every: EVERY, is_stopping: scheduler.is_stopping() }
}

impl Loop<'_> {
    /// Appends to the log, and waits for space first if there is none.
    pub(super) async fn append(
        &mut self,
        trial: Option<TrialId>,
        event: Event,
    ) -> Result<Record, ExecutorError> {
        let at = SystemTime::now();
        let Self { run, journal, scheduler, interrupts, observers, .. } = self;
        // A folder that is gone or elsewhere gets no record that somebody would look for in vain.
        let write = || {
            run.folder.check()?;
            Ok(journal.append(trial, event.clone(), at)?)
        };
        patience(run, scheduler)
            .wait(write, interrupts, observers)
            .await
            .map_err(|why| self.unwritten(why, 1))
    }

    /// Makes the trial's folder with all that a worker needs, and waits for space first if there is none.
    pub(super) async fn prepare(&mut self, id: TrialId) -> Result<TrialFolder, ExecutorError> {
        let Self { run, study, scheduler, interrupts, observers, .. } = self;
        let write = || prepare(run, study, id);
        patience(run, scheduler)
            .wait(write, interrupts, observers)
            .await
            .map_err(|why| self.unwritten(why, 0))
    }

    fn unwritten(&self, why: Unwritten, records: usize) -> ExecutorError {
        match why {
            Unwritten::Interrupted => {
                ExecutorError::Full { log: self.run.folder.log().path().to_owned(), records }
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
        assert_eq!(goes_on, "there is space on the disk again: the sweep goes on");
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
        assert!(matches!(answer, Err(Unwritten::Interrupted)));
        assert_eq!(heard.len(), 1);
    }

    #[tokio::test]
    async fn after_a_wish_to_stop_nothing_is_waited_for() {
        let (_sender, mut interrupts) = mpsc::channel(1);
        let patience = Patience { is_stopping: true, ..*PATIENCE };
        let mut write = || Err::<(), _>(failure(io::ErrorKind::StorageFull));
        let answer = patience.wait(&mut write, &mut interrupts, &mut Observers::new(Vec::new())).await;
        assert!(matches!(answer, Err(Unwritten::Interrupted)));
        patience.wait(|| Ok(()), &mut interrupts, &mut Observers::new(Vec::new())).await.unwrap();
    }

    #[tokio::test]
    async fn a_closed_channel_of_interrupts_is_no_wish_to_stop() {
        let (sender, mut interrupts) = mpsc::channel(1);
        drop(sender);
        assert_eq!(tried(3, &mut interrupts).await.0.unwrap(), 4);
    }

    #[tokio::test]
    async fn other_errors_are_not_waited_out() {
        let (_sender, mut interrupts) = mpsc::channel(1);
        let write = || Err::<(), _>(failure(io::ErrorKind::PermissionDenied));
        let answer = PATIENCE.wait(write, &mut interrupts, &mut Observers::new(Vec::new())).await;
        assert!(matches!(answer, Err(Unwritten::Failed(_))));
    }
}
