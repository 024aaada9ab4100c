//! Which trial runs where, and what is done when something goes wrong: decisions only.
//!
//! [`Scheduler::step`] takes what happened and answers what is to be done. It
//! knows no process, file or clock; the executor performs and reports back.
//!
//! Invariants: a slot has at most one process; a trial has at most one process; a
//! slot is free when its worker has been reaped or has reported, never when it was
//! signalled; a trial has one terminal event in a run at most; an attempt begins when
//! a worker is ready for it, so that a worker that cannot be started costs no trial an
//! attempt: its slot rests; a failed attempt is
//! repeated in a fresh process, after the old one has been reaped, as often as the
//! retries allow; after memory ran out, the attempt is repeated as it was, then
//! with ever smaller passes, then alone; after entries of the cache changed under a
//! trial, it goes on without the cache, and no failure counts; a GPU that is lost twice in a row is set aside, and no
//! failure counts; while the disk is full nothing is started;
//! a trial that starts from another trial's final checkpoint waits until that trial
//! is over, however it ends; trials that are trained together fail together where their process
//! fails, which counts for none of them, and each is tried again in a process of its own; no trial is lost.

mod attempts;
mod failures;
mod gpus;
mod groups;
mod lines;
mod messages;
mod queue;
mod shapes;
mod slots;
mod state;

use self::{
    attempts::Measures,
    slots::{AfterExit, MemoryPool, SlotState},
    state::Phase,
};
pub use self::{
    messages::{Action, GivenTrial, Host, Input, Packing, PendingTrial, RemoteSlot, Slot, Terms, WorkerExit},
    state::Scheduler,
};
use crate::{
    event::Event,
    system::device::Device,
    trial::{Failure, FailureKind, TrialId},
};

impl Scheduler {
    /// Decides what follows from `input`, in the order in which it is to be done.
    pub fn step(&mut self, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        let out = &mut actions;
        match input {
            Input::Begin => self.begin(out),
            Input::SlotJoined(slot, device) => self.slots.join(slot, device),
            Input::RemoteJoined { slot, device, remote, trials } => {
                self.join_remote(slot, device, remote, trials, out);
            }
            Input::NoMoreSlots => self.terms.awaits_slots = false,
            Input::SlotLeft(slot) => self.slots.retire(slot),
            Input::TrialAdded(trial) => self.add(&trial),
            Input::Freed(slot) => self.freed(slot, out),
            Input::SpawnFailed(slot, message) => self.spawn_failed(slot, message, out),
            Input::Rested(slot) => self.slots.set_resting(slot, false),
            Input::Line(slot, line) => self.line(slot, line, out),
            Input::Garbage(slot, message) => self.protocol(slot, message, out),
            Input::Unsent(slot, message) => {
                self.kill(slot, &Failure { kind: FailureKind::Spawn, message }, None, out);
            }
            Input::Short(slot, message) => {
                self.kill(slot, &Failure { kind: FailureKind::Shortage, message }, None, out);
            }
            Input::StartupTimeout(slot) => self.startup_timeout(slot, out),
            Input::Stalled(slot) => self.stalled(slot, out),
            Input::TimeLimit(slot, trial) => self.time_limit(slot, trial, out),
            Input::LeaveTimeout(slot) => self.leave_timeout(slot, out),
            Input::Exited(slot, exit) => self.exited(slot, exit, out),
            Input::SpaceFreed => self.awaits_space = false,
            Input::Interrupt => self.interrupt(out),
        }
        // Before the run begins slots only join. A user may stop a run before it begins.
        if self.phase == Phase::Running || self.is_stopping() {
            self.fill(out);
            self.finish(out);
        }
        actions
    }

    fn add(&mut self, trial: &PendingTrial) {
        if self.attempts.knows(trial.trial) {
            // It goes on after a pause, before the trials that were planned after it.
            self.queue.push_front(trial.trial);
        } else {
            self.queue.add(trial);
        }
        self.attempts.add(trial);
        self.shapes.add(trial);
        self.interrupted |= self.is_stopping();
        if self.phase == Phase::Ended && !self.is_stopping() {
            // The executor has dropped the end of the run.
            self.phase = Phase::Running;
        }
    }

    fn begin(&mut self, out: &mut Vec<Action>) {
        self.phase = Phase::Running;
        let slots = &self.slots;
        self.attempts.forget_alone(|pool| slots.is_shared(pool));
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let (devices, trials) = (self.slots.devices(), self.terms.planned);
        let arithmetic = Some(self.terms.arithmetic.clone());
        let notes = self.terms.notes.clone();
        out.push(Action::Log(None, Event::SweepStarted { version, devices, trials, arithmetic, notes }));
    }

    /// Whether new trials may be started.
    fn may_start(&self) -> bool {
        self.interrupts == 0 && !self.awaits_space && !self.slots.is_any_full()
    }

    /// The next trial that may use the memory of `pool`.
    fn next_for(&self, pool: MemoryPool) -> Option<TrialId> {
        self.queue.find(|trial| self.may_use(trial, pool))
    }

    /// Gives waiting trials to slots without a process.
    fn fill(&mut self, out: &mut Vec<Action>) {
        if !self.may_start() {
            return;
        }
        for slot in self.slots.all() {
            let (Some(device), Some(pool)) = (self.slots.free_device(slot), self.slots.pool(slot)) else {
                continue;
            };
            let Some(first) = self.next_for(pool) else { continue };
            let alone = self.attempts.measures(first).alone.is_some();
            // A trial that is to be alone lets its devices fall idle, and keeps them idle.
            if self.slots.is_taken(pool) || (alone && !self.slots.is_idle(pool)) {
                continue;
            }
            let trials = self.take(first, slot, self.free_slots());
            self.slots.set_alone(slot, alone);
            self.slots.set_fused(slot, trials.len() > 1);
            self.slots.set_state(slot, SlotState::Starting(trials));
            out.push(Action::Spawn { slot, device, trial: first });
        }
    }

