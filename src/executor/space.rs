//! A full disk under the orchestrator itself: it waits, and loses nothing.
//!
//! What cannot be written is tried again until it can, and nothing is acted on before
//! it is logged. Workers wait meanwhile: what they say is not taken in. If the user
//! ends the run instead, they leave as if the orchestrator had died, and what they
//! did since their last checkpoint is done again by the next run.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use tokio::{sync::mpsc, time::sleep};

use super::{ExecutorError, Loop, Note, Run, prepare, process::Command};
use crate::{
    error_chain::chain,
    event::{Event, Record},
    journal::JournalError,
    plan::size,
    protocol::WorkerLine,
    results::{ResultsError, TrialFolder},
    scheduler::{Input, Scheduler, Slot},
    system::{disk, files},
    trial::TrialId,
};

/// Between two tries.
const EVERY: Duration = Duration::from_secs(1);

/// Why something was not written in the end.
#[derive(Debug)]
enum Unwritten {
    /// The user did not want to wait any longer.
    Interrupted,
    /// For another reason than a full disk.
    Failed(ExecutorError),
}

/// Whether an error means that the disk is full.
fn is_full(error: &ExecutorError) -> bool {
    match error {
        ExecutorError::Journal(JournalError::Io { source, .. })
        | ExecutorError::Results(ResultsError::Io { source, .. }) => files::is_full(source),
        ExecutorError::Journal(_)
        | ExecutorError::Results(_)
        | ExecutorError::Study(_)
        | ExecutorError::Full { .. }
        | ExecutorError::NoDevice => false,
    }
}

/// Where, and how long, space is waited for.
struct Patience<'a> {
    folder: &'a Path,
    /// Between two tries.
    every: Duration,
    /// Whether the user has asked to stop, and so will not wait for space.
    is_stopping: bool,
}

