//! What follows from a line that a worker sent.

use super::{
    messages::{Action, Slot, describe, shortened},
    slots::SlotState,
    state::Scheduler,
};
use crate::{
    event::{Event, Outcome},
    metrics::Scores,
    protocol::{PROTOCOL_VERSION, WorkerLine},
    trial::{Failure, TrialId},
};

impl Scheduler {
    pub(super) fn line(&mut self, slot: Slot, line: WorkerLine, out: &mut Vec<Action>) {
        match (self.slots.state(slot).clone(), line) {
            // What a process sends after its fate was decided changes nothing.
            (SlotState::Ending(_) | SlotState::Empty, _) => {}
            (SlotState::Starting(trials), WorkerLine::Ready { v: PROTOCOL_VERSION }) => {
                self.start_in(slot, &trials, out);
                self.run(slot, trials, out);
            }
            (SlotState::Starting(_), WorkerLine::Ready { v }) => {
                let message = format!("the worker speaks version {v}, not {PROTOCOL_VERSION}");
                self.protocol(slot, message, out);
            }
            (SlotState::Busy(_), WorkerLine::AllFailed(failure)) => {
                self.not_full(slot, out);
                let after = self.fail_all(slot, &failure, out);
                self.slots.set_state(slot, SlotState::Ending(after));
                out.push(Action::Leave(slot));
            }
            (SlotState::Busy(trials), line) if line.trial().is_some_and(|id| trials.contains(&id)) => {
                self.own_line(slot, line, out);
            }
            (state, line) => {
                let message = format!("unexpected {} while {}", describe(&line), state.describe());
                self.protocol(slot, message, out);
            }
        }
    }

    /// Handles a worker's line about one of its own trials.
    fn own_line(&mut self, slot: Slot, line: WorkerLine, out: &mut Vec<Action>) {
        match line {
            WorkerLine::Progress(trial, progress) => out.push(Action::Show(trial, progress)),
            WorkerLine::Alive(_) => {}
            WorkerLine::DiskFull(trial, path) => {
                if !self.slots.set_full(slot, true) {
                    out.push(Action::ShowFull(trial, path));
                }
            }
            WorkerLine::DiskFreed(_) => self.not_full(slot, out),
            WorkerLine::Event(trial, event) => self.on_event(slot, trial, event, out),
            WorkerLine::GpuMemory(_, bytes) => self.pack(slot, bytes, out),
            WorkerLine::Finished(trial, outcome) => self.finished(slot, trial, outcome, out),
            WorkerLine::Failed(trial, failure) => self.failed(slot, trial, failure, out),
            WorkerLine::Paused(trial, epoch) => self.paused(slot, trial, epoch, out),
            WorkerLine::Stopped(trial) if self.interrupts > 0 => {
                self.not_full(slot, out);
                self.put_back(trial, out);
                if self.slots.done_with(slot, trial) {
                    self.next(slot, out);
                }
            }
            // A slot that leaves, such as one whose job is over its time, has its worker stop.
            WorkerLine::Stopped(trial) if self.slots.is_retired(slot) => {
                self.not_full(slot, out);
                self.attempts.pause(trial);
                self.queue.push_front(trial);
                out.push(Action::Log(Some(trial), Event::Interrupted));
                if self.slots.done_with(slot, trial) {
                    self.next(slot, out);
                }
            }
            line @ (WorkerLine::Ready { .. } | WorkerLine::AllFailed(_) | WorkerLine::Stopped(_)) => {
                let message = format!("unexpected {}", describe(&line));
                self.protocol(slot, message, out);
            }
        }
    }

    fn failed(&mut self, slot: Slot, trial: TrialId, failure: Failure, out: &mut Vec<Action>) {
        self.not_full(slot, out);
        if failure.kind.is_of_trial_alone() && self.slots.trials(slot).len() > 1 {
            // Its worker is done with it, and goes on with the others.
            if self.fail(slot, trial, failure, out).is_some() {
                self.queue.push_back(trial);
            }
            self.slots.done_with(slot, trial);
        } else {
            let after = self.fail_one(slot, trial, failure, out);
            self.slots.set_state(slot, SlotState::Ending(after));
            out.push(Action::Leave(slot));
        }
    }

    /// Handles an event that a worker wants to be logged.
    fn on_event(&mut self, slot: Slot, trial: TrialId, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Evaluated(evaluation) if !self.is_of_all_classes(&evaluation.validation) => {
                self.protocol(slot, "an evaluation of another number of classes".to_owned(), out);
            }
            event @ (Event::Prepared(_) | Event::Evaluated(_) | Event::Resumed { .. }) => {
                out.push(Action::Log(Some(trial), event));
            }
            Event::CheckpointDamaged { message } => {
                let message = shortened(message);
                out.push(Action::Log(Some(trial), Event::CheckpointDamaged { message }));
            }
            Event::SweepStarted { .. }
            | Event::TrialPlanned(_)
            | Event::Started { .. }
            | Event::ParametersRemoved
            | Event::Finished(_)
            | Event::Failed { .. }
            | Event::Interrupted
            | Event::Paused { .. }
            | Event::Promoted(_)
            | Event::Halted(_)
            | Event::Continued
            | Event::SearchEnded { .. }
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
        self.note_success(slot);
        out.push(Action::Log(Some(trial), Event::Finished(outcome)));
        self.queue.close(trial);
        if self.slots.done_with(slot, trial) {
            self.next_later(slot, out);
        }
    }

    /// The trial waits for a decision. Its next attempt, if there is one, may be made by any worker.
    fn paused(&mut self, slot: Slot, trial: TrialId, epoch: usize, out: &mut Vec<Action>) {
        self.not_full(slot, out);
        self.attempts.pause(trial);
        out.push(Action::Log(Some(trial), Event::Paused { epoch }));
        if self.slots.done_with(slot, trial) {
            self.next_later(slot, out);
        }
    }
}
