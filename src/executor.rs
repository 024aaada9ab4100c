//! Performs what the scheduler decides: processes, time-outs, the log.
//!
//! One loop owns the log and the scheduler; each worker process has a task of its
//! own that turns lines, exits and time-outs into inputs. The loop waits for
//! nothing but those: pictures are drawn on a thread beside it.

mod cleaner;
mod lines;
mod painter;
mod pause;
mod pending;
mod prefixes;
mod process;
mod retention;
mod reusable;
mod reuse;
mod signals;
mod space;
mod worker_log;

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use self::{
    cleaner::Cleaner,
    painter::Painter,
    pause::{Pause, free_space},
    pending::{due, terms},
    prefixes::Prefixes,
    process::{Command, Limits, Post, Worker},
};
pub use self::{painter::Draw, signals::interrupts};
use crate::{
    byte_size::ByteSize,
    cache::CacheSpec,
    event::{Event, Progress, Record},
    job::{Attempt, Job},
    journal::{Journal, JournalError},
    plan::Plan,
    protocol::WorkerRequest,
    results::{ResultsError, SweepFolder, TrialFolder, write_json},
    scheduler::{Action, Input, Scheduler, Slot},
    study::{Study, StudyError},
    system::oom_kills::OomKills,
    system::{device::Device, files},
    trial::TrialId,
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
    /// The user ended the run while the disk was full.
    #[error(
        "interrupted while the disk was full: {records} record{} could not be added to {}. That is safe: once there \
         is space, the same command goes on where the log ends",
        if *records == 1 { "" } else { "s" }, log.display()
    )]
    Full {
        /// The log.
        log: PathBuf,
        /// What is missing there, as far as it is known.
        records: usize,
    },
    /// There is no device.
    #[error("no device to run trials on")]
    NoDevice,
}

/// How workers are started, and how long they and the disk are waited for. The limits of a trial
/// and of a start stand in the plan's policy.
#[derive(Clone, Debug)]
pub struct Workers {
    /// The program; it is called as `PROGRAM worker --device DEVICE --threads N`.
    pub program: PathBuf,
    /// From the end of its standard input to the end of the process.
    pub leave: Duration,
    /// From one look at the free space to the next while the disk is full, at first.
    pub space: Duration,
}

impl Workers {
    /// Workers of this very program.
    ///
    /// # Errors
    /// When the system does not tell where the program is.
    pub fn of_this_program() -> io::Result<Self> {
        let program = std::env::current_exe()?;
        Ok(Self { program, leave: Duration::from_secs(10), space: Duration::from_secs(3) })
    }
}

/// One run of a sweep. The sweep's lock must be held while it lasts.
#[derive(Clone, Debug)]
pub struct Run {
    /// Where everything is kept.
    pub folder: SweepFolder,
    /// The trials; those that the log says are complete are left alone.
    pub plan: Plan,
    /// Trials that are run although the log says that they are over: what they left is gone, or they
    /// failed and the user wants them to be tried again.
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
    /// That trouble is over, and how.
    Relief(String),
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
    interrupts: mpsc::Receiver<()>,
    draw: Draw,
    watch: &mut dyn FnMut(Note<'_>),
) -> Result<Ended, ExecutorError> {
    if run.devices.is_empty() {
        return Err(ExecutorError::NoDevice);
    }
    let (mut state, mut inbox, mut troubles) = Loop::open(run, interrupts, draw, watch)?;
    let mut result = state.work(&mut inbox, &mut troubles).await;
    if let Err(ExecutorError::Full { records, .. }) = &mut result {
        if !state.scheduler.is_stopping() {
            (state.watch)(Note::Stopping(1));
        }
        *records += state.leave(&mut inbox).await;
    }
    state.cleaner.finish().await;
    result?;
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
    cleaner: Cleaner,
    prefixes: Prefixes,
    pause: Pause,
    kills: OomKills,
    inbox: mpsc::Sender<Input>,
    interrupts: mpsc::Receiver<()>,
    watch: &'a mut dyn FnMut(Note<'_>),
    ended: bool,
}

