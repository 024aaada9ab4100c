//! Performs what the scheduler decides: processes, time-outs, the log.
//!
//! One loop owns the log and the scheduler; each worker process has a task of its
//! own that turns lines, exits and time-outs into inputs. The loop waits for
//! nothing but those: pictures are drawn on a thread beside it.

mod lines;
mod painter;
mod process;
mod signals;
mod worker_log;

use std::{collections::VecDeque, io, path::PathBuf, time::Duration, time::SystemTime};

use tokio::sync::mpsc;

pub use self::{painter::Draw, signals::interrupts};
use self::{
    painter::Painter,
    process::{Command, Worker},
};
use crate::{
    byte_size::ByteSize,
    cache::CacheSpec,
    device::Device,
    event::{Event, Progress, Record, WorkerRequest},
    files,
    journal::{Journal, JournalError},
    plan::Plan,
    results::{ResultsError, SweepFolder, TrialFolder, write_json},
    scheduler::{Action, Input, Scheduler, Slot},
    study::{Study, StudyError},
    trial::{Job, TrialId},
};

/// Inputs that may wait for the loop; a worker that floods its standard output waits itself.
const INBOX: usize = 256;

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The log is unusable.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The log does not fit the plan.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// A trial's folder or `trial.json` cannot be written.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// There is no device.
    #[error("no device to run trials on")]
    NoDevice,
}

/// How workers are started, and how long they are waited for.
#[derive(Clone, Debug)]
pub struct Workers {
    /// The program; it is called as `PROGRAM worker --device DEVICE --threads N`.
    pub program: PathBuf,
    /// From the start of the process to its word that it is ready.
    pub startup: Duration,
    /// From the end of its standard input to the end of the process.
    pub leave: Duration,
}

impl Workers {
    /// Workers of this very program.
    ///
    /// # Errors
    /// When the system does not tell where the program is.
    pub fn of_this_program() -> io::Result<Self> {
        let program = std::env::current_exe()?;
        // Starting takes milliseconds; a minute is for a cold network disk.
        Ok(Self { program, startup: Duration::from_mins(1), leave: Duration::from_secs(10) })
    }
}

/// One run of a sweep. The sweep's lock must be held while it lasts.
#[derive(Clone, Debug)]
pub struct Run {
    /// Where everything is kept.
    pub folder: SweepFolder,
    /// The trials; those that the log says are complete are left alone.
    pub plan: Plan,
    /// Trials that are run although the log says that they are complete: what they left is gone.
    pub again: Vec<TrialId>,
    /// The device slots, at least one.
    pub devices: Vec<Device>,
    /// The processes.
    pub workers: Workers,
}

/// What a run tells while it lasts.
#[derive(Debug)]
pub enum Note<'a> {
    /// Something was logged; the study is that after it.
    Logged(&'a Record, &'a Study),
    /// A trial has moved on; not logged.
    Moved(TrialId, &'a Progress),
    /// The user asked to stop, for the first, second, … time.
    Stopping(u32),
    /// Something that people should know, and that does not end the run.
    Trouble(String),
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// The sweep as it stands now.
    pub study: Study,
    /// Whether trials were left undone at the user's wish.
    pub interrupted: bool,
}

/// Runs what is left to do of a sweep.
///
/// Each message on `interrupts` is one wish to stop (see [`interrupts`] for those of the terminal).
/// `draw` is called on another thread after each attempt that ended, `watch` on this one at once.
///
/// # Errors
/// When the log or a trial's folder cannot be used. A trial's failure is no error.
pub async fn run(
    run: Run,
    mut interrupts: mpsc::Receiver<()>,
    draw: Draw,
    watch: &mut dyn FnMut(Note<'_>),
) -> Result<Ended, ExecutorError> {
    if run.devices.is_empty() {
        return Err(ExecutorError::NoDevice);
    }
    let (mut state, mut inbox, mut troubles) = Loop::open(run, draw, watch)?;
    if state.study.to_run().is_empty() {
        return Ok(Ended { study: state.study, interrupted: false });
    }
    state.handle(Input::Begin)?;
    let mut stops = 0;
    let mut listening = true;
    while !state.ended {
        tokio::select! {
            Some(input) = inbox.recv() => state.handle(input)?,
            Some(trouble) = troubles.recv() => (state.watch)(Note::Trouble(trouble)),
            interrupt = interrupts.recv(), if listening => if interrupt.is_some() {
                stops += 1;
                (state.watch)(Note::Stopping(stops));
                state.handle(Input::Interrupt)?;
            } else {
                listening = false;
            },
        }
    }
    state.painter.finish().await;
    while let Ok(trouble) = troubles.try_recv() {
        (state.watch)(Note::Trouble(trouble));
    }
    Ok(Ended { study: state.study, interrupted: state.scheduler.was_interrupted() })
}

struct Loop<'a> {
    run: Run,
    journal: Journal,
    study: Study,
    scheduler: Scheduler,
    workers: Vec<Option<Worker>>,
    painter: Painter,
    inbox: mpsc::Sender<Input>,
    watch: &'a mut dyn FnMut(Note<'_>),
    ended: bool,
}

