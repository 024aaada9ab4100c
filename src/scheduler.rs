//! Which trial runs where, and what is done when something goes wrong: decisions only.
//!
//! [`Scheduler::step`] takes what happened and answers what is to be done. It
//! knows no process, file or clock; the executor performs and reports back.
//!
//! Invariants: a slot has at most one process and one trial; a slot is free when
//! its worker was reaped or has reported, never when it was signalled; a trial
//! has one terminal event in a run at most; a failed attempt is repeated in a
//! fresh process, after the old one was reaped, as often as the retries allow;
//! after memory ran out, the same again, then with ever smaller passes, then
//! alone; while the disk is full nothing is started; a trial that goes on from
//! another's end waits until that one is over, however it ends; no trial is lost.

mod attempts;
mod messages;
mod queue;
mod slots;

pub use self::messages::{Action, Due, Exit, Input, Slot, Terms};
use self::{
    attempts::Tries,
    messages::{about, cut, describe},
    queue::Turns,
    slots::{Held, Pool, Slots, Then},
};
use crate::{
    event::{Event, Outcome},
    metrics::Scores,
    protocol::{PROTOCOL_VERSION, WorkerLine},
    system::device::Device,
    trial::{Failure, FailureKind, TrialId},
};

/// The state of one run.
#[derive(Debug)]
pub struct Scheduler {
    slots: Slots,
    turns: Turns,
    tries: Tries,
    terms: Terms,
    /// A trial found its disk full, and the executor asks for space.
    awaits_space: bool,
    interrupts: u32,
    interrupted: bool,
    ended: bool,
}

impl Scheduler {
    /// A run of the trials `due` on `devices`, each of which is given to one process at a time.
    /// Without a device, nothing is ever run.
    #[must_use]
    pub fn new(devices: Vec<Device>, due: &[Due], terms: Terms) -> Self {
        let slots = Slots::new(devices);
        // On another machine, or with fewer slots, nobody is there to be without.
        let alone = |due: &Due| due.alone.filter(|device| slots.are_shared(Pool::of(*device)));
        let due: Vec<Due> = due.iter().map(|due| Due { alone: alone(due), ..*due }).collect();
        Self {
            slots,
            turns: Turns::new(&due),
            tries: Tries::new(&due, &terms),
            terms,
            awaits_space: false,
            interrupts: 0,
            interrupted: false,
            ended: false,
        }
    }

    /// Decides what follows from `input`, in the order in which it is to be done.
    pub fn step(&mut self, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        let out = &mut actions;
        match input {
            Input::Begin => out.push(self.begin()),
            Input::SpawnFailed(slot, message) => self.spawn_failed(slot, message, out),
            Input::Line(slot, line) => self.line(slot, line, out),
            Input::Garbage(slot, message) => self.protocol(slot, message, out),
            Input::Unsent(slot, message) => {
                self.kill(slot, Failure { kind: FailureKind::Spawn, message }, out);
            }
            Input::StartupTimeout(slot) => self.startup_timeout(slot, out),
            Input::Stalled(slot) => self.overdue(slot, FailureKind::Stalled, out),
            Input::TimeLimit(slot) => self.overdue(slot, FailureKind::TimeLimit, out),
            Input::LeaveTimeout(slot) => {
                if matches!(self.slots.held(slot), Held::Ending(_)) {
                    out.push(Action::Kill(slot));
                }
            }
            Input::Exited(slot, exit) => self.exited(slot, exit, out),
            Input::SpaceFreed => self.awaits_space = false,
            Input::Interrupt => self.interrupt(out),
        }
        self.fill(out);
        self.finish(out);
        actions
    }

    fn begin(&self) -> Action {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let (devices, trials) = (self.slots.devices(), self.terms.planned);
        let arithmetic = Some(self.terms.arithmetic.clone());
        Action::Log(None, Event::SweepStarted { version, devices, trials, arithmetic })
    }

    /// Whether new trials may be started.
    fn may_start(&self) -> bool {
        self.interrupts == 0 && !self.awaits_space && !self.slots.is_any_full()
    }

