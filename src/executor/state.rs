//! What the loop holds, and the small things that it does with it.

use std::{collections::BTreeMap, path::Path};

use tokio::{sync::mpsc, time::Instant};

use super::{
    cleaner::Cleaner,
    crew::Cluster,
    error::ExecutorError,
    observer::{Notice, Observers, Warnings},
    pause::Pause,
    pending::Shapes,
    post::PostEvent,
    prefixes::Prefixes,
    rests::Rests,
    setup::Run,
    watch::{Command, Worker},
};
use crate::{
    journal::Journal,
    sampler::Sampler,
    scheduler::{Input, Scheduler, Slot, Terms},
    study::Study,
    system::{
        disk::{self, Lack},
        oom_kills::OomKills,
    },
    train::arithmetic,
    trial::TrialId,
};

/// Inputs that may wait for the loop; a worker that floods its standard output waits itself.
const INBOX_MAX: usize = 256;

/// The state of the loop.
pub(super) struct Loop<'a> {
    pub(super) run: Run,
    pub(super) journal: Journal,
    pub(super) study: Study,
    pub(super) scheduler: Scheduler,
    pub(super) sampler: &'a mut dyn Sampler,
    pub(super) observers: Observers<'a>,
    /// The worker of each slot that has one.
    pub(super) workers: BTreeMap<Slot, Worker>,
    pub(super) cleaner: Cleaner,
    pub(super) prefixes: Prefixes,
    pub(super) shapes: Shapes,
    pub(super) pause: Pause,
    pub(super) oom_kills: OomKills,
    pub(super) inbox: mpsc::Sender<Input>,
    pub(super) interrupts: mpsc::Receiver<()>,
    pub(super) has_ended: bool,
    pub(super) rests: Rests,
    /// What the latest device that was set aside did.
    pub(super) lost: Option<String>,
    /// The workers of a cluster.
    pub(super) cluster: Option<Cluster>,
    /// Whether the run ends while the workers of a cluster go on.
    pub(super) is_detached: bool,
    /// The last look whether the sweep's folder is where it was.
    pub(super) looked_for_folder: Instant,
}

/// The ways by which the loop hears of its workers and threads.
pub(super) struct Channels {
    pub(super) inputs: mpsc::Receiver<Input>,
    pub(super) warnings: mpsc::UnboundedReceiver<String>,
    pub(super) events: mpsc::UnboundedReceiver<PostEvent>,
}

impl<'a> Loop<'a> {
    /// Reads the log. Returns the loop and the channels that it has to listen to.
    pub(super) fn open(
        mut run: Run,
        interrupts: mpsc::Receiver<()>,
        sampler: &'a mut dyn Sampler,
        mut observers: Observers<'a>,
    ) -> Result<(Self, Channels), ExecutorError> {
        let (journal, study) = resume(&run, &mut observers)?;
        let ((inbox, inputs), (sender, warnings)) = (mpsc::channel(INBOX_MAX), Warnings::channel());
        let (cleaner, oom_kills) = (Cleaner::start(sender.clone()), OomKills::from_now_on());
        observers.start(&study, &sender);
        // The study has them.
        run.plan.trials = Vec::new();
        let scheduler = Scheduler::new(&[], terms(&run, &study));
        let (pause, rests) = (Pause::new(run.workers.space), Rests::new(run.workers.start));
        let mut state = Self {
            run,
            journal,
            study,
            scheduler,
            sampler,
            observers,
            workers: BTreeMap::new(),
            cleaner,
            prefixes: Prefixes::default(),
            shapes: Shapes::default(),
            pause,
            oom_kills,
            inbox,
            interrupts,
            has_ended: false,
            rests,
            lost: None,
            looked_for_folder: Instant::now(),
            cluster: None,
            is_detached: false,
        };
        let events = state.open_cluster()?;
        Ok((state, Channels { inputs, warnings, events }))
    }

    pub(super) fn notify(&mut self, notice: &Notice<'_>) {
        self.observers.notify(notice);
    }

    /// The worker in a slot.
    pub(super) fn worker(&self, slot: Slot) -> Option<&Worker> {
        self.workers.get(&slot)
    }

    /// Gives the worker in a slot an order; where there is none, nobody needs it.
    pub(super) fn order(&self, slot: Slot, command: Command) {
        if let Some(worker) = self.worker(slot) {
            worker.order(command);
        }
    }

    /// Gives every worker an order.
    pub(super) fn order_all(&self, command: impl Fn() -> Command) {
        self.workers.values().for_each(|worker| worker.order(command()));
    }

    /// Begins to ask the file system for space, since this trial found its disk full.
    pub(super) fn await_space(&mut self, trial: TrialId) {
        let path = self.run.folder.path().to_owned();
        self.pause.begin(Instant::now(), disk::usable_at(&path).ok());
        self.show_full(trial, &path);
    }

    /// Warns that the disk of `path` is full, unless the user knows.
    pub(super) fn show_full(&mut self, trial: TrialId, path: &Path) {
        if let Some(text) = self.pause.announce(trial, path, Lack::at(path)) {
            self.notify(&Notice::Warning(text));
        }
    }

    /// Says that there is space again, if the user knows that there was none.
    pub(super) fn show_freed(&mut self) {
        if let Some(text) = self.pause.end() {
            self.notify(&Notice::Resolved(text.to_owned()));
        }
    }
}

/// Reads the log. Returns it, and the sweep as far as it tells.
fn resume(run: &Run, observers: &mut Observers<'_>) -> Result<(Journal, Study), ExecutorError> {
    let mut study = Study::new(&run.plan);
    let mut applied = Ok(());
    let (journal, scanned) = Journal::resume(&run.folder.log(), &mut |record| {
        applied = applied.clone().and_then(|()| study.apply(&record));
    })?;
    applied?;
    if scanned.torn_bytes > 0 {
        observers.notify(&torn(scanned.torn_bytes));
    }
    study.reopen(&run.again);
    Ok((journal, study))
}

fn torn(bytes: u64) -> Notice<'static> {
    Notice::Warning(format!("the last line of the log was torn ({bytes} bytes) and is dropped"))
}

/// What holds for all trials of a run.
pub(super) fn terms(run: &Run, study: &Study) -> Terms {
    Terms {
        planned: u32::try_from(study.trials.len()).unwrap_or(u32::MAX),
        classes: study.labels.len(),
        retries: run.plan.policy.retries,
        arithmetic: arithmetic::identity(),
        notes: run.plan.notes.clone(),
        grows: run.plan.confirm.is_some()
            || run
                .plan
                .search
                .as_ref()
                .is_some_and(|search| search.halving.is_some() || search.growth.is_some()),
        fuse: run.plan.policy.fuse,
        has_cache: run.plan.policy.cache.is_some(),
        packing: run.workers.packing.clone(),
        awaits_slots: run.cluster.is_some(),
    }
}
