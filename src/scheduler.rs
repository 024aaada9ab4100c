//! Which trial runs where, and what is done when something goes wrong: decisions only.
//!
//! [`Scheduler::step`] takes what happened and answers what is to be done. It
//! knows no process, file or clock; the executor performs and reports back.
//!
//! Invariants: a slot has at most one process and one trial; a slot is free when
//! its worker was reaped or has reported, never when it was signalled; a trial
//! has one terminal event in a run at most; a failed attempt is repeated once, in
//! a fresh process and after the old one was reaped, if that can help; no trial
//! is lost.

mod words;

use std::collections::{BTreeMap, VecDeque};

pub use self::words::{Action, Exit, Input, Slot};
use self::words::{about, describe};
use crate::{
    device::Device,
    event::{Event, LOG_VERSION, Outcome, WorkerLine},
    trial::{Failure, FailureKind, TrialId},
};

/// Attempts at a trial in one run.
const ATTEMPTS_MAX: u32 = 2;

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// No process.
    Nothing,
    /// A process that has not reported ready, and the trial that waits for it.
    Starting(TrialId),
    /// A process at work.
    Busy(TrialId),
    /// A process that ends, and what is done once it was reaped.
    Ending(Then),
}

/// What is done about a trial once the process that had it was reaped. Not before: until then that
/// process may write into the trial's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// Nothing is left to do.
    Nothing,
    /// It is tried once more.
    Retry(TrialId),
    /// It is logged as interrupted.
    PutBack(TrialId),
}

/// The state of one run.
#[derive(Debug)]
pub struct Scheduler {
    devices: Vec<Device>,
    slots: Vec<Held>,
    waiting: VecDeque<TrialId>,
    /// Attempts before this run, and in it.
    attempts: BTreeMap<TrialId, (u32, u32)>,
    planned: u32,
    interrupts: u32,
    interrupted: bool,
    ended: bool,
}

impl Scheduler {
    /// A run of `trials`, each with the attempts that earlier runs made, on `devices`, each of
    /// which is given to one process at a time. `planned` counts all trials of the sweep. Without
    /// a device, nothing is ever run.
    #[must_use]
    pub fn new(devices: Vec<Device>, trials: &[(TrialId, u32)], planned: u32) -> Self {
        Self {
            slots: vec![Held::Nothing; devices.len()],
            devices,
            waiting: trials.iter().map(|(trial, _)| *trial).collect(),
            attempts: trials.iter().map(|(trial, before)| (*trial, (*before, 0))).collect(),
            planned,
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
            Input::LeaveTimeout(slot) => {
                if matches!(self.held(slot), Held::Ending(_)) {
                    out.push(Action::Kill(slot));
                }
            }
            Input::Exited(slot, exit) => self.exited(slot, exit, out),
            Input::Interrupt => self.interrupt(out),
        }
        self.fill(out);
        self.finish(out);
        actions
    }

    fn held(&self, slot: Slot) -> Held {
        self.slots.get(slot.0).copied().unwrap_or(Held::Nothing)
    }

    fn hold(&mut self, slot: Slot, held: Held) {
        if let Some(entry) = self.slots.get_mut(slot.0) {
            *entry = held;
        }
    }

    fn begin(&self) -> Action {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let (devices, trials) = (self.devices.clone(), self.planned);
        Action::Log(None, Event::SweepStarted { version, devices, trials })
    }

    /// Gives waiting trials to slots without a process.
    fn fill(&mut self, out: &mut Vec<Action>) {
        for (index, device) in self.devices.clone().into_iter().enumerate() {
            let slot = Slot(index);
            if self.interrupts > 0 || self.held(slot) != Held::Nothing {
                continue;
            }
            let Some(trial) = self.waiting.pop_front() else { return };
            self.hold(slot, Held::Starting(trial));
            self.start(trial, device, out);
            out.push(Action::Spawn { slot, device, trial });
        }
    }