impl<'a> Loop<'a> {
    /// Reads the log; the answer is the loop and the two channels that it has to listen to.
    fn open(
        run: Run,
        draw: Draw,
        watch: &'a mut dyn FnMut(Note<'_>),
    ) -> Result<(Self, mpsc::Receiver<Input>, mpsc::UnboundedReceiver<String>), ExecutorError> {
        let (journal, replay) = Journal::open(&run.folder.log())?;
        if replay.torn_bytes > 0 {
            let bytes = replay.torn_bytes;
            watch(Note::Trouble(format!("the last line of the log was torn ({bytes} bytes) and is dropped")));
        }
        let mut study = Study::replay(&run.plan, &replay.records)?;
        study.reopen(&run.again);
        let planned = u32::try_from(run.plan.trials.len()).unwrap_or(u32::MAX);
        let scheduler = Scheduler::new(run.devices.clone(), &study.to_run(), planned);
        let (inbox, inputs) = mpsc::channel(INBOX);
        let (trouble, troubles) = mpsc::unbounded_channel();
        let painter = Painter::start(draw, trouble);
        let workers = run.devices.iter().map(|_| None).collect();
        let state = Self { run, journal, study, scheduler, workers, painter, inbox, watch, ended: false };
        Ok((state, inputs, troubles))
    }

    /// Lets the scheduler decide about `input`, and does what it says.
    fn handle(&mut self, input: Input) -> Result<(), ExecutorError> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            if let Input::Exited(slot, _) = input {
                self.put(slot, None);
            }
            for action in self.scheduler.step(input) {
                inputs.extend(self.perform(action)?);
            }
        }
        Ok(())
    }

    /// Does one thing; what comes of it at once is the answer.
    fn perform(&mut self, action: Action) -> Result<Option<Input>, ExecutorError> {
        match action {
            Action::Spawn { slot, device, trial } => return self.spawn(slot, device, trial),
            Action::Run { slot, trial } => self.give(slot, trial)?,
            Action::Stop(slot) => self.tell(slot, Command::Send(WorkerRequest::Stop)),
            Action::Leave(slot) => self.tell(slot, Command::Leave),
            Action::Terminate(slot) => self.tell(slot, Command::Terminate),
            Action::Kill(slot) => self.tell(slot, Command::Kill),
            Action::Log(trial, event) => self.log(trial, event)?,
            Action::Show(trial, progress) => (self.watch)(Note::Moved(trial, &progress)),
            Action::End => self.ended = true,
        }
        Ok(None)
    }

    fn spawn(&mut self, slot: Slot, device: Device, trial: TrialId) -> Result<Option<Input>, ExecutorError> {
        let folder = self.prepare(trial)?;
        let started = Worker::start(&self.run.workers, slot, device, self.inbox.clone());
        match started {
            Ok(worker) => {
                worker.log_to(&folder.worker_log(), &self.title(trial));
                self.put(slot, Some(worker));
                Ok(None)
            }
            Err(error) => {
                let message = format!("cannot start {}: {error}", self.run.workers.program.display());
                Ok(Some(Input::SpawnFailed(slot, message)))
            }
        }
    }

    /// Makes the trial's folder with all that a worker needs.
    fn prepare(&self, id: TrialId) -> Result<TrialFolder, ExecutorError> {
        let folder = self.run.folder.trial(id);
        files::create_folder(folder.path()).map_err(ResultsError::io("create", folder.path()))?;
        if let Some(trial) = self.study.trial(id) {
            let (plan, trial) = (&self.run.plan, trial.trial.clone());
            let (sweep, data) = (plan.sweep.clone(), plan.data.clone());
            let checkpoint_every = plan.policy.checkpoint_every;
            let cache = self.cache()?;
            write_json(&folder.job(), &Job { sweep, trial, data, checkpoint_every, cache })?;
        }
        Ok(folder)
    }

    /// The cache that workers share, if they may have one.
    fn cache(&self) -> Result<Option<CacheSpec>, ExecutorError> {
        let Some(ByteSize(bytes)) = self.run.plan.policy.cache else { return Ok(None) };
        let path = self.run.folder.cache();
        let folder = std::path::absolute(&path).map_err(ResultsError::io("resolve", &path))?;
        // A path that is no text cannot be told to a worker.
        Ok(folder.to_str().is_some().then_some(CacheSpec { folder, bytes }))
    }

    fn give(&mut self, slot: Slot, trial: TrialId) -> Result<(), ExecutorError> {
        let folder = self.prepare(trial)?;
        if let Some(worker) = self.workers.get(slot.0).and_then(Option::as_ref) {
            worker.log_to(&folder.worker_log(), &self.title(trial));
        }
        // Relative to nothing: a worker may be started anywhere.
        let path = std::path::absolute(folder.path()).map_err(ResultsError::io("resolve", folder.path()))?;
        self.tell(slot, Command::Send(WorkerRequest::Run { trial, folder: path }));
        Ok(())
    }

    /// The line that separates attempts in `worker.log`.
    fn title(&self, id: TrialId) -> String {
        let record = self.study.trial(id);
        let attempt = record.map_or(0, |record| record.attempts);
        let device = record.and_then(|record| record.device).map_or_else(String::new, |d| d.to_string());
        format!("trial {id}, attempt {attempt} on {device}")
    }

    fn tell(&self, slot: Slot, command: Command) {
        if let Some(worker) = self.workers.get(slot.0).and_then(Option::as_ref) {
            worker.tell(command);
        }
    }

    fn put(&mut self, slot: Slot, worker: Option<Worker>) {
        if let Some(entry) = self.workers.get_mut(slot.0) {
            *entry = worker;
        }
    }

    fn log(&mut self, trial: Option<TrialId>, event: Event) -> Result<(), ExecutorError> {
        let record = self.journal.append(trial, event, SystemTime::now())?;
        self.study.apply(&record)?;
        (self.watch)(Note::Logged(&record, &self.study));
        if let (Some(trial), Event::Finished(_) | Event::Failed { .. }) = (trial, &record.event) {
            self.painter.draw(&self.study, trial);
        }
        Ok(())
    }
}
