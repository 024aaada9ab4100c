//! The loop: it listens, lets the scheduler decide, and performs the decisions.

use std::{collections::VecDeque, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    connection::RemoteNote,
    error::ExecutorError,
    observer::{Notice, Observer, Observers},
    pending::{pending, pending_trial},
    prefixes::Prefixes,
    retention,
    setup::{Ended, Run},
    state::{Channels, Loop, terms},
    watch::Command,
};
use crate::{
    event::{Event, Record},
    halving,
    protocol::WorkerRequest,
    sampler::Sampler,
    scheduler::{Action, Input, Scheduler, Slot},
    study::{Study, TrialRecord},
    system::disk,
    trial::{State, TrialId},
};

/// Time between two looks whether the sweep's folder is where it was, and this run's.
const FOLDER_EVERY: Duration = Duration::from_secs(1);

/// Runs what is left to do of a sweep.
///
/// Each message on `interrupts` is one wish to stop (see [`interrupts`](super::interrupts) for those of
/// the terminal). `sampler` is asked for further trials, `observers` hear what happens.
///
/// # Errors
/// When the log or a trial's folder cannot be used. A trial's failure is no error.
pub async fn run<'a>(
    run: Run,
    interrupts: mpsc::Receiver<()>,
    sampler: &'a mut dyn Sampler,
    observers: Vec<&'a mut dyn Observer>,
) -> Result<Ended, ExecutorError> {
    if run.devices.is_empty() && run.cluster.is_none() {
        return Err(ExecutorError::NoDevice);
    }
    let (mut state, mut channels) = Loop::open(run, interrupts, sampler, Observers::new(observers))?;
    // On the heap, since it is large.
    let mut result = Box::pin(state.work(&mut channels)).await;
    if let Err(ExecutorError::Full { records, .. }) = &mut result {
        if !state.scheduler.is_stopping() {
            state.notify(&Notice::Stopping(1));
        }
        // Those of a cluster keep what they have to say until it is read.
        if state.cluster.is_none() {
            *records += state.leave(&mut channels.inputs).await;
        }
    }
    state.cleaner.finish();
    // After an error too: what an observer has begun, such as a drawing, must not go on without the lock.
    let is_hurried = state.observers.end(&mut state.interrupts).await;
    while let Ok(warning) = channels.warnings.try_recv() {
        state.observers.notify(&Notice::Warning(warning));
    }
    if result.is_err() {
        // What fails in a folder that is gone fails for that reason.
        state.run.folder.check()?;
    }
    result?;
    if let Some(why) = state.rests.given_up {
        return Err(ExecutorError::NoWorker { why });
    }
    if state.scheduler.is_without_device() {
        return Err(ExecutorError::NoDeviceLeft { why: state.lost.unwrap_or_default() });
    }
    let interrupted = state.scheduler.was_interrupted() || state.is_detached;
    if !interrupted {
        stuck(&state.study)?;
    }
    Ok(Ended { study: state.study, interrupted, is_detached: state.is_detached, is_hurried })
}

/// Refuses to call a sweep ended in which trials pause or wait.
fn stuck(study: &Study) -> Result<(), ExecutorError> {
    let is_stuck = |record: &&TrialRecord| matches!(record.state, State::Paused | State::Waiting);
    let trials: Vec<String> =
        study.trials.iter().filter(is_stuck).map(|record| record.trial.id.to_string()).collect();
    if trials.is_empty() { Ok(()) } else { Err(ExecutorError::Stuck { trials: trials.join(", ") }) }
}