    /// Counts an attempt and logs its beginning.
    fn start(&mut self, trial: TrialId, device: Device, out: &mut Vec<Action>) {
        let (before, now) = self.attempts.entry(trial).or_default();
        *now += 1;
        let attempt = *before + *now;
        out.push(Action::Log(Some(trial), Event::Started { attempt, device }));
    }

    /// Gives the next trial to a worker that is done with one, or lets it leave.
    fn next(&mut self, slot: Slot, out: &mut Vec<Action>) {
        let device = self.devices.get(slot.0).copied();
        // A second attempt is for a fresh process: this one may be what the first one failed of.
        let fit = self.waiting.front().copied().filter(|trial| !self.was_tried(*trial));
        match (fit, device) {
            (Some(trial), Some(device)) if self.interrupts == 0 => {
                self.waiting.pop_front();
                self.start(trial, device, out);
                self.hold(slot, Held::Busy(trial));
                out.push(Action::Run { slot, trial });
            }
            _ => {
                self.hold(slot, Held::Ending(Then::Nothing));
                out.push(Action::Leave(slot));
            }
        }
    }

    fn was_tried(&self, trial: TrialId) -> bool {
        self.attempts.get(&trial).is_some_and(|(_, now)| *now > 0)
    }

    fn line(&mut self, slot: Slot, line: WorkerLine, out: &mut Vec<Action>) {
        match (self.held(slot), line) {
            // What a process says after its fate was decided changes nothing.
            (Held::Ending(_) | Held::Nothing, _) => {}
            (Held::Starting(trial), WorkerLine::Ready { v: LOG_VERSION }) => {
                self.hold(slot, Held::Busy(trial));
                out.push(Action::Run { slot, trial });
            }
            (Held::Starting(_), WorkerLine::Ready { v }) => {
                let message = format!("the worker speaks version {v}, not {LOG_VERSION}");
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
            WorkerLine::Alive(_) | WorkerLine::DiskFull(..) | WorkerLine::DiskFreed(_) => {}
            WorkerLine::Event(
                _,
                event @ (Event::Prepared(_)
                | Event::Evaluated(_)
                | Event::Resumed { .. }
                | Event::CheckpointDamaged { .. }),
            ) => out.push(Action::Log(Some(trial), event)),
            WorkerLine::Finished(_, outcome) => self.finished(slot, trial, outcome, out),
            WorkerLine::Failed(_, failure) => {
                let then = self.failed(trial, failure, out);
                self.hold(slot, Held::Ending(then));
                out.push(Action::Leave(slot));
            }
            WorkerLine::Stopped(_) if self.interrupts > 0 => {
                self.put_back(trial, out);
                self.next(slot, out);
            }
            line @ (WorkerLine::Ready { .. } | WorkerLine::Stopped(_) | WorkerLine::Event(..)) => {
                let message = format!("unexpected {}", describe(&line));
                self.protocol(slot, message, out);
            }
        }
    }

    fn finished(&mut self, slot: Slot, trial: TrialId, outcome: Outcome, out: &mut Vec<Action>) {
        out.push(Action::Log(Some(trial), Event::Finished(outcome)));
        self.next(slot, out);
    }

    fn protocol(&mut self, slot: Slot, message: String, out: &mut Vec<Action>) {
        self.kill(slot, Failure { kind: FailureKind::Protocol, message }, out);
    }

    fn startup_timeout(&mut self, slot: Slot, out: &mut Vec<Action>) {
        if matches!(self.held(slot), Held::Starting(_)) {
            let message = "the worker did not report ready in time".to_owned();
            self.kill(slot, Failure { kind: FailureKind::StartupTimeout, message }, out);
        }
    }

    /// Fails a slot's trial by the process's fault, and ends the process.
    fn kill(&mut self, slot: Slot, failure: Failure, out: &mut Vec<Action>) {
        if let Held::Starting(trial) | Held::Busy(trial) = self.held(slot) {
            let then = self.failed(trial, failure, out);
            self.hold(slot, Held::Ending(then));
            out.push(Action::Kill(slot));
        }
    }

    fn spawn_failed(&mut self, slot: Slot, message: String, out: &mut Vec<Action>) {
        if let Held::Starting(trial) = self.held(slot) {
            self.hold(slot, Held::Nothing);
            let then = self.failed(trial, Failure { kind: FailureKind::Spawn, message }, out);
            self.settle(then, out);
        }
    }

    fn exited(&mut self, slot: Slot, exit: Exit, out: &mut Vec<Action>) {
        let held = self.held(slot);
        self.hold(slot, Held::Nothing);
        let then = match held {
            Held::Nothing => Then::Nothing,
            Held::Ending(then) => then,
            // The second interrupt ends workers, and so may whoever uttered the first: no failure.
            Held::Starting(trial) | Held::Busy(trial) if self.interrupts > 0 => Then::PutBack(trial),
            Held::Starting(trial) | Held::Busy(trial) => self.failed(trial, exit.failure(), out),
        };
        self.settle(then, out);
    }

    /// Does what was left for when the process is gone.
    fn settle(&mut self, then: Then, out: &mut Vec<Action>) {
        match then {
            Then::Nothing => {}
            Then::Retry(trial) => {
                self.interrupted |= self.interrupts > 0;
                self.waiting.push_back(trial);
            }
            Then::PutBack(trial) => self.put_back(trial, out),
        }
    }

    /// Logs a failed attempt; the answer is what to do once its process was reaped.
    fn failed(&mut self, trial: TrialId, failure: Failure, out: &mut Vec<Action>) -> Then {
        let made = self.attempts.get(&trial).map_or(0, |(_, now)| *now);
        let retry = failure.kind.is_retryable() && made < ATTEMPTS_MAX && self.interrupts == 0;
        out.push(Action::Log(Some(trial), Event::Failed { failure, retry }));
        if retry { Then::Retry(trial) } else { Then::Nothing }
    }

    /// Logs that an attempt was stopped as wished; the next run takes the trial up.
    fn put_back(&mut self, trial: TrialId, out: &mut Vec<Action>) {
        self.interrupted = true;
        out.push(Action::Log(Some(trial), Event::Interrupted));
    }

    fn interrupt(&mut self, out: &mut Vec<Action>) {
        self.interrupts += 1;
        self.interrupted |= !self.waiting.is_empty();
        for slot in (0..self.slots.len()).map(Slot) {
            match (self.held(slot), self.interrupts) {
                (Held::Nothing, _) | (Held::Ending(_), 1) => {}
                (Held::Busy(_), 1) => out.push(Action::Stop(slot)),
                // It has no trial yet that it could stop.
                (Held::Starting(trial), 1) => {
                    self.hold(slot, Held::Ending(Then::PutBack(trial)));
                    out.push(Action::Leave(slot));
                }
                (Held::Starting(_) | Held::Busy(_) | Held::Ending(_), 2) => out.push(Action::Terminate(slot)),
                (Held::Starting(_) | Held::Busy(_) | Held::Ending(_), _) => out.push(Action::Kill(slot)),
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<Action>) {
        let idle = self.slots.iter().all(|held| *held == Held::Nothing);
        let over = self.waiting.is_empty() || self.interrupts > 0 || self.slots.is_empty();
        if idle && over && !self.ended {
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

impl Held {
    fn describe(self) -> String {
        match self {
            Self::Nothing => "nothing runs".to_owned(),
            Self::Starting(_) => "it starts".to_owned(),
            Self::Busy(trial) => format!("it has trial {trial}"),
            Self::Ending(_) => "it ends".to_owned(),
        }
    }
}

#[cfg(test)]
#[path = "scheduler/tests.rs"]
mod tests;