impl<'a> Loop<'a> {
    /// Reads the log; the answer is the loop and the two channels that it has to listen to.
    fn open(
        mut run: Run,
        interrupts: mpsc::Receiver<()>,
        draw: Draw,
        watch: &'a mut dyn FnMut(Note<'_>),
    ) -> Result<(Self, mpsc::Receiver<Input>, mpsc::UnboundedReceiver<String>), ExecutorError> {
        let mut study = Study::new(&run.plan);
        let mut applied = Ok(());
        let (journal, scanned) = Journal::resume(&run.folder.log(), &mut |record| {
            applied = applied.clone().and_then(|()| study.apply(&record));
        })?;
        applied?;
        if scanned.torn_bytes > 0 {
            let bytes = scanned.torn_bytes;
            watch(Note::Trouble(format!("the last line of the log was torn ({bytes} bytes) and is dropped")));
        }
        study.reopen(&run.again);
        let prefixes = Prefixes::of(&run, &study);
        let scheduler = Scheduler::new(run.devices.clone(), &due(&study, &prefixes), terms(&run, &study));
        let (inbox, inputs) = mpsc::channel(INBOX);
        let (trouble, troubles) = mpsc::unbounded_channel();
        let cleaner = Cleaner::start(trouble.clone());
        let painter = Painter::start(study.clone(), draw, trouble);
        // The study has them.
        run.plan.trials = Vec::new();
        let workers = run.devices.iter().map(|_| None).collect();
        let (pause, kills) = (Pause::new(run.workers.space), OomKills::from_now_on());
        let state = Self {
            run,
            journal,
            study,
            scheduler,
            workers,
            painter,
            cleaner,
            prefixes,
            pause,
            kills,
            inbox,
            interrupts,
            watch,
            ended: false,
        };
        Ok((state, inputs, troubles))
    }

    /// Does all that is left to do.
    async fn work(
        &mut self,
        inbox: &mut mpsc::Receiver<Input>,
        troubles: &mut mpsc::UnboundedReceiver<String>,
    ) -> Result<(), ExecutorError> {
        self.tidy();
        self.prune().await?;
        if self.study.to_run().is_empty() {
            return Ok(());
        }
        let is_stopped = self.reuse().await?;
        let mut stops = u32::from(is_stopped);
        self.handle(if is_stopped { Input::Interrupt } else { Input::Begin }).await?;
        let mut listening = true;
        while !self.ended {
            let look = self.pause.next();
            tokio::select! {
                Some(input) = inbox.recv() => self.handle(input).await?,
                Some(trouble) = troubles.recv() => (self.watch)(Note::Trouble(trouble)),
                interrupt = self.interrupts.recv(), if listening => if interrupt.is_some() {
                    stops += 1;
                    (self.watch)(Note::Stopping(stops));
                    self.handle(Input::Interrupt).await?;
                } else {
                    listening = false;
                },
                () = sleep_until(look.unwrap_or_else(Instant::now)), if look.is_some() => {
                    self.look_for_space().await?;
                }
            }
        }
        Ok(())
    }

    /// Removes what an earlier run that was killed has left of complete trials.
    fn tidy(&self) {
        self.study.trials.iter().for_each(|record| self.clean(record.trial.id));
    }

    /// Removes the parameters that need not be kept.
    async fn prune(&mut self) -> Result<(), ExecutorError> {
        for trial in retention::disposable(&self.study, self.run.plan.policy.keep) {
            let record = self.append(Some(trial), Event::ParametersRemoved).await?;
            self.study.apply(&record)?;
            (self.watch)(Note::Logged(&record, &self.study));
            self.relieve(trial, &record.event);
        }
        Ok(())
    }

    /// Lets the scheduler decide about `input`, and does what it says.
    async fn handle(&mut self, input: Input) -> Result<(), ExecutorError> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            if let Input::Exited(slot, _) = input {
                self.put(slot, None);
            }
            let mut actions = self.scheduler.step(input).into_iter();
            while let Some(action) = actions.next() {
                match self.perform(action).await {
                    Err(ExecutorError::Full { log, records }) => {
                        let others = actions.filter(|action| matches!(action, Action::Log(..))).count();
                        return Err(ExecutorError::Full { log, records: records + others });
                    }
                    done => inputs.extend(done?),
                }
            }
        }
        Ok(())
    }

    /// Does one thing; what comes of it at once is the answer.
    async fn perform(&mut self, action: Action) -> Result<Option<Input>, ExecutorError> {
        match action {
            Action::Spawn { slot, device, trial } => return self.spawn(slot, device, trial).await,
            Action::Run { slot, trial, micro_batch } => self.give(slot, trial, micro_batch).await?,
            Action::Stop(slot) => self.tell(slot, Command::Send(WorkerRequest::Stop)),
            Action::Leave(slot) => self.tell(slot, Command::Leave),
            Action::Terminate(slot) => self.tell(slot, Command::Terminate),
            Action::Kill(slot) => self.tell(slot, Command::Kill),
            Action::Log(trial, event) => self.log(trial, event).await?,
            Action::Show(trial, progress) => (self.watch)(Note::Moved(trial, &progress)),
            Action::AwaitSpace(trial) => {
                let path = self.run.folder.path().to_owned();
                self.pause.begin(Instant::now(), free_space(&path).ok());
                self.tell_full(trial, &path);
            }
            Action::ShowFull(trial, path) => self.tell_full(trial, &path),
            Action::ShowFreed => self.tell_freed(),
            Action::End => self.ended = true,
        }
        Ok(None)
    }

    async fn spawn(
        &mut self,
        slot: Slot,
        device: Device,
        trial: TrialId,
    ) -> Result<Option<Input>, ExecutorError> {
        let folder = self.prepare(trial).await?;
        let limits = Limits::new(&self.run.workers, &self.run.plan.policy);
        let post = Post { slot, device, inbox: self.inbox.clone(), kills: self.kills.clone() };
        let started = Worker::start(&self.run.workers, limits, post);
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

    async fn give(
        &mut self,
        slot: Slot,
        trial: TrialId,
        micro_batch: Option<usize>,
    ) -> Result<(), ExecutorError> {
        let folder = self.prepare(trial).await?;
        if let Some(worker) = self.workers.get(slot.0).and_then(Option::as_ref) {
            worker.log_to(&folder.worker_log(), &self.title(trial));
        }
        // Relative to nothing: a worker may be started anywhere.
        let path = std::path::absolute(folder.path()).map_err(ResultsError::io("resolve", folder.path()))?;
        let attempt = Attempt { micro_batch, sharing: self.sharing(slot, trial) };
        self.tell(slot, Command::Send(WorkerRequest::Run { trial, folder: path, attempt }));
        Ok(())
    }

    /// The line that separates attempts in `worker.log`.
    fn title(&self, id: TrialId) -> String {
        let record = self.study.trial(id);
        let attempt = record.map_or(0, |record| record.attempts);
        let device = record.and_then(|record| record.device).map_or_else(String::new, |d| d.to_string());
        format!("trial {id}, attempt {attempt} on {device}")
    }

    /// Asks the file system for space, and goes on if there is some.
    async fn look_for_space(&mut self) -> Result<(), ExecutorError> {
        let free = free_space(self.run.folder.path()).ok();
        if self.pause.look(Instant::now(), free) {
            self.tell_freed();
            self.handle(Input::SpaceFreed).await?;
        }
        Ok(())
    }

    fn tell_full(&mut self, trial: TrialId, path: &Path) {
        if let Some(text) = self.pause.announce(trial, path, free_space(path).ok()) {
            (self.watch)(Note::Trouble(text));
        }
    }

    fn tell_freed(&mut self) {
        if let Some(text) = self.pause.end() {
            (self.watch)(Note::Relief(text.to_owned()));
        }
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

    async fn log(&mut self, trial: Option<TrialId>, event: Event) -> Result<(), ExecutorError> {
        let record = self.append(trial, event).await?;
        self.study.apply(&record)?;
        (self.watch)(Note::Logged(&record, &self.study));
        self.painter.logged(&record);
        if let Some(trial) = trial {
            self.relieve(trial, &record.event);
        }
        if let Event::Finished(_) = record.event {
            self.prune().await?;
        }
        Ok(())
    }
}

/// The cache that workers share, if they may have one.
fn cache(run: &Run) -> Result<Option<CacheSpec>, ExecutorError> {
    let Some(ByteSize(bytes)) = run.plan.policy.cache else { return Ok(None) };
    let path = run.folder.cache();
    let folder = std::path::absolute(&path).map_err(ResultsError::io("resolve", &path))?;
    // A path that is no text cannot be told to a worker.
    Ok(folder.to_str().is_some().then_some(CacheSpec { folder, bytes }))
}

/// Makes the trial's folder with all that a worker needs.
fn prepare(run: &Run, study: &Study, id: TrialId) -> Result<TrialFolder, ExecutorError> {
    let folder = run.folder.trial(id);
    files::create_folder(folder.path()).map_err(ResultsError::io("create", folder.path()))?;
    if let Some(record) = study.trial(id) {
        let job = Job { cache: cache(run)?, ..run.plan.job(&record.trial) };
        write_json(&folder.job(), &job)?;
    }
    Ok(folder)
}
