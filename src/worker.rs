//! The process around [`crate::train`]: requests on standard input, lines on standard output.
//!
//! A worker owns the folders of the trials that it was given and nothing else. It
//! leaves when its input ends (its parent died, or has no more work), when its
//! output is closed, and after any failure: only a fresh process has a clean state.

mod panics;

use std::{
    collections::BTreeSet,
    fs::{File, TryLockError},
    io::{self, BufRead, BufReader, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use self::panics::{Panicked, Panics};
use crate::{
    error_chain::chain,
    event::{Event, Outcome},
    job::{Attempt, Job},
    protocol::{Assignment, PROTOCOL_VERSION, WorkerLine, WorkerRequest},
    results::{TrialFolder, read_json},
    system::files::Place,
    system::{
        device::{Device, GpuBackend},
        gpus::{self, visible},
        memory::{self, Memory},
        shortage::Shortage,
    },
    train::{Ending, Observe, Report, Session, Stopped, TrainError},
    trial::{Failure, FailureKind, TrialId, TrialRef},
};

/// Time between two lines about a trial's progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// Time from the end of the input to the end of the process, if training does not stop before.
const GRACE: Duration = Duration::from_secs(5);

/// How long another process that works in the trial's folder is waited for; longer than [`GRACE`].
const OTHERS_LEAVE: Duration = Duration::from_secs(30);
/// Time between two looks whether that process is gone.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Why a worker left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Its input or its output ended.
    Quietly,
    /// Its trial failed.
    AfterFailure,
}

/// Runs one trial, as [`Session::run`] does: job, attempt, folder, and the function that hears reports.
type Train<'a> = dyn FnMut(&Job, Attempt, &Place, &mut Observe<'_>) -> Result<Ending, TrainError> + 'a;

/// Serves trials on `device` until there is no more to do, on this process's standard streams.
///
/// # Errors
/// When a thread cannot be started. The worker has not reported ready then.
pub fn run(device: Device) -> io::Result<Left> {
    let panics = Panics::record();
    if let Device::Cpu { threads, .. } = device {
        compute_here(threads)?;
    }
    let mut session = None;
    let mut train = |job: &Job, attempt: Attempt, folder: &Place, observe: &mut Observe<'_>| {
        // Not before the first trial, so that a device that cannot be opened fails that trial.
        let session: &mut Session = match &mut session {
            Some(session) => session,
            empty => empty.insert(Session::open(device)?),
        };
        session.run(job, attempt, folder, observe)
    };
    let at_end = || {
        thread::sleep(GRACE);
        // Everything in a trial's folder is written atomically, so that the process may end at any moment.
        #[expect(clippy::exit, reason = "the main thread may be in a long step, and nobody waits for it")]
        std::process::exit(1);
    };
    let requests = Requests::listen(BufReader::new(io::stdin()), at_end)?;
    let measure = Box::new(measuring(device));
    Ok(Server { output: io::stdout(), requests, panics, measure }.serve(&mut train))
}

/// Makes this thread one of the `threads` that compute. Otherwise it would only wait for them, and hand
/// over data that lies in another core's cache.
fn compute_here(threads: usize) -> io::Result<()> {
    let built = rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread().build_global();
    built.map_err(|error| io::Error::other(format!("cannot start {threads} threads: {error}")))
}

/// Bytes of GPU memory that this process has, asked once: after its first trial, the peak is known.
fn measuring(device: Device) -> impl FnMut() -> Option<u64> {
    let mut is_asked = !matches!(device, Device::Gpu { backend: GpuBackend::Cuda, .. });
    move || {
        if std::mem::replace(&mut is_asked, true) {
            return None;
        }
        // The name of this worker's one GPU.
        gpus::own_memory(&std::env::var(visible::VARIABLE).ok()?)
    }
}

/// Which trials are to stop.
#[derive(Clone, Default)]
struct StopWishes(Arc<Mutex<Wishes>>);

#[derive(Default)]
struct Wishes {
    trials: BTreeSet<TrialId>,
    all: bool,
}