    /// Counts an attempt at each trial and logs its beginning in `slot`.
    fn start(&mut self, slot: Slot, trials: &[TrialId], out: &mut Vec<Action>) {
        let Some(device) = self.slots.device(slot) else { return };
        for &trial in trials {
            let attempt = self.attempts.begin(trial);
            let measures = self.attempts.measures(trial);
            let (micro_batch, alone) = (measures.micro_batch, measures.alone.is_some());
            let with = trials.iter().copied().filter(|other| *other != trial).collect();
            let worker = self.slots.place(slot);
            let started = Event::Started { attempt, device, micro_batch, alone, with, worker };
            out.push(Action::Log(Some(trial), started));
        }
    }

    /// Gives a worker the trials that were started for it.
    fn run(&mut self, slot: Slot, trials: Vec<TrialId>, out: &mut Vec<Action>) {
        let given = |&trial: &TrialId| {
            let Measures { micro_batch, without_cache, .. } = self.attempts.measures(trial);
            GivenTrial { trial, micro_batch, without_cache }
        };
        out.push(Action::Run { slot, trials: trials.iter().map(given).collect() });
        if self.slots.is_for_one(slot) {
            self.slots.retire(slot);
        }
        self.slots.set_state(slot, SlotState::Busy(trials));
    }

    /// Gives the next trials to a worker that is done with its own, or lets it leave.
    fn next(&mut self, slot: Slot, out: &mut Vec<Action>) {
        let device = self.slots.device(slot).filter(|_| self.may_start() && self.slots.may_continue(slot));
        let next = device
            .and_then(|_| self.next_for(self.slots.pool(slot)?).filter(|trial| self.is_sociable(*trial)));
        if let Some(first) = next {
            let trials = self.take(first, slot, self.working_slots());
            self.slots.set_fused(slot, trials.len() > 1);
            self.start(slot, &trials, out);
            self.run(slot, trials, out);
        } else {
            self.slots.set_state(slot, SlotState::Ending(Vec::new()));
            out.push(Action::Leave(slot));
        }
    }

    /// The trials that follow from what was just logged have been added.
    fn freed(&mut self, slot: Slot, out: &mut Vec<Action>) {
        if matches!(self.slots.state(slot), SlotState::Busy(trials) if trials.is_empty()) {
            self.next(slot, out);
        }
    }

    /// As [`Self::next`], after the trials that follow from what was just logged.
    pub(super) fn next_later(&mut self, slot: Slot, out: &mut Vec<Action>) {
        if self.terms.grows {
            out.push(Action::Free(slot));
        } else {
            self.next(slot, out);
        }
    }

    fn interrupt(&mut self, out: &mut Vec<Action>) {
        self.interrupts += 1;
        self.interrupted |= !self.queue.is_empty();
        for slot in self.slots.all() {
            match (self.slots.state(slot).clone(), self.interrupts) {
                (SlotState::Empty, _) | (SlotState::Ending(_), 1) => {}
                (SlotState::Busy(trials), 1) => {
                    out.extend(trials.into_iter().map(|trial| Action::Stop(slot, trial)));
                }
                // It has no trial yet that it could stop.
                (SlotState::Starting(trials), 1) => {
                    let after = trials.into_iter().map(AfterExit::Resume).collect();
                    self.slots.set_state(slot, SlotState::Ending(after));
                    out.push(Action::Leave(slot));
                }
                (_, 2) => out.push(Action::Terminate(slot)),
                (_, _) => out.push(Action::Kill(slot)),
            }
        }
    }

    fn leave_timeout(&self, slot: Slot, out: &mut Vec<Action>) {
        if matches!(self.slots.state(slot), SlotState::Ending(_)) {
            out.push(Action::Kill(slot));
        }
    }

    fn join_remote(
        &mut self,
        slot: Slot,
        device: Device,
        remote: RemoteSlot,
        trials: Vec<TrialId>,
        out: &mut Vec<Action>,
    ) {
        self.slots.join_remote(slot, device, remote);
        if !trials.is_empty() {
            self.take_over(slot, trials, out);
        }
    }

    /// The worker of the slot goes on with attempts of an earlier run. It is ended if one of its trials is not to be run
    /// any more.
    fn take_over(&mut self, slot: Slot, trials: Vec<TrialId>, out: &mut Vec<Action>) {
        if !trials.iter().all(|trial| self.queue.waiting.contains(trial)) {
            self.slots.set_state(slot, SlotState::Ending(Vec::new()));
            out.push(Action::Kill(slot));
            return;
        }
        for trial in &trials {
            self.queue.take(*trial);
            self.attempts.take_over(*trial);
        }
        self.start(slot, &trials, out);
        if self.slots.is_for_one(slot) {
            self.slots.retire(slot);
        }
        self.slots.set_fused(slot, trials.len() > 1);
        self.slots.set_state(slot, SlotState::Busy(trials));
    }

    fn has_no_slots(&self) -> bool {
        !self.terms.awaits_slots && self.slots.are_all_retired()
    }

    fn finish(&mut self, out: &mut Vec<Action>) {
        let is_over = self.queue.is_empty() || self.interrupts > 0 || self.has_no_slots();
        if self.slots.are_empty() && is_over && self.phase != Phase::Ended {
            self.phase = Phase::Ended;
            self.interrupted |= self.is_without_device();
            out.push(Action::Log(None, Event::SweepEnded { interrupted: self.interrupted }));
            out.push(Action::End);
        }
    }
}

#[cfg(test)]
mod tests;