impl Loop<'_> {
    /// Does all that is left to do.
    async fn work(&mut self, channels: &mut Channels) -> Result<(), ExecutorError> {
        self.catch_up().await?;
        if self.study.to_run().is_empty() {
            return Ok(());
        }
        let (mut stops, mut is_listening) = (u32::from(self.reuse_all().await?), true);
        self.schedule().await?;
        self.handle(if stops > 0 { Input::Interrupt } else { Input::Begin }).await?;
        self.take_over_all().await?;
        while !self.has_ended {
            self.look_for_folder()?;
            let (look, rested) = (self.pause.next(), self.rests.next());
            tokio::select! {
                Some(input) = channels.inputs.recv() => self.handle(input).await?,
                Some(event) = channels.events.recv() => self.on_post(event).await?,
                Some(warning) = channels.warnings.recv() => self.notify(&Notice::Warning(warning)),
                interrupt = self.interrupts.recv(), if is_listening => match interrupt {
                    // What becomes of the jobs is asked afterwards.
                    Some(()) if self.cluster.is_some() => {
                        self.is_detached = true;
                        break;
                    }
                    Some(()) => {
                        stops += 1;
                        self.notify(&Notice::Stopping(stops));
                        self.handle(Input::Interrupt).await?;
                    }
                    None => is_listening = false,
                },
                () = sleep_until(look.unwrap_or_else(Instant::now)), if look.is_some() => {
                    self.look_for_space().await?;
                }
                () = sleep_until(rested.unwrap_or_else(Instant::now)), if rested.is_some() => {
                    self.wake().await?;
                }
            }
        }
        self.farewell(channels).await;
        Ok(())
    }

    /// Does what an earlier run, or another spec, has left: files that are not needed, decisions, trials to be planned.
    async fn catch_up(&mut self) -> Result<(), ExecutorError> {
        self.tidy();
        self.remove_parameters().await?;
        self.study.settle();
        self.check_decisions()?;
        for trial in std::mem::take(&mut self.run.continued) {
            self.record(Some(trial), Event::Continued).await?;
        }
        self.decide(halving::all_decisions(&self.study)).await?;
        self.grow().await?;
        Ok(())
    }

    /// Looks now and then whether the sweep's folder is still where it was, and this run's. Workers send signs of life, so that
    /// this is called often.
    fn look_for_folder(&mut self) -> Result<(), ExecutorError> {
        if self.looked_for_folder.elapsed() >= FOLDER_EVERY {
            self.looked_for_folder = Instant::now();
            self.run.check()?;
        }
        Ok(())
    }

    /// Gives the scheduler what is to be done, and the slots of this machine.
    async fn schedule(&mut self) -> Result<(), ExecutorError> {
        self.prefixes = Prefixes::of(&self.run, &self.study);
        let pending = pending(&self.study, &self.prefixes, &mut self.shapes);
        self.scheduler = Scheduler::new(&pending, terms(&self.run, &self.study));
        for (index, device) in self.run.devices.clone().into_iter().enumerate() {
            self.handle(Input::SlotJoined(Slot(index), device)).await?;
        }
        Ok(())
    }

    /// Removes what an earlier run that was killed has left of complete trials.
    pub(super) fn tidy(&mut self) {
        self.prefixes = Prefixes::of(&self.run, &self.study);
        self.study.trials.iter().for_each(|record| self.clean(record.trial.id));
    }

    /// Removes the parameters that need not be kept.
    pub(super) async fn remove_parameters(&mut self) -> Result<(), ExecutorError> {
        for trial in retention::disposable(&self.study, self.run.plan.policy.keep) {
            let record = self.record(Some(trial), Event::ParametersRemoved).await?;
            self.release(trial, &record.event);
        }
        Ok(())
    }

    /// Lets the scheduler decide about `input`, and does what it says.
    pub(super) async fn handle(&mut self, input: Input) -> Result<(), ExecutorError> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let exited = match input {
                Input::Exited(slot, _) => Some(slot),
                _ => None,
            };
            if let Some(slot) = exited
                && let Some(worker) = self.workers.remove(&slot)
            {
                self.rests.last_words.insert(slot, worker.last_words());
            }
            let mut actions = self.scheduler.step(input).into_iter();
            while let Some(action) = actions.next() {
                if self.has_grown(&inputs) && is_end(&action) {
                    continue;
                }
                match self.perform(action).await {
                    Err(ExecutorError::Full { log, records, cause }) => {
                        let others = actions.filter(|action| matches!(action, Action::Log(..))).count();
                        return Err(ExecutorError::Full { log, records: records + others, cause });
                    }
                    done => inputs.extend(done?),
                }
            }
            if let Some(slot) = exited {
                self.forget_session(slot);
            }
        }
        Ok(())
    }

    /// Whether the plan has grown since the scheduler decided: then the run is not over.
    fn has_grown(&self, inputs: &VecDeque<Input>) -> bool {
        !self.scheduler.is_stopping() && inputs.iter().any(|input| matches!(input, Input::TrialAdded(_)))
    }

    /// Does one thing. Returns the inputs that follow from it at once.
    async fn perform(&mut self, action: Action) -> Result<Vec<Input>, ExecutorError> {
        match action {
            Action::Spawn { slot, device, trial } => return self.spawn(slot, device, trial).await,
            Action::Run { slot, trials } => return self.give(slot, trials).await,
            Action::Stop(slot, trial) => {
                self.order(slot, Command::Send(WorkerRequest::Stop(trial), RemoteNote::default()));
            }
            Action::Leave(slot) => self.order(slot, Command::Leave),
            Action::Terminate(slot) => self.order(slot, Command::Terminate),
            Action::Kill(slot) => self.order(slot, Command::Kill),
            Action::Log(trial, event) => return self.log(trial, event).await,
            Action::Free(slot) => return Ok(vec![Input::Freed(slot)]),
            Action::Show(trial, progress) => self.notify(&Notice::Progress(trial, &progress)),
            Action::Rest(slot, why) => return Ok(self.rest(slot, why)),
            Action::AwaitSpace(trial) => self.await_space(trial),
            Action::ShowFull(trial, path) => self.show_full(trial, &path),
            Action::ShowFreed => self.show_freed(),
            Action::Pack { device, slots, bytes } => return Ok(self.pack(device, slots, bytes)),
            Action::ShowLost(device, why) => self.show_lost(device, &why),
            Action::End => self.has_ended = true,
        }
        Ok(Vec::new())
    }

    /// Asks the file system for space, and continues if there is some.
    async fn look_for_space(&mut self) -> Result<(), ExecutorError> {
        let free = disk::usable_at(self.run.folder.path()).ok();
        if self.pause.look(Instant::now(), free) {
            self.show_freed();
            self.handle(Input::SpaceFreed).await?;
        }
        Ok(())
    }

    /// Appends an event to the log, and lets the study and the observers know.
    pub(super) async fn record(
        &mut self,
        trial: Option<TrialId>,
        event: Event,
    ) -> Result<Record, ExecutorError> {
        let record = self.append(trial, event).await?;
        self.study.apply(&record)?;
        self.observers.notify(&Notice::Logged(&record, &self.study));
        Ok(record)
    }

    /// Logs an event of the scheduler, and does what follows from it. Returns the trials that the plan
    /// has grown by.
    async fn log(&mut self, trial: Option<TrialId>, event: Event) -> Result<Vec<Input>, ExecutorError> {
        // First the files, then the word: what is logged is there.
        self.gather_files(trial, &event).await?;
        let record = self.record(trial, event).await?;
        self.tell_demand(Some(&record.event));
        if let Some(trial) = trial {
            self.release(trial, &record.event);
        }
        if let Event::Finished(_) = record.event {
            self.remove_parameters().await?;
        }
        if matches!(record.event, Event::Prepared(_) | Event::Evaluated(_) | Event::Finished(_)) {
            self.note_work();
        }
        let is_over = matches!(
            record.event,
            Event::Finished(_) | Event::Failed { retry: false, .. } | Event::Paused { .. }
        );
        let mut added = Vec::new();
        if let Some(trial) = trial.filter(|_| is_over) {
            added = self.decide(halving::decisions(&self.study, trial)).await?;
            added.extend(self.grow().await?);
        }
        let Self { study, prefixes, shapes, .. } = self;
        let records = added.into_iter().filter_map(|id| study.trial(id));
        Ok(records.map(|record| Input::TrialAdded(pending_trial(record, prefixes, shapes))).collect())
    }
}

/// Whether an action ends the run.
const fn is_end(action: &Action) -> bool {
    matches!(action, Action::End | Action::Log(None, Event::SweepEnded { .. }))
}