impl Patience<'_> {
    /// Does what `write` does, again and again while the disk is full. `tell` hears of it twice at
    /// most: when waiting begins, and when it ends.
    async fn wait<T>(
        &self,
        mut write: impl FnMut() -> Result<T, ExecutorError>,
        interrupts: &mut mpsc::Receiver<()>,
        tell: &mut dyn FnMut(Note<'_>),
    ) -> Result<T, Unwritten> {
        let (mut is_told, mut is_listening) = (false, true);
        loop {
            match write() {
                Ok(done) => {
                    if is_told {
                        tell(Note::Relief("there is space on the disk again: the sweep goes on".to_owned()));
                    }
                    return Ok(done);
                }
                Err(error) if !is_full(&error) => return Err(Unwritten::Failed(error)),
                Err(_) if self.is_stopping => return Err(Unwritten::Interrupted),
                Err(error) if !is_told => {
                    is_told = true;
                    tell(Note::Trouble(waiting(&error, disk::free(self.folder).ok())));
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
    /// Appends to the log, however long it takes until there is space.
    pub(super) async fn append(
        &mut self,
        trial: Option<TrialId>,
        event: Event,
    ) -> Result<Record, ExecutorError> {
        let at = SystemTime::now();
        let Self { run, journal, scheduler, interrupts, watch, .. } = self;
        let write = || Ok(journal.append(trial, event.clone(), at)?);
        patience(run, scheduler).wait(write, interrupts, watch).await.map_err(|why| self.unwritten(why, 1))
    }

    /// Makes the trial's folder with all that a worker needs, as soon as there is space.
    pub(super) async fn prepare(&mut self, id: TrialId) -> Result<TrialFolder, ExecutorError> {
        let Self { run, study, scheduler, interrupts, watch, .. } = self;
        let write = || prepare(run, study, id);
        patience(run, scheduler).wait(write, interrupts, watch).await.map_err(|why| self.unwritten(why, 0))
    }

    fn unwritten(&self, why: Unwritten, records: usize) -> ExecutorError {
        match why {
            Unwritten::Interrupted => ExecutorError::Full { log: self.run.folder.log(), records },
            Unwritten::Failed(error) => error,
        }
    }

    /// Ends every worker without logging anything; the answer is how many records that would have been.
    pub(super) async fn leave(&mut self, inbox: &mut mpsc::Receiver<Input>) -> usize {
        let slots = || (0..self.workers.len()).map(Slot);
        let mut records = 0;
        slots().for_each(|slot| self.tell(slot, Command::Leave));
        while self.workers.iter().any(Option::is_some) {
            tokio::select! {
                Some(input) = inbox.recv() => match input {
                    Input::Exited(slot, _) => self.put(slot, None),
                    Input::LeaveTimeout(slot) => self.tell(slot, Command::Kill),
                    Input::Line(_, WorkerLine::Event(..) | WorkerLine::Finished(..) | WorkerLine::Failed(..)) => {
                        records += 1;
                    }
                    _ => {}
                },
                Some(()) = self.interrupts.recv() => {
                    (0..self.workers.len()).map(Slot).for_each(|slot| self.tell(slot, Command::Kill));
                }
            }
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    static PATIENCE: std::sync::LazyLock<Patience<'_>> = std::sync::LazyLock::new(|| Patience {
        folder: Path::new("/"),
        every: Duration::ZERO,
        is_stopping: false,
    });

    fn failure(kind: io::ErrorKind) -> ExecutorError {
        let (operation, path) = ("append to", "events.jsonl".into());
        JournalError::Io { operation, path, source: kind.into() }.into()
    }

    /// What the wait answers and tells when so many tries find a full disk.
    async fn tried(
        full: usize,
        interrupts: &mut mpsc::Receiver<()>,
    ) -> (Result<usize, Unwritten>, Vec<String>) {
        let (mut tries, mut told) = (0, Vec::new());
        let write = || {
            tries += 1;
            if tries > full { Ok(tries) } else { Err(failure(io::ErrorKind::StorageFull)) }
        };
        let answer = PATIENCE
            .wait(write, interrupts, &mut |note| match note {
                Note::Trouble(text) | Note::Relief(text) => told.push(text),
                other => panic!("{other:?}"),
            })
            .await;
        (answer, told)
    }

    #[tokio::test]
    async fn a_full_disk_is_told_once_and_waited_out() {
        let (_sender, mut interrupts) = mpsc::channel(1);
        let (answer, told) = tried(100, &mut interrupts).await;
        assert_eq!(answer.unwrap(), 101);
        let [waits, goes_on] = told.as_slice() else { panic!("{told:?}") };
        assert!(waits.starts_with("the disk is full (") && waits.contains("cannot append to events.jsonl"));
        assert!(waits.contains("Nothing is lost") && waits.ends_with("Ctrl-C ends the run"), "{waits}");
        assert_eq!(goes_on, "there is space on the disk again: the sweep goes on");
    }

    #[tokio::test]
    async fn where_there_is_space_nothing_is_told() {
        let (_sender, mut interrupts) = mpsc::channel(1);
        let (answer, told) = tried(0, &mut interrupts).await;
        assert_eq!((answer.unwrap(), told.len()), (1, 0));
    }

    #[tokio::test]
    async fn waiting_ends_at_the_users_wish() {
        let (sender, mut interrupts) = mpsc::channel(1);
        sender.send(()).await.unwrap();
        let (answer, told) = tried(usize::MAX, &mut interrupts).await;
        assert!(matches!(answer, Err(Unwritten::Interrupted)));
        assert_eq!(told.len(), 1);
    }

    #[tokio::test]
    async fn who_has_asked_to_stop_does_not_wait() {
        let (_sender, mut interrupts) = mpsc::channel(1);
        let patience = Patience { is_stopping: true, ..*PATIENCE };
        let mut write = || Err::<(), _>(failure(io::ErrorKind::StorageFull));
        let answer = patience.wait(&mut write, &mut interrupts, &mut |note| panic!("{note:?}")).await;
        assert!(matches!(answer, Err(Unwritten::Interrupted)));
        patience.wait(|| Ok(()), &mut interrupts, &mut |note| panic!("{note:?}")).await.unwrap();
    }

    #[tokio::test]
    async fn nobody_who_could_interrupt_is_no_wish_to_stop() {
        let (sender, mut interrupts) = mpsc::channel(1);
        drop(sender);
        assert_eq!(tried(3, &mut interrupts).await.0.unwrap(), 4);
    }

    #[tokio::test]
    async fn other_errors_are_not_waited_out() {
        let (_sender, mut interrupts) = mpsc::channel(1);
        let write = || Err::<(), _>(failure(io::ErrorKind::PermissionDenied));
        let answer = PATIENCE.wait(write, &mut interrupts, &mut |_| ()).await;
        assert!(matches!(answer, Err(Unwritten::Failed(_))));
    }
}