impl StopWishes {
    fn change(&self, change: impl FnOnce(&mut Wishes)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn has(&self, trial: TrialId) -> bool {
        let wishes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wishes.all || wishes.trials.contains(&trial)
    }
}

/// The orchestrator's requests, which a thread reads.
struct Requests {
    trials: mpsc::Receiver<Assignment>,
    stop: StopWishes,
}

impl Requests {
    /// Listens to `input`; `at_end` is called on the listening thread once it ended.
    fn listen(
        input: impl BufRead + Send + 'static,
        at_end: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, trials) = mpsc::channel();
        let stop = StopWishes::default();
        let wishes = stop.clone();
        thread::Builder::new().spawn(move || {
            for line in input.lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(WorkerRequest::Run { trials }) => {
                        // Here and not where a trial starts: a stop may follow at once.
                        wishes.change(|wishes| wishes.trials.clear());
                        if trials.into_iter().any(|trial| sender.send(trial).is_err()) {
                            break;
                        }
                    }
                    Ok(WorkerRequest::Stop(trial)) => wishes.change(|wishes| _ = wishes.trials.insert(trial)),
                    Err(_) => break,
                }
            }
            wishes.change(|wishes| wishes.all = true);
            drop(sender);
            at_end();
        })?;
        Ok(Self { trials, stop })
    }
}

struct Server<W> {
    output: W,
    requests: Requests,
    panics: Panics,
    /// The GPU memory that this process has, when it is to be told.
    measure: Box<dyn FnMut() -> Option<u64>>,
}

/// The output is closed: the orchestrator is gone.
struct Closed;

impl<W: Write> Server<W> {
    fn serve(mut self, train: &mut Train<'_>) -> Left {
        if send(&mut self.output, &WorkerLine::Ready { v: PROTOCOL_VERSION }).is_err() {
            return Left::Quietly;
        }
        while let Ok(order) = self.requests.trials.recv() {
            let line = match self.attempt(&order, train) {
                Ok(line) => line,
                Err(Closed) => return Left::Quietly,
            };
            let failed = matches!(line, WorkerLine::Failed(..));
            if send(&mut self.output, &line).is_err() {
                return Left::Quietly;
            }
            if failed {
                return Left::AfterFailure;
            }
        }
        Left::Quietly
    }