    /// The next trial for `pool`.
    fn next_for(&self, pool: Pool) -> Option<TrialId> {
        self.turns.find(|trial| self.tries.attempt(trial).alone.is_none_or(|own| own == pool))
    }

    /// Gives waiting trials to slots without a process.
    fn fill(&mut self, out: &mut Vec<Action>) {
        if !self.may_start() {
            return;
        }
        for slot in self.slots.all() {
            let Some(device) = self.slots.free(slot) else { continue };
            let pool = Pool::of(device);
            let Some(trial) = self.next_for(pool) else { continue };
            let alone = self.tries.attempt(trial).alone.is_some();
            // A trial that is to be alone lets its devices fall idle, and keeps them so.
            if self.slots.is_taken(pool) || (alone && !self.slots.is_idle(pool)) {
                continue;
            }
            self.turns.take(trial);
            self.slots.set_alone(slot, alone);
            self.slots.hold(slot, Held::Starting(trial));
            self.start(trial, device, out);
            out.push(Action::Spawn { slot, device, trial });
        }
    }

    /// Counts an attempt and logs its beginning.
    fn start(&mut self, trial: TrialId, device: Device, out: &mut Vec<Action>) {
        let attempt = self.tries.begin(trial);
        let next = self.tries.attempt(trial);
        let (micro_batch, alone) = (next.micro_batch, next.alone.is_some());
        out.push(Action::Log(Some(trial), Event::Started { attempt, device, micro_batch, alone }));
    }

    /// Gives a worker the trial that was started for it.
    fn run(&mut self, slot: Slot, trial: TrialId, out: &mut Vec<Action>) {
        self.slots.hold(slot, Held::Busy(trial));
        out.push(Action::Run { slot, trial, micro_batch: self.tries.attempt(trial).micro_batch });
    }

    /// Gives the next trial to a worker that is done with one, or lets it leave.
    fn next(&mut self, slot: Slot, out: &mut Vec<Action>) {
        let device = self.slots.device(slot).filter(|_| self.may_start() && self.slots.may_go_on(slot));
        let next = device.and_then(|device| {
            let trial = self.next_for(Pool::of(device))?;
            // A further attempt is for a fresh process: this one may be what the last one failed of.
            let fits = !self.tries.has_begun(trial) && self.tries.attempt(trial).alone.is_none();
            fits.then_some((device, trial))
        });
        if let Some((device, trial)) = next {
            self.turns.take(trial);
            self.start(trial, device, out);
            self.run(slot, trial, out);
        } else {
            self.slots.hold(slot, Held::Ending(Then::Nothing));
            out.push(Action::Leave(slot));
        }
    }

    fn line(&mut self, slot: Slot, line: WorkerLine, out: &mut Vec<Action>) {
        match (self.slots.held(slot), line) {
            // What a process says after its fate was decided changes nothing.
            (Held::Ending(_) | Held::Nothing, _) => {}
            (Held::Starting(trial), WorkerLine::Ready { v: PROTOCOL_VERSION }) => self.run(slot, trial, out),
            (Held::Starting(_), WorkerLine::Ready { v }) => {
                let message = format!("the worker speaks version {v}, not {PROTOCOL_VERSION}");
                self.protocol(slot, message, out);
            }
            (Held::Busy(trial), line) if Some(trial) == about(&line) => self.said(slot, trial, line, out),
            (held, line) => {
                let message = format!("unexpected {} while {}", describe(&line), held.describe());
                self.protocol(slot, message, out);
            }
        }
    }

    /// A worker said something about its own trial.
    fn said(&mut self, slot: Slot, trial: TrialId, line: WorkerLine, out: &mut Vec<Action>) {
        match line {
            WorkerLine::Progress(_, progress) => out.push(Action::Show(trial, progress)),
            WorkerLine::Alive(_) => {}
            WorkerLine::DiskFull(_, path) => {
                if !self.slots.set_full(slot, true) {
                    out.push(Action::ShowFull(trial, path));
                }
            }
            WorkerLine::DiskFreed(_) => self.not_full(slot, out),
            WorkerLine::Event(_, event) => self.told(slot, trial, event, out),
            WorkerLine::Finished(_, outcome) => self.finished(slot, trial, outcome, out),
            WorkerLine::Failed(_, failure) => {
                self.not_full(slot, out);
                let then = self.failed(slot, trial, failure, out);
                self.slots.hold(slot, Held::Ending(then));
                out.push(Action::Leave(slot));
            }
            WorkerLine::Stopped(_) if self.interrupts > 0 => {
                self.not_full(slot, out);
                self.put_back(trial, out);
                self.next(slot, out);
            }
            line @ (WorkerLine::Ready { .. } | WorkerLine::Stopped(_)) => {
                let message = format!("unexpected {}", describe(&line));
                self.protocol(slot, message, out);
            }
        }
    }

    /// A worker wants something to be logged.
    fn told(&mut self, slot: Slot, trial: TrialId, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Evaluated(evaluation) if !self.is_of_all_classes(&evaluation.validation) => {
                self.protocol(slot, "an evaluation of another number of classes".to_owned(), out);
            }
            event @ (Event::Prepared(_) | Event::Evaluated(_) | Event::Resumed { .. }) => {
                out.push(Action::Log(Some(trial), event));
            }
            Event::CheckpointDamaged { message } => {
                let message = cut(message);
                out.push(Action::Log(Some(trial), Event::CheckpointDamaged { message }));
            }
            Event::SweepStarted { .. }
            | Event::Started { .. }
            | Event::ParametersRemoved
            | Event::Finished(_)
            | Event::Failed { .. }
            | Event::Interrupted
            | Event::SweepEnded { .. } => {
                self.protocol(slot, format!("unexpected `event` about trial {trial}"), out);
            }
        }
    }

    fn is_of_all_classes(&self, scores: &Scores) -> bool {
        let (rows, classes) = (scores.confusion.rows(), self.terms.classes);
        rows.len() == classes && rows.iter().all(|row| row.len() == classes)
    }

    fn finished(&mut self, slot: Slot, trial: TrialId, outcome: Outcome, out: &mut Vec<Action>) {
        if !self.is_of_all_classes(&outcome.validation) || !self.is_of_all_classes(&outcome.test) {
            return self.protocol(slot, "an outcome of another number of classes".to_owned(), out);
        }
        self.not_full(slot, out);
        out.push(Action::Log(Some(trial), Event::Finished(outcome)));
        self.turns.close(trial);
        self.next(slot, out);
    }

    /// A worker waits for space no longer, if it did.
    fn not_full(&mut self, slot: Slot, out: &mut Vec<Action>) {
        if self.slots.set_full(slot, false) && !self.slots.is_any_full() && !self.awaits_space {
            out.push(Action::ShowFreed);
        }
    }

    fn protocol(&mut self, slot: Slot, message: String, out: &mut Vec<Action>) {
        self.kill(slot, Failure { kind: FailureKind::Protocol, message }, out);
    }

    fn startup_timeout(&mut self, slot: Slot, out: &mut Vec<Action>) {
        if matches!(self.slots.held(slot), Held::Starting(_)) {
            let message = "the worker did not report ready in time (`start_up_limit` in [run])".to_owned();
            self.kill(slot, Failure { kind: FailureKind::StartupTimeout, message }, out);
        }
    }

    fn overdue(&mut self, slot: Slot, kind: FailureKind, out: &mut Vec<Action>) {
        if matches!(self.slots.held(slot), Held::Busy(_)) {
            let message = match kind {
                FailureKind::Stalled => "the worker said nothing for too long (`stall_limit` in [run])",
                _ => "the attempt took too long (`time_limit` in [run])",
            };
            self.kill(slot, Failure { kind, message: message.to_owned() }, out);
        }
    }

    /// Fails a slot's trial by the process's fault, and ends the process.
    fn kill(&mut self, slot: Slot, failure: Failure, out: &mut Vec<Action>) {
        if let Held::Starting(trial) | Held::Busy(trial) = self.slots.held(slot) {
            self.not_full(slot, out);
            let then = self.failed(slot, trial, failure, out);
            self.slots.hold(slot, Held::Ending(then));
            out.push(Action::Kill(slot));
        }
    }

    fn spawn_failed(&mut self, slot: Slot, message: String, out: &mut Vec<Action>) {
        if let Held::Starting(trial) = self.slots.held(slot) {
            let then = self.failed(slot, trial, Failure { kind: FailureKind::Spawn, message }, out);
            self.slots.vacate(slot);
            self.settle(then, out);
        }
    }

    fn exited(&mut self, slot: Slot, exit: Exit, out: &mut Vec<Action>) {
        self.not_full(slot, out);
        let then = match self.slots.held(slot) {
            Held::Nothing => Then::Nothing,
            Held::Ending(then) => then,
            // The second interrupt ends workers, and so may whoever uttered the first: no failure.
            Held::Starting(trial) | Held::Busy(trial) if self.interrupts > 0 => Then::PutBack(trial),
            Held::Starting(trial) | Held::Busy(trial) => self.failed(slot, trial, exit.failure(), out),
        };
        self.slots.vacate(slot);
        self.settle(then, out);
    }

    /// Does what was left for when the process is gone.
    fn settle(&mut self, then: Then, out: &mut Vec<Action>) {
        self.interrupted |= self.interrupts > 0 && then != Then::Nothing;
        match then {
            Then::Nothing => {}
            Then::Retry(trial) => self.turns.push_back(trial),
            Then::GoOn(trial) => self.turns.push_front(trial),
            Then::PutBack(trial) => self.put_back(trial, out),
        }
    }

    /// Logs a failed attempt; the answer is what to do once its process was reaped.
    fn failed(&mut self, slot: Slot, trial: TrialId, failure: Failure, out: &mut Vec<Action>) -> Then {
        let failure = Failure { message: cut(failure.message), ..failure };
        let is_full = failure.kind == FailureKind::DiskFull;
        let was_alone = self.tries.attempt(trial).alone.is_some();
        let retry = is_full || self.tries.fail(trial, &failure.kind, self.slots.company(slot));
        if !was_alone && self.tries.attempt(trial).alone.is_some() {
            self.slots.retire_beside(slot);
        }
        out.push(Action::Log(Some(trial), Event::Failed { failure, retry }));
        if !retry {
            self.turns.close(trial);
        }
        if is_full && !std::mem::replace(&mut self.awaits_space, true) {
            out.push(Action::AwaitSpace(trial));
        }
        match (retry, is_full) {
            (true, true) => Then::GoOn(trial),
            (true, false) => Then::Retry(trial),
            (false, _) => Then::Nothing,
        }
    }

    /// Logs that an attempt was stopped as wished; the next run takes the trial up.
    fn put_back(&mut self, trial: TrialId, out: &mut Vec<Action>) {
        self.interrupted = true;
        out.push(Action::Log(Some(trial), Event::Interrupted));
    }

    fn interrupt(&mut self, out: &mut Vec<Action>) {
        self.interrupts += 1;
        self.interrupted |= !self.turns.is_empty();
        for slot in self.slots.all() {
            match (self.slots.held(slot), self.interrupts) {
                (Held::Nothing, _) | (Held::Ending(_), 1) => {}
                (Held::Busy(_), 1) => out.push(Action::Stop(slot)),
                // It has no trial yet that it could stop.
                (Held::Starting(trial), 1) => {
                    self.slots.hold(slot, Held::Ending(Then::PutBack(trial)));
                    out.push(Action::Leave(slot));
                }
                (Held::Starting(_) | Held::Busy(_) | Held::Ending(_), 2) => out.push(Action::Terminate(slot)),
                (Held::Starting(_) | Held::Busy(_) | Held::Ending(_), _) => out.push(Action::Kill(slot)),
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<Action>) {
        let over = self.turns.is_empty() || self.interrupts > 0 || self.slots.is_empty();
        if self.slots.are_idle() && over && !self.ended {
            self.ended = true;
            out.push(Action::Log(None, Event::SweepEnded { interrupted: self.interrupted }));
            out.push(Action::End);
        }
    }

    /// Whether the user has asked to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.interrupts > 0
    }

    /// Whether trials were left undone at the user's wish.
    #[must_use]
    pub fn was_interrupted(&self) -> bool {
        self.interrupted
    }
}

#[cfg(test)]
mod tests;