    /// Waits until no other process works in a trial's folder: a worker whose orchestrator was killed may
    /// not have left yet. Where the file system has no locks, nothing is waited for. An error is the line
    /// that says how the trial ended instead.
    fn alone(&mut self, id: TrialId, place: &Place) -> Result<Option<File>, Box<WorkerLine>> {
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
    fn begin(&mut self, order: &Assignment) -> Result<(TrialFolder, Option<File>, Job), Box<WorkerLine>> {
        let disk = |message: String| Box::new(failed(order.trial, FailureKind::Disk, &message));
        let folder = open(order).map_err(disk)?;
        let alone = self.alone(order.trial, folder.place())?;
        let job = read_json(&folder.job()).map_err(|error| disk(chain(&error)))?;
        Ok((folder, alone, job))
    }

    /// Runs one trial. Returns the line that says how it ended.
    fn attempt(&mut self, order: &Assignment, train: &mut Train<'_>) -> Result<WorkerLine, Closed> {
        let id = order.trial;
        let (folder, _alone, job) = match self.begin(order) {
            Ok(begun) => begun,
            Err(line) => return Ok(*line),
        };
        let mut reporter = Reporter {
            trial: id,
            output: &mut self.output,
            stop: &self.requests.stop,
            panics: &self.panics,
            sent: None,
            not_finite: None,
            is_closed: false,
        };
        // After a panic nothing of the trial is used again: the process leaves.
        let ending = catch_unwind(AssertUnwindSafe(|| {
            train(&job, order.attempt, folder.place(), &mut |report| reporter.on_report(report))
        }));
        if reporter.is_closed {
            return Err(Closed);
        }
        if let Some(panicked) = self.panics.elsewhere() {
            return Ok(failed_by(id, panicked));
        }
        if let (Ok(Ok(_)), Some(step)) = (&ending, reporter.not_finite) {
            return Ok(loss_not_finite(id, step));
        }
        Ok(match ending {
            Err(_) => failed_by(id, &self.panics.last()),
            Ok(Err(error)) => failed(id, error.kind(), &chain(&error)),
            Ok(Ok(Ending::Stopped)) => WorkerLine::Stopped(id),
            Ok(Ok(Ending::Complete(outcome))) => {
                if let Some(bytes) = (self.measure)() {
                    send(&mut self.output, &WorkerLine::GpuMemory(id, bytes))?;
                }
                finished(id, *outcome)
            }
        })
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

/// Turns a trial's reports into lines.
struct Reporter<'a, W> {
    trial: TrialId,
    output: &'a mut W,
    stop: &'a StopWishes,
    panics: &'a Panics,
    /// When the latest line was sent.
    sent: Option<Instant>,
    /// The step of an evaluation whose loss is not finite.
    not_finite: Option<u64>,
    is_closed: bool,
}

impl<W: Write> Reporter<'_, W> {
    /// Whether it is time for a sign of life.
    fn is_due(&self) -> bool {
        self.sent.is_none_or(|sent| sent.elapsed() >= PROGRESS_EVERY)
    }

    fn on_report(&mut self, report: Report) -> Result<(), Stopped> {
        let line = match report {
            Report::Prepared(prepared) => Some(WorkerLine::Event(self.trial, Event::Prepared(prepared))),
            // JSON cannot write such a loss, and training does not recover from it.
            Report::Evaluated(evaluation)
                if !(evaluation.train_loss.is_finite() && evaluation.validation.loss.is_finite()) =>
            {
                self.not_finite = Some(evaluation.step);
                return Err(Stopped);
            }
            Report::Evaluated(evaluation) => {
                Some(WorkerLine::Event(self.trial, Event::Evaluated(evaluation)))
            }
            Report::Progress(progress) => {
                let is_shown = self.is_due() && progress.train_loss.is_finite();
                is_shown.then_some(WorkerLine::Progress(self.trial, progress))
            }
            Report::Alive => self.is_due().then_some(WorkerLine::Alive(self.trial)),
            Report::Resumed { step, epoch, from } => {
                let from = from.map(|trial| TrialRef { sweep: None, trial });
                Some(WorkerLine::Event(self.trial, Event::Resumed { step, epoch, from }))
            }
            Report::CheckpointDamaged(message) => {
                Some(WorkerLine::Event(self.trial, Event::CheckpointDamaged { message: one_line(&message) }))
            }
            Report::DiskFull(path) => Some(WorkerLine::DiskFull(self.trial, path)),
            Report::DiskFreed => Some(WorkerLine::DiskFreed(self.trial)),
        };
        if line.is_some() {
            self.sent = Some(Instant::now());
        }
        if let Some(line) = line {
            self.is_closed |= send(self.output, &line).is_err();
        }
        let is_over = self.is_closed || self.panics.elsewhere().is_some();
        if is_over || self.stop.has(self.trial) { Err(Stopped) } else { Ok(()) }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn send(output: &mut impl Write, line: &WorkerLine) -> Result<(), Closed> {
    let mut bytes = serde_json::to_vec(line).map_err(|_| Closed)?;
    bytes.push(b'\n');
    output.write_all(&bytes).and_then(|()| output.flush()).map_err(|_| Closed)
}

fn failed(trial: TrialId, kind: FailureKind, message: &str) -> WorkerLine {
    let message = one_line(message);
    let kind = match kind {
        _ if Shortage::at_end(&message).is_some() => FailureKind::Shortage,
        _ if memory::is_refused(&message) => FailureKind::OutOfMemory(Memory::Host),
        kind => kind,
    };
    WorkerLine::Failed(trial, Failure { kind, message })
}

/// The line for a trial that a panic ended.
fn failed_by(trial: TrialId, panicked: &Panicked) -> WorkerLine {
    WorkerLine::Failed(trial, Failure { kind: panicked.kind(), message: one_line(&panicked.message()) })
}

/// The line for a complete trial. JSON cannot write a loss that is not finite: such a trial has failed.
fn finished(trial: TrialId, outcome: Outcome) -> WorkerLine {
    let losses = [outcome.train_loss, outcome.validation.loss, outcome.test.loss];
    if losses.iter().all(|loss| loss.is_finite()) {
        WorkerLine::Finished(trial, outcome)
    } else {
        loss_not_finite(trial, outcome.best_step)
    }
}

fn loss_not_finite(trial: TrialId, step: u64) -> WorkerLine {
    let message = format!("a loss is not finite at step {step}; a lower learning rate may help");
    failed(trial, FailureKind::NonFinite { step }, &message)
}

#[cfg(test)]
mod tests;
